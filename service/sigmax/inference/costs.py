"""What a model costs, measured when it is loaded: whether it runs on the event loop, and in what batches.

Time that something else on the machine took only ever adds to a measurement, so the quickest of a few runs
counts. What is measured here is the model alone; what a request costs beside it is the transport's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import numpy as np

from sigmax.inference.predictor import Predictor

Run = Callable[[Any], object]
Clock = Callable[[], float]

BUDGET = 0.05
"""Seconds that measuring one model may take; a cheap one is recognised within its first run or two."""

RUN_SECONDS = 5e-3
"""What a run of many rows takes at most: whoever comes meanwhile waits for its end."""

MAX_ROWS = 1024
MAX_BATCH_BYTES = 16 * 2**20
"""Of one run's features, which are gathered in memory that is kept."""

_RUNS = 5
_LEAST_RUNS = 2
"""However long the first one took: a process that has used up its share of the processor stands still for
longer than the budget, and its cheap model would run in a thread, row by row, until the next version."""

_WORTH = 1.1
_PINGS = 20
_LEAST_HAND_OVER, _MOST_HAND_OVER = 50e-6, 200e-6  # between threads that have nothing else to do it is less


@dataclass(frozen=True, slots=True)
class Costs:
    """What a model costs and what follows.

    Attributes:
        curve: rows and the seconds that a run of them takes, fewest rows first.
        hand_over: seconds, what giving work to a thread and getting it back was taken to cost.
        batch_rows: of one run: requests are put together up to so many, and a larger one is taken apart;
            0 of a model that runs on the event loop.
    """

    curve: tuple[tuple[int, float], ...] = ()
    hand_over: float = 0.0
    batch_rows: int = 0

    @property
    def per_row(self) -> float:
        """Seconds a row costs at best."""
        return min((seconds / rows for rows, seconds in self.curve), default=0.0)

    def seconds(self, rows: int) -> float:
        """About what a run of so many rows takes."""
        return next((seconds for measured, seconds in self.curve if measured >= rows), rows * self.per_row)

    def __str__(self) -> str:
        """The curve in microseconds, where the model runs, and why."""
        if not self.curve:
            return "not measured, runs on the event loop"
        points = ", ".join(f"{rows}: {_microseconds(seconds)}" for rows, seconds in self.curve)
        where, batches = "on the event loop", ""
        if self.batch_rows:
            where, batches = "in a thread", f"; batches of up to {self.batch_rows} rows"
        hand_over = f"a hand-over to a thread costs {_microseconds(self.hand_over)}"
        return f"microseconds by rows {points}; runs {where}, {hand_over}{batches}"


UNMEASURED = Costs()


def costs_of(predictor: Predictor, *, whole: bool = False) -> Costs:
    """Measure a loaded model, on rows of ones.

    Args:
        predictor: already run at least once.
        whole: measure more than one row of a cheap model, too, for people to read.

    Returns:
        Its costs; of a model that fails on such rows none, so that it runs on the event loop.
    """

    def rows_of(count: int) -> Any:
        return np.ones((count, predictor.n_features), predictor.dtype)

    row_bytes = predictor.n_features * predictor.dtype.itemsize
    most = max(1, min(MAX_ROWS, MAX_BATCH_BYTES // row_bytes))
    try:
        return measure(predictor.probabilities, rows_of, hand_over(), most, whole=whole)
    except Exception:  # ONNX Runtime's own classes share no root but Exception
        return UNMEASURED


def measure(
    run: Run,
    rows_of: Callable[[int], Any],
    hand_over: float,
    most: int,
    *,
    whole: bool = False,
    clock: Clock = perf_counter,
) -> Costs:
    """Measure runs of 1, 2, 4, ... rows until more rows no longer cost less each, or time is up.

    Args:
        run: the model.
        rows_of: makes so many rows of features.
        hand_over: seconds; a row that costs less is run on the event loop.
        most: rows of one run. Twice the rows take at most twice as long, since they could be two runs.
        whole: go on although one row costs less.
        clock: seconds.
    """
    end = clock() + BUDGET
    curve = [(1, _quickest(run, rows_of(1), clock, end, enough=0.0 if whole else hand_over))]
    if curve[0][1] < hand_over and not whole:
        return Costs(tuple(curve), hand_over)
    while _worth_doubling(curve, most) and clock() + 2 * curve[-1][1] < end:
        rows, before = 2 * curve[-1][0], curve[-1][1]
        curve.append((rows, min(_quickest(run, rows_of(rows), clock, end), 2 * before)))
    costs = Costs(tuple(curve), hand_over)
    if curve[0][1] < hand_over:
        return costs
    return replace(costs, batch_rows=max(1, min(most, int(RUN_SECONDS / costs.per_row))))


def _quickest(run: Run, features: Any, clock: Clock, end: float, enough: float = 0.0) -> float:
    """Seconds of the quickest of a few runs; the last is one that took less than `enough`, or time is up."""
    quickest = float("inf")
    for runs in range(1, _RUNS + 1):
        started = clock()
        run(features)
        finished = clock()
        quickest = min(quickest, finished - started)
        if quickest < enough or (runs >= _LEAST_RUNS and finished >= end):
            break
    return quickest


def _worth_doubling(curve: list[tuple[int, float]], most: int) -> bool:
    """Whether twice the rows may be a run, and may cost less each than those before by a tenth."""
    rows, seconds = curve[-1]
    per_row = [seconds / rows for rows, seconds in curve]
    flat = len(curve) > 3 and min(per_row[:-3]) < _WORTH * min(per_row[-3:])
    return 2 * rows <= most and seconds < RUN_SECONDS and not flat


@cache
def hand_over() -> float:
    """Seconds that giving work to a thread and getting it back cost, measured once a process.

    Two threads with nothing else to do are the quickest there are. In a busy process each waits for the
    other's Python besides, so less than a floor is not believed; nor is more than a ceiling, which is
    somebody else's work.
    """
    quickest = min(_round_trips())
    return min(max(quickest, _LEAST_HAND_OVER), _MOST_HAND_OVER)


def _round_trips() -> Iterator[float]:
    there: SimpleQueue[bool] = SimpleQueue()
    back: SimpleQueue[bool] = SimpleQueue()

    def echo() -> None:
        while there.get():
            back.put(True)

    thread = threading.Thread(target=echo, name="sigmax-measure", daemon=True)
    thread.start()
    for _ in range(_PINGS):
        started = perf_counter()
        there.put(True)
        back.get()
        yield perf_counter() - started
    there.put(False)
    thread.join()


def _microseconds(seconds: float) -> str:
    return f"{1e6 * seconds:.1f}" if seconds < 1e-5 else f"{1e6 * seconds:.0f}"
