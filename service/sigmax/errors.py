"""Everything that can go wrong, as one tree with one remedy each.

A `Code` says what the caller can do about an error; it is what doors translate (each door owns one
total table from Code to its own status). Texts are written for the caller: which model, which row,
which feature, what was expected and what came. They never hold a path, a class name or a traceback.

    SigmaxError
    ├── InvalidInput        the request's data or options are wrong
    ├── Unauthenticated, Forbidden
    ├── NotFound            no such model, version or address
    ├── MethodNotAllowed
    ├── RequestTimeout, HeadersTooLarge
    ├── Conflict            somebody else took the name first
    ├── TooLarge            more bytes or rows than the limits allow
    ├── UnsupportedMedia    a body in a form that this address does not read
    ├── Overloaded, Cancelled, DeadlineExceeded
    ├── Internal            our fault
    ├── Unimplemented       this server does not offer that
    ├── NotReady            starting, draining, or no such version is ready yet
    └── BundleRejected      a bundle is broken, or does not answer as its estimator did
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from heapq import nlargest
from itertools import islice, pairwise
from typing import ClassVar

MAX_PROBLEMS = 20
"""How many problems one message lists."""

MAX_TEXT = 1_500
"""How many characters a list of problems takes: gRPC sends it twice, in 8 KiB of trailing metadata."""

MAX_QUOTED = 60
"""How many characters of a caller's value are repeated in a message."""

MAX_CANDIDATES = 2_000
"""How many known names are searched for the nearest one: the search is on the path of a wrong request."""

_COMPARED = 50
"""How many of them are compared letter by letter."""


class Code(StrEnum):
    """The remedy: what a caller can do about an error."""

    INVALID_INPUT = "INVALID_INPUT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    CONFLICT = "CONFLICT"
    TOO_LARGE = "TOO_LARGE"
    UNSUPPORTED_MEDIA = "UNSUPPORTED_MEDIA"
    OVERLOADED = "OVERLOADED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    NOT_READY = "NOT_READY"
    DEADLINE = "DEADLINE"


class SigmaxError(Exception):
    """The root of the tree; `str(error)` is the text for the caller."""

    code: ClassVar[Code] = Code.INTERNAL


class InvalidInput(SigmaxError):
    """The caller's data or options are wrong."""

    code = Code.INVALID_INPUT


class Unauthenticated(SigmaxError):
    """The caller has not said who it is."""

    code = Code.UNAUTHENTICATED


class Forbidden(SigmaxError):
    """The caller is known and may not do this."""

    code = Code.FORBIDDEN


class NotFound(SigmaxError):
    """No such model, version or address."""

    code = Code.NOT_FOUND


class MethodNotAllowed(SigmaxError):
    """The address exists, for other methods."""

    code = Code.METHOD_NOT_ALLOWED


class RequestTimeout(SigmaxError):
    """The request did not arrive in time."""

    code = Code.REQUEST_TIMEOUT


class HeadersTooLarge(SigmaxError):
    """More header bytes than the limit."""

    code = Code.HEADERS_TOO_LARGE


class Conflict(SigmaxError):
    """Somebody else took the name first."""

    code = Code.CONFLICT


class TooLarge(SigmaxError):
    """More bytes or rows than the limits allow."""

    code = Code.TOO_LARGE


class UnsupportedMedia(SigmaxError):
    """The body comes in a form that this address does not read."""

    code = Code.UNSUPPORTED_MEDIA


class Overloaded(SigmaxError):
    """More work than the server takes on; try again later.

    Attributes:
        retry_after: seconds after which it may be worth it.
    """

    code = Code.OVERLOADED

    def __init__(self, text: str, retry_after: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Cancelled(SigmaxError):
    """The caller went away."""

    code = Code.CANCELLED


class Internal(SigmaxError):
    """Our fault; the details are in the log under an opaque id."""

    code = Code.INTERNAL


class Unimplemented(SigmaxError):
    """This server does not offer that."""

    code = Code.UNIMPLEMENTED


class NotReady(SigmaxError):
    """Starting, draining, or nothing to answer with yet."""

    code = Code.NOT_READY


class DeadlineExceeded(SigmaxError):
    """The caller's time ran out before the answer was there."""

    code = Code.DEADLINE


class BundleRejected(SigmaxError):
    """A bundle is broken, or does not answer as its estimator did."""

    code = Code.INVALID_INPUT


def listed(problems: Sequence[str]) -> str:
    """Join problems into one text: all of them, or as many as fit and a word that there are more."""
    shown: list[str] = []
    length = 0
    for problem in problems[:MAX_PROBLEMS]:
        length += len(problem)
        if shown and length > MAX_TEXT:
            break
        shown.append(problem)
    return "; ".join(shown) + ("; and more" if len(problems) > len(shown) else "")


def quoted(value: object) -> str:
    """Repeat a caller's value in a message: readable, on one line and bounded in length."""
    text = value if isinstance(value, str) else repr(value)
    if len(text) > MAX_QUOTED:
        text = text[: MAX_QUOTED - 1] + "…"
    if not text.isprintable():
        text = text.encode("unicode_escape", "backslashreplace").decode()
    return f"'{text}'"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant, as in `, did you mean 'petal width (cm)'?`; empty if none is near."""
    wanted = _letters(name)
    candidates = {_letters(text): text for text in islice(known, MAX_CANDIDATES)}
    matches = difflib.get_close_matches(wanted, _likely(wanted, list(candidates)), n=1, cutoff=0.6)
    return f", did you mean {quoted(candidates[matches[0]])}?" if matches else ""


def _letters(text: str) -> str:
    """A text taken apart (NFD), in one letter case: a Korean syllable with one other letter in it is near."""
    return unicodedata.normalize("NFD", text[:200].casefold())


def _likely(wanted: str, candidates: list[str]) -> list[str]:
    """Of many candidates those with the most pairs of letters in common: comparing all takes 0.1 s."""
    if len(candidates) <= _COMPARED:
        return candidates
    pairs = set(pairwise(f" {wanted} "))

    def shared(text: str) -> float:
        own = set(pairwise(f" {text} "))
        return len(pairs & own) / (len(pairs) + len(own))

    return nlargest(_COMPARED, candidates, shared)
