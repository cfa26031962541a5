"""What a worker does, from its orders to its end: load, answer, report, leave."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import itertools
import logging
import signal
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import uvloop

from sigmax.errors import DeadlineExceeded, NotReady
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.control import OneProcess
from sigmax.inference.loading import load_entry, look, unloaded_entry
from sigmax.inference.reload import Reloader
from sigmax.inference.statistics import NEEDED
from sigmax.inference.yielding import Yielding
from sigmax.repository import layout
from sigmax.runtime.channel import Channel
from sigmax.runtime.commands import INDEX, UNLOAD
from sigmax.runtime.everywhere import NOTHING, Everywhere, share
from sigmax.runtime.greeting import greeting
from sigmax.runtime.server import Doors
from sigmax.runtime.settings import Settings
from sigmax.runtime.spawn import Message
from sigmax.telemetry import logs, totals
from sigmax.telemetry.metrics import Metrics
from sigmax.telemetry.totals import Figures

log = logging.getLogger(__name__)

_BEAT_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_SAY_LOADING = 5  # beats
_ORPHAN_GRACE = 1.0
_HUNG_ALONE_SECONDS = 30.0  # the supervisor acts long before; this is for a worker that has none any more


def run(line: socket.socket, rest: socket.socket, orders: Message) -> int:
    """Serve until told to leave.

    Args:
        line: the channel to the supervisor.
        rest: the REST socket.
        orders: what to serve.

    Returns:
        The exit code.
    """
    settings = Settings.of(orders["settings"])
    logs.configure(settings.log_level)
    return uvloop.run(Worker(settings, orders, rest).work(line))


class Worker:
    """This process."""

    def __init__(self, settings: Settings, orders: Message, rest: socket.socket) -> None:
        self._settings, self._orders, self._rest = settings, orders, rest
        self._metrics, self._gently = Metrics(), Yielding()
        self._known: Figures = {}
        self._loading = ""
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._ready = self._orphaned = self._stopping = False
        self._beats = 0
        self._changed: list[str] = []
        self._later: list[tuple[str, str]] = []
        self._control: OneProcess | None = None
        self._obeying: set[asyncio.Task[None]] = set()
        self._reloader: Reloader | None = None
        self._leave = asyncio.Event()
        self._channel = Channel(self._told, self._alone)

    async def work(self, line: socket.socket) -> int:
        """Load, answer, leave; the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave.set)
        line.setblocking(False)
        await self._channel.open(line)
        self._beat(loop)
        try:
            doors = await self._open()
        except (OSError, NotReady) as error:
            return await self._fail(str(error))
        except Exception:
            log.exception("the worker cannot start for an error that nobody foresaw")
            return await self._fail("an unforeseen error, which is in the log")
        await self._leave.wait()
        faulthandler.cancel_dump_traceback_later()
        grace = _ORPHAN_GRACE if self._orphaned else self._settings.grace
        self._reloading.cancel()
        await doors.leave(stopping=self._stopping, grace=grace)
        self._report({"kind": "beat"})
        return await self._end(0)

    async def _fail(self, reason: str) -> int:
        self._channel.send({"kind": "failed", "reason": reason})
        return await self._end(1)

    async def _open(self) -> Doors:
        catalog = await asyncio.to_thread(self._load)
        doors = Doors(
            self._settings,
            catalog,
            self._metrics,
            self.exposition,
            self.processes,
            figures=self.figures,
            gently=self._gently,
            control=Everywhere(self.command) if self._settings.model_control else None,
        )
        see = partial(look, self._settings.models)
        reloader = self._reloader = Reloader(catalog, see, self._metrics, doors.changed, self._gently)
        control = self._control = OneProcess(catalog, reloader)
        obeyed = asyncio.gather(*(share(control, *command) for command in self._later))
        reloader.changed(self._changed)
        self._reloading = asyncio.create_task(reloader.run())
        await obeyed  # before the first request
        rest_port, grpc_port = self._orders["ports"]
        await doors.open(self._rest, grpc_port)
        text = greeting(self._settings, catalog, self._orders["program"], rest_port, grpc_port)
        # What is there now stays: looking through it for cycles again and again would stop the loop.
        gc.freeze()
        gc.enable()
        self._ready = True
        self._report({"kind": "ready", "greeting": text})
        return doors

    def _load(self) -> Catalog:
        """Every model; in a thread of its own, since it may take long and the event loop has to answer."""
        gc.disable()
        return Catalog(self._entries())

    def _entries(self) -> Iterator[Entry]:
        try:
            names = layout.names(self._settings.models)
        except OSError as error:  # whose own text has the path, and `GET /status` tells the reason
            raise NotReady(f"the repository cannot be read: {error.strerror}") from error
        unloaded = frozenset(self._orders["unloaded"])
        for name in unloaded:
            yield unloaded_entry(self._settings.models, name)
        for name in names:
            if name not in unloaded:
                self._loading = name
                yield load_entry(self._settings.models, name)
        self._loading = ""

    async def _end(self, code: int) -> int:
        """Close the channel once everything that was said is on its way."""
        self._channel.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._channel.closed.wait(), 1)
        return code

    # What is told to the supervisor, and by it.

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say that the loop turns, and what was counted meanwhile."""
        self._beats += 1
        if not self._ready:
            self._say_loading()
        elif not self._leave.is_set():
            faulthandler.dump_traceback_later(_HUNG_ALONE_SECONDS, exit=True)
        if not self._channel.behind:
            self._report({"kind": "beat"})
        loop.call_later(_BEAT_SECONDS, self._beat, loop)

    def _say_loading(self) -> None:
        what = self._loading
        self._channel.send({"kind": "loading", "what": what})
        if what and self._beats % _SAY_LOADING == 0:
            log.info("still loading model %s", what)

    def _report(self, message: Message) -> None:
        """Say something, and what was counted since the last time."""
        changes = totals.changes(self._metrics.news(), self._known)
        totals.update(self._known, changes)
        self._channel.send({**message, "figures": changes})

    def _told(self, message: Message) -> None:
        match message["kind"]:
            case "leave":
                self._stopping = message["stopping"]
                self._leave.set()
            case "changed":
                self._look_at(message["names"])
            case "gather":
                self._report({"kind": "answer", "id": message["id"], "answer": None})
            case "command":
                self._obey(message["id"], message["verb"], message["model"])
            case "answer":
                waiting = self._answers.get(message["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message["answer"])

    def _look_at(self, names: list[str]) -> None:
        """Models have changed; those that are told while all are loaded may have been loaded before."""
        if self._reloader is None:
            self._changed += names
        else:
            self._reloader.changed(names)

    def _obey(self, number: int, verb: str, model: str) -> None:
        """Do what all workers do; one that is starting, before it answers its first request."""
        if self._control is None:
            if verb != INDEX:
                self._later.append((verb, model))
            self._channel.send({"kind": "answer", "id": number, "answer": NOTHING})
            return
        task = asyncio.create_task(self._share(self._control, number, verb, model))
        self._obeying.add(task)
        task.add_done_callback(self._obeying.discard)

    async def _share(self, control: OneProcess, number: int, verb: str, model: str) -> None:
        answer = await share(control, verb, model)
        if verb != UNLOAD and self._leave.is_set():
            answer = NOTHING
        self._channel.send({"kind": "answer", "id": number, "answer": answer})

    def _alone(self) -> None:
        """The supervisor is gone; without one the service ends, so that its ports are free."""
        if not self._ready:
            signal.raise_signal(signal.SIGKILL)
        self._orphaned = True
        self._leave.set()

    async def ask(self, what: str, families: Sequence[str] = ()) -> Any:
        """Ask the supervisor: for the `figures` of the service, or the state of its `workers`.

        Args:
            what: is asked for.
            families: the names of the figures that are wanted; none for all.

        Raises:
            NotReady: it does not answer.
        """
        try:
            return await self._ask({"what": what, "families": families}, _ANSWER_SECONDS)
        except TimeoutError as error:
            raise NotReady("the supervisor of this service does not answer") from error

    async def command(self, verb: str, model: str) -> list[Any]:
        """Ask the supervisor to have every worker list, load or unload; what each answers.

        Raises:
            DeadlineExceeded: it does not answer in time: of one model it does one thing after the other.
        """
        seconds = _ANSWER_SECONDS if verb == INDEX else self._settings.start_timeout + _ANSWER_SECONDS
        try:
            answers: list[Any] = await self._ask({"what": verb, "model": model}, seconds)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the processes of this service have not done so in {seconds:g} s"
            ) from error
        return answers

    async def _ask(self, message: Message, seconds: float) -> Any:
        number = next(self._numbers)
        waiting = self._answers[number] = asyncio.get_running_loop().create_future()
        self._channel.send({"kind": "ask", "id": number, **message})
        try:
            return await asyncio.wait_for(waiting, seconds)
        finally:
            del self._answers[number]

    async def exposition(self) -> bytes:
        """The metrics of the whole service, as `GET /metrics` answers."""
        figures: Figures = {}
        totals.update(figures, await self.ask("figures"))
        return await asyncio.to_thread(self._write, figures)

    async def figures(self) -> Figures:
        """What the statistics need of the figures of the whole service."""
        figures: Figures = {}
        totals.update(figures, await self.ask("figures", NEEDED))
        return figures

    def _write(self, figures: Figures) -> bytes:
        """In a thread: of 1,000 models the text takes a second."""
        with self._gently:
            return self._metrics.exposition(figures)

    async def processes(self) -> dict[str, Any]:
        """The processes of the whole service, as `GET /status` answers."""
        described: dict[str, Any] = await self.ask("workers")
        return described
