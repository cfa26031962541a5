"""Raw `ModelInfer` requests that differ in nothing but their numbers.

Such a client sends the same bytes before the numbers every time. They are read once; of a request that begins
with them only the numbers are left to read. What costs here is not arithmetic but how many different things
are done for a request, since between two of them the transport empties the caches.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from sigmax.contract import INPUT, Task
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.inference.open_inference import Output, outputs, wants_logits
from sigmax.protocol import tensors
from sigmax.protocol.options import DEFAULT, Options, from_parameters
from sigmax.protocol.tabular import Rows
from sigmax.wire import open_inference_grpc_pb2 as pb

RAW_INPUT = b"\x3a"  # raw_input_contents: field 7, length-delimited
RAW_OUTPUT = b"\x32"  # raw_output_contents: field 6, length-delimited

_MAX_FORMS = 256
_MAX_PREFIX = 4096
_KEY_BYTES = 32


class Form(NamedTuple):
    """What requests of one form have in common.

    Attributes:
        prefix: the bytes before the numbers.
        wanted: the requested outputs by name; empty for all.
        options: what their parameters say.
    """

    prefix: bytes
    model: str
    version: str
    datatype: str
    shape: tuple[int, ...]
    wanted: tuple[str, ...]
    options: Options


class OneRow(NamedTuple):
    """The answer to one row: `head`, the bytes of the probabilities, and the tail of the chosen column.

    Of a model with a band, one of `doubts` follows: it is sure, it is unsure.
    """

    head: bytes
    tails: tuple[bytes, ...]
    doubts: tuple[bytes, bytes]


class KnownQuery:
    """A request of a known form."""

    __slots__ = ("_form", "_forms", "_request", "model", "version", "wants_logits")

    def __init__(self, form: Form, request: bytes, forms: Forms) -> None:
        self.model, self.version = form.model, form.version
        self._form, self._request, self._forms = form, request, forms
        self.wants_logits = False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read the numbers."""
        form, schema = self._form, served.schema
        self.wants_logits = wants_logits(served.manifest, form.wanted)
        if schema.categories:  # of a version that came later than the form
            tensors.check_inputs(schema, (INPUT,))
        numbers = self._request[len(form.prefix) :]
        return Rows(tensors.from_bytes(schema, form.datatype, form.shape, numbers, max_rows))

    def render(self, prediction: Prediction) -> bytes:
        """A `ModelInferResponse`."""
        served, probabilities, form = prediction.served, prediction.probabilities, self._form
        if len(probabilities) == 1 and not form.wanted and form.options is DEFAULT:
            kept = self._forms.one_row(prediction)
            if kept is not None:
                row, rule = probabilities.tolist()[0], served.predictor.rule
                tail = kept.tails[rule.choose_one(row)]
                if rule.banded:
                    tail += kept.doubts[rule.unsure_one(row)]
                return b"".join((kept.head, probabilities.tobytes(), tail))
        return raw_response(served, outputs(prediction, form.wanted, form.options))


class Forms:
    """The forms met so far, the latest of each length and beginning."""

    __slots__ = ("_forms", "_one_row")

    def __init__(self) -> None:
        self._forms: dict[tuple[int, bytes], Form] = {}
        self._one_row: dict[str, tuple[Served, OneRow | None]] = {}

    def find(self, request: bytes) -> Form | None:
        """The form of a request, if it is known."""
        form = self._forms.get((len(request), request[:_KEY_BYTES]))
        return form if form is not None and request.startswith(form.prefix) else None

    def learn(self, request: bytes, message: pb.ModelInferRequest) -> None:
        """Remember the form of a request that was answered, if requests can have a form in common with it."""
        form = form_of(request, message)
        if form is None:
            return
        if len(self._forms) >= _MAX_FORMS:
            self._forms.clear()
        self._forms[len(request), request[:_KEY_BYTES]] = form

    def one_row(self, prediction: Prediction) -> OneRow | None:
        """What answers to one row of a model have in common, kept while its version serves."""
        served = prediction.served
        kept = self._one_row.get(served.name)
        if kept is None or kept[0] is not served:
            kept = self._one_row[served.name] = (served, _one_row(prediction))
        return kept[1]


def form_of(request: bytes, message: pb.ModelInferRequest) -> Form | None:
    """The form of a raw request; None if it has an id, which changes, or does not end with its numbers.

    Of models with categories no request has a form: their texts have no length in common.
    """
    inputs = message.inputs
    if message.id or len(message.raw_input_contents) != 1 or len(inputs) != 1 or inputs[0].name != INPUT:
        return None
    numbers = message.raw_input_contents[0]
    common = request[: len(request) - len(numbers) - len(_length(len(numbers))) - 1]
    prefix = common + RAW_INPUT + _length(len(numbers))
    if len(prefix) > _MAX_PREFIX or request != prefix + numbers:
        return None
    rest = pb.ModelInferRequest()
    rest.CopyFrom(message)
    rest.ClearField("raw_input_contents")
    if not _reads_as(common, rest):
        return None
    tensor = inputs[0]
    return Form(
        prefix,
        message.model_name,
        message.model_version,
        tensor.datatype,
        tuple(tensor.shape),
        requested(message),
        options_of(message),
    )


def requested(message: pb.ModelInferRequest) -> tuple[str, ...]:
    """The outputs that a request names; empty for all."""
    return tuple([output.name for output in message.outputs])


def options_of(message: pb.ModelInferRequest) -> Options:
    """What a request's parameters say.

    Raises:
        InvalidInput: one of ours is not what it should be.
    """
    if not message.parameters:
        return DEFAULT
    return from_parameters({name: _value(parameter) for name, parameter in message.parameters.items()})


def _value(parameter: pb.InferParameter) -> Any:
    filled = parameter.WhichOneof("parameter_choice")
    return None if filled is None else getattr(parameter, filled)


def _reads_as(common: bytes, rest: pb.ModelInferRequest) -> bool:
    """Whether the bytes before the numbers are all of the message but them, and not the inside of a field."""
    try:
        return bool(pb.ModelInferRequest.FromString(common) == rest)
    except DecodeError:
        return False


def _one_row(prediction: Prediction) -> OneRow | None:
    served, probabilities = prediction.served, prediction.probabilities
    if served.manifest.task is Task.MULTILABEL or prediction.logits is not None:
        return None
    signature = tuple([output[:3] for output in outputs(prediction, ())])
    head = _head(served.name, served.version, signature) + RAW_OUTPUT + _length(probabilities.nbytes)
    contents = [tensors.to_bytes([label]) for label in served.manifest.classes]
    tails = tuple(RAW_OUTPUT + _length(len(content)) + content for content in contents)
    return OneRow(head, tails, (RAW_OUTPUT + b"\x01\x00", RAW_OUTPUT + b"\x01\x01"))


def raw_response(served: Served, given: list[Output]) -> bytes:
    """A `ModelInferResponse` without an id, its contents raw.

    Messages one after the other are read as one, merged: what only depends on the shape is kept.
    """
    parts = [_head(served.name, served.version, tuple([output[:3] for output in given]))]
    for output in given:
        content = tensors.to_bytes(output.values)
        parts += (RAW_OUTPUT, _length(len(content)), content)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _head(model: str, version: str, signature: tuple[tuple[str, str, tuple[int, ...]], ...]) -> bytes:
    head = pb.ModelInferResponse(model_name=model, model_version=version)
    for name, datatype, shape in signature:
        head.outputs.add(name=name, datatype=datatype, shape=shape)
    return head.SerializeToString()


@lru_cache(maxsize=4096)
def _length(size: int) -> bytes:
    """A length as protobuf writes it: 7 bits a byte, the lowest first (the encoding guide's varint)."""
    written = bytearray()
    while size > 0x7F:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    written.append(size)
    return bytes(written)
