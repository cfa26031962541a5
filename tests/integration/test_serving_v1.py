"""TensorFlow Serving's and KServe V1's addresses on a running service: verbs, labels, status, wrong input."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service import Service, running
from tests.unit.sigmax.changing import Repository

DEADLINE = 60
ROWS = {"instances": [[0.0, 0.0], [1.0, -3.0]]}
PREDICT = "/v1/models/small:predict"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = tmp_path_factory.mktemp("serving")
    made = Repository(folder / "models", folder / "workshop")
    made.publish(2)
    made.publish(3, good=False)
    write(made, {"stable": 2, "canary": 3, "old": 1})
    return made


@pytest.fixture(scope="module")
def service(repository: Repository) -> Iterator[Service]:
    with running(repository.root, "--poll", "0.05") as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.rest) as made:
        yield made


@pytest.fixture(autouse=True)
def a_golden_request_gets_the_same_answer_after_each(client: httpx.Client) -> Iterator[None]:
    before = client.post(PREDICT, json=ROWS).content
    yield
    assert client.post(PREDICT, json=ROWS).content == before


def write(repository: Repository, labels: Any) -> None:
    beside = repository.root / "small" / ".labels.new"
    beside.write_text(json.dumps(labels))
    beside.rename(beside.with_name("labels.json"))


def until(condition: Callable[[], Any]) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.01)


@pytest.mark.parametrize("verb", ["predict", "classify", "classes", "probabilities"])
def test_a_label_stands_in_the_place_of_a_version_for_every_verb(client: httpx.Client, verb: str) -> None:
    rows = [{"a": 1, "b": 2}]
    keys = {"predict": "instances", "classify": "examples"}
    body = {keys.get(verb, "rows"): rows}

    said = [
        client.post(f"/v1/models/small{which}:{verb}", json=body)
        for which in ("", "/versions/2", "/labels/stable")
    ]

    assert [one.status_code for one in said] == [200] * 3
    assert len({one.content for one in said}) == 1


ADDRESSES: list[tuple[str, str, int, str, str]] = [
    (
        "POST",
        "/v1/models/small/labels/canary:predict",
        503,
        "NOT_READY",
        "label 'canary' is version 3: model 'small' version 3 was refused: ",
    ),
    (
        "POST",
        "/v1/models/small/labels/old:classify",
        404,
        "NOT_FOUND",
        "label 'old' is version 1: model 'small' has no version '1' ready, version 2 is",
    ),
    (
        "POST",
        "/v1/models/small/labels/stabel:predict",
        404,
        "NOT_FOUND",
        "model 'small' has no label 'stabel', did you mean 'stable'?; those that there are: ",
    ),
    ("POST", "/v1/models/smal/labels/stable:predict", 404, "NOT_FOUND", "unknown model 'smal', did you mean"),
    *(
        (
            "POST",
            f"/v1/models/small{both}:predict",
            400,
            "INVALID_INPUT",
            "the address names a version and a label",
        )
        for both in ("/versions/2/labels/stable", "/labels/stable/versions/2")
    ),
    *(
        ("GET", f"/v1/models/small{both}", 400, "INVALID_INPUT", "the address names a version and a label")
        for both in (
            "/versions/2/labels/stable",
            "/labels/x/versions/2",
            "/versions/2/labels/stable/metadata",
        )
    ),
    (
        "POST",
        "/v1/models/small:regress",
        501,
        "UNIMPLEMENTED",
        "use :classify for every class with its score",
    ),
    ("POST", "/v1/models/small/versions/2:regress", 501, "UNIMPLEMENTED", ":regress is not offered"),
    ("POST", "/v1/models/small/labels/stable:explain", 501, "UNIMPLEMENTED", ":explain is not offered"),
    (
        "POST",
        "/v1/models/small:Predict",
        404,
        "NOT_FOUND",
        "no such address: the verbs are :probabilities, :classes, :predict and :classify",
    ),
    ("POST", "/v1/models/small/labels/a/b:predict", 404, "NOT_FOUND", "no such address"),
    ("POST", "/v1/models/small/labels/a%2fb:predict", 404, "NOT_FOUND", "no such address"),
    ("GET", "/v1/models/small:predict", 405, "METHOD_NOT_ALLOWED", "use POST"),
    ("GET", "/v1/models/small/labels/none", 404, "NOT_FOUND", "no label 'none'"),
    ("GET", "/v1/models/small/versions/3/metadata", 503, "NOT_READY", "version 3 was refused"),
    ("GET", "/v1/models/none/metadata", 404, "NOT_FOUND", "unknown model 'none'"),
    ("POST", "/v1/models/small/metadata", 405, "METHOD_NOT_ALLOWED", "use GET"),
]


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: " ".join(case[:2]))
def test_an_address_that_leads_nowhere_says_why(
    client: httpx.Client, case: tuple[str, str, int, str, str]
) -> None:
    method, path, status, code, text = case

    response = client.request(method, path, json=ROWS if method == "POST" else None)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert text in response.json()["error"]


def test_the_status_is_of_the_version_or_label_that_is_asked(client: httpx.Client) -> None:
    every = client.get("/v1/models/small").json()
    of_version = client.get("/v1/models/small/versions/2").json()
    of_label = client.get("/v1/models/small/labels/stable").json()
    refused = client.get("/v1/models/small/labels/canary")

    states = [(state["version"], state["state"]) for state in every["model_version_status"]]
    assert states == [("3", "END"), ("2", "AVAILABLE")]
    assert (every["name"], every["ready"]) == ("small", True)
    assert every["labels"] == {"stable": 2, "canary": 3, "old": 1}
    assert [state["version"] for state in of_version["model_version_status"]] == ["2"]
    assert of_label == of_version
    assert refused.status_code == 503
    assert refused.json()["ready"] is False
    assert [state["state"] for state in refused.json()["model_version_status"]] == ["END"]


@pytest.mark.parametrize("which", ["", "/versions/2", "/labels/stable"])
def test_the_metadata_is_in_tensorflow_servings_form(client: httpx.Client, which: str) -> None:
    said = client.get(f"/v1/models/small{which}/metadata").json()

    assert said["model_spec"] == {"name": "small", "signature_name": "", "version": "2"}
    default = said["metadata"]["signature_def"]["signature_def"]["serving_default"]
    sizes = default["inputs"]["features"]["tensor_shape"]["dim"]
    assert sizes == [{"size": "-1", "name": ""}, {"size": "2", "name": ""}]


def test_what_kserves_client_asks_of_protocol_v1_is_answered(client: httpx.Client) -> None:
    assert client.get("/").json()["status"] == "alive"
    assert client.get("").json()["status"] == "alive"
    assert client.get("/v1/models").json()["models"] == ["small"]
    model = client.get("/v1/models/small").json()
    assert (model["name"], model["ready"]) == ("small", True)


BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "the body is empty: send a JSON object"),
    "an empty object": (b"{}", 400, "neither 'instances' nor 'inputs' is there"),
    "null": (b"null", 400, "the body is a JSON object, not null"),
    "a list": (b"[[1, 2]]", 400, "the body is a JSON object, not a list of 1 values"),
    "a text": (b'"x"', 400, "the body is a JSON object, not the text 'x'"),
    "truncated": (b'{"instances": [[1, 2]', 400, "the body is not JSON"),
    "a comma too many": (b'{"instances": [[1, 2],]}', 400, "the body is not JSON"),
    "two documents": (b'{"instances": [[1, 2]]}{"instances": [[1, 2]]}', 400, "the body is not JSON"),
    "a byte order mark": (b'\xef\xbb\xbf{"instances": [[1, 2]]}', 400, "the body is not JSON"),
    "UTF-16": ('{"instances": [[1, 2]]}'.encode("utf-16"), 400, "the body is not JSON"),
    "half a surrogate pair": (b'{"instances": [["\\ud800", 2]]}', 400, ""),
    "nested a million times": (b'{"instances": ' + b"[" * 1_000_000, 400, "the body is nested too deeply"),
    "nested in pairs": (b'{"instances": ' + b"[" * 2000 + b"]" * 2000 + b"}", 400, ""),
    "NaN": (b'{"instances": [[1, NaN]]}', 400, "row 0, feature 'b': expected a finite number, got nan"),
    "Infinity": (
        b'{"inputs": [[-Infinity, 1]]}',
        400,
        "row 0, feature 'a': expected a finite number, got -inf",
    ),
    "NaN elsewhere": (b'{"instances": [[1, 2]], "x": NaN}', 400, "NaN and Infinity are no JSON numbers"),
    "1e999": (b'{"instances": [[1, 1e999]]}', 400, "row 0, feature 'b': expected a finite number, got inf"),
    "an integer beyond 2**53": (
        b'{"instances": [[1, 9007199254740993]]}',
        400,
        "the integer '9007199254740993', which float64 cannot hold exactly",
    ),
    "a boolean": (
        b'{"instances": [[1, true]]}',
        400,
        "row 0, feature 'b': expected a number, got the boolean true",
    ),
    "null for a number": (
        b'{"instances": [[1, null]]}',
        400,
        "got null, a missing value, which this model",
    ),
    "ragged": (b'{"instances": [[1, 2], [1]]}', 400, "row 1: expected 2 values, got 1"),
    "three dimensions": (b'{"instances": [[[1, 2]]]}', 400, "row 0: expected 2 values, got 1"),
    "no columns": (b'{"instances": [[]]}', 400, "row 0: expected 2 values, got 0"),
    "too many rows": (
        b'{"instances": [' + b",".join([b"[1,2]"] * 10_001) + b"]}",
        400,
        "10001 rows in one request, at most 10000 are taken",
    ),
    "a row of millions": (
        b'{"instances": [[' + b"1," * 10**6 + b"1]]}",
        400,
        "row 0: expected 2 values, got 1000",
    ),
    "a feature too many": (b'{"instances": [{"a": 1, "b": 2, "c": 3}]}', 400, "row 0: unknown feature 'c'"),
    "another letter case": (
        b'{"instances": [{"A": 1, "b": 2}]}',
        400,
        "row 0: unknown feature 'A', did you mean 'a'?; row 0: feature 'a' is missing",
    ),
    "an unknown key": (b'{"instances": [[0, 0], [1, -3]], "parameters": {"x": 1}}', 200, ""),
    "-0.0 and a denormal": (b'{"instances": [[-0.0, 5e-324]]}', 200, ""),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_answered_or_refused_with_what_is_wrong(client: httpx.Client, name: str) -> None:
    body, status, text = BODIES[name]

    response = client.post(PREDICT, content=body)

    assert response.status_code == status
    if status == 200:
        assert "predictions" in response.json()
    else:
        assert response.json()["code"] == "INVALID_INPUT"
        assert text in response.json()["error"]
        assert len(response.json()["error"]) < 2_000


def test_labels_that_change_are_followed_without_a_new_version(
    repository: Repository, client: httpx.Client
) -> None:
    write(repository, {"stable": 2, "canary": 3, "old": 1, "blue": 2})
    until(lambda: client.post("/v1/models/small/labels/blue:predict", json=ROWS).status_code == 200)

    write(repository, {"stable": 2, "canary": 3, "old": 1, "blue": "2"})
    until(lambda: client.get("/status").json()["models"][0]["note"])
    note = client.get("/status").json()["models"][0]["note"]
    still = client.post("/v1/models/small/labels/blue:predict", json=ROWS)

    write(repository, {"stable": 2, "canary": 3, "old": 1})
    until(lambda: client.post("/v1/models/small/labels/blue:predict", json=ROWS).status_code == 404)
    assert note.startswith("labels.json: label 'blue': a version is a whole number")
    assert note.endswith("the labels before it stay")
    assert still.status_code == 200
    assert client.get("/status").json()["models"][0]["note"] == ""


def test_each_verb_is_counted_by_its_name(client: httpx.Client) -> None:
    client.post(PREDICT, json=ROWS)
    client.post("/v1/models/small:classify", json={"examples": [{"a": 1, "b": 2}]})
    client.post("/v1/models/small/labels/none:classify", json={"examples": [{"a": 1, "b": 2}]})

    text = client.get("/metrics").text

    for verb in ("predict", "classify"):
        series = f'code="OK",door="rest",model="small",verb="{verb}",version="2"'
        assert f"sigmax_requests_total{{{series}}}" in text
    assert 'code="NOT_FOUND",door="rest",model="unknown",verb="classify",version=""' in text


def test_a_model_without_the_file_has_no_labels(
    repository: Repository, client: httpx.Client, tmp_path: Path
) -> None:
    other = Repository(repository.root, tmp_path)
    other.publish(1, name="other")
    until(lambda: client.get("/v1/models/other").status_code == 200)

    refused = client.post("/v1/models/other/labels/stable:predict", json=ROWS)

    assert client.get("/v1/models/other").json()["labels"] == {}
    assert (refused.status_code, refused.json()["error"]) == (
        404,
        "model 'other' has no label 'stable'; it has none, labels.json gives some",
    )
