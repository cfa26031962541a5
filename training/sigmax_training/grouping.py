"""Which whole groups of rows to set aside: as many rows as wanted, and every class on both sides.

Few groups are tried in every combination; of many, which are small beside what is wanted, several orders are
tried greedily. What a group is, and what to do where a class is missing, is left to `splits`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sigmax_training.data.dataset import I64

Truths = npt.NDArray[np.bool_]

MAX_COMBINED = 14
"""Groups up to which every combination is looked at: 16,384 of them."""

_TRIES = 64
_STEPS = 20_000
"""Groups looked at in all tries together, after the first one."""


def aside(groups: npt.NDArray[np.integer], marks: Truths, fraction: float, seed: int) -> Truths:
    """Choose groups.

    Args:
        groups: each row's, (n_rows,); two different ones at least.
        marks: what both sides should have, by row: (n_rows, n_marks).
        fraction: of the rows, between 0 and 1.
        seed: decides between groups that are equally good.

    Returns:
        Whether each row is set aside, (n_rows,): neither all nor none of them. The marks that the others lack
        are few, then those that the rows set aside lack, then the rows are close to the fraction.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    having = np.zeros((len(sizes), marks.shape[1]), np.bool_)
    np.logical_or.at(having, group, marks)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sizes))
    wanted = fraction * len(groups)
    if len(sizes) <= MAX_COMBINED:
        candidates = np.zeros((2 ** len(sizes) - 2, len(sizes)), np.bool_)
        numbers = np.arange(1, 2 ** len(sizes) - 1)[:, np.newaxis]
        candidates[:, order] = numbers >> np.arange(len(sizes)) & 1
    else:
        orders = [order, *(rng.permutation(len(sizes)) for _ in range(_tries(len(sizes)) - 1))]
        candidates = np.array([_greedy(order, sizes, having, wanted) for order in orders])
    return np.asarray(_best(candidates, sizes, having, wanted)[group])


def _tries(count: int) -> int:
    return max(1, min(_TRIES, _STEPS // count))


def _best(candidates: Truths, sizes: I64, having: Truths, wanted: float) -> Truths:
    """The best of some choices of groups, (n_groups,).

    Args:
        candidates: (n_candidates, n_groups).
        sizes: rows of each group, (n_groups,).
        having: (n_groups, n_marks).
        wanted: rows.
    """
    there = having.astype(np.int64)
    held = candidates.astype(np.int64)
    lacking = ((1 - held) @ there == 0).sum(axis=1)
    lacking_aside = (held @ there == 0).sum(axis=1)
    off = np.abs(held @ sizes - wanted)
    return np.asarray(candidates[np.lexsort((off, lacking_aside, lacking))[0]])


def _greedy(order: I64, sizes: I64, having: Truths, wanted: float) -> Truths:
    """Groups for the marks that few groups have, then groups in order while they bring the rows closer."""
    left = having.sum(axis=0)  # groups with each mark that are not set aside
    held = np.zeros(len(sizes), np.bool_)

    def take(group: int) -> None:
        left[having[group]] -= 1
        held[group] = True

    def spared(group: int) -> bool:
        return not held[group] and bool((left[having[group]] > 1).all())

    covered = np.zeros(having.shape[1], np.bool_)
    for mark in np.argsort(left, kind="stable").tolist():
        free = (
            [] if covered[mark] else [group for group in order[having[order, mark]].tolist() if spared(group)]
        )
        if free:
            take(free[0])
            covered |= having[free[0]]
    short = wanted - float(sizes[held].sum())
    for group in order.tolist():
        if abs(short - sizes[group]) < abs(short) and spared(group):
            take(group)
            short -= float(sizes[group])
    if not held.any():
        held[order[sizes[order].argmin()]] = True
    return held
