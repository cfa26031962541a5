"""What names a request for people and programs that follow it: `x-request-id` and the W3C's trace context.

A caller's own come back with its answer, byte for byte, if they are what they should be; anything else is
left alone, as the standard asks. An error names its request in any case, so that somebody can ask about it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

Headers = tuple[tuple[bytes, bytes], ...]

REQUEST_ID = b"x-request-id"
_PARENT, _STATE = b"traceparent", b"tracestate"
NAMES = frozenset({REQUEST_ID, _PARENT, _STATE})

_REQUEST_ID = re.compile(rb"[\x20-\x7e]{1,200}")
_MAX_PARENT = 200
_VERSION_0 = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_LATER = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-[\x21-\x7e]*)?")

_NOT_ZERO = re.compile(rb"[^0]")

_MAX_STATE, _MAX_MEMBERS = 1024, 32
_MEMBER = re.compile(
    rb"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


def returned(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Of a request's headers, their names in lower case, those that its answer has, too."""
    if len(headers) == 1 and headers[0][0] == REQUEST_ID:  # as most that have any
        return tuple(headers) if _REQUEST_ID.fullmatch(headers[0][1]) else ()
    names = [header for header in headers if header[0] == REQUEST_ID]
    parents = [header for header in headers if header[0] == _PARENT]
    if len(names) != 1 or not _REQUEST_ID.fullmatch(names[0][1]):
        names = []
    if len(parents) != 1 or not is_traceparent(parents[0][1]):
        return tuple(names)
    states = [header for header in headers if header[0] == _STATE]
    if states and not is_tracestate([value for _, value in states]):
        states = []
    return (*names, *parents, *states)


def is_traceparent(value: bytes) -> bool:
    """Whether a value is one by the W3C's rules; a later version may be longer."""
    match = _VERSION_0.fullmatch(value)
    if match is None and not value.startswith(b"00") and len(value) <= _MAX_PARENT:
        match = _LATER.fullmatch(value)
    return match is not None and all(map(_NOT_ZERO.search, match.groups()))


def is_tracestate(values: Sequence[bytes]) -> bool:
    """Whether the values of all headers of that name are one list by the W3C's rules."""
    whole = b",".join(values)
    if len(whole) > _MAX_STATE:
        return False
    members = [member for one in whole.split(b",") if (member := one.strip(b" \t"))]
    return len(members) <= _MAX_MEMBERS and all(map(_MEMBER.fullmatch, members))


def request_id(headers: Headers) -> str:
    """The caller's own among what `returned` gave; empty if there is none."""
    return next((value.decode("ascii") for name, value in headers if name == REQUEST_ID), "")


def made() -> str:
    """A name for a request that has none."""
    return secrets.token_hex(8)
