"""What is said of each row when a caller asks for classes: label, probability, the runners-up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sigmax.contract import Task
from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Served
from sigmax.inference.decision import Chosen
from sigmax.inference.dispatch import Prediction
from sigmax.protocol.options import Options, thresholds


class Result(NamedTuple):
    """One row's answer; a multilabel model fills `labels`, the others `label` and `probability`."""

    label: str | None
    labels: list[str] | None
    probability: float | None
    probabilities: dict[str, float] | None


def results(prediction: Prediction, options: Options) -> list[Result]:
    """Decide every row of a prediction.

    Raises:
        InvalidInput: a threshold that this model does not have.
    """
    served, probabilities = prediction.served, prediction.probabilities
    chosen = choose(served, probabilities, options)
    if served.manifest.task is Task.MULTILABEL:
        return _labelled(served.manifest.classes, probabilities, chosen, options.top_k)
    classes = served.manifest.classes
    best = probabilities[np.arange(len(chosen)), chosen].tolist()
    runners_up = _top(classes, probabilities, options.top_k) if options.top_k else None
    return [
        Result(classes[column], None, probability, runners_up[row] if runners_up else None)
        for row, (column, probability) in enumerate(zip(chosen.tolist(), best, strict=True))
    ]


def choose(served: Served, probabilities: npt.NDArray[Any], options: Options) -> Chosen:
    """Apply the model's decision rule, with the caller's threshold where one came."""
    if options.threshold is None:
        return served.predictor.rule.choose(probabilities)
    rule = served.predictor.rule_with(thresholds(served.manifest, options.threshold))
    return rule.choose(probabilities)


def refuse_class_options(options: Options) -> None:
    """Refuse options that mean nothing where only probabilities are asked for."""
    given = [name for name in ("top_k", "threshold") if getattr(options, name) is not None]
    if given:
        raise InvalidInput(f"option '{given[0]}' is for classes; probabilities are given whole, undecided")


def _top(classes: tuple[str, ...], probabilities: npt.NDArray[Any], count: int) -> list[dict[str, float]]:
    """By label, each row's `count` highest probabilities, highest first, the lower column on a tie."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(probabilities, order, axis=1)
    return [
        _by_label(classes, row, shown) for row, shown in zip(order.tolist(), values.tolist(), strict=True)
    ]


def _labelled(
    classes: tuple[str, ...], probabilities: npt.NDArray[Any], chosen: Chosen, count: int | None
) -> list[Result]:
    if count:
        shown = _top(classes, probabilities, count)
    else:
        columns = [np.flatnonzero(row).tolist() for row in chosen]
        shown = [
            _by_label(classes, picked, row[picked].tolist())
            for picked, row in zip(columns, probabilities, strict=True)
        ]
    return [
        Result(None, [classes[column] for column in np.flatnonzero(row)], None, by_label)
        for row, by_label in zip(chosen, shown, strict=True)
    ]


def _by_label(classes: tuple[str, ...], columns: Iterable[int], values: Iterable[float]) -> dict[str, float]:
    return {classes[column]: value for column, value in zip(columns, values, strict=True)}
