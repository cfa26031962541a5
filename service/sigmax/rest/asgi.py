"""The few pieces of ASGI that the hot routes need: a bounded body in, one answer out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import NamedTuple

from starlette.types import Message, Receive, Scope, Send

from sigmax.errors import Cancelled, InvalidInput, TooLarge, UnsupportedMedia, quoted

Headers = tuple[tuple[bytes, bytes], ...]

JSON = (b"content-type", b"application/json")
ONLY_JSON: Headers = (JSON,)

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
    """The body of an answer, its headers without the length, and its status."""

    body: bytes
    headers: Headers = ONLY_JSON
    status: int = 200


class Announced(NamedTuple):
    """What the headers say of a body.

    Attributes:
        length: in bytes; None if it comes in chunks, or does not come.
        json_length: as in `Body`.
        media_type: as in `Body`.
    """

    length: int | None
    json_length: int | None
    media_type: bytes


def announced(headers: Iterable[tuple[bytes, bytes]], limit: int) -> Announced:
    """Read the headers that are about the body, their names in lower case.

    Raises:
        TooLarge: it is longer than `limit`.
        UnsupportedMedia: it is compressed.
        InvalidInput: the length of its JSON part is no length.
    """
    length, json_length, media_type = None, None, b""
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
            if length > limit:
                raise _too_large(limit)
        elif name == b"inference-header-content-length":
            json_length = _length(value)
        elif name == b"content-type":
            media_type = value
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMedia(
                f"content-encoding {quoted(value.decode('latin-1'))} is not read: send the body as it is"
            )
    return Announced(length, json_length, media_type)


async def read_body(scope: Scope, receive: Receive, limit: int) -> Body:
    """Read a request's body, never holding more than `limit` bytes.

    Raises:
        TooLarge: by its announced length, before a byte is read, or by the bytes that came.
        UnsupportedMedia: the body is compressed.
        InvalidInput: the client went away in the middle, or the length of the JSON part is no length.
    """
    head = announced(scope["headers"], limit)
    message = await receive()
    _check_present(message)
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _read_on(bytearray(body), receive, limit)
    if len(body) > limit:
        raise _too_large(limit)
    return Body(body, head.json_length, head.media_type)


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > _LENGTH_DIGITS:
        given = quoted(value.decode("latin-1"))
        raise InvalidInput(f"header Inference-Header-Content-Length is a number of bytes, not {given}")
    return int(value)


async def _read_on(body: bytearray, receive: Receive, limit: int) -> bytes:
    while len(body) <= limit:
        message = await receive()
        _check_present(message)
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
    raise _too_large(limit)


def _check_present(message: Message) -> None:
    if message["type"] == "http.disconnect":
        raise InvalidInput("the body ended before its announced length")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(answer.body))
    headers = [length, *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def wait_for(promise: Awaitable[Answer], receive: Receive) -> Answer:
    """Wait for an answer that was promised, for as long as the client does; its body has been read.

    Raises:
        Cancelled: the client went away, and the promise was given up.
    """
    answering = asyncio.ensure_future(promise)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise Cancelled("the client went away before its answer was there")
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)
