"""`grpc.health.v1.Health` on bytes: Check, List and Watch, by name of a service or of a model.

The library has one, too. Its watchers wait for each other's writes, so that one that does not read holds up
all, and whoever tells a change; and they wait for ever, which would hold a server that is stopping for all of
its grace time.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from sigmax.errors import NotFound, quoted
from sigmax.rpc.service import Service
from sigmax.rpc.unary import parse, unary

SERVICE = "grpc.health.v1.Health"

_Status = health_pb2.HealthCheckResponse
SERVING, NOT_SERVING, SERVICE_UNKNOWN = _Status.SERVING, _Status.NOT_SERVING, _Status.SERVICE_UNKNOWN
_MESSAGES: dict[Any, bytes] = {
    status: health_pb2.HealthCheckResponse(status=status).SerializeToString()
    for status in (SERVING, NOT_SERVING, SERVICE_UNKNOWN)
}

_LAST_WORD_SECONDS = 1.0
_TOLD_AT_ONCE = 32
"""Watchers that are told of a change before requests have their turn again."""

_Context = grpc.aio.ServicerContext[bytes, bytes]


class Health:
    """What is known of every name; empty is the server's."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._leaving = False
        self._ended = asyncio.Event()
        self._open = 0

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """What a gRPC server adds to answer this service."""
        methods = {
            "Check": unary(self.check),
            "List": unary(self.every),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        return Service(SERVICE, methods)

    def check(self, request: bytes) -> bytes:
        """How one name does."""
        name = parse(health_pb2.HealthCheckRequest, request).service
        if name not in self._known:
            raise NotFound(f"no service and no model is called {quoted(name)}")
        return _MESSAGES[self._known[name]]

    def every(self, request: bytes) -> bytes:
        """How every name does."""
        parse(health_pb2.HealthListRequest, request)
        statuses = {
            name: health_pb2.HealthCheckResponse(status=status) for name, status in self._known.items()
        }
        answer: bytes = health_pb2.HealthListResponse(statuses=statuses).SerializeToString()
        return answer

    async def tell(self, name: str, status: Any) -> None:
        """From now on a name is so; of a service that leaves nothing changes any more."""
        if not self._leaving and self._known.get(name) != status:
            self._known[name] = status
            await self._wake(name)

    async def forget(self, name: str) -> None:
        """From now on a name is unknown, as one that never was; its watches stay and are told so."""
        if self._known.pop(name, None) is not None:
            await self._wake(name)

    async def leave(self) -> None:
        """Say NOT_SERVING from now on, and end every watch with it.

        A server that stops cancels calls whose end has not been sent, so the ends are waited for; not for
        long, since a watcher may have gone without a word, or not read.
        """
        self._leaving = True
        self._known = dict.fromkeys(self._known, NOT_SERVING)
        for name in list(self._watchers):
            await self._wake(name)
        if self._open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _LAST_WORD_SECONDS)

    async def _wake(self, name: str) -> None:
        """Have the watchers of a name look at it again, some at a time."""
        for number, changed in enumerate(list(self._watchers.get(name, ())), 1):
            changed.set()
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _watch(self, request: bytes, context: _Context) -> None:
        """Tell each change until the service leaves; the last word is NOT_SERVING."""
        name = parse(health_pb2.HealthCheckRequest, request).service
        self._open += 1
        context.add_done_callback(self._end)  # type: ignore[arg-type] # stubs ask for a class of theirs
        changed = asyncio.Event()
        self._watchers.setdefault(name, set()).add(changed)
        try:
            await self._tell_changes(name, changed, context)
        finally:
            self._watchers[name].discard(changed)
            if not self._watchers[name]:
                del self._watchers[name]

    async def _tell_changes(self, name: str, changed: asyncio.Event, context: _Context) -> None:
        said = None
        while True:
            changed.clear()
            leaving = self._leaving  # it may begin to leave while this is written
            status = NOT_SERVING if leaving else self._known.get(name, SERVICE_UNKNOWN)
            if status != said:
                await context.write(_MESSAGES[status])
                said = status
            if leaving:
                return
            await changed.wait()

    def _end(self, _: Any) -> None:
        """A watch is over, its last word sent."""
        self._open -= 1
        if self._leaving and self._open == 0:
            self._ended.set()
