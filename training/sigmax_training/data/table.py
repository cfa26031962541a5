"""A table as a data set: looked through, then encoded into memory, or read again in every epoch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature
from sigmax.errors import InvalidInput
from sigmax_training.data.batches import Batch
from sigmax_training.data.dataset import Dataset, Fill, in_order, moved
from sigmax_training.data.held import By
from sigmax_training.data.look import Survey, look
from sigmax_training.data.stream import Part
from sigmax_training.data.suspicions import suspicions, told
from sigmax_training.data.target import OneClass
from sigmax_training.job import Tabular
from sigmax_training.memory import give_back


def load(source: Tabular, by: By | None = None, given: Any = None) -> Dataset:
    """Read a table into memory.

    Args:
        source: which files, which target, and what the job says of columns.
        by: the column by which rows are divided, if there is one.
        given: the rows themselves, where the source names no files: a pandas or Polars frame, an Arrow table.

    Raises:
        InvalidInput: naming everything that is wrong, each with its place and the remedy.
    """
    kept: list[Batch] = []
    survey = look(source, by, given, kept)
    parts = _parts(survey, kept)
    features = np.empty((survey.rows, len(survey.columns)))
    codes: list[npt.NDArray[Any]] = []
    keys: list[npt.NDArray[Any]] = []
    start = 0
    for part in parts:
        features[start : start + len(part.features)] = part.features
        codes.append(part.codes)
        keys.append(part.keys if part.times is None else part.times)
        start += len(part.features)
    order = np.concatenate(keys)
    blocks = tuple(known.block for known in survey.columns)
    truth = np.concatenate(codes)
    return Dataset(
        description=survey.description,
        features=features,
        codes=truth,
        classes=survey.target.labels(),
        blocks=blocks,
        fills={known.block.name: known.fill for known in survey.columns if known.fill is not None},
        groups=order if by is not None and not by.times else None,
        times=order if by is not None and by.times else None,
        notices=told(suspicions(features, truth, blocks, frozenset(source.columns))),
    )


def opened(
    source: Tabular, by: By | None = None, given: Any = None, classes: tuple[str, ...] | None = None
) -> Streamed:
    """Look through a table without holding it, to be read again and again.

    Args:
        source: as of `load`.
        by: likewise.
        given: likewise.
        classes: the labels in column order; None for their own.

    Raises:
        InvalidInput: naming everything that is wrong.
    """
    survey = look(source, by, given)
    give_back()
    there = survey.target.labels()
    return Streamed(survey, there if classes is None else in_order(there, classes))


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """A table that is read in pieces, as often as it is needed; what `stream.Stream` promises."""

    survey: Survey
    classes: tuple[str, ...]

    @property
    def description(self) -> str:
        """Where the rows come from, for people."""
        return self.survey.description

    @property
    def multilabel(self) -> bool:
        """Whether a row has any number of labels instead of one class."""
        return not isinstance(self.survey.target, OneClass)

    @property
    def blocks(self) -> tuple[Feature, ...]:
        """What the columns are."""
        return tuple(known.block for known in self.survey.columns)

    @property
    def fills(self) -> Mapping[str, Fill]:
        """By name, how the missing numbers of a column are imputed."""
        return {known.block.name: known.fill for known in self.survey.columns if known.fill is not None}

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.survey.rows

    @property
    def pieces(self) -> int:
        """How many pieces may be read in any order."""
        return len(self.survey.pieces)

    @property
    def counts(self) -> list[int]:
        """How many rows each class has, in the order of the classes."""
        found = self.survey.target.counts()
        return [found[label] for label in self.classes]

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should look at, though nothing is wrong."""
        return (*told(self.survey.suspicions), *self._order())

    def _order(self) -> list[str]:
        """Whether the rows stand by class in pieces that a buffer does not mix."""
        largest, buffer = max(placed.rows for placed in self.survey.pieces), self.survey.source.buffer
        if largest <= 2 * buffer or self.survey.target.runs > 10 * len(self.classes):
            return []
        return [
            f"the rows stand by class, and {largest:,} of them in one piece, of which the buffer mixes "
            f"{buffer:,}: shuffle the rows once, write them as Parquet with row groups of 65,536 rows, or "
            "give a larger data.buffer"
        ]

    @property
    def sha256(self) -> str:
        """A digest of the files' bytes and of what the job makes of them."""
        names = [[block.name, block.kind.value, block.vocabulary] for block in self.blocks]
        held = None if self.survey.held is None else self.survey.held.column
        found = [file.digest() for file in self.survey.files]
        document = [names, self.classes, self.survey.source.targets, held, found]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()

    def read(self, order: Sequence[int]) -> Iterator[Part]:
        """The rows of some pieces, piece after piece, in parts of a bounded size."""
        for number in order:
            placed = self.survey.pieces[number]
            rows = 0
            for batch in placed.piece.batches(self.survey.names, placed.before):
                yield self._ordered(self.survey.part(batch, placed.start + rows))
                rows += batch.rows
            if rows != placed.rows:
                raise InvalidInput("the data has changed since the job began: run the job again")

    def _ordered(self, part: Part) -> Part:
        """The same with the classes in this table's order."""
        there = self.survey.target.labels()
        return part if there == self.classes else replace(part, codes=moved(part.codes, there, self.classes))


def _parts(survey: Survey, kept: list[Batch]) -> Iterator[Part]:
    """The kept batches encoded one by one, each let go when it was."""
    start = 0
    kept.reverse()
    while kept:
        batch = kept.pop()
        yield survey.part(batch, start)
        start += batch.rows
