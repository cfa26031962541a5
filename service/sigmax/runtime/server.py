"""One process, one event loop, both doors: start when the models are proved, leave when told to.

uvicorn installs signal handlers of its own and raises the signal again when it ends; here one handler
of ours serves both doors, so that a SIGTERM ends the process once, with exit code 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from sigmax.inference.batching import Batching, Limits
from sigmax.inference.catalog import Catalog
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.readiness import Readiness
from sigmax.rest.door import rest_door
from sigmax.rest.http import HttpProtocol
from sigmax.rpc.door import RpcDoor
from sigmax.runtime.settings import Settings
from sigmax.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75  # longer than the idle time of common clients' pools, so that they close first
_BACKLOG = 2048


class _Uvicorn(uvicorn.Server):
    """uvicorn as a guest in our loop: it leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, catalog: Catalog, started: Callable[[int, int], None]) -> None:
    """Serve a catalog until SIGTERM or SIGINT.

    Args:
        settings: addresses and limits.
        catalog: the models.
        started: called once with the REST and the gRPC port when both doors answer.

    Raises:
        OSError: an address is taken, with a text that names it.
    """
    leave = _leave_on_signal()
    metrics, readiness = Metrics(), Readiness(catalog, settings.require)
    _record_states(metrics, catalog)
    limits = Limits(settings.max_batch_rows, settings.max_delay, settings.max_queue_rows)
    batching = Batching(metrics.lane, limits)
    dispatch = Dispatch(catalog, settings.max_rows, batching)
    size, pixels = settings.max_bytes, settings.max_pixels
    rpc = RpcDoor(catalog, dispatch, readiness, metrics, size, max_pixels=pixels)
    with listen(settings.host, settings.rest_port) as rest_socket, contextlib.closing(batching):
        grpc_port = rpc.bind(settings.host, settings.grpc_port)
        app = rest_door(catalog, dispatch, readiness, metrics, size, max_pixels=pixels)
        rest = _Uvicorn(_uvicorn_config(app, settings.grace))
        await rpc.start()
        serving = asyncio.create_task(rest.serve(sockets=[rest_socket]))
        while not rest.started and not serving.done():
            await asyncio.sleep(0.001)
        started(rest_socket.getsockname()[1], grpc_port)
        if not readiness.ready:
            log.warning("not ready: %s", readiness.reason)
        await asyncio.wait({serving, leave}, return_when=asyncio.FIRST_COMPLETED)
        readiness.drain()
        rest.should_exit = True
        await asyncio.gather(rpc.stop(settings.grace), serving)
    log.info("stopped")


def refuse_taken(settings: Settings) -> None:
    """Find out in plain words, and before any model is loaded, that an address is taken.

    Raises:
        OSError: naming the address.
    """
    _refuse_taken("REST", settings.host, settings.rest_port)
    _refuse_taken("gRPC", settings.host, settings.grpc_port)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Raises:
        OSError: naming the address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(f"REST cannot listen on {host}:{port}: {_reason(error)}") from error
    listener.setblocking(False)
    return listener


def _refuse_taken(door: str, host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise OSError(f"{door} cannot listen on {host}:{port}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """The system's words, without the address that `socket.create_server` says once more."""
    return (error.strerror or str(error)).partition(" (while attempting")[0].lower()


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
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(grace),
    )


def _leave_on_signal() -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    leave: asyncio.Future[None] = loop.create_future()

    def told(name: str) -> None:
        if not leave.done():
            log.info("%s: leaving", name)
            leave.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number.name)
    return leave


def _record_states(metrics: Metrics, catalog: Catalog) -> None:
    for entry in catalog.entries:
        if entry.served is not None:
            metrics.model_state(entry.name, entry.served.manifest.version, ready=True)
        for version in entry.rejected:
            metrics.model_state(entry.name, version, ready=False)
