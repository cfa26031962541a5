"""The canonical graph: Gemm -> [Relu -> Gemm]* -> Sigmoid | Softmax, written through skl2onnx.

The only importer of skl2onnx. Its stock graphs answer right but slowly and each in a shape of its own
(docs/decisions/0003-the-canonical-graph.md), so a converter of our own is registered with it for `Network`.
The same network, names and type give the same bytes: no version, no time, no path is written.
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

from sigmax.contract import INPUT, OUTPUT, FloatType, Head
from sigmax_training.network import Network

OPSET = 21
IR_VERSION = 10
BATCH = "n_samples"

_TYPES = {FloatType.FLOAT32: FloatTensorType, FloatType.FLOAT64: DoubleTensorType}
_ALIAS = "SigmaxNetwork"


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
    _pin(model)
    _describe(model, {"classes": list(classes), "features": list(features)})
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _parse(scope: Any, network: Network, inputs: list[Any], custom_parsers: Any = None) -> Any:  # noqa: ARG001 - skl2onnx's signature
    """Declare one operator with the one output, named as the contract names it."""
    operator = scope.declare_local_operator(_ALIAS, network)
    operator.inputs.extend(inputs)
    operator.outputs.append(scope.declare_local_variable(OUTPUT, type(inputs[0].type)()))
    return operator.outputs


def _output_shape(operator: Any) -> None:
    operator.outputs[0].type = type(operator.inputs[0].type)([None, operator.raw_operator.n_classes])


def _convert(scope: Any, operator: Any, container: Any) -> None:  # noqa: ARG001 - skl2onnx checks the names
    """Emit the nodes of one network, named by layer."""
    network: Network = operator.raw_operator
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    value, last = operator.inputs[0].full_name, len(network.weights) - 1
    for layer, (weights, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        names = [f"weights_{layer}", f"bias_{layer}"]
        for parameter, numbers in zip(names, (weights, bias), strict=True):
            _initializer(container, parameter, numbers, double=double)
        logits = f"logits_{layer}"
        container.add_node(
            "Gemm", [value, *names], [logits], name=f"gemm_{layer}", op_version=OPSET, transB=1
        )
        value = logits
        if layer < last:
            value = f"hidden_{layer}"
            container.add_node("Relu", [logits], [value], name=f"relu_{layer}", op_version=OPSET)
    _head(container, network.head, value, operator.outputs[0].full_name)


def _head(container: Any, head: Head, logits: str, output: str) -> None:
    if head is Head.SOFTMAX:
        container.add_node("Softmax", [logits], [output], name="softmax", op_version=OPSET, axis=1)
    else:
        container.add_node("Sigmoid", [logits], [output], name="sigmoid", op_version=OPSET)


def _initializer(container: Any, name: str, numbers: Any, *, double: bool) -> None:
    tensor = numpy_helper.from_array(np.ascontiguousarray(numbers, "<f8" if double else "<f4"), name)
    container.add_initializer(name, tensor.data_type, numbers.shape, tensor)


def _pin(model: onnx.ModelProto) -> None:
    """Fix what skl2onnx leaves to its own version: opset, IR, producer, the name of the batch axis."""
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    model.producer_name = "sigmax"
    for field in ("producer_version", "domain", "model_version", "doc_string"):
        model.ClearField(field)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH


def _describe(model: onnx.ModelProto, document: dict[str, list[str]]) -> None:
    """Write names into the file itself, one compact JSON list a key."""
    del model.metadata_props[:]
    for key in sorted(document):
        text = json.dumps(document[key], ensure_ascii=False, separators=(",", ":"))
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=text))
