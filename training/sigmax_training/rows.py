"""Rows that make a proof sharp: extremes, random rows, and rows at the very edge of a decision.

Nothing here is served or learnt from; these rows only ask the same question of estimator and service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        return self.typed(np.array([np.zeros_like(self.low), self.low, self.high, middle]))

    def random(self, count: int, rng: np.random.Generator) -> Rows:
        """Rows anywhere in the range and, unless values are whole, a little beyond: (count, n_features)."""
        span = self.high - self.low
        typical = float(np.median(span[span > 0])) if (span > 0).any() else 1.0
        beyond = 0.0 if self.whole else _WIDENED * np.where(span > 0, span, typical)
        return self.typed(rng.uniform(self.low - beyond, self.high + beyond, (count, len(span))))

    def typed(self, rows: F64) -> Rows:
        """Rows as they are sent: whole numbers as uint8, others as they are."""
        return np.rint(rows).astype(np.uint8) if self.whole else rows


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Ways from one row each, at position 0, to another one, at 1, that never leave the space.

    Numbers move together on a straight line. Whole numbers cannot: there, one column after the other moves
    from its first to its last value.
    """

    space: Space
    starts: Rows
    ends: Rows

    def at(self, positions: F64) -> Rows:
        """The rows at some positions, (n_ways,) in [0, 1], as (n_ways, n_features)."""
        first, share = self.starts.astype(np.float64), positions[:, np.newaxis]
        if self.space.whole:
            width = first.shape[1]
            share = np.clip(share * width - np.arange(width), 0.0, 1.0)
        return self.space.typed(first + share * (self.ends - first))


def decision_edges(
    reference: Reference, space: Space, pool: Rows, count: int, margin: float
) -> tuple[Rows, ...]:
    """Between rows of different classes, the row at the edge and one on each side of it.

    Args:
        reference: decides.
        space: where the rows live.
        pool: (n_samples, n_features), rows to walk between.
        count: of ways to walk, at most.
        margin: the least distance, in probability, of a side row from the edge.

    Returns:
        For each way up to 3 rows, (n_rows, n_features); nothing if every row of the pool is of one class.
    """
    classes = reference.classes(pool)
    first = np.flatnonzero(classes[:-1] != classes[1:])[:count]
    if first.size == 0:
        return ()
    ways = Ways(space, pool[first], pool[first + 1])
    before, behind = _bisect(reference, ways)
    sides = [
        _walk(reference, ways, before, -1.0, margin),
        _walk(reference, ways, behind, 1.0, margin),
    ]
    return tuple(
        np.array([edge, *(rows[way] for rows, there in sides if there[way])])
        for way, edge in enumerate(ways.at(before))
    )


def _bisect(reference: Reference, ways: Ways) -> tuple[F64, F64]:
    """On each way, the last position of the first class and the next one behind it, (n_ways,) each."""
    low, high = np.zeros(len(ways.starts)), np.ones(len(ways.starts))
    own = reference.classes(ways.starts)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        same = reference.classes(ways.at(middle)) == own
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return low, high


def _walk(
    reference: Reference, ways: Ways, edge: F64, direction: float, margin: float
) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """From each edge, step away twice as far each time, until the margin is there.

    Returns:
        Rows (n_ways, n_features), and whether the way is long enough for the margin, (n_ways,).
    """
    step = np.full(len(edge), 2.0**-50)
    while True:
        positions = np.clip(edge + direction * step, 0.0, 1.0)
        rows = ways.at(positions)
        there = reference.margins(rows) >= margin
        on_the_way = ~there & (positions > 0.0) & (positions < 1.0)
        if not on_the_way.any():
            return rows, there
        step = np.where(on_the_way, step * 2, step)
