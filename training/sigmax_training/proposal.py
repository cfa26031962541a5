"""What the proposals of jobs have in common: a model's name, TOML's texts, classes in a line."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from sigmax.errors import quoted

SHOWN_CLASSES = 12
"""How many classes are named; of a summary, too."""


def job_name(folder: Path, otherwise: str = "pictures") -> str:
    """A model's name from a folder's: ASCII letters and digits, the rest as '_'."""
    plain = unicodedata.normalize("NFKD", folder.resolve().name).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9-]+", "_", plain).strip("_-")
    return name[:64] or otherwise


def text(value: str) -> str:
    """A TOML string; JSON escapes all that TOML wants escaped, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A part of a TOML key: bare where it can be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else text(name)


def comment(value: str) -> str:
    """A text that stays on its line."""
    return value if value.isprintable() else quoted(value)


def classes(counts: Mapping[str, int]) -> str:
    """The classes with how many rows each has, the first of many."""
    shown = [f"{quoted(label)} {count}" for label, count in list(counts.items())[:SHOWN_CLASSES]]
    return ", ".join(shown) + (", …" if len(counts) > SHOWN_CLASSES else "")
