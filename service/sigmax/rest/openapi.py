"""The OpenAPI description: for every model a typed request with its feature names, and one that works."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy.typing as npt

from sigmax.contract import LOGITS, Feature, Kind, Manifest, Missing, Task, Unknown
from sigmax.inference import inputs, open_inference
from sigmax.inference.catalog import Served
from sigmax.inference.inputs import Given
from sigmax.protocol import elements
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.protocol.options import DEFAULT, INCLUDE, PARAMETERS
from sigmax.protocol.schema import CATEGORIES
from sigmax.protocol.tensors import DTYPES, RAW_ONLY
from sigmax.rest.classifier import PICTURES
from sigmax.rest.jsons import read_images

MAX_EXAMPLE_BYTES = 20_000
"""A longer example (a picture as numbers) is told where to be found instead: a browser would choke on it."""

MAX_ENUM = 200
"""A longer vocabulary is found in the model's description."""

MAX_SHOWN = 5

_JSON_TYPES = {"string": "string", "int64": "integer", "bool": "boolean"}
_READ: dict[str, Callable[[str], Any]] = {"string": str, "int64": int, "bool": "true".__eq__}
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
_BAND = {"type": "array", "items": _PROBABILITY, "minItems": 2, "maxItems": 2}
_THRESHOLD = "The probability that must be exceeded, instead of the model's own."
_UNSURE = "[low, high] around the threshold: unsure where low < probability <= high."
_PARAMETERS = {
    "timeout": {
        "type": "integer",
        "minimum": 0,
        "description": "Microseconds after which the answer is of no use; 0 is never.",
    },
    "binary_data_output": {
        "type": "boolean",
        "default": False,
        "description": "Whether outputs come as bytes behind the JSON.",
    },
}
_OUTPUT = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "parameters": {
            "type": "object",
            "properties": {
                "binary_data": {"type": "boolean", "description": "Whether this one comes as bytes."},
                "classification": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "In its place so many of the most probable classes, value:column:label.",
                },
            },
        },
    },
}
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
    tensors = open_inference.inputs(served.schema)
    described = [_input(served, tensor["name"]) for tensor in tensors]
    count = len(tensors)
    properties: dict[str, Any] = {
        "id": {"type": "string"},
        "inputs": {
            "type": "array",
            "minItems": count,
            "maxItems": count,
            "items": {"anyOf": described} if count > 1 else described[0],
        },
    }
    numbers = {} if served.manifest.task is Task.MULTICLASS else dict.fromkeys(PARAMETERS, _PROBABILITY)
    properties["parameters"] = {"type": "object", "properties": {**numbers, **_PARAMETERS}}
    properties["outputs"] = {"type": "array", "items": _OUTPUT}
    content: dict[str, Any] = {"schema": {"type": "object", "required": ["inputs"], "properties": properties}}
    rows = _example_rows(served)
    if rows is not None:
        content["example"] = {"inputs": [_filled(served, tensor, rows) for tensor in tensors]}
    answer = _answer_of({"model_name": _TEXT, "model_version": _TEXT, "outputs": {"type": "array"}})
    return {
        "tags": ["Open Inference Protocol v2"],
        "operationId": f"{served.name}_infer",
        "summary": f"{served.name}: probabilities and label of every row",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": _responses(answer),
    }


def _input(served: Served, name: str) -> dict[str, Any]:
    """One of its inputs."""
    datatypes = [name for name in DTYPES if name not in RAW_ONLY]
    described = ["The rows, flat or nested."]
    if name == CATEGORIES:
        datatypes = list(elements.datatypes(served.schema))
        described.append("An empty text is a missing value.")
    elif served.schema.optional is not None:
        described.append("null is a missing value, in FP32 and FP64.")
    if served.schema.categories:
        described.append(f"`GET /v2/models/{served.name}` names the columns, under `properties`.")
    return {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": name},
            "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
            "datatype": {"type": "string", "enum": datatypes},
            "data": {"type": "array", "description": " ".join(described)},
        },
    }


def _filled(served: Served, tensor: dict[str, Any], rows: npt.NDArray[Any]) -> dict[str, Any]:
    """An input tensor with the values of example rows, (n_samples, n_features)."""
    schema = served.schema
    values: list[Any]
    if tensor["name"] == CATEGORIES:
        values = [
            _text(schema.feature(column), int(row[column])) for row in rows for column in schema.categories
        ]
    else:
        numbers = rows[:, schema.numbers] if schema.categories else rows
        values = [None if math.isnan(value) else value for value in numbers.ravel().tolist()]
    return {**tensor, "shape": [len(rows), tensor["shape"][1]], "data": values}


def _text(feature: Feature, code: int) -> str:
    """The category behind a code; an empty text is a missing value."""
    vocabulary = feature.vocabulary or ()
    return vocabulary[code] if code < len(vocabulary) else ""


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
    ordered: dict[str, Any] = {"type": "array", "minItems": width, "maxItems": width}
    if served.schema.plain:
        ordered["items"] = {"type": "number"}
    elif served.schema.scalar:
        ordered["prefixItems"] = [_value(feature) for feature in features]
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
    if feature.kind is Kind.CATEGORY:
        value = _category(feature)
    elif feature.kind is Kind.BOOLEAN:
        value = {"type": "boolean"}
    else:
        kind = "integer" if feature.kind is Kind.INTEGER else "number"
        value = {"type": kind, "description": f"From {low:g} to {high:g} in the training data."}
    return value if feature.missing is Missing.REJECT else _nullable(value)


def _category(feature: Feature) -> dict[str, Any]:
    known = feature.vocabulary or ()
    values = [_READ[feature.dtype](text) for text in known[:MAX_ENUM]]
    value: dict[str, Any] = {"type": _JSON_TYPES[feature.dtype]}
    if feature.unknown is Unknown.REJECT:
        value["description"] = f"One of {len(known)} categories."
        if len(known) <= MAX_ENUM:
            value["enum"] = values
    else:
        value["description"] = f"A category; {len(known)} are known, another one is taken, too."
        value["examples"] = values[:MAX_SHOWN]
    return value


def _nullable(value: dict[str, Any]) -> dict[str, Any]:
    """The same where null is a missing value."""
    description = f"{value.get('description', '')} null is a missing value.".strip()
    described = {**value, "type": [value["type"], "null"], "description": description}
    return {**described, "enum": [*value["enum"], None]} if "enum" in value else described


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
