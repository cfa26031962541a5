"""For every check a server that breaks its rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.unit.sigmax.conform.reference import (
    Answered,
    Asked,
    Called,
    HttpFault,
    Returned,
    RpcFault,
    said,
)

from sigmax.conform.grpc_services import HEALTH
from sigmax.conform.messages import messages
from sigmax.conform.rpc import SERVICE
from sigmax.conform.tensors import DTYPES
from sigmax.wire import open_inference_grpc_pb2 as pb

LENGTH = "Inference-Header-Content-Length"
TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/x.py", line 3, in f\nValueError: no'


@dataclass(frozen=True)
class Fault:
    """What is wrong with a server, and of which model it shows."""

    http: HttpFault | None = None
    rpc: RpcFault | None = None
    model: str = "mixed"
    extensions: frozenset[str] | None = None


def instead(pattern: str, answer: Answered) -> Fault:
    """Something else is answered to `METHOD /path`."""

    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        return answer if re.fullmatch(pattern, f"{asked.method} {asked.path}") else right(asked)

    return Fault(http)


def edited(pattern: str, edit: Callable[[Any], Any], **more: Any) -> Fault:
    """The JSON of what is answered is another."""

    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        answer = right(asked)
        in_json = answer.status == 200 and LENGTH not in dict(answer.headers)
        if in_json and re.fullmatch(pattern, f"{asked.method} {asked.path}"):
            return said(edit(answer.document))
        return answer

    return Fault(http, **more)


def misread(wrong: Callable[[Asked], bool], **more: Any) -> Fault:
    """Requests of one kind are refused although they are right."""

    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        return said({"error": "not that"}, 400) if infers(asked) and wrong(asked) else right(asked)

    return Fault(http, **more)


def miscounted(wrong: Callable[[Asked], bool], **more: Any) -> Fault:
    """Requests of one kind are answered with other numbers."""

    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        answer = right(asked)
        if not infers(asked) or not wrong(asked) or answer.status != 200:
            return answer
        return said({"outputs": [other(one) for one in without_bytes(answer)["outputs"]]})

    return Fault(http, **more)


def other(output: dict[str, Any]) -> dict[str, Any]:
    """An output with other numbers."""
    values = [value + 0.25 if isinstance(value, float) else value for value in output.get("data", [0.0])]
    return {**output, "data": values, "parameters": {}}


def without_bytes(answer: Answered) -> Any:
    length = dict(answer.headers).get(LENGTH)
    return json.loads(answer.body[: int(length)] if length else answer.body)


def infers(asked: Asked) -> bool:
    return asked.path.endswith("/infer")


def request(asked: Asked) -> Any:
    """The JSON of a request, which may be none."""
    length = asked.headers.get(LENGTH.lower(), "")
    try:
        return json.loads(asked.body[: int(length)] if length.isdecimal() else asked.body)
    except ValueError:
        return {}


def inputs(asked: Asked) -> list[Any]:
    document = request(asked)
    return document.get("inputs") or [] if isinstance(document, dict) else []


def in_datatype(name: str, *, binary: bool) -> Callable[[Asked], bool]:
    def wrong(asked: Asked) -> bool:
        is_binary = LENGTH.lower() in asked.headers
        return is_binary == binary and any(one.get("datatype") == name for one in inputs(asked))

    return wrong


def parameter(name: str) -> Callable[[Asked], bool]:
    """Whether a request has a parameter anywhere."""
    return lambda asked: f'"{name}"'.encode() in asked.body


def header(name: str, value: str = "") -> Callable[[Asked], bool]:
    return lambda asked: name in asked.headers and (not value or asked.headers[name] == value)


GOOD = said(
    {
        "model_name": "mixed",
        "outputs": [
            {"name": "probabilities", "datatype": "FP64", "shape": [1, 3], "data": [0.2, 0.3, 0.5]},
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["z"]},
        ],
    }
)


def _to_refusals(answer: Answered) -> HttpFault:
    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        first = right(asked)
        return answer if first.status >= 400 else first

    return http


ACCEPTS = _to_refusals(GOOD)
"""What is wrong is answered as if it were not."""

BREAKS = _to_refusals(Answered(500, TRACEBACK.encode(), (("Content-Type", "text/plain"),)))
"""What is wrong breaks the server, which says so to the caller."""

DETAIL = _to_refusals(said({"detail": "no"}, 422))
"""What is wrong is refused in the form of a framework."""


def _dies(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    answer = right(asked)
    return Answered(0, b"") if answer.status >= 400 else answer


DIES = _dies
"""What is wrong ends the connection."""

REFUSALS = {
    "V1.ready.unknown": "mixed",
    "V1.predict.unknown": "mixed",
    "V1.predict.key": "mixed",
    "V1.predict.json": "mixed",
    "V1.predict.list": "mixed",
    "V1.predict.row": "mixed",
    "TF.both": "mixed",
    "TF.signature": "mixed",
    "TF.version.unknown": "mixed",
    "TF.classify": "mixed",
    "E.shape": "mixed",
    "E.shape.rank": "mixed",
    "E.shape.negative": "mixed",
    "E.shape.huge": "mixed",
    "E.shape.text": "mixed",
    "E.data.fewer": "mixed",
    "E.data.more": "mixed",
    "E.data.ragged": "mixed",
    "E.data.absent": "mixed",
    "E.data.text": "mixed",
    "E.data.mixed": "mixed",
    "E.data.nan": "mixed",
    "E.data.overflow": "mixed",
    "E.data.fraction": "mixed",
    "E.data.range": "mixed",
    "E.data.bool": "mixed",
    "E.datatype": "mixed",
    "E.datatype.unknown": "mixed",
    "E.inputs.empty": "mixed",
    "E.inputs.absent": "mixed",
    "E.inputs.missing": "mixed",
    "E.inputs.extra": "mixed",
    "E.inputs.twice": "mixed",
    "E.inputs.name": "mixed",
    "E.id": "mixed",
    "E.body.truncated": "mixed",
    "E.body.empty": "mixed",
    "E.body.list": "mixed",
    "E.body.text": "mixed",
    "E.body.utf8": "mixed",
    "E.body.deep": "mixed",
    "E.model": "mixed",
    "E.version": "mixed",
    "R5.unknown": "mixed",
    "R5.unknown.404": "mixed",
    "R5.unknown.version": "mixed",
    "R6.outputs.unknown": "mixed",
    "R8": "mixed",
    "R9": "mixed",
    "J.lossy": "mixed",
    "B.lossy": "mixed",
    "B2.data": "mixed",
    "B2.shape": "mixed",
    "B2.size.text": "mixed",
    "B2.size.negative": "mixed",
    "B2.size.beyond": "mixed",
    "B2.size.fraction": "mixed",
    "B5.text": "mixed",
    "B5.negative": "mixed",
    "B5.beyond": "mixed",
    "B5.within": "mixed",
    "B5.more": "mixed",
    "B5.fewer": "mixed",
    "B7.gzip.broken": "mixed",
    "B7.deflate.broken": "mixed",
    "B7.unknown": "mixed",
    "B8.broken": "mixed",
    "X.class.wrong": "mixed",
    "X.stats.unknown": "mixed",
    "X.config.unknown": "mixed",
    "X.load.unknown": "mixed",
}
"""Checks of REST that want a refusal, and a model that they concern: each fails with all of the above."""


def _changed(reply: Answered, **headers: str) -> Answered:
    kept = tuple(one for one in reply.headers if one[0] not in headers)
    return replace(reply, headers=(*kept, *((name, value) for name, value in headers.items() if value)))


def reheaded(wrong: Callable[[Asked, Answered], bool], **headers: str) -> Fault:
    """Answers of one kind have other headers; an empty one is left out."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        answer = right(asked)
        return _changed(answer, **named) if wrong(asked, answer) else answer

    return Fault(http)


def _json_where_bytes(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    """Wishes for bytes are not heard."""
    body = asked.body.replace(b"binary_data_output", b"no_wish").replace(b'"binary_data"', b'"no_wish"')
    length = {key: str(int(value) - 11) for key, value in asked.headers.items() if key == LENGTH.lower()}
    if body == asked.body or not infers(asked):
        return right(asked)
    return right(replace(asked, body=body, headers={**asked.headers, **length}))


def _drops(key: str) -> Callable[[Any], Any]:
    return lambda document: {name: value for name, value in document.items() if name != key}


def _with(**changed: Any) -> Callable[[Any], Any]:
    return lambda document: {**document, **changed}


def _stats(edit: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda document: {"model_stats": [edit(one) for one in document["model_stats"]]}


INFER = r"POST .*/infer"
METADATA = r"GET /v2/models/[^/]+"
NOWHERE = said({"error": "no such address"}, 404)


def _classes(edit: Callable[[list[str]], list[str]]) -> Callable[[Any], Any]:
    def changed(document: Any) -> Any:
        for output in document["outputs"]:
            if output["datatype"] == "BYTES" and ":" in str(output.get("data")):
                output["data"] = edit(output["data"])
        return document

    return changed


def _fault_of_packing(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    """Says that it is compressed, and is not."""
    answer = right(replace(asked, headers={**asked.headers, "accept-encoding": ""}))
    coding = asked.headers.get("accept-encoding", "")
    return _changed(answer, **{"Content-Encoding": coding}) if coding in ("gzip", "deflate") else answer


def _packs_always(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    return right(replace(asked, headers={**asked.headers, "accept-encoding": "gzip"}))


def _never_packs(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    return right(replace(asked, headers={**asked.headers, "accept-encoding": ""}))


def _unloads_nothing(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    return said({}) if asked.path.endswith("/unload") else right(asked)


def _reverses(document: Any) -> Any:
    return {**document, "outputs": document["outputs"][::-1]}


def _rounds(document: Any) -> Any:
    for output in document["outputs"]:
        output["data"] = [round(one, 6) if isinstance(one, float) else one for one in output.get("data", [])]
    return document


def _no_bytes(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    return Answered(500, TRACEBACK.encode()) if LENGTH.lower() in asked.headers else right(asked)


def _refuses_empty(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
    empty = any(
        one.get("shape", [1])[:1] == [0] for one in inputs(asked) if isinstance(one.get("shape"), list)
    )
    return Answered(500, b"") if infers(asked) and empty else right(asked)


V1_MODEL = r"GET /v1/models/mixed"
PREDICT = r"POST /v1/models/mixed:predict"


def _refusing(key: str) -> Fault:
    """Requests of `:predict` with a key are refused though they are right."""

    def http(asked: Asked, right: Callable[[Asked], Answered]) -> Answered:
        document = request(asked)
        wrong = asked.path.endswith(":predict") and isinstance(document, dict) and key in document
        return said({"error": "not that"}, 400) if wrong else right(asked)

    return Fault(http)


def _as_predictions(answer: Any) -> Any:
    return {"predictions": answer["outputs"]} if "outputs" in answer else answer


def _twice(answer: Any) -> Any:
    return {"model_version_status": answer["model_version_status"] * 2}


REST: dict[str, Fault] = {
    "V1.models": instead("GET /v1/models", said({"models": []})),
    "V1.ready": edited(V1_MODEL, _with(ready="yes")),
    "V1.alive": instead("GET /", said({"status": "well"})),
    "V1.predict": edited(PREDICT, _with(predictions=[])),
    "V1.predict.same": edited(PREDICT, lambda answer: {"predictions": answer["predictions"][::-1]}),
    "V1.explain": instead("POST .*:explain", said({"detail": "Not Found"}, 404)),
    "TF.status": edited(V1_MODEL, _with(model_version_status=[{"version": 3}])),
    "TF.status.version": edited(V1_MODEL + "/versions/3", _twice),
    "TF.metadata": edited(V1_MODEL + "/metadata", _drops("model_spec")),
    "TF.inputs": edited(PREDICT, _as_predictions),
    "TF.signature.default": _refusing("signature_name"),
    "TF.version": instead("POST /v1/models/mixed/versions/3:predict", NOWHERE),
    "TF.regress": instead("POST .*:regress", said({"detail": "Not Found"}, 404)),
    "R1": instead("GET /v2/health/live", Answered(400, b"")),
    "R1.body": instead("GET /v2/health/live", Answered(200, b"")),
    "R1.head": instead("HEAD /v2/health/live", Answered(405, b"")),
    "R2": instead("GET /v2/health/ready", said({"ready": False}, 503)),
    "R2.body": instead("GET /v2/health/ready", said({"live": True})),
    "R2.head": instead("HEAD /v2/health/ready", Answered(405, b"")),
    "R3": instead("GET /v2/models/mixed/ready", said({}, 503)),
    "R3.body": instead("GET /v2/models/mixed/ready", said({"name": "mixed"})),
    "R3.version": instead("GET .*/versions/3/ready", NOWHERE),
    "R3.unknown": Fault(_to_refusals(said({"ready": True}))),
    "R4": edited("GET /v2", _drops("extensions")),
    "R4.slash": instead("GET /v2/", Answered(307, b"", (("Location", "/v2"),))),
    "R5": edited(METADATA, _drops("platform")),
    "R5.tensors": edited(METADATA, _with(inputs=[{"name": "x", "datatype": "FLOAT", "shape": [-1]}])),
    "R5.properties": edited(METADATA, _with(properties={"classes": ["x"]})),
    "R5.version": edited("GET .*/versions/3", _with(inputs=[])),
    "R7": edited("GET /v2/models", _with(models=[])),
    "R8.allow": reheaded(lambda _, answer: answer.status == 405, Allow=""),
    "R6": instead(INFER, said({"error": "no"}, 400)),
    "R6.model": edited(INFER, _drops("model_name")),
    "R6.version": edited("POST .*/versions/3/infer", _with(model_version="2")),
    "R6.promised": edited(INFER, lambda document: {"outputs": document["outputs"][:1]}),
    "R6.data": edited(
        INFER, lambda document: {"outputs": [{**one, "data": None} for one in document["outputs"]]}
    ),
    "R6.type": reheaded(lambda asked, _: infers(asked), Content_Type="text/html"),
    "R6.nested": miscounted(lambda asked: b"[[" in asked.body),
    "R6.rows": miscounted(lambda asked: any(one["shape"][0] == 1 for one in inputs(asked))),
    "R6.id": edited(INFER, _drops("id")),
    "R6.id.text": edited(
        INFER, lambda document: {**document, "id": document.get("id", "").encode("ascii", "ignore").decode()}
    ),
    "R6.id.absent": edited(INFER, lambda document: {"id": "made-up", **document}),
    "R6.outputs": Fault(
        lambda asked, right: right(replace(asked, body=asked.body.replace(b'"outputs"', b'"x"')))
    ),
    "R6.outputs.order": edited(INFER, _reverses),
    "R6.outputs.empty": misread(lambda asked: request(asked).get("outputs") == []),
    "R6.parameters": misread(parameter("x_number")),
    "R6.binary.wish": misread(parameter("binary_data_output")),
    "R6.inputs.order": miscounted(
        lambda asked: [one["name"] for one in inputs(asked)] == ["texts", "numbers"]
    ),
    "R6.media": misread(lambda asked: "content-type" not in asked.headers),
    "J.lossless": misread(in_datatype("FP32", binary=False)),
    "E.type": reheaded(lambda _, answer: answer.status >= 400, Content_Type="text/html"),
    "E.discreet": Fault(_to_refusals(said({"error": TRACEBACK}, 400))),
    "B0": Fault(_no_bytes, extensions=frozenset()),
    "B1": miscounted(header(LENGTH.lower())),
    "B1.mixed": misread(lambda asked: len({"data" in one for one in inputs(asked)}) == 2),
    "B1.both": Fault(_json_where_bytes),
    "B2.empty": Fault(_refuses_empty),
    "B3.all": Fault(_json_where_bytes),
    "B3.each": Fault(_json_where_bytes),
    "B3.own": Fault(_json_where_bytes),
    "B4": reheaded(lambda asked, _: infers(asked), Content_Type="application/json"),
    "B4.json": reheaded(lambda asked, _: infers(asked), Inference_Header_Content_Length="1"),
    "B6": replace(misread(header(LENGTH.lower(), "0")), model="single"),
    "B8": misread(parameter("binary_data")),
    "B7.gzip": misread(header("content-encoding", "gzip")),
    "B7.deflate": misread(header("content-encoding", "deflate")),
    "B7.gzip.binary": miscounted(header("content-encoding", "gzip")),
    "B7.deflate.binary": miscounted(header("content-encoding", "deflate")),
    "B7.gzip.answer": Fault(_fault_of_packing),
    "B7.deflate.answer": Fault(_fault_of_packing),
    "B7.answer.binary": reheaded(lambda asked, _: infers(asked), Inference_Header_Content_Length=""),
    "B7.answer": Fault(_never_packs),
    "B7.unwanted": Fault(_packs_always),
    "X": Fault(lambda *_: said({"detail": "no"}, 404), extensions=frozenset()),
    "X.listed": Fault(extensions=frozenset()),
    "X.class": edited(INFER, _classes(lambda texts: texts[::-1])),
    "X.class.all": edited(INFER, _classes(lambda texts: texts[:1])),
    "X.class.binary": Fault(_json_where_bytes),
    "X.stats": edited("GET /v2/models/stats", _stats(_drops("execution_count"))),
    "X.stats.true": edited("GET .*/stats", _stats(_with(inference_count=7))),
    "X.stats.version": instead("GET .*/versions/3/stats", NOWHERE),
    "X.config": edited("GET .*/config", _with(output=[])),
    "X.config.version": instead("GET .*/versions/3/config", NOWHERE),
    "X.index": edited("POST .*/index", lambda document: [one | {"state": "LOADING"} for one in document]),
    "X.index.ready": edited("POST .*/index", lambda document: [*document, {"name": "a", "state": "LOADING"}]),
    "X.load": instead("POST .*/load", said({"error": "no"}, 503)),
    "X.unload": Fault(_unloads_nothing),
    "X.schedule": misread(parameter("priority")),
    "X.logging": instead("GET /v2/logging", NOWHERE),
    "X.trace": instead("GET /v2/trace/setting", said([])),
    "X.system_shared_memory": replace(
        instead("GET .*/status", NOWHERE), extensions=frozenset({"system_shared_memory"})
    ),
    "X.cuda_shared_memory": instead("GET /v2/cudasharedmemory/status", said({})),
    "A.binary": edited(INFER, _rounds),
    **{f"J.{name.lower()}": miscounted(in_datatype(name, binary=False)) for name in DTYPES if name != "FP64"},
    **{f"B.{name.lower()}": miscounted(in_datatype(name, binary=True)) for name in DTYPES if name != "FP64"},
    "J.fp64": miscounted(in_datatype("FP64", binary=False), model="integers"),
    "B.fp64": miscounted(in_datatype("FP64", binary=True), model="integers"),
}
"""By check: a server that breaks this rule."""


ALSO: tuple[tuple[str, Fault], ...] = (
    ("X.stats", edited("GET /v2/models/mixed/stats", _stats(_with(batch_stats=[{"batch_size": 1}])))),
    ("X.stats", edited("GET /v2/models/mixed/stats", _stats(_with(inference_stats={"success": {}})))),
    ("X.config", edited("GET .*/config", lambda document: {**document, "input": [{}]})),
    ("R2.body", instead("GET /v2/health/ready", said({"ready": True}, 503))),
    ("R4.slash", instead("GET /v2/", said([]))),
    ("R5.tensors", edited(METADATA, _with(outputs=[{"name": "x", "datatype": "FP32", "shape": [-2]}]))),
    ("R6", edited(INFER, _drops("outputs"))),
    ("R6", instead(INFER, Answered(201, GOOD.body))),
    ("R6.data", instead(INFER, Answered(200, GOOD.body.replace(b"0.5", b"NaN")))),
    ("B3.all", reheaded(lambda asked, _: infers(asked), Inference_Header_Content_Length="7, 7")),
)
"""More ways in which some rules are broken."""


def returns(method: str, **fields: Any) -> Fault:
    """A method of the standard's service answers something else."""
    kind = getattr(pb, f"{method}Response")

    def rpc(called: Called, right: Callable[[Called], Returned]) -> Returned:
        if called.method != f"/{SERVICE}/{method}":
            return right(called)
        return Returned([kind(**fields).SerializeToString()])

    return Fault(rpc=rpc)


def fails(method: str, code: str = "UNIMPLEMENTED", service: str = SERVICE) -> Fault:
    """A method does not answer."""
    refusal = Returned([], code, "no")
    return Fault(
        rpc=lambda called, right: refusal if called.method == f"/{service}/{method}" else right(called)
    )


def answers(method: str, kind: Any, service: str = SERVICE, **fields: Any) -> Fault:
    """A method answers another message."""
    message = kind(**fields).SerializeToString()
    return Fault(
        rpc=lambda called, right: (
            Returned([message]) if called.method == f"/{service}/{method}" else right(called)
        )
    )


def returned(edit: Callable[[Any, Any], None], **more: Any) -> Fault:
    """The answers of ModelInfer are others; `edit` sees request and answer."""

    def rpc(called: Called, right: Callable[[Called], Returned]) -> Returned:
        first = right(called)
        if called.method != f"/{SERVICE}/ModelInfer" or first.code != "OK":
            return first
        answer = pb.ModelInferResponse.FromString(first.messages[0])
        edit(pb.ModelInferRequest.FromString(called.messages[0]), answer)
        return Returned([answer.SerializeToString()])

    return Fault(rpc=rpc, **more)


def sent(wrong: Callable[[Any], bool]) -> Fault:
    """Requests of one kind are refused although they are right."""

    def rpc(called: Called, right: Callable[[Called], Returned]) -> Returned:
        if called.method == f"/{SERVICE}/ModelInfer" and wrong(
            pb.ModelInferRequest.FromString(called.messages[0])
        ):
            return Returned([], "INVALID_ARGUMENT", "not that")
        return right(called)

    return Fault(rpc=rpc)


def _shift(request: Any, answer: Any) -> None:
    """Other numbers, in whichever form they are."""
    if answer.raw_output_contents:
        answer.raw_output_contents[0] = answer.raw_output_contents[0][8:] + b"\0" * 8
    elif answer.outputs[0].contents.fp64_contents:
        answer.outputs[0].contents.fp64_contents[0] += 0.25


def _shift_of(name: str) -> Callable[[Any, Any], None]:
    def edit(request: Any, answer: Any) -> None:
        if any(one.datatype == name for one in request.inputs):
            _shift(request, answer)

    return edit


def _typed_for_raw(_: Any, answer: Any) -> None:
    del answer.raw_output_contents[1:]


def _raw_for_typed(_: Any, answer: Any) -> None:
    answer.raw_output_contents.extend(b"" for _ in answer.outputs)


def _other_texts(_: Any, answer: Any) -> None:
    for place, output in enumerate(answer.outputs):
        if output.datatype == "BYTES" and answer.raw_output_contents:
            answer.raw_output_contents[place] = b"\1\0\0\0?" * output.shape[0]


def _to_calls(replacement: Returned) -> RpcFault:
    def rpc(called: Called, right: Callable[[Called], Returned]) -> Returned:
        first = right(called)
        return replacement if first.code != "OK" else first

    return rpc


_GOOD_CALL = pb.ModelInferResponse(
    model_name="mixed", outputs=[{"name": "label", "datatype": "BYTES", "shape": [0]}]
).SerializeToString()

RPC_ACCEPTS = _to_calls(Returned([_GOOD_CALL]))
RPC_BREAKS = _to_calls(Returned([], "UNKNOWN", f"Unexpected <class 'ValueError'>: {TRACEBACK}"))
RPC_MUTE = _to_calls(Returned([], "INVALID_ARGUMENT", ""))

RPC_REFUSALS = (
    "G2",
    "G3.fewer",
    "G3.more",
    "G3.none",
    "G4",
    "G5",
    "G7.short",
    "G7.long",
    "G7.few",
    "G7.shape",
    "G7.negative",
    "G7.huge",
    "G7.datatype",
    "G7.name",
    "G7.extra",
    "G7.inputs",
    "G7.output",
    "G7.garbage",
    "G7.model",
    "G7.version",
    "G7.method",
    "G.lossy",
    "GX.class.wrong",
    "GX.memory",
)
"""Checks of gRPC that want a refusal: each fails with all of the three."""


def _no_raw_order(request: Any) -> bool:
    return [one.name for one in request.inputs] == ["texts", "numbers"]


def _stream_of_plain_answers(called: Called, right: Callable[[Called], Returned]) -> Returned:
    """The form of another server: answers that are in no envelope."""
    if not called.method.endswith("ModelStreamInfer"):
        return right(called)
    each = [right(Called(f"/{SERVICE}/ModelInfer", [one])) for one in called.messages]
    return Returned([one.messages[0] for one in each if one.code == "OK"])


def _stream_that_ends(called: Called, right: Callable[[Called], Returned]) -> Returned:
    if not called.method.endswith("ModelStreamInfer"):
        return right(called)
    return Returned([], "INVALID_ARGUMENT", "one of them is wrong")


def _no_properties(called: Called, right: Callable[[Called], Returned]) -> Returned:
    """Reflection tells of a field under another number."""
    answer = right(called)
    if "reflection" not in called.method:
        return answer
    return Returned([one.replace(b"\n\x04live\x18\x01", b"\n\x04live\x18\x02") for one in answer.messages])


NOT_SERVING = 2

RPC: dict[str, Fault] = {
    "G.live": returns("ServerLive", live=False),
    "G.ready": returns("ServerReady", ready=False),
    "G.model_ready": returns("ModelReady", ready=False),
    "G.server": returns("ServerMetadata", name="reference"),
    "G.metadata": returns("ModelMetadata", name="mixed"),
    "G1": returned(_shift),
    "G1.order": sent(_no_raw_order),
    "G.typed": returned(_shift),
    "G.names": returned(lambda _, answer: answer.ClearField("model_name")),
    "G.id": returned(lambda _, answer: answer.ClearField("id")),
    "G.id.text": returned(
        lambda _, answer: setattr(answer, "id", answer.id.encode("ascii", "ignore").decode())
    ),
    "G.outputs": sent(lambda request: len(request.outputs) > 0),
    "G.parameters": sent(lambda request: len(request.parameters) > 0),
    "G.texts": returned(_other_texts),
    "G6.raw": returned(_typed_for_raw),
    "G6.typed": returned(_raw_for_typed),
    **{f"G.{name.lower()}": returned(_shift_of(name)) for name in DTYPES if name != "FP64"},
    "G.fp64": returned(_shift_of("FP64"), model="integers"),
    "G7": Fault(rpc=RPC_ACCEPTS),
    "G7.ready": returns("ModelReady", ready=True),
    "G7.discreet": Fault(rpc=RPC_BREAKS),
    "H.check": answers("Check", messages().HealthResponse, HEALTH, status=NOT_SERVING),
    "H.service": fails("Check", "NOT_FOUND", HEALTH),
    "H.model": fails("Check", "NOT_FOUND", HEALTH),
    "H.unknown": answers("Check", messages().HealthResponse, HEALTH, status=NOT_SERVING),
    "H.watch": fails("Watch", service=HEALTH),
    "H.watch.unknown": answers("Watch", messages().HealthResponse, HEALTH, status=NOT_SERVING),
    "H.list": fails("List", service=HEALTH),
    **{
        f"F.{version}{part}": answers(
            "ServerReflectionInfo",
            messages().ReflectionResponse,
            f"grpc.reflection.{version}.ServerReflection",
        )
        for version in ("v1", "v1alpha")
        for part in ("", ".fields")
    },
    "S": Fault(rpc=_stream_of_plain_answers),
    "S.error": Fault(rpc=_stream_that_ends),
    "GX.stats": answers("ModelStatistics", messages().StatisticsResponse, model_stats=[{"name": "mixed"}]),
    "GX.config": answers("ModelConfig", messages().ConfigResponse, config={"name": "mixed"}),
    "GX.index": answers("RepositoryIndex", messages().IndexResponse),
    "GX.load": answers("RepositoryModelLoad", messages().IndexRequest),
    "GX.class": returned(lambda _, answer: answer.raw_output_contents.__setitem__(0, b"")),
    "A.numbers": returned(_shift),
    "A.server": returns("ServerMetadata", name="another", version="1"),
}
"""By check: a server that breaks this rule over gRPC."""

RENUMBERED = Fault(rpc=_no_properties)
"""Reflection that tells of another field number than the standard's."""
