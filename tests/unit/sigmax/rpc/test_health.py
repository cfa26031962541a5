"""Watchers of health, over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from tests import frames
from tests.frames import connected

from sigmax.rpc.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING, Health

PATIENCE = 20
WATCH = "/grpc.health.v1.Health/Watch"
NAMED = health_pb2.HealthCheckRequest(service="small").SerializeToString()


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Health, str, Any]]:
    """The service, its address, and what watches a model."""
    health, server = Health(), grpc.aio.server()
    server.add_generic_rpc_handlers((health.handler(),))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    await health.tell("small", SERVING)
    async with grpc.aio.insecure_channel(target) as channel:
        yield health, target, lambda: channel.unary_stream(WATCH, bytes, bytes)(NAMED, timeout=PATIENCE)
    await server.stop(0)


async def said(watch: Any) -> int:
    status: int = health_pb2.HealthCheckResponse.FromString(await watch.read()).status
    return status


def test_a_watcher_is_told_each_change_once_and_not_serving_at_the_end() -> None:
    async def test() -> None:
        async with opened() as (health, _, watch):
            watching = watch()
            told = [await said(watching)]
            for status in (SERVING, NOT_SERVING, NOT_SERVING, SERVING):
                await health.tell("small", status)
                if status != told[-1]:
                    told.append(await said(watching))
            await health.forget("small")
            told.append(await said(watching))
            leaving = asyncio.create_task(health.leave())
            told.append(await said(watching))
            end = await watching.code()
            await leaving

        assert told == [SERVING, NOT_SERVING, SERVING, SERVICE_UNKNOWN, NOT_SERVING]
        assert end is grpc.StatusCode.OK

    asyncio.run(test())


def test_a_watcher_that_takes_nothing_holds_up_neither_the_change_nor_others() -> None:
    async def test() -> None:
        async with opened() as (health, target, watch):
            with connected(target) as connection:
                connection.begin(window=0)
                connection.send(*[frames.call(2 * number + 1, WATCH.encode(), NAMED) for number in range(50)])
                watching = watch()
                told = [await said(watching)]
                async with asyncio.timeout(PATIENCE):
                    for status in (NOT_SERVING, SERVING):
                        await health.tell("small", status)
                        told.append(await said(watching))

        assert told == [SERVING, NOT_SERVING, SERVING]

    asyncio.run(test())


def test_who_leaves_waits_for_the_last_word_to_watchers_though_others_went_before() -> None:
    async def test() -> int:
        async with opened() as (health, _, watch):
            gone = watch()
            await said(gone)
            gone.cancel()
            async with asyncio.timeout(PATIENCE):
                while health._open:
                    await asyncio.sleep(0.001)
            watching = watch()
            await said(watching)
            await health.leave()
            return health._open

    assert asyncio.run(test()) == 0


def test_after_the_service_has_begun_to_leave_nothing_serves_any_more() -> None:
    health = Health()

    async def test() -> None:
        await health.tell("small", SERVING)
        await health.leave()
        await health.tell("small", SERVING)

    asyncio.run(test())

    assert health_pb2.HealthCheckResponse.FromString(health.check(NAMED)).status == NOT_SERVING


def test_a_watch_whose_first_word_is_on_its_way_when_the_service_leaves_has_its_last_word_too() -> None:
    async def scenario() -> list[bytes]:
        health = Health()
        await health.tell("three", SERVING)
        written: list[bytes] = []

        class Context:
            def add_done_callback(self, _: Any) -> None: ...

            async def write(self, message: bytes) -> None:
                written.append(message)
                if len(written) == 1:
                    asyncio.get_running_loop().call_soon(
                        lambda: leaving.append(asyncio.ensure_future(health.leave()))
                    )
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)

        leaving: list[asyncio.Future[None]] = []
        context: Any = Context()
        await health._watch(health_pb2.HealthCheckRequest(service="three").SerializeToString(), context)
        leaving[0].cancel()
        return written

    said = [health_pb2.HealthCheckResponse.FromString(message).status for message in asyncio.run(scenario())]

    assert said == [SERVING, NOT_SERVING]
