"""A job comes to the numbers that others have published, and to those that statsmodels finds.

Coefficients are read from the exported file itself, so everything between a CSV file and the graph is in the
proof: reading, standardising and folding it away again, the optimum, the order of classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper
from sklearn import datasets
from statsmodels.datasets import anes96, spector
from statsmodels.discrete.discrete_model import Logit, MNLogit
from tests.models.measure import Quiet
from tests.unit.training import published

from sigmax.contract import FloatType, Task
from sigmax_training import data, pipeline
from sigmax_training import job as jobs
from sigmax_training.data.dataset import F64, Dataset
from sigmax_training.export import export
from sigmax_training.fit import Fitted, fit
from sigmax_training.job import PENALTIES as PENALTY_SOLVERS
from sigmax_training.job import Job
from sigmax_training.network import network_of

EXACT = "penalty = 'none'\nsolver = 'newton-cholesky'\ntol = 1e-10\n"
BOTH_WAYS = pytest.mark.parametrize("standardise", ["true", "false"])


def job_of(folder: Path, table: str, settings: str) -> Job:
    """A job on a CSV file whose last column is the target."""
    (folder / "table.csv").write_text(table)
    target = table.splitlines()[0].split(",")[-1]
    text = f"name = 'x'\n[data]\npath = 'table.csv'\ntarget = '{target}'\n[estimator]\n{settings}"
    return jobs.parse(text, folder)


def fitted_on_all(job: Job) -> tuple[Dataset, Fitted]:
    """The job's estimator, fitted on every row."""
    dataset = data.load(job)
    fitted = fit(job, dataset, np.arange(len(dataset.codes)))
    assert fitted.warnings == ()
    return dataset, fitted


def exported(dataset: Dataset, fitted: Fitted) -> F64:
    """What stands in the ONNX file of a linear model: (n_classes, 1 + n_features), the constants first."""
    names = [block.name for block in dataset.blocks]
    content = export(network_of(fitted), "x", FloatType.FLOAT64, dataset.classes, names)
    parameters = onnx.load_from_string(content).graph.initializer
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in parameters}
    return np.column_stack([found["bias_0"], found["weights_0"]])


def log_likelihood(dataset: Dataset, fitted: Fitted) -> float:
    probabilities = fitted.probabilities(dataset.features)
    return float(np.log(probabilities[np.arange(len(dataset.codes)), dataset.codes]).sum())


def printed(numbers: Sequence[float] | F64, digits: int) -> tuple[str, ...]:
    """As a table prints them; a zero has no sign."""
    return tuple(f"{number + 0.0:.{digits}f}" for number in np.round(numbers, digits))


def csv(names: Sequence[str], features: F64, labels: npt.NDArray[Any]) -> str:
    """A table with every digit of its numbers, the target last."""
    rows = zip(features.tolist(), labels.tolist(), strict=True)
    lines = [",".join([*map(repr, row), str(label)]) for row, label in rows]
    return "\n".join([",".join([*names, "target"]), *lines])


@BOTH_WAYS
@pytest.mark.parametrize("solver", ["newton-cholesky", "newton-cg", "lbfgs"])
def test_grades_after_the_new_teaching_are_as_greene_prints_them(
    tmp_path: Path, solver: str, standardise: str
) -> None:
    settings = f"penalty = 'none'\nsolver = '{solver}'\ntol = 1e-10\nstandardise = {standardise}"
    dataset, fitted = fitted_on_all(job_of(tmp_path, published.SPECTOR, settings))

    assert printed(exported(dataset, fitted)[1], 4) == published.SPECTOR_LOGIT
    assert f"{log_likelihood(dataset, fitted):.4f}" == published.SPECTOR_LOG_LIKELIHOOD


def test_the_typed_rows_are_those_that_statsmodels_has() -> None:
    typed = np.array([line.split(",") for line in published.SPECTOR.splitlines()[1:]], np.float64)

    assert np.array_equal(spector.load_pandas().data.to_numpy(np.float64), typed)


@BOTH_WAYS
def test_damage_by_temperature_is_as_the_textbooks_print_it(tmp_path: Path, standardise: str) -> None:
    settings = EXACT + f"standardise = {standardise}"
    dataset, fitted = fitted_on_all(job_of(tmp_path, published.CHALLENGER, settings))

    assert dataset.classes == ("no", "yes")
    assert printed(exported(dataset, fitted)[1], 4) == published.CHALLENGER_LOGIT
    assert f"{-2 * log_likelihood(dataset, fitted):.3f}" == published.CHALLENGER_DEVIANCE


@BOTH_WAYS
def test_vasoconstriction_is_as_pregibon_prints_it(tmp_path: Path, standardise: str) -> None:
    rows = np.array(published.VASOCONSTRICTION)
    table = csv(("volume", "rate"), np.log(rows[:, :2]), rows[:, 2].astype(int))
    dataset, fitted = fitted_on_all(job_of(tmp_path, table, EXACT + f"standardise = {standardise}"))

    assert printed(exported(dataset, fitted)[1], 3) == published.VASOCONSTRICTION_LOGIT
    assert f"{-2 * log_likelihood(dataset, fitted):.3f}" == published.VASOCONSTRICTION_DEVIANCE


@BOTH_WAYS
def test_seven_parties_are_as_stata_prints_them(tmp_path: Path, standardise: str) -> None:
    source = anes96.load_pandas()
    features, labels = source.exog.to_numpy(np.float64), source.endog.to_numpy(np.int64)
    table = csv(list(source.exog.columns), features, labels)
    dataset, fitted = fitted_on_all(job_of(tmp_path, table, EXACT + f"standardise = {standardise}"))
    found = exported(dataset, fitted)

    assert dataset.classes == tuple("0123456")
    assert found[1:] - found[0] == pytest.approx(np.array(published.PARTY_LOGIT), rel=1e-6, abs=1e-8)
    assert f"{log_likelihood(dataset, fitted):.6f}" == published.PARTY_LOG_LIKELIHOOD


def test_an_l1_penalty_leaves_out_what_statsmodels_leaves_out(tmp_path: Path) -> None:
    rows = np.array([line.split(",") for line in published.SPECTOR.splitlines()[1:]], np.float64)
    features = rows[:, :3]
    means = features.mean(axis=0)  # moves the constant, which is not penalised, and nothing else
    table = csv(("GPA", "TUCE", "PSI"), features - means, rows[:, 3].astype(int))
    settings = f"penalty = 'l1'\nC = {1 / 3!r}\nstandardise = false\ntol = 1e-9\nmax_iter = 1000000"
    dataset, fitted = fitted_on_all(job_of(tmp_path, table, settings))
    found = exported(dataset, fitted)[1]
    constant = found[0] - float(found[1:] @ means)

    assert printed([constant, *found[1:]], 4) == published.SPECTOR_L1


LOADERS = {
    "breast_cancer": datasets.load_breast_cancer,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}
NUCLEI = ("mean texture", "mean smoothness", "mean symmetry", "mean fractal dimension", "area error")
ASHES = ("malic_acid", "ash", "alcalinity_of_ash", "magnesium")


def mixed(name: str, columns: Sequence[str]) -> tuple[F64, npt.NDArray[Any]]:
    """Rows whose classes no hyperplane parts, because without a penalty only these have an optimum.

    Either some columns that do not tell much, or all of them and every tenth label moved to the next class.
    """
    source = LOADERS[name]()
    features, labels = np.asarray(source.data, np.float64), source.target.copy()
    if columns:
        names = list(source.feature_names)
        return np.ascontiguousarray(features[:, [names.index(column) for column in columns]]), labels
    labels[::10] = (labels[::10] + 1) % (labels.max() + 1)
    return features, labels


def contrasts(folder: Path, features: F64, labels: npt.NDArray[Any], standardise: str) -> F64:
    """What is exported, each class against the first: (n_classes - 1, 1 + n_features)."""
    names = [f"x{column}" for column in range(features.shape[1])]
    job = job_of(folder, csv(names, features, labels), EXACT + f"standardise = {standardise}")
    dataset, fitted = fitted_on_all(job)
    found = exported(dataset, fitted)
    return found[1:] if dataset.task is Task.BINARY else found[1:] - found[0]


def oracle(model: type[Logit | MNLogit], features: F64, labels: npt.NDArray[Any]) -> F64:
    """The same by statsmodels and Newton's method."""
    constants = np.ones(len(features))
    result = model(labels, np.column_stack([constants, features])).fit(method="newton", disp=0, tol=1e-9)
    return np.asarray(result.params, np.float64).reshape(1 + features.shape[1], -1).T


@BOTH_WAYS
@pytest.mark.parametrize("columns", [NUCLEI, ()], ids=["some columns", "noise"])
def test_two_classes_come_to_statsmodels_coefficients(
    tmp_path: Path, columns: Sequence[str], standardise: str
) -> None:
    features, labels = mixed("breast_cancer", columns)
    expected = oracle(Logit, features, labels)

    assert contrasts(tmp_path, features, labels, standardise) == pytest.approx(expected, rel=1e-8)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("name", "columns"),
    [("wine", ASHES), ("wine", ()), ("iris", ())],
    ids=["wine, some columns", "wine, noise", "iris, noise"],
)
def test_several_classes_come_to_statsmodels_coefficients(
    tmp_path: Path, name: str, columns: Sequence[str], standardise: str
) -> None:
    features, labels = mixed(name, columns)
    expected = oracle(MNLogit, features, labels)

    assert contrasts(tmp_path, features, labels, standardise) == pytest.approx(expected, rel=1e-8)


PENALTIES = {
    "l2": ("penalty = 'l2'\nsolver = 'lbfgs'", 0.0),
    "l1": ("penalty = 'l1'\nmax_iter = 100000", 1.0),
    "elastic_net": ("penalty = 'elastic_net'\nl1_ratio = 0.3\nmax_iter = 100000", 0.3),
}
"""By penalty: settings, and the share of L1 in it."""


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("inverse_penalty", [1 / 3, 2.0])
def test_at_the_optimum_the_penalty_holds_the_balance_of_the_loss(
    tmp_path: Path, penalty: str, inverse_penalty: float
) -> None:
    settings, share = PENALTIES[penalty]
    job = job_of(tmp_path, published.SPECTOR, f"{settings}\nC = {inverse_penalty!r}\ntol = 1e-8")
    dataset, fitted = fitted_on_all(job)
    seen = (dataset.features - dataset.features.mean(axis=0)) / dataset.features.std(axis=0)
    weights, constant = fitted.classifier.coef_[0], fitted.classifier.intercept_[0]

    errors = 1 / (1 + np.exp(-(seen @ weights + constant))) - dataset.codes  # (n_samples,)
    pull = inverse_penalty * seen.T @ errors + (1 - share) * weights  # all of the slope but that of |weights|
    assert errors.sum() == pytest.approx(0.0, abs=1e-4)
    assert np.where(weights == 0, 0.0, pull + share * np.sign(weights)) == pytest.approx(0.0, abs=1e-4)
    assert np.abs(pull[weights == 0]).max(initial=0.0) <= share


@pytest.mark.parametrize("solver", PENALTY_SOLVERS["l2"])
def test_every_solver_comes_to_the_same_optimum(tmp_path: Path, solver: str) -> None:
    settings = "penalty = 'l2'\nC = 2.0\ntol = 1e-8\nsolver = "
    newton = job_of(tmp_path, published.SPECTOR, settings + "'newton-cholesky'")
    other = job_of(tmp_path, published.SPECTOR, settings + f"'{solver}'\nmax_iter = 100000")

    expected = exported(*fitted_on_all(newton))
    assert exported(*fitted_on_all(other)) == pytest.approx(expected, rel=1e-5)


ROWS = 569
BATCHES = {
    "sgd": (64, "learning_rate = 0.2\nepochs = 100"),
    "adam": (285, "learning_rate = 0.1\nepochs = 300"),
}
"""By optimiser: rows a step, and settings that go far enough down within a second or two."""


def log_loss_on_breast_cancer(settings: str) -> float:
    """What the training brings down, without the penalty: the log loss of the rows that were fitted on."""
    text = f"name = 'x'\n[data]\nbuiltin = 'breast_cancer'\n[estimator]\n{settings}"
    dataset, fitted = fitted_on_all(jobs.parse(text, Path()))
    return -log_likelihood(dataset, fitted) / ROWS


@pytest.mark.parametrize("inverse_penalty", [1.0, 0.1])
@pytest.mark.parametrize("optimiser", BATCHES)
def test_mini_batches_come_to_the_log_loss_of_the_exact_optimum(
    optimiser: str, inverse_penalty: float
) -> None:
    size, pace = BATCHES[optimiser]
    alpha = 1 / (inverse_penalty * math.ceil(ROWS / size))
    batches = f"kind = 'mlp'\nhidden = []\noptimiser = '{optimiser}'\nbatch_size = {size}\n{pace}"
    optimum = f"solver = 'newton-cholesky'\ntol = 1e-10\nC = {inverse_penalty!r}"

    found = log_loss_on_breast_cancer(f"{batches}\nalpha = {alpha!r}\nearly_stopping = false")
    exact = log_loss_on_breast_cancer(optimum)
    assert found == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "accuracy", "spread", "loss"),
    [
        ("breast_cancer", 0.9766, 0.018, 0.0744),
        ("iris", 0.953, 0.052, 0.1486),
        ("wine", 0.983, 0.029, 0.0587),
    ],
)
def test_ten_folds_come_to_the_figures_of_scikit_learns_own_pipeline(
    tmp_path: Path, name: str, accuracy: float, spread: float, loss: float
) -> None:
    text = f"name = '{name}'\n[data]\nbuiltin = '{name}'\n[evaluation]\nfolds = 10\nrepeats = 1"
    metrics = pipeline.run(jobs.parse(text, Path()), tmp_path, Quiet()).metrics

    # the figures are means of several drawings of the folds; one drawing is off by about a row in a hundred
    assert metrics["cv_accuracy_mean"] == pytest.approx(accuracy, abs=0.01)
    assert metrics["cv_accuracy_std"] == pytest.approx(spread, abs=0.015)
    assert metrics["cv_log_loss_mean"] == pytest.approx(loss, rel=0.1)
