"""Rows that make a proof sharp: extremes, random rows, and rows at the very edge of a decision.

Nothing here is served or learnt from; these rows only ask the same question of estimator and service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, Kind
from sigmax.inference.decision import Rule
from sigmax_training.data.dataset import F64, I64
from sigmax_training.fit import Fitted

Rows = npt.NDArray[Any]

_WIDENED = 0.05
"""Random rows leave the range by this share of it, so that a constant feature varies, too."""

_BISECTIONS = 60
"""Halvings of a path: the step of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The estimator's word on any row: its probabilities, and the decision rule applied to them."""

    fitted: Fitted
    rule: Rule

    def classes(self, rows: Rows) -> I64:
        """The chosen columns, (n_samples,)."""
        return self.rule.choose(self.fitted.probabilities(rows))

    def margins(self, rows: Rows) -> F64:
        """How far each row is from being decided otherwise, (n_samples,)."""
        return self.rule.margins(self.fitted.probabilities(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Where rows live: the bounds of every column, and whether only whole numbers exist there."""

    low: F64
    high: F64
    whole: bool

    @classmethod
    def of(cls, blocks: Sequence[Feature]) -> Space:
        """The space of a model's feature blocks."""
        sizes = [block.size for block in blocks]
        bounds = np.array([block.range for block in blocks], np.float64)
        low, high = np.repeat(bounds, sizes, axis=0).T
        return cls(low, high, whole=all(block.kind is Kind.IMAGE for block in blocks))

    def extremes(self) -> Rows:
        """Zeros, every lowest value, every highest value, and every midpoint: (4, n_features)."""
        middle = self.low / 2 + self.high / 2
        return self._typed(np.array([np.zeros_like(self.low), self.low, self.high, middle]))

    def random(self, count: int, rng: np.random.Generator) -> Rows:
        """Rows anywhere in the range and, unless values are whole, a little beyond: (count, n_features)."""
        span = self.high - self.low
        typical = float(np.median(span[span > 0])) if (span > 0).any() else 1.0
        beyond = 0.0 if self.whole else _WIDENED * np.where(span > 0, span, typical)
        return self._typed(rng.uniform(self.low - beyond, self.high + beyond, (count, len(span))))

    def path(self, start: Rows, end: Rows) -> Callable[[float], Rows]:
        """A way from one row, at 0, to another one, at 1, that never leaves the space.

        Numbers move together on a straight line. Whole numbers cannot: there, one column after the other
        moves from its first to its last value.
        """
        first, step = start.astype(np.float64), end.astype(np.float64) - start.astype(np.float64)
        columns = np.arange(len(first))

        def at(position: float) -> Rows:
            share = np.clip(position * len(first) - columns, 0.0, 1.0) if self.whole else position
            return self._typed(first + share * step)

        return at

    def _typed(self, rows: F64) -> Rows:
        return np.rint(rows).astype(np.uint8) if self.whole else rows


def decision_edges(
    reference: Reference, space: Space, pool: Rows, count: int, margin: float
) -> tuple[Rows, ...]:
    """Between rows of different classes, the row at the edge and one on each side of it.

    Args:
        reference: decides.
        space: where the rows live.
        pool: (n_samples, n_features), rows to walk between.
        count: of pairs to walk between, at most.
        margin: the least distance, in probability, of a side row from the edge.

    Returns:
        At most `count` arrays of up to 3 rows each; none if every row of the pool is of one class.
    """
    classes = reference.classes(pool)
    found: list[Rows] = []
    for first, second in pairwise(range(len(pool))):
        if len(found) == count:
            break
        if classes[first] != classes[second]:
            found.append(_edge(reference, space.path(pool[first], pool[second]), margin))
    return tuple(found)


def _edge(reference: Reference, path: Callable[[float], Rows], margin: float) -> Rows:
    """The last row of the first class on the path, then a row before it and a row behind it."""
    low, high = 0.0, 1.0
    start = reference.classes(path(low)[np.newaxis])[0]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if reference.classes(path(middle)[np.newaxis])[0] == start:
            low = middle
        else:
            high = middle
    sides = [_walk(reference, path, low, -1.0, margin), _walk(reference, path, high, 1.0, margin)]
    return np.array([path(low), *(row for row in sides if row is not None)])


def _walk(
    reference: Reference, path: Callable[[float], Rows], start: float, direction: float, margin: float
) -> Rows | None:
    """From the edge, step away twice as far each time, until the margin is there."""
    step = 2.0**-50
    while 0.0 <= start + direction * step <= 1.0:
        row = path(start + direction * step)
        if reference.margins(row[np.newaxis])[0] >= margin:
            return row
        step *= 2
    return None
