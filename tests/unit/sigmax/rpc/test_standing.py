"""A server that falls, with calls under way."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest
from tests import frames
from tests.frames import connected

from sigmax.rpc.standing import Standing

PATIENCE = 20


class Slow:
    """Answers a call when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: bytes, context: Any) -> bytes:
        self.begun.set()
        await self.go.wait()
        return request


def fall(target: str) -> str:
    """Send a call whose path is no text; the status of its end."""
    with connected(target) as connection:
        connection.begin()
        connection.send(frames.call(1, b"/\xff", b""))
        return connection.ended(1)[0].get("grpc-status", "")


def test_what_runs_when_the_server_falls_is_answered_and_new_calls_are_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="grpc._cython.cygrpc")

    async def test() -> list[bytes]:
        slow = Slow()

        async def answer(request: bytes, context: Any) -> bytes:
            return await slow(request, context)

        method = grpc.unary_unary_rpc_method_handler(answer)
        server = Standing([grpc.method_handlers_generic_handler("slow", {"Call": method})], [])
        target = f"127.0.0.1:{server.bind('127.0.0.1', 0)}"
        await server.start()
        async with grpc.aio.insecure_channel(target) as channel:
            call: Any = channel.unary_unary("/slow/Call", bytes, bytes)
            first = call(b"first", timeout=PATIENCE)
            await slow.begun.wait()
            await asyncio.to_thread(fall, target)
            second = call(b"second", timeout=PATIENCE, wait_for_ready=True)
            slow.go.set()
            answers = [await first, await second]
        await server.stop(0)
        return answers

    assert asyncio.run(test()) == [b"first", b"second"]
