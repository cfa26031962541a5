"""A request that works when it is pasted: real held-out rows, as `example.json`."""

from __future__ import annotations

import base64
import json
from typing import Any

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
    others = [row for row in rows if dataset.codes[row] != dataset.codes[first]]
    names = [block.name for block in dataset.blocks]
    chosen = [first, *others[:1]]
    body = {"rows": [dict(zip(names, dataset.features[row].tolist(), strict=True)) for row in chosen]}
    return (json.dumps(body, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
