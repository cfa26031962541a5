from __future__ import annotations

import asyncio
import json
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.unit.sigmax.changing import Repository

from sigmax.errors import NotFound
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.loading import Looked, load_catalog, look
from sigmax.inference.readiness import Readiness
from sigmax.inference.reload import Reloader
from sigmax.inference.status import Status
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery
from sigmax.rest.front import rest_door
from sigmax.rpc.classifier import Classifier
from sigmax.rpc.door import RpcDoor
from sigmax.rpc.inference_protocol import InferenceService
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2
from sigmax.wire import open_inference_grpc_pb2 as pb

DEADLINE = 60
BODY = Body(json.dumps({"rows": [[0, 0]]}).encode())


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture
def repository(workshop: Path, tmp_path: Path) -> Repository:
    (tmp_path / "models").mkdir()
    return Repository(tmp_path / "models", workshop)


class Running:
    """A catalog that is kept true, and who was told."""

    def __init__(self, repository: Repository) -> None:
        self.catalog, self.metrics = load_catalog(repository.root), Metrics()
        self.told: list[str] = []
        self.reloader = Reloader(self.catalog, partial(look, repository.root), self.metrics, self.tell)

    async def tell(self, name: str) -> None:
        self.told.append(name)

    @property
    def version(self) -> str:
        return self.catalog.find("small").version

    def state(self) -> list[str]:
        lines = self.metrics.exposition().decode().splitlines()
        return [line.removeprefix("sigmax_model_") for line in lines if line.startswith("sigmax_model_")]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


def run(repository: Repository, scenario: Callable[[Running], Awaitable[None]]) -> None:
    async def both() -> None:
        running = Running(repository)
        task = asyncio.create_task(running.reloader.run())
        try:
            await scenario(running)
        finally:
            task.cancel()

    asyncio.run(both())


def test_a_new_version_answers_and_everyone_is_told(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(running: Running) -> None:
        assert running.state() == ['state{model="small",version="1"} 1.0']
        repository.publish(2)
        running.reloader.changed(["small"])
        await until(lambda: running.told == ["small"])

        assert running.version == "2"
        assert running.state() == [
            'reloads_total{model="small",outcome="live"} 1.0',
            'state{model="small",version="2"} 1.0',
        ]
        with pytest.raises(NotFound, match="has no version '1' ready, version 2 is"):
            running.catalog.find("small", "1")

    run(repository, scenario)


def test_a_refused_version_is_counted_and_the_old_one_answers(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(running: Running) -> None:
        repository.publish(2, good=False)
        running.reloader.changed(["small"])
        await until(lambda: running.told == ["small"])
        status = await Status(running.catalog, Readiness(running.catalog))()

        assert running.version == "1"
        assert running.state() == [
            'reloads_total{model="small",outcome="refused"} 1.0',
            'state{model="small",version="1"} 1.0',
            'state{model="small",version="2"} 0.0',
        ]
        assert status["ready"] is True
        assert [refused["version"] for refused in status["models"][0]["refused"]] == ["2"]
        assert "row 0, class 'z'" in running.catalog.listing()["details"][0]["reason"]

    run(repository, scenario)


def test_the_first_model_of_an_empty_repository_makes_the_service_ready(repository: Repository) -> None:
    async def scenario(running: Running) -> None:
        readiness = Readiness(running.catalog, ["small"])
        with pytest.raises(NotFound):
            running.catalog.find("small")
        assert not readiness.ready

        repository.publish(1)
        running.reloader.changed(["small"])
        await until(lambda: running.told == ["small"])

        assert running.version == "1"
        assert readiness.ready

    run(repository, scenario)


def test_a_model_that_never_answered_and_vanishes_is_unknown_again(repository: Repository) -> None:
    repository.publish(1, good=False)

    async def scenario(running: Running) -> None:
        repository.delete(1)
        (repository.root / "small").rmdir()
        running.reloader.changed(["small"])
        await until(lambda: running.told == ["small"])

        with pytest.raises(NotFound, match="unknown model 'small'"):
            running.catalog.find("small")
        assert running.state() == []

    run(repository, scenario)


def test_names_that_no_model_can_have_are_not_looked_for(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(running: Running) -> None:
        repository.publish(2)
        running.reloader.changed(["..", "../../etc", "", "small"])
        await until(lambda: running.told != [])

        assert running.told == ["small"]

    run(repository, scenario)


def test_a_request_under_way_ends_with_the_version_that_it_began_with(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(running: Running) -> None:
        began = running.catalog.find("small")
        repository.publish(2)
        running.reloader.changed(["small"])
        await until(lambda: running.told == ["small"])
        meter = running.metrics.verb("test", "classes")
        answer = Dispatch(running.catalog, 10).answer(meter, ClassesQuery, "small", "", BODY)

        assert json.loads(answer.body)["version"] == "2"
        assert began.version == "1"
        assert began.predictor.probabilities(np.zeros((1, 2))).tolist() == [[1 / 3] * 3]

    run(repository, scenario)


async def ask_through_every_door(running: Running) -> tuple[object, ...]:
    """Twice, so that whatever is learnt from a request is used and kept by the doors, the result."""
    catalog, metrics, dispatch = running.catalog, running.metrics, Dispatch(running.catalog, 10)
    classifier = Classifier(catalog, dispatch, metrics)
    inference = InferenceService(catalog, dispatch, Readiness(catalog), metrics)
    rows = classifier_pb2.PredictClassesRequest(model="small")
    rows.rows.add().list_value.extend([1.0, 2.0])
    raw = pb.ModelInferRequest(model_name="small", raw_input_contents=[np.zeros((1, 2)).tobytes()])
    raw.inputs.add(name="features", datatype="FP64", shape=[1, 2])
    door = rest_door(catalog, dispatch, Readiness(catalog), metrics, 4096)
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "data": [1.5, 2.5]}
    bodies = {
        "/v1/models/small:classes": {"rows": [{"a": 1.5, "b": 2.5}]},
        "/v1/models/small:probabilities": {"rows": [[1.5, 2.5]]},
        "/v2/models/small/infer": {"inputs": [tensor]},
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://door") as client:
        for _ in range(2):
            classifier.predict_classes(rows.SerializeToString())
            classifier.predict_probabilities(rows.SerializeToString())
            inference.model_infer(raw.SerializeToString())
            classifier.describe_model(classifier_pb2.DescribeModelRequest(model="small").SerializeToString())
            for path, body in bodies.items():
                assert (await client.post(path, json=body)).status_code == 200
            for path in ("/openapi.json", "/v1/models/small", "/v2/models/small"):
                assert (await client.get(path)).status_code == 200
    return classifier, inference, door


def test_a_version_that_was_replaced_is_freed_and_not_on_the_loop(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(running: Running) -> None:
        doors = await ask_through_every_door(running)
        freed: list[str] = []

        def note() -> None:
            freed.append(threading.current_thread().name)

        weakref.finalize(running.catalog.find("small"), note)
        repository.publish(2)
        running.reloader.changed(["small"])
        await until(lambda: freed != [])

        assert freed == ["sigmax-load_0"]
        assert len(doors) == 3

    run(repository, scenario)


def test_a_description_tells_of_a_version_that_was_refused_after_it_was_first_asked_for(
    repository: Repository,
) -> None:
    repository.publish(1)

    async def scenario(running: Running) -> None:
        classifier = Classifier(running.catalog, Dispatch(running.catalog, 10), running.metrics)
        request = classifier_pb2.DescribeModelRequest(model="small").SerializeToString()
        classifier.describe_model(request)
        repository.publish(2, good=False)
        running.reloader.changed(["small"])
        await until(lambda: running.told == ["small"])
        described = classifier_pb2.DescribeModelResponse.FromString(classifier.describe_model(request))

        assert [status.version for status in described.model_version_status] == ["2", "1"]

    run(repository, scenario)


def test_while_a_model_is_looked_at_the_loop_has_the_interpreter_soon() -> None:
    usual = sys.getswitchinterval()
    during: list[float] = []

    def looked(before: Entry) -> Looked:
        during.append(sys.getswitchinterval())
        return Looked(before)

    async def scenario() -> None:
        reloader = Reloader(Catalog(), looked, Metrics(), nobody)
        task = asyncio.create_task(reloader.run())
        reloader.changed(["small"])
        await until(lambda: during != [])
        await until(lambda: sys.getswitchinterval() == usual)
        task.cancel()

    asyncio.run(scenario())
    assert during[0] <= usual / 10


class Slow:
    """A look that waits until it may go on, and counts."""

    def __init__(self) -> None:
        self.go_on, self.looks = threading.Event(), 0

    def __call__(self, before: Entry) -> Looked:
        self.looks += 1
        self.go_on.wait(DEADLINE)
        return Looked(before)


async def nobody(name: str) -> None:
    """Is told."""


def test_changes_while_a_model_is_looked_at_are_looked_at_once_more_together() -> None:
    async def scenario() -> None:
        slow = Slow()
        reloader = Reloader(Catalog(), slow, Metrics(), nobody)
        task = asyncio.create_task(reloader.run())
        reloader.changed(["small"])
        await until(lambda: slow.looks == 1)  # the loop turns although the thread waits
        for _ in range(100):
            reloader.changed(["small"])
        slow.go_on.set()
        await until(lambda: slow.looks == 2)
        reloader.changed(["last"])
        await until(lambda: slow.looks == 3)
        task.cancel()

        assert slow.looks == 3

    asyncio.run(scenario())


def test_an_error_that_nobody_foresaw_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[str] = []

    def failing(before: Entry) -> Looked:
        looks.append(before.name)
        raise RuntimeError("secret=hunter2")

    async def scenario() -> None:
        reloader = Reloader(Catalog(), failing, Metrics(), nobody)
        task = asyncio.create_task(reloader.run())
        reloader.changed(["small"])
        await until(lambda: looks == ["small"])
        reloader.changed(["other"])
        await until(lambda: looks == ["small", "other"])
        task.cancel()

    asyncio.run(scenario())
    assert "model small: an error that nobody foresaw" in caplog.text


def test_a_model_is_looked_at_again_when_the_look_asks_for_it() -> None:
    agains = [0.0, 0.0, None]
    looks: list[str] = []

    def looked(before: Entry) -> Looked:
        looks.append(before.name)
        return Looked(before, again=agains[len(looks) - 1])

    async def scenario() -> None:
        reloader = Reloader(Catalog(), looked, Metrics(), nobody)
        task = asyncio.create_task(reloader.run())
        reloader.changed(["small"])
        await until(lambda: looks == ["small"] * 3)
        task.cancel()

    asyncio.run(scenario())


def test_a_watch_of_health_is_told_of_a_model_that_comes_and_goes(repository: Repository) -> None:
    async def scenario() -> list[str]:
        catalog = Catalog()
        door = RpcDoor(catalog, Dispatch(catalog, 10), Readiness(catalog), Metrics(), 1024)
        port = door.bind("127.0.0.1", 0)
        await door.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest(service="small"), timeout=DEADLINE)
            told = [await watch.read()]
            told.append(await stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE))
            repository.publish(1)
            catalog.put(load_catalog(repository.root).entry("small"))
            await door.changed("small")
            told.append(await watch.read())
            told.append(await stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE))
            catalog.drop("small")
            await door.changed("small")
            told.append(await watch.read())
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await stub.Check(health_pb2.HealthCheckRequest(service="small"), timeout=DEADLINE)
            assert unknown.value.code() == grpc.StatusCode.NOT_FOUND
        await door.stop(0)
        return [health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) for answer in told]

    said = asyncio.run(scenario())

    assert said == ["SERVICE_UNKNOWN", "NOT_SERVING", "SERVING", "SERVING", "SERVICE_UNKNOWN"]
