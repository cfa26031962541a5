"""One pass over all rows before the first epoch: everything that a fit would ask the rows for at once.

What is learnt of the training rows (scaling, imputed values, how many rows a class has) is exact, but for
medians and most frequent values of more rows than a sample holds. Of the rows that are watched or judged
bounded samples are kept, which do not depend on how the rows are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.impute import SimpleImputer

from sigmax.contract import Kind
from sigmax.errors import InvalidInput, quoted
from sigmax_training.data.dataset import F64, I64, Fill
from sigmax_training.data.stream import Part, Stream
from sigmax_training.features import Expansion, by_fill, learnt_codes
from sigmax_training.fit import too_large
from sigmax_training.streaming.division import TEST, TRAINING, VALIDATION, Division
from sigmax_training.streaming.moments import Moments
from sigmax_training.streaming.preparation import Preparation
from sigmax_training.streaming.sampling import Smallest
from sigmax_training.streaming.shuffling import Lane, stretches

SAMPLED_ROWS = 50_000
SAMPLED_BYTES = 32 * 2**20
"""Bounds of a sample: of the rows that are watched, of those that are judged, of those that fill gaps."""

OnRows = Callable[[int], None]
"""Told how many rows of a pass have been read."""

_MEAN, _CONSTANT = "mean", "constant"
_JUDGED, _WATCHED = "evaluation.test_fraction", "validation.fraction"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some rows: features (n_samples, n_features) and codes, as a `Part` has them."""

    features: F64
    codes: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What the rows of a stream are like.

    Attributes:
        rows: how many are there for each purpose: training, validation, test.
        lanes: which pieces an epoch reads beside each other.
        counts: (n_classes,), how many training rows are of each class, or have each label.
        preparation: from features to what enters the first layer, learnt of the training rows.
        taught: (n_inputs,), which inputs of the first layer are anything but 0 in some training row.
        validation: a sample of the rows that are watched; empty where none are set aside.
        test: a sample of the rows that are judged.
    """

    rows: tuple[int, int, int]
    lanes: tuple[Lane, ...]
    counts: I64
    preparation: Preparation
    taught: npt.NDArray[np.bool_]
    validation: Sample
    test: Sample


def survey(stream: Stream, division: Division, *, standardise: bool, on_rows: OnRows) -> Survey:
    """Read every row once.

    Args:
        stream: where the rows are.
        division: which rows are there for what.
        standardise: numbers to mean 0 and deviation 1.
        on_rows: told how far it is.

    Raises:
        InvalidInput: a side of the division has no rows, or lacks a class.
    """
    surveyor = _Surveyor(stream, division)
    lanes, seen = [], 0
    for pieces in stretches(stream.pieces):
        begun = seen
        for part in stream.read(pieces):
            surveyor.look_at(part)
            seen += len(part.keys)
            on_rows(seen)
        lanes.append(Lane(pieces, seen - begun))
    return surveyor.found(tuple(lanes), standardise=standardise)


class _Surveyor:
    """Everything that is counted while the rows go by."""

    def __init__(self, stream: Stream, division: Division) -> None:
        self._stream, self._division = stream, division
        blocks, fills = stream.blocks, stream.fills
        self._numbers = [column for columns in by_fill(blocks, fills).values() for column in columns]
        self._categories = [column for column, block in enumerate(blocks) if block.kind is Kind.CATEGORY]
        self._gaps = [column for column in self._numbers if _of_a_sample(fills.get(blocks[column].name))]
        self._moments = Moments(len(self._numbers))
        self._codes = [np.zeros(learnt_codes(blocks[column]), np.int64) for column in self._categories]
        self._counts = np.zeros(len(stream.classes), np.int64)
        self._watched_counts = np.zeros(len(stream.classes), np.int64)
        self._rows = [0, 0, 0]
        width = len(blocks) + sum(map(len, self._codes))
        limit = max(1, min(SAMPLED_ROWS, SAMPLED_BYTES // (8 * width)))
        self._gap_sample, self._watched, self._judged = Smallest(limit), Smallest(limit), Smallest(limit)

    def look_at(self, part: Part) -> None:
        sides, order = self._division.sides(part), self._division.order(sum(self._rows), len(part.keys))
        for side in (TRAINING, VALIDATION, TEST):
            self._rows[side] += int(np.count_nonzero(sides == side))
        training = sides == TRAINING
        self._learn(part.features[training], part.codes[training], order[training])
        for side, sample in ((VALIDATION, self._watched), (TEST, self._judged)):
            rows = np.flatnonzero(sides == side)
            sample.add(order[rows], part.features[rows], part.codes[rows])
        self._watched_counts += _by_class(part.codes[sides == VALIDATION], len(self._counts))

    def _learn(self, features: F64, codes: npt.NDArray[Any], order: F64) -> None:
        self._counts += _by_class(codes, len(self._counts))
        self._moments.add(features if self._whole else features[:, self._numbers])
        for place, column in enumerate(self._categories):
            found, learnt = features[:, column].astype(np.int64), len(self._codes[place])
            self._codes[place] += np.bincount(found[found < learnt], minlength=learnt)
        if self._gaps:
            self._gap_sample.add(order, features[:, self._gaps])

    @property
    def _whole(self) -> bool:
        return self._numbers == list(range(len(self._stream.blocks)))

    def found(self, lanes: tuple[Lane, ...], *, standardise: bool) -> Survey:
        self._check()
        fill = self._fill()
        moments = self._moments.filled(fill)
        count = len(self._numbers)
        mean, deviation = moments.scaling() if standardise else (np.zeros(count), np.ones(count))
        self._check_finite(mean, deviation)
        blocks = [self._stream.blocks[column] for column in self._categories]
        expansion = Expansion(
            tuple(self._numbers),
            fill,
            mean,
            deviation,
            tuple(self._categories),
            tuple(map(len, self._codes)),
            tuple(block.n_codes for block in blocks),
        )
        numbers = (moments.low != mean) | (moments.high != mean)
        codes = [count > 0 for count in self._codes]
        training, validation, test = self._rows
        return Survey(
            (training, validation, test),
            lanes,
            self._counts,
            Preparation(expansion),
            np.concatenate([numbers, *codes]),
            Sample(*self._watched.columns()),
            Sample(*self._judged.columns()),
        )

    def _fill(self) -> F64:
        """What stands in place of a missing number, by column; NaN where none may be missing."""
        fills = [self._stream.fills.get(self._stream.blocks[column].name) for column in self._numbers]
        sampled = self._gap_sample.columns()
        found = np.full(len(fills), np.nan)
        for place, fill in enumerate(fills):
            if fill is None:
                continue
            if _of_a_sample(fill):
                values = sampled[0][:, self._gaps.index(self._numbers[place])]
                imputer = SimpleImputer(strategy=fill.strategy, keep_empty_features=True)
                found[place] = imputer.fit(values[:, np.newaxis]).statistics_[0]
            else:
                found[place] = self._moments.mean[place] if fill.strategy == _MEAN else fill.value
        return found

    def _check(self) -> None:
        """Refuse a division that leaves a side without a row, or one to learn from without a class."""
        fractions = self._division.fractions
        sides = {_JUDGED: (fractions.test, self._rows[TEST])}
        if fractions.validation:
            sides[_WATCHED] = (fractions.validation, self._rows[VALIDATION])
        for key, (fraction, rows) in sides.items():
            if not rows:
                none = f"{key} = {fraction:g} sets none of {sum(self._rows)} rows aside"
                raise InvalidInput(f"{none}: {self._remedy(key)}")
        self._check_classes(_JUDGED, "the training rows", self._counts, self._rows[TRAINING])
        if fractions.validation:
            self._check_classes(_WATCHED, "the validation rows", self._watched_counts, self._rows[VALIDATION])

    def _check_classes(self, key: str, where: str, counts: I64, rows: int) -> None:
        alike = (0, rows) if self._stream.multilabel else (0,)
        found = zip(self._stream.classes, counts.tolist(), strict=True)
        absent = ", ".join(quoted(label) for label, count in found if count in alike)
        if not absent:
            return
        if self._stream.multilabel:
            lacking = f"do not have label {absent} both set and unset"
        else:
            lacking = f"have no row of class {absent}"
        raise InvalidInput(f"{where} {lacking}: {self._remedy(key)}")

    def _remedy(self, key: str) -> str:
        """What to change in the job, as `splits` says it."""
        other = "another seed" if self._division.cuts is None else "another column as evaluation.key"
        return f"give another {key} or {other}"

    def _check_finite(self, mean: F64, deviation: F64) -> None:
        wrong = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(deviation))).tolist()
        if wrong:
            raise InvalidInput(too_large([self._stream.blocks[self._numbers[place]].name for place in wrong]))


def _of_a_sample(fill: Fill | None) -> bool:
    """Whether a fill is looked for in a sample: it is no sum, and nobody has given it."""
    return fill is not None and fill.strategy not in (_MEAN, _CONSTANT)


def _by_class(codes: npt.NDArray[Any], n_classes: int) -> I64:
    """How many rows are of each class, or have each label, (n_classes,)."""
    found = codes.sum(axis=0) if codes.ndim == 2 else np.bincount(codes, minlength=n_classes)
    return np.asarray(found, np.int64)
