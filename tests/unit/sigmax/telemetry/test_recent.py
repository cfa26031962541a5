"""What is told bit by bit adds up to all there is, and what rests is not told again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax.telemetry import totals
from sigmax.telemetry.account import Share
from sigmax.telemetry.metrics import OK, Lane, Meter, Metrics
from sigmax.telemetry.totals import Figures, Key, Value

DOORS = (("rest", "classes"), ("grpc", "infer"))
MODELS = ("iris", "digits", "unknown")

Step = Callable[["Counting"], object]


class Counting:
    """A process that counts, and one that is told what is new, as the channel between them carries it."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.meters = [self.metrics.verb(*door) for door in DOORS]
        self.lanes: dict[str, Lane] = {}
        self.known: Figures = {}
        self.told: Figures = {}

    def lane(self, model: str) -> Lane:
        """A lane that is kept, as a request keeps its own while it waits."""
        if model not in self.lanes:
            self.lanes[model] = self.metrics.lane(model, "1")
        return self.lanes[model]

    def report(self) -> list[list[Any]]:
        changes = totals.changes(self.metrics.news(), self.known)
        totals.update(self.known, changes)
        totals.update(self.told, json.loads(json.dumps(changes)))
        return changes


def requested(door: int, model: str, code: str, rows: int, shared: bool) -> Step:
    share = Share(0.25, 0.5, rows) if shared else None
    return lambda counting: counting.meters[door].request(
        model, "1", code, 1.0, rows, read=1.5, ran=2.0, share=share
    )


MODEL = st.sampled_from(MODELS)
SIZE = st.integers(1, 3)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(requested, st.integers(0, 1), MODEL, st.sampled_from([OK, "CANCELLED"]), SIZE, st.booleans()),
    st.builds(lambda model, rows: lambda to: to.lane(model).run(rows, 0.5), MODEL, SIZE),
    st.builds(lambda model: lambda to: to.lane(model).wait(0.25), MODEL),
    st.builds(lambda model, more: lambda to: to.lane(model).rows_waiting(more), MODEL, st.integers(-2, 2)),
    st.builds(lambda model, late: lambda to: to.lane(model).drop(late, 1 - late), MODEL, st.integers(0, 1)),
    st.builds(
        lambda door, model, unknown, missing: (
            lambda to: to.meters[door].unusual(model, "1", "width", unknown, missing)
        ),
        *(st.integers(0, 1), MODEL, st.integers(0, 1), st.integers(0, 1)),
    ),
    st.builds(lambda model, ready: lambda to: to.metrics.model_state(model, 1, ready), MODEL, st.booleans()),
    st.builds(lambda model: lambda to: to.metrics.forget_state(model, 1), MODEL),
    st.builds(lambda model: lambda to: to.metrics.reloaded(model, "live"), MODEL),
    st.just(lambda to: to.metrics.controlled("load", OK)),
    st.just(Counting.report),
    st.just(Counting.report),
)


@given(st.lists(STEPS, max_size=40))
def test_whatever_is_counted_and_whenever_it_is_told_it_adds_up_to_all_there_is(steps: list[Step]) -> None:
    counting = Counting()
    for step in steps:
        step(counting)

    counting.report()

    assert counting.told == counting.metrics.figures()
    assert counting.report() == []


@given(st.lists(STEPS, max_size=40))
def test_all_there_is_is_the_same_whether_anything_was_told_or_not(steps: list[Step]) -> None:
    """But for what a clock says."""
    one, other = Counting(), Counting()
    for step in steps:
        step(one)
        if step is not Counting.report:
            step(other)

    assert untimed(one.metrics.figures()) == untimed(other.metrics.figures())


def untimed(figures: Figures) -> dict[Key, Value]:
    """Without moments and, of durations, the sums."""
    timed = ("sigmax_last_inference_timestamp_seconds", "sigmax_statistics", "sigmax_stage_seconds")
    kept = {key: value for key, value in figures.items() if key[1] not in timed}
    return {key: value[:-1] if isinstance(value, list) else value for key, value in kept.items()}


@pytest.fixture
def many() -> Counting:
    """Of many models that were asked, and have told what they counted."""
    counting = Counting()
    for number in range(20):
        counting.meters[0].request(f"model_{number}", "1", OK, 1.0, 1, read=1.5, ran=2.0)
        counting.metrics.model_state(f"model_{number}", 1, ready=True)
        counting.metrics.lane(f"model_{number}", "1").run(1, 0.5)
    counting.report()
    return counting


def looked_at(metrics: Metrics) -> set[str]:
    """The models whose series are looked at for the news."""
    return {labels[0] for _, _, labels in metrics.news()}


def test_models_that_rest_are_not_looked_at(many: Counting) -> None:
    assert looked_at(many.metrics) == set()

    many.meters[1].request("model_3", "1", OK, 1.0, 1, read=1.5, ran=2.0)
    many.metrics.lane("model_5", "1").run(1, 0.5)
    many.metrics.model_state("model_7", 1, ready=False)

    assert looked_at(many.metrics) == {"model_3", "model_5", "model_7"}
    assert looked_at(many.metrics) == set()


@pytest.mark.parametrize(
    "count",
    [
        lambda lane: lane.rows_waiting(2),
        lambda lane: lane.run(2, 0.5),
        lambda lane: lane.wait(0.5),
        lambda lane: lane.drop(1, 0),
    ],
    ids=["rows", "run", "wait", "drop"],
)
def test_a_lane_that_is_kept_says_what_it_counts_after_a_report(count: Callable[[Lane], None]) -> None:
    counting = Counting()
    lane = counting.lane("iris")
    counting.report()

    count(lane)

    assert counting.report()
    assert counting.told == counting.metrics.figures()


def test_of_an_account_that_two_doors_share_each_tells_everything() -> None:
    counting = Counting()
    for meter in counting.meters:
        ask(meter)
        counting.report()

    assert counting.told == counting.metrics.figures()
    assert counting.told["counters", "sigmax_statistics", ("iris", "1")][0] == 2  # type: ignore[index]


def ask(meter: Meter) -> None:
    meter.request("iris", "1", OK, 1.0, 1, read=1.5, ran=2.0)


def test_a_state_that_is_forgotten_is_told_as_none_and_one_that_nobody_heard_of_not_at_all() -> None:
    counting = Counting()
    counting.metrics.model_state("iris", 1, ready=True)
    counting.report()
    counting.metrics.forget_state("iris", 1)
    counting.metrics.model_state("digits", 1, ready=True)
    counting.metrics.forget_state("digits", 1)

    assert counting.report() == [["least", "sigmax_model_state", ("iris", "1"), None]]
    assert counting.told == {}
