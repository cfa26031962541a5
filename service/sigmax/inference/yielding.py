"""Work beside the event loop that lets the loop have the interpreter whenever it wants it."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

SWITCH_SECONDS = 0.0001
"""How long the loop waits for the interpreter while others work, instead of 5 ms at every turn.

A manifest of 20,000 features takes a second; a loop beside it made 63 to 151 turns a second with 5 ms,
198 to 341 with 1 ms, 375 to 448 with this, 1,276 to 1,467 alone (2 busy cores; docs/decisions/0018).
"""


class Yielding:
    """A context for whoever works beside the loop; several threads may be in it at a time.

    A thread's own priority stays: one that holds the interpreter and is not scheduled holds the loop, too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._usual = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(SWITCH_SECONDS)
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.setswitchinterval(self._usual)
