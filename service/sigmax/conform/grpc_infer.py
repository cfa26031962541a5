"""The standard's RPCs, asked rightly: health, metadata, and G1 to G6 of inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.rest_infer import ANY_TEXT, SAME, datatype_checks, in_datatype, lossy
from sigmax.conform.rpc import Said, refused
from sigmax.conform.subject import Model, Promise, Subject
from sigmax.conform.tensors import BYTES, FIELDS, Tensor, agree, from_raw, to_raw
from sigmax.wire import open_inference_grpc_pb2 as pb

MUST, SHOULD = Level.MUST, Level.SHOULD
INVALID = ("INVALID_ARGUMENT",)


def request(model: Model, inputs: Sequence[Tensor], *, raw: bool, **more: Any) -> Any:
    """A ModelInferRequest with raw or typed contents."""
    message = pb.ModelInferRequest(model_name=model.name, **more)
    for tensor in inputs:
        target = message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if raw:
            message.raw_input_contents.append(to_raw(tensor))
        else:
            getattr(target.contents, _field(tensor.datatype)).extend(tensor.values)
    return message


def _field(datatype: str) -> str:
    if datatype not in FIELDS:
        raise NotAsked(f"{datatype} has no typed contents")
    return FIELDS[datatype]


def infer(subject: Subject, message: Any) -> Any:
    """Send a request that has to be answered."""
    return subject.rpc.call("ModelInfer", message).read(pb.ModelInferResponse)


def outputs_of(answer: Any) -> list[Tensor]:
    """The outputs of a ModelInferResponse, raw or typed.

    Raises:
        Unmet: raw contents that are not one an output, or values that are not as many as the shape says.
    """
    raw = answer.raw_output_contents
    if raw and len(raw) != len(answer.outputs):
        raise Unmet(f"{len(answer.outputs)} raw_output_contents, one an output", len(raw))
    if raw:
        return [
            from_raw(one.name, one.datatype, one.shape, blob)
            for one, blob in zip(answer.outputs, raw, strict=True)
        ]
    return [_typed(output) for output in answer.outputs]


def _typed(output: Any) -> Tensor:
    filled = {descriptor.name: values for descriptor, values in output.contents.ListFields()}
    values = filled.pop(FIELDS.get(output.datatype, ""), ())
    if filled or len(values) != math.prod(output.shape):
        raise Unmet(f"{math.prod(output.shape)} values in {FIELDS.get(output.datatype)}", output)
    return Tensor(output.name, output.datatype, tuple(output.shape), tuple(values))


def _server_live(subject: Subject) -> None:
    if not subject.rpc.call("ServerLive").read(pb.ServerLiveResponse).live:
        raise Unmet("live: true", "live: false")


def _server_ready(subject: Subject) -> None:
    if not subject.rpc.call("ServerReady").read(pb.ServerReadyResponse).ready:
        raise Unmet("ready: true, since the model is", "ready: false")


def _model_ready(subject: Subject) -> None:
    versions = ("", *subject.model.versions[-1:])
    for version in versions:
        message = pb.ModelReadyRequest(name=subject.model.name, version=version)
        if not subject.rpc.call("ModelReady", message).read(pb.ModelReadyResponse).ready:
            raise Unmet(f"ready: true of version {version!r}", "ready: false")


def _server_metadata(subject: Subject) -> None:
    said = subject.rpc.call("ServerMetadata").read(pb.ServerMetadataResponse)
    if not said.name or not said.version:
        raise Unmet("a name and a version", said)


def _model_metadata(subject: Subject) -> None:
    message = pb.ModelMetadataRequest(name=subject.model.name)
    said = subject.rpc.call("ModelMetadata", message).read(pb.ModelMetadataResponse)
    if said.name != subject.model.name:
        raise Unmet(f"name: {subject.model.name!r}", said)
    for key, wanted in (("inputs", subject.model.inputs), ("outputs", subject.model.outputs)):
        got = tuple(Promise(one.name, one.datatype, tuple(one.shape)) for one in getattr(said, key))
        if got != wanted:
            raise Unmet(f"the {key} of GET {subject.model.path}", got)


def _raw(subject: Subject) -> None:
    agree(subject.outputs, outputs_of(infer(subject, request(subject.model, subject.inputs, raw=True))), SAME)


def _typed_in(subject: Subject) -> None:
    agree(
        subject.outputs, outputs_of(infer(subject, request(subject.model, subject.inputs, raw=False))), SAME
    )


def _raw_order(subject: Subject) -> None:
    if len(subject.inputs) < 2:
        raise NotAsked("the model has one input")
    turned = list(reversed(subject.inputs))
    for raw in (True, False):
        agree(subject.outputs, outputs_of(infer(subject, request(subject.model, turned, raw=raw))), SAME)


def _raw_out(subject: Subject) -> None:
    answer = infer(subject, request(subject.model, subject.inputs, raw=True))
    if len(answer.raw_output_contents) != len(answer.outputs) or not answer.outputs:
        raise Unmet(f"{len(answer.outputs)} raw_output_contents", len(answer.raw_output_contents))
    if any(output.contents.ListFields() for output in answer.outputs):
        raise Unmet("no typed contents beside them", answer.outputs[0])


def _typed_out(subject: Subject) -> None:
    answer = infer(subject, request(subject.model, subject.inputs, raw=False))
    if answer.raw_output_contents or not all(output.contents.ListFields() for output in answer.outputs):
        raise Unmet(
            "typed contents and no raw ones", f"{len(answer.raw_output_contents)} raw_output_contents"
        )


def _names(subject: Subject) -> None:
    versions = ("", *subject.model.versions[-1:])
    for version in versions:
        message = request(subject.model, subject.inputs, raw=True, model_version=version)
        said = infer(subject, message)
        if said.model_name != subject.model.name:
            raise Unmet(f"model_name: {subject.model.name!r}", repr(said.model_name))
        if version and said.model_version not in ("", version):
            raise Unmet(f"model_version: {version!r}", repr(said.model_version))
        agree(subject.outputs, outputs_of(said), SAME)


def _id(subject: Subject) -> None:
    for raw in (True, False):
        _echoed(subject, "42", raw=raw)


def _id_text(subject: Subject) -> None:
    _echoed(subject, ANY_TEXT, raw=True)


def _echoed(subject: Subject, given: str, *, raw: bool) -> None:
    said = infer(subject, request(subject.model, subject.inputs, raw=raw, id=given))
    if said.id != given:
        raise Unmet(f"id: {given!r}", repr(said.id))


def _subset(subject: Subject) -> None:
    Requested = pb.ModelInferRequest.InferRequestedOutputTensor  # noqa: N806 - a class
    names = [tensor.name for tensor in reversed(subject.outputs)]
    for wanted in ([names[0]], names):
        message = request(
            subject.model, subject.inputs, raw=True, outputs=[Requested(name=name) for name in wanted]
        )
        got = outputs_of(infer(subject, message))
        if [one.name for one in got] != wanted:
            raise Unmet(f"outputs {wanted}, as requested", [one.name for one in got])
        agree([one for one in subject.outputs if one.name in wanted], got, SAME)


def _parameters(subject: Subject) -> None:
    message = request(subject.model, subject.inputs, raw=True)
    for holder in (message, *message.inputs):
        holder.parameters["x_nobody_knows"].string_param = "a"
        holder.parameters["x_number"].int64_param = 1
        holder.parameters["x_fraction"].double_param = 0.5
        holder.parameters["x_unsigned"].uint64_param = 1
        holder.parameters["x_bool"].bool_param = True
    agree(subject.outputs, outputs_of(infer(subject, message)), SAME)


def _datatype(datatype: str, subject: Subject) -> None:
    inputs = in_datatype(subject, datatype)
    for raw in (True, False) if datatype in FIELDS else (True,):
        _same_or_refused(subject, subject.rpc.call("ModelInfer", request(subject.model, inputs, raw=raw)))


def _same_or_refused(subject: Subject, said: Said) -> None:
    if said.code == "OK":
        agree(subject.outputs, outputs_of(said.read(pb.ModelInferResponse)), "the answer to the same numbers")
    else:
        refused(said, INVALID)


def _lossy(subject: Subject) -> None:
    inputs = lossy(subject)
    refused(subject.rpc.call("ModelInfer", request(subject.model, inputs, raw=True)), INVALID)


def _texts(subject: Subject) -> None:
    if all(tensor.datatype != BYTES for tensor in subject.outputs):
        raise NotAsked("the model answers no texts")
    wanted = [tensor for tensor in subject.outputs if tensor.datatype == BYTES]
    for raw in (True, False):
        agree(wanted, outputs_of(infer(subject, request(subject.model, subject.inputs, raw=raw))), SAME)


_ANY = "every gRPC client"
_AS_NUMPY = "tritonclient's as_numpy reads raw contents only"
_STUBS = "plain stubs and grpcurl find empty contents"

CHECKS = (
    Check("G.live", MUST, "ServerLive is true", _server_live, "probes"),
    Check("G.ready", MUST, "ServerReady is true while the model is ready", _server_ready, "probes"),
    Check("G.model_ready", MUST, "ModelReady is true, with and without the version", _model_ready, "probes"),
    Check("G.server", MUST, "ServerMetadata has name and version", _server_metadata, "discovery"),
    Check("G.metadata", MUST, "ModelMetadata is what REST says", _model_metadata, "typed clients"),
    Check("G1", MUST, "raw contents are the same request as JSON, to the last digit", _raw, _ANY),
    Check("G1.order", MUST, "inputs may come in any order", _raw_order, _ANY),
    Check(
        "G.typed", MUST, "typed contents are the same request as JSON, to the last digit", _typed_in, _STUBS
    ),
    Check(
        "G.names",
        MUST,
        "the answer names model and version, asked with and without",
        _names,
        "pinned clients",
    ),
    Check("G.id", MUST, "an id comes back as it was sent", _id, "clients that match answers to requests"),
    Check("G.id.text", SHOULD, "an id may be any text", _id_text, "clients whose ids are not ASCII"),
    Check("G.outputs", MUST, "outputs come as they were requested", _subset, "clients that save bandwidth"),
    Check(
        "G.parameters",
        MUST,
        "unknown parameters of every kind are ignored",
        _parameters,
        "tritonclient's priority",
    ),
    Check("G.texts", MUST, "texts are those of JSON, raw and typed", _texts, "labels"),
    Check("G6.raw", SHOULD, "raw contents are answered raw, one an output", _raw_out, _AS_NUMPY),
    Check("G6.typed", SHOULD, "typed contents are answered typed", _typed_out, _STUBS),
    *datatype_checks("G", _datatype, "over gRPC, raw and typed"),
    Check(
        "G.lossy", SHOULD, "a value that the model's type would change is refused", _lossy, "silent changes"
    ),
)
