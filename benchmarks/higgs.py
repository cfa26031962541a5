"""Rows to train on, as many as wanted, drawn anew from a seed: 28 float32 features and two classes.

The shape is that of the HIGGS data set (Baldi, Sadowski and Whiteson 2014). The classes are drawn from a
logistic model of the features, so that the lowest log loss that anybody can reach is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

FEATURES = tuple(f"x{column}" for column in range(28))
TARGET = "signal"
BLOCK = 65_536
"""Rows that are drawn at once; a row group of the Parquet file."""

_TRUTH, _ROWS = range(2)

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows.

    Attributes:
        features: (n_samples, 28).
        chances: (n_samples,), the probability that a row was given of being a signal.
        signal: (n_samples,), 0 or 1.
    """

    features: F32
    chances: npt.NDArray[np.float64]
    signal: npt.NDArray[np.int64]

    @property
    def optimum(self) -> float:
        """The log loss of whoever knows the chances."""
        return log_loss(self.chances, self.signal)

    @property
    def table(self) -> pa.Table:
        """Columns by name."""
        columns = (np.ascontiguousarray(column) for column in self.features.T)
        return pa.table({**dict(zip(FEATURES, columns, strict=True)), TARGET: self.signal})


def log_loss(chances: npt.NDArray[Any], signal: npt.NDArray[Any]) -> float:
    """Mean of -log of the probability of what is true."""
    return float(-np.log(np.where(signal == 1, chances, 1.0 - chances)).mean())


def blocks(rows: int, seed: int) -> Iterator[Rows]:
    """So many rows in blocks; the first million of ten are the same as one million.

    Args:
        rows: how many.
        seed: two seeds give independent rows of the same model.
    """
    truth = np.random.default_rng(_TRUTH)
    mixing = np.eye(len(FEATURES)) + 0.15 * truth.normal(size=(len(FEATURES), len(FEATURES)))
    weights, offset = truth.normal(scale=0.3, size=len(FEATURES)), 0.12
    for block in range(-(-rows // BLOCK)):
        rng = np.random.default_rng([_ROWS, seed, block])
        features = (rng.standard_normal((BLOCK, len(FEATURES))) @ mixing).astype(np.float32)
        chances = 1.0 / (1.0 + np.exp(-(features @ weights + offset)))
        signal = (rng.random(BLOCK) < chances).astype(np.int64)
        kept = min(BLOCK, rows - block * BLOCK)
        yield Rows(features[:kept], chances[:kept], signal[:kept])


def held_out(rows: int, seed: int) -> Rows:
    """Rows to judge with, all at once."""
    found = list(blocks(rows, seed))
    return Rows(
        np.concatenate([block.features for block in found]),
        np.concatenate([block.chances for block in found]),
        np.concatenate([block.signal for block in found]),
    )


def write(path: Path, rows: int, seed: int) -> None:
    """Write a `.parquet` or `.csv` file, unless it is there already; never half of one under its name."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    found = (block.table for block in blocks(rows, seed))
    first = next(found)
    writer: Any = pc.CSVWriter if path.suffix == ".csv" else pq.ParquetWriter
    with writer(partial, first.schema) as file:
        file.write_table(first)
        for table in found:
            file.write_table(table)
    partial.rename(path)
