"""The request of the Classifier contract, the same through REST, gRPC and the command line."""

from __future__ import annotations

from typing import Any

from sigmax.errors import InvalidInput
from sigmax.protocol.options import Options
from sigmax.protocol.schema import Schema
from sigmax.protocol.tabular import Rows, from_columns, from_rows


def read_rows(schema: Schema, rows: Any, columns: Any, options: Options, max_rows: int) -> Rows:
    """Read whichever of `rows` and `columns` is filled.

    Raises:
        InvalidInput: none or both are filled, or what is in them is wrong.
    """
    if rows and columns:
        raise InvalidInput("both 'rows' and 'columns' are filled: send exactly one of them")
    if rows or (columns in (None, {}) and rows not in (None, [])):
        return from_rows(schema, rows, options.id, options.ignore_extra, max_rows)
    if columns in (None, {}):
        raise InvalidInput("no rows: send exactly one of 'rows' and 'columns', with at least one row")
    return from_columns(schema, columns, options.id, options.ignore_extra, max_rows)
