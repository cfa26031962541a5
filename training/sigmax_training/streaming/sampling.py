"""A sample of rows that is bounded, however many there are, and that does not depend on how they are read.

Every row has a number that is drawn for it; those with the smallest numbers are the sample. What the numbers
are, and what rows are made of, is left to others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax_training.data.dataset import F64

Column = npt.NDArray[Any]

_SLACK = 0.25
"""How far beyond its bound a sample grows before it is cut; less would cut more often."""


class Smallest:
    """The rows with the smallest numbers; of equal ones those that came first.

    They lie in arrays that are made once: what is allocated row by row, between what is freed again, leaves
    holes that grow with the rows that are read (24 MB after ten million).

    Args:
        limit: how many rows, at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._room = int(self._limit * (1 + _SLACK)) + 1
        self._columns: tuple[Column, ...] = ()
        self._held, self._bound = 0, np.inf

    def add(self, numbers: F64, *columns: Column) -> None:
        """Offer some rows.

        Args:
            numbers: (n_samples,), drawn for the rows.
            columns: (n_samples, ...) each, what the rows are made of; of every call the same.
        """
        offered = (numbers, *columns)
        if not self._columns:
            self._columns = tuple(np.empty((self._room, *c.shape[1:]), c.dtype) for c in offered)
        near = np.flatnonzero(numbers < self._bound)
        while len(near):
            some, near = near[: self._room - self._held], near[self._room - self._held :]
            for held, column in zip(self._columns, offered, strict=True):
                held[self._held : self._held + len(some)] = column[some]
            self._held += len(some)
            if self._held == self._room:
                self._cut()

    def columns(self) -> tuple[Column, ...]:
        """What the sampled rows are made of, in the order of their numbers."""
        order = self._order()
        return tuple(column[order] for column in self._columns[1:])

    def _order(self) -> npt.NDArray[np.int64]:
        numbers = self._columns[0][: self._held] if self._columns else np.empty(0)
        return np.argsort(numbers, kind="stable")[: self._limit]

    def _cut(self) -> None:
        order = self._order()
        for column in self._columns:
            column[: len(order)] = column[order]
        self._held, self._bound = len(order), float(self._columns[0][len(order) - 1])
