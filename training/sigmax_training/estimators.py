"""The scikit-learn estimators behind a job's settings.

Classes are fitted as column numbers, so that column j of the probabilities is class j by construction and no
label type can be lost on the way (scikit-learn orders labels its own way, exporters cast them).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.class_weight import compute_sample_weight

from sigmax.contract import Head, Task
from sigmax.errors import InvalidInput, nearest, quoted
from sigmax_training.data.dataset import F64
from sigmax_training.job import ELASTIC_NET, L1, NO_PENALTY, ClassWeight, Estimator, Logistic, Perceptron
from sigmax_training.minibatch import MiniBatchClassifier


def estimator(settings: Estimator, task: Task, head: Head, classes: Sequence[str], seed: int) -> Any:
    """An estimator that is not yet fitted.

    Args:
        settings: of the job.
        task: several labels are one sigmoid each.
        head: one-vs-rest fits one sigmoid a class, too.
        classes: the labels in column order; class weights name them.
        seed: of everything random in it.

    Raises:
        InvalidInput: class weights that this estimator does not have.
    """
    weights = class_weight(settings.class_weight, classes)
    several = task is Task.MULTILABEL or head is Head.ONE_VS_REST
    if several and isinstance(weights, dict):
        raise InvalidInput(
            "class_weight by label is for one class a row and a softmax; 'balanced' is for every head"
        )
    if isinstance(settings, Logistic):
        model = _logistic(settings, weights, seed)
        if task is Task.MULTILABEL and len(classes) == 1:
            return _OneLabel(model)
        return OneVsRestClassifier(model) if several else model
    if task is Task.MULTILABEL and weights is not None:
        raise InvalidInput("class_weight is for one class a row; an mlp of several labels has none")
    return _perceptron(settings, weights, head, seed)


class _OneLabel(OneVsRestClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """One label as one column: scikit-learn takes a matrix of one column for two classes."""

    def fit(self, features: F64, codes: npt.NDArray[Any]) -> Self:
        """Codes are (n_samples, 1)."""
        super().fit(features, codes[:, 0])
        self.classes_ = np.arange(1)
        return self

    def decision_function(self, features: F64) -> F64:
        """Logits, (n_samples, 1)."""
        return np.asarray(self.estimators_[0].decision_function(features))[:, np.newaxis]

    def predict_proba(self, features: F64) -> F64:
        """Probabilities, (n_samples, 1)."""
        return np.asarray(self.estimators_[0].predict_proba(features))[:, 1:]

    def predict(self, features: F64) -> npt.NDArray[np.bool_]:
        """Whether the label is there, (n_samples, 1)."""
        return self.decision_function(features) > 0


def short_of_the_optimum(model: Any, features: F64, codes: npt.NDArray[Any]) -> float:
    """How far a fitted logistic regression is from the one condition that every penalty leaves.

    The intercept is not penalised, so at the optimum the mean probability of each class is its share of the
    rows, both weighted (the derivative by the intercept is the mean of p - y). A solver that stops where all
    weights are 0 can be far from it without a warning: scikit-learn 1.9's saga with a strong L1 penalty is.

    Args:
        model: what `estimator` made of a `Logistic`, fitted.
        features: (n_samples, n_inputs), what it was fitted on.
        codes: as it was fitted on.

    Returns:
        The largest difference of a mean probability and a share.
    """
    if isinstance(model, OneVsRestClassifier):
        truths = codes.T if codes.ndim == 2 else codes == np.arange(len(model.classes_))[:, np.newaxis]
        parts = zip(model.estimators_, truths, strict=True)
        return max(short_of_the_optimum(part, features, truth.astype(np.int64)) for part, truth in parts)
    if not isinstance(model, LogisticRegression):
        return 0.0
    weights = compute_sample_weight(model.class_weight, codes)
    truth = codes[:, np.newaxis] == model.classes_
    return float(np.abs(np.average(model.predict_proba(features) - truth, axis=0, weights=weights)).max())


def class_weight(weights: ClassWeight, classes: Sequence[str]) -> dict[int, float] | str | None:
    """Weights by label as weights by column; a class that is not named weighs 1.

    Raises:
        InvalidInput: a label that is no class.
    """
    if weights is None or isinstance(weights, str):
        return weights
    unknown = [label for label in weights if label not in classes]
    if unknown:
        hint = nearest(unknown[0], classes)
        raise InvalidInput(f"estimator.class_weight: {quoted(unknown[0])} is no class of the data{hint}")
    return {column: weights.get(label, 1.0) for column, label in enumerate(classes)}


def _logistic(settings: Logistic, weights: dict[int, float] | str | None, seed: int) -> LogisticRegression:
    """Penalties in scikit-learn's newer words: L1's share, and C = infinity for none."""
    share = {L1: 1.0, ELASTIC_NET: settings.l1_ratio}.get(settings.penalty, 0.0)
    return LogisticRegression(
        C=np.inf if settings.penalty == NO_PENALTY else settings.C,
        l1_ratio=share,
        solver=settings.solver,
        max_iter=settings.max_iter,
        tol=settings.tol,
        class_weight=weights,
        random_state=seed,
    )


def _perceptron(settings: Perceptron, weights: Any, head: Head, seed: int) -> MiniBatchClassifier:
    return MiniBatchClassifier(
        hidden=settings.hidden,
        activation=settings.activation,
        one_vs_rest=head is Head.ONE_VS_REST,
        optimiser=settings.optimiser,
        learning_rate=settings.learning_rate,
        momentum=settings.momentum,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        alpha=settings.alpha,
        patience=settings.patience,
        class_weight=weights,
        seed=seed,
    )
