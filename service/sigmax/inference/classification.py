"""The most probable classes of each row as texts, `<value>:<column>:<label>`: the extension `classification`.

Which output they are told of, and which column is which class, is for `open_inference` to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.errors import InvalidInput

MAX_TEXTS = 1_000_000
"""Of one output, as in Triton: a text takes ten times the room of its number."""


_FEW = 64
_ONE_DIGIT = 9.99
_WIDTH = 8  # a digit, the point, six digits
_DOUBT = 1e-6


def check_count(rows: int, shown: int) -> None:
    """Refuse more texts than one output may have.

    Raises:
        InvalidInput: saying how many there would be.
    """
    if rows * shown > MAX_TEXTS:
        raise InvalidInput(
            f"parameter 'classification': {rows} rows of {shown} classes are {rows * shown} texts, "
            f"at most {MAX_TEXTS} are given"
        )


def classified(scores: npt.NDArray[Any], labels: Sequence[str], count: int) -> list[str]:
    """The highest scores of each row, the highest first, the lower column on a tie.

    Args:
        scores: (n_samples, n_classes), finite.
        labels: n_classes.
        count: how many of a row, at least 1; more than there are classes means all.

    Returns:
        n_samples * min(count, n_classes) texts, row by row. The value has six decimals.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    texts = _decimal(np.take_along_axis(scores, order, axis=1).ravel())
    tails = [f":{column}:{label}" for column, label in enumerate(labels)]
    return list(map(add, texts, map(tails.__getitem__, order.ravel().tolist())))


def _decimal(values: npt.NDArray[Any]) -> list[str]:
    """Numbers with six decimals, as C's `%f` writes them."""
    if len(values) <= _FEW or np.signbit(values).any() or values.max() >= _ONE_DIGIT:
        return [f"{value:.6f}" for value in values.tolist()]
    return _digits(values)


def _digits(values: npt.NDArray[Any]) -> list[str]:
    """The same of many numbers from 0 to 9.99: their digits by arithmetic, ten times as fast.

    A product is off by 1e-9 at most, so only what lies closer than that to the middle of two decimals can be
    rounded otherwise; that is written singly.
    """
    exact = values.astype(np.float64) * 1e6
    rounded = np.rint(exact)
    left = rounded.astype(np.int64)
    signs = np.empty((len(values), _WIDTH), np.uint32)
    signs[:, 1] = ord(".")
    for place in range(_WIDTH - 1, 1, -1):
        left, signs[:, place] = np.divmod(left, 10)
    signs[:, 0] = left
    signs[:, [0, *range(2, _WIDTH)]] += ord("0")
    texts: list[str] = signs.view(f"<U{_WIDTH}").ravel().tolist()
    for index in np.flatnonzero(np.abs(np.abs(exact - rounded) - 0.5) < _DOUBT).tolist():
        texts[index] = f"{values[index].item():.6f}"
    return texts
