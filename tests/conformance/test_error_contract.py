"""One error contract: the same error has its status, its code, its text and its places at every door."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import grpc
import httpx
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from tests.conformance import models
from tests.service import Service, call, running

from sigmax.errors import Code, InvalidInput, Overloaded, Problem, SigmaxError
from sigmax.inference.catalog import Catalog
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.readiness import Readiness
from sigmax.rest.errors import STATUS as REST_STATUS
from sigmax.rest.front import rest_door
from sigmax.rpc.door import RpcDoor
from sigmax.rpc.errors import STATUS as RPC_STATUS
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2 as classifier
from sigmax.wire import open_inference_grpc_pb2 as oip

LIMIT = 2**20
ROW = np.array([[0.5, 1.0]])
Ask = Callable[..., dict[str, "Said"]]


@dataclass(frozen=True)
class Said:
    """A refusal, whichever door it came from: code, text, and the field and message of each problem."""

    code: str
    text: str
    problems: tuple[tuple[str, str], ...]


def by_rest(response: httpx.Response) -> Said:
    document = response.json()
    assert response.status_code == REST_STATUS[Code(document["code"])]
    found = [(detail["field"], detail["message"]) for detail in document.get("details", [])]
    return Said(document["code"], document["error"], tuple(found))


def by_grpc(error: Any) -> Said:
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    assert error.code() is RPC_STATUS[Code(info.reason)]
    found = [(violation.field, violation.description) for violation in bad.field_violations]
    return Said(info.reason, error.details(), tuple(found))


def inferred(model: str, features: Any, version: str = "", typed: bool = False) -> bytes:
    request = oip.ModelInferRequest(model_name=model, model_version=version)
    tensor = request.inputs.add(name="features", datatype="FP64", shape=features.shape)
    if typed:
        tensor.contents.fp64_contents.extend(features.ravel().tolist())
    else:
        request.raw_input_contents.append(features.tobytes())
    return request.SerializeToString()


def tensor_body(features: Any) -> dict[str, Any]:
    data = {
        "name": "features",
        "datatype": "FP64",
        "shape": list(features.shape),
        "data": features.ravel().tolist(),
    }
    return {"inputs": [data]}


# Every code, raised behind the doors.


class Refusing(Dispatch):
    """A dispatch that answers every request with one error."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        super().__init__(Catalog(), 1)
        self.error = error

    def ask(self, *_: Any) -> NoReturn:
        raise self.error


def error_with(code: Code) -> SigmaxError:
    """An error that carries a code."""
    for kind in SigmaxError.__subclasses__():
        if kind.code is code:
            return kind("그 text")
    raise LookupError(code)


async def through_every_door(error: Exception) -> dict[str, Said]:
    """What each way to ask says when all it meets is one error."""
    dispatch, metrics, catalog = Refusing(error), Metrics(), Catalog()
    ready = Readiness(catalog)
    rpc = RpcDoor(catalog, dispatch, ready, metrics, LIMIT)
    port = rpc.bind("127.0.0.1", 0)
    await rpc.start()
    said: dict[str, Said] = {}
    transport = httpx.ASGITransport(app=rest_door(catalog, dispatch, ready, metrics, LIMIT))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        for verb in (":classes", ":probabilities", ":predict", ":classify"):
            said[verb] = by_rest(await client.post(f"/v1/models/m{verb}", content=b"{}"))
        said["infer"] = by_rest(await client.post("/v2/models/m/infer", content=b"{}"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        channel: Any = opened
        for path in (
            "/sigmax.v1.Classifier/PredictClasses",
            "/sigmax.v1.Classifier/PredictProbabilities",
            "/inference.GRPCInferenceService/ModelInfer",
        ):
            asked = channel.unary_unary(path)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await asked(b"")
            said[path] = by_grpc(caught.value)
    await rpc.stop(0)
    return said


@pytest.mark.parametrize("code", Code)
def test_every_code_is_said_alike_at_every_door(code: Code) -> None:
    said = asyncio.run(through_every_door(error_with(code)))

    assert set(said.values()) == {Said(code.value, "그 text", ())}


def test_every_problem_is_said_alike_at_every_door() -> None:
    problems = [
        Problem("too wide", "rows[0]", 0, None, "row 0"),
        Problem("too red", "rows[1]['b c']", 1, "b c", "row 1"),
    ]

    said = asyncio.run(through_every_door(InvalidInput.of(problems)))

    expected = (("rows[0]", "too wide"), ("rows[1]['b c']", "too red"))
    assert set(said.values()) == {Said("INVALID_INPUT", "row 0: too wide; row 1: too red", expected)}


@pytest.mark.parametrize("error", [ValueError("secret=hunter2"), KeyError("/work/secret")])
def test_what_nobody_foresaw_is_opaque_at_every_door(error: Exception) -> None:
    said = asyncio.run(through_every_door(error))

    for one in said.values():
        assert one.code == "INTERNAL"
        assert one.text.startswith("internal error, reference ")
        assert "secret" not in one.text


async def in_a_stream(error: Exception, requests: list[bytes]) -> list[str]:
    """The text that a stream has for each request, when all that it meets is one error."""
    metrics, catalog = Metrics(), Catalog()
    rpc = RpcDoor(catalog, Refusing(error), Readiness(catalog), metrics, LIMIT)
    port = rpc.bind("127.0.0.1", 0)
    await rpc.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        channel: Any = opened
        answers = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(iter(requests))
        said = [oip.ModelStreamInferResponse.FromString(answer) async for answer in answers]
    await rpc.stop(0)
    assert [one.infer_response.id for one in said] == ["7", ""]
    return [one.error_message for one in said]


@pytest.mark.parametrize("code", Code)
def test_a_stream_has_the_text_of_every_code_and_goes_on(code: Code) -> None:
    requests = [oip.ModelInferRequest(id="7").SerializeToString(), b""]

    assert asyncio.run(in_a_stream(error_with(code), requests)) == ["그 text"] * 2


def test_overload_has_its_code_at_every_door() -> None:
    said = asyncio.run(through_every_door(Overloaded("full", 2.0)))

    assert {one.code for one in said.values()} == {"OVERLOADED"}


# Codes that a caller can provoke in a real service.


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("contract")
    models.publish(root)
    broken = root / "broken" / "1"
    shutil.copytree(root / "plain" / "1", broken)
    (broken / "model.onnx").write_bytes(b"no graph")
    with running(root) as started:
        yield started


@pytest.fixture(scope="module")
def ask(service: Service) -> Iterator[Ask]:
    """Ask the same of every door: a model, features, and a version."""
    with httpx.Client(base_url=service.rest) as client, grpc.insecure_channel(service.grpc) as channel:
        yield partial(refusals, client, channel)


def refusals(
    client: httpx.Client, channel: grpc.Channel, model: str, features: Any, version: str = ""
) -> dict[str, Said]:
    rows, place = features.tolist(), f"{model}/versions/{version}" if version else model
    body = json.dumps({"rows": rows}).encode()
    message = classifier.PredictClassesRequest(model=model, version=version)
    for row in rows:
        message.rows.add().list_value.extend(row)
    said = {
        f"rest {verb}": by_rest(client.post(f"/v1/models/{place}:{verb}", content=body))
        for verb in ("classes", "probabilities")
    }
    for verb, key in (("predict", "instances"), ("classify", "examples")):
        given = rows if verb == "predict" else [dict(zip("ab", row, strict=False)) for row in rows]
        asked = client.post(f"/v1/models/{place}:{verb}", content=json.dumps({key: given}).encode())
        said[f"rest {verb}"] = by_rest(asked)
    tensor = json.dumps(tensor_body(features)).encode()
    said["v2 rest"] = by_rest(client.post(f"/v2/models/{place}/infer", content=tensor))
    infer = "/inference.GRPCInferenceService/ModelInfer"
    for name, path, request in (
        ("grpc classes", "/sigmax.v1.Classifier/PredictClasses", message.SerializeToString()),
        ("grpc probabilities", "/sigmax.v1.Classifier/PredictProbabilities", message.SerializeToString()),
        ("v2 grpc raw", infer, inferred(model, features, version)),
        (
            "v2 grpc typed",
            infer,
            inferred(model, features, version, True),
        ),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, path, request)
        said[name] = by_grpc(caught.value)
    return said


@pytest.mark.parametrize(
    ("model", "version", "expected", "field"),
    [
        ("plane", "", ("NOT_FOUND", "unknown model 'plane', did you mean 'plain'?"), "model"),
        ("plain", "2", ("NOT_FOUND", "model 'plain' has no version '2' ready, version 1 is"), "version"),
        ("broken", "", ("NOT_READY", "model 'broken' has no version that is ready"), "model"),
    ],
)
def test_a_model_that_does_not_answer_is_said_alike(
    ask: Ask, model: str, version: str, expected: tuple[str, str], field: str
) -> None:
    said = ask(model, ROW, version)

    assert set(said.values()) == {Said(*expected, ((field, expected[1]),))}


def test_too_many_rows_are_said_alike(ask: Ask) -> None:
    said = ask("plain", np.zeros((10_001, 2)))

    text = "10001 rows in one request, at most 10000 are taken"
    assert {(one.code, one.text) for one in said.values()} == {("INVALID_INPUT", text)}


def test_a_number_that_is_none_is_said_alike_but_for_where_it_stood(ask: Ask) -> None:
    said = ask("plain", np.array([[0.5, 1.0], [0.5, np.inf]]))

    assert {one.code for one in said.values()} == {"INVALID_INPUT"}
    texts = {name: one.text for name, one in said.items()}
    assert texts.pop("v2 rest") == "row 1, feature 'b': expected a finite number, got the number inf"
    assert set(texts.values()) == {"row 1, feature 'b': expected a finite number, got inf"}
    fields = {name: one.problems[0][0] for name, one in said.items()}
    assert fields.pop("rest predict") == "instances[1][1]"
    assert fields.pop("rest classify") == "examples[1].b"
    assert {field for name, field in fields.items() if "v2" in name} == {"inputs.features[1][1]"}
    assert {field for name, field in fields.items() if "v2" not in name} == {"rows[1][1]"}


@pytest.mark.parametrize(
    ("path", "request_bytes"),
    [
        ("/grpc.health.v1.Health/Check", b""),
        ("/inference.GRPCInferenceService/ServerLive", b""),
        ("/inference.GRPCInferenceService/ModelInfer", inferred("plain", ROW)),
        ("/inference.GRPCInferenceService/ModelInfer", inferred("plain", ROW, typed=True)),
        ("/sigmax.v1.Classifier/ListModels", b""),
    ],
)
def test_a_real_service_gives_back_the_ids_of_a_call(
    service: Service, path: str, request_bytes: bytes
) -> None:
    given = {
        "x-request-id": "order 7",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "a=1",
    }
    with grpc.insecure_channel(service.grpc) as opened:
        channel: Any = opened
        _, with_ids = channel.unary_unary(path).with_call(
            request_bytes, metadata=[*given.items()], timeout=20
        )
        _, without = channel.unary_unary(path).with_call(request_bytes, timeout=20)

    trailing = dict(with_ids.trailing_metadata())
    assert {name: trailing[name] for name in given} == given
    assert not set(given) & set(dict(without.trailing_metadata()))
