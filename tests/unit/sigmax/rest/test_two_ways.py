"""The lane and uvicorn's way: the same answers, whatever a request says of its answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sigmax.rest.test_lane import BODY, HOT, Wire, connected, hot, lane, until

from sigmax.rest.asgi import Answer
from sigmax.rest.codings import BESIDE

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ANY_WAY = b"!"  # stands for the id that an error's request was given

HEADERS = st.lists(
    st.sampled_from(
        [
            "Accept-Encoding: gzip, deflate, br, zstd",
            "Accept-Encoding: gzip",
            "Accept-Encoding: deflate",
            "Accept-Encoding: gzip;q=0, *",
            "Accept-Encoding: identity",
            "X-Request-Id: one two",
            "X-Request-Id: " + "x" * 201,
            f"Traceparent: {PARENT}",
            "Traceparent: 00-0",
            "Tracestate: a=1",
            "Tracestate: ?",
            "Content-Type: application/json",
            "Content-Type: multipart/form-data",
            "Content-Encoding: identity",
            "X-Other: 1",
        ]
    ),
    max_size=5,
    unique=True,
)
BODIES = [
    BODY,
    json.dumps({"rows": [{"a": 1, "b": 2}] * 10}).encode(),
    b"{}",
    b'{"rows": [{"a": 1, "c": "' + b"x" * 3000 + b'"}]}',
]


async def exchanged(wire: Wire, request: bytes) -> tuple[int, dict[str, str], bytes]:
    await wire.send(request)
    status, headers = await wire.head()
    body = await wire.reader.readexactly(int(headers["content-length"]))
    made = headers.get("x-request-id", "").encode()
    if status >= 400 and made:
        body = body.replace(made, ANY_WAY)
        headers["x-request-id"] = "made" if len(made) == 16 else headers["x-request-id"]
        headers.pop("content-length")
    return status, headers, body


@given(headers=HEADERS, body=st.sampled_from(BODIES))
@settings(max_examples=60)
def test_the_first_time_the_second_time_and_past_the_lane(headers: list[str], body: bytes) -> None:
    async def test() -> None:
        async with asyncio.timeout(20), connected() as wire:
            said = [await exchanged(wire, hot(body, *headers)) for _ in range(2)]
            ways = wire.routes.in_lane, wire.routes.applied
            chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
            head = "\r\n".join([HOT, "Host: x", "Transfer-Encoding: chunked", *headers, "", ""]).encode()
            said.append(await exchanged(wire, head + chunks))
            assert said[0] == said[1] == said[2]
            assert ways == ((0, 2) if "Content-Type: multipart/form-data" in headers else (2, 0))
            assert wire.routes.applied > ways[1]

    asyncio.run(test())


@pytest.mark.parametrize("accepted", ["gzip, deflate, br, zstd", "gzip, deflate", "*", "br"])
def test_a_short_answer_stays_in_the_lane_whatever_is_accepted(accepted: str) -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot(BODY, f"Accept-Encoding: {accepted}"))
        status, headers = await wire.head()
        assert (status, headers.get("content-encoding")) == (200, None)
        assert (wire.routes.in_lane, wire.routes.applied) == (1, 0)

    lane(test)


def test_a_long_answer_is_packed_beside_the_loop_and_what_follows_waits_for_it() -> None:
    async def test(wire: Wire) -> None:
        long = json.dumps([f"{number:08d}" for number in range(BESIDE)]).encode()
        wire.routes.promises, wire.routes.at_once = [], 0
        ask = hot(BODY, "Accept-Encoding: deflate", "X-Request-Id: 1") + hot(BODY, "X-Request-Id: 2")
        await wire.send(ask)
        await wire.routes.promised.wait()
        promises, wire.routes.promises = wire.routes.promises, None
        promises[0].set_result(Answer(long))
        _, first = await wire.head()
        body = await wire.reader.readexactly(int(first["content-length"]))
        assert zlib.decompress(body) == long
        assert (first["content-encoding"], first["x-request-id"]) == ("deflate", "1")
        assert (await wire.head())[1]["x-request-id"] == "2"

    lane(test)


def test_a_head_that_is_known_is_not_read_again_when_its_body_comes_later() -> None:
    async def test(wire: Wire) -> None:
        whole = hot(BODY, "Accept-Encoding: gzip")
        said = [await exchanged(wire, whole)]
        (connection,) = wire.state.connections
        for cut in (len(BODY), len(BODY) - 1, 1):
            await wire.send(whole[:-cut])
            await until(lambda: connection._asked is not None)  # type: ignore[union-attr]
            said.append(await exchanged(wire, whole[-cut:]))
        assert said == [said[0]] * 4
        assert gzip.decompress(said[0][2])
        assert (wire.routes.in_lane, wire.routes.applied) == (4, 0)

    lane(test)


def test_packed_requests_go_past_the_lane() -> None:
    async def test(wire: Wire) -> None:
        await wire.send(hot())
        plain = await wire.answer()
        for _ in range(2):
            await wire.send(hot(gzip.compress(BODY), "Content-Encoding: gzip"))
            assert await wire.answer() == plain
        assert (wire.routes.in_lane, wire.routes.applied) == (3, 2)

    lane(test)


@pytest.mark.parametrize(
    "header", ["X-Request-Id: %d", "Traceparent: 00-%032d-b7ad6b7169203331-01", "Baggage: a=%d", "B3: %d"]
)
def test_heads_that_are_new_each_time_are_answered_in_the_lane_and_not_kept(header: str) -> None:
    async def test(wire: Wire) -> None:
        for number in range(1, 4):
            request = hot(BODY, header % number)
            await wire.send(request)
            assert (await wire.answer())[0] == 200
            assert wire.routes.heads.known(request[: -len(BODY)]) is None
        assert (wire.routes.in_lane, wire.routes.applied) == (3, 0)

    lane(test)
