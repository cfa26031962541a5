"""The OpenAPI description: for every model a typed request with its feature names, and one that works."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

from sigmax.contract import Feature, Kind, Task
from sigmax.inference import inputs
from sigmax.inference.catalog import Served
from sigmax.inference.inputs import Given
from sigmax.inference.open_inference import metadata
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.protocol.options import DEFAULT
from sigmax.protocol.tensors import DTYPES
from sigmax.rest.classifier import PICTURES
from sigmax.rest.jsons import read_images

MAX_EXAMPLE_BYTES = 20_000
"""A longer example (a picture as numbers) is told where to be found instead: a browser would choke on it."""

MAX_EXAMPLE_NUMBERS = 5_000
"""As many numbers as a longer example could hold."""

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
_FILE = {"type": "string", "format": "binary", "description": "One picture, as it is."}
_BASE64 = {"type": "string", "contentEncoding": "base64", "description": "A PNG or JPEG file in base64."}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


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
    body: dict[str, Any] = {"schema": _request(served, verb)}
    if len(served.example) <= MAX_EXAMPLE_BYTES:
        body["example"] = json.loads(served.example)
    content = {"application/json": body}
    if served.manifest.image is not None:
        content |= {media_type: {"schema": _FILE} for media_type in PICTURES}
    return {
        "tags": [served.name],
        "operationId": f"{served.name}_{verb}",
        "summary": summary,
        "description": f"A request that works: `GET /v1/models/{served.name}`, under `example`.",
        "requestBody": {"required": True, "content": content},
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
    content: dict[str, Any] = {
        "schema": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": inputs},
            },
        }
    }
    rows = _example_rows(served)
    if rows is not None:
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


def _example_rows(served: Served) -> npt.NDArray[Any] | None:
    """The example as a features matrix; None where a page could not show so many numbers."""
    if len(served.example) > MAX_EXAMPLE_BYTES or served.schema.width > MAX_EXAMPLE_NUMBERS:
        return None
    body = json.loads(served.example)
    images = read_images(body.get("images"), sys.maxsize)
    given = Given(body.get("rows"), body.get("columns"), images)
    return inputs.read(served, given, DEFAULT, sys.maxsize, MAX_PIXELS).features


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
    if served.manifest.image is not None:
        properties["images"] = {"type": "array", "minItems": 1, "items": _BASE64}
    filled = [name for name in ("rows", "columns", "images") if name in properties]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "oneOf": [{"required": [name]} for name in filled],
    }


def _options(served: Served, verb: str) -> dict[str, Any]:
    if verb == "probabilities":
        return _OPTIONS
    options = {"top_k": _TOP_K, **_OPTIONS}
    if served.manifest.task is not Task.MULTICLASS:
        options["threshold"] = {**_PROBABILITY, "description": "The probability that must be exceeded."}
    return options


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
    result = {"type": "object", "properties": {**row, "id": {}}}
    return _answer(results={"type": "array", "items": result})


def _probabilities_answer(served: Served) -> dict[str, Any]:
    width = len(served.manifest.classes)
    row = {"type": "array", "items": _PROBABILITY, "minItems": width, "maxItems": width}
    return _answer(
        classes={"type": "array", "items": {"type": "string"}},
        probabilities={"type": "array", "items": row},
        ids={"type": "array", "items": {}},
    )


def _answer(**properties: dict[str, Any]) -> dict[str, Any]:
    return _answer_of({"model": _TEXT, "version": _TEXT, **properties})


def _answer_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}
