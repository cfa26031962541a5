"""From an error to a gRPC status, with what google.rpc has for machines to read, and the ids of the call.

Beside the text, which is the status message, `grpc-status-details-bin` carries ErrorInfo (reason = Code), one
FieldViolation a problem, RequestInfo, and RetryInfo where trying again later may be worth it.
"""

from __future__ import annotations

import math
from asyncio import CancelledError
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from sigmax.errors import Code, Internal, Overloaded, SigmaxError
from sigmax.inference.dispatch import is_cancelled, unforeseen
from sigmax.protocol import ids

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

REQUEST_ID = ids.REQUEST_ID.decode()
"""The metadata that names a call."""

DETAILS = "grpc-status-details-bin"

MAX_ENCODED = 2_500
"""Bytes of the percent-encoded text: clients refuse 8 KiB of trailing metadata, and it is sent twice."""

MAX_TRAILING = 7_400
"""Bytes of trailing metadata, as HTTP/2 counts them; the rest of 8 KiB is the library's, and proxies'."""

_ENTRY = 32
"""What HTTP/2 counts for an entry beside its name and its value (RFC 9113, 6.5.2)."""

Metadata = tuple[tuple[str, str | bytes], ...]
Context = grpc.aio.ServicerContext[Any, Any]


async def abort(context: Context, error: BaseException) -> NoReturn:
    """End a call with the status of an error; the text of an unforeseen one stays in the log.

    What was set as trailing metadata before goes with it: the ids of the call among it.
    """
    known = error if isinstance(error, SigmaxError) else unforeseen(error)
    status, text, trailing = said(known, tuple(context.trailing_metadata() or ()))
    await context.abort(status, text, trailing)
    raise AssertionError("abort returned")


async def end(context: Context, error: Exception | CancelledError) -> NoReturn:
    """End a call with the status of an error, unless the call is over: cancelled, or ended before.

    A cancellation that is not the call's own comes from within, and without a status its client would wait
    for ever.

    Raises:
        BaseException: the error itself if the call is over.
    """
    if isinstance(error, grpc.aio.AbortError) or (isinstance(error, CancelledError) and is_cancelled()):
        raise error
    await abort(context, error)


def said(error: SigmaxError, given: Metadata = ()) -> tuple[grpc.StatusCode, str, Metadata]:
    """An error as a status, its message and the trailing metadata.

    Args:
        error: what to say.
        given: trailing metadata of the call; without an id in it, the call is given one.
    """
    status, text = STATUS[error.code], fitting(str(error))
    identity = str(dict(given).get(REQUEST_ID) or _identity(error))
    trailing = given if REQUEST_ID in dict(given) else (*given, (REQUEST_ID, identity))
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.code.value, domain=DOMAIN),
        error_details_pb2.RequestInfo(request_id=identity),
    ]
    if isinstance(error, Overloaded):
        milliseconds = math.ceil(1000 * error.retry_after)
        trailing += ((PUSHBACK, str(milliseconds)),)
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(milliseconds)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    rich = status_pb2.Status(code=status.value[0], message=text, details=map(_packed, details))
    room = MAX_TRAILING - size((("grpc-message", encoded(text)), *trailing, (DETAILS, b"")))
    violations = _violations(error, room * 3 // 4 - rich.ByteSize())
    if violations.field_violations:
        rich.details.insert(1, _packed(violations))
    return status, text, (*trailing, (DETAILS, rich.SerializeToString()))


def _identity(error: SigmaxError) -> str:
    """An id for a call that brought none; of an error that is in the log, the one under which it is."""
    return (error.reference if isinstance(error, Internal) else "") or ids.made()


def _violations(error: SigmaxError, room: int) -> error_details_pb2.BadRequest:
    """As many of an error's problems as fit into `room` bytes, in their order."""
    found = error_details_pb2.BadRequest()
    for problem in error.problems:
        found.field_violations.add(field=problem.field, description=problem.message, reason=error.code.value)
        if _packed(found).ByteSize() + _ENTRY > room:
            del found.field_violations[-1]
            break
    return found


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def size(metadata: Metadata) -> int:
    """Bytes of metadata as HTTP/2 counts them; binary values travel as base64."""
    lengths = [len(value) if isinstance(value, str) else 4 * len(value) // 3 + 4 for _, value in metadata]
    return sum(lengths) + sum(len(name) + _ENTRY for name, _ in metadata)


def encoded(text: str) -> str:
    """A status message as it travels: percent-encoded UTF-8."""
    return "".join(
        char if " " <= char <= "~" and char != "%" else "%XX" * len(char.encode()) for char in text
    )


def fitting(text: str) -> str:
    """Shorten a text whose percent-encoded form would not fit into a client's metadata limit."""
    size = 0
    for index, char in enumerate(text):
        size += 1 if " " <= char <= "~" and char != "%" else 3 * len(char.encode())
        if size > MAX_ENCODED:
            return text[:index] + "…"
    return text
