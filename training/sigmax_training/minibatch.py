"""Training by mini-batches: SGD with momentum or Adam over shuffled batches, watched epoch by epoch.

The arithmetic of a step is scikit-learn's `MLPClassifier.partial_fit`; the loop around it is here: which
epoch is the best, when to stop, what a diverging loss means. Without hidden layers it is logistic or softmax
regression. Scaling features and splitting off validation rows is left to others.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

from sigmax_training import targets
from sigmax_training.data.dataset import F64
from sigmax_training.heads import Codes, Output, decide, losses, probabilities, sigmoid, truths
from sigmax_training.history import Epoch, best_epoch
from sigmax_training.targets import ClassWeight

__all__ = ["ACTIVATIONS", "OPTIMISERS", "Epoch", "MiniBatchClassifier"]

Rows = npt.NDArray[Any]

ACTIVATIONS: Mapping[str, Callable[[F64], F64]] = {
    "relu": lambda inputs: np.maximum(inputs, 0.0),
    "tanh": np.tanh,
    "logistic": sigmoid,
    "identity": lambda inputs: inputs,
}
OPTIMISERS = ("adam", "sgd")

_FLOATS = (np.float64, np.float32)
"""What is trained in: the features' own type if it is one of these, else the first."""

_BLOCK = 1 << 22
"""Values that are widened to float64 at once (32 MiB): all pictures of a set would need much memory."""

_INTERRUPTED = "Training interrupted by user"
"""What scikit-learn warns of where it caught an interrupt, and left half an epoch behind."""


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


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """What is trained, on what, and measured with what.

    Attributes:
        output: what the last layer's columns are.
        width: how many classes or labels there are.
        training: the rows that are trained on.
        validation: the rows that each epoch is measured with; None for none.
    """

    output: Output
    width: int
    training: _Sample
    validation: _Sample | None

    @property
    def wanted(self) -> Codes:
        """What scikit-learn is given: columns, or a matrix of truths for a sigmoid a column."""
        codes = self.training.codes
        if self.output is Output.LABELS and self.width == 1:
            return np.asarray(codes[:, 0], np.int64)
        return truths(self.output, self.width, codes) if self.sigmoids > 1 else codes

    @property
    def sigmoids(self) -> int:
        """How many binary losses scikit-learn's loss is the sum of; 1 for softmax."""
        return self.width if self.output in (Output.ONE_VS_REST, Output.LABELS) else 1


class _Perceptron(MLPClassifier):  # type: ignore[misc]
    """scikit-learn's perceptron, its gradients divided by the full batch size whatever is in the batch.

    scikit-learn divides by the batch's own sum of weights. A batch without a row of the rare, heavy class
    then counts as much as one with it (5,000 rows, 13 % positive, "balanced", batches of 32: the intercept is
    -0.42 where the optimum's is -0.31), and a last batch of few rows as much as a full one. Always divided by
    the same number, every row has the influence of its weight, and an epoch follows the sum of the weighted
    losses.
    """

    def _compute_loss_grad(self, layer: int, _: float, *arrays: list[Rows]) -> None:
        super()._compute_loss_grad(layer, self.batch_size, *arrays)


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

        Raises:
            ValueError: the settings or the data are refused, or the loss is no longer a number.
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
        return self._fit(_Course(output, width, _sample(rows, known, weights), measured), on_epoch)

    def _fit(self, course: _Course, on_epoch: Callable[[Epoch], None] | None) -> Self:
        perceptron = self._perceptron(len(course.training.features))
        history: list[Epoch] = []
        kept: tuple[list[Rows], list[Rows]] = [], []
        for epoch in self._epochs(perceptron, course):
            history.append(epoch)
            if epoch.best:
                kept = [w.copy() for w in perceptron.coefs_], [b.copy() for b in perceptron.intercepts_]
            if on_epoch is not None:
                on_epoch(epoch)
            if epoch.epoch - best_epoch(history) >= self.patience:
                break
        self.coefs_, self.intercepts_ = kept
        # No row has taught these: they would be left at the random numbers that training begins with.
        self.coefs_[0][~course.training.features.any(axis=0)] = 0.0
        self.classes_, self._output = np.arange(course.width), course.output
        self.history_, self.best_epoch_ = tuple(history), best_epoch(history)
        return self

    def _epochs(self, perceptron: _Perceptron, course: _Course) -> Iterator[Epoch]:
        """Train and measure one epoch after the other, as long as the next one is asked for."""
        lowest, wanted = math.inf, course.wanted
        classes = np.arange(max(2, course.width))  # one label is two classes to scikit-learn
        for number in range(1, self.epochs + 1):
            begun = time.perf_counter()
            loss = _pass(perceptron, course.training, wanted, classes) / course.sigmoids
            held, accuracy = self._measure(perceptron, course)
            if not math.isfinite(loss if held is None else loss + held):
                raise ValueError(
                    f"the training diverged: in epoch {number} of {self.epochs} its loss is no finite "
                    f"number. The learning rate {self.learning_rate:g} is likely too high: try a tenth of it"
                )
            best = held is None or held < lowest
            lowest = lowest if held is None else min(lowest, held)
            speed = len(course.training.features) / max(time.perf_counter() - begun, 1e-9)
            yield Epoch(number, self.epochs, loss, held, accuracy, speed, best)

    def _measure(self, perceptron: _Perceptron, course: _Course) -> tuple[float, float] | tuple[None, None]:
        """Log loss and accuracy of the validation rows, by the weights as they are now."""
        sample = course.validation
        if sample is None:
            return None, None
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at the loss
            logits = _forward(perceptron.coefs_, perceptron.intercepts_, self.activation, sample.features)
            loss = np.average(losses(course.output, logits, sample.codes), weights=sample.weights)
            chosen = decide(course.output, probabilities(course.output, logits))
        return float(loss), float(np.mean(chosen == sample.codes))

    def _perceptron(self, n_samples: int) -> _Perceptron:
        """What makes the steps; its seed is a generator, because a number would shuffle all epochs alike."""
        return _Perceptron(
            hidden_layer_sizes=self.hidden,
            activation=self.activation,
            solver=self.optimiser,
            alpha=self.alpha,
            batch_size=min(self.batch_size, n_samples),
            learning_rate_init=self.learning_rate,
            momentum=self.momentum,
            nesterovs_momentum=False,
            random_state=np.random.RandomState(self.seed),
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
        logits = _forward(self.coefs_, self.intercepts_, self.activation, rows)
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


def _sample(features: Rows, codes: Codes, weights: F64 | None) -> _Sample:
    return _Sample(features, codes, None if weights is None else weights[codes])


def _pass(perceptron: _Perceptron, training: _Sample, wanted: Codes, classes: Rows) -> float:
    """One pass over the shuffled rows; the mean loss of its batches, not finite if it has diverged."""
    with (
        warnings.catch_warnings(),
        np.errstate(over="ignore", invalid="ignore"),  # the caller looks at the loss
        sklearn.config_context(assume_finite=True),  # the features have been looked through once
    ):
        warnings.filterwarnings("error", _INTERRUPTED, UserWarning)
        try:
            perceptron.partial_fit(training.features, wanted, training.weights, classes)
        except UserWarning as warning:
            if _INTERRUPTED not in str(warning):
                raise
            raise KeyboardInterrupt from None
        except ValueError as error:
            if "non-finite parameter weights" not in str(error):
                raise
            return math.nan
    return float(perceptron.loss_)


def _forward(coefs: list[Rows], intercepts: list[Rows], activation: str, features: Rows) -> F64:
    """Logits (n_samples, n_outputs), float64 whatever the features and the weights are."""
    matrices = [np.asarray(matrix, np.float64) for matrix in coefs]
    logits = np.empty((len(features), matrices[-1].shape[1]))
    step = max(1, _BLOCK // features.shape[1])
    for start in range(0, len(features), step):
        values = np.asarray(features[start : start + step], np.float64)
        for matrix, intercept in zip(matrices[:-1], intercepts[:-1], strict=True):
            values = ACTIVATIONS[activation](values @ matrix + intercept)
        logits[start : start + step] = values @ matrices[-1] + intercepts[-1]
    return logits
