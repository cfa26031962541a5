"""What the workers counted, the dead ones too, and what became of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sigmax.runtime.child import Child, State
from sigmax.telemetry import totals
from sigmax.telemetry.totals import COUNTER, SUM, Figures

WORKERS = "sigmax_workers"
RESTARTS = "sigmax_worker_restarts"

_GATHER_SECONDS = 0.5
"""How long a worker may take to say what it counted; then what it said last has to do."""


class Ledger:
    """Kept by the supervisor."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._retired: Figures = {}
        self._restarts: Counter[str] = Counter()
        self._last: dict[str, Any] | None = None

    def retire(self, figures: Figures) -> None:
        """Keep the totals of a worker that is gone."""
        totals.add(self._retired, totals.lasting(figures))

    def died(self, child: Child) -> None:
        """Count a worker that should not have ended."""
        self._restarts[child.cause] += 1
        self._last = {"pid": child.pid, "reason": child.reason, "at": round(time.time(), 3)}

    async def gather(self, children: Sequence[Child], families: Sequence[str] = ()) -> list[list[Any]]:
        """Every series of the service, or of some families, as it stands now, for JSON."""
        asked = [child for child in children if child.state in (State.READY, State.LEAVING)]
        waiting = [asyncio.ensure_future(child.ask({"kind": "gather"})) for child in asked]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=_GATHER_SECONDS)
            for task in late:
                task.cancel()
        total = self._own(children)
        totals.add(total, self._retired)
        for child in children:
            totals.add(total, child.figures)
        return totals.changes(totals.of(total, families), {})

    def describe(self, children: Sequence[Child]) -> dict[str, Any]:
        """The state of every worker, for JSON."""
        return {
            "wanted": self._wanted,
            "workers": [child.describe() for child in children],
            "restarts": dict(self._restarts),
            "last_death": self._last,
        }

    def _own(self, children: Sequence[Child]) -> Figures:
        ready = sum(child.state is State.READY for child in children)
        own: Figures = {(SUM, WORKERS, ("wanted",)): self._wanted, (SUM, WORKERS, ("ready",)): ready}
        for cause, count in self._restarts.items():
            own[COUNTER, RESTARTS, (cause,)] = count
        return own
