"""The load generators, h2load for gRPC and wrk for HTTP, and what they counted.

A failed answer is never counted as a fast one: every way in which one can fail is an error here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"h2load": "nghttp2-client", "wrk": "wrk"}
"""The Debian package of each tool."""

_SLACK_SECONDS = 60
_SCRIPT = Path(__file__).with_name("post.lua")


class LoadFailed(Exception):
    """A tool is absent, or a request was not answered as it should be."""


@dataclass(frozen=True, slots=True)
class Counted:
    """So many requests were answered in so many seconds."""

    requests: int
    seconds: float


def check_tools() -> None:
    """Find every tool before anything is started.

    Raises:
        LoadFailed: naming what to install.
    """
    absent = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if absent:
        raise LoadFailed(f"load generators are missing; on Debian: apt-get install {' '.join(absent)}")


def framed(message: bytes) -> bytes:
    """A gRPC message as it travels: uncompressed, its length, itself."""
    return b"\0" + len(message).to_bytes(4, "big") + message


@dataclass(frozen=True, slots=True)
class Flight:
    """How many requests are under way at once: so many connections, so many on each."""

    connections: int
    streams: int = 1

    @property
    def total(self) -> int:
        """All of them."""
        return self.connections * self.streams


def post_grpc(url: str, body: Path, count: int, answer_size: int, flight: Flight = Flight(8, 8)) -> Counted:
    """Send one framed message `count` times.

    An error of gRPC is status 200 with trailers and no message; so the bytes that came are compared with
    what so many right answers are.

    Raises:
        LoadFailed: any request failed.
    """
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    said = _run(
        [
            "h2load",
            f"-n{count}",
            f"-c{flight.connections}",
            f"-m{flight.streams}",
            *headers,
            "-d",
            str(body),
            url,
        ]
    )
    seconds = _seconds(_found(r"finished in ([\d.]+)(us|ms|s|m|h)", said))
    good = int(_found(r"status codes: (\d+) 2xx", said)[1])
    received = int(_found(r"\((\d+)\) data", said)[1])
    if good != count or received != count * answer_size:
        raise LoadFailed(
            f"{url}: of {count} requests {good} had status 200, and {received} bytes came "
            f"instead of {count * answer_size}:\n{said}"
        )
    return Counted(count, seconds)


def post_http(url: str, body: Path, seconds: float, connections: int, headers: Mapping[str, str]) -> Counted:
    """Send one body again and again for some whole seconds.

    Raises:
        LoadFailed: any request failed.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(_SCRIPT)]
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    said = _run([*command, *given, url, "--", str(body)], seconds)
    counted = _found(r"COUNTED requests=(\d+) microseconds=(\d+) failed=(\d+)", said)
    if int(counted[3]) or not int(counted[1]):
        raise LoadFailed(f"{url}: of {counted[1]} requests {counted[3]} failed:\n{said}")
    return Counted(int(counted[1]), int(counted[2]) / 1e6)


def _run(command: list[str], expected_seconds: float = 0) -> str:
    patience = expected_seconds + _SLACK_SECONDS
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{' '.join(command)} was not done within {patience:g} s") from error
    if done.returncode:
        raise LoadFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def _found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    if match is None:
        raise LoadFailed(f"{pattern!r} is not in what the load generator said:\n{text}")
    return match


def _seconds(match: re.Match[str]) -> float:
    return float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]
