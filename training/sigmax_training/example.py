"""A request that works when it is pasted: real held-out rows, as `example.json`."""

from __future__ import annotations

import json
from typing import Any

from sigmax_training.data.dataset import I64, Dataset


def example(dataset: Dataset, rows: I64) -> bytes:
    """Write a request body.

    Tables get two rows of different classes, by feature name. A picture gets one row of pixels in feature
    order: a second one would only be another screenful.

    Args:
        dataset: where the rows are.
        rows: the held-out rows to choose from.
    """
    if dataset.image:
        body: dict[str, Any] = {"rows": [dataset.features[rows[0]].tolist()]}
        return (json.dumps(body, separators=(",", ":")) + "\n").encode()
    first = rows[0]
    others = [row for row in rows if dataset.codes[row] != dataset.codes[first]]
    names = [block.name for block in dataset.blocks]
    chosen = [first, *others[:1]]
    body = {"rows": [dict(zip(names, dataset.features[row].tolist(), strict=True)) for row in chosen]}
    return (json.dumps(body, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
