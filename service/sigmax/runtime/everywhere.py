"""Models listed, loaded and unloaded in every process of a service: one's own share, and all shares as one.

A worker asks the supervisor, the supervisor tells every worker (`commands.py`), each does its share, and the
one that was asked makes one answer of all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sigmax.errors import Code, DeadlineExceeded, Internal, NotFound, NotReady, SigmaxError
from sigmax.inference.control import Control, Indexed, State
from sigmax.inference.dispatch import unforeseen
from sigmax.runtime.commands import INDEX, LATE, LOAD, UNLOAD
from sigmax.runtime.spawn import Message
from sigmax.telemetry.metrics import OK

Command = Callable[[str, str], Awaitable[list[Any]]]
"""Has a verb done to a model in every process; what each answers."""

NOTHING: Message = {"code": ""}
"""The share of a worker that answers no requests yet, or none any more."""

ELSEWHERE = "not every process of the service answers with it"

_KINDS: dict[str, type[SigmaxError]] = {
    Code.NOT_FOUND: NotFound,
    Code.NOT_READY: NotReady,
    Code.INTERNAL: Internal,
}


async def share(control: Control, verb: str, model: str) -> Message:
    """Do a command in this process; what came of it, for JSON."""
    try:
        match verb:
            case "index":
                return {"code": OK, "index": await control.index()}
            case "load":
                await control.load(model)
            case _:
                await control.unload(model)
    except Exception as error:
        said = error if isinstance(error, SigmaxError) else unforeseen(error)
        return {"code": said.code.value, "text": str(said)}
    return {"code": OK}


class Everywhere:
    """`Control` over every process of a service."""

    def __init__(self, command: Command) -> None:
        self._command = command

    async def index(self) -> list[Indexed]:
        """Every version that any process knows; READY are those with which all of them answer.

        Raises:
            NotReady: no process has said anything.
        """
        answers = await self._command(INDEX, "")
        said = [answer["index"] for answer in answers if answer != LATE and answer["code"] == OK]
        if not said:
            raise NotReady("no process of the service says what it has; it may be shutting down")
        return merged([[Indexed(*one) for one in index] for index in said])

    async def load(self, name: str) -> None:
        """Have every process look at a model's files now, and answer with the highest version.

        Raises:
            SigmaxError: of the first process that could not.
            DeadlineExceeded: one has not answered; it goes on.
        """
        _check(name, await self._command(LOAD, name))

    async def unload(self, name: str) -> None:
        """Have no process answer for a model, until it is loaded on request. Errors as `load`."""
        _check(name, await self._command(UNLOAD, name))


def merged(indices: Sequence[Sequence[Indexed]]) -> list[Indexed]:
    """One index of those of several processes: what is READY in all of them is, what in some, is LOADING."""
    every = [one for index in indices for one in index]
    order = sorted(every, key=lambda one: (one.name, -int(one.version or 0)))
    found = []
    for _, group in groupby(order, key=attrgetter("name", "version")):
        found.append(_one(list(group), len(indices)))
    return found


def _one(said: Sequence[Indexed], processes: int) -> Indexed:
    """What is to be said of one version, of which each process has said something or nothing."""
    idle = [one for one in said if one.state != State.READY]
    if len(idle) == len(said):
        return next((one for one in idle if one.state == State.LOADING), idle[0])
    if idle or len(said) < processes:
        reason = idle[0].reason if idle else ELSEWHERE
        return said[0]._replace(state=State.LOADING, reason=reason)
    return said[0]


def _check(name: str, answers: Iterable[Any]) -> None:
    for answer in answers:
        if answer != LATE and answer["code"] not in ("", OK):
            raise _KINDS.get(answer["code"], Internal)(answer["text"])
    if LATE in answers:
        raise DeadlineExceeded(f"model '{name}': a process has not done so in time, and goes on")
