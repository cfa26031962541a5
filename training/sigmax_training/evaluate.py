"""How good is it? Folds for the figure that is promised, one split for the model that is published.

Every row that is judged was not fitted on; classes are decided by the rule that the service applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import LeaveOneGroupOut, RepeatedStratifiedKFold, train_test_split

from sigmax.errors import InvalidInput, listed, quoted
from sigmax.inference.decision import Rule
from sigmax_training.data.dataset import F64, I64, Dataset
from sigmax_training.fit import Fitted, fit
from sigmax_training.job import Evaluation, Job

Split = tuple[I64, I64]
"""Indices of the rows to fit on, and of the rows to judge."""


@dataclass(frozen=True, slots=True)
class Score:
    """How one fitted estimator did on rows that it had not seen."""

    accuracy: float
    log_loss: float


def folds(dataset: Dataset, evaluation: Evaluation, seed: int) -> list[Split]:
    """Every split of the evaluation.

    Raises:
        InvalidInput: a class is too small for the folds, or the data has no groups.
    """
    if evaluation.by_group:
        groups = _groups(dataset)
        splits = list(LeaveOneGroupOut().split(dataset.features, dataset.codes, groups))
        for train, test in splits:
            _check_classes(dataset, train, f"without group {groups[test[0]]} there is")
        return splits
    _check_folds(dataset, evaluation.folds)
    folding = RepeatedStratifiedKFold(
        n_splits=evaluation.folds, n_repeats=evaluation.repeats, random_state=seed
    )
    return list(folding.split(dataset.features, dataset.codes))


def holdout(dataset: Dataset, evaluation: Evaluation, seed: int) -> Split:
    """The split of the published model: stratified, or whole groups drawn by the seed.

    Raises:
        InvalidInput: a class would be missing on one of the sides.
    """
    if evaluation.by_group:
        groups = _groups(dataset)
        drawn = np.random.default_rng(seed).permutation(np.unique(groups))
        count = min(max(1, round(len(drawn) * evaluation.test_fraction)), len(drawn) - 1)
        held = np.isin(groups, drawn[:count])
        train, test = np.flatnonzero(~held), np.flatnonzero(held)
    else:
        try:
            train, test = train_test_split(
                np.arange(len(dataset.codes)),
                test_size=evaluation.test_fraction,
                random_state=seed,
                stratify=dataset.codes,
            )
        except ValueError as error:
            raise InvalidInput(f"evaluation.test_fraction does not fit the data: {error}") from error
    _check_classes(dataset, train, "the training split has")
    return np.sort(train), np.sort(test)


def score(fitted: Fitted, dataset: Dataset, rows: I64, rule: Rule) -> Score:
    """Judge a fitted estimator on rows that it has not seen."""
    probabilities = fitted.probabilities(dataset.features[rows])
    codes = dataset.codes[rows]
    accuracy = float((rule.choose(probabilities) == codes).mean())
    return Score(accuracy, _log_loss(codes, probabilities))


def cross_validate(
    job: Job, dataset: Dataset, splits: list[Split], rule: Rule, after_each: Callable[[Fitted], None]
) -> tuple[Score, ...]:
    """Fit and judge once for every split."""

    def scores() -> Iterator[Score]:
        for train, test in splits:
            fitted = fit(job, dataset, train)
            yield score(fitted, dataset, test, rule)
            after_each(fitted)

    return tuple(scores())


def summary(scores: tuple[Score, ...]) -> dict[str, float]:
    """Mean, standard deviation over the folds, and the worst fold's accuracy."""
    accuracy = np.array([score.accuracy for score in scores])
    loss = np.array([score.log_loss for score in scores])
    return {
        "cv_accuracy_mean": float(accuracy.mean()),
        "cv_accuracy_std": float(accuracy.std()),
        "cv_accuracy_worst": float(accuracy.min()),
        "cv_log_loss_mean": float(loss.mean()),
        "cv_log_loss_std": float(loss.std()),
        "cv_folds": float(len(scores)),
    }


def baseline(dataset: Dataset, split: Split) -> float:
    """The accuracy of always answering the most frequent class of the training rows."""
    train, test = split
    return float((dataset.codes[test] == np.bincount(dataset.codes[train]).argmax()).mean())


def _log_loss(codes: I64, probabilities: F64) -> float:
    """Mean of -log p of the true class; p is kept above the smallest step of float64."""
    return float(log_loss(codes, probabilities, labels=np.arange(probabilities.shape[1])))


def _groups(dataset: Dataset) -> I64:
    if dataset.groups is None or len(np.unique(dataset.groups)) < 2:
        raise InvalidInput("evaluation.by_group needs data that comes in two or more groups")
    return dataset.groups


def _check_folds(dataset: Dataset, count: int) -> None:
    sizes = np.bincount(dataset.codes, minlength=len(dataset.classes)).tolist()
    problems = [
        f"class {quoted(label)} has {size} rows, fewer than evaluation.folds = {count}"
        for label, size in zip(dataset.classes, sizes, strict=True)
        if size < count
    ]
    if problems:
        raise InvalidInput(listed(problems))


def _check_classes(dataset: Dataset, train: I64, where: str) -> None:
    found = set(dataset.codes[train].tolist())
    missing = [quoted(label) for code, label in enumerate(dataset.classes) if code not in found]
    if missing:
        raise InvalidInput(f"{where} no row of class {', '.join(missing)}")
