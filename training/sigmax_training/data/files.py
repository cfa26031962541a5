"""Which files a job's table lies in, and what each of them is: found and told apart, none of them opened.

How rows come out of a file is left to `csvs` and `columnar`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training.job import Format

ENDINGS = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".txt": Format.CSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".arrow": Format.ARROW,
    ".arrows": Format.ARROW,
    ".feather": Format.ARROW,
    ".ipc": Format.ARROW,
}

_NOT_DATA = ("Thumbs.db", "desktop.ini", "__MACOSX")
"""What file managers leave in a folder; what begins with '.' or '_' (`_SUCCESS`) is passed over, too."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a table.

    Attributes:
        path: where it lies.
        name: what messages call it.
        format: what it is.
        alone: whether it is the only one, so that a message need not name it.
    """

    path: Path
    name: str
    format: Format
    alone: bool

    def place(self, text: str) -> str:
        """A place in this file for a message: `line 6`, or `feb.csv, line 6` where there are several."""
        return text if self.alone else f"{self.name}, {text}"

    @property
    def state(self) -> tuple[int, int]:
        """Size and time of the last change, which tell whether it is still the same.

        Raises:
            InvalidInput: it is not there any more, or is no file that can be read twice.
        """
        try:
            found = self.path.stat()
        except OSError as error:
            raise unreadable(self.name, error) from error
        if not stat.S_ISREG(found.st_mode):  # to open a pipe waits for a writer, and its rows come once
            raise InvalidInput(f"data {quoted(self.name)} is a pipe or a device: write the rows into a file")
        return found.st_size, found.st_mtime_ns

    def digest(self) -> str:
        """SHA-256 of its content."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(self.name, error) from error


def unreadable(name: str, error: OSError) -> InvalidInput:
    """The error for a file that the system does not give."""
    return InvalidInput(f"data {quoted(name)} cannot be read: {error.strerror or 'it ends too early'}")


def find(paths: Sequence[Path], wanted: Format | None) -> tuple[File, ...]:
    """The files of a table, in the order of the paths; of a folder by name.

    Args:
        paths: files, or folders that stand for the files in them.
        wanted: what all of them are; None to tell by their endings.

    Raises:
        InvalidInput: naming everything that is wrong: nothing there, a folder in a folder, an unknown ending,
            files of several formats, a pipe.
    """
    problems: list[str] = []
    found: list[tuple[Path, str]] = []
    for path in paths:
        try:
            found += _inside(path, problems) if path.is_dir() else [(path, path.name)]
        except OSError as error:
            raise unreadable(path.name, error) from error
    formats = {path: wanted or ENDINGS.get(path.suffix.lower()) for path, _ in found}
    problems += [_unknown(path, name, path in paths) for path, name in found if formats[path] is None]
    different = sorted({kind.value for kind in formats.values() if kind is not None})
    if len(different) > 1:
        problems.append(f"data.path: the files are {' and '.join(different)}; one table is of one format")
    real = {path: os.path.realpath(path) for path, _ in found}
    times = Counter(real[path] for path, _ in found)
    twice = sorted({name for path, name in found if times[real[path]] > 1})
    problems += [f"data.path names {quoted(name)} more than once" for name in twice]
    if problems:
        raise InvalidInput(listed(problems))
    names = Counter(name for _, name in found)
    files = tuple(
        File(path, name if names[name] == 1 else f"{path.parent.name}/{name}", kind, len(found) == 1)
        for path, name in found
        if (kind := formats[path]) is not None
    )
    for file in files:
        _ = file.state  # refuses what is no file before anything is opened
    return files


def _inside(folder: Path, problems: list[str]) -> list[tuple[Path, str]]:
    entries = [path for path in folder.iterdir() if path.name[0] not in "._" and path.name not in _NOT_DATA]
    entries.sort(key=lambda path: (unicodedata.normalize("NFC", path.name), path.name))
    problems += [
        f"data {quoted(f'{folder.name}/{path.name}')} is a folder; the files of a table lie side by side"
        for path in entries
        if path.is_dir()
    ]
    files = [(path, path.name) for path in entries if not path.is_dir()]
    if not files and not problems:
        raise InvalidInput(f"data {quoted(folder.name)} is a folder without a file")
    return files


def _unknown(path: Path, name: str, named: bool) -> str:
    if not path.exists():
        return f"data {quoted(name)} cannot be read: No such file or directory"
    if not named:
        return (
            f"data {quoted(name)}: the ending is none of a table's ({', '.join(ENDINGS)}): take it "
            "out of the folder, let its name begin with '_', or say data.format"
        )
    return (
        f"data {quoted(name)}: the ending says nothing about what it is ({', '.join(ENDINGS)} do): "
        f"say data.format = {' or '.join(repr(kind.value) for kind in Format)}"
    )
