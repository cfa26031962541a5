"""What tests of wrong gRPC share: a request whose answer proves that nothing broke."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
from tests.conformance.models import ROWS
from tests.service import Service

from sigmax.wire import open_inference_grpc_pb2 as pb

INFER = "/inference.GRPCInferenceService/ModelInfer"
LIVE = "/inference.GRPCInferenceService/ServerLive"
MODEL = "three"
DEADLINE = 30


def request(rows: Any = ROWS[:3], model: str = MODEL, **parameters: int) -> bytes:
    """A raw request."""
    message = pb.ModelInferRequest(model_name=model, raw_input_contents=[np.asarray(rows).tobytes()])
    message.inputs.add(name="features", datatype="FP64", shape=np.shape(rows))
    for name, value in parameters.items():
        message.parameters[name].int64_param = value
    return message.SerializeToString()


def ask(
    channel: grpc.Channel,
    message: bytes = b"",
    path: str = INFER,
    timeout: float | None = DEADLINE,
    **more: Any,
) -> bytes:
    """Call a method, bytes in and bytes out."""
    answer: bytes = channel.unary_unary(path, _same, _same)(message, timeout=timeout, **more)
    return answer


def refused(
    channel: grpc.Channel,
    message: bytes = b"",
    path: str = INFER,
    timeout: float | None = DEADLINE,
    **more: Any,
) -> tuple[str, str]:
    """The status and the text of a call that is refused."""
    try:
        ask(channel, message, path, timeout, **more)
    except grpc.RpcError as error:
        ended: Any = error
        return ended.code().name, ended.details()
    raise AssertionError("it was answered")


def _same(data: bytes) -> bytes:
    return data


class Golden:
    """A request that is answered bit for bit alike, on an old connection and on a new one."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.channel = grpc.insecure_channel(service.grpc, [("grpc.use_local_subchannel_pool", 1)])
        self._answer = ask(self.channel, request())

    def returns(self, attempts: int = 50) -> None:
        """Ask it as a client with a retry policy does, until it is answered three times in a row."""
        answered = 0
        for _ in range(attempts):
            try:
                self.holds()
            except grpc.RpcError as error:
                ended: Any = error
                assert ended.code().name in ("CANCELLED", "UNAVAILABLE")
                answered = 0
            else:
                answered += 1
            if answered == 3:
                return
        raise AssertionError(f"not answered three times in a row within {attempts} attempts")

    def holds(self) -> None:
        """Ask it."""
        with grpc.insecure_channel(self._service.grpc, [("grpc.use_local_subchannel_pool", 1)]) as new:
            assert ask(new, request(), wait_for_ready=True) == self._answer
        assert ask(self.channel, request(), wait_for_ready=True) == self._answer
        assert self._service.process.poll() is None
