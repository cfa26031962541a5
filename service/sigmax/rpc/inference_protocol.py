"""`inference.GRPCInferenceService`: the Open Inference Protocol, version 2.

An answer comes in the form of its request, raw contents for raw contents, typed for typed, unless the
parameter `binary_data_output` says otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf import json_format

from sigmax.errors import InvalidInput, quoted
from sigmax.inference.catalog import Catalog, Served
from sigmax.inference.configuration import DEFAULT, Deployment
from sigmax.inference.dispatch import Dispatch, Prediction
from sigmax.inference.open_inference import Output, metadata, outputs, server, wants_logits
from sigmax.inference.readiness import Readiness
from sigmax.inference.statistics import Statistics, own
from sigmax.protocol import elements, tensors
from sigmax.protocol.elements import Tensor
from sigmax.protocol.parameters import NONE, Wanted
from sigmax.protocol.schema import CATEGORIES, Schema
from sigmax.protocol.tabular import Rows
from sigmax.rpc.configuration import model_config
from sigmax.rpc.forms import Forms
from sigmax.rpc.raw import Form, KnownQuery, form_of, raw_response, requested, wishes_of
from sigmax.rpc.service import Handler, Service
from sigmax.rpc.statistics import ModelStatistics
from sigmax.rpc.stream import MAX_BYTES, Streams
from sigmax.rpc.stream_infer import StreamInfer
from sigmax.rpc.unary import parse, unary
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import open_inference_grpc_pb2 as pb

SERVICE = "inference.GRPCInferenceService"

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Which field of InferTensorContents holds a datatype; FP16 and BF16 have none, they travel raw."""

_SHARED_MEMORY = "shared memory is not offered: send tensors in the request"

ABSENT = {
    **dict.fromkeys(
        [
            f"{kind}SharedMemory{verb}"
            for kind in ("System", "Cuda")
            for verb in ("Status", "Register", "Unregister")
        ],
        _SHARED_MEMORY,
    ),
    "TraceSetting": "trace settings are not offered: send 'traceparent' with a call, it comes back",
    "LogSettings": "log settings are not offered while the service runs",
}
"""What is said of the extensions of Triton that are not offered."""


class InferenceService:
    """The methods of the service, on bytes."""

    def __init__(
        self,
        catalog: Catalog,
        dispatch: Dispatch,
        readiness: Readiness,
        metrics: Metrics,
        statistics: Statistics | None = None,
        *,
        extensions: Sequence[str] = (),
        deployment: Deployment = DEFAULT,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._model_statistics = ModelStatistics(statistics or Statistics(catalog, own(metrics)))
        self._catalog = catalog
        self._extensions, self._deployment = extensions, deployment
        self._dispatch = dispatch
        self._readiness = readiness
        self._infer = metrics.verb("grpc", "infer")
        self._stream_infer = metrics.verb("grpc", "stream_infer")
        self._forms: Forms[Form] = Forms()
        self._streams = Streams(StreamInfer(self.stream_infer), max_bytes)

    def handler(self, further: Mapping[str, Handler] | None = None) -> Service:
        """What a gRPC server adds to answer this service, its further methods too."""
        methods = {
            "ServerLive": unary(self.server_live),
            "ServerReady": unary(self.server_ready),
            "ModelReady": unary(self.model_ready),
            "ServerMetadata": unary(self.server_metadata),
            "ModelMetadata": unary(self.model_metadata),
            "ModelConfig": unary(partial(model_config, self._catalog, self._deployment)),
            "ModelInfer": unary(self.model_infer),
            "ModelStreamInfer": self._streams.handler(),
            "ModelStatistics": unary(self._model_statistics),
            **(further or {}),
        }
        return Service(SERVICE, methods, ABSENT)

    def server_live(self, request: bytes) -> bytes:
        """An answer is the proof."""
        parse(pb.ServerLiveRequest, request)
        return pb.ServerLiveResponse(live=True).SerializeToString()

    def server_ready(self, request: bytes) -> bytes:
        """Whether requests are answered."""
        parse(pb.ServerReadyRequest, request)
        return pb.ServerReadyResponse(ready=self._readiness.ready).SerializeToString()

    def model_ready(self, request: bytes) -> bytes:
        """Whether a model's version answers."""
        message = parse(pb.ModelReadyRequest, request)
        ready = self._catalog.entry(message.name).answers(message.version)
        return pb.ModelReadyResponse(ready=ready).SerializeToString()

    def server_metadata(self, request: bytes) -> bytes:
        """Name, version and extensions."""
        parse(pb.ServerMetadataRequest, request)
        said = server(self._extensions)
        return json_format.ParseDict(said, pb.ServerMetadataResponse()).SerializeToString()

    def model_metadata(self, request: bytes) -> bytes:
        """Inputs and outputs."""
        message = parse(pb.ModelMetadataRequest, request)
        served = self._catalog.find(message.name, message.version)
        return json_format.ParseDict(metadata(served), pb.ModelMetadataResponse()).SerializeToString()

    def model_infer(self, request: bytes) -> bytes | Awaitable[bytes]:
        """Predict."""
        form = self._forms.find(request)
        if form is not None:
            return self._dispatch.ask(self._infer, KnownQuery, form, request)
        return self._dispatch.ask(self._infer, InferQuery, request, self._forms)

    def stream_infer(self, request: bytes) -> bytes | Awaitable[bytes]:
        """Predict, for a stream: counted as that, and a call less for requests of their own."""
        form = self._forms.find(request)
        if form is not None:
            return self._dispatch.ask(self._stream_infer, KnownQuery, form, request)
        return self._dispatch.ask(self._stream_infer, InferQuery, request, self._forms)

    def leave(self, seconds: float) -> None:
        """End every stream as soon as it is answered, in `seconds` at the latest."""
        self._streams.leave(seconds)


class InferQuery:
    """A `ModelInferRequest`."""

    __slots__ = (
        "_forms",
        "_message",
        "_raw",
        "_request",
        "_wanted",
        "_wishes",
        "model",
        "version",
        "wants_logits",
    )

    def __init__(self, request: bytes, forms: Forms[Form]) -> None:
        self._request, self._forms = request, forms
        self._message = parse(pb.ModelInferRequest, request)
        self._raw = len(self._message.raw_input_contents) > 0
        self.model, self.version = self._message.model_name, self._message.model_version
        self._wishes, self.wants_logits = NONE, False
        self._wanted: tuple[Wanted, ...] = ()

    @property
    def timeout(self) -> float | None:
        """Seconds after which the answer is of no use; None for never; known once the rows are read."""
        return self._wishes.timeout

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read the input tensors, raw or typed: one, or two of a model with categories."""
        self._wishes, self._wanted = wishes_of(self._message), requested(self._message)
        self.wants_logits = wants_logits(served.manifest, [wanted.name for wanted in self._wanted])
        schema, inputs = served.schema, self._message.inputs
        tensors.check_inputs(schema, [tensor.name for tensor in inputs])
        if schema.categories:
            return Rows(elements.read(schema, self._tensors(schema), max_rows))
        tensor, shape = inputs[0], tuple(inputs[0].shape)
        if self._raw:
            raw = self._raw_contents()[0]
            return Rows(tensors.from_bytes(schema, tensor.datatype, shape, raw, max_rows))
        values = _typed_contents(tensor)
        return Rows(tensors.from_values(schema, tensor.datatype, shape, values, max_rows))

    def render(self, prediction: Prediction) -> bytes:
        """A `ModelInferResponse`."""
        served, message, wishes = prediction.served, self._message, self._wishes
        given = outputs(prediction, self._wanted, wishes.options)
        if self._raw if wishes.binary is None else wishes.binary:
            if self._raw:
                self._forms.learn(self._request, partial(form_of, self._request, message))
            identity = pb.ModelInferResponse(id=message.id).SerializeToString()
            return identity + raw_response(served, given)
        response = pb.ModelInferResponse(model_name=served.name, model_version=served.version, id=message.id)
        for output in given:
            target = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
            getattr(target.contents, CONTENTS[output.datatype]).extend(_typed(output))
        return response.SerializeToString()

    def _tensors(self, schema: Schema) -> list[Tensor]:
        """The inputs of a model with categories."""
        inputs = self._message.inputs
        for tensor in inputs:
            if tensor.name == CATEGORIES:
                elements.check_datatype(schema, tensor.datatype)
            else:
                tensors.dtype_of(tensor.datatype)
        contents = self._raw_contents() if self._raw else list(map(_field, inputs))
        return [
            Tensor(tensor.name, tensor.datatype, tuple(tensor.shape), content)
            for tensor, content in zip(inputs, contents, strict=True)
        ]

    def _raw_contents(self) -> Sequence[bytes]:
        """The raw contents, one entry an input."""
        contents, inputs = self._message.raw_input_contents, self._message.inputs
        if len(contents) != len(inputs):
            entries = "1 entry" if len(inputs) == 1 else f"{len(inputs)} entries"
            text = f"expected {entries} of raw_input_contents, one an input, got {len(contents)}"
            raise InvalidInput(text, "raw_input_contents")
        for tensor in inputs:
            if tensor.HasField("contents"):
                text = f"input {quoted(tensor.name)}: contents and raw_input_contents are both filled"
                raise InvalidInput(text, tensors.field(tensor.name, "contents"))
        return contents


def _typed_contents(tensor: pb.ModelInferRequest.InferInputTensor) -> Sequence[Any]:
    """The values of a tensor of numbers."""
    tensors.dtype_of(tensor.datatype)
    return _field(tensor)


def _field(tensor: pb.ModelInferRequest.InferInputTensor) -> Sequence[Any]:
    """The values of a tensor, from the field that its datatype belongs into and no other."""
    field = CONTENTS.get(tensor.datatype)
    if field is None:
        raise InvalidInput(
            f"input {quoted(tensor.name)}: {tensor.datatype} travels in raw_input_contents only",
            tensors.field(tensor.name, "contents"),
        )
    filled = [descriptor.name for descriptor, _ in tensor.contents.ListFields()]
    if filled not in ([], [field]):
        raise InvalidInput(
            f"input {quoted(tensor.name)}: {tensor.datatype} belongs into contents.{field}, "
            f"got {', '.join(filled)}",
            tensors.field(tensor.name, "contents"),
        )
    values: Sequence[Any] = getattr(tensor.contents, field)
    return values


def _typed(output: Output) -> list[Any]:
    if isinstance(output.values, list):
        return [label.encode() for label in output.values]
    flat: list[Any] = output.values.ravel().tolist()
    return flat
