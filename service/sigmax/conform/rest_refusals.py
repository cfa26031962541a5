"""Wrong requests as JSON: each is 4xx with a text, and the request that works is answered after it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.refusals import CLIENT_ERRORS, insides, refused, refuses, text_of
from sigmax.conform.rest_infer import body_of, lossy
from sigmax.conform.rest_paths import NEVER, NOBODY
from sigmax.conform.subject import Subject, document, encoded
from sigmax.conform.tensors import BYTES, Tensor, cast, to_json

MUST, SHOULD = Level.MUST, Level.SHOULD

Make = Callable[[Subject], bytes]


def _with_first(subject: Subject, **changed: Any) -> bytes:
    """The request that works, its first input changed."""
    request = document(subject.inputs)
    request["inputs"][0].update(changed)
    return encoded(request)


def _numbers(subject: Subject) -> Tensor:
    """The first input, which has to be one of numbers."""
    if subject.inputs[0].datatype == BYTES:
        raise NotAsked("the model's first input takes texts")
    return subject.inputs[0]


def _with_value(subject: Subject, value: Any) -> bytes:
    """The request that works, the first number another value."""
    first = to_json(_numbers(subject))
    return _with_first(subject, data=[value, *first["data"][1:]])


def _last_wider(subject: Subject) -> bytes:
    """One more in the last dimension, with data to match, where the model has that fixed."""
    first = subject.inputs[0]
    promised = next((one.shape for one in subject.model.inputs if one.name == first.name), ())
    if not promised or promised[-1] == -1:
        raise NotAsked("the last dimension of the model's first input is free")
    shape = (*first.shape[:-1], first.shape[-1] + 1)
    data = to_json(Tensor(first.name, first.datatype, shape, (first.values * 2)[: math.prod(shape)]))["data"]
    return _with_first(subject, shape=list(shape), data=(data * 2)[: math.prod(shape)])


def _fewer_values(subject: Subject) -> bytes:
    return _with_first(subject, data=to_json(subject.inputs[0])["data"][:-1])


def _more_values(subject: Subject) -> bytes:
    data = to_json(subject.inputs[0])["data"]
    return _with_first(subject, data=[*data, data[-1]])


def _ragged(subject: Subject) -> bytes:
    first = subject.inputs[0]
    if len(first.shape) < 2:
        raise NotAsked("the model's first input has one dimension")
    rows = to_json(first, nested=True)["data"]
    return _with_first(subject, data=[rows[0][:-1], *rows[1:]])


def _rank(subject: Subject) -> bytes:
    return _with_first(subject, shape=[1, *subject.inputs[0].shape, 1])


def _no_inputs(subject: Subject) -> bytes:
    return encoded(document(subject.inputs) | {"inputs": []})


def _without_inputs(_: Subject) -> bytes:
    return encoded({"id": "1"})


def _input_missing(subject: Subject) -> bytes:
    if len(subject.inputs) < 2:
        raise NotAsked("the model has one input")
    return encoded(document(subject.inputs[1:]))


def _input_extra(subject: Subject) -> bytes:
    first = subject.inputs[0]
    return encoded(
        document([*subject.inputs, Tensor("no-such-input", first.datatype, first.shape, first.values)])
    )


def _input_twice(subject: Subject) -> bytes:
    return encoded(document([*subject.inputs, subject.inputs[0]]))


def _input_unknown(subject: Subject) -> bytes:
    return _with_first(subject, name="no-such-input")


def _other_kind(subject: Subject) -> bytes:
    """Texts for numbers, numbers for texts."""
    first = subject.inputs[0]
    if first.datatype == BYTES:
        return _with_first(subject, datatype="FP32", data=[0.5] * len(first.values))
    return _with_first(subject, datatype=BYTES, data=["text"] * len(first.values))


def _huge(subject: Subject) -> bytes:
    return _with_first(subject, shape=[2**62, *subject.inputs[0].shape[1:]])


def _truncated(subject: Subject) -> bytes:
    return body_of(subject)[:-3]


def _nan(subject: Subject) -> bytes:
    tensor = _numbers(subject)
    if not tensor.datatype.startswith("FP"):
        raise NotAsked("the model's first input takes no fractions")
    return json.dumps(json.loads(_with_value(subject, math.nan))).encode()


def _overflow(subject: Subject) -> bytes:
    return _with_value(subject, "1e999").replace(b'"1e999"', b"1e999")


def _in_datatype(subject: Subject, datatype: str, value: Any) -> bytes:
    """The first input in a datatype that does not hold this value, its first."""
    values = cast(_numbers(subject), datatype).values
    return _with_first(subject, datatype=datatype, data=[value, *values[1:]])


def _fraction(subject: Subject) -> bytes:
    return _in_datatype(subject, "INT32", 0.5)


def _out_of_range(subject: Subject) -> bytes:
    return _in_datatype(subject, "INT8", 300)


def _no_bool(subject: Subject) -> bytes:
    return _in_datatype(subject, "BOOL", 2)


def _no_data(subject: Subject) -> bytes:
    request = document(subject.inputs)
    del request["inputs"][0]["data"]
    return encoded(request)


def _id_number(subject: Subject) -> bytes:
    return body_of(subject, id=42)


def _lossy(subject: Subject) -> bytes:
    return encoded(document(lossy(subject)))


def _always(body: bytes) -> Make:
    return lambda _: body


def _first(**changed: Any) -> Make:
    return lambda subject: _with_first(subject, **changed)


def _value(value: Any) -> Make:
    return lambda subject: _with_value(subject, value)


_HANGS = "a client's mistake takes the server away, or is answered as if it were none"
_WRONG: tuple[tuple[str, Level, str, Make], ...] = (
    ("E.shape", SHOULD, "a shape that the model does not take", _last_wider),
    ("E.shape.rank", MUST, "too many dimensions", _rank),
    ("E.shape.negative", MUST, "a negative dimension", _first(shape=[-1, 4])),
    ("E.shape.huge", MUST, "a shape of more values than there are numbers", _huge),
    ("E.shape.text", MUST, "a shape that is a text", _first(shape="2,4")),
    ("E.data.fewer", MUST, "fewer values than the shape says", _fewer_values),
    ("E.data.more", MUST, "more values than the shape says", _more_values),
    ("E.data.ragged", MUST, "rows of different length", _ragged),
    ("E.data.absent", MUST, "an input without data", _no_data),
    ("E.data.text", MUST, "a text among numbers", _value("text")),
    ("E.data.mixed", MUST, "a list among numbers", _value([0, 1])),
    ("E.data.nan", SHOULD, "the token NaN, which is not JSON", _nan),
    ("E.data.overflow", MUST, "a number beyond every datatype", _overflow),
    ("E.data.fraction", MUST, "a fraction among integers", _fraction),
    ("E.data.range", MUST, "an integer outside its datatype", _out_of_range),
    ("E.data.bool", MUST, "2 among booleans", _no_bool),
    ("E.datatype", SHOULD, "a datatype that the model does not take", _other_kind),
    ("E.datatype.unknown", MUST, "a datatype that there is not", _first(datatype="FLOAT")),
    ("E.inputs.empty", MUST, "an empty list of inputs", _no_inputs),
    ("E.inputs.absent", MUST, "a request without inputs", _without_inputs),
    ("E.inputs.missing", SHOULD, "one input of several missing", _input_missing),
    ("E.inputs.extra", SHOULD, "an input that the model does not have", _input_extra),
    ("E.inputs.twice", SHOULD, "an input twice", _input_twice),
    ("E.inputs.name", SHOULD, "an input by another name", _input_unknown),
    ("E.id", SHOULD, "an id that is a number", _id_number),
    ("E.body.truncated", MUST, "JSON that ends too early", _truncated),
    ("E.body.empty", MUST, "an empty body", _always(b"")),
    ("E.body.list", MUST, "JSON that is no object", _always(b"[1, 2]")),
    ("E.body.text", MUST, "a body that is no JSON", _always(b"<xml/>")),
    ("E.body.utf8", MUST, "bytes that are no UTF-8", _always(b'{"inputs": "\xff\xfe"}')),
    ("E.body.deep", SHOULD, "brackets nested ten thousand deep", _always(b"[" * 10_000)),
)


def _refused(subject: Subject, make: Make) -> None:
    refuses(subject, make(subject))


def _nobody(subject: Subject) -> None:
    refused(subject.infer(body_of(subject), path=f"/v2/models/{NOBODY}"))
    subject.still_answers()


def _never(subject: Subject) -> None:
    refused(
        subject.infer(body_of(subject), path=f"{subject.model.path}/versions/{NEVER}"), (*CLIENT_ERRORS, 501)
    )
    subject.still_answers()


def _discreet(subject: Subject) -> None:
    """The texts of several refusals; what is wrong with their status is for the checks above."""
    makes = (_last_wider, _ragged, _other_kind, _value("text"), _without_inputs, _truncated, _huge, _lossy)
    for body in _possible(makes, subject):
        reply = subject.infer(body)
        found = insides(reply.body.decode(errors="replace")) if reply.status != 200 else None
        if found:
            raise Unmet("errors without tracebacks, addresses and class names", f"{found!r} in {reply}")


def _possible(makes: tuple[Make, ...], subject: Subject) -> list[bytes]:
    bodies = []
    for make in makes:
        try:
            bodies.append(make(subject))
        except NotAsked:
            continue
    return bodies


def _json_error(subject: Subject) -> None:
    reply = subject.infer(_truncated(subject))
    text_of(reply)
    if "json" not in (reply.header("content-type") or ""):
        raise Unmet("an error as application/json", reply.header("content-type"))


CHECKS = (
    *(
        Check(name, level, f"{what}: 4xx with a text", partial(_refused, make=make), _HANGS)
        for name, level, what, make in _WRONG
    ),
    Check(
        "E.model",
        MUST,
        "an unknown model: 4xx with a text",
        _nobody,
        "tritonclient cannot say what is wrong",
    ),
    Check(
        "E.version",
        MUST,
        "an unknown version: an error with a text",
        _never,
        "a pinned client gets another model",
    ),
    Check("E.type", SHOULD, "an error is application/json", _json_error, "generic HTTP clients"),
    Check(
        "E.discreet",
        SHOULD,
        "no error shows a traceback or a class name",
        _discreet,
        "what is inside leaks out",
    ),
)
