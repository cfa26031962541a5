"""An ONNX graph brought to the contract: one `features` matrix in, one `probabilities` table out, any batch size.

Nodes are put before and behind; none of the graph's own is changed. Its opset and IR version stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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
    opened: Opened, ending: Ending, picture: Picture | None, width: int, classes: Sequence[str], names: Sequence[str]
) -> Adapted:
    """Write the file as it is published.

    Args:
        opened: the original.
        ending: what is put behind it.
        picture: how rows become pictures; None for rows of numbers.
        width: how many columns the features matrix has.
        classes: labels in column order, for whoever has nothing but the file.
        names: of the feature blocks.

    Raises:
        InvalidInput: the graph with a free batch size is not valid.
    """
    model = onnx.ModelProto.FromString(opened.model.SerializeToString())
    graph = model.graph
    made_of = _element_type(model, opened.source)
    graphs.replace(graph.output, [helper.make_empty_tensor_value_info(opened.source)])
    _lead_in(graph, opened, picture)
    _lead_out(graph, opened.source, ending, made_of, opened.dtype)
    graphs.sign(graph, width, len(classes), opened.dtype)
    graphs.prune(graph)
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
    if INPUT not in opened.inputs:
        graphs.rename(graph, INPUT, graphs.fresh(graph, f"{INPUT}_"))
    if len(opened.inputs) > 1:
        _split(graph, opened.inputs)
    elif picture is not None:
        _picture(graph, opened.inputs[0], picture, opened.dtype)
    else:
        graphs.rename(graph, opened.inputs[0], INPUT)


def _split(graph: onnx.GraphProto, inputs: Sequence[str]) -> None:
    """One column for each input."""
    columns = [graphs.fresh(graph, f"column_{index}") for index in range(len(inputs))]
    for name, column in zip(inputs, columns, strict=True):
        graphs.rename(graph, name, column)
    first = []
    for index, column in enumerate(columns):
        position = _constant(graph, f"{column}_position", np.array([index], np.int64))
        first.append(helper.make_node("Gather", [INPUT, position], [column], axis=1))
    graphs.replace(graph.node, [*first, *graph.node])


def _picture(graph: onnx.GraphProto, name: str, picture: Picture, dtype: FloatType) -> None:
    """From a row of pixels to a scaled picture in the layout of the graph."""
    target = graphs.fresh(graph, "picture")
    graphs.rename(graph, name, target)
    shape = _constant(graph, "picture_shape", np.array([-1, *picture.shape], np.int64))
    scale = _constant(graph, "picture_scale", np.array(picture.scale, dtype.value))
    steps = [("Reshape", [INPUT, shape], {})]
    if picture.last:
        steps.append(("Transpose", [""], {"perm": [0, 2, 3, 1]}))
    steps.append(("Mul", ["", scale], {}))
    _lead(graph, steps, target)


def _lead_out(graph: onnx.GraphProto, source: str, ending: Ending, made_of: int, dtype: FloatType) -> None:
    """From the graph's own output to two columns or more of probabilities, in the type of the input."""
    columns = _constant(graph, "one_column", np.array([-1, 1], np.int64))
    value = graphs.fresh(graph, "answers") if source == OUTPUT else source
    graphs.rename(graph, OUTPUT, graphs.fresh(graph, "answers"))
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, inputs: Sequence[str], **attributes: int) -> str:
        name = graphs.fresh(graph, f"completed_{len(nodes)}")
        nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    if ending.doubled:
        value = add("Reshape", [value, columns])
        if ending.added:
            other = add("Neg", [value])
        else:
            one = _constant(graph, "one", np.array(1, helper.tensor_dtype_to_np_dtype(made_of)))
            other = add("Sub", [one, value])
        value = add("Concat", [other, value], axis=1)
    if ending.added == "Softmax":
        value = add("Softmax", [value], axis=1)
    elif ending.added:
        value = add(ending.added, [value])
    if made_of != graphs.ELEMENT[dtype]:
        value = add("Cast", [value], to=graphs.ELEMENT[dtype])
    nodes.append(helper.make_node("Identity", [value], [OUTPUT]))
    graph.node.extend(nodes)


def _lead(
    graph: onnx.GraphProto, steps: Sequence[tuple[str, list[str], dict[str, list[int]]]], target: str
) -> None:
    """Nodes one behind the other, an empty input being the last one's output, put before all others."""
    nodes, value = [], ""
    for number, (operator, inputs, attributes) in enumerate(steps):
        output = target if number == len(steps) - 1 else graphs.fresh(graph, f"{target}_{number}")
        nodes.append(helper.make_node(operator, [name or value for name in inputs], [output], **attributes))
        value = output
    graphs.replace(graph.node, [*nodes, *graph.node])


def _constant(graph: onnx.GraphProto, wanted: str, numbers: np.ndarray) -> str:
    name = graphs.fresh(graph, wanted)
    graph.initializer.append(numpy_helper.from_array(numbers, name))
    return name


def _opset(model: onnx.ModelProto) -> int:
    """Each domain once; the version of the standard one, which the nodes around the graph need in any case."""
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
