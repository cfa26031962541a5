"""Requests of costly models computed together, in one thread beside the event loop.

Whatever came while the last run computed is the next run: no timer, and no wait when nothing computes. The
event loop hands requests over through a queue and gets a whole run's answers back in one call; all counting
happens on its side.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import count
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from sigmax.errors import DeadlineExceeded, NotReady, Overloaded
from sigmax.inference.costs import MAX_BATCH_BYTES, Costs
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.telemetry.account import Share
from sigmax.telemetry.metrics import Lane

HERE_SECONDS = 1e-3
"""How long the event loop may be held by a request that is alone; beyond it a hand-over is a small part."""

PATIENCE = 10.0
"""Seconds after which nobody who comes later goes first: under load that lasts, whoever names no deadline, or
a late one, would otherwise wait for ever."""

_NICER = 10  # a tenth of the weight of a thread that is not (sched(7))


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator may set.

    Attributes:
        max_batch_rows: rows of one run; None for what the measured costs suggest.
        max_delay: seconds that a request waits for company while nothing computes.
        max_queue_rows: rows that may wait; a request beyond them is refused.
    """

    max_batch_rows: int | None = None
    max_delay: float = 0.0
    max_queue_rows: int = sys.maxsize


class Numbers(NamedTuple):
    """What a model says of one request, (n_samples, n_classes) each.

    Attributes:
        logits: where they were wanted.
        share: what the request had of the runs that it was in.
    """

    probabilities: Floats
    logits: Floats | None = None
    share: Share = Share(0.0, 0.0, 0)


class Waiting(NamedTuple):
    """A request, or a piece of one, on its way through the thread.

    Attributes:
        features: (n_samples, n_features), in the model's dtype or one that it holds.
        both: whether logits are wanted, too.
        since: when it was handed over, seconds of the clock.
        deadline: until when the answer is of use, likewise; infinite if nobody said.
        future: of the event loop, which gets `Numbers`.
    """

    features: Any
    both: bool
    since: float
    deadline: float
    future: asyncio.Future[Numbers]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.features)

    @property
    def due(self) -> float:
        """Its place in the order: the deadline, or the end of `PATIENCE` if that is earlier."""
        return min(self.deadline, self.since + PATIENCE)


Handed = tuple[Predictor, int, Waiting]
"""A request on its way into the thread: of what, and how many rows a run of it has."""


class Word(Enum):
    """What the thread is told beside requests: to let nobody wait for company, or to end, too."""

    HURRY = auto()
    CLOSE = auto()


class Taken(NamedTuple):
    """What leaves a queue together: what is to be computed, and what no longer needs to be."""

    batch: list[Waiting]
    expired: list[Waiting]
    cancelled: list[Waiting]


class Queue:
    """What waits for one version: the earliest deadline first, as far as patience goes, then as it came.

    Attributes:
        predictor: of the version.
        since: since when something has been waiting.
        rows: how many wait.
    """

    __slots__ = ("_batch_rows", "_deadline", "_heap", "predictor", "rows", "since")

    def __init__(self, predictor: Predictor, batch_rows: int, since: float) -> None:
        self.predictor, self._batch_rows = predictor, batch_rows
        self.since, self.rows = since, 0
        self._deadline = math.inf  # the earliest of all that came
        self._heap: list[tuple[float, int, Waiting]] = []

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._heap)

    def add(self, order: int, waiting: Waiting) -> None:
        """Let a request wait; `order` is higher than that of all before it."""
        heapq.heappush(self._heap, (waiting.due, order, waiting))
        self._deadline = min(self._deadline, waiting.deadline)
        self.rows += waiting.rows

    @property
    def first(self) -> tuple[float, int]:
        """When it is due, and the order, of what is next; of a queue in which something waits."""
        return self._heap[0][:2]

    def ripe(self, max_delay: float) -> float:
        """From when on it is computed: at once if it is a full batch; nobody waits for half of his time."""
        full = self.rows >= self._batch_rows
        return -math.inf if full else self.since + min(max_delay, (self._deadline - self.since) / 2)

    def take(self, now: float) -> Taken:
        """The next batch: in order, at least one request, and up to so many rows.

        What nobody waits for any more, or not for long enough, is left out.
        """
        taken, rows = Taken([], [], []), 0
        while self._heap:
            waiting = self._heap[0][2]
            gone = waiting.future.cancelled()
            late = waiting.deadline <= now
            if not (gone or late):
                if rows and rows + waiting.rows > self._batch_rows:
                    break
                rows += waiting.rows
            heapq.heappop(self._heap)
            self.rows -= waiting.rows
            (taken.expired if late else taken.cancelled if gone else taken.batch).append(waiting)
        return taken


class Gathering:
    """Puts requests together into one matrix, in memory that is used again for every run."""

    __slots__ = ("_memory",)

    def __init__(self) -> None:
        self._memory = np.empty(MAX_BATCH_BYTES, np.uint8)  # takes no room before it is written

    def gather(self, batch: list[Waiting], dtype: np.dtype[Any]) -> Floats:
        """The features of all, (n_samples, n_features) in `dtype`, valid until the next call."""
        parts = [waiting.features for waiting in batch]
        if len(parts) == 1 and parts[0].dtype == dtype:
            return np.ascontiguousarray(parts[0])
        shape = sum(map(len, parts)), parts[0].shape[1]
        size = math.prod(shape) * dtype.itemsize
        out = self._memory[:size].view(dtype).reshape(shape) if size <= MAX_BATCH_BYTES else None
        gathered: Floats = np.concatenate(parts, out=out, dtype=None if out is not None else dtype)
        return gathered


class Batching:
    """The thread, and the way into it; for one event loop.

    A queue is there as long as something waits in it, so a version that was replaced answers what it has
    and is released then.
    """

    def __init__(
        self,
        lane: Callable[[str, str], Lane],
        limits: Limits | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Start no thread yet: without costly models there is none.

        Args:
            lane: what counts the runs of a model's version.
            limits: what the operator set.
            clock: seconds.
        """
        self._lane, self._limits, self._clock = lane, limits or Limits(), clock
        self._inbox: SimpleQueue[Handed | Word] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._rows, self._handed, self._closed = 0, 0, False

    async def run(
        self,
        predictor: Predictor,
        costs: Costs,
        features: Any,
        *,
        both: bool = False,
        seconds: float | None = None,
    ) -> Numbers:
        """Compute one request, together with others.

        A request of more rows than one run may have is computed in pieces, others' runs between them.

        Args:
            predictor: of the version that answers.
            costs: of that version.
            features: (n_samples, n_features), in the model's dtype or one that it holds.
            both: whether logits are wanted, too.
            seconds: how long the answer is of use; None for ever.

        Raises:
            Overloaded: too many rows wait already.
            DeadlineExceeded: `seconds` were over before it was computed.
            NotReady: the service has left.
        """
        most, rows = self._limits.max_batch_rows or costs.batch_rows, len(features)
        lane = self._lane(predictor.manifest.name, str(predictor.manifest.version))
        self._admit(rows, costs)
        self._rows += rows
        lane.rows_waiting(rows)
        try:
            since = self._clock()
            deadline = math.inf if seconds is None else since + seconds
            if rows <= most and await self._alone(rows, costs) and self._clock() < deadline:
                return self._here(predictor, lane, features, both, since)
            if rows <= most:
                return await self._hand_over(predictor, most, features, both, deadline)
            parts = [
                await self._hand_over(predictor, most, features[start : start + most], both, deadline)
                for start in range(0, rows, most)
            ]
            return _joined(parts)
        finally:
            self._rows -= rows
            lane.rows_waiting(-rows)

    def hurry(self) -> None:
        """From now on nobody waits for company: the service is about to leave."""
        self._limits = replace(self._limits, max_delay=0.0)
        if self._thread is not None:
            self._inbox.put(Word.HURRY)

    def close(self) -> None:
        """Compute what waits, then end; nothing is taken on any more."""
        self._closed = True
        if self._thread is not None:
            self._inbox.put(Word.CLOSE)
            self._thread.join()
            self._thread = None

    async def _alone(self, rows: int, costs: Costs) -> bool:
        """Whether a request is the only one, and short enough to be computed here and now.

        Between threads it would be on its way for a good part of the time that it takes. The loop is asked
        once whether anything else has come.
        """
        if self._rows > rows or self._handed or self._limits.max_delay or costs.seconds(rows) > HERE_SECONDS:
            return False
        await asyncio.sleep(0)
        return self._rows == rows and not self._handed

    def _here(self, predictor: Predictor, lane: Lane, features: Any, both: bool, since: float) -> Numbers:
        """Compute a request that is alone."""
        started = self._clock()
        waited = started - since
        lane.wait(waited)
        said = _said(predictor, features, both)
        infer = self._clock() - started
        lane.run(len(features), infer)
        return Numbers(said.probabilities, said.logits, Share(waited, infer, len(features)))

    def _admit(self, rows: int, costs: Costs) -> None:
        """Refuse what would wait behind too many rows; what would wait behind none is never too large."""
        if self._closed:
            raise NotReady("the service is shutting down")
        if self._rows and self._rows + rows > self._limits.max_queue_rows:
            raise Overloaded(
                f"{self._rows} rows wait to be computed, and at most {self._limits.max_queue_rows} may: "
                f"try again later",
                retry_after=self._rows * costs.per_row,
            )

    def _hand_over(
        self, predictor: Predictor, batch_rows: int, features: Any, both: bool, deadline: float
    ) -> asyncio.Future[Numbers]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Numbers] = loop.create_future()
        waiting = Waiting(features, both, self._clock(), deadline, future)
        if self._thread is None:
            compute = _Compute(self._inbox, self._limits.max_delay, self._clock, self._done, loop)
            thread = threading.Thread(target=compute.run, name="sigmax-compute", daemon=True)
            thread.start()  # where the system grants none, the next request tries again
            self._thread = thread
        self._handed += 1
        self._inbox.put((predictor, batch_rows, waiting))
        return future

    def _done(self, run: Run) -> None:
        """Give everybody of a batch their answer; called on the event loop."""
        lane = self._lane(run.predictor.manifest.name, str(run.predictor.manifest.version))
        batch, expired, cancelled = run.taken
        self._handed -= len(batch) + len(expired) + len(cancelled)
        lane.drop(len(expired), len(cancelled))
        for waiting in expired:
            if not waiting.future.done():
                waiting.future.set_exception(
                    DeadlineExceeded("the deadline passed while the request waited to be computed")
                )
        for ran in run.ran:
            _settle(lane, ran)


class Ran(NamedTuple):
    """A run of the model that is over.

    Attributes:
        batch: whose requests it was.
        answers: what each of them is answered; of a run that failed, the error.
        rows: how many; 0 if it failed.
        started: when it began, in seconds of the clock.
        ended: when it was over.
    """

    batch: list[Waiting]
    answers: Sequence[Numbers | Exception]
    rows: int
    started: float
    ended: float

    @property
    def infer(self) -> float:
        """What it took, in seconds."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class Run:
    """What left a queue together, computed: in one run, or in one for each after a run that failed."""

    predictor: Predictor
    taken: Taken
    ran: list[Ran]


def _settle(lane: Lane, ran: Ran) -> None:
    """Count a run, and give everybody of it their answer."""
    infer = ran.infer
    if ran.rows:
        lane.run(ran.rows, infer)
    for waiting, answer in zip(ran.batch, ran.answers, strict=True):
        waited = ran.started - waiting.since
        lane.wait(waited)
        if waiting.future.done():  # its caller went away meanwhile
            continue
        if isinstance(answer, Numbers):
            share = Share(waited, infer, ran.rows)
            waiting.future.set_result(Numbers(answer.probabilities, answer.logits, share))
        else:
            waiting.future.set_exception(answer)


class _Compute:
    """What the thread does; it alone touches the queues."""

    def __init__(
        self,
        inbox: SimpleQueue[Handed | Word],
        max_delay: float,
        clock: Callable[[], float],
        done: Callable[[Run], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._inbox, self._max_delay, self._clock = inbox, max_delay, clock
        self._done, self._loop = done, loop
        self._queues: dict[Predictor, Queue] = {}
        self._order = count()
        self._gathering = Gathering()
        self._closing = False

    def run(self) -> None:
        """Compute until told to close and nothing waits."""
        _yield_to_the_loop()
        while self._collect():
            self._turn()

    def _turn(self) -> None:
        """At most one run; a version that was replaced is let go with this frame."""
        now = self._clock()
        queue = self._next(now)
        if queue is not None:
            self._compute(queue, now)

    def _collect(self) -> bool:
        """Take in what came, waiting for something if there is nothing to do.

        Returns:
            Whether there is something to do, now or later.
        """
        if not self._queues and not self._closing:
            self._sort(self._inbox.get())
        with contextlib.suppress(Empty):
            while True:
                self._sort(self._inbox.get_nowait())
        return bool(self._queues) or not self._closing

    def _sort(self, came: Handed | Word) -> None:
        if isinstance(came, Word):
            self._max_delay, self._closing = 0.0, self._closing or came is Word.CLOSE
            return
        predictor, batch_rows, waiting = came
        queue = self._queues.get(predictor)
        if queue is None:
            queue = self._queues[predictor] = Queue(predictor, batch_rows, waiting.since)
        queue.add(next(self._order), waiting)

    def _next(self, now: float) -> Queue | None:
        """The queue whose turn it is; if none is to be computed yet, wait until one is or something comes."""
        if not self._queues:
            return None
        if self._max_delay:
            ripe = {queue: queue.ripe(self._max_delay) for queue in self._queues.values()}
            if (earliest := min(ripe.values())) > now:
                with contextlib.suppress(Empty):
                    self._sort(self._inbox.get(timeout=earliest - now))
                return None
            return min((queue for queue, time in ripe.items() if time <= now), key=lambda queue: queue.first)
        return min(self._queues.values(), key=lambda queue: queue.first)

    def _compute(self, queue: Queue, now: float) -> None:
        predictor, taken = queue.predictor, queue.take(now)
        if not len(queue):
            del self._queues[predictor]
        ran = list(self._runs(predictor, taken.batch)) if taken.batch else []
        with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits
            self._loop.call_soon_threadsafe(self._done, Run(predictor, taken, ran))

    def _runs(self, predictor: Predictor, batch: list[Waiting]) -> Iterator[Ran]:
        """Run a batch; after a run that failed each request is run alone, and only the cause fails."""
        started = self._clock()
        try:
            answers = self._together(predictor, batch)
        except Exception as error:  # ONNX Runtime's own classes share no root but Exception
            if len(batch) == 1:
                yield Ran(batch, [error], 0, started, self._clock())
            else:
                for waiting in batch:
                    yield from self._runs(predictor, [waiting])
        else:
            rows = sum([waiting.rows for waiting in batch])
            yield Ran(batch, answers, rows, started, self._clock())

    def _together(self, predictor: Predictor, batch: list[Waiting]) -> list[Numbers]:
        features = self._gathering.gather(batch, predictor.dtype)
        said = _said(predictor, features, any(waiting.both for waiting in batch))
        return [said] if len(batch) == 1 else _divided(said, batch)


def _said(predictor: Predictor, features: Floats, both: bool) -> Numbers:
    if both:
        return Numbers(*predictor.probabilities_and_logits(features))
    return Numbers(predictor.probabilities(features))


def _yield_to_the_loop() -> None:
    """Let the event loop go first where this thread and the loop share a core; a free core changes nothing.

    On one core the loop would otherwise hand over a single request, be interrupted by its computation, and so
    on. Now it reads what has come before it computes: woken, this thread does not take the core from it, and
    it gets about a tenth of a core that the loop keeps busy. Linux only.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICER)


def _divided(said: Numbers, batch: list[Waiting]) -> list[Numbers]:
    """Each its own copy of its rows: a view would keep the whole run's answers in memory."""
    answers, start = [], 0
    for waiting in batch:
        rows = slice(start, start + waiting.rows)
        logits = said.logits[rows].copy() if waiting.both and said.logits is not None else None
        answers.append(Numbers(said.probabilities[rows].copy(), logits))
        start = rows.stop
    return answers


def _joined(parts: list[Numbers]) -> Numbers:
    """The answer to a request that was computed in pieces."""
    probabilities: Any = np.concatenate([part.probabilities for part in parts])
    logits: list[Any] = [part.logits for part in parts if part.logits is not None]
    joined: Any = np.concatenate(logits) if logits else None
    queue, infer, rows = zip(*[part.share for part in parts], strict=True)
    return Numbers(probabilities, joined, Share(sum(queue), sum(infer), rows[0]))
