"""Models loaded and unloaded on request in one process: what they mean, and what both doors say."""

from __future__ import annotations

import asyncio
import json
import threading
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.unit.sigmax.changing import Repository
from tests.unit.sigmax.inference.engines import COSTLY, Held, serve
from tests.unit.sigmax.manifests import BINARY

from sigmax.errors import NotFound, NotReady, SigmaxError
from sigmax.inference.batching import Batching
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.control import Indexed, ModelControl, OneProcess
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.loading import Looked, load_catalog, look
from sigmax.inference.readiness import Readiness
from sigmax.inference.reload import Reloader
from sigmax.rest.front import rest_door
from sigmax.rpc.door import RpcDoor
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import open_inference_grpc_pb2 as pb

DEADLINE = 60
ROWS = json.dumps({"rows": [[0, 0]]}).encode()
INDEX, LOAD, UNLOAD = (
    "/v2/repository/index",
    "/v2/repository/models/{}/load",
    "/v2/repository/models/{}/unload",
)
_SERVICE = "/inference.GRPCInferenceService"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture
def repository(workshop: Path, tmp_path: Path) -> Repository:
    (tmp_path / "models").mkdir()
    return Repository(tmp_path / "models", workshop)


class Serving:
    """A repository behind both doors, in this process; made on the loop."""

    def __init__(self, repository: Repository, *, offered: bool) -> None:
        self.metrics, self.catalog = Metrics(), load_catalog(repository.root)
        self.reloader = Reloader(self.catalog, partial(look, repository.root), self.metrics, self._tell)
        self.control = OneProcess(self.catalog, self.reloader)
        asked = self.control if offered else None
        self.readiness, dispatch = Readiness(self.catalog), Dispatch(self.catalog, 10)
        self.rpc = RpcDoor(self.catalog, dispatch, self.readiness, self.metrics, 4096, control=asked)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.rpc.bind('127.0.0.1', 0)}")
        app = rest_door(self.catalog, dispatch, self.readiness, self.metrics, 4096, control=asked)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door")

    async def _tell(self, name: str) -> None:
        await self.rpc.changed(name)

    async def post(self, path: str, body: bytes = b"") -> tuple[int, Any]:
        answer = await self.client.post(path, content=body)
        said = answer.json()
        if isinstance(said, dict):
            said.pop("request_id", None)  # which is another each time
        return answer.status_code, said

    async def classes(self) -> tuple[int, Any]:
        return await self.post("/v1/models/small:classes", ROWS)

    async def version(self) -> str:
        status, said = await self.classes()
        assert status == 200, said
        return str(said["version"])

    async def call(self, method: str, request: Any) -> tuple[str, bytes | str]:
        """Code, and the answer or the text."""
        try:
            asked = self.channel.unary_unary(f"{_SERVICE}/{method}", _same, _same)
            return "OK", await asked(request.SerializeToString(), timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            return error.code().name, str(error.details())


def run(
    repository: Repository, scenario: Callable[[Serving], Awaitable[None]], *, offered: bool = True
) -> None:
    async def both() -> None:
        serving = Serving(repository, offered=offered)
        await serving.rpc.start()
        task = asyncio.create_task(serving.reloader.run())
        try:
            async with serving.client, serving.channel:
                await scenario(serving)
        finally:
            task.cancel()
            await serving.rpc.stop(0)

    asyncio.run(asyncio.wait_for(both(), DEADLINE))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_an_unloaded_model_is_an_error_at_every_door_until_it_is_loaded(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        health = health_pb2_grpc.HealthStub(serving.channel)
        asked = health_pb2.HealthCheckRequest(service="small")
        watch = health.Watch(asked, timeout=DEADLINE)
        before = await serving.classes()
        told = [(await watch.read()).status]

        assert await serving.post(UNLOAD.format("small")) == (200, {"name": "small", "unload": True})
        told.append((await watch.read()).status)
        refused = {
            "error": "model 'small' was unloaded on request: load it, and it answers again",
            "code": "NOT_READY",
        }
        assert await serving.classes() == (503, refused)
        assert await serving.post("/v1/models/small/versions/1:classes", ROWS) == (503, refused)
        asking = pb.ModelMetadataRequest(name="small")
        assert await serving.call("ModelMetadata", asking) == ("UNAVAILABLE", refused["error"])
        assert (await serving.client.get("/v2/models/small/ready")).status_code == 503
        described = (await serving.client.get("/v1/models/small")).json()["model_version_status"][0]
        assert (described["state"], described["status"]["error_message"]) == ("END", "unloaded")
        assert (await serving.client.get("/v1/models")).json()["details"][0]["reason"] == "unloaded"
        assert serving.readiness.reason == "no model is ready: unloaded on request: small"
        assert not [line for line in serving.metrics.exposition().splitlines() if b"model_state{" in line]

        assert await serving.post(LOAD.format("small"), b"{}") == (200, {"name": "small", "load": True})
        told.append((await watch.read()).status)
        assert await serving.classes() == before
        assert serving.readiness.ready
        assert told == [health_pb2.HealthCheckResponse.ServingStatus.Value(word) for word in WORDS]

    run(repository, scenario)


WORDS = ["SERVING", "NOT_SERVING", "SERVING"]


def test_an_unloaded_model_is_left_alone_when_a_version_comes(repository: Repository) -> None:
    repository.publish(1)
    repository.publish(1, name="other")

    async def scenario(serving: Serving) -> None:
        await serving.control.unload("small")
        repository.publish(2)
        repository.publish(2, name="other")
        serving.reloader.changed(["small", "other"])  # one is looked at after the other
        await until(lambda: serving.catalog.find("other").version == "2")
        assert (await serving.classes())[0] == 503

        await serving.control.load("small")
        assert await serving.version() == "2"
        repository.publish(3)  # and from now on all is as it was before
        serving.reloader.changed(["small"])
        await until(lambda: serving.catalog.find("small").version == "3")

    run(repository, scenario)


def test_a_model_that_is_new_is_loaded_without_waiting_for_a_look(repository: Repository) -> None:
    async def scenario(serving: Serving) -> None:
        repository.publish(1)
        assert (await serving.post(LOAD.format("small")))[0] == 200
        assert await serving.version() == "1"

    run(repository, scenario)


def test_a_load_reads_again_what_was_refused_though_nothing_has_changed(repository: Repository) -> None:
    opened: list[int] = []

    def see(before: Entry) -> Looked:
        found = look(repository.root, before)
        opened.extend(found.refused)
        return found

    async def scenario() -> None:
        reloader = Reloader(load_catalog(repository.root), see, Metrics(), nobody)
        task = asyncio.create_task(reloader.run())
        control = OneProcess(reloader._catalog, reloader)
        for _ in range(2):
            with pytest.raises(NotReady, match="version 1 was refused: row 0, class 'z'"):
                await control.load("small")
        task.cancel()

    repository.publish(1, good=False)
    asyncio.run(scenario())
    assert opened == [1, 1]


def _same(data: bytes) -> bytes:
    return data


async def nobody(name: str) -> None:
    """Is told."""


def test_a_broken_version_says_why_and_the_one_before_it_goes_on_answering(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        repository.publish(2, good=False)
        status, said = await serving.post(LOAD.format("small"))
        assert (status, said["code"]) == (503, "NOT_READY")
        assert "model 'small': version 2 was refused: " in said["error"]
        assert said["error"].endswith("; version 1 answers")
        assert await serving.version() == "1"
        found = await serving.control.index()
        assert [one[:3] for one in found] == [("small", "1", "READY"), ("small", "2", "UNAVAILABLE")]
        assert "row 0, class 'z'" in found[1].reason

    run(repository, scenario)


def test_a_folder_that_cannot_be_read_is_the_reason(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        (repository.root / "small").rename(repository.root / "elsewhere")
        (repository.root / "small").symlink_to("small")
        status, said = await serving.post(LOAD.format("small"))
        assert (status, said["code"]) == (503, "NOT_READY")
        assert said["error"] == (
            "model 'small': its folder cannot be read: Too many levels of symbolic links; version 1 answers"
        )
        assert await serving.version() == "1"

    run(repository, scenario)


def test_an_unloaded_model_is_that_whatever_version_or_label_is_asked_for(repository: Repository) -> None:
    repository.publish(1)
    (repository.root / "small" / "labels.json").write_text('{"stable": 1}')

    async def scenario(serving: Serving) -> None:
        label = "/v1/models/small/labels/stable:predict"
        assert (await serving.post(label, b'{"instances": [[0, 0]]}'))[0] == 200
        await serving.control.unload("small")
        for path in (label, "/v1/models/small/labels/none:predict", "/v1/models/small/versions/7:classes"):
            status, said = await serving.post(path, b'{"instances": [[0, 0]]}')
            assert (status, said["error"]) == (
                503,
                "model 'small' was unloaded on request: load it, and it answers again",
            )
        await serving.control.load("small")
        assert (await serving.post(label, b'{"instances": [[0, 0]]}'))[0] == 200
        (repository.root / "small" / "labels.json").write_text("{")
        await serving.control.load("small")  # what is wrong with the labels keeps no version from answering
        assert (await serving.post(label, b'{"instances": [[0, 0]]}'))[0] == 200

    run(repository, scenario)


def test_loading_what_is_loaded_and_unchanged_reads_nothing(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        before = serving.catalog.entry("small")
        await serving.control.load("small")
        assert serving.catalog.entry("small") is before

    run(repository, scenario)


def test_a_model_whose_files_are_gone_is_not_found_though_it_answers(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        repository.delete(1)
        with pytest.raises(NotFound, match="not in the repository any more; version 1 answers from memory"):
            await serving.control.load("small")
        assert await serving.version() == "1"

        await serving.control.unload("small")
        with pytest.raises(NotReady, match="model 'small' has no version that is ready"):
            await serving.control.load("small")
        (repository.root / "small").rmdir()
        with pytest.raises(NotFound, match="unknown model 'small'"):
            await serving.control.load("small")
        assert await serving.control.index() == []

    run(repository, scenario)


def test_what_is_loaded_while_the_model_is_unloaded_does_not_come_back(repository: Repository) -> None:
    repository.publish(1)
    looking, go_on = threading.Event(), threading.Event()

    def slowly(before: Entry) -> Looked:
        looking.set()
        assert go_on.wait(DEADLINE)
        return look(repository.root, before)

    async def scenario() -> None:
        catalog = load_catalog(repository.root)
        reloader = Reloader(catalog, slowly, Metrics(), nobody)
        control = OneProcess(catalog, reloader)
        task = asyncio.create_task(reloader.run())
        repository.publish(2)
        loading = asyncio.create_task(control.load("small"))
        await asyncio.to_thread(looking.wait, DEADLINE)
        await control.unload("small")
        assert (await control.index())[0][:3] == ("small", "1", "LOADING")
        go_on.set()
        with pytest.raises(
            NotReady, match="model 'small' was unloaded on request: load it, and it answers again"
        ):
            await loading
        assert catalog.entry("small").unloaded
        assert (await control.index())[0] == Indexed("small", "1", "UNAVAILABLE", "unloaded")
        task.cancel()

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE))


def test_a_request_under_way_ends_with_the_model_that_is_unloaded_meanwhile() -> None:
    async def scenario() -> None:
        engine, metrics = Held(), Metrics()
        catalog = Catalog([Entry("small", serve(engine, BINARY, COSTLY))])
        batching = Batching(metrics.lane)
        control = OneProcess(catalog, Reloader(catalog, Looked, metrics, nobody))
        door = rest_door(catalog, Dispatch(catalog, 10, batching), Readiness(catalog), metrics, 4096)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://door") as client:
            asked = [client.post("/v1/models/small:classes", content=ROWS) for _ in range(2)]
            began = asyncio.create_task(asked[0])
            await asyncio.to_thread(engine.wait_for_a_run)
            await control.unload("small")
            assert (await asked[1]).status_code == 503
            engine.let_go()
            assert (await began).json()["version"] == "1"
        batching.close()

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE))


def test_what_is_unloaded_is_freed_and_not_on_the_loop(repository: Repository) -> None:
    repository.publish(1)
    freed: list[str] = []

    def note() -> None:
        freed.append(threading.current_thread().name)

    async def scenario(serving: Serving) -> None:
        await serving.version()
        weakref.finalize(serving.catalog.find("small"), note)
        await serving.control.unload("small")
        await until(lambda: freed != [])

    run(repository, scenario)
    assert freed == ["sigmax-load_0"]


def test_a_load_that_is_under_way_when_the_service_leaves_is_told_so(repository: Repository) -> None:
    looking, go_on = threading.Event(), threading.Event()

    def for_ever(before: Entry) -> Looked:
        looking.set()
        go_on.wait(DEADLINE)
        return Looked(before)

    async def scenario() -> None:
        reloader = Reloader(Catalog(), for_ever, Metrics(), nobody)
        task = asyncio.create_task(reloader.run())
        found = reloader.load("small")
        await asyncio.to_thread(looking.wait, DEADLINE)
        task.cancel()
        with pytest.raises(NotReady, match="shutting down"):
            await found
        go_on.set()
        with pytest.raises(NotReady, match="shutting down"):
            reloader.load("small")

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE))


def test_an_error_that_nobody_foresaw_keeps_its_text_from_the_caller() -> None:
    def failing(before: Entry) -> Looked:
        raise RuntimeError("secret=hunter2")

    async def scenario() -> None:
        reloader = Reloader(Catalog(), failing, Metrics(), nobody)
        task = asyncio.create_task(reloader.run())
        for _ in range(2):  # the first did not end it
            with pytest.raises(SigmaxError, match=r"^internal error, reference [0-9a-f]{16}$"):
                await reloader.load("small")
        task.cancel()

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE))


def test_both_doors_say_the_same_of_an_index_a_load_and_an_unload(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        for body in (b"", b" ", b"{}", b'{"ready": false}'):
            listed = await serving.post(INDEX, body)
            said = {"name": "small", "version": "1", "state": "READY", "reason": ""}
            assert listed == (200, [said])
        code, answer = await serving.call("RepositoryIndex", pb.RepositoryIndexRequest())
        assert code == "OK"
        assert isinstance(answer, bytes)
        model = pb.RepositoryIndexResponse.FromString(answer).models[0]
        assert (model.name, model.version, model.state, model.reason) == ("small", "1", "READY", "")

        unload = pb.RepositoryModelUnloadRequest(model_name="small")
        unload.parameters["unload_dependents"].bool_param = True
        code, answer = await serving.call("RepositoryModelUnload", unload)
        assert isinstance(answer, bytes)
        unloaded = pb.RepositoryModelUnloadResponse.FromString(answer)
        assert (code, unloaded.model_name, unloaded.isUnloaded) == ("OK", "small", True)
        assert await serving.post(INDEX) == (200, [{**said, "state": "UNAVAILABLE", "reason": "unloaded"}])
        assert await serving.post(INDEX, b'{"ready": true}') == (200, [])
        code, answer = await serving.call("RepositoryIndex", pb.RepositoryIndexRequest(ready=True))
        assert (code, answer) == ("OK", b"")

        code, answer = await serving.call(
            "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="small")
        )
        assert isinstance(answer, bytes)
        loaded = pb.RepositoryModelLoadResponse.FromString(answer)
        assert (code, loaded.model_name, loaded.isLoaded) == ("OK", "small", True)
        text = serving.metrics.exposition().decode()
        assert 'sigmax_model_control_total{code="OK",verb="index"} 8.0' in text
        assert 'sigmax_model_control_total{code="OK",verb="unload"} 1.0' in text

    run(repository, scenario)


WRONG = [
    (LOAD.format("nobody"), b"", 404, "NOT_FOUND", "unknown model 'nobody'"),
    (UNLOAD.format("smal"), b"", 404, "NOT_FOUND", "unknown model 'smal', did you mean 'small'?"),
    (LOAD.format("%2e%2e"), b"", 404, "NOT_FOUND", "unknown model '..'"),
    (UNLOAD.format("%2e%2e"), b"", 404, "NOT_FOUND", "unknown model '..'"),
    (LOAD.format(".%2Fsmall"), b"", 404, "NOT_FOUND", "no such address"),
    (LOAD.format("..%2f..%2fetc"), b"", 404, "NOT_FOUND", "no such address"),
    (LOAD.format("small%00"), b"", 404, "NOT_FOUND", "unknown model 'small\\\\x00'"),
    (LOAD.format("small%0A"), b"", 404, "NOT_FOUND", "unknown model 'small\\\\n'"),
    (LOAD.format("Small"), b"", 404, "NOT_FOUND", "unknown model 'Small'"),
    (LOAD.format("x" * 70), b"", 404, "NOT_FOUND", "unknown model 'xxx"),
    (LOAD.format("small"), b"[]", 400, "INVALID_INPUT", "the body is a JSON object"),
    (LOAD.format("small"), b"{", 400, "INVALID_INPUT", "the body is not JSON"),
    (LOAD.format("small"), b"[" * 4000, 400, "INVALID_INPUT", "the body is n"),
    (LOAD.format("small"), b"[" * 5000, 413, "TOO_LARGE", "the body is larger than 4096 bytes"),
    (LOAD.format("small"), b'{"parameter": {}}', 400, "INVALID_INPUT", "did you mean 'parameters'?"),
    (LOAD.format("small"), b'{"parameters": []}', 400, "INVALID_INPUT", "'parameters' is an object"),
    (LOAD.format("small"), b'{"parameters": {"x": 1}}', 400, "INVALID_INPUT", "unknown parameter 'x'"),
    (LOAD.format("small"), b'{"parameters": {"config": "{}"}}', 501, "UNIMPLEMENTED", "as it was published"),
    (LOAD.format("small"), b'{"parameters": {"file:1/m": ""}}', 501, "UNIMPLEMENTED", "parameter 'file:1/m'"),
    (UNLOAD.format("small"), b'{"parameters": {"unload": 1}}', 400, "INVALID_INPUT", "unload_dependents"),
    (
        UNLOAD.format("small"),
        b'{"parameters": {"unload_dependents": 1}}',
        *(400, "INVALID_INPUT", "expected true or false, got '1'"),
    ),
    (INDEX, b'{"ready": 1}', 400, "INVALID_INPUT", "'ready' is true or false"),
    (INDEX, b'{"redy": true}', 400, "INVALID_INPUT", "did you mean 'ready'?"),
    ("/v2/repository/mine/index", b"", 501, "UNIMPLEMENTED", "one repository, which has no name"),
    ("/v2/repository/mine/models/small/load", b"", 501, "UNIMPLEMENTED", "one repository"),
    ("/v2/repository/mine/models/small/unload", b"", 501, "UNIMPLEMENTED", "one repository"),
]


def test_wrong_requests_say_what_is_wrong_and_change_nothing(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        before = await serving.classes()
        for path, body, status, code, text in WRONG:
            got, said = await serving.post(path, body)
            assert (path, got, said["code"]) == (path, status, code)
            assert text.replace("\\\\", "\\") in said["error"]
        assert (await serving.client.get(INDEX)).status_code == 405
        assert await serving.classes() == before

    run(repository, scenario)


def _load(name: str = "small", repository: str = "", **parameters: str) -> pb.RepositoryModelLoadRequest:
    request = pb.RepositoryModelLoadRequest(model_name=name, repository_name=repository)
    for key, value in parameters.items():
        request.parameters[key].string_param = value
    return request


def test_wrong_calls_say_what_is_wrong_and_change_nothing(repository: Repository) -> None:
    repository.publish(1)
    unset = pb.RepositoryModelUnloadRequest(model_name="small")
    unset.parameters["unload_dependents"].SetInParent()
    named = pb.RepositoryModelUnloadRequest(model_name="small", repository_name="mine")
    calls = [
        ("RepositoryModelLoad", _load("../small"), "NOT_FOUND", "unknown model '../small'"),
        ("RepositoryModelLoad", _load(""), "NOT_FOUND", "unknown model ''"),
        ("RepositoryModelLoad", _load("nobody"), "NOT_FOUND", "unknown model 'nobody'"),
        ("RepositoryModelLoad", _load(config="{}"), "UNIMPLEMENTED", "as it was published"),
        ("RepositoryModelLoad", _load(other="1"), "INVALID_ARGUMENT", "unknown parameter 'other'"),
        ("RepositoryModelLoad", _load(repository="mine"), "UNIMPLEMENTED", "which has no name"),
        ("RepositoryModelUnload", named, "UNIMPLEMENTED", "which has no name"),
        ("RepositoryModelUnload", unset, "INVALID_ARGUMENT", "expected true or false, got 'None'"),
        ("RepositoryIndex", pb.RepositoryIndexRequest(repository_name="mine"), "UNIMPLEMENTED", "no name"),
    ]

    async def scenario(serving: Serving) -> None:
        before = await serving.classes()
        for method, request, code, text in calls:
            got, said = await serving.call(method, request)
            assert (method, got) == (method, code)
            assert text in str(said)
        assert await serving.classes() == before

    run(repository, scenario)


def test_where_it_is_off_every_address_and_method_says_how_it_is_turned_on(repository: Repository) -> None:
    repository.publish(1)

    async def scenario(serving: Serving) -> None:
        for path in (INDEX, LOAD.format("small"), UNLOAD.format("small"), LOAD.format("%2e%2e")):
            for body in (b"", b"no JSON"):
                status, said = await serving.post(path, body)
                assert (status, said["code"]) == (501, "UNIMPLEMENTED")
                assert "--model-control" in said["error"]
        for method in ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"):
            code, text = await serving.call(method, pb.RepositoryModelLoadRequest(model_name="small"))
            assert code == "UNIMPLEMENTED"
            assert "--model-control" in str(text)
        counted = (await serving.client.get("/metrics")).text
        for verb, count in (("index", 3), ("load", 5), ("unload", 3)):  # through both doors
            assert f'sigmax_model_control_total{{code="UNIMPLEMENTED",verb="{verb}"}} {count}.0' in counted
        assert await serving.version() == "1"
        assert not [one for one in await extensions(serving) if one.startswith("model_repository")]
        assert INDEX not in (await serving.client.get("/openapi.json")).json()["paths"]

    run(repository, scenario, offered=False)


async def extensions(serving: Serving) -> list[str]:
    """What both doors list."""
    code, answer = await serving.call("ServerMetadata", pb.ServerMetadataRequest())
    assert code == "OK"
    assert isinstance(answer, bytes)
    over_grpc = list(pb.ServerMetadataResponse.FromString(answer).extensions)
    over_rest: list[str] = (await serving.client.get("/v2")).json()["extensions"]
    assert over_grpc == over_rest
    return over_rest


def test_where_it_is_on_it_is_listed_and_described(repository: Repository) -> None:
    async def scenario(serving: Serving) -> None:
        listed = await extensions(serving)
        assert listed[-2:] == ["model_repository", "model_repository(unload_dependents)"]
        paths = (await serving.client.get("/openapi.json")).json()["paths"]
        assert {path for path in paths if "repository" in path} == {
            INDEX,
            LOAD.format("{model}"),
            UNLOAD.format("{model}"),
        }

    run(repository, scenario)


def test_an_error_of_the_control_itself_is_counted_and_hides_its_text() -> None:
    class Failing:
        async def index(self) -> list[Indexed]:
            raise RuntimeError("secret=hunter2")

        async def load(self, name: str) -> None:
            """Nothing."""

        async def unload(self, name: str) -> None:
            """Nothing."""

    metrics = Metrics()
    with pytest.raises(SigmaxError, match=r"^internal error"):
        asyncio.run(ModelControl(Failing(), metrics).index("", ready=False))
    assert 'sigmax_model_control_total{code="INTERNAL",verb="index"} 1.0' in metrics.exposition().decode()
