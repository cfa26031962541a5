"""A fitted pipeline made ready for the converter: it takes the features matrix, codes and all, and no text.

What becomes of a category depends on its code alone, so everything that a pipeline does to categories is
looked up in tables, one a column, filled by asking the fitted transformers themselves. Encoders, imputers of
texts, rare and unknown categories are then right by construction, and no string is in the graph.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

from sigmax.errors import InvalidInput, quoted
from sigmax_training.data.dataset import F64
from sigmax_training.foreign.columns import Columns
from sigmax_training.foreign.unwrap import name_of

_MOST_CELLS = 16_000_000
"""Numbers in the tables of one branch, 128 MB: beyond, a one-hot encoding is no sensible graph."""

_COMBINATIONS = 64
"""Random rows that tables have to reproduce before they stand for a transformer."""

Step = tuple[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """What a transformer makes of codes: one table a column, put together and brought into order.

    Attributes:
        tables: for each column, (n_codes, n_outputs of it).
        order: for each output, its place among the tables' columns side by side.
    """

    tables: tuple[F64, ...]
    order: tuple[int, ...]

    @property
    def n_outputs(self) -> int:
        """How many numbers come out."""
        return len(self.order)

    def transform(self, codes: npt.NDArray[Any]) -> F64:
        """Codes (n_samples, n_columns) to numbers (n_samples, n_outputs)."""
        whole = codes.astype(np.int64)
        rows = [table[whole[:, column]] for column, table in enumerate(self.tables)]
        return np.concatenate(rows, axis=1)[:, list(self.order)]


def prepared(estimator: Any, columns: Columns) -> Any:
    """The same estimator for the features matrix.

    Args:
        estimator: a fitted classifier, or a pipeline that ends in one.
        columns: what the matrix holds; categories know all their codes.

    Raises:
        InvalidInput: naming the step that cannot be written as a graph.
    """
    steps = list(estimator.steps) if isinstance(estimator, Pipeline) else [("classifier", estimator)]
    made = [*_steps(steps[:-1], tuple(range(len(columns.columns))), columns), steps[-1]]
    return made[0][1] if len(made) == 1 else Pipeline(made)


def used(estimator: Any, width: int) -> tuple[int, ...]:
    """The columns that a pipeline looks at: a ColumnTransformer in front may drop some.

    Args:
        estimator: a fitted classifier, or a pipeline that ends in one.
        width: how many columns there are.
    """
    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(first, ColumnTransformer):
        return tuple(range(width))
    taken = {
        place
        for name, inner, _ in first.transformers_
        if not _is_dropped(inner)
        for place in _places(first, name)
    }
    return tuple(sorted(taken))


def narrowed(pipeline: Pipeline, places: Sequence[int]) -> Pipeline:
    """The same pipeline for a matrix that has only the columns that its ColumnTransformer looks at."""
    (name, first), *rest = pipeline.steps
    moved = {place: index for index, place in enumerate(places)}
    made = copy.copy(first)
    made._transformer_to_input_indices = {
        branch: [moved[place] for place in taken if place in moved]
        for branch, taken in first._transformer_to_input_indices.items()
    }
    return Pipeline([(name, made), *rest])


def encoded(estimator: Any, width: int) -> dict[int, list[Any]]:
    """By column, the categories that a fitted encoder in the estimator knows.

    Args:
        estimator: a fitted classifier, or a pipeline that ends in one.
        width: how many columns there are.
    """
    found: dict[int, list[Any]] = {}
    for column, categories in _encoded(estimator, tuple(range(width))):
        found.setdefault(column, []).extend(categories)
    return found


def _encoded(step: Any, columns: Sequence[int]) -> Iterator[tuple[int, list[Any]]]:
    if isinstance(step, Pipeline):
        for _, inner in step.steps:
            yield from _encoded(inner, columns)
    elif isinstance(step, FeatureUnion):
        for _, inner in step.transformer_list:
            yield from _encoded(inner, columns)
    elif isinstance(step, ColumnTransformer):
        for name, inner, _ in step.transformers_:
            yield from _encoded(inner, [columns[place] for place in _places(step, name)])
    elif columns and len(getattr(step, "categories_", ())) == len(columns):
        yield from ((column, list(known)) for column, known in zip(columns, step.categories_, strict=True))


def _steps(steps: Sequence[Step], places: Sequence[int], columns: Columns) -> list[Step]:
    """The steps of a pipeline that takes some columns of the features matrix."""
    codes = set(columns.categories).intersection(places)
    if not codes:
        return [(name, _numeric(name, step)) for name, step in steps if not _is_identity(step)]
    if len(codes) == len(places):
        return _looked_up(steps, places, columns)
    if not steps:
        raise InvalidInput(_unencoded(codes, columns))
    (name, first), *rest = steps
    if isinstance(first, Pipeline):
        return _steps([*first.steps, *rest], places, columns)
    if isinstance(first, ColumnTransformer):
        made = _column_transformer(first, places, columns)
    elif isinstance(first, FeatureUnion):
        made = _feature_union(first, places, columns)
    elif _is_identity(first):
        return _steps(rest, places, columns)
    else:
        raise InvalidInput(
            f"step {quoted(name)}: {name_of(first)} takes categories and numbers together; "
            "give each their own transformer in a ColumnTransformer"
        )
    return [(name, made), *((other, _numeric(other, step)) for other, step in rest if not _is_identity(step))]


def _column_transformer(
    step: ColumnTransformer, places: Sequence[int], columns: Columns
) -> ColumnTransformer:
    made = copy.copy(step)
    made.transformers_ = [
        (
            name,
            _branch(name, inner, [places[place] for place in _places(step, name)], columns),
            _places(step, name),
        )
        for name, inner, _ in step.transformers_
        if not _is_dropped(inner) and len(_places(step, name))
    ]
    return made


def _feature_union(step: FeatureUnion, places: Sequence[int], columns: Columns) -> FeatureUnion:
    made = copy.copy(step)
    made.transformer_list = [
        (name, _branch(name, inner, places, columns))
        for name, inner in step.transformer_list
        if not _is_dropped(inner)
    ]
    return made


def _branch(name: str, step: Any, places: Sequence[int], columns: Columns) -> Any:
    steps = list(step.steps) if isinstance(step, Pipeline) else [(name, step)]
    made = _steps(steps, places, columns)
    if not made:
        return "passthrough"
    return made[0][1] if len(made) == 1 else Pipeline(made)


def _numeric(name: str, step: Any) -> Any:
    """A step on numbers: as it is, with nothing in it that a converter makes something else of."""
    if isinstance(step, FunctionTransformer) and not _is_identity(step):
        raise InvalidInput(
            f"step {quoted(name)}: FunctionTransformer calls Python code, which no graph can hold: do it "
            "before fit and before every request, or use one of scikit-learn's such as PowerTransformer"
        )
    if isinstance(step, Pipeline):
        inner = [(other, _numeric(other, part)) for other, part in step.steps if not _is_identity(part)]
        return Pipeline(inner) if inner else "passthrough"
    if isinstance(step, ColumnTransformer):
        made = copy.copy(step)
        made.transformers_ = [
            (other, "passthrough" if _is_identity(part) else _numeric(other, part), _places(step, other))
            for other, part, _ in step.transformers_
            if not _is_dropped(part) and len(_places(step, other))
        ]
        return made
    return step


def _looked_up(steps: Sequence[Step], places: Sequence[int], columns: Columns) -> list[Step]:
    """As few first steps as give numbers in a table, then the others; every column is a category."""
    part = columns.part(places)
    for count in range(1, len(steps) + 1):
        name = steps[count - 1][0]
        found = _lookup(steps[:count], part)
        if found is not None:
            rest = [(other, _numeric(other, step)) for other, step in steps[count:] if not _is_identity(step)]
            return [(name, found), *rest]
    raise InvalidInput(_unencoded(set(places), columns))


def _lookup(steps: Sequence[Step], part: Columns) -> Lookup | None:
    """Tables that reproduce some steps; None if those give no numbers, or mix columns."""
    sizes = [column.block.n_codes for column in part.columns]
    base = _transformed(steps, part, np.zeros((1, len(sizes))))
    if base is None:
        return None
    if base.shape[1] * sum(sizes) > _MOST_CELLS:
        raise InvalidInput(
            f"step {quoted(steps[-1][0])} makes {base.shape[1]} numbers of {sum(sizes)} categories, which is "
            "too large: join rare ones by OneHotEncoder(max_categories=...) or (min_frequency=...)"
        )
    found = _tabled(steps, part, sizes, base.shape[1])
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, size, _COMBINATIONS) for size in sizes]).astype(np.float64)
    expected = _transformed(steps, part, codes)
    same = expected is not None and np.array_equal(found.transform(codes), expected, equal_nan=True)
    return found if same else None


def _tabled(steps: Sequence[Step], part: Columns, sizes: Sequence[int], width: int) -> Lookup:
    """One table a column, with the outputs that change when that column alone does."""
    tables: list[F64] = []
    owner = np.zeros(width, np.int64)
    for column, size in enumerate(sizes):
        rows = np.zeros((size, len(sizes)))
        rows[:, column] = np.arange(size)
        table = _transformed(steps, part, rows)
        table = np.zeros((size, width)) if table is None else table
        owner[~((table == table[0]) | (np.isnan(table) & np.isnan(table[0]))).all(axis=0)] = column
        tables.append(table)
    outputs = [np.flatnonzero(owner == column) for column in range(len(sizes))]
    return Lookup(
        tuple(table[:, mine] for table, mine in zip(tables, outputs, strict=True)),
        tuple(np.argsort(np.concatenate(outputs)).tolist()),
    )


def _transformed(steps: Sequence[Step], part: Columns, codes: F64) -> F64 | None:
    """What some steps make of codes, dense (n_samples, n_outputs); None where that is no table of numbers."""
    rows = part.restored(codes)
    for name, step in steps:
        try:
            rows = rows if _is_identity(step) else step.transform(rows)
        except Exception as error:  # transformers fail with errors of every class
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise InvalidInput(
                f"step {quoted(name)} refuses categories that it was given: {reason}"
            ) from error
    dense = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
    try:
        return dense.astype(np.float64) if dense.ndim == 2 else None
    except (TypeError, ValueError):
        return None


def _unencoded(places: set[int], columns: Columns) -> str:
    names = ", ".join(quoted(columns.blocks[place].name) for place in sorted(places)[:5])
    return (
        f"the categories of {names} reach the classifier as they are, or mixed with each other: encode each "
        "in a ColumnTransformer that stands before it, and before anything that wraps several classifiers: "
        "make_pipeline(ColumnTransformer(...), CalibratedClassifierCV(...))"
    )


def _places(step: ColumnTransformer, name: str) -> list[int]:
    """Which columns of its input a branch takes."""
    return [int(place) for place in step._transformer_to_input_indices[name]]


def _is_identity(step: Any) -> bool:
    unchanged = isinstance(step, FunctionTransformer) and step.func is None
    return step is None or unchanged or (isinstance(step, str) and step == "passthrough")


def _is_dropped(step: Any) -> bool:
    return isinstance(step, str) and step == "drop"
