"""A request that works when it is pasted: real held-out rows, as `example.json`."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np

from sigmax.contract import Feature, Kind
from sigmax_training.data.dataset import I64, Dataset
from sigmax_training.data.pictures import originals

MAX_FILE_BYTES = 64 * 2**10
"""A larger picture in base64 is a longer example than its pixels."""


def example(dataset: Dataset, rows: I64) -> bytes:
    """Write a request body.

    Tables get two rows of different classes, by feature name. A picture is one file in base64 or, where there
    is no small file, one row of pixels in feature order: a second one would only be another screenful.

    Args:
        dataset: where the rows are.
        rows: the held-out rows to choose from.
    """
    if dataset.image:
        body: dict[str, Any] = {"rows": [dataset.features[rows[0]].tolist()]}
        for _, content in originals(dataset, rows, MAX_FILE_BYTES):
            body = {"images": [base64.b64encode(content).decode()]}
            break
        return (json.dumps(body, separators=(",", ":")) + "\n").encode()
    first = rows[0]
    others = [row for row in rows if not np.array_equal(dataset.codes[row], dataset.codes[first])]
    chosen = [first, *others[:1]]
    body = {"rows": [_row(dataset, row) for row in chosen]}
    return (json.dumps(body, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


def _row(dataset: Dataset, row: int) -> dict[str, Any]:
    """One row by feature name, as a caller writes it."""
    values = dataset.features[row].tolist()
    return {block.name: _value(block, value) for block, value in zip(dataset.blocks, values, strict=True)}


def _value(block: Feature, value: float) -> Any:
    if math.isnan(value):
        return None
    if block.kind is Kind.CATEGORY:
        return _category(block, int(value))
    if block.kind is Kind.BOOLEAN:
        return value == 1.0
    return int(value) if block.kind is Kind.INTEGER else value


def _category(block: Feature, code: int) -> str | int | bool | None:
    """The category behind a code, of the type that a caller sends; None for the code of a missing value."""
    vocabulary = block.vocabulary or ()
    if code >= len(vocabulary):
        return None
    text = vocabulary[code]
    if block.dtype == "int64":
        return int(text)
    return text == "true" if block.dtype == "bool" else text
