"""`ModelStreamInfer` over a socket, of models whose runs are watched and held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from tests.unit.sigmax.inference.engines import COSTLY, PATIENCE, Held, Picky, Watched, serve
from tests.unit.sigmax.manifests import BINARY

from sigmax.inference.batching import Batching
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.costs import UNMEASURED, Costs
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Engine
from sigmax.inference.readiness import Readiness
from sigmax.rpc.door import RpcDoor
from sigmax.rpc.stream import MAX_IN_FLIGHT
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import open_inference_grpc_pb2 as pb

LIMIT = 2**20
SERVICE = "/inference.GRPCInferenceService/"
Call = grpc.aio.StreamStreamCall[bytes, bytes]


class Streaming:
    """A gRPC door to one model, and a channel to it."""

    def __init__(self, engine: Engine, costs: Costs, limit: int) -> None:
        self.metrics = Metrics()
        catalog = Catalog([Entry("small", serve(engine, BINARY, costs))])
        self.batching = Batching(self.metrics.lane)
        dispatch = Dispatch(catalog, 100, self.batching)
        self.rpc = RpcDoor(catalog, dispatch, Readiness(catalog), self.metrics, limit)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Streaming]:
        port = self.rpc.bind("127.0.0.1", 0)
        await self.rpc.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as self.channel:
            yield self
            await self.rpc.stop(0)
        self.batching.close()

    def stream(self, timeout: float | None = None) -> Call:
        same: Callable[[bytes], bytes] = bytes
        method: Any = self.channel.stream_stream(f"{SERVICE}ModelStreamInfer", same, same)
        call: Call = method(timeout=timeout)
        return call

    async def alone(self, request: bytes) -> bytes:
        same: Callable[[bytes], bytes] = bytes
        answer: bytes = await self.channel.unary_unary(f"{SERVICE}ModelInfer", same, same)(request)
        return answer

    async def until(self, line: str) -> None:
        """Wait for a line of the metrics."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while line not in self.metrics.exposition().decode():
            assert asyncio.get_running_loop().time() < end, f"{line} did not come"
            await asyncio.sleep(0.001)

    def counted(self, code: str) -> float:
        """How many requests of streams ended so."""
        series = [meter.series.all for meter in self.metrics._meters if meter.verb == "stream_infer"]
        return sum(one.codes().get(code, 0) for group in series for one in group.values())


def streaming(engine: Engine, costs: Costs = COSTLY, limit: int = LIMIT) -> Any:
    return Streaming(engine, costs, limit).opened()


def request(*values: float, name: str = "features", **fields: Any) -> bytes:
    """A raw request, of a row a value."""
    message = pb.ModelInferRequest(model_name="small", **fields)
    message.inputs.add(name=name, datatype="FP64", shape=[len(values), 2])
    rows = pb.InferTensorContents(fp64_contents=[cell for value in values for cell in (value, 0.0)])
    message.inputs[0].contents.CopyFrom(rows)
    return message.SerializeToString()


async def answers(call: Call, sent: Sequence[bytes]) -> list[pb.ModelStreamInferResponse]:
    """Send all of it, and read to the end."""
    for message in sent:
        await call.write(message)
    await call.done_writing()
    return [pb.ModelStreamInferResponse.FromString(answer) async for answer in call]


def said(answer: pb.ModelStreamInferResponse) -> float:
    return answer.infer_response.outputs[0].contents.fp64_contents[1]


def waiting(rows: int) -> str:
    return f'sigmax_queue_rows{{model="small",version="1"}} {rows}.0'


COSTS = pytest.mark.parametrize("costs", [UNMEASURED, COSTLY], ids=["cheap", "costly"])


@COSTS
def test_each_request_is_answered_in_its_place_as_it_would_be_alone(costs: Costs) -> None:
    async def test() -> None:
        async with streaming(Watched(), costs) as opened:
            sent = [request(number / 64, id=str(number)) for number in range(50)]
            came = await answers(opened.stream(), sent)
            alone = [pb.ModelInferResponse.FromString(await opened.alone(one)) for one in sent]

        for answer, one in zip(came, alone, strict=True):
            assert answer.infer_response.parameters.pop("triton_final_response").bool_param
            assert (answer.error_message, answer.infer_response) == ("", one)
        assert opened.counted("OK") == 50

    asyncio.run(test())


@COSTS
def test_a_wrong_request_has_its_error_in_its_place_and_the_stream_goes_on(costs: Costs) -> None:
    async def test() -> None:
        async with streaming(Watched(), costs) as opened:
            wrong = request(0.5, id="wrong", name="feature")
            call = opened.stream()
            came = await answers(call, [request(0.25), wrong, b"\xff\xff", b"", request(0.75)])
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await opened.alone(wrong)

        assert [said(came[0]), said(came[4])] == [0.25, 0.75]
        assert [answer.error_message for answer in came[1:4]] == [
            error.value.details(),
            "the request is not a inference.ModelInferRequest message",
            "no model is named: send the name of one",
        ]
        assert [answer.infer_response.id for answer in came] == ["", "wrong", "", "", ""]
        assert await call.code() is grpc.StatusCode.OK
        assert (opened.counted("OK"), opened.counted("INVALID_INPUT"), opened.counted("NOT_FOUND")) == (
            2,
            2,
            1,
        )

    asyncio.run(test())


def test_an_error_of_a_run_is_in_its_place_too_and_opaque() -> None:
    async def test() -> None:
        async with streaming(Picky()) as opened:
            came = await answers(opened.stream(), [request(0.5), request(13.0, id="13"), request(0.75)])

        assert [bool(answer.error_message) for answer in came] == [False, True, False]
        assert came[1].error_message.startswith("internal error, reference ")
        assert came[1].infer_response.id == "13"

    asyncio.run(test())


def test_the_requests_of_one_stream_fill_a_batch() -> None:
    async def test() -> None:
        async with streaming(engine := Held()) as opened:
            call = opened.stream()
            for number in range(9):
                await call.write(request(number / 16))
            await opened.until(waiting(9))
            engine.let_go()
            came = await answers(call, [])

        assert [said(answer) for answer in came] == [number / 16 for number in range(9)]
        assert max(map(len, engine.runs)) == 4

    asyncio.run(test())


def test_a_stream_has_only_so_many_requests_in_flight_and_reads_on_as_they_are_answered() -> None:
    async def test() -> None:
        async with streaming(engine := Held()) as opened:
            call, sent = opened.stream(), [request(0.5)] * (3 * MAX_IN_FLIGHT)
            asked = asyncio.create_task(answers(call, sent))
            await opened.until(waiting(MAX_IN_FLIGHT + 1))  # the last of them waits for room
            engine.let_go()
            came = await asked

        assert len(came) == len(sent)
        assert sum(map(len, engine.runs)) == len(sent)

    asyncio.run(test())


def test_large_requests_are_in_flight_one_by_one() -> None:
    async def test() -> None:
        large = request(*[0.5] * 50)
        async with streaming(engine := Held(), limit=len(large)) as opened:
            asked = asyncio.create_task(answers(opened.stream(), [large] * 4))
            await opened.until(waiting(100))
            await asyncio.to_thread(engine.wait_for_a_run)
            assert waiting(100) in opened.metrics.exposition().decode()
            engine.let_go()

            assert len(await asked) == 4

    asyncio.run(test())


def test_all_streams_together_hold_so_much_and_beyond_it_each_goes_on_with_two() -> None:
    async def test() -> None:
        one = request(0.5)
        async with streaming(engine := Held(), limit=4 * len(one)) as opened:
            asked = [asyncio.create_task(answers(opened.stream(), [one] * 4)) for _ in range(8)]
            await opened.until(waiting(32))
            last = asyncio.create_task(answers(opened.stream(), [one] * 4))
            await opened.until(waiting(34))
            await opened.channel.unary_unary(f"{SERVICE}ServerLive")(b"")
            assert waiting(34) in opened.metrics.exposition().decode()
            engine.let_go()

            assert [len(await each) for each in (*asked, last)] == [4] * 9
            assert len(await answers(opened.stream(), [one] * 4)) == 4

    asyncio.run(test())


def test_what_a_cancelled_stream_held_is_free_again() -> None:
    async def test() -> None:
        one = request(0.5)
        async with streaming(engine := Held(), limit=4 * len(one)) as opened:
            calls = [opened.stream() for _ in range(8)]
            for call in calls:
                for _ in range(4):
                    await call.write(one)
            await opened.until(waiting(32))
            for call in calls:
                call.cancel()
            await opened.until(waiting(0))
            asked = asyncio.create_task(answers(opened.stream(), [one] * 4))
            await opened.until(waiting(4))
            engine.let_go()

            assert len(await asked) == 4

    asyncio.run(test())


def test_a_stream_that_is_cancelled_takes_its_requests_out_of_the_queue() -> None:
    async def test() -> None:
        async with streaming(engine := Held()) as opened:
            call = opened.stream()
            await call.write(request(0.5))
            await asyncio.to_thread(engine.wait_for_a_run)
            for _ in range(5):
                await call.write(request(0.75))
            await opened.until(waiting(6))
            call.cancel()
            await opened.until(waiting(0))
            engine.let_go()
            alone = pb.ModelInferResponse.FromString(await opened.alone(request(0.25)))

        assert alone.outputs[0].contents.fp64_contents[1] == 0.25
        assert engine.runs == [[0.5], [0.25]]
        assert opened.counted("CANCELLED") == 6

    asyncio.run(test())


def test_the_deadline_of_a_stream_is_that_of_its_requests() -> None:
    async def test() -> None:
        async with streaming(engine := Held()) as opened:
            call = opened.stream(timeout=1.0)
            await call.write(request(0.5))
            await asyncio.to_thread(engine.wait_for_a_run)
            await call.write(request(0.75))
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await answers(call, [])
            await opened.until(waiting(0))
            engine.let_go()
            await opened.alone(request(0.25))

        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert engine.runs == [[0.5], [0.25]]
        assert opened.counted("DEADLINE") == 2

    asyncio.run(test())


def test_a_service_that_leaves_answers_what_it_has_read_and_ends_the_stream_as_unavailable() -> None:
    async def test() -> None:
        async with streaming(engine := Held()) as opened:
            call, idle = opened.stream(), opened.stream()
            came = await answers_of(idle, request(0.125), engine)
            for value in (0.25, 0.5):
                await call.write(request(value))
            await opened.until(waiting(2))
            stopped = asyncio.create_task(opened.rpc.stop(PATIENCE))
            engine.let_go()
            left = [await read(call) for _ in range(2)]
            ends = [(await one.code(), await one.details()) for one in (call, idle)]
            await stopped

        assert (came, left) == (0.125, [0.25, 0.5])
        assert ends == [(grpc.StatusCode.UNAVAILABLE, "the service is shutting down")] * 2

    asyncio.run(test())


async def answers_of(call: Call, sent: bytes, engine: Held) -> float:
    """Send one request of a model that is held, and have its answer."""
    await call.write(sent)
    engine.let_go(1)
    return await read(call)


async def read(call: Call) -> float:
    """What the next answer says."""
    came = await call.read()
    assert isinstance(came, bytes)
    return said(pb.ModelStreamInferResponse.FromString(came))


def test_the_end_of_the_grace_ends_a_stream_that_still_waits_as_unavailable() -> None:
    async def test() -> None:
        async with streaming(engine := Held()) as opened:
            call = opened.stream()
            await call.write(request(0.25))
            await asyncio.to_thread(engine.wait_for_a_run)
            await opened.rpc.stop(0.5)
            code = await call.code()
            engine.let_go()

        assert code is grpc.StatusCode.UNAVAILABLE
        assert opened.counted("CANCELLED") == 1

    asyncio.run(test())


def test_the_parameter_of_streams_that_end_empty_is_a_boolean() -> None:
    async def test() -> None:
        async with streaming(Watched(), UNMEASURED) as opened:
            parameter = "triton_enable_empty_final_response"
            right, wrong = (
                {parameter: pb.InferParameter(**value)}
                for value in ({"bool_param": True}, {"int64_param": 1})
            )
            came = await answers(
                opened.stream(), [request(0.5, parameters=right), request(0.5, parameters=wrong)]
            )

        assert [answer.error_message for answer in came] == [
            "",
            f"parameter '{parameter}' is a boolean, not the number 1",
        ]

    asyncio.run(test())
