"""Figures as Markdown: medians with their spread, where they were measured, and a file that holds them."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

FIRST = "Targets"
"""The title of the section that is kept in front of the others."""

PACKAGES = (
    *("grpcio", "uvicorn", "uvloop", "httptools", "starlette", "fastapi", "pydantic", "msgspec", "numpy"),
    "onnxruntime",
)
"""Whose versions a measurement of the service names."""

_TITLE = """# Benchmarks

What the machine said, as it said it; each section is written by the command that it names, all of them by
`make bench`. Compare ratios, not requests a second of two machines. OIP is the Open Inference Protocol,
version 2.
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


def ratios(own: Spread, other: Spread) -> Spread:
    """One quantity as a multiple of another, round by round."""
    return Spread(tuple(one / base for one, base in zip(own.values, other.values, strict=True)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def command(program: str) -> str:
    """How this process was started, as a person would type it."""
    return " ".join([program, *map(shlex.quote, sys.argv[1:])])


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def conditions(command: str, packages: Iterable[str] = PACKAGES) -> str:
    """When, where and with what something was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {_processor()}, {cores()} cores, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def put_section(path: Path, title: str, text: str, *, last: bool = False) -> None:
    """Write a section of a Markdown file.

    Args:
        path: the file; it is made if it is not there.
        title: the section takes the place of the one with its title; the targets come first.
        text: without the title.
        last: behind all others instead.
    """
    before = path.read_text("utf-8") if path.exists() else _TITLE
    head, *sections = re.split(r"^## ", before, flags=re.MULTILINE)
    kept = {section.partition("\n")[0]: section.rstrip() for section in sections}
    if last:
        kept.pop(title, None)
    kept[title] = f"{title}\n\n{text.strip()}"
    first = [kept.pop(FIRST)] if FIRST in kept else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n## ".join([head.rstrip(), *first, *kept.values()]) + "\n", "utf-8")
