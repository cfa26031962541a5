"""Keeps the workers alive: starts them, replaces those that die or hang, renews them, lets them finish.

It answers no request and knows no model: neither numpy nor gRPC nor ONNX Runtime is in this process, so
that what crashes a worker does not crash what replaces it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from sigmax.errors import NotReady
from sigmax.repository.watcher import Watcher, watch
from sigmax.runtime.backoff import Backoff
from sigmax.runtime.child import Child, State
from sigmax.runtime.commands import Commands
from sigmax.runtime.ledger import Ledger
from sigmax.runtime.ports import Ports
from sigmax.runtime.settings import Settings
from sigmax.runtime.spawn import Message, Spawned, admit_signals, spawn

log = logging.getLogger(__name__)

_TICK = 0.25
_LATE = 2.0  # a tick so late says that this process was stopped, not that the workers were
_MARGIN = 2.0  # seconds beyond the grace time after which a worker that leaves is killed
_STILLBORN = 5
"""How many workers in a row may die before they are ready while none is; then the service gives up."""


class Supervisor:
    """The workers of one service."""

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        orders: Message,
        greet: Callable[[str], None],
    ) -> None:
        """Nothing is started yet.

        Args:
            settings: of the service.
            ports: of both doors.
            orders: what each worker is told first.
            greet: called once, in a thread, with what there is to say to a person when all workers are
                ready; it may take for ever.
        """
        self._settings, self._ports, self._orders, self._greet = settings, ports, orders, greet
        self._children: list[Child] = []
        self._backoff = Backoff()
        self._not_before = 0.0
        self._ledger = Ledger(settings.workers)
        self._commands = Commands(settings.start_timeout)
        self._greeted = False
        self._stopped = asyncio.Event()
        self._stopping = False
        self._code = 0
        self._hopeless = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._renew = asyncio.Event()

    async def run(self, first: Iterable[Spawned]) -> int:
        """Supervise until told to stop.

        Args:
            first: the workers that were started already.

        Returns:
            The exit code.

        Raises:
            NotReady: the workers cannot start; with the reason.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, number)
        loop.add_signal_handler(signal.SIGHUP, self._renew.set)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for spawned in first:
            self._adopt(spawned)
        admit_signals()
        self._go_on(self._tick(), vital=True)
        self._go_on(self._renew_when_told(), vital=True)
        self._watch(loop)
        await self._stopped.wait()
        for task in list(self._tasks):
            task.cancel()
        if self._hopeless:
            raise NotReady(self._hopeless)
        log.info("stopped")
        return self._code

    def _go_on(self, work: Coroutine[Any, Any, None], *, vital: bool = False) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, vital=vital))

    def _done(self, task: asyncio.Task[None], *, vital: bool) -> None:
        """Where work went wrong as nobody foresaw, say so; without some there would be half a supervisor."""
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        log.error("the supervisor failed", exc_info=task.exception())
        if vital:
            self._hopeless = "the supervisor failed for an error that nobody foresaw, which is in the log"
            self._stopped.set()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for changes of the repository, in a thread: a file system that hangs must not hang this."""
        if self._settings.poll == 0:
            return

        def tell(names: set[str]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._changed, names)

        asked = (Watcher(self._settings.models), self._settings.poll, tell, threading.Event())
        threading.Thread(target=watch, args=asked, name="sigmax-watch", daemon=True).start()

    def _changed(self, names: set[str]) -> None:
        """Have every worker look, those that are starting too: they may have looked already."""
        for child in self._children:
            child.send({"kind": "changed", "names": sorted(names)})

    # The life of a worker.

    def _adopt(self, spawned: Spawned) -> Child:
        child = Child(spawned, self._asked)
        self._children.append(child)
        self._go_on(self._follow(child))
        return child

    async def _follow(self, child: Child) -> None:
        await child.open()
        await child.settled
        if child.state is State.READY:
            self._backoff.born()
            log.info("worker %d is ready after %.2f s", child.pid, time.monotonic() - child.started)
            self._greet_once(child)
        await child.ended
        self._bury(child)

    def _greet_once(self, child: Child) -> None:
        if not self._greeted and self._count(State.READY) >= self._settings.workers:
            self._greeted = True
            threading.Thread(target=self._say, args=(child.greeting,), name="greeting", daemon=True).start()

    def _say(self, greeting: str) -> None:
        """In a thread: who reads it may have stopped reading, and what a pipe cannot hold waits for ever."""
        try:
            self._greet(greeting)
        except OSError as error:  # nobody reads it
            log.warning("the addresses cannot be printed: %s", error)

    def _bury(self, child: Child) -> None:
        self._children.remove(child)
        try:
            self._ledger.retire(child.figures)
        except (KeyError, ValueError):  # it may have been of another version of this program
            log.exception("what worker %d counted cannot be added to the totals", child.pid)
        if child.leaving:
            log.info("worker %d has left", child.pid)
        elif not self._stopping:
            self._mourn(child)
        if self._stopping and not self._children:
            self._stopped.set()

    def _mourn(self, child: Child) -> None:
        wait = self._backoff.died(child.answered)
        self._not_before = time.monotonic() + wait
        log.error("worker %d died: %s%s", child.pid, child.reason, self._what_next(wait))
        self._ledger.died(child)
        if self._is_hopeless(child):
            self._give_up(child.reason)
        else:
            self._fill()

    def _what_next(self, wait: float) -> str:
        if self._missing() <= 0:  # it was to take over from one that answers
            return ""
        return f"; another is started {f'in {wait:g} s' if wait else 'at once'}"

    def _is_hopeless(self, child: Child) -> bool:
        """Whether to start another makes no sense."""
        if self._count(State.READY):
            return False
        known = child.cause == "failed" and not self._greeted
        return self._backoff.stillborn >= (min(self._settings.workers, _STILLBORN) if known else _STILLBORN)

    def _give_up(self, reason: str) -> None:
        self._hopeless = f"no worker can start: {reason}"
        self._stop()

    # The number of workers.

    def _fill(self) -> None:
        """Start what is missing, unless workers die so fast that it is too early."""
        if self._stopping or time.monotonic() < self._not_before:
            return
        try:
            for _ in range(self._missing()):
                self._start()
        except OSError as error:
            wait = self._backoff.died(None)
            self._not_before = time.monotonic() + max(wait, _TICK)
            log.error("no worker can be started: %s", error)

    def _missing(self) -> int:
        return self._settings.workers - self._count(State.STARTING) - self._count(State.READY)

    def _start(self) -> Child:
        return self._adopt(spawn(self._ports.rest, {**self._orders, "unloaded": self._commands.unloaded}))

    def _count(self, state: State) -> int:
        return sum(child.state is state for child in self._children)

    async def _tick(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            for child in self._children:
                if now - last > _LATE:
                    child.forgive(now)
                child.judge(now, self._settings.start_timeout)
            last = now
            self._reap()
            self._fill()

    def _reap(self) -> None:
        for child in self._children:
            child.reap()

    # What signals ask for.

    async def _renew_when_told(self) -> None:
        while True:
            await self._renew.wait()
            self._renew.clear()
            if not self._stopping:
                await self._renew_all()

    async def _renew_all(self) -> None:
        log.info("renewing the workers, one by one")
        for old in list(self._children):
            await old.settled
            if old.state is not State.READY:  # it died meanwhile, and another was started for it
                continue
            failure = await self._replace(old)
            if failure and not self._stopping:
                log.error("the workers stay as they are: a new one is not ready: %s", failure)
                return
        if not self._stopping:
            log.info("the workers are renewed")

    async def _replace(self, old: Child) -> str:
        """Put a new worker in the place of an old one; why it does not become ready, empty if it does."""
        try:
            new = self._start()
        except OSError as error:
            return str(error)
        await new.settled
        if new.state is not State.READY:
            return new.reason or "it has ended"
        old.leave(stopping=False, within=self._settings.grace + _MARGIN)
        await old.ended
        return ""

    def _told(self, number: signal.Signals) -> None:
        if self._stopping:
            log.warning("%s again: leaving at once", number.name)
            self._code = 128 + number
            for child in self._children:
                child.kill()
            return
        log.info("%s: leaving", number.name)
        self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self._ports.rest.close()  # the workers' copies go on until nobody waits on them
        for child in self._children:
            child.leave(stopping=True, within=self._settings.grace + _MARGIN)
        if not self._children:
            self._stopped.set()

    # What workers ask for.

    def _asked(self, child: Child, message: Message) -> None:
        self._go_on(self._answer(child, message))

    async def _answer(self, child: Child, message: Message) -> None:
        match message["what"]:
            case "figures":
                answer: Any = await self._ledger.gather(self._children, message["families"])
            case "workers":
                answer = self._ledger.describe(self._children)
            case verb:
                answer = await self._commands.give(self._children, verb, message["model"])
        child.send({"kind": "answer", "id": message["id"], "answer": answer})
