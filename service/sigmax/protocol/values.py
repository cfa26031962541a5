"""What a cell may hold, and how to say what it held instead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.errors import MAX_PROBLEMS, InvalidInput, Problem, quoted, shortened
from sigmax.protocol.places import Place, cell, in_rows
from sigmax.protocol.schema import Schema

MAX_PIXEL = 255
NOT_TAKEN = "a missing value, which this feature does not take"
_HANDFUL = 64
_FEW = 4096
_NUMBERS = frozenset({float, int})


def numbers(schema: Schema, cells: list[Any]) -> npt.NDArray[Any] | None:
    """Turn JSON values, row by row, into the features matrix.

    A decimal is rounded to the nearest number of the model's type, as the trainer's rows were; an
    integer that would change is not.

    Args:
        schema: of the model.
        cells: n_samples * n_features values.

    Returns:
        Shape (n_samples, n_features) in the model's dtype; None if any cell is not a finite number.
    """
    kinds = set(map(type, cells))
    if not kinds <= _NUMBERS:
        return None
    if int in kinds and not integers_fit(cells, schema.exact):
        return None
    exact = np.array(cells, np.float64)
    if not all_within(exact, schema.largest):
        return None
    return exact.astype(schema.dtype, copy=False).reshape(-1, schema.width)


def all_within(numbers: npt.NDArray[Any], largest: float) -> bool:
    """Whether every number is finite and none is beyond `largest`, which is more than 1.

    The sum of squares, one call, says so of a few numbers that are not huge: were one beyond, or NaN, so were
    the sum. For many numbers the library behind that call would start threads of its own.
    """
    if numbers.size <= _FEW and np.vdot(numbers, numbers) <= largest:
        return True  # as it is of no number
    return bool(-largest <= numbers.min() and numbers.max() <= largest)  # of NaN neither is true


def surely_finite(matrix: npt.NDArray[Any]) -> bool:
    """Whether one sum over a matrix shows that every number is finite; if not, each has to be asked.

    Which sum is a matter of what costs least: a handful of numbers is added up without numpy, and for many
    numbers the library behind the dot product would start threads of its own.
    """
    if matrix.size <= _HANDFUL:
        total: float = sum(matrix.ravel().tolist())
    elif matrix.size <= _FEW:
        total = float(np.vdot(matrix, matrix))
    else:
        return bool(np.isfinite(matrix.max()) and np.isfinite(matrix.min()))
    return total - total == 0


def check_pixels(schema: Schema, features: npt.NDArray[Any], place: Place = in_rows) -> None:
    """Refuse pixels that are no whole numbers from 0 to 255: scaled ones would be answered, and wrongly.

    Args:
        schema: of the model.
        features: (n_samples, n_features), finite.
        place: where the request has them.

    Raises:
        InvalidInput: naming row and pixel.
    """
    for columns in schema.pixels:
        block = features[:, columns]
        wrong = (block < 0) | (block > MAX_PIXEL) | (block != np.rint(block))
        if wrong.any():
            text = f"expected a pixel, a whole number from 0 to {MAX_PIXEL}, got "
            raise refuse(
                cell(schema, row, columns.start + column, f"{text}{block[row, column].item()!r}", place)
                for row, column in np.argwhere(wrong)[: MAX_PROBLEMS + 1].tolist()
            )


def integers_fit(cells: list[Any], limit: int) -> bool:
    """Whether no integer among numbers is beyond `limit`, below which none is lost; there is at least one."""
    # min and max ask in C; where a decimal is beyond the limit, or NaN, every integer is asked
    return -limit <= min(cells) <= max(cells) <= limit or all(
        -limit <= cell <= limit for cell in cells if type(cell) is int
    )


def problem(schema: Schema, value: Any) -> str | None:
    """Say why a JSON value is no number of this model; None if it is one."""
    kind = type(value)
    if kind is int:
        if -schema.exact <= value <= schema.exact:
            return None
        return f"expected a number, got the integer {quoted(value)}, which {schema.dtype} cannot hold exactly"
    if kind is float:
        if math.isfinite(value):
            return None if abs(value) <= schema.largest else f"{value!r} is too large for {schema.dtype}"
        return f"expected a finite number, got {value!r}"
    return f"expected a number, got {describe(value)}"


def describe(value: Any) -> str:
    """Name a JSON value in a message."""
    if value is None:
        return "null, a missing value, which this model does not take"
    if isinstance(value, bool):
        return f"the boolean {'true' if value else 'false'}"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)} values"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # protobuf has only doubles: 2 and 2.0 are said alike
    return f"the number {shortened(repr(value))}"


def check_count(count: int, max_rows: int, field: str = "rows") -> None:
    """Refuse a request of too many rows; asked before any of them is read."""
    if count > max_rows:
        raise too_many(count, max_rows, field)


def too_many(count: int, max_rows: int, field: str) -> InvalidInput:
    """The error of a request of too many rows."""
    return InvalidInput(f"{count} rows in one request, at most {max_rows} are taken", field)


def refuse(problems: Iterable[Problem]) -> InvalidInput:
    """The error that lists what is wrong, reading no further than a message holds."""
    return InvalidInput.of(list(_bounded(iter(problems))))


def refuse_any(problems: Iterable[Problem]) -> None:
    """Raise that error if there is any problem."""
    found = list(_bounded(iter(problems)))
    if found:
        raise InvalidInput.of(found)


def _bounded(problems: Iterator[Problem]) -> Iterator[Problem]:
    for count, one in enumerate(problems):
        yield one
        if count == MAX_PROBLEMS:
            return
