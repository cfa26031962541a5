"""Tensors of the protocol in their three forms: JSON, bytes, and typed contents.

Written anew from the standard and from Triton's extension, on purpose not shared with the service: a checker
that reads with the rules of what it checks finds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sigmax.conform.check import NotAsked, Unmet

BYTES = "BYTES"
DTYPES: dict[str, np.dtype[Any]] = {
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
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The datatypes of numbers, as they lie in bytes."""

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where typed contents lie; FP16 has no place among them."""

KNOWN = (*DTYPES, "BF16", BYTES)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor; `values` is flat and row-major: Python numbers or booleans, and bytes for BYTES."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: tuple[Any, ...]


def to_raw(tensor: Tensor) -> bytes:
    """The bytes of a tensor: little-endian without padding; of BYTES each behind its length."""
    if tensor.datatype == BYTES:
        return b"".join(len(value).to_bytes(4, "little") + value for value in tensor.values)
    return np.array(tensor.values, _dtype(tensor.datatype)).tobytes()


def from_raw(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """Read a tensor's bytes.

    Raises:
        Unmet: more or fewer than its shape needs.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        return Tensor(name, datatype, tuple(shape), _texts(name, raw, count))
    dtype = _dtype(datatype)
    if len(raw) != count * dtype.itemsize:
        raise Unmet(
            f"{count * dtype.itemsize} bytes for output {name!r}, {datatype} {list(shape)}",
            f"{len(raw)} bytes",
        )
    return Tensor(name, datatype, tuple(shape), tuple(np.frombuffer(raw, dtype).tolist()))


def _texts(name: str, raw: bytes, count: int) -> tuple[bytes, ...]:
    values, place = [], 0
    while place < len(raw):
        end = place + 4 + int.from_bytes(raw[place : place + 4], "little")
        values.append(raw[place + 4 : end])
        place = end
    if place != len(raw) or len(values) != count:
        raise Unmet(
            f"{count} texts behind their lengths in output {name!r}", f"{len(values)} in {len(raw)} bytes"
        )
    return tuple(values)


def to_json(tensor: Tensor, *, nested: bool = False) -> dict[str, Any]:
    """An input as the standard's JSON.

    Raises:
        NotAsked: its datatype has no form in JSON.
    """
    if tensor.datatype not in FIELDS:
        raise NotAsked(f"{tensor.datatype} has no form in JSON")
    data = [value.decode() if isinstance(value, bytes) else value for value in tensor.values]
    if nested:
        data = np.array(data, object).reshape(tensor.shape).tolist()
    return {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype, "data": data}


def from_json(name: str, datatype: str, shape: Sequence[int], data: Any) -> Tensor:
    """Read the data of an output, flat or nested.

    Raises:
        Unmet: it is not as many values as the shape says, or not of the datatype.
    """
    values = list(_flat(data))
    if len(values) != math.prod(shape):
        raise Unmet(
            f"{math.prod(shape)} values in output {name!r}, shape {list(shape)}", f"{len(values)} values"
        )
    wrong = next((value for value in values if not _fits(value, datatype)), None)
    if wrong is not None or None in values:
        raise Unmet(f"values of {datatype} in output {name!r}", repr(wrong))
    if datatype == BYTES:
        return Tensor(name, datatype, tuple(shape), tuple(value.encode() for value in values))
    return Tensor(name, datatype, tuple(shape), tuple(np.array(values, _dtype(datatype)).tolist()))


def _flat(data: Any) -> Iterator[Any]:
    for value in data:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _fits(value: Any, datatype: str) -> bool:
    if datatype == BYTES:
        return isinstance(value, str)
    if datatype == "BOOL":
        return isinstance(value, bool)
    kinds = (int, float) if datatype.startswith("FP") else (int,)
    return isinstance(value, kinds) and not isinstance(value, bool)


def cast(tensor: Tensor, datatype: str) -> Tensor:
    """The same values in another datatype of numbers.

    Raises:
        NotAsked: they are texts, or that datatype does not hold them.
    """
    if BYTES in (datatype, tensor.datatype):
        raise NotAsked("texts have no other datatype")
    given = np.array(tensor.values, _dtype(tensor.datatype))
    with np.errstate(all="ignore"):
        values = given.astype(_dtype(datatype))
    if not np.array_equal(values.astype(given.dtype), given):
        raise NotAsked(f"{datatype} does not hold the values of this request")
    return Tensor(tensor.name, datatype, tensor.shape, tuple(values.tolist()))


def _dtype(datatype: str) -> np.dtype[Any]:
    if datatype not in DTYPES:
        raise NotAsked(f"values of {datatype} are not made here")
    return DTYPES[datatype]


def agree(wanted: Sequence[Tensor], got: Sequence[Tensor], expected: str) -> None:
    """Compare two answers, whatever the order of their outputs, to the last digit.

    Args:
        wanted: the outputs of one.
        got: the outputs of the other.
        expected: what their being equal means, for the report.

    Raises:
        Unmet: naming the first difference.
    """
    there = {tensor.name: tensor for tensor in got}
    for tensor in wanted:
        other = there.get(tensor.name)
        if other is None:
            raise Unmet(f"{expected}: output {tensor.name!r}", f"outputs {sorted(there)}")
        if (other.datatype, other.shape) != (tensor.datatype, tensor.shape):
            raise Unmet(f"{expected}: {head(tensor)}", head(other))
        if other.values != tensor.values:
            raise Unmet(f"{expected}: output {tensor.name!r} {_few(tensor)}", _few(other))


def head(tensor: Tensor) -> str:
    """Name, datatype and shape."""
    return f"{tensor.name!r} {tensor.datatype} {list(tensor.shape)}"


def _few(tensor: Tensor) -> str:
    return f"{list(tensor.values[:4])}"
