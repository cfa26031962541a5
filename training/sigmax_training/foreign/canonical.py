"""The canonical graph for a fitted scikit-learn pipeline, where it comes down to one: matrices behind tables.

Whether it does is not asked of a list of classes alone: the matrices have to answer as the estimator does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sigmax.contract import Feature, Head, Missing
from sigmax_training.data.dataset import F64
from sigmax_training.foreign.prepare import Lookup
from sigmax_training.network import HEADS as FUNCTIONS
from sigmax_training.network import Inputs, Network, layers_of, two_columns

_CLOSE = 1e-7
"""How far matrices may be from the estimator to be taken for it; the gate then asks for more."""


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """One number that the first layer sees: of a number, (x - shift) / scale; of a code, a row of a table.

    Attributes:
        column: of the features matrix.
        table: (n_codes,), of a category; None for a number.
        fill: what stands in place of a missing number; NaN where none may be missing.
        shift: what is subtracted.
        scale: what is divided by afterwards.
    """

    column: int
    table: F64 | None = None
    fill: float = np.nan
    shift: float = 0.0
    scale: float = 1.0


def network_of(
    prepared: Any,
    blocks: Sequence[Feature],
    heads: Sequence[Head],
    factors: Sequence[float],
    accepts: Callable[[Network], bool],
) -> Network | None:
    """Read the matrices out of a prepared pipeline; None if it is no such thing.

    Args:
        prepared: as `prepare.prepared` gives it.
        blocks: what the columns of the features matrix are.
        heads: what might turn the logits into probabilities.
        factors: what the logits might be multiplied by.
        accepts: whether matrices answer as the estimator does; the first that do are taken.
    """
    steps = prepared.steps if isinstance(prepared, Pipeline) else [("", prepared)]
    places: list[_Place] | None = [_start(column, block) for column, block in enumerate(blocks)]
    for _, step in steps[:-1]:
        places = None if places is None else _through(step, places)
    try:
        weights, biases, activation = layers_of(steps[-1][1])
    except (AttributeError, ValueError):
        return None
    if not places or weights[0].shape[1] != len(places):
        return None
    inputs, weights[0], biases[0] = _folded(places, blocks, weights[0], biases[0])
    for head, factor in product(heads, factors):
        last, bias = factor * weights[-1], factor * biases[-1]
        mirrored = len(bias) == 1
        if mirrored:
            last, bias = two_columns(last, bias, head)
        layers = (*weights[:-1], last), (*biases[:-1], bias)
        network = Network(inputs, *layers, activation, head, mirrored)
        if accepts(network):
            return network
    return None


def agrees(network: Network, rows: npt.NDArray[Any], probabilities: F64) -> bool:
    """Whether matrices give an estimator's probabilities (n_samples, n_classes) of rows."""
    found = FUNCTIONS[network.head](network.activations(rows)[-1])
    return found.shape == probabilities.shape and bool((np.abs(found - probabilities) <= _CLOSE).all())


def _start(column: int, block: Feature) -> _Place:
    codes = np.arange(block.n_codes, dtype=np.float64) if block.vocabulary is not None else None
    return _Place(column, codes)


def _through(step: Any, places: Sequence[_Place]) -> list[_Place] | None:
    """What a transformer makes of places; None if that is no number or table of one column each."""
    if isinstance(step, str) and step == "passthrough":
        return list(places)
    if isinstance(step, Lookup):
        return _looked_up(step, places)
    if isinstance(step, StandardScaler):
        return _scaled(step, places)
    if isinstance(step, SimpleImputer):
        return _imputed(step, places)
    if isinstance(step, Pipeline):
        found: list[_Place] | None = list(places)
        for _, inner in step.steps:
            found = None if found is None else _through(inner, found)
        return found
    if type(step) is ColumnTransformer:
        return _side_by_side(step, places)
    return None


def _side_by_side(step: ColumnTransformer, places: Sequence[_Place]) -> list[_Place] | None:
    found: list[_Place] = []
    for name, inner, columns in step.transformers_:
        branch = _through(inner, [places[column] for column in columns])
        if branch is None or name in (step.transformer_weights or {}):
            return None
        found += branch
    return found


def _looked_up(lookup: Lookup, places: Sequence[_Place]) -> list[_Place]:
    tables = [
        _Place(place.column, table[:, output])
        for place, table in zip(places, lookup.tables, strict=True)
        for output in range(table.shape[1])
    ]
    return [tables[place] for place in lookup.order]


def _scaled(scaler: StandardScaler, places: Sequence[_Place]) -> list[_Place]:
    shifts = np.zeros(len(places)) if scaler.mean_ is None else scaler.mean_
    scales = np.ones(len(places)) if scaler.scale_ is None else scaler.scale_
    return [
        replace(place, shift=place.shift + shift * place.scale, scale=place.scale * scale)
        if place.table is None
        else replace(place, table=(place.table - shift) / scale)
        for place, shift, scale in zip(places, shifts.tolist(), scales.tolist(), strict=True)
    ]


def _imputed(imputer: SimpleImputer, places: Sequence[_Place]) -> list[_Place] | None:
    """Numbers as they come, before anything else happened to them, with a statistic for each."""
    plain = all(place.table is None and place.shift == 0.0 and place.scale == 1.0 for place in places)
    marks_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    statistics = np.asarray(imputer.statistics_)
    if not plain or not marks_nan or imputer.add_indicator or statistics.dtype.kind != "f":
        return None
    if np.isnan(statistics).any():
        return None
    return [replace(place, fill=float(fill)) for place, fill in zip(places, statistics, strict=True)]


def _folded(
    places: Sequence[_Place], blocks: Sequence[Feature], weights: F64, bias: F64
) -> tuple[Inputs, F64, F64]:
    """What the first layer sees of the features matrix, and that layer, scaling and tables folded into it."""
    numbers = [index for index, place in enumerate(places) if place.table is None]
    shifts = np.array([places[index].shift for index in numbers])
    dense = weights[:, numbers] / np.array([places[index].scale for index in numbers])
    tables: dict[int, F64] = {}
    for index, place in enumerate(places):
        if place.table is not None:
            rows = np.outer(weights[:, index], place.table)  # (n_outputs, n_codes)
            tables[place.column] = tables[place.column] + rows if place.column in tables else rows
    columns = sorted(tables)
    inputs = Inputs(
        width=len(blocks),
        numbers=tuple(places[index].column for index in numbers),
        fill=np.array([_fill(places[index], blocks) for index in numbers], np.float64),
        categories=tuple(columns),
        sizes=tuple(tables[column].shape[1] for column in columns),
    )
    first = np.concatenate([dense, *(tables[column] for column in columns)], axis=1)
    return inputs, first, bias - dense @ shifts


def _fill(place: _Place, blocks: Sequence[Feature]) -> float:
    return np.nan if blocks[place.column].missing is Missing.REJECT else place.fill
