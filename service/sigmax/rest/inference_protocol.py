"""`POST /v2/models/{m}/infer`: the Open Inference Protocol, version 2, as JSON and with binary tensors.

Binary tensors follow the JSON in the body, in the order of their inputs or outputs; the header
`Inference-Header-Content-Length` says where the JSON ends (Triton's extension `binary_tensor_data`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from types import NoneType
from typing import Any

import msgspec
import numpy.typing as npt

from sigmax.contract import INPUT, OUTPUT
from sigmax.errors import InvalidInput, Problem, path, quoted
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.inference.open_inference import Output, outputs, wants_logits
from sigmax.protocol import elements, tensors
from sigmax.protocol.elements import Tensor
from sigmax.protocol.parameters import NONE, Wanted, Wishes
from sigmax.protocol.places import cell, in_categories, in_features
from sigmax.protocol.schema import CATEGORIES, Schema
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import NOT_TAKEN, all_within, describe, refuse_any
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.bounds import SHORT, Bounds
from sigmax.rest.infer_request import (
    NOTHING,
    Form,
    Forms,
    InferRequest,
    InputTensor,
    Understood,
    read_request,
    understood,
)
from sigmax.rest.jsons import certain, check_media, leniently, plain
from sigmax.rest.straight import Numbers
from sigmax.rest.templates import Templates

_OCTETS = (b"content-type", b"application/octet-stream")
_flat: dict[str, msgspec.json.Decoder[Any]] = {
    "b": msgspec.json.Decoder(list[bool]),
    "i": msgspec.json.Decoder(list[int]),
    "u": msgspec.json.Decoder(list[int]),
    "f": msgspec.json.Decoder(list[float]),
    "f?": msgspec.json.Decoder(list[float | None]),
    "s": msgspec.json.Decoder(list[str | None]),
}
_nested: dict[str, msgspec.json.Decoder[Any]] = {
    "b": msgspec.json.Decoder(list[list[bool]]),
    "i": msgspec.json.Decoder(list[list[int]]),
    "u": msgspec.json.Decoder(list[list[int]]),
    "f": msgspec.json.Decoder(list[list[float]]),
    "f?": msgspec.json.Decoder(list[list[float | None]]),
    "s": msgspec.json.Decoder(list[list[str | None]]),
}
_STRAIGHT = {
    name: dtype.kind for name, dtype in tensors.DTYPES.items() if name not in ("BOOL", *tensors.RAW_ONLY)
}
_KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "f?": "number", "s": "text"}
_TYPES: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (int, float),
    "f?": (int, float, NoneType),
    "s": (str, NoneType),
}


_PROBABILITIES = (Wanted(OUTPUT),)
_LARGEST = int(sys.float_info.max)


class Kept:
    """What requests leave to those after them; without it, each is read and answered anew."""

    __slots__ = ("forms", "numbers", "templates")

    def __init__(self, templates: Templates) -> None:
        self.forms, self.numbers, self.templates = Forms(), Numbers(), templates


class InferQuery:
    """The body of an `infer` request."""

    __slots__ = (
        *("_body", "_form", "_kept", "_request", "_understood"),
        *("model", "timeout", "version", "wants_logits"),
    )

    def __init__(self, model: str, version: str, body: Body, kept: Kept | None = None) -> None:
        self.model, self.version, self._body, self._kept = model, version, body, kept
        self._form: Form | None = None
        self._request = InferRequest([])
        self._understood, self.wants_logits = NOTHING, False
        self.timeout: float | None = None

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read the input tensors, nested or flat: one, or two of a model with categories."""
        check_media(self._body.media_type)
        text, blob = _split(self._body)
        form = None if blob or self._kept is None else self._kept.forms.find(text)
        if form is not None and form.count <= max_rows * served.schema.width:
            numbers = self._numbers(form.request.inputs[0], form.numbers(text))
            if numbers is not None:
                self._form, self._request = form, form.request
                self._understands(form.understood)
                if form.right_for() is served and numbers.size == form.count:
                    schema = served.schema
                    if all_within(numbers, schema.largest):
                        return Rows(numbers.reshape(-1, schema.width).astype(schema.dtype, copy=False))
                return self._array(served, form, numbers, max_rows)
        if self._body.json_length == 0:
            return self._bare(served, blob, max_rows)
        if len(text) > SHORT:  # numbers cost little here
            Bounds.of(served.schema, max_rows)._replace(values=len(text)).check(text)
        request, doubt = read_request(text)
        return certain(self._any(served, request, blob, max_rows), doubt)

    def _bare(self, served: Served, blob: bytes, max_rows: int) -> Rows:
        """A body that is the bytes of the only input, in the model's own datatype; all outputs are bytes."""
        schema = served.schema
        self._understands(Understood(Wishes(binary=True)))
        self.wants_logits = wants_logits(served.manifest, ())
        if schema.categories:
            raise InvalidInput(
                "header Inference-Header-Content-Length of 0 says that the body is the only input's bytes; "
                f"this model has {_inputs(schema)}: send JSON that says where each begins"
            )
        datatype, row = tensors.NAMES[schema.dtype], schema.width * schema.dtype.itemsize
        rows, rest = divmod(len(blob), row)
        if rest or not rows:
            raise InvalidInput(
                f"input '{INPUT}': a row is {row} bytes, {schema.width} numbers of {datatype}; "
                f"the body has {len(blob)} bytes, which are no whole rows",
                tensors.field(INPUT),
            )
        return Rows(tensors.from_bytes(schema, datatype, (rows, schema.width), blob, max_rows))

    def _any(self, served: Served, request: InferRequest, blob: bytes, max_rows: int) -> Rows:
        self._understands(understood(request))
        self._check(served, request)
        if served.schema.categories:
            given = _tensors(served.schema, request.inputs, blob)
            return Rows(elements.read(served.schema, given, max_rows))
        tensor = request.inputs[0]
        size = _binary_size(tensor, len(blob))
        if size is not None:
            return Rows(tensors.from_bytes(served.schema, tensor.datatype, tensor.shape, blob, max_rows))
        numbers = self._numbers(tensor, bytes(tensor.data))
        values = _values(served.schema, tensor) if numbers is None else numbers
        return Rows(tensors.from_values(served.schema, tensor.datatype, tensor.shape, values, max_rows))

    def _understands(self, what: Understood) -> None:
        self._understood, self.timeout = what, what.wishes.timeout

    def _array(self, served: Served, form: Form, numbers: npt.NDArray[Any], max_rows: int) -> Rows:
        self._check(served, form.request)
        tensor, schema = form.request.inputs[0], served.schema
        features = tensors.from_values(schema, tensor.datatype, tensor.shape, numbers, max_rows)
        own_type = tensors.dtype_of(tensor.datatype) == schema.dtype
        if own_type and schema.plain and not (schema.pixels or self.wants_logits or form.request.parameters):
            form.is_right_for(served)
        return Rows(features)

    def _check(self, served: Served, request: InferRequest) -> None:
        """Look at all but the numbers."""
        self._request = request
        wanted = self._understood.wanted
        self.wants_logits = wants_logits(served.manifest, [one.name for one in wanted] if wanted else ())
        tensors.check_inputs(served.schema, [tensor.name for tensor in request.inputs])

    def _numbers(self, tensor: InputTensor, data: bytes) -> npt.NDArray[Any] | None:
        """The numbers of a tensor, if they are usual ones."""
        kind = _STRAIGHT.get(tensor.datatype)
        return self._kept.numbers.read(data, kind, tensor.shape) if self._kept and kind else None

    def render(self, prediction: Prediction) -> Answer:
        """The response of the standard; data is flat."""
        request, kept = self._request, self._kept
        if kept is None:
            return self._any_answer(prediction)
        if self._form is None and self._body.json_length is None:
            kept.forms.learn(self._body.content, request)
        usual = kept.templates.find(prediction) if self._understood.wishes is NONE else None
        if usual is not None and not self._understood.wanted:
            return Answer(usual.infer(prediction.probabilities, request.id))
        if usual is not None and self._understood.wanted == _PROBABILITIES:
            return Answer(usual.probabilities_tensor(prediction.probabilities, request.id))
        return self._any_answer(prediction)

    def _any_answer(self, prediction: Prediction) -> Answer:
        served, request = prediction.served, self._request
        document: dict[str, Any] = {"model_name": served.name, "model_version": served.version}
        if request.id is not None:
            document["id"] = request.id
        wishes, wanted = self._understood
        tensors_out = outputs(prediction, wanted, wishes.options)
        blobs = dict.fromkeys(_binary_names(self._understood, tensors_out), b"")
        document["outputs"] = [_rendered(output, blobs) for output in tensors_out]
        return _packed(msgspec.json.encode(document), list(blobs.values()))


def _inputs(schema: Schema) -> str:
    """A model's inputs, for a message."""
    return " and ".join(f"'{name}'" for name in schema.inputs)


def _split(body: Body) -> tuple[bytes, bytes]:
    """The JSON and what follows it."""
    if body.json_length is None:
        return body.content, b""
    if body.json_length > len(body.content):
        raise InvalidInput(
            f"header Inference-Header-Content-Length says {body.json_length} bytes of JSON, "
            f"the body has {len(body.content)}"
        )
    return body.content[: body.json_length], body.content[body.json_length :]


def _tensors(schema: Schema, inputs: list[InputTensor], blob: bytes) -> list[Tensor]:
    """The inputs of a model with categories; those in binary follow one another behind the JSON."""
    sizes = [_announced(tensor) for tensor in inputs]
    announced = sum(size or 0 for size in sizes)
    if announced != len(blob):
        raise InvalidInput(f"{announced} bytes are announced behind the JSON, {_came(len(blob))}")
    given, place = [], 0
    for tensor, size in zip(inputs, sizes, strict=True):
        if tensor.name == CATEGORIES:
            elements.check_datatype(schema, tensor.datatype)
        content = _any_values(schema, tensor) if size is None else blob[place : place + size]
        given.append(Tensor(tensor.name, tensor.datatype, tensor.shape, content))
        place += size or 0
    return given


def _any_values(schema: Schema, tensor: InputTensor) -> list[Any]:
    """The flat values of one of the inputs of a model with categories."""
    if tensor.name == CATEGORIES:
        kind = "s" if tensor.datatype == "BYTES" else "i"
        return _decoded(schema, schema.categories, tensor, kind)
    return _values(schema.numeric or schema, tensor)


def _binary_size(tensor: InputTensor, available: int) -> int | None:
    """How many bytes behind the JSON are the only tensor's; None if its values stand in the JSON.

    Raises:
        InvalidInput: both or neither is there, or more or fewer bytes came.
    """
    size = _announced(tensor)
    if (size or 0) != available:
        raise InvalidInput(
            f"input {quoted(tensor.name)}: {size or 0} bytes announced behind the JSON, {_came(available)}",
            tensors.field(tensor.name),
        )
    return size


def _came(size: int) -> str:
    """How many bytes came behind the JSON, and why there may be none."""
    return f"{size} came" + ("" if size else ": header Inference-Header-Content-Length says where it ends")


def _announced(tensor: InputTensor) -> int | None:
    """How many bytes behind the JSON a tensor says are its own; None if its values stand in the JSON."""
    size = tensor.parameters.get("binary_data_size")
    given = bool(tensor.data)
    if (size is None) == (not given):
        raise InvalidInput(
            f"input {quoted(tensor.name)}: expected exactly one of 'data' and parameter 'binary_data_size'",
            tensors.field(tensor.name),
        )
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise InvalidInput(
            f"input {quoted(tensor.name)}: 'binary_data_size' is a number of bytes",
            tensors.field(tensor.name, "parameters", "binary_data_size"),
        )
    return size


def _binary_names(understood: Understood, given: list[Output]) -> list[str]:
    """Which outputs the caller wants in binary: the request's word, unless the output has its own."""
    default = understood.wishes.binary
    if not understood.wanted:
        return [output.name for output in given] if default else []
    own = {wanted.name: wanted.binary for wanted in understood.wanted if wanted.binary is not None}
    return [output.name for output in given if own.get(output.name, default)]


def _packed(text: bytes, blobs: list[bytes]) -> Answer:
    if not blobs:
        return Answer(text)
    length = (b"inference-header-content-length", b"%d" % len(text))
    return Answer(b"".join([text, *blobs]), (_OCTETS, length))


def _values(schema: Schema, tensor: InputTensor) -> list[Any]:
    """The flat values of a tensor of numbers; None where one is missing and may be.

    Raises:
        InvalidInput: wrong types, ragged rows, or rows that are not as many or as wide as the shape.
    """
    kind = tensors.dtype_of(tensor.datatype).kind
    if tensor.datatype in tensors.RAW_ONLY:
        text = f"input {quoted(tensor.name)}: {tensor.datatype} has no form in JSON: send it as binary data"
        raise InvalidInput(text, tensors.field(tensor.name, "datatype"))
    if len(tensor.shape) > 2:
        return _pictures(schema, tensor, kind)
    columns, optional = range(schema.width), schema.optional
    if kind != "f" or optional is None:
        return _decoded(schema, columns, tensor, kind)
    values = _decoded(schema, columns, tensor, "f?")
    if None in values:
        refuse_any(
            cell(
                schema,
                *divmod(position, schema.width),
                f"expected a number, got null, {NOT_TAKEN}",
                in_features,
            )
            for position, value in enumerate(values)
            if value is None and not optional[position % schema.width]
        )
    return values


def _pictures(schema: Schema, tensor: InputTensor, kind: str) -> list[Any]:
    """The flat values of pictures in a shape of their own, (n_samples, channels, height, width).

    Raises:
        InvalidInput: another shape, values of another type, or lists nested neither as it says nor flat.
    """
    tensors.check_matrix(schema, tensor.shape, sys.maxsize)
    columns, data = range(schema.width), bytes(tensor.data)
    if data[1:].lstrip()[:1] != b"[":
        return _decoded(schema, columns, tensor, kind)
    level = [leniently(data)]
    for size in tensor.shape:
        if not all(type(part) is list and len(part) == size for part in level):
            raise _not_nested(tensor)
        level = list(chain.from_iterable(level))
    if any(type(value) in (list, dict) for value in level):
        raise _not_nested(tensor)
    refuse_any(_wrong_cells(schema, columns, tensor, kind, level))
    return level


def _not_nested(tensor: InputTensor) -> InvalidInput:
    text = f"input {quoted(tensor.name)}: 'data' is neither flat nor nested as its shape {tensor.shape}"
    return InvalidInput(text, tensors.field(tensor.name, "data"))


def _decoded(schema: Schema, columns: Sequence[int], tensor: InputTensor, kind: str) -> list[Any]:
    """The flat values of a tensor that holds these columns of the features matrix."""
    data = bytes(tensor.data)
    nested = data[1:].lstrip()[:1] == b"["
    try:
        values: list[Any] = (_nested if nested else _flat)[kind].decode(data)
    except msgspec.ValidationError as error:
        refuse_any(_wrong_cells(schema, columns, tensor, kind, leniently(data)))
        raise InvalidInput(
            f"input {quoted(tensor.name)}: 'data' of {tensor.datatype} is a list of {_KINDS[kind]}s, "
            f"flat or nested as its shape: {plain(error)}",
            tensors.field(tensor.name, "data"),
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        refuse_any(_wrong_cells(schema, columns, tensor, kind, leniently(data)))
        text = f"input {quoted(tensor.name)}: 'data' is not JSON: {error}"
        raise InvalidInput(text, tensors.field(tensor.name, "data")) from None
    return _unnested(tensor, values) if nested else values


def _wrong_cells(
    schema: Schema, columns: Sequence[int], tensor: InputTensor, kind: str, data: Any
) -> Iterator[Problem]:
    """Which values are not of the datatype, by row and feature; none if it is the nesting that is wrong."""
    if type(data) is not list:
        return
    cells = list(chain.from_iterable(data)) if all(type(row) is list for row in data) else data
    place = in_categories if tensor.name == CATEGORIES else in_features
    for position, value in enumerate(cells):
        if type(value) in (list, dict):
            return
        text = _wrong_value(schema, tensor, kind, value)
        if text is not None:
            row, column = divmod(position, len(columns))
            yield cell(schema, row, columns[column], text, place)


def _wrong_value(schema: Schema, tensor: InputTensor, kind: str, value: Any) -> str | None:
    """Why a value is none of a tensor's datatype; None if it is one."""
    numeric = float in _TYPES[kind]
    if numeric and type(value) is int and abs(value) > _LARGEST:
        return f"{quoted(value)} is no number of {tensor.datatype}"
    if numeric and type(value) is float and not math.isfinite(value):
        return f"expected a finite number, got {describe(value)}"
    if type(value) in _TYPES[kind]:
        return None
    cannot = value is None and not schema.plain
    given = f"null, which {tensor.datatype} cannot hold" if cannot else describe(value)
    return f"expected {_one(kind)}, got {given}"


def _one(kind: str) -> str:
    return f"{'an' if kind in 'iu' else 'a'} {_KINDS[kind]}"


def _unnested(tensor: InputTensor, rows: list[list[Any]]) -> list[Any]:
    if len(tensor.shape) == 2:
        for index, row in enumerate(rows):
            if len(row) != tensor.shape[1]:
                text = (
                    f"input {quoted(tensor.name)}: row {index} of 'data' has {len(row)} values, "
                    f"shape {tensor.shape} says {tensor.shape[1]}"
                )
                raise InvalidInput.of([Problem(text, path("inputs", tensor.name, index), index)])
        if len(rows) != tensor.shape[0]:
            raise InvalidInput(
                f"input {quoted(tensor.name)}: 'data' has {len(rows)} rows, shape {tensor.shape[:8]} says "
                f"{tensor.shape[0]}",
                tensors.field(tensor.name, "data"),
            )
    return list(chain.from_iterable(rows))


def _rendered(output: Output, blobs: dict[str, bytes]) -> dict[str, Any]:
    """An output as JSON; one that is wanted in binary puts its bytes into `blobs`."""
    head = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
    if output.name in blobs:
        blob = blobs[output.name] = output.to_bytes()
        return {**head, "parameters": {"binary_data_size": len(blob)}}
    values = output.values if isinstance(output.values, list) else output.values.ravel().tolist()
    return {**head, "data": values}
