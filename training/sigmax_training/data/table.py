"""A table as a data set: looked through once, with everything that is wrong, then encoded or streamed.

Files of any format come as Arrow batches; a cell that is not what its column holds is an error with its
place, never a missing value that somebody guessed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sigmax.contract import Feature
from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data import columnar, csvs, files, frames
from sigmax_training.data.batches import Batch, Opened, Piece
from sigmax_training.data.cells import Absent
from sigmax_training.data.columns import SHOWN, Known, Profile, problems_of
from sigmax_training.data.dataset import Dataset, Fill
from sigmax_training.data.files import File
from sigmax_training.data.held import By, Held, Key, Order
from sigmax_training.data.sample import Sample
from sigmax_training.data.stream import Part
from sigmax_training.data.suspicions import suspicions
from sigmax_training.data.target import OneClass, Target, target
from sigmax_training.drawing import keys_of_integers
from sigmax_training.job import Column, Format, Tabular

_NAMED = 10
"""How many columns are named to somebody who asks for one that is not there."""


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
        notices: what a person should look at, though nothing is wrong.
    """

    source: Tabular
    description: str
    files: tuple[File, ...]
    columns: tuple[Known, ...]
    target: Target
    held: Held | None
    pieces: tuple[Placed, ...]
    notices: tuple[str, ...]

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
        notices=(*survey.notices, *suspicions(features, truth, blocks, frozenset(source.columns))),
    )


def opened(source: Tabular, by: By | None = None, given: Any = None) -> Streamed:
    """Look through a table without holding it, to be read again and again.

    Args:
        source: as of `load`.
        by: likewise.
        given: likewise.

    Raises:
        InvalidInput: naming everything that is wrong.
    """
    return Streamed(look(source, by, given))


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """A table that is read in pieces, as often as it is needed; what `stream.Stream` promises."""

    survey: Survey

    @property
    def description(self) -> str:
        """Where the rows come from, for people."""
        return self.survey.description

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels in column order."""
        return self.survey.target.labels()

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
    def notices(self) -> tuple[str, ...]:
        """What a person should look at, though nothing is wrong."""
        return self.survey.notices

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
                yield self.survey.part(batch, placed.start + rows)
                rows += batch.rows
            if rows != placed.rows:
                raise InvalidInput("the data has changed since the job began: run the job again")


def _parts(survey: Survey, kept: list[Batch]) -> Iterator[Part]:
    """The kept batches encoded one by one, each let go when it was."""
    start = 0
    kept.reverse()
    while kept:
        batch = kept.pop()
        yield survey.part(batch, start)
        start += batch.rows


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
    try:
        return _look(source, by, _opened(source, found, given, strict=False), found, kept)
    except csvs.Refused:
        if kept is not None:
            kept.clear()
        return _look(source, by, _opened(source, found, given, strict=True), found, kept)


def _opened(source: Tabular, found: Sequence[File], given: Any, *, strict: bool) -> list[Opened]:
    if given is not None:
        return [columnar.open_table(frames.table_of(given), "the rows")]
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


def _look(
    source: Tabular,
    by: By | None,
    opened: Sequence[Opened],
    found: tuple[File, ...],
    kept: list[Batch] | None,
) -> Survey:
    held = None if by is None else by.unread()
    features = _check_columns(opened, source, held)
    absent = Absent.of(source.missing_values)
    parse = bool(found) and found[0].format is Format.CSV
    profiles = [
        Profile(name, source.columns.get(name, Column()), source.default, absent, parse=parse)
        for name in features
    ]
    truth, lines = target(source), _Lines()
    sample = Sample() if kept is None else None
    pieces: list[Placed] = []
    names = _names(features, source, held)
    for batch in _read(opened, names, pieces):
        lines.add(batch.problems)
        truth.see(batch.columns, batch)
        if held is not None:
            held.see(batch.columns, batch)
        for name, profile in zip(features, profiles, strict=True):
            profile.see(batch.columns[name], batch)
        if kept is not None:
            kept.append(batch)
        elif sample is not None:
            sample.add(batch)
    if not any(placed.rows for placed in pieces):
        name = "the table" if not found else f"data {quoted(found[0].name)}"
        raise InvalidInput(listed(lines.problems() or [f"{name} has a header and no rows"]))
    known = [profile.known() for profile in profiles]
    problems = [
        *lines.problems(),
        *truth.problems(),
        *(held.problems() if held is not None else ()),
        *problems_of(known),
    ]
    if problems:
        raise InvalidInput(listed(problems))
    columns = tuple(column for column in known if isinstance(column, Known))
    survey = Survey(source, _description(found), found, columns, truth, held, tuple(pieces), ())
    return survey if sample is None else _suspected(survey, sample)


def _suspected(survey: Survey, sample: Sample) -> Survey:
    """The same with what a sample of its rows makes a person look at."""
    rows, count = sample.rows()
    blocks = tuple(known.block for known in survey.columns)
    features, codes = survey.encode(rows, count), survey.target.encode(rows)
    notices = suspicions(features, codes, blocks, frozenset(survey.source.columns))
    return replace(survey, notices=notices)


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


def _check_columns(opened: Sequence[Opened], source: Tabular, held: Held | None) -> list[str]:
    """The names of the features, in the first file's order.

    Raises:
        InvalidInput: naming every column that is missing, doubled or without a name, and files that differ.
    """
    first = opened[0]
    problems = [text for file in opened for text in _badly_named(file, alone=len(opened) == 1)]
    problems += [text for file in opened[1:] for text in _differences(first, file)]
    problems += _not_there(first.columns, source, held)
    apart = {*source.targets, *source.ignore, *((held.column,) if held is not None else ())}
    features = [name for name in first.columns if name not in apart]
    if not problems and not features:
        problems.append(f"there is no feature beside the target {quoted(source.targets[0])}")
    if problems:
        raise InvalidInput(listed(problems))
    return features


def _badly_named(file: Opened, *, alone: bool) -> Iterator[str]:
    where = "" if alone else f"{file.name}: "
    for number, name in enumerate(file.columns, 1):
        if name == "":
            yield f"{where}column {number} has no name"
    for name in sorted({name for name in file.columns if name and file.columns.count(name) > 1}):
        yield f"{where}column {quoted(name)} stands {file.columns.count(name)} times"


def _differences(first: Opened, other: Opened) -> Iterator[str]:
    for name in first.columns:
        if name not in other.columns:
            hint = nearest(name, other.columns)
            yield f"{other.name} has no column {quoted(name)}, which {first.name} has{hint}"
    for name in other.columns:
        if name not in first.columns:
            yield f"{other.name} has a column {quoted(name)}, which {first.name} has not"


def _not_there(columns: Sequence[str], source: Tabular, held: Held | None) -> list[str]:
    key = () if held is None else (held.column,)
    wanted = (
        ("target", source.targets),
        ("ignored", source.ignore),
        ("features.columns", source.columns),
        ("evaluation.key", key),
    )
    problems = [
        f"there is no {what} column {quoted(name)}{nearest(name, columns) or _there_are(columns)}"
        for what, names in wanted
        for name in names
        if name not in columns
    ]
    for what, names in (("data.ignore", source.ignore), ("evaluation.key", key)):
        problems += [f"{what} names the target {quoted(name)}" for name in source.targets if name in names]
    apart = {*source.targets, *source.ignore, *key}
    problems += [
        f"features.columns names {quoted(name)}, which is no feature"
        for name in source.columns
        if name in apart
    ]
    return problems


def _there_are(columns: Sequence[str]) -> str:
    """Name the columns, the first of many."""
    more = ", …" if len(columns) > _NAMED else ""
    return f"; there are {', '.join(map(quoted, columns[:_NAMED]))}{more}"
