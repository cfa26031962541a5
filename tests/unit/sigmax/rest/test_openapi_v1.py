"""What the description says of `:predict` and `:classify` works, and is typed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.openapi.models import OpenAPI
from tests import pictures
from tests.openapi import references, resolved, target
from tests.unit.sigmax import mixed
from tests.unit.sigmax.manifests import BANDED, MULTICLASS, MULTILABEL, with_logits
from tests.unit.sigmax.rest.test_straight import PIXELS, Witness

from sigmax.contract import Manifest
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema
from sigmax.rest import openapi, openapi_v1
from sigmax.rest.asgi import Body
from sigmax.rest.classify import ClassifyQuery
from sigmax.rest.predict import PredictQuery
from sigmax.telemetry.metrics import Metrics

PREDICT, CLASSIFY = "/v1/models/{}:predict", "/v1/models/{}:classify"


def served(manifest: Manifest, example: Any = None) -> Served:
    text = json.dumps(example or {"rows": [[1, 2]]}).encode()
    predictor = Predictor(manifest, Witness(manifest))
    return Served(manifest.name, "1", predictor, Schema(manifest), Proof(1, 0.0, 0), text)


def described(one: Served) -> dict[str, Any]:
    frame = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}}
    return openapi.complete(frame, [one], (*openapi.VERBS, openapi_v1.serving_verbs))


def example_of(one: Served, path: str) -> Any:
    body = resolved(described(one))[path.format(one.name)]["post"]["requestBody"]
    return body["content"]["application/json"]["example"]


def asked(one: Served, query: Any, document: Any) -> Any:
    dispatch, meter = Dispatch(Catalog([Entry(one.name, one)]), 10), Metrics().verb("test", "any")
    return json.loads(dispatch.answer(meter, query, one.name, "", Body(json.dumps(document).encode())).body)


@pytest.mark.parametrize(
    "manifest", [MULTICLASS, MULTILABEL, BANDED, with_logits(BANDED), PIXELS], ids=lambda each: each.task
)
def test_the_description_holds_together(manifest: Manifest) -> None:
    document = described(served(manifest))

    OpenAPI.model_validate(document)
    assert all(target(document, reference) for reference in references(document))
    assert "/v1/models/small/versions/1:predict" in document["paths"]


def test_the_examples_of_a_model_of_every_kind_are_those_of_the_classifier(tmp_path: Path) -> None:
    one = mixed.served(tmp_path)
    expected = mixed.expected(mixed.MATRIX[:2])

    predictions = asked(one, PredictQuery, example_of(one, PREDICT))["predictions"]
    results = asked(one, ClassifyQuery, example_of(one, CLASSIFY))["results"]

    said = np.array([row["probabilities"] for row in predictions])
    assert np.abs(said - expected).max() < 1e-12
    assert [[score for _, score in row] for row in results] == said.tolist()


EXAMPLES = [
    {"rows": [[1, 2], [3, 4]]},
    {"rows": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
    {"columns": {"b": [2, 4], "a": [1, 3]}},
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_any_form_works(example: Any) -> None:
    one = served(MULTICLASS, example)

    answer = asked(one, PredictQuery, example_of(one, PREDICT))
    results = asked(one, ClassifyQuery, example_of(one, CLASSIFY))["results"]

    assert len(answer.get("predictions") or answer["outputs"]["label"]) == len(results) == 2


def test_a_picture_is_an_example_too() -> None:
    text = base64.b64encode(pictures.encoded(pictures.noise(1, 2))).decode()
    one = served(PIXELS, {"images": [text]})

    assert example_of(one, PREDICT) == {"instances": [{"b64": text}]}
    assert example_of(one, CLASSIFY) == {"examples": [{"image_bytes": {"b64": text}}]}
    assert len(asked(one, PredictQuery, example_of(one, PREDICT))["predictions"]) == 1
    assert len(asked(one, ClassifyQuery, example_of(one, CLASSIFY))["results"]) == 1


def test_a_request_is_typed_by_feature_in_every_form() -> None:
    body = resolved(described(served(MULTICLASS)))[PREDICT.format("small")]["post"]["requestBody"]
    properties = body["content"]["application/json"]["schema"]["properties"]

    named, ordered, tensors = (form["items"] for form in properties["instances"]["anyOf"])
    assert named["properties"]["a"]["type"] == ordered["items"]["type"] == "number"
    assert list(tensors["properties"]) == ["features"]
    assert properties["inputs"]["anyOf"][1]["properties"]["b"]["items"]["type"] == "number"


def test_a_long_example_is_left_out() -> None:
    one = replace(served(MULTICLASS), example=b" " * 30_000)

    assert "example" not in json.dumps(described(one)["components"]["requestBodies"])
