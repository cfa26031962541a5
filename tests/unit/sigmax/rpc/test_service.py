"""Methods of any kind: the ids of a call come back, every error is one of ours, and all of it fits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from sigmax.errors import MAX_PROBLEMS, InvalidInput, NotReady, Overloaded, Problem, path
from sigmax.protocol.ids import NAMES
from sigmax.rpc.errors import MAX_TRAILING, Metadata, encoded, said, size
from sigmax.rpc.service import Service, kept
from sigmax.rpc.unary import unary

NAME = "test.Methods"
PATIENCE = 20
SECRET = "secret=hunter2"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LONG_STATE = ",".join(f"a{number}={'s' * 200}" for number in range(3))
GIVEN = (("x-request-id", "order 7"), ("traceparent", TRACE), ("tracestate", "a=1,b=2"))
KINDS = ("UnaryUnary", "UnaryStream", "UnaryWriting", "StreamUnary", "StreamStream")

Raise = Callable[[], None]


def nothing() -> None:
    """What a method does that is right."""


def forgotten() -> None:
    raise ValueError(SECRET)


def cancelled() -> None:
    raise asyncio.CancelledError(SECRET)


def refused() -> None:
    raise NotReady("not yet")


def service(happens: Raise) -> Service:
    """A method of every kind, in each of which the same happens before its answer."""

    def once(_: bytes) -> bytes:
        happens()
        return b"1"

    async def stream(_: bytes, __: Any) -> AsyncIterator[bytes]:
        happens()
        yield b"1"

    async def write(_: bytes, context: Any) -> None:
        happens()
        await context.write(b"1")

    async def collect(_: AsyncIterator[bytes], __: Any) -> bytes:
        happens()
        return b"1"

    async def both(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for _ in requests:
            happens()
            yield b"1"

    methods: dict[str, Any] = {
        "UnaryUnary": unary(once),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(stream),
        "UnaryWriting": grpc.unary_stream_rpc_method_handler(write),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(collect),
        "StreamStream": grpc.stream_stream_rpc_method_handler(both),
    }
    return Service(NAME, methods, {"Absent": "this is not offered here"})


@asynccontextmanager
async def serving(handler: Service) -> AsyncIterator[Any]:
    server = grpc.aio.server(handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    strict = [("grpc.max_metadata_size", 8192), ("grpc.absolute_max_metadata_size", 8192)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=strict) as channel:
        yield channel
    await server.stop(0)


async def ask(channel: Any, method: str, metadata: Metadata = ()) -> tuple[list[bytes], Any]:
    """Call a method of any kind: the answers, and the call that is over."""
    asked = f"/{NAME}/{method}"
    call: Any
    if method == "UnaryUnary":
        call = channel.unary_unary(asked)(b"", metadata=metadata, timeout=PATIENCE)
        return [await call], call
    if method == "StreamUnary":
        call = channel.stream_unary(asked)(iter([b""]), metadata=metadata, timeout=PATIENCE)
        return [await call], call
    if method == "StreamStream":
        call = channel.stream_stream(asked)(iter([b""]), metadata=metadata, timeout=PATIENCE)
    else:
        call = channel.unary_stream(asked)(b"", metadata=metadata, timeout=PATIENCE)
    return [answer async for answer in call], call


def run(handler: Service, test: Callable[[Any], Awaitable[None]]) -> None:
    async def within() -> None:
        async with serving(handler) as channel:
            await test(channel)

    asyncio.run(within())


async def error_of(channel: Any, method: str, metadata: Metadata = ()) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(channel, method, metadata)
    return caught.value


def details(error: Any) -> dict[str, Any]:
    """What an error carries beside its text, by the name of its message."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    kinds: tuple[type[Message], ...] = (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RequestInfo,
        error_details_pb2.RetryInfo,
    )
    found: dict[str, Any] = {}
    for detail in status.details:
        message = next(message for message in (kind() for kind in kinds) if detail.Unpack(message))
        found[message.DESCRIPTOR.name] = message
    return found


@pytest.mark.parametrize("method", KINDS)
def test_a_call_without_ids_is_answered_without(method: str) -> None:
    async def test(channel: Any) -> None:
        answers, call = await ask(channel, method)

        assert answers == [b"1"]
        assert not set(dict(await call.trailing_metadata())) & {name.decode() for name in NAMES}

    run(service(nothing), test)


@pytest.mark.parametrize("method", KINDS)
def test_the_ids_of_a_call_come_back_with_its_answer(method: str) -> None:
    async def test(channel: Any) -> None:
        answers, call = await ask(channel, method, GIVEN)

        assert answers == [b"1"]
        trailing = dict(await call.trailing_metadata())
        assert {name: trailing[name] for name, _ in GIVEN} == dict(GIVEN)

    run(service(nothing), test)


@pytest.mark.parametrize("method", KINDS)
def test_the_ids_of_a_call_come_back_with_its_error(method: str) -> None:
    async def test(channel: Any) -> None:
        error = await error_of(channel, method, GIVEN)

        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "not yet")
        trailing = dict(error.trailing_metadata())
        assert {name: trailing[name] for name, _ in GIVEN} == dict(GIVEN)
        assert details(error)["RequestInfo"].request_id == "order 7"

    run(service(refused), test)


@pytest.mark.parametrize("method", KINDS)
def test_an_error_of_a_call_without_an_id_is_given_one(method: str) -> None:
    async def test(channel: Any) -> None:
        errors = [await error_of(channel, method) for _ in range(2)]

        given = [dict(error.trailing_metadata())["x-request-id"] for error in errors]
        assert [len(identity) for identity in given] == [16, 16]
        assert given[0] != given[1]
        assert details(errors[0])["RequestInfo"].request_id == given[0]

    run(service(refused), test)


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("happens", [forgotten, cancelled], ids=["B19-exception", "B20-cancelled"])
def test_what_nobody_foresaw_is_internal_with_an_id_that_is_in_the_log(
    method: str, happens: Raise, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(channel: Any) -> None:
        error = await error_of(channel, method)

        reference = dict(error.trailing_metadata())["x-request-id"]
        assert error.code() is grpc.StatusCode.INTERNAL
        assert error.details() == f"internal error, reference {reference}"
        assert SECRET not in repr(error.trailing_metadata())
        assert reference in caplog.text

    run(service(happens), test)


def test_a_call_that_its_client_gives_up_is_cancelled_and_not_internal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(channel: Any) -> None:
        call: Any = channel.stream_unary(f"/{NAME}/Wait")(timeout=PATIENCE)
        await call.write(b"")
        await asyncio.wait_for(begun.wait(), PATIENCE)

        call.cancel()

        assert await call.code() is grpc.StatusCode.CANCELLED
        await asyncio.wait_for(ended.wait(), PATIENCE)

    async def wait(_: AsyncIterator[bytes], __: Any) -> bytes:
        begun.set()
        try:
            return bytes(await asyncio.Event().wait())
        finally:
            ended.set()

    begun, ended = asyncio.Event(), asyncio.Event()
    run(Service(NAME, {"Wait": grpc.stream_unary_rpc_method_handler(wait)}), test)
    assert "unforeseen" not in caplog.text


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("Absent", "this is not offered here"),
        ("UnaryUnray", "test.Methods has no method 'UnaryUnray', did you mean 'UnaryUnary'?"),
        ("", "test.Methods has no method ''"),
    ],
)
def test_a_method_that_is_not_there_is_unimplemented_in_words(method: str, text: str) -> None:
    async def test(channel: Any) -> None:
        for given in ((), GIVEN):
            error = await error_of(channel, method, given)

            assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, text)
            assert details(error)["ErrorInfo"].reason == "UNIMPLEMENTED"
        unanswered: Any = channel.stream_stream(f"/{NAME}/{method}")(timeout=PATIENCE)  # sends nothing at all
        assert await unanswered.code() is grpc.StatusCode.UNIMPLEMENTED

    run(service(nothing), test)


def test_a_method_of_another_service_is_left_to_others() -> None:
    async def test(channel: Any) -> None:
        call = channel.unary_unary(f"/{NAME}s/UnaryUnary")(b"", timeout=PATIENCE)

        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "grpc-status-details-bin" not in dict(await call.trailing_metadata())

    run(service(nothing), test)


LONG = "가" * 5_000
WORST = {
    "letters of three bytes": [LONG, "%" * 5_000, "b" * 5_000],
    "percent signs": ["%" * 40] * 30,
    "plain letters": ["b" * 70] * 30,
    "one long name": ["b" * 20_000],
    "line ends": ["\n" * 80] * 30,
    "many short ones": ["b"] * 30,
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_error_fits_into_what_a_client_takes(name: str) -> None:
    problems = [
        Problem(f"expected {feature}", path("rows", 9_999, feature), row, feature, f"row {row}, {feature}")
        for row, feature in enumerate(WORST[name])
    ]
    given = (
        ("x-request-id", "r" * 200),
        ("traceparent", TRACE),
        ("tracestate", f"a={'s' * 252},b={'s' * 253}"),
    )

    def happens() -> None:
        raise InvalidInput.of(problems)

    async def test(channel: Any) -> None:
        for method in KINDS:
            error = await error_of(channel, method, given)

            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            found = details(error)
            assert found["RequestInfo"].request_id == "r" * 200
            violations = found.get("BadRequest", error_details_pb2.BadRequest()).field_violations
            assert len(violations) <= MAX_PROBLEMS
            assert [violation.description for violation in violations] == [
                problem.message for problem in problems[: len(violations)]
            ]

    run(service(happens), test)
    _, text, trailing = said(InvalidInput.of(problems), given)
    assert size((("grpc-message", encoded(text)), *trailing)) <= MAX_TRAILING


def test_an_ordinary_error_says_every_problem_that_its_text_lists() -> None:
    problems = [
        Problem(
            "expected a number, got the text 'x'", path("rows", row, "b"), row, "b", f"row {row}, feature 'b'"
        )
        for row in range(1_000)
    ]

    async def test(channel: Any) -> None:
        bad: Any = details(await error_of(channel, "UnaryUnary"))["BadRequest"]

        assert [violation.field for violation in bad.field_violations] == [
            f"rows[{row}].b" for row in range(MAX_PROBLEMS)
        ]
        assert {violation.reason for violation in bad.field_violations} == {"INVALID_INPUT"}

    def happens() -> None:
        raise InvalidInput.of(problems)

    run(service(happens), test)


def test_overload_says_when_to_try_again_in_both_forms() -> None:
    def happens() -> None:
        raise Overloaded("too much", retry_after=1.5)

    async def test(channel: Any) -> None:
        error = await error_of(channel, "UnaryUnary")

        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1500"
        retry: Any = details(error)["RetryInfo"]
        assert retry.retry_delay.ToMilliseconds() == 1500

    run(service(happens), test)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((("x-request-id", "a"),), (("x-request-id", "a"),)),
        ((("x-request-id", "~" * 200),), (("x-request-id", "~" * 200),)),
        ((("x-request-id", "a" * 201),), ()),
        ((("x-request-id", ""),), ()),
        ((("x-request-id", "a\x7f"),), ()),
        ((("x-request-id", "a"), ("x-request-id", "b")), ()),
        ((("traceparent", TRACE),), (("traceparent", TRACE),)),
        ((("traceparent", TRACE.upper()),), ()),
        ((("traceparent", f"{TRACE}-more"),), ()),
        ((("traceparent", f"01{TRACE[2:]}-more"),), (("traceparent", f"01{TRACE[2:]}-more"),)),
        ((("traceparent", f"ff{TRACE[2:]}"),), ()),
        ((("traceparent", f"00-{'0' * 32}-{'1' * 16}-01"),), ()),
        ((("traceparent", f"00-{'1' * 32}-{'0' * 16}-01"),), ()),
        ((("traceparent", TRACE), ("tracestate", "a=1")), (("traceparent", TRACE), ("tracestate", "a=1"))),
        (
            (("traceparent", TRACE), ("tracestate", ",".join(f"a{n}={'s' * 200}" for n in range(3)))),
            (("traceparent", TRACE),),
        ),
        ((("tracestate", "a=1"),), ()),
        ((("x-request-id", b"a"), ("user-agent", "a")), ()),
    ],
)
def test_ids_are_kept_where_they_are_valid(given: Metadata, expected: Metadata) -> None:
    assert kept(given) == expected
