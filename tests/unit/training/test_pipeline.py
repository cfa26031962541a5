"""A job becomes one proven version, or nothing at all."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sigmax import offline
from sigmax.contract import FloatType, Head, Manifest
from sigmax.errors import BundleRejected, InvalidInput
from sigmax.inference import proof
from sigmax.repository import bundle, layout
from sigmax_training import __version__, data, pipeline
from sigmax_training import job as jobs
from sigmax_training.history import Epoch
from sigmax_training.job import Job
from sigmax_training.pipeline import Outcome

JOBS = Path(__file__).parents[3] / "training" / "jobs"
IRIS = "name='iris'\n[data]\nbuiltin='iris'\n[evaluation]\nfolds=2\nrepeats=1\n"


class Recorder:
    """A report that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.steps = 0
        self.seen = (0, 0)
        self.epochs: list[Epoch] = []
        self.notices: list[str] = []

    def stage(self, title: str, steps: int) -> None:
        self.stages.append(title)

    def step(self) -> None:
        self.steps += 1

    def rows(self, seen: int, total: int) -> None:
        self.seen = seen, total

    def epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)

    def notice(self, text: str) -> None:
        self.notices.append(text)


def iris(text: str = IRIS) -> Job:
    return jobs.parse(text, Path())


def run(job: Job, root: Path) -> Outcome:
    return pipeline.run(job, root, Recorder())


def manifest(outcome: Outcome) -> Manifest:
    return bundle.read(outcome.published.path).manifest


def manifest_at(path: Path) -> Manifest:
    return bundle.read(path).manifest


def content(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder with its time and its bytes."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_job_publishes_version_1_that_the_service_can_load(tmp_path: Path) -> None:
    outcome = run(iris(), tmp_path)

    _, predictor, replayed = proof.load(tmp_path / "iris" / "1")

    assert outcome.published == layout.Published(1, tmp_path / "iris" / "1")
    assert predictor.manifest.version == 1
    assert replayed.difference <= 1e-9
    assert [path.name for path in (tmp_path / "iris").iterdir()] == ["1"]


def test_the_same_job_again_changes_nothing_and_trains_nothing(tmp_path: Path) -> None:
    run(iris(), tmp_path)
    before, report = content(tmp_path), Recorder()

    outcome = pipeline.run(iris(), tmp_path, report)

    assert outcome.proof is None
    assert outcome.published.version == 1
    assert content(tmp_path) == before
    assert report.stages == ["iris: data"]


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + IRIS,
        IRIS.replace("=", "   =   "),
        "name='iris'\n[evaluation]\nrepeats=1\nfolds=2\n[data]\nbuiltin='iris'\n",
        IRIS + "[estimator]\nkind='logistic_regression'\nC=1.0\n",
        "head='softmax'\ndtype='float64'\n" + IRIS,
        IRIS + "[decision]\nclasses=['setosa','versicolor','virginica']\n",
    ],
)
def test_the_same_job_written_otherwise_is_the_same_job(tmp_path: Path, text: str) -> None:
    run(iris(), tmp_path)

    assert run(iris(text), tmp_path).proof is None


@pytest.mark.parametrize(
    "text",
    [
        IRIS + "[estimator]\nC=2.0\n",
        IRIS + "[estimator]\nstandardise=false\n",
        "seed=1\n" + IRIS,
        IRIS.replace("folds=2", "folds=3"),
        IRIS + "[decision]\nclasses=['virginica','setosa','versicolor']\n",
        "dtype='float32'\n" + IRIS,
    ],
)
def test_another_job_is_the_next_version(tmp_path: Path, text: str) -> None:
    run(iris(), tmp_path)

    assert run(iris(text), tmp_path).published.version == 2


def test_a_csv_job_does_not_depend_on_where_it_lies_but_on_what_it_holds(tmp_path: Path) -> None:
    rows = "a,b,kind\n" + "".join(f"{i % 7},{(i * 3) % 5},{'xy'[i % 2]}\n" for i in range(40))
    found = []
    for folder, text in (("one", rows), ("two", rows), ("three", rows.replace("6,", "6.5,", 1))):
        path = tmp_path / folder
        path.mkdir()
        (path / f"{folder}.csv").write_text(text)
        job = jobs.parse(f"name='own'\n[data]\npath='{folder}.csv'\ntarget='kind'\n", path)
        found.append(run(job, tmp_path / "models"))

    assert [outcome.published.version for outcome in found] == [1, 1, 2]


SHORT = "[evaluation]\nfolds=2\nrepeats=1\n"
REPEATED = (
    IRIS,
    "name='x'\n[data]\nbuiltin='wine'\n[estimator]\npenalty='elastic_net'\ntol=1e-3\n" + SHORT,
    "name='x'\n[data]\nbuiltin='wine'\n[estimator]\nkind='mlp'\nhidden=[8]\nepochs=8\n" + SHORT,
    """
        name = "x"
        logits = true
        [data]
        path = "lease.csv"
        target = "결과"
        [features]
        missing = "median"
        [calibration]
        method = "platt"
        [decision]
        tune = { objective = "f_beta" }
        band = 0.1
    """
    + SHORT,
)


@pytest.mark.parametrize("text", REPEATED)
def test_two_trainings_give_the_same_files_but_for_the_date(tmp_path: Path, text: str) -> None:
    job = jobs.parse(text, JOBS)

    first, second = (run(job, tmp_path / name).published.path for name in ("a", "b"))

    names = {path.name for path in first.iterdir()} - {"manifest.json"}
    assert {"model.onnx", "golden.json", "example.json"} <= names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_training_is_the_same_whatever_the_seed_of_hashes_and_the_number_of_threads(tmp_path: Path) -> None:
    job = tmp_path / "x.toml"
    job.write_text(REPEATED[-1].replace('"lease.csv"', repr(str(JOBS / "lease.csv"))))
    digests = set()
    for number, threads in enumerate(("1", "2")):
        models = tmp_path / threads
        command = [
            sys.executable,
            "-m",
            "sigmax_training",
            "run",
            str(job),
            "--models",
            str(models),
            "--quiet",
        ]
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "OMP_NUM_THREADS": threads}
        subprocess.run(command, check=True, env=environment, capture_output=True)
        digests.add(manifest_at(models / "x" / "1").files["model.onnx"].sha256)

    assert len(digests) == 1


def test_the_manifest_says_how_good_and_where_from(tmp_path: Path) -> None:
    found = manifest(run(iris(), tmp_path))

    assert set(found.metrics) == {
        "cv_accuracy_mean",
        "cv_accuracy_std",
        "cv_accuracy_worst",
        "cv_log_loss_mean",
        "cv_log_loss_std",
        "cv_folds",
        "test_accuracy",
        "test_log_loss",
        "test_brier",
        "test_calibration_error",
        "test_rows",
        "train_rows",
        "baseline_accuracy",
        "baseline_log_loss",
    }
    assert found.metrics["test_rows"] + found.metrics["train_rows"] == 150
    assert found.metrics["baseline_accuracy"] == pytest.approx(1 / 3)
    assert found.metrics["baseline_log_loss"] == pytest.approx(math.log(3))
    assert found.provenance["sigmax-training"] == __version__
    assert found.provenance["data"] == "scikit-learn's iris"
    assert len(found.provenance["data_sha256"]) == 64
    assert found.provenance["estimator"].startswith("StandardScaler -> Logistic(")
    assert found.provenance["created"].endswith("+00:00")
    assert {"numpy", "scikit-learn", "skl2onnx", "onnx", "onnxruntime", "python", "seed"} <= set(
        found.provenance
    )


def test_the_example_is_two_held_out_rows_of_different_classes_by_name(repository: Path) -> None:
    bundled = bundle.read(repository / "iris" / "1")
    rows = json.loads(bundled.example)["rows"]
    names = [feature.name for feature in bundled.manifest.features]

    _, predictor, _ = proof.load(repository / "iris" / "1")
    features = np.array([[row[name] for name in names] for row in rows])
    chosen = predictor.rule.choose(predictor.probabilities(features))

    assert len(rows) == 2
    assert all(list(row) == names for row in rows)
    assert chosen[0] != chosen[1]


def test_the_example_of_an_image_model_is_one_row_of_pixels(repository: Path) -> None:
    example = json.loads(bundle.read(repository / "temple_or_flower" / "1").example)

    (row,) = example["rows"]

    assert len(row) == 30_000
    assert all(isinstance(pixel, int) and 0 <= pixel <= 255 for pixel in row)


def test_a_file_in_place_of_the_repository_is_known_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    report = Recorder()

    with pytest.raises(InvalidInput, match=r"the repository '.*models' cannot be written: "):
        pipeline.run(iris(), tmp_path / "models", report)

    assert report.stages == ["iris: data"]


def test_a_file_in_place_of_the_models_folder_is_known_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "iris").write_text("")
    report = Recorder()

    with pytest.raises(InvalidInput, match="cannot be written: Not a directory"):
        pipeline.run(iris(), tmp_path, report)

    assert report.stages == ["iris: data"]


def test_a_repository_that_cannot_be_made_is_named() -> None:
    with pytest.raises(InvalidInput, match="the repository '/proc/none/models' cannot be written"):
        run(iris(), Path("/proc/none/models"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            IRIS + "[decision]\npositive='setosa'\nthreshold=0.4\n",
            "decision.positive is for two classes.*threshold",
        ),
        ("head='sigmoid'\n" + IRIS, "head = 'sigmoid' is not for this data: it has 3 classes"),
        (IRIS.replace("folds=2", "folds=51"), "class 'setosa' has 50 rows, fewer than evaluation.folds = 51"),
        (IRIS + "test_fraction=0.001\n", "evaluation.test_fraction = 0.001 does not fit the data"),
        (
            "name='p'\n[data]\nbuiltin='sample_photographs'\nsize=20\nstride=160\ncolour='grey'\n"
            "[evaluation]\nsplit='hash'\nfolds=9\n",
            "evaluation.folds = 9: fold 2 of 27: there are no rows to judge: give fewer evaluation.folds",
        ),
    ],
)
def test_a_job_that_does_not_fit_its_data_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        run(iris(text), tmp_path)

    assert not list(tmp_path.rglob("*.onnx"))


def test_a_positive_class_that_is_no_class_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    job = iris("name='x'\n[data]\nbuiltin='breast_cancer'\n[decision]\npositive='malignent'\n")

    with pytest.raises(InvalidInput, match="'malignent' is no class of the data, did you mean 'malignant'"):
        run(job, tmp_path)


def far_off(tmp_path: Path, dtype: str) -> Job:
    """A job on a feature whose mean is 100,000 times its deviation: float32 cannot hold it."""
    rng = np.random.default_rng(0)
    values = rng.normal(1e5, 1.0, 200)
    noise = rng.normal(0.0, 0.5, 200)
    rows = [f"{v},{'high' if v + n > 1e5 else 'low'}" for v, n in zip(values, noise, strict=True)]
    (tmp_path / "far.csv").write_text("\n".join(["value,level", *rows]))
    text = f"""
        name = "far"
        dtype = "{dtype}"
        [data]
        path = "far.csv"
        target = "level"
        [estimator]
        kind = "mlp"
        hidden = [4]
        learning_rate = 0.05
        epochs = 20
        [evaluation]
        folds = 2
        repeats = 1
    """
    return jobs.parse(text, tmp_path)


def test_where_float32_is_not_exact_enough_float64_is_published_and_said(tmp_path: Path) -> None:
    report = Recorder()

    outcome = pipeline.run(far_off(tmp_path, "automatic"), tmp_path / "models", report)

    assert outcome.dtype is FloatType.FLOAT64
    assert manifest(outcome).graph.dtype is FloatType.FLOAT64
    assert any("float32 is not exact enough, float64 is published" in text for text in report.notices)
    assert [path.name for path in (tmp_path / "models" / "far").iterdir()] == ["1"]


def test_where_the_job_insists_on_float32_the_gate_refuses_and_names_the_row(tmp_path: Path) -> None:
    with pytest.raises(BundleRejected, match=r"row \d+, class '(high|low)': probability"):
        run(far_off(tmp_path, "float32"), tmp_path / "models")

    assert list((tmp_path / "models").iterdir()) == []


def test_an_estimator_that_has_not_converged_is_published_with_a_notice(tmp_path: Path) -> None:
    outcome = run(iris(IRIS + "[estimator]\nmax_iter=2\n"), tmp_path)

    assert any("converge" in notice for notice in outcome.notices)


def test_a_binary_model_can_have_a_softmax_head_and_another_threshold(tmp_path: Path) -> None:
    text = "name='x'\nhead='softmax'\n[data]\nbuiltin='breast_cancer'\n[decision]\nthreshold=0.3\n"
    job = iris(text + "[evaluation]\nfolds=2\nrepeats=1\n")

    found = manifest(run(job, tmp_path))

    assert found.head is Head.SOFTMAX
    assert found.decision.positive == "benign"
    assert found.decision.thresholds == {"benign": 0.3}


def test_the_order_of_classes_is_the_jobs(tmp_path: Path) -> None:
    job = iris(IRIS + "[decision]\nclasses=['virginica','setosa','versicolor']\n")

    path = run(job, tmp_path).published.path
    dataset = data.load(iris())
    _, predictor, _ = proof.load(path)
    chosen = predictor.rule.choose(predictor.probabilities(dataset.features))
    answers = np.array(predictor.manifest.classes)[chosen]

    assert predictor.manifest.classes == ("virginica", "setosa", "versicolor")
    assert (answers == np.array(dataset.classes)[dataset.codes]).mean() > 0.95


def test_saga_and_the_other_solvers_are_published_too(tmp_path: Path) -> None:
    for solver in ("saga", "newton-cg", "newton-cholesky"):
        job = iris(IRIS + f"[estimator]\nsolver='{solver}'\ntol=1e-3\n")
        assert run(replace(job, name=solver), tmp_path).proof is not None


def test_a_table_of_integers_that_float32_cannot_tell_apart_is_served_in_float64(tmp_path: Path) -> None:
    rows = [f"{1 + 99_999_991 * row},{row % 2}" for row in range(40)]
    (tmp_path / "seen.csv").write_text("\n".join(["seen,label", *rows]), encoding="utf-8")
    text = 'name="seen"\n[data]\npath="seen.csv"\ntarget="label"\n[evaluation]\nfolds=2\nrepeats=1\n'
    mlp = '[estimator]\nkind="mlp"\nhidden=[3]\nepochs=2\nearly_stopping=false\n'
    body = b'[{"seen": 99999992}, {"seen": 199999983}]'

    published = run(jobs.parse(text + mlp, tmp_path), tmp_path / "models")

    served = offline.find(tmp_path / "models", "seen")
    assert published.dtype is FloatType.FLOAT64
    assert len(json.loads(offline.answer_json(served, body, {}, True))["probabilities"]) == 2
