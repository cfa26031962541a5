"""Triton's extensions over REST: classification, statistics, configuration, repository and small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.http import JSON, Reply
from sigmax.conform.refusals import CLIENT_ERRORS, refused
from sigmax.conform.rest_infer import SAME, body_of
from sigmax.conform.rest_paths import NOBODY, object_of
from sigmax.conform.subject import Subject, encoded, read_answer, split
from sigmax.conform.tensors import BYTES, Tensor, agree

MAY, SHOULD = Level.MAY, Level.SHOULD
DURATIONS = (
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
)
"""The timing blocks of the statistics; perf_analyzer reads them without looking whether they are there."""


def classified(subject: Subject) -> Tensor:
    """The first output that classes can be told of: numbers, several a row."""
    for tensor in subject.outputs:
        if tensor.datatype not in (BYTES, "BOOL") and len(tensor.shape) >= 2 and tensor.shape[-1] > 1:
            return tensor
    raise NotAsked("the model has no output with a number for each class")


def _asked(subject: Subject, count: Any, **parameters: Any) -> Reply:
    output = {"name": classified(subject).name, "parameters": {"classification": count, **parameters}}
    return subject.infer(body_of(subject, outputs=[output]))


def _classification(subject: Subject) -> None:
    ranked(classified(subject), read_answer(_asked(subject, 2)), 2)


def _classification_all(subject: Subject) -> None:
    ranked(classified(subject), read_answer(_asked(subject, 1_000)), 1_000)


def _classification_binary(subject: Subject) -> None:
    reply = _asked(subject, 1, binary_data=True)
    ranked(classified(subject), read_answer(reply), 1)
    if "binary_data_size" not in (split(reply)[0]["outputs"][0].get("parameters") or {}):
        raise Unmet("the classes as bytes, as requested", reply)


def _classification_wrong(subject: Subject) -> None:
    for count in (0, -1, "2"):
        refused(_asked(subject, count))
    subject.still_answers()


def ranked(scores: Tensor, got: Sequence[Tensor], count: int) -> None:
    """Compare classes, `value:index` or `value:index:label`, with the scores that they come from.

    Args:
        scores: the output without the parameter, the classes in its last dimension.
        got: the answer with it.
        count: how many were asked for.
    """
    width = scores.shape[-1]
    kept = min(count, width)
    if [one.name for one in got] != [scores.name] or got[0].datatype != BYTES:
        raise Unmet(f"output {scores.name!r} as BYTES", [(one.name, one.datatype) for one in got])
    if got[0].shape not in ((*scores.shape[:-1], kept), (kept,)):
        raise Unmet(f"shape {[*scores.shape[:-1], kept]}", list(got[0].shape))
    for row in range(len(scores.values) // width):
        values = scores.values[row * width : (row + 1) * width]
        order = sorted(range(width), key=lambda column: (-values[column], column))[:kept]
        wanted = [f"{_number(values[column])}:{column}" for column in order]
        texts = [value.decode(errors="replace") for value in got[0].values[row * kept : (row + 1) * kept]]
        if [":".join(text.split(":")[:2]) for text in texts] != wanted:
            raise Unmet(f"row {row}: {wanted}, each with a label behind it or none", texts)


def _number(value: float) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _statistics(subject: Subject) -> None:
    for path in ("/v2/models/stats", f"{subject.model.path}/stats"):
        _complete(subject, object_of(subject.http.ask("GET", path)))


def _complete(subject: Subject, said: dict[str, Any]) -> dict[str, Any]:
    """The model's entry of the statistics, with every field that load tools read."""
    for entry in said.get("model_stats") or []:
        if isinstance(entry, dict) and entry.get("name") == subject.model.name:
            _counts(entry, ("last_inference", "inference_count", "execution_count"))
            for name in DURATIONS:
                _counts((entry.get("inference_stats") or {}).get(name), ("count", "ns"))
            if not isinstance(entry.get("version"), str) or not isinstance(entry.get("batch_stats"), list):
                raise Unmet("version as text and batch_stats as a list", entry)
            for batch in entry["batch_stats"]:
                _counts(batch, ("batch_size",))
                for name in ("compute_input", "compute_infer", "compute_output"):
                    _counts(batch.get(name), ("count", "ns"))
            return entry
    raise Unmet(f"model_stats with {subject.model.name!r}", said)


def _counts(said: Any, names: Sequence[str]) -> None:
    for name in names:
        if not isinstance(said, dict) or type(said.get(name)) is not int or said[name] < 0:
            raise Unmet(f"{name}: a whole number", said)


def _statistics_true(subject: Subject) -> None:
    path = f"{subject.model.path}/stats"
    before = _complete(subject, object_of(subject.http.ask("GET", path)))
    subject.still_answers()
    after = _complete(subject, object_of(subject.http.ask("GET", path)))
    counted = after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"]
    if counted < 1 or after["inference_count"] <= before["inference_count"]:
        raise Unmet("inference_count and success.count go up with a request", f"{counted} more successes")


def _statistics_version(subject: Subject) -> None:
    _complete(subject, object_of(subject.http.ask("GET", f"{subject.model.versioned}/stats")))


def _statistics_unknown(subject: Subject) -> None:
    refused(subject.http.ask("GET", f"/v2/models/{NOBODY}/stats"))


def _config(subject: Subject) -> None:
    _configured(subject, object_of(subject.http.ask("GET", f"{subject.model.path}/config")))


def _config_version(subject: Subject) -> None:
    _configured(subject, object_of(subject.http.ask("GET", f"{subject.model.versioned}/config")))


def _configured(subject: Subject, said: dict[str, Any]) -> None:
    """What perf_analyzer stops without."""
    match said:
        case {
            "name": subject.model.name,
            "platform": str(),
            "max_batch_size": int(),
            "input": list(),
            "output": list(),
        }:
            pass
        case _:
            raise Unmet("name, platform, max_batch_size, input and output", said)
    for key, promises in (("input", subject.model.inputs), ("output", subject.model.outputs)):
        wanted = {promise.name: data_type(promise.datatype) for promise in promises}
        there = {one.get("name"): one.get("data_type") for one in said[key] if isinstance(one, dict)}
        if there != wanted:
            raise Unmet(f"{key}: {wanted}", there)
        if not all(isinstance(one.get("dims"), list) for one in said[key]):
            raise Unmet(f"dims of each {key}", said[key])


def data_type(datatype: str) -> str:
    """A datatype as the configuration names it."""
    return "TYPE_STRING" if datatype == BYTES else f"TYPE_{datatype}"


def _config_unknown(subject: Subject) -> None:
    refused(subject.http.ask("GET", f"/v2/models/{NOBODY}/config"))


def _index(subject: Subject) -> None:
    for body in (b"", b"{}"):
        _indexed(subject, subject.http.ask("POST", "/v2/repository/index", body, JSON))


def _indexed(subject: Subject, reply: Reply) -> None:
    said = reply.json() if reply.status == 200 else None
    entries = [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
    mine = [one for one in entries if one.get("name") == subject.model.name]
    if not any(one.get("state", "READY") == "READY" for one in mine):
        raise Unmet(f"a list with {subject.model.name!r} as READY", reply)


def _index_ready(subject: Subject) -> None:
    reply = subject.http.ask("POST", "/v2/repository/index", encoded({"ready": True}), JSON)
    _indexed(subject, reply)
    idle = [one for one in reply.json() if one.get("state", "READY") != "READY"]
    if idle:
        raise Unmet('only what is READY, to {"ready": true}', idle)


def _move(subject: Subject, name: str, verb: str) -> Reply:
    if not subject.may_write:
        raise NotAsked("it changes what the server has loaded: ask for it with --write")
    return subject.http.ask("POST", f"/v2/repository/models/{name}/{verb}", b"{}", JSON)


def _load(subject: Subject) -> None:
    reply = _move(subject, subject.model.name, "load")
    if reply.status != 200:
        raise Unmet("200", reply)
    subject.still_answers()


def _unload(subject: Subject) -> None:
    reply = _move(subject, subject.model.name, "unload")
    try:
        ready = subject.http.ask("GET", f"{subject.model.path}/ready")
        if reply.status != 200 or ready.status == 200:
            raise Unmet("200, and the model no longer ready", f"{reply}; ready: {ready}")
    finally:
        _move(subject, subject.model.name, "load")
    subject.still_answers()


def _load_unknown(subject: Subject) -> None:
    refused(_move(subject, NOBODY, "load"))


def _schedule(subject: Subject) -> None:
    parameters = {"priority": 1, "timeout": 30_000_000}
    agree(subject.outputs, subject.answer(body_of(subject, parameters=parameters)), SAME)


@dataclass(frozen=True, slots=True)
class Address:
    """An address that an extension has and that changes nothing."""

    extension: str
    path: str
    what: type


_ADDRESSES = (
    Address("logging", "/v2/logging", dict),
    Address("trace", "/v2/trace/setting", dict),
    Address("system_shared_memory", "/v2/systemsharedmemory/status", list),
    Address("cuda_shared_memory", "/v2/cudasharedmemory/status", list),
)


def _address(subject: Subject, address: Address) -> None:
    reply = subject.http.ask("GET", address.path)
    if reply.status != 200 or not isinstance(reply.json(), address.what):
        raise Unmet(f"200 and a JSON {'object' if address.what is dict else 'list'}", reply)


_ELSEWHERE = (
    ("statistics", "GET", "{model}/stats"),
    ("model_configuration", "GET", "{model}/config"),
    ("model_repository", "POST", "/v2/repository/index"),
    ("logging", "GET", "/v2/logging"),
    ("trace", "GET", "/v2/trace/setting"),
    ("system_shared_memory", "GET", "/v2/systemsharedmemory/status"),
)


def _answers_elsewhere(subject: Subject) -> Iterator[tuple[str, Reply]]:
    """What comes from the addresses of extensions that are not listed."""
    asked = [row for row in _ELSEWHERE if not subject.offered(row[0])]
    if not asked:
        raise NotAsked("the server lists them all")
    for extension, method, path in asked:
        body = b"{}" if method == "POST" else None
        yield extension, subject.http.ask(method, path.format(model=subject.model.path), body, JSON)


def _unlisted(subject: Subject) -> None:
    for _, reply in _answers_elsewhere(subject):
        if reply.status != 200:
            refused(reply, (*CLIENT_ERRORS, 501))


def _listed(subject: Subject) -> None:
    there = [extension for extension, reply in _answers_elsewhere(subject) if reply.status == 200]
    if there:
        raise Unmet("every extension that is there under extensions", f"{there} not listed and answered")


def _may(name: str, extension: str, sentence: str, run: Callable[[Subject], None], breaks: str) -> Check:
    return Check(name, MAY, sentence, run, breaks, extension)


_TOP = "tritonclient with class_count"
_PERF = "perf_analyzer"
_TOOLS = "tritonclient's repository calls"

CHECKS = (
    Check(
        "X",
        SHOULD,
        "what is not listed as an extension is answered, or refused with a text",
        _unlisted,
        _TOOLS,
    ),
    Check("X.listed", SHOULD, "what is there is listed as an extension", _listed, _PERF),
    _may(
        "X.class", "classification", "the most probable classes as value:index:label", _classification, _TOP
    ),
    _may("X.class.all", "classification", "more classes than there are means all", _classification_all, _TOP),
    _may("X.class.binary", "classification", "classes come as bytes, too", _classification_binary, _TOP),
    _may(
        "X.class.wrong",
        "classification",
        "a count of classes below 1, or a text, is 4xx",
        _classification_wrong,
        _TOP,
    ),
    _may("X.stats", "statistics", "statistics of all models and of one have every field", _statistics, _PERF),
    _may("X.stats.true", "statistics", "statistics count what was answered", _statistics_true, _PERF),
    _may(
        "X.stats.version", "statistics", "the statistics of a version is answered", _statistics_version, _PERF
    ),
    _may(
        "X.stats.unknown",
        "statistics",
        "statistics of an unknown model: 4xx with a text",
        _statistics_unknown,
        _PERF,
    ),
    _may("X.config", "model_configuration", "the configuration is as the metadata", _config, _PERF),
    _may(
        "X.config.version",
        "model_configuration",
        "the configuration of a version is answered",
        _config_version,
        _PERF,
    ),
    _may(
        "X.config.unknown",
        "model_configuration",
        "the configuration of an unknown model: 4xx with a text",
        _config_unknown,
        _PERF,
    ),
    _may("X.index", "model_repository", "the index lists the model as READY", _index, _TOOLS),
    _may(
        "X.index.ready",
        "model_repository",
        "the index lists only what is READY where that is asked",
        _index_ready,
        _TOOLS,
    ),
    _may("X.load", "model_repository", "the model is loaded anew", _load, _TOOLS),
    _may("X.unload", "model_repository", "the model is unloaded, and loaded again", _unload, _TOOLS),
    _may(
        "X.load.unknown",
        "model_repository",
        "loading what there is not is 4xx with a text",
        _load_unknown,
        _TOOLS,
    ),
    _may(
        "X.schedule",
        "schedule_policy",
        "priority and a long timeout change no answer",
        _schedule,
        "tritonclient",
    ),
    *(
        _may(
            f"X.{one.extension}",
            one.extension,
            f"GET {one.path} is answered",
            partial(_address, address=one),
            "",
        )
        for one in _ADDRESSES
    ),
)
