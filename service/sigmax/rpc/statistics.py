"""`ModelStatistics` of `inference.GRPCInferenceService`: the extension `statistics`."""

from __future__ import annotations

from google.protobuf import json_format

from sigmax.inference.statistics import Statistics
from sigmax.rpc.unary import parse
from sigmax.wire import open_inference_grpc_pb2 as pb


class ModelStatistics:
    """The method, on bytes."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    async def __call__(self, request: bytes) -> bytes:
        """The statistics of a version, of the one that answers, or of every model."""
        message = parse(pb.ModelStatisticsRequest, request)
        document = await self._statistics(message.name, message.version)
        return json_format.ParseDict(document, pb.ModelStatisticsResponse()).SerializeToString()
