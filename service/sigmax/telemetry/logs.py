"""The log: one line an event on standard error, with what callers send escaped."""

from __future__ import annotations

import logging
import sys
import time


class _OneLine(logging.Formatter):
    """Time in UTC, level, text; control characters of a caller never reach a terminal or a second line."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in record.message
        )
        return super().formatMessage(record)


def configure(level: str) -> None:
    """Send the `sigmax` and uvicorn logs of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    for name in ("sigmax", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
