"""A unary gRPC method on bytes: no message class between the transport and us, so every error is ours."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from sigmax.errors import InvalidInput
from sigmax.inference.dispatch import Promise
from sigmax.rpc.errors import end

M = TypeVar("M", bound=Message)


def unary(method: Callable[[bytes], bytes | Awaitable[bytes]]) -> grpc.RpcMethodHandler[bytes, bytes]:
    """Serve a function from request bytes to answer bytes, or to the promise of them.

    A call that ends before its turn, cancelled or for its deadline, takes the request out of the queue.
    """

    async def handle(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            answer = method(request)
            if isinstance(answer, bytes):
                return answer
            if isinstance(answer, Promise):
                answer = answer.within(context.time_remaining())
            return await answer
        except (Exception, CancelledError) as error:
            await end(context, error)

    return grpc.unary_unary_rpc_method_handler(handle)


def parse(kind: type[M], request: bytes) -> M:
    """Read a message.

    Raises:
        InvalidInput: the bytes are not one.
    """
    try:
        return kind.FromString(request)
    except DecodeError:
        raise InvalidInput(f"the request is not a {kind.DESCRIPTOR.full_name} message") from None
