"""One worker as the supervisor sees it: a process, a channel, and what was last heard from it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import signal
import time
from enum import StrEnum
from typing import Any

from sigmax.runtime.channel import Channel
from sigmax.runtime.spawn import Message, Spawned
from sigmax.telemetry import totals
from sigmax.telemetry.totals import Figures

HUNG_SECONDS = 5.0
"""How long the event loop of a worker may be silent: longer than the longest request that is admitted."""

_DUMP_SECONDS = 1.0  # between SIGABRT, on which a worker writes down where it hangs, and SIGKILL


class State(StrEnum):
    """What a worker is doing."""

    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"
    ENDED = "ended"


class Child:
    """A worker.

    Attributes:
        state: what it is doing.
        reason: why it failed or was ended, as far as known; for people.
        cause: the same in one word, for the metrics.
        figures: what it counted, as last heard.
        greeting: what it has to say to a person, once it is ready.
        settled: done when it is no longer starting.
        ended: done when it is gone and everything that it said was read.
        leaving: whether it was told to.
        ready_at: when it became ready, of `time.monotonic`; None if it did not.
    """

    def __init__(self, spawned: Spawned, asked: Any) -> None:
        self._process, self._line = spawned
        self._asked = asked
        self._channel = Channel(self._received, self._silent)
        self._hung_up = False
        self._asking: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._kill_at: float | None = None
        self.state = State.STARTING
        self.since = self.heard = self.started = time.monotonic()
        self.reason, self.cause, self.greeting = "", "", ""
        self.loading = ""
        self.leaving = False
        self.ready_at: float | None = None
        self.figures: Figures = {}
        loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def answered(self) -> float | None:
        """Seconds since it became ready; None if it did not."""
        return None if self.ready_at is None else time.monotonic() - self.ready_at

    async def open(self) -> None:
        """Begin to listen to it."""
        await self._channel.open(self._line)

    def send(self, message: Message) -> None:
        """Tell it something."""
        self._channel.send(message)

    def leave(self, *, stopping: bool, within: float) -> None:
        """Let it finish what it has begun.

        Args:
            stopping: nobody takes over.
            within: seconds after which it is killed.
        """
        if self.state not in (State.STARTING, State.READY):
            return
        if self.state is State.STARTING:
            self.kill()
        else:
            self.send({"kind": "leave", "stopping": stopping})
            self._kill_at = min(self._kill_at or math.inf, time.monotonic() + within)
        self.leaving = True
        self._become(State.LEAVING)

    def fail(self, cause: str, reason: str) -> None:
        """End it for a reason; where it hangs it writes down before."""
        self.cause, self.reason = cause, reason
        self._signal(signal.SIGABRT)
        self._kill_at = time.monotonic() + _DUMP_SECONDS

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    def forgive(self, now: float) -> None:
        """Do not hold against it what was not heard because nobody listened."""
        self.heard = now

    def judge(self, now: float, start_timeout: float) -> None:
        """End it if it takes too long: to start, to say anything, to leave."""
        if self._kill_at is not None:
            if now > self._kill_at:
                self.kill()
        elif self.state is State.STARTING and now - self.started > start_timeout:
            loading = f", still loading {self.loading}" if self.loading else ""
            self.fail("start_timeout", f"it was not ready after {start_timeout:g} s{loading}")
        elif self.state is State.READY and now - self.heard > HUNG_SECONDS:
            self.fail("hung", f"its event loop was silent for {HUNG_SECONDS:g} s")

    def reap(self) -> None:
        """Notice that its process has ended."""
        status = self._process.poll()
        if status is None or not self._hung_up or self.state is State.ENDED:
            return
        if not self.cause:
            self.cause = "signal" if status < 0 else "exit"
        if not self.reason:
            self.reason = f"killed by {_name(-status)}" if status < 0 else f"exit code {status}"
        self._become(State.ENDED)
        self.ended.set_result(None)

    async def ask(self, message: Message) -> Any:
        """Tell it something and wait for its answer; None if it ends before."""
        number = next(self._numbers)
        waiting = self._asking[number] = asyncio.get_running_loop().create_future()
        self.send({**message, "id": number})
        if self._hung_up:
            waiting.set_result(None)
        try:
            return await waiting
        finally:
            del self._asking[number]

    def describe(self) -> dict[str, Any]:
        """What is known of it, for JSON."""
        seconds = round(time.monotonic() - self.since, 3)
        return {"pid": self.pid, "state": self.state.value, "seconds": seconds, "loading": self.loading}

    def _received(self, message: Message) -> None:
        self.heard = time.monotonic()
        totals.update(self.figures, message.get("figures", ()))
        match message["kind"]:
            case "ready" if self.state is State.STARTING:
                self.greeting, self.loading = message["greeting"], ""
                self.ready_at = self.heard
                self._become(State.READY)
            case "failed":
                self.cause, self.reason = "failed", message["reason"]
            case "loading":
                self.loading = message["what"]
            case "answer":
                waiting = self._asking.get(message["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message["answer"])
            case "ask":
                self._asked(self, message)

    def _silent(self) -> None:
        """Its end of the channel is closed."""
        self._hung_up = True
        for waiting in self._asking.values():
            if not waiting.done():
                waiting.set_result(None)
        self.reap()

    def _become(self, state: State) -> None:
        self.state, self.since = state, time.monotonic()
        if not self.settled.done():
            self.settled.set_result(None)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def _name(number: int) -> str:
    """A signal for people; most of the real-time ones have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
