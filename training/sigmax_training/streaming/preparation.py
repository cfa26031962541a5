"""What an `Expansion` says, done to many rows at once: numbers imputed and scaled, categories one-hot.

The same numbers, to the last bit, as those of the transformers in `features` that have learnt the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax_training.data.dataset import F64
from sigmax_training.features import Expansion


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """From the features matrix to what enters the first layer."""

    expansion: Expansion

    @property
    def width(self) -> int:
        """How many numbers enter the first layer."""
        return len(self.expansion.numbers) + sum(self.expansion.learnt)

    def transform(self, matrix: npt.NDArray[Any]) -> F64:
        """Prepare some rows.

        Args:
            matrix: (n_samples, n_features).

        Returns:
            A new array, float64 (n_samples, width).
        """
        seen = self.expansion
        prepared = np.zeros((len(matrix), self.width))
        count = len(seen.numbers)
        numbers = prepared[:, :count]
        numbers[:] = matrix if self._whole(matrix) else matrix[:, list(seen.numbers)]
        if not np.isnan(seen.fill).all():
            np.copyto(numbers, seen.fill, where=np.isnan(numbers))
        numbers -= seen.mean
        numbers /= seen.deviation
        for column, learnt in zip(seen.categories, seen.learnt, strict=True):
            _mark(prepared[:, count : count + learnt], matrix[:, column])
            count += learnt
        return prepared

    def _whole(self, matrix: npt.NDArray[Any]) -> bool:
        return self.expansion.numbers == tuple(range(matrix.shape[1]))


def _mark(places: F64, codes: npt.NDArray[Any]) -> None:
    """Put a 1 at each row's code; a code beyond the learnt ones has no place."""
    known = np.flatnonzero(codes < places.shape[1])
    places[known, codes[known].astype(np.intp)] = 1.0
