"""What an operator asks of a running service: what answers since when, what was refused, and why.

Plain JSON values. `GET /status` answers with them and `sigmax status` prints them; neither says a path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sigmax import __version__
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.readiness import Readiness


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that answers.

    Attributes:
        pid: of the process.
        ready: whether it answers.
        restarts: how often it was replaced.
        since: when it started, in seconds since 1970.
    """

    pid: int
    ready: bool
    restarts: int
    since: float


Workers = Callable[[], Awaitable[Sequence[Worker]]]


class Status:
    """Asked by the HTTP door."""

    def __init__(self, catalog: Catalog, readiness: Readiness, workers: Workers | None = None) -> None:
        """Made when the service starts.

        Args:
            catalog: what answers.
            readiness: whether the service does.
            workers: all processes of the service; without it, this one alone.
        """
        self._catalog, self._readiness = catalog, readiness
        self._workers = workers or self._alone
        self._since = time.time()

    async def __call__(self) -> dict[str, Any]:
        """The status of the whole service, as far as it is known here."""
        workers, reason = await self._workers(), self._readiness.reason
        since = min([worker.since for worker in workers], default=self._since)
        return {
            "service": "sigmax",
            "version": __version__,
            "ready": not reason,
            "reason": reason,
            "since": _said(since),
            "uptime_seconds": round(max(time.time() - since, 0), 3),
            "workers": [_worker(worker) for worker in workers],
            "models": [_model(entry) for entry in self._catalog.entries],
        }

    async def _alone(self) -> list[Worker]:
        return [Worker(os.getpid(), self._readiness.ready, 0, self._since)]


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "pid": worker.pid,
        "ready": worker.ready,
        "restarts": worker.restarts,
        "since": _said(worker.since),
    }


def _model(entry: Entry) -> dict[str, Any]:
    refused = [{"version": str(number), "reason": reason} for number, reason in entry.rejected.items()]
    return {
        "name": entry.name,
        "ready": entry.served is not None,
        "version": entry.served.version if entry.served else "",
        "since": _said(entry.since) if entry.served else "",
        "refused": refused,
        "note": entry.note,
    }


def _said(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
