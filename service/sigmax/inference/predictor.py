"""A loaded model: features in, probabilities and classes out, with the manifest that names them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sigmax.contract import Manifest
from sigmax.inference.decision import Rule
from sigmax.inference.engine import Engine, Floats, OnnxEngine
from sigmax.repository.bundle import Bundle


class Predictor:
    """One version of one model, ready to answer."""

    __slots__ = ("_engine", "dtype", "manifest", "n_features", "rule")

    def __init__(self, manifest: Manifest, engine: Engine) -> None:
        self.manifest = manifest
        self.dtype = np.dtype(manifest.graph.dtype.value)
        self.n_features = manifest.n_features
        self.rule = self.rule_with(manifest.decision.thresholds, manifest.decision.band)
        self._engine = engine

    def probabilities(self, features: Floats) -> Floats:
        """Features (n_samples, n_features), zero rows allowed, to probabilities (n_samples, n_classes).

        They are in `dtype`, or in one whose every value it holds.
        """
        if features.dtype is not self.dtype:
            features = features.astype(self.dtype, copy=False)
        return self._engine.run(features)

    def probabilities_and_logits(self, features: Floats) -> tuple[Floats, Floats]:
        """The same, and the logits (n_samples, n_classes), of a model that gives them."""
        return self._engine.run_both(features.astype(self.dtype, copy=False))

    def rule_with(
        self, thresholds: Mapping[str, float], band: Mapping[str, tuple[float, float]] | None = None
    ) -> Rule:
        """The model's decision rule with other thresholds, and another band or none."""
        return Rule(self.manifest, self.dtype, thresholds, band)


def open_predictor(bundle: Bundle) -> Predictor:
    """Load a bundle's graph.

    Raises:
        BundleRejected: the graph does not load, or is not what the manifest says.
    """
    return Predictor(bundle.manifest, OnnxEngine(bundle.model, bundle.manifest))
