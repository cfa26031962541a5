"""The labels of many rows as one piece of bytes, several rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

_MAX_TABLE = 256
_MAX_GROUP = 8
_FEW = 64


class Labels:
    """By column, what stands for its label; joined for many rows by looking up whole groups of them.

    Args:
        labels: the bytes of each column's label.
    """

    __slots__ = ("_group", "_labels", "_table", "_weights")

    def __init__(self, labels: Sequence[bytes]) -> None:
        count = len(labels)
        sizes = [size for size in range(2, _MAX_GROUP + 1) if count**size <= _MAX_TABLE]
        self._labels, self._group = tuple(labels), max(sizes, default=1)
        self._weights = count ** np.arange(self._group)[::-1]
        self._table: npt.NDArray[np.object_] | None = None

    def of(self, columns: npt.NDArray[Any]) -> bytes:
        """The labels of some columns.

        Args:
            columns: int64 (n_samples,).
        """
        whole = 0
        if len(columns) > _FEW:
            whole = len(columns) - len(columns) % self._group
        rest = [self._labels[column] for column in columns[whole:].tolist()]
        if not whole:
            return b"".join(rest)
        numbers = columns[:whole].reshape(-1, self._group) @ self._weights
        return b"".join([*self._groups().take(numbers).tolist(), *rest])

    def _groups(self) -> npt.NDArray[np.object_]:
        """What stands for each group of columns; made when many rows are asked for first."""
        if self._table is None:
            groups = [b"".join(group) for group in product(self._labels, repeat=self._group)]
            self._table = np.array(groups, np.object_)
        return self._table
