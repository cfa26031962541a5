"""B1 to B8: tensors as bytes behind the JSON, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.http import JSON, Headers, Reply
from sigmax.conform.refusals import CLIENT_ERRORS, refused, refuses
from sigmax.conform.rest_infer import SAME, body_of, datatype_checks, in_datatype, lossy
from sigmax.conform.subject import (
    BINARY_TENSORS,
    LENGTH,
    Subject,
    binary_head,
    document,
    encoded,
    read_answer,
    read_outputs,
    split,
    with_binary,
)
from sigmax.conform.tensors import BYTES, Tensor, agree, to_json, to_raw

MAY = Level.MAY


def _in(subject: Subject) -> None:
    agree(subject.outputs, subject.answer(*with_binary(subject.inputs)), SAME)


def _mixed(subject: Subject) -> None:
    if len(subject.inputs) < 2:
        raise NotAsked("the model has one input")
    for binary in subject.inputs:
        heads = [binary_head(one) if one is binary else to_json(one) for one in subject.inputs]
        agree(subject.outputs, subject.answer(*_packed({"inputs": heads}, to_raw(binary))), SAME)


def _packed(said: dict[str, Any], blob: bytes) -> tuple[bytes, Headers]:
    text = encoded(said)
    return text + blob, (("Content-Type", "application/octet-stream"), (LENGTH, str(len(text))))


def binary_answer(subject: Subject, **more: Any) -> Reply:
    """The answer to the request that works, in JSON, with more in it that asks for bytes."""
    return subject.infer(body_of(subject, **more))


def _names(reply: Reply) -> list[str]:
    """Which outputs of an answer are bytes."""
    outputs = split(reply)[0]["outputs"]
    return [one["name"] for one in outputs if "binary_data_size" in (one.get("parameters") or {})]


def _expect(subject: Subject, reply: Reply, wanted: Sequence[str]) -> None:
    agree(subject.outputs, read_answer(reply), SAME)
    if _names(reply) != list(wanted):
        raise Unmet(f"bytes for {list(wanted)}", _names(reply))


def _out_all(subject: Subject) -> None:
    reply = binary_answer(subject, parameters={"binary_data_output": True})
    _expect(subject, reply, [tensor.name for tensor in subject.outputs])


def _out_each(subject: Subject) -> None:
    for wanted in subject.outputs:
        outputs = [_wish(tensor, binary=tensor is wanted) for tensor in subject.outputs]
        _expect(subject, binary_answer(subject, outputs=outputs), [wanted.name])


def _wish(tensor: Tensor, *, binary: bool) -> dict[str, Any]:
    return {"name": tensor.name, "parameters": {"binary_data": binary}}


def _out_own_word(subject: Subject) -> None:
    outputs = [_wish(subject.outputs[0], binary=False), *({"name": one.name} for one in subject.outputs[1:])]
    reply = binary_answer(subject, parameters={"binary_data_output": True}, outputs=outputs)
    _expect(subject, reply, [tensor.name for tensor in subject.outputs[1:]])


def _header(subject: Subject) -> None:
    reply = binary_answer(subject, parameters={"binary_data_output": True})
    kind = reply.header("content-type")
    if kind != "application/octet-stream":
        raise Unmet("Content-Type: application/octet-stream", kind)
    length = reply.header(LENGTH) or ""
    if not length.isdecimal():
        raise Unmet(f"{LENGTH} once", length or "no such header")


def _no_header(subject: Subject) -> None:
    reply = subject.infer(body_of(subject, parameters={"binary_data_output": False}))
    read_answer(reply)
    if reply.header(LENGTH) is not None:
        raise Unmet(f"no {LENGTH} where all is JSON", reply.header(LENGTH))


def _both_ways(subject: Subject) -> None:
    body, headers = with_binary(subject.inputs, parameters={"binary_data_output": True})
    _expect(subject, subject.infer(body, headers), [tensor.name for tensor in subject.outputs])


def _length(subject: Subject, value: str) -> None:
    body, headers = with_binary(subject.inputs)
    refuses(subject, body, (headers[0], (LENGTH, value)))


def _length_within(subject: Subject) -> None:
    """A length that ends inside of the JSON."""
    body, headers = with_binary(subject.inputs)
    refuses(subject, body, (headers[0], (LENGTH, str(int(headers[1][1]) - 2))))


def _left_over(subject: Subject) -> None:
    body, headers = with_binary(subject.inputs)
    refuses(subject, body + b"more", headers)


def _too_few(subject: Subject) -> None:
    body, headers = with_binary(subject.inputs)
    refuses(subject, body[:-1], headers)


def _announced(subject: Subject, size: Any) -> None:
    heads = [binary_head(tensor) for tensor in subject.inputs]
    heads[-1]["parameters"]["binary_data_size"] = size
    refuses(subject, *_packed({"inputs": heads}, b"".join(map(to_raw, subject.inputs))))


def _wrong_size(subject: Subject) -> None:
    """A size that is true of the body and wrong for the shape."""
    first = subject.inputs[0]
    heads = [binary_head(tensor) for tensor in subject.inputs]
    heads[0]["parameters"]["binary_data_size"] += 3
    blob = b"".join([to_raw(first), b"abc", *map(to_raw, subject.inputs[1:])])
    refuses(subject, *_packed({"inputs": heads}, blob))


def _data_too(subject: Subject) -> None:
    heads = [binary_head(tensor) | to_json(tensor) for tensor in subject.inputs]
    refuses(subject, *_packed({"inputs": heads}, b"".join(map(to_raw, subject.inputs))))


def _empty(subject: Subject) -> None:
    """A tensor without rows is legal: an answer without rows, or a clear refusal, but no failure."""
    if any(promise.shape[:1] != (-1,) for promise in subject.model.inputs):
        raise NotAsked("the model's rows are fixed")
    inputs = [Tensor(one.name, one.datatype, (0, *one.shape[1:]), ()) for one in subject.inputs]
    reply = subject.infer(*with_binary(inputs))
    if reply.status != 200:
        refused(reply)
        return
    for tensor in read_answer(reply):
        if tensor.shape[:1] != (0,):
            raise Unmet("outputs without rows", f"{tensor.name!r} {list(tensor.shape)}")


def _raw(subject: Subject) -> None:
    """The body is the only input, one row of it; all outputs come as bytes."""
    only = subject.model.inputs
    if len(only) != 1 or sum(size < 0 for size in only[0].shape[1:]) > 1 or only[0].datatype == BYTES:
        raise NotAsked("raw bodies are for models with one input of numbers")
    if only[0].shape[:1] != (-1,):
        raise NotAsked("the model's rows are fixed")
    row = replace(subject.inputs[0], shape=(1, *subject.inputs[0].shape[1:]))
    count = len(row.values) // subject.inputs[0].shape[0]
    row = replace(row, values=row.values[:count])
    alone = subject.answer(encoded(document([row])))
    headers = (("Content-Type", "application/octet-stream"), (LENGTH, "0"))
    reply = subject.infer(to_raw(row), headers)
    agree(alone, read_answer(reply), "the answer to that row")
    if _names(reply) != [tensor.name for tensor in alone]:
        raise Unmet("all outputs as bytes", _names(reply))


def _bytes_broken(subject: Subject) -> None:
    """A text whose length goes beyond the end."""
    texts = [tensor for tensor in subject.inputs if tensor.datatype == BYTES]
    if not texts:
        raise NotAsked("the model takes no texts")
    heads = [binary_head(tensor) for tensor in subject.inputs]
    blobs = [
        b"\xff\xff\xff\x7f" + to_raw(one)[4:] if one is texts[0] else to_raw(one) for one in subject.inputs
    ]
    refuses(subject, *_packed({"inputs": heads}, b"".join(blobs)))


def _bytes_out(subject: Subject) -> None:
    texts = [tensor for tensor in subject.outputs if tensor.datatype == BYTES]
    if not texts:
        raise NotAsked("the model answers no texts")
    for tensor in texts:
        reply = binary_answer(subject, outputs=[_wish(tensor, binary=True)])
        agree([tensor], read_answer(reply), "the texts that JSON has")


def _datatype(datatype: str, subject: Subject) -> None:
    reply = subject.infer(*with_binary(in_datatype(subject, datatype)))
    if reply.status == 200:
        agree(subject.outputs, read_outputs(*split(reply)), "the answer to the same numbers")
    else:
        refused(reply)


def _lossy(subject: Subject) -> None:
    refuses(subject, *with_binary(lossy(subject)))


def _without(subject: Subject) -> None:
    """A server that does not take bytes says so instead of reading them as something else."""
    if subject.offered(BINARY_TENSORS):
        raise NotAsked("the server takes them")
    body, headers = with_binary(subject.inputs)
    reply = subject.infer(body, headers)
    if reply.status == 200:
        agree(subject.outputs, read_answer(reply), SAME)
    else:
        refused(reply, (*CLIENT_ERRORS, 501))
    agree(subject.outputs, subject.answer(body_of(subject), JSON), "the answer of before")


_DEFAULT = "tritonclient's default, which asks for bytes"
_MISREAD = "bytes are read as other numbers, or the client waits"
_SIZES: tuple[tuple[str, Any], ...] = (("text", "16"), ("negative", -1), ("beyond", 2**40), ("fraction", 1.5))


def _may(name: str, sentence: str, run: Any, breaks: str) -> Check:
    return Check(name, MAY, sentence, run, breaks, BINARY_TENSORS)


CHECKS = (
    Check("B0", Level.SHOULD, "bytes are taken, or refused with a text", _without, _MISREAD),
    _may(
        "B1", "inputs as bytes are the same request", _in, "tritonclient with binary_data=True, its default"
    ),
    _may("B1.mixed", "one input as bytes, another as JSON", _mixed, "tritonclient with mixed inputs"),
    _may("B1.both", "bytes in and bytes out", _both_ways, _DEFAULT),
    _may("B2.data", "data and binary_data_size together are 4xx", _data_too, _MISREAD),
    _may("B2.empty", "a tensor without rows has an answer without rows, or is 4xx", _empty, _MISREAD),
    _may("B2.shape", "a size that is not the shape's is 4xx", _wrong_size, _MISREAD),
    *(
        _may(f"B2.size.{name}", f"binary_data_size {size!r} is 4xx", partial(_announced, size=size), _MISREAD)
        for name, size in _SIZES
    ),
    _may("B3.all", "binary_data_output brings all outputs as bytes", _out_all, _DEFAULT),
    _may(
        "B3.each", "binary_data brings that output as bytes", _out_each, "tritonclient's InferRequestedOutput"
    ),
    _may("B3.own", "an output's own word goes before the request's", _out_own_word, "mixed outputs"),
    _may(
        "B4", "bytes are announced once, as application/octet-stream", _header, "tritonclient's InferResult"
    ),
    _may("B4.json", "where all is JSON nothing is announced", _no_header, "tritonclient's InferResult"),
    _may("B5.text", "a JSON length that is no number is 4xx", partial(_length, value="abc"), _MISREAD),
    _may("B5.negative", "a negative JSON length is 4xx", partial(_length, value="-1"), _MISREAD),
    _may("B5.beyond", "a JSON length beyond the body is 4xx", partial(_length, value="99999999"), _MISREAD),
    _may("B5.within", "a JSON length that ends within the JSON is 4xx", _length_within, _MISREAD),
    _may("B5.more", "bytes left over behind the last input are 4xx", _left_over, _MISREAD),
    _may("B5.fewer", "too few bytes for the last input are 4xx", _too_few, _MISREAD),
    _may(
        "B6",
        "a JSON length of 0: the body is the only input",
        _raw,
        "curl --data-binary @row.bin",
    ),
    _may("B8", "texts come as bytes behind their lengths", _bytes_out, "tritonclient's as_numpy of labels"),
    _may("B8.broken", "a text longer than the body is 4xx", _bytes_broken, _MISREAD),
    *(
        replace(check, level=MAY, extension=BINARY_TENSORS)
        for check in datatype_checks("B", _datatype, "as bytes")
    ),
    _may("B.lossy", "a value that the model's type would change is 4xx", _lossy, "numbers change in silence"),
)
