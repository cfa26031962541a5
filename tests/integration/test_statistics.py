"""The statistics of a service of two workers: every request once, whichever worker is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from tests.lifecycle import killed, ready
from tests.service import Service, call, running

from sigmax.wire import classifier_pb2
from sigmax.wire import open_inference_grpc_pb2 as pb

ROW = [5.1, 3.5, 1.4, 0.2]
REST = 6
STAGES = ("queue", "compute_input", "compute_infer", "compute_output")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    iris = Path(__file__).parents[1] / "fixtures" / "format_1"
    with running(iris, "--workers", "2") as started:
        yield started


def rest(service: Service, path: str, document: Any = None) -> httpx.Response:
    """Ask on a new connection, which either worker may take."""
    method = "GET" if document is None else "POST"
    return httpx.request(method, service.rest + path, json=document)


def rpc(service: Service, path: str, request: bytes) -> bytes:
    """Ask on a new connection, likewise."""
    with grpc.insecure_channel(service.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        return call(channel, path, request)


def by_rest(service: Service) -> dict[str, Any]:
    said: dict[str, Any] = rest(service, "/v2/models/iris/stats").raise_for_status().json()["model_stats"][0]
    return said


def by_rpc(service: Service) -> pb.ModelStatistics:
    request = pb.ModelStatisticsRequest(name="iris").SerializeToString()
    answer = rpc(service, "/inference.GRPCInferenceService/ModelStatistics", request)
    return pb.ModelStatisticsResponse.FromString(answer).model_stats[0]


def infer_message(rows: int) -> bytes:
    message = pb.ModelInferRequest(model_name="iris")
    message.inputs.add(name="features", datatype="FP64", shape=[rows, 4])
    message.raw_input_contents.append(np.array([ROW] * rows).tobytes())
    return message.SerializeToString()


def classes_message(rows: int) -> bytes:
    message = classifier_pb2.PredictClassesRequest(model="iris")
    for _ in range(rows):
        message.rows.add().list_value.extend(ROW)
    return message.SerializeToString()


def ask_every_door(service: Service) -> None:
    """Four requests with 1 + 2 + 3 + 4 rows."""
    rest(service, "/v1/models/iris:classes", {"rows": [ROW]}).raise_for_status()
    tensor = {"name": "features", "datatype": "FP64", "shape": [2, 4], "data": [ROW] * 2}
    rest(service, "/v2/models/iris/infer", {"inputs": [tensor]}).raise_for_status()
    rpc(service, "/sigmax.v1.Classifier/PredictClasses", classes_message(3))
    rpc(service, "/inference.GRPCInferenceService/ModelInfer", infer_message(4))


def summary(said: dict[str, Any]) -> tuple[int, ...]:
    """Successes, failures, rows and runs."""
    blocks = said["inference_stats"]
    success, fail = blocks["success"]["count"], blocks["fail"]["count"]
    return success, fail, said["inference_count"], said["execution_count"]


def since(before: dict[str, Any], after: dict[str, Any]) -> tuple[int, ...]:
    return tuple(now - then for now, then in zip(summary(after), summary(before), strict=True))


def sizes(said: dict[str, Any]) -> dict[int, int]:
    return {batch["batch_size"]: batch["compute_infer"]["count"] for batch in said["batch_stats"]}


def test_requests_of_every_door_are_all_there_whichever_worker_is_asked(service: Service) -> None:
    before = by_rest(service)
    for _ in range(REST):
        ask_every_door(service)

    told = [by_rest(service) for _ in range(10)]

    assert {since(before, after) for after in told} == {(4 * REST, 0, 10 * REST, 4 * REST)}
    assert all(after == told[0] for after in told)
    batches = {rows: count - sizes(before).get(rows, 0) for rows, count in sizes(told[0]).items()}
    assert batches == dict.fromkeys((1, 2, 3, 4), REST)
    blocks = told[0]["inference_stats"]
    assert {blocks[stage]["count"] for stage in STAGES} == {blocks["success"]["count"]}
    assert blocks["success"]["ns"] >= sum(blocks[stage]["ns"] for stage in STAGES) > 0
    assert {by_rpc(service).inference_stats.success.ns for _ in range(5)} == {blocks["success"]["ns"]}


def test_failures_are_counted_on_every_door_and_unknown_models_are_nobodys(service: Service) -> None:
    before = by_rest(service)
    assert rest(service, "/v1/models/iris:classes", {"rows": [["x"]]}).status_code == 400
    assert rest(service, "/v2/models/iris/infer", {"inputs": []}).status_code == 400
    assert rest(service, "/v1/models/nobody:classes", {"rows": [ROW]}).status_code == 404
    for name, expected in (("iris", grpc.StatusCode.INVALID_ARGUMENT), ("nobody", grpc.StatusCode.NOT_FOUND)):
        request = pb.ModelInferRequest(model_name=name).SerializeToString()
        with pytest.raises(grpc.RpcError) as refused:
            rpc(service, "/inference.GRPCInferenceService/ModelInfer", request)
        assert refused.value.code() is expected

    after = by_rest(service)

    assert since(before, after) == (0, 3, 0, 0)
    assert after["inference_stats"]["fail"]["ns"] > before["inference_stats"]["fail"]["ns"]


def test_figures_only_ever_grow_and_the_last_run_is_later(service: Service) -> None:
    told = [by_rest(service)]
    for _ in range(4):
        ask_every_door(service)
        told.append(by_rest(service))

    for before, after in pairwise(told):
        assert after["last_inference"] >= before["last_inference"]
        for name, block in after["inference_stats"].items():
            assert block["count"] >= before["inference_stats"][name]["count"]
            assert block["ns"] >= before["inference_stats"][name]["ns"]
    assert told[-1]["last_inference"] > told[0]["last_inference"] > 1.6e12  # milliseconds


def test_what_is_unknown_is_refused_by_both_doors(service: Service) -> None:
    missing = rest(service, "/v2/models/iris/versions/7/stats")

    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert rest(service, "/v2/models/nobody/stats").json()["error"] == "unknown model 'nobody'"
    assert [one["name"] for one in rest(service, "/v2/models/stats").json()["model_stats"]] == ["iris"]
    request = pb.ModelStatisticsRequest(name="nobody").SerializeToString()
    with pytest.raises(grpc.RpcError) as refused:
        rpc(service, "/inference.GRPCInferenceService/ModelStatistics", request)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_what_a_worker_told_outlives_it(service: Service) -> None:
    ask_every_door(service)
    before = by_rest(service)

    asyncio.run(killed(service, lambda: workers_ready(service)))

    after = by_rest(service)
    assert since(before, after) == (0, 0, 0, 0)
    assert after["batch_stats"] == before["batch_stats"]
    assert after["last_inference"] == before["last_inference"]


def workers_ready(service: Service) -> int:
    try:
        return ready(rest(service, "/metrics").text)
    except httpx.TransportError:
        return 0
