from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.multiclass import OneVsRestClassifier

from sigmax.contract import Head
from sigmax.errors import InvalidInput
from sigmax_training import calibration
from sigmax_training.calibration import (
    Calibration,
    apply,
    brier_score,
    calibrate,
    calibrated,
    expected_calibration_error,
)

NAMES = ("x", "y", "z", "w")
BY_THEIR_NAMES = {"temperature": "temperature", "platt": "sigmoid"}


def problem(n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are hard to tell apart, some with the wrong class."""
    features, codes = make_classification(
        n_samples=600,
        n_features=6,
        n_informative=4,
        n_redundant=0,
        n_classes=n_classes,
        n_clusters_per_class=1,
        class_sep=0.6,
        flip_y=0.15,
        random_state=seed,
    )
    return features, codes


def overconfident(n_classes: int) -> tuple[LogisticRegression, np.ndarray, np.ndarray]:
    """A model that is three times too sure of itself, and validation rows."""
    features, codes = problem(n_classes)
    model = LogisticRegression().fit(features[:300], codes[:300])
    model.coef_, model.intercept_ = model.coef_ * 3, model.intercept_ * 3
    return model, features[300:], codes[300:]


def by_scikit_learn(model: Any, method: str, features: np.ndarray, codes: np.ndarray) -> Any:
    fitted = CalibratedClassifierCV(FrozenEstimator(model), method=method, ensemble=False)
    return fitted.fit(features, codes)


def head_of(n_classes: int) -> Head:
    return Head.SIGMOID if n_classes == 2 else Head.SOFTMAX


@pytest.mark.parametrize("method", calibration.METHODS)
@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_probabilities_are_those_of_scikit_learn(method: str, n_classes: int) -> None:
    model, features, codes = overconfident(n_classes)
    logits = model.decision_function(features)
    expected = by_scikit_learn(model, BY_THEIR_NAMES[method], features, codes).predict_proba(features)

    found = calibrate(method, logits, codes, head_of(n_classes), NAMES[:n_classes])

    assert np.abs(apply(found, logits) - expected).max() <= 1e-12
    assert found.slope.shape == found.offset.shape == ((1,) if n_classes == 2 else (n_classes,))


@pytest.mark.parametrize("n_classes", [3, 4])
def test_the_classes_of_a_one_vs_rest_model_are_calibrated_as_scikit_learn_does(n_classes: int) -> None:
    features, codes = problem(n_classes)
    model = OneVsRestClassifier(LogisticRegression()).fit(features[:300], codes[:300])
    rows, truth = features[300:], codes[300:]
    logits = model.decision_function(rows)

    found = calibrate("platt", logits, truth, Head.ONE_VS_REST, NAMES[:n_classes])

    expected = by_scikit_learn(model, "sigmoid", rows, truth).predict_proba(rows)
    assert np.abs(apply(found, logits) - expected).max() <= 1e-12


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_a_temperature_never_makes_the_log_loss_worse_where_it_was_fitted(n_classes: int) -> None:
    model, features, codes = overconfident(n_classes)
    logits = model.decision_function(features)

    found = calibrate("temperature", logits, codes, head_of(n_classes), NAMES[:n_classes])

    before, after = log_loss(codes, model.predict_proba(features)), log_loss(codes, apply(found, logits))
    assert after < before
    assert (found.slope < 1).all()  # three times too sure: the logits shrink
    assert found.offset.tolist() == [0.0] * len(found.slope)


def test_a_temperature_of_a_model_that_is_right_about_itself_is_about_one() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=20_000) * 2
    codes = (rng.random(20_000) < 1 / (1 + np.exp(-logits))).astype(np.int64)

    found = calibrate("temperature", logits, codes, Head.SIGMOID, NAMES[:2])

    assert found.slope == pytest.approx([1.0], abs=0.05)


def test_a_temperature_keeps_the_head_and_the_class_of_every_row() -> None:
    model, features, codes = overconfident(4)
    logits = model.decision_function(features)

    found = calibrate("temperature", logits, codes, Head.SOFTMAX, NAMES)

    assert found.head is Head.SOFTMAX
    assert apply(found, logits).argmax(axis=1).tolist() == logits.argmax(axis=1).tolist()


@pytest.mark.parametrize(
    ("n_classes", "head", "expected"),
    [
        (2, Head.SIGMOID, Head.SIGMOID),
        (2, Head.SOFTMAX, Head.SOFTMAX),
        (3, Head.SOFTMAX, Head.ONE_VS_REST),
        (3, Head.ONE_VS_REST, Head.ONE_VS_REST),
    ],
)
def test_platts_method_on_several_classes_is_one_against_the_rest(
    n_classes: int, head: Head, expected: Head
) -> None:
    model, features, codes = overconfident(n_classes)

    found = calibrate("platt", model.decision_function(features), codes, head, NAMES[:n_classes])

    assert found.head is expected


@pytest.mark.parametrize("method", calibration.METHODS)
def test_every_label_is_calibrated_on_its_own(method: str) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(400, 3)) * [1.0, 3.0, 0.5]
    truth = rng.random((400, 3)) < 1 / (1 + np.exp(-logits / [1.0, 3.0, 0.25]))

    found = calibrate(method, logits, truth, Head.SIGMOID, NAMES[:3])

    alone = [
        calibrate(method, logits[:, label], truth[:, label].astype(np.int64), Head.SIGMOID, NAMES[:2])
        for label in range(3)
    ]
    assert found.head is Head.SIGMOID
    assert found.slope.tolist() == [one.slope[0] for one in alone]
    assert found.offset.tolist() == [one.offset[0] for one in alone]
    assert apply(found, logits)[:, 1].tolist() == apply(alone[1], logits[:, 1])[:, 1].tolist()


def test_a_model_of_one_label_is_calibrated_too() -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(100, 1))

    found = calibrate("platt", logits, rng.random((100, 1)) < 0.5, Head.SIGMOID, NAMES[:1])

    assert apply(found, logits).shape == (100, 1)


def test_labels_that_every_row_has_or_none_are_named() -> None:
    truth = np.array([[True, True, False], [True, False, False], [True, True, False]])

    with pytest.raises(InvalidInput) as refused:
        calibrate("platt", np.zeros((3, 3)), truth, Head.SIGMOID, NAMES[:3])

    assert str(refused.value) == (
        "calibration: label 'x': 3 of 3 validation rows have it, some must and some not; "
        "label 'z': 0 of 3 validation rows have it, some must and some not"
    )


def test_classes_without_a_validation_row_are_named() -> None:
    with pytest.raises(InvalidInput, match="no validation row is of class 'x', 'w'"):
        calibrate("platt", np.zeros((2, 4)), np.array([1, 2]), Head.SOFTMAX, NAMES)
    with pytest.raises(InvalidInput, match="no validation row is of class 'y'"):
        calibrate("temperature", np.zeros(2), np.array([0, 0]), Head.SIGMOID, NAMES[:2])


def test_isotonic_calibration_is_refused_with_the_reason_and_what_to_use() -> None:
    with pytest.raises(InvalidInput) as refused:
        calibrate("isotonic", np.zeros(2), np.array([0, 1]), Head.SIGMOID, NAMES[:2])

    for expected in ("does not fold into a layer", "wrong by up to 0.30", "use 'platt', or 'temperature'"):
        assert expected in str(refused.value)


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="not 'temprature', did you mean 'temperature'"):
        calibrate("temprature", np.zeros(2), np.array([0, 1]), Head.SIGMOID, NAMES[:2])


def test_several_classes_that_stand_for_themselves_have_no_common_temperature() -> None:
    with pytest.raises(InvalidInput, match="is for a softmax head, not for one_vs_rest; use 'platt'"):
        calibrate("temperature", np.eye(3), np.arange(3), Head.ONE_VS_REST, NAMES[:3])


def test_rows_that_are_told_apart_without_a_mistake_have_no_best_temperature_but_platts() -> None:
    logits, codes = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1])

    with pytest.raises(InvalidInput, match="makes no mistake on the 4 validation rows"):
        calibrate("temperature", logits, codes, Head.SIGMOID, NAMES[:2])

    assert np.isfinite(calibrate("platt", logits, codes, Head.SIGMOID, NAMES[:2]).slope).all()


def test_rows_on_which_the_model_is_worse_than_guessing_have_no_best_temperature() -> None:
    logits, codes = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([1, 1, 0, 0])

    with pytest.raises(InvalidInput, match="guessing is better than the model"):
        calibrate("temperature", logits, codes, Head.SIGMOID, NAMES[:2])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_logit_that_is_not_finite_is_refused_by_row(value: float) -> None:
    with pytest.raises(InvalidInput, match="row 1 has a logit that is not finite"):
        calibrate("platt", np.array([0.0, value]), np.array([0, 1]), Head.SIGMOID, NAMES[:2])


def test_logits_that_look_like_probabilities_are_taken_for_what_they_are() -> None:
    rng = np.random.default_rng(5)
    logits = rng.dirichlet([1.0, 1.0, 1.0], size=300)  # from 0 to 1, every row's sum is 1
    codes = np.array([rng.choice(3, p=np.exp(2 * row) / np.exp(2 * row).sum()) for row in logits])

    found = calibrate("temperature", logits, codes, Head.SOFTMAX, NAMES[:3])

    shifted = calibrate("temperature", logits + 5.0, codes, Head.SOFTMAX, NAMES[:3])
    assert found.slope == pytest.approx(shifted.slope, rel=1e-6)


def test_probabilities_of_sigmoids_that_all_vanish_are_even() -> None:
    calibrated = Calibration(np.ones(3), np.zeros(3), Head.ONE_VS_REST)

    probabilities = apply(calibrated, np.array([[-800.0, -900.0, -800.0], [-40.0, -41.0, -700.0]]))

    assert probabilities[0].tolist() == [1 / 3] * 3
    assert probabilities[1] == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0.0])


def test_calibrated_logits_have_the_shape_of_the_logits() -> None:
    one = Calibration(np.array([2.0]), np.array([1.0]), Head.SIGMOID)
    three = Calibration(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0]), Head.SOFTMAX)

    assert calibrated(one, np.array([0.0, 1.0])).tolist() == [1.0, 3.0]
    assert calibrated(three, np.ones((1, 3))).tolist() == [[1.0, 2.0, 4.0]]


def test_without_names_a_label_is_called_by_its_column() -> None:
    with pytest.raises(InvalidInput, match="label '1': 2 of 2 validation rows have it"):
        calibrate("platt", np.zeros((2, 2)), np.array([[True, True], [False, True]]), Head.SIGMOID)


@pytest.mark.parametrize("logits", [np.zeros(0), np.zeros((0, 3))])
def test_no_rows_have_no_probabilities(logits: np.ndarray) -> None:
    head = Head.SIGMOID if logits.ndim == 1 else Head.SOFTMAX
    width = 1 if logits.ndim == 1 else 3

    assert apply(Calibration(np.ones(width), np.zeros(width), head), logits).shape == (0, max(2, width))


def test_the_same_rows_give_the_same_calibration() -> None:
    model, features, codes = overconfident(3)
    logits = model.decision_function(features)

    first, second = (calibrate("platt", logits, codes, Head.SOFTMAX, NAMES[:3]) for _ in range(2))

    assert first.slope.tobytes() == second.slope.tobytes()
    assert first.offset.tobytes() == second.offset.tobytes()


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
