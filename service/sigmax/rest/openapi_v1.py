"""`:predict` and `:classify` in the OpenAPI description: of every model a typed request that works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sigmax.contract import OUTPUT, Manifest, Task
from sigmax.inference import open_inference
from sigmax.inference.catalog import Served
from sigmax.inference.open_inference import LABEL, LABELS, UNSURE
from sigmax.rest import addresses, schemas
from sigmax.rest.instances import B64, IMAGE_BYTES
from sigmax.rest.openapi import MAX_EXAMPLE_BYTES, Operation
from sigmax.rest.predict import INPUTS, INSTANCES
from sigmax.rest.schemas import NUMBER, Schema, closed, listed
from sigmax.rest.signatures import OF_CLASSIFY, OF_PREDICT

_FILE = closed({B64: schemas.BASE64})
_PICTURE: Schema = {"anyOf": [_FILE, closed({IMAGE_BYTES: _FILE})]}


def serving_verbs(served: Served) -> Iterator[Operation]:
    """`:predict` and `:classify`."""
    example = json.loads(served.example) if len(served.example) <= MAX_EXAMPLE_BYTES else None
    yield Operation(
        path="/v1/models/{model}{version}:predict",
        verb="predict",
        tag=addresses.V1,
        summary="all outputs, or those of a signature, of every row",
        request=_predict_request(served),
        answer=_predict_answer(served),
        example=None if example is None else _instances(example),
    )
    yield Operation(
        path="/v1/models/{model}{version}:classify",
        verb="classify",
        tag=addresses.V1,
        summary="every class with its score, for every example",
        request=_classify_request(served),
        answer=_classify_answer(served.manifest),
        example=None if example is None else {"examples": _examples(served, example)},
    )


def _predict_request(served: Served) -> Schema:
    of_rows = _of_classifier(served)
    names = [tensor["name"] for tensor in open_inference.inputs(served.schema)]
    tensors = {name: listed({"type": "array"}, minItems=1) for name in names}
    by_tensor = closed({name: {"type": "array"} for name in names})
    ordered = of_rows["rows"]["anyOf"][1]
    rows = [*of_rows["rows"]["anyOf"], listed(by_tensor, minItems=1)]
    columns = [ordered, of_rows["columns"], closed(tensors)]
    if served.manifest.image is not None:
        rows.append(listed(_PICTURE, minItems=1))
        columns.append(listed(_FILE, minItems=1))
    signature = {"type": "string", "enum": [*OF_PREDICT, ""]}
    return {
        "type": "object",
        "properties": {
            "signature_name": {**signature, "description": "One output alone comes without its name."},
            INSTANCES: {"anyOf": rows},
            INPUTS: {"anyOf": columns},
        },
        "oneOf": [{"required": [INSTANCES]}, {"required": [INPUTS]}],
    }


def _of_classifier(served: Served) -> dict[str, Schema]:
    """Rows, by name or in order, and columns, as the other verbs have them."""
    properties: dict[str, Schema] = schemas.classifier_request(served, "probabilities")["properties"]
    return properties


def _predict_answer(served: Served) -> Schema:
    row, label = schemas.row(served.manifest), schemas.label(served.manifest)
    values = dict.fromkeys(
        open_inference.output_names(served.manifest, served.predictor.rule), listed(NUMBER)
    )
    flags = listed({"type": "boolean"})
    multilabel = served.manifest.task is Task.MULTILABEL
    known = {
        OUTPUT: row,
        LABEL: label,
        LABELS: flags,
        UNSURE: flags if multilabel else {"type": "boolean"},
    }
    outputs = {name: known.get(name, value) for name, value in values.items()}
    bare = [row, listed(label) if multilabel else label]
    return {
        "anyOf": [
            closed({"predictions": listed({"anyOf": [closed(outputs), *bare]}, minItems=1)}),
            closed(
                {
                    "outputs": {
                        "anyOf": [
                            closed({name: listed(value, minItems=1) for name, value in outputs.items()}),
                            *(listed(one, minItems=1) for one in bare),
                        ]
                    }
                }
            ),
        ]
    }


def _classify_request(served: Served) -> Schema:
    named = _of_classifier(served)["rows"]["anyOf"][0]["items"]
    examples = {name: _listed_too(value) for name, value in named["properties"].items()}
    example: Schema = {"type": "object", "properties": examples}
    if "description" in named:
        example["description"] = named["description"]
    choices = [example]
    if served.manifest.image is not None:
        choices.append(closed({IMAGE_BYTES: _listed_too(_FILE)}))
    return {
        "type": "object",
        "required": ["examples"],
        "properties": {
            "signature_name": {"type": "string", "enum": [*OF_CLASSIFY, ""]},
            "context": {**example, "description": "Features that all examples share."},
            "examples": listed({"anyOf": choices}, minItems=1),
        },
    }


def _listed_too(value: Schema) -> Schema:
    """A value, alone or in a list of one; a picture as numbers is a list already."""
    return value if value["type"] == "array" else {"anyOf": [value, listed(value, minItems=1, maxItems=1)]}


def _classify_answer(manifest: Manifest) -> Schema:
    # said without `prefixItems`, which tools that check answers still take for another thing
    pair: Schema = listed({"type": ["string", "number"]}, minItems=2, maxItems=2)
    pair["description"] = "A label and its probability."
    width = len(manifest.classes)
    return closed({"results": listed(listed(pair, minItems=width, maxItems=width), minItems=1)})


def _instances(example: dict[str, Any]) -> dict[str, Any]:
    """The Classifier's example as a request of `:predict`."""
    if "columns" in example:
        return {INPUTS: example["columns"]}
    return {INSTANCES: example.get("rows") or [{B64: text} for text in example["images"]]}


def _examples(served: Served, example: dict[str, Any]) -> list[dict[str, Any]]:
    """The Classifier's example as the examples of `:classify`."""
    names = served.schema.names
    if "columns" in example:
        columns = example["columns"]
        return [dict(zip(names, row, strict=True)) for row in zip(*map(columns.get, names), strict=True)]
    if "images" in example:
        return [{IMAGE_BYTES: {B64: text}} for text in example["images"]]
    return [
        row
        if type(row) is dict
        else dict.fromkeys(names, row)
        if not served.schema.scalar
        else dict(zip(names, row, strict=True))
        for row in example["rows"]
    ]
