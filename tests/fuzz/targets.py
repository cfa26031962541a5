"""What is fuzzed: bytes as they come to a door, read carefully, then twice by the door as it runs.

All three must come to the same: the second time, whatever a door remembers of requests is in play.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

import numpy as np
from google.protobuf.message import DecodeError, Message
from tests.fuzz import models, mutation
from tests.fuzz.oracle import Outcome, Violation, outcome

from sigmax.contract import Task
from sigmax.errors import Code
from sigmax.inference.catalog import Catalog, Served
from sigmax.inference.open_inference import inputs
from sigmax.inference.readiness import Readiness
from sigmax.protocol.schema import CATEGORIES
from sigmax.protocol.tensors import DTYPES
from sigmax.rest import classifier as rest_classifier
from sigmax.rest import classify as rest_classify
from sigmax.rest import codings
from sigmax.rest import inference_protocol as rest_inference
from sigmax.rest import predict as rest_predict
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.straight import Models
from sigmax.rest.templates import Templates
from sigmax.rpc import classifier as rpc_classifier
from sigmax.rpc import inference_protocol as rpc_inference
from sigmax.rpc.forms import Forms
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2
from sigmax.wire import open_inference_grpc_pb2 as pb

GOLDEN_EVERY = 1_000
RENEWED_EVERY = 4_000
"""So often a door begins anew: what it remembers is bounded, and it learns no more once that is full."""

Ask = Callable[[bytes], Any]
Rewrite = Callable[[bytes, Random], bytes]


class Door(Protocol):
    """One address, on bytes."""

    name: str

    def careful(self, data: bytes) -> Any:
        """Read everything anew, with the slow reader."""
        ...

    def fast(self) -> Ask:
        """The door as it runs, which remembers."""
        ...

    def seeds(self) -> list[bytes]:
        """Requests that are answered."""
        ...

    def mutated(self, data: bytes, random: Random, rewrite: Rewrite) -> bytes:
        """An input near another; `rewrite` changes bytes of which nothing is known."""
        ...


class Target:
    """A door under test."""

    def __init__(self, door: Door) -> None:
        self.door, self.seeds = door, door.seeds()
        self._fast = door.fast()
        self._executions = 0
        self._golden = [(seed, outcome(door.careful, seed)) for seed in self.seeds]
        refused = [found for _, found in self._golden if found[0] == "error"]
        if refused:
            raise AssertionError(f"{door.name}: a seed is refused: {refused[0]}")

    def check(self, data: bytes) -> Outcome:
        """Try an input.

        Raises:
            Violation: what must not be, see `oracle`; the ways differ; a golden request has another answer.
        """
        self._executions += 1
        if self._executions % RENEWED_EVERY == 0:
            self._fast = self.door.fast()
        expected = outcome(self.door.careful, data)
        for which in ("first", "second") if expected[0] == "answer" else ("only",):  # errors teach nothing
            found = outcome(self._fast, data)
            if found != expected and not (_is_late(found) or _is_late(expected)):
                raise Violation(f"carefully {expected}, the {which} time {found}")
        if self._executions % GOLDEN_EVERY == 0:
            self.check_golden()
        return expected

    def check_golden(self) -> None:
        """Every seed still has its answer, to the bit."""
        for seed, expected in self._golden:
            if not outcome(self._fast, seed) == outcome(self.door.careful, seed) == expected:
                raise Violation(f"a golden request has another answer: {seed!r}")

    def mutated(self, data: bytes, random: Random, rewrite: Rewrite = mutation.some_bytes) -> bytes:
        """An input near another."""
        if random.random() < 0.05:
            data = random.choice(self.seeds)
        return self.door.mutated(data, random, rewrite)


def _is_late(found: Outcome) -> bool:
    """Whether a `timeout` of the input passed, which depends on how busy the machine is."""
    return found[:2] == ("error", Code.DEADLINE)


class Frame(NamedTuple):
    """A REST request as an input: which model, which content-type, where its JSON ends, and its body."""

    model: int
    media_type: int
    json_length: int
    body: bytes

    def packed(self) -> bytes:
        """As bytes."""
        return _HEAD.pack(self.model, self.media_type, self.json_length) + self.body


_HEAD = struct.Struct(">BBH")
_WHOLE = 0xFFFF  # the body is JSON to its end
MEDIA_TYPES = (
    *(b"application/json", b"", b"image/png", b"image/jpeg", b"application/octet-stream", b"text/plain"),
    *(b"application/json; charset=utf-8", b"multipart/form-data", b"\xff/\x00", b"application/vnd.x+json"),
)


def unpacked(data: bytes) -> Frame:
    """Any bytes as a request."""
    head = data[: _HEAD.size].ljust(_HEAD.size, b"\0")
    model, media_type, json_length = _HEAD.unpack(head)
    return Frame(model, media_type, json_length, data[_HEAD.size :])


class Rest:
    """A POST to one of the REST addresses that predict."""

    def __init__(self, models_: Catalog) -> None:
        self._models = models_
        self._dispatch = models.dispatch(models_)
        self._meter = Metrics().verb("rest", "fuzz")
        self._names = [*models_.ready_names, "none"]

    def _ask(self, read: Callable[..., Any], data: bytes) -> Any:
        frame = unpacked(data)
        length = None if frame.json_length == _WHOLE else frame.json_length
        body = Body(frame.body, length, MEDIA_TYPES[frame.media_type % len(MEDIA_TYPES)])
        name = self._names[frame.model % len(self._names)]
        return self._dispatch.answer(self._meter, read, name, "", body)

    def _frame(self, served: Served, body: bytes, media_type: int = 0, json_length: int = _WHOLE) -> bytes:
        return Frame(self._names.index(served.name), media_type, json_length, body).packed()

    def _served(self) -> list[Served]:
        return [entry.served for entry in self._models.entries if entry.served is not None]

    def mutated(self, data: bytes, random: Random, rewrite: Rewrite) -> bytes:
        """The JSON, the bytes behind it, or the head."""
        frame = unpacked(data)
        end = None if frame.json_length == _WHOLE else frame.json_length
        text, blob = frame.body[:end], b"" if end is None else frame.body[end:]
        match random.randrange(10):
            case 0:
                return rewrite(data, random)
            case 1:
                return frame._replace(model=random.randrange(256)).packed()
            case 2:
                return frame._replace(media_type=random.randrange(len(MEDIA_TYPES))).packed()
            case 3:
                return frame._replace(
                    json_length=random.choice((0, min(len(text) + 1, _WHOLE), _WHOLE))
                ).packed()
            case 4 if blob:
                return frame._replace(body=text + rewrite(blob, random)).packed()
            case 5:
                text = rewrite(text, random)
            case _:
                text = mutation.json_text(text, random)
        kept = _WHOLE if end is None else min(len(text), _WHOLE - 1)
        return frame._replace(json_length=kept, body=text + blob).packed()


class RestInfer(Rest):
    """`POST /v2/models/{m}/infer`."""

    name = "rest-infer"

    def careful(self, data: bytes) -> Answer:
        """Without anything kept."""
        return self._ask(rest_inference.InferQuery, data)  # type: ignore[no-any-return]

    def fast(self) -> Ask:
        """With forms, numbers and templates."""
        kept = rest_inference.Kept(Templates())
        return partial(self._ask, partial(rest_inference.InferQuery, kept=kept))

    def seeds(self) -> list[bytes]:
        """JSON flat and nested, binary in and out, parameters."""
        return [seed for served in self._served() for seed in self._of(served)]

    def _of(self, served: Served) -> Iterator[bytes]:
        tensors = [rest_tensor(served, each) for each in inputs(served.schema)]
        flat = {"inputs": tensors}
        binary, blob = _in_binary(served)
        wanted = {"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}], "id": "7"}
        further = {**flat, "parameters": {"binary_data_output": True, "threshold": 0.5, "x": "y"}}
        yield self._frame(served, _json(flat))
        yield self._frame(served, _json({**flat, **wanted}))
        yield self._frame(served, _json({"inputs": [_nested(tensor) for tensor in tensors]}))
        yield self._frame(served, binary + blob, 4, len(binary))
        if served.manifest.decision.thresholds:
            yield self._frame(served, _json(further))


class RestClassifier(Rest):
    """`POST /v1/models/{m}:classes`, or `:probabilities`."""

    def __init__(self, models_: Catalog, verb: str) -> None:
        super().__init__(models_)
        self.name = f"rest-{verb}"
        query: Any = {
            "classes": rest_classifier.ClassesQuery,
            "probabilities": rest_classifier.ProbabilitiesQuery,
        }[verb]
        self._query = partial(query, max_pixels=models.MAX_PIXELS)
        self._verb = verb

    def careful(self, data: bytes) -> Any:
        """Without anything kept."""
        return self._ask(self._query, data)

    def fast(self) -> Ask:
        """With readers of named rows, and templates."""
        kept = rest_classifier.Kept(Models(), Templates())
        return partial(self._ask, partial(self._query, kept=kept))

    def seeds(self) -> list[bytes]:
        """Rows by name and in order, columns, pictures, options."""
        return [seed for served in self._served() for seed in self._of(served)]

    def _of(self, served: Served) -> Iterator[bytes]:
        rows = models.rows_of(served)
        named = [_named(served, row) for row in rows]
        columns = {name: [row[name] for row in named] for name in served.schema.names}
        yield self._frame(served, _json({"rows": named}))
        yield self._frame(served, _json({"rows": rows}))
        yield self._frame(served, _json({"columns": columns, "options": {"extra": "ignore"}}))
        with_id = [{**row, "i": place} for place, row in enumerate(named)]
        yield self._frame(served, _json({"rows": with_id, "options": {"id": "i"}}))
        if self._verb == "classes":
            yield self._frame(served, _json({"rows": rows, "options": {"top_k": 2}}))
        if served.manifest.image is not None:
            picture = models.picture()
            images = [base64.b64encode(picture).decode()]
            yield self._frame(served, _json({"images": images}))
            yield self._frame(served, picture, 2)


class RestPredict(Rest):
    """`POST /v1/models/{m}:predict` of TensorFlow Serving and KServe V1."""

    name = "rest-predict"

    def careful(self, data: bytes) -> Any:
        """Without anything kept."""
        return self._ask(partial(rest_predict.PredictQuery, max_pixels=models.MAX_PIXELS), data)

    def fast(self) -> Ask:
        """With readers of numbers, and templates."""
        kept = rest_predict.Kept(Templates())
        query = partial(rest_predict.PredictQuery, kept=kept, max_pixels=models.MAX_PIXELS)
        return partial(self._ask, query)

    def seeds(self) -> list[bytes]:
        """Rows by name and in order, columns, pictures, a signature."""
        return [seed for served in self._served() for seed in self._of(served)]

    def _of(self, served: Served) -> Iterator[bytes]:
        rows = models.rows_of(served)
        named = [_named(served, row) for row in rows]
        columns = {name: [row[name] for row in named] for name in served.schema.names}
        yield self._frame(served, _json({"instances": rows}))
        yield self._frame(served, _json({"signature_name": "serving_default", "instances": named}))
        yield self._frame(served, _json({"inputs": columns}))
        if served.manifest.image is not None:
            images = [{"b64": base64.b64encode(models.picture()).decode()}]
            yield self._frame(served, _json({"instances": images}))


class RestClassify(Rest):
    """`POST /v1/models/{m}:classify` of TensorFlow Serving."""

    name = "rest-classify"

    def careful(self, data: bytes) -> Any:
        """Without anything kept."""
        return self._ask(partial(rest_classify.ClassifyQuery, max_pixels=models.MAX_PIXELS), data)

    def fast(self) -> Ask:
        """With readers of named rows."""
        kept = Models(rest_classify.EXAMPLES)
        query = partial(rest_classify.ClassifyQuery, kept=kept, max_pixels=models.MAX_PIXELS)
        return partial(self._ask, query)

    def seeds(self) -> list[bytes]:
        """Examples, with a context and without."""
        return [seed for served in self._served() for seed in self._of(served)]

    def _of(self, served: Served) -> Iterator[bytes]:
        if served.manifest.image is not None or served.manifest.task is Task.MULTILABEL:
            return
        rows = [_named(served, row) for row in models.rows_of(served)]
        first = served.schema.names[0]
        shared = [{name: value for name, value in row.items() if name != first} for row in rows]
        yield self._frame(served, _json({"examples": rows}))
        yield self._frame(served, _json({"context": {first: rows[0][first]}, "examples": shared}))


class Packed:
    """A body that comes packed, and may hold too much."""

    name = "packed"

    def __init__(self, _: Catalog) -> None:
        """It needs no model."""

    def careful(self, data: bytes) -> bytes:
        """Unpack it."""
        coding = (codings.GZIP, codings.DEFLATE)[data[:1] > b"\x7f"]
        return asyncio.run(codings.unpacked(data[1:], coding, MAX_UNPACKED))

    def fast(self) -> Ask:
        """There is no other way."""
        return self.careful

    def seeds(self) -> list[bytes]:
        """Of both codings, short and long; several members; as clients write it that mistake deflate."""
        text = b'{"inputs":[]}'
        bare = zlib.compressobj(wbits=-15)
        return [
            b"\0" + gzip.compress(text, mtime=0),
            b"\0" + gzip.compress(text, mtime=0) + gzip.compress(text * 1_000, mtime=0),
            b"\xff" + zlib.compress(text),
            b"\xff" + zlib.compress(text * 1_000),
            b"\xff" + bare.compress(text) + bare.flush(),
        ]

    def mutated(self, data: bytes, random: Random, rewrite: Rewrite) -> bytes:
        """The packed bytes, or others packed."""
        if random.random() < 0.7:
            return rewrite(data, random)
        text = random.randbytes(random.choice((0, 1, 100))) * random.choice((1, 10, 5_000))
        return (
            b"\0" + gzip.compress(text, mtime=0) if random.random() < 0.5 else b"\xff" + zlib.compress(text)
        )


MAX_UNPACKED = 100_000


class Rpc:
    """A gRPC method on bytes."""

    def __init__(self, models_: Catalog, kind: type[Message]) -> None:
        self._models, self._kind = models_, kind
        self._dispatch = models.dispatch(models_)
        self._metrics = Metrics()
        self._meter = self._metrics.verb("grpc", "fuzz")

    def _served(self) -> list[Served]:
        return [entry.served for entry in self._models.entries if entry.served is not None]

    def mutated(self, data: bytes, random: Random, rewrite: Rewrite) -> bytes:
        """A field of the message, or its bytes."""
        if random.random() < 0.2:
            return rewrite(data, random)
        try:
            value = self._kind.FromString(data)
        except DecodeError:
            return rewrite(data, random)
        for _ in range(random.choice((1, 1, 2, 4))):
            mutation.message(value, random)
        return value.SerializeToString()


class RpcInfer(Rpc):
    """`ModelInfer`."""

    name = "grpc-infer"

    def __init__(self, models_: Catalog) -> None:
        super().__init__(models_, pb.ModelInferRequest)

    def careful(self, data: bytes) -> bytes:
        """Without forms."""
        return self._dispatch.answer(self._meter, rpc_inference.InferQuery, data, Forms())

    def fast(self) -> Ask:
        """The method itself."""
        service = rpc_inference.InferenceService(
            self._models, self._dispatch, Readiness(self._models), self._metrics
        )
        return service.model_infer

    def seeds(self) -> list[bytes]:
        """Raw and typed contents."""
        return [seed for served in self._served() for seed in self._of(served)]

    def _of(self, served: Served) -> Iterator[bytes]:
        raw = pb.ModelInferRequest(model_name=served.name)
        typed = pb.ModelInferRequest(model_name=served.name, model_version="1", id="7")
        for described in inputs(served.schema):
            tensor = rest_tensor(served, described)
            head = {name: tensor[name] for name in ("name", "datatype", "shape")}
            raw.inputs.add(**head)
            raw.raw_input_contents.append(_binary(tensor))
            contents = getattr(typed.inputs.add(**head).contents, rpc_inference.CONTENTS[tensor["datatype"]])
            contents.extend([_typed(value, tensor["datatype"]) for value in tensor["data"]])
        yield raw.SerializeToString()
        yield typed.SerializeToString()
        raw.outputs.add(name="probabilities")
        if served.manifest.decision.thresholds:
            raw.parameters["threshold"].double_param = 0.5
        yield raw.SerializeToString()


class RpcClassifier(Rpc):
    """`PredictClasses`, or `PredictProbabilities`."""

    def __init__(self, models_: Catalog, verb: str) -> None:
        self.name = f"grpc-{verb}"
        kind: Any = {
            "classes": classifier_pb2.PredictClassesRequest,
            "probabilities": classifier_pb2.PredictProbabilitiesRequest,
        }[verb]
        super().__init__(models_, kind)
        self._verb = verb
        query: Any = {
            "classes": rpc_classifier.ClassesQuery,
            "probabilities": rpc_classifier.ProbabilitiesQuery,
        }[verb]
        self._query = partial(query, max_pixels=models.MAX_PIXELS)

    def careful(self, data: bytes) -> Any:
        """With message classes."""
        return self._dispatch.answer(self._meter, self._query, data)

    def fast(self) -> Ask:
        """The method itself."""
        service = rpc_classifier.Classifier(self._models, self._dispatch, self._metrics, models.MAX_PIXELS)
        return service.predict_classes if self._verb == "classes" else service.predict_probabilities

    def seeds(self) -> list[bytes]:
        """Rows by name and in order, columns, pictures, options."""
        return [seed for served in self._served() for seed in self._of(served)]

    def _of(self, served: Served) -> Iterator[bytes]:
        rows = models.rows_of(served)
        ordered, named, columns, chosen = (self._request(served) for _ in range(4))
        for row in rows:
            ordered.rows.add().list_value.extend(row)
            named.rows.add().struct_value.update(_named(served, row))
            chosen.rows.add().struct_value.update({**_named(served, row), "i": 7})
        for place, name in enumerate(served.schema.names):
            values = [row if served.manifest.image is not None else row[place] for row in rows]
            columns.columns[name].extend(values)
        chosen.options.id = "i"
        if self._verb == "classes":
            chosen.options.top_k = 2
        yield from (each.SerializeToString() for each in (ordered, named, columns, chosen))
        if served.manifest.image is not None:
            picture = self._request(served)
            picture.images.append(models.picture())
            yield picture.SerializeToString()

    def _request(self, served: Served) -> Any:
        return self._kind(model=served.name)


def rest_tensor(served: Served, described: dict[str, Any]) -> dict[str, Any]:
    """One input of a model, filled with the rows that it takes."""
    schema, rows = served.schema, models.rows_of(served)
    wanted = set(schema.categories) if described["name"] == CATEGORIES else None
    columns = [
        column for column in range(schema.width) if (column in schema.categories) == (wanted is not None)
    ]
    values = [row[column] for row in rows for column in columns]
    if wanted is not None:
        values = ["" if value is None else str(value) for value in values]
    elif described["datatype"] in ("FP32", "FP64"):
        values = [None if value is None else float(value) for value in values]
    return {**described, "shape": [len(rows), len(columns)], "data": values}


def _named(served: Served, row: list[Any]) -> dict[str, Any]:
    names = served.schema.names
    return {names[0]: row} if served.manifest.image is not None else dict(zip(names, row, strict=True))


def _nested(tensor: dict[str, Any]) -> dict[str, Any]:
    count, width = tensor["shape"]
    data = tensor["data"]
    return {**tensor, "data": [data[row * width : (row + 1) * width] for row in range(count)]}


def _typed(value: Any, datatype: str) -> Any:
    if datatype == "BYTES":
        return value.encode()
    return float("nan") if value is None else value


def _binary(tensor: dict[str, Any]) -> bytes:
    """The values of a tensor as they lie in binary."""
    values = [_typed(value, tensor["datatype"]) for value in tensor["data"]]
    if tensor["datatype"] == "BYTES":
        return b"".join(len(value).to_bytes(4, "little") + value for value in values)
    return np.array(values, DTYPES[tensor["datatype"]]).tobytes()


def _in_binary(served: Served) -> tuple[bytes, bytes]:
    """A whole request in binary: its JSON, and what follows it."""
    tensors, blobs = [], []
    for described in inputs(served.schema):
        tensor = rest_tensor(served, described)
        blobs.append(_binary(tensor))
        head = {name: tensor[name] for name in ("name", "datatype", "shape")}
        tensors.append({**head, "parameters": {"binary_data_size": len(blobs[-1])}})
    return _json({"inputs": tensors}), b"".join(blobs)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


DOORS: dict[str, Callable[[Catalog], Door]] = {
    "rest-infer": RestInfer,
    "grpc-infer": RpcInfer,
    "rest-classes": partial(RestClassifier, verb="classes"),
    "rest-probabilities": partial(RestClassifier, verb="probabilities"),
    "rest-predict": RestPredict,
    "rest-classify": RestClassify,
    "packed": Packed,
    "grpc-classes": partial(RpcClassifier, verb="classes"),
    "grpc-probabilities": partial(RpcClassifier, verb="probabilities"),
}
"""Every door by the name of its target."""


def target(name: str, real: Path | None = None) -> Target:
    """A target by its name; `real` is the folder of a version of a real model."""
    return Target(DOORS[name](models.catalog(real)))
