"""The extension `statistics`: what became of a model's requests, and where their time went.

Both doors of the Open Inference Protocol answer with it. The figures are of the whole service, all of its
processes, from its start; those of a version that has given way to another stay in `GET /metrics` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from sigmax.errors import InvalidInput, quoted
from sigmax.inference.catalog import Catalog, Served
from sigmax.telemetry.account import Stages, Totals
from sigmax.telemetry.metrics import FAMILIES, LAST, SIZES, STAGES, TOTALS, Metrics
from sigmax.telemetry.totals import Figures, Key, Value

NEEDED = (TOTALS, STAGES, LAST, SIZES)
"""The families of figures that are asked for."""

Gather = Callable[[], Awaitable[Figures]]
"""Gives the figures of the service, of the families that are needed at least."""

NEVER = {"count": 0, "ns": 0}


def own(metrics: Metrics) -> Gather:
    """The figures of this process alone."""

    async def gather() -> Figures:
        return metrics.figures()

    return gather


class Statistics:
    """Asked by both doors."""

    def __init__(self, catalog: Catalog, gather: Gather) -> None:
        self._catalog, self._gather = catalog, gather

    async def __call__(self, model: str = "", version: str = "") -> dict[str, Any]:
        """The versions that answer, as `GET /v2/models/{m}/stats` and `ModelStatistics` say them.

        Args:
            model: empty for every model.
            version: empty for the one that answers.

        Raises:
            InvalidInput: a version of no model.
            NotFound: no such model or version.
            NotReady: it was refused, or the figures cannot be had.
        """
        served = self._asked(model, version)
        figures = await self._gather()
        sizes = _by_size(figures)
        return {
            "model_stats": [_said(one, figures, sizes.get((one.name, one.version), {})) for one in served]
        }

    def _asked(self, model: str, version: str) -> list[Served]:
        if model:
            return [self._catalog.find(model, version)]
        if version:
            raise InvalidInput(f"version {quoted(version)} of no model: name the model, too")
        return [entry.served for entry in self._catalog.entries if entry.served is not None]


Sizes = dict[int, Value]
"""What was counted of the runs of so many rows."""


def _by_size(figures: Mapping[Key, Value]) -> dict[tuple[str, str], Sizes]:
    """By model and version."""
    found: dict[tuple[str, str], Sizes] = {}
    for (_, name, labels), value in figures.items():
        if name == SIZES:
            model, version, rows = labels
            found.setdefault((model, version), {})[int(rows)] = value
    return found


def _said(served: Served, figures: Mapping[Key, Value], sizes: Sizes) -> dict[str, Any]:
    """One version; all zeros if it was never asked."""

    def figure(name: str, absent: Any) -> Any:
        return figures.get((FAMILIES[name].kind, name, (served.name, served.version)), absent)

    totals = Totals(*figure(TOTALS, [0] * len(Totals._fields)))
    stages = Stages(*figure(STAGES, [0] * len(Stages._fields)))
    return {
        "name": served.name,
        "version": served.version,
        "last_inference": figure(LAST, 0),
        "inference_count": totals.rows,
        "execution_count": totals.runs,
        "inference_stats": {
            "success": _duration(totals.answers, totals.success),
            "fail": _duration(totals.failures, totals.fail),
            **{stage: _duration(totals.answers, ns) for stage, ns in stages._asdict().items()},
            "cache_hit": NEVER,
            "cache_miss": NEVER,
        },
        "response_stats": {},
        "batch_stats": _batches(sizes.items()),
        "memory_usage": [],
    }


def _batches(sizes: Iterable[tuple[int, Any]]) -> list[dict[str, Any]]:
    """The runs by size, smallest first."""
    return [_batch(rows, *counted) for rows, counted in sorted(sizes)]


def _batch(rows: int, count: int, reading: int, infer: int, rendering: int) -> dict[str, Any]:
    return {
        "batch_size": rows,
        "compute_input": _duration(count, reading),
        "compute_infer": _duration(count, infer),
        "compute_output": _duration(count, rendering),
    }


def _duration(count: int, nanoseconds: int) -> dict[str, int]:
    return {"count": count, "ns": nanoseconds}
