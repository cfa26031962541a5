"""How a CSV file quotes: not at all, by the book, or in a way that only a strict reader should judge.

A look at the bytes, at the speed of a search for the sign. By the book (RFC 4180) a quote begins a cell, ends
it, or stands twice inside; there every reader agrees, and a fast one may be taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

_LINE_ENDS = (b"\n", b"\r")


class Quoting(Enum):
    """What quotes do in a file."""

    NONE = auto()
    CELLS = auto()
    """Some cells are quoted, none of them over a line's end."""
    LINES = auto()
    """Some cells are quoted and hold line ends."""
    OTHER = auto()
    """A quote stands where none belongs, or the last one is not closed."""


def quoting(blocks: Iterable[bytes], delimiter: bytes, quote: bytes) -> Quoting:
    """Look through a file whose signs are single bytes.

    Args:
        blocks: its content behind the header, divided anywhere.
        delimiter: between cells.
        quote: the sign; empty for none.
    """
    if not quote:
        return Quoting.NONE
    look = _Look((delimiter, *_LINE_ENDS))
    for block in blocks:
        first, *others = block.split(quote)
        look.text(first)
        for segment in others:
            if not look.sign():
                return Quoting.OTHER
            look.text(segment)
    return look.found()


class _Look:
    """Where a look is: inside a quoted cell or outside, and what stands before and behind the last sign."""

    def __init__(self, borders: tuple[bytes, ...]) -> None:
        self._borders = borders
        self._inside = self._any = self._lines = self._wrong = False
        self._closed = False  # a quote has just ended: what follows is a border, or a second quote
        self._last = b""  # the last byte outside since then

    def sign(self) -> bool:
        """A quote; whether it may stand there."""
        self._any = True
        if self._inside:
            self._inside, self._closed, self._last = False, True, b""
            return True
        doubled = self._closed and not self._last
        begins = not self._closed and not self._last
        self._inside, self._closed = True, False
        return not self._wrong and (doubled or begins or self._last in self._borders)

    def text(self, segment: bytes) -> None:
        """What stands between two quotes."""
        if self._inside:
            self._lines = self._lines or any(end in segment for end in _LINE_ENDS)
        elif segment:
            if self._closed and not self._last and segment[:1] not in self._borders:
                self._wrong = True
            self._last = segment[-1:]

    def found(self) -> Quoting:
        """What quotes did."""
        if self._inside or self._wrong:
            return Quoting.OTHER
        if not self._any:
            return Quoting.NONE
        return Quoting.LINES if self._lines else Quoting.CELLS
