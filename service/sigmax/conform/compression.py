"""B7: gzip and deflate, of requests and of answers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sigmax.conform.check import Check, Level, Unmet
from sigmax.conform.http import JSON, Headers, Reply
from sigmax.conform.refusals import refused, refuses
from sigmax.conform.rest_infer import SAME, body_of
from sigmax.conform.subject import (
    BINARY_TENSORS,
    LENGTH,
    Subject,
    document,
    encoded,
    read_answer,
    with_binary,
)
from sigmax.conform.tensors import agree

SHOULD, MAY = Level.SHOULD, Level.MAY
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, mtime=0),
    "deflate": zlib.compress,
}
_ROWS, _VALUES = 128, 20_000
"""How many times the rows of a request, and at most how many values, make an answer large."""

_UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


def _coded(coding: str) -> Headers:
    return (*JSON, ("Content-Encoding", coding))


def _in(coding: str, subject: Subject) -> None:
    agree(subject.outputs, subject.answer(_PACK[coding](body_of(subject)), _coded(coding)), SAME)


def _binary_in(coding: str, subject: Subject) -> None:
    """The announced length is of the JSON as it was before it was packed."""
    body, headers = with_binary(subject.inputs)
    packed = (*headers, ("Content-Encoding", coding))
    agree(subject.outputs, subject.answer(_PACK[coding](body), packed), SAME)


def _unpacked(reply: Reply, accepted: tuple[str, ...]) -> Reply:
    coding = reply.header("content-encoding")
    if coding in (None, "identity"):
        return reply
    if coding not in accepted:
        raise Unmet(f"Content-Encoding of {list(accepted)}, or none", coding)
    try:
        return Reply(reply.status, reply.headers, _UNPACK[coding](reply.body))
    except (OSError, EOFError, zlib.error) as error:
        raise Unmet(f"a body in {coding}", reply.body) from error


def _out(coding: str, subject: Subject) -> None:
    reply = subject.infer(body_of(subject), (*JSON, ("Accept-Encoding", coding)))
    agree(subject.outputs, read_answer(_unpacked(reply, (coding,))), SAME)


def _binary_out(subject: Subject) -> None:
    body = body_of(subject, parameters={"binary_data_output": True})
    reply = _unpacked(subject.infer(body, (*JSON, ("Accept-Encoding", "gzip"))), ("gzip",))
    if reply.header(LENGTH) is None:
        raise Unmet(f"{LENGTH} beside the compression", dict(reply.headers))
    agree(subject.outputs, read_answer(reply), SAME)


def _large(subject: Subject) -> bytes:
    """A request whose answer is worth packing, where the model takes that many rows."""
    if any(promise.shape[:1] != (-1,) for promise in subject.model.inputs):
        return body_of(subject)
    times = max(1, min(_ROWS, _VALUES // sum(len(one.values) for one in subject.inputs)))
    inputs = [
        replace(one, shape=(one.shape[0] * times, *one.shape[1:]), values=one.values * times)
        for one in subject.inputs
    ]
    body = encoded(document(inputs))
    return body if subject.infer(body).status == 200 else body_of(subject)


def _packs(subject: Subject) -> None:
    body = _large(subject)
    packed = [
        subject.infer(body, (*JSON, ("Accept-Encoding", coding))).header("content-encoding")
        for coding in ("gzip", "deflate")
    ]
    if packed != ["gzip", "deflate"]:
        raise Unmet("answers in gzip and in deflate to those who ask for them", packed)


def _unwanted(subject: Subject) -> None:
    for accepted in ("identity", "gzip;q=0, deflate;q=0"):
        reply = subject.infer(body_of(subject), (*JSON, ("Accept-Encoding", accepted)))
        if reply.header("content-encoding") not in (None, "identity"):
            raise Unmet(f"no compression for Accept-Encoding: {accepted}", reply.header("content-encoding"))


def _broken(coding: str, subject: Subject) -> None:
    packed = _PACK[coding](body_of(subject))
    refuses(subject, packed[: len(packed) // 2], _coded(coding))


def _unknown(subject: Subject) -> None:
    refused(subject.infer(body_of(subject), _coded("x-no-such-coding")))
    subject.still_answers()


_PACKED = "tritonclient with request_compression_algorithm"
_ASKED = "tritonclient with response_compression_algorithm"

CHECKS = (
    *(
        Check(f"B7.{name}", SHOULD, f"requests in {name} are read", partial(_in, name), _PACKED)
        for name in _PACK
    ),
    *(
        Check(
            f"B7.{name}.binary",
            MAY,
            f"requests of bytes in {name} are read",
            partial(_binary_in, name),
            _PACKED,
            BINARY_TENSORS,
        )
        for name in _PACK
    ),
    *(
        Check(
            f"B7.{name}.broken",
            SHOULD,
            f"half a body in {name} is 4xx",
            partial(_broken, name),
            "a hanging client",
        )
        for name in _PACK
    ),
    *(
        Check(
            f"B7.{name}.answer",
            SHOULD,
            f"an answer to Accept-Encoding {name} is right",
            partial(_out, name),
            _ASKED,
        )
        for name in _PACK
    ),
    Check(
        "B7.answer.binary", MAY, "outputs as bytes come compressed, too", _binary_out, _ASKED, BINARY_TENSORS
    ),
    Check("B7.answer", SHOULD, "answers are compressed for those who ask for it", _packs, _ASKED),
    Check(
        "B7.unwanted",
        SHOULD,
        "nothing is compressed for those who refuse it",
        _unwanted,
        "clients without zlib",
    ),
    Check(
        "B7.unknown", SHOULD, "a coding that nobody knows is 4xx", _unknown, "garbage is read as a request"
    ),
)
