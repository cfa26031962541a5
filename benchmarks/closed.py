"""Servers in turn under the same closed loop: requests a second, and CPU time each of the process tree."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import load, processes
from benchmarks.cases import Case
from benchmarks.effort import Effort
from benchmarks.load import Counted, Flight
from benchmarks.report import Spread, ratios
from benchmarks.servers import Server

IN_FLIGHT = Flight(8, 8)
"""Of gRPC: 64 requests on 8 connections."""

CONNECTIONS = Flight(16)
"""Of REST: one request on each."""

_WARM_REQUESTS = 500
_WARM_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """One server under one case.

    Attributes:
        per_second: requests.
        cpu: microseconds a request, user and system, of the process tree.
    """

    per_second: Spread
    cpu: Spread

    def speed(self, other: Measured) -> Spread:
        """As a multiple of another server's, round by round."""
        return ratios(self.per_second, other.per_second)

    def cost(self, other: Measured) -> Spread:
        """CPU time as a multiple of another server's, round by round."""
        return ratios(self.cpu, other.cpu)


def measure(
    case: Case, servers: Sequence[Server], folder: Path, effort: Effort, flight: Flight | None = None
) -> dict[str, Measured]:
    """Warm every server up, then load them in turn, forwards and backwards.

    Every server's answer is compared with the golden rows before.

    Raises:
        LoadFailed, AssertionError: a request was not answered as it should be; the text names the case.
    """
    flight = flight or (IN_FLIGHT if case.grpc else CONNECTIONS)
    try:
        drivers = [_Driver(case, server, folder, effort.seconds, flight) for server in servers]
        found = [driver.warmed() for driver in drivers]
        rounds: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
        for turn in range(effort.rounds):
            for driver in found[:: -1 if turn % 2 else 1]:
                rounds[driver.server.name].append(driver.weighed())
    except (load.LoadFailed, AssertionError, OSError, ValueError, ZeroDivisionError) as error:
        raise load.LoadFailed(f"{case.name}: {error}") from error
    measured = {
        name: Measured(*(Spread(tuple(values)) for values in zip(*turns, strict=True)))
        for name, turns in rounds.items()
    }
    _tell(case, flight, measured)
    return measured


@dataclass(frozen=True, slots=True)
class _Driver:
    """One server and how its load is made; `count` is how many gRPC requests fill the seconds."""

    case: Case
    server: Server
    folder: Path
    seconds: int
    flight: Flight
    count: int = _WARM_REQUESTS
    answer_size: int = 0

    def warmed(self) -> _Driver:
        answer = self.server.checked(self.case)
        body = load.framed(self.case.body) if self.case.grpc else self.case.body
        self._body.write_bytes(body)
        ready = replace(self, answer_size=len(load.framed(answer)))
        first = ready.run(_WARM_SECONDS)
        again = replace(ready, count=max(_WARM_REQUESTS, int(_WARM_SECONDS * first.requests / first.seconds)))
        warm = again.run(_WARM_SECONDS) if self.case.grpc else first
        return replace(ready, count=max(self.flight.total, int(self.seconds * warm.requests / warm.seconds)))

    def run(self, seconds: int) -> Counted:
        url = self.server.url(self.case)
        if self.case.grpc:
            return load.post_grpc(url, self._body, self.count, self.answer_size, self.flight)
        return load.post_http(url, self._body, seconds, self.flight.total, self.case.headers)

    def weighed(self) -> tuple[float, float]:
        """Requests per second, and microseconds of CPU time each."""
        before = processes.cpu_seconds(self.server.pid)
        counted = self.run(self.seconds)
        used = processes.cpu_seconds(self.server.pid) - before
        return counted.requests / counted.seconds, 1e6 * used / counted.requests

    @property
    def _body(self) -> Path:
        return self.folder / "body"


def _tell(case: Case, flight: Flight, measured: dict[str, Measured]) -> None:
    figures = ", ".join(f"{name} {found.per_second.text()}/s" for name, found in measured.items())
    print(f"{case.name}, {flight.total} in flight: {figures}", file=sys.stderr, flush=True)
