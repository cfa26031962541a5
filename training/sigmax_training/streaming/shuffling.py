"""Rows in a new order each epoch, though only a buffer of them is ever held.

Rows that stand together are often alike: a file sorted by class, by day, by customer. So the pieces of a
stream are read in several lanes at once, each of which covers a stretch of the whole, all of them at the same
pace, and every lane takes its pieces in an order of its own. What they bring goes through a buffer, out of
which rows are drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax_training.data.stream import Part, Stream

Rows = npt.NDArray[Any]

LANES = 4
"""How many pieces are read at once; each holds a file open, and what was decoded of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """A stretch of a stream.

    Attributes:
        pieces: their numbers.
        rows: how many they have together.
    """

    pieces: range
    rows: int


def stretches(pieces: int) -> list[range]:
    """The pieces of each lane: stretches that are equally long, give or take one."""
    count = max(1, min(LANES, pieces))
    bounds = [pieces * lane // count for lane in range(count + 1)]
    return [range(low, high) for low, high in pairwise(bounds)]


def interleaved(stream: Stream, lanes: Sequence[Lane], rng: np.random.Generator) -> Iterator[Part]:
    """Every row once, all lanes at the same pace.

    Args:
        stream: where the rows are.
        lanes: which pieces are read beside each other.
        rng: draws the order within each lane.
    """
    reading = [stream.read(rng.permutation(lane.pieces).tolist()) for lane in lanes]
    left = {place: 0 for place, lane in enumerate(lanes) if lane.rows}
    while left:
        place = min(left, key=lambda lane: left[lane] / lanes[lane].rows)
        part = next(reading[place], None)
        if part is None:
            del left[place]
        else:
            left[place] += len(part.keys)
            yield part
            del part


def shuffled(
    rows: Iterator[tuple[Rows, Rows]], buffer: int, chunk: int, rng: np.random.Generator
) -> Iterator[tuple[Rows, Rows]]:
    """Rows through a buffer: when it is full, some of them are drawn, and the next ones take their places.

    Args:
        rows: features (n_samples, n_features) and codes (n_samples, ...) that belong together.
        buffer: how many rows are held.
        chunk: how many are drawn at once, at most `buffer`.
        rng: draws them.

    Yields:
        Features and codes of `chunk` rows, the last ones fewer.
    """
    held: tuple[Rows, Rows] | None = None
    free = np.arange(buffer)
    for features, codes in rows:
        if held is None:
            held = _room(features, buffer), _room(codes, buffer)
        start = 0
        while start < len(features):
            stop = start + min(len(free), len(features) - start)
            places, free = free[: stop - start], free[stop - start :]
            held[0][places], held[1][places] = features[start:stop], codes[start:stop]
            start = stop
            if not len(free):
                free = rng.choice(buffer, chunk, replace=False)
                yield held[0][free], held[1][free]
    if held is not None:
        full = np.ones(buffer, np.bool_)
        full[free] = False
        drawn = rng.permutation(np.flatnonzero(full))
        for start in range(0, len(drawn), chunk):
            some = drawn[start : start + chunk]
            yield held[0][some], held[1][some]


def _room(like: Rows, count: int) -> Rows:
    return np.empty((count, *like.shape[1:]), like.dtype)
