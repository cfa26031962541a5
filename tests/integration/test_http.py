"""HTTP/1.1 by the byte: what clients send that no HTTP library would let a test send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.service import Service, running
from tests.wire import Wire

BODY = b'{"rows": [[5.1, 3.5, 1.4, 0.2]]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
POST = b"POST /v1/models/iris:classes HTTP/1.1\r\nHost: x\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


@pytest.fixture(scope="module")
def service(repository: Path) -> Any:
    with running(repository) as started:
        yield started


@pytest.fixture
def wire(service: Service) -> Any:
    made = Wire(service)
    yield made
    made.close()


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET])
def test_a_body_beside_an_offer_of_another_protocol_is_read(wire: Wire, offer: bytes) -> None:
    wire.socket.sendall(POST + offer + LENGTH + b"\r\n" + BODY)
    whole = wire.answer()
    wire.socket.sendall(POST + offer + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(BODY))
    wire.socket.sendall(BODY + b"\r\n0\r\n\r\n")
    chunked = wire.answer()
    wire.socket.sendall(POST + LENGTH + b"\r\n" + BODY)
    plain = wire.answer()

    assert whole == chunked == plain
    assert plain[1]["results"][0]["label"] == "setosa"


def test_offers_in_many_requests_at_once_are_all_answered(wire: Wire) -> None:
    wire.socket.sendall((POST + H2C + LENGTH + b"\r\n" + BODY) * 2_000)

    assert {wire.answer()[0] for _ in range(2_000)} == {200}


def test_headers_without_end_are_a_431(wire: Wire) -> None:
    wire.socket.sendall(POST + b"X-Filler: " + b"x" * (64 * 2**10))

    status, body = wire.answer()

    assert (status, body["code"]) == (431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        POST + b"Content-Length: abc\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_the_error_body_of_every_other_error(
    wire: Wire, request_bytes: bytes
) -> None:
    wire.socket.sendall(request_bytes)

    status, body = wire.answer()

    assert (status, body["error"], body["code"]) == (400, "this is no HTTP/1.1 request", "INVALID_INPUT")
    assert body["request_id"]
