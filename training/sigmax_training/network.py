"""What a fitted estimator comes down to: matrices, biases and a head, with everything else folded in.

Scaling, standardisation and calibration are arithmetic on the first and the last layer; imputing and
one-hot columns are not, so they stand before the first. Plain numbers; the ONNX graph is written from them
in `export`, and `golden` asks them which rows a parameter matters to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Head, Layer
from sigmax_training.data.dataset import F64
from sigmax_training.features import Expansion
from sigmax_training.fit import Fitted
from sigmax_training.heads import sigmoid, softmax


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What the first layer sees of the features matrix: numbers, then one place a code of each category.

    Attributes:
        width: n_features of the matrix.
        numbers: its columns that are numbers, in the order of the layer.
        fill: (n_numbers,), what stands in place of a missing number; NaN where none may be missing.
        categories: its columns that are codes.
        sizes: how many codes each of them has.
    """

    width: int
    numbers: tuple[int, ...]
    fill: F64
    categories: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the layer sees the matrix as it is."""
        return self.numbers == tuple(range(self.width)) and not self.imputed.size

    @property
    def imputed(self) -> npt.NDArray[np.int64]:
        """The positions among `numbers` where a value may be missing."""
        return np.flatnonzero(~np.isnan(self.fill))

    def expand(self, features: npt.NDArray[Any]) -> F64:
        """The features matrix (n_samples, n_features) as the first layer sees it, (n_samples, n_inputs)."""
        matrix = np.asarray(features, np.float64)
        if self.whole:
            return matrix
        numbers = matrix[:, list(self.numbers)]
        parts = [np.where(np.isnan(numbers), self.fill, numbers)]
        for column, size in zip(self.categories, self.sizes, strict=True):
            parts.append((matrix[:, [column]] == np.arange(size)).astype(np.float64))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Layers of `inputs @ W.T + b` with an activation between them, then the head.

    Attributes:
        inputs: what the first layer sees.
        weights: one matrix a layer, (n_outputs, n_inputs), float64.
        biases: one vector a layer, (n_outputs,), float64.
        activation: between layers: relu, tanh, logistic or identity.
        head: what turns the last layer's logits, (n_samples, n_classes), into probabilities.
        mirrored: the last layer has -z and z of the one logit that was learnt.
        logits: whether the graph answers with the logits, too.
    """

    inputs: Inputs
    weights: tuple[F64, ...]
    biases: tuple[F64, ...]
    activation: str
    head: Head
    mirrored: bool = False
    logits: bool = False

    @property
    def n_features(self) -> int:
        """The width of the features matrix."""
        return self.inputs.width

    @property
    def n_classes(self) -> int:
        """The width of the output."""
        return int(self.weights[-1].shape[0])

    @property
    def parameters(self) -> int:
        """How many numbers the graph has: weights, biases and imputed values."""
        layers = sum(weights.size + len(weights) for weights in self.weights)
        return int(layers + self.inputs.imputed.size)

    def activations(self, features: npt.NDArray[Any]) -> list[F64]:
        """What enters each layer, then the logits: arrays of (n_samples, width)."""
        values = [self.inputs.expand(features)]
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values.append(_ACTIVATIONS[self.activation](values[-1] @ weights.T + bias))
        return [*values, values[-1] @ self.weights[-1].T + self.biases[-1]]

    def probabilities(self, features: npt.NDArray[Any]) -> F64:
        """What the head makes of the logits, float64 (n_samples, n_classes)."""
        return HEADS[self.head](self.activations(features)[-1])

    def layers(self) -> tuple[Layer, ...]:
        """The steps of the graph and how many numbers of each were learnt."""
        steps = []
        seen, entering = self.inputs, int(self.weights[0].shape[1])
        if seen.imputed.size:
            steps.append(Layer("impute", seen.width, seen.width, int(seen.imputed.size)))
        if seen.categories:
            steps.append(Layer("one-hot", seen.width, entering))
        for position, weights in enumerate(self.weights):
            outputs, inputs = weights.shape
            last = position == len(self.weights) - 1
            learnt = 1 if last and self.mirrored else outputs
            steps.append(Layer("dense", inputs, learnt, learnt * (inputs + 1)))
            if not last and self.activation != "identity":
                steps.append(Layer(self.activation, outputs, outputs))
        return (*steps, Layer(self.head.value, 1 if self.mirrored else self.n_classes, self.n_classes))


def network_of(fitted: Fitted, *, logits: bool = False) -> Network:
    """Read the layers out of a fitted estimator.

    With z = (s x - mean) / deviation, the first layer W z + b becomes (W s / deviation) x + (b - W mean /
    deviation); a calibration, slope * logit + offset, scales the rows of the last layer. All of it is done
    in float64, whatever the graph's own type is.

    Args:
        fitted: logistic regression, one a class or label, or layers trained by mini-batches.
        logits: whether the graph is to answer with the logits, too.
    """
    weights, biases, activation = layers_of(fitted.classifier)
    seen = fitted.expansion
    weights[0], biases[0] = _folded(weights[0], biases[0], seen, fitted.scale)
    if fitted.calibration is not None:
        slope, offset = fitted.calibration.slope, fitted.calibration.offset
        weights[-1], biases[-1] = slope[:, np.newaxis] * weights[-1], slope * biases[-1] + offset
    mirrored = len(biases[-1]) == 1 and fitted.n_classes == 2
    if mirrored:
        weights[-1], biases[-1] = two_columns(weights[-1], biases[-1], fitted.head)
    return Network(
        inputs=Inputs(
            len(seen.numbers) + len(seen.categories),
            seen.numbers,
            _unscaled(seen, fitted.scale),
            seen.categories,
            seen.sizes,
        ),
        weights=tuple(weights),
        biases=tuple(biases),
        activation=activation,
        head=fitted.head,
        mirrored=mirrored,
        logits=logits,
    )


def _unscaled(seen: Expansion, scale: float) -> F64:
    """The imputed values in the units that features come in."""
    return seen.fill / scale


def layers_of(classifier: Any) -> tuple[list[F64], list[F64], str]:
    """Weights (n_outputs, n_inputs) and biases of each layer, float64, and the activation between them."""
    if hasattr(classifier, "coefs_"):
        weights = [np.asarray(matrix, np.float64).T for matrix in classifier.coefs_]
        return (
            weights,
            [np.asarray(bias, np.float64) for bias in classifier.intercepts_],
            classifier.activation,
        )
    parts = getattr(classifier, "estimators_", [classifier])
    coefficients = np.concatenate([part.coef_ for part in parts])
    return [coefficients], [np.concatenate([part.intercept_ for part in parts])], "identity"


def _folded(weights: F64, bias: F64, seen: Expansion, scale: float) -> tuple[F64, F64]:
    """The first layer on features as they come.

    A code that no training row has, behind those that were learnt, adds nothing to any logit.
    """
    count = len(seen.numbers)
    numbers = weights[:, :count] / seen.deviation
    bias = bias - numbers @ seen.mean
    parts, start = [numbers * scale], count
    for learnt, size in zip(seen.learnt, seen.sizes, strict=True):
        parts.append(weights[:, start : start + learnt])
        parts.append(np.zeros((len(weights), size - learnt)))
        start += learnt
    return np.concatenate(parts, axis=1), bias


def two_columns(weights: F64, bias: F64, head: Head) -> tuple[F64, F64]:
    """One logit z of a binary model as two, so that every model answers (n_samples, n_classes).

    sigmoid(-z) = 1 - sigmoid(z); and softmax(-z/2, z/2) is the same pair.
    """
    signs = np.array([[-1.0], [1.0]]) * (0.5 if head is Head.SOFTMAX else 1.0)
    return signs * weights, signs[:, 0] * bias


def one_vs_rest(logits: F64) -> F64:
    """One sigmoid a class divided by the row's sum of them, as scikit-learn does.

    Softmax of log sigmoid(z) is the same quotient, and it has all its digits where every sigmoid is tiny.
    """
    return softmax(-np.logaddexp(0.0, -logits))


HEADS: dict[Head, Callable[[F64], F64]] = {
    Head.SIGMOID: sigmoid,
    Head.SOFTMAX: softmax,
    Head.ONE_VS_REST: one_vs_rest,
}
"""From logits (n_samples, n_classes) to probabilities of the same shape."""

_ACTIVATIONS: dict[str, Callable[[F64], F64]] = {
    "relu": lambda values: np.maximum(values, 0.0),
    "tanh": np.tanh,
    "logistic": sigmoid,
    "identity": lambda values: values,
}
SLOPES: dict[str, Callable[[F64], F64]] = {
    "relu": lambda values: (values > 0).astype(np.float64),
    "tanh": lambda values: 1.0 - values**2,
    "logistic": lambda values: values * (1.0 - values),
    "identity": np.ones_like,
}
"""By activation, its derivative in terms of its own output."""
