"""Figures as Markdown: medians with their spread, where they were measured, and a file that holds them."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

_TITLE = """# Benchmarks

What the machine said, as it said it; each section is written by the command that it names.
"""


@dataclass(frozen=True, slots=True)
class Spread:
    """One quantity, measured several times."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    def text(self, digits: int = 0) -> str:
        """`median (lowest..highest)`."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f}..{high:,.{digits}f})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def conditions(command: str, packages: Iterable[str]) -> str:
    """When, where and with what something was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    cores = len(os.sched_getaffinity(0))
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {_processor()}, {cores} cores, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def put_section(path: Path, title: str, text: str) -> None:
    """Write a section of a Markdown file, in the place of the one that had its title."""
    before = path.read_text("utf-8") if path.exists() else _TITLE
    head, *sections = re.split(r"^## ", before, flags=re.MULTILINE)
    kept = {section.partition("\n")[0]: section.rstrip() for section in sections}
    kept[title] = f"{title}\n\n{text.strip()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n## ".join([head.rstrip(), *kept.values()]) + "\n", "utf-8")
