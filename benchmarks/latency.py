"""Measure how long a request takes that is alone: `python -m benchmarks.latency`.

The client is `benchmarks.generator`, whose own work is a small part of the time; it asks at a low steady
rate, and once as fast as answers come. Latency is from the sending of a request to the last byte of its
answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks import generator, report, section, servers
from benchmarks.cases import MODEL, Case, Questions
from benchmarks.figures import Outcome
from benchmarks.generator import CLOSED, STEADY, Account, Plan
from benchmarks.load import LoadFailed
from benchmarks.report import Spread, ratios
from benchmarks.section import Context, Section
from benchmarks.servers import BARE_GRPC, SIGMAX, STARLETTE, Server
from benchmarks.wires import Question

RATE = 1_000
"""Requests a second, far from what either server can do."""

_EXPLAINED = """\
`{model}`, 1 row, one connection, one request at a time: {rate:,} a second, or the next as soon as the last is
answered. The servers take turns; percentiles are of one turn, medians with (lowest..highest) of {effort},
ratios within a round."""

_WAYS = {f"{RATE:,} a second": (STEADY, RATE), "one after the other": (CLOSED, 0)}
_QUANTILES = (0.5, 0.99)
_Found = dict[tuple[str, str], dict[str, list[Account]]]


def measure(context: Context) -> Outcome:
    """Both protocols, both ways, Sigmax and the bare server in turn."""
    one = Questions(context.models, MODEL).rows(1)
    asked = {"grpc": one.infer_raw(), "rest": one.infer_json()}
    found: _Found = {}
    failures: list[str] = []
    with ExitStack() as stack:
        own = stack.enter_context(servers.sigmax(context.models))
        names = [BARE_GRPC, STARLETTE]
        bare = stack.enter_context(servers.floors(names, [*asked.values()], own, context.folder))
        for (key, case), floor in zip(asked.items(), bare, strict=True):
            for way, (arrivals, rate) in _WAYS.items():
                try:
                    found[key, way] = _turns(context, case, [own, floor], arrivals, rate)
                except LoadFailed as error:
                    failures.append(f"{case.name}, {way}: {error}")
    text = _rendered(context, asked, found)
    return Outcome(text, _figures(found), failures=tuple(failures))


def _turns(
    context: Context, case: Case, pair: Sequence[Server], arrivals: str, rate: float
) -> dict[str, list[Account]]:
    accounts: dict[str, list[Account]] = {server.name: [] for server in pair}
    questions = {server.name: question(server, case) for server in pair}
    for turn in range(context.effort.rounds + 1):  # the first is for warming up
        for server in pair[:: -1 if turn % 2 else 1]:
            plan = Plan(case.grpc, server.ports[case.grpc], 1, 1, arrivals, rate, context.effort.seconds)
            account = generator.run(plan, [questions[server.name]], context.folder)
            if turn:
                accounts[server.name].append(account)
    return accounts


def question(server: Server, case: Case) -> Question:
    """A case as a server is asked it, with its answer, which was compared with the golden rows.

    Raises:
        LoadFailed, AssertionError: the answer is none, or is wrong.
    """
    return Question(server.path(case), case.body, server.checked(case), tuple(case.headers.items()))


def spread(accounts: Sequence[Account], quantile: float, of: str = "latency") -> Spread:
    """A percentile of every round, in seconds."""
    return Spread(tuple(account.at(quantile, of) for account in accounts))


def _figures(found: _Found) -> dict[str, tuple[float, ...]]:
    figures = {}
    for (key, way), accounts in found.items():
        own, floor = (spread(of, 0.99, "service") for of in accounts.values())
        suffix = "" if way == next(iter(_WAYS)) else ":closed"
        figures[f"one_p99:{key}{suffix}"] = ratios(own, floor).values
    return figures


def _rendered(context: Context, asked: Mapping[str, Case], found: _Found) -> str:
    rows = []
    for (key, way), accounts in found.items():
        own = accounts[SIGMAX]
        for name, of in accounts.items():
            percentiles = [spread(of, quantile, "service") for quantile in _QUANTILES]
            bold = ["", ""]
            if name != SIGMAX:
                bold = [
                    ratios(spread(own, quantile, "service"), spread(of, quantile, "service")).text(2)
                    for quantile in _QUANTILES
                ]
            microseconds = [
                Spread(tuple(1e6 * value for value in each.values)).text() for each in percentiles
            ]
            rows.append(
                [f"{asked[key].door}, {way}: {name}", *(f"{text} us" for text in microseconds), *bold]
            )
    head = ["", "p50", "p99", "Sigmax's p50, times this", "Sigmax's p99, times this"]
    explained = _EXPLAINED.format(model=MODEL, rate=RATE, effort=context.effort.text)
    return "\n\n".join([explained, report.table(head, rows), report.conditions(context.command)])


SECTION = Section("One request alone", measure)

if __name__ == "__main__":
    section.main(SECTION)
