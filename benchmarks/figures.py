"""The figures of every section as JSON: one that is measured anew stands beside what the others measured.

`docs/benchmarks/figures.json` holds an object a section: when and how it was measured, `figures` (a list of
values a name, one a round) and `curves` (points for plots).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Figures = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a section came to.

    Attributes:
        text: Markdown, without the title.
        figures: values of the rounds, by name.
        curves: points (x, y) for plots, by name.
        failures: what could not be measured, and why.
    """

    text: str
    figures: Figures = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


def put(path: Path, section: str, outcome: Outcome) -> None:
    """Write a section's figures, in the place of those that it had."""
    document = _read(path)
    document[section] = {
        "figures": {name: _rounded(values) for name, values in outcome.figures.items()},
        "curves": {name: [_rounded(point) for point in points] for name, points in outcome.curves.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(document), "utf-8")


def figures(path: Path) -> dict[str, list[float]]:
    """All figures of all sections, by name."""
    return {
        name: values
        for section in _read(path).values()
        for name, values in section["figures"].items()
        if values
    }


def curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """All curves of all sections, by name."""
    return {
        name: [(x, y) for x, y in points]
        for section in _read(path).values()
        for name, points in section["curves"].items()
    }


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return document


def _rounded(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def _lines(document: dict[str, Any]) -> str:
    """A line a figure: a difference between two runs can be read."""
    sections = []
    for section, content in document.items():
        parts = []
        for kind in ("figures", "curves"):
            entries = [f"   {json.dumps(name)}: {json.dumps(held)}" for name, held in content[kind].items()]
            parts.append(f"  {json.dumps(kind)}: {{\n" + ",\n".join(entries) + "\n  }")
        sections.append(f" {json.dumps(section)}: {{\n" + ",\n".join(parts) + "\n }")
    return "{\n" + ",\n".join(sections) + "\n}\n"
