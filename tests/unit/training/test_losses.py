"""The log loss of each head, as the metrics have it, is what a few lines of plain numpy come to.

The lines begin with the weights of the published file: logits, head and loss are written out for each head,
so that no function of Sigmax or scikit-learn judges itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper
from tests.models.measure import Quiet

from sigmax.contract import MODEL_FILE
from sigmax.repository import bundle
from sigmax_training import data, pipeline, splits
from sigmax_training import job as jobs
from sigmax_training.data.dataset import F64
from sigmax_training.fit import fit
from sigmax_training.job import Job
from sigmax_training.network import Network, network_of

Truth = npt.NDArray[Any]
Loss = Callable[[F64, Truth], float]


def binary_cross_entropy(logits: F64, truth: Truth) -> float:
    p = 1 / (1 + np.exp(-logits[:, 1]))  # of class 1
    return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())


def binary_cross_entropy_of_a_softmax(logits: F64, truth: Truth) -> float:
    p = np.exp(logits[:, 1]) / (np.exp(logits[:, 0]) + np.exp(logits[:, 1]))
    return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())


def categorical_cross_entropy(logits: F64, truth: Truth) -> float:
    odds = np.exp(logits)
    p = odds / odds.sum(axis=1, keepdims=True)
    return float(-(np.eye(p.shape[1])[truth] * np.log(p)).sum(axis=1).mean())


def categorical_cross_entropy_of_sigmoids(logits: F64, truth: Truth) -> float:
    each = 1 / (1 + np.exp(-logits))
    p = each / each.sum(axis=1, keepdims=True)
    return float(-(np.eye(p.shape[1])[truth] * np.log(p)).sum(axis=1).mean())


def mean_binary_cross_entropy(logits: F64, truth: Truth) -> float:
    p = 1 / (1 + np.exp(-logits))
    return float(-(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean())


HEADS: dict[str, tuple[str, str, Loss]] = {
    "two classes, sigmoid": ("breast_cancer", "sigmoid", binary_cross_entropy),
    "two classes, softmax": ("breast_cancer", "softmax", binary_cross_entropy_of_a_softmax),
    "several classes, softmax": ("iris", "softmax", categorical_cross_entropy),
    "several classes, one-vs-rest": ("iris", "one_vs_rest", categorical_cross_entropy_of_sigmoids),
    "several labels, sigmoid": ("digit_traits", "sigmoid", mean_binary_cross_entropy),
}


def job_of(name: str, head: str) -> Job:
    text = f"name = 'x'\nhead = '{head}'\n[data]\nbuiltin = '{name}'\n[evaluation]\nfolds = 2\nrepeats = 1"
    return jobs.parse(text, Path())


def published_logits(path: Path, rows: F64) -> F64:
    graph = onnx.load(path / MODEL_FILE).graph
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return np.asarray(rows @ found["weights_0"].T + found["bias_0"])


def network_logits(network: Network, rows: F64) -> F64:
    return np.asarray(rows @ network.weights[0].T + network.biases[0])


@pytest.mark.parametrize("case", HEADS)
def test_the_metrics_of_a_published_model_are_the_loss_that_its_head_implies(
    tmp_path: Path, case: str
) -> None:
    name, head, loss = HEADS[case]
    job = job_of(name, head)
    path = pipeline.run(job, tmp_path, Quiet()).published.path
    dataset = data.load(job)
    _, test = splits.holdout(dataset, job.evaluation, job.seed)
    folds = [
        loss(
            network_logits(network_of(fit(job, dataset, train)), dataset.features[held]), dataset.codes[held]
        )
        for train, held in splits.folds(dataset, job.evaluation, job.seed)
    ]

    metrics = bundle.read(path).manifest.metrics
    of_test = loss(published_logits(path, dataset.features[test]), dataset.codes[test])
    assert metrics["test_log_loss"] == pytest.approx(of_test, rel=1e-9)
    assert metrics["cv_log_loss_mean"] == pytest.approx(np.mean(folds), rel=1e-9)
    assert metrics["cv_log_loss_std"] == pytest.approx(np.std(folds), rel=1e-6)
