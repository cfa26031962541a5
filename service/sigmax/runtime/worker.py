"""The program of a worker: `python -m sigmax.runtime.worker CHANNEL REST`, started by the supervisor alone.

It is told what to serve over its channel, and answers until it is told to leave (`serving.py`).
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys

from sigmax.runtime.spawn import Message, admit_signals, encode, read_orders


def main() -> None:
    """Serve until told to leave: exit code 0, 1 for a reason that was told to the supervisor."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    admit_signals()
    line, rest = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    orders = read_orders(line)
    if orders is None:
        sys.exit(1)
    try:
        from sigmax.runtime import serving  # noqa: PLC0415 - heavy, and may fail
    except (ImportError, OSError) as error:
        tell(line, f"a library cannot be loaded: {error}")
        sys.exit(1)
    os._exit(serving.run(line, rest, orders))


def tell(line: socket.socket, reason: str) -> None:
    """Say why this worker cannot serve."""
    line.setblocking(True)
    message: Message = {"kind": "failed", "reason": reason}
    line.sendall(encode(message))


if __name__ == "__main__":
    main()
