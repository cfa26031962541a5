"""A CSV file of rows to ask, each cell a number: strict as the trainer's tables are, without a target."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data.dataset import F64


@dataclass(frozen=True, slots=True)
class Sheet:
    """Cells by column, and the line of each row."""

    columns: dict[str, list[str]]
    lines: list[int]

    def numbers(self, names: Sequence[str], width: int) -> F64:
        """Some columns as numbers, (n_samples, width); others are passed over.

        Args:
            names: of the columns, in order.
            width: how many there have to be.

        Raises:
            InvalidInput: naming columns that are not there, and cells that are no numbers.
        """
        missing = [
            f"--data has no column {quoted(name)}{nearest(name, self.columns)}"
            for name in names
            if name not in self.columns
        ]
        if missing:
            raise InvalidInput(listed(missing))
        if len(names) != width:
            raise InvalidInput(f"--data has {len(names)} columns, the graph takes {width}")
        problems: list[str] = []
        parts = [[self._number(name, row, problems) for row in range(len(self.lines))] for name in names]
        if problems:
            raise InvalidInput(listed(problems))
        return np.array(parts, np.float64).T

    def _number(self, name: str, row: int, problems: list[str]) -> float:
        cell = self.columns[name][row]
        try:
            number = math.nan if "_" in cell else float(cell)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            where = f"--data, line {self.lines[row]}, column {quoted(name)}"
            problems.append(f"{where}: {quoted(cell)} is no finite number")
        return number


def read_sheet(path: Path) -> Sheet:
    """Read a CSV file in UTF-8 with a header.

    Raises:
        InvalidInput: it cannot be read, or a line has another number of cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise InvalidInput(f"--data cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"--data is no CSV file in UTF-8: {error}") from error
    if not header or not rows:
        raise InvalidInput("--data needs a header and rows")
    if len(set(header)) < len(header):
        raise InvalidInput("--data names a column twice in its header")
    problems = [
        f"--data, line {line}: {len(row)} cells, the header has {len(header)}"
        for line, row in rows
        if len(row) != len(header)
    ]
    if problems:
        raise InvalidInput(listed(problems))
    columns = {name: [row[index] for _, row in rows] for index, name in enumerate(header)}
    return Sheet(columns, [line for line, _ in rows])
