"""Which number stands for which value of one boolean or category feature: a table, made once a model.

Texts are compared exactly, after NFC normalisation: case and spaces matter, how a letter is composed does
not. An empty text is a missing value, as an empty cell of a table is. What to say of a value that has no
number is not known here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from types import NoneType
from typing import Any

import numpy as np

from sigmax.contract import Feature, Kind, Missing

EXACT_FLOAT = 2**53
"""Beyond this a whole float64 may have been another integer before it was one."""

_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_INT64 = np.iinfo(np.int64)
_WORDS = {True: "true", False: "false", "true": "true", "false": "false"}
_TYPES = {
    "int64": frozenset({int, float, str, NoneType}),
    "bool": frozenset({bool, str, NoneType}),
}


def canonical(value: Any) -> str:
    """The canonical text of a category, as it stands in a vocabulary.

    Args:
        value: an integer (decimal: `7`), a whole float (the same), a boolean (`true`, `false`), or a text (as
            it is, in NFC); numpy's scalars as Python's own.

    Raises:
        ValueError: anything else, a number that is not whole among it.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, str):
        return unicodedata.normalize("NFC", plain)
    text = _WORDS[plain] if isinstance(plain, bool) else _integer(plain)
    if text is None:
        raise ValueError(f"{value!r} is no category: expected a text, a whole number or a boolean")
    return text


def category(dtype: str, value: Any) -> str | None:
    """The canonical text of what a caller sent for a category of `dtype`; None if it is of another type.

    A missing value is of another type, too; of texts for integers only canonical decimals are of theirs.
    """
    if dtype == "string":
        return unicodedata.normalize("NFC", value) if type(value) is str and value else None
    if dtype == "bool":
        return _WORDS.get(value) if type(value) in (bool, str) else None
    if type(value) is str:
        return value if _DECIMAL.fullmatch(value) and _INT64.min <= int(value) <= _INT64.max else None
    return _integer(value)


def _integer(value: Any) -> str | None:
    """A whole number of 64 bits in decimal; a float only where it cannot have been another integer."""
    if type(value) is float and abs(value) <= EXACT_FLOAT and value.is_integer():
        return str(int(value))
    return str(value) if type(value) is int and _INT64.min <= value <= _INT64.max else None


class Codes:
    """The numbers of a boolean or category feature.

    A boolean is 1 or 0 and, where it may be missing, NaN, here None. A category is its position in the
    vocabulary; missing and unknown ones have the codes that the feature says.
    """

    __slots__ = ("_table", "_types")

    def __init__(self, feature: Feature) -> None:
        boolean = feature.kind is Kind.BOOLEAN
        self._table = _boolean(feature) if boolean else _categories(feature)
        # True, 1 and 1.0 are one key of a table: where they differ the types are asked first
        self._types = None if boolean else _TYPES.get(feature.dtype)

    def look_up(self, values: Sequence[Any]) -> list[float | None] | None:
        """The numbers of a column of values; None if any of them has none."""
        if self._types is not None:
            types = set(map(type, values))
            if not types <= self._types or (float in types and not _exact(values)):
                return None
        try:
            return list(map(self._table.__getitem__, values))
        except (KeyError, TypeError):  # unknown, or nothing that can be looked up: a list, an object
            return None


class _Table(dict[Any, float | None]):
    """Codes by value as values mostly come; another form of a known one, and unknown ones, are found, too."""

    __slots__ = ("_dtype", "_unknown")

    def __init__(
        self, codes: dict[Any, float | None], dtype: str | None = None, unknown: int | None = None
    ) -> None:
        super().__init__(codes)
        self._dtype = dtype
        self._unknown = None if unknown is None else float(unknown)

    def __missing__(self, value: Any) -> float | None:
        text = None if self._dtype is None else category(self._dtype, value)
        if text is not None:
            if text in self:
                return self[text]
            if self._unknown is not None:
                return self._unknown
        raise KeyError(value)


def _boolean(feature: Feature) -> _Table:
    codes: dict[Any, float | None] = {True: 1.0, False: 0.0}
    return _Table(codes if feature.missing is Missing.REJECT else {**codes, None: None})


def _categories(feature: Feature) -> _Table:
    codes: dict[Any, float | None] = {}
    for code, text in enumerate(feature.vocabulary or ()):
        codes[text] = float(code)
        if feature.dtype == "int64":
            codes[int(text)] = float(code)
        elif feature.dtype == "bool":
            codes[text == "true"] = float(code)
    if feature.missing_code is not None:
        codes[None] = codes[""] = float(feature.missing_code)
    return _Table(codes, feature.dtype, feature.unknown_code)


def _exact(values: Sequence[Any]) -> bool:
    floats = [value for value in values if type(value) is float]
    return -EXACT_FLOAT <= min(floats) <= max(floats) <= EXACT_FLOAT
