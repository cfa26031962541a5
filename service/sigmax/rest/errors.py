"""From an error to an HTTP status and the one error body: `{"error", "code", "details", "request_id"}`."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from sigmax.errors import Code, MethodNotAllowed, Overloaded, Problem, SigmaxError

STATUS = {
    Code.INVALID_INPUT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.REQUEST_TIMEOUT: 408,
    Code.HEADERS_TOO_LARGE: 431,
    Code.CONFLICT: 409,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA: 415,
    Code.OVERLOADED: 429,
    Code.CANCELLED: 499,
    Code.INTERNAL: 500,
    Code.UNIMPLEMENTED: 501,
    Code.NOT_READY: 503,
    Code.DEADLINE: 504,
}
"""The status of every code; a test proves that none is forgotten."""


def headers(error: SigmaxError) -> tuple[tuple[bytes, bytes], ...]:
    """What a client is told beside the body: which method there is, when to try again."""
    if isinstance(error, MethodNotAllowed):
        return ((b"allow", b"POST"),)
    if isinstance(error, Overloaded):
        return ((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after))),)
    return ()


def body(error: SigmaxError, request_id: str) -> bytes:
    """The error body, which names the request; `details` says where each problem is, if it is anywhere."""
    document: dict[str, Any] = {"error": str(error), "code": error.code.value}
    if error.problems:
        document["details"] = list(map(_detail, error.problems))
    document["request_id"] = request_id
    return msgspec.json.encode(document)


def _detail(problem: Problem) -> dict[str, Any]:
    """One problem, without what it does not have."""
    place = {"field": problem.field or None, "row": problem.row, "feature": problem.feature}
    known = {name: value for name, value in place.items() if value is not None}
    return {**known, "message": problem.message}
