from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sigmax import mixed
from tests.unit.sigmax.mixed import CITY, GRADE, MEMBER, MIXED, VISITS, WAGE

from sigmax.contract import Feature, Kind, Missing, Unknown
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.protocol.schema import Schema
from sigmax.rest import openapi
from sigmax.rest.asgi import Body
from sigmax.rest.inference_protocol import InferQuery
from sigmax.telemetry.metrics import Metrics

MANY = tuple(f"v{number}" for number in range(201))


def value(feature: Feature, served: Served) -> Any:
    """How one feature stands in the rows of a model that has no other."""
    manifest = replace(MIXED, features=(feature,))
    alone = replace_in(served, manifest)
    paths = openapi.paths([alone])
    body = paths["/v1/models/mixed:classes"]["post"]["requestBody"]["content"]["application/json"]
    named, ordered = body["schema"]["properties"]["rows"]["items"]["anyOf"]
    described = named["properties"][feature.name]
    assert body["schema"]["properties"]["columns"]["properties"][feature.name]["items"] == described
    assert ordered["prefixItems"] == [described]
    return described


def replace_in(served: Served, manifest: Any) -> Served:
    predictor = served.predictor
    predictor.manifest = manifest
    return replace(served, schema=Schema(manifest), example=b" " * 30_000)


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (MEMBER, {"type": "boolean"}),
        (
            replace(MEMBER, missing=Missing.IMPUTE),
            {"type": ["boolean", "null"], "description": "null is a missing value."},
        ),
        (VISITS, {"type": "integer", "description": "From 0 to 12 in the training data."}),
        (
            WAGE,
            {
                "type": ["number", "null"],
                "description": "From 0 to 9.5 in the training data. null is a missing value.",
            },
        ),
        (
            CITY,
            {
                "type": ["string", "null"],
                "description": "A category; 3 are known, another one is taken, too. null is a missing value.",
                "examples": ["대구", "부산", "서울"],
            },
        ),
        (
            replace(CITY, unknown=Unknown.REJECT, range=(0.0, 3.0)),
            {
                "type": ["string", "null"],
                "description": "One of 3 categories. null is a missing value.",
                "enum": ["대구", "부산", "서울", None],
            },
        ),
        (GRADE, {"type": "integer", "description": "One of 3 categories.", "enum": [1, 2, 30]}),
        (
            Feature("f", Kind.CATEGORY, (), "bool", (0.0, 0.0), vocabulary=("true",), unknown=Unknown.REJECT),
            {"type": "boolean", "description": "One of 1 categories.", "enum": [True]},
        ),
        (
            Feature("f", Kind.CATEGORY, (), "string", (0.0, 200.0), vocabulary=MANY, unknown=Unknown.REJECT),
            {"type": "string", "description": "One of 201 categories."},
        ),
    ],
)
def test_a_feature_is_described_by_its_kind(tmp_path: Path, feature: Feature, expected: Any) -> None:
    assert value(feature, mixed.served(tmp_path)) == expected


def test_the_example_of_open_inference_is_that_of_the_classifier(tmp_path: Path) -> None:
    served = mixed.served(tmp_path)
    body = openapi.paths([served])["/v2/models/mixed/infer"]["post"]["requestBody"]
    example = body["content"]["application/json"]["example"]
    dispatch = Dispatch(Catalog([Entry("mixed", served)]), 10)
    meter = Metrics().verb("test", "infer")

    answer = dispatch.answer(meter, InferQuery, "mixed", "", Body(json.dumps(example).encode()))

    said = json.loads(answer.body)["outputs"][0]["data"]
    expected = served.predictor.probabilities(mixed.MATRIX[:2])
    assert said == expected.ravel().tolist()
    assert [tensor["name"] for tensor in example["inputs"]] == ["features", "categories"]
    assert example["inputs"][0]["data"][5] is None
