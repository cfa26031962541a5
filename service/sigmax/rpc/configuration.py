"""`ModelConfig`: how a model is served, as Triton's clients and load generators ask for it."""

from __future__ import annotations

from google.protobuf import json_format

from sigmax.inference.catalog import Catalog
from sigmax.inference.configuration import Deployment, configuration
from sigmax.rpc.unary import parse
from sigmax.wire import open_inference_grpc_pb2 as pb


def model_config(catalog: Catalog, deployment: Deployment, request: bytes) -> bytes:
    """Answer a `ModelConfigRequest`.

    Raises:
        SigmaxError: not such a message, or no such model or version.
    """
    message = parse(pb.ModelConfigRequest, request)
    document = {"config": configuration(catalog.find(message.name, message.version), deployment)}
    return json_format.ParseDict(document, pb.ModelConfigResponse()).SerializeToString()
