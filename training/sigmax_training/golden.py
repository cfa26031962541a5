"""Choosing golden rows: few enough to load fast, such that every parameter matters to one of them.

A parameter matters to a row when changing it by a typical weight of its layer moves a probability by several
tolerances (to first order). So a row that is saturated proves little, and a hidden unit proves nothing where
its ReLU is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sigmax.contract import Head
from sigmax_training.data.dataset import F64
from sigmax_training.network import Network
from sigmax_training.rows import Rows

_SHARP = 4.0
"""How many tolerances a changed parameter has to move a probability by."""

_FEW, _BYTES = 12, 2**18
MOST = 32


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The chosen rows, (n_samples, n_features), and how many parameters matter to none of them."""

    rows: Rows
    untouched: int
    parameters: int


def budget(n_features: int) -> int:
    """How many golden rows a model has: fewer where a row is large."""
    return MOST if MOST * n_features * 8 <= _BYTES else _FEW


def select(network: Network, tolerance: float, wanted: Rows, candidates: Rows) -> Selection:
    """Take the wanted rows, then every candidate that a further parameter matters to.

    Args:
        network: whose parameters they are.
        tolerance: of the gate.
        wanted: (n_wanted, n_features), taken in any case, up to the budget.
        candidates: (n_candidates, n_features), in order of preference.
    """
    most = budget(network.n_features)
    covered = [np.zeros((w.shape[0], w.shape[1] + 1), np.bool_) for w in network.weights]
    chosen = []
    pool = np.concatenate([wanted, candidates])
    for index, effects in enumerate(_effects(network, pool)):
        hits = [effect > _SHARP * tolerance for effect in effects]
        gain = sum(int((hit & ~known).sum()) for hit, known in zip(hits, covered, strict=True))
        if len(chosen) < most and (index < len(wanted) or gain):
            chosen.append(index)
            covered = [hit | known for hit, known in zip(hits, covered, strict=True)]
    untouched = sum(int((~known).sum()) for known in covered)
    return Selection(pool[chosen], untouched, sum(known.size for known in covered))


def _effects(network: Network, rows: Rows) -> Iterator[list[F64]]:
    """For each row, by layer: how far a typical change of each parameter moves some probability.

    Yields:
        One array a layer, (n_outputs, n_inputs + 1); the last column is the bias.
    """
    typical = [float(np.sqrt((weights**2).mean())) for weights in network.weights]
    for row in rows:
        *inputs, probabilities = (values[0] for values in network.activations(row[np.newaxis]))
        slopes = _slopes(network, inputs, probabilities)
        yield [
            step * np.outer(slope, np.append(np.abs(values), 1.0))
            for step, slope, values in zip(typical, slopes, inputs, strict=True)
        ]


def _slopes(network: Network, inputs: list[F64], probabilities: F64) -> list[F64]:
    """By layer, the steepest |d probability / d output| of each of its outputs, by the chain rule."""
    slope: npt.NDArray[np.float64] = np.diag(probabilities)
    slope = slope - (np.outer(probabilities, probabilities) if network.head is Head.SOFTMAX else slope**2)
    steepest = [np.abs(slope).max(axis=0)]
    for weights, values in zip(network.weights[:0:-1], inputs[:0:-1], strict=True):
        slope = (slope @ weights) * (values > 0)
        steepest.append(np.abs(slope).max(axis=0))
    return steepest[::-1]
