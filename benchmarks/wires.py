"""HTTP/1.1 and gRPC as a load generator speaks them: bytes that are ready, answers read as far as needed.

A request of gRPC is the same bytes every time but for its stream. An answer is right only if its message is
the one that is expected and its status is 0; what else comes is an error with a name. Limits: an HTTP answer
has a Content-Length; a gRPC request is no longer than the stream's first window that the server grants.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_READ_BYTES = 1 << 18
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 1, 1, 4, 8
_HEAD = 9
_MAX_FRAME = 16384
_FIRST_WINDOW = 65535
_WHOLE_WINDOW = (1 << 31) - 1
_RENEW = 1 << 29

Answered = tuple[int, str]
"""A request's number, and what was wrong; empty if nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent, and the body or message that is the right answer."""

    path: str
    body: bytes
    answer: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Wire(Protocol):
    """One connection."""

    socket: socket.socket
    blocked: bool
    """Whether something waits until the socket takes it."""
    ended: bool
    """Whether the other side has closed it."""

    def send(self, number: int, question: int) -> None:
        """Send a question under a number that its answer will have."""

    def read(self) -> list[Answered]:
        """Read what has come; all that was under way is answered if the connection is closed."""

    def flush(self) -> None:
        """Go on sending what the socket did not take."""


class _Sending:
    """A socket that never blocks; what it does not take waits here."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._waiting = bytearray()
        self.blocked = self.ended = False

    def put(self, data: bytes) -> None:
        if self.blocked:
            self._waiting += data
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # closed by the other side: reading says so
            return
        if sent < len(data):
            self._waiting += data[sent:]
            self.blocked = True

    def flush(self) -> None:
        data = bytes(self._waiting)
        self._waiting.clear()
        self.blocked = False
        self.put(data)

    def receive(self) -> bytes | None:
        """What has come; None at the end."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        self.ended = not data
        return data or None


class HttpWire(_Sending):
    """A connection that is kept alive, with one request at a time on it."""

    _LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

    def __init__(self, port: int, questions: list[Question]) -> None:
        super().__init__(port)
        self._requests = [_http_request(question, port) for question in questions]
        self._answers = [question.answer for question in questions]
        self._number, self._question = -1, 0
        self._in = b""

    def send(self, number: int, question: int) -> None:
        """Send a question; there is none under way."""
        self._number, self._question = number, question
        self.put(self._requests[question])

    def read(self) -> list[Answered]:
        """Read what has come."""
        data = self.receive()
        if data is None:
            return self._done("the connection was closed") if self._number >= 0 else []
        if self._number < 0:  # a farewell that nobody asked for
            return []
        self._in = content = self._in + data if self._in else data
        end = content.find(b"\r\n\r\n") + 4
        if end < 4:
            return []
        length = self._LENGTH.search(content, 0, end)
        if length is None:
            return self._done("an answer without Content-Length")
        if len(content) < end + int(length[1]):
            return []
        if content[9:12] != b"200":
            return self._done(f"HTTP {content[9:12].decode(errors='replace')}")
        return self._done("" if content[end:] == self._answers[self._question] else "another answer")

    def _done(self, error: str) -> list[Answered]:
        number, self._number, self._in = self._number, -1, b""
        return [(number, error)]


def _http_request(question: Question, port: int) -> bytes:
    lines = [
        f"POST {question.path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *(f"{name}: {value}" for name, value in question.headers),
        f"Content-Length: {len(question.body)}",
    ]
    return "\r\n".join([*lines, "\r\n"]).encode() + question.body


@dataclass(slots=True)
class _Stream:
    number: int
    question: int
    received: bytes = b""
    status: int = -1


class GrpcWire(_Sending):
    """A connection of HTTP/2 with unary calls on it."""

    def __init__(self, port: int, questions: list[Question]) -> None:
        super().__init__(port)
        self._first = [_header_block(question.path, port, known=False) for question in questions]
        self._later = [_header_block(question.path, port, known=True) for question in questions]
        self._framed = [_framed(question.body) for question in questions]
        self._answers = [_framed(question.answer) for question in questions]
        self._paths = {question.path for question in questions}
        if len(self._paths) > 1:
            raise ValueError("the questions of one connection go to one method")
        self._streams: dict[int, _Stream] = {}
        self._statuses: dict[bytes, int] = {}
        self._next, self._window, self._received, self._in = 1, _FIRST_WINDOW, 0, b""
        self._held: list[tuple[int, bytes]] = []
        settings = b"\0\1" + bytes(4) + b"\0\4" + _WHOLE_WINDOW.to_bytes(4, "big")  # no table, a large window
        self.put(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings))
        self.put(_window_update(_WHOLE_WINDOW - _FIRST_WINDOW))

    def send(self, number: int, question: int) -> None:
        """Send a question on a new stream, or hold it back until the server grants a window for it."""
        stream, self._next = self._next, self._next + 2
        self._streams[stream] = _Stream(number, question)
        block = (self._first if stream == 1 else self._later)[question]
        message = self._framed[question]
        data = _frame(_HEADERS, _END_HEADERS, stream, block) + _data_frames(stream, message)
        if self._held or self._window < len(message):
            self._held.append((len(message), data))
            return
        self._window -= len(message)
        self.put(data)

    def read(self) -> list[Answered]:
        """Read what has come, and answer the settings and pings among it."""
        data = self.receive()
        if data is None:
            return self._lost("the connection was closed")
        content = self._in + data if self._in else data
        answered: list[Answered] = []
        start = 0
        while len(content) - start >= _HEAD:
            size = int.from_bytes(content[start : start + 3], "big")
            if len(content) - start < _HEAD + size:
                break
            kind, flags = content[start + 3], content[start + 4]
            stream = int.from_bytes(content[start + 5 : start + _HEAD], "big")
            start += _HEAD + size
            answered += self._frame(kind, flags, stream, content[start - size : start])
        self._in = content[start:]
        return answered

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> list[Answered]:
        if kind in (_DATA, _HEADERS):
            return self._part(kind, flags, stream, payload)
        if kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
            self._release()
        elif kind == _SETTINGS and not flags & _ACK:
            self.put(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self.put(_frame(_PING, _ACK, 0, payload))
        elif kind == _RST_STREAM:
            return self._done(stream, f"the stream was reset, code {int.from_bytes(payload, 'big')}")
        elif kind == _GOAWAY and int.from_bytes(payload[4:8], "big"):
            return self._lost(f"GOAWAY, code {int.from_bytes(payload[4:8], 'big')}")
        elif kind == _CONTINUATION:
            return self._lost("headers in more than one frame")
        return []

    def _part(self, kind: int, flags: int, stream: int, payload: bytes) -> list[Answered]:
        """Some of an answer: of its message, or its headers or trailers."""
        state = self._streams.get(stream)
        if state is None:
            return []
        if flags & _PADDED:
            return self._done(stream, "a padded frame")
        if kind == _DATA:
            state.received = state.received + payload if state.received else payload
            self._renew(len(payload))
        elif flags & _END_STREAM:
            state.status = self._status(payload)
        if not flags & _END_STREAM:
            return []
        if state.status:
            return self._done(stream, f"gRPC status {state.status}")
        right = state.received == self._answers[state.question]
        return self._done(stream, "" if right else "another answer")

    def _status(self, block: bytes) -> int:
        """The gRPC status that a block of trailers says; -1 if none. The same block comes again and again."""
        status = self._statuses.get(block)
        if status is None:
            found = dict(_literals(block)).get(b"grpc-status", b"-1")
            status = self._statuses[block] = int(found)
        return status

    def _renew(self, count: int) -> None:
        """Grant the server a new window for all streams together before it has used up the old one."""
        self._received += count
        if self._received > _RENEW:
            self.put(_window_update(self._received))
            self._received = 0

    def _release(self) -> None:
        while self._held and self._window >= self._held[0][0]:
            size, data = self._held.pop(0)
            self._window -= size
            self.put(data)

    def _done(self, stream: int, error: str) -> list[Answered]:
        state = self._streams.pop(stream, None)
        return [] if state is None else [(state.number, error)]

    def _lost(self, error: str) -> list[Answered]:
        answered = [(state.number, error) for state in self._streams.values()]
        self._streams.clear()
        return answered


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _data_frames(stream: int, message: bytes) -> bytes:
    if len(message) <= _MAX_FRAME:
        return _frame(_DATA, _END_STREAM, stream, message)
    parts = [message[start : start + _MAX_FRAME] for start in range(0, len(message), _MAX_FRAME)]
    frames = [_frame(_DATA, 0, stream, part) for part in parts[:-1]]
    return b"".join([*frames, _frame(_DATA, _END_STREAM, stream, parts[-1])])


def _window_update(size: int) -> bytes:
    return _frame(_WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big"))


def _header_block(path: str, port: int, *, known: bool) -> bytes:
    """A request's headers by HPACK (RFC 7541): told to be remembered, or by the places that they then have.

    0x83 and 0x86 are `:method: POST` and `:scheme: http` of the static table, 0x44, 0x41 and 0x5f the names
    `:path`, `:authority` and `content-type`; 62 is the place of what was remembered last.
    """
    if known:
        return bytes((0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62))
    authority = f"127.0.0.1:{port}".encode()
    named = [(b"\x44", path.encode()), (b"\x41", authority), (b"\x5f", b"application/grpc")]
    literal = b"".join(name + _text(value) for name, value in named)
    return b"\x83\x86" + literal + b"\x40" + _text(b"te") + _text(b"trailers")


def _text(value: bytes) -> bytes:
    if len(value) >= 127:
        raise ValueError(f"{value!r} is too long for this generator")
    return bytes((len(value),)) + value


def _literals(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Headers with a name of their own; names of the static table are b"", and no Huffman code is read.

    The server was told that nothing is remembered, so that every block stands for itself.
    """
    place = 0
    while place < len(block):
        first = block[place]
        if first & 0x80:
            _, place = _integer(block, place, 7)
            continue
        if first & 0xE0 == 0x20:
            _, place = _integer(block, place, 5)
            continue
        index, place = _integer(block, place, 6 if first & 0x40 else 4)
        name = b""
        if not index:
            name, place = _read_text(block, place)
        value, place = _read_text(block, place)
        yield name, value


def _read_text(block: bytes, place: int) -> tuple[bytes, int]:
    size, start = _integer(block, place, 7)
    return block[start : start + size], start + size


def _integer(block: bytes, place: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value = block[place] & limit
    place += 1
    if value < limit:
        return value, place
    shift = 0
    while True:
        value += (block[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not block[place - 1] & 0x80:
            return value, place
