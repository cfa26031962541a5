"""One column of a table: what it holds, what is missing, and everything that is wrong with it.

The kind of a column is what the job says, else what all of its cells agree on; where they do not agree, the
cells that differ are errors, never a guess. A column is looked through once, batch by batch, and nothing of
it is kept but counts, its different texts and the first few cells that are wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pyarrow as pa

from sigmax.contract import Feature, Kind, Missing, Unknown
from sigmax.errors import InvalidInput, quoted
from sigmax.protocol.categories import encode
from sigmax_training.data import cells as cell
from sigmax_training.data.batches import Batch
from sigmax_training.data.cells import BOOLEANS, Cells, Mask, Writing
from sigmax_training.data.dataset import F64, Fill
from sigmax_training.job import IMPUTATIONS, OWN_CATEGORY, REJECT, Column
from sigmax_training.reading import is_integer

SHOWN = 3
"""One column of texts must not hide the typing error in another one."""

MAX_DIFFERENT = 100_000
"""Of a vocabulary; a column with more different texts is no category."""

_FEW_ROWS = 20
_IDENTIFIES = 0.5
"""A text column with more different texts than this share of its rows names rows, as an identifier does."""

_EXPECTED = {
    Kind.NUMERIC: "a finite number",
    Kind.INTEGER: "a whole number of at most 2**53",
    Kind.BOOLEAN: "true, false, 1 or 0",
}
_DTYPES = {Kind.NUMERIC: "float64", Kind.INTEGER: "int64", Kind.BOOLEAN: "bool"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_NUMBERS, _TEXTS, _BOOLEANS = "numbers", "texts", "true and false"


@dataclass(slots=True)
class Offences:
    """Cells that are wrong in one way: the first few, and how many there are."""

    count: int = 0
    first: list[tuple[str, str | None]] = field(default_factory=list)

    def add(self, mask: Mask, shown: pa.Array, where: Callable[[int], str]) -> None:
        """Note the cells for which the mask holds, by place and by what they are written as."""
        for row in cell.first_rows(mask, SHOWN - len(self.first)):
            self.first.append((where(row), shown[row].as_py()))
        self.count += int(np.count_nonzero(mask))

    def texts(self, say: Callable[[str, str | None], str], name: str) -> Iterable[str]:
        """Each of the first as a message, then how many more there are."""
        yield from (say(place, text) for place, text in self.first)
        if self.count > len(self.first):
            yield f"{self.count - len(self.first)} more in column {quoted(name)}"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A column that was looked through: what it is, and how its cells become numbers.

    Attributes:
        block: what the column is.
        fill: what is put in place of a missing number.
        writing: how values are written.
        parse: its texts may be numbers.
    """

    block: Feature
    fill: Fill | None
    writing: Writing
    parse: bool

    def encode(self, array: pa.Array) -> F64:
        """Some cells as numbers or codes, NaN where a number is missing, (n_samples,).

        Raises:
            InvalidInput: the column is not what it was.
        """
        array = cell.decoded(array)
        if self.block.kind is Kind.CATEGORY:
            return self._codes(cell.read(array, self.writing, parse=False).shown)
        numbers = cell.read(array, self.writing, parse=True).numbers
        if numbers is None and self.block.kind is Kind.BOOLEAN:
            numbers = _booleans(cell.read(array, self.writing, parse=False).shown)
        if numbers is None:
            raise InvalidInput(f"column {quoted(self.block.name)} has changed since it was looked through")
        return numbers

    def _codes(self, texts: pa.Array) -> F64:
        places = texts.dictionary_encode()
        different = [canonical(text, self.block.dtype) for text in places.dictionary.to_pylist()]
        missing = self.block.missing_code
        codes = encode(self.block, different) if different else np.empty(0)
        return np.asarray(cell.taken(codes, places, np.nan if missing is None else missing), np.float64)


def _booleans(texts: pa.Array) -> F64 | None:
    places = texts.dictionary_encode()
    found = [cell.boolean(text.strip()) for text in places.dictionary.to_pylist()]
    if None in found:
        return None
    return np.asarray(cell.taken(np.array(found, np.float64), places, np.nan), np.float64)


@dataclass(frozen=True, slots=True)
class Impression:
    """What a column seems to be, for somebody who proposes a job.

    Attributes:
        name: of the column.
        kind: what it seems to hold.
        missing: how many rows have no value.
        rows: how many there are.
        range: of numbers.
        numbers: how many cells are numbers.
        words: how many are texts.
        texts: the different texts among numbers.
        not_finite: how infinity and NaN are written in a column of numbers.
        inexact: how many whole numbers float64 does not hold exactly.
        different: how many different texts a category has.
        identifies: the texts differ in most rows.
        commas: the texts are numbers with a decimal comma.
        times: the texts are days or moments.
        unsupported: the type that no feature has; None for one that it has.
    """

    name: str
    kind: Kind
    missing: int
    rows: int
    range: tuple[float, float]
    numbers: int
    words: int
    texts: tuple[str, ...]
    not_finite: frozenset[str]
    inexact: int
    different: int
    identifies: bool
    commas: bool
    times: bool
    unsupported: str | None


class Profile:
    """What a column has been so far.

    Args:
        name: of the column.
        own: what the job says of this column.
        default: what it says of all columns.
        writing: how values are written.
        parse: the column comes from a file of texts, which may be numbers.
    """

    def __init__(self, name: str, own: Column, default: Column, writing: Writing, *, parse: bool) -> None:
        self._name, self._own, self._default = name, own, default
        self._writing, self._parse = writing, parse
        self._rows = 0
        self._kinds: dict[str, dict[str, int]] = {}
        self._low, self._high = np.inf, -np.inf
        self._wrong, self._missing, self._inexact = Offences(), Offences(), Offences()
        self._texts: dict[str, int] = {}
        self._not_finite: set[str] = set()
        self._unsupported: str | None = None

    def see(self, array: pa.Array, batch: Batch) -> None:
        """Look at the cells of a batch."""
        self._rows += batch.rows
        declared = self._own.kind
        array = array if declared is None else cell.decoded(array)
        try:
            cells = cell.read(
                array, self._writing, parse=self._parse or declared not in (None, Kind.CATEGORY)
            )
        except ValueError as error:
            self._unsupported = str(error)
            return
        if cells.missing.any():
            self._missing.add(cells.missing, array if cells.values is None else cells.shown, batch.where)
        counts = self._kinds.setdefault(batch.file, {})
        if declared is Kind.CATEGORY:
            self._collect(cells.shown, counts)
        elif cells.booleans and declared in (None, Kind.BOOLEAN):
            _add(counts, _BOOLEANS, batch.rows - int(cells.missing.sum()))
            self._note_range(np.asarray(cells.numbers), cells.missing)
        elif cells.numbers is not None and not cells.booleans:
            self._see_numbers(cells, cells.numbers, counts, batch)
        else:
            self._see_texts(cells, counts, batch)

    def _see_numbers(self, cells: Cells, numbers: F64, counts: dict[str, int], batch: Batch) -> None:
        _add(counts, _NUMBERS, batch.rows - int(cells.missing.sum()))
        wrong = ~cells.missing & ~_RIGHT[self._own.kind or Kind.NUMERIC](numbers)
        if wrong.any():
            self._wrong.add(wrong, cells.shown, batch.where)
            if cells.texts is not None and len(self._not_finite) <= _FEW_ROWS:
                self._not_finite.update(
                    cells.texts.filter(pa.array(~np.isfinite(numbers))).unique().drop_null().to_pylist()
                )
        inexact = cell.inexact(cells, numbers)
        if inexact is not None:
            self._inexact.add(inexact, cells.shown, batch.where)
        self._note_range(numbers, cells.missing | wrong)

    def _see_texts(self, cells: Cells, counts: dict[str, int], batch: Batch) -> None:
        """Cells of which some are no numbers: each different one is looked at once."""
        texts = cells.shown
        places = texts.dictionary_encode()
        different = [text.strip() for text in places.dictionary.to_pylist()]
        expected = self._own.kind or Kind.NUMERIC
        parsed = [_PARSERS[expected](self._plain(text, expected)) for text in different]
        good = np.array([value is not None for value in parsed], np.bool_)
        wrong = ~np.asarray(cell.taken(good, places, True), np.bool_)
        if wrong.any():
            self._wrong.add(wrong, texts, batch.where)
        values = np.array([np.nan if value is None else value for value in parsed], np.float64)
        numbers = np.asarray(cell.taken(values, places, np.nan), np.float64)
        self._note_range(numbers, np.isnan(numbers))
        if self._own.kind is None:
            self._collect(texts, counts, places)
            self._not_finite.update(text for text in different if _is_not_finite(text))

    def _plain(self, text: str, kind: Kind) -> str:
        return text if kind is Kind.BOOLEAN else self._writing.plain(text)

    def _note_range(self, numbers: F64, without: Mask) -> None:
        there = numbers[~without] if without.any() else numbers
        if there.size:
            self._low = min(self._low, float(there.min()))
            self._high = max(self._high, float(there.max()))

    def _collect(self, texts: pa.Array, counts: dict[str, int], places: pa.Array | None = None) -> None:
        """Count the different texts, and what they could be."""
        places = texts.dictionary_encode() if places is None else places
        indices = places.indices.drop_null().to_numpy(zero_copy_only=False)
        different = places.dictionary.to_pylist()
        for text, count in zip(
            different, np.bincount(indices, minlength=len(different)).tolist(), strict=True
        ):
            _add(counts, _sort_of(text, self._writing) if self._parse else _TEXTS, count)
            if text in self._texts or len(self._texts) <= MAX_DIFFERENT:
                _add(self._texts, text, count)

    def impression(self) -> Impression:
        """What the column seems to be, right or wrong."""
        kind = self._own.kind or self._inferred()
        numbers = self._of(_NUMBERS) if kind is Kind.NUMERIC else 0
        return Impression(
            name=self._name,
            kind=kind,
            missing=self._missing.count,
            rows=self._rows,
            range=self._range(kind),
            numbers=numbers,
            words=self._of(_TEXTS) + self._of(_BOOLEANS),
            texts=tuple(text for text in self._texts if self._is_word(text)) if numbers else (),
            not_finite=frozenset(self._not_finite),
            inexact=self._inexact.count,
            different=len(self._texts),
            identifies=kind is Kind.CATEGORY and bool(self._identifies()),
            commas=self._commas,
            times=kind is Kind.CATEGORY and all(map(cell.is_moment, list(self._texts)[:_FEW_ROWS])),
            unsupported=self._unsupported,
        )

    def known(self) -> Known | tuple[str, ...]:
        """The column as all of its cells make it; or everything that is wrong with it."""
        kind = self._own.kind or self._inferred()
        problems = [*_wrong_settings(self._name, self._own, kind), *self._between_files()]
        if self._unsupported is not None:
            return (
                f"column {quoted(self._name)} holds {self._unsupported}, which no feature is: "
                "name it in data.ignore, or give it as numbers or texts",
            )
        if self._missing.count == self._rows:
            return (f"column {quoted(self._name)} has no value at all: name it in data.ignore",)
        block, fill = self._category() if kind is Kind.CATEGORY else self._number(kind)
        problems += [] if problems else self._wrong_cells(kind, block)
        return tuple(problems) or Known(block, fill, self._writing, self._parse)

    def _of(self, sort: str) -> int:
        return sum(counts.get(sort, 0) for counts in self._kinds.values())

    def _inferred(self) -> Kind:
        """What all cells agree on; numbers, where they do not, so that the others are reported."""
        if self._of(_BOOLEANS) and not self._of(_NUMBERS) and not self._of(_TEXTS):
            return Kind.BOOLEAN
        return Kind.NUMERIC if self._of(_NUMBERS) else Kind.CATEGORY

    def _between_files(self) -> list[str]:
        """Whether a column is one thing in one file and something else in another."""
        if self._own.kind is not None:
            return []
        pure = {
            file: there[0]
            for file, counts in self._kinds.items()
            if len(there := [sort for sort in counts if counts[sort]]) == 1
        }
        first = next(iter(pure), "")
        other = next((file for file, sort in pure.items() if sort != pure[first]), None)
        if other is None:
            return []
        kind = Kind.CATEGORY if _TEXTS in (pure[first], pure[other]) else Kind.BOOLEAN
        return [
            f"column {quoted(self._name)} holds {pure[first]} in {first} and {pure[other]} in {other}: "
            f"make the files alike, or say {self._key('kind')} = '{kind}'"
        ]

    def _wrong_cells(self, kind: Kind, block: Feature) -> list[str]:
        problems: list[str] = []
        if kind is not Kind.CATEGORY and not self._is_boolean(kind):
            problems += self._wrong.texts(partial(self._not, kind), self._name)
            problems += self._mixed(kind) or self._remedy(kind)
            problems += self._inexact.texts(self._too_large, self._name)
        elif kind is Kind.CATEGORY and self._own.kind is None:
            problems += self._decimal_commas() or self._identifies()
        if kind is Kind.CATEGORY and len(self._texts) > MAX_DIFFERENT:
            problems = [
                f"column {quoted(self._name)} has more than {MAX_DIFFERENT:,} different texts: "
                "name it in data.ignore, or group the rare ones"
            ]
        if block.missing is Missing.REJECT:
            remedy = OWN_CATEGORY if kind is Kind.CATEGORY else "mean"
            problems += self._missing.texts(partial(self._no_value, remedy), self._name)
        return problems

    def _is_word(self, text: str) -> bool:
        return _sort_of(text, self._writing) != _NUMBERS

    def _is_boolean(self, kind: Kind) -> bool:
        """Whether the column was found to be boolean, so that no cell of it is wrong."""
        return kind is Kind.BOOLEAN and self._own.kind is None

    def _not(self, kind: Kind, place: str, text: str | None) -> str:
        return (
            f"{place}, column {quoted(self._name)}: {quoted((text or '').strip())} is not {_EXPECTED[kind]}"
        )

    def _too_large(self, place: str, text: str | None) -> str:
        return (
            f"{place}, column {quoted(self._name)}: {text} is beyond 2**53, which float64 does not hold "
            f"exactly: name an identifier in data.ignore, or say {self._key('kind')} = 'category'"
        )

    def _mixed(self, kind: Kind) -> list[str]:
        """The remedy for texts among numbers."""
        commas = any(_DECIMAL_COMMA.fullmatch((text or "").strip()) for _, text in self._wrong.first)
        if commas and self._parse and kind is Kind.NUMERIC and self._writing.decimal == ".":
            return [f"column {quoted(self._name)} has numbers with a decimal comma: say data.decimal = ','"]
        if self._own.kind is not None or not self._of(_TEXTS) or kind is not Kind.NUMERIC:
            return []
        return [
            f"column {quoted(self._name)} has {self._of(_NUMBERS):,} numbers and {self._of(_TEXTS):,} texts: "
            f"correct the cells, name them in data.missing_values if they mean a missing value, or say "
            f"{self._key('kind')} = 'category'"
        ]

    def _remedy(self, kind: Kind) -> list[str]:
        """What to do about cells that are wrong, where no text stands among numbers."""
        if not self._wrong.count:
            return []
        if self._own.kind is not None:
            what = f"is declared as {kind}: correct the cells, or say another {self._key('kind')}"
        else:
            what = "has numbers that are not finite: correct the cells, or name them in data.missing_values"
        return [f"column {quoted(self._name)} {what}"]

    def _no_value(self, remedy: str, place: str, text: str | None) -> str:
        if text is None:
            given = "the value is missing"
        else:
            given = f"{quoted(text.strip())} is a missing value" if text.strip() else "the cell is empty"
        return (
            f"{place}, column {quoted(self._name)}: {given} (features.missing says what that means, for "
            f"instance '{remedy}')"
        )

    def _decimal_commas(self) -> list[str]:
        """Numbers that are none because a comma stands before their fraction."""
        if not self._commas:
            return []
        return [
            f"column {quoted(self._name)} has numbers with a decimal comma, such as "
            f"{quoted(next(text for text in self._texts if ',' in text))}: say data.decimal = ',', or "
            f"{self._key('kind')} = 'category'"
        ]

    @property
    def _commas(self) -> bool:
        """Whether the texts are numbers but for a decimal comma, and some of them have one."""
        texts = [text.strip() for text in self._texts]
        if not self._parse or self._writing.decimal != "." or not any("," in text for text in texts):
            return False
        commas = Writing(decimal=",")
        return all(cell.number(commas.plain(text)) is not None for text in texts)

    def _identifies(self) -> list[str]:
        different = len(self._texts)
        if self._rows < _FEW_ROWS or different <= _IDENTIFIES * self._rows:
            return []
        return [
            f"column {quoted(self._name)} has {different} different texts in {self._rows} rows, as an "
            f"identifier has: name it in data.ignore, or say {self._key('kind')} = 'category'"
        ]

    def _key(self, key: str) -> str:
        return f"features.columns.{quoted(self._name)}.{key}"

    def _number(self, kind: Kind) -> tuple[Feature, Fill | None]:
        own, default = self._own, self._default
        missing = own.missing or (default.missing if default.missing in IMPUTATIONS else REJECT)
        low, high = self._range(kind)
        block = Feature(self._name, kind, (), _DTYPES[kind], (low, high))
        if missing not in IMPUTATIONS:
            return block, None
        fill = Fill(missing, own.fill if own.missing else default.fill)
        return replace(block, missing=Missing.IMPUTE), fill

    def _range(self, kind: Kind) -> tuple[float, float]:
        if self._is_boolean(kind) and self._texts:
            seen = [BOOLEANS[text.strip().casefold()] for text in self._texts]
            return min(seen), max(seen)
        return (self._low, self._high) if self._low <= self._high else (0.0, 0.0)

    def _category(self) -> tuple[Feature, None]:
        own, default = self._own, self._default
        vocabulary, dtype = vocabulary_of(self._texts)
        wanted = own.missing or (REJECT if default.missing in (None, REJECT) else OWN_CATEGORY)
        missing = Missing.CATEGORY if wanted == OWN_CATEGORY else Missing.REJECT
        unknown = own.unknown or default.unknown or Unknown.REJECT
        count = len(vocabulary) + (missing is not Missing.REJECT) + (unknown is not Unknown.REJECT)
        return (
            Feature(
                self._name,
                Kind.CATEGORY,
                (),
                dtype,
                (0.0, float(count - 1)),
                missing,
                vocabulary=vocabulary,
                unknown=unknown,
            ),
            None,
        )


def _add(counts: dict[str, int], key: str, count: int) -> None:
    counts[key] = counts.get(key, 0) + count


def _is_not_finite(text: str) -> bool:
    return cell.number(text) is not None and cell.finite(text) is None


def _sort_of(text: str, writing: Writing) -> str:
    """What one text could be."""
    text = text.strip()
    if text.casefold() in BOOLEANS:
        return _BOOLEANS
    return _TEXTS if cell.number(writing.plain(text)) is None else _NUMBERS


_RIGHT: Mapping[Kind, Callable[[F64], Mask]] = {
    Kind.NUMERIC: np.isfinite,
    Kind.INTEGER: lambda numbers: (np.floor(numbers) == numbers) & (np.abs(numbers) <= cell.MOST_EXACT),
    Kind.BOOLEAN: lambda numbers: np.isin(numbers, (0.0, 1.0)),
}
_PARSERS = {Kind.NUMERIC: cell.finite, Kind.INTEGER: cell.whole, Kind.BOOLEAN: cell.boolean}


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


def vocabulary_of(present: Iterable[str]) -> tuple[tuple[str, ...], str]:
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


def problems_of(found: Sequence[Known | tuple[str, ...]]) -> list[str]:
    """Everything that is wrong with some columns."""
    return [text for column in found if isinstance(column, tuple) for text in column]
