"""What a trainer is told of its rows is checked, and the refusal says what to do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from sigmax_training import targets
from sigmax_training.heads import Output

CODES = np.array([0, 0, 0, 1, 2, 2])


@pytest.mark.parametrize(
    ("given", "kind"), [([0, 1, 2], "i"), ([True, False, True], "i"), ([[0, 1], [1, 1], [0, 0]], "b")]
)
def test_codes_are_columns_or_truths(given: list[int], kind: str) -> None:
    assert targets.read_codes(given, 3, "training").dtype.kind == kind


@pytest.mark.parametrize("given", [[0, -1, 1], [0.0, 1.0, 2.0], ["a", "b", "c"], [[0, 2], [1, 1], [0, 0]]])
def test_other_codes_are_refused(given: list[object]) -> None:
    with pytest.raises(ValueError, match="the validation codes are either columns"):
        targets.read_codes(given, 3, "validation")  # type: ignore[arg-type]


def test_as_many_codes_as_rows_are_needed() -> None:
    with pytest.raises(ValueError, match="there are 4 training rows of features, but 3 of codes"):
        targets.read_codes([0, 1, 1], 4, "training")


def test_the_width_spans_validation_rows_and_classes_without_rows() -> None:
    assert targets.width(CODES, None, None) == 3
    assert targets.width(CODES, np.array([4]), None) == 5
    assert targets.width(CODES, None, 7) == 7
    assert targets.width(np.zeros(3, np.int64), None, None) == 2
    assert targets.width(np.zeros((3, 1), np.bool_), None, None) == 1


def test_fewer_classes_than_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="n_classes is 2, but the codes have 3 columns"):
        targets.width(CODES, None, 2)
    with pytest.raises(ValueError, match="n_classes is 5, but the codes have 4 columns"):
        targets.width(np.zeros((3, 4), np.bool_), None, 5)


def test_validation_rows_with_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="do not have the same labels"):
        targets.width(np.zeros((3, 4), np.bool_), np.zeros((3, 2), np.bool_), None)


def test_the_output_follows_from_the_codes() -> None:
    labels = np.zeros((3, 1), np.bool_)

    assert targets.output(labels, 1, one_vs_rest=True) is Output.LABELS
    assert targets.output(CODES, 2, one_vs_rest=True) is Output.BINARY
    assert targets.output(CODES, 3, one_vs_rest=True) is Output.ONE_VS_REST
    assert targets.output(CODES, 3, one_vs_rest=False) is Output.SOFTMAX


def test_balanced_weights_are_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=CODES)

    weights = targets.class_weights("balanced", CODES, 4)

    assert weights is not None
    np.testing.assert_allclose(weights, [*expected, 1.0])


def test_a_class_that_is_not_named_weighs_1() -> None:
    weights = targets.class_weights({1: 5.0}, CODES, 3)

    assert weights is not None
    assert weights.tolist() == [1.0, 5.0, 1.0]


@pytest.mark.parametrize("wanted", [{3: 1.0}, {0: 0.0}, {0: float("nan")}, {0: float("inf")}, "heavy"])
def test_weights_that_mean_nothing_are_refused(wanted: targets.ClassWeight) -> None:
    with pytest.raises(ValueError, match="class_weight"):
        targets.class_weights(wanted, CODES, 3)


def test_weights_of_several_labels_are_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="leave class_weight out, and give a rare label a lower threshold"):
        targets.class_weights("balanced", np.zeros((3, 2), np.bool_), 2)
