"""Starts a worker as a program of its own; imported before all that takes long, so that workers start first.

Never a fork of this process: what gRPC and ONNX Runtime hold does not survive one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

Message = dict[str, Any]
"""What supervisor and worker say to each other: an object with its `kind`."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Spawned(NamedTuple):
    """A worker that was started.

    Attributes:
        process: its process.
        line: our end of the channel to it.
    """

    process: subprocess.Popen[bytes]
    line: socket.socket


def spawn(rest: socket.socket, orders: Message) -> Spawned:
    """Start a worker.

    Args:
        rest: the REST socket that it inherits.
        orders: the first message on its channel, from which it knows what to serve.

    Raises:
        OSError: the system starts no process.
    """
    ours, theirs = socket.socketpair()
    with theirs, contextlib.ExitStack() as unless_started:
        unless_started.enter_context(ours)
        process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [*_interpreter(), "-m", "sigmax.runtime.worker", str(theirs.fileno()), str(rest.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), rest.fileno()),
            start_new_session=True,  # a signal to the group reaches the supervisor alone
            env=environment(os.environ),
        )
        unless_started.pop_all()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is dead; its end will be noticed
        ours.sendall(encode(orders))
    ours.setblocking(False)
    return Spawned(process, ours)


def encode(message: Message) -> bytes:
    """A message as it travels: a line of JSON."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def hold_signals() -> None:
    """Let signals wait until somebody listens: between a worker's start and that moment none is lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def admit_signals() -> None:
    """Let them through, those that have waited first."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def read_orders(line: socket.socket) -> Message | None:
    """The first message of a channel, in the worker that it was sent to; None if there is nobody any more."""
    read = bytearray()
    while not read.endswith(b"\n"):
        byte = line.recv(1)  # not one more: what follows is for the event loop
        if not byte:
            return None
        read += byte
    message: Message = json.loads(read)
    return message


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker, whose settings come over the channel.

    Args:
        own: that of the supervisor.
    """
    return {name: value for name, value in own.items() if not name.startswith("SIGMAX_")}


def _interpreter() -> list[str]:
    """This interpreter, which finds modules in the present folder only if this process does, too."""
    return [sys.executable] if sys.path[:1] == [os.getcwd()] else [sys.executable, "-P"]  # noqa: PTH109 - as Python
