"""How good is it? Figures for one fitted estimator, and for the folds that a promise stands on.

Every row that is judged was not fitted on; classes are decided by the rule that the service applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss

from sigmax.contract import Manifest
from sigmax.inference.decision import Rule
from sigmax_training import calibration
from sigmax_training.data.dataset import F64, I64, Dataset
from sigmax_training.fit import Fitted, Memory, fit
from sigmax_training.job import Evaluation, Job, Splitting
from sigmax_training.splits import Split


@dataclass(frozen=True, slots=True)
class Score:
    """How one fitted estimator did on rows that it had not seen.

    Attributes:
        accuracy: the share of right classes; of several labels, the share of right labels.
        log_loss: the mean of -log p of what is true; of several labels, the mean over them.
    """

    accuracy: float
    log_loss: float


def describe(evaluation: Evaluation, *, streamed: bool = False) -> str:
    """How rows are judged in one line, for people.

    Args:
        evaluation: as the job has it.
        streamed: there are no folds, and rows that nothing else is said of are drawn by their number.
    """
    by = f" by {evaluation.key}" if evaluation.key else ""
    repeated = "" if evaluation.split is Splitting.TIME else f", repeated {evaluation.repeats} times"
    held_out = f"{evaluation.test_fraction:g} of the rows held out"
    if streamed:
        split = "drawn" if evaluation.split is Splitting.STRATIFIED else evaluation.split
        return f"{split}{by}, no folds, {held_out}"
    return f"{evaluation.split}{by}, {evaluation.folds} folds{repeated}, {held_out}"


def rule_of(manifest: Manifest, fitted: Fitted) -> Rule:
    """The decision rule of a model, with the thresholds that were chosen on its validation rows."""
    return Rule(manifest, np.float64, {**manifest.decision.thresholds, **fitted.thresholds})


def score(fitted: Fitted, dataset: Dataset, rows: I64, rule: Rule) -> Score:
    """Judge a fitted estimator on rows that it has not seen."""
    probabilities = fitted.probabilities(dataset.features[rows])
    truth = dataset.codes[rows]
    return Score(float((rule.choose(probabilities) == truth).mean()), mean_log_loss(truth, probabilities))


def closer_look(fitted: Fitted, dataset: Dataset, rows: I64, rule: Rule) -> dict[str, float]:
    """Further figures of the published model on rows that it has not seen, by name."""
    probabilities = fitted.probabilities(dataset.features[rows])
    truth = dataset.codes[rows]
    found = {
        "test_brier": calibration.brier_score(probabilities, truth),
        "test_calibration_error": calibration.expected_calibration_error(probabilities, truth),
    }
    if dataset.multilabel:
        found["test_exact_match"] = float((rule.choose(probabilities) == truth).all(axis=1).mean())
    return found


def cross_validate(
    job: Job,
    dataset: Dataset,
    splits: list[Split],
    manifest: Manifest,
    after_each: Callable[[Score, Fitted], None],
    *,
    done: tuple[Score, ...] = (),
    memory: Memory | None = None,
) -> tuple[Score, ...]:
    """Fit and judge once for every split, but for the first ones that are done already."""

    def scores() -> Iterator[Score]:
        yield from done
        for train, test in splits[len(done) :]:
            fitted = fit(job, dataset, train, memory=memory)
            found = score(fitted, dataset, test, rule_of(manifest, fitted))
            after_each(found, fitted)
            yield found

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


def baseline(dataset: Dataset, split: Split) -> dict[str, float]:
    """What no model at all comes to, by name.

    The accuracy is that of always answering what is most frequent in the training rows, label by label; the
    log loss that of always answering the classes' (or labels') shares of the training rows.
    """
    train, test = split
    truth = dataset.codes[test]
    if dataset.multilabel:
        shares = dataset.codes[train].mean(axis=0)
        accuracy = (truth == (shares > 0.5)).mean()
    else:
        shares = np.bincount(dataset.codes[train], minlength=len(dataset.classes)) / len(train)
        accuracy = (truth == shares.argmax()).mean()
    always = np.tile(shares, (len(test), 1))
    return {"baseline_accuracy": float(accuracy), "baseline_log_loss": mean_log_loss(truth, always)}


def mean_log_loss(truth: npt.NDArray[Any], probabilities: F64) -> float:
    """Mean of -log p of what is true; p is kept above the smallest step of float64."""
    if truth.ndim == 1:
        return float(log_loss(truth, probabilities, labels=np.arange(probabilities.shape[1])))
    of_truth = np.where(truth, probabilities, 1.0 - probabilities)
    return float(-np.log(np.maximum(of_truth, np.finfo(np.float64).eps)).mean())
