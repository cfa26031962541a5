"""The OpenAPI description: of every model and version a typed request that works, under both of its paths.

A verb is described once, as an `Operation`; its schemas, its request and its answer stand under
`components`, named after model, version and verb, and both of its paths refer to them. Another protocol adds
its verbs as one more function beside `VERBS`, and its fixed addresses with `addresses.described`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from sigmax.contract import Feature
from sigmax.errors import Code
from sigmax.inference import inputs, open_inference
from sigmax.inference.catalog import Served
from sigmax.inference.inputs import Given
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.protocol.options import DEFAULT
from sigmax.protocol.schema import CATEGORIES
from sigmax.rest import addresses, schemas
from sigmax.rest.classifier import PICTURES
from sigmax.rest.jsons import read_images
from sigmax.rest.schemas import Schema

MAX_EXAMPLE_BYTES = 20_000
"""A longer example (a picture as numbers) is told where to be found instead: a browser would choke on it."""

MAX_EXAMPLE_NUMBERS = 5_000
"""As many numbers as a longer example could hold."""

PREDICTING = (
    *(Code.INVALID_INPUT, Code.NOT_FOUND, Code.REQUEST_TIMEOUT, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA),
    *(Code.OVERLOADED, Code.CANCELLED, Code.INTERNAL, Code.NOT_READY, Code.DEADLINE),
)
"""What a request for a prediction may end in."""

_FILE = {"type": "string", "format": "binary", "description": "One picture, as it is."}
_OCTETS = {
    "type": "string",
    "format": "binary",
    "description": "JSON, then the binary tensors; the header Inference-Header-Content-Length says where.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one verb of a model takes and answers.

    Attributes:
        path: where it is asked, with `{model}` and with `{version}` where that may be named.
        verb: names it, and its schemas.
        tag: the group that it is shown in.
        summary: one line.
        request: the body, as a JSON Schema.
        answer: likewise.
        example: a body that works; None where it would be too large.
        bodies: further media types of the request, with their schemas.
    """

    path: str
    verb: str
    tag: str
    summary: str
    request: Schema
    answer: Schema
    example: Any = None
    bodies: dict[str, Schema] = field(default_factory=dict)


def classifier_verbs(served: Served) -> Iterator[Operation]:
    """`:classes` and `:probabilities`."""
    small = len(served.example) <= MAX_EXAMPLE_BYTES
    pictures = PICTURES if served.manifest.image is not None else ()
    for verb, summary, answer in (
        ("classes", "the class of every row", schemas.classes_answer(served)),
        (
            "probabilities",
            "the probability of every class, for every row",
            schemas.probabilities_answer(served),
        ),
    ):
        yield Operation(
            path="/v1/models/{model}{version}:" + verb,
            verb=verb,
            tag=addresses.CLASSIFIER,
            summary=summary,
            request=schemas.classifier_request(served, verb),
            answer=answer,
            example=json.loads(served.example) if small else None,
            bodies=dict.fromkeys(pictures, _FILE),
        )


def inference_verbs(served: Served) -> Iterator[Operation]:
    """`infer` of the Open Inference Protocol."""
    tensors = open_inference.inputs(served.schema)
    rows = _example_rows(served)
    yield Operation(
        path="/v2/models/{model}{version}/infer",
        verb="infer",
        tag=addresses.OPEN_INFERENCE,
        summary="probabilities and label of every row",
        request=schemas.infer_request(served),
        answer=schemas.infer_answer(served),
        example=None if rows is None else {"inputs": [_filled(served, each, rows) for each in tensors]},
        bodies={"application/octet-stream": _OCTETS},
    )


Verbs = Callable[[Served], Iterable[Operation]]

VERBS: tuple[Verbs, ...] = (classifier_verbs, inference_verbs)
"""What is described of every model that answers."""


def complete(
    document: dict[str, Any], models: Iterable[Served], described: Iterable[Verbs] = VERBS
) -> dict[str, Any]:
    """A whole description: that of the fixed addresses, and the verbs of every model that answers.

    Args:
        document: what the framework says of the fixed addresses; it is left as it is.
        models: that answer.
        described: the verbs of each.
    """
    every = tuple(described)
    components: dict[str, dict[str, Any]] = {
        "schemas": dict(addresses.SCHEMAS),
        "responses": dict(addresses.FAILURES),
        "requestBodies": {},
    }
    paths: dict[str, Any] = {}
    fixed = document["paths"] | addresses.PATHS
    for served in models:
        for verbs in every:
            for operation in verbs(served):
                _add(components, paths, served, operation)
    return {
        **document,
        "paths": paths | {path: _without_422(item) for path, item in fixed.items()},
        "components": components,
        "tags": [tag for tag in addresses.TAGS if tag["name"] in _used(paths | fixed)],
    }


def _used(paths: dict[str, Any]) -> set[str]:
    """The groups that any address is shown in."""
    return {tag for item in paths.values() for operation in item.values() for tag in operation["tags"]}


def _add(components: dict[str, Any], paths: dict[str, Any], served: Served, operation: Operation) -> None:
    """Add an operation, under the path of the model and of its version."""
    name = f"{served.name}.{served.version}.{operation.verb}"
    components["schemas"][f"{name}.request"] = operation.request
    components["schemas"][f"{name}.answer"] = operation.answer
    components["requestBodies"][name] = {"required": True, "content": _content(name, operation)}
    components["responses"][name] = {
        "description": "One answer a row, in order.",
        "content": addresses.json_of(f"{name}.answer"),
    }
    for version, known in (
        ("", served.name),
        (f"/versions/{served.version}", f"{served.name}.{served.version}"),
    ):
        path = operation.path.format(model=served.name, version=version)
        of_version = f", version {served.version}" if version else ""
        paths[path] = {
            "post": {
                "tags": [operation.tag],
                "operationId": f"{known}.{operation.verb}",
                "summary": f"{served.name}{of_version}: {operation.summary}",
                "description": f"A request that works: `GET /v1/models/{served.name}`, under `example`.",
                "requestBody": {"$ref": f"#/components/requestBodies/{name}"},
                "responses": {
                    "200": {"$ref": f"#/components/responses/{name}"},
                    **addresses.failures(PREDICTING),
                },
            }
        }


def _content(name: str, operation: Operation) -> dict[str, Any]:
    content = addresses.json_of(f"{name}.request")
    if operation.example is not None:
        content["application/json"]["example"] = operation.example
    return content | {media_type: {"schema": schema} for media_type, schema in operation.bodies.items()}


def _without_422(item: dict[str, Any]) -> dict[str, Any]:
    """An address without the framework's own validation error, with which none here answers."""
    return {method: _only_ours(operation) for method, operation in item.items()}


def _only_ours(operation: dict[str, Any]) -> dict[str, Any]:
    responses = {code: said for code, said in operation["responses"].items() if code != "422"}
    return {**operation, "responses": responses}


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
