"""The few pieces of ASGI that the hot routes need: a bounded body in, one answer out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple, TypeVar

from starlette.types import Receive, Scope, Send

from sigmax.errors import Cancelled, InvalidInput, TooLarge, UnsupportedMedia, quoted

T = TypeVar("T")
JSON = (b"content-type", b"application/json")

_LENGTH_DIGITS = 18  # a longer length is none, and Python refuses to read one of 4,300 digits


class Body(NamedTuple):
    """A request's body.

    Attributes:
        content: all of its bytes.
        json_length: how many of them are JSON, where binary tensors follow; None: all.
        media_type: the content-type as it came; empty where none did.
    """

    content: bytes
    json_length: int | None = None
    media_type: bytes = b""


class Answer(NamedTuple):
    """The body of a successful answer and its headers without the length."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)


async def read_body(scope: Scope, receive: Receive, limit: int) -> Body:
    """Read a request's body, never holding more than `limit` bytes.

    Raises:
        TooLarge: by its announced length, before a byte is read, or by the bytes that came.
        UnsupportedMedia: the body is compressed.
        InvalidInput: the client went away in the middle, or the length of the JSON part is no length.
    """
    json_length, media_type = None, b""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise _too_large(limit)
        if name == b"inference-header-content-length":
            json_length = _length(value)
        if name == b"content-type":
            media_type = value
        if name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMedia(
                f"content-encoding {quoted(value.decode('latin-1'))} is not read: send the body as it is"
            )
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _read_on(bytearray(body), receive, limit)
    if len(body) > limit:
        raise _too_large(limit)
    return Body(body, json_length, media_type)


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > _LENGTH_DIGITS:
        given = quoted(value.decode("latin-1"))
        raise InvalidInput(f"header Inference-Header-Content-Length is a number of bytes, not {given}")
    return int(value)


async def _read_on(body: bytearray, receive: Receive, limit: int) -> bytes:
    while len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("the body ended before its announced length")
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
    raise _too_large(limit)


async def unless_gone(promise: Awaitable[T], receive: Receive) -> T:
    """A promised answer; a client that goes away before it is there cancels it.

    Args:
        promise: of a request whose body was read to its end.
        receive: of that request.

    Raises:
        Cancelled: the client went away.
    """
    answered = asyncio.ensure_future(promise)
    gone = asyncio.ensure_future(_gone(receive))
    gone.add_done_callback(lambda _: answered.cancel())
    try:
        return await answered
    except asyncio.CancelledError:
        if gone.done():
            raise Cancelled("the client went away") from None
        raise
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")


async def send_answer(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})
