"""Models for fuzzing, one of every kind that a door reads differently.

Their answers come from a few lines of numpy, so that an execution is spent on reading and writing; one real
model may stand beside them.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from sigmax.contract import (
    Colour,
    Decision,
    Feature,
    FloatType,
    Graph,
    Head,
    Image,
    Kind,
    Manifest,
    Missing,
    Resize,
    Task,
    Unknown,
)
from sigmax.inference.catalog import Catalog, Entry, Served, open_version
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema

MAX_ROWS = 50
MAX_PIXELS = 10_000
SIDE = 8  # pixels of the picture model, each way


def number(name: str, missing: Missing = Missing.REJECT) -> Feature:
    """A feature of numbers."""
    return Feature(name, Kind.NUMERIC, (), "float64", (0.0, 1.0), missing)


def category(
    name: str, dtype: str, known: tuple[str, ...], missing: Missing = Missing.REJECT, *, strict: bool = True
) -> Feature:
    """A feature of categories; unless strict, others count as none."""
    unknown = Unknown.REJECT if strict else Unknown.ZERO
    codes = len(known) + (missing is not Missing.REJECT) + (not strict)
    bounds = (0.0, codes - 1.0)
    return Feature(name, Kind.CATEGORY, (), dtype, bounds, missing, vocabulary=known, unknown=unknown)


BINARY = Manifest(
    name="binary",
    version=1,
    task=Task.BINARY,
    head=Head.SIGMOID,
    features=(number("a"), number("b")),
    classes=("no", "yes"),
    decision=Decision({"yes": 0.5}, "yes"),
    graph=Graph(21, 10, "features", ("probabilities",), FloatType.FLOAT64),
    tolerance=1e-9,
    metrics={},
    fingerprint="0" * 64,
    provenance={},
    files={},
)
SINGLE = replace(BINARY.graph, dtype=FloatType.FLOAT32)
THREE = replace(
    BINARY,
    name="three",
    task=Task.MULTICLASS,
    head=Head.SOFTMAX,
    classes=("x", "y", "z"),
    decision=Decision({}),
)
LABELS = replace(
    THREE,
    name="labels",
    task=Task.MULTILABEL,
    head=Head.SIGMOID,
    decision=Decision({"x": 0.5, "y": 0.25, "z": 0.75}, band={"x": (0.25, 0.75)}),
    graph=replace(BINARY.graph, outputs=("probabilities", "logits")),
)
BANDED = replace(
    BINARY, name="banded", decision=Decision({"yes": 0.5}, "yes", {"yes": (0.25, 0.75)}), graph=SINGLE
)
LACKING = replace(BINARY, name="lacking", features=(number("a", Missing.IMPUTE), number("b")), graph=SINGLE)
MIXED = replace(
    THREE,
    name="mixed",
    features=(
        number("나이"),
        category("도시", "string", ("대구", "부산", "서울"), Missing.CATEGORY, strict=False),
        number("wage", Missing.IMPUTE),
        Feature("member", Kind.BOOLEAN, (), "bool", (0.0, 1.0)),
        category("grade", "int64", ("1", "2", "30")),
        Feature("visits", Kind.INTEGER, (), "int64", (0.0, 12.0)),
    ),
)
GRADES = replace(
    THREE,
    name="grades",
    features=(category("g", "int64", ("-1", "0", "7")), category("h", "int64", ("5",), strict=False)),
)
PHOTO = replace(
    THREE,
    name="photo",
    features=(
        Feature(
            "photo",
            Kind.IMAGE,
            (1, SIDE, SIDE),
            "uint8",
            (0.0, 255.0),
            image=Image(Colour.GREY, "CHW", SIDE, SIDE, Resize.BILINEAR, 1 / 255),
        ),
    ),
    graph=SINGLE,
)
MANIFESTS = (BINARY, THREE, LABELS, BANDED, LACKING, MIXED, GRADES, PHOTO)

ROWS: dict[str, list[list[Any]]] = {
    "binary": [[0.25, -1.5], [3, 2]],
    "three": [[0.25, -1.5], [3, 2]],
    "labels": [[0.25, -1.5], [0, 0]],
    "banded": [[0.25, -1.5], [3, 2]],
    "lacking": [[None, 1], [0.5, 2]],
    "mixed": [[31.5, "서울", 2.25, True, 30, 3], [0, None, None, False, 1, 0]],
    "grades": [[-1, 5], [7, 9]],
    "photo": [[value % 256 for value in range(0, SIDE * SIDE * 4, 4)]],
}
"""Rows that each model takes, in feature order."""


class Stub:
    """An engine of the right shape: each feature adds to every class, a missing one nothing."""

    def __init__(self, manifest: Manifest) -> None:
        self._task = manifest.task
        columns = 1 if manifest.task is Task.BINARY else len(manifest.classes)
        count = manifest.n_features * columns
        weights = np.sin(np.arange(1, count + 1)).reshape(-1, columns) / manifest.n_features
        self._weights = weights.astype(manifest.graph.dtype.value)

    def run(self, features: Floats) -> Floats:
        """(n_samples, n_features) to (n_samples, n_classes)."""
        return self.run_both(features)[0]

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        """The same, and the logits."""
        with np.errstate(all="ignore"):
            logits: Any = np.where(np.isnan(features), 0, features) @ self._weights
            if self._task is Task.MULTICLASS:
                odds = np.exp(logits - logits.max(axis=1, keepdims=True))
                return odds / odds.sum(axis=1, keepdims=True), logits
            chance = 1 / (1 + np.exp(-logits))
        if self._task is Task.BINARY:
            return np.hstack([1 - chance, chance]), np.hstack([-logits, logits])
        return chance, logits


def catalog(real: Path | None = None) -> Catalog:
    """All models; `real` is the folder of a version of a real one."""
    served = [
        Served(each.name, "1", Predictor(each, Stub(each)), Schema(each), Proof(1, 0.0, 0), b"{}")
        for each in MANIFESTS
    ]
    if real is not None:
        served.append(open_version(real))
    return Catalog([Entry(each.name, each) for each in served])


def dispatch(models: Catalog) -> Dispatch:
    """Answers at once, whatever the model."""
    return Dispatch(models, MAX_ROWS)


def rows_of(served: Served) -> list[list[Any]]:
    """Rows that a model takes; of a real one, of numbers."""
    return ROWS.get(served.name) or [[0.5] * served.schema.width, [1.5] * served.schema.width]


def picture() -> bytes:
    """A small PNG file."""
    file = io.BytesIO()
    Pictures.new("L", (SIDE + 1, SIDE), 100).save(file, "PNG")
    return file.getvalue()
