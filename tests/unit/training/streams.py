"""Streams of rows that are held after all: what the tests of streaming read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature
from sigmax_training.data.dataset import F64, Dataset, Fill, numeric_blocks
from sigmax_training.data.stream import Part
from sigmax_training.drawing import U64

PART = 512
"""Rows of a part."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The rows of arrays as a stream, in pieces of equal size."""

    features: F64
    codes: npt.NDArray[Any]
    classes: tuple[str, ...]
    blocks: tuple[Feature, ...]
    fills: dict[str, Fill] = field(default_factory=dict)
    times: F64 | None = None
    keys: U64 | None = None
    piece: int = 1024
    description: str = "arrays"
    sha256: str = "5" * 64
    notices: tuple[str, ...] = ()

    @property
    def multilabel(self) -> bool:
        return self.codes.ndim == 2

    @property
    def rows(self) -> int:
        return len(self.codes)

    @property
    def pieces(self) -> int:
        return -(-self.rows // self.piece)

    def read(self, order: Sequence[int]) -> Iterator[Part]:
        for number in order:
            end = min(self.rows, (number + 1) * self.piece)
            for start in range(number * self.piece, end, PART):
                some = slice(start, min(start + PART, end))
                times = None if self.times is None else self.times[some]
                numbers = np.arange(some.start, some.stop, dtype=np.uint64)
                keys = numbers if self.keys is None else self.keys[some]
                yield Part(self.features[some].copy(), self.codes[some].copy(), keys, times)


def of_dataset(dataset: Dataset, **changes: Any) -> Held:
    """A data set as a stream."""
    fills = dict(dataset.fills)
    return Held(dataset.features, dataset.codes, dataset.classes, dataset.blocks, fills, **changes)


def binary(rows: int, *, seed: int = 0, order: str = "drawn", **changes: Any) -> Held:
    """Two classes, three features, a logistic truth; `order` is "drawn", or "sorted" by class."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 3)) * (1.0, 10.0, 0.1) + (0.0, 5.0, 0.0)
    chances = 1.0 / (1.0 + np.exp(-features @ (1.0, 0.1, -10.0) + 0.2))
    codes = (rng.random(rows) < chances).astype(np.int64)
    if order == "sorted":
        by_class = np.argsort(codes, kind="stable")
        features, codes = features[by_class], codes[by_class]
    return Held(features, codes, ("no", "yes"), numeric_blocks(features, ["a", "b", "c"]), **changes)
