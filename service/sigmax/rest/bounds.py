"""How much a JSON body may hold, counted before any of it becomes an object.

Few bytes can be many objects: 16 MiB hold a million keys that differ, or seven million empty lists, and to
read those stops the event loop for seconds. A right request has far fewer; one that has more is refused by
counting brackets, colons and commas, 10 to 90 ms for 16 MiB. Only long bodies are counted at all.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from sigmax.contract import Feature
from sigmax.errors import InvalidInput
from sigmax.protocol.schema import Schema

KEYS, GROUPS, VALUES = 200_000, 100_000, 1_000_000
"""What may come in any case: each of them takes some 0.1 s to read."""

SHORT = 2 * GROUPS
"""Bytes of a body that cannot hold more of anything; no bounds need to be reckoned for it."""

_COLONS, _BRACKETS, _COMMAS = b":", b"[{", b","
_DEEP = b"[" * 1025  # more than is read
_DIGITS = b"0123456789"
_LONG, _LONG_NUMBER = 2**20, 400  # bytes of a body, and of a number, from which its digits are counted
_PIECE = 2**18  # bytes that are counted at a time: they stay in the processor's cache
_QUOTE = ord('"')


class Bounds(NamedTuple):
    """How much a request of one model may hold.

    Attributes:
        keys: of all its objects.
        groups: lists and objects.
        values: all else, or rather the commas between them.
    """

    keys: int = KEYS
    groups: int = GROUPS
    values: int = VALUES

    @classmethod
    def of(cls, schema: Schema, max_rows: int) -> Bounds:
        """What the longest right request of a model has, twice its values since those cost least."""
        names, lists = len(schema.names), sum(map(_lists, schema.features))
        return cls(
            max(KEYS, max_rows * (names + 4)),
            max(GROUPS, max_rows * (lists + 4)),
            max(VALUES, max_rows * 2 * schema.width),
        )

    def check(self, body: bytes) -> None:
        """Refuse a body that holds more.

        Raises:
            InvalidInput: naming what there is too much of, or that it is nested too deeply.
        """
        _check(body, _COLONS, 5, self.keys, "keys")
        _check(body, _BRACKETS, 2, self.groups, "lists and objects")
        _check(body, _COMMAS, 2, self.values, "values")
        if _has_long_numbers(body):
            raise InvalidInput(f"the body holds numbers of more than {_LONG_NUMBER} digits")


def _lists(feature: Feature) -> int:
    """In how many lists one value of a feature comes at most: nested as its shape says, or alone in one."""
    if not feature.shape:
        return 1
    return sum(prod(feature.shape[:depth]) for depth in range(len(feature.shape))) or 1


def _check(body: bytes, marks: bytes, size: int, most: int, what: str) -> None:
    """Refuse a body that has more marks than that; each takes `size` bytes with what belongs to it."""
    if len(body) <= size * most or not has_more(body, marks, most):
        return
    if has_more(body, marks, most, outside_texts=True):
        if marks == _BRACKETS and _DEEP in body:
            raise InvalidInput("the body is nested too deeply")
        raise InvalidInput(f"the body holds more than {most} {what}: send fewer rows at a time")


def _has_long_numbers(body: bytes) -> bool:
    """Whether a long body is next to nothing but those, which take the square of their length to read."""
    if len(body) < _LONG or has_more(body, _COMMAS, len(body) // _LONG_NUMBER):
        return False
    return 2 * len(body.translate(None, _DIGITS)) < len(body)


def has_more(body: bytes, marks: bytes, most: int, *, outside_texts: bool = False) -> bool:
    """Whether JSON has more than so many of these characters, in its texts too unless they are left out."""
    if outside_texts and b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    letters = np.frombuffer(body, np.uint8)
    found, inside = 0, np.uint8(0)
    for start in range(0, len(letters), _PIECE):
        piece = letters[start : start + _PIECE]
        if outside_texts:
            quotes = np.add.accumulate(piece == _QUOTE, dtype=np.uint8) + inside
            inside, piece = quotes[-1] & 1, piece[(quotes & 1) == 0]
        found += sum(int(np.count_nonzero(piece == mark)) for mark in marks)
        if found > most:
            return True
    return False
