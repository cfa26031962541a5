"""Rows that a caller holds: a pandas or Polars frame, an Arrow table, or what exports itself to Arrow."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from sigmax.errors import InvalidInput, listed, quoted

_CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)


def table_of(given: Any, ignored: Collection[str] = ()) -> pa.Table:
    """The rows as an Arrow table; a pandas index is no column, and a NaN of pandas is a missing value.

    Args:
        given: the rows.
        ignored: columns of a frame that nobody reads, whatever they hold.

    Raises:
        InvalidInput: they are no table, or a column mixes types; naming column, row and value.
    """
    if isinstance(given, pa.Table):
        return given
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    if _is_pandas(given):
        return _of_pandas(given, ignored)
    if hasattr(given, "__arrow_c_stream__") and not isinstance(given, pa.ChunkedArray):
        try:
            return pa.table(given)
        except pa.ArrowException as error:
            raise _no_table(given) from error
    raise _no_table(given)


def _no_table(given: Any) -> InvalidInput:
    name = type(given).__name__
    return InvalidInput(f"the rows are a {name}: hand over a pandas or Polars DataFrame or an Arrow table")


def _is_pandas(given: Any) -> bool:
    """Whether it is a frame of pandas, or of a class that is made from it."""
    kinds = type(given).__mro__
    return hasattr(given, "columns") and any(kind.__module__.partition(".")[0] == "pandas" for kind in kinds)


def _of_pandas(frame: Any, ignored: Collection[str]) -> pa.Table:
    """Column by column, so that what one of them mixes is named."""
    names = [str(name) for name in frame.columns]
    problems = [
        f"the name of column {quoted(name)} is no text of Unicode" for name in names if not _is_unicode(name)
    ]
    arrays = [
        pa.nulls(len(frame)) if name in ignored else _column(name, frame.iloc[:, place], problems)
        for place, name in enumerate(names)
    ]
    if problems:
        raise InvalidInput(listed(problems))
    return pa.Table.from_arrays(arrays, names)


def _column(name: str, series: Any, problems: list[str]) -> pa.Array:
    if series.dtype == object and (problem := _no_scalars(name, series.tolist())):
        problems.append(problem)
        return pa.nulls(len(series))
    dense = series.sparse.to_dense() if hasattr(series, "sparse") else series
    try:
        found = pa.array(dense, from_pandas=True)
    except UnicodeEncodeError:
        problems.append(_no_text(name, series.tolist()))
        return pa.nulls(len(series))
    except (pa.ArrowException, OverflowError) as error:
        problems.append(_mixed(name, series.tolist(), error))
        return pa.nulls(len(series))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _no_scalars(name: str, values: list[Any]) -> str:
    """What Arrow 26 reads as memory that is not there: moments of NumPy beside its numbers, also in lists."""
    kinds = set(map(type, values))
    numpy = [kind for kind in kinds if issubclass(kind, np.generic)]
    if np.datetime64 in numpy and len(numpy) > 1:
        return _mixed(name, values, TypeError("moments beside numbers"))
    if not any(issubclass(kind, _CONTAINERS) for kind in kinds):
        return ""
    row = next(row for row, value in enumerate(values) if isinstance(value, _CONTAINERS))
    return (
        f"row {row}, column {quoted(name)} holds a {type(values[row]).__name__}, which is no value: "
        "name it in data.ignore, or give numbers or texts"
    )


def _mixed(name: str, values: list[Any], error: Exception) -> str:
    """Which row holds another type than the first one with a value."""
    there = [(row, value) for row, value in enumerate(values) if not _nothing(value)]
    first = there[0] if there else (0, None)
    for row, value in there:
        if type(value) is not type(first[1]):
            return (
                f"column {quoted(name)} mixes types: row {first[0]} holds {quoted(first[1])} "
                f"({type(first[1]).__name__}), row {row} holds {quoted(value)} ({type(value).__name__}): "
                "make them all numbers or all texts"
            )
    return f"column {quoted(name)} has no values of a table: {_first_line(error)}"


def _no_text(name: str, values: list[Any]) -> str:
    """Which row holds half of a character (a lone surrogate), of which no text is made."""
    row = next(row for row, value in enumerate(values) if isinstance(value, str) and not _is_unicode(value))
    return f"row {row}, column {quoted(name)}: {quoted(values[row])} is no text of Unicode: correct it"


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
