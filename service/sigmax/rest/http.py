"""HTTP/1.1 as it comes in: uvicorn's protocol with bounded headers, our error body and every request body.

A client may offer another protocol beside its request (`Upgrade: h2c`, as Java's HttpClient and
`curl --http2` do), and a server may go on as if it had not (RFC 9110, 7.8). The parser, though, ends such a
request at its headers and throws its body away: the offer is taken out here and the request read again.

Requests that predict have a lane of their own. uvicorn makes a scope, a task and four messages of each
request, which takes longer than to answer one of these; where a request is a plain one and no other is being
answered on its connection, it is answered here, in one write. Everything else goes uvicorn's way, and so does
a request whose answer is only promised.

Requests may come faster than they are answered (pipelining). uvicorn makes a scope of each that it has the
bytes of, and reads on with each answer, so that one connection could fill the memory: here no more is read,
and little of what was read is parsed, while requests wait for their turn. A refusal waits for its turn, too.
Those of the lane are answered as they are read, thousands in one read: after some milliseconds of that the
other connections have their turn.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Collection, Iterable
from time import perf_counter
from typing import Any

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from sigmax.errors import HeadersTooLarge, InvalidInput, RequestTimeout, SigmaxError
from sigmax.rest.asgi import ONLY_JSON, Answer, Body, send_answer
from sigmax.rest.heads import Asked
from sigmax.rest.hot import HotRoutes, Promised
from sigmax.rest.refusal import refusal
from sigmax.rest.sending import AS_IT_IS, Sending, heard, signed

MAX_HEAD_BYTES = 64 * 2**10
"""How long a request line and headers may grow without an end in sight, and the headers behind a body."""

BYTES_A_SECOND = 4 * 2**10
"""How fast a body has to come at least, beyond the time that every request has (`receiving.py`)."""

_STEP = 16 * 2**10  # bytes that are parsed before it is seen whether requests wait
_SHORT_STEP = 2**10  # where several requests end in one step: what is in the lane is answered within it

TURN_SECONDS = 0.002
"""How long requests that came in one read are answered before other connections have their turn."""

_JSON_LINE = b"content-type: application/json\r\n"
_CLOSE_LINE = b"connection: close\r\n"


class _Flow(FlowControl):
    """Lets nothing more be read while requests wait, whoever of them asks for it.

    Attributes:
        kept: what was read and is not parsed yet.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Collection[object]) -> None:
        super().__init__(transport)
        self._waiting, self.kept = waiting, b""

    def resume_reading(self) -> None:
        if not (self._waiting or self.kept):
            super().resume_reading()


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    flow: _Flow

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._idle_bytes = 0  # that came since a part of a request was last complete
        self._ended = 0  # requests in the last step
        self._parts = 0  # that were complete, or began, in the bytes that are read now
        self._between = True  # no request has begun that has not ended
        self._in_cycle = False  # a request that has not ended is uvicorn's
        self._refused = False  # nothing more is read
        self._due = 0.0  # when the client has to have sent the rest; 0 while that is not known
        self._received = 0  # bytes of a body, which put that off
        self._packet = b""  # begins with the head that the parser is about to read
        self._met: Asked | None = None  # what that head says, where it is known and its body is still to come
        self._asked: Asked | None = None  # a request in the lane, while its body comes
        self._content = bytearray()  # of it, as far as it has come
        self._began = 0.0
        self._last = False  # the answer to it is to be the connection's last
        self._routes = self.app if isinstance(self.app, HotRoutes) else None
        self._has_lane = not (self.access_log or self.root_path or self.limit_concurrency is not None)
        self._defaults: list[tuple[bytes, bytes]] = []
        self._default_lines = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the transport."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)

    def data_received(self, data: bytes) -> None:
        """Read what came, and what was kept before it."""
        data, self.flow.kept = self.flow.kept + data, b""
        self._unset_keepalive_if_required()
        try:
            until = 0.0
            while data and not (self.pipeline or self._refused or self.transport.is_closing()):
                if until and perf_counter() > until:
                    self._give_way()
                    break
                data = self._feed(data)
                if data and not until:  # behind a request that came alone nothing is left
                    until = perf_counter() + TURN_SECONDS
            self.flow.kept = b"" if self._refused else data
        except httptools.HttpParserError:
            if self.transport.is_closing():
                return
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(InvalidInput("this is no HTTP/1.1 request"))

    def _feed(self, data: bytes) -> bytes:
        """Answer a request that is known, or parse; return what is to be parsed once more."""
        self._packet, self._met, self._parts = b"", None, 0
        whole = self._between
        if whole:
            rest = self._known(data)
            if rest is not None:
                return rest
            self._packet = data
        size, self._ended = _SHORT_STEP if self._ended > 1 else _STEP, 0
        step = data[:size]
        try:
            self.parser.feed_data(step)
        except httptools.HttpParserUpgrade as offer:
            return self._declined(data[offer.args[0] :])
        if not self._between and self._parts <= whole:  # else some of this is of what is complete
            self._idle_bytes += len(step)
            if self._idle_bytes > MAX_HEAD_BYTES:
                self._refuse(HeadersTooLarge(f"the headers are longer than {MAX_HEAD_BYTES} bytes"))
        return data[size:]

    def _declined(self, rest: bytes) -> bytes:
        """The request that was just parsed, without its offer, and what follows it; for a new parser."""
        if self.scope["method"] == "CONNECT":
            raise httptools.HttpParserError("there is nothing to connect to")
        first = f"{self.scope['method']} ".encode() + self.url + b" HTTP/"
        first += self.parser.get_http_version().encode()
        kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([first, *kept, b"", rest])

    def _should_upgrade(self) -> bool:
        """What makes uvicorn leave a request with an offer alone, until it is read again."""
        return True

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self.transport.is_closing():
            raise ConnectionError("nothing is read behind the request whose answer was the last")
        self._between, self._due, self._received = False, 0.0, 0
        self._complete()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._complete()
        met, self._met = self._met, None
        if met is not None and self._is_free():
            self._asked, self._packet = met, b""
            self._content, self._began = bytearray(), perf_counter()
            return
        names = [name for name, _ in self.headers]
        if names.count(b"host") > 1:
            raise httptools.HttpParserError("a request is for one host")
        packet, self._packet = self._packet, b""
        asked = self._asked = self._read_head()
        if asked is not None:
            self._content, self._began = bytearray(), perf_counter()
            if packet and self._routes is not None:
                self._routes.heads.learn(packet, self.headers, asked)
            return
        version = self.parser.get_http_version()
        if version != "1.1" and (version != "1.0" or b"transfer-encoding" in names):
            raise httptools.HttpParserError("neither HTTP/1.1 nor what came before it")
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self._in_cycle = True
            self._unset_keepalive_if_required()  # of an answer to what came with it
            if self._routes is not None and self._routes.draining:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._complete()
        self._received += len(body)
        if self._asked is None:
            super().on_body(body)
        else:
            self._content += body

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._between, self._in_cycle = True, False
        self._ended += 1
        asked, self._asked = self._asked, None
        if asked is None:
            super().on_message_complete()
        else:
            content, self._content = bytes(self._content), bytearray()
            self._answer(asked, content)

    def _complete(self) -> None:
        """A part of a request is complete, or a request begins."""
        self._idle_bytes = 0
        self._parts += 1

    def on_response_complete(self) -> None:
        """Called when an answer is on its way: the next one's turn, or what was kept is read."""
        super().on_response_complete()
        if self.flow.kept and not self.pipeline:
            self.loop.call_soon(self._read_on)

    def _give_way(self) -> None:
        """Read on when the other connections had their turn."""
        self.flow.pause_reading()
        self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self.flow.kept and not self.transport.is_closing():
            self.data_received(b"")
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """Called by the server that is about to leave; a request that is on its way is still answered."""
        open_and_idle = self._is_idle() and not (self._refused or self.transport.is_closing())
        if open_and_idle and (not self._between or self.flow.kept or self._has_unread()):
            self._last = True
        else:
            super().shutdown()

    def _has_unread(self) -> bool:
        """Whether the client has sent something that this process has not read yet."""
        waiting = select.poll()
        waiting.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport."""
        asked, self._asked = self._asked, None
        if asked is not None and self._routes is not None:
            self._routes.lost(asked.route, self._began)
        super().connection_lost(exc)

    def look(self, now: float, patience: float) -> None:
        """Called now and then: end a connection whose client has not sent in time what it owes.

        Args:
            now: by the loop's clock.
            patience: seconds from the first look that finds a request begun, or that none ever was.
        """
        idle = self._between and self.timeout_keep_alive_task is not None  # as most connections are
        if idle or not self._is_owed():
            self._due = 0.0
        elif not self._due:
            self._due = now + patience
        elif now > self._due + self._received / BYTES_A_SECOND:
            self._give_up(patience)

    def _is_owed(self) -> bool:
        """Whether it is for the client to send something."""
        if self.flow.read_paused or self.flow.kept or self.transport.is_closing():
            return False
        return not self._between or (self._is_idle() and self.timeout_keep_alive_task is None)

    def _give_up(self, patience: float) -> None:
        if self._between:
            self.transport.close()
        else:
            self._refuse(RequestTimeout(f"the request did not arrive within {patience:g} seconds"))

    def _known(self, data: bytes) -> bytes | None:
        """Answer a whole request whose head is known; what follows it, or None if it is for the parser."""
        if self._routes is None:
            return None
        start = data.find(b"\r\n\r\n") + 4
        asked = self._routes.heads.known(data[:start])
        if asked is None or not self._is_free():
            return None
        if len(data) < start + asked.length:
            self._met = asked
            return None
        end = start + asked.length
        self._answer(asked, data[start:end])
        return data[end:]

    def _read_head(self) -> Asked | None:
        """What the request says whose headers were parsed, if it is one for the lane."""
        parser = self.parser
        if (
            self._routes is None
            or parser.get_method() != b"POST"
            or parser.should_upgrade()
            or self.expect_100_continue
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or not self._is_free()
        ):
            return None
        return self._routes.heads.read(self.url, self.headers)

    def _is_free(self) -> bool:
        """Whether nothing is being answered, and the client takes what it is sent."""
        return self._is_idle() and self._has_lane and not self.flow.write_paused

    def _is_idle(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _answer(self, asked: Asked, content: bytes) -> None:
        routes = self._routes
        if routes is None:
            raise RuntimeError("a connection without these routes has no lane")
        body = Body(content, asked.json_length, asked.media_type)
        answer = routes.answer(asked.route, body, asked.sending)
        closing = self._last or routes.draining
        if isinstance(answer, Answer):
            self.transport.write(self._written(answer, closing))
            if closing:
                self.transport.close()
            self.on_response_complete()
        else:
            self._keep(answer, asked.sending, closing)

    def _written(self, answer: Answer, closing: bool) -> bytes:
        """An answer as it travels."""
        body, headers, status = answer
        if self.server_state.default_headers is not self._defaults:  # which has the date, renewed each second
            self._defaults = self.server_state.default_headers
            self._default_lines = _lines(self._defaults)
        parts = (
            STATUS_LINE[status],
            self._default_lines,
            b"content-length: %d\r\n" % len(body),
            _JSON_LINE if headers is ONLY_JSON else _lines(headers),
            _CLOSE_LINE if closing else b"",
            b"\r\n",
            body,
        )
        return b"".join(parts)

    def _keep(self, promise: Awaitable[Answer], sending: Sending, closing: bool) -> None:
        """Answer later, as uvicorn would: what comes on this connection meanwhile waits its turn."""
        self._unset_keepalive_if_required()
        self.cycle = self._new_cycle(not closing)
        # Starlette and uvicorn name the same messages by other types.
        application: Any = Promised(promise, sending)
        self._start_asgi_task(self.cycle, application)

    def _new_cycle(self, keep_alive: bool) -> RequestResponseCycle:
        """What uvicorn answers a request with whose body has been read."""
        super().on_message_begin()
        self.scope["method"] = "POST"
        cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        return cycle

    def _refuse(self, error: SigmaxError) -> None:
        """Read nothing more, and end the connection with an error in its turn."""
        self._refused = True
        sending = AS_IT_IS if self._between else heard(self.headers)
        answer = signed(refusal(error, sending.request_id), sending)
        if self._in_cycle and self.pipeline:
            self.pipeline.popleft()  # the request that is refused; another is being answered
        elif self._in_cycle:
            answered = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._end(None if answered else answer)
            return
        if self.cycle is None or self.cycle.response_complete:
            self._end(answer)
        else:
            application: Any = _Said(answer)
            self.cycle = self._new_cycle(keep_alive=False)
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, application))

    def _end(self, answer: Answer | None) -> None:
        """Close the connection, with an answer where one is due."""
        if answer is not None:
            self.transport.write(self._written(answer, closing=True))
        self.transport.close()


class _Said:
    """An application with one answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        await send_answer(send, self._answer)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
