"""Some cells of one column, sorted out: what is missing, which are numbers, what the others are.

Text or typed, a cell means the same: the text 12 of a CSV file and the integer 12 of a Parquet file are one
number. Which kind a whole column is, is decided in `columns`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sigmax_training.data.dataset import F64

BOOLEANS = {"true": 1.0, "false": 0.0}
ZERO_ONE = {**BOOLEANS, "1": 1.0, "0": 0.0}
MOST_EXACT = 2**53

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Writing:
    """How values are written in cells.

    Attributes:
        missing: what means a missing value, beside nothing at all.
        numbers: those of them that are numbers, for columns that hold numbers.
        decimal: the sign before the fraction of a number, "." or ",".
    """

    missing: frozenset[str] = frozenset()
    numbers: tuple[float, ...] = ()
    decimal: str = "."

    @classmethod
    def of(cls, missing: Iterable[str], decimal: str = ".") -> Writing:
        """The job's `missing_values` and `decimal`."""
        known = frozenset(missing)
        plain = cls(decimal=decimal)
        numbers = (number(plain.plain(text.strip())) for text in known)
        return cls(known, tuple(value for value in numbers if value is not None), decimal)

    def plain(self, text: str) -> str:
        """A number as Python writes it; a text that is none stays one."""
        if self.decimal == ".":
            return text
        return "" if "." in text else text.replace(self.decimal, ".")


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cells of one column.

    Attributes:
        missing: (n_samples,), which have no value.
        numbers: (n_samples,) where every cell that has a value is a number, NaN where one is missing; else
            None.
        booleans: whether the cells are of a boolean type.
        texts: the cells as they are written, null at the missing ones; None of a type that is no text.
        values: the typed array where `texts` is None.
    """

    missing: Mask
    numbers: F64 | None
    booleans: bool = False
    texts: pa.Array | None = None
    values: pa.Array | None = None

    @property
    def shown(self) -> pa.Array:
        """The cells as they are written, whatever their type."""
        if self.texts is not None:
            return self.texts
        texts = pc.cast(self.values, pa.string())
        return pc.if_else(pa.array(self.missing), pa.scalar(None, pa.string()), texts)


def is_text(kind: pa.DataType) -> bool:
    """Whether a type of Arrow is text, dictionaries of texts included."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a type of Arrow is a number."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_time(kind: pa.DataType) -> bool:
    """Whether a type of Arrow is a moment or a day."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def is_known(kind: pa.DataType) -> bool:
    """Whether some column of a table may have a type: a feature, a label or a key."""
    if pa.types.is_dictionary(kind):
        return is_known(kind.value_type)
    plain = pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return bool(plain or is_text(kind) or is_number(kind) or is_time(kind))


def decoded(array: pa.Array) -> pa.Array:
    """A dictionary of numbers or booleans, as pandas makes a category of them, cell by cell."""
    kind = array.type
    return array.cast(kind.value_type) if pa.types.is_dictionary(kind) and not is_text(kind) else array


def read(array: pa.Array, writing: Writing, *, parse: bool) -> Cells:
    """Sort out some cells.

    Args:
        array: text, numbers, booleans or nothing at all.
        writing: how values are written.
        parse: texts may be numbers, as those of a CSV file may; else a text is a text.

    Raises:
        ValueError: the type is none that a feature or a label has.
    """
    kind = array.type
    if is_text(kind):
        return _texts(array.cast(pa.string()), writing, parse=parse)
    if pa.types.is_boolean(kind):
        missing = _mask(array.is_null())
        numbers = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return Cells(missing, numbers, booleans=True, values=array)
    if is_number(kind):
        numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        missing = np.isnan(numbers) | np.isin(numbers, writing.numbers)
        if missing.any():
            numbers = np.where(missing, np.nan, numbers)
        return Cells(missing, numbers, values=array)
    if pa.types.is_null(kind):
        missing = np.ones(len(array), np.bool_)
        return Cells(missing, np.full(len(array), np.nan), texts=array.cast(pa.string()))
    raise ValueError(str(kind))


def _texts(array: pa.Array, writing: Writing, *, parse: bool) -> Cells:
    trimmed = pc.utf8_trim_whitespace(array)
    nothing = pc.fill_null(pc.equal(trimmed, ""), True)
    if writing.missing:
        known = pa.array(sorted(writing.missing), pa.string())
        nothing = pc.or_(nothing, pc.or_(pc.is_in(trimmed, known), pc.is_in(array, known)))
    missing = _mask(nothing)
    there = pc.if_else(nothing, pa.scalar(None, pa.string()), array) if missing.any() else array
    values = pc.if_else(nothing, pa.scalar(None, pa.string()), trimmed)
    numbers = _numbers(values, writing) if parse else None
    return Cells(missing, numbers, texts=there)


def _numbers(trimmed: pa.Array, writing: Writing) -> F64 | None:
    """Every text as a number; None where one is none. Arrow reads what Python writes; Python reads more."""
    points = trimmed
    if writing.decimal != ".":
        if pc.any(pc.match_substring(trimmed, ".")).as_py():
            return None
        points = pc.replace_substring(trimmed, writing.decimal, ".")
    try:
        return np.asarray(points.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowInvalid:
        pass
    places = trimmed.dictionary_encode()
    found = [number(writing.plain(text)) for text in places.dictionary.to_pylist()]
    if any(value is None for value in found):
        return None
    return taken(np.array(found, np.float64), places, np.nan)


def taken(values: npt.NDArray[Any], places: pa.DictionaryArray, missing: float) -> npt.NDArray[Any]:
    """What stands for each cell, from what stands for each different one, (n_samples,)."""
    indices = places.indices
    if not indices.null_count:
        return np.asarray(values[indices.to_numpy(zero_copy_only=False)])
    padded = np.append(values, missing)
    return np.asarray(padded[pc.fill_null(indices, len(values)).to_numpy(zero_copy_only=False)])


def _mask(array: pa.Array) -> Mask:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.bool_)


def number(text: str) -> float | None:
    """What a text is as a number, infinite or NaN included; None if it is none."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def finite(text: str) -> float | None:
    """A finite number, or None."""
    found = number(text)
    return found if found is not None and math.isfinite(found) else None


def whole(text: str) -> float | None:
    """A whole number that float64 holds exactly, or None."""
    found = finite(text)
    return found if found is not None and found.is_integer() and abs(found) <= MOST_EXACT else None


def inexact(cells: Cells, numbers: F64) -> Mask | None:
    """Which whole numbers lie beyond what float64 holds exactly; None if none does.

    Of numbers with a point or an exponent nobody expects each digit, and of an identifier everybody.
    """
    large = np.flatnonzero(np.abs(numbers) >= MOST_EXACT)
    if not large.size or (cells.values is not None and not pa.types.is_integer(cells.values.type)):
        return None
    found = np.zeros(len(numbers), np.bool_)
    texts = cells.shown.take(pa.array(large)).to_pylist()
    found[large] = [_beyond(text.strip()) for text in texts]
    return found if found.any() else None


def _beyond(text: str) -> bool:
    digits = text.lstrip("+-")
    return digits.isdecimal() and (len(digits) > 40 or int(digits) > MOST_EXACT)


def boolean(text: str) -> float | None:
    """1 or 0 for true and false in any letter case, or for the digits; None for anything else."""
    return ZERO_ONE.get(text.casefold())


def first_rows(mask: Mask, most: int) -> Sequence[int]:
    """The first few rows for which something holds."""
    found: list[int] = np.flatnonzero(mask)[:most].tolist()
    return found


def microseconds(moments: pa.Array) -> npt.NDArray[np.float64]:
    """Microseconds since 1970 of moments, NaN of missing ones, (n_samples,)."""
    return np.asarray(moments.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def moment(text: str) -> float:
    """Microseconds since 1970 of a time as ISO 8601 writes it; NaN of anything else, numbers, too."""
    for zone in (None, "UTC"):  # a text with an offset is none without a zone, and the other way round
        try:
            moment = pa.array([text]).cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        return float(microseconds(moment)[0])
    return float("nan")


def is_moment(text: str) -> bool:
    """Whether a text is a day or a moment as ISO 8601 writes it."""
    return not math.isnan(moment(text.strip()))
