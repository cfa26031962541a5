"""Compression both ways and ids that come back, on every kind of address of a real service."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.service import Service, running
from tests.wire import Reply, Wire

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
IDS = (b"X-Request-Id: order 17/b", b"Traceparent: " + PARENT, b"Tracestate: rojo=1, congo=t61rcWkgMzE")
RETURNED = {
    "x-request-id": "order 17/b",
    "traceparent": PARENT.decode(),
    "tracestate": "rojo=1, congo=t61rcWkgMzE",
}
ROW = [5.1, 3.5, 1.4, 0.2]
Pack = Callable[[bytes], bytes]
PACK: dict[str, Pack] = {"gzip": gzip.compress, "deflate": zlib.compress}
UNPACK: dict[str, Pack] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@pytest.fixture(scope="module")
def service(repository: Path) -> Iterator[Service]:
    with running(repository, SIGMAX_SERVE_MODEL_CONTROL="1") as started:
        yield started


@pytest.fixture
def wire(service: Service) -> Iterator[Wire]:
    made = Wire(service)
    yield made
    made.close()


def asked(wire: Wire, line: str, *headers: bytes, body: bytes | None = None) -> Reply:
    own = (b"Host: x",) if body is None else (b"Host: x", b"Content-Length: %d" % len(body))
    wire.send(b"\r\n".join([f"{line} HTTP/1.1".encode(), *own, *headers, b"", b""]) + (body or b""))
    return wire.reply(has_body=not line.startswith("HEAD"))


def classes(count: int) -> bytes:
    return json.dumps({"rows": [ROW] * count}).encode()


def infer(count: int, **further: object) -> bytes:
    tensor = {"name": "features", "shape": [count, 4], "datatype": "FP64", "data": [ROW] * count}
    return json.dumps({"inputs": [tensor], **further}).encode()


ADDRESSES = [
    ("POST /v1/models/iris:classes", classes(1), 200),
    ("POST /v1/models/iris:probabilities", classes(1), 200),
    ("POST /v2/models/iris/infer", infer(1), 200),
    ("POST /v2/models/iris/infer", b"{", 400),
    ("POST /v1/models/none:classes", classes(1), 404),
    ("GET /v1/models/iris:classes", None, 405),
    ("POST /v1/models/iris:explode", b"{}", 404),
    ("GET /v2/health/live", None, 200),
    ("GET /v2/health/ready", None, 200),
    ("HEAD /v2/health/ready", None, 200),
    ("GET /v2/", None, 200),
    ("GET /v2/models/none", None, 404),
    ("GET /metrics", None, 200),
    ("POST /metrics", b"", 405),
    ("GET /status", None, 200),
    ("GET /docs", None, 200),
    ("GET /nothing", None, 404),
    ("DELETE /v1/models", None, 405),
]


@pytest.mark.parametrize(("line", "body", "status"), ADDRESSES)
def test_ids_come_back_with_every_answer(wire: Wire, line: str, body: bytes | None, status: int) -> None:
    reply = asked(wire, line, *IDS, body=body)

    assert reply.status == status
    names = [name for name, _ in reply.headers]
    assert {name: reply.header(name) for name in names if name in RETURNED} == RETURNED
    assert len(names) == len(set(names))
    if status >= 400:
        assert json.loads(reply.body)["request_id"] == RETURNED["x-request-id"]


@pytest.mark.parametrize(("line", "body", "status"), ADDRESSES)
def test_an_error_names_its_request_when_the_caller_does_not(
    wire: Wire, line: str, body: bytes | None, status: int
) -> None:
    said = [
        asked(wire, line, b"X-Request-Id: " + b"x" * 201, b"traceparent: nonsense", body=body)
        for _ in range(2)
    ]

    if status < 400:
        assert [reply.header("x-request-id") for reply in said] == [None] * 2
    else:
        names = [json.loads(reply.body)["request_id"] for reply in said]
        assert names == [reply.header("x-request-id") for reply in said]
        assert len(set(names)) == 2
    assert said[0].header("traceparent") is None


def test_an_id_that_would_be_a_header_of_its_own_does_not_come_back(wire: Wire) -> None:
    reply = asked(wire, "GET /v2", b"X-Request-Id: a\tSet-Cookie: b", b"tracestate: a=\xff")

    assert (reply.status, reply.header("x-request-id")) == (200, None)


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("POST /v1/models/iris:classes", classes(700)),
        ("POST /v2/models/iris/infer", infer(1)),
        ("POST /v1/models/iris:predict", json.dumps({"instances": [ROW]}).encode()),
        ("POST /v2/repository/index", b'{"ready": true}'),
    ],
)
def test_a_packed_request_is_answered_as_the_same_one_that_is_not(
    wire: Wire, coding: str, line: str, body: bytes
) -> None:
    plain = asked(wire, line, body=body)
    packed = asked(wire, line, b"Content-Encoding: " + coding.encode(), body=PACK[coding](body))

    assert plain.status == 200
    assert packed[::2] == plain[::2]


@pytest.mark.parametrize("coding", PACK)
def test_the_length_of_a_packed_requests_json_is_that_of_what_it_holds(wire: Wire, coding: str) -> None:
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64", "parameters": {"binary_data_size": 32}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = b"Inference-Header-Content-Length: %d" % len(head)
    body = head + bytes(32)

    line = "POST /v2/models/iris/infer"
    plain = asked(wire, line, length, body=body)
    packed = asked(
        wire,
        line,
        length,
        b"Content-Encoding: " + coding.encode(),
        b"Accept-Encoding: " + coding.encode(),
        body=PACK[coding](body),
    )

    assert (packed.status, packed.header("content-encoding")) == (200, coding)
    assert UNPACK[coding](packed.body) == plain.body
    assert packed.header("inference-header-content-length") == plain.header("inference-header-content-length")


PAGES = [
    ("GET /docs/swagger-ui.css", None),
    ("GET /openapi.json", None),
    ("GET /metrics", None),
    ("GET /v1/models/iris", None),
    ("POST /v1/models/iris:classes", classes(20)),
    ("POST /v1/models/iris:classes", classes(5000)),
    ("POST /v2/models/iris/infer", infer(100)),
]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"gzip, deflate, br, zstd", "gzip"),
        (b"deflate, gzip;q=0.5", "deflate"),
        (b"br\r\nAccept-Encoding: *;q=0.1", "gzip"),
    ],
)
@pytest.mark.parametrize(("line", "body"), PAGES)
def test_answers_of_a_kib_and_more_are_packed_for_those_who_ask(
    wire: Wire, line: str, body: bytes | None, accepted: bytes, coding: str
) -> None:
    plain = asked(wire, line, body=body)
    packed = asked(wire, line, b"Accept-Encoding: " + accepted, body=body)

    assert plain.header("content-encoding") is None
    assert (packed.status, packed.header("content-encoding")) == (200, coding)
    assert packed.header("vary") == "accept-encoding"
    assert len(packed.body) < len(plain.body)
    content = UNPACK[coding](packed.body)
    assert content == plain.body or line == "GET /metrics"


@pytest.mark.parametrize(
    "accepted", [b"identity", b"gzip;q=0, deflate;q=0", b"br", b"identity, gzip;q=0.5", b"*;q=0"]
)
@pytest.mark.parametrize(("line", "body"), PAGES)
def test_nothing_is_packed_for_those_who_do_not_ask(
    wire: Wire, line: str, body: bytes | None, accepted: bytes
) -> None:
    assert asked(wire, line, b"Accept-Encoding: " + accepted, body=body).header("content-encoding") is None


@pytest.mark.parametrize("line", ["GET /", "POST /v1/models/iris:classes"])
def test_short_answers_are_packed_only_for_those_who_take_nothing_else(wire: Wire, line: str) -> None:
    body = classes(1) if line.startswith("POST") else None

    codings = [
        asked(wire, line, b"Accept-Encoding: " + accepted, body=body).header("content-encoding")
        for accepted in (b"gzip, deflate", b"gzip", b"deflate", b"gzip, identity;q=0")
    ]

    assert codings == [None, "gzip", "deflate", "gzip"]


def test_an_answer_that_is_computed_later_is_packed_too(wire: Wire, repository: Path) -> None:
    example = json.loads((repository / "temple_or_flower" / "1" / "example.json").read_bytes())
    body = json.dumps(example).encode()
    line = "POST /v1/models/temple_or_flower:classes"

    plain = asked(wire, line, *IDS, body=body)
    packed = asked(
        wire, line, *IDS, b"Accept-Encoding: gzip", b"Content-Encoding: gzip", body=gzip.compress(body)
    )

    assert (plain.status, packed.header("content-encoding")) == (200, "gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert packed.header("x-request-id") == RETURNED["x-request-id"]


def test_errors_are_told_as_they_are(wire: Wire) -> None:
    reply = asked(wire, "POST /v1/models/iris:classes", b"Accept-Encoding: gzip", body=b"{")

    assert (reply.status, reply.header("content-encoding")) == (400, None)
    assert json.loads(reply.body)["code"] == "INVALID_INPUT"
