"""Both doors of one worker on one event loop: opened when the models are proved, closed without a loss.

uvicorn installs signal handlers of its own and raises the signal again when it ends; here it is a guest,
told by the worker when to begin and to leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import select
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from sigmax.inference.batching import Batching, Limits
from sigmax.inference.catalog import Catalog
from sigmax.inference.configuration import Deployment
from sigmax.inference.control import Control
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.readiness import Readiness
from sigmax.inference.statistics import Gather, Statistics
from sigmax.inference.status import Processes, Status
from sigmax.inference.yielding import Yielding
from sigmax.rest import receiving
from sigmax.rest.front import rest_door
from sigmax.rest.http import HttpProtocol
from sigmax.rpc.door import RpcDoor
from sigmax.runtime import ports
from sigmax.runtime.settings import Settings
from sigmax.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75  # longer than the idle time of common clients' pools, so that they close first
_LAME_DUCK_SECONDS = 1.0  # how long connections may go on, each answer telling them not to
_ACCEPT_SECONDS = 1.0  # how long connections that queue up are still taken when the service stops
_LOOK_SECONDS = 0.01


class _Uvicorn(uvicorn.Server):
    """uvicorn as a guest in our loop: it leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Doors:
    """REST and gRPC over one catalog."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        metrics: Metrics,
        scrape: Callable[[], Awaitable[bytes]],
        processes: Processes,
        *,
        figures: Gather,
        gently: Yielding,
        control: Control | None = None,
    ) -> None:
        self._settings = settings
        self._readiness = Readiness(catalog, settings.require)
        limits = Limits(settings.max_batch_rows, settings.max_delay, settings.max_queue_rows)
        self._batching = Batching(metrics.lane, limits)
        dispatch = Dispatch(catalog, settings.max_rows, self._batching)
        size, pixels = settings.max_bytes, settings.max_pixels
        deployment, statistics = _deployment(settings), Statistics(catalog, figures)
        self._rpc = RpcDoor(
            catalog,
            dispatch,
            self._readiness,
            metrics,
            size,
            max_pixels=pixels,
            statistics=statistics,
            control=control,
            deployment=deployment,
        )
        self._routes = rest_door(
            catalog,
            dispatch,
            self._readiness,
            metrics,
            size,
            max_pixels=pixels,
            scrape=scrape,
            status=Status(catalog, self._readiness, processes),
            statistics=statistics,
            gently=gently,
            control=control,
            deployment=deployment,
        )
        self._rest = _Uvicorn(_uvicorn_config(self._routes, settings.grace))
        self._serving: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def open(self, rest: socket.socket, grpc_port: int) -> None:
        """Answer from now on.

        Args:
            rest: bound.
            grpc_port: held for us.

        Raises:
            OSError: the gRPC port cannot be had, with a text that names it.
        """
        self._listener = rest
        self._rpc.bind(self._settings.host, grpc_port)
        await self._rpc.start()
        ports.listen(rest)
        self._serving = asyncio.create_task(self._rest.serve(sockets=[rest]))
        watch = receiving.watch(self._rest.server_state.connections, self._settings.receive_timeout)
        self._watching = asyncio.create_task(watch)
        while not self._rest.started and not self._serving.done():
            await asyncio.sleep(0.001)
        if not self._readiness.ready:
            log.warning("not ready: %s", self._readiness.reason)

    async def changed(self, name: str) -> None:
        """A model came, went, or has another version."""
        await self._rpc.changed(name)

    async def leave(self, *, stopping: bool, grace: float) -> None:
        """Take nothing new, finish what has begun, and tell those who stay connected to go elsewhere.

        Args:
            stopping: nobody takes over, so that connections that wait to be accepted are taken first.
            grace: seconds.
        """
        self._readiness.drain()
        self._batching.hurry()
        await asyncio.gather(self._rpc.stop(grace), self._leave_rest(stopping, grace))
        self._batching.close()

    async def _leave_rest(self, stopping: bool, grace: float) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._routes.draining = True
        while stopping and _waiting(self._listener) and loop.time() < begun + _ACCEPT_SECONDS:
            await asyncio.sleep(0)
        for server in self._rest.servers:
            server.close()  # this worker's copy of the socket: the others go on accepting
        until = begun + min(_LAME_DUCK_SECONDS, grace / 2)
        while self._rest.server_state.connections and loop.time() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        self._rest.config.timeout_graceful_shutdown = math.ceil(begun + grace - loop.time())
        self._rest.should_exit = True
        if self._serving is not None:
            await self._serving
        if self._watching is not None:
            self._watching.cancel()


def _deployment(settings: Settings) -> Deployment:
    return Deployment(settings.max_rows, settings.workers, settings.max_batch_rows, settings.max_delay)


def _waiting(listener: socket.socket) -> bool:
    """Whether a connection waits to be accepted."""
    return bool(select.select([listener], [], [], 0)[0])


def _uvicorn_config(app: ASGIApp, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=ports.BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(grace),
    )
