"""`POST /v2/models/{m}/infer`: the Open Inference Protocol, version 2, as JSON."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from sigmax.errors import InvalidInput, quoted
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.inference.open_inference import Output, outputs
from sigmax.protocol import tensors
from sigmax.protocol.tabular import Rows
from sigmax.rest.asgi import Answer

Parameters = dict[str, str | float | bool]


class InputTensor(msgspec.Struct):
    """One input; `data` is read when its datatype is known."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw
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
_flat: dict[str, msgspec.json.Decoder[Any]] = {
    "b": msgspec.json.Decoder(list[bool]),
    "i": msgspec.json.Decoder(list[int]),
    "u": msgspec.json.Decoder(list[int]),
    "f": msgspec.json.Decoder(list[float]),
}
_nested: dict[str, msgspec.json.Decoder[Any]] = {
    "b": msgspec.json.Decoder(list[list[bool]]),
    "i": msgspec.json.Decoder(list[list[int]]),
    "u": msgspec.json.Decoder(list[list[int]]),
    "f": msgspec.json.Decoder(list[list[float]]),
}
_NUMBERS = {"b": "booleans", "i": "integers", "u": "integers", "f": "numbers"}


class InferQuery:
    """The body of an `infer` request."""

    __slots__ = ("_body", "_request", "model", "version")

    def __init__(self, model: str, version: str, body: bytes) -> None:
        self.model, self.version, self._body = model, version, body
        self._request = InferRequest([])

    def rows(self, served: Served) -> Rows:
        """Read the one input tensor, nested or flat."""
        self._request = request = _read_request(self._body)
        tensors.check_inputs([tensor.name for tensor in request.inputs])
        tensor = request.inputs[0]
        values = _values(tensor)
        return Rows(tensors.from_values(served.schema, tensor.datatype, tensor.shape, values))

    def render(self, prediction: Prediction) -> Answer:
        """The response of the standard; data is flat."""
        served, request = prediction.served, self._request
        document: dict[str, Any] = {"model_name": served.name, "model_version": served.version}
        if request.id is not None:
            document["id"] = request.id
        wanted = [output.name for output in request.outputs]
        document["outputs"] = [_rendered(output) for output in outputs(prediction, wanted)]
        return Answer(msgspec.json.encode(document))


def _read_request(body: bytes) -> InferRequest:
    try:
        return _requests.decode(body)
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body is not an inference request: {_plain(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None


def _values(tensor: InputTensor) -> list[Any]:
    """The flat values of a tensor.

    Raises:
        InvalidInput: wrong types, ragged rows, or rows that are not as many or as wide as the shape.
    """
    kind = tensors.dtype_of(tensor.datatype).kind
    if tensor.datatype == "FP16":
        raise InvalidInput(f"input {quoted(tensor.name)}: FP16 has no form in JSON")
    data = bytes(tensor.data)
    nested = data[1:].lstrip()[:1] == b"["
    try:
        values: list[Any] = (_nested if nested else _flat)[kind].decode(data)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"input {quoted(tensor.name)}: 'data' of {tensor.datatype} is a list of {_NUMBERS[kind]}, "
            f"flat or nested as its shape: {_plain(error)}"
        ) from None
    except msgspec.DecodeError as error:
        raise InvalidInput(f"input {quoted(tensor.name)}: 'data' is not JSON: {error}") from None
    return _unnested(tensor, values) if nested else values


def _unnested(tensor: InputTensor, rows: list[list[Any]]) -> list[Any]:
    if len(tensor.shape) == 2:
        for index, row in enumerate(rows):
            if len(row) != tensor.shape[1]:
                raise InvalidInput(
                    f"input {quoted(tensor.name)}: row {index} of 'data' has {len(row)} values, "
                    f"shape {tensor.shape} says {tensor.shape[1]}"
                )
        if len(rows) != tensor.shape[0]:
            raise InvalidInput(
                f"input {quoted(tensor.name)}: 'data' has {len(rows)} rows, shape {tensor.shape[:8]} says "
                f"{tensor.shape[0]}"
            )
    return list(chain.from_iterable(rows))


def _plain(error: msgspec.ValidationError) -> str:
    """The decoder's text, in the caller's words: JSON types instead of Python's."""
    return str(error).replace("`", "'")


def _rendered(output: Output) -> dict[str, Any]:
    values = output.values if isinstance(output.values, list) else output.values.ravel().tolist()
    return {
        "name": output.name,
        "datatype": output.datatype,
        "shape": output.shape,
        "data": values,
    }
