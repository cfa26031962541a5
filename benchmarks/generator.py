"""A load generator whose clock starts when a request is due: `python -m benchmarks.generator < plan.json`.

A client that waits for an answer before it asks again asks less while the server is slow, and so leaves out
what the slow time would have done to everybody else. Here the times of arrival are drawn beforehand, and the
clock of a request starts at its own, whether or not it could be sent then. Every request is accounted for;
how late they were sent tells whether the generator, not the server, was too slow.

One process, one thread, epoll: what asyncio costs for each request would be taken from the server's other
core.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import math
import select
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import load, processes
from benchmarks.wires import GrpcWire, HttpWire, Question, Wire

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
POISSON, STEADY, CLOSED = "poisson", "steady", "closed"
_SLACK_SECONDS = 60
_LONGEST_WAIT = 0.1
_MOST_RECONNECTS = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        grpc: or HTTP/1.1.
        port: of the server on the loopback interface.
        connections: how many are opened beforehand.
        streams: most requests under way on one of them; 1 for HTTP.
        arrivals: `poisson` or `steady` at a rate, or `closed`: as many as may be are under way.
        rate: requests a second; not used by `closed`.
        seconds: of arrivals.
        seed: of the times of arrival.
        drain: seconds after the last arrival until what is open is given up.
    """

    grpc: bool
    port: int
    connections: int
    streams: int
    arrivals: str
    rate: float
    seconds: float
    seed: int = 0
    drain: float = 5.0


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every request: attempted = ok + all errors.

    Attributes:
        attempted: requests that were due.
        ok: right answers.
        errors: how many of each kind; `not sent` and `not answered` are among them.
        seconds: from the first arrival to the last answer.
        latency: seconds at `QUANTILES`, of right answers, from when they were due.
        service: the same from when they were sent.
        lag: the same, of how much later requests were sent than they were due and there was room for them.
        busy: share of the time in which the generator computed; near 1 it is the bottleneck.
    """

    attempted: int
    ok: int
    errors: dict[str, int]
    seconds: float
    latency: list[float]
    service: list[float]
    lag: list[float]
    busy: float

    def at(self, quantile: float, of: str = "latency") -> float:
        """Seconds at one of `QUANTILES`."""
        values: list[float] = getattr(self, of)
        return values[QUANTILES.index(quantile)]


def run(plan: Plan, questions: Sequence[Question], folder: Path) -> Account:
    """Carry a plan out in a process of its own.

    Raises:
        LoadFailed: the generator failed, or any request did.
    """
    account = attempt(plan, questions, folder)
    if account.errors or not account.ok:
        raise load.LoadFailed(
            f"of {account.attempted} requests {account.ok} were answered well: {account.errors}"
        )
    return account


def attempt(plan: Plan, questions: Sequence[Question], folder: Path) -> Account:
    """The same; requests may fail.

    Raises:
        LoadFailed: the generator failed.
    """
    document = {"plan": asdict(plan), "questions": [_written(question) for question in questions]}
    (folder / "plan.json").write_text(json.dumps(document))
    patience = plan.seconds + plan.drain + _SLACK_SECONDS
    with (folder / "plan.json").open("rb") as told:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.generator"],
                stdin=told,
                capture_output=True,
                timeout=patience,
                env=processes.environment(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise load.LoadFailed(f"the generator was not done within {patience:g} s") from error
    if done.returncode:
        raise load.LoadFailed(f"the generator ended with {done.returncode}: {done.stderr[-2000:].decode()}")
    return Account(**json.loads(done.stdout))


def _written(question: Question) -> dict[str, Any]:
    body, answer = (base64.b64encode(data).decode() for data in (question.body, question.answer))
    return {"path": question.path, "body": body, "answer": answer, "headers": question.headers}


def _read(written: dict[str, Any]) -> Question:
    body, answer = (base64.b64decode(written[name]) for name in ("body", "answer"))
    return Question(written["path"], body, answer, tuple(tuple(pair) for pair in written["headers"]))


@dataclass(slots=True)
class _Times:
    """Of each request by its number, seconds from the start: when it was due, sent, answered.

    `late` is by how much later it was sent than it was due and there was room for it.
    """

    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


class Generator:
    """The loop: send what is due while there is room, wait until the next is due, read what came."""

    def __init__(self, plan: Plan, questions: Sequence[Question]) -> None:
        self._plan, self._questions = plan, list(questions)
        self._epoll = select.epoll()
        self._wires: dict[int, Wire] = {}
        self._room: deque[Wire] = deque()
        self._times = _Times()
        self._errors: Counter[str] = Counter()
        self._under_way = 0
        self._room_since = 0.0
        self._reconnects = 0
        opened = [self._open() for _ in range(plan.connections)]
        for _ in range(plan.streams):
            self._room += opened

    def run(self) -> Account:
        """Until all is answered, or for some seconds after the last arrival."""
        schedule, end = _Schedule(self._plan), self._plan.seconds + self._plan.drain
        used, began = time.process_time(), time.perf_counter()
        while True:
            now = time.perf_counter() - began
            due = schedule.due(now)
            while due <= now and self._room:
                self._send(due, now)
                schedule.taken += 1
                now = time.perf_counter() - began
                due = schedule.due(now)
            if now > end or (due == math.inf and not self._under_way):
                break
            self._wait(due - now if self._room else _LONGEST_WAIT, began)
        seconds, busy = time.perf_counter() - began, time.process_time() - used
        self._close()
        return self._account(schedule.left, seconds, busy)

    def _open(self) -> Wire:
        kind = GrpcWire if self._plan.grpc else HttpWire
        wire: Wire = kind(self._plan.port, self._questions)
        self._wires[wire.socket.fileno()] = wire
        self._epoll.register(wire.socket, select.EPOLLIN)
        return wire

    def _close(self) -> None:
        for wire in self._wires.values():
            wire.socket.close()
        self._epoll.close()

    def _send(self, due: float, now: float) -> None:
        wire, times = self._room.popleft(), self._times
        number = len(times.due)
        times.due.append(due)
        times.sent.append(now)
        times.late.append(now - max(due, self._room_since))
        times.done.append(-1.0)
        self._under_way += 1
        wire.send(number, number % len(self._questions))
        if wire.blocked:
            self._epoll.modify(wire.socket, select.EPOLLIN | select.EPOLLOUT)

    def _wait(self, seconds: float, began: float) -> None:
        if 0 < seconds < _LONGEST_WAIT:  # epoll itself waits for whole milliseconds
            select.select([self._epoll], [], [], seconds)
        for descriptor, event in self._epoll.poll(_LONGEST_WAIT if seconds >= _LONGEST_WAIT else 0):
            wire = self._wires[descriptor]
            if event & select.EPOLLOUT:
                self._flush(wire)
            if event & ~select.EPOLLOUT:
                self._receive(wire, began)

    def _flush(self, wire: Wire) -> None:
        wire.flush()
        if not wire.blocked:
            self._epoll.modify(wire.socket, select.EPOLLIN)

    def _receive(self, wire: Wire, began: float) -> None:
        answered = wire.read()
        now = time.perf_counter() - began
        if answered and not self._room:
            self._room_since = now
        for number, error in answered:
            self._under_way -= 1
            if error:
                self._errors[error] += 1
            else:
                self._times.done[number] = now
            self._room.append(wire)
        if wire.ended:
            self._replace(wire)

    def _replace(self, wire: Wire) -> None:
        """Open another connection where one was closed, if not too many were."""
        self._epoll.unregister(wire.socket)
        del self._wires[wire.socket.fileno()]
        wire.socket.close()
        places = sum(1 for free in self._room if free is wire)
        self._room = deque(free for free in self._room if free is not wire)
        self._reconnects += 1
        if self._reconnects <= _MOST_RECONNECTS:
            with contextlib.suppress(OSError):  # nobody is there: what is due will be counted as not sent
                self._room += [self._open()] * places

    def _account(self, not_sent: int, seconds: float, busy: float) -> Account:
        due, sent, done = (
            np.array(values) for values in (self._times.due, self._times.sent, self._times.done)
        )
        good = done >= 0
        errors = dict(self._errors)
        errors |= {
            name: count
            for name, count in (("not sent", not_sent), ("not answered", self._under_way))
            if count
        }
        return Account(
            attempted=len(due) + not_sent,
            ok=int(good.sum()),
            errors=errors,
            seconds=seconds,
            latency=_quantiles((done - due)[good]),
            service=_quantiles((done - sent)[good]),
            lag=_quantiles(np.array(self._times.late)),
            busy=busy / seconds,
        )


class _Schedule:
    """When the next request is due, seconds from the start; `taken` is how many have been sent."""

    def __init__(self, plan: Plan) -> None:
        self.taken = 0
        self._closed, self._end = plan.arrivals == CLOSED, plan.seconds
        self._times = [] if self._closed else _arrivals(plan)

    def due(self, now: float) -> float:
        """The next arrival; of a closed loop always now; infinity if nothing more will be due."""
        if self._closed:
            return now if now < self._end else math.inf
        return self._times[self.taken] if self.taken < len(self._times) else math.inf

    @property
    def left(self) -> int:
        """How many arrivals have not been sent."""
        return 0 if self._closed else len(self._times) - self.taken


def _arrivals(plan: Plan) -> list[float]:
    """Seconds from the start, in order."""
    count = int(plan.rate * plan.seconds)
    if plan.arrivals == STEADY:
        return [number / plan.rate for number in range(count)]
    gaps = np.random.default_rng(plan.seed).exponential(1 / plan.rate, 2 * count + 100)
    times = np.cumsum(gaps)
    return list(map(float, times[times < plan.seconds]))


def _quantiles(values: Any) -> list[float]:
    return np.quantile(values, QUANTILES).tolist() if len(values) else []


def main() -> None:
    """Read a plan from standard input, carry it out, write the account to standard output."""
    document = json.load(sys.stdin)
    Path("/proc/self/timerslack_ns").write_text("1000")
    generator = Generator(Plan(**document["plan"]), [_read(written) for written in document["questions"]])
    gc.freeze()
    gc.disable()
    print(json.dumps(asdict(generator.run())))


if __name__ == "__main__":
    main()
