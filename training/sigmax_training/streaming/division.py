"""Which rows are trained on, watched and judged, told from a row's key or its time alone.

So no list of rows is kept, and a row is on the same side however often, and in whichever order, it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from sigmax.errors import InvalidInput
from sigmax_training.data.dataset import F64
from sigmax_training.data.stream import Part, Stream
from sigmax_training.drawing import keys_of_integers, shares
from sigmax_training.streaming.sampling import Smallest

TRAINING, VALIDATION, TEST = range(3)
"""What a row is there for: fitting weights; choosing epoch, calibration and thresholds; judging."""

Sides = npt.NDArray[np.int8]

SAMPLED_TIMES = 1 << 18
"""How many times a cut is looked for among; of 262,144 a quantile is off by a thousandth of the rows."""

_TEST, _VALIDATION, _SAMPLE = "test", "validation", "sample"


@dataclass(frozen=True, slots=True)
class Fractions:
    """How much is set aside: of all rows to judge, and of the others to watch (0 for none)."""

    test: float
    validation: float


@dataclass(frozen=True, slots=True)
class Cuts:
    """The last moment of the training rows, and the last one of all that is not judged."""

    training: float
    watched: float


@dataclass(frozen=True, slots=True)
class Division:
    """Where every row belongs.

    Attributes:
        fractions: how much is set aside.
        seed: of the drawing.
        cuts: where the later rows are judged; None where rows are drawn by their keys.
    """

    fractions: Fractions
    seed: int
    cuts: Cuts | None = None

    def sides(self, part: Part) -> Sides:
        """What each row of a part is there for, (n_samples,)."""
        found = np.zeros(len(part.keys), np.int8)
        if self.cuts is not None and part.times is not None:
            found[part.times > self.cuts.training] = VALIDATION
            found[part.times > self.cuts.watched] = TEST
            return found
        if self.fractions.validation:
            found[shares(part.keys, self.seed, _VALIDATION) < self.fractions.validation] = VALIDATION
        found[shares(part.keys, self.seed, _TEST) < self.fractions.test] = TEST
        return found

    def order(self, start: int, count: int) -> F64:
        """What a sample of rows is drawn by, (n_samples,): those with the smallest numbers are in it.

        Not by their keys: a sample of many rows of one key would hardly have another.

        Args:
            start: how many rows stand before these in the stream.
            count: how many these are.
        """
        return shares(keys_of_integers(np.arange(start, start + count)), self.seed, _SAMPLE)


def divide(stream: Stream, fractions: Fractions, seed: int) -> Division:
    """Decide where every row belongs; where rows have times, they are all read once.

    Raises:
        InvalidInput: no time divides the rows.
    """
    plain = Division(fractions, seed)
    parts = stream.read(range(stream.pieces))
    first = next(parts, None)
    if first is None or first.times is None:
        return plain
    sample, seen = Smallest(SAMPLED_TIMES), 0
    for part in chain((first,), parts):
        sample.add(plain.order(seen, len(part.keys)), _times(part))
        seen += len(part.keys)
    (found,) = sample.columns()
    return Division(fractions, seed, _cuts(found, fractions))


def _times(part: Part) -> F64:
    if part.times is None:
        raise InvalidInput("some rows have a time and others have none")
    return part.times


def _cuts(times: F64, fractions: Fractions) -> Cuts:
    """Where some times are divided: the latest are judged, and the latest of the others watched."""
    watched = _cut(times, fractions.test, "evaluation.test_fraction")
    if not fractions.validation:
        return Cuts(watched, watched)
    return Cuts(_cut(times[times <= watched], fractions.validation, "validation.fraction"), watched)


def _cut(times: F64, fraction: float, key: str) -> float:
    """The last time that is not set aside: what is later comes closest to the fraction of the rows."""
    different, counts = np.unique(times, return_counts=True)
    if len(different) < 2:
        raise InvalidInput(
            f"{key}: the rows to be divided are all of the same time, so that none is later: give another "
            "column as evaluation.key"
        )
    before = counts.cumsum()[:-1]  # rows up to each time but the last
    return float(different[np.abs(before - len(times) * (1.0 - fraction)).argmin()])
