"""The OpenAPI description: for every model a typed request with its feature names, and one that works."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sigmax.contract import LOGITS, Feature, Kind, Manifest, Task
from sigmax.inference.catalog import Served
from sigmax.inference.open_inference import metadata
from sigmax.protocol.options import INCLUDE, PARAMETERS
from sigmax.protocol.tabular import from_rows
from sigmax.protocol.tensors import DTYPES

MAX_EXAMPLE_BYTES = 20_000
"""A longer example (a picture as numbers) is told where to be found instead: a browser would choke on it."""

_ERROR = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {"error": {"type": "string"}, "code": {"type": "string"}},
}
_OPTIONS = {
    "id": {"type": "string", "description": "The name of a column that comes back with each row."},
    "extra": {
        "type": "string",
        "enum": ["reject", "ignore"],
        "default": "reject",
        "description": "What to do with columns that the model does not know.",
    },
}
_TOP_K = {"type": "integer", "minimum": 1, "description": "How many of the most probable classes to name."}
_TEXT = {"type": "string"}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_BAND = {"type": "array", "items": _PROBABILITY, "minItems": 2, "maxItems": 2}
_THRESHOLD = "The probability that must be exceeded, instead of the model's own."
_UNSURE = "[low, high] around the threshold: unsure where low < probability <= high."
_INCLUDE = {
    "type": "array",
    "items": {"type": "string", "enum": list(INCLUDE)},
    "description": "What else to answer.",
}


def paths(models: Iterable[Served]) -> dict[str, Any]:
    """The prediction paths of every model that answers."""
    described: dict[str, Any] = {}
    for served in models:
        for verb, summary, answer in (
            ("classes", "the class of every row", _classes_answer(served)),
            ("probabilities", "the probability of every class, for every row", _probabilities_answer(served)),
        ):
            operation = _operation(served, verb, f"{served.name}: {summary}", answer)
            described[f"/v1/models/{served.name}:{verb}"] = {"post": operation}
        described[f"/v2/models/{served.name}/infer"] = {"post": _infer(served)}
    return described


def without_422(document: dict[str, Any]) -> dict[str, Any]:
    """Take out the framework's own validation error, which no address here answers with."""
    for path in document["paths"].values():
        for operation in path.values():
            if operation["responses"].pop("422", None) is not None:
                operation["responses"]["4XX"] = {"description": "What is wrong.", "content": _json(_ERROR)}
    for name in ("HTTPValidationError", "ValidationError"):
        document.get("components", {}).get("schemas", {}).pop(name, None)
    return document


def _operation(served: Served, verb: str, summary: str, answer: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _request(served, verb)}
    if len(served.example) <= MAX_EXAMPLE_BYTES:
        content["example"] = json.loads(served.example)
    return {
        "tags": [served.name],
        "operationId": f"{served.name}_{verb}",
        "summary": summary,
        "description": f"A request that works: `GET /v1/models/{served.name}`, under `example`.",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": _responses(answer),
    }


def _infer(served: Served) -> dict[str, Any]:
    """The Open Inference Protocol's request for one model."""
    tensor = metadata(served)["inputs"][0]
    inputs = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": tensor["name"]},
            "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
            "datatype": {"type": "string", "enum": [name for name in DTYPES if name != "FP16"]},
            "data": {"type": "array", "description": "The rows, flat or nested."},
        },
    }
    properties: dict[str, Any] = {
        "id": {"type": "string"},
        "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": inputs},
    }
    if served.manifest.task is not Task.MULTICLASS:
        numbers = dict.fromkeys(PARAMETERS, _PROBABILITY)
        properties["parameters"] = {"type": "object", "properties": numbers}
    content: dict[str, Any] = {"schema": {"type": "object", "required": ["inputs"], "properties": properties}}
    if len(served.example) <= MAX_EXAMPLE_BYTES:
        rows = from_rows(served.schema, json.loads(served.example)["rows"]).features
        example = {**tensor, "shape": list(rows.shape), "data": rows.ravel().tolist()}
        content["example"] = {"inputs": [example]}
    answer = _answer_of({"model_name": _TEXT, "model_version": _TEXT, "outputs": {"type": "array"}})
    return {
        "tags": ["Open Inference Protocol v2"],
        "operationId": f"{served.name}_infer",
        "summary": f"{served.name}: probabilities and label of every row",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": _responses(answer),
    }


def _responses(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "200": {"description": "One answer a row, in order.", "content": _json(answer)},
        "4XX": {"description": "What is wrong, and where.", "content": _json(_ERROR)},
        "5XX": {"description": "Not the caller's fault.", "content": _json(_ERROR)},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _request(served: Served, verb: str) -> dict[str, Any]:
    features = served.manifest.features
    named = {
        "type": "object",
        "required": [feature.name for feature in features],
        "properties": {feature.name: _value(feature) for feature in features},
    }
    width = served.schema.width
    ordered = {"type": "array", "items": {"type": "number"}, "minItems": width, "maxItems": width}
    columns = {
        "type": "object",
        "required": [feature.name for feature in features],
        "properties": {feature.name: {"type": "array", "items": _value(feature)} for feature in features},
    }
    properties = {
        "rows": {"type": "array", "minItems": 1, "items": {"anyOf": [named, ordered]}},
        "columns": columns,
        "options": {"type": "object", "additionalProperties": False, "properties": _options(served, verb)},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "oneOf": [{"required": ["rows"]}, {"required": ["columns"]}],
    }


def _options(served: Served, verb: str) -> dict[str, Any]:
    manifest = served.manifest
    options = dict(_OPTIONS)
    if LOGITS in manifest.graph.outputs:
        options["include"] = _INCLUDE
    if verb == "probabilities":
        return options
    options["top_k"] = _TOP_K
    if manifest.task is not Task.MULTICLASS:
        options["threshold"] = _by_label(manifest, _PROBABILITY) | {"description": _THRESHOLD}
        options["band"] = _by_label(manifest, _BAND) | {"description": _UNSURE}
    return options


def _by_label(manifest: Manifest, value: dict[str, Any]) -> dict[str, Any]:
    """One value or, of a multilabel model, also an object of them by label."""
    if manifest.task is not Task.MULTILABEL:
        return value
    each = {
        "type": "object",
        "additionalProperties": False,
        "properties": dict.fromkeys(manifest.classes, value),
    }
    return {"anyOf": [value, each]}


def _value(feature: Feature) -> dict[str, Any]:
    low, high = feature.range
    if feature.kind is Kind.IMAGE:
        return {
            "type": "array",
            "items": {"type": "number"},
            "description": f"{feature.size} numbers, flat or nested as {list(feature.shape)}.",
        }
    return {"type": "number", "description": f"From {low:g} to {high:g} in the training data."}


def _classes_answer(served: Served) -> dict[str, Any]:
    label = {"type": "string", "enum": list(served.manifest.classes)}
    by_label = {"type": "object", "additionalProperties": _PROBABILITY}
    if served.manifest.task is Task.MULTILABEL:
        row: dict[str, Any] = {"labels": {"type": "array", "items": label}, "probabilities": by_label}
    else:
        row = {"label": label, "probability": _PROBABILITY, "probabilities": by_label}
    if served.manifest.task is not Task.MULTICLASS:
        row["unsure"] = {"type": "boolean", "description": "Whether nobody should rely on it."}
    if served.manifest.task is Task.MULTILABEL:
        row["unsure_labels"] = {"type": "array", "items": label}
    if LOGITS in served.manifest.graph.outputs:
        row["logits"] = {"type": "object", "additionalProperties": {"type": "number"}}
    result = {"type": "object", "properties": {**row, "id": {}}}
    return _answer(results={"type": "array", "items": result})


def _probabilities_answer(served: Served) -> dict[str, Any]:
    width = len(served.manifest.classes)
    row = {"type": "array", "items": _PROBABILITY, "minItems": width, "maxItems": width}
    answer = {
        "classes": {"type": "array", "items": {"type": "string"}},
        "probabilities": {"type": "array", "items": row},
        "ids": {"type": "array", "items": {}},
    }
    if LOGITS in served.manifest.graph.outputs:
        answer["logits"] = {"type": "array", "items": {**row, "items": {"type": "number"}}}
    return _answer(**answer)


def _answer(**properties: dict[str, Any]) -> dict[str, Any]:
    return _answer_of({"model": _TEXT, "version": _TEXT, **properties})


def _answer_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}
