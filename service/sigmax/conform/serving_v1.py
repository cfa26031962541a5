"""V1 and TF: KServe's V1 and TensorFlow Serving's REST, where a server answers them beside the standard.

Nothing is known of the model but the tensors of the standard: `:predict` is asked with the inputs that
`infer` takes and compared with what `infer` answers.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import quote

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.http import JSON, Reply
from sigmax.conform.refusals import CLIENT_ERRORS, refused, text_of
from sigmax.conform.rest_paths import NEVER, NOBODY, has, object_of
from sigmax.conform.subject import Subject, encoded
from sigmax.conform.tensors import Tensor, to_json

SHOULD, MAY = Level.SHOULD, Level.MAY
_ABSENT = (404, 405, 501)
_CLOSE = 1e-6
_KSERVE = "KServe's client with protocol v1"
_TENSORFLOW = "clients of TensorFlow Serving"


def _address(subject: Subject, verb: str = "", version: str = "", model: str = "") -> str:
    name = quote(model or subject.model.name, safe="")
    return f"/v1/models/{name}" + (f"/versions/{quote(version, safe='')}" if version else "") + verb


def _read(subject: Subject, path: str) -> dict[str, Any]:
    """What stands at an address.

    Raises:
        NotAsked: there is no such address.
    """
    reply = subject.http.ask("GET", path)
    if reply.status != 200:
        raise NotAsked(f"the server does not answer GET {path}")
    return object_of(reply)


def _send(subject: Subject, document: Any, path: str = "") -> Reply:
    content = document if isinstance(document, bytes) else encoded(document)
    return subject.http.ask("POST", path or _address(subject, ":predict"), content, JSON)


def _rows(subject: Subject) -> list[Any]:
    """The inputs that work in the row form: bare for one of them, by name for several."""
    return _by_row({tensor.name: _nested(tensor) for tensor in subject.inputs})


def _columns(subject: Subject) -> Any:
    """The same in the column form."""
    columns = {tensor.name: _nested(tensor) for tensor in subject.inputs}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _nested(tensor: Tensor) -> list[Any]:
    data: list[Any] = to_json(tensor, nested=True)["data"]
    return data


def _by_row(columns: dict[str, list[Any]]) -> list[Any]:
    if len({len(column) for column in columns.values()}) != 1:
        raise NotAsked("the model's tensors have no rows in common")
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _predicted(subject: Subject) -> list[Any]:
    """The predictions of the rows that work.

    Raises:
        NotAsked: the server has no `:predict`.
    """
    rows = _rows(subject)
    reply = _send(subject, {"instances": rows})
    if reply.status in _ABSENT:
        raise NotAsked("the server does not answer :predict")
    said = object_of(reply).get("predictions")
    if not isinstance(said, list) or len(said) != len(rows):
        raise Unmet(f"predictions: a list of {len(rows)}", reply)
    return said


def _working(subject: Subject) -> list[Any]:
    """The same, for the rules that are about more than that.

    Raises:
        NotAsked: there are none.
    """
    try:
        return _predicted(subject)
    except Unmet as unmet:
        raise NotAsked(f":predict does not answer what infer does: {unmet}") from unmet


def _models(subject: Subject) -> None:
    listed = _read(subject, "/v1/models").get("models")
    if not isinstance(listed, list) or subject.model.name not in listed:
        raise Unmet(f"models: a list with {subject.model.name!r}", listed)


def _ready(subject: Subject) -> None:
    said = _read(subject, _address(subject))
    if "ready" not in said and "model_version_status" in said:
        raise NotAsked("the server has TensorFlow Serving's form of it alone")
    has(said, name=subject.model.name, ready=True)


def _ready_unknown(subject: Subject) -> None:
    _read(subject, _address(subject))
    refused(subject.http.ask("GET", _address(subject, model=NOBODY)), (404,))


def _alive(subject: Subject) -> None:
    _working(subject)
    said = _read(subject, "/").get("status")
    if not isinstance(said, str) or said.lower() != "alive":
        raise Unmet('{"status": "alive"}', said)


def _predict(subject: Subject) -> None:
    _predicted(subject)


def _predict_same(subject: Subject) -> None:
    got = _working(subject)
    _near(_by_row({tensor.name: _nested(tensor) for tensor in subject.outputs}), got, "the outputs of infer")


def _near(wanted: Any, got: Any, expected: str) -> None:
    if not _is_near(wanted, got):
        raise Unmet(f"{expected}: {wanted}", got)


def _is_near(wanted: Any, got: Any) -> bool:
    """Whether two JSON values are the same, numbers but for rounding."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(_is_near(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_is_near, wanted, got))
    if isinstance(wanted, float) and type(got) in (int, float):
        return math.isclose(wanted, got, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return type(wanted) is type(got) and bool(wanted == got)


def _refuses(subject: Subject, document: Any, path: str = "") -> None:
    """A wrong request is refused, and the one that works is answered as before."""
    before = _working(subject)
    refused(_send(subject, document, path), CLIENT_ERRORS)
    _near(before, _predicted(subject), "the predictions of before")


def _unknown(subject: Subject) -> None:
    _working(subject)
    refused(
        _send(subject, {"instances": _rows(subject)}, _address(subject, ":predict", model=NOBODY)), (404,)
    )


def _no_key(subject: Subject) -> None:
    _refuses(subject, {"rows": _rows(subject)})


def _no_json(subject: Subject) -> None:
    _refuses(subject, b'{"instances": [')


def _no_list(subject: Subject) -> None:
    _refuses(subject, {"instances": 5})


def _no_row(subject: Subject) -> None:
    _refuses(subject, {"instances": [*_rows(subject), "no row"]})


def _explain(subject: Subject) -> None:
    _working(subject)
    _absent_with_text(_send(subject, {"instances": _rows(subject)}, _address(subject, ":explain")), "explain")


def _absent_with_text(reply: Reply, verb: str) -> None:
    if reply.status == 200:
        raise NotAsked(f"the server offers :{verb}")
    text_of(reply)


def _status(subject: Subject) -> None:
    said = _read(subject, _address(subject))
    if "model_version_status" not in said:
        raise NotAsked("the server has KServe's form of it alone")
    if not any(state["state"] == "AVAILABLE" for state in _states(said)):
        raise Unmet("a version that is AVAILABLE", said["model_version_status"])


def _states(said: dict[str, Any]) -> list[dict[str, Any]]:
    states = said.get("model_version_status")
    if not isinstance(states, list) or not states:
        raise Unmet("model_version_status: a list of versions", said)
    for state in states:
        match state:
            case {
                "version": str(),
                "state": str(),
                "status": {"error_code": str(), "error_message": str()},
            }:
                pass
            case _:
                raise Unmet("version, state, and status with error_code and error_message", state)
    return states


def _status_version(subject: Subject) -> None:
    said = _read(subject, _address(subject))
    if "model_version_status" not in said:
        raise NotAsked("the server has KServe's form of it alone")
    states = _states(object_of(subject.http.ask("GET", _address(subject, version=subject.model.version))))
    if [state["version"] for state in states] != [subject.model.version]:
        raise Unmet(f"version {subject.model.version} alone", states)


def _metadata(subject: Subject) -> None:
    said = _read(subject, _address(subject, "/metadata"))
    match said:
        case {
            "model_spec": {"name": subject.model.name, "version": str()},
            "metadata": {"signature_def": {"signature_def": {"serving_default": dict(default)}}},
        }:
            pass
        case _:
            raise Unmet("model_spec and metadata.signature_def.signature_def.serving_default", said)
    for key in ("inputs", "outputs"):
        for tensor in default.get(key, {"": None}).values():
            match tensor:
                case {"dtype": str(dtype), "tensor_shape": {"dim": list()}} if dtype.startswith("DT_"):
                    pass
                case _:
                    raise Unmet(f"{key} with dtype DT_… and tensor_shape", tensor)


def _inputs(subject: Subject) -> None:
    _working(subject)
    reply = _send(subject, {"inputs": _columns(subject)})
    if reply.status != 200:
        raise NotAsked("the server does not take 'inputs'")
    columns = {tensor.name: _nested(tensor) for tensor in subject.outputs}
    wanted = next(iter(columns.values())) if len(columns) == 1 else columns
    said = object_of(reply)
    if "outputs" not in said:
        raise Unmet("outputs", reply)
    _near(wanted, said["outputs"], "the outputs of infer")


def _both(subject: Subject) -> None:
    _refuses(subject, {"instances": _rows(subject), "inputs": _columns(subject)})


def _signature(subject: Subject) -> None:
    _refuses(subject, {"instances": _rows(subject), "signature_name": "no-such-signature"})


def _signature_default(subject: Subject) -> None:
    before = _working(subject)
    reply = _send(subject, {"signature_name": "serving_default", "instances": _rows(subject)})
    _near(before, object_of(reply).get("predictions"), "the predictions without a signature")


def _version(subject: Subject) -> None:
    before, path = _working(subject), _address(subject, ":predict", subject.model.version)
    reply = _send(subject, {"instances": _rows(subject)}, path)
    _near(before, object_of(reply).get("predictions"), "the predictions without a version")


def _version_unknown(subject: Subject) -> None:
    _working(subject)
    if not subject.model.versions:
        raise NotAsked("the model's metadata names no versions")
    refused(_send(subject, {"instances": _rows(subject)}, _address(subject, ":predict", NEVER)), (404,))


def _classify(subject: Subject) -> None:
    _working(subject)
    reply = _send(subject, {"instances": _rows(subject)}, _address(subject, ":classify"))
    if reply.status in _ABSENT:
        raise NotAsked("the server does not answer :classify")
    refused(reply)


def _regress(subject: Subject) -> None:
    _working(subject)
    _absent_with_text(_send(subject, {"examples": [{}]}, _address(subject, ":regress")), "regress")


CHECKS: tuple[Check, ...] = (
    Check("V1.models", MAY, "GET /v1/models, if there, lists the model", _models, "KServe's client"),
    Check("V1.ready", MAY, "GET /v1/models/{m}, if there, has name and ready: true", _ready, _KSERVE),
    Check(
        "V1.ready.unknown", SHOULD, "GET /v1/models/{m} of an unknown model is 404", _ready_unknown, _KSERVE
    ),
    Check("V1.alive", SHOULD, 'GET / answers {"status": "alive"}', _alive, f"is_server_live of {_KSERVE}"),
    Check("V1.predict", MAY, ":predict answers one prediction for each of the instances", _predict, _KSERVE),
    Check(
        "V1.predict.same",
        MAY,
        "the predictions are what infer answers: bare for one output, by name for several",
        _predict_same,
        _TENSORFLOW,
    ),
    Check("V1.predict.unknown", SHOULD, ":predict of an unknown model is 404", _unknown, _KSERVE),
    Check("V1.predict.key", SHOULD, "a body without instances or inputs is refused", _no_key, _KSERVE),
    Check("V1.predict.json", SHOULD, "a body that is no JSON is refused", _no_json, _KSERVE),
    Check("V1.predict.list", SHOULD, "instances that are no list are refused", _no_list, _KSERVE),
    Check("V1.predict.row", SHOULD, "a text in the place of a row is refused", _no_row, _KSERVE),
    Check("V1.explain", SHOULD, "an :explain that is not offered says so in a text", _explain, _KSERVE),
    Check("TF.status", MAY, "model_version_status, if there, has an AVAILABLE version", _status, _TENSORFLOW),
    Check("TF.status.version", MAY, "a version's status is of it alone", _status_version, _TENSORFLOW),
    Check(
        "TF.metadata",
        MAY,
        "GET /v1/models/{m}/metadata, if there, has model_spec and the signature serving_default",
        _metadata,
        _TENSORFLOW,
    ),
    Check(
        "TF.inputs",
        MAY,
        "inputs in columns, if taken, are answered by outputs",
        _inputs,
        _TENSORFLOW,
    ),
    Check("TF.both", SHOULD, "instances and inputs in one request are refused", _both, _TENSORFLOW),
    Check("TF.signature", SHOULD, "an unknown signature_name is refused", _signature, _TENSORFLOW),
    Check(
        "TF.signature.default",
        SHOULD,
        "signature_name serving_default changes nothing",
        _signature_default,
        _TENSORFLOW,
    ),
    Check("TF.version", MAY, "a version's :predict answers alike", _version, _TENSORFLOW),
    Check(
        "TF.version.unknown", SHOULD, ":predict of an unknown version is 404", _version_unknown, _TENSORFLOW
    ),
    Check("TF.classify", SHOULD, "a :classify without examples is refused", _classify, _TENSORFLOW),
    Check("TF.regress", SHOULD, "a :regress that is not offered says so in a text", _regress, _TENSORFLOW),
)
