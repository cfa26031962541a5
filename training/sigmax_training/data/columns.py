"""One column of text cells as numbers: what it holds, what is missing, and everything that is wrong with it.

The kind of a column is what the job says, else what all of its cells agree on; where they do not agree, the
cells that differ are errors, never a guess.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sigmax.contract import Feature, Kind, Missing, Unknown
from sigmax.errors import quoted
from sigmax.protocol.categories import encode
from sigmax_training.data.dataset import F64, Fill
from sigmax_training.job import IMPUTATIONS, OWN_CATEGORY, REJECT, Column
from sigmax_training.reading import is_integer

BOOLEANS = {"true": 1.0, "false": 0.0}
_ZERO_ONE = {**BOOLEANS, "1": 1.0, "0": 0.0}
_MOST_EXACT = 2**53
_FEW_ROWS = 20
_IDENTIFIES = 0.5
"""A text column with more different texts than this share of its rows names rows, as an identifier does."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of one column as they are written, with the lines that they stand in."""

    name: str
    texts: Sequence[str]
    lines: Sequence[int]
    missing_values: frozenset[str]

    def is_missing(self, text: str) -> bool:
        """Whether a cell means a missing value; one with nothing in it always does."""
        return not text.strip() or text in self.missing_values or text.strip() in self.missing_values


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """A column as the features matrix has it.

    Attributes:
        numbers: (n_samples,), numbers or codes; NaN where a number is missing.
        block: what the column is.
        fill: what is put in place of a missing number.
        problems: what is wrong; the rest means nothing where there is any.
    """

    numbers: F64
    block: Feature
    fill: Fill | None = None
    problems: tuple[str, ...] = ()


def read(cells: Cells, own: Column, default: Column) -> Values:
    """Read a column.

    Args:
        cells: as they are written.
        own: what the job says of this column.
        default: what it says of all columns.
    """
    present = [text for text in cells.texts if not cells.is_missing(text)]
    kind = own.kind or _kind(present)
    wrong = _wrong_settings(cells.name, own, kind)
    if not present:
        wrong = [f"column {quoted(cells.name)} has no value at all: name it in data.ignore"]
    if wrong:
        return Values(np.empty(0), _numeric(cells.name), problems=tuple(wrong))
    if kind is Kind.CATEGORY:
        return _categories(cells, present, own, default)
    return _numbers(cells, kind, own, default)


def _wrong_settings(name: str, own: Column, kind: Kind) -> list[str]:
    """What in a job's words about one column contradicts what the column is."""
    where = f"features.columns.{name}"
    problems = []
    if own.missing == OWN_CATEGORY and kind is not Kind.CATEGORY:
        problems.append(f"{where}: missing = '{OWN_CATEGORY}' is for categories, not for {kind} columns")
    if own.missing in IMPUTATIONS and kind is Kind.CATEGORY:
        problems.append(f"{where}: a category is not imputed; missing is '{REJECT}' or '{OWN_CATEGORY}'")
    if own.unknown is not None and kind is not Kind.CATEGORY:
        problems.append(f"{where}: 'unknown' is for categories, not for {kind} columns")
    return problems


def _kind(present: Sequence[str]) -> Kind:
    """What all cells agree on; numbers, where they do not, so that the others are reported."""
    if all(text.strip().casefold() in BOOLEANS for text in present):
        return Kind.BOOLEAN
    return Kind.NUMERIC if any(_is_number(text) for text in present) else Kind.CATEGORY


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numeric(name: str) -> Feature:
    return Feature(name, Kind.NUMERIC, (), "float64", (0.0, 0.0))


def _numbers(cells: Cells, kind: Kind, own: Column, default: Column) -> Values:
    missing = own.missing or (default.missing if default.missing in IMPUTATIONS else REJECT)
    parse, expected = _PARSERS[kind]
    numbers, problems = np.empty(len(cells.texts)), []
    for row, (text, line) in enumerate(zip(cells.texts, cells.lines, strict=True)):
        number = math.nan if cells.is_missing(text) else parse(text.strip())
        if number is None:
            problems.append(f"{_where(cells, line)}: {quoted(text.strip())} is not {expected}")
        elif math.isnan(number) and missing not in IMPUTATIONS:
            problems.append(f"{_where(cells, line)}: {_no_value(text, 'mean')}")
        numbers[row] = math.nan if number is None else number
    if problems:
        return Values(numbers, _numeric(cells.name), problems=tuple(problems))
    return _imputed(cells.name, kind, numbers, missing, own.fill if own.missing else default.fill)


def _imputed(name: str, kind: Kind, numbers: F64, missing: str, fill: float | None) -> Values:
    block = replace(
        _numeric(name),
        kind=kind,
        dtype=_DTYPES[kind],
        range=(float(np.nanmin(numbers)), float(np.nanmax(numbers))),
    )
    if missing not in IMPUTATIONS:
        return Values(numbers, block)
    return Values(numbers, replace(block, missing=Missing.IMPUTE), Fill(missing, fill))


def _where(cells: Cells, line: int) -> str:
    return f"line {line}, column {quoted(cells.name)}"


def _no_value(text: str, remedy: str) -> str:
    given = f"{quoted(text.strip())} is a missing value" if text.strip() else "the cell is empty"
    return f"{given} (features.missing says what that means, for instance '{remedy}')"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _whole(text: str) -> float | None:
    number = _number(text)
    return number if number is not None and number.is_integer() and abs(number) <= _MOST_EXACT else None


def boolean(text: str) -> float | None:
    """1 or 0 for true and false in any letter case, or for the digits; None for anything else."""
    return _ZERO_ONE.get(text.casefold())


_PARSERS: dict[Kind, tuple[Callable[[str], float | None], str]] = {
    Kind.NUMERIC: (_number, "a finite number"),
    Kind.INTEGER: (_whole, "a whole number of at most 2**53"),
    Kind.BOOLEAN: (boolean, "true, false, 1 or 0"),
}
_DTYPES = {Kind.NUMERIC: "float64", Kind.INTEGER: "int64", Kind.BOOLEAN: "bool"}


def _categories(cells: Cells, present: Sequence[str], own: Column, default: Column) -> Values:
    vocabulary, dtype = vocabulary_of(present)
    problems = [] if own.kind else _identifies(cells, len(vocabulary))
    wanted = own.missing or (REJECT if default.missing in (None, REJECT) else OWN_CATEGORY)
    missing = Missing.CATEGORY if wanted == OWN_CATEGORY else Missing.REJECT
    unknown = own.unknown or default.unknown or Unknown.REJECT
    count = len(vocabulary) + (missing is not Missing.REJECT) + (unknown is not Unknown.REJECT)
    block = Feature(
        cells.name,
        Kind.CATEGORY,
        (),
        dtype,
        (0.0, float(count - 1)),
        missing,
        vocabulary=vocabulary,
        unknown=unknown,
    )
    texts = [None if cells.is_missing(text) else canonical(text, dtype) for text in cells.texts]
    if block.missing_code is None:
        problems += [
            f"{_where(cells, line)}: {_no_value(cell, OWN_CATEGORY)}"
            for cell, text, line in zip(cells.texts, texts, cells.lines, strict=True)
            if text is None
        ]
    numbers = np.empty(0) if problems else encode(block, texts)
    return Values(numbers, block, problems=tuple(problems))


def vocabulary_of(present: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The different categories of a column in order, and what a caller sends for one.

    Integers are ordered by value and sent as integers, booleans as booleans, everything else as text.
    """
    found = {unicodedata.normalize("NFC", text) for text in present}
    if all(is_integer(text.strip()) for text in found):
        return tuple(sorted({text.strip() for text in found}, key=int)), "int64"
    if all(text.strip().casefold() in BOOLEANS for text in found):
        return tuple(sorted({text.strip().casefold() for text in found})), "bool"
    return tuple(sorted(found)), "string"


def canonical(text: str, dtype: str) -> str:
    """A cell as the vocabulary writes it."""
    text = unicodedata.normalize("NFC", text)
    if dtype == "string":
        return text
    return text.strip().casefold()


def _identifies(cells: Cells, different: int) -> list[str]:
    rows = len(cells.texts)
    if rows < _FEW_ROWS or different <= _IDENTIFIES * rows:
        return []
    return [
        f"column {quoted(cells.name)} has {different} different texts in {rows} rows, as an identifier has: "
        f"name it in data.ignore, or say features.columns.{quoted(cells.name)}.kind = 'category'"
    ]
