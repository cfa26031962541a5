"""A streamed job on a Parquet file that it reads itself: `python -m benchmarks.streamed JOB FILE MODELS`."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.higgs import FEATURES, TARGET
from sigmax.contract import Feature, Kind
from sigmax_training import cli, job, pipeline, progress
from sigmax_training.data.dataset import Fill
from sigmax_training.data.stream import Part

BUFFER = 65_536
_ROWS = 8192


class ParquetRows:
    """The rows of one file as a `Stream`; each row group is a piece."""

    classes = ("0", "1")
    multilabel = False
    fills: Mapping[str, Fill] = {}
    notices = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.ParquetFile(path).metadata
        self.description, self.rows = path.name, self._metadata.num_rows
        self.pieces = self._metadata.num_row_groups
        sizes = [self._metadata.row_group(piece).num_rows for piece in range(self.pieces)]
        self._starts = np.cumsum([0, *sizes])
        self.blocks, self.sha256 = self._look()

    def _look(self) -> tuple[tuple[Feature, ...], str]:
        low, high = np.full(len(FEATURES), np.inf), np.full(len(FEATURES), -np.inf)
        digest = hashlib.sha256()
        for part in self.read(range(self.pieces)):
            low, high = (
                np.minimum(low, part.features.min(axis=0)),
                np.maximum(high, part.features.max(axis=0)),
            )
            digest.update(part.features.tobytes() + part.codes.tobytes())
        blocks = (
            Feature(name, Kind.NUMERIC, (), "float64", (float(low[j]), float(high[j])))
            for j, name in enumerate(FEATURES)
        )
        return tuple(blocks), digest.hexdigest()

    def read(self, order: Sequence[int]) -> Iterator[Part]:
        """As `Stream` has it."""
        for piece in order:
            file = pq.ParquetFile(self._path, metadata=self._metadata, pre_buffer=False, buffer_size=1 << 20)
            start = int(self._starts[piece])
            for batch in file.iter_batches(_ROWS, row_groups=[piece], use_threads=False):
                features = np.empty((batch.num_rows, len(FEATURES)))
                for column, name in enumerate(FEATURES):
                    features[:, column] = batch.column(name).to_numpy()
                keys = np.arange(start, start + batch.num_rows, dtype=np.uint64)
                yield Part(features, batch.column(TARGET).to_numpy(), keys)
                start += batch.num_rows


def main() -> None:
    """Run from the command line, as `sigmax-train run` would."""
    assert cli.cli  # what the command line imports is part of its memory
    text, path, models = sys.argv[1:]
    with progress.opened(Console(stderr=True), quiet=True, clock=time.monotonic) as report:
        settings = job.read(Path(text))
        pipeline.run_streamed(settings, ParquetRows(Path(path)), BUFFER, Path(models), report)


if __name__ == "__main__":
    main()
