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

    Args:
        limit: how many rows, at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._parts: list[tuple[Column, ...]] = []
        self._held, self._bound = 0, np.inf

    def add(self, numbers: F64, *columns: Column) -> None:
        """Offer some rows.

        Args:
            numbers: (n_samples,), drawn for the rows.
            columns: (n_samples, ...) each, what the rows are made of; of every call the same.
        """
        near = numbers < self._bound
        self._parts.append(tuple(np.array(column[near]) for column in (numbers, *columns)))
        self._held += len(self._parts[-1][0])
        if self._held > self._limit * (1 + _SLACK):
            self._cut()
            self._bound = float(self._parts[0][0][-1])

    def columns(self) -> tuple[Column, ...]:
        """What the sampled rows are made of, in the order of their numbers."""
        self._cut()
        return self._parts[0][1:] if self._parts else ()

    def _cut(self) -> None:
        if not self._parts:
            return
        joined = [np.concatenate(parts) for parts in zip(*self._parts, strict=True)]
        self._parts.clear()
        order = np.argsort(joined[0], kind="stable")[: self._limit]
        self._parts.append(tuple(column[order] for column in joined))
        self._held = len(order)
