"""The fixed half of the OpenAPI description: its groups, what an error is, what each address answers.

A route of the framework takes `**described(name, group, summary, answers("Listing", Code.NOT_FOUND))`: the
name of a schema in `SCHEMAS`, and the errors that it may end in. `/docs` shows the groups in the order of
`TAGS`, what a new user needs first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sigmax.contract import Head, Kind, Task
from sigmax.errors import Code
from sigmax.rest import errors
from sigmax.rest.schemas import BAND, COUNT, NUMBER, PROBABILITY, TEXT, Schema, closed, listed, texts

MODELS = "Models"
CLASSIFIER = "Classifier"
OPEN_INFERENCE = "Compatibility: Open Inference Protocol v2"
EXTENSIONS = "Compatibility: Triton's extensions"
V1 = "Compatibility: KServe V1 and TensorFlow Serving"
SERVICE = "Service"

TAGS = [
    {"name": MODELS, "description": "Which models there are, what each takes and answers."},
    {"name": CLASSIFIER, "description": "Probabilities and classes, by feature name: begin here."},
    {"name": OPEN_INFERENCE, "description": "For clients of the protocol: tensors in, tensors out."},
    {"name": EXTENSIONS, "description": "For clients of Triton: repository, configuration, statistics."},
    {"name": V1, "description": "For clients of these two: the same models as instances and predictions."},
    {"name": SERVICE, "description": "For operators: metrics and the state of the processes."},
]

_MEANINGS = {
    Code.INVALID_INPUT: "What is wrong with the request, by row and feature.",
    Code.UNAUTHENTICATED: "The caller has not said who it is.",
    Code.FORBIDDEN: "The caller may not do this.",
    Code.NOT_FOUND: "There is no such model, version or address.",
    Code.METHOD_NOT_ALLOWED: "The address is for other methods.",
    Code.REQUEST_TIMEOUT: "The request did not arrive in time.",
    Code.HEADERS_TOO_LARGE: "More header bytes than the limit.",
    Code.CONFLICT: "Somebody else was first.",
    Code.TOO_LARGE: "More bytes or rows than the limits allow.",
    Code.UNSUPPORTED_MEDIA: "A body in a form that this address does not read.",
    Code.OVERLOADED: "More work than the service takes on: try again after `Retry-After` seconds.",
    Code.CANCELLED: "The caller went away.",
    Code.INTERNAL: "Our fault; the text has a reference to the log.",
    Code.UNIMPLEMENTED: "This service does not offer that.",
    Code.NOT_READY: "Not ready, or about to leave.",
    Code.DEADLINE: "The caller's time ran out.",
}

_YES: Schema = {"const": True}
_NO: Schema = {"const": False}
_FLAG: Schema = {"type": "boolean"}
_ANY: Schema = {"type": "object"}
_TEXTS = listed(TEXT)


def _open(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object that has all of the first and may have more than the second."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
    }


def ref(name: str) -> Schema:
    """One of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_of(name: str) -> dict[str, Any]:
    """The content of a JSON body."""
    return {"application/json": {"schema": ref(name)}}


_ERROR = _open(
    {
        "error": {"type": "string", "minLength": 1},
        "code": {"type": "string", "enum": [*Code]},
        "request_id": {"type": "string", "description": "The caller's `x-request-id`, or one made for it."},
    },
    {"details": {**listed(ref("Problem"), minItems=1), "description": "Each problem by itself."}},
)
_PROBLEM = closed({"message": TEXT}, {"field": TEXT, "row": COUNT, "feature": TEXT})
_DURATION = closed({"count": COUNT, "ns": COUNT})
_COMPUTED = dict.fromkeys(("compute_input", "compute_infer", "compute_output"), _DURATION)
_STATISTICS = _open(
    {
        "name": TEXT,
        "version": TEXT,
        "last_inference": {**COUNT, "description": "Milliseconds since 1970."},
        "inference_count": COUNT,
        "execution_count": COUNT,
        "inference_stats": _open(
            dict.fromkeys(("success", "fail", "queue", *_COMPUTED, "cache_hit", "cache_miss"), _DURATION)
        ),
        "batch_stats": listed(_open({"batch_size": COUNT, **_COMPUTED})),
    }
)
_INDEXED = closed({"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT})
_TENSOR = _open({"name": TEXT, "datatype": TEXT, "shape": listed({"type": "integer"})})
_STATUS = _open(
    {
        "version": TEXT,
        "state": {"type": "string", "enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
        "status": _open({"error_code": TEXT, "error_message": TEXT}),
    }
)
_SUMMARY = _open(
    {
        **{"name": TEXT, "version": TEXT, "ready": _FLAG, "task": TEXT},
        "n_features": {"type": "integer"},
        "classes": _TEXTS,
        "reason": {"type": "string", "description": "Why its highest version does not answer."},
    }
)
_FEATURE = _open(
    {
        "name": TEXT,
        "kind": {"type": "string", "enum": [*Kind]},
        "shape": listed({"type": "integer"}),
        "dtype": TEXT,
        "range": listed(NUMBER, minItems=2, maxItems=2),
        "missing": TEXT,
    },
    {"vocabulary": _TEXTS, "unknown": TEXT, "image": _ANY},
)
_DECISION = _open(
    {"rule": TEXT, "thresholds": {"type": "object", "additionalProperties": PROBABILITY}},
    {"positive": TEXT, "band": {"type": "object", "additionalProperties": BAND}},
)
_LABELS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "integer", "minimum": 1},
    "description": "Versions by label.",
}
_DESCRIPTION = _open(
    {
        **{"name": TEXT, "version": TEXT, "ready": _YES},
        "task": {"type": "string", "enum": [*Task]},
        "head": {"type": "string", "enum": [*Head]},
        "features": listed(ref("Feature"), minItems=1),
        "classes": listed(TEXT, minItems=2),
        "decision": _DECISION,
        "metrics": _ANY,
        "dtype": TEXT,
        "proof": _open({"rows": {"type": "integer"}, "difference": NUMBER, "tolerance": NUMBER}),
        "fingerprint": TEXT,
        "provenance": _ANY,
        "example": {**_ANY, "description": "A request that works."},
        "model_version_status": listed(ref("VersionStatus")),
        "outputs": _TEXTS,
        "labels": _LABELS,
    }
)
_SIGNED = _open(
    {
        "dtype": {"type": "string", "pattern": "^DT_"},
        "tensor_shape": _open({"dim": listed(_open({"size": TEXT, "name": TEXT})), "unknown_rank": _FLAG}),
        "name": TEXT,
    }
)
_SIGNATURE = _open(
    {
        "inputs": {"type": "object", "additionalProperties": ref("SignedTensor")},
        "outputs": {"type": "object", "additionalProperties": ref("SignedTensor")},
        "method_name": TEXT,
    }
)
_SIGNATURES = _open(
    {
        "model_spec": _open({"name": TEXT, "signature_name": TEXT, "version": TEXT}),
        "metadata": _open(
            {
                "signature_def": _open(
                    {"signature_def": {"type": "object", "additionalProperties": ref("Signature")}}
                )
            }
        ),
    }
)

_CONFIGURED = _open(
    {"name": TEXT, "data_type": TEXT, "dims": listed({"type": "integer"})}, {"label_filename": TEXT}
)
_CONFIGURATION = _open(
    {
        **{"name": TEXT, "platform": TEXT, "backend": TEXT, "max_batch_size": COUNT},
        **{"input": listed(_CONFIGURED, minItems=1), "output": listed(_CONFIGURED, minItems=1)},
    },
    {"version_policy": _ANY, "instance_group": listed(_ANY), "dynamic_batching": _ANY, "parameters": _ANY},
)

SCHEMAS: dict[str, Schema] = {
    "Error": _ERROR,
    "Problem": _PROBLEM,
    "Listing": _open({"models": _TEXTS, "details": listed(ref("Summary"))}),
    "Summary": _SUMMARY,
    "Description": _DESCRIPTION,
    "Feature": _FEATURE,
    "VersionStatus": _STATUS,
    "NoDescription": _open(
        {"name": TEXT, "ready": _NO, "model_version_status": listed(ref("VersionStatus")), "labels": _LABELS}
    ),
    "Signatures": _SIGNATURES,
    "Signature": _SIGNATURE,
    "SignedTensor": _SIGNED,
    "Server": _open({"name": TEXT, "version": TEXT, "extensions": _TEXTS}),
    "Live": _open({"live": _YES}),
    "Ready": _open({"ready": _YES}),
    "NotReady": {"allOf": [ref("Error"), _open({"ready": _NO})]},
    "Metadata": _open(
        {
            **{"name": TEXT, "versions": _TEXTS, "platform": TEXT},
            "inputs": listed(ref("Tensor"), minItems=1),
            "outputs": listed(ref("Tensor"), minItems=1),
        },
        {
            "properties": texts(
                ("task", "classes", "positive", "thresholds", "band", "features", "digest", "fingerprint")
            )
        },
    ),
    "Tensor": _TENSOR,
    "ModelReady": closed({"name": TEXT, "ready": _YES}),
    "ModelNotReady": closed({"name": TEXT, "ready": _NO}),
    "Models": closed({"models": _TEXTS}),
    "Configuration": _CONFIGURATION,
    "Statistics": closed({"model_stats": listed(ref("ModelStatistics"))}),
    "ModelStatistics": _STATISTICS,
    "Index": listed(_INDEXED),
    "Loaded": closed({"name": TEXT, "load": _YES}),
    "Unloaded": closed({"name": TEXT, "unload": _YES}),
    "Front": _open({"status": {"const": "alive"}, "docs": TEXT, "models": TEXT}),
    "Status": _open(
        {
            **{"service": TEXT, "version": TEXT, "ready": _FLAG, "reason": TEXT},
            **{"processes": _ANY, "models": listed(_ANY)},
        }
    ),
}
"""What the addresses answer, by name; a typed schema for each model and version is added to them."""


def _failure(code: Code) -> dict[str, Any]:
    said: dict[str, Any] = {"description": _MEANINGS[code], "content": json_of("Error")}
    if code is Code.OVERLOADED:
        said["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    return said


FAILURES = {code.value: _failure(code) for code in Code}
"""The answer of every error."""


def failures(codes: Iterable[Code]) -> dict[int | str, dict[str, Any]]:
    """The errors that an address may end in, by status."""
    known = sorted(codes, key=errors.STATUS.__getitem__)
    return {str(errors.STATUS[code]): {"$ref": f"#/components/responses/{code.value}"} for code in known}


def answers(
    schema: str, *codes: Code, text: str = "The answer.", instead: str | None = None
) -> dict[int | str, dict[str, Any]]:
    """What an address answers with.

    Args:
        schema: the name of what comes with 200.
        codes: the errors that it may end in.
        text: what to say of it.
        instead: the name of what comes with 503, where that is more than an error.
    """
    said: dict[int | str, dict[str, Any]] = {
        200: {"description": text, "content": json_of(schema)},
        **failures(codes),
    }
    if instead is not None:
        said["503"] = {"description": _MEANINGS[Code.NOT_READY], "content": json_of(instead)}
    return said


def described(name: str, tag: str, summary: str, said: dict[int | str, dict[str, Any]]) -> dict[str, Any]:
    """What a route of the framework takes to be described.

    Args:
        name: of the operation, unique in the description.
        tag: the group that it is shown in.
        summary: one line.
        said: what it answers with, from `answers`.
    """
    return {"operation_id": name, "tags": [tag], "summary": summary, "responses": said}


PATHS: dict[str, Any] = {
    "/metrics": {
        "get": {
            "tags": [SERVICE],
            "operationId": "metrics",
            "summary": "Metrics of all processes, for Prometheus",
            "responses": {
                "200": {
                    "description": "The text format of Prometheus.",
                    "content": {"text/plain": {"schema": TEXT}},
                },
                **failures([Code.INTERNAL, Code.NOT_READY]),
            },
        }
    },
    "/status": {
        "get": {
            "tags": [SERVICE],
            "operationId": "status",
            "summary": "Which processes and versions there are, and what was refused",
            "responses": {
                "200": {"description": "The state of the service.", "content": json_of("Status")},
                **failures([Code.INTERNAL, Code.NOT_READY]),
            },
        }
    },
}
"""The addresses that are answered before the application that is documented (`probes.py`)."""
