"""CSV files: every cell a text, read strictly, and fast where all readers agree.

A cell is text here whatever it holds. Files that quote by the book, or not at all, are read by Arrow; where a
quote stands elsewhere, or Arrow refuses a file, the standard library reads it and knows the line of mistakes.
"""

from __future__ import annotations

import codecs
import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv

from sigmax.csvs import guessed_encoding
from sigmax.errors import InvalidInput, quoted
from sigmax_training.data.batches import BATCH_ROWS, Batch, Opened
from sigmax_training.data.columnar import check_same, first_line
from sigmax_training.data.files import File, unreadable
from sigmax_training.data.quoting import Quoting, quoting
from sigmax_training.job import Dialect

PIECE_BYTES = 1 << 26
"""64 MiB can be read without what is before them, so that their order is drawn."""

_BLOCK = 1 << 20
_OTHER_DELIMITERS = ";\t|,"
_UTF8 = "utf-8"


def open_csv(file: File, dialect: Dialect, *, strict: bool) -> Opened:
    """Open a CSV file; its first line names the columns.

    Args:
        file: where it lies.
        dialect: how it is written.
        strict: read it by the standard library, whatever is in it.

    Raises:
        InvalidInput: it cannot be read, is empty, or its header has one cell where another sign divides it.
    """
    state = file.state
    form = _Form(file, state, dialect.delimiter or _delimiter(file), dialect.quote, dialect.encoding)
    with form.opened() as text:
        reader = form.reader(text)
        header = _header(reader)
        one_line = reader.line_num == 1
    if not header:
        raise InvalidInput(f"data {quoted(file.name)} is empty: a header and rows are needed")
    columns = tuple(name.strip() for name in header)
    if len(columns) == 1:
        _refuse_one_cell(columns[0], form.delimiter)
    how = _quoting(form) if one_line and not strict and _byte_by_byte(form) else Quoting.OTHER
    if how not in (Quoting.NONE, Quoting.CELLS):
        return Opened(file.name, columns, (_Strict(form, columns),))
    pieces = [_Fast(form, columns, how, start, end) for start, end in _ranges(form)]
    return Opened(file.name, columns, tuple(pieces))


def _header(reader: Any) -> list[str]:
    """The first line with something in it; empty if there is none."""
    return next((cells for cells in reader if cells), [])


def _byte_by_byte(form: _Form) -> bool:
    """Whether ASCII is itself wherever it stands, and the header is a line: else no part makes sense alone.

    UTF-16, UTF-7 and ISO 2022 mean something else by the same bytes, or by what is far before them.
    """
    plain = bytes(range(128))
    try:
        if plain.decode(form.codec) != plain.decode("ascii"):
            return False
    except UnicodeError:
        return False
    with form.file.path.open("rb") as binary:
        line = binary.readline(_BLOCK)
    header = line.removeprefix(codecs.BOM_UTF8).removesuffix(b"\n").removesuffix(b"\r")
    return line.endswith(b"\n") and header != b"" and b"\r" not in header


def _delimiter(file: File) -> str:
    return "\t" if file.path.suffix.lower() == ".tsv" else ","


def _refuse_one_cell(header: str, delimiter: str) -> None:
    other = next((sign for sign in _OTHER_DELIMITERS if sign in header and sign != delimiter), None)
    if other:
        what = "a comma stands" if delimiter == "," else f"{delimiter!r} stands"
        raise InvalidInput(
            f"the header {quoted(header)} is one cell: {what} between cells unless the job says otherwise, "
            f"for instance data.delimiter = {_toml(other)}"
        )


def _toml(sign: str) -> str:
    return '"\\t"' if sign == "\t" else f'"{sign}"'


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """A file, and how its text is to be read."""

    file: File
    state: tuple[int, int]
    delimiter: str
    quote: str
    encoding: str

    @property
    def codec(self) -> str:
        """The encoding, a byte-order mark being no part of the first name."""
        return "utf-8-sig" if codecs.lookup(self.encoding).name == _UTF8 else self.encoding

    @contextmanager
    def opened(self) -> Iterator[IO[str]]:
        """The text, every failure being the file's."""
        name = self.file.name
        check_same(self.file, self.state)
        try:
            with self.file.path.open(encoding=self.codec, newline="") as text:
                yield text
        except OSError as error:
            raise unreadable(name, error) from error
        except UnicodeError as error:
            raise self._not_encoded(error) from error
        except csv.Error as error:
            raise InvalidInput(f"data {quoted(name)} is not CSV: {error}") from error

    def reader(self, text: IO[str]) -> Any:
        if not self.quote:
            return csv.reader(
                text, strict=True, delimiter=self.delimiter, quotechar=None, quoting=csv.QUOTE_NONE
            )
        return csv.reader(text, strict=True, delimiter=self.delimiter, quotechar=self.quote)

    def _not_encoded(self, error: UnicodeError) -> InvalidInput:
        reason = getattr(error, "reason", str(error))
        name = "UTF-8" if self.codec == "utf-8-sig" else self.encoding
        hint = guessed(self.file) if self.codec == "utf-8-sig" else None
        if hint:
            remedy = f"; it may be data.encoding = {quoted(hint)}"
        else:
            remedy = "; data.encoding says what it is, if it is a text at all"
        return InvalidInput(f"data {quoted(self.file.name)} is not {name}: {reason}{remedy}")


def guessed(file: File) -> str | None:
    """What a file that is not UTF-8 may be written in; None where nobody can tell."""
    try:
        with file.path.open("rb") as binary:
            return guessed_encoding(binary.read(_BLOCK))
    except OSError:
        return None


def _quoting(form: _Form) -> Quoting:
    """What quotes do behind the header."""
    try:
        with form.file.path.open("rb") as binary:
            binary.readline()
            blocks = iter(lambda: binary.read(_BLOCK), b"")
            return quoting(blocks, form.delimiter.encode("ascii"), form.quote.encode("ascii"))
    except OSError as error:
        raise unreadable(form.file.name, error) from error


# The strict reader.


@dataclass(frozen=True, slots=True, eq=False)
class _Strict:
    """A file read by the standard library, each row with the line that it ends on."""

    form: _Form
    header: tuple[str, ...]

    def batches(self, columns: Sequence[str], start: int) -> Iterator[Batch]:
        del start  # lines are counted in the file
        places = [self.header.index(name) for name in columns]
        with self.form.opened() as text:
            reader = self.form.reader(text)
            _header(reader)
            numbered = self._numbered(reader)
            while some := list(itertools.islice(numbered, BATCH_ROWS)):
                yield self._batch(some, columns, places)

    def _numbered(self, reader: Any) -> Iterator[tuple[int, list[str]]]:
        """Rows that hold something, each with the line that it ends on."""
        before = reader.line_num
        try:
            for cells in reader:
                before = reader.line_num
                if cells:
                    yield before, cells
        except csv.Error as error:
            place = self.form.file.place(f"line {before + 1}")
            raise InvalidInput(
                f"data {quoted(self.form.file.name)} is not CSV: {error} (the row begins on {place}); if "
                'quotes are signs like any other, say data.quote = ""'
            ) from error

    def _batch(
        self, some: list[tuple[int, list[str]]], columns: Sequence[str], places: Sequence[int]
    ) -> Batch:
        """Lines as rows, those with too few or too many cells as problems."""
        file, width = self.form.file, len(self.header)
        rows = [(line, cells) for line, cells in some if len(cells) == width]
        problems = [
            f"{file.place(f'line {line}')} has {len(cells)} cells, the header has {width}"
            for line, cells in some
            if len(cells) != width
        ]
        arrays = {
            name: pa.array([cells[place] for _, cells in rows], pa.string())
            for name, place in zip(columns, places, strict=True)
        }
        lines = [line for line, _ in rows]
        return Batch(arrays, len(rows), file.name, self._places(lines), tuple(problems))

    def _places(self, lines: list[int]) -> Callable[[int], str]:
        return lambda row: self.form.file.place(f"line {lines[row]}")


# The fast reader.


class Refused(InvalidInput):
    """Arrow does not read a file; the strict reader knows the line, or can read it."""


def _ranges(form: _Form) -> list[tuple[int, int]]:
    """Where to divide a file so that every part is of whole lines, the header in none of them."""
    size = form.state[0]
    found = []
    with form.file.path.open("rb") as binary:
        binary.readline()
        start = binary.tell()
        while start < size:
            binary.seek(min(start + PIECE_BYTES, size))
            binary.readline()
            end = binary.tell()
            found.append((start, end))
            start = end
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Fast:
    """Some bytes of a file that quotes by the book or not at all, whole lines, read by Arrow."""

    form: _Form
    header: tuple[str, ...]
    quoting: Quoting
    start: int
    end: int

    def batches(self, columns: Sequence[str], start: int) -> Iterator[Batch]:
        name = self.form.file.name
        try:
            yield from self._read(columns, start)
        except (pa.ArrowException, UnicodeError) as error:
            raise Refused(f"data {quoted(name)} is not CSV: {first_line(error)}") from error

    def _read(self, columns: Sequence[str], start: int) -> Iterator[Batch]:
        check_same(self.form.file, self.form.state)
        try:
            with self.form.file.path.open("rb") as binary:
                for chunk in self._chunks(binary):
                    part = self._parsed(chunk, columns)
                    for row in range(0, part.num_rows, BATCH_ROWS):
                        some = part.slice(row, BATCH_ROWS)
                        arrays = dict(zip(columns, some.columns, strict=True))
                        yield Batch(arrays, some.num_rows, self.form.file.name, self._places(start + row))
                    start += part.num_rows
        except OSError as error:
            raise unreadable(self.form.file.name, error) from error

    def _chunks(self, binary: IO[bytes]) -> Iterator[bytes]:
        """Whole lines, some at a time: Arrow's own reader of streams reads 32 blocks ahead of each."""
        binary.seek(self.start)
        left = self.end - self.start
        while left > 0 and (chunk := binary.read(min(_BLOCK, left))):
            if len(chunk) < left:
                chunk += binary.readline()
            left -= len(chunk)
            if chunk.strip(b"\r\n"):
                yield chunk

    def _parsed(self, chunk: bytes, columns: Sequence[str]) -> pa.RecordBatch:
        """Some lines as texts, behind one with nothing in it.

        What Arrow reads first loses a byte-order mark; one that begins a cell further down is part of it.
        """
        table = pyarrow.csv.read_csv(
            pa.BufferReader(b"\n" + chunk),
            pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=len(chunk) + 1,
                column_names=list(self.header),
                encoding=self.form.encoding,
            ),
            pyarrow.csv.ParseOptions(
                delimiter=self.form.delimiter,
                quote_char=False if self.quoting is Quoting.NONE else self.form.quote,
                newlines_in_values=False,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(self.header, pa.string()),
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
        (batch,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        return batch

    def _places(self, start: int) -> Callable[[int], str]:
        return lambda row: self.form.file.place(f"line {self._line(start + row)}")

    def _line(self, row: int) -> int:
        """The line of a row of the file: lines with nothing in them are no rows."""
        with self.form.opened() as text:
            reader = self.form.reader(text)
            there: Iterator[int] = (reader.line_num for cells in reader if cells)
            return next(itertools.islice(there, row + 1, None))
