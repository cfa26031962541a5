"""Open Inference Protocol tensors: datatypes, shapes, bytes, and widening that never loses a value."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import INPUT
from sigmax.errors import InvalidInput, Problem, path, quoted
from sigmax.protocol.categories import check_kinds
from sigmax.protocol.places import cell, in_features
from sigmax.protocol.schema import MAX_EXACT, Schema
from sigmax.protocol.values import all_within, check_pixels, refuse, too_many

DTYPES = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The datatypes of the standard that a features matrix can come in, as they lie in raw bytes; numpy has no
BF16: its 16 bits are the upper half of an FP32."""

BF16 = "BF16"

RAW_ONLY = ("FP16", BF16)
"""Those that have no form but bytes."""

NAMES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64"}
"""The datatypes that models compute and answer in."""


def dtype_of(datatype: str) -> np.dtype[Any]:
    """The numpy type of a datatype.

    Raises:
        InvalidInput: not a datatype of numbers.
    """
    try:
        return DTYPES[datatype]
    except KeyError:
        text = f"input '{INPUT}': datatype {quoted(datatype)} is not one of {', '.join(DTYPES)}"
        raise InvalidInput(text + _meant(datatype), field(INPUT, "datatype")) from None


def _meant(datatype: str) -> str:
    """What a datatype may have been meant to be: others' names for numbers, and texts that are none."""
    if datatype == "BYTES":
        return "; send numbers as numbers, and PNG or JPEG files to :classes or PredictClasses"
    common = datatype[:60].upper().removeprefix("TYPE_").replace("FLOAT", "FP").replace("DOUBLE", "FP64")
    return f", did you mean '{common}'?" if common in DTYPES else ""


def field(name: str, *key: str) -> str:
    """The path of an input, or of one of its keys."""
    return path("inputs", name, *key)


def check_inputs(schema: Schema, names: Sequence[str]) -> None:
    """Refuse anything but exactly the inputs that a model has, in any order."""
    inputs = schema.inputs
    if tuple(names) != inputs and sorted(names) != sorted(inputs):
        which = "the inputs" if len(inputs) > 1 else "the one input"
        expected = " and ".join(f"'{name}'" for name in inputs)
        text = f"expected {which} {expected}, got {[name[:60] for name in names[:20]]}"
        raise InvalidInput(text + _each_a_feature(schema, names), "inputs")


def _each_a_feature(schema: Schema, names: Sequence[str]) -> str:
    """What to say to who sends an input for each feature; empty to others."""
    if schema.known.isdisjoint(names):
        return ""
    return "; features are columns of an input, in the order that the metadata has under 'properties'"


def matrix_shape(schema: Schema, shape: Sequence[int]) -> Sequence[int]:
    """The shape that a tensor has as the features matrix.

    Pictures may come as whoever works with them has them, (n_samples, channels, height, width): the same
    values in the same order as (n_samples, n_features). Any other shape stays what it is.
    """
    if len(shape) > 2 and shape[0] >= 0 and tuple(shape[1:]) == schema.picture:
        return shape[0], schema.width
    return shape


def check_shape(
    name: str, width: int, shape: Sequence[int], max_rows: int, block: tuple[int, ...] = ()
) -> int:
    """Check an input's shape against the model's (-1, width) and the rows that a request may hold.

    Args:
        name: of the input.
        width: of the matrix that it is.
        shape: of that matrix, as `matrix_shape` has it.
        max_rows: more are refused.
        block: that a row may have instead, for the message.

    Returns:
        How many values the tensor holds.
    """
    if len(shape) != 2 or shape[1] != width or shape[0] < 0:
        text = f"input '{name}': expected shape {_shapes(width, block)}, got {list(shape[:8])}"
        raise InvalidInput(text + _remedy(width, shape, block), field(name, "shape"))
    if shape[0] == 0:
        raise InvalidInput(f"input '{name}' is empty: send at least one row", field(name, "shape"))
    if shape[0] > max_rows:
        raise too_many(shape[0], max_rows, field(name, "shape"))
    return math.prod(shape)


def check_matrix(schema: Schema, shape: Sequence[int], max_rows: int) -> int:
    """Check the shape of the input `features`; how many values it holds."""
    return check_shape(INPUT, schema.width, matrix_shape(schema, shape), max_rows, schema.picture)


def _shapes(width: int, block: tuple[int, ...]) -> str:
    """What a shape may be, for a message."""
    return f"[-1, {width}]" + (f" or {[-1, *block]}" if block else "")


def _remedy(width: int, shape: Sequence[int], block: tuple[int, ...]) -> str:
    """What to do about a shape that is nearly right; empty if there is nothing to say."""
    if len(shape) > 1 and shape[0] < 0 and tuple(shape[1:]) in ((width,), block):
        return "; -1 stands for the number of rows: say how many there are"
    if len(shape) == 1 and shape[0] == width:
        return f"; one row is [1, {width}]"
    if block and tuple(shape[1:]) == (*block[1:], block[0]):
        return "; channels come first"
    return ""


def from_bytes(
    schema: Schema, datatype: str, shape: Sequence[int], raw: bytes, max_rows: int = sys.maxsize
) -> npt.NDArray[Any]:
    """Read little-endian, row-major bytes into the features matrix.

    Bytes that are pixels stay what they are, a quarter of the size, until the model runs.

    Raises:
        InvalidInput: wrong datatype, shape or length, or a value that the model's type cannot hold.
    """
    dtype = check_bytes(schema, datatype, shape, len(raw), max_rows)
    tensor = np.frombuffer(raw, dtype).reshape(matrix_shape(schema, shape))
    return fit(schema, _from_upper_halves(tensor) if datatype == BF16 else tensor)


def _from_upper_halves(halves: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The FP32 numbers that BF16 numbers are: the same upper 16 bits, the lower ones 0."""
    return (halves.astype("<u4") << 16).view("<f4")


def fit(schema: Schema, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A tensor as the model takes it, see `widen`; pixels stay UINT8 until they are run."""
    if tensor.dtype == np.uint8 and schema.pixels and schema.plain:
        return tensor
    return widen(schema, tensor)


def check_bytes(
    schema: Schema, datatype: str, shape: Sequence[int], size: int, max_rows: int
) -> np.dtype[Any]:
    """Check whether so many bytes are a features matrix of this datatype and shape.

    Returns:
        The datatype as numpy's.

    Raises:
        InvalidInput: wrong datatype, shape or length.
    """
    dtype = dtype_of(datatype)
    expected = check_matrix(schema, shape, max_rows) * dtype.itemsize
    if size != expected:
        text = f"input '{INPUT}': expected {expected} bytes for {datatype} {list(shape)}, got {size}"
        raise InvalidInput(text, field(INPUT))
    return dtype


def from_values(
    schema: Schema,
    datatype: str,
    shape: Sequence[int],
    values: Sequence[Any] | npt.NDArray[Any],
    max_rows: int = sys.maxsize,
) -> npt.NDArray[Any]:
    """Read a flat list of numbers, already of the right Python type, into the features matrix.

    An array instead of it is float64, or of the datatype's kind of integer and 64 bits wide.

    Raises:
        InvalidInput: wrong datatype, shape or count, a number outside the datatype, or one that the
            model's type cannot hold.
    """
    dtype = dtype_of(datatype)
    if datatype in RAW_ONLY:
        raise InvalidInput(f"input '{INPUT}': {datatype} has no form but bytes", field(INPUT, "datatype"))
    expected = check_matrix(schema, shape, max_rows)
    if len(values) != expected:
        text = f"input '{INPUT}': shape {list(shape)} needs {expected} values, got {len(values)}"
        raise InvalidInput(text, field(INPUT))
    shape = matrix_shape(schema, shape)
    if dtype.kind in "iu":
        _check_range(schema, datatype, dtype, values)
    elif dtype.kind == "f" and dtype.itemsize < 8:
        return _narrow(schema, datatype, dtype, np.asarray(values, np.float64).reshape(shape))
    return widen(schema, np.asarray(values, dtype).reshape(shape))


def widen(schema: Schema, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cast a tensor to the model's type if no value changes by it.

    Args:
        schema: of the model.
        tensor: (n_samples, n_features).

    Raises:
        InvalidInput: naming each row and feature that is not finite (NaN is a missing value where that is
            allowed), would change, or is not of its feature's kind.
    """
    if tensor.dtype == schema.dtype:
        wide = tensor
    elif tensor.dtype == np.bool_:
        wide = _flags(schema, tensor)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            wide = tensor.astype(schema.dtype)
    if not all_within(wide, schema.largest):
        good = np.isfinite(wide)
        if schema.optional is not None:
            good |= np.isnan(wide) & schema.optional
        if not good.all():
            raise refuse(_not_finite(schema, tensor, good))
    if _may_change(tensor.dtype, schema.dtype):
        kept = _kept(schema, tensor, wide)
        if not kept.all():
            raise refuse(_changed(schema, tensor, kept))
    if schema.pixels and tensor.dtype != np.uint8:
        check_pixels(schema, wide, in_features)
    if not schema.plain:
        check_kinds(schema, wide)
    return wide


def _flags(schema: Schema, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Booleans as 0 and 1: raw bytes may hold anything, and only those two are booleans."""
    held = tensor.view(np.uint8)
    if held.size and held.max() > 1:
        raise refuse(
            _cell(schema, row, column, f"byte {held[row, column]} is no BOOL: those are 0 and 1")
            for row, column in _positions(held > 1)
        )
    return held.astype(schema.dtype)


def _may_change(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether a cast can lose digits; numpy calls int64 to float64 safe, which it is up to 2**53 only."""
    if given.kind in "iu":
        return given.itemsize * 8 > MAX_EXACT[wanted].bit_length() - 1
    return given.kind == "f" and given.itemsize > wanted.itemsize


def _kept(schema: Schema, tensor: npt.NDArray[Any], wide: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if tensor.dtype.kind == "f":
        same = wide.astype(tensor.dtype) == tensor
        return np.asarray(same if schema.optional is None else same | np.isnan(wide))
    return np.asarray(
        (tensor <= schema.exact) & (tensor >= -schema.exact if tensor.dtype.kind == "i" else True)
    )


def _narrow(
    schema: Schema, datatype: str, dtype: np.dtype[Any], exact: npt.NDArray[np.float64]
) -> npt.NDArray[Any]:
    """Decimal numbers become the nearest of their datatype; too large a one is an error, not infinity."""
    inside = (np.abs(exact) <= float(np.finfo(dtype).max)) | np.isnan(exact)
    if not inside.all():
        raise refuse(
            _cell(schema, row, column, f"{float(exact[row, column])!r} is no number of {datatype}")
            for row, column in _positions(~inside)
        )
    return widen(schema, exact.astype(dtype))


def _check_range(
    schema: Schema, datatype: str, dtype: np.dtype[Any], values: Sequence[Any] | npt.NDArray[Any]
) -> None:
    bounds = np.iinfo(dtype)
    low, high = int(bounds.min), int(bounds.max)  # properties that numpy works out anew each time
    if isinstance(values, np.ndarray):
        if low <= values.min() and values.max() <= high:
            return
        values = values.tolist()
    if not low <= min(values) <= max(values) <= high:
        raise refuse(
            _cell(schema, *divmod(index, schema.width), f"{quoted(value)} is outside {datatype}")
            for index, value in enumerate(values)
            if not low <= value <= high
        )


def _cell(schema: Schema, row: int, column: int, message: str) -> Problem:
    return cell(schema, row, column, message, in_features)


def _positions(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    rows, columns = np.nonzero(mask)
    return [(int(row), int(column)) for row, column in zip(rows[:100], columns[:100], strict=True)]


def _not_finite(schema: Schema, tensor: npt.NDArray[Any], good: npt.NDArray[np.bool_]) -> list[Problem]:
    return [
        _cell(schema, row, column, _unfit(schema, tensor[row, column].item()))
        for row, column in _positions(~good)
    ]


def _unfit(schema: Schema, value: float) -> str:
    if math.isfinite(value):
        return f"{value!r} is too large for {schema.dtype}"
    return f"expected a finite number, got {value!r}"


def _changed(schema: Schema, tensor: npt.NDArray[Any], kept: npt.NDArray[np.bool_]) -> list[Problem]:
    return [
        _cell(
            schema,
            row,
            column,
            f"{tensor[row, column].item()!r} cannot be held by {schema.dtype}, which the model computes in, "
            "without changing it",
        )
        for row, column in _positions(~kept)
    ]


def to_bytes(values: npt.NDArray[Any] | list[str], *, repeated: bool = True) -> bytes:
    """Write a tensor as it lies in raw contents and binary tensors; a list of texts is of datatype BYTES.

    Args:
        values: numbers, booleans or texts.
        repeated: whether texts are few different ones, such as labels: those are kept.
    """
    if isinstance(values, list):
        return b"".join(map(_kept_element if repeated else _element, values))
    return values.tobytes()


def _element(text: str) -> bytes:
    """An element of a BYTES tensor: its length, 4 bytes little-endian, then itself."""
    value = text.encode()
    return len(value).to_bytes(4, "little") + value


_kept_element = lru_cache(maxsize=4096)(_element)
