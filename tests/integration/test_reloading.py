"""A repository that changes under a running service: what is published goes live, and no request fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.service import Service, call, command, environment, running

from sigmax.repository import bundle, layout
from sigmax.wire import classifier_pb2
from sigmax.wire import open_inference_grpc_pb2 as pb

DEADLINE = 60
CONNECTIONS = 2
ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture
def own_repository(repository: Path, tmp_path: Path) -> Path:
    """A copy of iris alone."""
    shutil.copytree(repository / "iris", tmp_path / "models" / "iris")
    return tmp_path / "models"


def publish(root: Path, source: Path, spoil: Callable[[Path], Any] = lambda folder: None) -> None:
    """Publish a bundle as the next version of its model, spoilt before it is seen."""
    read = bundle.read(source)
    files = {name: (source / name).read_bytes() for name in read.manifest.files}
    layout.publish(root, read.manifest, files, spoil)


def cut(folder: Path) -> None:
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:100])


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition; only the deadline is a matter of time."""
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.01)


def status(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    asked = command("status", service.rest, *arguments)
    return subprocess.run(asked, capture_output=True, text=True, timeout=DEADLINE, env=environment())


def said(health: int) -> str:
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(health))


@dataclass
class Client:
    """One connection that asks again and again; every request is accounted for."""

    versions: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def ask(self, once: Callable[[], str], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.versions.append(once())
            except (httpx.HTTPError, grpc.RpcError, AssertionError) as error:
                self.errors.append(repr(error))


def by_rest(client: httpx.Client) -> str:
    answer = client.post("/v1/models/iris:classes", json={"rows": [ROW]})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["version"])


def by_grpc(channel: grpc.Channel) -> str:
    request = pb.ModelInferRequest(model_name="iris")
    request.inputs.add(name="features", datatype="FP64", shape=[1, 4])
    request.raw_input_contents.append(np.array(ROW).tobytes())
    answer = call(channel, "/inference.GRPCInferenceService/ModelInfer", request.SerializeToString())
    return str(pb.ModelInferResponse.FromString(answer).model_version)


@contextmanager
def asking(service: Service) -> Iterator[list[Client]]:
    """Several connections through both doors, until the block ends."""
    stop, clients, threads = threading.Event(), [], []
    rests = [httpx.Client(base_url=service.rest, timeout=DEADLINE) for _ in range(CONNECTIONS)]
    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection each, not one for all
    channels = [grpc.insecure_channel(service.grpc, options) for _ in range(CONNECTIONS)]
    onces = [lambda c=c: by_rest(c) for c in rests] + [lambda c=c: by_grpc(c) for c in channels]
    for once in onces:
        clients.append(Client())
        threads.append(threading.Thread(target=clients[-1].ask, args=(once, stop)))
        threads[-1].start()
    try:
        yield clients
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for client in rests:
            client.close()
        for channel in channels:
            channel.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_version_goes_live_at_both_doors_and_no_request_fails(
    own_repository: Path, workers: int
) -> None:
    with running(own_repository, "--workers", str(workers)) as service, asking(service) as clients:
        until(lambda: all(client.versions for client in clients))
        publish(own_repository, own_repository / "iris" / "1")
        until(lambda: all(client.versions[-1] == "2" for client in clients))
        shutil.rmtree(own_repository / "iris" / "2")
        until(lambda: all(client.versions[-1] == "1" for client in clients))
        told = status(service)

    assert [client.errors for client in clients] == [[]] * len(clients)
    for client in clients:  # each is at one worker, and that has one version after the other
        first, second = client.versions.index("2"), client.versions[::-1].index("2")
        turns = client.versions[first : len(client.versions) - second]
        assert set(turns) == {"2"}
        assert set(client.versions) == {"1", "2"}
    assert told.returncode == 0, told.stdout


def test_a_bad_version_leaves_the_old_one_and_the_reason_is_everywhere(own_repository: Path) -> None:
    with running(own_repository) as service, httpx.Client(base_url=service.rest) as client:
        assert status(service).returncode == 0
        publish(own_repository, own_repository / "iris" / "1", cut)
        until(lambda: client.get("/v1/models/iris/versions/2").status_code == 503)
        answer = client.post("/v1/models/iris:classes", json={"rows": [ROW]}).json()
        described = client.get("/v1/models/iris").json()
        metrics = client.get("/metrics").text
        refused = client.post("/v1/models/iris/versions/2:classes", json={"rows": [ROW]})
        listed = client.get("/v1/models").json()["details"][0]
        ready = client.get("/v2/health/ready")
        told, as_json = status(service), json.loads(status(service, "--json").stdout)
        with grpc.insecure_channel(service.grpc) as channel:
            request = classifier_pb2.DescribeModelRequest(model="iris").SerializeToString()
            answered = call(channel, "/sigmax.v1.Classifier/DescribeModel", request)
            over_grpc = classifier_pb2.DescribeModelResponse.FromString(answered)

    reason = "model.onnx has 100 bytes, the manifest says"
    assert answer["version"] == "1"
    assert ready.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (503, "NOT_READY")
    assert reason in refused.json()["error"]
    assert [state["state"] for state in described["model_version_status"]] == ["END", "AVAILABLE"]
    assert reason in described["model_version_status"][0]["status"]["error_message"]
    assert reason in over_grpc.model_version_status[0].status.error_message
    assert reason in listed["reason"]
    assert 'sigmax_model_state{model="iris",version="2"} 0.0' in metrics
    assert 'sigmax_model_reloads_total{model="iris",outcome="refused"} 1.0' in metrics
    assert told.returncode == 1
    assert f"  version 2 refused: {reason}" in told.stdout
    assert reason in as_json["models"][0]["refused"][0]["reason"]


def test_the_first_model_of_an_empty_repository_makes_the_service_ready(
    repository: Path, tmp_path: Path
) -> None:
    with (
        running(tmp_path, "--require", "iris") as service,
        httpx.Client(base_url=service.rest) as client,
        grpc.insecure_channel(service.grpc) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        watches = [
            health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE)
            for name in ("", "iris")
        ]
        before = [next(watch).status for watch in watches]
        assert client.get("/v2/health/ready").status_code == 503
        assert client.post("/v1/models/iris:classes", json={"rows": [ROW]}).status_code == 404
        assert "/v1/models/iris:classes" not in client.get("/openapi.json").json()["paths"]
        assert status(service).returncode == 1

        publish(tmp_path, repository / "iris" / "1")
        after = [next(watch).status for watch in watches]

        assert list(map(said, before)) == ["NOT_SERVING", "SERVICE_UNKNOWN"]
        assert list(map(said, after)) == ["SERVING", "SERVING"]
        assert client.get("/v2/health/ready").status_code == 200
        assert by_rest(client) == by_grpc(channel) == "1"
        assert "/v1/models/iris:classes" in client.get("/openapi.json").json()["paths"]
        assert status(service).returncode == 0


def test_a_repository_that_vanishes_takes_nothing_out_of_service_and_status_says_so(
    own_repository: Path,
) -> None:
    with running(own_repository) as service, httpx.Client(base_url=service.rest) as client:
        shutil.rmtree(own_repository / "iris")
        until(lambda: status(service).returncode == 1)

        assert by_rest(client) == "1"
        assert client.get("/v2/health/ready").status_code == 200
        assert "its files are gone from the repository" in status(service).stdout


def test_status_of_no_service_is_one_line_and_exit_code_1() -> None:
    asked = command("status", "http://127.0.0.1:1")

    ended = subprocess.run(asked, capture_output=True, text=True, timeout=DEADLINE, env=environment())

    assert ended.returncode == 1
    assert ended.stderr == "Error: no answer from http://127.0.0.1:1: Connection refused\n"
