"""What a caller may ask for besides an answer: `top_k`, `threshold`, `band`, `extra`, `id` and `include`.

The Open Inference Protocol has no options but parameters of a request; what they say is read here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sigmax.contract import LOGITS, Decision, Manifest, Task
from sigmax.errors import InvalidInput, Problem, nearest, path, quoted
from sigmax.protocol.values import describe, refuse_any

NAMES = ("top_k", "threshold", "extra", "id", "band", "include")
INCLUDE = (LOGITS,)
PARAMETERS = ("threshold", "band_low", "band_high")
_EXTRA = ("reject", "ignore")

Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one request.

    Attributes:
        top_k: how many of the most probable classes to name; None: none.
        threshold: the caller's own, a number or numbers by label; None: the model's.
        ignore_extra: pass over columns that the model does not know.
        id: a column that comes back with each row.
        band: the caller's own, (low, high) or such by label; None: the model's, where its threshold stands.
        include: what else to answer, of `INCLUDE`.
    """

    top_k: int | None = None
    threshold: float | Mapping[str, float] | None = None
    ignore_extra: bool = False
    id: str | None = None
    band: Band | Mapping[str, Band] | None = None
    include: frozenset[str] = frozenset()


DEFAULT = Options()


def parse(value: Any) -> Options:
    """Read the options of a request.

    Raises:
        InvalidInput: an unknown option, or a value of the wrong kind; all of them at once.
    """
    if type(value) is not dict:
        raise InvalidInput(f"'options' is an object, not {describe(value)}", "options")
    given = {name: entry for name, entry in value.items() if entry is not None}
    refuse_any(_problems(given))
    extra = given.get("extra") == "ignore"
    return Options(
        given.get("top_k"),
        given.get("threshold"),
        extra,
        given.get("id"),
        _band(given.get("band")),
        frozenset(given.get("include", ())),
    )


def from_parameters(parameters: Mapping[str, Any]) -> Options:
    """Read the options among the parameters of an Open Inference request.

    `threshold`, and `band_low` with `band_high`, are numbers, since a parameter holds no more. Parameters of
    other names mean nothing here: the standard has them ignored.

    Returns:
        `DEFAULT` itself if there is none of ours.

    Raises:
        InvalidInput: one of ours is no number from 0 to 1, or half of a band.
    """
    given = {name: parameters[name] for name in PARAMETERS if parameters.get(name) is not None}
    if not given:
        return DEFAULT
    refuse_any(
        Problem(
            f"parameter '{name}' is a number from 0 to 1, not {describe(value)}", path("parameters", name)
        )
        for name, value in given.items()
        if not _is_probability(value)
    )
    bounds = [float(given[name]) for name in ("band_low", "band_high") if name in given]
    if bounds and not (len(bounds) == 2 and bounds[0] < bounds[1]):
        text = "parameters 'band_low' and 'band_high' come together, 'band_low' below 'band_high'"
        raise InvalidInput(text, "parameters")
    return Options(threshold=given.get("threshold"), band=(bounds[0], bounds[1]) if bounds else None)


def _problems(given: Mapping[str, Any]) -> Iterator[Problem]:
    for name in given:
        if name not in NAMES:
            yield _of_option(f"unknown option {quoted(name)}{nearest(name, NAMES)}", name)
    top_k, extra, identity = given.get("top_k"), given.get("extra", "reject"), given.get("id")
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        yield _of_option(f"option 'top_k' is a whole number of at least 1, not {describe(top_k)}", "top_k")
    if extra not in _EXTRA:
        yield _of_option(f"option 'extra' is 'reject' or 'ignore', not {describe(extra)}", "extra")
    if identity is not None and type(identity) is not str:
        yield _of_option(f"option 'id' is the name of a column, not {describe(identity)}", "id")
    yield from _threshold_problems(given.get("threshold"))
    yield from _band_problems(given.get("band"))
    yield from _include_problems(given.get("include", []))


def _of_option(message: str, name: str, *label: str) -> Problem:
    return Problem(message, path("options", name, *filter(None, label)))


def _threshold_problems(value: Any) -> Iterator[Problem]:
    if value is None:
        return
    for label, entry in value.items() if type(value) is dict else [("", value)]:
        if not _is_probability(entry):
            which = f" of {quoted(label)}" if label else ""
            text = f"option 'threshold'{which} is a number from 0 to 1, not {describe(entry)}"
            yield _of_option(text, "threshold", label)


def _band_problems(value: Any) -> Iterator[Problem]:
    if value is None:
        return
    for label, entry in value.items() if type(value) is dict else [("", value)]:
        pair = type(entry) is list and len(entry) == 2 and all(map(_is_probability, entry))
        if not pair or entry[0] >= entry[1]:
            which = f" of {quoted(label)}" if label else ""
            text = f"option 'band'{which} is [low, high], two numbers from 0 to 1 and the lower one first, "
            yield _of_option(f"{text}not {entry if pair else describe(entry)}", "band", label)


def _include_problems(value: Any) -> Iterator[Problem]:
    if type(value) is not list:
        yield _of_option(f"option 'include' is a list of texts, not {describe(value)}", "include")
        return
    for place, entry in enumerate(value):
        if entry not in INCLUDE:
            known = ", ".join(INCLUDE)
            hint = nearest(entry, INCLUDE) if type(entry) is str else ""
            text = f"option 'include': nothing is called {quoted(entry)}{hint}; there is {known}"
            yield Problem(text, path("options", "include", place))


def _is_probability(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _band(value: Any) -> Band | dict[str, Band] | None:
    if type(value) is dict:
        return {label: (float(low), float(high)) for label, (low, high) in value.items()}
    return None if value is None else (float(value[0]), float(value[1]))


def logits_included(manifest: Manifest, options: Options) -> bool:
    """Whether a caller wants the logits.

    Raises:
        InvalidInput: the model gives none.
    """
    if LOGITS not in options.include:
        return False
    if LOGITS not in manifest.graph.outputs:
        raise InvalidInput(f"option 'include': {without_logits(manifest)}", "options.include")
    return True


def without_logits(manifest: Manifest) -> str:
    """What to say of logits that a model does not give."""
    return f"model '{manifest.name}' was published without logits; its job has to say `logits = true`"


def decision(manifest: Manifest, options: Options) -> Decision:
    """The model's decision with the caller's threshold and band in it.

    A band of the model is about its own threshold: a label whose threshold is the caller's has the caller's
    band or none.

    Raises:
        InvalidInput: the model has no threshold, a label is not one of its classes, or a band does not lie
            around its threshold.
    """
    own = manifest.decision
    moved = {} if options.threshold is None else _thresholds(manifest, options.threshold)
    bands = {} if options.band is None else _bands(manifest, options.band)
    thresholds = {**own.thresholds, **moved}
    kept = {label: bounds for label, bounds in own.band.items() if label not in moved}
    refuse_any(
        _of_option(
            f"option 'band'{_of(manifest, label)}: {low!r} to {high!r} does not lie around the threshold "
            f"{thresholds[label]!r}",
            "band",
            label if manifest.task is Task.MULTILABEL else "",
        )
        for label, (low, high) in bands.items()
        if not low <= thresholds[label] <= high
    )
    return Decision(thresholds, own.positive, kept | bands)


def _of(manifest: Manifest, label: str) -> str:
    return f" of {quoted(label)}" if manifest.task is Task.MULTILABEL else ""


def _thresholds(manifest: Manifest, threshold: float | Mapping[str, float]) -> dict[str, float]:
    """The thresholds by label that a caller's `threshold` means for this model."""
    own = manifest.decision.thresholds
    if manifest.task is Task.MULTICLASS:
        raise InvalidInput(
            "option 'threshold': a multiclass model takes the most probable class, it has no threshold",
            "options.threshold",
        )
    if not isinstance(threshold, Mapping):
        return dict.fromkeys(own, float(threshold))
    if manifest.task is Task.BINARY:
        text = "option 'threshold': a binary model takes one number, not an object"
        raise InvalidInput(text, "options.threshold")
    _refuse_unknown("threshold", threshold, own)
    return {label: float(entry) for label, entry in threshold.items()}


def _bands(manifest: Manifest, band: Band | Mapping[str, Band]) -> dict[str, Band]:
    """The bands by label that a caller's `band` means for this model."""
    if manifest.task is Task.MULTICLASS:
        text = "option 'band': a multiclass model has no threshold that a band could lie around"
        raise InvalidInput(text, "options.band")
    if not isinstance(band, Mapping):
        return dict.fromkeys(manifest.decision.thresholds, band)
    if manifest.task is Task.BINARY:
        text = "option 'band': a binary model takes [low, high], not an object"
        raise InvalidInput(text, "options.band")
    _refuse_unknown("band", band, manifest.decision.thresholds)
    return dict(band)


def _refuse_unknown(option: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    refuse_any(
        _of_option(f"option '{option}': unknown label {quoted(label)}{nearest(label, known)}", option, label)
        for label in given
        if label not in known
    )
