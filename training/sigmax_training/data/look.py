"""A table looked through once: what every column is, which labels there are, everything that is wrong.

Files of any format come as Arrow batches; a cell that is not what its column holds is an error with its
place, never a missing value that somebody guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training.data import columnar, csvs, files, frames
from sigmax_training.data.batches import Batch, Opened, Piece
from sigmax_training.data.cells import Writing
from sigmax_training.data.columns import SHOWN, Impression, Known, Profile, problems_of
from sigmax_training.data.files import File
from sigmax_training.data.headers import features_of
from sigmax_training.data.held import By, Held, Key, Order
from sigmax_training.data.sample import Sample
from sigmax_training.data.stream import Part
from sigmax_training.data.suspicions import Suspicion, suspicions
from sigmax_training.data.target import Target, target
from sigmax_training.drawing import keys_of_integers
from sigmax_training.job import Column, Format, Tabular


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece, and which rows it holds.

    Attributes:
        piece: of a file.
        before: how many rows of its file stand before it.
        start: how many rows of the table stand before it.
        rows: how many it holds.
    """

    piece: Piece
    before: int
    start: int
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A table that was looked through, and in which nothing is wrong.

    Attributes:
        source: what the job says of it.
        description: where the rows come from, for people.
        files: those that it lies in; none of a table in memory.
        columns: the features in order.
        target: knows the labels.
        held: what rows are divided by, if that is a column.
        pieces: in order.
        suspicions: what a sample of the rows makes a person look at; none of a table that is held whole.
    """

    source: Tabular
    description: str
    files: tuple[File, ...]
    columns: tuple[Known, ...]
    target: Target
    held: Held | None
    pieces: tuple[Placed, ...]
    suspicions: tuple[Suspicion, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(placed.rows for placed in self.pieces)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""
        return _names([known.block.name for known in self.columns], self.source, self.held)

    def encode(self, columns: Mapping[str, pa.Array], count: int) -> npt.NDArray[np.float64]:
        """Some rows as the features matrix has them, float64 (n_samples, n_features)."""
        features = np.empty((count, len(self.columns)))
        for column, known in enumerate(self.columns):
            features[:, column] = known.encode(columns[known.block.name])
        return features

    def part(self, batch: Batch, start: int) -> Part:
        """Some rows, encoded.

        Args:
            batch: the rows.
            start: how many rows of the table stand before them.
        """
        keys, times = None, None
        if isinstance(self.held, Order):
            times = self.held.times(batch.columns)
        elif isinstance(self.held, Key):
            keys = self.held.keys(batch.columns)
        if keys is None:
            keys = keys_of_integers(np.arange(start, start + batch.rows))
        return Part(self.encode(batch.columns, batch.rows), self.target.encode(batch.columns), keys, times)


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What a table seems to be, for somebody who proposes a job.

    Attributes:
        columns: the features in order.
        target: knows the labels, and what is wrong with them.
        problems: what is wrong with lines that are no rows.
    """

    columns: tuple[Impression, ...]
    target: Target
    problems: tuple[str, ...]


def look(source: Tabular, by: By | None = None, given: Any = None, kept: list[Batch] | None = None) -> Survey:
    """Look through a table once.

    Args:
        source: as of `load`.
        by: likewise.
        given: likewise.
        kept: every batch is added to it; None where nothing is kept, and a sample is looked at closely.

    Raises:
        InvalidInput: naming everything that is wrong.
    """
    found = () if given is not None else files.find(source.paths, source.format)
    if kept is not None:
        return _passed(source, by, found, given, keep=kept.append, forget=kept.clear).survey()
    sample = Sample()
    return _suspected(
        _passed(source, by, found, given, keep=sample.add, forget=sample.clear).survey(), sample
    )


def glance(source: Tabular) -> Glance:
    """Look through a table of which nobody has said anything but the target.

    Raises:
        InvalidInput: its files cannot be read, or its columns are not there.
    """
    found = files.find(source.paths, source.format)
    return _passed(source, None, found, None, keep=lambda _: None, forget=lambda: None).glance()


def columns_of(source: Tabular) -> tuple[str, ...]:
    """The columns of a table's first file.

    Raises:
        InvalidInput: it cannot be read.
    """
    return _open(files.find(source.paths, source.format)[0], source, strict=True).columns


def _passed(
    source: Tabular,
    by: By | None,
    found: tuple[File, ...],
    given: Any,
    *,
    keep: Callable[[Batch], None],
    forget: Callable[[], None],
) -> _Passage:
    """A pass over a table; a second one, strictly, where the fast reader refuses a file."""
    try:
        passage = _Passage(source, by, found, _opened(source, found, given, strict=False))
        passage.run(keep)
    except csvs.Refused:
        forget()
        passage = _Passage(source, by, found, _opened(source, found, given, strict=True))
        passage.run(keep)
    return passage


def _opened(source: Tabular, found: Sequence[File], given: Any, *, strict: bool) -> list[Opened]:
    if given is not None:
        return [columnar.open_table(frames.table_of(given, source.ignore), "the rows")]
    return [_open(file, source, strict=strict) for file in found]


def _open(file: File, source: Tabular, *, strict: bool) -> Opened:
    if file.format is Format.CSV:
        return csvs.open_csv(file, source.dialect, strict=strict)
    return columnar.open_parquet(file) if file.format is Format.PARQUET else columnar.open_arrow(file)


@dataclass(slots=True)
class _Lines:
    """What is wrong with lines that are no rows: the first, and how many there are."""

    first: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, problems: Sequence[str]) -> None:
        self.first += problems[: SHOWN - len(self.first)]
        self.count += len(problems)

    def problems(self) -> list[str]:
        more = self.count - len(self.first)
        return [*self.first, *([f"{more} more such lines"] if more else [])]


class _Passage:
    """One pass over a table, and what was seen in it."""

    def __init__(
        self, source: Tabular, by: By | None, found: tuple[File, ...], opened: Sequence[Opened]
    ) -> None:
        self._source, self._found, self._opened = source, found, opened
        self._held = None if by is None else by.unread()
        self._features = features_of(opened, source, None if by is None else by.column)
        parse = bool(found) and found[0].format is Format.CSV
        writing = Writing.of(source.missing_values, source.dialect.decimal if parse else ".")
        self._profiles = [
            Profile(name, source.columns.get(name, Column()), source.default, writing, parse=parse)
            for name in self._features
        ]
        self._target, self._lines = target(source), _Lines()
        self._pieces: list[Placed] = []

    def run(self, keep: Callable[[Batch], None]) -> None:
        """Look at every batch.

        Raises:
            InvalidInput: there is no row.
        """
        names = _names(self._features, self._source, self._held)
        for batch in _read(self._opened, names, self._pieces):
            self._see(batch)
            keep(batch)
        if not any(placed.rows for placed in self._pieces):
            name = f"data {quoted(self._found[0].name)}" if self._found else "the table"
            raise InvalidInput(listed(self._lines.problems() or [f"{name} has a header and no rows"]))

    def _see(self, batch: Batch) -> None:
        self._lines.add(batch.problems)
        self._target.see(batch.columns, batch)
        if self._held is not None:
            self._held.see(batch.columns, batch)
        for name, profile in zip(self._features, self._profiles, strict=True):
            profile.see(batch.columns[name], batch)

    def survey(self) -> Survey:
        """The table, if nothing is wrong with it.

        Raises:
            InvalidInput: naming everything that is.
        """
        known = [profile.known() for profile in self._profiles]
        problems = [
            *self._lines.problems(),
            *self._target.problems(),
            *(self._held.problems() if self._held is not None else ()),
            *problems_of(known),
        ]
        if problems:
            raise InvalidInput(listed(problems))
        columns = tuple(column for column in known if isinstance(column, Known))
        return Survey(
            self._source,
            _description(self._found),
            self._found,
            columns,
            self._target,
            self._held,
            tuple(self._pieces),
        )

    def glance(self) -> Glance:
        """What the table seems to be, right or wrong."""
        return Glance(
            tuple(profile.impression() for profile in self._profiles),
            self._target,
            tuple(self._lines.problems()),
        )


def _suspected(survey: Survey, sample: Sample) -> Survey:
    """The same with what a sample of its rows makes a person look at."""
    blocks = tuple(known.block for known in survey.columns)
    parts = [(survey.encode(rows, count), survey.target.encode(rows)) for rows, count in sample.rows()]
    features, codes = (np.concatenate(some) for some in zip(*parts, strict=True))
    found = suspicions(features, codes, blocks, frozenset(survey.source.columns))
    return replace(survey, suspicions=found)


def _read(opened: Sequence[Opened], names: Sequence[str], pieces: list[Placed]) -> Iterator[Batch]:
    """Every batch of every piece; what each piece held is noted when it has been read."""
    start = 0
    for file in opened:
        before = 0
        for piece in file.pieces:
            rows = 0
            for batch in piece.batches(names, before):
                yield batch
                rows += batch.rows
            pieces.append(Placed(piece, before, start, rows))
            before, start = before + rows, start + rows


def _names(features: Iterable[str], source: Tabular, held: Held | None) -> tuple[str, ...]:
    return (*features, *source.targets, *((held.column,) if held is not None else ()))


def _description(found: Sequence[File]) -> str:
    if not found:
        return "rows that were handed over"
    kind = {Format.CSV: "CSV", Format.PARQUET: "Parquet", Format.ARROW: "Arrow"}[found[0].format]
    return f"{kind} {found[0].name}" if len(found) == 1 else f"{len(found)} {kind} files"
