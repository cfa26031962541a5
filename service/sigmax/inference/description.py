"""What a model says of itself, as plain JSON values in the form of `sigmax.v1.DescribeModelResponse`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sigmax.contract import Feature, Manifest, Task
from sigmax.inference.proof import Proof

RULES = {
    Task.BINARY: "the positive class when its probability exceeds the threshold, else the other",
    Task.MULTICLASS: "the class with the highest probability, the first of them on a tie",
    Task.MULTILABEL: "each label whose probability exceeds its threshold",
}
UNSURES = {
    Task.BINARY: "unsure where low < probability <= high of its band",
    Task.MULTILABEL: "each label unsure where low < probability <= high of its band",
}


def describe(manifest: Manifest, proof: Proof, example: bytes, rejected: Mapping[int, str]) -> dict[str, Any]:
    """Describe a served version.

    Args:
        manifest: of the version.
        proof: what was compared when it was loaded.
        example: a request body that works, JSON.
        rejected: why others were refused, and of this one what is wrong with its files since it was loaded.
    """
    return {
        "name": manifest.name,
        "version": str(manifest.version),
        "ready": True,
        "task": manifest.task.value,
        "head": manifest.head.value,
        "features": [_feature(feature) for feature in manifest.features],
        "classes": list(manifest.classes),
        "decision": _decision(manifest),
        "metrics": dict(manifest.metrics),
        "dtype": manifest.graph.dtype.value,
        "proof": {"rows": proof.rows, "difference": proof.difference, "tolerance": manifest.tolerance},
        "fingerprint": manifest.fingerprint,
        "provenance": dict(manifest.provenance),
        "example": json.loads(example),
        "model_version_status": statuses(manifest.version, rejected),
        "outputs": list(manifest.graph.outputs),
    }


def statuses(version: int | None, rejected: Mapping[int, str]) -> list[dict[str, Any]]:
    """The state of every version that was looked at, highest first, in TensorFlow Serving's words."""
    found = [
        _status(number, "END", "FAILED_PRECONDITION", reason)
        for number, reason in rejected.items()
        if number != version
    ]
    if version is not None:
        found.append(_status(version, "AVAILABLE", "OK", rejected.get(version, "")))
    return sorted(found, key=lambda status: -int(status["version"]))


def _status(version: int, state: str, code: str, message: str) -> dict[str, Any]:
    status = {"error_code": code, "error_message": message}
    return {"version": str(version), "state": state, "status": status}


def _feature(feature: Feature) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": feature.name,
        "kind": feature.kind.value,
        "shape": list(feature.shape),
        "dtype": feature.dtype,
        "range": list(feature.range),
        "missing": feature.missing.value,
    }
    if feature.vocabulary is not None and feature.unknown is not None:
        described["vocabulary"] = list(feature.vocabulary)
        described["unknown"] = feature.unknown.value
    if feature.image is not None:
        image = feature.image
        described["image"] = {
            "colour": image.colour.value,
            "layout": image.layout,
            "height": image.height,
            "width": image.width,
            "resize": image.resize.value,
            "scale": image.scale,
        }
    return described


def _decision(manifest: Manifest) -> dict[str, Any]:
    decision: dict[str, Any] = {
        "rule": RULES[manifest.task],
        "thresholds": dict(manifest.decision.thresholds),
    }
    if manifest.decision.positive is not None:
        decision["positive"] = manifest.decision.positive
    if manifest.decision.band:
        decision["rule"] += f"; {UNSURES[manifest.task]}"
        decision["band"] = {label: list(bounds) for label, bounds in manifest.decision.band.items()}
    return decision


def summary(name: str, manifest: Manifest | None, reason: str) -> dict[str, Any]:
    """One line about a model, in the form of `sigmax.v1.ModelSummary`.

    Args:
        name: of the model.
        manifest: of the version that answers; None if none does.
        reason: why the highest version was refused, or what else is wrong; empty if nothing is.
    """
    return {
        "name": name,
        "version": str(manifest.version) if manifest else "",
        "ready": manifest is not None,
        "task": manifest.task.value if manifest else "",
        "n_features": manifest.n_features if manifest else 0,
        "classes": list(manifest.classes) if manifest else [],
        "reason": reason,
    }
