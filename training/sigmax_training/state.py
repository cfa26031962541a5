"""A training's state as bytes: arrays by name, without pickle, so that reading one can run nothing.

What the arrays mean is for `steps` and `course` to say; where the bytes lie is left to others.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]

FORMAT = 1
"""Of the bytes and of what the names mean; a state of another format is not read."""

_FORMAT_NAME = "format"


def to_bytes(arrays: Arrays) -> bytes:
    """Arrays of numbers, bit for bit, their types and their order in memory included.

    Args:
        arrays: by name; none is named "format".
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_FORMAT_NAME: np.int64(FORMAT)}, **arrays)
    return buffer.getvalue()


def from_bytes(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays again.

    Raises:
        ValueError: these are no arrays, they are damaged, or they have another format.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            found = int(arrays.pop(_FORMAT_NAME))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError("the state is damaged") from error
    if found != FORMAT:
        raise ValueError(f"the state has format {found}, this version reads {FORMAT}")
    return arrays


def within(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """The same arrays, each name behind "prefix/": several states in one."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def of(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """What `within` has put behind this prefix."""
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def in_order(name: str, arrays: Arrays) -> list[npt.NDArray[Any]]:
    """The arrays `name/0`, `name/1`, … as a list of copies that nobody else changes."""
    found = of(name, arrays)
    return [found[str(place)].copy() for place in range(len(found))]


def numbered(name: str, arrays: list[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """A list of arrays by name and place, as `in_order` reads it."""
    return {f"{name}/{place}": array for place, array in enumerate(arrays)}
