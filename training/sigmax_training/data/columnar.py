"""Parquet and Arrow files, and tables in memory: rows that bring their types along."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sigmax.errors import InvalidInput, quoted
from sigmax_training.data.batches import BATCH_ROWS, Batch, Opened
from sigmax_training.data.files import File, unreadable

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_BUFFER = 1 << 20
"""Bytes that are read ahead of a column of a row group; without a bound it is all of them."""


def open_parquet(file: File) -> Opened:
    """Open a Parquet file; each row group is a piece.

    Raises:
        InvalidInput: it cannot be read, or is no Parquet file.
    """
    state = file.state
    with _parquet(file) as found:
        columns, metadata = _columns(found.schema_arrow), found.metadata
    groups = range(metadata.num_row_groups)
    return Opened(file.name, columns, tuple(_RowGroup(file, state, metadata, number) for number in groups))


def open_arrow(file: File) -> Opened:
    """Open an Arrow file (IPC file or stream, Feather 2); it is one piece.

    Raises:
        InvalidInput: it cannot be read, or is no Arrow file.
    """
    state = file.state
    with _arrow(file) as reader:
        columns = _columns(reader.schema)
    return Opened(file.name, columns, (_ArrowFile(file, state),))


def open_table(table: pa.Table, name: str) -> Opened:
    """A table in memory as if it had been a file; it is one piece."""
    return Opened(name, _columns(table.schema), (_Held(table, name),))


def _columns(schema: pa.Schema) -> tuple[str, ...]:
    """The columns of a file, but for a nameless index that pandas has written beside them."""
    return tuple(name for name in schema.names if not _PANDAS_INDEX.fullmatch(name))


@dataclass(frozen=True, slots=True, eq=False)
class _RowGroup:
    """A row group of a Parquet file."""

    file: File
    state: tuple[int, int]
    metadata: pq.FileMetaData
    number: int

    def batches(self, columns: Sequence[str], start: int) -> Iterator[Batch]:
        check_same(self.file, self.state)
        with _parquet(self.file, self.metadata) as found:
            parts = found.iter_batches(
                BATCH_ROWS, row_groups=[self.number], columns=list(columns), use_threads=False
            )
            yield from _batches(parts, columns, self.file.name, self.file.place, start)


@dataclass(frozen=True, slots=True, eq=False)
class _ArrowFile:
    """All record batches of an Arrow file."""

    file: File
    state: tuple[int, int]

    def batches(self, columns: Sequence[str], start: int) -> Iterator[Batch]:
        check_same(self.file, self.state)
        with _arrow(self.file) as reader:
            yield from _batches(_records(reader), columns, self.file.name, self.file.place, start)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A table in memory."""

    table: pa.Table
    name: str

    def batches(self, columns: Sequence[str], start: int) -> Iterator[Batch]:
        parts = self.table.select(list(columns)).to_batches(max_chunksize=BATCH_ROWS)
        try:
            yield from _batches(parts, columns, self.name, str, start)
        except pa.ArrowException as error:
            raise InvalidInput(f"{self.name} are no table that can be read: {first_line(error)}") from error


def check_same(file: File, state: tuple[int, int]) -> None:
    """Refuse a file that is not what it was.

    Raises:
        InvalidInput: it is gone, or has changed.
    """
    if file.state != state:
        raise InvalidInput(f"data {quoted(file.name)} has changed since the job began: run the job again")


def _batches(
    parts: Iterable[pa.RecordBatch],
    columns: Sequence[str],
    name: str,
    place: Callable[[str], str],
    start: int,
) -> Iterator[Batch]:
    for part in parts:
        wanted = part.select(list(columns))
        wanted.validate(full=True)  # what a damaged file says of its own memory ends the process, if believed
        arrays = dict(zip(columns, map(_filterable, wanted.columns), strict=True))
        yield Batch(arrays, part.num_rows, name, _rows_from(place, start))
        start += part.num_rows


def _filterable(array: pa.Array) -> pa.Array:
    """The same cells; text views, of which Arrow cannot take single rows, as texts."""
    kind = array.type
    if pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
        return pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.string()))
    return array


def _rows_from(place: Callable[[str], str], start: int) -> Callable[[int], str]:
    return lambda row: place(f"row {start + row}")


def _records(reader: Any) -> Iterator[pa.RecordBatch]:
    """Record batches in slices of a bounded size."""
    count = getattr(reader, "num_record_batches", None)
    parts = iter(reader) if count is None else map(reader.get_batch, range(count))
    for part in parts:
        for start in range(0, part.num_rows, BATCH_ROWS):
            yield part.slice(start, BATCH_ROWS)


@contextmanager
def _parquet(file: File, metadata: pq.FileMetaData | None = None) -> Iterator[pq.ParquetFile]:
    with _named(file, "Parquet"):
        found = pq.ParquetFile(file.path, metadata=metadata, pre_buffer=False, buffer_size=_BUFFER)
        with found:
            yield found


@contextmanager
def _arrow(file: File) -> Iterator[Any]:
    """A reader of either of Arrow's two layouts."""
    with _named(file, "Arrow"), pa.OSFile(str(file.path)) as source:
        magic = source.read(6)
        source.seek(0)
        yield pa.ipc.open_file(source) if magic == b"ARROW1" else pa.ipc.open_stream(source)


@contextmanager
def _named(file: File, kind: str) -> Iterator[None]:
    """Say in our words that a file cannot be read, or is not what its ending says."""
    try:
        yield
    except pa.ArrowException as error:
        raise InvalidInput(
            f"data {quoted(file.name)} is no {kind} file, or is damaged: {first_line(error)}"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"data {quoted(file.name)} is damaged: a text in it is not UTF-8") from error
    except OSError as error:
        if error.errno is None:  # the library's own: a page that cannot be read
            raise InvalidInput(f"data {quoted(file.name)} is damaged: {first_line(error)}") from error
        raise unreadable(file.name, error) from error


def first_line(error: Exception) -> str:
    """What a library says, in one line."""
    return (str(error).splitlines() or [""])[0].rstrip(".")
