"""What callers of a costly model see, through both doors."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from tests.unit.sigmax.inference.engines import COSTLY, PATIENCE, Held, Picky, Watched, serve
from tests.unit.sigmax.manifests import BINARY, MULTICLASS, model

from sigmax.contract import Manifest
from sigmax.inference.batching import Batching, Limits
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.costs import UNMEASURED, Costs
from sigmax.inference.dispatch import Dispatch, Promise
from sigmax.inference.engine import Engine, OnnxEngine
from sigmax.inference.loading import load_catalog
from sigmax.inference.readiness import Readiness
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.classifier import ClassesQuery, ProbabilitiesQuery
from sigmax.rest.front import rest_door
from sigmax.rpc.door import RpcDoor
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

LIMIT = 2**20
Call = grpc.aio.UnaryUnaryCall[bytes, bytes]


class Doors:
    """Both doors to one model, and what counts."""

    def __init__(self, engine: Engine, limits: Limits | None, manifest: Manifest, costs: Costs) -> None:
        self.metrics, self._address = Metrics(), ""
        catalog = Catalog([Entry("small", serve(engine, manifest, costs))])
        self.batching = Batching(self.metrics.lane, limits)
        self.dispatch = Dispatch(catalog, 100, self.batching)
        ready = Readiness(catalog)
        self.rpc = RpcDoor(catalog, self.dispatch, ready, self.metrics, LIMIT)
        self.app = rest_door(catalog, self.dispatch, ready, self.metrics, LIMIT)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Doors]:
        port = self.rpc.bind("127.0.0.1", 0)
        await self.rpc.start()
        transport = httpx.ASGITransport(app=self.app)
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as self.channel,
            httpx.AsyncClient(transport=transport, base_url="http://here") as self.client,
        ):
            yield self
        await self.rpc.stop(0)
        self.batching.close()

    def call(self, *rows: Any, timeout: float | None = None) -> Call:
        request = classifier_pb2.PredictProbabilitiesRequest(model="small")
        for row in rows:
            request.rows.add().list_value.extend(row)
        same: Callable[[bytes], bytes] = bytes
        method = self.channel.unary_unary("/sigmax.v1.Classifier/PredictProbabilities", same, same)
        return method(request.SerializeToString(), timeout=timeout)

    def infer(self, rows: Any, **parameters: int) -> Call:
        request = open_inference_grpc_pb2.ModelInferRequest(model_name="small")
        request.inputs.add(name="features", datatype="FP64", shape=np.shape(rows))
        request.inputs[0].contents.fp64_contents.extend(np.ravel(rows))
        for name, value in parameters.items():
            request.parameters[name].int64_param = value
        same: Callable[[bytes], bytes] = bytes
        method = self.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", same, same)
        return method(request.SerializeToString())

    async def post(self, *rows: Any) -> httpx.Response:
        return await self.client.post("/v1/models/small:probabilities", json={"rows": list(rows)})

    async def until(self, line: str) -> None:
        """Wait for a line of the metrics."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while line not in self.metrics.exposition().decode():
            assert asyncio.get_running_loop().time() < end, f"{line} did not come"
            await asyncio.sleep(0.001)


def doors(
    engine: Engine, limits: Limits | None = None, manifest: Manifest = BINARY, costs: Costs = COSTLY
) -> Any:
    return Doors(engine, limits, manifest, costs).opened()


async def held(engine: Held, opened: Doors) -> asyncio.Task[httpx.Response]:
    """A request whose run has begun and is held."""
    first = asyncio.create_task(opened.post([0.5, 0]))
    await asyncio.to_thread(engine.wait_for_a_run)
    return first


def waiting(rows: int) -> str:
    return f'sigmax_queue_rows{{model="small",version="1"}} {rows}.0'


def dropped(reason: str) -> str:
    return f'sigmax_queue_dropped_total{{model="small",reason="{reason}",version="1"}} 1.0'


def test_a_grpc_call_whose_deadline_passes_in_the_queue_is_not_computed() -> None:
    async def test() -> None:
        async with doors(engine := Held()) as opened:
            first = await held(engine, opened)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await opened.call([1, 0], timeout=0.2)
            engine.let_go()
            await first
            await opened.until(waiting(0))

        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert engine.runs == [[0.5]]
        assert 'code="DEADLINE",door="grpc"' in opened.metrics.exposition().decode()

    asyncio.run(test())


def test_a_grpc_call_that_is_cancelled_in_the_queue_is_not_computed() -> None:
    async def test() -> None:
        async with doors(engine := Held()) as opened:
            first = await held(engine, opened)
            call = opened.call([1, 0])
            await opened.until(waiting(2))
            call.cancel()
            await opened.until(waiting(1))
            engine.let_go()
            await first
            await opened.until(dropped("cancelled"))

        assert engine.runs == [[0.5]]
        assert 'code="CANCELLED",door="grpc"' in opened.metrics.exposition().decode()

    asyncio.run(test())


def test_a_request_whose_timeout_passes_in_the_queue_is_not_computed_though_its_caller_waits() -> None:
    async def test() -> None:
        async with doors(engine := Held()) as opened:
            first = await held(engine, opened)
            calls = [opened.infer([[1, 0]], timeout=after) for after in (100_000, 60_000_000)]
            await opened.until(waiting(3))
            await asyncio.sleep(0.1)
            engine.let_go()
            await first
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await calls[0]
            await calls[1]

        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.value.details() == "the deadline passed while the request waited to be computed"
        assert engine.runs == [[0.5], [1.0]]

    asyncio.run(test())


def test_a_full_queue_tells_each_door_when_to_try_again() -> None:
    async def test() -> None:
        async with doors(engine := Held(), Limits(max_queue_rows=1)) as opened:
            first = await held(engine, opened)
            response = await opened.post([1, 0])
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await opened.call([1, 0])
            engine.let_go()
            await first

        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert response.json()["code"] == "OVERLOADED"
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing: Any = error.value.trailing_metadata()
        assert dict(trailing)["grpc-retry-pushback-ms"] == "1"

    asyncio.run(test())


def test_a_rest_client_that_goes_away_takes_its_request_out_of_the_queue() -> None:
    async def test() -> None:
        async with doors(engine := Held()) as opened:
            first = await held(engine, opened)
            sent: list[Any] = []
            leave = asyncio.Event()
            came = iter([{"type": "http.request", "body": b'{"rows": [[1, 0]]}', "more_body": False}])

            async def receive() -> Any:
                for message in came:
                    return message
                await leave.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": "POST", "path": "/v1/models/small:classes", "headers": []}
            asked = asyncio.ensure_future(opened.app(scope, receive, send))
            await opened.until(waiting(2))
            leave.set()
            await asked
            engine.let_go()
            await first
            await opened.until(dropped("cancelled"))

        assert sent[0]["status"] == 499
        assert engine.runs == [[0.5]]
        assert 'code="CANCELLED",door="rest"' in opened.metrics.exposition().decode()

    asyncio.run(test())


def test_a_request_that_the_end_of_the_grace_finds_in_the_queue_is_told_that_the_service_leaves() -> None:
    async def test() -> None:
        async with doors(engine := Held()) as opened:
            first = await held(engine, opened)
            asked = asyncio.create_task(opened.post([1, 0]))
            await opened.until(waiting(2))
            asked.cancel()  # as uvicorn does
            response = await asked
            engine.let_go()
            await first

        assert response.status_code == 503
        said = response.json()
        assert (said["error"], said["code"]) == ("the service is shutting down", "NOT_READY")
        assert engine.runs == [[0.5]]

    asyncio.run(test())


def test_an_engine_that_breaks_is_an_opaque_error_of_the_one_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with doors(Picky()) as opened:
            broken = await opened.post([13, 0])
            good = await opened.post([1, 0])

        assert (broken.status_code, good.status_code) == (500, 200)
        assert "such luck" not in broken.text
        assert "such luck" in caplog.text

    asyncio.run(test())


def test_a_cheap_model_is_answered_at_once_on_the_loops_own_thread() -> None:
    async def test() -> None:
        async with doors(engine := Watched(), costs=UNMEASURED) as opened:
            said = opened.dispatch.ask(
                opened.metrics.verb("test", "classes"), ClassesQuery, "small", "", Body(b'{"rows": [[1, 0]]}')
            )
            await opened.post([1, 0])
            await opened.call([1, 0])

        assert isinstance(said, Answer)
        assert set(engine.threads) == {threading.get_ident()}

    asyncio.run(test())


def test_a_dispatch_that_puts_requests_together_has_no_answer_at_once() -> None:
    catalog = Catalog([Entry("small", serve(Watched(), BINARY, COSTLY))])
    dispatch = Dispatch(catalog, 10, Batching(Metrics().lane))

    with pytest.raises(TypeError, match="its answers are promises"):
        dispatch.answer(Metrics().verb("test", "x"), ClassesQuery, "small", "", Body(b'{"rows": [[1, 0]]}'))


class Changing:
    """A catalog of one model whose version is replaced."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def find(self, name: str, version: str = "") -> Served:
        return self.served


class Constant(Held):
    """A held engine that says the same of every row."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self._row = np.array([[1 - probability, probability]])

    def run(self, features: Any) -> Any:
        super().run(features)
        return self._row.repeat(len(features), axis=0)


def test_every_answer_is_of_one_version_while_another_takes_over() -> None:
    async def test() -> None:
        old, new, metrics = Constant(0.25), Constant(0.75), Metrics()
        catalog: Any = Changing(serve(old, BINARY, COSTLY))
        dispatch = Dispatch(catalog, 10, batching := Batching(metrics.lane))
        meter = metrics.verb("test", "probabilities")

        async def ask() -> Answer:
            said = dispatch.ask(meter, ProbabilitiesQuery, "small", "", Body(b'{"rows": [[1, 0]]}'))
            assert isinstance(said, Promise)
            return await said

        asked = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.to_thread(old.wait_for_a_run)
        catalog.served = serve(new, BINARY, COSTLY, "2")
        asked += [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        old.let_go()
        new.let_go()
        answers = [json.loads(answer.body) for answer in await asyncio.gather(*asked)]
        batching.close()

        said = [(answer["version"], answer["probabilities"][0][1]) for answer in answers]
        assert said == [("1", 0.25)] * 3 + [("2", 0.75)] * 3

    asyncio.run(test())


class HeldModel(Held):
    """A real graph whose runs are held."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__()
        self.graph = OnnxEngine(model(manifest), manifest)

    def run(self, features: Any) -> Any:
        self._note(features)
        return self.graph.run(features)


@pytest.mark.parametrize("max_batch_rows", [None, 1, 3])
def test_answers_put_together_are_those_of_requests_alone(max_batch_rows: int | None) -> None:
    engine = HeldModel(MULTICLASS)
    random = np.random.default_rng(max_batch_rows or 0)
    requests = [random.normal(size=(rows, 2)) for rows in random.integers(1, 9, size=60)]
    rows = sum(map(len, requests))

    async def test() -> Any:
        async with doors(engine, Limits(max_batch_rows), MULTICLASS) as opened:

            async def ask(number: int, features: Any) -> Any:
                if number % 2:
                    return (await opened.post(*features.tolist())).json()["probabilities"]
                answer = classifier_pb2.PredictProbabilitiesResponse.FromString(await opened.call(*features))
                return [row.values for row in answer.probabilities]

            asked = [asyncio.create_task(ask(*numbered)) for numbered in enumerate(requests)]
            await opened.until(waiting(rows))
            engine.let_go()
            return await asyncio.gather(*asked)

    answers = asyncio.run(test())

    for said, features in zip(answers, requests, strict=True):
        assert np.abs(np.array(said) - engine.graph.run(features)).max() <= MULTICLASS.tolerance
    assert sum(map(len, engine.runs)) == rows
    assert rows == len(engine.runs) if max_batch_rows == 1 else len(engine.runs) < 0.7 * rows


def test_the_example_models_know_their_costs(repository: Path) -> None:
    for entry in load_catalog(repository).entries:
        assert entry.served is not None
        assert entry.served.costs.curve
