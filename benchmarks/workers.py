"""Measure what a second worker costs each request: `python -m benchmarks.workers`; its memory: `start`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks import closed, processes, report, section, servers
from benchmarks.cases import MODEL, Case, Questions
from benchmarks.closed import Measured
from benchmarks.figures import Outcome
from benchmarks.load import Flight, LoadFailed
from benchmarks.section import Context, Section

_EXPLAINED = """\
`{model}`, 1 row, 64 in flight. gRPC: `h2load -c32 -m2`, so that the kernel can deal the connections out;
REST: `wrk -t1 -c64`. The load generator takes its share of {cores} cores, so that the CPU time of a request
says more than the speed. Medians with (lowest..highest) of {effort}, both services in turn, ratios within a
round."""

_ONE, _TWO = "1 worker", "2 workers"
_FLIGHTS = {"grpc": Flight(32, 2), "rest": Flight(64)}


def measure(context: Context) -> Outcome:
    """Both doors, one and two workers in turn."""
    if not processes.has_option("workers"):
        return Outcome("", failures=("`sigmax serve` has no option --workers",))
    one = Questions(context.models, MODEL).rows(1)
    asked = {"grpc": one.infer_raw(), "rest": one.infer_json()}
    found: dict[str, dict[str, Measured]] = {}
    failures: list[str] = []
    with ExitStack() as stack:
        pair = [
            stack.enter_context(servers.sigmax(context.models, name=name, workers=count))
            for count, name in ((1, _ONE), (2, _TWO))
        ]
        for key, case in asked.items():
            try:
                found[key] = closed.measure(case, pair, context.folder, context.effort, _FLIGHTS[key])
            except LoadFailed as error:
                failures.append(str(error))
        for server in pair:
            failures += servers.counted_errors(server)
    figures = {f"cpu:2_workers:{key}": of[_TWO].cost(of[_ONE]).values for key, of in found.items()}
    return Outcome(_rendered(context, asked, found), figures, failures=tuple(failures))


def _rendered(context: Context, asked: Mapping[str, Case], found: Mapping[str, dict[str, Measured]]) -> str:
    rows = [
        [
            f"{asked[key].door}, {name}",
            figures.per_second.text(),
            f"{figures.cpu.text()} us",
            "" if name == _ONE else figures.speed(of[_ONE]).text(2),
            "" if name == _ONE else f"**{figures.cost(of[_ONE]).text(2)}**",
        ]
        for key, of in found.items()
        for name, figures in of.items()
    ]
    head = ["", "requests/s", "CPU each", "speed, times 1 worker's", "CPU, times 1 worker's"]
    explained = _EXPLAINED.format(model=MODEL, cores=report.cores(), effort=context.effort.text)
    return "\n\n".join([explained, report.table(head, rows), report.conditions(context.command)])


SECTION = Section("Two workers", measure)

if __name__ == "__main__":
    section.main(SECTION)
