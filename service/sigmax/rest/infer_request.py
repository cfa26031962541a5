"""The body of `/v2/…/infer`, read but for its numbers; once only where bodies differ in nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import NamedTuple
from weakref import ref

import msgspec
import numpy as np
import numpy.typing as npt

from sigmax.contract import INPUT
from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Served
from sigmax.protocol import parameters
from sigmax.protocol.parameters import NONE, Wanted, Wishes
from sigmax.rest.duplicates import colons, refuse_twice
from sigmax.rest.jsons import not_json, plain, with_infinities

Parameters = dict[str, str | int | float | bool]

_MAX_FORMS = 2048
_MAX_BYTES = 2048
_LONG = 2**13  # bytes of a body whose data is worth leaving out
_DATA = b'"data"'
_SAMPLES = (b"[0.25]", b"[0.5]")


class InputTensor(msgspec.Struct):
    """One input; `data` waits for its datatype, or `binary_data_size` bytes stand behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: Parameters = {}


class RequestedOutput(msgspec.Struct):
    """One output that the caller wants."""

    name: str
    parameters: Parameters = {}


class InferRequest(msgspec.Struct):
    """The request; the standard has unknown keys ignored."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] = []
    parameters: Parameters = {}


_requests = msgspec.json.Decoder(InferRequest)


def read_request(body: bytes) -> tuple[InferRequest, InvalidInput | None]:
    """Read a request.

    Returns:
        The request, and what to raise if nothing else in it is refused: NaN and Infinity are no JSON, but a
        body is read all the same that has them, so that the refusal can name the row and the feature.

    Raises:
        InvalidInput: not JSON, nested too deeply, or no such request.
    """
    doubt = None
    try:
        request = _requests.decode(body)
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except msgspec.ValidationError as error:
        text = plain(error)
        raise InvalidInput(f"the body is not an inference request: {text}", _place(text)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        doubt = not_json(body, error)
        request = _leniently(body, doubt)
    keys = _keys(request)
    if (body.count(b":") if len(body) <= _LONG else _colons(body, request)) != keys:
        refuse_twice(_without_data(body, request), keys)
    return request, doubt


def _keys(request: InferRequest) -> int:
    """How many keys a request has that came with those alone that it holds."""
    count = 1 if request.id is None else 2
    if request.parameters:
        count += _held(request.parameters)
    for tensor in request.inputs:
        count += 4 if tensor.data else 3
        if tensor.parameters:
            count += _held(tensor.parameters)
    if request.outputs:
        count += 1 + sum([1 + _held(output.parameters) for output in request.outputs])
    return count


def _colons(body: bytes, request: InferRequest) -> int:
    """How many colons there are, but for those of long data: where it stands, the decoder knows."""
    if len(request.inputs) == 1 and request.inputs[0].data:
        data = np.frombuffer(request.inputs[0].data, np.uint8)
        start = _address(data) - _address(np.frombuffer(body, np.uint8))
        if 0 <= start <= len(body) - data.size:  # else it is none of the body's memory
            return body.count(b":", 0, start) + body.count(b":", start + data.size)
    return colons(body)


def _address(letters: npt.NDArray[np.uint8]) -> int:
    return int(letters.__array_interface__["data"][0])


def _held(parameters: Parameters) -> int:
    return 1 + len(parameters) if parameters else 0


def _without_data(body: bytes, request: InferRequest) -> bytes:
    """The body with next to no data, which may be long and be nothing but texts with colons."""
    for tensor in request.inputs:
        if tensor.data:
            body = body.replace(bytes(tensor.data), b"0", 1)
    return body


def _leniently(body: bytes, doubt: InvalidInput) -> InferRequest:
    """The request of a body that is JSON but for NaN and Infinity, its data as it came.

    Raises:
        InvalidInput: the doubt; it is not.
    """
    document = with_infinities(body, doubt)
    try:
        data = [json.dumps(tensor.pop("data")).encode() for tensor in document["inputs"] if "data" in tensor]
        request = msgspec.convert(document, InferRequest)
    except (
        *(msgspec.ValidationError, KeyError, TypeError, AttributeError, RecursionError),
        UnicodeEncodeError,  # half a surrogate pair where a number belongs
    ):
        raise doubt from None
    if len(data) != len(request.inputs):
        raise doubt
    for tensor, values in zip(request.inputs, data, strict=True):
        tensor.data = msgspec.Raw(values)
    return request


def _place(text: str) -> str:
    """The path that the decoder's text ends with, as this project writes them; empty if it has none."""
    _, found, place = text.rpartition(" - at '$.")
    return place.rstrip("'").replace("[...]", "") if found else ""


class Understood(NamedTuple):
    """What a request wants besides its numbers.

    Attributes:
        wishes: what its parameters say.
        wanted: the requested outputs; empty for all.
    """

    wishes: Wishes = NONE
    wanted: tuple[Wanted, ...] = ()


NOTHING = Understood()


def understood(request: InferRequest) -> Understood:
    """Read the parameters of a request, of its inputs and of its outputs.

    Raises:
        InvalidInput: one of them is wrong.
        Unimplemented: a sequence, or shared memory.
    """
    for tensor in request.inputs:
        if tensor.parameters:
            parameters.refuse_shared_memory("input", tensor.name, tensor.parameters)
    if not (request.parameters or request.outputs):
        return NOTHING
    wishes = parameters.of_request(request.parameters)
    if not request.outputs:
        return Understood(wishes)
    return Understood(wishes, parameters.of_outputs([(one.name, one.parameters) for one in request.outputs]))


def _nobody() -> None:
    return None


class Form:
    """What bodies of one form have in common: all before and behind the numbers of their only input.

    Attributes:
        request: without the numbers.
        understood: what it wants besides.
        count: how many numbers its shape says.
        right_for: the version for which all but the numbers was found right, if they come in its own type
            and any finite ones are; of none at first, and of one that is no longer there.
    """

    __slots__ = ("before", "behind", "count", "request", "right_for", "understood")

    def __init__(self, before: bytes, behind: bytes, request: InferRequest) -> None:
        self.before, self.behind, self.request = before, behind, request
        self.understood = understood(request)
        self.count = math.prod(request.inputs[0].shape)
        self.right_for: Callable[[], Served | None] = _nobody

    def is_right_for(self, served: Served) -> None:
        """Say so from now on, without keeping the version alive."""
        self.right_for = ref(served)

    def numbers(self, body: bytes) -> bytes:
        """The numbers of a body of this form, JSON if the body is."""
        return body[len(self.before) : len(body) - len(self.behind)]


class Forms:
    """The forms met so far, the latest of each beginning.

    Between what stands before and what stands behind, any JSON array makes the same request with other
    numbers: that is tried once, when a form is learnt. Bodies with an id, which changes, have none.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Form] = {}

    def find(self, body: bytes) -> Form | None:
        """The form of a body, if it is known; what stands between its ends is not read."""
        before = body[: body.find(b"[", body.find(_DATA))]
        form = self._known.get(before)
        if form is None or not body.endswith(form.behind):
            return None
        return form if len(body) > len(before) + len(form.behind) else None

    def learn(self, body: bytes, request: InferRequest) -> None:
        """Remember the form of a body that was answered, if it has one."""
        form = _form(body, request)
        if form is None:
            return
        if len(self._known) >= _MAX_FORMS:
            del self._known[next(iter(self._known))]  # the oldest
        self._known[form.before] = form


def _form(body: bytes, request: InferRequest) -> Form | None:
    if request.id is not None or [tensor.name for tensor in request.inputs] != [INPUT]:
        return None
    place, data = body.find(b"[", body.find(_DATA)), bytes(request.inputs[0].data)
    before, behind = body[:place], body[place + len(data) :]
    if not data or body[place : place + len(data)] != data or max(len(before), len(behind)) > _MAX_BYTES:
        return None
    sample = _SAMPLES[data == _SAMPLES[0]]  # another than the data, which may stand elsewhere, too
    try:
        other = _requests.decode(before + sample + behind)
    except msgspec.DecodeError:  # what looks like the data is something else
        return None
    if bytes(other.inputs[0].data) != sample:
        return None
    other.inputs[0].data = msgspec.Raw()
    return Form(before, behind, other)
