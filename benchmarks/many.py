"""Measure a thousand small models in one worker: `python -m benchmarks.many`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import generator, processes, report, repositories, section, servers
from benchmarks.cases import MODEL, Case, Questions
from benchmarks.figures import Outcome
from benchmarks.generator import CLOSED, Account, Plan
from benchmarks.latency import question
from benchmarks.load import LoadFailed
from benchmarks.report import Spread, ratios
from benchmarks.section import Context, Section
from benchmarks.servers import Server
from benchmarks.wires import Question

_EXPLAINED = """\
`{model}` (30 features) published under {count:,} names, one worker. Ready is when the service says where it
answers, every model verified, loaded and proved by its golden rows. Memory is the process tree's, of a
service of all of them less that of one of them, a model. Then 64 requests in flight by gRPC, raw, or 16 by
REST, JSON, of 1 row, for one of the models or for all in turn, by `benchmarks.generator`. Medians with
(lowest..highest) of {starts} starts and of {effort}."""

_MOST_STARTS = 3
_PROMISED = 1000
"""How many models the targets are about: figures of fewer are none of theirs."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A service that has just started: the server, seconds until it was ready, RSS and PSS in MiB."""

    server: Server
    seconds: float
    memory: tuple[float, float]


_Rates = dict[str, tuple[Spread, Spread]]


def measure(context: Context) -> Outcome:
    """Start with one model, then with many; then load one of the many and all of them in turn."""
    count = context.effort.bundles
    one, many = context.folder / "one", context.folder / "many"
    names = repositories.copied(context.models, MODEL, many, count)
    repositories.copied(context.models, MODEL, one, 1)
    with _started(one) as alone:
        base = alone.memory
    starts: list[_Ready] = []
    for _ in range(min(context.effort.starts, _MOST_STARTS) - 1):
        with _started(many) as ready:
            starts.append(ready)
    with _started(many) as ready:
        starts.append(ready)
        rates, failures = _loads(context, ready.server, many, names)
        used = processes.memory(ready.server.pid)
    sizes = [
        Spread(tuple((start.memory[kind] - base[kind]) / (count - 1) for start in starts)) for kind in (0, 1)
    ]
    after = [(used[kind] - base[kind]) / (count - 1) for kind in (0, 1)]
    seconds = Spread(tuple(start.seconds for start in starts))
    figures = {"many:ready": seconds.values, "many:pss": sizes[1].values}
    figures |= {f"many:{key}": ratios(every, single).values for key, (single, every) in rates.items()}
    text = _rendered(context, seconds, sizes, after, rates)
    return Outcome(text, figures if count >= _PROMISED else {}, failures=tuple(failures))


@contextmanager
def _started(models: Path) -> Iterator[_Ready]:
    began = time.perf_counter()
    with servers.sigmax(models) as server:
        seconds = time.perf_counter() - began
        yield _Ready(server, seconds, processes.memory(server.pid))


def _loads(context: Context, server: Server, models: Path, names: Sequence[str]) -> tuple[_Rates, list[str]]:
    """By protocol: requests a second for one model, and for all in turn."""
    rows = Questions(models, names[0]).rows(1)
    rates: _Rates = {}
    failures: list[str] = []
    for key, case in {"grpc": rows.infer_raw(), "rest": rows.infer_json()}.items():
        try:
            rates[key] = _turns(context, server, case, names)
        except (LoadFailed, AssertionError) as error:
            failures.append(f"{case.name}, {len(names)} models: {error}")
    return rates, failures


def _turns(context: Context, server: Server, case: Case, names: Sequence[str]) -> tuple[Spread, Spread]:
    first = question(server, case)
    every = [_of_model(first, names[0], name) for name in names]
    connections, streams = (8, 8) if case.grpc else (16, 1)
    plan = Plan(case.grpc, server.ports[case.grpc], connections, streams, CLOSED, 0, context.effort.seconds)
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(context.effort.rounds + 1):  # the first is for warming up
        for asked, into in zip(([first], every), found, strict=True):
            account = generator.run(plan, asked, context.folder)
            if turn:
                into.append(_rate(account))
    return Spread(tuple(found[0])), Spread(tuple(found[1]))


def _of_model(asked: Question, name: str, other: str) -> Question:
    """The same question to a copy and its answer; names are of one length, so that only they differ."""
    own, theirs = name.encode(), other.encode()
    path = asked.path.replace(name, other)
    return Question(path, asked.body.replace(own, theirs), asked.answer.replace(own, theirs), asked.headers)


def _rate(account: Account) -> float:
    return account.ok / account.seconds


def _rendered(
    context: Context,
    seconds: Spread,
    sizes: Sequence[Spread],
    after: Sequence[float],
    rates: Mapping[str, tuple[Spread, Spread]],
) -> str:
    rows = [
        ["from exec to ready", f"{seconds.text(2)} s"],
        *(
            [f"{kind} of each, when ready", f"{size.text(3)} MiB"]
            for kind, size in zip(("RSS", "PSS"), sizes, strict=True)
        ),
        *(
            [f"{kind} of each, after the load", f"{size:.3f} MiB"]
            for kind, size in zip(("RSS", "PSS"), after, strict=True)
        ),
    ]
    for key, (single, every) in rates.items():
        door = {"grpc": "gRPC raw", "rest": "REST JSON"}[key]
        rows += [
            [f"{door}, one of the models", f"{single.text()} requests/s"],
            [f"{door}, all of them in turn", f"{every.text()} requests/s"],
            [f"{door}, all of them, of one model's", f"**{ratios(every, single).text(2)}**"],
        ]
    count, starts = context.effort.bundles, len(seconds.values)
    explained = _EXPLAINED.format(model=MODEL, count=count, starts=starts, effort=context.effort.text)
    return "\n\n".join([explained, report.table(["", "measured"], rows), report.conditions(context.command)])


SECTION = Section("A thousand small models", measure)

if __name__ == "__main__":
    section.main(SECTION)
