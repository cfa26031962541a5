"""Requests that do not arrive in time: each is told so and ended, and a silent connection is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service import Service, running
from tests.wire import Wire

BODY = b'{"rows": [[5.1, 3.5, 1.4, 0.2]]}'
POST = b"POST /v1/models/iris:classes HTTP/1.1\r\nHost: x\r\n"
HEAD = POST + b"Content-Length: %d\r\n" % len(BODY)
GOOD = HEAD + b"\r\n" + BODY
LATE = "the request did not arrive within 0.3 seconds"


@pytest.fixture(scope="module")
def service(repository: Path) -> Iterator[Service]:
    with running(repository, SIGMAX_SERVE_RECEIVE_TIMEOUT="0.3") as started:
        yield started


@pytest.fixture
def wire(service: Service) -> Iterator[Wire]:
    made, beside = Wire(service), Wire(service)
    beside.send(GOOD)
    golden = beside.reply().body
    yield made
    made.close()
    beside.send(GOOD)  # idle meanwhile, for longer than a request may take
    again = beside.reply()
    beside.close()
    assert (again.status, again.body) == (200, golden)


@pytest.mark.parametrize(
    "begun",
    [
        POST[:9],
        POST,
        HEAD + b"\r\n" + BODY[:-1],
        HEAD + b"Connection: close\r\n\r\n" + BODY[:-1],
        GOOD + POST[:9],
        GOOD + HEAD + b"\r\n" + BODY[:-1],
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{",
        POST + b"Content-Encoding: gzip\r\nContent-Length: 50\r\n\r\n\x1f\x8b",
        b"GET /v2\r\n",
    ],
    ids=["line", "head", "body", "application", "second line", "second body", "chunk", "packed", "HTTP/0.9"],
)
def test_a_request_that_stops_in_the_middle_is_a_408(wire: Wire, begun: bytes) -> None:
    wire.send(begun)
    if begun.startswith(GOOD):
        assert wire.reply().status == 200

    status, said = wire.answer()

    assert (status, said["code"], said["error"]) == (408, "REQUEST_TIMEOUT", LATE)
    assert wire.ended()


def test_the_id_of_a_request_whose_body_does_not_come_is_told(wire: Wire) -> None:
    wire.send(HEAD + b"X-Request-Id: 17\r\n\r\n")

    reply = wire.reply()

    assert (reply.status, reply.header("x-request-id"), reply.header("connection")) == (408, "17", "close")


def test_who_is_told_to_continue_and_does_not_is_not_waited_for(wire: Wire) -> None:
    wire.send(HEAD + b"Expect: 100-continue\r\n\r\n")

    assert wire.reply().status == 100
    assert wire.answer()[0] == 408
    assert wire.ended()


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_on_which_no_request_begins_is_closed_without_a_word(wire: Wire, sent: bytes) -> None:
    wire.send(sent)

    assert wire.ended()


@pytest.mark.parametrize("before", [b"", GOOD])
def test_line_ends_instead_of_a_request_do_not_hold_a_connection(wire: Wire, before: bytes) -> None:
    wire.send(before)
    if before:
        assert wire.reply().status == 200
    wire.send(b"\r\n")

    assert wire.ended()


def test_a_refused_request_whose_body_never_comes_is_not_waited_for(wire: Wire) -> None:
    wire.send(POST + b"Content-Length: 99999999\r\n\r\n{")

    assert wire.answer()[0] == 413
    assert wire.ended()
