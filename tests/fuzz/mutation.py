"""Mutations that keep an input near a request: of JSON values, and of messages by their descriptors.

A generator that knows bytes alone breaks the syntax nearly every time, and never gets behind the first
reader.
"""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

NUMBERS: tuple[Any, ...] = (
    *(0, -0.0, 1, -1, 0.5, 1e-320, 1e308, 1e39, 65504, 65536, 127, 128, 255, 256),
    *(2**24 + 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**30),
)
TEXTS = (
    *("", "features", "categories", "probabilities", "label", "labels", "unsure", "logits", "data", "가"),
    *(
        "FP64",
        "FP32",
        "FP16",
        "INT64",
        "UINT8",
        "BOOL",
        "BYTES",
        "fp64",
        "서울",
        "30",
        "true",
        "\x00",
        "x" * 99,
    ),
    *("threshold", "band_low", "band_high", "binary_data", "binary_data_size", "binary_data_output"),
    *("classification", "timeout", "priority", "rows", "columns", "images", "options", "1", "a", "b", "yes"),
)
TOKENS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"01", b"1.", b"1E5", b"null", b"true", b"[]"),
    *(b'"\\ud800"', b"9" * 400, b"\xef\xbb\xbf", b"\xff", b"\\u0000", b"{}", b"[" * 50, b'{"a":' * 50),
)


def scalar(random: Random) -> Any:
    """A value that is at some edge."""
    return random.choice((*NUMBERS, *TEXTS, None, True, False, random.random(), [], {}, [[]], [None]))


def json_text(text: bytes, random: Random) -> bytes:
    """A JSON text with something changed; bytes that are none come back with a token in them."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _with_token(text, random)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        value = _changed(value, random)
    separators = random.choice(((",", ":"), (", ", ": "), (",\n", " :")))
    try:
        made = json.dumps(value, separators=separators, ensure_ascii=random.random() < 0.5)
        encoded = made.encode("utf-8", "surrogatepass")
    except RecursionError:
        return text
    return _with_token(encoded, random) if random.random() < 0.1 else encoded


def _with_token(text: bytes, random: Random) -> bytes:
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice(TOKENS) + text[place + random.choice((0, 0, 1, 3)) :]


def _changed(value: Any, random: Random) -> Any:
    """A value of which one part, somewhere within, is another."""
    inner = isinstance(value, (dict, list)) and len(value) > 0
    if not inner or random.random() < 0.15:
        return _replaced(value, random)
    if isinstance(value, dict):
        return _changed_object(value, random)
    place = random.randrange(len(value))
    match random.randrange(8):
        case 0:
            return value[:place] + value[place + 1 :]
        case 1:
            return [*value, value[place]]
        case 2:
            return value * random.choice((2, 3, 30))
        case 3:
            return [*value[:place], value[place:]]
    return [*value[:place], _changed(value[place], random), *value[place + 1 :]]


def _changed_object(value: dict[str, Any], random: Random) -> dict[str, Any]:
    key = random.choice(list(value))
    match random.randrange(8):
        case 0:
            return {name: entry for name, entry in value.items() if name != key}
        case 1:
            return {**value, random.choice(TEXTS): scalar(random)}
        case 2:
            return {random.choice(TEXTS) if name == key else name: entry for name, entry in value.items()}
        case 3:
            return dict(reversed(value.items()))
    return {**value, key: _changed(value[key], random)}


def _replaced(value: Any, random: Random) -> Any:
    match random.randrange(6):
        case 0:
            return [value]
        case 1:
            return {"a": value}
        case 2 if isinstance(value, (int, float)) and abs(value) < 2**64:
            return random.choice((value + 1, -value, value * 2, float(value), str(value)))
    return scalar(random)


def message(value: Message, random: Random) -> None:
    """Change something of a message, in place."""
    fields: list[Any] = list(value.DESCRIPTOR.fields)
    present: list[Any] = [field for field, _ in value.ListFields()]
    field: Any = random.choice(present if present and random.random() < 0.7 else fields)
    if random.random() < 0.08:
        value.ClearField(field.name)
    elif _is_map(field):
        _change_map(getattr(value, field.name), field, random)
    elif field.is_repeated:
        _change_repeated(getattr(value, field.name), field, random)
    elif field.message_type is not None:
        inner = getattr(value, field.name)
        inner.SetInParent()
        message(inner, random)
    else:
        setattr(value, field.name, _value(field, random))


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _change_map(entries: Any, field: FieldDescriptor, random: Random) -> None:
    key = random.choice([*entries, random.choice(TEXTS)])
    if key in entries and random.random() < 0.2:
        del entries[key]
        return
    kind = field.message_type
    if kind is None:
        return
    of_values = kind.fields_by_name["value"]
    if of_values.message_type is None:
        entries[key] = _value(of_values, random)
    else:
        message(entries[key], random)


def _change_repeated(entries: Any, field: FieldDescriptor, random: Random) -> None:
    place = random.randrange(len(entries)) if len(entries) else 0
    action = random.randrange(6)
    if action == 0 and len(entries):
        del entries[place]
    elif field.message_type is not None:
        if action == 1 or not len(entries):
            entries.add()
        elif action == 2:
            entries.add().CopyFrom(entries[place])
        else:
            message(entries[place], random)
    elif action == 1 or not len(entries):
        entries.extend([_value(field, random)] * random.choice((1, 1, 2, 40)))
    else:
        entries[place] = _value(field, random)


_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def _value(field: FieldDescriptor, random: Random) -> Any:
    """A value of a field, at some edge."""
    if field.cpp_type in _BOUNDS:
        low, high = _BOUNDS[field.cpp_type]
        return max(low, min(high, int(random.choice(NUMBERS))))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return random.random() < 0.5
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return float(random.choice((*NUMBERS, math.nan, math.inf, -math.inf, random.random())))
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return 0
    text = random.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_STRING:
        return text
    return random.choice((text.encode(), random.randbytes(random.choice((1, 4, 8, 16, 33)))))


def some_bytes(data: bytes, random: Random) -> bytes:
    """Bytes of which a few are others, missing or doubled."""
    place = random.randrange(len(data) + 1)
    match random.randrange(4):
        case 0:
            return data[:place] + bytes([random.randrange(256)]) + data[place + 1 :]
        case 1:
            return data[:place] + data[place + random.choice((1, 2, 8)) :]
        case 2:
            return data[:place] + random.randbytes(random.choice((1, 2, 8))) + data[place:]
    return data[:place] + data[max(0, place - 8) :]
