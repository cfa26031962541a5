"""What an operator asks of a running service: what answers since when, what was refused, and why.

Plain JSON values. `GET /status` answers with them and `sigmax status` prints them; neither says a path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from sigmax import __version__
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.readiness import Readiness

Processes = Callable[[], Awaitable[dict[str, Any]]]
"""What is known of the processes of the service: `wanted`, `workers`, `restarts`, `last_death`."""


class Status:
    """Asked by the HTTP door."""

    def __init__(self, catalog: Catalog, readiness: Readiness, processes: Processes | None = None) -> None:
        """Made when the service starts.

        Args:
            catalog: what answers.
            readiness: whether the service does.
            processes: all of the service; without it, this one alone.
        """
        self._catalog, self._readiness = catalog, readiness
        self._processes = processes or self._alone
        self._started = time.monotonic()

    async def __call__(self) -> dict[str, Any]:
        """The status of the service; of the models, as the process that answers has them."""
        reason = self._readiness.reason
        return {
            "service": "sigmax",
            "version": __version__,
            "ready": not reason,
            "reason": reason,
            "processes": await self._processes(),
            "models": [_model(entry) for entry in self._catalog.entries],
        }

    async def _alone(self) -> dict[str, Any]:
        seconds = round(time.monotonic() - self._started, 3)
        worker = {"pid": os.getpid(), "state": "ready", "seconds": seconds, "loading": ""}
        return {"wanted": 1, "workers": [worker], "restarts": {}, "last_death": None}


def _model(entry: Entry) -> dict[str, Any]:
    refused = [{"version": str(number), "reason": reason} for number, reason in entry.rejected.items()]
    return {
        "name": entry.name,
        "ready": entry.served is not None,
        "version": entry.served.version if entry.served else "",
        "since": _said(entry.since) if entry.served else "",
        "labels": dict(entry.labels),
        "refused": refused,
        "note": entry.note,
        "unloaded": entry.unloaded,
    }


def _said(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
