"""What each model of a repository costs on this machine, for `sigmax doctor`, which loads nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from sigmax.inference.costs import costs_of
from sigmax.inference.loading import load_entry
from sigmax.repository import layout
from sigmax.runtime.doctor import Finding, Level

_MOST = 50
"""Models that are measured, by name: each may take a twentieth of a second and more to load."""


def findings(models: Path) -> Iterator[Finding]:
    """A finding a model: microseconds of runs of 1, 2, 4, … rows, and where the model runs."""
    names = layout.names(models) if models.is_dir() else []
    for name in names[:_MOST]:
        yield _finding(models, name)
    if len(names) > _MOST:
        yield Finding("models", len(names), f"{len(names) - _MOST} more are not measured", Level.NOTE)


def _finding(models: Path, name: str) -> Finding:
    served = load_entry(models, name).served
    if served is None:
        return Finding(f"model {name}", None, "no version of it can be served: see the log", Level.NOTE)
    costs = costs_of(served.predictor, whole=True)
    return Finding(f"model {name}", asdict(costs), str(costs))
