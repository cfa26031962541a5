"""A: the doors of a server say the same."""

from __future__ import annotations

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.grpc_infer import infer, outputs_of, request
from sigmax.conform.rest_infer import in_fractions
from sigmax.conform.rest_paths import object_of
from sigmax.conform.subject import BINARY_TENSORS, Subject, document, encoded, read_answer, with_binary
from sigmax.conform.tensors import agree
from sigmax.wire import open_inference_grpc_pb2 as pb

MUST = Level.MUST


def _numbers(subject: Subject) -> None:
    """Numbers with many digits."""
    inputs = in_fractions(subject)
    reply = subject.infer(encoded(document(inputs)))
    if reply.status != 200:
        raise NotAsked(f"the model takes no fractions: {reply}")
    over_json = read_answer(reply)
    for raw in (True, False):
        agree(
            over_json,
            outputs_of(infer(subject, request(subject.model, inputs, raw=raw))),
            "the answer of REST",
        )


def _binary(subject: Subject) -> None:
    inputs = in_fractions(subject)
    reply = subject.infer(encoded(document(inputs)))
    if reply.status != 200:
        raise NotAsked(f"the model takes no fractions: {reply}")
    body, headers = with_binary(inputs, parameters={"binary_data_output": True})
    agree(read_answer(reply), subject.answer(body, headers), "the answer in JSON")


def _server(subject: Subject) -> None:
    said = subject.rpc.call("ServerMetadata").read(pb.ServerMetadataResponse)
    rest = object_of(subject.http.ask("GET", "/v2"))
    got = {"name": said.name, "version": said.version, "extensions": list(said.extensions)}
    if got != {key: rest.get(key) for key in got}:
        raise Unmet(f"{rest}, as GET /v2 says", got)


_BOTH = "whoever changes from one door to the other"

CHECKS = (
    Check("A.numbers", MUST, "REST and gRPC answer fractions alike, to the last digit", _numbers, _BOTH),
    Check(
        "A.binary",
        Level.MAY,
        "JSON and bytes answer fractions alike, to the last digit",
        _binary,
        _BOTH,
        BINARY_TENSORS,
    ),
    Check("A.server", MUST, "both doors give the same name, version and extensions", _server, _BOTH),
)
