"""From the features matrix to what an estimator is fitted on: numbers imputed and scaled, categories one-hot.

scikit-learn's own transformers, fitted on the training rows alone. What they learnt is read out again as an
`Expansion`, plain numbers that `network` folds into the first layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sigmax.contract import Feature, Kind, Missing
from sigmax_training.data.dataset import F64, Fill

_CATEGORIES = "categories"


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """What enters the first layer: numbers, then for each category column one place a code.

    Attributes:
        numbers: the columns of the features matrix that are numbers, in the order of the layer.
        fill: (n_numbers,), what stands in place of a missing number; NaN where none may be missing.
        mean: (n_numbers,), what is subtracted.
        deviation: (n_numbers,), what is divided by afterwards.
        categories: the columns that are codes.
        learnt: how many codes of each had rows of their own in the fitting; any code beyond counts as none.
        sizes: how many codes each has.
    """

    numbers: tuple[int, ...]
    fill: F64
    mean: F64
    deviation: F64
    categories: tuple[int, ...] = ()
    learnt: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()


def preprocessor(blocks: Sequence[Feature], fills: Mapping[str, Fill], *, standardise: bool) -> Any:
    """The transformers for some blocks, not yet fitted; None if the matrix enters the layer as it is.

    Args:
        blocks: what the columns are.
        fills: by name, how missing numbers are imputed.
        standardise: numbers to mean 0 and deviation 1.
    """
    categories = [column for column, block in enumerate(blocks) if block.kind is Kind.CATEGORY]
    if not categories and not fills:
        return StandardScaler() if standardise else None
    parts = [
        (f"numbers_{index}", _number_steps(fill, standardise=standardise), columns)
        for index, (fill, columns) in enumerate(by_fill(blocks, fills).items())
    ]
    if categories:
        known = [np.arange(learnt_codes(blocks[column]), dtype=np.float64) for column in categories]
        encoder = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False)
        parts.append((_CATEGORIES, encoder, categories))
    return ColumnTransformer(parts)


def expansion(fitted: Any, blocks: Sequence[Feature]) -> Expansion:
    """Read out what fitted transformers do.

    Args:
        fitted: what `preprocessor` gave, fitted.
        blocks: what the columns are.
    """
    if not isinstance(fitted, ColumnTransformer):
        width = sum(block.size for block in blocks)
        mean, deviation = _scaling(fitted, width)
        return Expansion(tuple(range(width)), np.full(width, np.nan), mean, deviation)
    numbers: list[int] = []
    parts: list[tuple[F64, F64, F64]] = []
    categories: tuple[int, ...] = ()
    for name, step, columns in fitted.transformers_:
        if name == _CATEGORIES:
            categories = tuple(columns)
        else:
            numbers += columns
            parts.append(_number_part(step, len(columns)))
    fill, mean, deviation = (
        (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else _NO_NUMBERS
    )
    learnt = tuple(learnt_codes(blocks[column]) for column in categories)
    sizes = tuple(blocks[column].n_codes for column in categories)
    return Expansion(tuple(numbers), fill, mean, deviation, categories, learnt, sizes)


_NO_NUMBERS = (np.empty(0), np.empty(0), np.empty(0))


def by_fill(blocks: Sequence[Feature], fills: Mapping[str, Fill]) -> dict[Fill | None, list[int]]:
    """The columns of numbers by the way in which they are imputed."""
    found: dict[Fill | None, list[int]] = {}
    for column, block in enumerate(blocks):
        if block.kind is not Kind.CATEGORY:
            found.setdefault(fills.get(block.name), []).append(column)
    return found


def _number_steps(fill: Fill | None, *, standardise: bool) -> Any:
    steps: list[tuple[str, Any]] = []
    if fill is not None:
        imputer = SimpleImputer(strategy=fill.strategy, fill_value=fill.value, keep_empty_features=True)
        steps.append(("imputer", imputer))
    if standardise:
        steps.append(("scaler", StandardScaler()))
    return Pipeline(steps) if steps else "passthrough"


def _number_part(step: Any, width: int) -> tuple[F64, F64, F64]:
    """Fill, mean and deviation of one group of numbers."""
    steps = step.named_steps if isinstance(step, Pipeline) else {}
    imputer = steps.get("imputer")
    fill = np.full(width, np.nan) if imputer is None else np.asarray(imputer.statistics_, np.float64)
    return (fill, *_scaling(steps.get("scaler"), width))


def _scaling(scaler: Any, width: int) -> tuple[F64, F64]:
    if scaler is None:
        return np.zeros(width), np.ones(width)
    return scaler.mean_, scaler.scale_


def learnt_codes(block: Feature) -> int:
    """How many codes of a category the training rows can have: the vocabulary, and missing as its own."""
    return len(block.vocabulary or ()) + (block.missing is not Missing.REJECT)
