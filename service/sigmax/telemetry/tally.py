"""A histogram: how many values fell into each bucket, and their sum."""

from __future__ import annotations

from bisect import bisect_left


class Tally:
    """Counts values.

    Attributes:
        total: their sum.
    """

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Nothing is counted yet.

        Args:
            bounds: the upper bounds of the buckets; one more is without end.
        """
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self._counts)

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def repeat(self, value: float, times: int) -> None:
        """Count a value that came so often."""
        self._counts[bisect_left(self._bounds, value)] += times
        self.total += value * times

    def merge(self, other: Tally) -> None:
        """Count what another with the same bounds has counted."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]
        self.total += other.total

    def figures(self) -> list[float]:
        """The count of each bucket and, last, the sum."""
        return [*self._counts, self.total]
