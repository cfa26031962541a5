"""What may become of any bytes: an answer, or an error that is the caller's and says nothing of ours."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from sigmax.errors import Code, SigmaxError

ALLOWED = frozenset(
    {
        *(Code.INVALID_INPUT, Code.TOO_LARGE, Code.NOT_FOUND),
        *(Code.UNSUPPORTED_MEDIA, Code.UNIMPLEMENTED, Code.DEADLINE),
    }
)
"""The errors that a request can deserve; none of them is the service's own."""

MAX_SECONDS = 1.0
"""Of processor time: a machine that is busy with something else makes no find."""

MAX_TEXT = 4_000

_OURS = re.compile(
    r"Traceback|File \"|\.py\b|<class |object at 0x|site-packages|"
    r"(?:Value|Type|Key|Index|Attribute|Overflow|Recursion|Decode|Validation)Error|"
    r"numpy|ndarray|msgspec|simdjson|google\.protobuf|sigmax\.(?!v1\b)|/(?:usr|home|root|work|tmp)/"
)
_MARKS = (
    "Error",
    "object",
    "class",
    "numpy",
    "ndarray",
    "simdjson",
    "msgspec",
    "google",
    ".",
    "/",
    "File",
    "back",
)
"""One of these is in whatever the pattern finds; most texts have none, and looking for them is quick."""


class Violation(AssertionError):
    """An input showed what must not be."""


Outcome = tuple[Any, ...]


def outcome(ask: Callable[[bytes], Any], data: bytes) -> Outcome:
    """What becomes of an input: `("answer", answer)`, or `("error", code, text)`.

    Raises:
        Violation: an error that is none of the caller's, tells of our insides, or came too late.
    """
    started = time.process_time()
    found: Outcome
    try:
        found = ("answer", ask(data))
    except SigmaxError as error:
        found = ("error", error.code, str(error))
        check_error(error, data)
    if time.process_time() - started > MAX_SECONDS:
        raise Violation(f"took {time.process_time() - started:.1f} s of processor time")
    return found


def check_error(error: SigmaxError, data: bytes) -> None:
    """Check what a caller is told.

    Raises:
        Violation: see `outcome`.
    """
    text = str(error)
    if error.code not in ALLOWED:
        raise Violation(f"{error.code}: {text}") from error
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Violation(f"the text cannot be sent: {text!a}") from error
    if len(text) > MAX_TEXT:
        raise Violation(f"a text of {len(text)} characters: {text[:200]}") from error
    if not any(mark in text for mark in _MARKS):
        return
    for match in _OURS.finditer(text):
        if match.group().encode() not in data:
            raise Violation(f"the text tells of our insides: {text}") from error
