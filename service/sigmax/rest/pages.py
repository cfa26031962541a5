"""What holds for every address but those that predict: HEAD, compression both ways, ids that come back.

One plain ASGI application around the others, which need not know of any of it.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigmax.rest.asgi import Answer, Body, read_body, send_answer
from sigmax.rest.codings import WORTH_IT
from sigmax.rest.refusal import refusal
from sigmax.rest.sending import AS_IT_IS, VARY, Sending, granted, heard, signed

_AS_IT_IS = "/v2"
"""tritonclient for asyncio asks for gzip everywhere, and unpacks the answers of `infer` alone."""

_CODING, _LENGTH = b"content-encoding", b"content-length"


class Pages:
    """Serves an application's addresses.

    Args:
        app: the application, which answers GET where HEAD is asked for, and reads bodies as they are.
        max_bytes: a packed body that holds more is refused.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sending = _heard(scope)
        answering = _Plainly(send) if sending is AS_IT_IS else _Answering(send, sending)
        try:
            await self._serve(scope, receive, answering.send)
        except (Exception, CancelledError) as error:
            if answering.begun:
                raise
            await send_answer(send, signed(refusal(error, sending.request_id), sending))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":  # who writes the answer leaves its body out
            scope = {**scope, "method": "GET"}
        elif scope["method"] != "GET" and any(name == _CODING for name, _ in scope["headers"]):
            body = await read_body(scope, receive, self._max_bytes)
            scope, receive = _without_coding(scope, body), _Read(body, receive).receive
        await self._app(scope, receive, send)


def _heard(scope: Scope) -> Sending:
    """What a request sending for; of the Open Inference Protocol's addresses nothing packed."""
    sending = heard(scope["headers"])
    return sending._replace(wanted=None) if scope["path"].startswith(_AS_IT_IS) else sending


def _without_coding(scope: Scope, body: Body) -> Scope:
    kept = [header for header in scope["headers"] if header[0] not in (_CODING, _LENGTH)]
    return {**scope, "headers": [*kept, (_LENGTH, b"%d" % len(body.content))]}


class _Read:
    """A body that has been read, as an application receives it."""

    def __init__(self, body: Body, then: Receive) -> None:
        self._body: Body | None = body
        self._then = then

    async def receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return await self._then()
        return {"type": "http.request", "body": body.content, "more_body": False}


class _Plainly:
    """What an application sends, to a client that sending for nothing."""

    __slots__ = ("_send", "begun")

    def __init__(self, send: Send) -> None:
        self._send, self.begun = send, False

    async def send(self, message: Message) -> None:
        self.begun = True
        if message["type"] == "http.response.start" and _varies(message["headers"]):
            message["headers"] = [*message["headers"], VARY]
        await self._send(message)


class _Answering:
    """What an application sends, as its client wants it; only an answer that is whole is packed."""

    def __init__(self, send: Send, sending: Sending) -> None:
        self._send, self._sending = send, sending
        self._start: Message | None = None
        self.begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self.begun = True
        start, self._start = self._start, None
        if start is None:
            await self._send(message)
        elif message.get("more_body") or not _has_length(start):
            await self._send({**start, "headers": [*start["headers"], *self._sending.returned]})
            await self._send(message)
        else:
            await self._send_whole(start["status"], start["headers"], message.get("body", b""))

    async def _send_whole(self, status: int, headers: Any, body: bytes) -> None:
        kept = tuple(header for header in headers if header[0] != _LENGTH)
        said = granted(Answer(body, kept, status), self._sending)
        answer = said if isinstance(said, Answer) else await said
        if VARY not in answer.headers and len(body) >= WORTH_IT:
            answer = answer._replace(headers=(*answer.headers, VARY))
        await send_answer(self._send, answer)


def _varies(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether an answer would be another one to who asks for a packed one, and takes it plain, too."""
    return any(name == _LENGTH and int(value) >= WORTH_IT for name, value in headers)


def _has_length(start: Message) -> bool:
    return any(name == _LENGTH for name, _ in start["headers"])
