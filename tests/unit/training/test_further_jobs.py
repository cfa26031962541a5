"""The example jobs that `make run` does not train: each is published, and says what it is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sigmax.contract import HISTORY_FILE, FloatType, Head, Kind, Manifest, Missing, Task, Unknown
from sigmax.repository import bundle
from sigmax_training import job as jobs
from sigmax_training import pipeline
from sigmax_training.job import Perceptron, Photographs, Regions
from sigmax_training.pipeline import Outcome
from sigmax_training.progress import Silent

JOBS = Path(__file__).parents[3] / "training" / "jobs"
FURTHER = ("digit_traits", "digits_png", "lease", "pagoda_blossom_or_neither", "temple_or_flower_mlp")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What each of them came to, with fewer folds and epochs, and patches that lie further apart."""
    root = tmp_path_factory.mktemp("further")
    return {name: pipeline.run(shorter(name), root, Silent(Console(quiet=True))) for name in FURTHER}


def shorter(name: str) -> jobs.Job:
    job = jobs.read(JOBS / f"{name}.toml")
    if isinstance(job.data, Photographs | Regions):
        job = replace(job, data=replace(job.data, stride=40, flips=False))
    else:
        job = replace(job, evaluation=replace(job.evaluation, folds=2, repeats=1))
    if isinstance(job.estimator, Perceptron):
        job = replace(job, estimator=replace(job.estimator, epochs=15))
    return job


def manifest(outcome: Outcome) -> Manifest:
    return bundle.read(outcome.published.path).manifest


def test_every_example_job_is_known_here_or_trained_for_all_tests() -> None:
    first = {"breast_cancer", "digits", "iris", "temple_or_flower"}

    assert {path.stem for path in JOBS.glob("*.toml")} == first | set(FURTHER)


@pytest.mark.parametrize("name", FURTHER)
def test_a_further_job_is_published_within_the_tolerance(published: dict[str, Outcome], name: str) -> None:
    outcome = published[name]

    assert outcome.proof is not None
    assert outcome.proof.difference <= manifest(outcome).tolerance
    assert manifest(outcome).name == name


@pytest.mark.parametrize("name", [name for name in FURTHER if name != "lease"])
def test_a_further_model_beats_what_is_usual(published: dict[str, Outcome], name: str) -> None:
    metrics = manifest(published[name]).metrics

    assert metrics["test_accuracy"] > metrics["baseline_accuracy"]


def test_the_mixed_table_has_every_kind_of_column_and_korean_names(published: dict[str, Outcome]) -> None:
    found = manifest(published["lease"])
    blocks = {block.name: block for block in found.features}

    assert {block.kind for block in found.features} == {
        *(Kind.NUMERIC, Kind.INTEGER, Kind.BOOLEAN, Kind.CATEGORY)
    }
    assert blocks["면적"].missing is Missing.IMPUTE
    assert blocks["지역"].unknown is Unknown.ZERO
    assert (blocks["난방"].missing, blocks["난방"].unknown) == (Missing.CATEGORY, Unknown.REJECT)
    assert found.classes == ("성사", "불발")
    assert set(found.decision.band) == set(found.decision.thresholds) == {"불발"}
    assert found.graph.dtype is FloatType.FLOAT64


def test_any_number_of_labels_have_a_threshold_and_a_band_each(published: dict[str, Outcome]) -> None:
    found = manifest(published["digit_traits"])

    assert (found.task, found.head) == (Task.MULTILABEL, Head.SIGMOID)
    assert set(found.decision.thresholds) == set(found.decision.band) == {"even", "prime", "loop"}
    assert found.graph.outputs == ("probabilities", "logits")
    assert (published["digit_traits"].published.path / HISTORY_FILE).is_file()


def test_a_softmax_over_30000_pixels_and_three_classes_has_90003_parameters(
    published: dict[str, Outcome],
) -> None:
    found = manifest(published["pagoda_blossom_or_neither"])

    assert found.classes == ("pagoda", "blossom", "neither")
    assert found.graph.parameters == 90_003


def test_a_hidden_layer_over_30000_pixels_is_shown_layer_by_layer(published: dict[str, Outcome]) -> None:
    layers = manifest(published["temple_or_flower_mlp"]).graph.layers

    assert [(layer.kind, layer.inputs, layer.outputs, layer.parameters) for layer in layers] == [
        ("dense", 30_000, 16, 480_016),
        ("relu", 16, 16, 0),
        ("dense", 16, 1, 17),
        ("sigmoid", 1, 2, 0),
    ]


def test_pictures_from_files_are_one_block_of_grey_pixels(published: dict[str, Outcome]) -> None:
    found = manifest(published["digits_png"])

    assert [block.kind for block in found.features] == [Kind.IMAGE]
    assert found.classes == tuple("0123456789")
    assert found.metrics["test_accuracy"] > 0.9
