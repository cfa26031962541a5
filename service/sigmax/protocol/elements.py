"""The Open Inference Protocol's tensors of a model with categories: numbers in one, texts in the other.

`features` (n_samples, n_numbers) holds the columns that are no categories, in feature order; a model of
nothing but categories has none. `categories` (n_samples, n_categories) holds the others: of datatype BYTES,
an element of length 0 being a missing value, or of any integers where all of them are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sigmax.contract import INPUT
from sigmax.errors import InvalidInput, Problem, quoted
from sigmax.protocol import tensors
from sigmax.protocol.categories import problem
from sigmax.protocol.places import cell, in_categories
from sigmax.protocol.schema import CATEGORIES, Schema
from sigmax.protocol.values import refuse, refuse_any

_LENGTH_BYTES = 4
_INTEGERS = tuple(
    [name for name, dtype in tensors.DTYPES.items() if dtype.kind in "iu" and name != tensors.BF16]
)


class Tensor(NamedTuple):
    """One input as a door received it.

    Attributes:
        content: bytes as they lie in raw contents, or a flat list of values: numbers, or for BYTES texts
            (None is missing) or their UTF-8 bytes.
    """

    name: str
    datatype: str
    shape: Sequence[int]
    content: bytes | Sequence[Any]


def check_datatype(schema: Schema, datatype: str) -> None:
    """Refuse a datatype that the input `categories` of a model cannot be of."""
    known = datatypes(schema)
    if datatype not in known:
        text = f"input '{CATEGORIES}': datatype {quoted(datatype)} is not one of {', '.join(known)}"
        raise InvalidInput(text, tensors.field(CATEGORIES, "datatype"))


def datatypes(schema: Schema) -> tuple[str, ...]:
    """What the input `categories` of a model may be of."""
    whole = all(schema.feature(column).dtype == "int64" for column in schema.categories)
    return ("BYTES", *_INTEGERS) if whole else ("BYTES",)


def read(schema: Schema, given: Sequence[Tensor], max_rows: int) -> npt.NDArray[Any]:
    """Read the inputs of a model with categories into its features matrix.

    Args:
        schema: of the model.
        given: its inputs, in any order; their names and the datatype of the categories were checked.
        max_rows: more are refused.

    Raises:
        InvalidInput: naming the input, or each row and feature that is wrong.
    """
    by_name = {tensor.name: tensor for tensor in given}
    categories = by_name[CATEGORIES]
    expected = tensors.check_shape(CATEGORIES, len(schema.categories), categories.shape, max_rows)
    cells = _cells(schema, categories, expected)
    features = np.empty((categories.shape[0], schema.width), schema.dtype)
    if schema.numeric is not None:
        features[:, schema.numbers] = _numbers(schema.numeric, by_name[INPUT], len(features), max_rows)
    for place, column in enumerate(schema.categories):
        found = schema.codes[column].look_up(cells[place :: len(schema.categories)])
        if found is None:
            raise refuse(_wrong_cells(schema, cells))
        features[:, column] = found
    return features


def _numbers(schema: Schema, tensor: Tensor, rows: int, max_rows: int) -> npt.NDArray[Any]:
    raw = isinstance(tensor.content, bytes)
    read: Any = tensors.from_bytes if raw else tensors.from_values
    numbers: npt.NDArray[Any] = read(schema, tensor.datatype, tensor.shape, tensor.content, max_rows)
    if len(numbers) != rows:
        text = f"input '{INPUT}' has {len(numbers)} rows, input '{CATEGORIES}' has {rows}"
        raise InvalidInput(text, tensors.field(INPUT, "shape"))
    return numbers


def _cells(schema: Schema, tensor: Tensor, expected: int) -> list[Any]:
    """The categories row by row, as texts or as integers."""
    values: Sequence[Any] = tensor.content
    if isinstance(tensor.content, bytes):
        raw = tensor.content
        texts = tensor.datatype == "BYTES"
        values = _elements(schema, raw, expected) if texts else _integers(raw, tensor.datatype)
    if len(values) != expected:
        raise _other_count(schema, tensor.shape, expected, len(values))
    if tensor.datatype != "BYTES":
        refuse_any(_outside(schema, tensor.datatype, values))
    return _decoded(schema, values) if isinstance(values[0], bytes) else list(values)


def _integers(raw: bytes, datatype: str) -> list[int]:
    dtype = tensors.DTYPES[datatype]
    if len(raw) % dtype.itemsize:
        text = f"input '{CATEGORIES}': {len(raw)} bytes are not whole {datatype} numbers of {dtype.itemsize}"
        raise InvalidInput(text, tensors.field(CATEGORIES))
    numbers: list[int] = np.frombuffer(raw, dtype).tolist()
    return numbers


def _outside(schema: Schema, datatype: str, values: Sequence[int]) -> Iterator[Problem]:
    """Which integers are none of their datatype: JSON and fields that small ones share hold larger ones."""
    dtype: np.dtype[Any] = tensors.DTYPES[datatype]
    bounds = np.iinfo(dtype)
    low, high = int(bounds.min), int(bounds.max)
    for position, value in enumerate(values):
        if not low <= value <= high:
            yield _cell(schema, position, f"{quoted(value)} is outside {datatype}")


def _elements(schema: Schema, raw: bytes, expected: int) -> list[bytes]:
    """Take elements apart: a length of 4 bytes, little-endian, then as many bytes; one too many is enough."""
    found: list[bytes] = []
    place, size = 0, len(raw)
    while place < size and len(found) <= expected:
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(raw[place:start], "little")
        found.append(raw[start:place])
    if place > size and len(found) <= expected:
        text = f"the element is cut off, {place - size} bytes of it are not there"
        raise refuse([_cell(schema, len(found) - 1, text)])
    return found


def _decoded(schema: Schema, elements: Sequence[bytes]) -> list[str]:
    try:
        return list(map(bytes.decode, elements))
    except UnicodeDecodeError:
        raise refuse(_not_utf8(schema, elements)) from None


def _not_utf8(schema: Schema, elements: Sequence[bytes]) -> Iterator[Problem]:
    for position, element in enumerate(elements):
        try:
            element.decode()
        except UnicodeDecodeError as error:
            yield _cell(schema, position, f"expected a text in UTF-8, byte {error.start} is none")


def _other_count(schema: Schema, shape: Sequence[int], expected: int, count: int) -> InvalidInput:
    first = f"; {_where(schema, count)} is the first without one" if count < expected else ""
    given = count if count < expected else "more"
    text = f"input '{CATEGORIES}': shape {list(shape)} needs {expected} elements, got {given}{first}"
    return InvalidInput(text, tensors.field(CATEGORIES))


def _wrong_cells(schema: Schema, cells: list[Any]) -> Iterator[Problem]:
    for position, value in enumerate(cells):
        column = schema.categories[position % len(schema.categories)]
        text = problem(schema, column, value)
        if text is not None:
            yield _cell(schema, position, text)


def _cell(schema: Schema, position: int, message: str) -> Problem:
    row, place = divmod(position, len(schema.categories))
    return cell(schema, row, schema.categories[place], message, in_categories)


def _where(schema: Schema, position: int) -> str:
    row, place = divmod(position, len(schema.categories))
    return f"row {row}, {schema.column_name(schema.categories[place])}"
