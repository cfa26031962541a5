"""Manifests and graphs made by hand, small enough to reckon with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from sigmax.contract import Decision, Feature, FloatType, Graph, Head, Kind, Manifest, Task

DIGEST = "0" * 64


def feature(name: str) -> Feature:
    return Feature(name, Kind.NUMERIC, (), "float64", (0.0, 1.0))


MULTICLASS = Manifest(
    name="small",
    version=1,
    task=Task.MULTICLASS,
    head=Head.SOFTMAX,
    features=(feature("a"), feature("b")),
    classes=("x", "y", "z"),
    decision=Decision({}),
    graph=Graph(21, 10, "features", ("probabilities",), FloatType.FLOAT64),
    tolerance=1e-9,
    metrics={"test_accuracy": 1.0},
    fingerprint=DIGEST,
    provenance={"data": "made up"},
    files={},
)
BINARY = replace(
    MULTICLASS,
    task=Task.BINARY,
    head=Head.SIGMOID,
    classes=("no", "yes"),
    decision=Decision({"yes": 0.5}, "yes"),
)
MULTILABEL = replace(
    MULTICLASS,
    task=Task.MULTILABEL,
    head=Head.SIGMOID,
    decision=Decision({"x": 0.5, "y": 0.25, "z": 0.75}),
)
BANDED = replace(BINARY, decision=Decision({"yes": 0.5}, "yes", {"yes": (0.25, 0.75)}))
BANDED_LABELS = replace(
    MULTILABEL, decision=replace(MULTILABEL.decision, band={"x": (0.25, 0.75), "z": (0.5, 1.0)})
)


def with_logits(manifest: Manifest) -> Manifest:
    """The manifest of a model that gives its logits, too."""
    return replace(manifest, graph=replace(manifest.graph, outputs=("probabilities", "logits")))


def model(manifest: Manifest) -> bytes:
    """A graph of the manifest's shape whose weights are all 1 in one class and 0 in the others."""
    kind = TensorProto.DOUBLE if manifest.graph.dtype is FloatType.FLOAT64 else TensorProto.FLOAT
    width = len(manifest.classes)
    weights = np.zeros((width, manifest.n_features), manifest.graph.dtype.value)
    weights[-1] = 1
    activation = helper.make_node("Softmax" if width > 2 else "Sigmoid", ["logits"], ["probabilities"])
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["features", "w"], ["logits"], transB=1), activation],
        "small",
        [helper.make_tensor_value_info("features", kind, ["n", manifest.n_features])],
        [helper.make_tensor_value_info(name, kind, ["n", width]) for name in manifest.graph.outputs],
        [helper.make_tensor("w", kind, weights.shape, weights.ravel())],
    )
    made: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made)
    data: bytes = made.SerializeToString()
    return data
