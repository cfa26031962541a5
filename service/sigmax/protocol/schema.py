"""What a model takes, prepared once for reading many requests."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import INPUT, Feature, Kind, Manifest, Missing
from sigmax.protocol.codes import Codes

MAX_EXACT = {np.dtype(np.float64): 2**53, np.dtype(np.float32): 2**24}
"""Up to here every integer has a float of its own (IEEE 754: 53 and 24 bits of significand)."""

CATEGORIES = "categories"
"""The Open Inference Protocol's input for the categories of a model, which come as texts."""


class Schema:
    """The features of one model, by name and by column of the matrix.

    Attributes:
        names: block names in order.
        known: the same as a set.
        pixels: the columns of each block of 8-bit pixels.
        picture: the shape of the only block, if that is an image; else empty.
        scalar: whether each block is a single value.
        plain: whether each value is a number, or a pixel, that must be there.
        width: n_features, the width of the matrix.
        dtype: what the model computes in.
        largest: the largest finite number of that type.
        exact: the largest integer below which no integer is lost.
        whole: the columns of integers, int64 (n_integers,).
        flags: the columns of booleans, likewise.
        categories: the columns of categories.
        numbers: what takes all other columns out of the matrix.
        codes: by column, what a boolean or a category is as a number.
        optional: bool (n_features,), which columns may hold NaN, a missing value; None if none may.
        usual: (n_features,), what each column's numbers are below where they are neither missing nor
            unknown; None if no value can be either.
        numeric: the schema of all blocks but categories, itself if there are none; None if there is nothing
            but categories.
        inputs: the Open Inference Protocol's inputs by name: those numbers, and the categories.
    """

    __slots__ = (
        "categories",
        "codes",
        "dtype",
        "exact",
        "features",
        "flags",
        "inputs",
        "known",
        "largest",
        "names",
        "numbers",
        "numeric",
        "optional",
        "picture",
        "pixels",
        "plain",
        "scalar",
        "starts",
        "usual",
        "whole",
        "width",
    )

    def __init__(self, manifest: Manifest) -> None:
        self._prepare(manifest.features, np.dtype(manifest.graph.dtype.value))

    @classmethod
    def of(cls, features: Sequence[Feature], dtype: npt.DTypeLike) -> Schema:
        """The schema of features that no manifest holds, or not alone.

        Args:
            features: at least one.
            dtype: float64 or float32.
        """
        schema = cls.__new__(cls)
        schema._prepare(tuple(features), np.dtype(dtype))
        return schema

    def _prepare(self, features: tuple[Feature, ...], dtype: np.dtype[Any]) -> None:
        self.features = features
        self.names = tuple(feature.name for feature in features)
        self.known = frozenset(self.names)
        self.picture = self.features[0].shape if len(self.features) == 1 else ()
        self.scalar = all(feature.kind is not Kind.IMAGE for feature in features)
        self.width = sum(feature.size for feature in features)
        self.starts = (0, *accumulate(feature.size for feature in features))
        blocks = zip(self.starts, self.starts[1:], features, strict=False)
        self.pixels = tuple(slice(start, end) for start, end, block in blocks if block.dtype == "uint8")
        self.dtype = dtype
        self.largest = float(np.finfo(self.dtype).max)
        self.exact = MAX_EXACT[self.dtype]
        self._prepare_kinds()
        self._prepare_unusual()

    def _prepare_kinds(self) -> None:
        flags, self.categories = self._columns(Kind.BOOLEAN), self._columns(Kind.CATEGORY)
        self.whole = np.array(self._columns(Kind.INTEGER), np.int64)
        self.flags = np.array(flags, np.int64)
        self.numbers: slice | npt.NDArray[np.int64] = slice(None)
        if self.categories:
            self.numbers = np.delete(np.arange(self.width), self.categories)
        looked_up = sorted((*flags, *self.categories))
        self.codes = {column: Codes(self.feature(column)) for column in looked_up}
        numbers = [feature for feature in self.features if feature.kind is not Kind.CATEGORY]
        self.numeric: Schema | None = self
        if self.categories:
            self.numeric = Schema.of(numbers, self.dtype) if numbers else None
        self.inputs = (INPUT,) * (self.numeric is not None) + (CATEGORIES,) * bool(self.categories)

    def _prepare_unusual(self) -> None:
        lacking = [feature.missing is not Missing.REJECT for feature in self.features]
        unknown = [feature.unknown_code is not None for feature in self.features]
        optional = [
            lacks and feature.kind is not Kind.CATEGORY
            for lacks, feature in zip(lacking, self.features, strict=True)
        ]
        usual = [float(len(feature.vocabulary or ())) or math.inf for feature in self.features]
        self.optional = self._repeated(optional) if any(optional) else None
        self.usual = self._repeated(usual) if any(lacking) or any(unknown) else None
        self.plain = not (self.whole.size or self.codes or any(lacking))

    def _columns(self, kind: Kind) -> tuple[int, ...]:
        blocks = zip(self.starts, self.features, strict=False)
        return tuple(start for start, feature in blocks if feature.kind is kind)

    def _repeated(self, values: list[Any]) -> npt.NDArray[Any]:
        """One value a block to one value a column."""
        return np.repeat(values, np.diff(self.starts))

    def feature(self, column: int) -> Feature:
        """The block that a column of the matrix belongs to."""
        return self.features[bisect_right(self.starts, column) - 1]

    def column_name(self, column: int) -> str:
        """Name a column of the matrix for a message: `feature 'x'`, or `feature 'photo'[2, 0, 7]`."""
        return f"feature '{self.feature(column).name}'{self.index(column) or ''}"

    def index(self, column: int) -> list[int]:
        """Where in its block a column of the matrix is: by axis; empty of a block that is one value."""
        block = bisect_right(self.starts, column) - 1
        feature = self.features[block]
        index, offset = [], column - self.starts[block]
        for axis in range(len(feature.shape)):
            stride = math.prod(feature.shape[axis + 1 :])
            index.append(offset // stride)
            offset %= stride
        return index
