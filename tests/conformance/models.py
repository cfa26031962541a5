"""Hand-made models whose decisions have bands and whose graphs give logits, one of every task and head.

The estimator behind them is a matrix; what it says is reckoned here with numpy, not asked of any graph.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from sigmax.contract import Decision, Feature, FloatType, Graph, Head, Kind, Manifest, Task
from sigmax.inference.decision import Rule
from sigmax.repository import bundle
from sigmax.repository.golden import Golden

F64 = npt.NDArray[np.float64]

ROWS = np.random.default_rng(7).normal(size=(60, 2)).astype(np.float32).astype(np.float64)
"""Rows that both types of graph take as they are."""

_SLOPES = np.array([[1.5, -0.5], [-1.0, 0.25], [0.5, 2.0]])
_OFFSETS = np.array([0.1, -0.2, 0.3])


def _feature(name: str) -> Feature:
    return Feature(name, Kind.NUMERIC, (), "float64", (-4.0, 4.0))


_THREE = Manifest(
    name="three",
    version=1,
    task=Task.MULTICLASS,
    head=Head.SOFTMAX,
    features=(_feature("a"), _feature("b")),
    classes=("x", "y", "z"),
    decision=Decision({}),
    graph=Graph(21, 10, "features", ("probabilities", "logits"), FloatType.FLOAT64),
    tolerance=1e-9,
    metrics={},
    fingerprint="0" * 64,
    provenance={},
    files={},
)
_TWO = replace(
    _THREE,
    name="two",
    task=Task.BINARY,
    head=Head.SIGMOID,
    classes=("no", "yes"),
    decision=Decision({"no": 0.4}, "no", {"no": (0.3, 0.6)}),
)
_LABELS = replace(
    _THREE,
    name="labels",
    task=Task.MULTILABEL,
    head=Head.SIGMOID,
    decision=Decision({"x": 0.5, "y": 0.3, "z": 0.6}, None, {"x": (0.4, 0.7), "z": (0.2, 0.9)}),
)
_PLAIN = replace(_TWO.graph, outputs=("probabilities",))

MANIFESTS = {
    manifest.name: manifest
    for manifest in (
        _THREE,
        replace(_THREE, name="each", head=Head.ONE_VS_REST),
        _TWO,
        replace(_TWO, name="halves", head=Head.SOFTMAX),
        replace(_TWO, name="small", graph=replace(_PLAIN, dtype=FloatType.FLOAT32), tolerance=1e-5),
        replace(_TWO, name="plain", graph=_PLAIN, decision=Decision({"yes": 0.5}, "yes")),
        _LABELS,
    )
}


def publish(root: Path) -> None:
    """Write every model as version 1."""
    for name, manifest in MANIFESTS.items():
        folder = root / name / "1"
        folder.mkdir(parents=True)
        files = {"model.onnx": graph(manifest), "golden.json": golden(manifest).to_json(manifest)}
        bundle.write(folder, manifest, {**files, "example.json": b'{"rows": [[0.5, 1]]}'})


def golden(manifest: Manifest) -> Golden:
    logits, probabilities = said(manifest, ROWS)
    decision = manifest.decision
    rule = Rule(manifest, np.float64, decision.thresholds, decision.band)
    return Golden(
        ROWS,
        probabilities,
        rule.choose(probabilities),
        logits if "logits" in manifest.graph.outputs else None,
        rule.unsure(probabilities) if decision.band else None,
    )


def said(manifest: Manifest, rows: F64) -> tuple[F64, F64]:
    """The estimator's logits and probabilities, (n_samples, n_classes) each."""
    weights, bias = parameters(manifest)
    logits = rows @ weights.T + bias
    odds = np.exp(logits) if manifest.head is Head.SOFTMAX else 1 / (1 + np.exp(-logits))
    total = 1.0 if manifest.head is Head.SIGMOID else odds.sum(axis=1, keepdims=True)
    return logits, odds / total


def parameters(manifest: Manifest) -> tuple[F64, F64]:
    """Weights (n_classes, n_features) and bias (n_classes,); of a binary model -z and z, or half of them."""
    if manifest.task is not Task.BINARY:
        return _SLOPES, _OFFSETS
    signs = np.array([-1.0, 1.0]) * (0.5 if manifest.head is Head.SOFTMAX else 1.0)
    return signs[:, np.newaxis] * _SLOPES[:1], signs * _OFFSETS[0]


def graph(manifest: Manifest) -> bytes:
    kind = TensorProto.DOUBLE if manifest.graph.dtype is FloatType.FLOAT64 else TensorProto.FLOAT
    width = len(manifest.classes)
    weights, bias = parameters(manifest)
    outputs = manifest.graph.outputs
    made: Any = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Gemm", ["features", "w", "b"], ["logits"], transB=1),
                *_head(manifest.head),
            ],
            manifest.name,
            [helper.make_tensor_value_info("features", kind, ["n", 2])],
            [helper.make_tensor_value_info(name, kind, ["n", width]) for name in outputs],
            [
                helper.make_tensor("w", kind, weights.shape, weights.ravel()),
                helper.make_tensor("b", kind, bias.shape, bias),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    onnx.checker.check_model(made, full_check=True)
    content: bytes = made.SerializeToString()
    return content


def _head(head: Head) -> list[Any]:
    if head is Head.SOFTMAX:
        return [helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)]
    if head is Head.SIGMOID:
        return [helper.make_node("Sigmoid", ["logits"], ["probabilities"])]
    axes = helper.make_node("Constant", [], ["axes"], value_ints=[1])
    return [
        axes,
        helper.make_node("Sigmoid", ["logits"], ["odds"]),
        helper.make_node("ReduceSum", ["odds", "axes"], ["total"]),
        helper.make_node("Div", ["odds", "total"], ["probabilities"]),
    ]
