"""What a refusal has to look like, on both doors, and that the server goes on after it."""

from __future__ import annotations

import re
from typing import Any

from sigmax.conform.check import Unmet
from sigmax.conform.http import JSON, Headers, Reply
from sigmax.conform.subject import Subject

CLIENT_ERRORS = range(400, 500)

_INSIDES = re.compile(
    r"Traceback \(most recent|File \"[^\"]+\", line \d+|<class '|\bat 0x[0-9a-f]{6,}|site-packages"
    r"|\b(?:[A-Z][a-z]+)+(?:Error|Exception)\b|\b[\w.]+\.[\w.]+Exception\b|core dumped",
)
"""Traces of a program in a text for its callers: tracebacks, addresses, names of classes."""


def text_of(reply: Reply) -> str:
    """The text of an error.

    Raises:
        Unmet: the body is not {"error": text}.
    """
    said: Any = reply.json() if reply.body else None
    if not isinstance(said, dict) or not isinstance(said.get("error"), str) or not said["error"]:
        raise Unmet('{"error": text}', reply if reply.body else f"{reply.status} with an empty body")
    text: str = said["error"]
    return text


def refused(reply: Reply, statuses: range | tuple[int, ...] = CLIENT_ERRORS) -> None:
    """Take an answer with one of these statuses and the standard's error body.

    Raises:
        Unmet: it is none.
    """
    if reply.status not in statuses:
        wanted = "4xx" if len(statuses) > 9 else " or ".join(map(str, statuses))
        raise Unmet(f'{wanted} and {{"error": text}}', reply)
    text_of(reply)


def refuses(subject: Subject, body: bytes, headers: Headers = JSON) -> None:
    """Send a wrong body, which is refused, and the request that works, which is answered as before."""
    subject.require_sample()
    refused(subject.infer(body, headers))
    subject.still_answers()


def insides(text: str) -> str | None:
    """What a text gives away of the program behind it; None for a clean one."""
    found = _INSIDES.search(text)
    return found.group() if found else None
