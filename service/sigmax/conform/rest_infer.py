"""R6: right requests as JSON, and what their answers hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.http import JSON, Headers
from sigmax.conform.refusals import refused
from sigmax.conform.rest_paths import has
from sigmax.conform.subject import Promise, Subject, document, encoded, read_answer, read_outputs, split
from sigmax.conform.tensors import BYTES, DTYPES, Tensor, agree, cast, head

MUST, SHOULD = Level.MUST, Level.SHOULD
SAME = "the answer of the same request in its plain form"
_CLOSE = 1e-5
"""How far an engine may differ between batch sizes, as a part of the greater value or of 1."""


def body_of(subject: Subject, *, nested: bool = False, **more: Any) -> bytes:
    """The request that works, with more in it."""
    return encoded(document(subject.inputs, nested=nested, **more))


def plain(subject: Subject, headers: Headers = JSON, **more: Any) -> dict[str, Any]:
    """The JSON of the answer to the request that works, with more in it."""
    return split(subject.infer(body_of(subject, **more), headers))[0]


def _works(subject: Subject) -> None:
    sample = subject.sample
    if sample.outputs is None:
        raise NotAsked(sample.said) if not sample.body else Unmet("an answer to a made request", sample.said)
    read_answer(subject.infer(sample.body, sample.headers))


def _model_name(subject: Subject) -> None:
    has(plain(subject), model_name=subject.model.name)


def _version(subject: Subject) -> None:
    reply = subject.infer(subject.sample.body, subject.sample.headers, subject.model.versioned)
    agree(subject.outputs, read_answer(reply), SAME)
    said = split(reply)[0].get("model_version", subject.model.version)
    if said != subject.model.version:
        raise Unmet(f"model_version: {subject.model.version!r}, or absent", repr(said))


def _promised(subject: Subject) -> None:
    if not subject.model.outputs:
        raise NotAsked("its metadata names no outputs")
    subject.require_sample()
    came = {tensor.name: tensor for tensor in subject.answer(subject.sample.body, subject.sample.headers)}
    for promise in subject.model.outputs:
        tensor = came.get(promise.name)
        if tensor is None or not _keeps(tensor, promise):
            got = head(tensor) if tensor else f"outputs {sorted(came)}"
            raise Unmet(f"{promise.name!r} {promise.datatype} {list(promise.shape)}, as promised", got)


def _keeps(tensor: Tensor, promise: Promise) -> bool:
    sizes = zip(tensor.shape, promise.shape, strict=False)
    fits = len(tensor.shape) == len(promise.shape) and all(wanted in (-1, size) for size, wanted in sizes)
    return fits and tensor.datatype == promise.datatype


def _strict(subject: Subject) -> None:
    for output in plain(subject)["outputs"]:
        if not isinstance(output.get("data"), list):
            raise Unmet("data in each output of a request that is all JSON", output)


def _nested(subject: Subject) -> None:
    flat = subject.answer(body_of(subject))
    agree(flat, subject.answer(body_of(subject, nested=True)), "the answer to flat data")


def _rows(subject: Subject) -> None:
    """Each row alone says what it says in company."""
    rows = subject.inputs[0].shape[:1]
    batched = all(promise.shape[:1] == (-1,) for promise in (*subject.model.inputs, *subject.model.outputs))
    if not batched or rows == (1,):
        raise NotAsked("the model takes no second row")
    for row in range(rows[0]):
        alone = subject.answer(encoded(document([_row(tensor, row) for tensor in subject.inputs])))
        _near([_row(tensor, row) for tensor in subject.outputs], alone)


def _row(tensor: Tensor, row: int) -> Tensor:
    width = math.prod(tensor.shape[1:])
    values = tensor.values[row * width : (row + 1) * width]
    return Tensor(tensor.name, tensor.datatype, (1, *tensor.shape[1:]), values)


def _near(wanted: Sequence[Tensor], got: Sequence[Tensor]) -> None:
    there = {tensor.name: tensor for tensor in got}
    for tensor in wanted:
        other = there.get(tensor.name)
        if other is None or other.shape != tensor.shape:
            raise Unmet(f"{head(tensor)} for one row", head(other) if other else sorted(there))
        for one, two in zip(tensor.values, other.values, strict=True):
            if one != two and not (
                isinstance(one, float) and math.isclose(one, two, rel_tol=_CLOSE, abs_tol=_CLOSE)
            ):
                raise Unmet(f"output {tensor.name!r} of a row as in company: {one!r}", repr(two))


ANY_TEXT = '한 글자 "quoted"'


def _id(subject: Subject) -> None:
    has(plain(subject, id="42"), id="42")


def _id_text(subject: Subject) -> None:
    has(plain(subject, id=ANY_TEXT), id=ANY_TEXT)


def _no_id(subject: Subject) -> None:
    said = plain(subject)
    if said.get("id", "") != "":
        raise Unmet("no id where the request has none", said["id"])


def _subset(subject: Subject) -> None:
    for tensor in subject.outputs:
        got = subject.answer(body_of(subject, outputs=[{"name": tensor.name}]))
        if [one.name for one in got] != [tensor.name]:
            raise Unmet(f"{tensor.name!r} alone, as requested", [one.name for one in got])
        agree([tensor], got, SAME)


def _order(subject: Subject) -> None:
    names = [tensor.name for tensor in reversed(subject.outputs)]
    if len(names) < 2:
        raise NotAsked("the model has one output")
    got = subject.answer(body_of(subject, outputs=[{"name": name} for name in names]))
    if [one.name for one in got] != names:
        raise Unmet(f"outputs as requested, {names}", [one.name for one in got])


def _all(subject: Subject) -> None:
    agree(subject.outputs, subject.answer(body_of(subject, outputs=[])), "all outputs")


def _unknown_output(subject: Subject) -> None:
    refused(subject.infer(body_of(subject, outputs=[{"name": "no-such-output"}])))
    subject.still_answers()


_PARAMETERS = {"x_nobody_knows": "a", "x_number": 1, "x_bool": True}


def _parameters(subject: Subject) -> None:
    request = document(subject.inputs, parameters=_PARAMETERS)
    for tensor in request["inputs"]:
        tensor["parameters"] = _PARAMETERS
    request["outputs"] = [{"name": tensor.name, "parameters": _PARAMETERS} for tensor in subject.outputs]
    agree(subject.outputs, subject.answer(encoded(request)), SAME)


def _binary_wish(subject: Subject) -> None:
    """What tritonclient sends unless told otherwise: met, or ignored."""
    got = subject.answer(body_of(subject, parameters={"binary_data_output": True}))
    agree(subject.outputs, got, SAME)


def _any_order(subject: Subject) -> None:
    if len(subject.inputs) < 2:
        raise NotAsked("the model has one input")
    got = subject.answer(encoded(document(list(reversed(subject.inputs)))))
    agree(subject.outputs, got, SAME)


def _media(subject: Subject) -> None:
    for headers in ((), (("Content-Type", "application/x-www-form-urlencoded"),)):
        agree(subject.outputs, subject.answer(body_of(subject), headers), SAME)


def _status(subject: Subject) -> None:
    reply = subject.infer(body_of(subject))
    if reply.status != 200 or "json" not in (reply.header("content-type") or ""):
        raise Unmet("200 as application/json", f"{reply.status}, {reply.header('content-type')}")


def in_datatype(subject: Subject, datatype: str) -> tuple[Tensor, ...]:
    """The request that works with its numbers in another datatype.

    Raises:
        NotAsked: it has none, or it is that datatype already.
    """
    changed = tuple(one if one.datatype == BYTES else cast(one, datatype) for one in subject.inputs)
    if changed == subject.inputs:
        raise NotAsked("that is what every other check sends, or the model takes texts only")
    return changed


def _datatype(datatype: str, subject: Subject) -> None:
    request = document(subject.inputs)
    for one, tensor in zip(request["inputs"], in_datatype(subject, datatype), strict=True):
        if tensor.datatype == datatype:  # FP16, too: whether it has a form in JSON is the server's to say
            one.update(datatype=datatype, data=list(tensor.values))
    reply = subject.infer(encoded(request))
    if reply.status == 200:
        agree(subject.outputs, read_outputs(*split(reply)), "the answer to the same numbers")
    else:
        refused(reply)


def _lossless(subject: Subject) -> None:
    """FP32 into FP64, INT32 into INT64, and the like, one step narrower."""
    narrower = {"FP64": "FP32", "INT64": "INT32", "INT32": "INT16", "INT16": "INT8", "UINT64": "UINT32"}
    wanted = [narrower.get(tensor.datatype, tensor.datatype) for tensor in subject.inputs]
    changed = [
        cast(one, to) if one.datatype != to else one for one, to in zip(subject.inputs, wanted, strict=True)
    ]
    if changed == list(subject.inputs):
        raise NotAsked("nothing narrower fits without loss into its inputs")
    agree(subject.outputs, subject.answer(encoded(document(changed))), "the answer to the same numbers")


_LOSSY: dict[str, tuple[str, int | float]] = {
    "FP64": ("INT64", 2**53 + 1),
    "FP32": ("FP64", 0.1),
    "FP16": ("FP32", 0.1),
    "INT64": ("FP64", 0.5),
    "INT32": ("INT64", 2**31),
    "INT16": ("INT32", 2**15),
    "INT8": ("INT16", 2**7),
    "UINT64": ("INT64", -1),
    "UINT32": ("INT64", 2**32),
    "UINT16": ("INT32", 2**16),
    "UINT8": ("INT16", 2**8),
    "BOOL": ("INT8", 2),
}
"""By the datatype of an input: another one, and a value of it that the input cannot hold."""


def lossy(subject: Subject) -> tuple[Tensor, ...]:
    """The request that works with one value that its input cannot hold."""
    for place, tensor in enumerate(subject.inputs):
        if tensor.datatype in _LOSSY:
            datatype, value = _LOSSY[tensor.datatype]
            changed = cast(tensor, datatype)
            changed = Tensor(tensor.name, datatype, tensor.shape, (value, *changed.values[1:]))
            return (*subject.inputs[:place], changed, *subject.inputs[place + 1 :])
    raise NotAsked("the model takes no numbers")


def in_fractions(subject: Subject) -> tuple[Tensor, ...]:
    """The request that works with numbers of many digits where it has fractions.

    Raises:
        NotAsked: it has none.
    """
    changed = tuple(_fractions(tensor) for tensor in subject.inputs)
    if changed == subject.inputs:
        raise NotAsked("the model takes no fractions")
    return changed


def _fractions(tensor: Tensor) -> Tensor:
    if not tensor.datatype.startswith("FP"):
        return tensor
    thirds = np.array([(place % 7 + 1) / 9 for place in range(len(tensor.values))], DTYPES[tensor.datatype])
    return replace(tensor, values=tuple(thirds.tolist()))


def _lossy(subject: Subject) -> None:
    refused(subject.infer(encoded(document(lossy(subject)))))
    subject.still_answers()


def datatype_checks(prefix: str, run: Callable[[str, Subject], None], where: str) -> tuple[Check, ...]:
    """One check a datatype of numbers."""
    sentence = "numbers as {} {}: the same answer, or a clear refusal"
    breaks = "clients whose arrays have that type get wrong answers in silence"
    return tuple(
        Check(
            f"{prefix}.{name.lower()}",
            MUST,
            sentence.format(name, where),
            partial(run, name),
            breaks,
        )
        for name in DTYPES
    )


_ANY = "every client"
_SILENT = "numbers change in silence"

CHECKS = (
    Check("R6", MUST, "a request made from the metadata is answered", _works, _ANY),
    Check("R6.model", MUST, "the answer names the model", _model_name, _ANY),
    Check(
        "R6.version",
        MUST,
        "a version's address answers the same, with that version",
        _version,
        "pinned clients",
    ),
    Check(
        "R6.promised",
        MUST,
        "the outputs are those of the metadata",
        _promised,
        "typed clients, perf_analyzer",
    ),
    Check("R6.data", MUST, "to a request in JSON each output has data", _strict, _ANY),
    Check("R6.type", SHOULD, "the answer is application/json", _status, "generic HTTP clients"),
    Check("R6.nested", MUST, "nested and flat data are the same request", _nested, "clients that send rows"),
    Check("R6.rows", MUST, "a row answers the same alone and in company", _rows, "whoever batches"),
    Check("R6.id", MUST, "an id comes back as it was sent", _id, "clients that match answers to requests"),
    Check("R6.id.text", SHOULD, "an id may be any text", _id_text, "clients whose ids are not ASCII"),
    Check("R6.id.absent", SHOULD, "no id is invented", _no_id, "clients that compare answers"),
    Check(
        "R6.outputs", MUST, "an output requested alone comes alone", _subset, "clients that save bandwidth"
    ),
    Check(
        "R6.outputs.order",
        SHOULD,
        "outputs come as they were requested",
        _order,
        "clients that read by position",
    ),
    Check("R6.outputs.empty", MUST, "an empty list of outputs means all", _all, "generated clients"),
    Check(
        "R6.outputs.unknown", SHOULD, "an unknown output is 4xx", _unknown_output, "typing errors stay unseen"
    ),
    Check("R6.parameters", MUST, "unknown parameters are ignored", _parameters, "clients of other servers"),
    Check(
        "R6.binary.wish",
        SHOULD,
        "binary_data_output is met or ignored",
        _binary_wish,
        "tritonclient's default call",
    ),
    Check("R6.inputs.order", MUST, "inputs may come in any order", _any_order, _ANY),
    Check(
        "R6.media",
        SHOULD,
        "JSON is read whatever its Content-Type",
        _media,
        "tritonclient, which names none; curl -d, which names another",
    ),
    *datatype_checks("J", _datatype, "in JSON"),
    Check(
        "J.lossless",
        SHOULD,
        "a narrower datatype that fits is taken",
        _lossless,
        "clients with float32 arrays",
    ),
    Check("J.lossy", SHOULD, "a value that the model's type would change is 4xx", _lossy, _SILENT),
)
