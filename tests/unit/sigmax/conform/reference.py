"""A small server that keeps every rule of the checklist, until a fault is put into it.

It has four models, so that every check concerns one of them. A fault stands between the wire and the server
and may change what is asked or what is answered, over HTTP or gRPC.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import grpc
import numpy as np

from sigmax.conform.check import NotAsked, Unmet
from sigmax.conform.extensions import DURATIONS, data_type
from sigmax.conform.grpc_services import HEALTH
from sigmax.conform.messages import messages
from sigmax.conform.rpc import SERVICE
from sigmax.conform.tensors import BYTES, DTYPES, FIELDS, Tensor, cast, from_json, from_raw, to_raw
from sigmax.wire import open_inference_grpc_pb2 as pb

EXTENSIONS = [
    "binary_tensor_data",
    "classification",
    "statistics",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "logging",
    "trace",
    "cuda_shared_memory",
]
CLASSES = (b"x", b"y", b"z")
OUTPUTS = (("probabilities", "FP64", [-1, 3]), ("label", BYTES, [-1]))
MODELS = {
    "mixed": (("numbers", "FP64", [-1, 4]), ("texts", BYTES, [-1, 1])),
    "single": (("numbers", "FP64", [-1, 4]),),
    "integers": (("numbers", "INT32", [-1, 4]),),
    "flags": (("numbers", "BOOL", [-1, 4]),),
    "words": (("texts", BYTES, [-1, 1]),),
}
INDEX = {"READY": list(MODELS), "UNAVAILABLE": ["asleep"]}


class Wrong(Exception):
    """A request that is refused."""

    def __init__(self, text: str, status: int = 400, code: str = "INVALID_ARGUMENT") -> None:
        super().__init__(text)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answered:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Called:
    method: str
    messages: list[bytes]


@dataclass(frozen=True)
class Returned:
    messages: list[bytes]
    code: str = "OK"
    details: str = ""


HttpFault = Callable[[Asked, Callable[[Asked], Answered]], Answered]
RpcFault = Callable[[Called, Callable[[Called], Returned]], Returned]


def said(document: Any, status: int = 200) -> Answered:
    return Answered(status, json.dumps(document).encode())


class Reference:
    """The server; `http_fault` and `rpc_fault` are what is wrong with it."""

    def __init__(self) -> None:
        self.http_fault: HttpFault | None = None
        self.rpc_fault: RpcFault | None = None
        self.asleep: set[str] = set()
        self.inferences = 0

    # --- HTTP ---

    def http(self, asked: Asked) -> Answered:
        return self.http_fault(asked, self.right) if self.http_fault else self.right(asked)

    def right(self, asked: Asked) -> Answered:
        try:
            return self._routed(asked)
        except Wrong as error:
            allow = (("Allow", "POST"),) if error.status == 405 else ()
            return Answered(
                error.status, json.dumps({"error": str(error)}).encode(), (*Answered(0, b"").headers, *allow)
            )

    def _routed(self, asked: Asked) -> Answered:
        for methods, pattern, run in self._routes():
            match = re.fullmatch(pattern, asked.path)
            if match is None:
                continue
            if asked.method not in methods.split():
                raise Wrong("another method is meant", 405)
            return run(asked, *match.groups())
        raise Wrong("no such address", 404)

    def _routes(self) -> list[tuple[str, str, Callable[..., Answered]]]:
        model = r"/v2/models/([^/]+)(?:/versions/([^/]+))?"
        return [
            ("GET HEAD", "/v2/health/live", lambda _: said({"live": True})),
            ("GET HEAD", "/v2/health/ready", lambda _: said({"ready": True})),
            ("GET", "/v2/?", lambda _: said({"name": "reference", "version": "1", "extensions": EXTENSIONS})),
            ("GET", "/v2/models", lambda _: said({"models": list(MODELS)})),
            ("GET", "/v2/models/stats", lambda _: said({"model_stats": list(map(self._stats, MODELS))})),
            ("POST", "/v2/repository/index", self._index),
            ("POST", "/v2/repository/models/([^/]+)/(load|unload)", self._move),
            ("GET", "/v2/logging|/v2/trace/setting", lambda _: said({})),
            ("GET", "/v2/cudasharedmemory/status", lambda _: said([])),
            ("GET", model, lambda _, name, version: said(self._metadata(name, version))),
            ("GET HEAD", model + "/ready", self._ready),
            ("GET", model + "/stats", lambda _, *of: said({"model_stats": [self._stats(self._known(*of))]})),
            ("GET", model + "/config", lambda _, *of: said(self._config(self._known(*of)))),
            ("POST", model + "/infer", self._infer),
            *self._v1_routes(),
        ]

    def _v1_routes(self) -> list[tuple[str, str, Callable[..., Answered]]]:
        model = r"/v1/models/([^/:]+)(?:/versions/([^/:]+))?"
        return [
            ("GET", "/", lambda _: said({"status": "alive"})),
            ("GET", "/v1/models", lambda _: said({"models": list(MODELS)})),
            ("GET", model, self._v1_status),
            ("GET", model + "/metadata", self._v1_metadata),
            ("POST", model + ":(predict|classify|explain|regress)", self._v1_verb),
        ]

    def _v1_status(self, _: Asked, name: str, version: str | None) -> Answered:
        state = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        return said({"name": self._known(name, version), "ready": True, "model_version_status": [state]})

    def _v1_metadata(self, _: Asked, name: str, version: str | None) -> Answered:
        dtypes = {"FP64": "DT_DOUBLE", "INT32": "DT_INT32", "BOOL": "DT_BOOL", BYTES: "DT_STRING"}

        def signed(promised: Sequence[tuple[str, str, list[int]]]) -> dict[str, Any]:
            return {
                one[0]: {
                    "dtype": dtypes[one[1]],
                    "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in one[2]]},
                }
                for one in promised
            }

        default = {"inputs": signed(MODELS[self._known(name, version)]), "outputs": signed(OUTPUTS)}
        spec = {"name": name, "signature_name": "", "version": "3"}
        signatures = {"signature_def": {"signature_def": {"serving_default": default}}}
        return said({"model_spec": spec, "metadata": signatures})

    def _v1_verb(self, asked: Asked, name: str, version: str | None, verb: str) -> Answered:
        self._known(name, version)
        if verb in ("explain", "regress"):
            raise Wrong("that is not offered", 501)
        document, _ = _opened(name, asked)
        if verb == "classify":
            raise Wrong("examples are missing")
        keys = [key for key in ("instances", "inputs") if key in document]
        if len(keys) != 1 or document.get("signature_name", "serving_default") != "serving_default":
            raise Wrong("exactly one of instances and inputs, and no other signature")
        outputs = self.outputs(name, _serving_inputs(name, keys[0], document[keys[0]]))
        columns = {
            one.name: [list(row) for row in np.array(one.values).reshape(one.shape).tolist()]
            if len(one.shape) > 1
            else [value.decode() for value in one.values if isinstance(value, bytes)]
            for one in outputs
        }
        if keys == ["inputs"]:
            return said({"outputs": columns})
        rows = zip(*columns.values(), strict=True)
        return said({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})

    def _known(self, name: str, version: str | None) -> str:
        if name not in MODELS or version not in (None, "", "3"):
            raise Wrong(f"unknown model {name} {version}", 404, "NOT_FOUND")
        return name

    def _metadata(self, name: str, version: str | None) -> dict[str, Any]:
        tensors = {
            key: [dict(zip(("name", "datatype", "shape"), one, strict=True)) for one in promised]
            for key, promised in (("inputs", MODELS[self._known(name, version)]), ("outputs", OUTPUTS))
        }
        return {"name": name, "versions": ["3"], "platform": "none", **tensors, "properties": {"a": "b"}}

    def _ready(self, _: Asked, name: str, version: str | None) -> Answered:
        ready = self._known(name, version) not in self.asleep
        return said({"name": name, "ready": ready}, 200 if ready else 503)

    def _index(self, asked: Asked) -> Answered:
        ready = json.loads(asked.body or b"{}").get("ready", False)
        states = ["READY"] if ready else list(INDEX)
        return said(
            [{"name": name, "version": "3", "state": state} for state in states for name in INDEX[state]]
        )

    def _move(self, _: Asked, name: str, verb: str) -> Answered:
        self._known(name, None)
        (self.asleep.discard if verb == "load" else self.asleep.add)(name)
        return said({})

    def _stats(self, name: str) -> dict[str, Any]:
        parts = {one: {"count": 1, "ns": 1} for one in ("compute_input", "compute_infer", "compute_output")}
        batch = {"batch_size": 1, **parts}
        durations = {one: {"count": self.inferences, "ns": 1} for one in DURATIONS}
        counts = {"last_inference": 1, "inference_count": self.inferences, "execution_count": self.inferences}
        return {"name": name, "version": "3", **counts, "inference_stats": durations, "batch_stats": [batch]}

    def _config(self, name: str) -> dict[str, Any]:
        tensors = {
            key: [{"name": one[0], "data_type": data_type(one[1]), "dims": one[2][1:]} for one in promised]
            for key, promised in (("input", MODELS[name]), ("output", OUTPUTS))
        }
        return {"name": name, "platform": "none", "max_batch_size": 0, **tensors}

    def _infer(self, asked: Asked, name: str, version: str | None) -> Answered:
        self._known(name, version)
        document, blob = _opened(name, asked)
        outputs = self.outputs(name, _inputs(document, blob))
        answer = {"model_name": name, "model_version": "3", "outputs": []}
        if "id" in document:
            answer["id"] = document["id"]
        return _compressed(asked, _packed(answer, _wanted(document, outputs)))

    def outputs(self, name: str, inputs: Sequence[Tensor]) -> list[Tensor]:
        promised = {one[0]: one for one in MODELS[name]}
        if sorted(one.name for one in inputs) != sorted(promised):
            raise Wrong(f"expected inputs {list(promised)}")
        columns = [_features(one, promised[one.name]) for one in sorted(inputs, key=lambda one: one.name)]
        if len({len(one) for one in columns}) != 1:
            raise Wrong("inputs of different length")
        self.inferences += 1
        return _computed(np.concatenate(columns, axis=1))

    # --- gRPC ---

    def rpc(self, called: Called) -> Returned:
        return self.rpc_fault(called, self.right_rpc) if self.rpc_fault else self.right_rpc(called)

    def right_rpc(self, called: Called) -> Returned:
        try:
            service, _, method = called.method.strip("/").partition("/")
            if service == HEALTH:
                return self._health(method, called.messages[0])
            if service.startswith("grpc.reflection."):
                return Returned([_reflected(called.messages[0])])
            if method == "ModelStreamInfer":
                return Returned([self._streamed(one) for one in called.messages])
            answer = getattr(self, f"_rpc_{method}", None)
            if answer is None:
                raise Wrong("no such method", code="UNIMPLEMENTED")
            return Returned([answer(called.messages[0]).SerializeToString()])
        except Wrong as error:
            return Returned([], error.code, str(error))

    def _rpc_ServerLive(self, _: bytes) -> Any:  # noqa: N802 - the method's name
        return pb.ServerLiveResponse(live=True)

    def _rpc_ServerReady(self, _: bytes) -> Any:  # noqa: N802 - the method's name
        return pb.ServerReadyResponse(ready=True)

    def _rpc_ModelReady(self, message: bytes) -> Any:  # noqa: N802 - the method's name
        asked = pb.ModelReadyRequest.FromString(message)
        self._known(asked.name, asked.version)
        return pb.ModelReadyResponse(ready=True)

    def _rpc_ServerMetadata(self, _: bytes) -> Any:  # noqa: N802 - the method's name
        return pb.ServerMetadataResponse(name="reference", version="1", extensions=EXTENSIONS)

    def _rpc_ModelMetadata(self, message: bytes) -> Any:  # noqa: N802 - the method's name
        asked = pb.ModelMetadataRequest.FromString(message)
        known = self._metadata(asked.name, asked.version)
        return pb.ModelMetadataResponse(**known)

    def _rpc_ModelInfer(self, message: bytes) -> Any:  # noqa: N802 - the method's name
        try:
            asked = pb.ModelInferRequest.FromString(message)
        except Exception as error:
            raise Wrong("no ModelInferRequest") from error
        name = self._known(asked.model_name, asked.model_version)
        outputs = self.outputs(name, list(_rpc_inputs(asked)))
        wishes = {
            one.name: {key: value.int64_param for key, value in one.parameters.items()}
            for one in asked.outputs
        }
        document = {"outputs": [{"name": key, "parameters": value} for key, value in wishes.items()]}
        return _rpc_answer(asked, [tensor for tensor, _ in _wanted(document, outputs)])

    def _rpc_ModelStatistics(self, message: bytes) -> Any:  # noqa: N802 - the method's name
        known = self._stats(messages().Named.FromString(message).name)
        return messages().StatisticsResponse(model_stats=[known])

    def _rpc_ModelConfig(self, message: bytes) -> Any:  # noqa: N802 - the method's name
        name = messages().Named.FromString(message).name
        order = (*DTYPES, BYTES)
        inputs = [{"name": one[0], "data_type": order.index(one[1]) + 1} for one in MODELS[name]]
        outputs = [{"name": one[0], "data_type": order.index(one[1]) + 1} for one in OUTPUTS]
        return messages().ConfigResponse(config={"name": name, "input": inputs, "output": outputs})

    def _rpc_RepositoryIndex(self, _: bytes) -> Any:  # noqa: N802 - the method's name
        entries = [{"name": name, "state": state} for state, names in INDEX.items() for name in names]
        return messages().IndexResponse(models=entries)

    def _rpc_RepositoryModelLoad(self, message: bytes) -> Any:  # noqa: N802 - the method's name
        self._known(messages().LoadRequest.FromString(message).model_name, None)
        return messages().IndexRequest()

    def _streamed(self, message: bytes) -> Any:
        try:
            answer = self._rpc_ModelInfer(message)
        except Wrong as error:
            return messages().StreamResponse(error_message=str(error)).SerializeToString()
        return messages().StreamResponse(infer_response=answer.SerializeToString()).SerializeToString()

    def _health(self, method: str, message: bytes) -> Returned:
        serving, service = (
            messages().HealthResponse(status=1),
            messages().HealthRequest.FromString(message).service,
        )
        known = service in ("", SERVICE, *MODELS)
        if method == "List":
            listed = messages().HealthList(statuses=[messages().HealthEntry(key="", value=serving)])
            return Returned([listed.SerializeToString()])
        if method == "Check" and not known:
            raise Wrong("unknown", code="NOT_FOUND")
        return Returned([(serving if known else messages().HealthResponse(status=3)).SerializeToString()])


def _serving_inputs(name: str, key: str, given: Any) -> list[Tensor]:
    """The inputs of `:predict`, in rows or in columns, as tensors."""
    names = [one[0] for one in MODELS[name]]
    columns = given if isinstance(given, dict) else {names[0]: given}
    if key == "instances" and len(names) > 1:
        if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
            raise Wrong("instances are a list of objects")
        columns = {one: [row.get(one) for row in given] for one in names}
    tensors = []
    for one, datatype, shape in MODELS[name]:
        rows = columns.get(one)
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise Wrong(f"input {one}: a list of rows")
        try:
            tensors.append(from_json(one, datatype, [len(rows), shape[1]], rows))
        except Unmet as error:
            raise Wrong(f"input {one}: {error}") from error
    return tensors


def _reflected(message: bytes) -> Any:
    asked = messages().ReflectionRequest.FromString(message)
    if asked.list_services:
        services = {"service": [{"name": SERVICE}]}
        return messages().ReflectionResponse(services=services).SerializeToString()
    files = {"file_descriptor_proto": [pb.DESCRIPTOR.serialized_pb]}
    return messages().ReflectionResponse(files=files).SerializeToString()


def _features(tensor: Tensor, promised: tuple[str, str, list[int]]) -> Any:
    """A tensor as columns of numbers, without loss in the type that the model computes in."""
    name, datatype, shape = promised
    if len(tensor.shape) != 2 or tensor.shape[1] != shape[1] or tensor.shape[0] < 1:
        raise Wrong(f"input {name}: expected shape {shape}, got {list(tensor.shape)}")
    if (tensor.datatype == BYTES) != (datatype == BYTES):
        raise Wrong(f"input {name}: expected {datatype}, got {tensor.datatype}")
    if datatype == BYTES:
        values: Any = [len(value) for value in tensor.values]
    elif tensor.datatype == datatype:
        values = tensor.values
    else:
        try:
            values = cast(tensor, datatype).values
        except NotAsked as error:
            raise Wrong(f"input {name}: {datatype} cannot hold it without changing it") from error
        if any(abs(value) > 2**53 for value in tensor.values):
            raise Wrong(f"input {name}: {datatype} cannot hold it without changing it")
    return np.array(values, np.float64).reshape(tensor.shape)


def _computed(features: Any) -> list[Tensor]:
    total = features @ np.linspace(0.3, 1.1, features.shape[1])
    odds = np.exp(np.stack([total, 0.5 - total / 3, total / 7], axis=1))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    labels = tuple(CLASSES[column] for column in probabilities.argmax(axis=1))
    rows = len(labels)
    numbers = Tensor("probabilities", "FP64", (rows, 3), tuple(probabilities.ravel().tolist()))
    return [numbers, Tensor("label", BYTES, (rows,), labels)]


def _opened(name: str, asked: Asked) -> tuple[dict[str, Any], bytes]:
    """The JSON of a request and the bytes behind it."""
    body = _decompressed(asked)
    length = asked.headers.get("inference-header-content-length")
    if length is not None and not (length.isdecimal() and int(length) <= len(body)):
        raise Wrong("the length of the JSON is none")
    if length == "0":
        tensor, datatype, shape = MODELS[name][0]
        head = {"name": tensor, "datatype": datatype, "shape": [1, *shape[1:]]}
        size = {"parameters": {"binary_data_size": len(body)}}
        return {"inputs": [head | size], "parameters": {"binary_data_output": True}}, body
    text, blob = (body, b"") if length is None else (body[: int(length)], body[int(length) :])
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Wrong("the body is not JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("id", ""), str):
        raise Wrong("the body is no inference request")
    return document, blob


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _decompressed(asked: Asked) -> bytes:
    coding = asked.headers.get("content-encoding")
    try:
        match coding:
            case None:
                return asked.body
            case "gzip":
                return gzip.decompress(asked.body)
            case "deflate":
                return zlib.decompress(asked.body)
    except (OSError, EOFError, zlib.error) as error:
        raise Wrong("the body is broken") from error
    raise Wrong("the coding is not known", 415)


def _inputs(document: dict[str, Any], blob: bytes) -> list[Tensor]:
    listed = document.get("inputs")
    if not isinstance(listed, list) or not listed:
        raise Wrong("inputs are missing")
    found, place = [], 0
    for one in listed:
        size = (one.get("parameters") or {}).get("binary_data_size")
        found.append(_input(one, blob[place : place + size] if type(size) is int and size >= 0 else None))
        if size is not None and (type(size) is not int or size < 0 or place + size > len(blob)):
            raise Wrong("binary_data_size is wrong")
        place += size or 0
    if place != len(blob):
        raise Wrong("bytes are left over")
    return found


def _input(one: Any, raw: bytes | None) -> Tensor:
    match one:
        case {"name": str(name), "datatype": str(datatype), "shape": list(shape)} if all(
            type(size) is int and size >= 0 for size in shape
        ):
            pass
        case _:
            raise Wrong("name, datatype and shape of an input")
    if datatype not in (*DTYPES, BYTES) or (raw is None) == ("data" not in one):
        raise Wrong("a datatype of the standard, and data or binary_data_size")
    if math.prod(shape) > 2**20:
        raise Wrong("too many values")
    try:
        return (
            from_json(name, datatype, shape, _even(one["data"], shape))
            if raw is None
            else from_raw(name, datatype, shape, raw)
        )
    except (Unmet, OverflowError, TypeError) as error:
        raise Wrong(f"input {name} is not {datatype} {shape}") from error


def _even(data: Any, shape: list[int]) -> list[Any]:
    """Flat data, or nested as the shape says."""
    if not isinstance(data, list) or not data:
        raise Wrong("data is a list")
    nested = any(isinstance(one, list) for one in data)
    if nested and (len(shape) != 2 or any(not isinstance(one, list) or len(one) != shape[1] for one in data)):
        raise Wrong("data is not nested as its shape")
    if any(isinstance(one, float) and math.isinf(one) for one in data):
        raise Wrong("a number is too large")
    return data


def _wanted(document: dict[str, Any], outputs: list[Tensor]) -> list[tuple[Tensor, bool]]:
    """The outputs that were asked for, and whether each is to be bytes."""
    default = document.get("parameters", {}).get("binary_data_output", False)
    wishes = document.get("outputs") or [{"name": one.name} for one in outputs]
    there = {one.name: one for one in outputs}
    found = []
    for wish in wishes:
        parameters = wish.get("parameters") or {}
        if wish["name"] not in there:
            raise Wrong(f"unknown output {wish['name']}")
        tensor = there[wish["name"]]
        if "classification" in parameters:
            tensor = _ranked(tensor, parameters["classification"])
        found.append((tensor, parameters.get("binary_data", default)))
    return found


def _ranked(tensor: Tensor, count: Any) -> Tensor:
    if type(count) is not int or count < 1:
        raise Wrong("classification is a number from 1")
    rows, kept, texts = tensor.shape[0], min(count, 3), []
    for row in range(rows):
        values = tensor.values[3 * row : 3 * row + 3]
        order = sorted(range(3), key=lambda column: -values[column])[:kept]
        texts += [f"{values[column]:.6f}:{column}:{CLASSES[column].decode()}".encode() for column in order]
    return Tensor(tensor.name, BYTES, (rows, kept), tuple(texts))


def _packed(answer: dict[str, Any], outputs: list[tuple[Tensor, bool]]) -> Answered:
    blobs = []
    for tensor, binary in outputs:
        head: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if binary:
            blobs.append(to_raw(tensor))
            head["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            head["data"] = [one.decode() if isinstance(one, bytes) else one for one in tensor.values]
        answer["outputs"].append(head)
    text = json.dumps(answer).encode()
    if not blobs:
        return Answered(200, text)
    headers = (
        ("Content-Type", "application/octet-stream"),
        ("Inference-Header-Content-Length", str(len(text))),
    )
    return Answered(200, text + b"".join(blobs), headers)


def _compressed(asked: Asked, answer: Answered) -> Answered:
    accepted = asked.headers.get("accept-encoding", "")
    if accepted not in ("gzip", "deflate"):
        return answer
    body = gzip.compress(answer.body) if accepted == "gzip" else zlib.compress(answer.body)
    return replace(answer, body=body, headers=(*answer.headers, ("Content-Encoding", accepted)))


def _rpc_inputs(asked: Any) -> Iterator[Tensor]:
    raw = list(asked.raw_input_contents)
    if raw and len(raw) != len(asked.inputs):
        raise Wrong("one raw content an input")
    for place, one in enumerate(asked.inputs):
        filled = {descriptor.name: values for descriptor, values in one.contents.ListFields()}
        if raw and filled:
            raise Wrong("raw and typed contents")
        if (
            one.datatype not in (*DTYPES, BYTES)
            or min(one.shape, default=0) < 0
            or math.prod(one.shape) > 2**20
        ):
            raise Wrong("datatype or shape")
        values = list(filled.pop(FIELDS.get(one.datatype, ""), ()))
        if filled:
            raise Wrong("contents of another datatype")
        data = [value.decode() if isinstance(value, bytes) else value for value in values]
        try:
            yield (
                from_raw(one.name, one.datatype, one.shape, raw[place])
                if raw
                else from_json(one.name, one.datatype, one.shape, data)
            )
        except (Unmet, OverflowError) as error:
            raise Wrong(f"input {one.name} is not {one.datatype} {list(one.shape)}") from error


def _rpc_answer(asked: Any, outputs: list[Tensor]) -> Any:
    answer = pb.ModelInferResponse(model_name=asked.model_name, model_version="3", id=asked.id)
    for tensor in outputs:
        target = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if asked.raw_input_contents:
            answer.raw_output_contents.append(to_raw(tensor))
        else:
            getattr(target.contents, FIELDS[tensor.datatype]).extend(tensor.values)
    return answer


class _Handler(BaseHTTPRequestHandler):
    reference: ClassVar[Reference]

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {key.lower(): value for key, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        answer = self.reference.http(asked)
        if answer.status == 0:  # a fault that closes the connection
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _serve  # noqa: N815 - names of the library

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Calls(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def service(self, details: Any) -> Any:
        def answer(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            returned = self._reference.rpc(Called(details.method, list(requests)))
            yield from returned.messages
            if returned.code != "OK":
                context.abort(grpc.StatusCode[returned.code], returned.details)

        return grpc.stream_stream_rpc_method_handler(answer)


@contextmanager
def serving(reference: Reference) -> Iterator[tuple[str, str]]:
    """Answer on free ports; gives the URL and the address of the gRPC door."""
    handler = type("Handler", (_Handler,), {"reference": reference})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    rpc = grpc.server(ThreadPoolExecutor(4), handlers=[_Calls(reference)])
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}", f"127.0.0.1:{port}"
    finally:
        rpc.stop(None).wait()
        http.shutdown()
        thread.join()
        http.server_close()
