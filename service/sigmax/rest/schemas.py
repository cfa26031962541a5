"""What a model takes and answers, as JSON Schemas: a type for each feature, option, tensor and row.

They are sizes that a browser can show: whatever grows with a model (names, categories, classes) is told up to
a bound, and beyond it only counted. The model's own description has all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sigmax.contract import INPUT, LOGITS, Feature, Kind, Manifest, Missing, Task, Unknown
from sigmax.inference import open_inference
from sigmax.inference.catalog import Served
from sigmax.protocol import elements
from sigmax.protocol.options import INCLUDE, PARAMETERS
from sigmax.protocol.schema import CATEGORIES
from sigmax.protocol.tensors import DTYPES, RAW_ONLY

Schema = dict[str, Any]

MAX_ENUM = 200
"""A longer vocabulary, or list of classes, is found in the model's description."""

MAX_NAMES = 500
"""Of more features only the number is told."""

MAX_CATEGORIES = 1_000
"""Of all features together."""

MAX_SHOWN = 5

TEXT: Schema = {"type": "string"}
BASE64: Schema = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "A PNG or JPEG file in base64.",
}
PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}
NUMBER: Schema = {"type": "number"}

_JSON_TYPES = {"string": "string", "int64": "integer", "bool": "boolean"}
_READ: dict[str, Callable[[str], Any]] = {"string": str, "int64": int, "bool": "true".__eq__}
COUNT: Schema = {"type": "integer", "minimum": 0}
_OPTIONS: dict[str, Schema] = {
    "id": {"type": "string", "description": "The name of a column that comes back with each row."},
    "extra": {
        "type": "string",
        "enum": ["reject", "ignore"],
        "default": "reject",
        "description": "What to do with columns that the model does not know.",
    },
}
_TOP_K = {"type": "integer", "minimum": 1, "description": "How many of the most probable classes to name."}
BAND = {"type": "array", "items": PROBABILITY, "minItems": 2, "maxItems": 2}
_THRESHOLD = "The probability that must be exceeded, instead of the model's own."
_UNSURE = "[low, high] around the threshold: unsure where low < probability <= high."
_INCLUDE = {
    "type": "array",
    "items": {"type": "string", "enum": list(INCLUDE)},
    "description": "What else to answer.",
}
_DATATYPES = sorted({*DTYPES, "BYTES"})
_PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}

_WISHES: dict[str, Schema] = {
    "binary_data_output": {
        "type": "boolean",
        "default": False,
        "description": "Whether outputs come as bytes behind the JSON.",
    },
    "timeout": {
        "type": "integer",
        "minimum": 0,
        "description": "Microseconds after which the answer is of no use; 0 is never.",
    },
    "priority": {"type": "integer", "minimum": 0, "description": "Every request has the same."},
}
_OF_OUTPUT: Schema = {
    **_PARAMETERS,
    "properties": {
        "binary_data": {"type": "boolean", "description": "Whether this one comes as bytes."},
        "classification": {
            "type": "integer",
            "minimum": 1,
            "description": "So many of the most probable classes, as value:column:label, in its place.",
        },
    },
}


def closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object that has all of the first, some of the second and nothing else."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": required | (optional or {}),
    }


def listed(items: Schema, **bounds: int) -> Schema:
    """A list."""
    return {"type": "array", "items": items, **bounds}


def classifier_request(served: Served, verb: str) -> Schema:
    """The body of `:classes` and `:probabilities`."""
    values = _values(served.manifest)
    required = [feature.name for feature in served.manifest.features][: len(values)]
    named = {"type": "object", "required": required, "properties": values}
    columns = {
        "type": "object",
        "required": required,
        "properties": {name: listed(value, minItems=1) for name, value in values.items()},
    }
    if not values:
        count = f"{len(served.manifest.features)} features; `GET /v1/models/{served.name}` names them."
        named["description"] = columns["description"] = count
    rows = (listed(named, minItems=1), listed(_ordered(served, list(values.values())), minItems=1))
    properties = {
        "rows": {"anyOf": list(rows)},
        "columns": columns,
        "options": closed({}, _options(served, verb)),
    }
    if served.manifest.image is not None:
        properties["images"] = listed(BASE64, minItems=1)
    filled = [name for name in ("rows", "columns", "images") if name in properties]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "oneOf": [{"required": [name]} for name in filled],
    }


def _values(manifest: Manifest) -> dict[str, Schema]:
    """Every feature's value by its name; of none, where there are too many."""
    if len(manifest.features) > MAX_NAMES:
        return {}
    left = MAX_CATEGORIES
    described = {}
    for feature in manifest.features:
        described[feature.name] = value = feature_value(feature, left)
        left -= len(value.get("enum", ()))
    return described


def _ordered(served: Served, values: list[Schema]) -> Schema:
    width = served.schema.width
    ordered: Schema = {"type": "array", "minItems": width, "maxItems": width}
    if served.schema.plain:
        ordered["items"] = NUMBER
    elif served.schema.scalar and values:
        ordered["prefixItems"] = values
    return ordered


def feature_value(feature: Feature, most: int = MAX_ENUM) -> Schema:
    """One value of a feature; at most so many of its categories."""
    if feature.kind is Kind.IMAGE:
        description = f"{feature.size} numbers, flat or nested as {list(feature.shape)}."
        return {"type": "array", "description": description}
    low, high = feature.range
    if feature.kind is Kind.CATEGORY:
        value = _category(feature, min(most, MAX_ENUM))
    elif feature.kind is Kind.BOOLEAN:
        value = {"type": "boolean"}
    else:
        kind = "integer" if feature.kind is Kind.INTEGER else "number"
        value = {"type": kind, "description": f"From {low:g} to {high:g} in the training data."}
    return value if feature.missing is Missing.REJECT else _nullable(value)


def _category(feature: Feature, most: int) -> Schema:
    known = feature.vocabulary or ()
    read = _READ[feature.dtype]
    value: Schema = {"type": _JSON_TYPES[feature.dtype]}
    if feature.unknown is Unknown.REJECT:
        value["description"] = f"One of {len(known)} categories."
        if len(known) <= most:
            value["enum"] = [read(text) for text in known]
    else:
        value["description"] = f"A category; {len(known)} are known, another one is taken, too."
        value["examples"] = [read(text) for text in known[:MAX_SHOWN]]
    return value


def _nullable(value: Schema) -> Schema:
    """The same where null is a missing value."""
    description = f"{value.get('description', '')} null is a missing value.".strip()
    described = {**value, "type": [value["type"], "null"], "description": description}
    return {**described, "enum": [*value["enum"], None]} if "enum" in value else described


def _options(served: Served, verb: str) -> dict[str, Schema]:
    manifest = served.manifest
    options = dict(_OPTIONS)
    if LOGITS in manifest.graph.outputs:
        options["include"] = _INCLUDE
    if verb == "probabilities":
        return options
    options["top_k"] = _TOP_K
    if manifest.task is not Task.MULTICLASS:
        options["threshold"] = _by_label(manifest, PROBABILITY) | {"description": _THRESHOLD}
        options["band"] = _by_label(manifest, BAND) | {"description": _UNSURE}
    return options


def _by_label(manifest: Manifest, value: Schema) -> Schema:
    """One value or, of a multilabel model, also an object of them by label."""
    if manifest.task is not Task.MULTILABEL:
        return value
    if len(manifest.classes) > MAX_ENUM:
        return {"anyOf": [value, {"type": "object", "additionalProperties": value}]}
    return {"anyOf": [value, closed({}, dict.fromkeys(manifest.classes, value))]}


def label(manifest: Manifest) -> Schema:
    """One of a model's classes."""
    classes = manifest.classes
    if len(classes) > MAX_ENUM:
        return {"type": "string", "description": f"One of {len(classes)} classes."}
    return {"type": "string", "enum": list(classes)}


def _head(served: Served) -> dict[str, Schema]:
    """How both answers of the Classifier begin."""
    return {"model": {"const": served.name}, "version": {"const": served.version}}


def classes_answer(served: Served) -> Schema:
    """The answer of `:classes`."""
    manifest = served.manifest
    one = label(manifest)
    by_label = {"type": "object", "additionalProperties": PROBABILITY}
    optional: dict[str, Schema] = {"probabilities": by_label, "id": {}}
    if manifest.task is Task.MULTILABEL:
        required = {"labels": listed(one)}
        optional["unsure_labels"] = listed(one)
    else:
        required = {"label": one, "probability": PROBABILITY}
    if manifest.task is not Task.MULTICLASS:
        optional["unsure"] = {"type": "boolean", "description": "Whether nobody should rely on it."}
    if LOGITS in manifest.graph.outputs:
        optional["logits"] = {"type": "object", "additionalProperties": NUMBER}
    results = listed(closed(required, optional), minItems=1)
    return closed(_head(served) | {"results": results})


def row(manifest: Manifest) -> Schema:
    """The probabilities of one row."""
    width = len(manifest.classes)
    return listed(PROBABILITY, minItems=width, maxItems=width)


def probabilities_answer(served: Served) -> Schema:
    """The answer of `:probabilities`."""
    width, one = len(served.manifest.classes), row(served.manifest)
    optional: dict[str, Schema] = {"ids": listed({})}
    if LOGITS in served.manifest.graph.outputs:
        optional["logits"] = listed({**one, "items": NUMBER}, minItems=1)
    classes = listed(label(served.manifest), minItems=width, maxItems=width)
    return closed(
        _head(served) | {"classes": classes, "probabilities": listed(one, minItems=1)},
        optional,
    )


def infer_request(served: Served) -> Schema:
    """The body of the Open Inference Protocol's `infer`."""
    tensors = [_input(served, tensor["name"]) for tensor in open_inference.inputs(served.schema)]
    count = len(tensors)
    inputs = listed({"anyOf": tensors} if count > 1 else tensors[0], minItems=count, maxItems=count)
    known = dict(_WISHES)
    if served.manifest.task is not Task.MULTICLASS:
        known |= dict.fromkeys(PARAMETERS, PROBABILITY)
    requested = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "enum": _outputs(served)}, "parameters": _OF_OUTPUT},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "description": "Comes back with the answer."},
            "inputs": inputs,
            "outputs": {**listed(requested), "description": "What to answer; all outputs, if none is named."},
            "parameters": {**_PARAMETERS, "properties": known},
        },
    }


def _outputs(served: Served) -> list[str]:
    """Every output that a request may name; `unsure` needs a band, which a request may bring."""
    names = list(open_inference.output_names(served.manifest, served.predictor.rule))
    may_have_band = served.manifest.task is not Task.MULTICLASS
    return names if not may_have_band or open_inference.UNSURE in names else [*names, open_inference.UNSURE]


def _input(served: Served, name: str) -> Schema:
    """One of its inputs."""
    schema = served.schema
    datatypes = [name for name in DTYPES if name not in RAW_ONLY]
    described = ["The rows, flat or nested."]
    width = len(schema.categories)
    if name == INPUT and schema.numeric is not None:
        width = schema.numeric.width
    if name == CATEGORIES:
        datatypes = list(elements.datatypes(schema))
        described.append("An empty text is a missing value.")
    elif schema.optional is not None:
        described.append("null is a missing value, in FP32 and FP64.")
    if schema.categories:
        described.append(f"`GET /v2/models/{served.name}` names the columns, under `properties`.")
    block = schema.numeric.picture if name == INPUT and schema.numeric is not None else ()
    shape = _shape(width)
    return {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"const": name},
            "shape": {"anyOf": [shape, _shape(*block)]} if block else shape,
            "datatype": {"type": "string", "enum": datatypes},
            "data": {"type": "array", "minItems": 1, "description": " ".join(described)},
            "parameters": _PARAMETERS,
        },
    }


def _shape(*axes: int) -> Schema:
    """The shape of so many rows, each of these axes."""
    known: list[Schema] = [{"const": size} for size in axes]
    items = [{"type": "integer", "minimum": 1}, *known]
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def infer_answer(served: Served) -> Schema:
    """The answer of `infer`."""
    output = closed(
        {
            "name": TEXT,
            "datatype": {"type": "string", "enum": _DATATYPES},
            "shape": listed(COUNT, minItems=1),
        },
        {"data": {"type": "array"}, "parameters": _PARAMETERS},
    )
    return {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "model_name": {"const": served.name},
            "model_version": {"const": served.version},
            "id": TEXT,
            "parameters": _PARAMETERS,
            "outputs": listed(output, minItems=1),
        },
    }


def texts(names: Iterable[str]) -> Schema:
    """An object of which some texts are known by name, others may come."""
    return {"type": "object", "properties": dict.fromkeys(names, TEXT), "additionalProperties": TEXT}
