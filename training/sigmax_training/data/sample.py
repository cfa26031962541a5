"""Some rows of a table that is not held: the same ones on every run, wherever its files are divided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sigmax_training.data import cells as cell
from sigmax_training.data.batches import Batch
from sigmax_training.drawing import keys_of_integers, shares

MOST = 20_000
_MOST_PARTS = 64
"""Of many rows each batch brings a few; a part of 28 columns takes 40 KB, however few its rows are."""

_Part = tuple[npt.NDArray[np.float64], pa.Table]


class Sample:
    """At most so many rows of those that were added: the ones whose number in the table is drawn lowest.

    Args:
        most: rows.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._seen, self._bound = most, 0, 1.0
        self._parts: list[_Part] = []

    def clear(self) -> None:
        """Forget every row: the table is read from its beginning."""
        self._seen, self._bound = 0, 1.0
        self._parts.clear()

    def add(self, batch: Batch) -> None:
        """Rows that stand behind those that were added before."""
        numbers = np.arange(self._seen, self._seen + batch.rows)
        self._seen += batch.rows
        drawn = shares(keys_of_integers(numbers), 0, "sample")
        chosen = drawn < self._bound
        if chosen.any():
            kept = {name: _kept(array) for name, array in batch.columns.items()}
            rows = pa.Table.from_arrays(list(kept.values()), list(kept))
            self._parts.append((drawn[chosen], rows.filter(pa.array(chosen))))
        if len(self._parts) > _MOST_PARTS or sum(len(part) for part, _ in self._parts) > 2 * self._most:
            self._shrink()

    def _shrink(self) -> None:
        everything = np.concatenate([drawn for drawn, _ in self._parts])
        if len(everything) > self._most:
            self._bound = float(np.partition(everything, self._most)[self._most])
        alike = groupby(self._parts, key=lambda part: part[1].schema)
        self._parts = [self._joined(list(parts)) for _, parts in alike]

    def _joined(self, parts: list[_Part]) -> _Part:
        """Parts of the same types as one: many small ones would scatter the memory."""
        drawn = np.concatenate([drawn for drawn, _ in parts])
        kept = drawn < self._bound
        table = pa.concat_tables([rows for _, rows in parts]).filter(pa.array(kept))
        return drawn[kept], table.combine_chunks()

    def rows(self) -> Iterator[tuple[Mapping[str, pa.Array], int]]:
        """The columns of some rows at a time, and how many there are: types differ from file to file."""
        self._shrink()
        for _, table in self._parts:
            columns = {name: table.column(name).combine_chunks() for name in table.column_names}
            yield columns, table.num_rows


def _kept(array: pa.Array) -> pa.Array:
    """What is kept of a column: nothing of a type that no column has, because the table is refused for it."""
    return array if cell.is_known(array.type) else pa.nulls(len(array))
