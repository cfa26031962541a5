"""Rows of a CSV file as columns, each cell read as its feature's kind, in the dialects that training reads.

A table of one request is held whole, and by the standard library: what a value may be is left to `protocol`.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sigmax.contract import Feature, Kind
from sigmax.errors import InvalidInput, Problem, quoted
from sigmax.protocol.schema import Schema
from sigmax.protocol.values import refuse_any

Cell = Callable[[str], Any]

_DIGITS = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_WORDS = {"true": True, "false": False}
_OTHER_DELIMITERS = ";\t|,"
_HEAD = 1 << 20
"""Bytes by which an encoding is guessed."""

_LIKELY = ("cp949", "cp1252")
"""Korean first: its pairs of bytes are strict, while nearly every byte is a letter of Western Europe."""

_NUMBER_BY_THE_OTHER_SIGN = re.compile(
    r"expected a (?:whole )?number, got the text '[+-]?[0-9]*([.,])[0-9]+'"
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written, as the keys of a job's [data] have it.

    Attributes:
        delimiter: what stands between cells.
        encoding: as Python names it; a byte-order mark of UTF-8 is no part of the first cell.
        decimal: what stands before a number's fraction, a point or a comma.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."

    @property
    def codec(self) -> str:
        """The encoding, a byte-order mark being no part of UTF-8."""
        return "utf-8-sig" if codecs.lookup(self.encoding).name == "utf-8" else self.encoding


PLAIN = Dialect()
"""Commas, UTF-8, decimal points."""


def read(data: bytes, schema: Schema, id_column: str | None, dialect: Dialect) -> dict[str, list[Any]]:
    """Columns by name; ids that are no feature stay as they are written.

    Raises:
        InvalidInput: it cannot be read, is empty, or rows do not have the header's cells.
    """
    header, *rows = _lines(data, dialect) or [[]]
    if len(header) == 1 and header[0] not in schema.known:
        _refuse_one_cell(header[0], dialect.delimiter)
    if not rows:
        raise InvalidInput("the CSV is empty: a header and rows are needed")
    names = [name if name in schema.known or name == id_column else name.strip() for name in header]
    if len(set(names)) < len(names):
        raise InvalidInput("the CSV's header names a column twice")
    refuse_any(
        Problem(f"{len(row)} values, the CSV's header names {len(names)} columns", where=f"row {index}")
        for index, row in enumerate(rows)
        if len(row) != len(names)
    )
    return _columns(names, rows, schema, id_column, dialect)


def with_decimal(error: InvalidInput) -> InvalidInput:
    """The same error; with the option to give where a number has the other decimal sign."""
    found = _NUMBER_BY_THE_OTHER_SIGN.search(str(error))
    return InvalidInput(f"{error} (--decimal {found[1]} reads such numbers)") if found else error


def _columns(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    schema: Schema,
    id_column: str | None,
    dialect: Dialect,
) -> dict[str, list[Any]]:
    number = _with_comma if dialect.decimal == "," else _with_point
    readers = {feature.name: _reader(feature, number) for feature in schema.features}
    if id_column is not None:
        readers.setdefault(id_column, str)
    return {
        name: [readers.get(name, number)(row[position]) for row in rows]
        for position, name in enumerate(names)
    }


def _lines(data: bytes, dialect: Dialect) -> list[list[str]]:
    """Every line with something in it."""
    try:
        text = data.decode(dialect.codec)
        with _cells_of_any_length(len(text)):
            lines = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=dialect.delimiter)
            return [line for line in lines if line]
    except UnicodeError as error:
        raise _not_encoded(data, dialect, error) from error
    except csv.Error as error:
        raise InvalidInput(f"the CSV cannot be read: {error}") from error


@contextmanager
def _cells_of_any_length(length: int) -> Iterator[None]:
    """The standard library's limit of a cell is the process's: it is put back."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, length))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _not_encoded(data: bytes, dialect: Dialect, error: UnicodeError) -> InvalidInput:
    utf8 = dialect.codec == "utf-8-sig"
    place = f": byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
    guess = guessed_encoding(data) if utf8 else None
    remedy = f"it may be --encoding {guess}" if guess else "--encoding says what it is"
    return InvalidInput(f"the CSV is not {'UTF-8' if utf8 else dialect.encoding}{place}; {remedy}")


def guessed_encoding(data: bytes) -> str | None:
    """What a text that is not UTF-8 may be: by its byte-order mark, else the likeliest that it can be.

    Args:
        data: its beginning, or all of it.
    """
    head = data[:_HEAD]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        return None
    for name in _LIKELY:
        try:
            codecs.getincrementaldecoder(name)().decode(head)
        except UnicodeDecodeError:
            continue
        return name
    return None


def _refuse_one_cell(header: str, delimiter: str) -> None:
    other = next((sign for sign in _OTHER_DELIMITERS if sign in header and sign != delimiter), None)
    if other:
        shown = {"\t": r"\t"}
        stands = "a comma" if delimiter == "," else f"'{shown.get(delimiter, delimiter)}'"
        raise InvalidInput(
            f"the header {quoted(header)} is one cell: {stands} stands between cells; "
            f"another sign is given as --delimiter '{shown.get(other, other)}'"
        )


def _reader(feature: Feature, number: Cell) -> Cell:
    """How a cell of a feature is read; what is none of it stays a text, which is refused by its name."""
    if feature.kind is Kind.CATEGORY:
        return {"bool": _word, "int64": _digits}.get(feature.dtype, _text)
    if feature.kind is Kind.BOOLEAN:
        return partial(_boolean, number)
    if feature.kind is Kind.INTEGER:
        return partial(_integer, number)
    return number


def _with_point(text: str) -> Any:
    """A number if it is one in JSON's sense, nothing if it is blank, else the text."""
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and "_" not in text else text


def _with_comma(text: str) -> Any:
    """As `_with_point`, a comma standing before the fraction; with a point it is no number."""
    number = text if "." in text else _with_point(text.replace(",", "."))
    return text if isinstance(number, str) else number


def _integer(number: Cell, text: str) -> Any:
    """As a number, but digits alone are exact however many they are."""
    return int(text) if _DIGITS.fullmatch(text.strip()) else number(text)


def _boolean(number: Cell, text: str) -> Any:
    """`true` and `false` in any case, or as a number."""
    word = text.strip().lower()
    return _WORDS[word] if word in _WORDS else number(text)


def _text(text: str) -> str | None:
    """The text as it is, nothing if it is blank."""
    return text if text.strip() else None


def _word(text: str) -> Any:
    """`true` and `false` in any case, or as `_text`."""
    return _WORDS.get(text.strip().lower(), _text(text))


def _digits(text: str) -> str | None:
    """The text without the spaces around it, nothing if it is blank."""
    return text.strip() or None
