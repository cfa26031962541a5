"""The steps of a training by mini-batches: scikit-learn's perceptron, measured, saved and restored.

The arithmetic is `MLPClassifier.partial_fit`. Whether it is called once an epoch with all rows or once a
chunk of rows, and what follows from what an epoch came to, is left to others.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.neural_network import MLPClassifier

from sigmax_training import state
from sigmax_training.data.dataset import F64
from sigmax_training.heads import Codes, Output, decide, losses, probabilities, sigmoid, truths
from sigmax_training.state import Arrays

Rows = npt.NDArray[Any]

ACTIVATIONS: Mapping[str, Callable[[F64], F64]] = {
    "relu": lambda inputs: np.maximum(inputs, 0.0),
    "tanh": np.tanh,
    "logistic": sigmoid,
    "identity": lambda inputs: inputs,
}
OPTIMISERS = ("adam", "sgd")

_BLOCK = 1 << 22
"""Values that are widened to float64 at once (32 MiB): all pictures of a set would need much memory."""

_INTERRUPTED = "Training interrupted by user"
"""What scikit-learn warns of where it caught an interrupt, and left half an epoch behind."""

_FEW_ROWS = "Got `batch_size`"
"""What scikit-learn warns of where a chunk has fewer rows than a batch."""

_COUNTERS = ("t_", "n_iter_", "loss_", "best_loss_", "_no_improvement_count")
"""scikit-learn's own of a perceptron; of its curve of losses it looks at the newest alone."""

_MOMENTS = {"adam": ("ms", "vs"), "sgd": ("velocities",)}
"""What an optimiser remembers of the gradients: an array for each of the weights."""

_PACE = {"adam": ("t", "learning_rate"), "sgd": ("learning_rate",)}
"""What else an optimiser remembers: numbers."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a last layer has.

    Attributes:
        output: what its columns are.
        width: how many classes or labels there are.
    """

    output: Output
    width: int

    @property
    def sigmoids(self) -> int:
        """How many binary losses scikit-learn's loss is the sum of; 1 for softmax."""
        return self.width if self.output in (Output.ONE_VS_REST, Output.LABELS) else 1

    @property
    def classes(self) -> Codes:
        """What scikit-learn is told of the classes; one label is two classes to it."""
        return np.arange(max(2, self.width))

    def wanted(self, codes: Codes) -> Codes:
        """What scikit-learn is given: columns, or a matrix of truths for a sigmoid a column.

        Args:
            codes: columns (n_samples,), or truths (n_samples, n_labels).
        """
        if self.output is Output.LABELS and self.width == 1:
            return np.asarray(codes[:, 0], np.int64)
        return truths(self.output, self.width, codes) if self.sigmoids > 1 else codes


class Perceptron(MLPClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """scikit-learn's perceptron, its gradients divided by the full batch size whatever is in the batch.

    scikit-learn divides by the batch's own sum of weights. A batch without a row of the rare, heavy class
    then counts as much as one with it (5,000 rows, 13 % positive, "balanced", batches of 32: the intercept is
    -0.42 where the optimum's is -0.31), and a last batch of few rows as much as a full one. Always divided by
    the same number, every row has the influence of its weight, and an epoch follows the sum of the weighted
    losses.
    """

    def _compute_loss_grad(self, layer: int, _: float, *arrays: list[Rows]) -> None:
        super()._compute_loss_grad(layer, self.batch_size, *arrays)


def perceptron(
    *,
    hidden: tuple[int, ...],
    activation: str,
    optimiser: str,
    learning_rate: float,
    momentum: float,
    batch_size: int,
    alpha: float,
    seed: int,
) -> Perceptron:
    """What makes the steps, before its first one.

    Its seed is a generator, because a number would shuffle all epochs alike.

    Args:
        hidden: width of each hidden layer.
        activation: of the hidden layers.
        optimiser: "adam" or "sgd".
        learning_rate: of every step.
        momentum: of "sgd", without Nesterov's look ahead.
        batch_size: rows a step; what every batch's gradients are divided by.
        alpha: the penalty, as `MiniBatchClassifier` has it.
        seed: of the first weights and of the shuffling.
    """
    return Perceptron(
        hidden_layer_sizes=hidden,
        activation=activation,
        solver=optimiser,
        alpha=alpha,
        batch_size=batch_size,
        learning_rate_init=learning_rate,
        momentum=momentum,
        nesterovs_momentum=False,
        random_state=np.random.RandomState(seed),
    )


def train(steps: Perceptron, columns: Columns, features: Rows, wanted: Codes, weights: F64 | None) -> float:
    """One pass over these rows, shuffled, in batches.

    Args:
        steps: is changed.
        columns: of its last layer.
        features: (n_samples, n_features), of the type that is trained in; fewer rows than a batch are one.
        wanted: of these rows, from `Columns.wanted`.
        weights: what each row's loss is multiplied by (n_samples,); None for 1.

    Returns:
        The mean loss of the rows, each before its own batch's step, the penalty included; of sigmoids the
        mean over them. Not finite if the training has diverged.

    Raises:
        KeyboardInterrupt: in the midst of the pass; the perceptron is no longer that of any epoch.
    """
    with _quiet():
        try:
            steps.partial_fit(features, wanted, weights, columns.classes)
        except UserWarning as warning:
            if _INTERRUPTED not in str(warning):
                raise
            raise KeyboardInterrupt from None
        except ValueError as error:
            if "non-finite parameter weights" not in str(error):
                raise
            return math.nan
    return float(steps.loss_) / columns.sigmoids


@contextmanager
def _quiet() -> Iterator[None]:
    """The features have been looked through, the caller looks at the loss, an interrupt becomes an error."""
    with (
        warnings.catch_warnings(),
        np.errstate(over="ignore", invalid="ignore"),
        sklearn.config_context(assume_finite=True),
    ):
        warnings.filterwarnings("error", _INTERRUPTED, UserWarning)
        warnings.filterwarnings("ignore", _FEW_ROWS, UserWarning)
        yield


def arrays(steps: Perceptron) -> dict[str, Rows]:
    """Everything that the next step depends on, as it is now: later steps do not change these arrays.

    Args:
        steps: after its first step.
    """
    optimiser, random = steps._optimizer, steps._random_state.get_state(legacy=False)
    found = state.numbered("coefs", [array.copy() for array in steps.coefs_])
    found.update(state.numbered("intercepts", [array.copy() for array in steps.intercepts_]))
    for name in _MOMENTS[steps.solver]:  # a step replaces these, it does not change them
        found.update(state.numbered(name, list(getattr(optimiser, name))))
    found.update({name: np.asarray(getattr(optimiser, name)) for name in _PACE[steps.solver]})
    found.update({name: np.asarray(getattr(steps, name)) for name in _COUNTERS})
    found["random_key"] = random["state"]["key"].copy()
    found["random_rest"] = np.array([random["state"]["pos"], random["has_gauss"], random["gauss"]])
    return found


def restore(steps: Perceptron, columns: Columns, arrays: Arrays) -> None:
    """Make a perceptron that has made no step yet the one whose `arrays` these are.

    One step on a row of zeros makes everything that scikit-learn keeps; all of it that has learnt anything,
    and the generator, is replaced.

    Args:
        steps: made with the same settings.
        columns: of its last layer.
        arrays: from `arrays`.

    Raises:
        ValueError: they are not those of such a perceptron.
    """
    try:
        coefs, intercepts = state.in_order("coefs", arrays), state.in_order("intercepts", arrays)
        blank = np.zeros((1, len(coefs[0])), coefs[0].dtype)
        codes = np.zeros((1, columns.width) if columns.output is Output.LABELS else 1, np.int64)
        train(steps, columns, blank, columns.wanted(codes), None)
        _same_shapes([*steps.coefs_, *steps.intercepts_], [*coefs, *intercepts])
        steps.coefs_, steps.intercepts_, steps.loss_curve_ = coefs, intercepts, []
        _restore_optimiser(steps, arrays)
        for name in _COUNTERS:
            setattr(steps, name, arrays[name].item())
        position, has_gauss, gauss = arrays["random_rest"].tolist()
        steps.random_state.set_state(
            ("MT19937", arrays["random_key"], int(position), int(has_gauss), float(gauss))
        )
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"the state is not that of this training: {error}") from error


def _restore_optimiser(steps: Perceptron, arrays: Arrays) -> None:
    for name in _MOMENTS[steps.solver]:
        moments = state.in_order(name, arrays)
        _same_shapes([*steps.coefs_, *steps.intercepts_], moments)
        setattr(steps._optimizer, name, moments)
    for name in _PACE[steps.solver]:
        setattr(steps._optimizer, name, arrays[name].item())


def _same_shapes(expected: list[Rows], found: list[Rows]) -> None:
    forms = [[(array.shape, array.dtype) for array in arrays] for arrays in (expected, found)]
    if forms[0] != forms[1]:
        raise ValueError("the state is not that of this training: its layers have other shapes or types")


def measure(output: Output, logits: F64, codes: Codes, weights: F64 | None) -> tuple[float, float]:
    """Log loss, which is no finite number if the training has diverged, and the share of right answers.

    Args:
        output: what the columns of the logits are.
        logits: (n_samples, n_outputs), from `forward`.
        codes: what is true of each row.
        weights: what each row's loss is multiplied by (n_samples,); None for 1.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        loss = np.average(losses(output, logits, codes), weights=weights)
        chosen = decide(output, probabilities(output, logits))
    return float(loss), float(np.mean(chosen == codes))


def forward(coefs: list[Rows], intercepts: list[Rows], activation: str, features: Rows) -> F64:
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
