"""Raw `ModelInfer` requests that differ in nothing but their numbers, which stand at the end.

Whatever of a request and its answer does not depend on the numbers is prepared once for a form of request and
the version that answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from sigmax.contract import INPUT, Task
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.inference.open_inference import Output, outputs, wants_logits
from sigmax.protocol import parameters, tensors
from sigmax.protocol.options import DEFAULT
from sigmax.protocol.parameters import Wanted, Wishes
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import surely_finite
from sigmax.rpc.labels import Labels
from sigmax.rpc.varint import varint
from sigmax.wire import open_inference_grpc_pb2 as pb

RAW_INPUT = b"\x3a"  # raw_input_contents: field 7, length-delimited
RAW_OUTPUT = b"\x32"  # raw_output_contents: field 6, length-delimited

_MAX_PREFIX = 4096

_DOUBTS = (RAW_OUTPUT + b"\x01\x00", RAW_OUTPUT + b"\x01\x01")
"""What follows one row of a model with a band: it is sure, it is unsure."""


class Form:
    """What requests of one form have in common.

    Attributes:
        prefix: the bytes before the numbers.
        wanted: the requested outputs; empty for all.
        options: what their parameters say.
        plan: how the version that answered last takes them.
    """

    __slots__ = ("datatype", "model", "options", "plan", "prefix", "shape", "version", "wanted")

    def __init__(self, prefix: bytes, message: pb.ModelInferRequest) -> None:
        tensor = message.inputs[0]
        self.prefix = prefix
        self.model, self.version = message.model_name, message.model_version
        self.datatype, self.shape = tensor.datatype, tuple(tensor.shape)
        self.wanted, self.options = requested(message), wishes_of(message).options
        self.plan: Plan | None = None

    @property
    def kept(self) -> int:
        """About how many bytes it keeps."""
        return 2048 + len(self.prefix)

    def matches(self, request: bytes) -> bool:
        """Whether a request of the same length has this form."""
        return request.startswith(self.prefix)

    def planned(self, served: Served, max_rows: int, size: int) -> Plan:
        """How a version takes requests of `size` bytes; made anew for another version.

        Raises:
            InvalidInput: it does not take them.
        """
        plan = self.plan
        if plan is None or plan.served() is not served or plan.max_rows != max_rows:
            plan = self.plan = _plan(self, served, max_rows, size)
        return plan


class Plan(NamedTuple):
    """How one version takes the requests of one form.

    Attributes:
        served: the version, for as long as it is there: it has to end when another takes its place.
        max_rows: that one request may have.
        logits: whether they ask for logits.
        dtype: of their numbers.
        offset: where those begin, if they can be read where they lie; else None.
        finite: whether nothing more is asked of the numbers than to be finite.
        answer: what all answers have in common; None if too little.
    """

    served: ref[Served]
    max_rows: int
    logits: bool
    dtype: np.dtype[Any]
    offset: int | None
    finite: bool
    answer: Answer | None


class Named(NamedTuple):
    """The classes of a model as its answers name them.

    Attributes:
        tails: for one row, by column, everything behind the probabilities.
        labels: for many rows, the chosen labels' bytes.
    """

    tails: tuple[bytes, ...]
    labels: Labels


class Answer(NamedTuple):
    """What the answers to requests of one form have in common.

    Attributes:
        head: everything before the probabilities.
        named: the same for all forms, since it is as large as the classes are many.
    """

    head: bytes
    named: Named

    def one(self, prediction: Prediction) -> bytes:
        """The answer to one row."""
        probabilities, rule = prediction.probabilities, prediction.served.predictor.rule
        row = probabilities.tolist()[0]
        tail = self.named.tails[rule.choose_one(row)]
        if rule.banded:
            tail += _DOUBTS[rule.unsure_one(row)]
        return b"".join((self.head, probabilities.tobytes(), tail))

    def many(self, prediction: Prediction) -> bytes:
        """The answer to any number of rows."""
        probabilities, rule = prediction.probabilities, prediction.served.predictor.rule
        labels = self.named.labels.of(rule.choose(probabilities))
        parts = [self.head, probabilities.tobytes(), RAW_OUTPUT, varint(len(labels)), labels]
        if rule.banded:
            unsure = rule.unsure(probabilities).tobytes()
            parts += (RAW_OUTPUT, varint(len(unsure)), unsure)
        return b"".join(parts)


class KnownQuery:
    """A request of a known form."""

    __slots__ = ("_form", "_plan", "_request", "model", "version", "wants_logits")
    timeout: float | None = None

    def __init__(self, form: Form, request: bytes) -> None:
        self.model, self.version = form.model, form.version
        self._form, self._request = form, request
        self._plan: Plan | None = None
        self.wants_logits = False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read the numbers."""
        form, request = self._form, self._request
        self._plan = plan = form.planned(served, max_rows, len(request))
        self.wants_logits = plan.logits
        if plan.offset is None:
            features = np.ndarray(form.shape, plan.dtype, request[len(form.prefix) :])
        else:
            features = np.ndarray(form.shape, plan.dtype, request, plan.offset)
        if plan.finite and surely_finite(features):
            return Rows(features)
        return Rows(tensors.fit(served.schema, features))

    def render(self, prediction: Prediction) -> bytes:
        """A `ModelInferResponse`."""
        answer = None if self._plan is None else self._plan.answer
        if answer is None:
            form = self._form
            return raw_response(prediction.served, outputs(prediction, form.wanted, form.options))
        return answer.one(prediction) if len(prediction.probabilities) == 1 else answer.many(prediction)


def form_of(request: bytes, message: pb.ModelInferRequest) -> Form | None:
    """The form of a raw request; None if it has an id, which changes, or does not end with its numbers.

    Of models with categories no request has a form: their texts have no length in common. Nor has one that
    wants more than numbers, a threshold and a band: a timeout, typed contents, classes; or that brings BF16
    or pictures in a shape of their own.
    """
    inputs = message.inputs
    if message.id or len(message.raw_input_contents) != 1 or len(inputs) != 1 or inputs[0].name != INPUT:
        return None
    if inputs[0].datatype == tensors.BF16 or len(inputs[0].shape) != 2 or not _usual(message):
        return None
    numbers = message.raw_input_contents[0]
    common = request[: len(request) - len(numbers) - len(varint(len(numbers))) - 1]
    prefix = common + RAW_INPUT + varint(len(numbers))
    if len(prefix) > _MAX_PREFIX or request != prefix + numbers:
        return None
    rest = pb.ModelInferRequest()
    rest.CopyFrom(message)
    rest.ClearField("raw_input_contents")
    return Form(prefix, message) if _reads_as(common, rest) else None


def _usual(message: pb.ModelInferRequest) -> bool:
    """Whether all that a request wants besides its numbers is in its names of outputs and its options."""
    wishes = wishes_of(message)
    plain = wishes.binary is None and wishes.timeout is None
    told = [one.parameters for one in message.inputs] + [one.parameters for one in message.outputs]
    return plain and not any(told)


def requested(message: pb.ModelInferRequest) -> tuple[Wanted, ...]:
    """The outputs that a request names; empty for all.

    Raises:
        InvalidInput: a parameter of one is not what it should be.
        Unimplemented: one is wanted in shared memory.
    """
    if not message.outputs:
        return ()
    return parameters.of_outputs([(output.name, _values(output.parameters)) for output in message.outputs])


def wishes_of(message: pb.ModelInferRequest) -> Wishes:
    """What a request's parameters, and those of its inputs, say.

    Raises:
        InvalidInput: one of ours is not what it should be.
        Unimplemented: a sequence, or shared memory.
    """
    for tensor in message.inputs:
        if tensor.parameters:
            parameters.refuse_shared_memory("input", tensor.name, tensor.parameters)
    return parameters.of_request(_values(message.parameters)) if message.parameters else parameters.NONE


def _values(given: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    """Parameters as Python values; None for one that says nothing."""
    return {name: _value(parameter) for name, parameter in given.items()}


def _value(parameter: pb.InferParameter) -> Any:
    filled = parameter.WhichOneof("parameter_choice")
    return None if filled is None else getattr(parameter, filled)


def _reads_as(common: bytes, rest: pb.ModelInferRequest) -> bool:
    """Whether the bytes before the numbers are all of the message but them, and not the inside of a field."""
    try:
        return bool(pb.ModelInferRequest.FromString(common) == rest)
    except DecodeError:
        return False


def _plan(form: Form, served: Served, max_rows: int, size: int) -> Plan:
    schema, manifest = served.schema, served.predictor.manifest
    tensors.check_inputs(schema, (INPUT,))
    dtype = tensors.check_bytes(schema, form.datatype, form.shape, size - len(form.prefix), max_rows)
    return Plan(
        ref(served),
        max_rows,
        wants_logits(manifest, [wanted.name for wanted in form.wanted]),
        dtype,
        # the bytes of a bytes object begin at a multiple of 16
        None if len(form.prefix) % dtype.itemsize else len(form.prefix),
        dtype == schema.dtype and schema.plain and not schema.pixels,
        None if form.wanted or form.options is not DEFAULT else _answer(served, form.shape[0]),
    )


def _answer(served: Served, count: int) -> Answer | None:
    """What the answers to so many rows have in common."""
    manifest = served.manifest
    if manifest.task is Task.MULTILABEL or wants_logits(manifest, ()):
        return None
    dtype = served.predictor.dtype
    some: npt.NDArray[Any] = np.zeros((count, len(manifest.classes)), dtype)
    signature = tuple([output[:3] for output in outputs(Prediction(served, some, None), ())])
    head = _head(served.name, served.version, signature) + RAW_OUTPUT + varint(some.nbytes)
    return Answer(head, _named(tuple(manifest.classes)))


@lru_cache(maxsize=1024)
def _named(classes: tuple[str, ...]) -> Named:
    labels = tuple([tensors.to_bytes([label]) for label in classes])
    tails = tuple([RAW_OUTPUT + varint(len(label)) + label for label in labels])
    return Named(tails, Labels(labels))


def raw_response(served: Served, given: list[Output]) -> bytes:
    """A `ModelInferResponse` without an id, its contents raw.

    Messages one after the other are read as one, merged: what only depends on the shape is kept.
    """
    parts = [_head(served.name, served.version, tuple([output[:3] for output in given]))]
    for output in given:
        content = output.to_bytes()
        parts += (RAW_OUTPUT, varint(len(content)), content)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _head(model: str, version: str, signature: tuple[tuple[str, str, tuple[int, ...]], ...]) -> bytes:
    head = pb.ModelInferResponse(model_name=model, model_version=version)
    for name, datatype, shape in signature:
        head.outputs.add(name=name, datatype=datatype, shape=shape)
    return head.SerializeToString()
