"""What stands beside the standard's service: health, reflection, and Triton's RPCs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.extensions import DURATIONS, classified, ranked
from sigmax.conform.grpc_infer import INVALID, infer, outputs_of, request
from sigmax.conform.messages import messages
from sigmax.conform.refusals import insides
from sigmax.conform.rest_infer import SAME
from sigmax.conform.rest_paths import NOBODY
from sigmax.conform.rpc import SERVICE, Said, parsed, refused
from sigmax.conform.subject import Subject
from sigmax.conform.tensors import BYTES, DTYPES, agree
from sigmax.wire import open_inference_grpc_pb2 as pb

SHOULD, MAY = Level.SHOULD, Level.MAY
HEALTH = "grpc.health.v1.Health"
SERVING, SERVICE_UNKNOWN = 1, 3


def _check(subject: Subject, service: str) -> Said:
    return subject.rpc.call("Check", messages().HealthRequest(service=service), HEALTH)


def _serving(subject: Subject, service: str) -> None:
    status = _check(subject, service).read(messages().HealthResponse).status
    if status != SERVING:
        raise Unmet("SERVING", f"status {status}")


def _health_model(subject: Subject) -> None:
    _serving(subject, subject.model.name)


def _health_unknown(subject: Subject) -> None:
    said = _check(subject, NOBODY)
    if said.code != "NOT_FOUND":
        raise Unmet("NOT_FOUND", said)


def _watched(subject: Subject, service: str, wanted: int) -> None:
    message = messages().HealthRequest(service=service)
    said = subject.rpc.stream("Watch", [message], HEALTH, enough=1)
    status = said.read(messages().HealthResponse).status
    if status != wanted:
        raise Unmet(f"status {wanted} at once", f"status {status}")


def _health_list(subject: Subject) -> None:
    said = subject.rpc.call("List", b"", HEALTH).read(messages().HealthList)
    found = {entry.key: entry.value.status for entry in said.statuses}
    if found.get("") != SERVING:
        raise Unmet("the server itself as SERVING", found)


def _reflection(subject: Subject, version: str, **question: str) -> Any:
    service = f"grpc.reflection.{version}.ServerReflection"
    message = messages().ReflectionRequest(**question)
    said = subject.rpc.stream("ServerReflectionInfo", [message], service)
    if said.code == "UNIMPLEMENTED":
        raise NotAsked(f"the server has no {service}")
    return said.read(messages().ReflectionResponse)


def _services(subject: Subject, version: str) -> None:
    said = _reflection(subject, version, list_services="*")
    names = [service.name for service in said.services.service]
    if SERVICE not in names:
        raise Unmet(f"{SERVICE} among the services", names)


def _described(subject: Subject, version: str) -> None:
    said = _reflection(subject, version, file_containing_symbol=SERVICE)
    if not said.files.file_descriptor_proto:
        raise Unmet(f"the file of {SERVICE}", said.error.error_message or "none")
    files = [parsed(FileDescriptorProto, one) for one in said.files.file_descriptor_proto]
    there = {
        message.name: message
        for file in files
        for message in file.message_type
        if file.package == "inference"
    }
    for wanted in _standard().message_type:
        _compatible(wanted, there.get(wanted.name))


def _standard() -> FileDescriptorProto:
    return FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)


_NOT_TRITONS = "properties"
"""The one field that the standard's file has and Triton's has not."""


def _compatible(wanted: Any, there: Any) -> None:
    """Every field of the standard has its number and type."""
    fields = {field.name: (field.number, field.type) for field in there.field} if there else {}
    for field in wanted.field:
        said = fields.get(field.name, "no such field")
        if field.name != _NOT_TRITONS and said != (field.number, field.type):
            raise Unmet(f"{wanted.name}.{field.name} = {field.number}, type {field.type}", said)
    nested = {one.name: one for one in there.nested_type} if there else {}
    for one in wanted.nested_type:
        if one.name in nested:
            _compatible(one, nested[one.name])


def offered(said: Said) -> Said:
    """A call's end, unless the server does not have the method."""
    if said.code == "UNIMPLEMENTED":
        raise NotAsked("the server answers UNIMPLEMENTED")
    return said


def _stream(subject: Subject) -> None:
    sent = [request(subject.model, subject.inputs, raw=True, id=str(number)) for number in range(3)]
    answers = _streamed(subject, sent)
    ids = []
    for answer in answers:
        if answer.error_message or not answer.infer_response:
            raise Unmet("infer_response and no error_message", answer.error_message or "neither")
        response = parsed(pb.ModelInferResponse, answer.infer_response)
        ids.append(response.id)
        agree(subject.outputs, outputs_of(response), SAME)
    if sorted(ids) != ["0", "1", "2"]:
        raise Unmet("one answer a request, with its id", ids)


def _streamed(subject: Subject, sent: list[Any]) -> list[Any]:
    said = offered(subject.rpc.stream("ModelStreamInfer", sent))
    if said.code != "OK":
        raise Unmet("OK at the end of the stream", said)
    return [parsed(messages().StreamResponse, one) for one in said.messages]


def _stream_goes_on(subject: Subject) -> None:
    wrong = request(subject.model, subject.inputs, raw=True)
    wrong.inputs[0].name = "no-such-input"
    answers = _streamed(subject, [wrong, request(subject.model, subject.inputs, raw=True)])
    errors = [answer.error_message for answer in answers if answer.error_message]
    if len(answers) != 2 or len(errors) != 1:
        raise Unmet("an error_message for the wrong request, an answer for the next", f"errors {errors}")
    found = insides(errors[0])
    if found:
        raise Unmet("an error without a class name", found)


def _statistics(subject: Subject) -> None:
    message = messages().Named(name=subject.model.name)
    said = subject.rpc.call("ModelStatistics", message).read(messages().StatisticsResponse)
    for entry in said.model_stats:
        if entry.name == subject.model.name:
            missing = [name for name in DURATIONS if not entry.inference_stats.HasField(name)]
            if missing:
                raise Unmet("every timing block", f"{missing} are not there")
            return
    raise Unmet(f"model_stats with {subject.model.name!r}", said)


_NUMBERED = (*DTYPES, BYTES, "BF16")
_TYPES = {name: number for number, name in enumerate(_NUMBERED, 1)}
"""Triton's numbers of the datatypes in a configuration: from 1, in the order of the standard's table."""


def _config(subject: Subject) -> None:
    message = messages().Named(name=subject.model.name)
    config = subject.rpc.call("ModelConfig", message).read(messages().ConfigResponse).config
    if config.name != subject.model.name:
        raise Unmet(f"name: {subject.model.name!r}", config)
    for key, promises in (("input", subject.model.inputs), ("output", subject.model.outputs)):
        wanted = {promise.name: _TYPES[promise.datatype] for promise in promises}
        there = {one.name: one.data_type for one in getattr(config, key)}
        if there != wanted:
            raise Unmet(f"{key}: {wanted}", there)


def _index(subject: Subject) -> None:
    said = subject.rpc.call("RepositoryIndex", messages().IndexRequest()).read(messages().IndexResponse)
    states = {entry.name: entry.state for entry in said.models}
    if states.get(subject.model.name) not in ("READY", ""):
        raise Unmet(f"{subject.model.name!r} as READY", states)


def _load(subject: Subject) -> None:
    if not subject.may_write:
        raise NotAsked("it changes what the server has loaded: ask for it with --write")
    said = subject.rpc.call("RepositoryModelLoad", messages().LoadRequest(model_name=subject.model.name))
    if said.code != "OK":
        raise Unmet("OK", said)
    said = subject.rpc.call("RepositoryModelLoad", messages().LoadRequest(model_name=NOBODY))
    if said.code == "OK":
        raise Unmet("an error for a model that there is not", said)


def _classification(subject: Subject) -> None:
    for count in (2, 1_000):
        answer = infer(subject, _with_classes(subject, count))
        texts = [one for one in outputs_of(answer) if one.datatype == BYTES]
        ranked(classified(subject), texts, count)


def _with_classes(subject: Subject, count: int) -> Any:
    message = request(subject.model, subject.inputs, raw=True)
    output = message.outputs.add(name=classified(subject).name)
    output.parameters["classification"].int64_param = count
    return message


def _classification_wrong(subject: Subject) -> None:
    refused(subject.rpc.call("ModelInfer", _with_classes(subject, 0)), INVALID)


def _shared_memory(subject: Subject) -> None:
    if subject.offered("system_shared_memory"):
        raise NotAsked("the server lists system_shared_memory")
    refused(subject.rpc.call("SystemSharedMemoryStatus"), ("UNIMPLEMENTED",))


def _may(name: str, extension: str, sentence: str, run: Callable[[Subject], None], breaks: str) -> Check:
    return Check(name, MAY, sentence, run, breaks, extension)


_PROBES = "Kubernetes' gRPC probes, grpc_health_probe"
_GRPCURL = "grpcurl and generic clients"

CHECKS = (
    Check(
        "H.check",
        SHOULD,
        "Check of grpc.health.v1 for the server is SERVING",
        partial(_serving, service=""),
        _PROBES,
    ),
    Check(
        "H.service",
        SHOULD,
        "Check of the service is SERVING",
        partial(_serving, service=SERVICE),
        "client-side health",
    ),
    Check(
        "H.model", SHOULD, "Check of the model, by its name, is SERVING", _health_model, "probes of one model"
    ),
    Check("H.unknown", SHOULD, "Check of an unknown name is NOT_FOUND", _health_unknown, _PROBES),
    Check(
        "H.watch",
        SHOULD,
        "Watch says SERVING at once",
        partial(_watched, service="", wanted=SERVING),
        "balancers",
    ),
    Check(
        "H.watch.unknown",
        SHOULD,
        "Watch of an unknown name says SERVICE_UNKNOWN",
        partial(_watched, service=NOBODY, wanted=SERVICE_UNKNOWN),
        "balancers",
    ),
    Check("H.list", SHOULD, "List has the server as SERVING", _health_list, "dashboards"),
    *(
        Check(
            f"F.{version}",
            MAY,
            f"reflection {version} lists the service",
            partial(_services, version=version),
            _GRPCURL,
        )
        for version in ("v1", "v1alpha")
    ),
    *(
        Check(
            f"F.{version}.fields",
            MAY,
            f"reflection {version} has the standard's fields and numbers",
            partial(_described, version=version),
            _GRPCURL,
        )
        for version in ("v1", "v1alpha")
    ),
    Check(
        "S", MAY, "ModelStreamInfer answers each request in Triton's form", _stream, "tritonclient's streams"
    ),
    Check(
        "S.error",
        MAY,
        "a wrong request of a stream is its own error, the next is answered",
        _stream_goes_on,
        "streams",
    ),
    _may("GX.stats", "statistics", "ModelStatistics has every timing block", _statistics, "perf_analyzer"),
    _may("GX.config", "model_configuration", "ModelConfig is as the metadata", _config, "perf_analyzer"),
    _may("GX.index", "model_repository", "RepositoryIndex lists the model as READY", _index, "tritonclient"),
    _may(
        "GX.load",
        "model_repository",
        "RepositoryModelLoad loads, and refuses what there is not",
        _load,
        "tritonclient",
    ),
    _may("GX.class", "classification", "the most probable classes as texts", _classification, "class_count"),
    _may(
        "GX.class.wrong",
        "classification",
        "a count of 0: INVALID_ARGUMENT",
        _classification_wrong,
        "class_count",
    ),
    Check(
        "GX.memory", SHOULD, "shared memory that is not listed: UNIMPLEMENTED", _shared_memory, "tritonclient"
    ),
)
