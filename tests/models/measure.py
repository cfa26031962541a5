"""Train a pair, publish it, ask the published bundle for every row of its data, and compare.

The estimator is fitted a second time for its own word, by `predict_proba` and `predict` alone: no arithmetic
of the export stands between its transformers and its answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from tests.models.pairs import Pair

from sigmax.contract import MODEL_FILE, Manifest
from sigmax.inference import catalog
from sigmax.inference.decision import Rule
from sigmax.inference.predictor import Predictor
from sigmax_training import data, pipeline, splits
from sigmax_training.data.dataset import F64
from sigmax_training.fit import Fitted, fit
from sigmax_training.history import Epoch

Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """The estimator's own answers.

    Attributes:
        probabilities: (n_samples, n_classes), of `predict_proba`.
        classes: of `predict`: columns (n_samples,), or of labels bool (n_samples, n_classes).
    """

    probabilities: F64
    classes: Rows


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far served answers are from the estimator's own.

    Attributes:
        rows: how many were asked.
        difference: the largest absolute difference of a probability.
        differing: rows whose class differs, those at the edge aside.
        exempt: rows that are within the tolerance of their decision's edge.
    """

    rows: int
    difference: float
    differing: int
    exempt: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What a pair came to.

    Attributes:
        manifest: as published.
        agreement: on every row of the data.
        operations: the types of the graph's nodes, in order.
        size: of model.onnx in bytes.
    """

    manifest: Manifest
    agreement: Agreement
    operations: tuple[str, ...]
    size: int

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        return sum(layer.parameters for layer in self.manifest.graph.layers)


class Quiet:
    """A report that says nothing."""

    def stage(self, title: str, steps: int) -> None:
        """Nothing."""

    def step(self) -> None:
        """Nothing."""

    def rows(self, seen: int, total: int) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Nothing."""


def measure(pair: Pair, repository: Path) -> Measured:
    """Train and publish a pair's job, and ask what was published for every row.

    Args:
        pair: which.
        repository: an empty folder.
    """
    job = pair.job
    dataset = data.load(job)
    published = pipeline.run(job, repository, Quiet()).published.path
    served = catalog.open_version(published)
    fitted = fit(job, dataset, splits.holdout(dataset, job.evaluation, job.seed)[0])
    graph = onnx.load(published / MODEL_FILE).graph
    return Measured(
        served.predictor.manifest,
        agreement(served.predictor, dataset.features, own_answers(fitted, dataset.features)),
        tuple(node.op_type for node in graph.node),
        (published / MODEL_FILE).stat().st_size,
    )


def own_answers(fitted: Fitted, rows: Rows) -> Own:
    """What the fitted objects' own methods say of features as they come, (n_samples, n_features)."""
    seen = rows if fitted.preprocessor is None else fitted.preprocessor.transform(rows)
    return Own(fitted.classifier.predict_proba(seen), np.asarray(fitted.classifier.predict(seen)))


def agreement(predictor: Predictor, rows: Rows, own: Own) -> Agreement:
    """Compare served answers with the estimator's own on the same rows.

    Args:
        predictor: what serves.
        rows: (n_samples, n_features).
        own: the estimator's answers to them.
    """
    manifest = predictor.manifest
    served = predictor.probabilities(np.ascontiguousarray(rows, predictor.dtype))
    differs = predictor.rule.choose(served) != own.classes
    if differs.ndim == 2:
        differs = differs.any(axis=1)
    margins = Rule(manifest, np.float64, manifest.decision.thresholds).margins(own.probabilities)
    exempt = margins <= manifest.tolerance
    return Agreement(
        len(rows),
        float(np.abs(served.astype(np.float64) - own.probabilities).max()),
        int((differs & ~exempt).sum()),
        int(exempt.sum()),
    )
