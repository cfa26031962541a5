"""Which ids of a request come back: those that are what they should be, byte for byte."""

from __future__ import annotations

import pytest

from sigmax.protocol.ids import is_traceparent, is_tracestate, request_id, returned
from sigmax.rest.asgi import Answer
from sigmax.rest.sending import AS_IT_IS, heard, signed

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("value", [b"1", b'a b/c="d"~', b"x" * 200])
def test_a_request_id_of_printable_signs_comes_back(value: bytes) -> None:
    assert returned([(b"host", b"x"), (b"x-request-id", value)]) == ((b"x-request-id", value),)
    assert request_id(((b"x-request-id", value),)) == value.decode()


@pytest.mark.parametrize("value", [b"", b"x" * 201, b"\xc3\xa9", b"a\tb", b"a\rb", b"a\nb", b"a\0", b"\x7f"])
def test_any_other_does_not(value: bytes) -> None:
    assert returned([(b"x-request-id", value)]) == ()


def test_two_request_ids_are_none() -> None:
    assert returned([(b"x-request-id", b"1"), (b"x-request-id", b"2")]) == ()


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (PARENT, True),
        (PARENT[:-2] + b"ff", True),
        (PARENT + b"-", False),
        (PARENT + b"-more", False),
        (PARENT.upper(), False),
        (PARENT[:-1], False),
        (b" " + PARENT, False),
        (PARENT + b"\n", False),
        (b"00-" + b"0" * 32 + PARENT[35:], False),
        (PARENT[:36] + b"0" * 16 + b"-01", False),
        (b"ff" + PARENT[2:], False),
        (b"01" + PARENT[2:], True),
        (b"cc" + PARENT[2:] + b"-what-will-come", True),
        (b"cc" + PARENT[2:] + b".what", False),
        (b"cc" + PARENT[2:] + b"-" + b"x" * 200, False),
        (b"", False),
    ],
)
def test_a_traceparent_is_one_by_the_standard(value: bytes, valid: bool) -> None:
    assert is_traceparent(value) == valid


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        ([b"rojo=00f067aa0ba902b7"], True),
        ([b"rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"], True),
        ([b"a=1", b"b=2"], True),
        ([b"tenant@system=x y"], True),
        ([b"a=1,,b=2"], True),
        ([b""], True),
        ([b"a"], False),
        ([b"a="], False),
        ([b"A=1"], False),
        ([b"a=b=c"], False),
        ([b"a=\x7f"], False),
        ([b"a=\r\nb: c"], False),
        ([b",".join(b"k%d=1" % number for number in range(33))], False),
        ([b"a=" + b"x" * 257], False),
        (
            [
                b"a="
                + b"x" * 200
                + b","
                + b"b="
                + b"x" * 250
                + b",c="
                + b"x" * 250
                + b",d="
                + b"x" * 250
                + b",e="
                + b"x" * 250
            ],
            False,
        ),
    ],
)
def test_a_tracestate_is_one_by_the_standard(values: list[bytes], valid: bool) -> None:
    assert is_tracestate(values) == valid


def test_a_tracestate_comes_back_beside_its_parent_and_never_alone() -> None:
    parent, states = (b"traceparent", PARENT), [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]

    assert returned([parent, *states]) == (parent, *states)
    assert returned([parent, (b"tracestate", b"?")]) == (parent,)
    assert returned([(b"traceparent", b"?"), *states]) == ()
    assert returned([parent, parent, *states]) == ()
    assert returned(states) == ()


def test_most_requests_wish_for_nothing() -> None:
    answer = Answer(b"{}")

    assert heard([(b"host", b"x"), (b"accept-encoding", b"br"), (b"x-request-id", b"")]) is AS_IT_IS
    assert signed(answer, AS_IT_IS) is answer
