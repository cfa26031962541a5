from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from tests.openapi import references, resolved, target
from tests.unit.sigmax import mixed
from tests.unit.sigmax.mixed import CITY, GRADE, MEMBER, MIXED, VISITS, WAGE

from sigmax.contract import Colour, Feature, Image, Kind, Missing, Resize, Unknown
from sigmax.errors import Code
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.protocol.schema import Schema
from sigmax.rest import addresses, errors, openapi, schemas
from sigmax.rest.asgi import Body
from sigmax.rest.door import Documented
from sigmax.rest.inference_protocol import InferQuery
from sigmax.telemetry.metrics import Metrics

MANY = tuple(f"v{number}" for number in range(201))


def value(feature: Feature, served: Served) -> Any:
    """How one feature stands in the rows of a model that has no other."""
    manifest = replace(MIXED, features=(feature,))
    alone = replace_in(served, manifest)
    paths = resolved(openapi.complete({"paths": {}}, [alone]))
    body = paths["/v1/models/mixed:classes"]["post"]["requestBody"]["content"]["application/json"]
    named, ordered = [rows["items"] for rows in body["schema"]["properties"]["rows"]["anyOf"]]
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
    paths = resolved(openapi.complete({"paths": {}}, [served]))
    body = paths["/v2/models/mixed/infer"]["post"]["requestBody"]
    example = body["content"]["application/json"]["example"]
    dispatch = Dispatch(Catalog([Entry("mixed", served)]), 10)
    meter = Metrics().verb("test", "infer")

    answer = dispatch.answer(meter, InferQuery, "mixed", "", Body(json.dumps(example).encode()))

    said = json.loads(answer.body)["outputs"][0]["data"]
    expected = served.predictor.probabilities(mixed.MATRIX[:2])
    assert said == expected.ravel().tolist()
    assert [tensor["name"] for tensor in example["inputs"]] == ["features", "categories"]
    assert example["inputs"][0]["data"][5] is None


def described(served: Served) -> dict[str, Any]:
    return openapi.complete(
        {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}}, [served]
    )


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_pictures_may_have_a_shape_of_their_own(tmp_path: Path) -> None:
    image = Image(Colour.GREY, "CHW", 2, 3, Resize.BILINEAR, 1 / 255)
    photo = Feature("photo", Kind.IMAGE, (1, 2, 3), "uint8", (0, 255), image=image)
    served = replace_in(mixed.served(tmp_path), replace(MIXED, features=(photo,)))

    described = schemas.infer_request(served)["properties"]["inputs"]["items"]

    rows, own = described["properties"]["shape"]["anyOf"]
    count = {"type": "integer", "minimum": 1}
    assert rows["prefixItems"] == [count, {"const": 6}]
    assert own["prefixItems"] == [count, {"const": 1}, {"const": 2}, {"const": 3}]
    assert (own["minItems"], own["maxItems"]) == (4, 4)


def test_the_description_holds_together(tmp_path: Path) -> None:
    document = described(mixed.served(tmp_path))

    OpenAPI.model_validate(document)  # the framework's own reading of the standard
    names = [operation["operationId"] for operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(target(document, reference) for reference in references(document))
    used = {tag for operation in operations(document) for tag in operation["tags"]}
    assert used <= {tag["name"] for tag in document["tags"]}


def test_a_version_has_the_schemas_of_its_model_and_names_of_its_own(tmp_path: Path) -> None:
    document = described(mixed.served(tmp_path))

    for path, of_version in (
        ("/v1/models/mixed:classes", "/v1/models/mixed/versions/1:classes"),
        ("/v1/models/mixed:probabilities", "/v1/models/mixed/versions/1:probabilities"),
        ("/v2/models/mixed/infer", "/v2/models/mixed/versions/1/infer"),
    ):
        one, other = document["paths"][path]["post"], document["paths"][of_version]["post"]
        assert one["requestBody"] == other["requestBody"]
        assert one["responses"] == other["responses"]
        assert one["operationId"] != other["operationId"]


def test_what_a_new_user_needs_is_shown_first_and_other_protocols_are_compatibility() -> None:
    names = [tag["name"] for tag in addresses.TAGS]

    assert names[:2] == ["Models", "Classifier"]
    assert all(name.startswith("Compatibility: ") for name in names[2:-1])


def test_every_error_is_described_under_its_status() -> None:
    said = addresses.failures(Code)

    assert set(said) == {str(status) for status in errors.STATUS.values()}
    assert set(addresses.FAILURES) == set(Code)


FULL = Feature("f", Kind.CATEGORY, (), "string", (0.0, 189.0), vocabulary=MANY[:190], unknown=Unknown.REJECT)
LONG = tuple(f"word {number}" for number in range(20_000))


@pytest.mark.parametrize(
    "features",
    [
        tuple(replace(WAGE, name=f"number {index}") for index in range(30_000)),
        tuple(replace(FULL, name=f"category {index}") for index in range(300)),
        (replace(FULL, vocabulary=LONG, range=(0.0, 19_999.0)),),
    ],
    ids=["30,000 numbers", "300 categories", "a vocabulary of 20,000"],
)
def test_the_description_of_a_large_model_stays_small(tmp_path: Path, features: tuple[Feature, ...]) -> None:
    served = mixed.served(tmp_path)

    document = described(replace_in(served, replace(MIXED, features=features)))

    assert len(json.dumps(document)) < 300_000


def test_the_description_is_made_anew_when_models_come_or_go(tmp_path: Path) -> None:
    served = mixed.served(tmp_path)
    models = Catalog([Entry("mixed", served)])
    app = Documented(models)

    first = app.openapi()
    again = app.openapi()
    models.drop("mixed")
    without = app.openapi()
    models.put(Entry("mixed", served))

    assert first is again
    assert "/v1/models/mixed:classes" in first["paths"]
    assert "/v1/models/mixed:classes" not in without["paths"]
    assert app.openapi() == first
