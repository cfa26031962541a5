"""A gRPC service of our own: which method answers a call, what goes with each, what is said where none is.

The library has decoded a call's metadata before it asks here, and would decode it once more for a method that
asked itself. A call that brings no ids gets the method as it is; one with ids gets it wrapped, for that call.
"""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from sigmax.errors import SigmaxError, Unimplemented, nearest, quoted
from sigmax.rpc import ids
from sigmax.rpc.errors import Context, Metadata, abort, end

if TYPE_CHECKING:
    _Generic = grpc.GenericRpcHandler[Any, Any]
else:  # the stubs know parameters of this class that it does not have
    _Generic = grpc.GenericRpcHandler

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Behaviour = Callable[[Any, Context], Any]

_KINDS = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}


class Service(_Generic):
    """The methods of one service, by name.

    Args:
        name: of the service, with its package.
        methods: what answers each, of any kind; a unary one ends every error itself, see `unary`.
        absent: what to say of methods that clients may know and that are not offered, by name.
    """

    def __init__(
        self, name: str, methods: Mapping[str, Handler], absent: Mapping[str, str] | None = None
    ) -> None:
        self._prefix = f"/{name}/"
        self._name, self._methods, self._absent = name, tuple(methods), dict(absent or {})
        self._handlers = {self._prefix + method: _ending(handler) for method, handler in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """What answers a call; None if it is for another service."""
        handler = self._handlers.get(handler_call_details.method)
        if handler is None:
            handler = self._refusal(handler_call_details.method)
        for name, _ in handler_call_details.invocation_metadata:
            if name in ids.NAMES:
                return _with_ids(handler, ids.kept(handler_call_details.invocation_metadata))
        return handler

    def _refusal(self, path: str) -> Handler | None:
        if not path.startswith(self._prefix):
            return None
        method = path.removeprefix(self._prefix)
        reason = self._absent.get(method)
        if reason is None:
            hint = nearest(method, self._methods)
            reason = f"{self._name} has no method {quoted(method)}{hint}"
        return refusing(Unimplemented(reason))


def refusing(error: SigmaxError) -> Handler:
    """A method that ends every call at once, whatever kind of call it is, and reads nothing of it."""

    async def refuse(_: Any, context: Context) -> None:
        await abort(context, error)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _ending(handler: Handler) -> Handler:
    """A method whose every error is one of ours, foreseen or not; unary ones are that already."""
    if not (handler.request_streaming or handler.response_streaming):
        return handler
    return _rewrapped(handler, _guarded)


def _guarded(behaviour: _Behaviour) -> _Behaviour:
    if inspect.isasyncgenfunction(behaviour):

        async def generate(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                async for message in behaviour(request, context):
                    yield message
            except (Exception, CancelledError) as error:
                await end(context, error)

        return generate

    async def respond(request: Any, context: Context) -> Any:
        try:
            return await behaviour(request, context)
        except (Exception, CancelledError) as error:
            await end(context, error)

    return respond


def _with_ids(handler: Handler | None, trailing: Metadata) -> Handler | None:
    if handler is None or not trailing:
        return handler

    def naming(behaviour: _Behaviour) -> _Behaviour:
        if inspect.isasyncgenfunction(behaviour):

            async def generate(request: Any, context: Context) -> AsyncIterator[Any]:
                context.set_trailing_metadata(trailing)
                async for message in behaviour(request, context):
                    yield message

            return generate

        async def respond(request: Any, context: Context) -> Any:
            context.set_trailing_metadata(trailing)
            return await behaviour(request, context)

        return respond

    return _rewrapped(handler, naming)


def _rewrapped(handler: Handler, wrap: Callable[[_Behaviour], _Behaviour]) -> Handler:
    """The same kind of method with what answers it wrapped."""
    kind = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    wrapped: Handler = make(
        wrap(getattr(handler, kind)), handler.request_deserializer, handler.response_serializer
    )
    return wrapped
