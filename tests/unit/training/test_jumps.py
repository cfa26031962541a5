"""The gate for models that answer in steps: rows beside a jump, never on it, and only rows with an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sigmax.contract import Decision, Feature, FloatType, Graph, Head, Kind, Manifest, Task
from sigmax.inference.decision import Rule
from sigmax_training import parity
from sigmax_training.rows import Reference

STEP = 0.3
BLOCKS = tuple(Feature(name, Kind.NUMERIC, (), "float64", (0.0, 1.0)) for name in "ab")
MANIFEST = Manifest(
    name="steps",
    version=1,
    task=Task.BINARY,
    head=Head.SIGMOID,
    features=BLOCKS,
    classes=("no", "yes"),
    decision=Decision({"yes": 0.5}, "yes"),
    graph=Graph(21, 10, "features", ("probabilities",), FloatType.FLOAT64),
    tolerance=1e-9,
    metrics={},
    fingerprint="",
    provenance={},
    files={},
)


class Steps:
    """0.9 where the first feature exceeds a threshold, else 0.2; a continuous way through 0.5 beside it."""

    def __init__(self, *, ramp: bool = False, lowest: float = -np.inf) -> None:
        self._ramp = ramp
        self._lowest = lowest

    def probabilities(self, features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if (features < self._lowest).any():
            raise ValueError("numbers below are refused")
        first = np.clip(features[:, 0], 0, 1) if self._ramp else np.where(features[:, 0] > STEP, 0.9, 0.2)
        return np.column_stack([1 - first, first])

    def predict(self, features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(self.probabilities(features).argmax(axis=1))


def asked(estimator: Steps, dtype: FloatType = FloatType.FLOAT64) -> np.ndarray[Any, Any]:
    rule = Rule(MANIFEST, np.float64, {"yes": 0.5})
    held_out = np.random.default_rng(1).random((40, 2))
    manifest = replace(MANIFEST, graph=replace(MANIFEST.graph, dtype=dtype))
    found = parity.questions(Reference(estimator, rule), None, manifest, held_out, 0)
    return np.asarray(found.gate.features)


def test_rows_are_put_beside_a_jump_at_a_distance_that_the_type_can_tell() -> None:
    for dtype, least, most in ((FloatType.FLOAT64, 1e-14, 1e-9), (FloatType.FLOAT32, 1e-6, 1e-3)):
        distances = np.sort(np.abs(asked(Steps(), dtype)[:, 0] - STEP))

        assert least < distances[0] < most


def test_an_edge_without_a_jump_is_asked_to_the_last_bit() -> None:
    distances = np.abs(asked(Steps(ramp=True))[:, 0] - 0.5)

    assert distances.min() < 1e-15


def test_rows_that_an_estimator_refuses_are_not_asked() -> None:
    rows = asked(Steps(lowest=0.0))

    assert rows.min() >= 0.0
    assert len(rows) > 60
