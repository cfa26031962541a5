"""When the time of a client that sends a request is over, told by a clock that the test turns."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.sigmax.rest.test_lane import CHUNKED, COLD, Wire, hot, lane, until

from sigmax.rest.asgi import Answer
from sigmax.rest.http import BYTES_A_SECOND
from sigmax.rest.receiving import watch

PATIENCE = 10.0


async def connection(wire: Wire) -> Any:
    await until(lambda: bool(wire.state.connections))
    (made,) = wire.state.connections
    return made


async def late(wire: Wire) -> bool:
    status, body = await wire.answer()
    return (status, body["code"]) == (408, "REQUEST_TIMEOUT") and await wire.ended()


@pytest.mark.parametrize(
    "head", [hot(b" " * 2**17)[: -(2**17)], CHUNKED + b"%x\r\n" % 2**17], ids=["lane", "application"]
)
def test_a_body_that_keeps_coming_has_more_time(head: bytes) -> None:
    async def test(wire: Wire) -> None:
        sent = 8 * BYTES_A_SECOND
        await wire.send(head, b" " * sent)
        made = await connection(wire)
        await until(lambda: made._received == sent)
        for moment in (1.0, 1.0 + PATIENCE, 1.0 + PATIENCE + 8):
            made.look(moment, PATIENCE)
            assert not made.transport.is_closing()
        made.look(1.0 + PATIENCE + 8.1, PATIENCE)
        assert await late(wire)

    lane(test)


@pytest.mark.parametrize("begun", [hot()[:9], COLD[:9]])
def test_each_request_has_its_own_time(begun: bytes) -> None:
    async def test(wire: Wire) -> None:
        made = await connection(wire)
        for moment in (1.0, 9.0, 17.0):
            await wire.send(begun)
            await until(lambda: not made._between)
            made.look(moment, PATIENCE)
            await wire.send((hot() if hot().startswith(begun) else COLD)[9:])
            assert (await wire.answer())[0] == 200
        made.look(18.0, PATIENCE)
        made.look(1000.0, PATIENCE)
        assert not made.transport.is_closing()

    lane(test)


def test_a_client_that_waits_for_its_answer_owes_nothing() -> None:
    async def test(wire: Wire) -> None:
        promises: list[asyncio.Future[Answer]] = []
        wire.routes.promises = promises
        await wire.send(hot() + COLD)
        await wire.routes.promised.wait()
        made = await connection(wire)
        made.look(1.0, PATIENCE)
        made.look(1000.0, PATIENCE)
        promises[0].set_result(Answer(b'"kept"'))
        assert [(await wire.answer())[0] for _ in range(2)] == [200, 200]

    lane(test)


def test_a_request_that_stops_behind_one_that_is_being_answered_is_told_in_its_turn() -> None:
    async def test(wire: Wire) -> None:
        promises: list[asyncio.Future[Answer]] = []
        wire.routes.promises = promises
        await wire.send(hot())
        await wire.routes.promised.wait()
        await wire.send(hot()[:9])
        made = await connection(wire)
        await until(lambda: not made._between)
        made.look(1.0, PATIENCE)
        made.look(12.0, PATIENCE)
        promises[0].set_result(Answer(b'"kept"'))
        assert await wire.answer() == (200, "kept")
        assert await late(wire)

    lane(test)


def test_a_watch_ends_what_is_silent_and_leaves_what_answers() -> None:
    async def test(wire: Wire) -> None:
        watching = asyncio.create_task(watch(wire.state.connections, 0.05))
        await wire.send(hot())
        assert (await wire.answer())[0] == 200
        address = wire.writer.get_extra_info("peername")
        silent, writer = await asyncio.open_connection(*address)
        assert await silent.read() == b""
        writer.close()
        await wire.send(hot())
        assert (await wire.answer())[0] == 200
        watching.cancel()

    lane(test)
