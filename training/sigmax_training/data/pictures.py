"""PNG and JPEG files as a data set: a folder of them for each class, or a CSV file of paths and labels.

The pixels are those that the service makes of the same files: one decoder serves both. Rows stand by class
and content, so that the name of a file matters to nothing.
"""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax.pictures import decode
from sigmax_training.data.dataset import I64, Dataset, of_pictures
from sigmax_training.data.held import By, key_problem, time_of
from sigmax_training.data.target import canonical
from sigmax_training.drawing import keys_of_texts
from sigmax_training.job import Pictures

_NOT_PICTURES = ("Thumbs.db", "desktop.ini", "__MACOSX")
"""What file managers leave in every folder, beside the names that begin with a dot."""


class File(NamedTuple):
    """A file that should be a picture; `name` is what messages call it, `key` what it is divided by."""

    path: Path
    name: str
    label: str
    key: str = ""


@dataclass(slots=True)
class Found:
    """The files of a data set, and everything that is wrong with it so far."""

    files: list[File] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def load(pictures: Pictures, by: By | None = None) -> Dataset:
    """Decode every picture of a folder or of a CSV file.

    Args:
        pictures: where they are, and what they become.
        by: the column of the CSV file by which rows are divided, if there is one.

    Raises:
        InvalidInput: naming every file that is missing or wrong, and every class that is too small.
    """
    found = find(pictures, by)
    rows = list(_decoded(pictures, found))
    if found.problems:
        raise InvalidInput(listed(found.problems))
    labels, classes = canonical([file.label for file in found.files])
    order = sorted(range(len(rows)), key=lambda row: (classes.index(labels[row]), rows[row].digest))
    height, width = pictures.size
    dataset = of_pictures(
        f"{len(rows)} pictures of {pictures.images.name} as {width}x{height} pixels "
        f"({pictures.colour.value.upper()}, {pictures.resize})",
        np.array([rows[row].pixels for row in order]),
        [labels[row] for row in order],
        classes,
        pictures.block,
    )
    held = [found.files[row].key for row in order]
    return replace(
        dataset,
        flips=pictures.flips,
        files=tuple(found.files[row].path for row in order),
        groups=keys_of_texts(held) if by is not None and not by.times else None,
        times=np.array([time_of(key) for key in held]) if by is not None and by.times else None,
    )


def find(pictures: Pictures, by: By | None = None) -> Found:
    """The files of a data set, none of them opened.

    Args:
        pictures: as of `load`.
        by: likewise.

    Raises:
        InvalidInput: the folder or the CSV file cannot be read, or holds no pictures at all.
    """
    found = Found()
    try:
        if pictures.target is None or pictures.image is None:
            _search(pictures.images, found)
        else:
            _read_list(pictures.images, _Columns(pictures.target, pictures.image, by), found)
    except OSError as error:
        raise InvalidInput(f"data {quoted(pictures.images.name)} cannot be read: {error.strerror}") from error
    return found


def originals(dataset: Dataset, rows: I64, most: int) -> Iterator[tuple[int, bytes]]:
    """Of some rows of a data set, those with the content of their file, where it is small and still the same.

    Args:
        dataset: where the rows are.
        rows: indices into it.
        most: the size in bytes of a file that is small.
    """
    image = dataset.image
    if image is None or not dataset.files:
        return
    for row in rows.tolist():
        path = dataset.files[row]
        try:
            if path.stat().st_size > most:
                continue
            content = path.read_bytes()
            if np.array_equal(decode(content, image), dataset.features[row]):
                yield row, content
        except (OSError, InvalidInput):  # the file has changed since it was learnt from
            continue


def shown(name: str) -> str:
    """A file's name in full, on one line whatever is in it: its end is what tells it from the others."""
    return name if name.isprintable() else quoted(name)


class _Row(NamedTuple):
    pixels: npt.NDArray[np.uint8]
    digest: bytes


def _decoded(pictures: Pictures, found: Found) -> Iterator[_Row]:
    for file in found.files:
        try:
            content = file.path.read_bytes()
            pixels = decode(content, pictures.block)
        except OSError as error:
            found.problems.append(f"{file.name}: cannot be read: {error.strerror}")
        except InvalidInput as error:
            found.problems.append(f"{file.name}: {error}")
        else:
            yield _Row(pixels, hashlib.sha256(pixels.tobytes()).digest() + hashlib.sha256(content).digest())


# A folder for each class.


def _search(root: Path, found: Found) -> None:
    labels: dict[str, str] = {}
    for folder in _entries(root):
        if not folder.is_dir():
            found.problems.append(f"{shown(folder.name)} lies in no folder of a class")
            continue
        label = _label(folder.name, found)
        if label in labels:
            found.problems.append(f"class {quoted(label)} has two folders whose names look alike")
        labels[label] = folder.name
        _search_class(folder, label, found)
    if not labels:
        raise InvalidInput(
            f"data {quoted(root.name)} holds no folders: "
            "put the pictures of each class into a folder of its name"
        )


def _search_class(folder: Path, label: str, found: Found) -> None:
    entries = _entries(folder)
    if not entries:
        found.problems.append(f"class {quoted(label)}: its folder holds no picture")
    for path in entries:
        name = shown(f"{folder.name}/{path.name}")
        if path.is_dir():
            found.problems.append(f"{name} is a folder; pictures lie in the folder of their class itself")
        else:
            found.files.append(File(path, name, label))


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden, by name."""
    entries = (path for path in folder.iterdir() if path.name not in _NOT_PICTURES and path.name[0] != ".")
    return sorted(entries, key=lambda path: (unicodedata.normalize("NFC", path.name), path.name))


def _label(name: str, found: Found) -> str:
    """A class is named as people see it: one system writes 가 as one character, another one as two."""
    label = unicodedata.normalize("NFC", name)
    if not label.isprintable():
        found.problems.append(f"class {quoted(label)}: its name has characters that cannot be shown")
    return label


# A CSV file of paths and labels.


class _Columns(NamedTuple):
    """The columns that are read."""

    target: str
    image: str
    by: By | None

    @property
    def key(self) -> str | None:
        return None if self.by is None else self.by.column


def _read_list(path: Path, columns: _Columns, found: Found) -> None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError as error:
        raise InvalidInput(f"data {quoted(path.name)} is not UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise InvalidInput(f"data {quoted(path.name)} is not CSV: {error}") from error
    if len(lines) < 2:
        raise InvalidInput(f"data {quoted(path.name)} is empty: a header and rows are needed")
    header = [name.strip() for name in lines[0][1]]
    _check_header(header, columns)
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            found.problems.append(f"line {line} has {len(cells)} cells, the header has {len(header)}")
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        _add(path.parent, line, row, columns, found)


def _check_header(header: Sequence[str], columns: _Columns) -> None:
    wanted = (("target", columns.target), ("image", columns.image), ("evaluation.key", columns.key))
    problems = [
        f"column {quoted(name)} stands {header.count(name)} times"
        for _, name in wanted
        if name is not None and header.count(name) > 1
    ]
    for what, name in wanted:
        if name is not None and name not in header:
            problems.append(f"there is no {what} column {quoted(name)}{nearest(name, header)}")
    if problems:
        raise InvalidInput(listed(problems))


def _add(folder: Path, line: int, row: Mapping[str, str], columns: _Columns, found: Found) -> None:
    name, text = row[columns.image], row[columns.target]
    key = "" if columns.key is None else row[columns.key]
    if not name or not text:
        found.problems.append(f"line {line}: {'the label' if name else 'the path of the picture'} is empty")
        return
    if columns.by is not None and (problem := key_problem(columns.by, f"line {line}", key)):
        found.problems.append(problem)
    path = _written(folder, name)
    if path is None:
        found.problems.append(f"line {line}, {shown(name)}: is not there")
    else:
        found.files.append(File(path, f"line {line}, {shown(name)}", _label(text, found), key))


def _written(folder: Path, name: str) -> Path | None:
    """Where a picture lies whose name may be written in composed or in decomposed characters."""
    forms = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return next((folder / form for form in forms if (folder / form).exists()), None)
