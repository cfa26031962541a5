"""The ids by which a caller follows a request: `x-request-id`, and the trace context of the W3C.

What a call brings comes back in the trailing metadata of its answer, or of its error. A value that is none is
ignored, as the standard of the W3C has it for its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sigmax.rpc.errors import REQUEST_ID, Metadata

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

NAMES = frozenset({REQUEST_ID, TRACEPARENT, TRACESTATE})

_IDENTITY = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
"""Printable ASCII, at most 200 characters; HTTP strips spaces around a value."""

_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-[!-~]*)?"
)
_MAX_TRACEPARENT = 128
_TRACESTATE = re.compile(r"[ -~\t]{1,512}")


def kept(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Those of a call's ids that are valid, each once; `tracestate` only beside a `traceparent`."""
    given: dict[str, str] = {}
    for name, value in metadata:
        if name in NAMES and isinstance(value, str):
            given.setdefault(name, value)
    if not _is_trace(given.get(TRACEPARENT, "")):
        given.pop(TRACEPARENT, None)
    if TRACEPARENT not in given or not _TRACESTATE.fullmatch(given.get(TRACESTATE, "")):
        given.pop(TRACESTATE, None)
    if not _IDENTITY.fullmatch(given.get(REQUEST_ID, "")):
        given.pop(REQUEST_ID, None)
    return tuple(given.items())


def _is_trace(value: str) -> bool:
    """Whether a value is a `traceparent`: version 00 has four parts, a later one perhaps more."""
    match = _TRACEPARENT.fullmatch(value) if len(value) <= _MAX_TRACEPARENT else None
    return match is not None and (match["more"] is None or match["version"] != "00")
