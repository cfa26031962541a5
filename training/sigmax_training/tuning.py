"""Which threshold is best: chosen on validation rows, by what a right and a wrong answer are worth.

Pure functions of probabilities and truth. Which rows are the validation rows, and what becomes of a
threshold, is for others to say; the rule that applies it (strictly above) is `sigmax.inference.decision`.

Only the order of the scores matters: between two neighbouring distinct scores every threshold decides alike.
So one pass over the sorted scores counts the outcomes of every decision that there is, and the threshold is
put midway between the two scores, where a small difference between trainer and service changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sigmax.errors import InvalidInput, listed, quoted

F64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


class Outcomes(NamedTuple):
    """How many rows of each kind there are at each threshold: four arrays, (n_candidates,)."""

    true_positives: Counts
    false_positives: Counts
    true_negatives: Counts
    false_negatives: Counts


@dataclass(frozen=True, slots=True)
class FBeta:
    """The F-beta score, to be high: recall counts `beta` times as much as precision.

    (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP): C. J. van Rijsbergen, Information Retrieval, 1979,
    chapter 7; the same as `sklearn.metrics.fbeta_score`.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        _require(np.isfinite(self.beta) and self.beta > 0, f"beta is a positive number, not {self.beta!r}")

    def values(self, outcomes: Outcomes) -> F64:
        """The score at each threshold, (n_candidates,)."""
        share = self.beta**2
        hits = (1 + share) * outcomes.true_positives
        return np.asarray(hits / (hits + share * outcomes.false_negatives + outcomes.false_positives))

    def ranks(self, outcomes: Outcomes) -> tuple[F64, ...]:
        """What is to be high, the most important first; (n_candidates,) each."""
        return (self.values(outcomes),)


@dataclass(frozen=True, slots=True)
class Cost:
    """What each kind of row costs (a gain is a negative cost); the total over all rows, to be low."""

    true_positive: float = 0.0
    false_positive: float = 1.0
    true_negative: float = 0.0
    false_negative: float = 1.0

    def __post_init__(self) -> None:
        costs = (self.true_positive, self.false_positive, self.true_negative, self.false_negative)
        _require(bool(np.isfinite(costs).all()), f"costs are finite numbers, not {costs}")

    def values(self, outcomes: Outcomes) -> F64:
        """The total cost at each threshold, (n_candidates,)."""
        total = (
            self.true_positive * outcomes.true_positives
            + self.false_positive * outcomes.false_positives
            + self.true_negative * outcomes.true_negatives
            + self.false_negative * outcomes.false_negatives
        )
        return np.asarray(total)

    def ranks(self, outcomes: Outcomes) -> tuple[F64, ...]:
        """What is to be high, the most important first; (n_candidates,) each."""
        return (-self.values(outcomes),)


@dataclass(frozen=True, slots=True)
class RecallAtPrecision:
    """The recall, to be high, among the thresholds whose precision is at least the wanted one.

    Of two with the same recall the one with the higher precision is better.
    """

    precision: float

    def __post_init__(self) -> None:
        _require(0 < self.precision <= 1, f"a precision is above 0 and at most 1, not {self.precision!r}")

    def values(self, outcomes: Outcomes) -> F64:
        """The recall at each threshold, (n_candidates,)."""
        return outcomes.true_positives / (outcomes.true_positives + outcomes.false_negatives)

    def ranks(self, outcomes: Outcomes) -> tuple[F64, ...]:
        """What is to be high, the most important first; (n_candidates,) each.

        Raises:
            InvalidInput: no threshold has the wanted precision.
        """
        precise = _precision(outcomes)
        reached = precise >= self.precision
        _require(
            bool(reached.any()),
            f"no threshold has a precision of {self.precision:g}: the best on these rows is "
            f"{precise.max():.6g}",
        )
        return np.where(reached, self.values(outcomes), -1.0), precise


Objective = FBeta | Cost | RecallAtPrecision


@dataclass(frozen=True, slots=True)
class Tuned:
    """A threshold and what it came to on the validation rows.

    Attributes:
        threshold: a row is positive when its probability exceeds it.
        value: of the objective: the F-beta score, the total cost, or the recall.
        true_positives: rows that are positive and called so.
        false_positives: rows that are called positive and are not.
        true_negatives: rows that are not positive and not called so.
        false_negatives: rows that are positive and not called so.
    """

    threshold: float
    value: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


def tune(probabilities: F64, positives: Flags, objective: Objective) -> Tuned:
    """Find the threshold that is best for an objective.

    Of equally good thresholds the one closest to 0.5 is taken, of two equally close ones the lower.

    Args:
        probabilities: (n_samples,), of the positive class or of one label, on rows not fitted on.
        positives: (n_samples,), whether each row truly is positive.
        objective: what is best.

    Raises:
        InvalidInput: the rows are all positive or all not, a probability is none, or no threshold has the
            wanted precision.
    """
    _check(probabilities, positives)
    thresholds, outcomes = candidates(probabilities, positives)
    away = np.abs(thresholds - 0.5)
    # lexsort sorts by its last key first, and rising: the best row comes out first
    keys = (thresholds, away, *(-rank for rank in reversed(objective.ranks(outcomes))))
    best = int(np.lexsort(keys)[0])
    counts = (int(kind[best]) for kind in outcomes)
    return Tuned(float(thresholds[best]), float(objective.values(outcomes)[best]), *counts)


def tune_labels(
    probabilities: F64, truth: Flags, labels: Sequence[str], objective: Objective
) -> dict[str, Tuned]:
    """Find the best threshold of every label, each on its own.

    Args:
        probabilities: (n_samples, n_labels), on rows not fitted on.
        truth: (n_samples, n_labels), whether each row truly has each label.
        labels: their names.
        objective: what is best, the same for every label.

    Raises:
        InvalidInput: naming every label that cannot be tuned, and why.
    """
    found: dict[str, Tuned] = {}
    problems: list[str] = []
    for label, scores, positives in zip(labels, probabilities.T, truth.T, strict=True):
        try:
            found[label] = tune(scores, positives, objective)
        except InvalidInput as error:
            problems.append(f"label {quoted(label)}: {error}")
    _require(not problems, listed(problems))
    return found


def candidates(probabilities: F64, positives: Flags) -> tuple[F64, Outcomes]:
    """One threshold for every decision that there is, and how the rows come out of it.

    Returns:
        Thresholds (n_candidates,), rising: midway from 0 to the lowest score, between neighbouring distinct
        scores, and from the highest one to 1; and the outcomes. Rows of probability 0 are above no threshold:
        where there are any, the first candidate is missing. The last one is 1 where the highest score is.
    """
    scores, group = np.unique(probabilities, return_inverse=True)  # rising
    each = np.bincount(group, minlength=len(scores))
    hits = np.bincount(group, weights=positives, minlength=len(scores)).astype(np.int64)
    # how many rows, and how many positive ones, lie below candidate k: those of the k lowest scores
    below, missed = (np.concatenate([[0], np.cumsum(part)]) for part in (each, hits))
    outcomes = Outcomes(
        true_positives=missed[-1] - missed,
        false_positives=(below[-1] - missed[-1]) - (below - missed),
        true_negatives=below - missed,
        false_negatives=missed,
    )
    ends = np.concatenate([[0.0], scores, [1.0]])
    thresholds = _midway(ends[:-1], ends[1:])
    first = int(scores[0] == 0.0)
    return thresholds[first:], Outcomes(*(kind[first:] for kind in outcomes))


def _midway(low: F64, high: F64) -> F64:
    """Between two scores; never the higher one, which would then not exceed it."""
    middle = low + (high - low) / 2
    return np.where(middle < high, middle, low)


def _precision(outcomes: Outcomes) -> F64:
    """TP / (TP + FP); 0 where nothing is called positive, since nothing was shown to be right."""
    called = outcomes.true_positives + outcomes.false_positives
    return np.asarray(outcomes.true_positives / np.maximum(called, 1))


def _check(probabilities: F64, positives: Flags) -> None:
    """Refuse what no threshold can be found for."""
    if probabilities.ndim != 1 or probabilities.shape != positives.shape:
        raise ValueError(f"probabilities {probabilities.shape} and truth {positives.shape} are (n_samples,)")
    wrong = np.flatnonzero(~((probabilities >= 0) & (probabilities <= 1)))
    if wrong.size:
        row = int(wrong[0])
        raise InvalidInput(f"row {row}: {float(probabilities[row])!r} is no probability")
    count, total = int(positives.sum()), len(positives)
    problem = f"a threshold needs validation rows of both kinds: {count} of {total} rows are positive"
    _require(0 < count < total, problem)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise InvalidInput(problem)
