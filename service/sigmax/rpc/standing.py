"""A gRPC server that stands up again.

The library's server ends for good, without a word to whoever started it, when an error escapes its loop. It
decodes the path of every call there, so that one call whose path is no UTF-8 ends it. What runs goes on, and
new connections are taken by another server on the same address a moment later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import grpc

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 5.0
"""What calls that run have when their server has fallen; watches and streams end with it."""


class Standing:
    """Servers on one address, one after the other."""

    def __init__(
        self, handlers: Sequence[grpc.GenericRpcHandler[bytes, bytes]], options: Sequence[tuple[str, int]]
    ) -> None:
        self._handlers, self._options = tuple(handlers), tuple(options)
        self._server = self._made()
        self._address = ""
        self._watching: asyncio.Task[None] | None = None
        self._fallen: dict[asyncio.Task[None], grpc.aio.Server] = {}

    def bind(self, host: str, port: int) -> int:
        """Take an address.

        Returns:
            The port.

        Raises:
            OSError: it cannot be had.
        """
        try:
            port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {host}:{port}") from error
        self._address = f"{host}:{port}"
        return port

    async def start(self) -> None:
        """Answer from now on."""
        await self._server.start()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self, grace: float) -> None:
        """Take no new calls, and give those that run so many seconds."""
        if self._watching is not None:
            self._watching.cancel()
        await asyncio.gather(*[server.stop(grace) for server in (self._server, *self._fallen.values())])

    def _made(self) -> grpc.aio.Server:
        server = grpc.aio.server(options=self._options)
        server.add_generic_rpc_handlers(self._handlers)
        return server

    async def _watch(self) -> None:
        """Put another server into the place of one that has fallen."""
        while True:
            try:
                await self._server.wait_for_termination(_LOOK_SECONDS)
            except Exception as error:  # whatever escaped
                log.error("the gRPC server fell and is replaced: %s", type(error).__name__)
                ending = asyncio.create_task(self._server.stop(_GRACE_SECONDS))
                self._fallen[ending] = self._server
                ending.add_done_callback(self._fallen.pop)
                await self._replace()

    async def _replace(self) -> None:
        while True:
            self._server = self._made()
            try:
                self._server.add_insecure_port(self._address)
            except RuntimeError:
                log.error("gRPC cannot listen on %s any more, and tries again", self._address)
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return await self._server.start()
