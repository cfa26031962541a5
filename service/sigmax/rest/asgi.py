"""The few pieces of ASGI that the hot routes need: a bounded body in, one answer out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from starlette.types import Message, Receive, Scope, Send

from sigmax.errors import Cancelled, InvalidInput, TooLarge, UnsupportedMedia, quoted
from sigmax.rest import codings

Headers = tuple[tuple[bytes, bytes], ...]

JSON = (b"content-type", b"application/json")
ONLY_JSON: Headers = (JSON,)

_LENGTH, _JSON_LENGTH, _TYPE = b"content-length", b"inference-header-content-length", b"content-type"
_CODING, _TRANSFER = b"content-encoding", b"transfer-encoding"
_OF_BODIES = frozenset({_LENGTH, _JSON_LENGTH, _TYPE, _CODING, _TRANSFER})

_LENGTH_DIGITS = 18  # a longer length is none, and Python refuses to read one of 4,300 digits


class Body(NamedTuple):
    """A request's body.

    Attributes:
        content: all of its bytes, unpacked.
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
        coding: what it is packed with; empty if it is not.
    """

    length: int | None
    json_length: int | None
    media_type: bytes
    coding: str


def announced(headers: Sequence[tuple[bytes, bytes]], limit: int) -> Announced:
    """Read the headers that are about the body, their names in lower case.

    Raises:
        TooLarge: it is longer than `limit`.
        UnsupportedMedia: it is packed in a way that is not read, or a form of several parts.
        InvalidInput: the length of its JSON part is no length, or it is packed for the transfer, too.
    """
    length, json_length, media_type, coding = None, None, b"", ""
    for name, value in headers:
        if name not in _OF_BODIES:
            continue
        if name == _LENGTH:
            length = int(value)
            if length > limit:
                raise _too_large(limit)
        elif name == _TYPE:
            media_type = _read_media_type(value)
        elif name == _JSON_LENGTH:
            json_length = _length(value)
        elif name == _CODING:
            coding = codings.coding_of(each for key, each in headers if key == _CODING)
        elif value.strip().lower() != b"chunked":
            given = quoted(value.decode("latin-1"))
            raise InvalidInput(f"transfer-encoding {given} is not read, only chunked")
    return Announced(length, json_length, media_type, coding)


async def read_body(scope: Scope, receive: Receive, limit: int) -> Body:
    """Read a request's body and unpack it, never holding more than `limit` bytes of either.

    Raises:
        TooLarge: by its announced length, before a byte is read, or by the bytes that came or were unpacked.
        UnsupportedMedia: the body comes in a form or a coding that is not read.
        InvalidInput: the client went away in the middle, what came cannot be unpacked, or the length of the
            JSON part is no length.
    """
    head = announced(scope["headers"], limit)
    message = await receive()
    _check_present(message)
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _read_on(bytearray(body), receive, limit)
    if len(body) > limit:
        raise _too_large(limit)
    if head.coding:
        body = await codings.unpacked(body, head.coding, limit)
    return Body(body, head.json_length, head.media_type)


def _read_media_type(value: bytes) -> bytes:
    """No address takes a form apart; which other types it reads is its own affair."""
    if value[:10].lower() == b"multipart/":
        given = quoted(value.decode("latin-1"))
        raise UnsupportedMedia(
            f"content-type {given} is not read here: send one of its parts as the whole body"
        )
    return value


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
