"""When a worker is started again: at once, but ever more slowly where workers die one after the other."""

from __future__ import annotations

HEALTHY_SECONDS = 5.0
"""How long a worker has to answer for its death to be an accident and not one of a row."""

_FIRST, _LONGEST = 0.1, 10.0


class Backoff:
    """Counts deaths in a row.

    Attributes:
        row: how many workers died one after the other, young or before they were ready.
        stillborn: how many of them since one was ready.
    """

    def __init__(self) -> None:
        self.row = self.stillborn = 0

    def died(self, answered: float | None) -> float:
        """Count a death.

        Args:
            answered: seconds that the worker was ready; None if it never was.

        Returns:
            Seconds to wait before the next is started.
        """
        if answered is not None:
            self.stillborn = 0
            if answered >= HEALTHY_SECONDS:
                self.row = 0
                return 0.0
        else:
            self.stillborn += 1
        self.row += 1
        return 0.0 if self.row == 1 else min(_FIRST * 2 ** (self.row - 2), _LONGEST)

    def born(self) -> None:
        """A worker is ready."""
        self.stillborn = 0
