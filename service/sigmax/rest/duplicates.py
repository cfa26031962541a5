"""Keys that stand twice in an object: which of the two counts, every reader may decide for itself.

Decoders keep the last and say nothing of it. Behind each key stands a colon, and colons are quickly counted:
as many as there are keys say that none came twice. Only where texts hold colons, too, more has to be done.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from sigmax.errors import InvalidInput, Problem, path, quoted, shortened
from sigmax.protocol.values import refuse_any

_COLON = ord(":")
_LONG = 8192
"""From so many bytes on numpy counts faster, which takes 3 us to begin."""

_BLOCK = 2**16
"""Bytes that numpy looks at a time: what it says of each fits into a cache, and into memory at hand."""


def colons(body: bytes) -> int:
    """How many colons there are."""
    if len(body) < _LONG:
        return body.count(b":")
    letters = np.frombuffer(body, np.uint8)
    blocks = range(0, len(letters), _BLOCK)
    return sum([int(np.count_nonzero(letters[start : start + _BLOCK] == _COLON)) for start in blocks])


def refuse_twice(body: bytes, keys: int, document: Any = None) -> None:
    """Refuse JSON that has a key twice in an object.

    Args:
        body: JSON, or what is but for NaN and Infinity.
        keys: how many keys are left in what was read of it; fewer may be said, at the price of more time.
        document: what was read of it, where that is all of it.

    Raises:
        InvalidInput: naming each such key.
    """
    found = colons(body)
    if found == keys or (document is not None and found == _written_again(body, document)):
        return
    try:
        refuse_any(_twice(json.loads(body, object_pairs_hook=_Object, parse_int=float), ()))
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except ValueError:  # of what the decoder passes over it does not look at every letter
        raise InvalidInput("the body is not JSON, in a part of it that is ignored here") from None


def _written_again(body: bytes, document: Any) -> int | None:
    """How many colons a document has that came without escapes; None if a colon may have come as one."""
    if b"\\u003" in body:
        return None
    try:
        return colons(msgspec.json.encode(document))
    except (ValueError, OverflowError, TypeError, RecursionError):  # what only a lenient reader takes
        return None


class _Object(dict[str, Any]):
    """An object that knows which of its keys came twice."""

    __slots__ = ("twice",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: list[str] = []
        if len(self) < len(pairs):
            names = Counter([name for name, _ in pairs])
            self.twice = [name for name, count in names.items() if count > 1]


def _twice(value: Any, steps: tuple[str | int, ...]) -> Iterator[Problem]:
    entries: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, _Object):
        for name in value.twice:
            yield _problem((*steps, name))
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for step, entry in entries:
        if isinstance(entry, _Object | list):
            yield from _twice(entry, (*steps, step))


def _problem(steps: tuple[str | int, ...]) -> Problem:
    match steps:
        case ("rows", int(row), str(name)):
            text = f"feature {quoted(name)} comes twice"
            return Problem(text, path(*steps), row, shortened(name), f"row {row}")
        case ("columns", str(name)):
            return Problem(f"column {quoted(name)} comes twice", path(*steps), None, shortened(name))
        case _:
            return Problem(f"key {quoted(steps[-1])} comes twice in one object", path(*steps))
