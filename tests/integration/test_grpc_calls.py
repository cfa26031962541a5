"""Calls that are too large, too late, cancelled, or of what there is not; watchers; generic clients."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from tests.conformance import models
from tests.conformance.models import ROWS
from tests.integration.rpc import INFER, MODEL, Golden, ask, refused, request
from tests.service import Service, running
from tests.unit.sigmax import costly

from sigmax.wire import classifier_pb2
from sigmax.wire import open_inference_grpc_pb2 as pb

LIMIT = 2**20
CHECK, WATCH, LIST = (f"/grpc.health.v1.Health/{name}" for name in ("Check", "Watch", "List"))
SLOW = request(np.zeros((40, 2)), "costly")  # about 100 ms
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
PATIENCE = 20


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("models")
    models.publish(root)
    costly.write(root)
    with running(root, "--max-bytes", str(LIMIT)) as started:
        yield started


@pytest.fixture(scope="module")
def asked(service: Service) -> Iterator[Golden]:
    golden = Golden(service)
    with golden.channel:
        yield golden


@pytest.fixture
def channel(asked: Golden) -> Iterator[grpc.Channel]:
    """A channel; a golden request has to hold after a test."""
    yield asked.channel
    asked.holds()


def _method(kind: Any, path: str) -> Any:
    """A method on bytes."""
    return kind(path, bytes, bytes)


def padded(size: int) -> bytes:
    """The golden request with an unknown field that makes it so large."""
    wanted = request()
    tag = b"\x82\x7d"  # field 2000, length-delimited
    length = size - len(wanted) - len(tag) - 3
    size_of_it = bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])
    return wanted + tag + size_of_it + b"a" * length


def test_a_message_at_the_limit_is_read_and_one_beyond_is_refused(channel: grpc.Channel) -> None:
    assert ask(channel, padded(LIMIT)) == ask(channel, request())
    assert refused(channel, padded(LIMIT + 1)) == (
        "RESOURCE_EXHAUSTED",
        f"SERVER: Received message larger than max ({LIMIT + 1} vs. {LIMIT})",
    )


def test_a_message_that_grows_when_it_is_unpacked_is_refused_before_it_has(
    service: Service, channel: grpc.Channel
) -> None:
    bomb = b"a" * 64 * LIMIT
    before = resident(service)

    code, text = refused(channel, bomb, compression=grpc.Compression.Gzip)

    assert code == "RESOURCE_EXHAUSTED"
    assert "larger than max" in text
    assert resident(service) - before < 32 * LIMIT


def resident(service: Service) -> int:
    """The bytes of memory of all processes of a service."""
    supervisor = service.process.pid
    workers = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    states = [Path(f"/proc/{process}/statm").read_text() for process in (supervisor, *workers)]
    return sum([int(state.split()[1]) for state in states]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    "path",
    [
        "/no.such.Service/Method",
        "/inference.GRPCInferenceService/NoSuchMethod",
        "/GRPCInferenceService/ModelInfer",
        "/inference.GRPCInferenceService/modelinfer",
        "/grpc.health.v1.Health/NoSuchMethod",
        "/grpc.channelz.v1.Channelz/GetServers",
    ],
)
def test_a_method_that_there_is_not_is_unimplemented(channel: grpc.Channel, path: str) -> None:
    code, text = refused(channel, request(), path)

    assert code == "UNIMPLEMENTED"
    assert text
    assert "class" not in text


@pytest.mark.parametrize("model", [MODEL, "costly"])
@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-6, 1e-3])
def test_a_deadline_that_has_passed_or_nearly_so_is_exceeded_or_kept(
    channel: grpc.Channel, model: str, seconds: float
) -> None:
    wanted = ask(channel, request(model=model))
    call: Any = _method(channel.unary_unary, INFER).future(request(model=model), timeout=seconds)

    if call.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:  # the library counts in milliseconds
        assert (seconds >= 0, call.result()) == (True, wanted)


@pytest.mark.parametrize("model", [MODEL, "costly"])
@pytest.mark.parametrize("seconds", [10.0, 1e9, None])
def test_a_deadline_that_is_far_or_none_changes_nothing(
    channel: grpc.Channel, model: str, seconds: float | None
) -> None:
    assert ask(channel, request(model=model), timeout=seconds) == ask(channel, request(model=model))


@pytest.mark.parametrize("seconds", [1e-3, 0.05])
def test_a_request_that_waits_is_answered_before_its_deadline_or_not_at_all(
    service: Service, channel: grpc.Channel, seconds: float
) -> None:
    wanted = ask(channel, request(model="costly"))
    before = counted(service)
    with busy(channel):
        waits = [
            _method(channel.unary_unary, INFER).future(request(model="costly"), seconds) for _ in range(20)
        ]
        codes = [one.code() for one in waits]
    until(lambda: waiting(service) == 0)

    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert {one.result() for one in waits if one.code() is grpc.StatusCode.OK} <= {wanted}
    assert {code for code, count in counted(service).items() if count > before.get(code, 0)} <= {
        "OK",
        "DEADLINE",
    }


@pytest.mark.parametrize("model", [MODEL, "costly"])
def test_the_timeout_of_a_request_is_honoured_though_the_call_has_none(
    channel: grpc.Channel, model: str
) -> None:
    assert refused(channel, request(model=model, timeout=1), timeout=None) == (
        "DEADLINE_EXCEEDED",
        "the timeout of the request passed before it was computed",
    )
    assert ask(channel, request(model=model, timeout=10**9)) == ask(channel, request(model=model))
    assert ask(channel, request(model=model, timeout=0)) == ask(channel, request(model=model))


def test_a_timeout_that_is_none_is_refused_with_what_came(channel: grpc.Channel) -> None:
    assert refused(channel, request(timeout=-5)) == (
        "INVALID_ARGUMENT",
        "parameter 'timeout' is a whole number of microseconds, at least 0, not the number -5",
    )


def metrics(service: Service) -> dict[str, float]:
    """Every sample by name and labels."""
    lines = httpx.get(f"{service.rest}/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def counted(service: Service) -> dict[str, float]:
    """How many requests of the costly model ended how."""
    found = {}
    for name, value in metrics(service).items():
        if name.startswith("sigmax_requests_total") and 'model="costly"' in name and 'verb="infer"' in name:
            found[name.split('"')[1]] = value
    return found


def waiting(service: Service) -> float:
    return metrics(service).get('sigmax_queue_rows{model="costly",version="1"}', 0.0)


def until(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


class busy:  # noqa: N801 - reads as what it is: with busy(channel)
    """Several slow requests that are computed or wait, until the block has ended and they are answered."""

    def __init__(self, channel: grpc.Channel, count: int = 8) -> None:
        method = _method(channel.unary_unary, INFER)
        self._calls: list[Any] = [method.future(SLOW, timeout=PATIENCE) for _ in range(count)]

    def __enter__(self) -> None:
        self._calls[0].result()

    def __exit__(self, *_: Any) -> None:
        for call in self._calls:
            call.result()


def test_calls_that_are_cancelled_at_any_time_take_nobody_with_them(
    service: Service, channel: grpc.Channel
) -> None:
    method = _method(channel.unary_unary, INFER)
    before = counted(service)["OK"]
    kept: list[Any] = []
    for number in range(40):
        leaving: Any = method.future(request(model="costly"), timeout=PATIENCE)
        kept.append(method.future(request(ROWS[number : number + 1], "costly"), timeout=PATIENCE))
        if number % 3 == 0:
            kept[-1].result()  # it is, or was, in one run with the other
        time.sleep(number % 4 * 1e-3)  # somewhere on the way
        leaving.cancel()
    for call in kept:
        assert pb.ModelInferResponse.FromString(call.result()).model_name == "costly"
    until(lambda: waiting(service) == 0)

    assert counted(service)["OK"] - before >= len(kept)


def test_a_call_that_is_cancelled_after_its_answer_is_answered(channel: grpc.Channel) -> None:
    call: Any = _method(channel.unary_unary, INFER).future(request(), timeout=PATIENCE)
    answer = call.result()
    call.cancel()

    assert answer == ask(channel, request())
    assert call.code() is grpc.StatusCode.OK


def checked(channel: grpc.Channel, name: str) -> int:
    message = health_pb2.HealthCheckRequest(service=name).SerializeToString()
    status: int = health_pb2.HealthCheckResponse.FromString(ask(channel, message, CHECK)).status
    return status


def test_health_is_checked_listed_and_watched_by_the_same_names(channel: grpc.Channel) -> None:
    listed = health_pb2.HealthListResponse.FromString(ask(channel, path=LIST)).statuses
    names = {"", "sigmax.v1.Classifier", "inference.GRPCInferenceService", "costly", *models.MANIFESTS}

    assert {name: entry.status for name, entry in listed.items()} == dict.fromkeys(names, 1)
    assert {checked(channel, name) for name in names} == {1}
    none = health_pb2.HealthCheckRequest(service="none").SerializeToString()
    assert refused(channel, none, CHECK) == ("NOT_FOUND", "no service and no model is called 'none'")


@pytest.mark.parametrize(("path", "kind"), [(CHECK, "HealthCheckRequest"), (LIST, "HealthListRequest")])
def test_bytes_that_are_no_message_are_the_callers_error_of_health_too(
    channel: grpc.Channel, path: str, kind: str
) -> None:
    assert refused(channel, b"\xff", path) == (
        "INVALID_ARGUMENT",
        f"the request is not a grpc.health.v1.{kind} message",
    )


def test_a_thousand_watchers_are_told_and_leave_predictions_their_turn(
    service: Service, channel: grpc.Channel
) -> None:
    message = health_pb2.HealthCheckRequest(service=MODEL).SerializeToString()
    with ExitStack() as stack:
        watches: list[Any] = []
        for number in range(4):
            options = [("grpc.use_local_subchannel_pool", 1), ("number", number)]
            own = stack.enter_context(grpc.insecure_channel(service.grpc, options))
            watches += [_method(own.unary_stream, WATCH)(message, timeout=PATIENCE) for _ in range(250)]
        told = {next(watch) for watch in watches}
        answers = {ask(channel, request(), timeout=1.0) for _ in range(100)}
        for watch in watches:
            watch.cancel()

    assert told == {b"\x08\x01"}
    assert len(answers) == 1


def test_a_watcher_that_does_not_read_holds_up_no_other(channel: grpc.Channel) -> None:
    unknown = health_pb2.HealthCheckRequest(service="none").SerializeToString()
    watches: list[Any] = [_method(channel.unary_stream, WATCH)(unknown, timeout=PATIENCE) for _ in range(2)]

    assert next(watches[1]) == b"\x08\x03"
    for watch in watches:
        watch.cancel()


class Reflected:
    """A client that knows nothing of a server but what its reflection says."""

    def __init__(self, channel: grpc.Channel, version: str) -> None:
        from grpc_reflection.v1alpha import reflection_pb2

        self._channel, self._pool = channel, DescriptorPool()
        self._path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        self._messages: Any = reflection_pb2

    def services(self) -> list[str]:
        answer = self._asked(list_services="*")
        return [service.name for service in answer.list_services_response.service]

    def learn(self, symbol: str) -> Any:
        """The descriptor of a service."""
        answer = self._asked(file_containing_symbol=symbol)
        files = answer.file_descriptor_response.file_descriptor_proto
        for file in reversed(files):
            self._pool.Add(FileDescriptorProto.FromString(file))
        return self._pool.FindServiceByName(symbol)

    def call(self, service: str, method: str, **fields: Any) -> Any:
        """Call a method with a message of what was learnt."""
        found = self._pool.FindServiceByName(service).methods_by_name[method]
        sent = GetMessageClass(found.input_type)(**fields)
        answer = ask(self._channel, sent.SerializeToString(), f"/{service}/{method}")
        return GetMessageClass(found.output_type).FromString(answer)

    def _asked(self, **question: str) -> Any:
        sent = self._messages.ServerReflectionRequest(**question).SerializeToString()
        (answer,) = _method(self._channel.stream_stream, self._path)(iter([sent]), timeout=PATIENCE)
        return self._messages.ServerReflectionResponse.FromString(answer)


SERVICES = {
    "sigmax.v1.Classifier": {"PredictProbabilities", "PredictClasses", "DescribeModel", "ListModels"},
    "inference.GRPCInferenceService": {"ModelInfer", "ModelStreamInfer", "ModelConfig", "RepositoryIndex"},
    "grpc.health.v1.Health": {"Check", "List", "Watch"},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo"},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo"},
}


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_a_client_that_knows_only_reflection_finds_and_calls_everything(
    channel: grpc.Channel, version: str
) -> None:
    client, row = Reflected(channel, version), ROWS[0].tolist()

    assert set(client.services()) == set(SERVICES)
    for name, methods in SERVICES.items():
        assert methods <= set(client.learn(name).methods_by_name)
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "contents": {"fp64_contents": row}}
    infer = client.call("inference.GRPCInferenceService", "ModelInfer", model_name=MODEL, inputs=[tensor])
    classes = client.call(
        "sigmax.v1.Classifier",
        "PredictClasses",
        model=MODEL,
        rows=[{"struct_value": dict(zip("ab", row, strict=True))}],
    )

    assert infer.outputs[0].contents.fp64_contents[:] == pytest.approx(_probabilities(channel), abs=0)
    assert classes.results[0].label == infer.outputs[1].contents.bytes_contents[0].decode()


def _probabilities(channel: grpc.Channel) -> list[float]:
    """Of the first row, as our own messages say it."""
    sent = classifier_pb2.PredictProbabilitiesRequest(model=MODEL)
    sent.rows.add().list_value.extend(ROWS[0].tolist())
    answer = ask(channel, sent.SerializeToString(), "/sigmax.v1.Classifier/PredictProbabilities")
    return list(classifier_pb2.PredictProbabilitiesResponse.FromString(answer).probabilities[0].values)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"file_by_filename": "no/such.proto"}, 5),
        ({"file_containing_symbol": "no.such.Service"}, 5),
        ({"file_containing_symbol": "inference.GRPCInferenceService.NoSuchMethod"}, 5),
        ({"all_extension_numbers_of_type": "no.such.Message"}, 5),
        ({}, 3),
    ],
)
def test_a_question_about_what_there_is_not_is_answered_with_an_error_in_its_place(
    channel: grpc.Channel, version: str, question: dict[str, str], code: int
) -> None:
    answer = Reflected(channel, version)._asked(**question)

    assert answer.error_response.error_code == code
    assert answer.error_response.error_message


def test_a_stream_of_reflection_ends_at_bytes_that_are_no_question(channel: grpc.Channel) -> None:
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    call: Any = _method(channel.stream_stream, path)(iter([b"\xff"]), timeout=PATIENCE)
    with pytest.raises(grpc.RpcError):
        list(call)

    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "is not a grpc.reflection." in call.details()


def test_streams_and_watches_of_a_service_that_is_told_to_leave_end_within_its_grace(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("models")
    costly.write(root)
    with running(root, "--grace", "15") as own, grpc.insecure_channel(own.grpc) as channel:
        open_end = threading.Event()

        def sent() -> Iterator[bytes]:
            yield request(model="costly")
            open_end.wait(PATIENCE)

        stream: Any = _method(channel.stream_stream, "/inference.GRPCInferenceService/ModelStreamInfer")(
            sent()
        )
        first = pb.ModelStreamInferResponse.FromString(next(stream))
        own.process.terminate()
        with pytest.raises(grpc.RpcError):
            next(stream)
        open_end.set()

        assert first.infer_response.model_name == "costly"
        assert (stream.code(), stream.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "the service is shutting down",
        )
        assert own.process.wait(PATIENCE) == 0
