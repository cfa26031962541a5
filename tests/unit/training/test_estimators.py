"""A job's settings become the scikit-learn estimator that they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from sigmax.contract import Head, Task
from sigmax.errors import InvalidInput
from sigmax_training import data, estimators, pipeline
from sigmax_training import job as jobs
from sigmax_training.data.dataset import Dataset
from sigmax_training.fit import fit
from sigmax_training.job import Job, Logistic, Perceptron
from sigmax_training.progress import Silent

WINE = "name='x'\n[data]\nbuiltin='wine'\n[estimator]\n"


def made(settings: Logistic | Perceptron, task: Task = Task.MULTICLASS, head: Head = Head.SOFTMAX) -> object:
    return estimators.estimator(settings, task, head, ("a", "b", "c"), 0)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Logistic(), {"C": 1.0, "l1_ratio": 0.0, "solver": "lbfgs"}),
        (Logistic(penalty="none"), {"C": np.inf, "l1_ratio": 0.0}),
        (Logistic(penalty="l1", solver="saga"), {"l1_ratio": 1.0, "solver": "saga"}),
        (Logistic(penalty="elastic_net", solver="saga", l1_ratio=0.3), {"l1_ratio": 0.3}),
        (Logistic(class_weight={"b": 3.0}), {"class_weight": {0: 1.0, 1: 3.0, 2: 1.0}}),
        (Logistic(class_weight="balanced"), {"class_weight": "balanced"}),
    ],
)
def test_a_penalty_and_weights_are_said_in_scikit_learns_words(
    settings: Logistic, expected: dict[str, object]
) -> None:
    found = made(settings)

    assert isinstance(found, LogisticRegression)
    assert {name: found.get_params()[name] for name in expected} == expected


def test_one_vs_rest_and_labels_are_one_sigmoid_each() -> None:
    assert isinstance(made(Logistic(), head=Head.ONE_VS_REST), OneVsRestClassifier)
    assert isinstance(made(Logistic(), Task.MULTILABEL, Head.SIGMOID), OneVsRestClassifier)
    assert made(Perceptron(), head=Head.ONE_VS_REST).one_vs_rest  # type: ignore[attr-defined]


def test_a_weight_for_a_class_that_is_none_is_named() -> None:
    with pytest.raises(InvalidInput, match="class_weight: 'bb' is no class of the data, did you mean 'b'"):
        made(Logistic(class_weight={"bb": 2.0}))


@pytest.mark.parametrize("head", [Head.ONE_VS_REST, Head.SIGMOID])
def test_weights_by_class_are_not_for_one_sigmoid_each(head: Head) -> None:
    task = Task.MULTICLASS if head is Head.ONE_VS_REST else Task.MULTILABEL

    with pytest.raises(InvalidInput, match="class_weight by label is for one class a row"):
        made(Logistic(class_weight={"a": 2.0}), task, head)


def test_an_mlp_of_several_labels_has_no_class_weights() -> None:
    with pytest.raises(InvalidInput, match="an mlp of several labels has none"):
        made(Perceptron(class_weight="balanced"), Task.MULTILABEL, Head.SIGMOID)


@pytest.mark.parametrize(
    "settings",
    [
        "penalty='l2'\nsolver='newton-cholesky'\ntol=1e-10",
        "penalty='l1'\nC=0.5\ntol=1e-6",
        "penalty='elastic_net'\nl1_ratio=0.5\ntol=1e-6",
        "class_weight='balanced'\ntol=1e-10",
        "class_weight={class_0=5.0}\ntol=1e-10",
    ],
)
def test_a_fitted_job_is_the_estimator_fitted_by_hand(settings: str) -> None:
    job = jobs.parse(WINE + settings, Path())
    dataset = data.load(job)
    rows = np.arange(0, len(dataset.codes), 2)
    own = estimators.estimator(job.estimator, Task.MULTICLASS, Head.SOFTMAX, dataset.classes, job.seed)
    scaler = StandardScaler().fit(dataset.features[rows])
    own.fit(scaler.transform(dataset.features[rows]), dataset.codes[rows])

    found = fit(job, dataset, rows)

    expected = own.predict_proba(scaler.transform(dataset.features))
    assert np.abs(found.probabilities(dataset.features) - expected).max() < 1e-12


def test_l1_leaves_features_out() -> None:
    job = jobs.parse(WINE + "penalty='l1'\nC=0.1\ntol=1e-6", Path())
    dataset = data.load(job)

    found = fit(job, dataset, np.arange(len(dataset.codes)))

    assert (found.classifier.coef_ == 0).mean() > 0.5


def test_a_weight_moves_decisions_towards_its_class() -> None:
    job = jobs.parse(WINE + "C=0.01", Path())
    dataset = data.load(job)
    rows = np.arange(len(dataset.codes))
    heavy = replace(job, estimator=replace(job.estimator, class_weight={"class_2": 50.0}))

    plain, weighted = (fit(each, dataset, rows).predict(dataset.features) for each in (job, heavy))

    assert (weighted == 2).sum() > (plain == 2).sum()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("penalty='l1'\nC=0.01", True),
        ("penalty='l1'\nC=1.0\ntol=1e-8", False),
        ("C=0.01", False),
        ("class_weight={class_0=9.0}", False),
        ("class_weight='balanced'", False),
        ("solver='newton-cholesky'\npenalty='l2'", False),
    ],
)
def test_a_solver_that_stops_before_the_optimum_without_a_word_is_told_of(settings: str, said: bool) -> None:
    """scikit-learn 1.9's saga stops at once where all weights are 0, wherever the intercept is."""
    job = jobs.parse(WINE.replace("wine", "wine" if "class_0" in settings else "iris") + settings, Path())
    dataset = data.load(job)

    found = fit(job, dataset, np.arange(len(dataset.codes)))

    assert any("stopped before the optimum" in text for text in found.warnings) is said


def test_one_class_against_the_others_is_held_to_its_own_share() -> None:
    job = jobs.parse("head='one_vs_rest'\n" + WINE + "penalty='l1'\nC=0.003", Path())
    dataset = data.load(job)

    found = fit(job, dataset, np.arange(len(dataset.codes)))

    assert any("stopped before the optimum" in text for text in found.warnings)


def late(folder: Path, more: str) -> tuple[Job, Dataset]:
    """A job on rows that have the one label or not."""
    rows = "".join(f"{i % 9},{(i * 7) % 11},{'late' if i % 9 > 4 else ''}\n" for i in range(99))
    (folder / "rows.csv").write_text("a,b,what\n" + rows)
    job = jobs.parse("name='m'\n[data]\npath='rows.csv'\ntarget='what'\nseparator=';'\n" + more, folder)
    return job, data.load(job)


def test_one_label_that_a_row_has_or_not_is_one_sigmoid(tmp_path: Path) -> None:
    job, dataset = late(tmp_path, "[calibration]\nmethod='platt'\n")

    fitted = fit(job, dataset, np.arange(99))

    assert fitted.n_classes == 1
    assert fitted.probabilities(dataset.features).shape == (99, 1)
    assert np.array_equal(fitted.logits(dataset.features) > 0, fitted.probabilities(dataset.features) > 0.5)
    assert np.array_equal(fitted.predict(dataset.features), dataset.codes)


def test_one_label_is_published(tmp_path: Path) -> None:
    job, _ = late(tmp_path, "[evaluation]\nfolds=2\nrepeats=1\n")

    outcome = pipeline.run(job, tmp_path / "models", Silent(Console(quiet=True)))

    assert outcome.published.version == 1


def test_a_vocabulary_too_wide_for_the_memory_is_refused_before_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{i % 50},{'xy'[i % 2]}\n" for i in range(100))
    (tmp_path / "rows.csv").write_text("city,kind\n" + rows)
    text = "name='m'\n[data]\npath='rows.csv'\ntarget='kind'\n[features.columns.city]\nkind='category'\n"
    job = jobs.parse(text, tmp_path)
    dataset = data.load(job)
    monkeypatch.setattr("sigmax_training.fit.MAX_EXPANDED_BYTES", 8 * 100 * 49)

    with pytest.raises(
        InvalidInput, match=r"100 rows to fit on would take .* 'city' has 50 categories; group"
    ):
        fit(job, dataset, np.arange(100))
