"""Wrong and odd HTTP requests, a row of the catalogue a test: what each is told, and that nothing breaks.

After each test a good request gets the answer that it got before the first, byte for byte.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.service import Service, running
from tests.wire import Reply, Wire

LIMIT = 2**20
BODY = b'{"rows": [[5.1, 3.5, 1.4, 0.2], [6.2, 2.9, 4.3, 1.3]]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
POST = b"POST /v1/models/iris:probabilities HTTP/1.1\r\nHost: x\r\n"
GOOD = POST + LENGTH + b"\r\n" + BODY
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"
NO_REQUEST = "this is no HTTP/1.1 request"


@pytest.fixture(scope="module")
def service(repository: Path) -> Iterator[Service]:
    with running(repository, "--max-bytes", str(LIMIT)) as started:
        yield started


@pytest.fixture(scope="module")
def golden(service: Service) -> bytes:
    return ask(service, GOOD).body


@pytest.fixture
def wire(service: Service, golden: bytes) -> Iterator[Wire]:
    made = Wire(service)
    yield made
    made.close()
    again = ask(service, GOOD)
    assert (again.status, again.body) == (200, golden)


def ask(service: Service, data: bytes) -> Reply:
    made = Wire(service)
    made.send(data)
    reply = made.reply()
    made.close()
    return reply


def asked(wire: Wire, *parts: bytes) -> tuple[int, str, str]:
    """Status, code and text of a refusal."""
    wire.send(*parts)
    status, said = wire.answer()
    assert set(said) - {"details"} == {"error", "code", "request_id"}
    return status, said["code"], said["error"]


def posted(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([POST + b"Content-Length: %d" % len(body), *headers, b"", b""]) + body


def peak(service: Service) -> int:
    """The most memory that the worker had, in bytes, since `forget`."""
    lines = Path(f"/proc/{_worker(service)}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget(service: Service) -> int:
    Path(f"/proc/{_worker(service)}/clear_refs").write_text("5", "ascii")
    return peak(service)


def _worker(service: Service) -> int:
    number: int = httpx.get(f"{service.rest}/status").json()["processes"]["workers"][0]["pid"]
    return number


# Row A4, lengths.


def test_a_body_over_the_limit_is_refused_before_it_is_sent(wire: Wire) -> None:
    told = asked(wire, POST + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))

    assert told == (413, "TOO_LARGE", f"the body is larger than {LIMIT} bytes")


def test_a_body_over_the_limit_is_never_held(service: Service, wire: Wire) -> None:
    before = forget(service)

    told = asked(
        wire, CHUNKED, *[b"%x\r\n" % 2**16 + b" " * 2**16 + b"\r\n"] * (64 * 2**20 // 2**16), b"0\r\n\r\n"
    )

    assert told == (413, "TOO_LARGE", f"the body is larger than {LIMIT} bytes")
    assert peak(service) - before < 8 * LIMIT
    wire.send(GOOD)
    assert wire.reply().status == 200


def test_a_length_that_is_too_short_makes_two_wrong_requests(wire: Wire) -> None:
    wire.send(posted(BODY).replace(LENGTH, b"Content-Length: 10\r\n"))

    said = [wire.answer() for _ in range(2)]

    assert [(status, told["code"]) for status, told in said] == [(400, "INVALID_INPUT")] * 2
    assert "JSON" in said[0][1]["error"]
    assert said[1][1]["error"] == NO_REQUEST
    assert wire.ended()


def test_a_body_that_ends_before_its_length_is_no_request(wire: Wire) -> None:
    wire.send(GOOD[:-5])
    wire.socket.shutdown(1)  # nothing more is sent

    assert wire.ended()


# Row A5, chunks.


def test_chunks_of_one_byte_are_put_together(service: Service, golden: bytes, wire: Wire) -> None:
    before = forget(service)

    wire.send(CHUNKED, b"1\r\n \r\n" * 50_000 + LAST)

    assert wire.reply().body == golden
    assert peak(service) - before < 8 * LIMIT


def test_a_chunk_extension_without_end_is_a_431(wire: Wire) -> None:
    wire.send(CHUNKED + b"1;" + b"x" * (2**16 + 2**15))

    status, said = wire.answer()

    assert (status, said["code"]) == (431, "HEADERS_TOO_LARGE")


def test_a_transfer_coding_is_not_taken_for_the_body(wire: Wire) -> None:
    told = asked(wire, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + LAST)

    assert told == (400, "INVALID_INPUT", "transfer-encoding 'gzip, chunked' is not read, only chunked")


# Row A6, compression.


def test_a_bomb_is_refused_and_not_unpacked(service: Service, wire: Wire) -> None:
    bomb = gzip.compress(b"\0" * (100 * 2**20), 1)
    assert len(bomb) < LIMIT
    before = forget(service)

    told = asked(wire, posted(bomb, b"Content-Encoding: gzip"))

    assert told == (413, "TOO_LARGE", f"the body is larger than {LIMIT} bytes when it is unpacked")
    assert peak(service) - before < 8 * LIMIT


@pytest.mark.parametrize(
    "coding", [b"br", b"zstd", b"gzip, gzip", b"gzip\r\nContent-Encoding: deflate", b"compress"]
)
def test_codings_that_are_not_read_are_a_415(wire: Wire, coding: bytes) -> None:
    status, code, text = asked(
        wire, posted(gzip.compress(gzip.compress(BODY)), b"Content-Encoding: " + coding)
    )

    assert (status, code) == (415, "UNSUPPORTED_MEDIA")
    assert text.endswith("is not read: send gzip or deflate, or the body as it is")


@pytest.mark.parametrize(
    ("body", "coding", "text"),
    [
        (gzip.compress(BODY, mtime=0)[:-9], b"gzip", "ends early"),
        (BODY, b"gzip", "is broken, or is none"),
        (zlib.compress(BODY)[:9], b"deflate", "ends early"),
        (gzip.compress(BODY, mtime=0) + b"rest", b"gzip", "is followed by 4 bytes of something else"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_a_400(wire: Wire, body: bytes, coding: bytes, text: str) -> None:
    told = asked(wire, posted(body, b"Content-Encoding: " + coding))

    assert told == (400, "INVALID_INPUT", f"the body's content-encoding is {coding.decode()}, which {text}")


# Row A14, content types.


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (
            b"multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n" * 20_000,
        ),
        (b"application/xml", BODY),
        (b"text/html", BODY),
    ],
)
def test_types_that_are_not_read_are_a_415(wire: Wire, media_type: bytes, body: bytes) -> None:
    status, code, text = asked(wire, posted(body, b"Content-Type: " + media_type))

    assert (status, code) == (415, "UNSUPPORTED_MEDIA")
    assert f"content-type '{media_type.decode()}' is not read" in text


@pytest.mark.parametrize(
    "path", [b"/v2/models/iris/infer", b"/v1/models/iris:predict", b"/v1/models/iris:classify"]
)
def test_every_door_says_which_types_it_reads(wire: Wire, path: bytes) -> None:
    posted_there = posted(BODY, b"Content-Type: text/csv").replace(b"/v1/models/iris:probabilities", path)

    status, code, text = asked(wire, posted_there)

    assert (status, code) == (415, "UNSUPPORTED_MEDIA")
    assert text == "content-type 'text/csv' is not read here: send JSON (application/json)"


@pytest.mark.parametrize(
    "media_type", [b"", b"application/x-www-form-urlencoded", b"text/plain", b"application/json"]
)
def test_json_is_read_under_the_types_that_clients_send_it_with(
    wire: Wire, golden: bytes, media_type: bytes
) -> None:
    wire.send(posted(BODY, b"Content-Type: " + media_type))

    assert wire.reply().body == golden


# Row A15, methods.

GETS = (
    *("/", "/v1/models", "/v1/models/iris", "/v1/models/iris/versions/1", "/v2", "/v2/", "/v2/models/iris"),
    *("/v2/models/iris/versions/1", "/v2/models/iris/ready", "/v2/health/live", "/v2/health/ready"),
    *("/metrics", "/status", "/docs", "/docs/swagger-ui.css", "/openapi.json"),
)
POSTS = ("/v1/models/iris:classes", "/v1/models/iris:probabilities", "/v2/models/iris/infer")


@pytest.mark.parametrize("path", GETS)
def test_head_is_get_without_a_body(wire: Wire, path: str) -> None:
    wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    get = wire.reply()
    wire.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), GOOD)
    head = wire.reply(has_body=False)

    assert wire.reply().status == 200  # of the request behind it, so there was no body in between
    assert (head.status, get.status) == (200, 200)
    changing = {"date"} | ({"content-length"} if path in ("/metrics", "/status") else set())
    assert _without(head, changing) == _without(get, changing)


def _without(reply: Reply, names: set[str]) -> list[tuple[str, str]]:
    return [header for header in reply.headers if header[0] not in names]


@pytest.mark.parametrize(
    ("paths", "allowed", "methods"),
    [
        (GETS, "GET, HEAD", ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")),
        (POSTS, "POST", ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")),
    ],
    ids=["get", "post"],
)
def test_other_methods_are_a_405_that_says_which_there_are(
    wire: Wire, paths: tuple[str, ...], allowed: str, methods: tuple[str, ...]
) -> None:
    for path in paths:
        for method in methods:
            override = b"X-HTTP-Method-Override: " + allowed[:4].strip(",").encode()
            wire.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n".encode() + override + b"\r\n\r\n")
            reply = wire.reply(has_body=method != "HEAD")
            assert (reply.status, reply.header("allow")) == (405, allowed), f"{method} {path}"
            if method != "HEAD":
                said = json.loads(reply.body)
                assert said["code"] == "METHOD_NOT_ALLOWED"
                assert said["error"] == f"method {method} is not for this address: use {allowed}"


@pytest.mark.parametrize("method", [b"FOO", b"get", b"CONNECT"])
def test_what_is_no_method_is_no_request(wire: Wire, method: bytes) -> None:
    assert asked(wire, method + b" /v2 HTTP/1.1\r\nHost: x\r\n\r\n") == (400, "INVALID_INPUT", NO_REQUEST)
    assert wire.ended()


# Row A16, paths.


@pytest.mark.parametrize(
    "path",
    [
        b"//v1/models/iris:probabilities",
        b"/v1/models/iris:probabilities/",
        b"/v1/models/iris:probabilities;x",
        b"/v1\\models\\iris:probabilities",
        b"/v1/models/x/../iris:probabilities",
        b"/v1/models/%2e%2e/models/iris:probabilities",
        b"/v1/models/%252e%252e:probabilities",
        b"/v1/models/%c0%ae:probabilities",
        b"/v1/models/iris%00:probabilities",
        b"/V1/models/iris:probabilities",
        b"/v1/models/Iris:probabilities",
        b"*",
        b"/" + b"x" * 2**15,
    ],
)
def test_paths_that_only_look_like_one_are_a_404(wire: Wire, path: bytes) -> None:
    status, code, text = asked(wire, posted(BODY).replace(b"/v1/models/iris:probabilities", path))

    assert (status, code) == (404, "NOT_FOUND")
    assert len(text) < 200


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/models/iris%3Aprobabilities",
        b"http://elsewhere/v1/models/iris:probabilities",
        b"/v1/models/ir%69s:probabilities?x=1#y",
    ],
)
def test_other_writings_of_a_path_are_that_path(wire: Wire, golden: bytes, path: bytes) -> None:
    wire.send(posted(BODY).replace(b"/v1/models/iris:probabilities", path))

    assert wire.reply().body == golden


@pytest.mark.parametrize(
    "path", [b"/v1/models/\xc0\xae", b"/v1/mod els", b"/v1/\0", b"http://x", b"/" + b"x" * 2**17]
)
def test_what_is_no_path_is_no_request(wire: Wire, path: bytes) -> None:
    wire.send(b"GET " + path[: 2**16 + 2**14] + b" HTTP/1.1\r\nHost: x\r\n\r\n")

    status, said = wire.answer()

    assert (status, said["code"]) in ((400, "INVALID_INPUT"), (431, "HEADERS_TOO_LARGE"))
    assert wire.ended()


# Row A17, headers.


def test_many_headers_are_read(wire: Wire, golden: bytes) -> None:
    wire.send(posted(BODY, *[b"x-%d: y" % number for number in range(101)]))

    assert wire.reply().body == golden


def test_headers_over_64_kib_are_a_431(wire: Wire) -> None:
    wire.send(POST + b"X: " + b"y" * (2**16 + 2**14))

    status, said = wire.answer()

    assert (status, said["code"], said["error"]) == (
        431,
        "HEADERS_TOO_LARGE",
        "the headers are longer than 65536 bytes",
    )
    assert wire.ended()


@pytest.mark.parametrize(
    "header",
    [b"X: a\0b", b"X: a\rb", b"X: a\nb: c", b"X: a\r\n b", b"X : a", b": a", b"X\0: a", b"X", b"Host: y"],
    ids=["NUL", "CR", "LF", "fold", "space", "no name", "NUL in name", "no colon", "two hosts"],
)
def test_headers_that_proxies_read_differently_are_no_request(wire: Wire, header: bytes) -> None:
    assert asked(wire, posted(BODY, header)) == (400, "INVALID_INPUT", NO_REQUEST)
    assert wire.ended()


# Row A19, where a request ends.


@pytest.mark.parametrize(
    "headers",
    [
        LENGTH + b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\n" + LENGTH,
        LENGTH + LENGTH,
        LENGTH + b"Content-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
    ],
)
def test_a_request_whose_end_is_not_clear_is_refused_and_nothing_behind_it_is_read(
    wire: Wire, headers: bytes
) -> None:
    assert asked(wire, POST + headers + b"\r\n" + LAST + GOOD) == (400, "INVALID_INPUT", NO_REQUEST)
    assert wire.ended()


def test_chunks_are_not_for_http_1_0(wire: Wire) -> None:
    assert asked(wire, CHUNKED.replace(b"1.1", b"1.0") + LAST + GOOD) == (400, "INVALID_INPUT", NO_REQUEST)
    assert wire.ended()


# Row A20, requests that come faster than they are answered.


def test_a_thousand_requests_at_once_are_answered_in_their_order(
    service: Service, repository: Path, golden: bytes, wire: Wire
) -> None:
    picture = json.loads((repository / "temple_or_flower" / "1" / "example.json").read_bytes())
    slow = json.dumps(picture).encode()
    first = (
        b"POST /v1/models/temple_or_flower:classes HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        % len(slow)
    )

    wire.send(first + slow, *[posted(BODY, b"x-request-id: %d" % number) for number in range(999)])

    assert wire.reply().status == 200
    said = [wire.reply() for _ in range(999)]
    assert {reply.body for reply in said} == {golden}
    assert [reply.header("x-request-id") for reply in said] == [str(number) for number in range(999)]


# Row A21, other protocols.


@pytest.mark.parametrize(
    "version", [b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/1", b"ICE/1.0"]
)
def test_other_versions_are_no_request(wire: Wire, version: bytes) -> None:
    assert asked(wire, b"GET /v2 " + version + b"\r\nHost: x\r\n\r\n") == (400, "INVALID_INPUT", NO_REQUEST)
    assert wire.ended()


def test_a_grpc_client_is_told_that_this_is_another_door(wire: Wire) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\x06\4\0\0\0\0\0\0\4\0\0\xff\xff"

    assert asked(wire, preface) == (400, "INVALID_INPUT", NO_REQUEST)
    assert wire.ended()


# Row A22, headers of caches.


@pytest.mark.parametrize(
    "header",
    [
        b"Range: bytes=0-4",
        b"If-None-Match: *",
        b"If-Modified-Since: Thu, 26 Nov 2026 05:00:00 GMT",
        b'If-Match: "x"',
        b"If-Range: x",
        b"Cookie: a=b; c",
        b"Range: bytes=" + b"0-," * 1000,
    ],
)
def test_headers_of_caches_change_nothing(wire: Wire, golden: bytes, header: bytes) -> None:
    wire.send(
        posted(BODY, header), b"GET /docs/swagger-ui.css HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
    )
    answer, page = wire.reply(), wire.reply()

    assert (answer.status, answer.body) == (200, golden)
    assert page.status == 200
    assert len(page.body) > 100_000
