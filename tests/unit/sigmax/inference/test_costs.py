from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.unit.sigmax.inference.engines import Picky, Watched
from tests.unit.sigmax.manifests import BINARY

from sigmax.inference.costs import BUDGET, RUN_SECONDS, UNMEASURED, Costs, costs_of, hand_over, measure
from sigmax.inference.predictor import Predictor

HAND_OVER = 50e-6


class Model:
    """A model whose runs take as long as a function of their rows says, on a clock of its own."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.now, self.rows, self._seconds = 0.0, list[int](), seconds

    def run(self, features: Any) -> None:
        self.rows.append(len(features))
        self.now += self._seconds(len(features))

    def measured(self, most: int = 1024, whole: bool = False) -> Costs:
        return measure(
            self.run, lambda rows: np.ones((rows, 2)), HAND_OVER, most, whole=whole, clock=lambda: self.now
        )


def test_a_model_that_costs_less_than_a_hand_over_runs_on_the_loop_and_is_measured_once() -> None:
    model = Model(lambda rows: 4e-6)

    costs = model.measured()

    assert costs == Costs(((1, 4e-6),), HAND_OVER, 0)
    assert model.rows == [1]


def test_one_quick_run_is_enough_to_be_cheap_since_others_only_ever_add() -> None:
    times = iter([9e-5, 8e-5, 4e-5])

    costs = Model(lambda rows: next(times)).measured()

    assert costs.batch_rows == 0


def test_a_process_that_stood_still_for_longer_than_the_budget_does_not_make_a_model_costly() -> None:
    times = iter([2 * BUDGET, 4e-6])

    costs = Model(lambda rows: next(times)).measured()

    assert costs.seconds(1) == pytest.approx(4e-6)
    assert costs.batch_rows == 0


def test_a_costly_model_is_given_as_many_rows_as_fit_into_a_run() -> None:
    costs = Model(lambda rows: 250e-6 + 40e-6 * rows).measured()

    seconds = dict(costs.curve)
    assert seconds[1] == pytest.approx(290e-6)
    assert costs.batch_rows > 64
    assert 0.8 * RUN_SECONDS < costs.per_row * costs.batch_rows <= RUN_SECONDS


def test_measuring_ends_when_more_rows_no_longer_cost_less_each() -> None:
    model = Model(lambda rows: 100e-6 * rows)

    costs = model.measured()

    assert [rows for rows, _ in costs.curve] == [1, 2, 4, 8]
    assert costs.batch_rows == 50


def test_measuring_takes_a_bounded_time_and_a_slow_model_runs_row_by_row() -> None:
    slow, steps = Model(lambda rows: 0.02 * rows), Model(lambda rows: 3e-3 + 1e-7 * rows)

    costs, _ = slow.measured(), steps.measured()

    assert costs.batch_rows == 1
    assert slow.rows == [1, 1, 1]
    assert steps.now < 1.5 * BUDGET


def test_a_disturbed_measurement_does_not_make_twice_the_rows_dearer_than_two_runs() -> None:
    costs = Model(lambda rows: 0.2 if rows == 4 else 200e-6).measured()

    assert dict(costs.curve)[4] == pytest.approx(400e-6)


def test_no_run_has_more_rows_than_fit_into_the_memory_for_it() -> None:
    costs = Model(lambda rows: 100e-6).measured(most=8)

    assert [rows for rows, _ in costs.curve] == [1, 2, 4, 8]
    assert costs.batch_rows == 8


def test_a_cheap_model_is_measured_whole_for_people_to_read() -> None:
    costs = Model(lambda rows: 4e-6 + 1e-7 * rows).measured(whole=True)

    assert costs.batch_rows == 0
    assert len(costs.curve) > 4
    assert str(costs).startswith("microseconds by rows 1: 4.1, 2: 4.2, 4: 4.4")
    assert "runs on the event loop, a hand-over to a thread costs 50" in str(costs)


def test_what_is_said_of_a_costly_model_names_its_thread_and_its_batches() -> None:
    costs = Costs(((1, 3.02e-4), (2, 3.1e-4)), 50e-6, batch_rows=64)

    assert str(costs) == (
        "microseconds by rows 1: 302, 2: 310; runs in a thread, a hand-over to a thread costs 50; "
        "batches of up to 64 rows"
    )
    assert str(UNMEASURED) == "not measured, runs on the event loop"


def test_what_a_run_takes_is_read_from_the_curve_and_reckoned_beyond_it() -> None:
    costs = Costs(((1, 3e-4), (2, 4e-4)), 50e-6, batch_rows=64)

    assert [costs.seconds(rows) for rows in (1, 2, 10)] == [3e-4, 4e-4, 2e-3]


def test_a_hand_over_is_measured_once_and_believed_within_bounds() -> None:
    assert 50e-6 <= hand_over() <= 200e-6
    assert hand_over() == hand_over()


def test_a_loaded_model_is_measured_on_rows_of_ones_in_its_type() -> None:
    engine = Watched()

    costs = costs_of(Predictor(BINARY, engine))

    assert len(costs.curve) >= 1
    assert engine.runs[0] == [1.0]


def test_a_model_that_fails_on_such_rows_is_served_all_the_same() -> None:
    class Failing(Picky):
        def run(self, features: Any) -> Any:
            raise RuntimeError("ones are not for me")

    assert costs_of(Predictor(BINARY, Failing())) is UNMEASURED
