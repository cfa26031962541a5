"""R1 to R9 but the inference itself: addresses, methods, health and metadata."""

from __future__ import annotations

from typing import Any

from sigmax.conform.check import Check, Level, NotAsked, Unmet
from sigmax.conform.http import Reply
from sigmax.conform.refusals import CLIENT_ERRORS, refused
from sigmax.conform.subject import Subject
from sigmax.conform.tensors import KNOWN

MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY
NOBODY = "no-such-model-here"
NEVER = "987654321"
"""A version that no model has."""


def object_of(reply: Reply) -> dict[str, Any]:
    """The object that an answer with status 200 holds."""
    said = reply.json() if reply.status == 200 else None
    if not isinstance(said, dict):
        raise Unmet("200 and a JSON object", reply)
    return said


def has(said: dict[str, Any], **wanted: object) -> None:
    """Refuse an object that does not have these values."""
    for key, value in wanted.items():
        if said.get(key) != value or type(said.get(key)) is not type(value):
            raise Unmet(f"{key}: {value!r}", said)


def _live(subject: Subject) -> None:
    reply = subject.http.ask("GET", "/v2/health/live")
    if reply.status != 200:
        raise Unmet("200", reply)


def _live_body(subject: Subject) -> None:
    has(object_of(subject.http.ask("GET", "/v2/health/live")), live=True)


def _ready(subject: Subject) -> None:
    reply = subject.http.ask("GET", "/v2/health/ready")
    if reply.status != 200:
        raise Unmet("200, since the model is ready", reply)


def _ready_body(subject: Subject) -> None:
    reply = subject.http.ask("GET", "/v2/health/ready")
    said = reply.json()
    if not isinstance(said, dict) or said.get("ready") is not (reply.status == 200):
        raise Unmet(f'{{"ready": {str(reply.status == 200).lower()}}}', reply)


def _head_live(subject: Subject) -> None:
    _head(subject, "/v2/health/live")


def _head_ready(subject: Subject) -> None:
    _head(subject, "/v2/health/ready")


def _head(subject: Subject, path: str) -> None:
    reply = subject.http.ask("HEAD", path)
    if reply.status != 200 or reply.body:
        raise Unmet("200 without a body", reply)


def _model_ready(subject: Subject) -> None:
    reply = subject.http.ask("GET", f"{subject.model.path}/ready")
    if reply.status != 200:
        raise Unmet("200", reply)


def _model_ready_body(subject: Subject) -> None:
    said = object_of(subject.http.ask("GET", f"{subject.model.path}/ready"))
    has(said, name=subject.model.name, ready=True)


def _version_ready(subject: Subject) -> None:
    reply = subject.http.ask("GET", f"{subject.model.versioned}/ready")
    if reply.status != 200:
        raise Unmet("200", reply)


def _nobody_ready(subject: Subject) -> None:
    for path in (f"/v2/models/{NOBODY}/ready", f"{subject.model.path}/versions/{NEVER}/ready"):
        reply = subject.http.ask("GET", path)
        if reply.status not in range(400, 600):
            raise Unmet(f"an error status for GET {path}", reply)


def _server(subject: Subject) -> None:
    _described_server(object_of(subject.http.ask("GET", "/v2")))


def _described_server(said: dict[str, Any]) -> None:
    match said:
        case {"name": str(), "version": str(), "extensions": list(extensions)} if all(
            isinstance(one, str) for one in extensions
        ):
            return
    raise Unmet("name, version and a list of extensions", said)


def _slash(subject: Subject) -> None:
    _described_server(object_of(subject.http.ask("GET", "/v2/")))


def _metadata(subject: Subject) -> None:
    said = object_of(subject.http.ask("GET", subject.model.path))
    has(said, name=subject.model.name)
    if not isinstance(said.get("platform"), str):
        raise Unmet("platform: a text", said)
    versions = said.get("versions", [])
    if not isinstance(versions, list) or not all(isinstance(one, str) for one in versions):
        raise Unmet("versions: a list of texts, or absent", versions)


def _tensors(subject: Subject) -> None:
    said = object_of(subject.http.ask("GET", subject.model.path))
    for key in ("inputs", "outputs"):
        if not isinstance(said.get(key), list) or not said[key]:
            raise Unmet(f"a list of {key}", said)
        for tensor in said[key]:
            _described(tensor)


def _described(tensor: Any) -> None:
    match tensor:
        case {"name": str(), "datatype": str(datatype), "shape": list(shape)} if datatype in KNOWN and all(
            type(size) is int and size >= -1 for size in shape
        ):
            return
    raise Unmet("name, a datatype of the standard, and a shape of integers from -1", tensor)


def _properties(subject: Subject) -> None:
    properties = object_of(subject.http.ask("GET", subject.model.path)).get("properties")
    if properties is None:
        raise NotAsked("the metadata has no properties")
    if not isinstance(properties, dict) or not all(isinstance(value, str) for value in properties.values()):
        raise Unmet("properties: texts by name", properties)


def _version_metadata(subject: Subject) -> None:
    path = subject.model.versioned
    said = object_of(subject.http.ask("GET", path))
    plain = object_of(subject.http.ask("GET", subject.model.path))
    has(said, name=subject.model.name)
    for key in ("inputs", "outputs"):
        if len(subject.model.versions) == 1 and said.get(key) != plain.get(key):
            raise Unmet(f"the {key} of the address without a version", said.get(key))


def _nobody_metadata(subject: Subject) -> None:
    refused(subject.http.ask("GET", f"/v2/models/{NOBODY}"))


def _nobody_404(subject: Subject) -> None:
    refused(subject.http.ask("GET", f"/v2/models/{NOBODY}"), (404,))


def _never_metadata(subject: Subject) -> None:
    refused(subject.http.ask("GET", f"{subject.model.path}/versions/{NEVER}"), (*CLIENT_ERRORS, 501))


def _models(subject: Subject) -> None:
    reply = subject.http.ask("GET", "/v2/models")
    if reply.status in (404, 405, 501):
        raise NotAsked(f"the server has no GET /v2/models: {reply.status}")
    said = object_of(reply).get("models")
    listed = (
        [one.get("name") if isinstance(one, dict) else one for one in said] if isinstance(said, list) else []
    )
    if subject.model.name not in listed:
        raise Unmet(f'{{"models": [...]}} with {subject.model.name!r}', reply)


_WRONG_METHODS = (
    ("POST", "/v2/health/live"),
    ("DELETE", "/v2"),
    ("PUT", "{model}"),
    ("GET", "{model}/infer"),
)


def _wrong_methods(subject: Subject) -> None:
    for method, path in _WRONG_METHODS:
        reply = subject.http.ask(
            method, path.format(model=subject.model.path), b"{}" if method != "GET" else None
        )
        refused(reply, (405,))


def _allow(subject: Subject) -> None:
    reply = subject.http.ask("GET", f"{subject.model.path}/infer")
    if reply.status == 405 and "POST" not in (reply.header("allow") or ""):
        raise Unmet("a header Allow with POST", dict(reply.headers))
    if reply.status != 405:
        raise NotAsked(f"the answer is {reply.status}, not 405")


_WRONG_PATHS = ("/v2/no/such/address", "{model}/no-such-verb", "/no-such-door")


def _wrong_paths(subject: Subject) -> None:
    for path in _WRONG_PATHS:
        refused(subject.http.ask("GET", path.format(model=subject.model.path)), (404,))


_PROBES = "probes that read the body (KServe's client) fail"
_TRITONCLIENT = "tritonclient raises 'failed to decode' instead of the reason"

CHECKS = (
    Check("R1", MUST, "GET /v2/health/live answers 200", _live, "probes"),
    Check("R1.body", SHOULD, 'the body of /v2/health/live is {"live": true}', _live_body, _PROBES),
    Check(
        "R1.head", SHOULD, "HEAD /v2/health/live answers 200", _head_live, "load balancers that probe by HEAD"
    ),
    Check(
        "R2", MUST, "GET /v2/health/ready answers 200 while the model is ready", _ready, "readiness probes"
    ),
    Check(
        "R2.body",
        SHOULD,
        'the body of /v2/health/ready is {"ready": …}, as its status says',
        _ready_body,
        _PROBES,
    ),
    Check(
        "R2.head",
        SHOULD,
        "HEAD /v2/health/ready answers 200",
        _head_ready,
        "load balancers that probe by HEAD",
    ),
    Check("R3", MUST, "GET /v2/models/{m}/ready answers 200", _model_ready, "is_model_ready of every client"),
    Check(
        "R3.body",
        SHOULD,
        'the body of a model\'s ready is {"name": m, "ready": true}',
        _model_ready_body,
        _PROBES,
    ),
    Check("R3.version", MUST, "a version's ready answers 200", _version_ready, "clients that pin a version"),
    Check(
        "R3.unknown",
        MUST,
        "an unknown model or version is not ready",
        _nobody_ready,
        "roll-outs that wait for it",
    ),
    Check("R4", MUST, "GET /v2 answers name, version and extensions", _server, "discovery of extensions"),
    Check(
        "R4.slash",
        SHOULD,
        "GET /v2/ answers the same, without a redirect",
        _slash,
        "clients from the OpenAPI file",
    ),
    Check(
        "R5", MUST, "GET /v2/models/{m} answers name, platform and versions", _metadata, "get_model_metadata"
    ),
    Check(
        "R5.tensors",
        MUST,
        "the metadata's inputs and outputs have name, datatype and shape",
        _tensors,
        "generic clients",
    ),
    Check(
        "R5.properties",
        MUST,
        "the metadata's properties, if there, are texts by name",
        _properties,
        "typed clients",
    ),
    Check(
        "R5.version",
        MUST,
        "a version's metadata is answered alike",
        _version_metadata,
        "clients that pin a version",
    ),
    Check(
        "R5.unknown",
        MUST,
        "metadata of an unknown model is an error with a text",
        _nobody_metadata,
        _TRITONCLIENT,
    ),
    Check(
        "R5.unknown.404",
        SHOULD,
        "metadata of an unknown model is 404",
        _nobody_404,
        "clients that tell absent from broken",
    ),
    Check(
        "R5.unknown.version",
        MUST,
        "metadata of an unknown version is an error with a text",
        _never_metadata,
        _TRITONCLIENT,
    ),
    Check("R7", MAY, "GET /v2/models, if there, lists the model", _models, "KServe's client"),
    Check("R8", SHOULD, 'a wrong method is 405 and {"error": text}', _wrong_methods, _TRITONCLIENT),
    Check(
        "R8.allow", SHOULD, "405 says which methods are allowed", _allow, "generic HTTP clients (RFC 9110)"
    ),
    Check("R9", SHOULD, 'an unknown address is 404 and {"error": text}', _wrong_paths, _TRITONCLIENT),
)
