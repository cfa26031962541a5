"""A histogram: how many values fell into each bucket, and their sum; whole numbers stay whole."""

from __future__ import annotations

from bisect import bisect_left


class Tally:
    """Counts whole numbers, of rows or nanoseconds."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        """Nothing is counted yet.

        Args:
            bounds: the upper bounds of the buckets; one more is without end.
        """
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0

    def add(self, value: int, times: int = 1) -> None:
        """Count a value, once or more often."""
        self._counts[bisect_left(self._bounds, value)] += times
        self.total += value * times

    def merge(self, other: Tally) -> None:
        """Count what another with the same bounds has counted."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]
        self.total += other.total

    def figures(self, unit: float = 1) -> list[float]:
        """The count of each bucket and, last, the sum, in units."""
        return [*self._counts, self.total if unit == 1 else self.total / unit]
