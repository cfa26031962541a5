"""What counts, by its key, and which of it has counted since somebody last took note.

Once a second a worker says what is new, and most of many models rest: only what did not is looked at then.
Counting pays for that with the first request after each such look, and with nothing for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

from sigmax.telemetry.totals import Key

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Recent(Generic[K, T]):
    """Things that count.

    Attributes:
        all: every one that ever was.
        touched: those that were asked for since `take`; whoever keeps one puts it there when it counts.
    """

    __slots__ = ("all", "touched")

    def __init__(self) -> None:
        self.all: dict[K, T] = {}
        self.touched: dict[K, T] = {}

    def find(self, key: K, make: Callable[[K], T]) -> T:
        """What is about to count, made if it is not there yet."""
        found = self.touched.get(key)
        if found is None:
            found = self.all.get(key)
            if found is None:
                found = self.all[key] = make(key)
            self.touched[key] = found
        return found

    def take(self) -> Collection[T]:
        """Those that were touched; from now on none is."""
        touched, self.touched = self.touched, {}
        return touched.values()


class Numbers:
    """Series of one number each.

    Attributes:
        all: as they stand.
    """

    __slots__ = ("_touched", "all")

    def __init__(self) -> None:
        self.all: dict[Key, float] = {}
        self._touched: dict[Key, float | None] = {}

    def put(self, key: Key, value: float) -> None:
        """Set one."""
        self.all[key] = self._touched[key] = value

    def add(self, key: Key, more: float) -> None:
        """Count up one, which begins at 0."""
        self.put(key, self.all.get(key, 0) + more)

    def drop(self, key: Key) -> None:
        """Forget one, if it is there."""
        if self.all.pop(key, None) is not None:
            self._touched[key] = None

    def take(self) -> dict[Key, float | None]:
        """Those that were touched, None for what was dropped; from now on none is."""
        touched, self._touched = self._touched, {}
        return touched
