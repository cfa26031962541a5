"""One table of a TOML file, read key by key, so that a wrong file reports all its mistakes at once.

Knows nothing of jobs: what the keys mean is the caller's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sigmax.errors import nearest, quoted

T = TypeVar("T")


class Table:
    """A table whose problems are collected; a wrong value reads as the fallback, and reading goes on.

    Args:
        values: what stands in the file.
        where: the table's name with a dot behind it, empty for the file itself.
        problems: the list that everything wrong is added to; shared with the tables inside.
        outer: the table of the file itself; None if this is it.
    """

    def __init__(
        self, values: Mapping[str, Any], where: str, problems: list[str], outer: Table | None = None
    ) -> None:
        self._values = values
        self._where = where
        self._problems = problems
        self._known: dict[str, None] = {}  # in the order of reading
        self._asked: dict[str, None] = {}
        self._fixed = True
        self._closed = False
        self._outer = outer or self
        self._inside: list[Table] = []

    def __contains__(self, key: str) -> bool:
        self._asked[key] = None  # a key that would be read if it were there can be the one that is meant
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        self._fixed = False  # its keys are the caller's own names
        return iter(self._values)

    def value(self, key: str) -> Any:
        """What stands there, of whatever type; None if nothing does."""
        return self._get(key, None)

    def is_table(self, key: str) -> bool:
        """Whether a table stands there."""
        return isinstance(self._values.get(key), dict)

    def is_list(self, key: str) -> bool:
        """Whether a list stands there."""
        return isinstance(self._values.get(key), list)

    def right(self, key: str) -> bool:
        """Whether nothing that was read of a key, or inside it, is wrong so far."""
        begins = (f"{self._where}{key} ", f"{self._where}{key}.")
        return not any(problem.startswith(begins) for problem in self._problems)

    def problem(self, key: str, text: str) -> None:
        """Note what is wrong with a key."""
        self._problems.append(f"{self._where}{key} {text}")

    def refuse(self, key: str, text: str) -> None:
        """Say something better of a key that is not for here than that it is not known."""
        if key in self._values:
            self._known[key] = None
            self.problem(key, text)

    def table(self, key: str) -> Table:
        """A table inside this one; an absent one is empty, and of what is none nothing more is said."""
        value = self._get(key, {})
        where = f"{self._where}{key}."
        if isinstance(value, dict):
            table = Table(value, where, self._problems, self._outer)
            self._outer._inside.append(table)
            return table
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            self.problem(key, f"is one table: write [{where[:-1]}], not [[{where[:-1]}]]")
        else:
            self.problem(key, f"is a table, not {quoted(value)}")
        return Table({}, where, [])

    def text(self, key: str, fallback: str | None = None) -> str:
        """A text that is not empty; without a fallback it must be there."""
        value = self._get(key, fallback)
        if isinstance(value, str) and value and "\0" not in value:
            return value
        nul = " and has no NUL in it" if isinstance(value, str) and value else ""
        return self._wrong(key, value, f"a text that is not empty{nul}", "")

    def choice(self, key: str, known: Sequence[str], fallback: str | None = None) -> str:
        """One of the known words."""
        value = self._get(key, fallback)
        if value in known and isinstance(value, str):
            return value
        hint = nearest(value, known) if isinstance(value, str) else ""
        return self._wrong(key, value, f"one of {', '.join(known)}", known[0], hint)

    def flag(self, key: str, fallback: bool) -> bool:
        """True or false."""
        value = self._get(key, fallback)
        return value if isinstance(value, bool) else self._wrong(key, value, "true or false", fallback)

    def integer(self, key: str, fallback: int, low: int, high: int = 2**31 - 1) -> int:
        """An integer in [low, high]."""
        value = self._get(key, fallback)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        bounds = f"of at least {low}" if high == 2**31 - 1 else f"from {low} to {high}"
        return self._wrong(key, value, f"an integer {bounds}", fallback)

    def number(self, key: str, fallback: float, low: float = 0.0, high: float = math.inf) -> float:
        """A finite number between the bounds, which do not belong to it."""
        value = self._get(key, fallback)
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if known and low < value < high and abs(value) <= sys.float_info.max:
            return float(value)
        bounds = f"above {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        return self._wrong(key, value, f"a number {bounds}", fallback)

    def integers(self, key: str, fallback: tuple[int, ...]) -> tuple[int, ...]:
        """A list of positive integers; it may be empty."""
        value = self._get(key, list(fallback))
        if isinstance(value, list) and all(type(item) is int and item > 0 for item in value):
            return tuple(value)
        return self._wrong(key, value, "a list of positive integers", fallback)

    def numbers(self, key: str, fallback: tuple[float, ...]) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self._get(key, list(fallback))
        known = isinstance(value, list) and all(type(item) in (int, float) for item in value)
        if known and all(abs(item) <= sys.float_info.max for item in value):  # NaN is not
            return tuple(float(item) for item in value)
        return self._wrong(key, value, "a list of numbers", fallback)

    def texts(self, key: str, *, empty: bool = False, none: bool = False) -> tuple[str, ...]:
        """A list of different texts.

        Args:
            key: of the list.
            empty: an empty text has a meaning.
            none: so has an empty list.
        """
        value = self._get(key, None)
        known = isinstance(value, list) and (value or none) and all(isinstance(item, str) for item in value)
        if known and len(set(value)) == len(value) and (empty or "" not in value):
            return tuple(value)
        return self._wrong(key, value, "a list of different texts", ())

    def sign(self, key: str, *, empty: bool = False) -> str:
        """One ASCII character that is no line end; none at all only where that has a meaning."""
        value = self._get(key, None)
        known = isinstance(value, str) and value.isascii() and value not in ("\n", "\r", "\0")
        if known and (len(value) == 1 or (empty and not value)):
            return str(value)
        return self._wrong(key, value, "one ASCII character" + (", or an empty text" if empty else ""), "\0")

    def sides(self, key: str, high: int) -> tuple[int, int]:
        """Height and width, each in [1, high]: one number for both, or a list of two."""
        value = self._get(key, None)
        sides = value if isinstance(value, list) else [value, value]
        if len(sides) == 2 and all(type(side) is int and 1 <= side <= high for side in sides):
            return (sides[0], sides[1])
        return self._wrong(key, value, f"a number of pixels from 1 to {high}, or [height, width]", (1, 1))

    def labels(self, key: str) -> tuple[str, ...] | None:
        """A list of two or more different labels (integers and booleans stand for their texts), or None."""
        value = self._get(key, None)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
            found = tuple(label_of(item) for item in value)
            if "" not in found and len(set(found)) == len(found) >= 2:
                return found
        return self._wrong(key, value, "a list of two or more different labels", None)

    def label(self, key: str) -> str | None:
        """One label, or None if it is not there."""
        value = self._get(key, None)
        if value is None:
            return None
        if isinstance(value, str | int) and value != "":
            return label_of(value)
        return self._wrong(key, value, "a label", None)

    def close(self) -> None:
        """Refuse every key that nobody asked for; closing the file's own table says so of those inside, too.

        It is said last, because a key can be the one that another table has.
        """
        self._closed = True
        if self._outer is self:
            for table in (*self._inside, self):
                if table._closed:
                    table._refuse_unknown()

    def _refuse_unknown(self) -> None:
        for key in self._values:
            if key not in self._known:
                self.problem(key, f"is not a key that is known here{self._meant(key)}")

    def _meant(self, key: str) -> str:
        """Say which key is meant: the same of another table, else the nearest here, else one near there."""
        tables = [
            table for table in (self._outer, *self._outer._inside) if table is not self and table._fixed
        ]
        others = {name: table._where + name for table in reversed(tables) for name in table._names()}
        if key in others:
            return f", did you mean {quoted(others[key])}?"
        here = nearest(key, sorted(set(self._names()) - {key}))
        there = (f", did you mean {quoted(full)}?" for name, full in others.items() if nearest(key, [name]))
        return here or next(there, "")

    def _names(self) -> tuple[str, ...]:
        return (*self._known, *self._asked)

    def _get(self, key: str, fallback: Any) -> Any:
        self._known[key] = None
        return self._values.get(key, fallback)

    def _wrong(self, key: str, value: Any, expected: str, fallback: T, hint: str = "") -> T:
        if value is None:
            self.problem(key, f"is missing: {expected}")
        else:
            self.problem(key, f"is {expected}, not {quoted(value)}{hint}")
        return fallback


def label_of(value: str | int | bool) -> str:
    """The canonical text of a label: integers in decimal, booleans `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_integer(text: str) -> bool:
    """Whether a text is an integer of 64 bits in canonical decimal: no plus, no leading zero."""
    digits = text.removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and len(digits) < 20 and str(int(text)) == text
    return plain and -(2**63) <= int(text) < 2**63
