from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from sigmax_training.reliability import brier_score, expected_calibration_error


def test_promises_that_are_kept_have_no_error() -> None:
    probabilities = np.repeat([0.25, 0.75], 4)
    truth = np.array([True, False, False, False, True, True, True, False])

    assert expected_calibration_error(probabilities, truth) == 0.0


def test_the_error_is_the_weighted_distance_of_promise_and_truth() -> None:
    probabilities = np.array([0.9, 0.9, 0.9, 0.2])
    truth = np.array([True, False, False, False])

    # three rows promise 0.9 and keep 1/3, one promises 0.2 and keeps 0
    expected = 0.75 * (0.9 - 1 / 3) + 0.25 * 0.2
    assert expected_calibration_error(probabilities, truth) == pytest.approx(expected)


def test_of_classes_the_highest_probability_is_the_promise() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2]])

    right = expected_calibration_error(probabilities, np.array([0, 1]))
    half = expected_calibration_error(probabilities, np.array([0, 2]))

    assert right == pytest.approx(0.3)
    assert half == pytest.approx(0.2)


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
def test_the_bins_are_those_of_scikit_learns_reliability_curve(bins: int) -> None:
    rng = np.random.default_rng(0)
    probabilities = np.concatenate([rng.random(500), np.linspace(0, 1, 11)])
    truth = rng.random(511) < probabilities**2
    kept, promised = calibration_curve(truth, probabilities, n_bins=bins)
    places = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probabilities)
    counts = np.bincount(places, minlength=bins)

    found = expected_calibration_error(probabilities, truth, bins)

    assert found == pytest.approx(float((np.abs(kept - promised) * counts[counts > 0]).sum() / 511))


def test_labels_are_judged_each_on_its_own() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    truth = np.array([[True, True], [True, True]])

    assert expected_calibration_error(probabilities, truth) == pytest.approx((0.1 + 0.9) / 2)
    assert brier_score(probabilities, truth) == pytest.approx((0.01 + 0.81) / 2)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_brier_scores_are_those_of_scikit_learn(width: int) -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(width), size=200)
    codes = rng.integers(0, width, 200)
    shown = probabilities[:, 1] if width == 2 else probabilities

    assert brier_score(probabilities, codes) == pytest.approx(
        brier_score_loss(codes, shown, labels=np.arange(width))
    )


def test_the_positive_class_of_a_binary_model_has_the_brier_score_of_both_columns() -> None:
    rng = np.random.default_rng(2)
    positive = rng.random(100)
    codes = rng.integers(0, 2, 100)

    both = brier_score(np.stack([1 - positive, positive], axis=1), codes)

    assert both == pytest.approx(brier_score(positive, codes == 1))
