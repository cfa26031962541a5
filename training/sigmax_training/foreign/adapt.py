"""An ONNX graph brought to the contract: one `features` matrix in, one `probabilities` table out, any batch.

Nodes are put before and behind; of the graph's own only FeatureVectorizer is replaced: ONNX Runtime 1.31 ends
the whole process when it is given no rows. Opset and IR version stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sigmax.contract import INPUT, OUTPUT, FloatType
from sigmax.errors import InvalidInput
from sigmax_training.foreign import graph as graphs
from sigmax_training.foreign.ending import Ending
from sigmax_training.foreign.opened import Opened
from sigmax_training.foreign.original import Picture

_OPSET = 13
"""For the nodes that are put around a graph of which all operators are of another domain."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """The finished file and the versions that it is written in."""

    content: bytes
    opset: int
    ir_version: int


def adapt(
    opened: Opened, ending: Ending, picture: Picture | None, classes: Sequence[str], names: Sequence[str]
) -> Adapted:
    """Write the file as it is published.

    Args:
        opened: the original.
        ending: what is put behind it.
        picture: how rows become pictures; None for rows of numbers.
        classes: labels in column order, for whoever has nothing but the file.
        names: of the feature blocks.

    Raises:
        InvalidInput: the graph with a free batch size is not valid.
    """
    model = onnx.ModelProto.FromString(opened.model.SerializeToString())
    graph, source = model.graph, graphs.fresh(opened.model.graph, "original")
    made_of = _element_type(model, opened.source)
    graphs.rename(graph, opened.source, source)
    graphs.replace(graph.output, [helper.make_empty_tensor_value_info(source)])
    for taken in {INPUT, OUTPUT}.difference(opened.inputs):
        graphs.rename(graph, taken, graphs.fresh(graph, taken))
    _lead_in(graph, opened, picture)
    _lead_out(graph, source, ending, made_of, opened.dtype)
    width = math.prod(picture.shape) if picture else len(names)
    graphs.sign(graph, width, len(classes), opened.dtype)
    graphs.prune(graph)
    _replace_vectorizers(graph)
    opset = _opset(model)
    graphs.describe(model, {"classes": classes, "features": names})
    try:
        return Adapted(graphs.serialised(model), opset, model.ir_version)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0][:200]
        raise InvalidInput(f"the graph is not valid for any number of rows: {reason}") from error


def _element_type(model: onnx.ModelProto, name: str) -> int:
    """The type of a value; float where the file leaves it open, as the operators of ai.onnx.ml answer."""
    inferred = onnx.shape_inference.infer_shapes(model)
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        if value.name == name and value.type.tensor_type.elem_type:
            return int(value.type.tensor_type.elem_type)
    return int(TensorProto.FLOAT)


def _lead_in(graph: onnx.GraphProto, opened: Opened, picture: Picture | None) -> None:
    """From the features matrix to the graph's own inputs."""
    if len(opened.inputs) == 1 and picture is None:
        graphs.rename(graph, opened.inputs[0], INPUT)
        return
    targets = [graphs.fresh(graph, f"input_{index}") for index in range(len(opened.inputs))]
    for name, target in zip(opened.inputs, targets, strict=True):
        graphs.rename(graph, name, target)
    nodes = _picture(graph, targets[0], picture, opened.dtype) if picture else _split(graph, targets)
    graphs.replace(graph.node, [*nodes, *graph.node])


def _split(graph: onnx.GraphProto, targets: Sequence[str]) -> list[onnx.NodeProto]:
    """One column for each input."""
    return [
        helper.make_node("Gather", [INPUT, _constant(graph, f"{target}_column", [index])], [target], axis=1)
        for index, target in enumerate(targets)
    ]


def _picture(graph: onnx.GraphProto, target: str, picture: Picture, dtype: FloatType) -> list[onnx.NodeProto]:
    """From a row of pixels to a scaled picture in the layout of the graph."""
    pixels, turned = graphs.fresh(graph, "pixels"), graphs.fresh(graph, "channels_last")
    shape = _constant(graph, "picture_shape", [-1, *picture.shape])
    scale = _constant(graph, "picture_scale", np.array(picture.scale, dtype.value))
    nodes = [helper.make_node("Reshape", [INPUT, shape], [pixels])]
    if picture.last:
        nodes.append(helper.make_node("Transpose", [pixels], [turned], perm=[0, 2, 3, 1]))
    nodes.append(helper.make_node("Mul", [turned if picture.last else pixels, scale], [target]))
    return nodes


def _lead_out(graph: onnx.GraphProto, source: str, ending: Ending, made_of: int, dtype: FloatType) -> None:
    """From the graph's own output to two columns or more of probabilities, in the type of the input."""
    value = source
    if ending.doubled:
        column = _added(graph, "Reshape", [source, _constant(graph, "one_column", [-1, 1])])
        if ending.added:
            other = _added(graph, "Neg", [column])
        else:
            one = _constant(graph, "one", np.array(1, helper.tensor_dtype_to_np_dtype(made_of)))
            other = _added(graph, "Sub", [one, column])
        value = _added(graph, "Concat", [other, column], axis=1)
    if ending.added == "Softmax":
        value = _added(graph, "Softmax", [value], axis=1)
    elif ending.added:
        value = _added(graph, ending.added, [value])
    graph.node.append(graphs.cast(value, OUTPUT, made_of, dtype))


def _added(graph: onnx.GraphProto, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
    """Put a node behind all others."""
    output = graphs.fresh(graph, f"completed_{operator.lower()}")
    graph.node.append(helper.make_node(operator, list(inputs), [output], **attributes))
    return output


def _replace_vectorizers(graph: onnx.GraphProto) -> None:
    """Columns side by side by Concat; a FeatureVectorizer answers in float whatever it is given."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "FeatureVectorizer":
            nodes.append(node)
            continue
        columns = [f"{node.output[0]}_{index}" for index in range(len(node.input))]
        for source, column in zip(node.input, columns, strict=True):
            nodes.append(helper.make_node("Cast", [source], [column], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Concat", columns, [node.output[0]], axis=1))
    graphs.replace(graph.node, nodes)


def _constant(graph: onnx.GraphProto, wanted: str, numbers: Sequence[int] | npt.NDArray[Any]) -> str:
    name = graphs.fresh(graph, wanted)
    graph.initializer.append(numpy_helper.from_array(np.asarray(numbers), name))
    return name


def _opset(model: onnx.ModelProto) -> int:
    """Each domain once; the version of the standard one, which the nodes around the graph need."""
    versions: dict[str, int] = {}
    for entry in model.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        versions[domain] = max(versions.get(domain, 0), entry.version)
    used = {"" if node.domain == "ai.onnx" else node.domain for node in model.graph.node} | {""}
    versions.setdefault("", _OPSET)
    del model.opset_import[:]
    model.opset_import.extend(
        helper.make_opsetid(domain, version) for domain, version in sorted(versions.items()) if domain in used
    )
    return versions[""]
