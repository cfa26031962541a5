"""What a caller may ask for besides an answer: `top_k`, `threshold`, `extra` and `id`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sigmax.contract import Manifest, Task
from sigmax.errors import InvalidInput, nearest, quoted
from sigmax.protocol.values import describe, refuse, refuse_any

NAMES = ("top_k", "threshold", "extra", "id")
_EXTRA = ("reject", "ignore")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one request.

    Attributes:
        top_k: how many of the most probable classes to name; None: none.
        threshold: the caller's own, a number or numbers by label; None: the model's.
        ignore_extra: pass over columns that the model does not know.
        id: a column that comes back with each row.
    """

    top_k: int | None = None
    threshold: float | Mapping[str, float] | None = None
    ignore_extra: bool = False
    id: str | None = None


DEFAULT = Options()


def parse(value: Any) -> Options:
    """Read the options of a request.

    Raises:
        InvalidInput: an unknown option, or a value of the wrong kind; all of them at once.
    """
    if type(value) is not dict:
        raise InvalidInput(f"'options' is an object, not {describe(value)}")
    given = {name: entry for name, entry in value.items() if entry is not None}
    refuse_any(_problems(given))
    extra = given.get("extra") == "ignore"
    return Options(given.get("top_k"), given.get("threshold"), extra, given.get("id"))


def _problems(given: Mapping[str, Any]) -> Iterator[str]:
    for name in given:
        if name not in NAMES:
            yield f"unknown option {quoted(name)}{nearest(name, NAMES)}"
    top_k, extra, identity = given.get("top_k"), given.get("extra", "reject"), given.get("id")
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        yield f"option 'top_k' is a whole number of at least 1, not {describe(top_k)}"
    if extra not in _EXTRA:
        yield f"option 'extra' is 'reject' or 'ignore', not {describe(extra)}"
    if identity is not None and type(identity) is not str:
        yield f"option 'id' is the name of a column, not {describe(identity)}"
    yield from _threshold_problems(given.get("threshold"))


def _threshold_problems(value: Any) -> Iterator[str]:
    if value is None:
        return
    for label, entry in value.items() if type(value) is dict else [("", value)]:
        if type(entry) not in (int, float) or not 0 <= entry <= 1:
            which = f" of {quoted(label)}" if label else ""
            yield f"option 'threshold'{which} is a number from 0 to 1, not {describe(entry)}"


def thresholds(manifest: Manifest, threshold: float | Mapping[str, float]) -> dict[str, float]:
    """The thresholds by label that a caller's `threshold` means for this model.

    Raises:
        InvalidInput: the model has none, or a label is not one of its classes.
    """
    decision = dict(manifest.decision.thresholds)
    if manifest.task is Task.MULTICLASS:
        raise InvalidInput(
            "option 'threshold': a multiclass model takes the most probable class, it has no threshold"
        )
    if not isinstance(threshold, Mapping):
        return dict.fromkeys(decision, float(threshold))
    if manifest.task is Task.BINARY:
        raise InvalidInput("option 'threshold': a binary model takes one number, not an object")
    unknown = [label for label in threshold if label not in decision]
    if unknown:
        raise refuse(
            f"option 'threshold': unknown label {quoted(label)}{nearest(label, decision)}"
            for label in unknown
        )
    return decision | {label: float(entry) for label, entry in threshold.items()}
