"""The training rows of a stream as a trainer takes them: in chunks, shuffled anew each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax_training.data.dataset import F64, I64
from sigmax_training.data.stream import Stream
from sigmax_training.streaming.division import TRAINING, Division
from sigmax_training.streaming.shuffling import interleaved, shuffled
from sigmax_training.streaming.survey import OnRows, Survey

_CHUNK_BYTES = 2 * 2**20
"""How much is prepared at once: it stays in the processor's cache until its steps are made."""

_ORDER, _DRAWING = range(2)
"""What an epoch draws, each by a generator of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Epochs:
    """Training rows, `minibatch.Chunks`.

    Attributes:
        stream: where the rows are.
        division: which of them are trained on.
        survey: what they are like.
        buffer: how many rows are held to be shuffled.
        batch_size: rows of a step.
        seed: of every epoch's order, with the epoch's number: nothing has to be remembered.
        on_rows: told how many rows of an epoch have been read.
    """

    stream: Stream
    division: Division
    survey: Survey
    buffer: int
    batch_size: int
    seed: int
    on_rows: OnRows

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.survey.rows[TRAINING]

    @property
    def counts(self) -> I64:
        """How many are of each class, or have each label, (n_classes,)."""
        return self.survey.counts

    @property
    def multilabel(self) -> bool:
        """Whether a row has any number of labels."""
        return self.stream.multilabel

    @property
    def taught(self) -> npt.NDArray[np.bool_]:
        """Which inputs are anything but 0 in some row, (n_inputs,)."""
        return self.survey.taught

    @property
    def chunk(self) -> int:
        """Rows of a chunk: whole batches, as many as are well prepared at once."""
        batch = min(self.batch_size, self.rows)
        fitting = min(self.buffer, _CHUNK_BYTES // (8 * self.survey.preparation.width))
        return batch * max(1, fitting // batch)

    def epoch(self, number: int) -> Iterator[tuple[F64, npt.NDArray[Any]]]:
        """All rows once, prepared, in the order of this epoch."""
        rows = self._rows(np.random.default_rng([self.seed, number, _ORDER]))
        drawing = np.random.default_rng([self.seed, number, _DRAWING])
        held = max(min(self.buffer, self.rows), self.chunk)
        for features, codes in shuffled(rows, held, self.chunk, drawing):
            yield self.survey.preparation.transform(features), codes

    def _rows(self, order: np.random.Generator) -> Iterator[tuple[F64, npt.NDArray[Any]]]:
        seen = 0
        for part in interleaved(self.stream, self.survey.lanes, order):
            training = np.flatnonzero(self.division.sides(part) == TRAINING)
            yield part.features[training], part.codes[training]
            seen += len(part.keys)
            self.on_rows(seen)
