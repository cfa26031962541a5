from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score, precision_score, recall_score
from tests.unit.sigmax.manifests import BINARY

from sigmax.contract import Decision
from sigmax.errors import InvalidInput
from sigmax.inference.decision import Rule
from sigmax_training.tuning import (
    Cost,
    FBeta,
    Objective,
    Outcomes,
    RecallAtPrecision,
    Tuned,
    candidates,
    tune,
    tune_labels,
)


def row_counts(tuned: Tuned) -> tuple[int, int, int, int]:
    return (tuned.true_positives, tuned.false_positives, tuned.true_negatives, tuned.false_negatives)


def counted(scores: np.ndarray, positives: np.ndarray, threshold: float) -> tuple[int, int, int, int]:
    called = scores > threshold
    return (
        int((called & positives).sum()),
        int((called & ~positives).sum()),
        int((~called & ~positives).sum()),
        int((~called & positives).sum()),
    )


SCORES = st.floats(0, 1) | st.sampled_from(
    [0.0, 5e-324, 0.1, 0.25, 0.5, np.nextafter(0.5, 1), 0.75, np.nextafter(1.0, 0), 1.0]
)
CASES = st.lists(st.tuples(SCORES, st.booleans()), min_size=2, max_size=30)
OBJECTIVES = (
    FBeta(),
    FBeta(2.0),
    FBeta(0.5),
    Cost(),
    Cost(false_negative=10.0),
    Cost(true_positive=-3.0, false_positive=2.0, true_negative=0.25, false_negative=5.0),
    RecallAtPrecision(0.5),
    RecallAtPrecision(0.9),
    RecallAtPrecision(1.0),
)


def arrays(cases: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.array([score for score, _ in cases])
    positives = np.array([positive for _, positive in cases])
    assume(positives.any() and not positives.all())
    return scores, positives


def every_threshold(scores: np.ndarray) -> list[float]:
    """A threshold for every decision that there is: each score, what is just below it, and the ends."""
    below = [float(np.nextafter(score, -1)) for score in scores]
    return sorted({0.0, 1.0, *scores.tolist(), *(value for value in below if value >= 0)})


def worth(objective: Objective, counts: tuple[int, int, int, int]) -> tuple[Any, ...] | None:
    """What is to be high, reckoned in whole numbers where the objective is a share; None if not allowed."""
    tp, fp, _, fn = counts
    if isinstance(objective, FBeta):
        share = Fraction(objective.beta) ** 2
        return ((1 + share) * tp / ((1 + share) * tp + share * fn + fp),)
    if isinstance(objective, Cost):
        costs = (
            objective.true_positive,
            objective.false_positive,
            objective.true_negative,
            objective.false_negative,
        )
        return (-sum(Fraction(cost) * count for cost, count in zip(costs, counts, strict=True)),)
    if tp + fp == 0 or tp / (tp + fp) < objective.precision:
        return None
    return (Fraction(tp, tp + fn), Fraction(tp, tp + fp))


@given(CASES, st.sampled_from(OBJECTIVES))
def test_no_other_threshold_is_better(cases: list[tuple[float, bool]], objective: Objective) -> None:
    scores, positives = arrays(cases)
    worths = [worth(objective, counted(scores, positives, value)) for value in every_threshold(scores)]
    allowed = [found for found in worths if found is not None]

    if not allowed:
        with pytest.raises(InvalidInput, match="no threshold has a precision"):
            tune(scores, positives, objective)
        return
    tuned = tune(scores, positives, objective)

    assert worth(objective, row_counts(tuned)) == max(allowed)


@given(CASES, st.sampled_from(OBJECTIVES))
def test_the_threshold_counts_as_the_decision_rule_decides(
    cases: list[tuple[float, bool]], objective: Objective
) -> None:
    scores, positives = arrays(cases)
    try:
        tuned = tune(scores, positives, objective)
    except InvalidInput:
        assume(False)
    rule = Rule(BINARY, np.float64, Decision({"yes": tuned.threshold}, "yes").thresholds)

    chosen = rule.choose(np.stack([1 - scores, scores], axis=1)).astype(bool)

    assert 0 <= tuned.threshold <= 1
    assert row_counts(tuned) == counted(scores, positives, tuned.threshold)
    assert int((chosen & positives).sum()) == tuned.true_positives
    assert int((chosen & ~positives).sum()) == tuned.false_positives


@given(CASES)
def test_candidates_are_every_decision_once(cases: list[tuple[float, bool]]) -> None:
    scores, positives = arrays(cases)

    thresholds, outcomes = candidates(scores, positives)

    decisions = {tuple((scores > value).tolist()) for value in every_threshold(scores)}
    assert {tuple((scores > value).tolist()) for value in thresholds} == decisions
    assert len(thresholds) == len(decisions)
    assert sorted(thresholds.tolist()) == thresholds.tolist()
    for index, value in enumerate(thresholds):
        assert tuple(int(kind[index]) for kind in outcomes) == counted(scores, positives, value)


@given(CASES, st.sampled_from(OBJECTIVES), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    cases: list[tuple[float, bool]], objective: Objective, random: Any
) -> None:
    scores, positives = arrays(cases)
    order = list(range(len(cases)))
    random.shuffle(order)
    try:
        expected = tune(scores, positives, objective)
    except InvalidInput:
        assume(False)

    assert tune(scores[order], positives[order], objective) == expected


def test_a_threshold_lies_midway_between_two_neighbouring_scores() -> None:
    scores, positives = np.array([0.2, 0.3, 0.7, 0.9]), np.array([False, False, True, True])

    for objective in (FBeta(), Cost(), RecallAtPrecision(1.0)):
        assert tune(scores, positives, objective).threshold == 0.5
    shifted = tune(np.array([0.2, 0.3, 0.6, 0.9]), positives, FBeta())
    assert shifted.threshold == pytest.approx(0.45)
    assert replace(shifted, threshold=0.45) == Tuned(0.45, 1.0, 2, 0, 2, 0)


def test_beyond_the_scores_a_threshold_lies_midway_to_0_or_1() -> None:
    scores, positives = np.array([0.2, 0.8]), np.array([True, False])

    everything = tune(scores, positives, Cost(false_positive=0.1, false_negative=1.0))
    nothing = tune(scores, positives, Cost(false_positive=1.0, false_negative=0.1))

    assert (everything.threshold, row_counts(everything)) == (0.1, (1, 1, 0, 0))
    assert (nothing.threshold, row_counts(nothing)) == (0.9, (0, 0, 1, 1))


def test_a_score_of_0_is_above_no_threshold_and_a_score_of_1_above_every_one_but_1() -> None:
    scores, positives = np.array([0.0, 1.0]), np.array([True, False])

    everything = tune(scores, positives, Cost(false_positive=0.0, false_negative=1.0))
    nothing = tune(scores, positives, Cost(false_positive=1.0, false_negative=0.0))

    assert row_counts(everything) == (0, 1, 0, 1)
    assert (nothing.threshold, row_counts(nothing)) == (1.0, (0, 0, 1, 1))


def test_two_scores_without_a_number_between_them_are_told_apart() -> None:
    low, high = 0.5, float(np.nextafter(0.5, 1))

    tuned = tune(np.array([low, high]), np.array([False, True]), FBeta())

    assert row_counts(tuned) == (1, 0, 1, 0)
    assert tuned.threshold == low


def test_of_equally_good_thresholds_the_one_closest_to_a_half_is_taken_and_then_the_lower() -> None:
    scores, positives = np.array([0.125, 0.25, 0.75, 0.875]), np.array([True, False, True, False])
    free = Cost(false_positive=0.0, false_negative=0.0)
    twins = np.array([0.0, 0.5, 1.0]), np.array([False, True, False])

    assert tune(scores, positives, free).threshold == 0.5
    assert tune(*twins, free).threshold == 0.25


def test_the_same_recall_is_taken_with_the_higher_precision() -> None:
    scores = np.array([0.1, 0.45, 0.9, 0.95])
    positives = np.array([False, False, True, True])

    tuned = tune(scores, positives, RecallAtPrecision(0.6))

    assert row_counts(tuned) == (2, 0, 2, 0)


def test_a_precision_that_no_threshold_reaches_is_refused_with_the_best_there_is() -> None:
    scores, positives = np.array([0.2, 0.6, 0.9]), np.array([True, True, False])

    with pytest.raises(InvalidInput) as refused:
        tune(scores, positives, RecallAtPrecision(0.9))

    assert str(refused.value) == "no threshold has a precision of 0.9: the best on these rows is 0.666667"


def test_a_precision_that_is_just_reached_counts() -> None:
    scores, positives = np.linspace(0.05, 0.95, 10), np.array([True] * 9 + [False])

    assert tune(scores, positives, RecallAtPrecision(0.9)).value == 1.0


def test_values_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    positives = rng.random(500) < 0.3
    scores = np.clip(rng.normal(0.35 + 0.3 * positives, 0.2), 0, 1)

    f2, recall = tune(scores, positives, FBeta(2.0)), tune(scores, positives, RecallAtPrecision(0.8))

    assert f2.value == pytest.approx(fbeta_score(positives, scores > f2.threshold, beta=2))
    assert recall.value == pytest.approx(recall_score(positives, scores > recall.threshold))
    assert precision_score(positives, scores > recall.threshold) >= 0.8


def test_a_million_rows_are_tuned_at_once() -> None:
    rng = np.random.default_rng(1)
    positives = rng.random(1_000_000) < 0.1
    scores = np.clip(rng.normal(0.3 + 0.3 * positives, 0.2), 0, 1)

    tuned = tune(scores, positives, Cost(false_negative=9.0))

    assert sum(row_counts(tuned)) == 1_000_000
    assert tuned.value == tuned.false_positives + 9.0 * tuned.false_negatives


def test_every_label_has_its_own_threshold() -> None:
    scores = np.array([[0.2, 0.1], [0.4, 0.2], [0.8, 0.3]])
    truth = np.array([[False, False], [True, False], [True, True]])

    tuned = tune_labels(scores, truth, ("x", "y"), FBeta())

    assert {label: found.threshold for label, found in tuned.items()} == pytest.approx({"x": 0.3, "y": 0.25})


def test_labels_that_cannot_be_tuned_are_all_named() -> None:
    scores = np.array([[0.2, 0.1, 0.5], [0.4, 0.2, 0.6]])
    truth = np.array([[False, False, True], [False, True, True]])

    with pytest.raises(InvalidInput) as refused:
        tune_labels(scores, truth, ("x", "y", "z"), FBeta())

    text = "a threshold needs validation rows of both kinds"
    assert (
        str(refused.value)
        == f"label 'x': {text}: 0 of 2 rows are positive; label 'z': {text}: 2 of 2 rows are positive"
    )


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1, np.inf])
def test_a_score_that_is_no_probability_is_refused_by_row(value: float) -> None:
    with pytest.raises(InvalidInput, match=r"row 1: .* is no probability"):
        tune(np.array([0.5, value]), np.array([True, False]), FBeta())


@pytest.mark.parametrize(
    "make",
    [
        lambda: FBeta(0.0),
        lambda: FBeta(float("nan")),
        lambda: Cost(false_positive=float("inf")),
        lambda: RecallAtPrecision(0.0),
        lambda: RecallAtPrecision(1.1),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(InvalidInput):
        make()


def test_outcomes_of_no_row_called_positive_are_no_division_by_zero() -> None:
    none = Outcomes(*(np.array([count]) for count in (0, 0, 3, 2)))

    assert FBeta().values(none).tolist() == [0.0]
    assert RecallAtPrecision(0.5).values(none).tolist() == [0.0]
