"""An ONNX file opened: what it takes, what it answers with, and which of it is the probabilities.

Refuses by name what the service would not run, or would run differently each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, inliner, numpy_helper

from sigmax.contract import FloatType
from sigmax.errors import InvalidInput, quoted
from sigmax_training.foreign.labels import canonical

_MOST_BYTES = 2 * 2**30
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_CONTROL = ("If", "Loop", "Scan", "SequenceMap")
_RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)
_SHORT = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_FLOATS: dict[int, FloatType] = {TensorProto.FLOAT: FloatType.FLOAT32, TensorProto.DOUBLE: FloatType.FLOAT64}
_LABEL_ATTRIBUTES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints", "values_strings")
_RANKS = {2: "rows", 4: "pictures"}


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A file, as far as it was understood.

    Attributes:
        content: the bytes as they were read: the reference.
        model: the same, functions inlined.
        inputs: names of the inputs, in graph order.
        dtype: of all of them.
        shape: of a row: `(n_features,)`, 0 where the file does not say, or three sizes of a picture.
        batch: how many rows the file takes at once; 0 for any number.
        output: the name of the output that is taken for the probabilities.
        source: the value behind it, before a ZipMap.
        label: the output that names the class; empty without one.
        classes: labels in column order, as far as the file says; empty if it does not.
        names: of the features, as far as the file says.
    """

    content: bytes
    model: onnx.ModelProto
    inputs: tuple[str, ...]
    dtype: FloatType
    shape: tuple[int, ...]
    batch: int
    output: str
    source: str
    label: str
    classes: tuple[str, ...]
    names: tuple[str, ...]


def open_file(path: Path) -> Opened:
    """Read an ONNX file.

    Raises:
        InvalidInput: naming what about it cannot be served.
    """
    content = _read(path)
    model = _parsed(content)
    for graph in _graphs(model.graph):
        _check_tensors(graph)
    if model.functions:
        model = inliner.inline_local_functions(model)
    for graph in _graphs(model.graph):
        _check_nodes(graph)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise InvalidInput(f"the file is no valid ONNX model: {_first_line(error)}") from error
    inputs = _inputs(model.graph)
    dtype, shape, batch = _signature(inputs)
    output, source, zipped = _probabilities(model.graph)
    label = _label(model.graph)
    described = {item.key: item.value for item in model.metadata_props}
    classes = zipped or _known_classes(model.graph, label, source) or _listed(described.get("classes"))
    names = _listed(described.get("features")) or (
        tuple(value.name for value in inputs) if len(inputs) > 1 else ()
    )
    return Opened(
        content,
        model,
        tuple(value.name for value in inputs),
        dtype,
        shape,
        batch,
        output,
        source,
        label,
        classes,
        names,
    )


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node behind each value."""
    return {name: node for node in graph.node for name in node.output}


def attribute(node: onnx.NodeProto, name: str) -> Any:
    """A node's attribute as a Python value; None if it is not there."""
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), None)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidInput("the file has more than 2 GiB, which no ONNX file in one piece has")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"the file cannot be read: {error.strerror}") from error


def _parsed(content: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise InvalidInput("the file is no ONNX model: its bytes cannot be parsed") from error
    if not model.graph.node:
        raise InvalidInput("the file is no ONNX model, or one without any operator")
    return model


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for item in node.attribute:
            if item.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(item.g)


def _check_tensors(graph: onnx.GraphProto) -> None:
    inside = [item.t for node in graph.node for item in node.attribute if item.HasField("t")]
    for tensor in (*graph.initializer, *inside):
        if tensor.data_location == TensorProto.EXTERNAL:
            raise InvalidInput(
                f"the weights {quoted(tensor.name)} lie in another file, which no digest covers: save the "
                "model in one piece, by onnx.save(onnx.load(path), path) or external_data=False of torch"
            )
        if tensor.data_type in _SHORT:
            raise InvalidInput(
                f"the weights {quoted(tensor.name)} are 16-bit floats, which a CPU widens where it likes: "
                "export the model in float32"
            )


def _check_nodes(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.domain not in _DOMAINS:
            raise InvalidInput(
                f"operator {quoted(node.op_type)} is of the domain {quoted(node.domain)}: only operators of "
                "the ONNX standard are served"
            )
        if node.op_type == "Cast" and attribute(node, "to") in _SHORT:
            raise InvalidInput("operator Cast to 16-bit floats: export the model in float32")
        if node.op_type in _CONTROL:
            raise InvalidInput(
                f"operator {node.op_type}: graphs with branches and loops are not served; export the model "
                "in inference mode, with fixed shapes beside the batch"
            )
        if node.op_type in _RANDOM or (node.op_type == "Dropout" and len(node.input) > 2):
            raise InvalidInput(
                f"operator {node.op_type} draws at random, so that no two answers are the same: export the "
                "model in inference mode, after model.eval()"
            )


def _inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller gives; files before IR 4 list their weights among them, too."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if not inputs:
        raise InvalidInput("the graph has no input")
    return inputs


def _signature(inputs: list[onnx.ValueInfoProto]) -> tuple[FloatType, tuple[int, ...], int]:
    """The type, the shape of a row and the fixed batch size of the inputs together."""
    for value in inputs:
        _check_input(value)
    kinds = {_FLOATS[value.type.tensor_type.elem_type] for value in inputs}
    if len(kinds) > 1:
        raise InvalidInput(f"the inputs are of several types, {_shown(inputs)}: one type is needed")
    shapes = [_shape(value) for value in inputs]
    batch = max(shape[0] for shape in shapes)
    if len(inputs) == 1:
        return kinds.pop(), shapes[0][1:], batch
    if any(shape[1:] != (1,) for shape in shapes):
        raise InvalidInput(
            f"the graph has several inputs, {_shown(inputs)}: one matrix, or one column each, is needed"
        )
    return kinds.pop(), (len(inputs),), batch


def _check_input(value: onnx.ValueInfoProto) -> None:
    if value.type.WhichOneof("value") != "tensor_type":
        raise InvalidInput(f"input {quoted(value.name)} is no tensor")
    tensor = value.type.tensor_type
    if tensor.elem_type not in _FLOATS:
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise InvalidInput(
            f"input {quoted(value.name)} is of type {kind}: a model takes float or double; a scikit-learn "
            "pipeline with text columns goes through sigmax_training.publish"
        )
    if not tensor.HasField("shape") or len(tensor.shape.dim) not in _RANKS:
        rank = len(tensor.shape.dim) if tensor.HasField("shape") else "an unknown number of"
        raise InvalidInput(f"input {quoted(value.name)} has {rank} dimensions: rows have 2, pictures 4")


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Sizes, 0 where they are free."""
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else 0 for dim in value.type.tensor_type.shape.dim
    )


def _shown(values: list[onnx.ValueInfoProto]) -> str:
    return ", ".join(
        f"{quoted(value.name)} {TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()} "
        f"{['n' if size == 0 else size for size in _shape(value)]}"
        for value in values[:5]
    )


def _probabilities(graph: onnx.GraphProto) -> tuple[str, str, tuple[str, ...]]:
    """The output of the probabilities, the value behind it, and the classes that a ZipMap names."""
    made_by = producers(graph)
    for value in graph.output:
        node = made_by.get(value.name)
        if node is not None and node.op_type == "ZipMap":
            return value.name, node.input[0], _attribute_labels(node)
    tables = [value for value in graph.output if _is_table(value)]
    if not tables:
        kinds = ", ".join(quoted(value.name) for value in graph.output)
        raise InvalidInput(
            f"no output is a table of probabilities in float or double; the outputs are {kinds}"
        )
    named = [value for value in tables if "prob" in value.name.casefold()]
    if len(tables) > 1 and len(named) != 1 and all(len(_shape(value)) < 2 for value in tables):
        raise InvalidInput(
            "each class has an output of its own: export with one table, zipmap=False for skl2onnx"
        )
    chosen = (named or tables)[0].name
    return chosen, chosen, ()


def _is_table(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    known = value.type.WhichOneof("value") == "tensor_type" and tensor.elem_type in _FLOATS
    return known and (not tensor.HasField("shape") or len(tensor.shape.dim) in (1, 2))


def _label(graph: onnx.GraphProto) -> str:
    """The output that names the class: whole numbers or texts."""
    kinds = (TensorProto.INT64, TensorProto.INT32, TensorProto.STRING)
    found = [value.name for value in graph.output if value.type.tensor_type.elem_type in kinds]
    return found[0] if found else ""


def _known_classes(graph: onnx.GraphProto, label: str, source: str) -> tuple[str, ...]:
    """The classes that the nodes before the label, or before the probabilities, name."""
    made_by, seen, ahead = producers(graph), set(), [label, source]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    while ahead:
        name = ahead.pop(0)
        node = made_by.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        labels = _attribute_labels(node)
        if not labels and node.op_type == "ArrayFeatureExtractor" and node.input[0] in constants:
            labels = _texts(numpy_helper.to_array(constants[node.input[0]]).ravel().tolist())
        if labels:
            return labels
        ahead.extend(node.input)
    return ()


def _attribute_labels(node: onnx.NodeProto) -> tuple[str, ...]:
    for name in _LABEL_ATTRIBUTES:
        values = attribute(node, name)
        if values:
            return _texts(values)
    return ()


def _texts(values: Any) -> tuple[str, ...]:
    plain = [value.decode() if isinstance(value, bytes) else value for value in values]
    try:
        return canonical([value.item() if isinstance(value, np.generic) else value for value in plain])
    except InvalidInput:
        return ()


def _listed(text: str | None) -> tuple[str, ...]:
    """A JSON list of different texts, as this project writes into its files; empty if it is none."""
    try:
        values = json.loads(text or "[]")
    except ValueError:
        return ()
    known = isinstance(values, list) and all(isinstance(value, str) and value for value in values)
    return tuple(values) if known and len(set(values)) == len(values) else ()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
