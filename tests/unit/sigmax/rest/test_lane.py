"""The lane of requests that predict: what it answers, in which order, and when it ends a connection."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn
from tests.unit.sigmax.manifests import BINARY
from uvicorn.server import ServerState

from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.inference.readiness import Readiness
from sigmax.protocol.schema import Schema
from sigmax.rest.asgi import Answer, Body, read_body
from sigmax.rest.classifier import ClassesQuery
from sigmax.rest.front import rest_door
from sigmax.rest.heads import Asked, Heads, Route
from sigmax.rest.hot import HotRoutes
from sigmax.rest.http import HttpProtocol
from sigmax.rest.sending import AS_IT_IS, Sending, granted
from sigmax.telemetry.metrics import Metrics

LIMIT = 2**20
BODY = b'{"rows": [{"a": 1, "b": 2}]}'
HOT = "POST /v1/models/small:classes HTTP/1.1"
COLD = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
SECONDS = 100  # of patience: what takes so long never comes


class Constant:
    """An engine with one answer."""

    def run(self, features: Floats) -> Floats:
        return np.tile([0.25, 0.75], (len(features), 1))

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        raise AssertionError("nobody asked for logits")


class Watched(HotRoutes):
    """The routes, and which requests came without ASGI; those are answered by promises, if there are any."""

    def __init__(self, metrics: Metrics) -> None:
        served = Served("small", "1", Predictor(BINARY, Constant()), Schema(BINARY), Proof(1, 0.0, 0), b"{}")
        models = Catalog([Entry("small", served)])
        dispatch = Dispatch(models, 10)
        door = rest_door(models, dispatch, Readiness(models), metrics, LIMIT)
        super().__init__(door, dispatch, metrics, LIMIT)
        self.metrics = metrics
        self.in_lane = self.applied = 0
        self.promises: list[asyncio.Future[Answer]] | None = None
        self.promised = asyncio.Event()
        self.at_once = 0  # so many requests are answered before the first promise

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.applied += 1
        await super().__call__(scope, receive, send)

    def answer(self, route: Route, body: Body, sending: Sending = AS_IT_IS) -> Answer | Awaitable[Answer]:
        self.in_lane += 1
        if self.promises is None or self.in_lane <= self.at_once:
            return super().answer(route, body, sending)
        promise: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.promises.append(promise)
        self.promised.set()
        return promise if sending is AS_IT_IS else granted(promise, sending)


class Wire:
    """One connection to the routes."""

    def __init__(
        self, routes: Watched, state: ServerState, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.routes, self.state, self.reader, self.writer = routes, state, reader, writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.partition(": ") for line in lines[1:-2]]
        return int(lines[0].split()[1]), {name: value for name, _, value in pairs}

    async def answer(self) -> tuple[int, Any]:
        status, headers = await self.head()
        return status, json.loads(await self.reader.readexactly(int(headers["content-length"])))

    async def ended(self) -> bool:
        return await self.reader.read() == b""


@asynccontextmanager
async def connected(keep_alive: float = 75, narrow: bool = False) -> AsyncIterator[Wire]:
    """A connection to a server of its own in this event loop."""
    routes, state = Watched(Metrics()), ServerState()
    config = uvicorn.Config(
        routes,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        interface="asgi3",
        timeout_keep_alive=keep_alive,  # type: ignore[arg-type]
    )
    loop = asyncio.get_running_loop()
    listener, client = socket.create_server(("127.0.0.1", 0)), socket.socket()
    for end in (listener, client) if narrow else ():
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**13)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**13)
    client.connect(listener.getsockname())
    server = await loop.create_server(lambda: HttpProtocol(config, state, {}), sock=listener)
    reader, writer = await asyncio.open_connection(sock=client)
    try:
        yield Wire(routes, state, reader, writer)
    finally:
        server.close()
        # Given up within a flood, the two would stay open: a warning in whichever test collects the garbage.
        for transport in (writer.transport, *(one.transport for one in state.connections)):
            transport.abort()
        await until(lambda: not state.connections)


def lane(test: Callable[[Wire], Awaitable[None]], keep_alive: float = 75, narrow: bool = False) -> None:
    async def within() -> None:
        async with asyncio.timeout(SECONDS), connected(keep_alive, narrow) as wire:
            await test(wire)

    asyncio.run(within())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def hot(body: bytes = BODY, *headers: str, line: str = HOT) -> bytes:
    lines = [line, "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_connection_that_is_given_up_is_closed_at_both_ends() -> None:
    wires: list[Wire] = []

    async def test(wire: Wire) -> None:
        wires.append(wire)
        wire.writer.write(COLD * 2000)
        await wire.answer()
        raise TimeoutError

    with pytest.raises(TimeoutError):
        lane(test)
    assert wires[0].writer.is_closing()
    assert not wires[0].state.connections


CHUNKED = f"{HOT}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
ANSWER = {"model": "small", "version": "1", "results": [{"label": "yes", "probability": 0.75}]}


def test_a_request_is_answered_without_asgi_the_first_time_and_when_its_head_is_known() -> None:
    async def test(wire: Wire) -> None:
        for _ in range(3):
            await wire.send(hot())
            assert await wire.answer() == (200, ANSWER)
        assert (wire.routes.in_lane, wire.routes.applied) == (3, 0)
        assert wire.state.total_requests == 3

    lane(test)


def test_the_answer_has_the_headers_of_every_other_answer() -> None:
    async def test(wire: Wire) -> None:
        wire.state.default_headers = [(b"date", b"today"), (b"x-own", b"1")]
        await wire.send(hot())
        quick = await wire.head()
        await wire.reader.readexactly(int(quick[1]["content-length"]))
        await wire.send(hot(BODY, "Expect: 100-continue"))
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert await wire.head() == quick
        assert (wire.routes.in_lane, wire.routes.applied) == (2, 1)

    lane(test)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_in_many_pieces_is_answered(size: int) -> None:
    async def test(wire: Wire) -> None:
        whole = hot() * 3
        await wire.send(*(whole[place : place + size] for place in range(0, len(whole), size)))
        assert [await wire.answer() for _ in range(3)] == [(200, ANSWER)] * 3

    lane(test)


def test_requests_in_one_packet_are_answered_in_their_order_whichever_way_each_goes() -> None:
    async def test(wire: Wire) -> None:
        chunked = f"{HOT}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{len(BODY):x}\r\n".encode()
        chunked += BODY + b"\r\n0\r\n\r\n"
        wrong, upgrade = hot(b"{}"), hot(BODY, "Connection: Upgrade", "Upgrade: h2c")
        one = [hot(), COLD, hot(), hot(), wrong, chunked, upgrade, hot(), COLD, hot()]
        await wire.send(b"".join(one * 5))
        said = [await wire.answer() for _ in one * 5]
        for _, document in said:
            document.pop("request_id", None)
        good, live = (200, ANSWER), (200, {"live": True})
        bad = (400, {"error": said[4][1]["error"], "code": "INVALID_INPUT"})
        assert said == [good, live, good, good, bad, good, good, good, live, good] * 5

    lane(test)


@pytest.mark.parametrize(
    "request_bytes",
    [
        hot(b"[]"),
        hot(b"\xff"),
        hot(BODY, line="POST /v1/models/none:classes HTTP/1.1"),
        hot(BODY, "Content-Encoding: gzip"),
        hot(b"", line="PUT /v1/models/small:classes HTTP/1.1"),
        hot(b"x" * (LIMIT + 1)),
        f"{HOT}\r\nTransfer-Encoding: chunked\r\n\r\n{LIMIT + 1:x}\r\n".encode()
        + b"x" * (LIMIT + 1)
        + b"\r\n0\r\n\r\n",
    ],
    ids=["no object", "no text", "no model", "compressed", "method", "announced", "counted"],
)
def test_a_refused_request_leaves_the_connection_usable(request_bytes: bytes) -> None:
    async def test(wire: Wire) -> None:
        for _ in range(2):
            await wire.send(request_bytes)
            status, body = await wire.answer()
            assert status >= 400
            assert set(body) >= {"error", "code", "request_id"}
            await wire.send(hot())
            assert await wire.answer() == (200, ANSWER)

    lane(test)


@pytest.mark.parametrize(
    "request_bytes",
    [hot(BODY, "Connection: close"), hot(line=HOT.replace("1.1", "1.0")), hot(BODY, "connection: Close")],
)
def test_the_last_request_of_a_connection_ends_it(request_bytes: bytes) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        await wire.answer()
        await wire.send(request_bytes)
        assert await wire.answer() == (200, ANSWER)
        assert await wire.ended()

    lane(test)


@pytest.mark.parametrize("request_bytes", [hot(), COLD])
def test_a_draining_service_says_close_with_each_answer(request_bytes: bytes) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        await wire.answer()
        wire.routes.draining = True
        await wire.send(request_bytes * 2)
        status, headers = await wire.head()
        assert (status, headers["connection"]) == (200, "close")
        await wire.reader.readexactly(int(headers["content-length"]))
        assert await wire.ended()

    lane(test)


def test_a_server_that_leaves_answers_the_request_whose_body_is_coming() -> None:
    async def test(wire: Wire) -> None:
        whole = hot()
        await wire.send(whole[:-5])
        await until(lambda: bool(wire.state.connections))
        (connection,) = wire.state.connections
        await until(lambda: connection._asked is not None)  # type: ignore[union-attr]
        connection.shutdown()
        await wire.send(whole[-5:])
        status, headers = await wire.head()
        assert (status, headers["connection"]) == (200, "close")
        await wire.reader.readexactly(int(headers["content-length"]))
        assert await wire.ended()

    lane(test)


@pytest.mark.parametrize("request_bytes", [hot(), COLD])
def test_a_server_that_leaves_answers_the_request_that_it_has_not_read_yet(request_bytes: bytes) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        await wire.answer()
        (connection,) = wire.state.connections
        wire.routes.draining = True
        wire.writer.write(request_bytes)  # it is in the server's socket when this returns
        connection.shutdown()
        status, headers = await wire.head()
        assert (status, headers["connection"]) == (200, "close")
        await wire.reader.readexactly(int(headers["content-length"]))
        assert await wire.ended()

    lane(test)


@pytest.mark.parametrize("request_bytes", [hot(), COLD])
def test_a_server_that_leaves_answers_the_request_whose_head_is_coming(request_bytes: bytes) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(request_bytes[:9])
        await until(lambda: bool(wire.state.connections))
        (connection,) = wire.state.connections
        await until(lambda: not connection._between)  # type: ignore[union-attr]
        wire.routes.draining = True
        connection.shutdown()
        await wire.send(request_bytes[9:])
        status, headers = await wire.head()
        assert (status, headers["connection"]) == (200, "close")
        await wire.reader.readexactly(int(headers["content-length"]))
        assert await wire.ended()

    lane(test)


def test_a_server_that_leaves_closes_the_connection_of_a_client_that_says_nothing() -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        await wire.answer()
        (connection,) = wire.state.connections
        connection.shutdown()
        assert await wire.ended()

    lane(test)


def test_a_client_that_leaves_within_its_body_is_counted_and_forgotten() -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot()[:-5])
        await until(lambda: bool(wire.state.connections))
        (connection,) = wire.state.connections
        await until(lambda: connection._asked is not None)  # type: ignore[union-attr]
        wire.writer.close()
        await until(lambda: not wire.state.connections)
        assert wire.routes.in_lane == 0
        assert b'code="INVALID_INPUT",door="rest",model="unknown"' in wire.routes.metrics.exposition()

    lane(test)


def test_a_client_that_left_before_its_body_has_not_sent_an_empty_one() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(InvalidInput, match="ended before"):
        asyncio.run(read_body({"headers": []}, gone, LIMIT))


def test_an_idle_connection_is_closed_after_its_time() -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        await wire.answer()
        assert await wire.ended()

    lane(test, keep_alive=0.05)


def test_a_client_that_does_not_read_is_not_read_either() -> None:
    async def test(wire: Wire) -> None:
        packet, sent = hot(json.dumps({"rows": [{"a": 1, "b": 2}] * 10}).encode()) * 100, 0
        connection: Any = None
        while connection is None or not (connection.flow.read_paused and wire.routes.applied):
            wire.writer.write(packet)
            sent += 100
            await asyncio.sleep(0.001)
            (connection,) = wire.state.connections
        assert connection.transport.get_write_buffer_size() < 2**20
        assert {(await wire.answer())[0] for _ in range(sent)} == {200}

    lane(test, narrow=True)


def test_what_follows_a_promised_answer_waits_for_it() -> None:
    async def test(wire: Wire) -> None:
        promises: list[asyncio.Future[Answer]] = []
        wire.routes.promises = promises
        await wire.send(hot() + COLD)
        await wire.routes.promised.wait()
        wire.routes.promises = None
        await wire.send(hot())
        promises[0].set_result(Answer(b'"kept"'))
        said = [await wire.answer() for _ in range(3)]
        assert said == [(200, "kept"), (200, {"live": True}), (200, ANSWER)]
        await wire.send(hot())
        assert await wire.answer() == (200, ANSWER)

    lane(test)


def test_requests_without_end_are_read_only_as_they_are_answered() -> None:
    async def test(wire: Wire) -> None:
        requests, waiting, unparsed = 2000, 0, 0  # 80 KB, ten times what the sockets hold
        wire.writer.write(COLD * requests)
        for _ in range(requests):
            assert (await wire.answer())[0] == 200
            (connection,) = wire.state.connections
            assert isinstance(connection, HttpProtocol)
            waiting = max(waiting, len(connection.pipeline))
            unparsed = max(unparsed, len(connection.flow.kept))
        assert 0 < waiting < 500
        assert unparsed < 2**15
        await wire.send(hot())
        assert await wire.answer() == (200, ANSWER)

    lane(test, narrow=True)


def test_of_many_requests_that_are_read_at_once_few_are_parsed_before_their_turn() -> None:
    async def test(wire: Wire) -> None:
        await until(lambda: bool(wire.state.connections))
        (connection,) = wire.state.connections
        assert isinstance(connection, HttpProtocol)
        connection.data_received(COLD * 2000)
        waiting = [len(connection.pipeline)]
        for _ in range(2000):
            assert (await wire.answer())[0] == 200
            waiting.append(len(connection.pipeline))
        assert 0 < waiting[0] <= max(waiting) < 500
        await wire.send(hot())
        assert await wire.answer() == (200, ANSWER)

    lane(test)


@pytest.mark.parametrize(
    "before", [COLD, hot(), CHUNKED + b"0\r\n\r\n", hot(BODY, line=HOT.replace("small", "none"))]
)
def test_what_is_no_request_is_refused_after_those_before_it_are_answered(before: bytes) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(before * 3 + b"nonsense\r\n\r\n" + hot())
        said = [(await wire.answer())[0] for _ in range(4)]
        assert said in ([200, 200, 200, 400], [404, 404, 404, 400], [400] * 4)
        assert await wire.ended()

    lane(test)


def test_what_is_no_request_waits_for_a_promise_before_it() -> None:
    async def test(wire: Wire) -> None:
        promises: list[asyncio.Future[Answer]] = []
        wire.routes.promises = promises
        await wire.send(hot() + COLD + CHUNKED + b"nonsense\r\n")
        await wire.routes.promised.wait()
        promises[0].set_result(Answer(b'"kept"'))
        assert [(await wire.answer())[0] for _ in range(3)] == [200, 200, 400]
        assert await wire.ended()

    lane(test)


@pytest.mark.parametrize("before", [b"", COLD])
def test_a_body_that_breaks_off_in_nonsense_is_refused(before: bytes) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(before + CHUNKED + b"nonsense\r\n")
        if before:
            assert (await wire.answer())[0] == 200
        assert (await wire.answer())[0] == 400
        assert await wire.ended()

    lane(test)


@pytest.mark.parametrize("trailer", [b"a: b\r\n" * 100, b"x" * 600], ids=["many", "long"])
def test_trailers_without_end_are_refused_as_headers_are(trailer: bytes) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(CHUNKED + b"0\r\n", *[trailer] * (2**17 // 600))
        status, body = await wire.answer()
        assert (status, body["code"]) == (431, "HEADERS_TOO_LARGE")

    lane(test)


def test_an_offer_of_another_protocol_leaves_the_version_of_a_request_as_it_is() -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot(BODY, "Connection: Upgrade", "Upgrade: h2c", line=HOT.replace("1.1", "1.0")))
        assert await wire.answer() == (200, ANSWER)
        assert await wire.ended()

    lane(test)


@pytest.mark.parametrize("second", [hot(), hot(BODY, "Connection: close")], ids=["lane", "application"])
def test_an_idle_connection_s_time_does_not_end_a_request_that_came_with_the_one_before(
    second: bytes,
) -> None:
    async def test(wire: Wire) -> None:
        promises: list[asyncio.Future[Answer]] = []
        wire.routes.promises, wire.routes.at_once = promises, 1
        await wire.send(hot() + second)
        await wire.routes.promised.wait()
        (connection,) = wire.state.connections
        assert connection.timeout_keep_alive_task is None  # type: ignore[union-attr]
        promises[0].set_result(Answer(b'"kept"'))
        assert [await wire.answer() for _ in range(2)] == [(200, ANSWER), (200, "kept")]

    lane(test)


def test_a_promise_that_fails_is_an_error_like_any_other() -> None:
    async def test(wire: Wire) -> None:
        promises: list[asyncio.Future[Answer]] = []
        wire.routes.promises = promises
        await wire.send(hot())
        await wire.routes.promised.wait()
        promises[0].set_exception(ZeroDivisionError())
        status, body = await wire.answer()
        assert (status, body["code"]) == (500, "INTERNAL")

    lane(test)


@pytest.mark.parametrize(
    "request_bytes", [hot(), hot(BODY, "Connection: close")], ids=["lane", "application"]
)
def test_a_client_that_leaves_takes_its_promise_along(request_bytes: bytes) -> None:
    async def test(wire: Wire) -> None:
        promises: list[asyncio.Future[Answer]] = []
        wire.routes.promises = promises
        await wire.send(request_bytes)
        await wire.routes.promised.wait()
        wire.writer.close()
        await until(promises[0].cancelled)
        await until(lambda: not wire.state.tasks)

    lane(test)


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (b"POST /x HTTP/1.1\r\nhost: x\r\n\r\n", True),
        (b"POST /x HTTP/1.1\r\nhost: x\n\nPOST /y HTTP/1.1\r\n\r\n", False),
        (b"POST /x HTTP/1.1\nhost: x\r\n\r\n", False),
        (b"POST /x HTTP/1.1\r\nhost:\r\n x\r\n\r\n", False),
        (b"\r\nPOST /x HTTP/1.1\r\nhost: x\r\n\r\n", False),
    ],
)
def test_a_head_is_learnt_only_if_it_ends_where_the_parser_ended_it(head: bytes, known: bool) -> None:
    heads = Heads(lambda _: None, LIMIT)
    asked = Asked(Route(Metrics().verb("rest", "test"), ClassesQuery, "x", ""), 0, None, b"")

    heads.learn(head + b"body", [(b"host", b"x")], asked)

    assert (heads.known(head) is asked) == known


MANY = 3_000


def many(numbered: bool) -> bytes:
    """Requests of one read that take far longer than a turn; those with numbers have heads that are new."""
    headers = [[f"X-Request-Id: {number}"] if numbered else [] for number in range(MANY)]
    return b"".join(hot(BODY, *each) for each in headers)


@pytest.mark.parametrize("numbered", [False, True], ids=["known", "new"])
def test_many_requests_of_one_read_leave_others_their_turn(numbered: bool) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        assert (await wire.answer())[0] == 200
        (connection,) = wire.state.connections
        connection.data_received(many(numbered))
        assert wire.routes.in_lane <= MANY  # at least one is left for another turn
        for number in range(MANY):
            status, headers = await wire.head()
            await wire.reader.readexactly(int(headers["content-length"]))
            assert (status, headers.get("x-request-id")) == (200, str(number) if numbered else None)
        assert wire.routes.in_lane == MANY + 1
        await wire.send(hot())
        assert (await wire.answer())[0] == 200

    lane(test)


def test_a_server_that_leaves_answers_a_request_that_it_has_read_and_closes() -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        assert (await wire.answer())[0] == 200
        (connection,) = wire.state.connections
        connection.data_received(many(numbered=False))
        answered = wire.routes.in_lane
        connection.shutdown()
        for _ in range(answered):  # of these the first is read
            status, headers = await wire.head()
            await wire.reader.readexactly(int(headers["content-length"]))
        assert (status, headers["connection"]) == (200, "close")
        assert await wire.ended()

    lane(test)
