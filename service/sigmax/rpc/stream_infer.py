"""One request of `ModelStreamInfer` and its answer, in Triton's wire form.

What becomes of a request, the unary method says. Here its answer, or its error and its id, is put into the
message of a stream, which goes on in either case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError

from sigmax.errors import SigmaxError
from sigmax.inference.dispatch import Promise, unforeseen
from sigmax.rpc.errors import fitting
from sigmax.rpc.stream import Remaining
from sigmax.rpc.varint import varint
from sigmax.wire import open_inference_grpc_pb2 as pb

_INFER_RESPONSE = b"\x12"  # ModelStreamInferResponse.infer_response: field 2, length-delimited
_FINAL = pb.ModelInferResponse(
    parameters={"triton_final_response": pb.InferParameter(bool_param=True)}
).SerializeToString()
"""What Triton says in every answer of a model that gives one a request. Messages one after the other are read
as one, merged."""


class StreamInfer:
    """What answers the requests of streams."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Callable[[bytes], bytes | Awaitable[bytes]]) -> None:
        """Take what answers a request, or promises to."""
        self._ask = ask

    def __call__(self, request: bytes, remaining: Remaining) -> bytes | Awaitable[bytes]:
        """The message for a request, or what will be it; wrong requests have one, too."""
        try:
            answer = self._ask(request)
        except Exception as error:
            return _refusal(request, error)
        return _message(answer) if isinstance(answer, bytes) else _kept(request, answer, remaining())


async def _kept(request: bytes, answer: Awaitable[bytes], seconds: float | None) -> bytes:
    """A promise that is kept in time, or what became of it."""
    try:
        return _message(await (answer.within(seconds) if isinstance(answer, Promise) else answer))
    except Exception as error:
        return _refusal(request, error)


def _message(answer: bytes) -> bytes:
    return b"".join((_INFER_RESPONSE, varint(len(answer) + len(_FINAL)), answer, _FINAL))


def _refusal(request: bytes, error: Exception) -> bytes:
    try:
        identity = pb.ModelInferRequest.FromString(request).id
    except DecodeError:
        identity = ""
    text = fitting(str(error if isinstance(error, SigmaxError) else unforeseen(error)))
    answer = pb.ModelInferResponse(id=identity)
    return pb.ModelStreamInferResponse(error_message=text, infer_response=answer).SerializeToString()
