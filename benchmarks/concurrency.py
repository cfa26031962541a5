"""Measure 1, 8 and 64 requests in flight, of small and large ones: `python -m benchmarks.concurrency`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import closed, report, repositories, section, servers
from benchmarks.cases import MODEL, PICTURES, Case, Questions
from benchmarks.closed import Measured
from benchmarks.figures import Outcome
from benchmarks.load import Flight, LoadFailed
from benchmarks.section import Context, Section
from benchmarks.servers import BARE_GRPC, SIGMAX, STARLETTE, Server

_EXPLAINED = """\
`{model}` has 30 features, `{pictures}` 30,000 pixels and one layer, `{mlp}` 30,000 pixels, a hidden layer of
64 and 3 classes. One worker with its defaults, beside a bare server that receives and returns the same bytes:
grpc.aio, or a Starlette route for REST. gRPC: `h2load -c1 -m1`, `-c1 -m8`, `-c8 -m8`; REST: `wrk -t1` on 1, 8
or 64 connections. Medians with (lowest..highest) of {effort}."""

_GRPC = (Flight(1), Flight(1, 8), Flight(8, 8))
_REST = (Flight(1), Flight(8), Flight(64))
_MOST_ROUNDS = 3

_Found = list[tuple[Case, int, dict[str, Measured]]]


def measure(context: Context) -> Outcome:
    """Each case at each number in flight, Sigmax and the bare server in turn."""
    effort = replace(context.effort, seconds=1, rounds=min(context.effort.rounds, _MOST_ROUNDS))
    found: _Found = []
    failures: list[str] = []
    models = _models(context)
    cases = _cases(models)
    with ExitStack() as stack:
        own = stack.enter_context(servers.sigmax(models))
        bare = stack.enter_context(servers.floors([BARE_GRPC, STARLETTE], cases, own, context.folder))
        for case in cases:
            pair: list[Server] = [own, bare[0] if case.grpc else bare[1]]
            for flight in _GRPC if case.grpc else _REST:
                try:
                    found.append(
                        (case, flight.total, closed.measure(case, pair, context.folder, effort, flight))
                    )
                except LoadFailed as error:
                    failures.append(str(error))
        failures += servers.counted_errors(own)
    figures = {}
    for case, in_flight, measured in found:
        own_figures, others = _pair(measured)
        figures[f"flight:{case.name}:{in_flight}"] = own_figures.speed(others).values
    text = _rendered(context, effort.text, found)
    return Outcome(text, figures, failures=tuple(failures))


def _models(context: Context) -> Path:
    """A repository of its own, with the two models and the MLP."""
    models = context.folder / "models"
    models.mkdir()
    for name in (MODEL, PICTURES):
        (models / name).symlink_to((context.models / name).absolute())
    repositories.publish_mlp(models, context.folder)
    return models


def _cases(models: Path) -> list[Case]:
    small = Questions(models, MODEL)
    picture = Questions(models, PICTURES).rows(1)
    return [
        small.rows(1).infer_raw(),
        small.rows(1024).infer_raw(),
        picture.infer_raw("UINT8"),
        picture.infer_raw("FP32"),
        Questions(models, repositories.MLP).rows(1).infer_raw("UINT8"),
        small.rows(1).infer_json(),
        small.rows(1024).infer_json(),
        picture.infer_binary("UINT8"),
    ]


def _pair(measured: Mapping[str, Measured]) -> tuple[Measured, Measured]:
    """Sigmax and the other."""
    (other,) = (figures for name, figures in measured.items() if name != SIGMAX)
    return measured[SIGMAX], other


def _rendered(context: Context, effort: str, found: _Found) -> str:
    head = [
        "model and door",
        "rows",
        "in flight",
        "requests/s",
        "CPU each",
        "speed, of the bare server",
        "CPU, times its",
    ]
    explained = _EXPLAINED.format(model=MODEL, pictures=PICTURES, mlp=repositories.MLP, effort=effort)
    rows = [_row(case, flight, *_pair(measured)) for case, flight, measured in found]
    return "\n\n".join([explained, report.table(head, rows), report.conditions(context.command)])


def _row(case: Case, flight: int, own: Measured, bare: Measured) -> list[str]:
    return [
        f"{case.model}, {case.door}",
        f"{case.rows:,}",
        str(flight),
        own.per_second.text(),
        f"{own.cpu.text()} us",
        f"**{own.speed(bare).text(2)}**",
        own.cost(bare).text(2),
    ]


SECTION = Section("One, eight and sixty-four in flight", measure)

if __name__ == "__main__":
    section.main(SECTION)
