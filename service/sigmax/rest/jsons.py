"""JSON of a request to Python values, with every way to fail turned into the caller's error."""

from __future__ import annotations

from typing import Any

import msgspec

from sigmax.errors import InvalidInput, nearest, quoted
from sigmax.protocol.values import describe


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InvalidInput: not JSON, nested too deeply, or no object.
    """
    if not body:
        raise InvalidInput("the body is empty: send a JSON object")
    try:
        document = msgspec.json.decode(body)
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise InvalidInput(f"the body is a JSON object, not {describe(document)}")
    return document


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
