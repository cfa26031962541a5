"""One set of promises, kept through every door."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.conformance.doors import NO_CODE, Door, Refused

from sigmax.inference.decision import Rule
from sigmax.repository.bundle import Bundle

MODELS = ("breast_cancer", "digits", "iris", "temple_or_flower")
NOT_FOUND = ("NOT_FOUND", NO_CODE)
INVALID = ("INVALID_INPUT", "INVALID_ARGUMENT", NO_CODE)


def as_served(content: Bundle) -> npt.NDArray[Any]:
    return content.golden.features.astype(content.manifest.graph.dtype.value)


@pytest.mark.parametrize("model", MODELS)
def test_golden_probabilities_come_within_the_tolerance(
    door: Door, bundles: dict[str, Bundle], model: str
) -> None:
    content = bundles[model]

    said = door.ask(model, as_served(content))

    assert (said.model, said.version) == (model, "1")
    assert np.abs(said.probabilities - content.golden.probabilities).max() <= content.manifest.tolerance


@pytest.mark.parametrize("model", MODELS)
def test_golden_classes_come_as_labels(door: Door, bundles: dict[str, Bundle], model: str) -> None:
    content = bundles[model]
    manifest, golden = content.manifest, content.golden
    rule = Rule(manifest, np.float64, manifest.decision.thresholds)
    decided = rule.margins(golden.probabilities) > manifest.tolerance
    expected = [manifest.classes[column] for column in golden.classes[decided]]

    labels = np.array(door.ask(model, as_served(content)).labels)

    assert decided.any()
    assert labels[decided].tolist() == expected


@pytest.mark.parametrize("model", MODELS)
def test_every_door_says_the_same_to_the_last_bit(
    doors: dict[str, Door], bundles: dict[str, Bundle], model: str
) -> None:
    rows = as_served(bundles[model])

    said = [door.ask(model, rows).probabilities.tobytes() for door in doors.values()]

    assert len(set(said)) == 1


def test_answers_come_in_the_order_of_the_rows(door: Door, bundles: dict[str, Bundle]) -> None:
    content = bundles["iris"]
    rows = as_served(content)
    order = np.arange(len(rows))[::-1]

    forwards, backwards = door.ask("iris", rows), door.ask("iris", rows[order])

    assert np.array_equal(forwards.probabilities[order], backwards.probabilities)
    assert [forwards.labels[row] for row in order] == backwards.labels


@pytest.mark.parametrize("count", [1, 2, 7, 33, 1024])
def test_a_batch_is_as_long_as_the_request(door: Door, bundles: dict[str, Bundle], count: int) -> None:
    rows = np.repeat(as_served(bundles["iris"])[:1], count, axis=0)

    said = door.ask("iris", rows)

    assert said.probabilities.shape == (count, 3)
    assert len(said.labels) == count
    assert np.ptp(said.probabilities, axis=0).max() == 0


def test_a_version_can_be_named(door: Door, bundles: dict[str, Bundle]) -> None:
    assert door.ask("iris", as_served(bundles["iris"]), version="1").version == "1"


def test_an_unknown_model_is_not_found_with_the_nearest_name(door: Door) -> None:
    with pytest.raises(Refused, match="unknown model 'irirs', did you mean 'iris'") as refused:
        door.ask("irirs", np.zeros((1, 4)))

    assert refused.value.code in NOT_FOUND


@pytest.mark.parametrize("version", ["2", "0", "01", "x"])
def test_an_unknown_version_is_not_found_with_the_one_there_is(door: Door, version: str) -> None:
    text = f"model 'iris' has no version '{version}' ready, version 1 is"

    with pytest.raises(Refused, match=re.escape(text)) as refused:
        door.ask("iris", np.zeros((1, 4)), version=version)

    assert refused.value.code in NOT_FOUND


def test_a_wrong_width_is_refused_with_both_widths(doors: dict[str, Door]) -> None:
    for name, door in doors.items():
        if name in ("rest named", "rest columns", "v1 predict named", "v1 classify"):
            continue
        with pytest.raises(Refused) as refused:
            door.ask("iris", np.zeros((2, 5)))
        assert refused.value.code in INVALID
        assert re.search(r"expected (4 values, got 5|shape \[-1, 4\], got \[2, 5\])", refused.value.text)


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_a_number_that_is_not_finite_is_refused_by_row_and_feature(
    doors: dict[str, Door], value: float, shown: str
) -> None:
    rows = np.zeros((3, 4))
    rows[1, 2] = value
    expected = f"row 1, feature 'petal length (cm)': expected a finite number, got {shown}"

    for name in ("grpc classifier", "v2 rest binary", "v2 grpc typed", "v2 grpc raw", "v2 grpc stream"):
        with pytest.raises(Refused) as refused:
            doors[name].ask("iris", rows)
        assert refused.value.code in INVALID
        assert refused.value.text == expected


def test_more_rows_than_the_limit_are_refused(doors: dict[str, Door]) -> None:
    rows = np.zeros((10_001, 4))

    for name in set(doors) - {"in-process"}:
        with pytest.raises(Refused) as refused:
            doors[name].ask("iris", rows)
        assert refused.value.code in INVALID
        assert refused.value.text == "10001 rows in one request, at most 10000 are taken"


def test_an_empty_batch_is_refused(doors: dict[str, Door]) -> None:
    for name, door in doors.items():
        with pytest.raises(Refused) as refused:
            door.ask("iris", np.zeros((0, 4)))
        assert refused.value.code in INVALID, name
        assert "at least one row" in refused.value.text


def test_features_that_overflow_the_model_are_refused_not_answered_with_nan(doors: dict[str, Door]) -> None:
    rows = np.full((2, 4), 0.0)
    rows[1] = 1e308

    for door in doors.values():
        with pytest.raises(Refused, match="row 1: these features are so large") as refused:
            door.ask("iris", rows)
        assert refused.value.code in INVALID


def test_what_a_wrong_request_leaves_behind_is_nothing(door: Door, bundles: dict[str, Bundle]) -> None:
    content = bundles["iris"]
    before = door.ask("iris", as_served(content))

    with pytest.raises(Refused):
        door.ask("iris", np.full((1, 4), 1e308))

    after = door.ask("iris", as_served(content))
    assert before.probabilities.tobytes() == after.probabilities.tobytes()
