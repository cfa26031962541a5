"""A gRPC method of two streams, on bytes: many requests on one call, answered in their order.

Several requests are in flight together where their answers take a while; beyond a bound nothing more is read,
and the transport holds the client back. A service that leaves answers what it has read, and ends every stream
so that its client goes elsewhere.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from sigmax.errors import NotReady, SigmaxError
from sigmax.inference.dispatch import unforeseen
from sigmax.rpc.errors import abort

MAX_IN_FLIGHT = 64
"""Requests of one stream that wait for their answers, or for those before them."""

MAX_BYTES = 16 * 2**20
"""Of all these requests together, unless the server says otherwise."""

_TOGETHER = 8
"""So many times that all streams of a method hold; beyond it each has at most two requests in flight."""

_LAST_WORD_SECONDS = 0.2
"""What is kept of the grace for the end of a stream itself."""

Remaining = Callable[[], float | None]
"""How many seconds the client still waits; None: for ever."""

_Answer = Callable[[bytes, Remaining], bytes | Awaitable[bytes]]
_Context = grpc.aio.ServicerContext[bytes, bytes]


class Streams:
    """The open streams of one method."""

    def __init__(self, answer: _Answer, max_bytes: int = MAX_BYTES) -> None:
        """None is open yet.

        Args:
            answer: to one request, or what it comes from; an exception ends the stream with its status.
            max_bytes: of the requests of one stream that are in flight; one is taken whatever its size.
        """
        self._answer, self._max_bytes = answer, max_bytes
        self._open: set[_Stream] = set()
        self._held = _Held()
        self._until: float | None = None

    def handler(self) -> grpc.RpcMethodHandler[bytes, bytes]:
        """What a gRPC server adds to answer the method."""
        return grpc.stream_stream_rpc_method_handler(self._serve)

    def leave(self, seconds: float) -> None:
        """Read nothing more, and end every stream as soon as it has its answers.

        Args:
            seconds: after which it ends without them.
        """
        self._until = asyncio.get_running_loop().time() + max(seconds - _LAST_WORD_SECONDS, 0.0)
        for stream in self._open:
            stream.leave(self._until)

    async def _serve(self, _: Any, context: _Context) -> None:
        stream = _Stream(context, self._answer, self._max_bytes, self._held)
        self._open.add(stream)
        try:
            if self._until is not None:
                stream.leave(self._until)
            await stream.serve()
        finally:
            self._open.discard(stream)


class _Held:
    """The bytes of all requests that are in flight, of every stream of a method."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class _Stream:
    """One stream: this task reads and asks, another one writes what takes a while."""

    def __init__(self, context: _Context, answer: _Answer, max_bytes: int, held: _Held) -> None:
        self._context, self._answer, self._max_bytes, self._held = context, answer, max_bytes, held
        self._unsent: deque[tuple[int, asyncio.Future[bytes]]] = deque()
        self._bytes = 0
        self._sent = asyncio.Event()
        self._reading: asyncio.Future[Any] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._until: float | None = None

    def leave(self, until: float) -> None:
        """Read nothing more; `until` is of the loop's clock."""
        self._until = until
        if self._reading is not None:
            self._reading.cancel()

    async def serve(self) -> None:
        """Answer until the client has no more requests, or the service leaves."""
        try:
            await self._answer_all()
            await self._written()
            if self._until is not None:
                raise NotReady("the service is shutting down")
        except SigmaxError as error:
            await abort(self._context, error)
        finally:
            await self._forget()

    async def _answer_all(self) -> None:
        self._read_on()
        while (request := await self._came()) is not None:
            self._read_on()
            try:
                answer = self._answer(request, self._context.time_remaining)
            except Exception as error:
                raise (error if isinstance(error, SigmaxError) else unforeseen(error)) from error
            if isinstance(answer, bytes) and not self._unsent:
                await self._context.write(answer)
            else:
                await self._queue(len(request), answer)

    def _read_on(self) -> None:
        """Begin to read the next request, while the one before it is answered."""
        self._reading = asyncio.ensure_future(self._context.read()) if self._until is None else None

    async def _came(self) -> bytes | None:
        """The next request; None if there is none, or none is taken any more."""
        if self._reading is None:
            return None
        try:
            request = await self._reading
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._until is None or (task is not None and task.cancelling()):
                raise  # the call itself was cancelled
            return None
        return request if isinstance(request, bytes) else None

    async def _queue(self, size: int, answer: bytes | Awaitable[bytes]) -> None:
        """Have an answer written after those before it, when there is room for it."""
        coming = _there(answer) if isinstance(answer, bytes) else asyncio.ensure_future(answer)
        self._unsent.append((size, coming))
        self._hold(size)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())
        while self._is_full():
            self._sent.clear()
            await self._sent.wait()

    def _is_full(self) -> bool:
        """Whether nothing more is read; of one request that waits, whatever its size, that is never so."""
        much = self._bytes > self._max_bytes or self._held.bytes > _TOGETHER * self._max_bytes
        return len(self._unsent) > MAX_IN_FLIGHT or (len(self._unsent) > 1 and much)

    def _hold(self, size: int) -> None:
        self._bytes += size
        self._held.bytes += size

    async def _write(self) -> None:
        """Write what comes, until nothing more does."""
        while self._unsent:
            size, answer = self._unsent[0]
            await self._context.write(await answer)
            self._unsent.popleft()
            self._hold(-size)
            self._sent.set()

    async def _written(self) -> None:
        """Wait for all answers; of a service that leaves, as long as it may take."""
        if self._writing is None:
            return
        seconds = None if self._until is None else self._until - asyncio.get_running_loop().time()
        await asyncio.wait({self._writing}, timeout=seconds)

    async def _forget(self) -> None:
        """Take out of the queue what nobody waits for any more."""
        left: list[asyncio.Future[Any]] = [answer for _, answer in self._unsent]
        left += [task for task in (self._reading, self._writing) if task is not None]
        for task in left:
            task.cancel()
        try:
            await asyncio.gather(*left, return_exceptions=True)
        finally:
            self._hold(-self._bytes)


def _there(answer: bytes) -> asyncio.Future[bytes]:
    """An answer that has come already."""
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    future.set_result(answer)
    return future
