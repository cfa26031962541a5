"""The Open Inference Protocol's view of a model: metadata, and outputs as named tensors.

Both doors of the protocol take it from here, so that they cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

from sigmax import __version__
from sigmax.contract import INPUT, OUTPUT, Task
from sigmax.errors import InvalidInput, nearest, quoted
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.protocol.schema import CATEGORIES, Schema
from sigmax.protocol.tensors import NAMES

SERVER = {"name": "sigmax", "version": __version__, "extensions": ["binary_tensor_data"]}
PLATFORM = "onnx_onnxv1"


class Output(NamedTuple):
    """One output tensor; `values` is an array of numbers or booleans, or a list of labels for BYTES."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | list[str]


def output_names(task: Task) -> tuple[str, str]:
    """What every model answers with."""
    return (OUTPUT, "labels" if task is Task.MULTILABEL else "label")


def metadata(served: Served) -> dict[str, Any]:
    """A model's metadata, as `GET /v2/models/{m}` and `ModelMetadata` answer."""
    manifest = served.manifest
    datatype, width = NAMES[served.predictor.dtype], len(manifest.classes)
    probabilities, label = output_names(manifest.task)
    multilabel = manifest.task is Task.MULTILABEL
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": PLATFORM,
        "inputs": inputs(served.schema),
        "outputs": [
            {"name": probabilities, "datatype": datatype, "shape": [-1, width]},
            {"name": label, "datatype": "BOOL", "shape": [-1, width]}
            if multilabel
            else {"name": label, "datatype": "BYTES", "shape": [-1]},
        ],
        "properties": {
            "classes": json.dumps(manifest.classes, ensure_ascii=False),
            "thresholds": json.dumps(dict(manifest.decision.thresholds), ensure_ascii=False),
            "fingerprint": manifest.fingerprint,
            **_columns(served.schema),
        },
    }


def inputs(schema: Schema) -> list[dict[str, Any]]:
    """The input tensors of a model: its numbers, and its categories as texts."""
    found = []
    if schema.numeric is not None:
        found.append({"name": INPUT, "datatype": NAMES[schema.dtype], "shape": [-1, schema.numeric.width]})
    if schema.categories:
        found.append({"name": CATEGORIES, "datatype": "BYTES", "shape": [-1, len(schema.categories)]})
    return found


def _columns(schema: Schema) -> dict[str, str]:
    """Of a model with categories: which features each input holds, in the order of its columns."""
    if not schema.categories:
        return {}
    inner = {CATEGORIES: [schema.feature(column).name for column in schema.categories]}
    if schema.numeric is not None:
        inner[INPUT] = list(schema.numeric.names)
    return {name: json.dumps(names, ensure_ascii=False) for name, names in inner.items()}


def outputs(prediction: Prediction, requested: Sequence[str]) -> list[Output]:
    """The output tensors of a prediction, in the order in which they were requested; all, if none was.

    Raises:
        InvalidInput: an output that the model does not have, or one twice.
    """
    task = prediction.served.manifest.task
    known = output_names(task)
    if not requested:
        return [_output(prediction, name) for name in known]
    if len(set(requested)) < len(requested):
        raise InvalidInput(f"an output is requested twice: {[name[:60] for name in requested[:20]]}")
    for name in requested:
        if name not in known:
            raise InvalidInput(
                f"unknown output {quoted(name)}{nearest(name, known)}; this model has {', '.join(known)}"
            )
    return [_output(prediction, name) for name in requested]


def _output(prediction: Prediction, name: str) -> Output:
    probabilities, predictor = prediction.probabilities, prediction.served.predictor
    if name == OUTPUT:
        return Output(name, NAMES[predictor.dtype], probabilities.shape, probabilities)
    chosen = predictor.rule.choose(probabilities)
    if chosen.ndim == 2:
        return Output(name, "BOOL", chosen.shape, chosen)
    classes = predictor.manifest.classes
    return Output(name, "BYTES", chosen.shape, [classes[column] for column in chosen.tolist()])
