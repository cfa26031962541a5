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
from sigmax.contract import INPUT, LOGITS, MODEL_FILE, OUTPUT, Manifest, Task
from sigmax.errors import InvalidInput, nearest, path, quoted
from sigmax.inference import classification
from sigmax.inference.catalog import Served
from sigmax.inference.decision import Rule
from sigmax.inference.dispatch import Prediction
from sigmax.inference.results import rule_for
from sigmax.protocol.options import DEFAULT, Options, without_logits
from sigmax.protocol.parameters import Wanted
from sigmax.protocol.schema import CATEGORIES, Schema
from sigmax.protocol.tensors import NAMES, to_bytes

EXTENSIONS = (
    "classification",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "schedule_policy",
    "statistics",
)
"""What is there in every service, named as Triton names it. Of the schedule policy `timeout` acts; each model
has one level of `priority`."""

PLATFORM = "onnx_onnxv1"

LABEL, LABELS, UNSURE = "label", "labels", "unsure"


class Output(NamedTuple):
    """One output tensor.

    Attributes:
        values: an array of numbers or booleans, or a list of texts for BYTES.
        repeated: whether texts are few different ones.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | list[str]
    repeated: bool = True

    def to_bytes(self) -> bytes:
        """The values as they lie in raw contents and binary tensors."""
        return to_bytes(self.values, repeated=self.repeated)


def server(extensions: Iterable[str] = ()) -> dict[str, Any]:
    """The server's metadata, as `GET /v2` and `ServerMetadata` answer.

    Args:
        extensions: those that are enabled beside the ones that always are.
    """
    return {"name": "sigmax", "version": __version__, "extensions": [*EXTENSIONS, *extensions]}


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
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": PLATFORM,
        "inputs": inputs(served.schema),
        "outputs": [
            promised(manifest, datatype, name) for name in output_names(manifest, served.predictor.rule)
        ],
        "properties": _properties(served),
    }


def _properties(served: Served) -> dict[str, str]:
    """What the protocol has no field for, as texts; whatever is not a single one is JSON."""
    manifest = served.manifest
    decision = manifest.decision
    shapes = {feature.name: feature.shape for feature in manifest.features if feature.shape}
    colours = {one.name: one.image.colour.value for one in manifest.features if one.image is not None}
    found: dict[str, Any] = {
        "task": manifest.task.value,
        "classes": manifest.classes,
        "thresholds": dict(decision.thresholds),
        **_columns(served.schema),
    }
    if decision.positive is not None:
        found["positive"] = decision.positive
    if decision.band:
        found["band"] = dict(decision.band)
    if shapes:
        found["shapes"] = shapes
    if colours:
        found["colours"] = colours
    if MODEL_FILE in manifest.files:
        found["digest"] = f"sha256:{manifest.files[MODEL_FILE].sha256}"
    found["fingerprint"] = manifest.fingerprint
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
    }


def inputs(schema: Schema) -> list[dict[str, Any]]:
    """The input tensors of a model: its numbers, and its categories as texts."""
    found = []
    if schema.numeric is not None:
        found.append({"name": INPUT, "datatype": NAMES[schema.dtype], "shape": [-1, schema.numeric.width]})
    if schema.categories:
        found.append({"name": CATEGORIES, "datatype": "BYTES", "shape": [-1, len(schema.categories)]})
    return found


def _columns(schema: Schema) -> dict[str, list[str]]:
    """By input, the features that it holds, in the order of its columns; an image is one of them."""
    found = {}
    if schema.numeric is not None:
        found[INPUT] = list(schema.numeric.names)
    if schema.categories:
        found[CATEGORIES] = [schema.feature(column).name for column in schema.categories]
    return found


def promised(manifest: Manifest, datatype: str, name: str) -> dict[str, Any]:
    """The metadata of one output."""
    width = len(manifest.classes)
    if name in (OUTPUT, LOGITS):
        return {"name": name, "datatype": datatype, "shape": [-1, width]}
    shape = [-1, width] if manifest.task is Task.MULTILABEL else [-1]
    return {"name": name, "datatype": "BYTES" if name == LABEL else "BOOL", "shape": shape}


def outputs(prediction: Prediction, requested: Sequence[Wanted], options: Options = DEFAULT) -> list[Output]:
    """The output tensors of a prediction, in the order in which they were requested; all, if none was.

    Args:
        prediction: with logits, where they are among the outputs.
        requested: outputs, none of them twice.
        options: the caller's threshold and band, where they came.

    Raises:
        InvalidInput: an output that there is not, or one twice; a threshold or a band that the model cannot
            have; classes of an output that has none.
    """
    manifest, rule = prediction.served.manifest, rule_for(prediction.served, options)
    known = output_names(manifest, rule)
    if not requested:
        return [_output(prediction, rule, name) for name in known]
    names = [wanted.name for wanted in requested]
    if len(set(names)) < len(names):
        text = f"an output is requested twice: {[name[:60] for name in names[:20]]}"
        raise InvalidInput(text, "outputs")
    for name in names:
        if name not in known:
            raise _unknown(manifest, name, known)
    return [
        _output(prediction, rule, wanted.name)
        if wanted.classes is None
        else _classes(prediction, rule, wanted.name, wanted.classes)
        for wanted in requested
    ]


def _classes(prediction: Prediction, rule: Rule, name: str, count: int) -> Output:
    """The most probable classes that an output tells of."""
    if name not in (OUTPUT, LOGITS):
        raise InvalidInput(
            f"output {quoted(name)}: parameter 'classification' is for outputs that have a number for "
            f"each class: '{OUTPUT}', and '{LOGITS}' where a model gives them",
            path("outputs", name, "parameters", "classification"),
        )
    labels, rows = prediction.served.manifest.classes, len(prediction.probabilities)
    shown = min(count, len(labels))
    classification.check_count(rows, shown)
    scores = np.asarray(_output(prediction, rule, name).values)
    texts = classification.classified(scores, labels, shown)
    return Output(name, "BYTES", (rows, shown), texts, repeated=False)


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
