"""Triton's extension `model_repository` over gRPC: methods that change what the service serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sigmax.inference.control import ModelControl
from sigmax.rpc.service import Handler
from sigmax.rpc.unary import parse, unary
from sigmax.wire import open_inference_grpc_pb2 as pb


class Repository:
    """The methods, on bytes."""

    def __init__(self, control: ModelControl) -> None:
        self._control = control

    def methods(self) -> dict[str, Handler]:
        """What answers each, by name."""
        return {
            "RepositoryIndex": unary(self.index),
            "RepositoryModelLoad": unary(self.load),
            "RepositoryModelUnload": unary(self.unload),
        }

    async def index(self, request: bytes) -> bytes:
        """Every version of every model and what it does."""
        message = parse(pb.RepositoryIndexRequest, request)
        found = await self._control.index(message.repository_name, ready=message.ready)
        models = [pb.RepositoryIndexResponse.ModelIndex(**one._asdict()) for one in found]
        return pb.RepositoryIndexResponse(models=models).SerializeToString()

    async def load(self, request: bytes) -> bytes:
        """Load a model's highest version."""
        message = parse(pb.RepositoryModelLoadRequest, request)
        name = message.model_name
        await self._control.load(message.repository_name, name, _parameters(message.parameters))
        return pb.RepositoryModelLoadResponse(model_name=name, isLoaded=True).SerializeToString()

    async def unload(self, request: bytes) -> bytes:
        """Let a model answer no more."""
        message = parse(pb.RepositoryModelUnloadRequest, request)
        name = message.model_name
        await self._control.unload(message.repository_name, name, _parameters(message.parameters))
        return pb.RepositoryModelUnloadResponse(model_name=name, isUnloaded=True).SerializeToString()


def _parameters(given: Mapping[str, pb.ModelRepositoryParameter]) -> dict[str, Any]:
    """Parameters as values; None where none is set."""
    found = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        found[name] = getattr(parameter, choice) if choice else None
    return found
