"""The target of a table: one class a row, several labels in a cell, or a column of yes and no a label.

Looked through batch by batch like any column; which labels there are is known when all rows have been seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.errors import InvalidInput, quoted
from sigmax_training.data import cells as cell
from sigmax_training.data.batches import Batch
from sigmax_training.data.cells import Cells, Writing
from sigmax_training.data.columns import Offences
from sigmax_training.data.dataset import few_of_class, few_of_label
from sigmax_training.job import Tabular
from sigmax_training.reading import is_integer

Codes = npt.NDArray[Any]
Columns = Mapping[str, pa.Array]

MAX_CLASSES = 10_000
_MANY = 50
"""More classes than this, and more than every second row has one of its own, are no classes."""

_NOTHING = Writing()


@dataclass(frozen=True, slots=True)
class Classes:
    """The labels in column order, and which column each text of the data is."""

    labels: tuple[str, ...]
    columns: Mapping[str, int]

    def codes(self, texts: pa.Array) -> Codes:
        """The column of each text, (n_samples,).

        Raises:
            InvalidInput: a text that was not there when the table was looked through.
        """
        places = texts.dictionary_encode()
        different = places.dictionary.to_pylist()
        found = [self.columns.get(text, -1) for text in different]
        if -1 in found or places.indices.null_count:
            raise InvalidInput("the target has changed since the table was looked through")
        return cell.taken(np.array(found, np.int64), places, -1)


class Target(Protocol):
    """What the target has been so far."""

    def see(self, columns: Columns, batch: Batch) -> None:
        """Look at the target's cells of a batch."""
        ...

    def problems(self) -> list[str]:
        """Everything that is wrong with them."""
        ...

    def labels(self) -> tuple[str, ...]:
        """The labels in column order."""
        ...

    def counts(self) -> dict[str, int]:
        """How many rows each label has, in column order."""
        ...

    @property
    def runs(self) -> int:
        """How often the class changes from row to row, and one; as many as rows where it is not told."""
        ...

    def encode(self, columns: Columns) -> Codes:
        """What is true of each row: (n_samples,), or bool (n_samples, n_classes)."""
        ...


def target(source: Tabular) -> Target:
    """The target that a job names."""
    if source.separator is not None:
        return Separated(source.targets[0], source.separator)
    return Flags(source.targets) if len(source.targets) > 1 else OneClass(source.targets[0])


class _Seen:
    """The different texts of labels, and how many rows have each."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self._classes: Classes | None = None

    def add(self, text: str, count: int) -> None:
        """Count a label; of too many different ones the first are kept, which is enough to say so."""
        if text in self.texts or len(self.texts) <= MAX_CLASSES:
            self.texts[text] = self.texts.get(text, 0) + count

    @property
    def known(self) -> Classes:
        """What each text is, once all have been seen."""
        if self._classes is None:
            self._classes = classes_of(self.texts)
        return self._classes

    def counts(self) -> dict[str, int]:
        """How many rows have each label, in column order."""
        found = dict.fromkeys(self.known.labels, 0)
        for text, count in self.texts.items():
            found[self.known.labels[self.known.columns[text]]] += count
        return found


def _too_many(name: str) -> str:
    return (
        f"target {quoted(name)} has more than {MAX_CLASSES:,} different labels: name the column that holds "
        "the class, or group the rare ones"
    )


class OneClass:
    """A column that holds the class of each row."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen = _Seen()
        self._rows = 0
        self._runs, self._last = 0, ""
        self._empty, self._fractions = Offences(), Offences()
        self._unsupported = ""

    def see(self, columns: Columns, batch: Batch) -> None:
        """Count the labels of a batch."""
        self._rows += batch.rows
        try:
            texts = self._texts(columns)
        except ValueError as error:
            self._unsupported = str(error)
            return
        nothing = np.asarray(texts.is_null().to_numpy(zero_copy_only=False), np.bool_)
        self._empty.add(nothing, texts, batch.where)
        if pa.types.is_floating(cell.decoded(columns[self._name]).type):
            whole = np.array([text is None or is_integer(text) for text in texts.to_pylist()])
            self._fractions.add(~whole, texts, batch.where)
        for text, count in _counted(texts):
            self._seen.add(text, count)
        self._count_runs(texts)

    def _count_runs(self, texts: pa.Array) -> None:
        """Count how often the label changes."""
        indices = pc.fill_null(texts.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
        if len(indices):
            first, self._last, before = texts[0].as_py(), texts[-1].as_py(), self._last
            self._runs += int(np.count_nonzero(np.diff(indices))) + (self._runs == 0 or first != before)

    @property
    def runs(self) -> int:
        """How often the class changes from one row to the next, and one."""
        return self._runs

    def _texts(self, columns: Columns) -> pa.Array:
        """Labels as texts, null where there is none; a whole number is the same label in every type."""
        found = _read(columns[self._name])
        if found.values is not None and pa.types.is_floating(found.values.type):
            return pa.array(
                [None if text is None else _whole(text) for text in found.shown.to_pylist()], pa.string()
            )
        return pc.utf8_trim_whitespace(found.shown)

    def problems(self) -> list[str]:
        """Rows without a label, a target that holds no classes, classes that are too small."""
        if self._unsupported:
            return [_no_type(self._name, self._unsupported)]
        empty = self._empty.texts(self._no_label, self._name)
        fractions = self._fractions.texts(self._fraction, self._name)
        found = [*empty, *fractions]
        return found or self._few()

    def _no_label(self, place: str, _: str | None) -> str:
        return f"{place}, target {quoted(self._name)}: the label is empty: give the row one, or leave it out"

    def _fraction(self, place: str, text: str | None) -> str:
        return (
            f"{place}, target {quoted(self._name)}: {text} is a fraction, and a class is none: a number "
            "that is to be predicted needs a regression"
        )

    def _few(self) -> list[str]:
        different = len(self._seen.texts)
        if different > MAX_CLASSES:
            return [_too_many(self._name)]
        if different > _MANY and 2 * different > self._rows:
            return [
                f"target {quoted(self._name)} has {different} different labels in {self._rows} rows, as an "
                "identifier or a measured number has: name the column that holds the class"
            ]
        return few_of_class(self.counts()) if different else []

    def counts(self) -> dict[str, int]:
        """How many rows each class has."""
        return self._seen.counts()

    def labels(self) -> tuple[str, ...]:
        """The labels in column order."""
        return self._seen.known.labels

    def encode(self, columns: Columns) -> Codes:
        """The column of each row's class, (n_samples,)."""
        return self._seen.known.codes(self._texts(columns))


class Separated:
    """A column that holds any number of labels in each cell; an empty one has none."""

    def __init__(self, name: str, separator: str) -> None:
        self._name, self._separator = name, separator
        self._seen = _Seen()
        self._rows = 0
        self._unsupported = ""

    def see(self, columns: Columns, batch: Batch) -> None:
        """Count the labels of a batch."""
        self._rows += batch.rows
        try:
            cells = self._cells(columns)
        except ValueError as error:
            self._unsupported = str(error)
            return
        for labels in cells:
            for label in set(labels):
                self._seen.add(label, 1)

    def _cells(self, columns: Columns) -> list[list[str]]:
        texts = _read(columns[self._name]).shown.to_pylist()
        cells = ((text or "").split(self._separator) for text in texts)
        return [[label.strip() for label in labels if label.strip()] for labels in cells]

    def problems(self) -> list[str]:
        """Labels that nearly every row has, or nearly none."""
        if self._unsupported:
            return [_no_type(self._name, self._unsupported)]
        if not self._seen.texts:
            return ["no row has a label"]
        if len(self._seen.texts) > MAX_CLASSES:
            return [_too_many(self._name)]
        return few_of_label(self.counts(), self._rows)

    @property
    def runs(self) -> int:
        """As many as rows: the order of labels is not told."""
        return self._rows

    def counts(self) -> dict[str, int]:
        """How many rows have each label."""
        return self._seen.counts()

    def labels(self) -> tuple[str, ...]:
        """The labels in column order."""
        return self._seen.known.labels

    def encode(self, columns: Columns) -> Codes:
        """Whether each label is there, bool (n_samples, n_classes)."""
        cells, known = self._cells(columns), self._seen.known
        truth = np.zeros((len(cells), len(known.labels)), np.bool_)
        for row, labels in enumerate(cells):
            for label in labels:
                column = known.columns.get(label)
                if column is None:
                    raise InvalidInput("the target has changed since the table was looked through")
                truth[row, column] = True
        return truth


class Flags:
    """One column of yes and no a label."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._counts = dict.fromkeys(names, 0)
        self._rows = 0
        self._wrong = {name: Offences() for name in names}
        self._unsupported: dict[str, str] = {}

    def see(self, columns: Columns, batch: Batch) -> None:
        """Count the labels of a batch."""
        self._rows += batch.rows
        for name in self._names:
            try:
                texts = _read(columns[name]).shown
            except ValueError as error:
                self._unsupported[name] = str(error)
                continue
            flags = _flags(texts)
            wrong = np.isnan(flags)
            if wrong.any():
                self._wrong[name].add(wrong, texts, batch.where)
            self._counts[name] += int(np.count_nonzero(flags == 1.0))

    def problems(self) -> list[str]:
        """Cells that are neither yes nor no, and labels that nearly every row has, or nearly none."""
        if self._unsupported:
            return [_no_type(name, kind) for name, kind in self._unsupported.items()]
        wrong = [
            text
            for name, offences in self._wrong.items()
            for text in offences.texts(partial(_no_flag, name), name)
        ]
        return wrong or few_of_label(self._counts, self._rows)

    @property
    def runs(self) -> int:
        """As many as rows: the order of labels is not told."""
        return self._rows

    def counts(self) -> dict[str, int]:
        """How many rows have each label."""
        return dict(self._counts)

    def labels(self) -> tuple[str, ...]:
        """The labels in column order."""
        return self._names

    def encode(self, columns: Columns) -> Codes:
        """Whether each label is there, bool (n_samples, n_classes)."""
        return np.column_stack([_flags(_read(columns[name]).shown) == 1.0 for name in self._names])


def _read(array: pa.Array) -> Cells:
    """Labels, sorted out; a category of pandas is what its values are.

    Raises:
        ValueError: the type is none that a label has.
    """
    return cell.read(cell.decoded(array), _NOTHING, parse=False)


def _no_type(name: str, kind: str) -> str:
    return (
        f"target {quoted(name)} holds {kind}, which no label is: give it as texts, whole numbers or booleans"
    )


def _no_flag(name: str, place: str, given: str | None) -> str:
    return f"{place}, target {quoted(name)}: {quoted((given or '').strip())} is not true, false, 1 or 0"


def _flags(texts: pa.Array) -> npt.NDArray[np.float64]:
    """1 and 0 for yes and no, NaN for what is neither, (n_samples,)."""
    places = texts.dictionary_encode()
    found = [cell.boolean(text.strip()) for text in places.dictionary.to_pylist()]
    values = np.array([np.nan if value is None else value for value in found], np.float64)
    return np.asarray(cell.taken(values, places, np.nan), np.float64)


def _counted(texts: pa.Array) -> Iterable[tuple[str, int]]:
    places = texts.dictionary_encode()
    indices = places.indices.drop_null().to_numpy(zero_copy_only=False)
    different = places.dictionary.to_pylist()
    return zip(different, np.bincount(indices, minlength=len(different)).tolist(), strict=True)


def _whole(text: str) -> str:
    """`1.0` as `1`, which a float column of classes means."""
    number = float(text)
    return str(int(number)) if number.is_integer() and abs(number) <= cell.MOST_EXACT else text


def classes_of(texts: Iterable[str]) -> Classes:
    """The labels that some different texts are, in column order."""
    different = list(texts)
    labels, order = canonical(different)
    column = {label: code for code, label in enumerate(order)}
    return Classes(tuple(order), {text: column[label] for text, label in zip(different, labels, strict=True)})


def canonical(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Labels as canonical texts, and the different ones in the order of their columns.

    Integers sort by value, booleans become `true` and `false`, everything else sorts as text. Digits
    that are no plain integer (`007`) are text: leading zeros may tell two classes apart.
    """
    found = set(labels)
    if all(label.casefold() in ("true", "false") for label in found):
        texts = [label.casefold() for label in labels]
        return texts, sorted(set(texts))
    if all(is_integer(label) for label in found):
        return list(labels), sorted(found, key=int)
    return list(labels), sorted(found)
