"""What is said of each row when a caller asks for classes: label, probability, the runners-up, doubt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sigmax.contract import Task
from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Served
from sigmax.inference.decision import Chosen, Rule
from sigmax.inference.dispatch import Prediction
from sigmax.protocol.options import Options, decision


class Result(NamedTuple):
    """One row's answer; a multilabel model fills `labels`, the others `label` and `probability`.

    Attributes:
        label: the chosen class.
        labels: the chosen labels.
        probability: of the chosen class.
        probabilities: by label, where `top_k` asks for them; of a multilabel model always.
        unsure: whether nobody should rely on the decision; None where no band applies.
        unsure_labels: of a multilabel model, the labels whose decision that is; None where no band applies.
        logits: by label, where they were asked for.
    """

    label: str | None
    labels: list[str] | None
    probability: float | None
    probabilities: dict[str, float] | None
    unsure: bool | None = None
    unsure_labels: list[str] | None = None
    logits: dict[str, float] | None = None


def results(prediction: Prediction, options: Options) -> list[Result]:
    """Decide every row of a prediction.

    Raises:
        InvalidInput: a threshold or a band that this model cannot have.
    """
    served, probabilities = prediction.served, prediction.probabilities
    classes, rule = served.manifest.classes, rule_for(served, options)
    decided = _decided(served, probabilities, rule.choose(probabilities), options.top_k)
    if rule.banded:
        unsure = rule.unsure(probabilities)
        decided = [_doubted(result, classes, row) for result, row in zip(decided, unsure, strict=True)]
    if prediction.logits is not None:
        rows = prediction.logits.tolist()
        decided = [
            result._replace(logits=dict(zip(classes, row, strict=True)))
            for result, row in zip(decided, rows, strict=True)
        ]
    return decided


def rule_for(served: Served, options: Options) -> Rule:
    """The model's decision rule, with the caller's threshold and band where they came.

    Raises:
        InvalidInput: a threshold or a band that this model cannot have.
    """
    if options.threshold is None and options.band is None:
        return served.predictor.rule
    decided = decision(served.manifest, options)
    return served.predictor.rule_with(decided.thresholds, decided.band)


def _decided(
    served: Served, probabilities: npt.NDArray[Any], chosen: Chosen, count: int | None
) -> list[Result]:
    classes = served.manifest.classes
    if served.manifest.task is Task.MULTILABEL:
        return _labelled(classes, probabilities, chosen, count)
    best = probabilities[np.arange(len(chosen)), chosen].tolist()
    runners_up = _top(classes, probabilities, count) if count else None
    return [
        Result(classes[column], None, probability, runners_up[row] if runners_up else None)
        for row, (column, probability) in enumerate(zip(chosen.tolist(), best, strict=True))
    ]


def _doubted(result: Result, classes: tuple[str, ...], unsure: npt.NDArray[np.bool_]) -> Result:
    """A result that says whether it is unsure: of a row's one flag, or of one flag a label."""
    if result.labels is None:
        return result._replace(unsure=bool(unsure))
    labels = [classes[column] for column in np.flatnonzero(unsure)]
    return result._replace(unsure=bool(labels), unsure_labels=labels)


def refuse_class_options(options: Options) -> None:
    """Refuse options that mean nothing where only probabilities are asked for."""
    given = [name for name in ("top_k", "threshold", "band") if getattr(options, name) is not None]
    if given:
        text = f"option '{given[0]}' is for classes; probabilities are given whole, undecided"
        raise InvalidInput(text, f"options.{given[0]}")


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
