"""The example jobs keep their promises: quality, exactness, no warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigmax.contract import FloatType, Manifest
from sigmax.repository import bundle, layout
from sigmax_training.pipeline import Outcome

MODELS = ("breast_cancer", "digits", "iris", "temple_or_flower")


def manifest(repository: Path, name: str) -> Manifest:
    return bundle.read(repository / name / "1").manifest


@pytest.mark.parametrize(
    ("name", "least"),
    [("breast_cancer", 0.97), ("iris", 0.95), ("digits", 0.96), ("temple_or_flower", 0.95)],
)
def test_a_published_model_is_as_accurate_as_promised(repository: Path, name: str, least: float) -> None:
    metrics = manifest(repository, name).metrics

    assert metrics["cv_accuracy_mean"] >= least


def test_breast_cancer_has_the_log_loss_that_is_promised(repository: Path) -> None:
    metrics = manifest(repository, "breast_cancer").metrics

    assert metrics["cv_log_loss_mean"] <= 0.08


@pytest.mark.parametrize("name", MODELS)
def test_a_published_model_beats_the_majority_on_rows_it_has_not_seen(repository: Path, name: str) -> None:
    metrics = manifest(repository, name).metrics

    assert metrics["test_accuracy"] > metrics["baseline_accuracy"] + 0.3


@pytest.mark.parametrize("name", MODELS)
def test_an_example_job_trains_without_a_notice(outcomes: dict[str, Outcome], name: str) -> None:
    assert outcomes[name].notices == ()


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("breast_cancer", FloatType.FLOAT64),
        ("iris", FloatType.FLOAT64),
        ("digits", FloatType.FLOAT32),
        ("temple_or_flower", FloatType.FLOAT32),
    ],
)
def test_tables_are_served_in_float64_and_pictures_and_hidden_layers_in_float32(
    outcomes: dict[str, Outcome], repository: Path, name: str, dtype: FloatType
) -> None:
    proof = outcomes[name].proof

    assert outcomes[name].dtype is dtype
    assert manifest(repository, name).graph.dtype is dtype
    assert proof is not None
    assert proof.difference <= manifest(repository, name).tolerance
    assert proof.rows > 100


@pytest.mark.parametrize(
    ("name", "classes", "positive"),
    [
        ("breast_cancer", ("malignant", "benign"), "malignant"),
        ("iris", ("setosa", "versicolor", "virginica"), None),
        ("digits", tuple("0123456789"), None),
        ("temple_or_flower", ("temple", "flower"), "flower"),
    ],
)
def test_classes_stand_in_the_order_of_their_data_set(
    repository: Path, name: str, classes: tuple[str, ...], positive: str | None
) -> None:
    found = manifest(repository, name)

    assert found.classes == classes
    assert found.decision.positive == positive


def test_the_photographs_are_one_image_block(repository: Path) -> None:
    (block,) = manifest(repository, "temple_or_flower").features

    assert block.shape == (3, 100, 100)
    assert block.dtype == "uint8"
    assert block.range == (0.0, 255.0)
    assert block.image is not None
    assert block.image.scale == 1 / 255


def test_the_repository_holds_the_four_models(repository: Path) -> None:
    assert layout.names(repository) == sorted(MODELS)
