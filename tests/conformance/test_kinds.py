"""A model of every kind of feature but pictures: the same bits, and the same refusals, through every door."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.conformance.doors import Refused
from tests.conformance.kinds import (
    CommandLine,
    Door,
    OpenInferenceRest,
    OpenInferenceRpc,
    Rest,
    Row,
    Rpc,
    ServingV1,
    raw,
)
from tests.openapi import resolved
from tests.service import Service, running
from tests.unit.sigmax import mixed
from tests.unit.sigmax.mixed import MATRIX, MIXED, ROWS

from sigmax.wire import classifier_pb2

FORMS: dict[str, tuple[type[Any], str]] = {
    "rest named": (Rest, "named"),
    "rest ordered": (Rest, "ordered"),
    "rest columns": (Rest, "columns"),
    "v1 predict named": (ServingV1, "named"),
    "v1 predict ordered": (ServingV1, "ordered"),
    "v1 predict tensors": (ServingV1, "tensors"),
    "v1 predict columns": (ServingV1, "columns"),
    "v1 classify": (ServingV1, "examples"),
    "grpc named": (Rpc, "named"),
    "grpc ordered": (Rpc, "ordered"),
    "grpc columns": (Rpc, "columns"),
    "v2 rest flat": (OpenInferenceRest, "flat"),
    "v2 rest nested": (OpenInferenceRest, "nested"),
    "v2 rest binary": (OpenInferenceRest, "binary"),
    "v2 grpc typed": (OpenInferenceRpc, "typed"),
    "v2 grpc raw": (OpenInferenceRpc, "raw"),
    "predict json": (CommandLine, "json"),
    "predict csv": (CommandLine, "csv"),
}
VALUES = [name for name in FORMS if name.startswith(("rest", "v1", "grpc", "predict json"))]
"""The doors that take JSON values."""

ONLINE = [name for name in FORMS if not name.startswith("predict")]
GOOD = ROWS[0]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mixed")
    mixed.write(root)
    return root


@pytest.fixture(scope="module")
def service(models: Path) -> Iterator[Service]:
    with running(models) as started:
        yield started


@pytest.fixture(scope="module")
def doors(service: Service, models: Path) -> Iterator[dict[str, Door]]:
    made: dict[str, Door] = {
        name: kind("mixed", MIXED.features, models if kind is CommandLine else service, form)
        for name, (kind, form) in FORMS.items()
    }
    yield made
    for door in made.values():
        door.close()


@pytest.fixture
def client(doors: dict[str, Door]) -> httpx.Client:
    door = doors["rest named"]
    assert isinstance(door, Rest)
    return door.client


@pytest.fixture(autouse=True)
def the_process_lives_on(doors: dict[str, Door]) -> Iterator[None]:
    """After every request, wrong or not, a right one gets the same bits as before it."""
    before = doors["v2 grpc raw"].ask(ROWS).tobytes()
    yield
    assert doors["v2 grpc raw"].ask(ROWS).tobytes() == before


def test_every_door_says_the_same_to_the_last_bit_and_what_numpy_says(doors: dict[str, Door]) -> None:
    said = {name: door.ask(ROWS) for name, door in doors.items()}

    assert len({answer.tobytes() for answer in said.values()}) == 1
    assert np.abs(said["rest named"] - mixed.expected(MATRIX)).max() < 1e-15


@pytest.mark.parametrize("row", ROWS)
def test_one_row_alone_says_the_same_through_every_door(doors: dict[str, Door], row: Row) -> None:
    said = {door.ask([row]).tobytes() for name, door in doors.items() if name in ONLINE}

    assert len(said) == 1


WRONG: dict[str, tuple[str, Any, str, list[str]]] = {
    "an unknown category": (
        "등급",
        31,
        "unknown category '31', did you mean '1'? (3 known)",
        list(FORMS),
    ),
    "a missing number where none may be": (
        "나이",
        None,
        "expected a number, got null, a missing value, which this feature does not take",
        [*VALUES, "predict csv", "v2 rest flat", "v2 rest nested"],
    ),
    "a missing number where none may be, as NaN": (
        "나이",
        None,
        "expected a finite number, got nan",
        ["v2 rest binary", "v2 grpc typed", "v2 grpc raw"],
    ),
    "a missing category where none may be": (
        "등급",
        None,
        "expected a whole number or its decimal text, got null, a missing value, which this feature does not",
        [*VALUES, "predict csv"],
    ),
    "a missing category where none may be, as an empty text": (
        "등급",
        None,
        "expected a whole number or its decimal text, got an empty text, a missing value, which this feature",
        [name for name in FORMS if name.startswith("v2")],
    ),
    "a fraction for an integer": (
        "방문",
        2.5,
        "expected a whole number, got the number 2.5",
        list(FORMS),
    ),
    "an integer that is not exact": (
        "방문",
        2.0**60,
        "expected a whole number of at most 9007199254740992, got the number 1.152921504606847e+18",
        list(FORMS),
    ),
    "a text for a boolean": (
        "회원",
        "yes",
        "expected true or false, got the text 'yes'",
        [*VALUES, "predict csv"],
    ),
    "a text for a boolean in a tensor": (
        "회원",
        "yes",
        "expected a number, got the text 'yes'",
        ["v2 rest flat", "v2 rest nested"],
    ),
    "another number for a boolean": (
        "회원",
        2,
        "expected true or false, got the number 2",
        [*VALUES, "predict csv"],
    ),
    "another number for a boolean in a tensor": (
        "회원",
        2,
        "expected true or false, as 1 or 0, got the number 2",
        [name for name in FORMS if name.startswith("v2")],
    ),
    "a text in a number column": (
        "나이",
        "old",
        "expected a number, got the text 'old'",
        [*VALUES, "predict csv", "v2 rest flat", "v2 rest nested"],
    ),
    "a text in a column of integers": (
        "방문",
        "often",
        "expected a whole number, got the text 'often'",
        [*VALUES, "predict csv"],
    ),
    "a text for an integer category": (
        "등급",
        "best",
        "expected a whole number or its decimal text, got the text 'best'",
        list(FORMS),
    ),
    "a number for a text": ("도시", 7, "expected a text, got the number 7", VALUES),
    "a list for a text": ("도시", ["서울", "부산"], "expected a text, got a list of 2 values", VALUES),
}


@pytest.mark.parametrize(
    ("problem", "name"), [(problem, name) for problem, case in WRONG.items() for name in case[3]]
)
def test_a_wrong_value_is_refused_by_row_and_feature(doors: dict[str, Door], problem: str, name: str) -> None:
    feature, value, text, _ = WRONG[problem]
    rows = [GOOD, GOOD, {**GOOD, feature: value}]

    with pytest.raises(Refused) as refused:
        doors[name].ask(rows)

    assert refused.value.code in ("INVALID_INPUT", "INVALID_ARGUMENT")
    assert refused.value.text.startswith(f"row 2, feature '{feature}': {text}")
    assert ";" not in refused.value.text


def test_a_number_that_is_not_finite_is_no_missing_value_over_grpc(doors: dict[str, Door]) -> None:
    door = doors["grpc named"]
    assert isinstance(door, Rpc)
    message = classifier_pb2.PredictProbabilitiesRequest(model="mixed")
    row = message.rows.add().struct_value
    row.update(GOOD)
    row.fields["임금"].number_value = float("nan")

    with pytest.raises(Refused) as refused:
        door.call(message)

    expected = "row 0, feature '임금': expected a finite number, got nan (send null for a missing value)"
    assert refused.value.text == expected


def test_nan_in_json_is_refused_with_the_way_to_say_it(client: httpx.Client) -> None:
    body = '{"rows": [[31, "서울", NaN, true, 1, 2]]}'

    answer = client.post("/v1/models/mixed:classes", content=body.encode())

    assert answer.status_code == 400
    assert "got nan (send null for a missing value)" in answer.json()["error"]


@pytest.mark.parametrize(
    ("city", "same"),
    [(unicodedata.normalize("NFD", "서울"), "서울"), ("서울 ", "서울역"), ("", None), ("SEOUL", "Tokyo")],
)
@pytest.mark.parametrize(
    "name", ["rest named", "grpc columns", "v2 rest flat", "v2 rest binary", "v2 grpc typed"]
)
def test_texts_are_the_same_when_their_nfc_forms_are_and_an_empty_one_is_missing(
    doors: dict[str, Door], name: str, city: str, same: str | None
) -> None:
    given, expected = ({**GOOD, "도시": text} for text in (city, same))

    assert doors[name].ask([given]).tobytes() == doors[name].ask([expected]).tobytes()


def test_other_forms_of_the_same_values_say_the_same(doors: dict[str, Door]) -> None:
    others = [
        {**row, "회원": int(row["회원"]), "등급": str(row["등급"]), "방문": float(row["방문"])}
        for row in ROWS
    ]
    expected = doors["rest named"].ask(ROWS).tobytes()

    for name in VALUES:
        assert doors[name].ask(others).tobytes() == expected, name


def test_a_csv_has_booleans_in_any_case_and_empty_cells_are_missing(doors: dict[str, Door]) -> None:
    door = doors["predict csv"]
    assert isinstance(door, CommandLine)
    header = ",".join(door.names)
    lines = [header, "31.5,서울,2.25,TRUE,30,3", "0,대구,,False,1,0.0", "64,,9.5,0,2,12"]

    said = door.predict("\n".join(lines))

    answers = np.array([[float(cell) for cell in line.split(",")] for line in said.splitlines()[1:]])
    assert answers.tobytes() == doors["rest named"].ask(ROWS[:3]).tobytes()


BYTES: dict[str, tuple[bytes, str]] = {
    "too few elements": (
        raw([["서울", "1", "부산"]]),
        "input 'categories': shape [2, 2] needs 4 elements, got 3; row 1, feature '등급' is the first",
    ),
    "no element": (
        b"",
        "input 'categories': shape [2, 2] needs 4 elements, got 0; row 0, feature '도시' is the first",
    ),
    "too many elements": (
        raw([["서울", "1", "부산", "2", "대구"]]),
        "input 'categories': shape [2, 2] needs 4 elements, got more",
    ),
    "millions of elements": (b"\0" * 4_000_000, "needs 4 elements, got more"),
    "an element that is cut off": (
        raw([["서울", "1", "부산", "2"]])[:-1],
        "row 1, feature '등급': the element is cut off, 1 bytes of it are not there",
    ),
    "a length that is cut off": (
        raw([["서울", "1", "부산"]]) + b"\1\0",
        "row 1, feature '등급': the element is cut off, 3 bytes of it are not there",
    ),
    "a length beyond everything": (
        b"\xff\xff\xff\xff" + b"x" * 20,
        "row 0, feature '도시': the element is cut off, 4294967275 bytes of it are not there",
    ),
    "bytes that are no text": (
        raw([["서울", "1"]]) + b"\2\0\0\0a\xff" + raw([["2"]]),
        "row 1, feature '도시': expected a text in UTF-8, byte 1 is none",
    ),
}


@pytest.mark.parametrize("name", ["v2 rest binary", "v2 grpc raw"])
@pytest.mark.parametrize("problem", BYTES)
def test_elements_that_do_not_add_up_are_refused_by_row_and_feature(
    doors: dict[str, Door], name: str, problem: str
) -> None:
    content, text = BYTES[problem]
    door, cells = doors[name], raw([[31.5, 2.25, 1, 3]] * 2)

    def ask() -> None:
        if isinstance(door, OpenInferenceRest):
            door.post([("features", "FP64", 4, cells), ("categories", "BYTES", 2, content)], rows=2)
        elif isinstance(door, OpenInferenceRpc):
            request = door.request(2)
            request.raw_input_contents.extend([cells, content])
            door.infer(request)

    with pytest.raises(Refused) as refused:
        ask()

    assert text in refused.value.text


def test_typed_elements_that_do_not_add_up_are_refused_by_row_and_feature(doors: dict[str, Door]) -> None:
    door = doors["v2 grpc typed"]
    assert isinstance(door, OpenInferenceRpc)
    request = door.request(1)
    request.inputs[0].contents.fp64_contents.extend([31.5, 2.25, 1, 3])
    request.inputs[1].contents.bytes_contents.append("서울".encode())

    with pytest.raises(Refused, match=re.escape("got 1; row 0, feature '등급' is the first without one")):
        door.infer(request)

    request.inputs[1].contents.bytes_contents.append(b"\xff")
    with pytest.raises(Refused, match="row 0, feature '등급': expected a text in UTF-8, byte 0 is none"):
        door.infer(request)


def tensor(name: str, shape: list[int], data: Any, datatype: str = "FP64") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


NUMBERS = tensor("features", [1, 4], [31.5, 2.25, 1, 3])
TEXTS = tensor("categories", [1, 2], ["서울", "1"], "BYTES")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([NUMBERS], "expected the inputs 'features' and 'categories', got ['features']"),
        ([TEXTS], "expected the inputs 'features' and 'categories', got ['categories']"),
        ([NUMBERS, NUMBERS], "expected the inputs 'features' and 'categories', got ['features', 'features']"),
        ([NUMBERS, {**TEXTS, "name": "texts"}], "got ['features', 'texts']"),
        ([NUMBERS, {**TEXTS, "datatype": "FP64"}], "input 'categories': datatype 'FP64' is not one of BYTES"),
        (
            [NUMBERS, {**TEXTS, "datatype": "INT64"}],
            "input 'categories': datatype 'INT64' is not one of BYTES",
        ),
        ([{**NUMBERS, "datatype": "BYTES"}, TEXTS], "input 'features': datatype 'BYTES' is not one of BOOL"),
        ([NUMBERS, {**TEXTS, "shape": [1, 3]}], "input 'categories': expected shape [-1, 2], got [1, 3]"),
        ([{**NUMBERS, "shape": [1, 6]}, TEXTS], "input 'features': expected shape [-1, 4], got [1, 6]"),
        (
            [NUMBERS, tensor("categories", [2, 2], ["서울", "1"] * 2, "BYTES")],
            "input 'features' has 1 rows, input 'categories' has 2",
        ),
        ([NUMBERS, {**TEXTS, "shape": [0, 2], "data": []}], "input 'categories' is empty"),
        ([NUMBERS, {**TEXTS, "shape": [2**62, 2]}], f"{2**62} rows in one request, at most 10000 are taken"),
        (
            [NUMBERS, {**TEXTS, "data": ["서울", 1]}],
            "row 0, feature '등급': expected a text, got the number 1",
        ),
        ([NUMBERS, {**TEXTS, "data": [["서울"]]}], "row 0 of 'data' has 1 values, shape [1, 2] says 2"),
        (
            [tensor("features", [1, 4], [31, None, 1, 3], "INT64"), TEXTS],
            "row 0, feature '임금': expected an integer, got null, which INT64 cannot hold",
        ),
        (
            [{**NUMBERS, "parameters": {"binary_data_size": 32}}, TEXTS],
            "input 'features': expected exactly one of 'data' and parameter 'binary_data_size'",
        ),
        (
            [{key: value for key, value in NUMBERS.items() if key != "data"}, TEXTS],
            "input 'features': expected exactly one of 'data' and parameter 'binary_data_size'",
        ),
    ],
)
def test_inputs_that_are_not_those_of_the_model_are_refused_by_their_names(
    client: httpx.Client, inputs: list[Any], expected: str
) -> None:
    answer = client.post("/v2/models/mixed/infer", json={"inputs": inputs})

    assert answer.status_code == 400
    assert expected in answer.json()["error"]


def test_binary_sizes_that_do_not_add_up_are_refused(client: httpx.Client) -> None:
    inputs = [
        {"name": "features", "shape": [1, 4], "datatype": "FP64", "parameters": {"binary_data_size": 40}},
        {"name": "categories", "shape": [1, 2], "datatype": "BYTES", "parameters": {"binary_data_size": -8}},
    ]

    def post() -> str:
        head = json.dumps({"inputs": inputs}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = client.post("/v2/models/mixed/infer", content=head + b"\0" * 32, headers=headers)
        assert answer.status_code == 400
        error: str = answer.json()["error"]
        return error

    assert "input 'categories': 'binary_data_size' is a number of bytes" in post()
    inputs[1]["parameters"] = {"binary_data_size": 8}
    assert "48 bytes are announced behind the JSON, 32 came" in post()


def test_numbers_in_json_and_texts_in_binary_can_be_mixed(
    client: httpx.Client, doors: dict[str, Door]
) -> None:
    content = raw([["서울", "30"]])
    binary = {key: value for key, value in TEXTS.items() if key != "data"}
    binary["parameters"] = {"binary_data_size": len(content)}
    head = json.dumps({"inputs": [binary, NUMBERS]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}

    answer = client.post("/v2/models/mixed/infer", content=head + content, headers=headers)

    assert answer.json()["outputs"][0]["data"] == doors["rest named"].ask([GOOD])[0].tolist()


def test_raw_contents_are_one_an_input(doors: dict[str, Door]) -> None:
    door = doors["v2 grpc raw"]
    assert isinstance(door, OpenInferenceRpc)
    request = door.request(1)
    request.raw_input_contents.append(raw([[31.5, 2.25, 1, 3]]))

    with pytest.raises(Refused, match="expected 2 entries of raw_input_contents, one an input, got 1"):
        door.infer(request)


@pytest.mark.parametrize("name", ONLINE)
def test_unknown_categories_and_missing_values_are_counted_alike_at_every_door(
    client: httpx.Client, doors: dict[str, Door], name: str
) -> None:
    before = counted(client)

    doors[name].ask(ROWS)
    with pytest.raises(Refused):
        doors[name].ask([{**ROWS[3], "등급": 31}])

    after = counted(client)
    assert {key: after[key] - before[key] for key in after} == {
        ("unknown_categories", "도시"): 1,
        ("missing_values", "도시"): 1,
        ("missing_values", "임금"): 2,
    }


def counted(client: httpx.Client) -> dict[tuple[str, str], float]:
    text = client.get("/metrics").text
    found = re.findall(
        r'^sigmax_(\w+_(?:categories|values))_total\{feature="(.*)",model="mixed",version="1"\} (.*)$',
        text,
        re.MULTILINE,
    )
    return {(kind, feature): float(count) for kind, feature, count in found}


def test_both_descriptions_have_kinds_vocabularies_and_what_missing_and_unknown_mean(
    client: httpx.Client, doors: dict[str, Door]
) -> None:
    by_rest = client.get("/v1/models/mixed").json()["features"]
    door = doors["grpc named"]
    assert isinstance(door, Rpc)

    by_grpc = door.describe().features

    keys = ("name", "kind", "dtype", "missing", "vocabulary", "unknown")
    assert [tuple(feature.get(key) for key in keys) for feature in by_rest] == [
        ("나이", "numeric", "float64", "reject", None, None),
        ("도시", "category", "string", "category", ["대구", "부산", "서울"], "zero"),
        ("임금", "numeric", "float64", "impute", None, None),
        ("회원", "boolean", "bool", "reject", None, None),
        ("등급", "category", "int64", "reject", ["1", "2", "30"], "reject"),
        ("방문", "integer", "int64", "reject", None, None),
    ]
    for told, feature in zip(by_grpc, by_rest, strict=True):
        assert (told.name, told.kind, told.missing) == (feature["name"], feature["kind"], feature["missing"])
        assert list(told.vocabulary) == feature.get("vocabulary", [])
        assert told.unknown == feature.get("unknown", "")


def test_both_metadata_list_both_inputs(client: httpx.Client, doors: dict[str, Door]) -> None:
    by_rest = client.get("/v2/models/mixed").json()
    door = doors["v2 grpc raw"]
    assert isinstance(door, OpenInferenceRpc)

    by_grpc = door.metadata()

    assert by_rest["inputs"] == [
        {"name": "features", "datatype": "FP64", "shape": [-1, 4]},
        {"name": "categories", "datatype": "BYTES", "shape": [-1, 2]},
    ]
    assert by_rest["properties"]["features"] == '["나이", "임금", "회원", "방문"]'
    assert by_rest["properties"]["categories"] == '["도시", "등급"]'
    assert [(one.name, one.datatype, list(one.shape)) for one in by_grpc.inputs] == [
        ("features", "FP64", [-1, 4]),
        ("categories", "BYTES", [-1, 2]),
    ]
    assert dict(by_grpc.properties) == by_rest["properties"]


@pytest.mark.parametrize("path", ["/v1/models/mixed:probabilities", "/v2/models/mixed/infer"])
def test_the_documented_examples_work_as_they_are(
    client: httpx.Client, doors: dict[str, Door], path: str
) -> None:
    paths = resolved(client.get("/openapi.json").json())
    example = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]

    answer = client.post(path, json=example).json()

    said = answer["probabilities"] if "probabilities" in answer else answer["outputs"][0]["data"]
    assert np.array(said).tobytes() == doors["rest named"].ask(ROWS[:2]).tobytes()
