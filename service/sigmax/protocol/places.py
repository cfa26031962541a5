"""Where a cell of the features matrix stands in a request: as a text names it, and as a path.

A row and a feature are named alike whatever the request looks like; the path is that of its own form.
"""

from __future__ import annotations

from collections.abc import Callable

from sigmax.contract import INPUT
from sigmax.errors import Problem, path
from sigmax.protocol.schema import CATEGORIES, Schema

Place = Callable[[Schema, int, int], str]
"""The path of a row and a column of the features matrix."""


def in_rows(schema: Schema, row: int, column: int) -> str:
    """Of rows by feature name: `rows[3]['petal width (cm)']`, `rows[3].photo[2][0][7]`."""
    return path("rows", row, schema.feature(column).name, *schema.index(column))


def in_lists(_: Schema, row: int, column: int) -> str:
    """Of rows in feature order: `rows[3][2]`."""
    return path("rows", row, column)


def in_columns(schema: Schema, row: int, column: int) -> str:
    """Of columns by feature name: `columns['petal width (cm)'][3]`."""
    return path("columns", schema.feature(column).name, row, *schema.index(column))


def in_features(_: Schema, row: int, column: int) -> str:
    """Of the input `features`: `inputs.features[3][2]`, whether its data is nested, flat or bytes."""
    return path("inputs", INPUT, row, column)


def in_categories(schema: Schema, row: int, column: int) -> str:
    """Of the input `categories`: `inputs.categories[3][0]`; the column is that of the features matrix."""
    return path("inputs", CATEGORIES, row, schema.categories.index(column))


def cell(schema: Schema, row: int, column: int, message: str, place: Place) -> Problem:
    """What is wrong with one cell."""
    where = f"row {row}, {schema.column_name(column)}"
    return Problem(message, place(schema, row, column), row, schema.feature(column).name, where)
