"""A gRPC service of our own: which method answers a call, what goes with each, what is said where none is.

The library has decoded a call's metadata before it asks here, and would decode it once more for a method that
asked itself. A call that brings no ids gets the method as it is; one with ids gets it wrapped, for that call.
"""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from sigmax.errors import SigmaxError, Unimplemented, nearest, quoted
from sigmax.protocol import ids
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


_NAMES = frozenset([name.decode() for name in ids.NAMES])
_MAX_ID = 512
"""Characters of an id: as many of a `tracestate` have to be carried (W3C), beside all that an error says."""


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
        ending = {self._prefix + method: _ending(handler) for method, handler in methods.items()}
        self._handlers = {path: (handler, _naming(handler)) for path, handler in ending.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """What answers a call; None if it is for another service."""
        path = handler_call_details.method
        known = self._handlers.get(path)
        if known is None:
            return self._refused(handler_call_details) if path.startswith(self._prefix) else None
        for name, _ in handler_call_details.invocation_metadata:
            if name in _NAMES:
                return known[1](kept(handler_call_details.invocation_metadata))
        return known[0]

    def _refused(self, details: grpc.HandlerCallDetails) -> Handler:
        method = details.method.removeprefix(self._prefix)
        reason = self._absent.get(method)
        if reason is None:
            hint = nearest(method, self._methods)
            reason = f"{self._name} has no method {quoted(method)}{hint}"
        return _naming(refusing(Unimplemented(reason)))(kept(details.invocation_metadata))


def kept(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Of a call's metadata what its end brings back, too."""
    named = [
        (name.encode(), value.encode()) for name, value in metadata if name in _NAMES and type(value) is str
    ]
    return tuple(
        [(name.decode(), value.decode()) for name, value in ids.returned(named) if len(value) <= _MAX_ID]
    )


def refusing(error: SigmaxError) -> Handler:
    """A method that ends every call at once, whatever kind of call it is, and reads nothing of it."""

    async def refuse(_: Any, context: Context) -> None:
        await abort(context, error)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _ending(handler: Handler) -> Handler:
    """A method whose every error is one of ours, foreseen or not; unary ones are that already."""
    if not (handler.request_streaming or handler.response_streaming):
        return handler
    behaviour, make = _parts(handler)
    return make(_guarded(behaviour), handler.request_deserializer, handler.response_serializer)


def _guarded(behaviour: _Behaviour) -> _Behaviour:
    async def generate(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async with aclosing(behaviour(request, context)) as messages:
                async for message in messages:
                    yield message
        except (Exception, CancelledError) as error:
            await end(context, error)

    async def respond(request: Any, context: Context) -> Any:
        try:
            return await behaviour(request, context)
        except (Exception, CancelledError) as error:
            await end(context, error)

    return generate if inspect.isasyncgenfunction(behaviour) else respond


def _naming(handler: Handler) -> Callable[[Metadata], Handler]:
    """What makes of a method the same one for a call whose ids go with its end, whatever that is."""
    behaviour, make = _parts(handler)
    generates = inspect.isasyncgenfunction(behaviour)

    def named(trailing: Metadata) -> Handler:
        async def generate(request: Any, context: Context) -> AsyncIterator[Any]:
            context.set_trailing_metadata(trailing)
            async with aclosing(behaviour(request, context)) as messages:
                async for message in messages:
                    yield message

        async def respond(request: Any, context: Context) -> Any:
            context.set_trailing_metadata(trailing)
            return await behaviour(request, context)

        wrapped = generate if generates else respond
        return make(wrapped, handler.request_deserializer, handler.response_serializer)

    return named


def _parts(handler: Handler) -> tuple[_Behaviour, Callable[..., Handler]]:
    """What answers a method, and what makes a method of its kind."""
    kind = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    return getattr(handler, kind), getattr(grpc, f"{kind}_rpc_method_handler")
