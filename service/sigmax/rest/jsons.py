"""JSON of a request to Python values, with every way to fail turned into the caller's error."""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from sigmax.errors import InvalidInput, UnsupportedMedia, nearest, quoted
from sigmax.protocol.values import check_count, describe, refuse_any

_AS_JSON = (
    *("", "application/json", "text/json", "text/plain"),
    *("application/x-www-form-urlencoded", "application/octet-stream"),  # what curl -d and some clients say
)


def says_json(media_type: str) -> bool:
    """Whether a body of this content-type, in small letters and without its parameters, is read as JSON."""
    return media_type in _AS_JSON or media_type.endswith("+json")


def check_media(content_type: bytes) -> None:
    """Refuse a body whose content-type says that it is no JSON.

    Raises:
        UnsupportedMedia: naming it.
    """
    if content_type in (b"application/json", b""):
        return
    if not says_json(content_type.partition(b";")[0].strip().lower().decode("latin-1")):
        given = quoted(content_type.decode("latin-1"))
        raise UnsupportedMedia(f"content-type {given} is not read here: send JSON (application/json)")


def read_object(body: bytes) -> tuple[dict[str, Any], InvalidInput | None]:
    """Read a JSON object.

    Many clients write NaN, Infinity or numbers that are too large, which JSON does not know. Such a body is
    read all the same, so that the refusal can name the row and the feature.

    Returns:
        The object, and what to raise if nothing else in it is refused.

    Raises:
        InvalidInput: not JSON, nested too deeply, or no object.
    """
    if not body:
        raise InvalidInput("the body is empty: send a JSON object")
    doubt = None
    try:
        document = msgspec.json.decode(body)
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        doubt = not_json(body, error)
        document = _with_infinities(body, doubt)
    if type(document) is not dict:
        raise InvalidInput(f"the body is a JSON object, not {describe(document)}")
    return document, doubt


def not_json(body: bytes, error: Exception) -> InvalidInput:
    """The refusal of a body that does not decode."""
    hint = "; NaN and Infinity are no JSON numbers" if b"NaN" in body or b"Infinity" in body else ""
    return InvalidInput(f"the body is not JSON: {error}{hint}")


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


def _with_infinities(body: bytes, doubt: InvalidInput) -> Any:
    """Read with the standard library, which takes NaN, Infinity and 1e999."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise doubt from None


def read_images(value: Any, max_rows: int) -> list[bytes]:
    """Read pictures: a list of texts, each the base64 of a file.

    Raises:
        InvalidInput: too many of them, or naming every row that is no base64.
    """
    if value is None:
        return []
    if type(value) is not list:
        raise InvalidInput(f"'images' is a list of files in base64, not {describe(value)}")
    check_count(len(value), max_rows)
    found: list[bytes] = []

    def problems() -> Iterator[str]:
        for row, text in enumerate(value):
            try:
                found.append(binascii.a2b_base64(text, strict_mode=True))
            except (TypeError, ValueError):
                yield f"row {row}: {_not_base64(text)}"

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


def refuse_unknown(document: dict[str, Any], known: tuple[str, ...], options: tuple[str, ...] = ()) -> None:
    """Refuse keys that mean nothing at the top of a request.

    Raises:
        InvalidInput: naming the first such key and what may have been meant.
    """
    for key in document:
        if key in options:
            raise InvalidInput(f"{quoted(key)} belongs into 'options'")
        if key not in known:
            raise InvalidInput(
                f"unknown key {quoted(key)}{nearest(key, known)}; known are {', '.join(known)}"
            )
