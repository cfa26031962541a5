"""Columns of a DataFrame or an array as feature blocks: one float a column, and back to what was given.

A text, or a number that an encoder takes for a category, becomes the code of its place in a vocabulary.
pandas is not imported: a frame is made again by its own class, so that an estimator is asked in the form that
it was fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, FloatType, Kind, Missing, Unknown
from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training.data.dataset import F64
from sigmax_training.foreign.labels import text_of

_STRANGERS = ("(unknown)", "?")
"""Two texts of different form that no vocabulary has; what an encoder makes of one, it makes of any."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column: what is said of it, and which value stands behind each code.

    Attributes:
        block: its feature block.
        values: of a category, the value of each code, the missing and an unknown one included; else empty.
        absent: what the estimator is given for a missing value of a category or a boolean.
    """

    block: Feature
    values: tuple[Any, ...] = ()
    absent: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of the features matrix, and the form in which the estimator takes them.

    Attributes:
        columns: one for each column, in order.
        frame: the class of the DataFrame that the estimator takes; None for an array.
        labels: the frame's own names of its columns, which may be no texts.
    """

    columns: tuple[Column, ...]
    frame: Any = None
    labels: tuple[Any, ...] = ()

    @property
    def blocks(self) -> tuple[Feature, ...]:
        """The feature blocks, numbers in float64."""
        return tuple(column.block for column in self.columns)

    @property
    def categories(self) -> tuple[int, ...]:
        """Which columns hold codes."""
        return tuple(index for index, block in enumerate(self.blocks) if block.kind is Kind.CATEGORY)

    def part(self, places: Sequence[int]) -> Columns:
        """Some of the columns, for a step that takes no others."""
        labels = tuple(self.labels[place] for place in places) if self.labels else ()
        return Columns(tuple(self.columns[place] for place in places), self.frame, labels)

    def served(self, dtype: FloatType) -> tuple[Feature, ...]:
        """The feature blocks of a graph: its numbers are sent in the graph's own type."""
        return tuple(
            replace(block, dtype=dtype.value) if block.kind is Kind.NUMERIC else block
            for block in self.blocks
        )

    def restored(self, matrix: npt.NDArray[Any]) -> Any:
        """The features matrix (n_samples, n_features) as the estimator takes it: a frame or an array."""
        parts = [_restored(column, matrix[:, index]) for index, column in enumerate(self.columns)]
        if self.frame is None:
            return self._array(parts, len(matrix))
        made = self.frame(dict(zip(self.labels, parts, strict=True)), dtype=object)
        kinds = {name: part.dtype for name, part in zip(self.labels, parts, strict=True)}
        return made.astype({name: kind for name, kind in kinds.items() if kind.kind != "O"})

    def _array(self, parts: list[npt.NDArray[Any]], count: int) -> npt.NDArray[Any]:
        if all(part.dtype.kind == "f" for part in parts):
            return np.column_stack(parts)
        mixed = np.empty((count, len(parts)), object)
        for index, part in enumerate(parts):
            mixed[:, index] = part
        return mixed


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What a caller gave: names, one array a column, and the frame's class if it was a frame."""

    names: tuple[str, ...]
    parts: tuple[npt.NDArray[Any], ...]
    frame: Any = None
    labels: tuple[Any, ...] = ()

    def only(self, places: Sequence[int]) -> Table:
        """Some of the columns of a frame."""
        return Table(
            tuple(self.names[place] for place in places),
            tuple(self.parts[place] for place in places),
            self.frame,
            tuple(self.labels[place] for place in places),
        )


def table_of(given: Any, known: Sequence[Any] | None) -> Table:
    """Take a DataFrame or an array apart.

    Args:
        given: (n_samples, n_features).
        known: the names that the estimator was fitted on, if it knows any.

    Raises:
        InvalidInput: it is neither, it has no rows, or columns are missing or named twice.
    """
    if hasattr(given, "columns"):
        return _checked(_frame(given, known))
    matrix = np.asarray(given.toarray() if hasattr(given, "toarray") else given)
    if matrix.ndim != 2:
        raise InvalidInput(f"X has {matrix.ndim} dimensions; rows and columns are needed")
    names = [f"x{index}" for index in range(matrix.shape[1])] if known is None else list(map(str, known))
    if len(names) != matrix.shape[1]:
        raise InvalidInput(f"X has {matrix.shape[1]} columns, the estimator was fitted on {len(names)}")
    return _checked(Table(tuple(names), tuple(matrix.T)))


def read(table: Table, encoded: Mapping[int, Sequence[Any]]) -> tuple[Columns, F64]:
    """Say what every column is, and write the rows as the features matrix.

    Missing values are allowed where the rows have one or an encoder knows one. Unknown categories are allowed
    by nobody yet: `with_unknown` says where.

    Args:
        table: the rows.
        encoded: by column, the categories that a fitted encoder knows.

    Returns:
        The columns and the matrix, (n_samples, n_features).

    Raises:
        InvalidInput: naming every column that holds something else than numbers, booleans or texts.
    """
    found: list[Column] = []
    numbers: list[F64] = []
    problems: list[str] = []
    for index, (name, part) in enumerate(zip(table.names, table.parts, strict=True)):
        try:
            column, codes = _column(name, part, encoded.get(index))
        except InvalidInput as error:
            problems.append(str(error))
        else:
            found.append(column)
            numbers.append(codes)
    if problems:
        raise InvalidInput(listed(problems))
    return Columns(tuple(found), table.frame, table.labels), np.column_stack(numbers)


def strangers(column: Column) -> tuple[Any, ...]:
    """Values that are no category of a column, in the type of its categories; none where no other exists."""
    block, values = column.block, column.values
    if block.dtype == "bool":
        return ()
    if block.dtype == "int64":
        highest = max(int(text) for text in block.vocabulary or ())
        kind = type(values[0])
        return tuple(kind(highest + step) for step in (1, 2)) if highest < 2**62 else ()
    known = set(values)
    return tuple(text if text not in known else _fresh(text, known) for text in _STRANGERS)


def with_unknown(columns: Columns, index: int, stranger: Any) -> Columns:
    """The same columns, where one takes unknown categories; the estimator is given a stranger for them."""
    column = columns.columns[index]
    codes = column.block.n_codes
    block = replace(column.block, unknown=Unknown.NATIVE, range=(0.0, float(codes)))
    changed = replace(column, block=block, values=(*column.values, stranger))
    return replace(columns, columns=(*columns.columns[:index], changed, *columns.columns[index + 1 :]))


def is_missing(value: Any) -> bool:
    """None, NaN, or what pandas has for a missing value."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or _is_nan(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _frame(given: Any, known: Sequence[Any] | None) -> Table:
    if not hasattr(given, "astype") or not hasattr(given, "iloc"):
        raise InvalidInput("X is a frame of another library than pandas: give X.to_pandas()")
    labels = list(given.columns)
    if len(set(labels)) < len(labels):
        raise InvalidInput("X has two columns of the same name")
    if known is not None:
        missing = [quoted(str(name)) for name in known if name not in set(labels)]
        if missing:
            raise InvalidInput(f"X lacks columns that the estimator was fitted on: {', '.join(missing[:20])}")
        labels = list(known)
    parts = tuple(np.asarray(given[label]) for label in labels)
    return Table(tuple(map(str, labels)), parts, type(given), tuple(labels))


def _checked(table: Table) -> Table:
    if not table.parts:
        raise InvalidInput("X has no columns")
    if len(table.parts[0]) == 0:
        raise InvalidInput("X has no rows: the gate asks them")
    twice = sorted({name for name in table.names if table.names.count(name) > 1})
    if twice or "" in table.names:
        raise InvalidInput(f"each column of X has a name of its own, not {quoted(twice[0] if twice else '')}")
    return table


def _column(name: str, part: npt.NDArray[Any], encoded: Sequence[Any] | None) -> tuple[Column, F64]:
    if encoded is not None:
        return _category(name, part, encoded)
    if part.dtype.kind in "fiu":
        return _numeric(name, part.astype(np.float64))
    if part.dtype.kind == "b":
        return _boolean(name, part)
    if part.dtype.kind not in "OUT":
        raise InvalidInput(f"column {quoted(name)} holds {part.dtype}: make it numbers, texts or booleans")
    values = [value for value in part.tolist() if not is_missing(value)]
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        return _boolean(name, part)
    if all(isinstance(value, int | float | np.number) for value in values):
        return _numeric(name, np.array([np.nan if is_missing(v) else v for v in part.tolist()], np.float64))
    return _category(name, part, ())


def _numeric(name: str, part: F64) -> tuple[Column, F64]:
    wrong = np.flatnonzero(np.isinf(part))
    if wrong.size:
        raise InvalidInput(f"X, row {wrong[0]}, column {quoted(name)}: infinite numbers cannot be sent")
    seen = part[~np.isnan(part)]
    bounds = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    missing = Missing.NATIVE if seen.size < part.size else Missing.REJECT
    return Column(Feature(name, Kind.NUMERIC, (), FloatType.FLOAT64.value, bounds, missing)), part


def _boolean(name: str, part: npt.NDArray[Any]) -> tuple[Column, F64]:
    absent = [value for value in part.tolist() if is_missing(value)]
    numbers = np.array([np.nan if is_missing(value) else bool(value) for value in part.tolist()], np.float64)
    missing = Missing.NATIVE if absent else Missing.REJECT
    block = Feature(name, Kind.BOOLEAN, (), "bool", (0.0, 1.0), missing)
    return Column(block, absent=absent[0] if absent else None), numbers


def _category(name: str, part: npt.NDArray[Any], encoded: Sequence[Any]) -> tuple[Column, F64]:
    given, known = part.tolist(), [_plain(value) for value in encoded]
    absent = [value for value in (*known, *given) if is_missing(value)]
    dtype, values = _vocabulary(name, [value for value in (*known, *given) if not is_missing(value)])
    missing = Missing.NATIVE if absent else Missing.REJECT
    count = len(values) + bool(absent)
    block = Feature(
        name, Kind.CATEGORY, (), dtype, (0.0, count - 1.0), missing, None, tuple(values), Unknown.REJECT
    )
    code = {text: index for index, text in enumerate(values)}
    codes = [len(values) if is_missing(value) else code[_text(value)] for value in given]
    every = (*values.values(), *absent[:1])
    return Column(block, every, absent[0] if absent else None), np.array(codes, np.float64)


def _vocabulary(name: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """The dtype of a category, and its values by their canonical text, in order."""
    kinds = {"bool" if isinstance(v, bool) else "text" if isinstance(v, str) else "number" for v in values}
    whole = all(isinstance(v, int) or (isinstance(v, float) and v.is_integer()) for v in values)
    if len(kinds) != 1 or (kinds == {"number"} and not whole):
        shown = (
            ", ".join(sorted({f"values like {quoted(value)}" for value in _one_of_each(values)}))
            or "no value"
        )
        raise InvalidInput(
            f"column {quoted(name)} is a category, and holds {shown}: categories are texts, integers or "
            "booleans, the same in every row; fit on text, as X.astype({...: str}) gives it"
        )
    if kinds == {"number"}:
        return "int64", {_text(value): value for value in sorted(set(values))}
    texts = {_text(value): value for value in values}
    return ("bool" if kinds == {"bool"} else "string"), {text: texts[text] for text in sorted(texts)}


def _one_of_each(values: Sequence[Any]) -> list[Any]:
    """A value of each type, a number with decimals before one without."""
    decimals = [value for value in values if isinstance(value, float) and not value.is_integer()]
    return list({type(value): value for value in (*values, *decimals)}.values())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else text_of(value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _fresh(text: str, known: set[Any]) -> str:
    while text in known:
        text += "?"
    return text


def _values(values: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Values of one type in an array of that type, others in one of objects."""
    if all(isinstance(value, bool) for value in values) or all(
        type(value) in (int, float) for value in values
    ):
        return np.array(values)
    mixed = np.empty(len(values), object)
    mixed[:] = values
    return mixed


def _restored(column: Column, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    kind = column.block.kind
    if kind is Kind.CATEGORY:
        return _values(column.values)[numbers.astype(np.int64)]
    if kind is Kind.BOOLEAN:
        if column.block.missing is Missing.REJECT:
            return numbers.astype(np.bool_)
        flags = np.empty(len(numbers), object)
        flags[:] = [column.absent if np.isnan(number) else bool(number) for number in numbers]
        return flags
    return numbers.astype(np.float64)
