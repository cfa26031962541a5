"""Content codings, gzip and deflate: bodies that come packed, and answers that leave so.

What comes is never unpacked beyond a limit. What is short is packed and unpacked on the event loop, the rest
in a thread, since zlib lets the interpreter go meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from sigmax.errors import InvalidInput, TooLarge, UnsupportedMedia, quoted

GZIP, DEFLATE = "gzip", "deflate"

WORTH_IT = 2**10
"""Bytes from which an answer is packed for a client that takes it either way: 1 KiB takes 16 us."""

BESIDE = 2**16
"""Bytes from which that is done in a thread: 64 KiB take 0.4 to 0.8 ms, a hand-over 0.05 to 0.1 ms."""

_LEVEL = 1  # half the time of 4 and a fifth of 6, for answers that are 2 to 4 hundredths longer

_NAMES = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": DEFLATE}
_WINDOW = {GZIP: 31, DEFLATE: 15}
_RAW_DEFLATE = -15
_NEXT_MEMBER = b"\x1f\x8b"
_SLICE = 2**14  # what is given to zlib at a time: it copies what it has no use for yet
_PIECE = 2**18  # what is taken from it at a time: it joins and copies that while it holds the interpreter
_MAX_MEMBERS = 1024  # more than block-wise writers (64 KiB each) make of the default limit

_MAX_ACCEPTED = 512
_ELEMENT = re.compile(
    rb"[ \t]*([\w!#$%&'*+.^`|~-]+)[ \t]*(?:;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)


class Packing(NamedTuple):
    """How a client wants its answer.

    Attributes:
        coding: `GZIP` or `DEFLATE`.
        always: however short it is: the client names nothing else, or refuses what is not packed.
    """

    coding: str
    always: bool


def wanted(values: Sequence[bytes]) -> Packing | None:
    """What the values of all `Accept-Encoding` headers ask for; None: the answer as it is.

    Nothing else is left to a client that takes neither of ours: an answer that it did not ask for tells it
    more than none.
    """
    value = b",".join(values)
    return _wanted(value) if len(value) <= _MAX_ACCEPTED else None


@lru_cache(maxsize=256)
def _wanted(value: bytes) -> Packing | None:
    elements = [match for one in value.lower().split(b",") if (match := _ELEMENT.fullmatch(one))]
    weights = {name: float(weight or 1) for name, weight in (match.groups() for match in elements)}
    others = weights.get(b"*", 0.0)
    gzip = weights.get(b"gzip", weights.get(b"x-gzip", others))
    deflate = weights.get(b"deflate", others)
    coding, best = (GZIP, gzip) if gzip >= deflate else (DEFLATE, deflate)
    if not best or weights.get(b"identity", 0.0) > best:
        return None
    alone = len(elements) == 1 and b"*" not in weights
    refused = weights.get(b"identity", weights.get(b"*")) == 0
    return Packing(coding, always=alone or refused)


def packed(body: bytes, coding: str) -> bytes:
    """A body in a coding."""
    return zlib.compress(body, _LEVEL, _WINDOW[coding])


def coding_of(values: Iterable[bytes]) -> str:
    """The coding that the values of all `Content-Encoding` headers name; empty for none.

    Raises:
        UnsupportedMedia: it is none of ours, or there are several.
    """
    names = [name for value in values for name in map(bytes.strip, value.lower().split(b","))]
    names = [name for name in names if name not in (b"", b"identity")]
    if not names:
        return ""
    if len(names) > 1 or names[0] not in _NAMES:
        given = quoted(b", ".join(names).decode("latin-1"))
        raise UnsupportedMedia(
            f"content-encoding {given} is not read: send gzip or deflate, or the body as it is"
        )
    return _NAMES[names[0]]


async def unpacked(content: bytes, coding: str, limit: int) -> bytes:
    """What a body in a coding holds: short ones are unpacked at once, others in a thread.

    Raises:
        InvalidInput: it is broken, ends early, or something else follows it.
        TooLarge: it holds more than `limit` bytes; no more of it was unpacked.
    """
    unpacking = _Unpacking(content, coding, limit)
    if not unpacking.run(min(BESIDE, limit)):
        await asyncio.to_thread(unpacking.run, limit)
    return unpacking.result()


class _Unpacking:
    """One body while it is unpacked."""

    def __init__(self, content: bytes, coding: str, limit: int) -> None:
        self._content, self._coding, self._limit = content, coding, limit
        self._place = 0  # in the content, up to which it was given to zlib
        self._tail = b""  # given, but not taken yet
        self._members = 0
        self._said: list[bytes] = []
        self._size = 0
        self._whole = False
        self._stream = self._begin()

    def result(self) -> bytes:
        """Everything.

        Raises:
            TooLarge: it is more than the limit.
        """
        if not self._whole:
            raise TooLarge(f"the body is larger than {self._limit} bytes when it is unpacked")
        return b"".join(self._said)

    def run(self, size: int) -> bool:
        """Unpack until all is there, or more than `size` bytes are; return whether all is."""
        try:
            while not self._whole and self._size <= size:
                self._step(min(_PIECE, size + 1 - self._size))
        except zlib.error as error:
            raise self._wrong("is broken, or is none") from error
        self._whole = self._whole and self._size <= size
        return self._whole

    def _step(self, room: int) -> None:
        piece = self._tail
        if not piece:
            piece = self._content[self._place : self._place + _SLICE]
            self._place += len(piece)
        said = self._stream.decompress(piece, room)
        self._said.append(said)
        self._size += len(said)
        self._tail = self._stream.unconsumed_tail
        if self._stream.eof:
            self._end_member()
        elif not (piece or said):
            raise self._wrong("ends early")

    def _end_member(self) -> None:
        """What is behind a whole stream: nothing, in gzip another one, or zeros that fill a block."""
        self._tail, self._place = b"", self._place - len(self._stream.unused_data)
        following = self._content[self._place : self._place + len(_NEXT_MEMBER)]
        if self._coding == GZIP and following == _NEXT_MEMBER:
            self._stream = self._begin()
        elif not following or (self._coding == GZIP and not self._content[self._place :].strip(b"\0")):
            self._whole = True
        else:
            raise self._wrong(f"is followed by {len(self._content) - self._place} bytes of something else")

    def _begin(self) -> zlib._Decompress:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise self._wrong(f"has more than {_MAX_MEMBERS} members")
        raw = self._coding == DEFLATE and not _is_zlib(self._content)
        return zlib.decompressobj(_RAW_DEFLATE if raw else _WINDOW[self._coding])

    def _wrong(self, what: str) -> InvalidInput:
        return InvalidInput(f"the body's content-encoding is {self._coding}, which {what}")


def _is_zlib(content: bytes) -> bool:
    """Whether deflate has its header around it, as it should: some clients send it bare."""
    return len(content) > 1 and content[0] & 0x0F == zlib.DEFLATED and int.from_bytes(content[:2]) % 31 == 0
