"""What goes wrong in or around a page is told as every error is, unless an answer has begun."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigmax.inference.yielding import Yielding
from sigmax.rest.front import OnDemand
from sigmax.rest.pages import Pages

ID = (b"x-request-id", b"mine")


def scope(*headers: tuple[bytes, bytes], method: str = "GET") -> Scope:
    return {"type": "http", "method": method, "path": "/x", "headers": list(headers)}


async def nothing_more() -> Message:
    await asyncio.Future[None]()
    raise AssertionError


async def asked(app: ASGIApp, asking: Scope, receive: Receive = nothing_more) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await Pages(app, 100)(asking, receive, send)
    return sent


def failing(error: BaseException) -> ASGIApp:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise error

    return app


def told(sent: list[Message]) -> tuple[int, dict[str, str], dict[bytes, bytes]]:
    start, body = sent
    return start["status"], json.loads(body["body"]), dict(start["headers"])


@pytest.mark.parametrize("error", [RuntimeError("inner text"), asyncio.CancelledError("inner text")])
@pytest.mark.parametrize("headers", [(), (ID,), ((b"accept-encoding", b"gzip"),)])
def test_an_error_that_nobody_foresaw_is_an_internal_one(
    error: BaseException, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    status, body, answered = told(asyncio.run(asked(failing(error), scope(*headers))))

    assert (status, body["code"]) == (500, "INTERNAL")
    assert set(body) == {"error", "code", "request_id"}
    assert "inner text" not in str(body)
    assert answered[b"x-request-id"].decode() == body["request_id"]
    assert (body["request_id"] == "mine") == (ID in headers)


async def cancelled_while(running: Callable[[asyncio.Event], Awaitable[Any]]) -> Any:
    waits = asyncio.Event()
    task = asyncio.ensure_future(running(waits))
    await waits.wait()
    task.cancel()
    return await task


def test_a_page_that_the_grace_is_over_for_says_so() -> None:
    async def running(waits: asyncio.Event) -> list[Message]:
        async def app(_: Scope, receive: Receive, __: Send) -> None:
            waits.set()
            await receive()

        return await asked(app, scope(ID))

    status, body, answered = told(asyncio.run(cancelled_while(running)))

    assert (status, body["code"], answered[b"x-request-id"]) == (503, "NOT_READY", b"mine")


def test_a_packed_body_that_the_grace_is_over_for_is_told_so() -> None:
    async def running(waits: asyncio.Event) -> list[Message]:
        async def receive() -> Message:
            waits.set()
            return await nothing_more()

        asking = scope((b"content-encoding", b"gzip"), method="POST")
        return await asked(failing(AssertionError()), asking, receive)

    status, body, _ = told(asyncio.run(cancelled_while(running)))

    assert (status, body["code"]) == (503, "NOT_READY")


@pytest.mark.parametrize("headers", [(), (ID,)])
def test_an_answer_that_has_begun_gets_no_second_one(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    sent: list[Message] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        raise RuntimeError("late")

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="late"):
        asyncio.run(Pages(app, 100)(scope(*headers), nothing_more, send))

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


def test_pages_that_could_not_be_loaded_are_loaded_by_the_next_request() -> None:
    async def page(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    tries = iter([OSError("no more files"), None])

    def make() -> ASGIApp:
        error = next(tries)
        if error is not None:
            raise error
        return page

    async def statuses() -> list[int]:
        app = OnDemand(make, Yielding())
        return [(await asked(app, scope()))[0]["status"] for _ in range(3)]

    assert asyncio.run(statuses()) == [500, 204, 204]
