"""Arrays inside JSON: base64 of little-endian bytes with a dtype and a shape, so that no digit is lost."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.errors import BundleRejected

_DTYPES = ("<f8", "<f4", "<i8", "|u1", "|b1")


def encode(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Write an array of float64, float32, int64, uint8 or bool as `{"dtype", "shape", "data"}`."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if little.dtype.str not in _DTYPES:
        raise ValueError(f"arrays of {array.dtype} have no place in a bundle")
    data = base64.b64encode(little.tobytes()).decode("ascii")
    return {"dtype": little.dtype.str, "shape": list(little.shape), "data": data}


def decode(value: Any, what: str) -> npt.NDArray[Any]:
    """Read back what `encode` wrote; the array is read-only.

    Raises:
        BundleRejected: naming `what` when type, shape and data do not fit together.
    """
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data"}:
        raise BundleRejected(f"{what} is an object of dtype, shape and data")
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if dtype not in _DTYPES:
        raise BundleRejected(f"{what}: dtype is one of {', '.join(_DTYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise BundleRejected(f"{what}: shape is a list of sizes")
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BundleRejected(f"{what}: data is not base64") from error
    kind = np.dtype(dtype)
    if len(raw) != math.prod(shape) * kind.itemsize:
        raise BundleRejected(f"{what}: {len(raw)} bytes do not fill the shape {shape}")
    try:
        return np.frombuffer(raw, kind).reshape(shape)
    except (ValueError, OverflowError) as error:  # a size of 0 beside one that no array can have
        raise BundleRejected(f"{what}: no array has the shape {shape}") from error
