"""A gRPC server that stands up again.

The library's server ends for good, without a word to whoever started it, when an error escapes its loop. It
decodes the path of every call there, so that one call whose path is no UTF-8 ends it. What runs goes on, and
another server is put into its place at once. Until then the rest of them take new connections on the same
address: a client that finds nobody there waits a second before it asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import grpc

log = logging.getLogger(__name__)

_SERVERS = 2
"""On one address: as long as one stands, connections are taken."""

_LOOK_SECONDS = 1.0
"""How often servers are looked at though nothing says that one fell."""

_AGAIN_SECONDS = 0.1
_GRACE_SECONDS = 5.0
"""What calls that run have when their server has fallen; watches and streams end with it."""


class Standing:
    """Servers on one address, each with another after it."""

    def __init__(
        self, handlers: Sequence[grpc.GenericRpcHandler[bytes, bytes]], options: Sequence[tuple[str, int]]
    ) -> None:
        # These servers share the address, as workers do; the supervisor made sure that it is ours alone.
        self._handlers, self._options = tuple(handlers), (*options, ("grpc.so_reuseport", 1))
        self._servers = [self._made() for _ in range(_SERVERS)]
        self._address = ""
        self._stirred = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._fallen: dict[asyncio.Task[None], grpc.aio.Server] = {}

    def bind(self, host: str, port: int) -> int:
        """Take an address.

        Returns:
            The port.

        Raises:
            OSError: it cannot be had.
        """
        for server in self._servers:
            try:
                port = server.add_insecure_port(f"{host}:{port}")
            except RuntimeError as error:
                raise OSError(f"gRPC cannot listen on {host}:{port}") from error
        self._address = f"{host}:{port}"
        return port

    async def start(self) -> None:
        """Answer from now on."""
        for server in self._servers:
            await self._begin(server)
        self._watching = asyncio.create_task(self._watch())

    async def stop(self, grace: float) -> None:
        """Take no new calls, and give those that run so many seconds."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})  # it may be about to start a server
        await asyncio.gather(*[_end(server, grace) for server in (*self._servers, *self._fallen.values())])

    def _made(self) -> grpc.aio.Server:
        server = grpc.aio.server(options=self._options)
        server.add_generic_rpc_handlers(self._handlers)
        return server

    async def _begin(self, server: grpc.aio.Server) -> None:
        """Start a server; when a task ends that came with it, its loop among them, it is looked at."""
        before = asyncio.all_tasks()
        await server.start()
        for task in asyncio.all_tasks() - before:
            task.add_done_callback(self._stir)

    def _stir(self, _: asyncio.Task[Any]) -> None:
        self._stirred.set()

    async def _watch(self) -> None:
        """Put another server into the place of each that has fallen."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):  # `wait_for` may lose a cancellation (Python 3.11)
                    await self._stirred.wait()
            self._stirred.clear()
            for place, server in enumerate(self._servers):
                try:
                    await server.wait_for_termination(0)
                except Exception as error:  # whatever escaped
                    log.error("a gRPC server fell and is replaced: %s", type(error).__name__)
                    self._give_up(server)
                    await self._replace(place)

    def _give_up(self, server: grpc.aio.Server) -> None:
        ending = asyncio.create_task(_end(server, _GRACE_SECONDS))
        self._fallen[ending] = server
        ending.add_done_callback(self._fallen.pop)

    async def _replace(self, place: int) -> None:
        while True:
            server = self._servers[place] = self._made()
            try:
                server.add_insecure_port(self._address)
            except RuntimeError:
                log.error("gRPC cannot listen on %s any more, and tries again", self._address)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return await self._begin(server)


async def _end(server: grpc.aio.Server, grace: float) -> None:
    """Stop a server, also one that falls meanwhile: the first word is then what it fell with."""
    try:
        await server.stop(grace)
    except Exception as error:  # whatever escaped
        log.error("a gRPC server fell while it ended: %s", type(error).__name__)
        await server.stop(grace)
