"""What the service is to reach, and what it does: the table that stands first in docs/benchmarks.md.

A target is judged by the median over the rounds. The figures have the names that the sections give them.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import report
from benchmarks.report import Spread

TITLE = report.FIRST

_EXPLAINED = """\
One worker where nothing else is said; the floor is measured in the same run. Medians with (lowest..highest)
of the rounds; the median decides."""


@dataclass(frozen=True, slots=True)
class Target:
    """One line.

    Attributes:
        line: what is measured.
        figure: its name.
        limit: what the median must reach, or stay under.
        at_least: which of the two.
        unit: behind the numbers.
        digits: behind the point.
    """

    line: str
    figure: str
    limit: float
    at_least: bool = False
    unit: str = ""
    digits: int = 2

    @property
    def text(self) -> str:
        """The limit in words."""
        sign = "at least" if self.at_least else "at most"
        return f"{sign} {self.limit:,g}{self.unit}"

    def reached(self, values: Sequence[float]) -> bool:
        """Whether the median is on the right side."""
        compare = operator.ge if self.at_least else operator.le
        return bool(compare(Spread(tuple(values)).median, self.limit))


def _floor(line: str, figure: str, limit: float) -> Target:
    return Target(line, figure, limit, at_least=True)


TARGETS = (
    _floor("gRPC OIP raw, 1 row, 64 in flight: speed, of bare grpc.aio", "grpc_raw_1/bare grpc.aio", 0.75),
    Target("the same: CPU time a request, times bare grpc.aio", "cpu:grpc_raw_1/bare grpc.aio", 1.3),
    _floor("gRPC OIP raw, 1,024 rows: speed, of bare grpc.aio", "grpc_raw_1024/bare grpc.aio", 0.85),
    _floor(
        "gRPC `PredictClasses`, 1 named row: speed, of bare grpc.aio", "grpc_classes_1/bare grpc.aio", 0.6
    ),
    _floor("REST `/v2` JSON, 1 row: speed, of Starlette", "rest_json_1/Starlette route", 0.7),
    _floor(
        "REST `/v2` JSON, 1,024 rows: speed, times FastAPI + msgspec", "rest_json_1024/FastAPI + msgspec", 2.5
    ),
    _floor("the same, times FastAPI + pydantic", "rest_json_1024/FastAPI + pydantic", 8),
    _floor("REST `:classes`, 1 named row: speed, of Starlette", "rest_classes_1/Starlette route", 0.55),
    _floor("MLP 30000-64-3, uint8, 64 in flight: speed, times unbatched", "batched:64", 2),
    Target("the same, 1 in flight: time a request, times unbatched", "batched_time:1", 1.05),
    Target("2 workers: CPU time a request, gRPC raw, times 1 worker's", "cpu:2_workers:grpc", 1.05),
    Target("2 workers: CPU time a request, REST JSON, times 1 worker's", "cpu:2_workers:rest", 1.05),
    Target("2 workers: PSS of the second, after load", "pss:2nd_worker", 80, unit=" MiB", digits=0),
    Target("gRPC raw, 1 in flight: p99, times bare grpc.aio's", "one_p99:grpc", 1.5),
    Target("gRPC raw, open loop at 50 %: p99, times bare grpc.aio's", "open_p99:grpc:50/bare grpc.aio", 1.5),
    Target("REST JSON, open loop at 50 %: p99, times Starlette's", "open_p99:rest:50/Starlette route", 1.5),
    Target("start to ready, 4 models, 1 worker", "start:1", 1.2, unit=" s"),
    Target("start to ready, 4 models, 2 workers", "start:2", 2, unit=" s"),
    Target("1,000 small bundles in one worker: ready", "many:ready", 5, unit=" s"),
    Target("1,000 small bundles: PSS of each", "many:pss", 0.3, unit=" MiB", digits=3),
    _floor("1,000 small bundles: gRPC speed over all, of one model's", "many:grpc", 0.9),
    _floor("1,000 small bundles: REST speed over all, of one model's", "many:rest", 0.9),
    Target("a new version at half of capacity: live after the rename", "swap:live", 2, unit=" s"),
    Target("a new version at half of capacity: failed requests", "swap:failed", 0, digits=0),
    Target("a new version at half of capacity: p99 meanwhile, times quiet", "swap:p99", 2),
)


def rendered(figures: Mapping[str, Sequence[float]], pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The table, and the plots as (what is to be seen, file beside the document)."""
    rows = [_row(target, figures.get(target.figure, ())) for target in TARGETS]
    images = [f"![{caption}]({path})" for caption, path in pictures]
    return "\n\n".join([_EXPLAINED, report.table(["", "target", "measured", "reached"], rows), *images])


def _row(target: Target, values: Sequence[float]) -> list[str]:
    if not values:
        return [target.line, target.text, "not measured", ""]
    measured = f"{Spread(tuple(values)).text(target.digits)}{target.unit}"
    return [target.line, target.text, measured, "yes" if target.reached(values) else "**no**"]
