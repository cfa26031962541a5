"""The columns of a table by name: all there, none of them twice, the same in every file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data.batches import Opened
from sigmax_training.job import Tabular

_NAMED = 10
"""How many columns are named to somebody who asks for one that is not there."""


def features_of(opened: Sequence[Opened], source: Tabular, key: str | None) -> list[str]:
    """The names of the features, in the first file's order.

    Raises:
        InvalidInput: naming every column that is missing, doubled or without a name, and files that differ.
    """
    first = opened[0]
    problems = [text for file in opened for text in _badly_named(file, alone=len(opened) == 1)]
    problems += [text for file in opened[1:] for text in _differences(first, file)]
    problems += _not_there(first.columns, source, key)
    apart = {*source.targets, *source.ignore, key}
    features = [name for name in first.columns if name not in apart]
    if not problems and not features:
        problems.append(f"there is no feature beside the target {quoted(source.targets[0])}")
    if problems:
        raise InvalidInput(listed(problems))
    return features


def _badly_named(file: Opened, *, alone: bool) -> Iterator[str]:
    where = "" if alone else f"{file.name}: "
    for number, name in enumerate(file.columns, 1):
        if name == "":
            yield f"{where}column {number} has no name"
    for name in sorted({name for name in file.columns if name and file.columns.count(name) > 1}):
        yield f"{where}column {quoted(name)} stands {file.columns.count(name)} times"


def _differences(first: Opened, other: Opened) -> Iterator[str]:
    for name in first.columns:
        if name not in other.columns:
            hint = nearest(name, other.columns)
            yield f"{other.name} has no column {quoted(name)}, which {first.name} has{hint}"
    for name in other.columns:
        if name not in first.columns:
            yield f"{other.name} has a column {quoted(name)}, which {first.name} has not"


def _not_there(columns: Sequence[str], source: Tabular, key: str | None) -> list[str]:
    keys = () if key is None else (key,)
    wanted = (
        ("target", source.targets),
        ("ignored", source.ignore),
        ("features.columns", source.columns),
        ("evaluation.key", keys),
    )
    problems = [
        f"there is no {what} column {quoted(name)}{nearest(name, columns) or _there_are(columns)}"
        for what, names in wanted
        for name in names
        if name not in columns
    ]
    for what, names in (("data.ignore", source.ignore), ("evaluation.key", keys)):
        problems += [f"{what} names the target {quoted(name)}" for name in source.targets if name in names]
    apart = {*source.targets, *source.ignore, key}
    problems += [
        f"features.columns names {quoted(name)}, which is no feature"
        for name in source.columns
        if name in apart
    ]
    return problems


def _there_are(columns: Sequence[str]) -> str:
    """Name the columns, the first of many."""
    if not columns:
        return "; there is no column at all"
    more = ", …" if len(columns) > _NAMED else ""
    return f"; there are {', '.join(map(quoted, columns[:_NAMED]))}{more}"
