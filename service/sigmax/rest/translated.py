"""Where a problem stands in a request of `:predict` or `:classify`, from where it stands in the Classifier's.

Their rows are read as the Classifier's; a message names row and feature alike, but the path has to be that of
the body which the caller sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sigmax.contract import INPUT
from sigmax.errors import InvalidInput, Problem, path
from sigmax.protocol.schema import CATEGORIES, Schema

Where = Callable[[Problem], str]
"""The path of a problem whose field is the Classifier's."""

_ROW = re.compile(r"(?:rows|images)\[(?P<row>\d+)\](?:\[(?P<column>\d+)\])?(?P<rest>.*)", re.DOTALL)
_OURS = re.compile(r"^(?:rows|columns|images)(?=[.\[]|$)")


def under(key: str, context: Collection[str] = ()) -> Where:
    """Of rows, columns or pictures under another key, and of features that all rows share under `context`."""

    def where(problem: Problem) -> str:
        if problem.feature in context and problem.feature is not None:
            return path("context", problem.feature)
        return _OURS.sub(key, problem.field)

    return where


def in_lists_of(key: str, feature: str) -> Where:
    """Of rows that are the values of the one feature, as lists."""
    rows = under(key)

    def where(problem: Problem) -> str:
        match = _ROW.fullmatch(problem.field)
        if match is None:
            return rows(problem)
        inner = match["rest"].removeprefix(path("rows", feature)[len("rows") :])
        return f"{key}[{match['row']}]{inner}"

    return where


def by_tensor(schema: Schema, key: str, *, columnar: bool) -> Where:
    """Of rows that stand under the names of input tensors, each row in itself or each tensor in whole."""
    listed = [*schema.categories]
    numbers = [column for column in range(schema.width) if column not in set(listed)]
    spots = {column: (INPUT, place) for place, column in enumerate(numbers)}
    spots |= {column: (CATEGORIES, place) for place, column in enumerate(listed)}

    def where(problem: Problem) -> str:
        match = _ROW.fullmatch(problem.field)
        if match is None:
            return problem.field
        row = int(match["row"])
        if match["column"] is None:
            return path(key, INPUT, row) if columnar else path(key, row, INPUT)
        tensor, place = spots[int(match["column"])]
        return path(key, tensor, row, place) if columnar else path(key, row, tensor, place)

    return where


def in_column(key: str, name: str) -> Where:
    """Of pictures in a column of this name."""

    def where(problem: Problem) -> str:
        match = _ROW.fullmatch(problem.field)
        return problem.field if match is None else path(key, name, int(match["row"]))

    return where


@contextmanager
def told(where: Where) -> Iterator[None]:
    """Let problems say the caller's path."""
    try:
        yield
    except InvalidInput as error:
        error.problems = tuple(replace(one, field=where(one)) for one in error.problems)
        raise
