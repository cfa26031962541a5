"""The Open Inference Protocol's view of a model: metadata, and outputs as named tensors.

Both doors of the protocol take it from here, so that they cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sigmax import __version__
from sigmax.contract import INPUT, LOGITS, OUTPUT, Manifest, Task
from sigmax.errors import InvalidInput, nearest, path, quoted
from sigmax.inference.catalog import Served
from sigmax.inference.decision import Rule
from sigmax.inference.dispatch import Prediction
from sigmax.inference.results import rule_for
from sigmax.protocol.options import DEFAULT, Options, without_logits
from sigmax.protocol.schema import CATEGORIES, Schema
from sigmax.protocol.tensors import NAMES

EXTENSIONS = ("binary_tensor_data", "statistics")
"""Those that are always there."""

PLATFORM = "onnx_onnxv1"

LABEL, LABELS, UNSURE = "label", "labels", "unsure"


def server(extensions: Iterable[str] = ()) -> dict[str, Any]:
    """The server's metadata; `extensions` are those that it was told to offer."""
    return {"name": "sigmax", "version": __version__, "extensions": [*EXTENSIONS, *extensions]}


class Output(NamedTuple):
    """One output tensor; `values` is an array of numbers or booleans, or a list of labels for BYTES."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | list[str]


def output_names(manifest: Manifest, rule: Rule) -> tuple[str, ...]:
    """What a model answers with when it decides by a rule: `unsure` only where that has a band."""
    label = LABELS if manifest.task is Task.MULTILABEL else LABEL
    unsure = (UNSURE,) if rule.banded else ()
    logits = (LOGITS,) if LOGITS in manifest.graph.outputs else ()
    return (OUTPUT, label, *unsure, *logits)


def wants_logits(manifest: Manifest, requested: Sequence[str]) -> bool:
    """Whether a request for some outputs, or for all, is one for the logits of a model that gives them."""
    return LOGITS in manifest.graph.outputs and (not requested or LOGITS in requested)


def metadata(served: Served) -> dict[str, Any]:
    """A model's metadata, as `GET /v2/models/{m}` and `ModelMetadata` answer."""
    manifest = served.manifest
    datatype = NAMES[served.predictor.dtype]
    properties = {
        "classes": json.dumps(manifest.classes, ensure_ascii=False),
        "thresholds": json.dumps(dict(manifest.decision.thresholds), ensure_ascii=False),
        "fingerprint": manifest.fingerprint,
    }
    if manifest.decision.band:
        properties["band"] = json.dumps(dict(manifest.decision.band), ensure_ascii=False)
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": PLATFORM,
        "inputs": inputs(served.schema),
        "outputs": [
            _promised(manifest, datatype, name) for name in output_names(manifest, served.predictor.rule)
        ],
        "properties": {**properties, **_columns(served.schema)},
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


def _promised(manifest: Manifest, datatype: str, name: str) -> dict[str, Any]:
    """The metadata of one output."""
    width = len(manifest.classes)
    if name in (OUTPUT, LOGITS):
        return {"name": name, "datatype": datatype, "shape": [-1, width]}
    shape = [-1, width] if manifest.task is Task.MULTILABEL else [-1]
    return {"name": name, "datatype": "BYTES" if name == LABEL else "BOOL", "shape": shape}


def outputs(prediction: Prediction, requested: Sequence[str], options: Options = DEFAULT) -> list[Output]:
    """The output tensors of a prediction, in the order in which they were requested; all, if none was.

    Args:
        prediction: with logits, where they are among the outputs.
        requested: names of outputs, none of them twice.
        options: the caller's threshold and band, where they came.

    Raises:
        InvalidInput: an output that there is not, or one twice; a threshold or a band that the model cannot
            have.
    """
    manifest, rule = prediction.served.manifest, rule_for(prediction.served, options)
    known = output_names(manifest, rule)
    if not requested:
        return [_output(prediction, rule, name) for name in known]
    if len(set(requested)) < len(requested):
        text = f"an output is requested twice: {[name[:60] for name in requested[:20]]}"
        raise InvalidInput(text, "outputs")
    for name in requested:
        if name not in known:
            raise _unknown(manifest, name, known)
    return [_output(prediction, rule, name) for name in requested]


def _unknown(manifest: Manifest, name: str, known: Sequence[str]) -> InvalidInput:
    text = f"unknown output {quoted(name)}{nearest(name, known)}; this model has {', '.join(known)}"
    if name == LOGITS:
        text = f"output 'logits': {without_logits(manifest)}"
    elif name == UNSURE and manifest.task is not Task.MULTICLASS:
        text = "output 'unsure': no band applies; parameters 'band_low' and 'band_high' give one"
    return InvalidInput(text, path("outputs", name))


def _output(prediction: Prediction, rule: Rule, name: str) -> Output:
    probabilities, predictor = prediction.probabilities, prediction.served.predictor
    values: npt.NDArray[Any] = probabilities
    if name == LOGITS:
        if prediction.logits is None:
            raise ValueError("the logits of this prediction were not computed")
        values = prediction.logits
    if name in (OUTPUT, LOGITS):
        return Output(name, NAMES[predictor.dtype], values.shape, values)
    flags = rule.unsure(probabilities) if name == UNSURE else rule.choose(probabilities)
    if flags.dtype == np.bool_:
        return Output(name, "BOOL", flags.shape, flags)
    classes = predictor.manifest.classes
    return Output(name, "BYTES", flags.shape, [classes[column] for column in flags.tolist()])
