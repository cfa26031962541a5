"""Which rows are fitted on and which are judged: folds, the held-out split, validation rows.

Everything is drawn by the job's seed, so that the same job on the same data sees the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import (
    LeaveOneGroupOut,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    train_test_split,
)

from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training.data.dataset import I64, Dataset
from sigmax_training.job import Evaluation

Split = tuple[I64, I64]
"""Indices of the rows to fit on, and of the rows to judge."""


def folds(dataset: Dataset, evaluation: Evaluation, seed: int) -> list[Split]:
    """Every split of the evaluation: stratified by class, but for rows of several labels.

    Raises:
        InvalidInput: a class is too small for the folds, or the data has no groups.
    """
    if evaluation.by_group:
        groups = _groups(dataset)
        splits = list(LeaveOneGroupOut().split(dataset.features, groups=groups))
        for train, test in splits:
            _check_classes(dataset, train, f"without group {groups[test[0]]} there is")
        return splits
    kind = RepeatedKFold if dataset.multilabel else RepeatedStratifiedKFold
    _check_folds(dataset, evaluation.folds)
    folding = kind(n_splits=evaluation.folds, n_repeats=evaluation.repeats, random_state=seed)
    splits = list(folding.split(dataset.features, None if dataset.multilabel else dataset.codes))
    for train, _ in splits if dataset.multilabel else ():
        _check_classes(dataset, train, "in the rows of one fold there is")
    return splits


def holdout(dataset: Dataset, evaluation: Evaluation, seed: int) -> Split:
    """The split of the published model: stratified, or whole groups drawn by the seed.

    Raises:
        InvalidInput: a class would be missing on one of the sides.
    """
    everything = np.arange(len(dataset.codes))
    division = _Division("evaluation.test_fraction", evaluation.test_fraction, evaluation.by_group, seed)
    train, test = division.of(dataset, everything)
    _check_classes(dataset, train, "the training split has")
    return train, test


def validation(dataset: Dataset, rows: I64, evaluation: Evaluation, fraction: float, seed: int) -> Split:
    """Set some of the training rows aside, as `holdout` does of all rows.

    Args:
        dataset: where the rows are.
        rows: the training rows.
        evaluation: says whether groups stay together.
        fraction: of the rows, between 0 and 1.
        seed: of the drawing.

    Raises:
        InvalidInput: a class would be missing on one of the sides.
    """
    division = _Division("validation.fraction", fraction, evaluation.by_group, seed)
    train, aside = division.of(dataset, rows)
    _check_classes(dataset, train, "the training rows have beside the validation rows")
    return train, aside


@dataclass(frozen=True, slots=True)
class _Division:
    """One drawing: the job's key, the share that is set aside, whether groups stay together, and the seed."""

    key: str
    fraction: float
    by_group: bool
    seed: int

    def of(self, dataset: Dataset, rows: I64) -> Split:
        train, test = (
            self._groups(_groups(dataset)[rows], rows) if self.by_group else self._rows(dataset, rows)
        )
        return np.sort(train), np.sort(test)

    def _groups(self, groups: I64, rows: I64) -> Split:
        drawn = np.random.default_rng(self.seed).permutation(np.unique(groups))
        if len(drawn) < 2:
            raise InvalidInput(f"{self.key}: the rows are of one group, and a group is not divided")
        count = min(max(1, round(len(drawn) * self.fraction)), len(drawn) - 1)
        held = np.isin(groups, drawn[:count])
        return rows[~held], rows[held]

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


def _groups(dataset: Dataset) -> I64:
    if dataset.groups is None or len(np.unique(dataset.groups)) < 2:
        raise InvalidInput("evaluation.by_group needs data that comes in two or more groups")
    return dataset.groups


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


def _check_classes(dataset: Dataset, train: I64, where: str) -> None:
    missing = _absent(dataset, dataset.codes[train])
    if missing:
        raise InvalidInput(f"{where} no row of class {', '.join(missing)}")


def _absent(dataset: Dataset, codes: I64) -> Sequence[str]:
    if dataset.multilabel:
        return [
            quoted(label)
            for column, label in enumerate(dataset.classes)
            if not 0 < codes[:, column].sum() < len(codes)
        ]
    found = set(codes.tolist())
    return [quoted(label) for code, label in enumerate(dataset.classes) if code not in found]
