"""HTTP/2 that no client of gRPC would send: the caller is told or cut off, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests import frames
from tests.conformance import models
from tests.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    connected,
    frame,
)
from tests.integration.rpc import INFER, LIVE, Golden, request
from tests.service import Service, running

PATH = LIVE.encode()
LIVES = b"\x00\x00\x00\x00\x02\x08\x01"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("models")
    models.publish(root)
    with running(root) as started:
        yield started


@pytest.fixture(scope="module")
def asked(service: Service) -> Iterator[Golden]:
    golden = Golden(service)
    with golden.channel:
        yield golden


@pytest.fixture
def golden(asked: Golden) -> Iterator[Golden]:
    """What has to hold after a test."""
    yield asked
    asked.holds()


def ended(service: Service, sent: bytes) -> tuple[str, str]:
    """Status and text, percent-encoded, of the first call of a connection."""
    with connected(service.grpc) as connection:
        connection.begin()
        connection.send(sent)
        headers, _ = connection.ended(1)
    return headers.get("grpc-status", ""), headers.get("grpc-message", "")


def lives(service: Service, *sent: bytes, stream: int = 1) -> bool:
    """Whether a call is answered on the connection that these bytes came on before."""
    with connected(service.grpc) as connection:
        connection.begin()
        connection.send(*sent, frames.call(stream, PATH, b""))
        headers, data = connection.ended(stream)
    return (headers.get("grpc-status"), data) == ("0", LIVES)


def header(name: bytes, value: bytes) -> bytes:
    return frames.call(1, PATH, b"", more=[(name, value)])


def test_frames_by_hand_are_answered_as_those_of_a_library(service: Service, golden: Golden) -> None:
    assert lives(service)
    with connected(service.grpc) as connection:
        connection.begin()
        connection.send(frames.call(1, INFER.encode(), request()))
        headers, data = connection.ended(1)
    assert headers["grpc-status"] == "0"
    assert len(data) > 100


@pytest.mark.parametrize("size", [7_000, 12_000, 16_000])
def test_metadata_up_to_16_kib_are_taken_every_time(service: Service, golden: Golden, size: int) -> None:
    assert [ended(service, header(b"x", b"a" * size)) for _ in range(5)] == [("0", "")] * 5


def test_metadata_of_many_names_are_taken(service: Service, golden: Golden) -> None:
    many = [(b"x-%d" % number, b"y") for number in range(250)]

    assert ended(service, frames.call(1, PATH, b"", more=many)) == ("0", "")


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        ([(b"x", b"a" * 15_000), (b"y", b"a" * 5_000)], "8", "received metadata size exceeds hard limit"),
        ([(b"x-%d" % number, b"y") for number in range(1_000)], "8", ""),  # its text would be as long
        ([(b"x-bin", b"!!not base64!!")], "13", "Error parsing 'x-bin' metadata: illegal base64 encoding"),
        ([(b"te", b"x"), (b"x", b"a" * 9_000)], "13", "Error parsing 'te' metadata"),
        ([(b"grpc-timeout", b"soon")], "13", "Error parsing 'grpc-timeout' metadata"),
    ],
)
def test_metadata_beyond_that_and_such_as_are_none_are_refused(
    service: Service, golden: Golden, more: list[tuple[bytes, bytes]], code: str, text: str
) -> None:
    status, said = ended(service, frames.call(1, PATH, b"", more=more))

    assert status == code
    assert said.startswith(text)


def test_a_value_with_control_characters_changes_nothing(service: Service, golden: Golden) -> None:
    assert ended(service, header(b"x", b"\xff\x00\r\ny: z")) == ("0", "")


@pytest.mark.parametrize(
    "path", [b"", b"/", b"//", b"/x", b"/inference.GRPCInferenceService", b"\x00", b"/" + b"a" * 9_000]
)
def test_a_path_that_is_no_method_is_unimplemented(service: Service, golden: Golden, path: bytes) -> None:
    assert ended(service, frames.call(1, path, b""))[0] == "12"


def test_a_path_that_is_no_text_costs_a_client_that_retries_no_call(service: Service, golden: Golden) -> None:
    for _ in range(3):
        assert ended(service, frames.call(1, b"/\xff\xfe/x", b""))[0] == "1"
        golden.returns()


def test_the_second_message_of_a_call_that_takes_one_is_not_read(service: Service, golden: Golden) -> None:
    assert ended(service, frames.call(1, PATH, b"", b"\xff")) == ("0", "")


def test_a_call_without_its_message_holds_nothing_and_ends_with_the_client(
    service: Service, golden: Golden
) -> None:
    with connected(service.grpc) as connection:
        connection.begin()
        connection.send(*[frames.call(2 * number + 1, PATH) for number in range(100)])
        connection.send(*[frame(RST_STREAM, 0, 2 * number + 1, b"\0\0\0\x08") for number in range(100)])
        connection.send(frames.call(201, PATH, b""))

        assert connection.ended(201)[1] == LIVES


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"\x16\x03\x01\x00\xc8\x01" + bytes(199), b"\0" * 9]
)
def test_what_is_not_http_2_is_told_our_settings_and_cut_off(
    service: Service, golden: Golden, hello: bytes
) -> None:
    with connected(service.grpc) as connection:
        connection.send(hello)

        assert SETTINGS in [one.kind for one in connection.frames()]


def _cut_off(service: Service, sent: bytes) -> None:
    with connected(service.grpc) as connection:
        connection.send(sent)
        list(connection.frames())


def test_a_connection_that_says_nothing_or_no_more_than_its_preface_is_cut_off(
    service: Service, golden: Golden
) -> None:
    with ThreadPoolExecutor() as pool:
        cut = [pool.submit(_cut_off, service, sent) for sent in (b"", PREFACE[:10], PREFACE)]
        golden.holds()

        for one in cut:
            one.result(frames.PATIENCE)


@pytest.mark.parametrize("room", [0, 1])
def test_who_takes_no_answer_holds_up_nobody(service: Service, golden: Golden, room: int) -> None:
    with connected(service.grpc) as connection:
        connection.begin(window=room)
        connection.send(*[frames.call(2 * number + 1, PATH, b"") for number in range(20)])
        golden.holds()
        connection.send(*[frames.window(100, 2 * number + 1) for number in range(20)])

        assert connection.ended(39)[1] == LIVES


def test_settings_that_are_never_acknowledged_hold_up_nobody(service: Service, golden: Golden) -> None:
    with connected(service.grpc) as connection:
        connection.send(PREFACE, frames.settings(), frames.call(1, PATH, b""))

        assert connection.ended(1)[1] == LIVES


def test_who_pings_without_end_is_told_to_be_calm(service: Service, golden: Golden) -> None:
    with connected(service.grpc) as connection:
        connection.begin()
        connection.send(frame(PING, payload=b"12345678") * 2_000)
        told = [one.payload for one in connection.frames() if one.kind == GOAWAY]

    assert told[-1] == b"\0\0\0\0\0\0\0\x0btoo_many_pings"  # 11: ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "flood",
    [
        frames.settings() * 10_000,
        frame(SETTINGS, frames.ACK) * 10_000,
        frame(PRIORITY, 0, 9, b"\0\0\0\0\x10") * 20_000,
        frames.window(1) * 20_000,
        frame(0xEE, 0, 0, b"unknown") * 10_000,
    ],
    ids=["settings", "acknowledgements", "priorities", "window updates", "unknown frames"],
)
def test_frames_without_a_call_cost_only_their_reading(
    service: Service, golden: Golden, flood: bytes
) -> None:
    lives(service, flood)


def test_empty_frames_of_data_end_the_connection(service: Service, golden: Golden) -> None:
    sent = frames.call(1, PATH, end=False) + frame(DATA, 0, 1) * 20_000 + frame(DATA, END_STREAM, 1)

    assert ended(service, sent) == ("14", "Failed parsing HTTP/2 (Too many zero length data frames)")


def test_headers_that_go_on_without_end_are_refused_at_the_limit(service: Service, golden: Golden) -> None:
    more = frame(CONTINUATION, 0, 1, frames.packed([(b"x", b"a" * 1_000)]))
    sent = frame(HEADERS, 0, 1, frames.asked(PATH)) + more * 2_000

    status, text = ended(service, sent)

    assert (status, text[:42]) == ("8", "received metadata size exceeds hard limit ")


def reset(stream: int) -> bytes:
    """A call that is begun and reset."""
    return frame(HEADERS, END_HEADERS, stream, frames.asked(PATH)) + frame(
        RST_STREAM, 0, stream, b"\0\0\0\x08"
    )


def made_to_reset(stream: int) -> bytes:
    """A call that has the server reset it, by more room of none."""
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, frames.asked(PATH)) + frames.window(0, stream)


@pytest.mark.parametrize("attack", [reset, made_to_reset])
def test_calls_that_are_begun_and_reset_leave_those_of_others_alone(
    service: Service, golden: Golden, attack: Callable[[int], bytes]
) -> None:
    with ThreadPoolExecutor() as pool:
        storms = [pool.submit(_storm, service, attack) for _ in range(2)]
        while not all(storm.done() for storm in storms):
            golden.holds()
        for storm in storms:
            storm.result()


def _storm(service: Service, attack: Callable[[int], bytes]) -> None:
    with connected(service.grpc) as connection:
        connection.begin()
        for first in range(1, 10_000, 1_000):
            connection.send(*[attack(stream) for stream in range(first, first + 1_000, 2)])
        connection.send(frames.call(10_001, PATH, b""))
        connection.ended(10_001)
