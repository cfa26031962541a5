"""Supervisor and worker talk over a pair of sockets: JSON objects, one a line, each with its `kind`.

The end of the line is the end of the other process: nothing has to be asked to know that it is gone.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import cast

from sigmax.runtime.spawn import Message, encode

_MAX_UNSENT = 2**20
"""Bytes that wait for a reader that does not read; what can be said again later is not added to them."""


class Channel(asyncio.Protocol):
    """One end, on the running event loop.

    Attributes:
        closed: set when nothing more will be said or heard.
    """

    def __init__(self, received: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._received, self._ended = received, ended
        self._unread = bytearray()
        self._unsent: list[Message] = []
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()

    async def open(self, line: socket.socket) -> None:
        """Begin to read; what was sent before is not lost."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=line)

    def send(self, message: Message) -> None:
        """Say something: once the channel is open; to a process that is gone it is lost."""
        if self._transport is None:
            self._unsent.append(message)
        elif not self._transport.is_closing():
            self._transport.write(encode(message))

    @property
    def behind(self) -> bool:
        """Whether the other side has stopped reading."""
        return self._transport is not None and self._transport.get_write_buffer_size() > _MAX_UNSENT

    def close(self) -> None:
        """Say nothing more."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        for message in self._unsent:
            self.send(message)
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._unread += data
        *lines, rest = self._unread.split(b"\n")
        self._unread = bytearray(rest)
        for line in lines:
            self._received(json.loads(line))

    def connection_lost(self, _: Exception | None) -> None:
        """Called by the loop."""
        self.closed.set()
        self._ended()
