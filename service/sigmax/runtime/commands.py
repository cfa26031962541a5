"""What all workers are told to load and unload, one command to a model at a time, and what stays unloaded.

The supervisor's part of `everywhere.py`. It passes on what the workers answer and understands none of it but
that: a worker which is started later has to be told what was unloaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from sigmax.runtime.child import Child, State
from sigmax.runtime.spawn import Message

LATE = "late"
"""The answer of a worker that has not answered in time."""

INDEX, LOAD, UNLOAD = "index", "load", "unload"
_INDEX_SECONDS = 1.5  # less than a worker waits for the supervisor


class Commands:
    """Kept by the supervisor."""

    def __init__(self, patience: float) -> None:
        """Nothing is unloaded yet.

        Args:
            patience: seconds that a worker may take to load a model.
        """
        self._patience = patience
        self._unloaded: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def unloaded(self) -> list[str]:
        """The models that no worker may answer for, for JSON."""
        return sorted(self._unloaded)

    async def give(self, children: Sequence[Child], verb: str, model: str) -> list[Any]:
        """Tell every worker, and gather what they answer.

        Args:
            children: the workers, as they are when it is this command's turn.
            verb: `index`, `load` or `unload`.
            model: its name; of an index none.

        Returns:
            An answer a worker, but of those that end before they give one; `LATE` where one takes too long.
        """
        if verb == INDEX:
            return await _told(children, {"verb": verb, "model": model}, _INDEX_SECONDS)
        turn = self._turns.setdefault(model, asyncio.Lock())
        async with turn:
            if verb == UNLOAD:
                self._unloaded.add(model)
            else:
                self._unloaded.discard(model)
            return await _told(children, {"verb": verb, "model": model}, self._patience)


async def _told(children: Sequence[Child], command: Message, seconds: float) -> list[Any]:
    """Those that are starting are told, too: they obey before they answer their first request."""
    told = [child for child in children if child.state is not State.ENDED]
    asked = [asyncio.ensure_future(child.ask({"kind": "command", **command})) for child in told]
    if not asked:
        return []
    done, late = await asyncio.wait(asked, timeout=seconds)
    for task in late:
        task.cancel()
    answers = [task.result() for task in done]
    return [answer for answer in answers if answer is not None] + [LATE] * len(late)
