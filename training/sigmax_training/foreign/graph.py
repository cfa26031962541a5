"""ONNX graphs as they stand: unused nodes taken out, names given, what is inside said. Plain onnx alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper

from sigmax.contract import INPUT, OUTPUT, FloatType
from sigmax_training import export

ELEMENT = {FloatType.FLOAT32: TensorProto.FLOAT, FloatType.FLOAT64: TensorProto.DOUBLE}


def prune(graph: onnx.GraphProto) -> None:
    """Take out every node, initializer and note that no output of the graph needs."""
    needed = {output.name for output in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    replace(graph.node, kept[::-1])
    replace(graph.initializer, [item for item in graph.initializer if item.name in needed])
    del graph.value_info[:]


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give a value another name, wherever it is read or written."""
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for values in (graph.input, graph.output, graph.initializer):
        for value in values:
            if value.name == old:
                value.name = new


def fresh(graph: onnx.GraphProto, wanted: str) -> str:
    """A name that no value of the graph has."""
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    for values in (graph.input, graph.output, graph.initializer):
        used.update(value.name for value in values)
    while wanted in used:
        wanted += "_"
    return wanted


def count_numbers(model: onnx.ModelProto) -> int:
    """How many numbers with decimals a file holds: what was learnt, give or take a few constants."""
    inside = [item for node in model.graph.node for item in node.attribute]
    tensors = [*model.graph.initializer, *(item.t for item in inside if item.HasField("t"))]
    known = [tensor for tensor in tensors if tensor.data_type in ELEMENT.values()]
    return sum(math.prod(tensor.dims) for tensor in known) + sum(len(item.floats) for item in inside)


def sign(graph: onnx.GraphProto, width: int, n_classes: int, dtype: FloatType) -> None:
    """Declare the one input and the one output that the contract knows, with a free batch size."""
    kind = ELEMENT[dtype]
    replace(graph.input, [helper.make_tensor_value_info(INPUT, kind, [export.BATCH, width])])
    replace(graph.output, [helper.make_tensor_value_info(OUTPUT, kind, [export.BATCH, n_classes])])


def cast(source: str, target: str, made_of: int, dtype: FloatType) -> onnx.NodeProto:
    """A node that hands a value on, in the graph's own type."""
    if made_of == ELEMENT[dtype]:
        return helper.make_node("Identity", [source], [target], name=f"{target}_as_they_are")
    return helper.make_node("Cast", [source], [target], name=f"{target}_cast", to=ELEMENT[dtype])


def describe(model: onnx.ModelProto, document: Mapping[str, Sequence[str]]) -> None:
    """Write names into the file itself, one compact JSON list a key, and nothing of versions or times."""
    model.producer_name = "sigmax"
    for field in ("producer_version", "domain", "model_version", "doc_string"):
        model.ClearField(field)
    export.describe(model, {key: list(names) for key, names in document.items()})


def serialised(model: onnx.ModelProto) -> bytes:
    """The file, checked by onnx's full checker; the same model gives the same bytes.

    Raises:
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the graph is malformed.
    """
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def replace(field: Any, items: Sequence[Any]) -> None:
    """Put other messages into a repeated field, in order."""
    copies = [item.__class__.FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)
