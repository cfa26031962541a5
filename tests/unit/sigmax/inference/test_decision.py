from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sigmax.manifests import BANDED, BANDED_LABELS, BINARY, MULTICLASS, MULTILABEL

from sigmax.contract import Decision
from sigmax.inference.decision import Rule


def test_multiclass_takes_the_highest_and_the_lowest_column_on_a_tie() -> None:
    rule = Rule(MULTICLASS, np.float64, {})

    assert rule.choose(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])).tolist() == [1, 0, 1]


def test_a_tie_at_the_threshold_is_the_negative_class() -> None:
    rule = Rule(BINARY, np.float64, {"yes": 0.5})

    chosen = rule.choose(np.array([[0.5, 0.5], [0.5, np.nextafter(0.5, 1)], [0.9, 0.1]]))

    assert chosen.tolist() == [0, 1, 0]


def test_the_positive_class_can_be_the_first_column() -> None:
    rule = Rule(replace(BINARY, decision=Decision({"no": 0.5}, "no")), np.float64, {"no": 0.5})

    assert rule.choose(np.array([[0.5, 0.5], [0.6, 0.4]])).tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_threshold_is_cast_to_the_type_of_the_probabilities(dtype: type) -> None:
    rule = Rule(BINARY, dtype, {"yes": 0.1})

    assert rule.choose(np.array([[0.9, 0.1]], dtype)).tolist() == [0]


def test_multilabel_takes_every_label_above_its_own_threshold() -> None:
    rule = Rule(MULTILABEL, np.float64, MULTILABEL.decision.thresholds)

    chosen = rule.choose(np.array([[0.6, 0.2, 0.8], [0.5, 0.3, 0.75]]))

    assert chosen.tolist() == [[True, False, True], [False, True, False]]


def test_no_rows_are_decided_as_no_rows() -> None:
    for manifest in (BINARY, MULTICLASS, MULTILABEL):
        rule = Rule(manifest, np.float64, manifest.decision.thresholds)
        assert len(rule.choose(np.zeros((0, len(manifest.classes))))) == 0
        assert rule.margins(np.zeros((0, len(manifest.classes)))).shape == (0,)


def test_margins_are_the_distance_to_another_decision() -> None:
    assert Rule(MULTICLASS, np.float64, {}).margins(np.array([[0.2, 0.5, 0.3]])) == pytest.approx([0.2])
    assert Rule(BINARY, np.float64, {"yes": 0.3}).margins(np.array([[0.6, 0.4]])) == pytest.approx([0.1])
    multilabel = Rule(MULTILABEL, np.float64, MULTILABEL.decision.thresholds)
    assert multilabel.margins(np.array([[0.9, 0.3, 0.0]])) == pytest.approx([0.05])


def test_chosen_columns_can_be_written_into_golden_rows() -> None:
    for manifest in (BINARY, MULTICLASS):
        rule = Rule(manifest, np.float32, manifest.decision.thresholds)
        assert rule.choose(np.full((2, len(manifest.classes)), 0.5, np.float32)).dtype == np.int64


PROBABILITIES = st.lists(
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1), min_size=3, max_size=3
)


@given(PROBABILITIES, st.sampled_from([np.float32, np.float64]), st.sampled_from([0.1, 0.5, 0.75]))
def test_one_row_is_decided_as_many_are(values: list[float], dtype: type, threshold: float) -> None:
    for manifest, positive in ((MULTICLASS, None), (BINARY, "yes"), (BINARY, "no")):
        decision = Decision({positive: threshold}, positive) if positive else manifest.decision
        decided = replace(manifest, decision=decision)
        rule = Rule(decided, dtype, decision.thresholds)
        rows: npt.NDArray[Any] = np.array([values[: len(manifest.classes)]], dtype)

        assert rule.choose_one(rows.tolist()[0]) == rule.choose(rows)[0]


def test_a_row_is_unsure_above_the_lower_bound_and_up_to_the_higher_one() -> None:
    rule = Rule(BANDED, np.float64, {"yes": 0.5}, {"yes": (0.25, 0.75)})
    positive = np.array([0.25, np.nextafter(0.25, 1), 0.5, 0.75, np.nextafter(0.75, 1)])

    unsure = rule.unsure(np.stack([1 - positive, positive], axis=1))

    assert unsure.tolist() == [False, True, True, True, False]
    assert rule.banded


def test_a_band_is_about_the_positive_class_wherever_its_column_is() -> None:
    first = replace(BINARY, decision=Decision({"no": 0.5}, "no"))
    rule = Rule(first, np.float64, {"no": 0.5}, {"no": (0.4, 0.6)})

    assert rule.unsure(np.array([[0.55, 0.45], [0.65, 0.35]])).tolist() == [True, False]


def test_a_band_changes_no_decision() -> None:
    rows = np.array([[0.6, 0.4], [0.4, 0.6], [0.1, 0.9]])
    plain, banded = (Rule(BANDED, np.float64, {"yes": 0.5}, band) for band in (None, BANDED.decision.band))

    assert plain.choose(rows).tolist() == banded.choose(rows).tolist() == [0, 1, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_are_cast_to_the_type_of_the_probabilities(dtype: type) -> None:
    rule = Rule(BANDED, dtype, {"yes": 0.3}, {"yes": (0.1, 0.7)})

    assert rule.unsure(np.array([[0.9, 0.1], [0.3, 0.7]], dtype)).tolist() == [False, True]


def test_every_label_has_its_own_band_and_one_without_is_never_unsure() -> None:
    rule = Rule(BANDED_LABELS, np.float64, BANDED_LABELS.decision.thresholds, BANDED_LABELS.decision.band)

    unsure = rule.unsure(np.array([[0.5, 0.25, 0.5], [0.8, 0.3, 1.0]]))

    assert unsure.tolist() == [[True, False, False], [False, False, True]]


def test_without_a_band_nothing_is_unsure() -> None:
    for manifest in (BINARY, MULTILABEL):
        rule = Rule(manifest, np.float64, manifest.decision.thresholds)
        assert not rule.banded
        assert not rule.unsure(np.full((2, len(manifest.classes)), 0.5)).any()


def test_band_margins_are_the_distance_to_the_nearest_bound() -> None:
    binary = Rule(BANDED, np.float64, {"yes": 0.5}, BANDED.decision.band)
    labels = Rule(BANDED_LABELS, np.float64, BANDED_LABELS.decision.thresholds, BANDED_LABELS.decision.band)

    assert binary.band_margins(np.array([[0.7, 0.3], [0.1, 0.9]])) == pytest.approx([0.05, 0.15])
    assert labels.band_margins(np.array([[0.5, 0.25, 0.6]])) == pytest.approx([0.1])
    assert Rule(BINARY, np.float64, {"yes": 0.5}).band_margins(np.array([[0.5, 0.5]])).tolist() == [np.inf]


@given(PROBABILITIES, st.sampled_from([np.float32, np.float64]), st.sampled_from([0.1, 0.25, 0.5]))
def test_one_row_is_as_unsure_as_many_are(values: list[float], dtype: type, low: float) -> None:
    for positive in ("no", "yes"):
        decision = Decision({positive: 0.5}, positive, {positive: (low, 0.75)})
        rule = Rule(replace(BINARY, decision=decision), dtype, decision.thresholds, decision.band)
        rows: npt.NDArray[Any] = np.array([values[:2]], dtype)

        assert rule.unsure_one(rows.tolist()[0]) == rule.unsure(rows)[0]
