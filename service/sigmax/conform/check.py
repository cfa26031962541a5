"""What a check is and how it ends.

A check is a row of data with one small function. The function returns if the server keeps the rule, and
raises `Unmet` if it does not, `NotAsked` if the rule does not concern this server, `NoAnswer` if none came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigmax.conform.subject import Subject

_EXCERPT = 160


class Level(StrEnum):
    """How binding a rule is."""

    MUST = "MUST"
    """The standard's text."""

    SHOULD = "SHOULD"
    """The standard is silent or loose, and clients that people use need it."""

    MAY = "MAY"
    """An extension: asked only of a server that offers it, and then binding."""


class Unmet(Exception):
    """The server does not keep the rule."""

    def __init__(self, expected: str, got: object) -> None:
        self.expected, self.got = printable(expected), excerpt(got)
        super().__init__(f"expected {expected}, got {self.got}")


class NotAsked(Exception):
    """The rule does not concern this server or this model; the text says why."""


class NoAnswer(Exception):
    """The server was silent, or closed the connection; the text says which."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the protocol.

    Attributes:
        id: stable; the first letter is the door or the part, the number the rule's in the checklist.
        level: how binding it is.
        sentence: the rule.
        run: asks the server.
        breaks: what does not work, and for whom, where the rule is not kept.
        extension: the name under `extensions` without which the check is skipped; empty for none.
    """

    id: str
    level: Level
    sentence: str
    run: Callable[[Subject], None]
    breaks: str = ""
    extension: str = ""


def excerpt(value: object) -> str:
    """A server's word as it fits a report: on one line, bounded."""
    if isinstance(value, bytes):
        value = value[: 4 * _EXCERPT].decode(errors="replace")
    text = printable(" ".join(str(value).split()))
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def printable(text: str) -> str:
    """A text without what could move a terminal's cursor, or what no encoding takes."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
