"""The server under test, as the checks see it: its two doors, one of its models, and a request that works.

Nothing is known of the model but its metadata: requests are made from datatypes and shapes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from sigmax.conform.check import NotAsked, Unmet
from sigmax.conform.http import JSON, Headers, Http, Reply
from sigmax.conform.rpc import Rpc
from sigmax.conform.tensors import BYTES, DTYPES, Tensor, agree, from_json, from_raw, to_json, to_raw

LENGTH = "Inference-Header-Content-Length"
BINARY_TENSORS = "binary_tensor_data"


@dataclass(frozen=True, slots=True)
class Promise:
    """An input or an output of the metadata; -1 in `shape` is a free dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """What the server says of the model."""

    name: str
    versions: tuple[str, ...]
    inputs: tuple[Promise, ...]
    outputs: tuple[Promise, ...]

    @property
    def path(self) -> str:
        """Its address."""
        return f"/v2/models/{quote(self.name, safe='')}"

    @property
    def versioned(self) -> str:
        """The address of one of its versions.

        Raises:
            NotAsked: the metadata names none.
        """
        return f"{self.path}/versions/{quote(self.version, safe='')}"

    @property
    def version(self) -> str:
        """One of its versions: the last that the metadata names."""
        if not self.versions:
            raise NotAsked("the model's metadata names no versions")
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that was tried, and what came.

    Attributes:
        inputs: the tensors; empty if the metadata names none.
        body, headers: the request as it was sent.
        outputs: the answer; None if it was refused.
        said: why it was refused.
    """

    inputs: tuple[Tensor, ...] = ()
    body: bytes = b""
    headers: Headers = ()
    outputs: tuple[Tensor, ...] | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """All that a check needs."""

    http: Http
    grpc: Rpc | None
    model: Model
    extensions: frozenset[str]
    sample: Sample
    may_write: bool = False

    @property
    def rpc(self) -> Rpc:
        """The gRPC door."""
        if self.grpc is None:
            raise NotAsked("no --grpc HOST:PORT was given")
        return self.grpc

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Inputs that the model takes."""
        self.require_sample()
        return self.sample.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What the model answered to them."""
        return self.require_sample()

    def require_sample(self) -> tuple[Tensor, ...]:
        """The answer to the request that works.

        Raises:
            NotAsked: none is known that does.
        """
        if self.sample.outputs is None:
            raise NotAsked(f"no request is known that the model answers: {self.sample.said}")
        return self.sample.outputs

    def offered(self, extension: str) -> bool:
        """Whether the server lists an extension; what stands behind it in brackets is more of the same."""
        return any(name.partition("(")[0] == extension for name in self.extensions)

    def infer(self, body: bytes, headers: Headers = JSON, path: str = "") -> Reply:
        """Send a body to the model."""
        return self.http.ask("POST", f"{path or self.model.path}/infer", body, headers)

    def answer(self, body: bytes, headers: Headers = JSON, path: str = "") -> tuple[Tensor, ...]:
        """Send a request and read its outputs.

        Raises:
            Unmet: it is refused, or the answer is not one.
        """
        return read_answer(self.infer(body, headers, path))

    def still_answers(self) -> None:
        """Ask the request that works once more.

        Raises:
            Unmet: its answer is another.
        """
        agree(self.outputs, self.answer(self.sample.body, self.sample.headers), "the answer of before")


def document(inputs: Sequence[Tensor], *, nested: bool = False, **more: Any) -> dict[str, Any]:
    """A request in the standard's JSON."""
    return {"inputs": [to_json(tensor, nested=nested) for tensor in inputs], **more}


def encoded(value: Any) -> bytes:
    """A value as JSON, texts as UTF-8."""
    return json.dumps(value, ensure_ascii=False).encode()


def with_binary(inputs: Sequence[Tensor], **more: Any) -> tuple[bytes, Headers]:
    """A request whose inputs all stand as bytes behind the JSON, and its headers."""
    heads = [binary_head(tensor) for tensor in inputs]
    text = encoded({"inputs": heads, **more})
    body = text + b"".join(map(to_raw, inputs))
    return body, (("Content-Type", "application/octet-stream"), (LENGTH, str(len(text))))


def binary_head(tensor: Tensor) -> dict[str, Any]:
    """An input whose bytes stand behind the JSON."""
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "datatype": tensor.datatype,
        "parameters": {"binary_data_size": len(to_raw(tensor))},
    }


def read_answer(reply: Reply) -> tuple[Tensor, ...]:
    """The outputs of an answer, those as bytes behind the JSON too.

    Raises:
        Unmet: a status other than 200, or an answer that is not the standard's.
    """
    return read_outputs(*split(reply))


def split(reply: Reply) -> tuple[dict[str, Any], bytes]:
    """The JSON of an answer and the bytes behind it."""
    if reply.status != 200:
        raise Unmet("200 and an answer", reply)
    length = reply.header(LENGTH)
    if length is None:
        return _object(reply), b""
    if not length.isdecimal() or int(length) > len(reply.body):
        raise Unmet(f"{LENGTH} once, up to {len(reply.body)}", length)
    return _object(replace(reply, body=reply.body[: int(length)])), reply.body[int(length) :]


def _object(reply: Reply) -> dict[str, Any]:
    said = reply.json()
    if not isinstance(said, dict) or not isinstance(said.get("outputs"), list):
        raise Unmet("an object with a list of outputs", reply)
    return said


def read_outputs(said: dict[str, Any], blob: bytes) -> tuple[Tensor, ...]:
    """The outputs of an answer's JSON; their bytes follow one another in `blob`."""
    found, place = [], 0
    for output in said["outputs"]:
        name, datatype, shape = described(output)
        size = (output.get("parameters") or {}).get("binary_data_size")
        if size is None:
            found.append(from_json(name, datatype, shape, output.get("data") or []))
            continue
        if type(size) is not int or "data" in output:
            raise Unmet(f"output {name!r}: data, or binary_data_size as an integer", output)
        found.append(from_raw(name, datatype, shape, blob[place : place + size]))
        place += size
    if place != len(blob):
        raise Unmet(f"{place} bytes behind the JSON, as binary_data_size says", f"{len(blob)}")
    return tuple(found)


def described(output: Any) -> tuple[str, str, list[int]]:
    """Name, datatype and shape of a tensor in JSON."""
    match output:
        case {"name": str(name), "datatype": str(datatype), "shape": list(shape)} if _counts(shape):
            if datatype not in (*DTYPES, BYTES):
                raise Unmet(f"a datatype of the standard for output {name!r}", datatype)
            return name, datatype, shape
        case _:
            raise Unmet("an output with name, datatype and shape", output)


def _counts(shape: list[Any]) -> bool:
    return all(type(size) is int and size >= 0 for size in shape)
