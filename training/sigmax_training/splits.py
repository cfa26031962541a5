"""Which rows are fitted on and which are judged: folds, the held-out split, validation rows.

Everything is drawn by the job's seed, so that the same job on the same data sees the same rows. What a row's
group, time or key is stands in the data set; how whole groups are chosen is left to `grouping`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    train_test_split,
)

from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training import drawing, grouping
from sigmax_training.data.dataset import I64, Dataset
from sigmax_training.drawing import U64
from sigmax_training.job import Evaluation, Splitting

Split = tuple[I64, I64]
"""Indices of the rows to fit on, and of the rows to judge."""

_FOLDS = "evaluation.folds"
_FRACTION = "evaluation.test_fraction"
_OF_TRAINING = "validation.fraction"


def folds(dataset: Dataset, evaluation: Evaluation, seed: int) -> list[Split]:
    """Every split of the evaluation.

    Raises:
        InvalidInput: the rows cannot be folded so that every class is fitted on.
    """
    if evaluation.split is Splitting.GROUP:
        splits = _folds_of_groups(dataset, evaluation, seed)
    elif evaluation.split is Splitting.TIME:
        splits = _blocks_of_time(dataset, evaluation)
    elif evaluation.split is Splitting.HASH:
        splits = _folds_of_keys(dataset, evaluation, seed)
    else:
        splits = _drawn_folds(dataset, evaluation, seed)
    remedy = _remedy(evaluation, _FOLDS)
    for number, (train, test) in enumerate(splits, 1):
        where = f"fold {number} of {len(splits)}:"
        if not (len(train) and len(test)):
            lacking = "to judge" if len(train) else "to fit on"
            raise InvalidInput(
                f"{_FOLDS} = {evaluation.folds}: {where} there are no rows {lacking}: {remedy}"
            )
        _check_classes(dataset, train, f"{where} the rows to fit on", remedy)
    return splits


def holdout(dataset: Dataset, evaluation: Evaluation, seed: int) -> Split:
    """The split of the published model.

    Raises:
        InvalidInput: a side would be empty, or a class would be missing on one of them.
    """
    division = _Division(_FRACTION, "test", evaluation, evaluation.test_fraction, seed)
    train, test = division.of(dataset, np.arange(len(dataset.codes)))
    remedy = _remedy(evaluation, _FRACTION)
    _check_classes(dataset, train, "the training rows", remedy)
    if not dataset.multilabel:
        _check_classes(dataset, test, "the held-out rows", remedy)
    return train, test


def validation(dataset: Dataset, rows: I64, evaluation: Evaluation, fraction: float, seed: int) -> Split:
    """Set some of the training rows aside, as `holdout` does of all rows.

    Args:
        dataset: where the rows are.
        rows: the training rows.
        evaluation: says what is kept together.
        fraction: of the rows, between 0 and 1.
        seed: of the drawing.

    Raises:
        InvalidInput: a side would be empty, or a class would be missing on one of them.
    """
    division = _Division(_OF_TRAINING, "validation", evaluation, fraction, seed)
    train, aside = division.of(dataset, rows)
    remedy = _remedy(evaluation, _OF_TRAINING)
    _check_classes(dataset, train, "beside the validation rows, the rows to fit on", remedy)
    _check_classes(dataset, aside, f"{_OF_TRAINING} = {fraction:g}: the validation rows", remedy)
    return train, aside


@dataclass(frozen=True, slots=True)
class _Division:
    """One division: the job's key for the share that is set aside, what it is for, how and by which seed."""

    key: str
    purpose: str
    evaluation: Evaluation
    fraction: float
    seed: int

    def of(self, dataset: Dataset, rows: I64) -> Split:
        split = self.evaluation.split
        if split is Splitting.STRATIFIED:
            train, test = self._rows(dataset, rows)
            return np.sort(train), np.sort(test)
        if split is Splitting.GROUP:
            held = self._whole_groups(dataset, rows)
        elif split is Splitting.TIME:
            held = self._later(_times(dataset, self.evaluation)[rows])
        else:
            keys = _keys(dataset, self.evaluation)[rows]
            held = drawing.shares(keys, self.seed, self.purpose) < self.fraction
        if held.all() or not held.any():
            raise InvalidInput(
                f"{self.key} = {self.fraction:g}: of {len(rows)} rows {held.sum()} would be set aside, and a "
                f"row is needed on both sides: {_remedy(self.evaluation, self.key)}"
            )
        return np.sort(rows[~held]), np.sort(rows[held])

    def _whole_groups(self, dataset: Dataset, rows: I64) -> npt.NDArray[np.bool_]:
        groups = _groups(dataset, self.evaluation)[rows]
        if (groups == groups[0]).all():
            raise InvalidInput(
                f"{self.key}: the {len(rows)} rows to be divided are of one group, and a group is not "
                "divided: split = 'group' with validation rows needs three groups or more; give another "
                "column as evaluation.key, or leave out early stopping, calibration and tuned thresholds"
            )
        return grouping.aside(groups, _marks(dataset, rows), self.fraction, self.seed)

    def _later(self, times: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """The latest rows, as many as come closest to the fraction without dividing a time."""
        different, counts = np.unique(times, return_counts=True)
        if len(different) < 2:
            raise InvalidInput(
                f"{self.key}: the {len(times)} rows to be divided are all of the same time, so that none is "
                "later: give another column as evaluation.key, or fewer evaluation.folds"
            )
        before = counts.cumsum()[:-1]  # rows up to each time but the last
        first = np.abs(before - len(times) * (1 - self.fraction)).argmin()
        return np.asarray(times > different[first])

    def _rows(self, dataset: Dataset, rows: I64) -> Split:
        strata = None if dataset.multilabel else dataset.codes[rows]
        self._check(dataset, strata, len(rows))
        train, test = train_test_split(rows, test_size=self.fraction, random_state=self.seed, stratify=strata)
        return train, test

    def _check(self, dataset: Dataset, strata: I64 | None, count: int) -> None:
        """Refuse what cannot be divided, by label: scikit-learn says so of codes."""
        aside = math.ceil(count * self.fraction)
        least = 1 if strata is None else len(dataset.classes)
        if min(aside, count - aside) < least:
            each = "a row" if strata is None else f"a row of each of the {least} classes"
            raise InvalidInput(
                f"{self.key} = {self.fraction:g} does not fit the data: it sets {aside} of {count} rows "
                f"aside, and {each} is needed on both sides"
            )
        counts = [] if strata is None else np.bincount(strata, minlength=least).tolist()
        few = [quoted(label) for label, rows in zip(dataset.classes, counts, strict=False) if rows < 2]
        if few:
            raise InvalidInput(
                f"{self.key} does not fit the data: of the {count} rows to be divided fewer than two are of "
                f"class {', '.join(few)}"
            )


def _drawn_folds(dataset: Dataset, evaluation: Evaluation, seed: int) -> list[Split]:
    """Stratified by class, but for rows of several labels."""
    kind = RepeatedKFold if dataset.multilabel else RepeatedStratifiedKFold
    _check_folds(dataset, evaluation.folds)
    folding = kind(n_splits=evaluation.folds, n_repeats=evaluation.repeats, random_state=seed)
    return list(folding.split(dataset.features, None if dataset.multilabel else dataset.codes))


def _folds_of_groups(dataset: Dataset, evaluation: Evaluation, seed: int) -> list[Split]:
    """Each group once where there are no more of them than folds; else whole groups, drawn."""
    groups = _groups(dataset, evaluation)
    _check_groups(dataset, groups, evaluation)
    if len(np.unique(groups)) <= evaluation.folds:
        return list(LeaveOneGroupOut().split(dataset.features, groups=groups))
    _check_folds(dataset, evaluation.folds)
    kind = GroupKFold if dataset.multilabel else StratifiedGroupKFold
    seeds = np.random.default_rng(seed).integers(2**31, size=evaluation.repeats).tolist()
    return [
        split
        for drawn in seeds
        for split in kind(evaluation.folds, shuffle=True, random_state=drawn).split(
            dataset.features, None if dataset.multilabel else dataset.codes, groups
        )
    ]


def _blocks_of_time(dataset: Dataset, evaluation: Evaluation) -> list[Split]:
    """Each block of time but the first, judged by what all blocks before it teach."""
    times = _times(dataset, evaluation)
    different, counts = np.unique(times, return_counts=True)
    if len(different) < evaluation.folds:
        raise InvalidInput(
            f"evaluation.folds = {evaluation.folds} blocks of time, but {_named(evaluation)} has "
            f"{len(different)} different times: give fewer folds"
        )
    before = counts.cumsum()
    ends: list[int] = []
    for number in range(1, evaluation.folds):
        lowest = ends[-1] + 1 if ends else 0
        highest = len(different) - evaluation.folds + number  # every block has a time of its own
        wanted = len(times) * number / evaluation.folds
        ends.append(lowest + int(np.abs(before[lowest:highest] - wanted).argmin()))
    block = np.searchsorted(different[ends], times, side="left")  # (n_samples,), 0 to folds - 1
    return [
        (np.flatnonzero(block < number), np.flatnonzero(block == number))
        for number in range(1, evaluation.folds)
    ]


def _folds_of_keys(dataset: Dataset, evaluation: Evaluation, seed: int) -> list[Split]:
    keys = _keys(dataset, evaluation)
    found: list[Split] = []
    for repeat in range(evaluation.repeats):
        fold = (drawing.shares(keys, seed, f"fold {repeat}") * evaluation.folds).astype(np.int64)
        found += [
            (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
            for number in range(evaluation.folds)
        ]
    return found


def _groups(dataset: Dataset, evaluation: Evaluation) -> npt.NDArray[Any]:
    """Each row's group, (n_samples,): at least two different ones."""
    if dataset.groups is None:
        raise InvalidInput(
            f"evaluation.split = '{evaluation.split}' needs rows that have a key: name a column of the "
            "table in evaluation.key, or use split = 'stratified'"
        )
    if len(np.unique(dataset.groups)) < 2:
        raise InvalidInput(
            f"{_named(evaluation)} is the same in every row, and split = '{evaluation.split}' needs two "
            "different ones at least: give another column as evaluation.key, or use split = 'stratified'"
        )
    return dataset.groups


def _keys(dataset: Dataset, evaluation: Evaluation) -> U64:
    groups = _groups(dataset, evaluation)
    return groups if groups.dtype == np.uint64 else drawing.keys_of_integers(groups)


def _times(dataset: Dataset, evaluation: Evaluation) -> npt.NDArray[Any]:
    """When each row was, (n_samples,): at least two different times."""
    if dataset.times is None:
        raise InvalidInput(
            "evaluation.split = 'time' needs rows that have a time: name a column of the table in "
            "evaluation.key, or use split = 'stratified'"
        )
    if (dataset.times == dataset.times[0]).all():
        raise InvalidInput(
            f"{_named(evaluation)}: all rows are of the same time, so that none is later: give another "
            "column as evaluation.key, or use split = 'stratified'"
        )
    return dataset.times


def _named(evaluation: Evaluation) -> str:
    return "the rows' own group" if evaluation.key is None else f"evaluation.key = {quoted(evaluation.key)}"


def _remedy(evaluation: Evaluation, key: str) -> str:
    """What to change in the job when a side of a split lacks something."""
    ways = ["fewer evaluation.folds" if key == _FOLDS else f"another {key}"]
    if key == _OF_TRAINING and evaluation.split is Splitting.TIME:
        ways.append("fewer evaluation.folds")
    if evaluation.split in (Splitting.STRATIFIED, Splitting.HASH):
        ways.append("another seed")
    if evaluation.key is not None:
        ways.append("another column as evaluation.key")
    return f"give {' or '.join(ways)}"


def _marks(dataset: Dataset, rows: I64) -> npt.NDArray[np.bool_]:
    """What each row has that both sides need: its class, or each label's yes or no, (n_rows, n_marks)."""
    codes = dataset.codes[rows]
    if dataset.multilabel:
        return np.concatenate([codes, ~codes], axis=1)
    return np.asarray(codes[:, np.newaxis] == np.arange(len(dataset.classes)))


def _sizes(dataset: Dataset) -> list[int]:
    """How many rows each class has; of a label, those with it or those without, whichever are fewer."""
    if dataset.multilabel:
        there = dataset.codes.sum(axis=0)
        sizes: list[int] = np.minimum(there, len(dataset.codes) - there).tolist()
        return sizes
    counts: list[int] = np.bincount(dataset.codes, minlength=len(dataset.classes)).tolist()
    return counts


def _check_folds(dataset: Dataset, count: int) -> None:
    what = "label" if dataset.multilabel else "class"
    problems = [
        f"{what} {quoted(label)} has {size} rows, fewer than evaluation.folds = {count}"
        for label, size in zip(dataset.classes, _sizes(dataset), strict=True)
        if size < count
    ]
    if problems:
        raise InvalidInput(listed(problems))


def _check_groups(dataset: Dataset, groups: npt.NDArray[Any], evaluation: Evaluation) -> None:
    """Refuse a class that only one group has: it is either fitted on or judged, never both."""
    marks = _marks(dataset, np.arange(len(groups)))
    what = "label" if dataset.multilabel else "class"
    alone = {
        quoted(dataset.classes[mark % len(dataset.classes)]): None  # of labels a yes, then a no
        for mark in range(marks.shape[1])
        if len(np.unique(groups[marks[:, mark]])) == 1
    }
    if alone:
        key = "" if evaluation.key is None else ": give another column as evaluation.key, or add rows"
        raise InvalidInput(
            f"evaluation.split = 'group' needs every {what} in two groups at least, so that it is fitted on "
            f"whichever group is judged; in one group alone {'are' if len(alone) > 1 else 'is'} "
            f"{', '.join(alone)}{key}"
        )


def _check_classes(dataset: Dataset, rows: I64, where: str, remedy: str) -> None:
    missing = _absent(dataset, dataset.codes[rows])
    if missing and dataset.multilabel:
        raise InvalidInput(f"{where} do not have label {', '.join(missing)} both set and unset: {remedy}")
    if missing:
        raise InvalidInput(f"{where} have no row of class {', '.join(missing)}: {remedy}")


def _absent(dataset: Dataset, codes: npt.NDArray[Any]) -> Sequence[str]:
    if dataset.multilabel:
        return [
            quoted(label)
            for column, label in enumerate(dataset.classes)
            if not 0 < codes[:, column].sum() < len(codes)
        ]
    found = set(codes.tolist())
    return [quoted(label) for code, label in enumerate(dataset.classes) if code not in found]
