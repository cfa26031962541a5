"""Rows as they come out of files: some at a time, column by column, as Arrow arrays.

Text of a CSV file is text here; what it means is left to `cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

BATCH_ROWS = 8192
"""Rows at a time: of 28 columns 2 MiB, and still hundreds of microseconds of work for each call."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some rows that stand together in a file.

    Attributes:
        columns: by name, one array of n_samples values.
        rows: how many there are.
        file: the name of the file that they are from.
        where: says of a row of this batch where it stands, for messages: `line 6`, `feb.parquet, row 4`.
        problems: what is wrong with rows that are not among them, such as lines of too few cells.
    """

    columns: Mapping[str, pa.Array]
    rows: int
    file: str
    where: Callable[[int], str]
    problems: tuple[str, ...] = ()


class Piece(Protocol):
    """Rows that can be read without those before them: a file, or a part of one."""

    def batches(self, columns: Sequence[str], start: int) -> Iterator[Batch]:
        """The rows in batches of a bounded size.

        Args:
            columns: those that are wanted, all of them in the file.
            start: how many rows of the same file stand before this piece.

        Raises:
            InvalidInput: the file cannot be read, is cut off, or is no longer what it was.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A file whose columns are known.

    Attributes:
        name: what messages call it.
        columns: in the order of the file.
        pieces: in order; together they are all rows.
    """

    name: str
    columns: tuple[str, ...]
    pieces: tuple[Piece, ...]
