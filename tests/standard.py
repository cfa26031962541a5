"""What the published files of the Open Inference Protocol say, as tables of facts, and comparing with them.

The tables are in `fixtures/open_inference`, each with its source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

_TABLES = Path(__file__).parent / "fixtures" / "open_inference"
_PACKAGE = ".inference."
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}

Fields = dict[str, dict[str, Any]]


def table(name: str) -> dict[str, Any]:
    """One of the tables."""
    found: dict[str, Any] = json.loads((_TABLES / f"{name}.json").read_text("utf-8"))
    return found


SCHEMAS: dict[str, Any] = table("rest")["schemas"]


def problems(value: Any, schema: dict[str, Any], where: str = "$") -> Iterator[str]:
    """Where a JSON value is not as a schema says; of JSON Schema what the table uses."""
    if "$ref" in schema:
        yield from problems(value, SCHEMAS[schema["$ref"]], where)
        return
    if "anyOf" in schema:
        if all(any(True for _ in problems(value, one, where)) for one in schema["anyOf"]):
            yield f"{where}: {value!r} is none of {schema['anyOf']}"
        return
    expected = schema["type"]
    if not isinstance(value, _TYPES[expected]) or (type(value) is bool) != (expected == "boolean"):
        yield f"{where}: {value!r} is no {expected}"
        return
    if expected == "array":
        for place, entry in enumerate(value):
            yield from problems(entry, schema["items"], f"{where}[{place}]")
    if expected == "object":
        yield from (f"{where}: no {name!r}" for name in schema.get("required", ()) if name not in value)
        known = schema.get("properties", {})
        other = schema.get("additionalProperties")
        for name, entry in value.items():
            of = known.get(name, other)
            if of is not None:
                yield from problems(entry, of, f"{where}.{name}")


def check(value: Any, schema: str) -> None:
    """Compare a JSON value with a schema of the table."""
    assert list(problems(value, SCHEMAS[schema])) == []


def fields(file: FileDescriptorProto) -> dict[str, Fields]:
    """The fields of every message of a proto file by name, in the form of the table."""
    found: dict[str, Fields] = {}
    for message in file.message_type:
        _add(found, "", message)
    return found


def _add(found: dict[str, Fields], outer: str, message: DescriptorProto) -> None:
    name = outer + message.name
    maps = {one.name: one for one in message.nested_type if one.options.map_entry}
    found[name] = {field.name: _field(field, maps) for field in message.field}
    for one in message.nested_type:
        if one.name not in maps:
            _add(found, f"{name}.", one)


def _field(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> dict[str, Any]:
    entry = maps.get(field.type_name.rpartition(".")[2])
    if entry is not None:
        key, value = map(_type, entry.field)
        return {"number": field.number, "type": f"map<{key}, {value}>", "label": "map"}
    label = "repeated" if field.label == FieldDescriptorProto.LABEL_REPEATED else "single"
    return {"number": field.number, "type": _type(field), "label": label}


def _type(field: FieldDescriptorProto) -> str:
    name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return field.type_name.removeprefix(_PACKAGE) if name in ("message", "enum") else name
