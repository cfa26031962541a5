"""Measure every door of the service beside the bare library that carries it: `python -m benchmarks.doors`.

All servers run in the same minutes on the same machine and take turns under the same load, so that the
ratio to the floor means something where the figures themselves do not: on another machine, or a busy one.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks import load, processes, report
from benchmarks.cases import Case, cases
from benchmarks.report import Spread

PACKAGES = ("grpcio", "uvicorn", "uvloop", "httptools", "starlette", "numpy", "onnxruntime")
TITLE = "Every door beside its floor"

_EXPLAINED = """\
`breast_cancer`: 30 features, 2 classes. gRPC: `h2load -c8 -m8`; REST: `wrk -t1 -c16`; one server
process, the load generator on the same machine. Medians with (lowest..highest) of {rounds} rounds of
{seconds} s, the servers in turn; a ratio is taken within a round. The floor (bare grpc.aio, bare ASGI on
uvicorn) receives and returns the same bytes. Every answer was compared with the golden rows beforehand,
and no request failed."""

_WARM_REQUESTS = 2_000
_WARM_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Effort:
    """How much load each server gets for each case: so many rounds of so many seconds."""

    seconds: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Server:
    """One server under load.

    Attributes:
        name: as the table calls it.
        pid: of its process.
        port: where it answers.
        path: where it takes a case, whose number is given.
    """

    name: str
    pid: int
    port: int
    path: Callable[[int, Case], str]

    def url(self, number: int, case: Case) -> str:
        """Where to send a case."""
        return f"http://127.0.0.1:{self.port}{self.path(number, case)}"


@dataclass(frozen=True, slots=True)
class Rate:
    """One round's figures."""

    per_second: float
    cpu_microseconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All rounds of one server under one case."""

    rounds: tuple[Rate, ...]

    @property
    def per_second(self) -> Spread:
        """Requests per second."""
        return Spread(tuple(rate.per_second for rate in self.rounds))

    @property
    def cpu(self) -> Spread:
        """Microseconds of CPU time a request."""
        return Spread(tuple(rate.cpu_microseconds for rate in self.rounds))

    def over(self, floor: Measured) -> tuple[Spread, Spread]:
        """Speed and CPU time as multiples of the floor's, round by round."""
        pairs = list(zip(self.rounds, floor.rounds, strict=True))
        speed = tuple(own.per_second / bare.per_second for own, bare in pairs)
        return Spread(speed), Spread(
            tuple(own.cpu_microseconds / bare.cpu_microseconds for own, bare in pairs)
        )


Results = list[tuple[Case, dict[str, Measured]]]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doors", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="a repository with breast_cancer")
    parser.add_argument("--seconds", type=int, default=2, help="of load in one round, per server and case")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="doors with this in their name")
    parser.add_argument("--rows", type=int, help="requests of so many rows")
    parser.add_argument("--output", type=Path, help="a Markdown file to put the tables into")
    arguments = parser.parse_args()
    effort = Effort(arguments.seconds, arguments.rounds)
    processes.end_on_sigterm()
    try:
        load.check_tools()
        asked = [
            case
            for case in cases(arguments.models)
            if arguments.only in case.door and arguments.rows in (None, case.rows)
        ]
        results = measure(asked, arguments.models, effort)
    except (load.LoadFailed, RuntimeError, AssertionError, OSError, grpc.RpcError) as error:
        sys.exit(f"benchmarks.doors: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    text = rendered(results, effort)
    print(text)
    if arguments.output:
        report.put_section(arguments.output, TITLE, text)


def measure(asked: list[Case], models: Path, effort: Effort) -> Results:
    """Start the servers, check every answer, then put each under load in turn.

    Raises:
        LoadFailed, RuntimeError, AssertionError: a request failed, a server did, an answer is wrong.
    """
    results: Results = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(_servers(asked, models, folder))
        for number, case in enumerate(asked):
            measured = _case(number, case, servers[case.grpc], folder, effort)
            results.append((case, measured))
            print(f"{case.door}, {case.rows} rows: {_line(measured)}", file=sys.stderr)
        _refuse_failures(servers[False][0])
    return results


@contextmanager
def _servers(asked: list[Case], models: Path, folder: Path) -> Iterator[dict[bool, list[Server]]]:
    """Sigmax first, then its floors with its own answers; by whether they speak gRPC."""
    rest_port, grpc_port = processes.free_port(), processes.free_port()
    with ExitStack() as stack:

        def start(command: list[str], ready: Callable[[], bool]) -> int:
            return stack.enter_context(processes.running(command, ready))

        ready_url = f"http://127.0.0.1:{rest_port}/v2/health/ready"
        pid = start(processes.sigmax(models, rest_port, grpc_port), lambda: processes.answers(ready_url))
        own = {True: Server("Sigmax", pid, grpc_port, _own), False: Server("Sigmax", pid, rest_port, _own)}
        answers = folder / "answers"
        answers.mkdir()
        for number, case in enumerate(asked):
            answer = _ask(own[case.grpc], number, case)
            case.check(answer)
            (answers / str(number)).write_bytes(answer)

        def floor(module: str, name: str, path: Callable[[int, Case], str]) -> Server:
            port = processes.free_port()
            command = [sys.executable, "-m", f"benchmarks.floors.{module}", str(port), str(answers)]
            return Server(name, start(command, lambda: processes.listens(port)), port, path)

        servers = {
            True: [own[True], floor("grpc_aio", "bare grpc.aio", lambda number, _: f"/bare.Floor/{number}")],
            False: [
                own[False],
                floor("asgi", "bare ASGI", lambda number, _: f"/bare/{number}"),
                floor("starlette_route", "Starlette route", lambda number, _: f"/bare/{number}"),
            ],
        }
        for number, case in enumerate(asked):
            for server in servers[case.grpc]:
                case.check(_ask(server, number, case))
        yield servers


def _own(_: int, case: Case) -> str:
    return case.path


def _ask(server: Server, number: int, case: Case) -> bytes:
    if case.grpc:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            answer: bytes = channel.unary_unary(server.path(number, case), None, None)(case.body, timeout=30)
            return answer
    request = urllib.request.Request(
        server.url(number, case), case.body, {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        body: bytes = response.read()
        return body


def _case(
    number: int, case: Case, servers: list[Server], folder: Path, effort: Effort
) -> dict[str, Measured]:
    """Warm every server up, which tells how many requests fill the seconds, then load them in turn."""
    body = folder / "body"
    body.write_bytes(load.framed(case.body) if case.grpc else case.body)
    size = len(load.framed((folder / "answers" / str(number)).read_bytes()))
    counts: dict[str, int] = {}

    def run(server: Server) -> load.Counted:
        url = server.url(number, case)
        if case.grpc:
            return load.post_grpc(url, body, counts.get(server.name, _WARM_REQUESTS), size)
        return load.post_http(url, body, effort.seconds if server.name in counts else _WARM_SECONDS)

    for server in servers:
        warm = run(server)
        counts[server.name] = max(_WARM_REQUESTS, int(effort.seconds * warm.requests / warm.seconds))
    rates: dict[str, list[Rate]] = {server.name: [] for server in servers}
    for turn in range(effort.rounds):
        for server in servers[:: -1 if turn % 2 else 1]:
            rates[server.name].append(_weighed(server, run))
    return {name: Measured(tuple(found)) for name, found in rates.items()}


def _weighed(server: Server, run: Callable[[Server], load.Counted]) -> Rate:
    before = processes.cpu_seconds(server.pid)
    counted = run(server)
    used = processes.cpu_seconds(server.pid) - before
    return Rate(counted.requests / counted.seconds, 1e6 * used / counted.requests)


def _refuse_failures(sigmax: Server) -> None:
    """The service's own count of errors must be none, whatever the load generators saw."""
    with urllib.request.urlopen(f"http://127.0.0.1:{sigmax.port}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    failed = [line for line in lines if line.startswith("sigmax_requests_total{") and 'code="OK"' not in line]
    if failed:
        raise load.LoadFailed("the service counted errors:\n" + "\n".join(failed))


def _line(measured: dict[str, Measured]) -> str:
    return ", ".join(f"{name} {figures.per_second.text()}/s" for name, figures in measured.items())


def rendered(results: Results, effort: Effort) -> str:
    """The tables and the conditions."""
    own, floors = [], []
    for case, measured in results:
        sigmax, (_, *bare) = measured["Sigmax"], measured.values()
        speed, cpu = sigmax.over(bare[0])
        ratios = [
            f"**{speed.text(2)}**",
            cpu.text(2),
            *(sigmax.over(second)[0].text(2) for second in bare[1:]),
        ]
        own.append([case.door, *_figures(case, sigmax), *ratios, *[""][len(bare) - 1 :]])
        floors += [
            [f"{name}, for {case.door}", *_figures(case, figures)]
            for name, figures in measured.items()
            if name != "Sigmax"
        ]
    head = ["rows", "requests/s", "CPU each"]
    ratios = ["speed, of its floor", "CPU, times its floor", "speed, of a Starlette route"]
    return "\n\n".join(
        [
            _EXPLAINED.format(rounds=effort.rounds, seconds=effort.seconds),
            report.table(["door", *head, *ratios], own),
            report.table(["floor", *head], floors),
            report.conditions(shlex.join(["python", "-m", "benchmarks.doors", *sys.argv[1:]]), PACKAGES),
        ]
    )


def _figures(case: Case, measured: Measured) -> list[str]:
    return [f"{case.rows:,}", measured.per_second.text(), f"{measured.cpu.text()} us"]


if __name__ == "__main__":
    main()
