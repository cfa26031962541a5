"""The column that says which rows belong together, or when each was: read for the split, and no feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sigmax.errors import InvalidInput, quoted
from sigmax_training.data import cells as cell
from sigmax_training.data.batches import Batch
from sigmax_training.data.cells import Writing
from sigmax_training.data.columns import Offences
from sigmax_training.drawing import U64, keys_of_integers, keys_of_texts

Columns = Mapping[str, pa.Array]

_NOTHING = Writing()


class Key:
    """A column by which rows are drawn or grouped: any value, but none that is missing."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._missing = Offences()
        self._unsupported = ""

    def see(self, columns: Columns, batch: Batch) -> None:
        """Look at the keys of a batch."""
        array = cell.decoded(columns[self.column])
        if cell.is_time(array.type):
            missing = np.asarray(array.is_null().to_numpy(zero_copy_only=False), np.bool_)
        else:
            try:
                missing = cell.read(array, _NOTHING, parse=False).missing
            except ValueError as error:
                self._unsupported = str(error)
                return
        if missing.any():
            self._missing.add(missing, pa.nulls(len(array), pa.string()), batch.where)

    def problems(self) -> list[str]:
        """Rows without a key."""
        if self._unsupported:
            return [
                f"evaluation.key: column {quoted(self.column)} holds {self._unsupported}, which is no key"
            ]
        return list(self._missing.texts(partial(_not_taken, By(self.column)), self.column))

    def keys(self, columns: Columns) -> U64:
        """A number for each key, (n_samples,)."""
        array = cell.decoded(columns[self.column])
        if (
            getattr(array.type, "tz", None) is not None
        ):  # a moment is one key in every zone, known here or not
            array = array.cast(pa.timestamp(array.type.unit, "UTC"))
        if pa.types.is_signed_integer(array.type):
            return keys_of_integers(array.cast(pa.int64()).to_numpy(zero_copy_only=False))
        places = pc.utf8_trim_whitespace(array.cast(pa.string())).dictionary_encode()
        different = keys_of_texts(places.dictionary.to_pylist())
        return np.asarray(different[places.indices.to_numpy(zero_copy_only=False)])


class Order:
    """A column that says when each row was: numbers, days or moments, the later the larger."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._wrong = Offences()
        self._unsupported = ""
        self._numbers, self._moments = "", ""  # where one of each stands

    def see(self, columns: Columns, batch: Batch) -> None:
        """Look at the times of a batch."""
        array = cell.decoded(columns[self.column])
        if not cell.is_known(array.type):
            self._unsupported = str(array.type)
            return
        times, numbers = _times(array)
        good = np.isfinite(times)
        if not good.all():
            shown = pa.nulls(len(array), pa.string()) if cell.is_time(array.type) else array.cast(pa.string())
            self._wrong.add(~good, shown, batch.where)
        if not self._numbers and (good & numbers).any():
            self._numbers = batch.where(int(np.argmax(good & numbers)))
        if not self._moments and (good & ~numbers).any():
            self._moments = batch.where(int(np.argmax(good & ~numbers)))

    def problems(self) -> list[str]:
        """Rows without a time, or with one that cannot be read."""
        if self._unsupported:
            return [
                f"evaluation.key: column {quoted(self.column)} holds {self._unsupported}, which is no time"
            ]
        wrong = list(self._wrong.texts(partial(_not_taken, By(self.column, times=True)), self.column))
        if self._numbers and self._moments:
            wrong.append(
                f"key {quoted(self.column)} is a number in {self._numbers} and a time in {self._moments}: "
                "which of them is later, nobody knows; make them all numbers or all times"
            )
        return wrong

    def times(self, columns: Columns) -> npt.NDArray[np.float64]:
        """When each row was, (n_samples,): microseconds since 1970 of days and moments, else the numbers.

        Raises:
            InvalidInput: the column has changed since it was looked through.
        """
        found, _ = _times(cell.decoded(columns[self.column]))
        if not np.isfinite(found).all():
            raise InvalidInput(f"column {quoted(self.column)} has changed since the table was looked through")
        return found


Held = Key | Order


@dataclass(frozen=True, slots=True)
class By:
    """What a job divides rows by: a column, and whether it says when a row was."""

    column: str
    times: bool = False

    def unread(self) -> Held:
        """The column before any of it was seen."""
        return Order(self.column) if self.times else Key(self.column)


def key_problem(by: By, place: str, text: str) -> str:
    """What is wrong with one key as it is written; empty if nothing is."""
    taken = bool(text.strip()) and not (by.times and np.isnan(time_of(text)))
    return "" if taken else _not_taken(by, place, text)


def time_of(text: str) -> float:
    """A number, or microseconds since 1970 of a day or moment; NaN of what is neither."""
    number = cell.finite(text.strip())
    return cell.moment(text.strip()) if number is None else number


def _not_taken(by: By, place: str, text: str | None) -> str:
    if not by.times:
        return f"{place}, key {quoted(by.column)}: is empty"
    given = "nothing" if text is None or not text.strip() else quoted(text.strip())
    return (
        f"{place}, key {quoted(by.column)}: {given} is neither a number nor a time such as 2026-11-25 or "
        "2026-11-25 14:30:00"
    )


def _times(array: pa.Array) -> tuple[npt.NDArray[np.float64], cell.Mask]:
    """Numbers as they are, times as microseconds, NaN for what is neither; and which are numbers."""
    if cell.is_time(array.type):
        moments = cell.microseconds(array.cast(pa.timestamp("us"), safe=False))
        return moments, np.zeros(len(array), np.bool_)
    cells = cell.read(array, _NOTHING, parse=True)
    if cells.numbers is not None:
        return cells.numbers, np.ones(len(array), np.bool_)
    places = cells.shown.dictionary_encode()
    texts = places.dictionary.to_pylist()
    found = np.array([time_of(text) for text in texts], np.float64)
    numbers = np.array([cell.finite(text.strip()) is not None for text in texts], np.bool_)
    times = np.asarray(cell.taken(found, places, np.nan), np.float64)
    return times, np.asarray(cell.taken(numbers, places, False), np.bool_)
