"""Keys of a job that a caller sets without writing a file: `estimator.C=0.1`.

What the keys mean, and whether there are such, is left to the reading of the job, so that a mistake here is
reported as one in the file is.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from sigmax.errors import InvalidInput, quoted

FORM = (
    "KEY=VALUE as in estimator.C=0.1, estimator.hidden=[64, 32] or "
    "'features.columns.\"a.b\".kind=integer', VALUE in TOML"
)
"""What is shown to whoever wrote something else."""

_PART = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^."'=]+?)\s*([.=])""", re.DOTALL)
_OPENS = ("[", "{", '"', "'")
"""What a value of TOML begins with that is no bare word."""


@dataclass(frozen=True, slots=True)
class Override:
    """One key and what it is set to.

    Attributes:
        path: the key's parts, from the outermost table on.
        value: as TOML has it.
    """

    path: tuple[str, ...]
    value: Any


def parse(text: str) -> Override:
    """Read `a.b=c`: parts of the key bare (of any alphabet) or quoted, the value TOML or a bare word.

    Raises:
        InvalidInput: saying what is wrong, and showing the right form.
    """
    path: list[str] = []
    place, behind = 0, "."
    while behind == ".":
        match = _PART.match(text, place)
        if match is None:
            raise InvalidInput(f"{quoted(text)} is not {FORM}")
        path.append(_unquoted(match[1], text))
        place, behind = match.end(), match[2]
    return Override(tuple(path), _value(text[place:].strip(), text))


def applied(document: Mapping[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    """A job's document with some keys set; the later of two that contradict each other stands.

    What is no table and has a key set in it becomes one.
    """
    merged: dict[str, Any] = copy.deepcopy(dict(document))
    for override in overrides:
        table = merged
        for part in override.path[:-1]:
            if not isinstance(table.get(part), dict):
                table[part] = {}
            table = table[part]
        table[override.path[-1]] = copy.deepcopy(override.value)
    return merged


def _unquoted(part: str, text: str) -> str:
    if part[0] not in "\"'":
        return part
    try:
        (key,) = tomllib.loads(f"{part} = 0")
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise InvalidInput(f"{quoted(text)} is not {FORM}: {quoted(part)} is no key") from error
    return key


def _value(right: str, text: str) -> Any:
    if not right:
        raise InvalidInput(f'{quoted(text)} is not {FORM}: behind the = nothing stands (an empty text is "")')
    try:
        document = tomllib.loads(f"value = {right}")
    except (ValueError, RecursionError) as error:
        if right.startswith(_OPENS):
            raise InvalidInput(f"{quoted(text)} is not {FORM}: {quoted(right)} is not TOML") from error
        return right
    if list(document) != ["value"] or isinstance(document["value"], date | time):
        return right  # lines behind the first are no further keys; no key of a job is a date
    return document["value"]
