"""The standard health service, whose watches end when the service leaves.

The library's own watch waits for a change for ever, and would hold a server that is stopping for all of its
grace time.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_LAST_WORD_SECONDS = 1.0

_Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class _Writer:
    """What the library's watch writes to; it can be ended between two writes, not within one."""

    def __init__(self, context: _Context) -> None:
        self._context = context
        self.writing = asyncio.Lock()

    async def write(self, message: health_pb2.HealthCheckResponse) -> None:
        async with self.writing:
            await self._context.write(message)


class Health(health.aio.HealthServicer):  # type: ignore[misc,name-defined] # the library has no types
    """Check and Watch, by name of a service or of a model; empty for the server."""

    def __init__(self) -> None:
        super().__init__()
        self._leaving = asyncio.Event()
        self._ended = asyncio.Event()
        self._open = 0

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:  # noqa: N802
        """Tell each change until the service leaves; the last word is NOT_SERVING."""
        self._open += 1
        context.add_done_callback(self._end)  # type: ignore[arg-type] # stubs ask for a class of theirs
        writer = _Writer(context)
        watching = asyncio.ensure_future(super().Watch(request, writer))
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait({watching, leaving}, return_when=asyncio.FIRST_COMPLETED)
            async with writer.writing:
                watching.cancel()
        finally:
            leaving.cancel()
            watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await context.write(health_pb2.HealthCheckResponse(status=NOT_SERVING))

    async def forget(self, service: str) -> None:
        """From now on a name is unknown, as one that never was; its watches stay and are told so."""
        self._server_status.pop(service, None)
        condition = self._server_watchers.get(service)
        if condition is not None:
            async with condition:
                condition.notify_all()

    def _end(self, _: Any) -> None:
        """A watch is over, its last word sent."""
        self._open -= 1
        if self._open == 0:
            self._ended.set()

    async def leave(self) -> None:
        """Say NOT_SERVING from now on, and end every watch with it.

        A server that stops cancels calls whose end has not been sent, so the ends are waited for; not for
        long, since a watcher may have gone without a word.
        """
        self._leaving.set()
        if self._open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _LAST_WORD_SECONDS)
        await self.enter_graceful_shutdown()
