"""JSON of a request to Python values, with every way to fail turned into the caller's error."""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from sigmax.errors import InvalidInput, Problem, UnsupportedMedia, nearest, path, quoted
from sigmax.protocol.schema import Schema
from sigmax.protocol.values import check_count, describe, refuse_any
from sigmax.rest.bounds import SHORT, Bounds
from sigmax.rest.duplicates import refuse_twice

T = TypeVar("T")

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8, and of UTF-16 in both orders
_AS_JSON = (
    *("", "application/json", "text/json", "text/plain"),
    *("application/x-www-form-urlencoded", "application/octet-stream"),  # what curl -d and some clients say
)


def media_type(content_type: bytes) -> str:
    """A content-type in small letters, without its parameters."""
    return content_type.partition(b";")[0].strip().lower().decode("latin-1")


def says_json(kind: str) -> bool:
    """Whether a body of this media type is read as JSON."""
    return kind in _AS_JSON or kind.endswith("+json")


def check_media(content_type: bytes) -> None:
    """Refuse a body whose content-type says that it is no JSON.

    Raises:
        UnsupportedMedia: naming it.
    """
    if content_type in (b"application/json", b"", b"application/octet-stream"):
        return
    if not says_json(media_type(content_type)):
        given = quoted(content_type.decode("latin-1"))
        raise UnsupportedMedia(f"content-type {given} is not read here: send JSON (application/json)")


def read_bounded(body: bytes, schema: Schema, max_rows: int) -> tuple[dict[str, Any], InvalidInput | None]:
    """`read_object`, of a body that holds no more than a right request of the model does."""
    if len(body) > SHORT:
        Bounds.of(schema, max_rows).check(body)
    return read_object(body)


def read_object(body: bytes) -> tuple[dict[str, Any], InvalidInput | None]:
    """Read a JSON object.

    Many clients write NaN, Infinity or numbers that are too large, which JSON does not know. Such a body is
    read all the same, so that the refusal can name the row and the feature.

    Returns:
        The object, and what to raise if nothing else in it is refused.

    Raises:
        InvalidInput: not JSON, nested too deeply, or no object.
    """
    doubt = None
    try:
        document = msgspec.json.decode(body)
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        doubt = not_json(body, error)
        document = with_infinities(body, doubt)
    if type(document) is not dict:
        given = "null" if document is None else describe(document)
        raise InvalidInput(f"the body is a JSON object, not {given}")
    refuse_twice(body, _keys(document), document)
    return document, doubt


def _keys(document: dict[str, Any]) -> int:
    """How many keys a request has, if what has keys is where it should be: at the top, or one row each."""
    count = len(document)
    for value in document.values():
        if type(value) is dict:
            count += len(value)
        elif type(value) is list and value and type(value[0]) is dict and set(map(type, value)) == {dict}:
            count += sum(map(len, value))
    return count


def not_json(body: bytes, error: Exception) -> InvalidInput:
    """The refusal of a body that does not decode."""
    if not body:
        return InvalidInput("the body is empty: send a JSON object")
    return InvalidInput(f"the body is not JSON: {_wrong_bytes(body) or plain(error)}{_hint(body)}")


def plain(error: Exception) -> str:
    """The decoder's text, as this project writes what it quotes."""
    return str(error).replace("`", "'")


def _wrong_bytes(body: bytes) -> str:
    """Which byte is no UTF-8, in the whole body; empty if all are."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} is no UTF-8"
    return ""


def _hint(body: bytes) -> str:
    if body.startswith(_MARKS):
        return "; it begins with a byte order mark: send UTF-8 without one"
    if b"NaN" in body or b"Infinity" in body:
        return "; NaN and Infinity are no JSON numbers"
    return ""


def leniently(data: bytes) -> Any:
    """Read JSON, or what is but for numbers that are too large: they become infinite; None for all else."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def with_infinities(body: bytes, doubt: InvalidInput) -> Any:
    """Read with the standard library, which takes NaN, Infinity and 1e999."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise doubt from None


def certain(rows: T, doubt: InvalidInput | None) -> T:
    """What was read of a body, unless there is a doubt about it."""
    if doubt is not None:
        raise doubt
    return rows


def read_images(value: Any, max_rows: int) -> list[bytes]:
    """Read pictures: a list of texts, each the base64 of a file.

    Raises:
        InvalidInput: too many of them, or naming every row that is no base64.
    """
    if value is None:
        return []
    if type(value) is not list:
        raise InvalidInput(f"'images' is a list of files in base64, not {describe(value)}", "images")
    check_count(len(value), max_rows, "images")
    found: list[bytes] = []

    def problems() -> Iterator[Problem]:
        for row, text in enumerate(value):
            try:
                found.append(binascii.a2b_base64(text, strict_mode=True))
            except (TypeError, ValueError):
                yield Problem(_not_base64(text), path("images", row), row, None, f"row {row}")

    refuse_any(problems())
    return found


def _not_base64(text: Any) -> str:
    if type(text) is not str:
        return f"expected a file in base64, got {describe(text)}"
    if text[:5].lower() == "data:":
        return "a data: URL came, send only what stands behind its comma"
    if "\n" in text or "\r" in text:
        return "base64 without line breaks is expected (base64 -w 0)"
    if "-" in text or "_" in text:
        return "base64 of the standard alphabet is expected, with '+' and '/' for '-' and '_'"
    return f"{describe(text)} is no base64 with its padding"


_OF_OTHERS = {
    "instances": ":predict takes it, here it is 'rows'",
    "examples": ":classify takes it, here it is 'rows'",
    "inputs": ":predict and /v2 take it, here it is 'rows'",
}
"""What other protocols call rows."""


def _meant(key: str, known: tuple[str, ...]) -> str:
    return f": {_OF_OTHERS[key]}" if key in _OF_OTHERS and "rows" in known else nearest(key, known)


def refuse_unknown(document: dict[str, Any], known: tuple[str, ...], options: tuple[str, ...] = ()) -> None:
    """Refuse keys that mean nothing at the top of a request.

    Raises:
        InvalidInput: naming the first such key and what may have been meant.
    """
    for key in document:
        if key in options:
            raise InvalidInput(f"{quoted(key)} belongs into 'options'", key)
        if key not in known:
            text = f"unknown key {quoted(key)}{_meant(key, known)}; known are {', '.join(known)}"
            raise InvalidInput(text, path(key))
