"""Measure a costly model with and without batches: `python -m benchmarks.batching`."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks import closed, processes, report, repositories, section, servers
from benchmarks.cases import Questions
from benchmarks.closed import Measured
from benchmarks.figures import Outcome
from benchmarks.load import Flight, LoadFailed
from benchmarks.report import ratios
from benchmarks.section import Context, Section

_EXPLAINED = """\
`{model}`: 30,000 pixels (uint8), a hidden layer of 64, 3 classes; gRPC, raw, 1 row a request, one worker.
Unbatched is the same service with `--max-batch-rows 1`. Medians with (lowest..highest) of {effort}, both
services in turn, ratios within a round. Answers were compared with the golden rows beforehand."""

_BATCHED, _SINGLE = "batched", "unbatched"
_FLIGHTS = (Flight(1), Flight(1, 8), Flight(8, 8))


def measure(context: Context) -> Outcome:
    """At one, eight and 64 in flight, the two services in turn."""
    if not processes.has_option("max_batch_rows"):
        return Outcome("", failures=("`sigmax serve` has no option --max-batch-rows",))
    models = context.folder / "models"
    name = repositories.publish_mlp(models, context.folder)
    case = Questions(models, name).rows(1).infer_raw("UINT8")
    found: dict[int, dict[str, Measured]] = {}
    failures: list[str] = []
    with ExitStack() as stack:
        pair = [
            stack.enter_context(servers.sigmax(models, name=_BATCHED)),
            stack.enter_context(servers.sigmax(models, "--max-batch-rows", "1", name=_SINGLE)),
        ]
        for flight in _FLIGHTS:
            try:
                measured = closed.measure(case, pair, context.folder, context.effort, flight)
                found[flight.total] = measured
            except LoadFailed as error:
                failures.append(str(error))
    figures = {}
    for count, of in found.items():
        figures[f"batched:{count}"] = of[_BATCHED].speed(of[_SINGLE]).values
        figures[f"batched_time:{count}"] = ratios(of[_SINGLE].per_second, of[_BATCHED].per_second).values
    return Outcome(_rendered(context, name, found), figures, failures=tuple(failures))


def _rendered(context: Context, model: str, found: dict[int, dict[str, Measured]]) -> str:
    rows = [
        [
            f"{flight} in flight, {name}",
            figures.per_second.text(),
            f"{figures.cpu.text()} us",
            f"**{figures.speed(of[_SINGLE]).text(2)}**" if name == _BATCHED else "",
        ]
        for flight, of in found.items()
        for name, figures in of.items()
    ]
    head = ["", "requests/s", "CPU each", "speed, times unbatched"]
    explained = _EXPLAINED.format(model=model, effort=context.effort.text)
    return "\n\n".join([explained, report.table(head, rows), report.conditions(context.command)])


SECTION = Section("Batches of a costly model", measure)

if __name__ == "__main__":
    section.main(SECTION)
