"""From an error to a gRPC status, with google.rpc.ErrorInfo for machines."""

from __future__ import annotations

import math
from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from sigmax.errors import Code, Overloaded, SigmaxError
from sigmax.inference.dispatch import unforeseen

DOMAIN = "sigmax"

STATUS = {
    Code.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: grpc.StatusCode.UNIMPLEMENTED,
    Code.REQUEST_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.HEADERS_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.CONFLICT: grpc.StatusCode.ALREADY_EXISTS,
    Code.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.UNSUPPORTED_MEDIA: grpc.StatusCode.INVALID_ARGUMENT,
    Code.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.CANCELLED: grpc.StatusCode.CANCELLED,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
    Code.UNIMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    Code.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    Code.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""The status of every code; a test proves that none is forgotten."""

PUSHBACK = "grpc-retry-pushback-ms"
"""When clients with a retry policy try again (gRFC A6)."""

MAX_ENCODED = 2_500
"""Bytes of the percent-encoded text: clients refuse 8 KiB of trailing metadata, and it is sent twice."""


async def abort(context: grpc.aio.ServicerContext[bytes, bytes], error: Exception) -> NoReturn:
    """End a call with the status of an error; the text of an unforeseen one stays in the log."""
    known = error if isinstance(error, SigmaxError) else unforeseen(error)
    status, text = STATUS[known.code], fitting(str(known))
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=known.code.value, domain=DOMAIN))
    rich = status_pb2.Status(code=status.value[0], message=text, details=[detail])
    trailing: tuple[tuple[str, str | bytes], ...] = (("grpc-status-details-bin", rich.SerializeToString()),)
    if isinstance(known, Overloaded):
        trailing += ((PUSHBACK, str(math.ceil(1000 * known.retry_after))),)
    await context.abort(status, text, trailing)
    raise AssertionError("abort returned")


def fitting(text: str) -> str:
    """Shorten a text whose percent-encoded form would not fit into a client's metadata limit."""
    size = 0
    for index, char in enumerate(text):
        size += 1 if " " <= char <= "~" and char != "%" else 3 * len(char.encode())
        if size > MAX_ENCODED:
            return text[:index] + "…"
    return text
