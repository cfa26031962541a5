"""What a fitted estimator comes down to: matrices, biases and a head, with every scaling folded in.

Plain numbers; the ONNX graph is written from them in `export`, and `golden` asks them which rows a
parameter matters to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Head
from sigmax_training.data.dataset import F64
from sigmax_training.fit import Fitted


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Layers of `features @ W.T + b` with ReLU between them, then the head.

    Attributes:
        weights: one matrix a layer, (n_outputs, n_inputs), float64.
        biases: one vector a layer, (n_outputs,), float64.
        head: what turns the last layer's logits, (n_samples, n_classes), into probabilities.
    """

    weights: tuple[F64, ...]
    biases: tuple[F64, ...]
    head: Head

    @property
    def n_features(self) -> int:
        """The width of the input."""
        return int(self.weights[0].shape[1])

    @property
    def n_classes(self) -> int:
        """The width of the output."""
        return int(self.weights[-1].shape[0])

    def activations(self, features: npt.NDArray[Any]) -> list[F64]:
        """What enters each layer, then the probabilities: arrays of (n_samples, width)."""
        inputs = [np.asarray(features, np.float64)]
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            inputs.append(np.maximum(inputs[-1] @ weights.T + bias, 0.0))
        logits = inputs[-1] @ self.weights[-1].T + self.biases[-1]
        return [*inputs, _softmax(logits) if self.head is Head.SOFTMAX else _sigmoid(logits)]


def network_of(fitted: Fitted, head: Head) -> Network:
    """Read the layers out of a fitted pipeline.

    With z = (s x - mean) / deviation, the first layer W z + b becomes (W s / deviation) x + (b - W mean /
    deviation), computed in float64 whatever the graph's own type is.

    Args:
        fitted: logistic regression or multi-layer perceptron, behind a scaler or not.
        head: sigmoid (binary models) or softmax.
    """
    classifier = fitted.pipeline.named_steps["classifier"]
    weights, biases = _layers(classifier)
    scaler = fitted.pipeline.named_steps.get("scaler")
    if scaler is not None:
        scaled = weights[0] / scaler.scale_
        biases[0] = biases[0] - scaled @ scaler.mean_
        weights[0] = scaled
    weights[0] = weights[0] * fitted.scale
    if len(biases[-1]) == 1:
        weights[-1], biases[-1] = _two_columns(weights[-1], biases[-1], head)
    return Network(tuple(weights), tuple(biases), head)


def _layers(classifier: Any) -> tuple[list[F64], list[F64]]:
    if hasattr(classifier, "coefs_"):
        return [matrix.T for matrix in classifier.coefs_], list(classifier.intercepts_)
    return [classifier.coef_], [classifier.intercept_]


def _two_columns(weights: F64, bias: F64, head: Head) -> tuple[F64, F64]:
    """One logit z of a binary model as two, so that every model answers (n_samples, n_classes).

    sigmoid(-z) = 1 - sigmoid(z); and softmax(-z/2, z/2) is the same pair.
    """
    signs = np.array([[-1.0], [1.0]]) * (0.5 if head is Head.SOFTMAX else 1.0)
    return signs * weights, signs[:, 0] * bias


def _sigmoid(logits: F64) -> F64:
    """1 / (1 + exp(-z)), by tanh so that nothing overflows."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def _softmax(logits: F64) -> F64:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))
