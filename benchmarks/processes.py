"""Servers as processes of their own: started, waited for, weighed, and ended by their id.

What a process costs is read from /proc for it and all its descendants, so that a service of several
processes is weighed whole. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from sigmax.cli import cli

_START_SECONDS = 120
_STOP_SECONDS = 20
_HEAD_BYTES = 1 << 20
_TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end_on_sigterm() -> None:
    """Make SIGTERM unwind this process as Ctrl-C does, so that the servers it started end with it."""

    def leave(number: int, _: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut the unwinding short
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


@contextmanager
def running(command: Sequence[str], ready: Callable[[bytes], bool], every: float = 0.02) -> Iterator[int]:
    """Run a server while the block runs.

    Args:
        command: what to start; its output is shown only if it fails.
        ready: asked until it says so, with what the server has written so far.
        every: seconds between two questions.

    Yields:
        The server's process id.

    Raises:
        RuntimeError: it ended, or was not ready in time; with the end of what it wrote.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment())
        try:
            give_up = time.monotonic() + _START_SECONDS
            while not ready(os.pread(output.fileno(), _HEAD_BYTES, 0)):
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(_not_ready(command, process.poll(), output))
                time.sleep(every)
            yield process.pid
        finally:
            _end(process)


def _not_ready(command: Sequence[str], code: int | None, output: BinaryIO) -> str:
    """What to say of a server that did not start, with the end of what it wrote."""
    output.seek(0)
    said = output.read()[-2000:].decode(errors="replace")
    what = f"was not ready within {_START_SECONDS} s" if code is None else f"ended with {code}"
    return f"{' '.join(command)} {what}; it wrote:\n{said}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it leave; it and its descendants that are still there after that are killed, one by one."""
    before = _started(process.pid) if process.poll() is None else {}
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        before |= _started(process.pid)
    for member, ticks in before.items():
        if _start_ticks(member) == ticks:  # another process may have the number by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
    process.wait()


def _started(pid: int) -> dict[int, int]:
    """A process and its descendants, and when each was started, in ticks since the machine was."""
    return {member: _start_ticks(member) for member in _tree(pid)}


def _start_ticks(pid: int) -> int:
    """0 if there is no such process."""
    with _may_have_ended():
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def environment() -> dict[str, str]:
    """This process's environment without settings of Sigmax: what is measured are its defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SIGMAX_")}


def sigmax(models: Path, rest_port: int, grpc_port: int, *options: str) -> list[str]:
    """The command that serves a repository."""
    ports = ["--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
    return [sys.executable, "-m", "sigmax", "serve", "--models", str(models), *ports, *options]


def greets(output: bytes) -> bool:
    """Whether Sigmax has written where it answers, which it does when every worker does."""
    return b"REST http://" in output


def has_option(name: str) -> bool:
    """Whether `sigmax serve` has an option: `workers`, `max_batch_rows`."""
    return any(parameter.name == name for parameter in cli.commands["serve"].params)


def listens(port: int) -> bool:
    """Whether something accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    """Whether an address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, that a process and its descendants have used so far.

    Those that have ended count through whoever waited for them.
    """
    ticks = 0
    for member in _tree(pid):
        with _may_have_ended():
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: fields 14 to 17 of proc(5)
    return ticks / _TICK


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional set size of a process and its descendants, in MiB."""
    resident = proportional = 0
    for member in _tree(pid):
        with _may_have_ended():
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                resident += int(line.split()[1]) if line.startswith("Rss:") else 0
                proportional += int(line.split()[1]) if line.startswith("Pss:") else 0
    return resident / 1024, proportional / 1024


def peak_memory(pid: int) -> float:
    """The highest resident set size so far of a process and its descendants, in MiB; 0 if it has ended."""
    kib = 0
    try:
        for member in _tree(pid):
            for line in Path(f"/proc/{member}/status").read_text().splitlines():
                kib += int(line.split()[1]) if line.startswith("VmHWM:") else 0
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return kib / 1024


def _tree(pid: int) -> list[int]:
    """A process and its descendants; one that ends meanwhile may be missing."""
    members = [pid]
    with _may_have_ended():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                members += _tree(int(child))
    return members


def _may_have_ended() -> contextlib.suppress:
    return contextlib.suppress(FileNotFoundError, ProcessLookupError)
