"""Rows that make a proof sharp: extremes, random rows, and rows at the very edge of a decision.

Nothing here is served or learnt from; these rows only ask the same question of estimator and service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, Kind, Manifest, Missing, Task
from sigmax.inference.decision import Rule
from sigmax_training.data.dataset import F64, I64

Rows = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

_WIDENED = 0.05
"""Random rows leave the range by this share of it, so that a constant feature varies, too."""

_FARTHEST = float(np.finfo(np.float64).max) / 4
"""Random rows stay nearer than this, so that the difference of two of them is a number, too."""

_ABSENT = 0.1
"""The share of values that random rows miss, where they may."""

_BISECTIONS = 60
"""Halvings of a path: the step of float64."""

TOUR = 64
"""Rows that go through the codes of every category column, and from which golden rows are chosen."""


class Estimator(Protocol):
    """What was trained, asked in features as they come."""

    def probabilities(self, features: Rows) -> F64:
        """The estimator's own probabilities, float64 (n_samples, n_classes)."""
        ...

    def predict(self, features: Rows) -> npt.NDArray[Any]:
        """The estimator's own classes: columns (n_samples,), or of labels bool (n_samples, n_classes)."""
        ...


class Scoring(Estimator, Protocol):
    """One that has logits; asked only where the graph gives them, too."""

    def logits(self, features: Rows) -> F64:
        """Its scores before the head, (n_samples, n_classes)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The estimator's word on any row: its probabilities, and the decision rule applied to them.

    Attributes:
        fitted: the estimator.
        rule: the decision rule.
        decides: whether the estimator's own classes follow from its probabilities by that rule; a calibration
            may move probabilities across each other.
    """

    fitted: Estimator
    rule: Rule
    decides: bool = True

    def answered(self, rows: Rows) -> Rows:
        """The rows that the estimator answers: some refuse what is beyond those that they were fitted on."""
        try:
            self.fitted.probabilities(rows)
        except Exception:  # estimators refuse rows with errors of every class
            kept = [row for row in rows if self._answers(row)]
            return np.array(kept, rows.dtype).reshape(len(kept), rows.shape[1])
        return rows

    def _answers(self, row: Rows) -> bool:
        try:
            self.fitted.probabilities(row[np.newaxis])
        except Exception:  # see above
            return False
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """One edge between two decisions.

    Attributes:
        reference: decides.
        column: the class whose probability is compared; None for the highest of several.
        bound: what it is compared with.
    """

    reference: Reference
    column: int | None = None
    bound: float = 0.5

    def sides(self, rows: Rows) -> I64:
        """On which side each row is, (n_samples,)."""
        probabilities = self.reference.fitted.probabilities(rows)
        if self.column is None:
            return self.reference.rule.choose(probabilities)
        return (probabilities[:, self.column] > self.bound).astype(np.int64)

    def margins(self, rows: Rows) -> F64:
        """How far each row is from the other side, (n_samples,), in units of probability."""
        probabilities = self.reference.fitted.probabilities(rows)
        if self.column is None:
            return self.reference.rule.margins(probabilities)
        return np.asarray(np.abs(probabilities[:, self.column] - self.bound))

    def distance(self, rows: Rows, others: Rows) -> F64:
        """How different the answers to two rows each are, (n_samples,), in units of probability."""
        ask = self.reference.fitted.probabilities
        return np.asarray(np.abs(ask(rows) - ask(others)).max(axis=1, initial=0.0))


def boundaries(reference: Reference, manifest: Manifest) -> tuple[Boundary, ...]:
    """Every edge of a model's decisions: between classes, at each threshold, at both ends of each band."""
    if manifest.task is Task.MULTICLASS:
        return (Boundary(reference),)
    decision = manifest.decision
    return tuple(
        Boundary(reference, manifest.classes.index(label), bound)
        for label, threshold in decision.thresholds.items()
        for bound in (threshold, *decision.band.get(label, ()))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Where rows live, column by column.

    Attributes:
        low: (n_features,), the lowest value.
        high: (n_features,), the highest.
        whole: (n_features,), whether only whole numbers exist there.
        bounded: (n_features,), whether nothing beyond the range exists.
        absent: (n_features,), whether a value may be missing, as NaN.
        pixels: all of it is 8-bit pixels.
        codes: how many codes the longest vocabulary has; 0 without one.
    """

    low: F64
    high: F64
    whole: Flags
    bounded: Flags
    absent: Flags
    pixels: bool
    codes: int

    @classmethod
    def of(cls, blocks: Sequence[Feature]) -> Space:
        """The space of a model's feature blocks."""
        sizes = [block.size for block in blocks]
        bounds = np.array([block.range for block in blocks], np.float64)
        low, high = np.repeat(bounds, sizes, axis=0).T
        continuous = np.array([block.kind is Kind.NUMERIC for block in blocks])
        closed = np.array([block.kind not in (Kind.NUMERIC, Kind.INTEGER) for block in blocks])
        absent = [block.missing is not Missing.REJECT and block.kind is not Kind.CATEGORY for block in blocks]
        return cls(
            low,
            high,
            whole=np.repeat(~continuous, sizes),
            bounded=np.repeat(closed, sizes),
            absent=np.repeat(np.array(absent), sizes),
            pixels=all(block.kind is Kind.IMAGE for block in blocks),
            codes=max((block.n_codes for block in blocks if block.kind is Kind.CATEGORY), default=0),
        )

    def extremes(self) -> Rows:
        """Zeros, every lowest value, every highest, every midpoint, and all missing that may be."""
        middle = self.low / 2 + self.high / 2
        zeros = np.clip(0.0, self.low, self.high) if self.bounded.any() else np.zeros_like(self.low)
        rows = [zeros, self.low, self.high, middle]
        if self.absent.any():
            rows.append(np.where(self.absent, np.nan, middle))
        return self.typed(np.array(rows))

    def random(self, count: int, rng: np.random.Generator) -> Rows:
        """Rows anywhere in the range and, where values may be, a little beyond: (count, n_features)."""
        low, high = (np.clip(bound, -_FARTHEST, _FARTHEST) for bound in (self.low, self.high))
        span = high - low
        typical = float(np.median(span[span > 0])) if (span > 0).any() else 1.0
        beyond = np.where(self.bounded, 0.0, _WIDENED * np.where(span > 0, span, typical))
        rows = rng.uniform(low - beyond, high + beyond, (count, len(span)))
        if self.absent.any():
            rows[(rng.random(rows.shape) < _ABSENT) & self.absent] = np.nan
        return self.typed(rows)

    def tour(self, rng: np.random.Generator, blocks: Sequence[Feature], most: int = TOUR) -> Rows:
        """Random rows that go through the codes of every category column, (at most `most`, n_features).

        A vocabulary of more codes is gone through in even steps.
        """
        count = min(self.codes, most)
        rows = self.random(count, rng)
        for column, block in enumerate(blocks if count else ()):
            if block.kind is Kind.CATEGORY:
                steps = (
                    np.linspace(0, block.n_codes - 1, count) if block.n_codes > count else np.arange(count)
                )
                rows[:, column] = np.rint(steps) % block.n_codes
        return rows

    def typed(self, rows: F64) -> Rows:
        """Rows as they are sent: pixels as uint8, whole numbers rounded, others as they are."""
        if self.pixels:
            return np.rint(rows).astype(np.uint8)
        return np.where(self.whole, np.rint(rows), rows) if self.whole.any() else rows


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """Ways from one row each, at position 0, to another one, at 1, that never leave the space.

    Numbers move together on a straight line. Pixels cannot: there, one column after the other moves from its
    first to its last value. What else is whole, or missing, stays as it is at the start.
    """

    space: Space
    starts: Rows
    ends: Rows

    @classmethod
    def between(cls, space: Space, starts: Rows, ends: Rows) -> Ways:
        """Ways from each start towards its end, as far as columns can move."""
        if space.pixels:
            return cls(space, starts, ends)
        stays = space.whole | np.isnan(starts) | np.isnan(ends)
        return cls(space, starts, np.where(stays, starts, ends))

    def some(self, chosen: I64) -> Ways:
        """Some of the ways."""
        return replace(self, starts=self.starts[chosen], ends=self.ends[chosen])

    def at(self, positions: F64) -> Rows:
        """The rows at some positions, (n_ways,) in [0, 1], as (n_ways, n_features)."""
        first, share = self.starts.astype(np.float64), positions[:, np.newaxis]
        if self.space.pixels:
            width = first.shape[1]
            share = np.clip(share * width - np.arange(width), 0.0, 1.0)
        return self.space.typed(first + share * (self.ends - first))


def decision_edges(
    boundary: Boundary, space: Space, pool: Rows, count: int, margin: float, *, resolution: float = 0.0
) -> tuple[Rows, ...]:
    """Between rows on different sides of a boundary, the row at the edge and one on each side of it.

    Trees and neighbours answer in steps. Where the answer jumps at an edge, the last bit of a feature
    decides: no row is put on the jump, but one on each side, where the answer stays the same for a while.

    Args:
        boundary: says on which side a row is.
        space: where the rows live.
        pool: (n_samples, n_features), rows to walk between.
        count: of ways to walk, at most.
        margin: the least distance, in probability, of a side row from the edge.
        resolution: the least distance, as a share of the way, of a side row from a jump; 0 for a model that
            has none.

    Returns:
        For each way up to 3 rows, (n_rows, n_features); nothing if no way crosses the boundary.
    """
    ways = Ways.between(space, pool[:-1], pool[1:])
    crossing = np.flatnonzero(boundary.sides(ways.starts) != boundary.sides(ways.ends))[:count]
    if crossing.size == 0:
        return ()
    ways = ways.some(crossing)
    before, behind = _bisect(boundary, ways)
    if resolution:
        jumps = boundary.distance(ways.at(before), ways.at(behind)) > margin
        return (
            *_beside(boundary, ways.some(np.flatnonzero(jumps)), before[jumps], margin, resolution),
            *_around(boundary, ways.some(np.flatnonzero(~jumps)), before[~jumps], behind[~jumps], margin),
        )
    return _around(boundary, ways, before, behind, margin)


def _around(boundary: Boundary, ways: Ways, before: F64, behind: F64, margin: float) -> tuple[Rows, ...]:
    """The rows at the edges of some ways, with those beside them."""
    sides = [_walk(boundary, ways, before, -1.0, margin), _walk(boundary, ways, behind, 1.0, margin)]
    return tuple(
        np.array([edge, *(rows[way] for rows, there in sides if there[way])])
        for way, edge in enumerate(ways.at(before))
    )


def _beside(boundary: Boundary, ways: Ways, edge: F64, margin: float, resolution: float) -> tuple[Rows, ...]:
    """Rows on both sides of jumps, where the answer is the same from there to twice as far from the jump."""
    ask = partial(_settled, boundary, ways, edge, margin=margin, resolution=resolution)
    sides = [ask(-1.0), ask(1.0)]
    found = tuple(
        np.array([rows[way] for rows, there in sides if there[way]]).reshape(-1, ways.starts.shape[1])
        for way in range(len(edge))
    )
    return tuple(rows for rows in found if len(rows))


def _settled(
    boundary: Boundary, ways: Ways, edge: F64, direction: float, *, margin: float, resolution: float
) -> tuple[Rows, Flags]:
    """From each jump, step away twice as far each time, until the answer stays the same.

    Returns:
        Rows (n_ways, n_features), and whether the way is long enough for them, (n_ways,).
    """
    step = np.full(len(edge), resolution)
    while True:
        near, far = (ways.at(np.clip(edge + direction * step * times, 0.0, 1.0)) for times in (1.0, 2.0))
        fits = (edge + direction * step * 2.0 >= 0.0) & (edge + direction * step * 2.0 <= 1.0)
        there = fits & (boundary.distance(near, far) <= margin)
        on_the_way = fits & ~there
        if not on_the_way.any():
            return ways.at(np.clip(edge + direction * step * 1.5, 0.0, 1.0)), there
        step = np.where(on_the_way, step * 2, step)


def _bisect(boundary: Boundary, ways: Ways) -> tuple[F64, F64]:
    """On each way, the last position of the first side and the next one behind it, (n_ways,) each."""
    low, high = np.zeros(len(ways.starts)), np.ones(len(ways.starts))
    own = boundary.sides(ways.starts)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        same = boundary.sides(ways.at(middle)) == own
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return low, high


def _walk(boundary: Boundary, ways: Ways, edge: F64, direction: float, margin: float) -> tuple[Rows, Flags]:
    """From each edge, step away twice as far each time, until the margin is there.

    Returns:
        Rows (n_ways, n_features), and whether the way is long enough for the margin, (n_ways,).
    """
    step = np.full(len(edge), 2.0**-50)
    while True:
        positions = np.clip(edge + direction * step, 0.0, 1.0)
        rows = ways.at(positions)
        there = boundary.margins(rows) >= margin
        on_the_way = ~there & (positions > 0.0) & (positions < 1.0)
        if not on_the_way.any():
            return rows, there
        step = np.where(on_the_way, step * 2, step)
