"""Ctrl-C and SIGTERM end a command alike: with a `KeyboardInterrupt`, wherever the program is.

What is tidied up, kept and said then is left to the command.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_ECHO = 1.0
"""Seconds in which a further signal is the same one again: `timeout` signals its child and its group."""


class Interrupted(KeyboardInterrupt):
    """A run was interrupted; the text says after what, and what became of it."""


class Interrupts:
    """Which signal has come; the first of them raises, and so does one that comes a second later.

    Attributes:
        received: the signal; None if none has come.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._at = 0.0

    def install(self) -> None:
        """Take the signals from now on, but for what a shell lets pass over (behind `&`)."""
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._take)

    @property
    def exit_code(self) -> int:
        """What a shell reports of a process that this signal has ended: 130 or 143; 0 if none has come."""
        return 0 if self.received is None else 128 + self.received

    def _take(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is not None and now - self._at < _ECHO:
            return
        self.received, self._at = signal.Signals(number), now
        raise KeyboardInterrupt
