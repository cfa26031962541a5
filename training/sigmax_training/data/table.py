"""A CSV file as a data set: a header, numbers, and one target column.

Read by the standard library, strictly: a cell that is no number is an error with its line and column, never a
missing value that somebody guessed.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data.dataset import Dataset, assemble


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


@dataclass(slots=True)
class _Rows:
    """What has been read so far, and what was wrong with it."""

    numbers: list[list[float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def problem(self, subject: str, text: str) -> None:
        self.problems.setdefault(subject, []).append(text)


def load(path: Path, target: str) -> Dataset:
    """Read a CSV file in UTF-8, with or without a byte-order mark.

    Args:
        path: the file; its first line names the columns.
        target: the column that holds the class.

    Raises:
        InvalidInput: naming everything that is wrong, with line and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _load(csv.reader(file, strict=True), path.name, target)
    except OSError as error:
        raise InvalidInput(f"data {quoted(path.name)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"data {quoted(path.name)} is not UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise InvalidInput(f"data {quoted(path.name)} is not CSV: {error}") from error


def _load(reader: Reader, name: str, target: str) -> Dataset:
    header = next(reader, None)
    if not header:
        raise InvalidInput(f"data {quoted(name)} is empty: a header and rows are needed")
    columns = [column.strip() for column in header]
    _check_header(columns, target)
    rows = _read(reader, columns, columns.index(target))
    if rows.problems:
        raise InvalidInput(listed(_bounded(rows.problems)))
    if not rows.labels:
        raise InvalidInput(f"data {quoted(name)} has a header and no rows")
    labels, classes = canonical(rows.labels)
    names = [column for column in columns if column != target]
    return assemble(f"CSV {name}", np.array(rows.numbers, np.float64), names, labels, classes)


def canonical(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Labels in their canonical text, and the classes sorted by what the labels mean.

    Integers sort by value, booleans become `true` and `false`, everything else sorts as text. Digits
    that are no plain integer (`007`) are text: leading zeros may tell two classes apart.
    """
    found = set(labels)
    if all(label.casefold() in ("true", "false") for label in found):
        texts = [label.casefold() for label in labels]
        return texts, sorted(set(texts))
    if all(_is_integer(label) for label in found):
        return list(labels), sorted(found, key=int)
    return list(labels), sorted(found)


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 20 and str(int(text)) == text


def _check_header(columns: Sequence[str], target: str) -> None:
    problems = [f"column {number} has no name" for number, name in enumerate(columns, 1) if name == ""]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    problems += [f"column {quoted(name)} stands {columns.count(name)} times" for name in twice]
    if target not in columns:
        problems.append(f"there is no target column {quoted(target)}{nearest(target, columns)}")
    elif len(columns) == 1:
        problems.append(f"there is no feature beside the target {quoted(target)}")
    if problems:
        raise InvalidInput(listed(problems))


def _read(reader: Reader, columns: Sequence[str], target: int) -> _Rows:
    rows = _Rows()
    for cells in reader:
        if not cells:
            continue
        line = reader.line_num
        if len(cells) != len(columns):
            rows.problem("", f"line {line} has {len(cells)} cells, the header has {len(columns)}")
            continue
        label = cells[target].strip()
        if not label:
            rows.problem(
                columns[target], f"line {line}, target {quoted(columns[target])}: the label is empty"
            )
        rows.labels.append(label)
        rows.numbers.append(_numbers(cells, columns, target, line, rows))
    return rows


def _numbers(cells: list[str], columns: Sequence[str], target: int, line: int, rows: _Rows) -> list[float]:
    numbers = []
    for index, cell in enumerate(cells):
        if index == target:
            continue
        number = _number(cell)
        if number is None:
            text = (
                "the cell is empty" if not cell.strip() else f"{quoted(cell.strip())} is not a finite number"
            )
            rows.problem(columns[index], f"line {line}, column {quoted(columns[index])}: {text}")
        else:
            numbers.append(number)
    return numbers


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in cell else None


def _bounded(problems: dict[str, list[str]]) -> list[str]:
    """The first problems of each column, then how many more it has."""

    def texts(subject: str, found: Sequence[str]) -> Iterable[str]:
        yield from found[:_SHOWN_PER_COLUMN]
        more = len(found) - _SHOWN_PER_COLUMN
        if more > 0:
            yield f"{more} more in column {quoted(subject)}" if subject else f"{more} more such lines"

    return [text for subject, found in problems.items() for text in texts(subject, found)]
