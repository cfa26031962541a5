"""A CSV file as a data set: a header, columns of numbers, booleans or categories, and the target.

Read by the standard library, strictly: a cell that is not what its column holds is an error with its line and
column, never a missing value that somebody guessed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data import columns as kinds
from sigmax_training.data.columns import Cells, Values
from sigmax_training.data.dataset import Dataset, class_problems, codes_of, label_problems
from sigmax_training.job import Column, Csv
from sigmax_training.reading import is_integer


class Reader(Protocol):
    """The part of `csv.reader` that is used."""

    @property
    def line_num(self) -> int:
        """The line of the file that was read last."""
        ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


_SHOWN_PER_COLUMN = 3
"""One text column must not hide the typing error in another one."""

_NAMED = 10
"""How many columns are named to somebody who asks for one that is not there."""


@dataclass(slots=True)
class _Table:
    """What has been read so far: cells by column, the line of each row, and what was wrong."""

    cells: dict[str, list[str]]
    lines: list[int] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def problem(self, subject: str, text: str) -> None:
        self.problems.setdefault(subject, []).append(text)


class _Target(NamedTuple):
    """The classes in column order, and what each row is."""

    classes: list[str]
    codes: npt.NDArray[Any]


def load(source: Csv) -> Dataset:
    """Read a CSV file in UTF-8, with or without a byte-order mark; its first line names the columns.

    Args:
        source: which file, which target, and what the job says of columns.

    Raises:
        InvalidInput: naming everything that is wrong, with line and column.
    """
    name = source.path.name
    try:
        with source.path.open(encoding="utf-8-sig", newline="") as file:
            return _load(csv.reader(file, strict=True), source)
    except OSError as error:
        raise InvalidInput(f"data {quoted(name)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"data {quoted(name)} is not UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise InvalidInput(f"data {quoted(name)} is not CSV: {error}") from error


def _load(reader: Reader, source: Csv) -> Dataset:
    name = source.path.name
    header = next(reader, None)
    if not header:
        raise InvalidInput(f"data {quoted(name)} is empty: a header and rows are needed")
    columns = [column.strip() for column in header]
    _check_header(columns, source)
    table = _read(reader, columns)
    if not table.lines:
        problems = _bounded(table.problems) or [f"data {quoted(name)} has a header and no rows"]
        raise InvalidInput(listed(problems))
    target = _target(table, source)
    features = [column for column in columns if column not in (*source.targets, *source.ignore)]
    read = [_column(table, column, source) for column in features]
    if table.problems:
        raise InvalidInput(listed(_bounded(table.problems)))
    problems = _target_problems(target)
    if problems:
        raise InvalidInput(listed(problems))
    return Dataset(
        description=f"CSV {name}",
        features=np.column_stack([values.numbers for values in read]),
        codes=target.codes,
        classes=tuple(target.classes),
        blocks=tuple(values.block for values in read),
        fills={values.block.name: values.fill for values in read if values.fill is not None},
    )


def _column(table: _Table, name: str, source: Csv) -> Values:
    cells = Cells(name, table.cells[name], table.lines, frozenset(source.missing_values))
    values = kinds.read(cells, source.columns.get(name, Column()), source.default)
    for text in values.problems:
        table.problem(name, text)
    return values


def _target(table: _Table, source: Csv) -> _Target:
    if source.separator is not None:
        return _separated(table.cells[source.targets[0]], source.separator)
    if len(source.targets) > 1:
        return _flags(table, source.targets)
    name = source.targets[0]
    labels = [cell.strip() for cell in table.cells[name]]
    for label, line in zip(labels, table.lines, strict=True):
        if not label:
            table.problem(name, f"line {line}, target {quoted(name)}: the label is empty")
    texts, classes = canonical(labels)
    return _Target(classes, codes_of(texts, classes))


def _separated(cells: Sequence[str], separator: str) -> _Target:
    """Cells of several labels each; an empty one has none."""
    rows = [[label.strip() for label in cell.split(separator) if label.strip()] for cell in cells]
    texts, classes = canonical([label for row in rows for label in row])
    truth = np.zeros((len(rows), len(classes)), np.bool_)
    given = iter(texts)
    column = {label: code for code, label in enumerate(classes)}
    for index, row in enumerate(rows):
        for _ in row:
            truth[index, column[next(given)]] = True
    return _Target(classes, truth)


def _flags(table: _Table, names: Sequence[str]) -> _Target:
    """One column of yes and no a label."""
    truth = np.zeros((len(table.lines), len(names)), np.bool_)
    for column, name in enumerate(names):
        for row, (cell, line) in enumerate(zip(table.cells[name], table.lines, strict=True)):
            flag = kinds.boolean(cell.strip())
            if flag is None:
                where = f"line {line}, target {quoted(name)}"
                table.problem(name, f"{where}: {quoted(cell.strip())} is not true, false, 1 or 0")
            truth[row, column] = flag == 1.0
    return _Target(list(names), truth)


def _target_problems(target: _Target) -> list[str]:
    if target.codes.ndim == 2:
        return label_problems(target.codes, target.classes) if target.classes else ["no row has a label"]
    return class_problems([target.classes[code] for code in target.codes.tolist()], target.classes)


def canonical(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Labels in their canonical text, and the classes sorted by what the labels mean.

    Integers sort by value, booleans become `true` and `false`, everything else sorts as text. Digits
    that are no plain integer (`007`) are text: leading zeros may tell two classes apart.
    """
    found = set(labels)
    if all(label.casefold() in ("true", "false") for label in found):
        texts = [label.casefold() for label in labels]
        return texts, sorted(set(texts))
    if all(is_integer(label) for label in found):
        return list(labels), sorted(found, key=int)
    return list(labels), sorted(found)


def _check_header(columns: Sequence[str], source: Csv) -> None:
    if len(columns) == 1 and any(sign in columns[0] for sign in ";\t|"):
        raise InvalidInput(f"the header {quoted(columns[0])} is one cell: a comma stands between cells")
    problems = [f"column {number} has no name" for number, name in enumerate(columns, 1) if name == ""]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    problems += [f"column {quoted(name)} stands {columns.count(name)} times" for name in twice]
    for what, names in (
        ("target", source.targets),
        ("ignored", source.ignore),
        ("features.columns", source.columns),
    ):
        problems += [
            f"there is no {what} column {quoted(name)}{nearest(name, columns) or _there_are(columns)}"
            for name in names
            if name not in columns
        ]
    problems += [
        f"data.ignore names the target {quoted(name)}" for name in source.targets if name in source.ignore
    ]
    apart = {*source.targets, *source.ignore}
    problems += [
        f"features.columns names {quoted(name)}, which is no feature"
        for name in source.columns
        if name in apart
    ]
    if not problems and not set(columns) - apart:
        problems.append(f"there is no feature beside the target {quoted(source.targets[0])}")
    if problems:
        raise InvalidInput(listed(problems))


def _there_are(columns: Sequence[str]) -> str:
    """Name the columns, the first of many."""
    more = ", …" if len(columns) > _NAMED else ""
    return f"; there are {', '.join(map(quoted, columns[:_NAMED]))}{more}"


def _read(reader: Reader, columns: Sequence[str]) -> _Table:
    table = _Table({name: [] for name in columns})
    for cells in reader:
        if not cells:
            continue
        line = reader.line_num
        if len(cells) != len(columns):
            table.problem("", f"line {line} has {len(cells)} cells, the header has {len(columns)}")
            continue
        table.lines.append(line)
        for name, cell in zip(columns, cells, strict=True):
            table.cells[name].append(cell)
    return table


def _bounded(problems: dict[str, list[str]]) -> list[str]:
    """The first problems of each column, then how many more it has."""

    def texts(subject: str, found: Sequence[str]) -> Iterable[str]:
        yield from found[:_SHOWN_PER_COLUMN]
        more = len(found) - _SHOWN_PER_COLUMN
        if more > 0:
            yield f"{more} more in column {quoted(subject)}" if subject else f"{more} more such lines"

    return [text for subject, found in problems.items() for text in texts(subject, found)]
