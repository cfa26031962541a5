"""Finds a model of the server, and a request that it answers, from what the server itself says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from sigmax.conform.check import NoAnswer, NotAsked, Unmet
from sigmax.conform.http import JSON, Http, Reply
from sigmax.conform.subject import (
    BINARY_TENSORS,
    Model,
    Promise,
    Sample,
    described,
    document,
    encoded,
    read_answer,
    with_binary,
)
from sigmax.conform.tensors import BYTES, DTYPES, Tensor, from_json


class Unusable(Exception):
    """No check can be run; the text says what is missing."""


_LISTS = (("GET", "/v2/models"), ("POST", "/v2/repository/index"), ("GET", "/v1/models"))


def find_model(http: Http) -> str:
    """The first model that the server names.

    Raises:
        Unusable: it names none.
    """
    for method, path in _LISTS:
        reply = http.ask(method, path, b"{}" if method == "POST" else None, JSON)
        names = _names(reply) if reply.status == 200 else []
        if names:
            return names[0]
    tried = ", ".join(f"{method} {path}" for method, path in _LISTS)
    raise Unusable(f"no model is named by {tried}; say which with --model")


def _names(reply: Reply) -> list[str]:
    try:
        said = reply.json()
    except Unmet:
        return []
    listed = said.get("models") if isinstance(said, dict) else said
    if not isinstance(listed, list):
        return []
    usable = [one for one in listed if not isinstance(one, dict) or one.get("state") in (None, "", "READY")]
    names = [one.get("name") if isinstance(one, dict) else one for one in usable]
    return [name for name in names if isinstance(name, str)]


def read_model(http: Http, name: str) -> Model:
    """A model by its metadata; what is not as it should be there counts as absent, a check says so.

    Raises:
        Unusable: there is no metadata.
    """
    bare = Model(name, (), (), ())
    reply = http.ask("GET", bare.path)
    try:
        said = reply.json() if reply.status == 200 else None
    except Unmet:
        said = None
    if not isinstance(said, dict):
        raise Unusable(f"expected the metadata of model {name!r} at GET {bare.path}, got {reply}")
    versions = [version for version in _list(said, "versions") if isinstance(version, str)]
    inputs, outputs = _promises(said, "inputs"), _promises(said, "outputs")
    return Model(name, tuple(versions), tuple(inputs), tuple(outputs))


def _list(said: dict[str, Any], key: str) -> list[Any]:
    value = said.get(key)
    return value if isinstance(value, list) else []


def _promises(said: dict[str, Any], key: str) -> Iterator[Promise]:
    for tensor in _list(said, key):
        match tensor:
            case {"name": str(name), "datatype": str(datatype), "shape": list(shape)} if all(
                type(size) is int for size in shape
            ):
                yield Promise(name, datatype, tuple(shape))


def read_extensions(http: Http) -> frozenset[str]:
    """What the server lists; nothing if it does not say."""
    try:
        said = http.ask("GET", "/v2").json()
    except (Unmet, NoAnswer):
        return frozenset()
    listed = _list(said, "extensions") if isinstance(said, dict) else []
    return frozenset(name for name in listed if isinstance(name, str))


_ROWS = (2, 1)
_NUMBERS = ("bits", "zeros", "ones")
_TEXTS = (b"a", b"1", b"0", b"", b"true")


def find_sample(http: Http, model: Model, extensions: frozenset[str]) -> Sample:
    """The first made request that the model answers, else the first that it refused."""
    if not model.inputs:
        return Sample(said="its metadata names no inputs")
    refused: list[Sample] = []
    for inputs in _made(model.inputs):
        sample = _tried(http, model, inputs, BINARY_TENSORS in extensions)
        if sample.outputs is not None:
            return sample
        refused.append(sample)
    return refused[0] if refused else Sample(said="its datatypes are not of the standard")


def given_sample(http: Http, model: Model, request: dict[str, Any]) -> Sample:
    """A request that somebody knows to work, in the standard's JSON.

    Raises:
        Unusable: it is not one, or it is refused.
    """
    try:
        inputs = [from_json(*described(tensor), tensor.get("data") or []) for tensor in request["inputs"]]
        sample = _tried(http, model, tuple(inputs), binary=False)
    except (Unmet, NotAsked, LookupError, TypeError) as error:
        raise Unusable(f"--request: expected an inference request with inputs in JSON: {error}") from error
    if sample.outputs is None:
        raise Unusable(f"--request: the model refuses it: {sample.said}")
    return sample


def _tried(http: Http, model: Model, inputs: tuple[Tensor, ...], binary: bool) -> Sample:
    try:
        body, headers = encoded(document(inputs)), JSON
    except NotAsked as reason:
        if not binary:
            return Sample(inputs, said=str(reason))
        body, headers = with_binary(inputs)
    try:
        reply = http.ask("POST", f"{model.path}/infer", body, headers)
        return Sample(inputs, body, headers, read_answer(reply))
    except Unmet as refusal:
        return Sample(inputs, body, headers, said=refusal.got)
    except NoAnswer as silence:
        return Sample(inputs, body, headers, said=str(silence))


def _made(inputs: Sequence[Promise]) -> Iterator[tuple[Tensor, ...]]:
    """Requests to try: numbers that every datatype holds, texts that are often known."""
    datatypes = {promise.datatype for promise in inputs}
    if not datatypes <= {*DTYPES, BYTES}:
        return
    rows = _ROWS if any(-1 in promise.shape[:1] for promise in inputs) else _ROWS[:1]
    texts = _TEXTS if BYTES in datatypes else _TEXTS[:1]
    numbers = _NUMBERS if datatypes - {BYTES} else _NUMBERS[:1]
    for count, text, filling in product(rows, texts, numbers):
        yield tuple(_filled(promise, count, filling, text) for promise in inputs)


def _filled(promise: Promise, rows: int, filling: str, text: bytes) -> Tensor:
    free = [rows if place == 0 else 1 for place in range(len(promise.shape))]
    shape = tuple(free[place] if size < 0 else size for place, size in enumerate(promise.shape))
    count = 1
    for size in shape:
        count *= size
    if promise.datatype == BYTES:
        return Tensor(promise.name, BYTES, shape, (text,) * count)
    bits = {"bits": _bits(count), "zeros": [0] * count, "ones": [1] * count}[filling]
    kind = bool if promise.datatype == "BOOL" else float if promise.datatype.startswith("FP") else int
    return Tensor(promise.name, promise.datatype, shape, tuple(map(kind, bits)))


def _bits(count: int) -> list[int]:
    """Zeros and ones without a period that a row could have."""
    return [(1103515245 * (place + 12345) >> 16) & 1 for place in range(count)]
