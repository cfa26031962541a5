"""What a person should look at before training, though nothing is wrong: each with its column and the remedy.

Columns that tell nothing, columns that tell too much, columns that stand twice, numbers that lie far from
zero. A column of which the job says what it is (`features.columns`) has been looked at by somebody: it is not
named as an identifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, Kind
from sigmax.errors import quoted
from sigmax_training.data.cells import MOST_EXACT
from sigmax_training.data.dataset import F64

FAR_FROM_ZERO = 1e3
"""Mean over deviation, from which on float32 loses digits that the model needs (3.5e-4 of a probability)."""

TOO_FAR = 1e6
"""From which on the error of a float64 graph (6e-10 of a probability) comes near the gate's tolerance."""

GIVES_AWAY = 0.999
"""Of the pairs of two rows of different classes, the share that one feature puts into the right order."""


class Suspected(StrEnum):
    """What a column may be that is no good feature."""

    CONSTANT = "constant"
    TWICE = "the same as another"
    IDENTIFIER = "an identifier"
    GIVES_AWAY = "the answer"
    FAR = "far from zero"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A column that a person should look at.

    Attributes:
        column: its name.
        kind: what it may be.
        reason: what was seen, to be read behind the column's name.
        remedy: what to do, if it is so.
    """

    column: str
    kind: Suspected
    reason: str
    remedy: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"column {quoted(self.column)} {self.reason}: {self.remedy}"


_SHOWN = 5
_LEAVE_OUT = "name it in data.ignore"
_FEW_ROWS = 20
_MOST_ROWS = 50_000
"""Rows that are looked at; of more, so many at even distances."""


def suspicions(
    features: F64, codes: npt.NDArray[Any], blocks: Sequence[Feature], declared: frozenset[str]
) -> tuple[Suspicion, ...]:
    """Look at a table, or at a sample of it.

    Args:
        features: (n_samples, n_features), one column a block.
        codes: (n_samples,), or bool (n_samples, n_classes).
        blocks: what the columns are.
        declared: the names of columns that the job speaks of.
    """
    step = -(-len(features) // _MOST_ROWS)
    features, codes = features[::step], codes[::step]
    found = [*_constant(features, blocks), *_twice(features, blocks)]
    if len(features) >= _FEW_ROWS:
        found += _identifiers(features, blocks, declared)
        found += _give_away(features, codes, blocks)
    return (*found, *_far(features, blocks))


def told(found: Sequence[Suspicion]) -> tuple[str, ...]:
    """Suspicions for a person: the first few of each kind, then how many columns more there are."""
    shown: dict[Suspected, list[str]] = {}
    for suspicion in found:
        shown.setdefault(suspicion.kind, []).append(str(suspicion))
    return tuple(
        text
        for kind, texts in shown.items()
        for text in (
            *texts[:_SHOWN],
            *([f"{len(texts) - _SHOWN} more columns: {kind.value}"] if len(texts) > _SHOWN else []),
        )
    )


def _constant(features: F64, blocks: Sequence[Feature]) -> Iterator[Suspicion]:
    for block, column in _columns(features, blocks):
        if (column == column[0]).all():
            reason = (
                f"is constant: every row has {_shown(block, column[0])}, which tells no class from another"
            )
            yield Suspicion(block.name, Suspected.CONSTANT, reason, _LEAVE_OUT)


def _twice(features: F64, blocks: Sequence[Feature]) -> Iterator[Suspicion]:
    """Columns with the same content; constant ones are named as that."""
    first: dict[bytes, str] = {}
    for block, column in _columns(features, blocks):
        if (column == column[0]).all():
            continue
        content = np.ascontiguousarray(column).tobytes()
        if content in first:
            reason = f"is the same as {quoted(first[content])} in every row"
            yield Suspicion(block.name, Suspected.TWICE, reason, "name one of them in data.ignore")
        first.setdefault(content, block.name)


def _identifiers(features: F64, blocks: Sequence[Feature], declared: frozenset[str]) -> Iterator[Suspicion]:
    for block, column in _columns(features, blocks):
        if block.kind is not Kind.NUMERIC or block.name in declared:
            continue
        counted = np.abs(column) <= MOST_EXACT  # beyond, every float64 is whole, measured ones, too
        whole = bool((counted & (column == np.floor(column))).all())
        if whole and len(np.unique(column)) == len(column):
            shown = f"{column[0]:.0f}, {column[1]:.0f}, …"
            yield Suspicion(
                block.name,
                Suspected.IDENTIFIER,
                f"has another whole number in every row ({shown}), as an identifier has",
                f"{_LEAVE_OUT}, or say features.columns.{quoted(block.name)}.kind = 'numeric'",
            )


def _give_away(features: F64, codes: npt.NDArray[Any], blocks: Sequence[Feature]) -> Iterator[Suspicion]:
    """Features that tell the class alone, as what was written down after the answer was known does."""
    for block, column in _columns(features, blocks):
        told = _codes_tell if block.kind in (Kind.CATEGORY, Kind.BOOLEAN) else _order_tells
        if told(column, codes):
            yield Suspicion(
                block.name,
                Suspected.GIVES_AWAY,
                "alone gives the target away",
                f"{_LEAVE_OUT} if it is not known before the answer is",
            )


def _codes_tell(column: F64, codes: npt.NDArray[Any]) -> bool:
    """Whether all rows of one category have one class, categories of a single row not counted."""
    values, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    if counts.max() < 2 or 2 * len(values) > len(column):
        return False
    low, high = _bounds(codes, places, counts)
    told = (low == high).all(axis=0) & (codes.min(axis=0) != codes.max(axis=0))
    return bool(told.any())


def _order_tells(column: F64, codes: npt.NDArray[Any]) -> bool:
    """Whether the classes lie behind each other: of two, nearly; of more, all of them without overlap."""
    present = ~np.isnan(column)
    column, codes = column[present], codes[present]
    if codes.ndim == 2:
        areas = _areas(column, codes)
        return bool((np.maximum(areas, 1 - areas) >= GIVES_AWAY).any())
    classes, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    if len(classes) == 2:
        return _order_tells(column, places[:, None] == 1)
    if len(classes) < 2:
        return False
    ranges = sorted(zip(*(side.tolist() for side in _bounds(column, places, counts)), strict=True))
    return all(high < low for (_, high), (low, _) in pairwise(ranges))


def _bounds(
    values: npt.NDArray[Any], places: npt.NDArray[Any], counts: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The smallest and the largest of the values at each place, (n_places, ...)."""
    values, starts = values[np.argsort(places, kind="stable")], np.cumsum(counts) - counts
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def _areas(column: F64, positive: npt.NDArray[np.bool_]) -> F64:
    """The area under the ROC curve of each label by ranks (Mann and Whitney 1947), ties counting half.

    A label that all rows have, or none, has 0.5.
    """
    _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n_positive = positive.sum(axis=0)
    pairs = n_positive * (len(column) - n_positive)
    before = ranks @ positive.astype(np.float64) - n_positive * (n_positive + 1) / 2
    return np.asarray(np.divide(before, pairs, out=np.full(len(pairs), 0.5), where=pairs > 0), np.float64)


def _far(features: F64, blocks: Sequence[Feature]) -> Iterator[Suspicion]:
    for block, column in _columns(features, blocks):
        if block.kind not in (Kind.NUMERIC, Kind.INTEGER):
            continue
        present = column[~np.isnan(column)]
        with np.errstate(over="ignore", invalid="ignore"):  # of 1e200 the square is infinite: it is not far
            deviation = float(present.std()) if present.size else 0.0
            mean = float(present.mean()) if present.size else 0.0
        if deviation > 0 and abs(mean) / deviation > FAR_FROM_ZERO:
            yield Suspicion(
                block.name,
                Suspected.FAR,
                f"lies {abs(mean) / deviation:,.0f} deviations from zero (mean {mean:.6g}, deviation "
                f"{deviation:.3g}), so that most of its digits tell nothing"
                + (", and the gate may refuse the model" if abs(mean) / deviation > TOO_FAR else ""),
                "subtract a constant from it in the data, for instance its smallest value",
            )


def _columns(features: F64, blocks: Sequence[Feature]) -> Iterator[tuple[Feature, F64]]:
    for place, block in enumerate(blocks):
        yield block, features[:, place]


def _shown(block: Feature, value: float) -> str:
    if block.kind is Kind.CATEGORY and block.vocabulary:
        return quoted(block.vocabulary[int(value)]) if value < len(block.vocabulary) else "no value"
    return f"{value:g}"
