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
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from heapq import nlargest
from itertools import islice, pairwise
from typing import ClassVar, Self

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

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request; `str(problem)` is what people read of it.

    Attributes:
        message: what was expected and what came.
        field: where, as a path (see `path`); empty where no place is known.
        row: which row, from 0; None where it is not about one.
        feature: which feature; None where it is not about one.
        where: the place as the text names it; empty where the message does.
    """

    message: str
    field: str = ""
    row: int | None = None
    feature: str | None = None
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class SigmaxError(Exception):
    """The root of the tree; `str(error)` is the text for the caller.

    Attributes:
        problems: what the text says, each with its place, as many as the text lists; empty where no place
            is known.
    """

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(self, text: str = "", field: str = "") -> None:
        """Say what is wrong.

        Args:
            text: for the caller.
            field: the one place in the request that it is about, if there is one.
        """
        super().__init__(text)
        self.problems: tuple[Problem, ...] = (Problem(text, field),) if field else ()


class InvalidInput(SigmaxError):
    """The caller's data or options are wrong."""

    code = Code.INVALID_INPUT

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """The error that lists problems, bounded as `listed`; at least one."""
        texts = list(map(str, problems))
        error = cls(listed(texts))
        error.problems = tuple(problems[: _shown(texts)])
        return error


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

    def __init__(self, text: str = "", retry_after: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Cancelled(SigmaxError):
    """The caller went away."""

    code = Code.CANCELLED


class Internal(SigmaxError):
    """Our fault; the details are in the log under an opaque id.

    Attributes:
        reference: that id.
    """

    code = Code.INTERNAL

    def __init__(self, text: str = "", reference: str = "") -> None:
        super().__init__(text)
        self.reference = reference


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
    count = _shown(problems)
    return "; ".join(problems[:count]) + ("; and more" if len(problems) > count else "")


def _shown(problems: Sequence[str]) -> int:
    """How many of them one text lists."""
    length = 0
    for count, problem in enumerate(problems[:MAX_PROBLEMS]):
        length += len(problem)
        if count and length > MAX_TEXT:
            return count
    return min(len(problems), MAX_PROBLEMS)


def path(*steps: str | int) -> str:
    """Where in a request, as JSONPath (RFC 9535) writes it without its `$`: `rows[3]['petal width (cm)']`.

    Args:
        steps: names, which are shortened as in a message, and positions from 0.
    """
    return "".join(map(_step, steps)).removeprefix(".")


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else _named(shortened(step))


@lru_cache(maxsize=1024)
def _named(name: str) -> str:
    """The step to a name, which is short; the same ones come again and again."""
    if _IDENTIFIER.fullmatch(name):
        return f".{name}"
    inner = json.dumps(name, ensure_ascii=not name.isprintable())[1:-1]
    return "['" + inner.replace('\\"', '"').replace("'", "\\'") + "']"


def shortened(text: str) -> str:
    """A caller's name or value, as much of it as a message repeats; what is no character is replaced."""
    return _bounded(text).encode("utf-8", "replace").decode()


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"


def quoted(value: object) -> str:
    """Repeat a caller's value in a message: readable, on one line and bounded in length."""
    text = _bounded(value if isinstance(value, str) else repr(value))
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
