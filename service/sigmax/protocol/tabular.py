"""Rows and columns by feature name, or rows in feature order, to the features matrix.

The straight way is taken for input that is right: no loop over cells in Python. Whatever is not goes a
slow way that names every row and feature that is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy.typing as npt

from sigmax.contract import Feature
from sigmax.errors import InvalidInput, Problem, nearest, path, quoted, shortened
from sigmax.protocol.categories import encoded, wrong_cells
from sigmax.protocol.places import Place, cell, in_columns, in_lists, in_rows
from sigmax.protocol.schema import Schema
from sigmax.protocol.values import check_count, check_pixels, describe, numbers, problem, refuse


class Rows(NamedTuple):
    """What a request holds, ready for the model.

    Attributes:
        features: (n_samples, n_features) in the model's dtype, or bytes, which every such type holds.
        ids: one value a row where the request asked for an id column, else None.
    """

    features: npt.NDArray[Any]
    ids: list[Any] | None = None


def from_rows(
    schema: Schema,
    rows: Any,
    id_column: str | None = None,
    ignore_extra: bool = False,
    max_rows: int = sys.maxsize,
) -> Rows:
    """Read a list of objects by feature name, or of lists in feature order.

    Args:
        schema: of the model.
        rows: the caller's value.
        id_column: a column to hand back with each row.
        ignore_extra: pass over columns that the model does not know, instead of refusing them.
        max_rows: more are refused.

    Raises:
        InvalidInput: naming rows, features, what was expected and what came.
    """
    if type(rows) is not list:
        raise InvalidInput(f"'rows' is a list of objects or of lists, not {describe(rows)}", "rows")
    if not rows:
        raise InvalidInput("'rows' is empty: send at least one row", "rows")
    check_count(len(rows), max_rows)
    kinds = set(map(type, rows))
    if kinds == {dict}:
        return _named(schema, rows, id_column, ignore_extra)
    if kinds == {list}:
        return _ordered(schema, rows, id_column)
    raise refuse(_mixed(rows))


def from_columns(
    schema: Schema,
    columns: Any,
    id_column: str | None = None,
    ignore_extra: bool = False,
    max_rows: int = sys.maxsize,
) -> Rows:
    """Read an object of lists, one value a row each; arguments and errors as `from_rows`."""
    if type(columns) is not dict:
        text = f"'columns' is an object of lists by feature name, not {describe(columns)}"
        raise InvalidInput(text, "columns")
    expected = schema.known if id_column is None else schema.known | {id_column}
    missing = [name for name in (*schema.names, *sorted(expected - schema.known)) if name not in columns]
    extra = [] if ignore_extra else [name for name in columns if name not in expected]
    if missing or extra:
        raise refuse(_names_differ(None, schema, missing, extra, columns))
    used = {name: columns[name] for name in (*schema.names, *(expected - schema.known))}
    lengths = {name: len(column) if type(column) is list else -1 for name, column in used.items()}
    if len(set(lengths.values())) != 1 or -1 in lengths.values():
        raise refuse(_lengths_differ(used))
    count = next(iter(lengths.values()))
    if count == 0:
        raise InvalidInput("'columns' are empty: send at least one row", "columns")
    check_count(count, max_rows, "columns")
    ids = None if id_column is None else list(columns[id_column])
    table = list(zip(*(columns[name] for name in schema.names), strict=True))
    return Rows(_matrix(schema, table, in_columns), ids)


def _named(schema: Schema, rows: list[dict[str, Any]], id_column: str | None, ignore_extra: bool) -> Rows:
    width = len(schema.names) + (id_column is not None and id_column not in schema.known)
    try:
        table = [tuple(map(row.__getitem__, schema.names)) for row in rows]
        ids = None if id_column is None else list(map(itemgetter(id_column), rows))
    except KeyError as error:
        raise refuse(_wrong_names(schema, rows, id_column, ignore_extra)) from error
    if not ignore_extra and any(len(row) != width for row in rows):
        raise refuse(_wrong_names(schema, rows, id_column, ignore_extra))
    return Rows(_matrix(schema, table, in_rows), ids)


def _ordered(schema: Schema, rows: list[list[Any]], id_column: str | None) -> Rows:
    if id_column is not None:
        text = f"the id column {quoted(id_column)} needs rows by name; these rows are lists"
        raise InvalidInput(text, "options.id")
    if any(len(row) != schema.width for row in rows):
        raise refuse(
            _of_row(index, f"expected {schema.width} values, got {len(row)}")
            for index, row in enumerate(rows)
            if len(row) != schema.width
        )
    cells = list(chain.from_iterable(rows))
    return Rows(_features(schema, cells, in_lists))


def _matrix(schema: Schema, table: list[tuple[Any, ...]], place: Place) -> npt.NDArray[Any]:
    """Blocks of every row, in feature order, to the features matrix."""
    cells = list(chain.from_iterable(table)) if schema.scalar else _flattened(schema, table, place)
    return _features(schema, cells, place)


def _features(schema: Schema, cells: list[Any], place: Place) -> npt.NDArray[Any]:
    features = numbers(schema, cells) if schema.plain else encoded(schema, cells)
    if features is None:
        wrong = _wrong_numbers if schema.plain else wrong_cells
        raise refuse(wrong(schema, cells, place))
    if schema.pixels:
        check_pixels(schema, features, place)
    return features


def _flattened(schema: Schema, table: list[tuple[Any, ...]], place: Place) -> list[Any]:
    cells: list[Any] = []
    for index, row in enumerate(table):
        for feature, value in zip(schema.features, row, strict=True):
            if feature.shape == ():
                cells.append(value)
            else:
                cells.extend(_pixels(feature, value, index, place))
    return cells


def _pixels(feature: Feature, value: Any, row: int, place: Place) -> list[Any]:
    """The numbers of an image block: one flat list, or lists nested as its shape says."""
    if (
        type(value) is list
        and len(value) == feature.size
        and not any(type(item) is list for item in value[:1])
    ):
        return value
    level = [value]
    for size in feature.shape:
        wrong = [item for item in level if type(item) is not list or len(item) != size]
        if wrong:
            raise InvalidInput.of([_not_nested(feature, wrong[0], row, place)])
        level = list(chain.from_iterable(level))
    return level


def _not_nested(feature: Feature, wrong: Any, row: int, place: Place) -> Problem:
    text = f"expected {feature.size} numbers, flat or nested as {list(feature.shape)}, got {describe(wrong)}"
    steps = ("columns", feature.name, row) if place is in_columns else ("rows", row, feature.name)
    return Problem(text, path(*steps), row, feature.name, f"row {row}, feature '{feature.name}'")


def _wrong_numbers(schema: Schema, cells: list[Any], place: Place) -> Iterator[Problem]:
    for position, value in enumerate(cells):
        text = problem(schema, value)
        if text is not None:
            yield cell(schema, *divmod(position, schema.width), text, place)


def _wrong_names(
    schema: Schema, rows: list[dict[str, Any]], id_column: str | None, ignore_extra: bool
) -> Iterator[Problem]:
    wanted = schema.names if id_column is None or id_column in schema.known else (*schema.names, id_column)
    allowed = frozenset(wanted)
    for index, row in enumerate(rows):
        missing = [name for name in wanted if name not in row]
        extra = [] if ignore_extra else [name for name in row if name not in allowed]
        yield from _names_differ(index, schema, missing, extra, row)


def _names_differ(
    row: int | None, schema: Schema, missing: list[str], extra: list[str], given: Mapping[str, Any]
) -> Iterator[Problem]:
    """Which names are wrong: of one row, or of all columns."""
    absent = [name for name in schema.names if name not in given]
    for name in extra:
        yield _of_name(row, name, f"unknown feature {quoted(name)}{nearest(name, absent or schema.names)}")
    for name in missing:
        what = "feature" if name in schema.known else "id column"
        yield _of_name(row, name, f"{what} {quoted(name)} is missing")


def _of_name(row: int | None, name: str, message: str) -> Problem:
    if row is None:
        return Problem(message, path("columns", name), None, shortened(name))
    return Problem(message, path("rows", row, name), row, shortened(name), f"row {row}")


def _of_row(row: int, message: str) -> Problem:
    return Problem(message, path("rows", row), row, None, f"row {row}")


def _lengths_differ(columns: Mapping[str, Any]) -> Iterator[Problem]:
    first, length = next(
        ((name, len(column)) for name, column in columns.items() if type(column) is list), ("", 0)
    )
    for name, column in columns.items():
        if type(column) is not list:
            yield _of_column(name, f"expected a list with one value a row, got {describe(column)}")
        elif len(column) != length:
            yield _of_column(name, f"{len(column)} values, but {length} in column {quoted(first)}")


def _of_column(name: str, message: str) -> Problem:
    return Problem(message, path("columns", name), None, shortened(name), f"column {quoted(name)}")


def _mixed(rows: list[Any]) -> Iterator[Problem]:
    first = dict if type(rows[0]) is dict else list
    wanted = "an object by feature name" if first is dict else "a list in feature order"
    for index, row in enumerate(rows):
        if type(row) is not first:
            yield _of_row(index, f"expected {wanted}, got {describe(row)}")
