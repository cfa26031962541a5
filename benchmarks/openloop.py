"""Measure latency while requests come by themselves, as users do: `python -m benchmarks.openloop`.

Arrivals are a Poisson process at a share of each server's own capacity, which is measured first. The clock of
a request starts when it is due, whether or not it could be sent: nothing is omitted in coordination with the
server.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks import closed, generator, report, section, servers
from benchmarks.cases import MODEL, Case, Questions
from benchmarks.figures import Outcome
from benchmarks.generator import POISSON, QUANTILES, Account, Plan
from benchmarks.latency import question, spread
from benchmarks.load import LoadFailed
from benchmarks.report import Spread, ratios
from benchmarks.section import EXPECTED, Context, Section
from benchmarks.servers import BARE_ASGI, BARE_GRPC, SIGMAX, STARLETTE, Server

SHARES = (50, 80)
"""Per cent of capacity."""

_EXPLAINED = """\
`{model}`, 1 row. Requests arrive by themselves (Poisson) at 50 or 80 % of what the same server did before in
a closed loop, and latency counts from when a request was due. At most 64 are on the way to a bare or a Sigmax
gRPC server on each of 8 connections, or one on each of 64 connections to a REST server; what finds none free
waits, and its clock runs. The servers take turns; percentiles are of one turn, medians with (lowest..highest)
of {effort}, ratios within a round. Every request was answered well. "Late" is by how much later the generator
sent than a request was due and there was room for it (p99), "busy" the share of its time that it computed:
near 1, it and not the server would be measured."""


@dataclass(frozen=True, slots=True)
class _Point:
    """A server at a share of its capacity: the rate, and an account a round."""

    rate: float
    accounts: list[Account]


_Found = dict[tuple[str, int], dict[str, _Point]]


def measure(context: Context) -> Outcome:
    """Both protocols at both shares, the servers in turn."""
    one = Questions(context.models, MODEL).rows(1)
    asked = {"grpc": one.infer_raw(), "rest": one.infer_json()}
    found: _Found = {}
    failures: list[str] = []
    with ExitStack() as stack:
        own = stack.enter_context(servers.sigmax(context.models))
        names = [BARE_GRPC, STARLETTE, BARE_ASGI]
        bare = stack.enter_context(servers.floors(names, [*asked.values()], own, context.folder))
        for key, case in asked.items():
            running = [own, *(server for server in bare if (server.name == BARE_GRPC) == case.grpc)]
            try:
                capacity = _capacity(context, case, running)
            except EXPECTED as error:
                failures.append(f"{case.name}: capacity: {error}")
                continue
            for share in SHARES:
                try:
                    found[key, share], failed = _turns(context, case, running, capacity, share)
                    failures += [f"{case.name} at {share} %: {text}" for text in failed]
                except EXPECTED as error:
                    failures.append(f"{case.name} at {share} %: {error}")
    text = _rendered(context, asked, found)
    return Outcome(text, _figures(found), _curves(found), tuple(failures))


def _capacity(context: Context, case: Case, running: list[Server]) -> dict[str, float]:
    """What each does in a closed loop, requests a second."""
    measured = closed.measure(case, running, context.folder, context.effort)
    return {name: figures.per_second.median for name, figures in measured.items()}


def _turns(
    context: Context, case: Case, running: list[Server], capacity: Mapping[str, float], share: int
) -> tuple[dict[str, _Point], list[str]]:
    """A point a server, and what is to be said of those that failed; they are left out.

    Raises:
        LoadFailed: Sigmax failed.
    """
    points = {server.name: _Point(capacity[server.name] * share / 100, []) for server in running}
    questions = {server.name: question(server, case) for server in running}
    failed: list[str] = []
    for turn in range(context.effort.rounds):
        for server in running[:: -1 if turn % 2 else 1]:
            point = points.get(server.name)
            if point is None:
                continue
            plan = _plan(case, server, point.rate, context.effort.seconds, turn)
            try:
                point.accounts.append(generator.run(plan, [questions[server.name]], context.folder))
            except LoadFailed as error:
                if server.name == SIGMAX:
                    raise LoadFailed(f"{SIGMAX}: {error}") from error
                failed.append(f"{server.name}: {error}")
                del points[server.name]
    return points, failed


def _plan(case: Case, server: Server, rate: float, seconds: float, seed: int) -> Plan:
    connections, streams = (8, 64) if case.grpc else (64, 1)
    return Plan(case.grpc, server.ports[case.grpc], connections, streams, POISSON, rate, seconds, seed)


def _figures(found: _Found) -> dict[str, tuple[float, ...]]:
    """`open_p99:<protocol>:<share>/<server>` is Sigmax's p99 as a multiple of that server's."""
    figures = {}
    for (key, share), points in found.items():
        for name, point in points.items():
            if name != SIGMAX:
                own, bare = spread(points[SIGMAX].accounts, 0.99), spread(point.accounts, 0.99)
                figures[f"open_p99:{key}:{share}/{name}"] = ratios(own, bare).values
    return figures


def _curves(found: _Found) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds by quantile, medians over the rounds."""
    return {
        f"open:{key}:{share}/{name}": [
            (quantile, 1e3 * spread(point.accounts, quantile).median) for quantile in QUANTILES
        ]
        for (key, share), points in found.items()
        for name, point in points.items()
    }


def _rendered(context: Context, asked: Mapping[str, Case], found: _Found) -> str:
    rows = [
        _row(f"{asked[key].door}, {share} %: {name}", name, point, points[SIGMAX])
        for (key, share), points in found.items()
        for name, point in points.items()
    ]
    head = [
        "",
        "requests/s",
        "p50",
        "p99",
        "late",
        "busy",
        "Sigmax's p50, times this",
        "Sigmax's p99, times this",
    ]
    explained = _EXPLAINED.format(model=MODEL, effort=context.effort.text)
    return "\n\n".join([explained, report.table(head, rows), report.conditions(context.command)])


def _row(title: str, name: str, point: _Point, own: _Point) -> list[str]:
    ours = ["", ""]
    if name != SIGMAX:
        pairs = [(spread(own.accounts, at), spread(point.accounts, at)) for at in (0.5, 0.99)]
        ours = [ratios(*pair).text(2) for pair in pairs]
    milliseconds = [
        Spread(tuple(1e3 * value for value in spread(point.accounts, at).values)).text(2)
        for at in (0.5, 0.99)
    ]
    late = 1e3 * spread(point.accounts, 0.99, "lag").median
    busy = median(account.busy for account in point.accounts)
    return [
        title,
        f"{point.rate:,.0f}",
        *(f"{text} ms" for text in milliseconds),
        f"{late:.2f} ms",
        f"{busy:.2f}",
        *ours,
    ]


SECTION = Section("Requests that come by themselves", measure)

if __name__ == "__main__":
    section.main(SECTION)
