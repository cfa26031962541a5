"""The canonical graph: Gemm -> [activation -> Gemm]* -> head, written through skl2onnx.

Imputing and category tables stand before the first Gemm, for models that have them.

Beside `convert` the only importer of skl2onnx. Its stock graphs answer right but slowly, each in a shape of
its own (docs/decisions/0003-the-canonical-graph.md), so a converter of our own is registered with it for
`Network`. The same network, names and type give the same bytes: no version, no time, no path is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

from sigmax.contract import INPUT, LOGITS, OUTPUT, FloatType, Head
from sigmax_training.data.dataset import F64
from sigmax_training.network import Inputs, Network

OPSET = 21
IR_VERSION = 10
BATCH = "n_samples"

_TYPES = {FloatType.FLOAT32: FloatTensorType, FloatType.FLOAT64: DoubleTensorType}
_ALIAS = "SigmaxNetwork"
_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid"}


def export(
    network: Network, name: str, dtype: FloatType, classes: Sequence[str], features: Sequence[str]
) -> bytes:
    """Write a network as an ONNX file.

    Args:
        network: float64 layers; they are rounded once, here, to `dtype`.
        name: of the model.
        dtype: of the input, the parameters and the output.
        classes: labels in column order, for whoever has nothing but the file.
        features: names of the feature blocks.

    Returns:
        The serialised model, checked by onnx's full checker.
    """
    update_registered_converter(Network, _ALIAS, _output_shape, _convert, parser=_parse)
    kind = _TYPES[dtype]
    model = convert_sklearn(
        network, name, [(INPUT, kind([None, network.n_features]))], target_opset={"": OPSET}
    )
    pin(model)
    describe(model, {"classes": list(classes), "features": list(features)})
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def outputs(network: Network) -> tuple[str, ...]:
    """What the graph answers with."""
    return (OUTPUT, LOGITS) if network.logits else (OUTPUT,)


def _parse(scope: Any, network: Network, inputs: list[Any], custom_parsers: Any = None) -> Any:  # noqa: ARG001 - skl2onnx's signature
    """Declare one operator with its outputs, named as the contract names them."""
    operator = scope.declare_local_operator(_ALIAS, network)
    operator.inputs.extend(inputs)
    for name in outputs(network):
        operator.outputs.append(scope.declare_local_variable(name, type(inputs[0].type)()))
    return operator.outputs


def _output_shape(operator: Any) -> None:
    for output in operator.outputs:
        output.type = type(operator.inputs[0].type)([None, operator.raw_operator.n_classes])


def _convert(scope: Any, operator: Any, container: Any) -> None:  # noqa: ARG001 - skl2onnx checks the names
    """Emit the nodes of one network, named by layer."""
    network: Network = operator.raw_operator
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    nodes = _Nodes(container, double=double)
    value = _first_layer(nodes, network, operator.inputs[0].full_name)
    for layer in range(1, len(network.weights)):
        if network.activation != "identity":
            operation = _ACTIVATIONS[network.activation]
            value = nodes.add(operation, [value], f"hidden_{layer - 1}")
        value = nodes.gemm(value, network.weights[layer], network.biases[layer], layer)
    names = [output.full_name for output in operator.outputs]
    _head(nodes, network.head, value, names[0])
    for name in names[1:]:
        nodes.add("Identity", [value], name)


class _Nodes:
    """Adds nodes and parameters to skl2onnx's container, all of one type."""

    def __init__(self, container: Any, *, double: bool) -> None:
        self._container = container
        self._type = "<f8" if double else "<f4"

    def add(self, operation: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node of one output, which names it, too."""
        name = f"{operation.lower()}_{output}"
        self._container.add_node(operation, list(inputs), [output], name=name, op_version=OPSET, **attributes)
        return output

    def parameter(self, name: str, numbers: Any) -> str:
        """Numbers in the graph's type."""
        return self._tensor(name, np.ascontiguousarray(numbers, self._type))

    def positions(self, name: str, numbers: Any) -> str:
        """Whole numbers: columns, codes, axes."""
        return self._tensor(name, np.ascontiguousarray(numbers, "<i8"))

    def gemm(self, value: str, weights: F64, bias: F64, layer: int, output: str = "") -> str:
        """One dense layer."""
        names = [self.parameter(f"weights_{layer}", weights), self.parameter(f"bias_{layer}", bias)]
        return self.add("Gemm", [value, *names], output or f"logits_{layer}", transB=1)

    def _tensor(self, name: str, numbers: Any) -> str:
        tensor = numpy_helper.from_array(numbers, name)
        self._container.add_initializer(name, tensor.data_type, numbers.shape, tensor)
        return name


def _first_layer(nodes: _Nodes, network: Network, features: str) -> str:
    """The layer that sees the features matrix: numbers by a Gemm, each category by a row of its table."""
    inputs, weights, bias = network.inputs, network.weights[0], network.biases[0]
    if inputs.whole:
        return nodes.gemm(features, weights, bias, 0)
    count = len(inputs.numbers)
    dense = _dense(nodes, inputs, weights[:, :count], bias, features) if count else ""
    if not inputs.categories:
        return dense
    offsets = np.cumsum((0, *inputs.sizes[:-1]))
    codes = nodes.add(
        "Gather", [features, nodes.positions("category_columns", inputs.categories)], "codes", axis=1
    )
    codes = nodes.add("Cast", [codes], "whole_codes", to=onnx.TensorProto.INT64)
    places = nodes.add("Add", [codes, nodes.positions("table_offsets", offsets)], "places")
    rows = nodes.add("Gather", [nodes.parameter("table", weights[:, count:].T), places], "table_rows", axis=0)
    added = nodes.add("ReduceSum", [rows, nodes.positions("table_axis", [1])], "categories", keepdims=0)
    return nodes.add("Add", [added, dense or nodes.parameter("bias_0", bias)], "logits_0")


def _dense(nodes: _Nodes, inputs: Inputs, weights: F64, bias: F64, features: str) -> str:
    """The numbers among the features, imputed where they may be missing."""
    value = features
    if inputs.numbers != tuple(range(inputs.width)):
        value = nodes.add(
            "Gather", [value, nodes.positions("number_columns", inputs.numbers)], "numbers", axis=1
        )
    if inputs.imputed.size:
        missing = nodes.add("IsNaN", [value], "missing")
        value = nodes.add(
            "Where", [missing, nodes.parameter("fill", inputs.fill[np.newaxis]), value], "filled"
        )
    return nodes.gemm(value, weights, bias, 0, "dense_0" if inputs.categories else "")


def _head(nodes: _Nodes, head: Head, logits: str, output: str) -> None:
    if head is Head.SIGMOID:
        nodes.add("Sigmoid", [logits], output)
        return
    if head is Head.ONE_VS_REST:
        logits = _log_sigmoid(nodes, logits)
    nodes.add("Softmax", [logits], output, axis=1)


def _log_sigmoid(nodes: _Nodes, logits: str) -> str:
    """Log of sigmoid(z): min(z, 0) - log(1 + exp(-|z|)); ONNX Runtime has no Softplus for float64."""
    size = nodes.add("Neg", [nodes.add("Abs", [logits], "size")], "shrunk")
    odds = nodes.add("Add", [nodes.add("Exp", [size], "odds"), nodes.parameter("one", [1.0])], "one_more")
    negative = nodes.add("Min", [logits, nodes.parameter("zero", [0.0])], "negative")
    return nodes.add("Sub", [negative, nodes.add("Log", [odds], "correction")], "log_sigmoid")


def pin(model: onnx.ModelProto) -> None:
    """Fix what skl2onnx leaves to its own version: opset, IR, producer, the name of the batch axis."""
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    model.producer_name = "sigmax"
    for field in ("producer_version", "domain", "model_version", "doc_string"):
        model.ClearField(field)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH


def describe(model: onnx.ModelProto, document: dict[str, list[str]]) -> None:
    """Write names into the file itself, one compact JSON list a key."""
    del model.metadata_props[:]
    for key in sorted(document):
        text = json.dumps(document[key], ensure_ascii=False, separators=(",", ":"))
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=text))
