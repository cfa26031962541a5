"""Figures of several processes added up, so that no total ever goes down.

A series is `(kind, name, labels)`. Its value is a number, or of a histogram a list: the count of each
bucket and, last, the sum of all values. Counters, several of them as a list, and histograms are added, those
of the dead, too; of moments the latest counts, whoever saw it. Gauges are of the living only, and their kind
says how several become one. What is counted is unknown here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

COUNTER, COUNTERS, HISTOGRAM, LATEST = "counter", "counters", "histogram", "latest"
SUM, LEAST, MOST = "sum", "least", "most"

Key = tuple[str, str, tuple[str, ...]]
Value = float | list[float]
Figures = dict[Key, Value]

_LASTING = (COUNTER, COUNTERS, HISTOGRAM, LATEST)
_LISTS = (COUNTERS, HISTOGRAM)
_MERGE: dict[str, Callable[[Any, Any], Any]] = {
    COUNTER: operator.add,
    LATEST: max,
    SUM: operator.add,
    LEAST: min,
    MOST: max,
}


def changes(news: Mapping[Key, Value | None], known: Mapping[Key, Value]) -> list[list[Any]]:
    """What of the news is to be sent to one who knows `known`, for JSON; a series that is no more is None."""
    return [[*key, value] for key, value in news.items() if known.get(key) != value]


def update(known: Figures, sent: Iterable[list[Any]]) -> None:
    """Take over what `changes` gave."""
    for kind, name, labels, value in sent:
        key = kind, name, tuple(labels)
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value


def add(total: Figures, figures: Mapping[Key, Value]) -> None:
    """Add the figures of one process to a total."""
    for key, value in figures.items():
        total[key] = _merged(key[0], total[key], value) if key in total else value


def of(figures: Mapping[Key, Value], names: Collection[str]) -> Mapping[Key, Value]:
    """Those of some names; all, if there are none."""
    return {key: value for key, value in figures.items() if key[1] in names} if names else figures


def lasting(figures: Mapping[Key, Value]) -> Figures:
    """Those that outlive their process."""
    return {key: value for key, value in figures.items() if key[0] in _LASTING}


def _merged(kind: str, one: Any, other: Any) -> Value:
    if kind in _LISTS:
        return [mine + theirs for mine, theirs in zip(one, other, strict=True)]
    merged: float = _MERGE[kind](one, other)
    return merged
