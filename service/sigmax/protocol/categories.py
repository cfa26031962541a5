"""Values of every kind to the features matrix: codes of categories, 1 and 0, NaN for what is missing.

The service and the trainer encode with the same code, so that a model is asked what it was taught. Right
input is looked up column by column, without a step of Python a cell; what is wrong is named cell by cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, Kind, Missing
from sigmax.errors import MAX_PROBLEMS, Problem, nearest, quoted
from sigmax.protocol.codes import EXACT_FLOAT, category
from sigmax.protocol.places import Place, cell, in_features, in_rows
from sigmax.protocol.schema import Schema
from sigmax.protocol.values import NOT_TAKEN, all_within, describe, integers_fit, refuse
from sigmax.protocol.values import problem as number_problem

_FEW = 8  # categories that a message names
_NUMBERS = frozenset({int, float, NoneType})
_EXPECTED = {
    Kind.NUMERIC: "a number",
    Kind.INTEGER: "a whole number",
    Kind.BOOLEAN: "true or false",
    Kind.IMAGE: "a number",
}
_EXPECTED_CATEGORY = {
    "string": "a text",
    "int64": "a whole number or its decimal text",
    "bool": "true or false",
}


def encode(feature: Feature, values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Encode raw values of one feature as its column of the features matrix.

    What the values may be is what the service takes in JSON: numbers; whole numbers; true, false, 1 and 0;
    for categories texts, whole numbers (or their decimal texts) or booleans (or `true` and `false`), by the
    feature's dtype. Texts are the same when their NFC forms are. None is a missing value, and so is an empty
    text where a category is expected; NaN is none: it is refused as any number that is not finite.

    Args:
        feature: no image block.
        values: n_samples values; an array's are taken as Python's own.

    Returns:
        Shape (n_samples,): numbers, 1 and 0, or codes; NaN for a missing number or boolean.

    Raises:
        InvalidInput: naming each row whose value the feature does not take.
    """
    if feature.kind is Kind.IMAGE:
        raise ValueError("an image block has no values of one column")
    schema = Schema.of((feature,), np.float64)
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    features = encoded(schema, cells)
    if features is None:
        raise refuse(wrong_cells(schema, cells))
    return features[:, 0]


def encoded(schema: Schema, cells: list[Any]) -> npt.NDArray[Any] | None:
    """Turn values as callers send them, row by row, into the features matrix.

    Args:
        schema: of the model.
        cells: n_samples * n_features values.

    Returns:
        Shape (n_samples, n_features) in the model's dtype; None if a feature does not take its value.
    """
    filled = list(cells)
    for column, codes in schema.codes.items():
        found = codes.look_up(filled[column :: schema.width])
        if found is None:
            return None
        filled[column :: schema.width] = found
    types = set(map(type, filled))
    if not types <= _NUMBERS:
        return None
    missing = NoneType in types
    if int in types:
        present = [cell for cell in filled if cell is not None] if missing else filled
        if not integers_fit(present, schema.exact):
            return None
    exact = np.array(filled, np.float64).reshape(-1, schema.width)  # None becomes NaN
    if not _finite(schema, exact, filled.count(None) if missing else 0):
        return None
    if schema.whole.size and not _all_whole(schema, exact) and _wrong_whole(schema, exact).any():
        return None
    return exact.astype(schema.dtype, copy=False)


def _finite(schema: Schema, exact: npt.NDArray[np.float64], missing: int) -> bool:
    """Whether all numbers are finite but those that were sent as missing, where that is allowed."""
    if not missing:
        return all_within(exact, schema.largest)
    if schema.optional is None:
        return False
    absent = np.isnan(exact)
    allowed = absent & schema.optional
    there = int(np.count_nonzero(allowed))
    return there == missing == np.count_nonzero(absent) and bool(
        ((np.abs(exact) <= schema.largest) | allowed).all()
    )


def check_kinds(schema: Schema, features: npt.NDArray[Any]) -> None:
    """Refuse integers of a tensor that are not whole, booleans that are neither 1 nor 0; NaN is passed over.

    Args:
        schema: of the model.
        features: (n_samples, n_features).

    Raises:
        InvalidInput: naming row and feature.
    """
    if _all_whole(schema, features) and _all_flags(schema, features):
        return
    wrong = np.zeros(features.shape, np.bool_)
    wrong[:, schema.whole] = _wrong_whole(schema, features)
    flags = features[:, schema.flags]
    wrong[:, schema.flags] = (flags != 0) & (flags != 1) & ~np.isnan(flags)
    if wrong.any():
        raise refuse(
            cell(schema, row, column, _wrong_kind(schema, column, features[row, column].item()), in_features)
            for row, column in np.argwhere(wrong)[: MAX_PROBLEMS + 1].tolist()
        )


def _all_whole(schema: Schema, features: npt.NDArray[Any]) -> bool:
    """Whether all integer columns hold exact whole numbers and no NaN: asked first, since it costs least."""
    block = features.take(schema.whole, axis=1)
    return not np.count_nonzero(block - np.rint(block)) and all_within(block, schema.exact)


def _wrong_whole(schema: Schema, features: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where integer columns hold another number: (n_samples, n_integers); NaN is passed over."""
    block = features[:, schema.whole]
    wrong = (block != np.rint(block)) | (np.abs(block) > schema.exact)
    return np.asarray(wrong & ~np.isnan(block))


def _all_flags(schema: Schema, features: npt.NDArray[Any]) -> bool:
    """Whether all boolean columns hold 1 or 0, the numbers that are their own squares, and no NaN."""
    block = features.take(schema.flags, axis=1)
    return not np.count_nonzero(block * block - block)


def _wrong_kind(schema: Schema, column: int, value: float) -> str:
    if column in schema.whole:
        return not_whole(schema, value) or ""
    return f"expected true or false, as 1 or 0, got {describe(value)}"


def wrong_cells(schema: Schema, cells: list[Any], place: Place = in_rows) -> Iterator[Problem]:
    """Name each cell, row by row, that its feature does not take, and why."""
    for position, value in enumerate(cells):
        row, column = divmod(position, schema.width)
        text = problem(schema, column, value)
        if text is not None:
            yield cell(schema, row, column, text, place)


def problem(schema: Schema, column: int, value: Any) -> str | None:
    """Say why a feature does not take a value; None if it does."""
    feature, codes = schema.feature(column), schema.codes.get(column)
    if value is None or (value == "" and feature.kind is Kind.CATEGORY):
        return None if feature.missing is not Missing.REJECT else _missing(feature, value)
    if codes is not None:
        return None if codes.look_up([value]) is not None else _no_code(feature, value)
    if type(value) not in (int, float):
        return f"expected {expected(feature)}, got {describe(value)}"
    text = number_problem(schema, value)
    if text is not None:
        hint = feature.missing is not Missing.REJECT and type(value) is float and not math.isfinite(value)
        return f"{text} (send null for a missing value)" if hint else text
    return not_whole(schema, value) if feature.kind is Kind.INTEGER else None


def expected(feature: Feature) -> str:
    """What a feature takes, in a word or two."""
    if feature.kind is Kind.CATEGORY:
        return _EXPECTED_CATEGORY[feature.dtype]
    return _EXPECTED[feature.kind]


def not_whole(schema: Schema, value: float) -> str | None:
    """Say why a finite number is no integer of this model; None if it is one."""
    if not float(value).is_integer():
        return f"expected a whole number, got {describe(value)}"
    if abs(value) > schema.exact:
        return f"expected a whole number of at most {schema.exact}, got {describe(value)}"
    return None


def _missing(feature: Feature, value: Any) -> str:
    what = "null" if value is None else "an empty text"
    return f"expected {expected(feature)}, got {what}, {NOT_TAKEN}"


def _no_code(feature: Feature, value: Any) -> str:
    text = category(feature.dtype, value) if feature.vocabulary is not None else None
    if text is None or feature.vocabulary is None:
        exact = type(value) is float and abs(value) > EXACT_FLOAT and feature.dtype == "int64"
        hint = " (beyond 2**53 only its text is exact)" if exact else ""
        return f"expected {expected(feature)}, got {describe(value)}{hint}"
    meant, known = nearest(text, feature.vocabulary), f"{len(feature.vocabulary)} known"
    if not meant and len(feature.vocabulary) <= _FEW:
        known = f"known: {', '.join(map(quoted, feature.vocabulary))}"
    return f"unknown category {quoted(text)}{meant} ({known})"
