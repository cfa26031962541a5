"""What a trainer's last layer means: logits to probabilities, probabilities to classes, and the loss.

Pure rules in float64, for estimators that are trained here. The decision that is served, with its thresholds,
is `sigmax.inference.decision`; this one is scikit-learn's `predict`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # loading the data sets' package costs two seconds, for one name of a type
    from sigmax_training.data.dataset import F64

Codes = npt.NDArray[Any]
"""Columns, int64 (n_samples,); or one truth a label, bool (n_samples, n_labels)."""


class Output(Enum):
    """What the last layer's columns are."""

    BINARY = "one logit, two classes"
    SOFTMAX = "a logit a class, one distribution"
    ONE_VS_REST = "a sigmoid a class, divided by their sum"
    LABELS = "a sigmoid a label, each for itself"


def sigmoid(logits: F64) -> F64:
    """1 / (1 + exp(-z)) as exp(-log(1 + exp(-z))): nothing overflows, and a tiny one is not rounded to 0."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))


def softmax(logits: F64) -> F64:
    """exp(z) divided by the row's sum of it; the maximum is subtracted first, so that nothing overflows."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def probabilities(output: Output, logits: F64) -> F64:
    """Apply the head.

    A row of sigmoids that are all zero stays zero under one-vs-rest, as scikit-learn's OneVsRestClassifier
    leaves it.

    Args:
        output: what the columns are.
        logits: (n_samples, n_outputs).

    Returns:
        (n_samples, n_classes).
    """
    if output is Output.BINARY:
        return sigmoid(logits * np.array([-1.0, 1.0]))
    if output is Output.SOFTMAX:
        return softmax(logits)
    chances = sigmoid(logits)
    if output is Output.LABELS:
        return chances
    sums = chances.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(chances, sums, out=chances, where=sums != 0))


def decide(output: Output, chances: F64) -> Codes:
    """The second of two classes if it is above 0.5, else the likeliest, the lowest column on a tie.

    Args:
        output: what the columns are.
        chances: probabilities (n_samples, n_classes).

    Returns:
        Columns (n_samples,); with several labels whether each is above 0.5, (n_samples, n_labels).
    """
    if output is Output.LABELS:
        return np.asarray(chances > 0.5)
    if output is Output.BINARY:
        return np.asarray(chances[:, 1] > 0.5, np.int64)
    return np.asarray(chances.argmax(axis=1), np.int64)


def losses(output: Output, logits: F64, codes: Codes) -> F64:
    """Cross-entropy of each row: categorical for softmax, else binary, the mean over the columns.

    From the logits, so that no probability is rounded to 0 or 1: -log sigmoid(z) = log(1 + exp(-z)), and
    -log softmax(z)_k = log sum exp(z) - z_k.

    Args:
        output: what the columns are.
        logits: (n_samples, n_outputs).
        codes: what is true of each row.

    Returns:
        (n_samples,).
    """
    if output is Output.SOFTMAX:
        right = np.take_along_axis(logits, codes[:, np.newaxis], axis=1)[:, 0]
        return np.asarray(np.logaddexp.reduce(logits, axis=1) - right)
    true = truths(output, logits.shape[1], codes)
    return np.asarray((np.logaddexp(0.0, logits) - true * logits).mean(axis=1))


def truths(output: Output, width: int, codes: Codes) -> npt.NDArray[np.bool_]:
    """What is true in each column of sigmoids, (n_samples, n_outputs)."""
    if output is Output.ONE_VS_REST:
        return np.equal.outer(codes, np.arange(width))
    return codes.reshape(len(codes), -1).astype(np.bool_)
