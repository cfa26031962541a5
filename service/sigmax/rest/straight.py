"""JSON numbers straight into arrays, no Python object a number: the way of bodies that are right.

Whatever is unusual gives None here, and is read once more by the code that can say what is wrong. What is
given is to the bit what that code would have made of it; tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from struct import Struct
from typing import Any
from weakref import ref

import msgspec
import numpy as np
import numpy.typing as npt
import simdjson
from msgspec.structs import astuple

from sigmax.inference.catalog import Served
from sigmax.protocol.schema import Schema
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import all_within, check_pixels
from sigmax.rest.duplicates import colons

_KINDS = {"f": ("d", np.float64), "i": ("i", np.int64), "u": ("u", np.uint64)}
_KEPT_BYTES = 2**20
_MAX_NAMES = 256
_ESCAPED = re.compile(r'["\\\x00-\x1f]')  # in a name that the decoder cannot look for


class Numbers:
    """Reads arrays of numbers; not for two threads at a time."""

    __slots__ = ("_parser",)

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def read(self, data: bytes, kind: str, shape: Sequence[int]) -> npt.NDArray[Any] | None:
        """Read a flat list of numbers, or a list of rows as the shape says.

        Args:
            data: JSON, beginning with its bracket.
            kind: of numpy's types, `f`, `i` or `u`; of others nothing is read.
            shape: what nested rows have to have; a flat list may have any length but 0.

        Returns:
            All numbers in one row, float64, int64 or uint64; None for anything else.
        """
        if kind not in _KINDS:
            return None
        of_type, dtype = _KINDS[kind]
        # A parser keeps the memory of its longest text, some ten times as much.
        parser = self._parser if len(data) <= _KEPT_BYTES else simdjson.Parser()
        try:
            array = parser.parse(data)
            values = np.frombuffer(array.as_buffer(of_type=of_type), dtype)  # type: ignore[union-attr,arg-type]
            right = data.find(b"[", 1) < 0 or _has_shape(array, data, shape)
        except (ValueError, TypeError, RuntimeError, AttributeError):
            return None
        return values if right and values.size else None

    def rows(self, schema: Schema, data: bytes, max_rows: int) -> Rows | None:
        """The rows of a list of lists in feature order, of a model that takes numbers alone.

        Args:
            schema: of the model.
            data: JSON, beginning with its bracket.
            max_rows: more are left to the code that refuses them.

        Returns:
            None for anything else.

        Raises:
            InvalidInput: numbers that are no pixels.
        """
        count = data.count(b"[") - 1
        if not (schema.plain and 0 < count <= max_rows):
            return None
        exact = self.read(data, "f", (count, schema.width))
        return None if exact is None else _matrix(schema, exact)


def _has_shape(array: Any, data: bytes, shape: Sequence[int]) -> bool:
    """Whether nothing but rows of numbers are in a list: it has numbers only, so a bracket begins a list."""
    if len(shape) != 2 or len(array) != shape[0] or data.count(b"[") != shape[0] + 1:
        return False
    return all(len(row) == shape[1] for row in array)


class NamedRows:
    """Reads `{"rows": [{"feature": number, …}, …]}` of one model: every feature, nothing else.

    Args:
        schema: of the model.
        key: what stands for `rows`.
    """

    __slots__ = ("_colons", "_decoder", "_packed", "_schema")

    def __init__(self, schema: Schema, key: str = "rows") -> None:
        fields = [f"f{number}" for number in range(len(schema.names))]
        row = msgspec.defstruct(
            "Row",
            [(field, float) for field in fields],
            rename=dict(zip(fields, schema.names, strict=True)),
            forbid_unknown_fields=True,
            gc=False,
        )
        listed: Any = list[row]  # type: ignore[valid-type]
        body = msgspec.defstruct("Body", [("rows", listed)], rename={"rows": key}, forbid_unknown_fields=True)
        self._schema = schema
        self._colons = sum(1 + name.count(":") for name in schema.names)
        self._packed = Struct(f"{len(fields)}d")
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body)

    def read(self, body: bytes, max_rows: int) -> Rows | None:
        """The rows; None for any other body, and for more rows than `max_rows`.

        Raises:
            InvalidInput: numbers that are no pixels.
        """
        found = colons(body)
        if found > 1 + self._colons * max_rows:  # too many rows: not worth the time
            return None
        try:
            rows = self._decoder.decode(body).rows
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not rows or found != 1 + self._colons * len(rows):  # a key may have come twice
            return None
        return _matrix(self._schema, self._exact(rows))

    def _exact(self, rows: list[Any]) -> npt.NDArray[np.float64]:
        if len(rows) == 1:
            return np.frombuffer(self._packed.pack(*astuple(rows[0])))
        return np.array(list(chain.from_iterable(map(astuple, rows))), np.float64)


def _matrix(schema: Schema, exact: npt.NDArray[np.float64]) -> Rows | None:
    """The rows of these numbers; None if one is beyond what is exact: an integer may have lost a digit."""
    if not all_within(exact, schema.exact - 1):
        return None
    features = exact.astype(schema.dtype, copy=False).reshape(-1, schema.width)
    if schema.pixels:
        check_pixels(schema, features)
    return Rows(features)


class Models:
    """What reads the named rows of each model, kept while its version serves; it keeps no version alive.

    Args:
        key: under which they stand in the body.
    """

    __slots__ = ("_kept", "_key")

    def __init__(self, key: str = "rows") -> None:
        self._key = key
        self._kept: dict[str, tuple[ref[Served], NamedRows | None]] = {}

    def named_rows(self, served: Served) -> NamedRows | None:
        """What reads a model's named rows; None if they are not numbers alone, too many, or oddly named."""
        kept = self._kept.get(served.name)
        if kept is None or kept[0]() is not served:
            kept = self._kept[served.name] = (ref(served), _reader(served.schema, self._key))
        return kept[1]


def _reader(schema: Schema, key: str) -> NamedRows | None:
    fits = schema.plain and schema.scalar and len(schema.names) <= _MAX_NAMES
    return None if not fits or any(map(_ESCAPED.search, schema.names)) else NamedRows(schema, key)
