"""What a model takes, prepared once for reading many requests."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate

import numpy as np

from sigmax.contract import Feature, Kind, Manifest

MAX_EXACT = {np.dtype(np.float64): 2**53, np.dtype(np.float32): 2**24}
"""Up to here every integer has a float of its own (IEEE 754: 53 and 24 bits of significand)."""


class Schema:
    """The features of one model, by name and by column of the matrix.

    Attributes:
        names: block names in order.
        known: the same as a set.
        pixels: the columns of each block of 8-bit pixels.
        scalar: whether each block is a single number.
        width: n_features, the width of the matrix.
        dtype: what the model computes in.
        largest: the largest finite number of that type.
        exact: the largest integer below which no integer is lost.
    """

    __slots__ = (
        "dtype",
        "exact",
        "features",
        "known",
        "largest",
        "names",
        "pixels",
        "scalar",
        "starts",
        "width",
    )

    def __init__(self, manifest: Manifest) -> None:
        self.features: tuple[Feature, ...] = manifest.features
        self.names = tuple(feature.name for feature in manifest.features)
        self.known = frozenset(self.names)
        self.scalar = all(feature.kind is Kind.NUMERIC for feature in manifest.features)
        self.width = manifest.n_features
        self.starts = (0, *accumulate(feature.size for feature in manifest.features))
        blocks = zip(self.starts, self.starts[1:], self.features, strict=False)
        self.pixels = tuple(slice(start, end) for start, end, block in blocks if block.dtype == "uint8")
        self.dtype = np.dtype(manifest.graph.dtype.value)
        self.largest = float(np.finfo(self.dtype).max)
        self.exact = MAX_EXACT[self.dtype]

    def column_name(self, column: int) -> str:
        """Name a column of the matrix for a message: `feature 'x'`, or `feature 'photo'[2, 0, 7]`."""
        block = bisect_right(self.starts, column) - 1
        feature = self.features[block]
        if feature.shape == ():
            return f"feature '{feature.name}'"
        index, offset = [], column - self.starts[block]
        for axis in range(len(feature.shape)):
            stride = math.prod(feature.shape[axis + 1 :])
            index.append(offset // stride)
            offset %= stride
        return f"feature '{feature.name}'{index}"
