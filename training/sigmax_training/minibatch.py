"""Training by mini-batches: SGD with momentum or Adam over shuffled batches, watched epoch by epoch.

An estimator as scikit-learn's are. A step and a measurement are `steps`'; which epoch is the best, when to
stop and what a diverging loss means is `course`'s. Without hidden layers it is logistic or softmax
regression. Scaling features and splitting off validation rows is left to others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sigmax_training import state, steps, targets
from sigmax_training.course import Course
from sigmax_training.data.dataset import F64, I64
from sigmax_training.heads import Codes, Output, decide, probabilities
from sigmax_training.history import Epoch
from sigmax_training.state import Arrays
from sigmax_training.steps import ACTIVATIONS, OPTIMISERS, Columns, Perceptron, Rows
from sigmax_training.targets import ClassWeight

__all__ = ["ACTIVATIONS", "OPTIMISERS", "Epoch", "MiniBatchClassifier"]

_FLOATS = (np.float64, np.float32)
"""What is trained in: the features' own type if it is one of these, else the first."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Rows to train on or to measure with.

    Attributes:
        features: float32 or float64 (n_samples, n_features).
        codes: what is true of each row.
        weights: what each row's loss is multiplied by (n_samples,); None for 1.
    """

    features: Rows
    codes: Codes
    weights: F64 | None


class Chunks(Protocol):
    """Training rows that come in chunks, because they are more than the memory holds."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    @property
    def counts(self) -> I64:
        """How many are of each class, or have each label, (n_classes,)."""
        ...

    @property
    def multilabel(self) -> bool:
        """Whether a row has any number of labels."""
        ...

    @property
    def taught(self) -> npt.NDArray[np.bool_]:
        """Which columns are anything but 0 in some row, (n_features,)."""
        ...

    def epoch(self, number: int) -> Iterator[tuple[Rows, Codes]]:
        """All rows once, in an order that is the epoch's own, the first epoch being number 1.

        Yields:
            Features (n_samples, n_features) and codes; n_samples is a multiple of the batch size, but for the
            last chunk.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Training:
    """What is trained on.

    Attributes:
        columns: of the last layer.
        rows: how many there are.
        taught: (n_features,), which columns are anything but 0 in some row.
        once: makes the steps of one epoch, given its number; the mean loss, not finite if it has diverged.
    """

    columns: Columns
    rows: int
    taught: npt.NDArray[np.bool_]
    once: Callable[[Perceptron, int], float]


@dataclass(frozen=True, slots=True, eq=False)
class _Listeners:
    """Who is told of each epoch, the state first; and the state that training goes on from."""

    on_epoch: Callable[[Epoch], None] | None
    on_state: Callable[[Arrays], None] | None
    begin_at: Arrays | None


class MiniBatchClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic, softmax or one-vs-rest regression, or a perceptron, trained by mini-batches.

    The penalty: `alpha / (2 * batch_size) * |W|**2` is added to the mean loss of every batch, so an epoch of
    b = ceil(n_samples / batch_size) batches adds b of them to the sum of all rows' losses. That is the
    objective of `LogisticRegression(C)` for `alpha = 1 / (C * b)`. A smaller last batch does not disturb
    this: its sum of losses is divided by the full batch size, too. `batch_size` here is at most n_samples.

    Equal parameters and equal data give bit-identical weights on one machine with one BLAS thread.

    Args:
        hidden: width of each hidden layer, from the input on; () for none.
        activation: of the hidden layers: "relu", "tanh", "logistic" or "identity".
        one_vs_rest: with more than two classes, train a sigmoid a class against all others, and divide the
            probabilities by their sum, instead of one softmax.
        optimiser: "adam" or "sgd".
        learning_rate: of every step.
        momentum: of "sgd", without Nesterov's look ahead; 0 is plain gradient descent.
        batch_size: rows a step; all rows if they are fewer.
        epochs: passes over the rows, at most.
        alpha: the penalty on weights (not on intercepts), as above.
        patience: with validation rows, stop after so many epochs in a row without a lower loss.
        class_weight: what the loss of a class's rows is multiplied by, by code, 1 where nothing is said;
            "balanced" is n_samples / (n_classes * rows of the class). Not for several labels.
        seed: of the first weights and of the shuffling.

    Attributes:
        coefs_: list of (n_inputs, n_outputs), one a layer.
        intercepts_: list of (n_outputs,), one a layer.
        classes_: the columns 0..K-1.
        history_: one `Epoch` for each pass.
        best_epoch_: the epoch whose weights these are.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (),
        activation: Literal["relu", "tanh", "logistic", "identity"] = "relu",
        *,
        one_vs_rest: bool = False,
        optimiser: Literal["adam", "sgd"] = "adam",
        learning_rate: float = 1e-2,
        momentum: float = 0.9,
        batch_size: int = 32,
        epochs: int = 200,
        alpha: float = 1e-2,
        patience: int = 10,
        class_weight: ClassWeight = None,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.one_vs_rest = one_vs_rest
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.batch_size = batch_size
        self.epochs = epochs
        self.alpha = alpha
        self.patience = patience
        self.class_weight = class_weight
        self.seed = seed

    def fit(
        self,
        features: npt.ArrayLike,
        codes: npt.ArrayLike,
        validation: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        n_classes: int | None = None,
        *,
        begin_at: Arrays | None = None,
        on_state: Callable[[Arrays], None] | None = None,
    ) -> Self:
        """Train until the validation loss has not fallen for `patience` epochs, or for all epochs.

        With validation rows the weights of the best epoch are kept, else those of the last one. The
        validation loss is the one that the head implies: binary or categorical cross-entropy; for one-vs-rest
        and for several labels the mean binary cross-entropy of the sigmoids. Rows carry the class weights
        there as they do in training, so that the best epoch is the best by what is trained for.

        Args:
            features: (n_samples, n_features); float32 is trained in float32, everything else in float64.
            codes: columns 0..K-1, (n_samples,); or one truth a label, (n_samples, n_labels).
            validation: features and codes of rows that are not trained on.
            on_epoch: called after every epoch.
            n_classes: K; None for the highest code that occurs, and one. A class without a row has a column.
            begin_at: a state that `on_state` was told of, by the same settings and the same data: training
                goes on behind its epoch, and ends at the same bits as if it had not been interrupted.
            on_state: told of the state after every epoch, before `on_epoch` is: arrays that nobody changes.

        Raises:
            ValueError: the settings, the data or the state are refused, or the loss is no longer a number.
            KeyboardInterrupt: the training was interrupted; nothing is fitted.
        """
        _refuse(self.get_params(deep=False))
        rows = validate_data(self, features, dtype=_FLOATS, order="C")
        known = targets.read_codes(codes, len(rows), "training")
        held: tuple[Rows, Codes] | None = None
        if validation is not None:
            unseen = validate_data(self, validation[0], dtype=_FLOATS, order="C", reset=False)
            held = unseen, targets.read_codes(validation[1], len(unseen), "validation")
        width = targets.width(known, None if held is None else held[1], n_classes)
        weights = targets.class_weights(self.class_weight, known, width)
        output = targets.output(known, width, one_vs_rest=self.one_vs_rest)
        measured = None if held is None else _sample(*held, weights)
        columns = Columns(output, width)
        wanted, each = columns.wanted(known), None if weights is None else weights[known]

        def once(perceptron: Perceptron, _: int) -> float:
            return steps.train(perceptron, columns, rows, wanted, each)

        training = _Training(columns, len(rows), np.asarray(rows.any(axis=0)), once)
        perceptron = self._perceptron(len(rows))
        return self._fit(perceptron, training, measured, _Listeners(on_epoch, on_state, begin_at))

    def fit_chunks(
        self,
        chunks: Chunks,
        validation: tuple[Rows, Codes] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        *,
        begin_at: Arrays | None = None,
        on_state: Callable[[Arrays], None] | None = None,
    ) -> Self:
        """Train as `fit` does, on rows that are never held all at once.

        Args:
            chunks: the training rows; they shuffle themselves.
            validation: features and codes of rows that are not trained on.
            on_epoch: as `fit` has it.
            begin_at: likewise.
            on_state: likewise.

        Raises:
            ValueError: the settings or the state are refused, or the loss is no longer a number.
            KeyboardInterrupt: the training was interrupted; nothing is fitted.
        """
        _refuse(self.get_params(deep=False))
        width = len(chunks.counts)
        output = targets.output_of(width, multilabel=chunks.multilabel, one_vs_rest=self.one_vs_rest)
        columns = Columns(output, width)
        weights = targets.weights_by_count(self.class_weight, chunks.counts)

        def once(perceptron: Perceptron, number: int) -> float:
            return _in_chunks(perceptron, columns, chunks.epoch(number), weights)

        self.n_features_in_ = len(chunks.taught)
        training = _Training(columns, chunks.rows, chunks.taught, once)
        measured = None if validation is None else _sample(*validation, weights)
        perceptron = self._perceptron(chunks.rows).set_params(shuffle=False)
        return self._fit(perceptron, training, measured, _Listeners(on_epoch, on_state, begin_at))

    def _fit(
        self, perceptron: Perceptron, training: _Training, held: _Sample | None, listeners: _Listeners
    ) -> Self:
        course = Course(self.epochs, self.patience, self.learning_rate)
        if listeners.begin_at is not None:
            steps.restore(perceptron, training.columns, state.of("steps", listeners.begin_at))
            course.restore(state.of("course", listeners.begin_at))
        for epoch in self._epochs(perceptron, course, training, held):
            if listeners.on_state is not None:
                listeners.on_state(
                    {
                        **state.within("steps", steps.arrays(perceptron)),
                        **state.within("course", course.arrays()),
                    }
                )
            if listeners.on_epoch is not None:
                listeners.on_epoch(epoch)
        return self._finish(course, training)

    def _epochs(
        self, perceptron: Perceptron, course: Course, training: _Training, held: _Sample | None
    ) -> Iterator[Epoch]:
        """Train, measure and note one epoch after the other, until there is no further one."""
        output = training.columns.output
        while not course.over:
            begun = time.perf_counter()
            loss = training.once(perceptron, len(course.history) + 1)
            measured = None if held is None else self._measure(perceptron, output, held)
            speed = training.rows / max(time.perf_counter() - begun, 1e-9)
            yield course.note(loss, measured, speed, perceptron.coefs_, perceptron.intercepts_)

    def _measure(self, perceptron: Perceptron, output: Output, held: _Sample) -> tuple[float, float]:
        """Log loss and accuracy of the validation rows, by the weights as they are now."""
        with np.errstate(over="ignore", invalid="ignore"):  # the course looks at the loss
            logits = steps.forward(perceptron.coefs_, perceptron.intercepts_, self.activation, held.features)
        return steps.measure(output, logits, held.codes, held.weights)

    def _finish(self, course: Course, training: _Training) -> Self:
        self.coefs_, self.intercepts_ = course.coefs, course.intercepts
        # No row has taught these: they would be left at the random numbers that training begins with.
        self.coefs_[0] = np.where(
            training.taught[:, np.newaxis], self.coefs_[0], self.coefs_[0].dtype.type(0)
        )
        self.classes_, self._output = np.arange(training.columns.width), training.columns.output
        self.history_, self.best_epoch_ = tuple(course.history), course.best_epoch
        return self

    def _perceptron(self, n_samples: int) -> Perceptron:
        return steps.perceptron(
            hidden=self.hidden,
            activation=self.activation,
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            batch_size=min(self.batch_size, n_samples),
            alpha=self.alpha,
            seed=self.seed,
        )

    def decision_function(self, features: npt.ArrayLike) -> F64:
        """Logits, float64: what the head turns into probabilities.

        Args:
            features: (n_samples, n_features).

        Returns:
            (n_samples,) for two classes, else (n_samples, n_classes).
        """
        check_is_fitted(self, "coefs_")
        rows = validate_data(self, features, dtype=_FLOATS, reset=False, ensure_min_samples=0)
        logits = steps.forward(self.coefs_, self.intercepts_, self.activation, rows)
        return logits[:, 0] if self._output is Output.BINARY else logits

    def predict_proba(self, features: npt.ArrayLike) -> F64:
        """Probabilities, float64 (n_samples, n_classes): the head, applied to `decision_function`.

        Args:
            features: (n_samples, n_features).
        """
        logits = self.decision_function(features)
        return probabilities(self._output, logits[:, np.newaxis] if logits.ndim == 1 else logits)

    def predict(self, features: npt.ArrayLike) -> Codes:
        """Columns (n_samples,): the second of two if above 0.5, else the likeliest, the lowest on a tie.

        With several labels, whether each is above 0.5: bool (n_samples, n_labels).

        Args:
            features: (n_samples, n_features).
        """
        return decide(self._output, self.predict_proba(features))


def _refuse(settings: Mapping[str, Any]) -> None:
    """Raise for settings that cannot be trained by, all of them at once."""
    rules = {
        "hidden": (all(width >= 1 for width in settings["hidden"]), "holds widths of at least 1"),
        "activation": (settings["activation"] in ACTIVATIONS, f"is one of {', '.join(ACTIVATIONS)}"),
        "optimiser": (settings["optimiser"] in OPTIMISERS, f"is one of {', '.join(OPTIMISERS)}"),
        "learning_rate": (0 < settings["learning_rate"] < math.inf, "is above 0"),
        "momentum": (0 <= settings["momentum"] < 1, "is from 0 to below 1"),
        "batch_size": (settings["batch_size"] >= 1, "is at least 1"),
        "epochs": (settings["epochs"] >= 1, "is at least 1"),
        "alpha": (0 <= settings["alpha"] < math.inf, "is at least 0"),
        "patience": (settings["patience"] >= 1, "is at least 1"),
    }
    wrong = [f"{name} {rule}, not {settings[name]!r}" for name, (kept, rule) in rules.items() if not kept]
    if wrong:
        raise ValueError("; ".join(wrong))


def _in_chunks(
    perceptron: Perceptron, columns: Columns, chunks: Iterator[tuple[Rows, Codes]], weights: F64 | None
) -> float:
    """Make the steps of one epoch; the mean loss of its rows, not finite as soon as it has diverged."""
    total, count = 0.0, 0
    for features, codes in chunks:
        each = None if weights is None else weights[codes]
        total += steps.train(perceptron, columns, features, columns.wanted(codes), each) * len(features)
        count += len(features)
        if not math.isfinite(total):
            return total
    return total / count


def _sample(features: Rows, codes: Codes, weights: F64 | None) -> _Sample:
    return _Sample(features, codes, None if weights is None else weights[codes])
