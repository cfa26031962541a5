"""An OpenAPI description whose references are filled in, so that a test can look at an address whole."""

from __future__ import annotations

from typing import Any

_PREFIX = "#/"


def resolved(document: dict[str, Any]) -> dict[str, Any]:
    """The paths of a description, each reference replaced by what it refers to; there are no circles."""
    return {path: _filled(document, item) for path, item in document["paths"].items()}


def _filled(document: dict[str, Any], value: Any) -> Any:
    if isinstance(value, list):
        return [_filled(document, entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _filled(document, target(document, value["$ref"]))
    return {name: _filled(document, entry) for name, entry in value.items()}


def target(document: dict[str, Any], reference: str) -> Any:
    """What a reference within the document refers to."""
    found: Any = document
    for name in reference.removeprefix(_PREFIX).split("/"):
        found = found[name]
    return found


def references(value: Any) -> list[str]:
    """Every reference within a value."""
    if isinstance(value, list):
        return [found for entry in value for found in references(entry)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for entry in value.values() for found in references(entry)]
