"""Mean and variance of columns that come in parts, as exact as if they had come at once.

T. F. Chan, G. H. Golub and R. J. LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample
Variances, 1979, equations 1.5: each part's own mean and sum of squares, merged. All of it in float64.
"""

from __future__ import annotations

import numpy as np

from sigmax_training.data.dataset import F64

_UNBOUNDED = np.errstate(over="ignore", invalid="ignore")
"""Numbers whose squares are beyond float64 come to no finite deviation; whoever asks for it looks at that."""


class Moments:
    """What was learnt of some columns so far; missing numbers are left out, and counted.

    All of it is reckoned from a place near the numbers: of a million and a bit, the bit keeps its digits.

    Args:
        width: how many columns.

    Attributes:
        count: (n_columns,), how many numbers there were.
        missing: (n_columns,), how many were missing.
        low: (n_columns,), the least number; infinite where there is none.
        high: (n_columns,), the greatest.
    """

    def __init__(self, width: int) -> None:
        self.count, self.missing = np.zeros(width), np.zeros(width)
        self.low, self.high = np.full(width, np.inf), np.full(width, -np.inf)
        self._place = np.full(width, np.nan)  # of a column whose first number is still to come
        self._mean, self._squares = np.zeros(width), np.zeros(width)

    @property
    def mean(self) -> F64:
        """(n_columns,); 0 where there was no number."""
        return np.asarray(np.nan_to_num(self._place) + self._mean)

    @_UNBOUNDED
    def add(self, matrix: F64) -> None:
        """Learn of some rows, (n_samples, n_columns), NaN for what is missing."""
        if not len(matrix):
            return
        low, high = np.fmin.reduce(matrix), np.fmax.reduce(matrix)
        self.low, self.high = np.fmin(self.low, low), np.fmax(self.high, high)
        self._place = np.where(np.isnan(self._place), low / 2 + high / 2, self._place)
        distances = matrix - self._place
        absent = np.isnan(matrix)
        missing = absent.sum(axis=0)
        if missing.any():
            distances[absent] = 0.0
        count = (len(matrix) - missing).astype(np.float64)
        mean = distances.sum(axis=0) / np.maximum(count, 1.0)
        distances -= mean
        if missing.any():
            distances[absent] = 0.0
        self.missing = self.missing + missing
        self._merge(count, mean, np.einsum("ij,ij->j", distances, distances))

    def _merge(self, count: F64, mean: F64, squares: F64) -> None:
        total = np.maximum(self.count + count, 1.0)
        distance = mean - self._mean
        self._squares = self._squares + squares + distance**2 * (self.count * count / total)
        self._mean = self._mean + distance * (count / total)
        self.count = self.count + count

    @_UNBOUNDED
    def filled(self, fill: F64) -> Moments:
        """The same with a number in place of every missing one, (n_columns,); NaN where none is missing."""
        there = self.missing > 0
        place = np.nan_to_num(self._place)
        whole = Moments(len(fill))
        whole._place = place
        whole._merge(self.count, self._mean, self._squares)
        whole._merge(self.missing, np.where(there, fill - place, 0.0), np.zeros(len(fill)))
        whole.low = np.where(there, np.fmin(self.low, fill), self.low)
        whole.high = np.where(there, np.fmax(self.high, fill), self.high)
        return whole

    @_UNBOUNDED
    def scaling(self) -> tuple[F64, F64]:
        """Mean and deviation as `StandardScaler` subtracts and divides by them, (n_columns,) each.

        The deviation is 1 where a column is constant: its numbers are all the same, or its variance is no
        greater than what rounding alone may have made of 0.
        """
        step = np.finfo(np.float64).eps
        variance = self._squares / np.maximum(self.count, 1.0)
        rounding = self.count * step * variance + (self.count * self.mean * step) ** 2
        same = self.low == self.high
        deviation = np.where(same | (variance <= rounding), 1.0, np.sqrt(variance))
        return np.where(same, self.low, self.mean), deviation
