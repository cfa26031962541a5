"""HTTP/2 frames by hand, for what no client of gRPC would send; RFC 9113 and, for headers, RFC 7541.

Strings are literal, never Huffman-coded, and nothing is indexed: the peer is told to have no dynamic table.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
INITIAL_WINDOW_SIZE = 0x4

_HEADER = struct.Struct(">BHBBI")
_NAMES = {8: ":status", 31: "content-type"}  # of the static table, those that a server uses
PATIENCE = 15

Headers = Iterable[tuple[bytes, bytes]]


class Frame(NamedTuple):
    """A frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame as it is sent."""
    size = len(payload)
    return _HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """Our settings: no dynamic table, and what a test wants; `window` is that of each new stream."""
    pairs = [(0x1, 0)]
    if "window" in values:
        pairs.append((INITIAL_WINDOW_SIZE, values["window"]))
    return frame(SETTINGS, payload=b"".join([struct.pack(">HI", *pair) for pair in pairs]))


def window(size: int, stream: int = 0) -> bytes:
    """More room for what the peer sends."""
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", size))


def packed(headers: Headers) -> bytes:
    """A block of headers."""
    return b"".join([b"\x00" + _text(name) + _text(value) for name, value in headers])


def asked(path: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """The headers of a call."""
    fixed = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"here")]
    return packed([*fixed, (b"content-type", b"application/grpc"), (b"te", b"trailers"), *more])


def call(stream: int, path: bytes, *messages: bytes, more: Headers = (), end: bool = True) -> bytes:
    """A whole call: headers, and its messages in a frame each."""
    sent = [frame(HEADERS, END_HEADERS, stream, asked(path, *more))]
    sent += [frame(DATA, 0, stream, message(one)) for one in messages]
    if end:
        sent.append(frame(DATA, END_STREAM, stream))
    return b"".join(sent)


def message(data: bytes) -> bytes:
    """A message of gRPC, not compressed."""
    return struct.pack(">BI", 0, len(data)) + data


class Connection:
    """A connection that says what it is told to."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE)
        self._read = b""

    def send(self, *data: bytes) -> None:
        """Send; a peer that has closed already is for `frames` to find out."""
        try:
            self.socket.sendall(b"".join(data))
        except (BrokenPipeError, ConnectionResetError):
            return

    def begin(self, **values: int) -> None:
        """Preface and settings, the peer's acknowledged."""
        self.send(PREFACE, settings(**values), frame(SETTINGS, ACK))

    def frames(self) -> Iterator[Frame]:
        """What comes, until the peer closes; a silent one is a failure."""
        while True:
            head = self._take(9)
            if len(head) < 9:
                return
            high, low, kind, flags, stream = _HEADER.unpack(head)
            yield Frame(kind, flags, stream, self._take(high << 16 | low))

    def ended(self, stream: int) -> tuple[dict[str, str], bytes]:
        """The headers of a call, those behind its data too, and its data; `reset` has the code of a reset."""
        headers: dict[str, str] = {}
        data = b""
        for one in self.frames():
            if one.kind == GOAWAY:
                return {"goaway": one.payload[8:].decode(), "code": str(_number(one.payload[4:8]))}, data
            if one.stream != stream:
                continue
            if one.kind == RST_STREAM:
                return headers | {"reset": str(_number(one.payload))}, data
            if one.kind == DATA:
                data += one.payload
            if one.kind == HEADERS:
                headers |= unpacked(one.payload)
            if one.kind in (DATA, HEADERS) and one.flags & END_STREAM:
                return headers, data
        return headers | {"closed": ""}, data

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            try:
                came = self.socket.recv(2**16)
            except ConnectionResetError:
                came = b""
            if not came:
                return b""
            self._read += came
        taken, self._read = self._read[:size], self._read[size:]
        return taken


@contextmanager
def connected(target: str) -> Iterator[Connection]:
    """A connection for a while."""
    connection = Connection(target)
    with connection.socket:
        yield connection


def unpacked(block: bytes) -> dict[str, str]:
    """A block of headers as gRPC's core writes it to a peer that has no dynamic table."""
    found, place = {}, 0
    while place < len(block):
        first = block[place]
        if first & 0x80:  # indexed: of the static table, a status
            found[":status"] = {8: "200", 9: "204", 12: "400", 13: "404", 14: "500"}[first & 0x7F]
            place += 1
        elif first & 0x20 and not first & 0x40:  # the size of the table
            _, place = _integer(block, place, 5)
        else:
            index, place = _integer(block, place, 6 if first & 0x40 else 4)
            name = _NAMES.get(index, f"#{index}")
            if not index:
                name, place = _read(block, place)
            found[name], place = _read(block, place)
    return found


def _read(block: bytes, place: int) -> tuple[str, int]:
    assert not block[place] & 0x80, "a string is Huffman-coded"
    size, place = _integer(block, place, 7)
    return block[place : place + size].decode("latin-1"), place + size


def _integer(block: bytes, place: int, bits: int) -> tuple[int, int]:
    most = 2**bits - 1
    value, place, shift = block[place] & most, place + 1, 0
    if value < most:
        return value, place
    while True:
        byte = block[place]
        value, place, shift = value + ((byte & 0x7F) << shift), place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _text(data: bytes) -> bytes:
    return _length(len(data)) + data


def _length(size: int) -> bytes:
    if size < 127:
        return bytes([size])
    size -= 127
    written = [127]
    while size > 127:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*written, size])


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
