"""A real service in a process of its own, for tests that need sockets and signals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

_ANSWERS = re.compile(r"REST (?P<rest>http://\S+), gRPC (?P<grpc>\S+),")
_STOP_SECONDS = 20
_CALL_SECONDS = 60


@dataclass(frozen=True)
class Service:
    """Where it answers and the process that does."""

    rest: str
    grpc: str
    process: subprocess.Popen[str]
    greeting: str


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of Sigmax, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGMAX_")}
    return kept | variables


def command(*arguments: str) -> list[str]:
    """`sigmax …` with this interpreter."""
    return [sys.executable, "-m", "sigmax", *arguments]


def call(channel: grpc.Channel, path: str, request: bytes = b"") -> bytes:
    """Call a unary method by its path, bytes in and bytes out."""
    answer: bytes = channel.unary_unary(path, _same, _same)(request, timeout=_CALL_SECONDS)
    return answer


def _same(data: bytes) -> bytes:
    return data


@contextmanager
def running(models: Path, *arguments: str, **variables: str) -> Iterator[Service]:
    """Serve a repository with one worker, unless told otherwise, on free ports until the block ends."""
    ports = ["--rest-port", "0", "--grpc-port", "0", "--workers", "1"]
    process = subprocess.Popen(
        command("serve", "--models", str(models), *ports, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(**variables),
    )
    try:
        yield _started(process)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
        if process.stdout:
            process.stdout.close()


def _started(process: subprocess.Popen[str]) -> Service:
    assert process.stdout is not None
    first = process.stdout.readline()  # blocks until it answers, or ends when the process does
    match = _ANSWERS.search(first)
    assert match is not None, f"the service did not start: {first!r}"
    return Service(match["rest"], match["grpc"], process, first)
