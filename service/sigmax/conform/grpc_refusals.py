"""G2 to G5 and G7: wrong calls, each with the right status and a text, and answers as before after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.grpc_infer import INVALID, infer, outputs_of, request
from sigmax.conform.refusals import insides
from sigmax.conform.rest_paths import NEVER, NOBODY
from sigmax.conform.rpc import refused
from sigmax.conform.subject import Subject
from sigmax.conform.tensors import BYTES, FIELDS, agree
from sigmax.wire import open_inference_grpc_pb2 as pb

MUST, SHOULD = Level.MUST, Level.SHOULD
Make = Callable[[Subject], Any]


def _right(subject: Subject, *, raw: bool = True) -> Any:
    return request(subject.model, subject.inputs, raw=raw)


def _both(subject: Subject) -> Any:
    message = _right(subject, raw=False)
    message.raw_input_contents.extend(_right(subject).raw_input_contents)
    return message


def _fewer_raw(subject: Subject) -> Any:
    message = _right(subject)
    message.raw_input_contents.pop()
    if not message.raw_input_contents:
        raise NotAsked("the model has one input: none raw is a typed request")
    return message


def _more_raw(subject: Subject) -> Any:
    message = _right(subject)
    message.raw_input_contents.append(b"")
    return message


def _no_contents(subject: Subject) -> Any:
    message = _right(subject)
    del message.raw_input_contents[:]
    return message


def _short(subject: Subject) -> Any:
    message = _right(subject)
    message.raw_input_contents[0] = message.raw_input_contents[0][:-1]
    return message


def _long(subject: Subject) -> Any:
    message = _right(subject)
    message.raw_input_contents[0] += b"\0"
    return message


def _wrong_field(subject: Subject) -> Any:
    message = _right(subject, raw=False)
    contents = message.inputs[0].contents
    own = FIELDS[message.inputs[0].datatype]
    other = "fp32_contents" if own != "fp32_contents" else "fp64_contents"
    contents.ClearField(own)
    getattr(contents, other).extend([1.0] * len(subject.inputs[0].values))
    return message


def _few_typed(subject: Subject) -> Any:
    message = _right(subject, raw=False)
    getattr(message.inputs[0].contents, FIELDS[message.inputs[0].datatype]).pop()
    return message


def _small(subject: Subject) -> Any:
    """300 as INT8: it fits into int_contents and not into the datatype."""
    first = subject.inputs[0]
    if first.datatype == BYTES:
        raise NotAsked("the model's first input takes texts")
    changed = replace(first, datatype="INT8", values=(300, *map(int, first.values[1:])))
    return request(subject.model, (changed, *subject.inputs[1:]), raw=False)


def _shape(subject: Subject) -> Any:
    message = _right(subject)
    message.inputs[0].shape.append(3)
    return message


def _negative(subject: Subject) -> Any:
    message = _right(subject)
    message.inputs[0].shape[0] = -1
    return message


def _huge(subject: Subject) -> Any:
    message = _right(subject)
    message.inputs[0].shape[0] = 2**62
    return message


def _datatype(subject: Subject) -> Any:
    message = _right(subject)
    message.inputs[0].datatype = "FLOAT"
    return message


def _named(subject: Subject) -> Any:
    message = _right(subject)
    message.inputs[0].name = "no-such-input"
    return message


def _extra(subject: Subject) -> Any:
    first = replace(subject.inputs[0], name="no-such-input")
    return request(subject.model, (*subject.inputs, first), raw=True)


def _none(subject: Subject) -> Any:
    return pb.ModelInferRequest(model_name=subject.model.name)


def _unknown_output(subject: Subject) -> Any:
    message = _right(subject)
    message.outputs.add(name="no-such-output")
    return message


def _garbage(_: Subject) -> bytes:
    return b"\xff\xff\xff\xff no message at all"


def _refuses(subject: Subject, make: Make, codes: Sequence[str]) -> None:
    message = make(subject)
    refused(subject.rpc.call("ModelInfer", message), codes)
    agree(subject.outputs, outputs_of(infer(subject, _right(subject))), "the answer of before")


_WRONG: tuple[tuple[str, str, Make], ...] = (
    ("G2", "raw and typed contents together", _both),
    ("G3.fewer", "fewer raw contents than inputs", _fewer_raw),
    ("G3.more", "more raw contents than inputs", _more_raw),
    ("G3.none", "an input without contents", _no_contents),
    ("G4", "typed contents in the field of another datatype", _wrong_field),
    ("G5", "300 as INT8", _small),
    ("G7.short", "a byte too few", _short),
    ("G7.long", "a byte too many", _long),
    ("G7.few", "a typed value too few", _few_typed),
    ("G7.shape", "too many dimensions", _shape),
    ("G7.negative", "a negative dimension", _negative),
    ("G7.huge", "a shape of more values than there are numbers", _huge),
    ("G7.datatype", "a datatype that there is not", _datatype),
    ("G7.name", "an input by another name", _named),
    ("G7.extra", "an input that the model does not have", _extra),
    ("G7.inputs", "a request without inputs", _none),
    ("G7.output", "an unknown output", _unknown_output),
    ("G7.garbage", "bytes that are no message", _garbage),
)


_CONTRADICTORY: tuple[Make, ...] = (
    _both,
    _fewer_raw,
    _more_raw,
    _no_contents,
    _wrong_field,
    _short,
    _long,
    _few_typed,
    _huge,
    _datatype,
    _garbage,
)
"""Requests that contradict the standard itself, whatever the model."""


def _any_error(subject: Subject) -> None:
    """The standard has one word for all of them: a status that is not OK."""
    for make in _CONTRADICTORY:
        try:
            message = make(subject)
        except NotAsked:
            continue
        if subject.rpc.call("ModelInfer", message).code == "OK":
            what = next(what for _, what, one in _WRONG if one is make)
            raise Unmet(f"an error for {what}", "OK and an answer")


def _nobody(subject: Subject) -> None:
    message = _right(subject)
    message.model_name = NOBODY
    refused(subject.rpc.call("ModelInfer", message), ("NOT_FOUND",))
    refused(subject.rpc.call("ModelMetadata", pb.ModelMetadataRequest(name=NOBODY)), ("NOT_FOUND",))


def _never(subject: Subject) -> None:
    message = _right(subject)
    message.model_version = NEVER
    refused(subject.rpc.call("ModelInfer", message), ("NOT_FOUND",))


def _nobody_ready(subject: Subject) -> None:
    said = subject.rpc.call("ModelReady", pb.ModelReadyRequest(name=NOBODY))
    if said.code == "OK" and said.read(pb.ModelReadyResponse).ready:
        raise Unmet("ready: false, or an error", "ready: true")


def _no_method(subject: Subject) -> None:
    refused(subject.rpc.call("NoSuchMethod"), ("UNIMPLEMENTED",))


def _discreet(subject: Subject) -> None:
    makes: tuple[Make, ...] = (_short, _shape, _datatype, _named, _both, _none, _garbage, _huge)
    for make in makes:
        said = subject.rpc.call("ModelInfer", make(subject))
        found = insides(said.details) if said.code != "OK" else None
        if found:
            raise Unmet("errors without tracebacks, addresses and class names", f"{found!r} in {said}")


_CODES = "clients that decide by status whether to try again"

CHECKS = (
    *(
        Check(name, SHOULD, f"{what}: INVALID_ARGUMENT", partial(_refuses, make=make, codes=INVALID), _CODES)
        for name, what, make in _WRONG
    ),
    Check(
        "G7",
        MUST,
        "a request that contradicts itself is an error, whatever its status",
        _any_error,
        "mistakes stay unseen",
    ),
    Check("G7.model", SHOULD, "an unknown model: NOT_FOUND", _nobody, _CODES),
    Check("G7.version", SHOULD, "an unknown version: NOT_FOUND", _never, _CODES),
    Check("G7.ready", MUST, "an unknown model is not ready", _nobody_ready, "roll-outs that wait for it"),
    Check("G7.method", MUST, "an unknown method: UNIMPLEMENTED", _no_method, _CODES),
    Check(
        "G7.discreet",
        SHOULD,
        "no error shows a traceback or a class name",
        _discreet,
        "what is inside leaks out",
    ),
)
