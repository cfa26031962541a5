"""Choosing golden rows and pictures: few enough to load fast, such that every parameter matters to a row.

A parameter matters to a row when changing it by a typical weight of its layer moves a probability by several
tolerances (to first order). So a row that is saturated proves little, and a hidden unit proves nothing where
its ReLU is off. That is the least; where rows are left in the budget, they are those that notice the smallest
changes: whatever moves the answer to a real row should move that to a golden one as far, or nearly so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, Head, Kind, Missing
from sigmax.protocol.containers import MAX_PIXELS, Format, look
from sigmax.repository.golden import GoldenPicture
from sigmax_training.data.dataset import F64, I64, Dataset
from sigmax_training.data.pictures import originals
from sigmax_training.heads import sigmoid
from sigmax_training.network import HEADS, SLOPES, Network
from sigmax_training.rows import Rows

_SHARP = 4.0
"""How many tolerances a changed parameter has to move a probability by."""

_NEARLY = (1.0, 0.5)
"""How far a golden row should be moved, as shares of how far the most sensitive real row is moved."""

_FEW, _BYTES = 12, 2**18
MOST = 32
_MOST_BEYOND = 224
"""Further rows for vocabularies and labels, each of which wants rows of its own."""

MAX_PICTURE_BYTES = 2**20
"""Of a golden picture's file; a larger one would be decoded for longer than all rows take."""

_TRIED = 50


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The chosen rows, (n_samples, n_features), and how many parameters matter to none of them."""

    rows: Rows
    untouched: int
    parameters: int


def budget(n_features: int, beyond: int = 0) -> int:
    """How many golden rows a model has: fewer where a row is large.

    Args:
        n_features: numbers a row.
        beyond: how many codes and edges want a row of their own.
    """
    return MOST + min(beyond, _MOST_BEYOND) if MOST * n_features * 8 <= _BYTES else _FEW


def pictures(dataset: Dataset, rows: I64) -> tuple[GoldenPicture, ...]:
    """The first of some rows' small files of each format, with their pixels; few files are tried."""
    found: dict[Format, GoldenPicture] = {}
    for row, content in islice(originals(dataset, rows, MAX_PICTURE_BYTES), _TRIED):
        kind = look(content, MAX_PIXELS).format
        found.setdefault(kind, GoldenPicture(content, dataset.features[row]))
        if len(found) == len(Format):
            break
    return tuple(found.values())


def select(
    network: Network,
    tolerance: float,
    most: int,
    wanted: Rows,
    candidates: Rows,
    *,
    real: Rows | None = None,
) -> Selection:
    """Take the wanted rows, then again and again the candidate that most further parameters matter to.

    When every parameter matters to a row as far as that can be had, further rows are taken by how sharp they
    are: by how many parameters they are as sensitive to as the most sensitive real row, or half as much.

    Args:
        network: whose parameters they are.
        tolerance: of the gate.
        most: the budget.
        wanted: (n_wanted, n_features), taken in any case, up to the budget.
        candidates: (n_candidates, n_features); of two that are equally good the first is taken.
        real: (n_real, n_features), rows as callers have them; without them no row is taken for sharpness.
    """
    pool = np.concatenate([wanted, candidates])
    bounds = _bounds(network, _SHARP * tolerance, real)
    hits = np.stack([_hits(network, row, bounds) for row in pool])  # (n_pool, n_bounds, n_bytes)
    chosen = list(range(min(len(wanted), most)))
    for phase in (hits[:, :1], hits[:, 1:]):
        chosen = _cover(phase, chosen, most)
    covered = np.bitwise_or.reduce(hits[chosen, 0], axis=0)
    untouched = network.parameters - int(np.bitwise_count(covered).sum())
    return Selection(pool[chosen], untouched, network.parameters)


def _cover(hits: npt.NDArray[np.uint8], chosen: list[int], most: int) -> list[int]:
    """The chosen rows and, while there are fewer than `most`, the one that has most further hits."""
    chosen, covered = list(chosen), np.bitwise_or.reduce(hits[chosen], axis=0)
    while len(chosen) < most:
        gains = np.bitwise_count(hits & ~covered).sum(axis=(1, 2))
        if not gains.any():
            break
        chosen.append(int(gains.argmax()))
        covered = covered | hits[chosen[-1]]
    return chosen


def spread(
    blocks: Sequence[Feature], most: int, wanted: Rows, candidates: Rows, answers: Callable[[Rows], F64]
) -> Selection:
    """Rows for a model whose parameters nobody can ask: every code, then answers as different as possible.

    Args:
        blocks: what the columns are.
        most: the budget.
        wanted: (n_wanted, n_features), taken in any case, up to the budget.
        candidates: (n_candidates, n_features); of two that are equally good the first is taken.
        answers: the estimator's probabilities of rows.

    Returns:
        The rows; `parameters` counts codes and missing values, `untouched` those that no row has.
    """
    pool = np.concatenate([wanted, candidates])
    marks = [_marks(blocks, row) for row in pool]
    probabilities = answers(pool)
    chosen = list(range(min(len(wanted), most)))
    open_ = set().union(*marks).difference(*(marks[row] for row in chosen))
    distance = np.full(len(pool), np.inf)
    for row in chosen:
        distance = np.minimum(distance, _distances(probabilities, row))
    while len(chosen) < most:
        gains = [len(open_.intersection(found)) for found in marks]
        best = int(np.argmax(gains)) if open_ else int(distance.argmax())
        if not open_ and distance[best] == 0.0:
            break
        chosen.append(best)
        open_ -= marks[best]
        distance = np.minimum(distance, _distances(probabilities, best))
    every = sum(_n_marks(block) for block in blocks)
    touched = set().union(*(marks[row] for row in chosen))
    return Selection(pool[chosen], every - len(touched), every)


def _marks(blocks: Sequence[Feature], row: Rows) -> frozenset[tuple[int, int]]:
    """The codes of a row's categories, and where a number is missing (-1)."""
    found, start = set(), 0
    for block in blocks:
        if block.kind is Kind.CATEGORY:
            found.add((start, int(row[start])))
        elif block.missing is not Missing.REJECT and np.isnan(row[start]):
            found.add((start, -1))
        start += block.size
    return frozenset(found)


def _n_marks(block: Feature) -> int:
    return block.n_codes if block.kind is Kind.CATEGORY else int(block.missing is not Missing.REJECT)


def _distances(probabilities: F64, row: int) -> F64:
    return np.asarray(np.abs(probabilities - probabilities[row]).max(axis=1))


def _bounds(network: Network, least: float, real: Rows | None) -> list[F64 | float]:
    """What an effect has to exceed: the least; then what it has to reach: shares of the greatest real one."""
    if real is None or not len(real):
        return [least]
    greatest = np.maximum.reduce([_flat(effects(network, row)) for row in real])
    return [least, *(share * greatest for share in _NEARLY)]


def _flat(found: list[F64]) -> F64:
    return np.concatenate([effect.ravel() for effect in found])


def _hits(network: Network, row: Rows, bounds: list[F64 | float]) -> npt.NDArray[np.uint8]:
    """Which parameters matter to a row as far as each bound says, one bit each, (n_bounds, n_bytes)."""
    found = _flat(effects(network, row))
    first, *others = bounds
    return np.packbits(
        np.stack([found > first, *((found >= bound) & (found > 0) for bound in others)]), axis=1
    )


def effects(network: Network, row: Rows) -> list[F64]:
    """How far a typical change of each parameter moves some probability of a row, to first order.

    A typical change of a weight is the root mean square of its layer's weights; of a bias, that times the
    root mean square of the layer's input; of an imputed value, its own size.

    Args:
        network: whose parameters they are.
        row: (n_features,).

    Returns:
        One array a layer, (n_outputs, n_inputs + 1), the last column being the bias; then (n_imputed,).
    """
    *inputs, logits = (values[0] for values in network.activations(row[np.newaxis]))
    slopes = _slopes(network, inputs, logits)
    found = []
    for weights, slope, values in zip(network.weights, slopes, inputs, strict=True):
        reach = np.append(np.abs(values), max(1.0, _root_mean_square(values)))
        steepest = np.abs(slope).max(axis=0)
        found.append(_root_mean_square(weights) * np.outer(steepest, reach))
    return [*found, _imputed_effects(network, row, slopes[0])]


def _imputed_effects(network: Network, row: Rows, slope: F64) -> F64:
    inputs = network.inputs
    places = inputs.imputed
    if not places.size:
        return np.empty(0)
    missing = np.isnan(np.asarray(row, np.float64)[np.array(inputs.numbers)[places]])
    size = np.where(inputs.fill[places] == 0, 1.0, np.abs(inputs.fill[places]))
    return np.asarray(np.abs(slope @ network.weights[0][:, places]).max(axis=0) * size * missing)


def _root_mean_square(values: F64) -> float:
    return float(np.sqrt((values**2).mean()))


def _slopes(network: Network, inputs: list[F64], logits: F64) -> list[F64]:
    """By layer, d probability / d output, (n_classes, n_outputs), by the chain rule."""
    slope = _head_slope(network.head, logits)
    found = [slope]
    for weights, values in zip(network.weights[:0:-1], inputs[:0:-1], strict=True):
        slope = (slope @ weights) * SLOPES[network.activation](values)
        found.append(slope)
    return found[::-1]


def _head_slope(head: Head, logits: F64) -> F64:
    """The slopes d probability / d logit, (n_classes, n_classes).

    One-vs-rest is a softmax of log sigmoid(z), whose own derivative is sigmoid(-z).
    """
    probabilities = HEADS[head](logits[np.newaxis])[0]
    if head is Head.SIGMOID:
        return np.diag(probabilities * (1.0 - probabilities))
    slope: F64 = np.diag(probabilities) - np.outer(probabilities, probabilities)
    return slope if head is Head.SOFTMAX else slope * sigmoid(-logits)
