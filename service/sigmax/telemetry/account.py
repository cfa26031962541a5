"""What one version of a model has done, at every door: requests, runs, and where their time went.

It counts in seconds, as the clock says them, and tells whole nanoseconds: what the stages of requests took
never adds up to more than the requests did. Most requests are a run of their own: of them only the run is
counted, since everything else follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter, time
from typing import NamedTuple

from sigmax.telemetry.tally import Tally

ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)

MOST_SIZES = 256
"""How many sizes of runs a process tells apart; a caller can ask for thousands."""


class Share(NamedTuple):
    """What a request had of the runs that it shared with others.

    Attributes:
        queue: seconds that it waited for them.
        infer: seconds that they took.
        rows: of the first of them, with those of others.
    """

    queue: float
    infer: float
    rows: int


class Totals(NamedTuple):
    """What became of the requests of a version; times in nanoseconds.

    Attributes:
        answers: requests that were answered.
        failures: requests that were refused, failed or given up.
        success: what the answered ones took.
        fail: what the others took.
        rows: of the answered ones.
        runs: of the model.
    """

    answers: int
    failures: int
    success: int
    fail: int
    rows: int
    runs: int


class Stages(NamedTuple):
    """Where the time of the answered requests went, in nanoseconds."""

    queue: int
    compute_input: int
    compute_infer: int
    compute_output: int


class Runs:
    """Runs of one size, and what reading for them, they themselves, and rendering took, in seconds."""

    __slots__ = ("count", "infer", "input", "output")

    def __init__(self) -> None:
        self.count = 0
        self.input = self.infer = self.output = 0.0

    def add(self, other: Runs) -> None:
        """Count what another has counted, too."""
        self.count += other.count
        self.input += other.input
        self.infer += other.infer
        self.output += other.output

    def figures(self) -> list[float]:
        """The count, then reading, running and rendering in nanoseconds."""
        return [self.count, *map(_nanoseconds, (self.input, self.infer, self.output))]


class Sizes:
    """Runs by how many rows they had.

    Attributes:
        exact: of the first sizes that came.
        others: of all sizes beyond those together.
        beyond: how many rows those had.
    """

    __slots__ = ("beyond", "exact", "others")

    def __init__(self) -> None:
        self.exact: dict[int, Runs] = {}
        self.others, self.beyond = Runs(), Tally(ROWS)

    def begin(self, rows: int) -> Runs:
        """Where a run of so many rows is counted; asked once a run."""
        runs = self.exact.get(rows)
        if runs is None and len(self.exact) < MOST_SIZES:
            runs = self.exact[rows] = Runs()
        if runs is None:
            self.beyond.add(rows)
            return self.others
        return runs

    def all(self) -> Runs:
        """Of every size together."""
        total = Runs()
        for runs in (*self.exact.values(), self.others):
            total.add(runs)
        return total

    def rows(self) -> Tally:
        """How many rows all runs had."""
        tally = Tally(ROWS)
        tally.merge(self.beyond)
        for rows, runs in self.exact.items():
            tally.repeat(rows, runs.count)
        return tally


class Account:
    """What was counted of one version."""

    __slots__ = (
        *("_alone", "_answers", "_ended", "_fail", "_failures", "_infer", "_input", "_last", "_output"),
        *("_queue", "_rest", "_rows", "_shared"),
    )

    def __init__(self) -> None:
        self._alone, self._shared = Sizes(), Sizes()
        self._failures, self._fail = 0, 0.0
        # of requests that were not a run of their own:
        self._answers = self._rows = 0
        self._queue = self._input = self._infer = self._output = self._rest = 0.0
        self._ended, self._last = 0.0, (0.0, 0)

    def alone(self, rows: int, started: float, read: float, ran: float, ended: float) -> None:
        """A request was answered that was a run of its own.

        Args:
            rows: how many.
            started: when it came, in seconds of `perf_counter`, as all of these.
            read: when its features were there.
            ran: when the model was through.
            ended: when the answer was there.
        """
        runs = self._alone.exact.get(rows) or self._alone.begin(rows)
        runs.count += 1
        runs.input += read - started
        runs.infer += ran - read
        runs.output += ended - ran
        self._ended = ended

    def ran(self, rows: int, infer: float, read: float = 0.0) -> None:
        """A run came to its end whose requests are counted by themselves.

        Args:
            rows: of the run.
            infer: seconds that it took.
            read: seconds that reading took, of a request that is not counted by `shared`.
        """
        runs = self._shared.exact.get(rows) or self._shared.begin(rows)
        runs.count += 1
        runs.infer += infer
        runs.input += read
        self._ended = perf_counter()

    def shared(self, rows: int, share: Share, read: float, rendering: float, took: float) -> None:
        """A request was answered whose runs were counted by `ran`.

        Args:
            rows: how many.
            share: what it had of the runs.
            read: seconds that reading it took.
            rendering: seconds that writing the answer took.
            took: seconds from its first moment to its last.
        """
        runs = self._shared.exact.get(share.rows, self._shared.others)
        runs.input += read
        runs.output += rendering
        self._answers += 1
        self._rows += rows
        self._queue += share.queue
        self._input += read
        self._infer += share.infer
        self._output += rendering
        self._rest += max(0.0, took - share.queue - read - share.infer - rendering)

    def failed(self, took: float) -> None:
        """A request was not answered, after so many seconds."""
        self._failures += 1
        self._fail += took

    def totals(self) -> Totals:
        """Of all requests."""
        alone = self._alone.all().count
        return Totals(
            answers=self._answers + alone,
            failures=self._failures,
            success=sum(self.stages()) + _nanoseconds(self._rest),
            fail=_nanoseconds(self._fail),
            rows=self._rows + int(self._alone.rows().total),
            runs=alone + self._shared.all().count,
        )

    def stages(self) -> Stages:
        """Of all answered requests."""
        alone = self._alone.all()
        seconds = (
            self._queue,
            self._input + alone.input,
            self._infer + alone.infer,
            self._output + alone.output,
        )
        return Stages(*map(_nanoseconds, seconds))

    def rows(self) -> Tally:
        """How many rows every run had."""
        tally = self._alone.rows()
        tally.merge(self._shared.rows())
        return tally

    def sizes(self) -> Iterator[tuple[int, Runs]]:
        """The runs by size, of the sizes that are told apart."""
        for rows in self._alone.exact.keys() | self._shared.exact.keys():
            runs = Runs()
            for sizes in (self._alone, self._shared):
                if rows in sizes.exact:
                    runs.add(sizes.exact[rows])
            yield rows, runs

    def last(self) -> int:
        """When the last run came to its end, in milliseconds since 1970; 0 if there was none."""
        ended, last = self._last
        if ended != self._ended:  # said once of each run: two clocks never differ by quite the same
            ended = self._ended
            last = int(1000 * (time() - (perf_counter() - ended)))
            self._last = ended, last
        return last


def _nanoseconds(seconds: float) -> int:
    return int(1e9 * seconds)
