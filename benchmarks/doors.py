"""Measure every door of the service beside the bare library that carries it: `python -m benchmarks.doors`.

All servers run in the same minutes on the same machine and take turns under the same load, so that the
ratio to the floor means something where the figures themselves do not: on another machine, or a busy one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks import closed, report, section, servers
from benchmarks.cases import MODEL, Case, Questions
from benchmarks.closed import Measured
from benchmarks.figures import Outcome
from benchmarks.load import LoadFailed
from benchmarks.report import Spread
from benchmarks.section import Context, Section
from benchmarks.servers import BARE_ASGI, BARE_GRPC, FASTAPI, MSGSPEC, PYDANTIC, SIGMAX, STARLETTE, Server

_EXPLAINED = """\
`{model}`: 30 features, 2 classes; one worker, the load generator on the same machine. gRPC: `h2load -c8 -m8`;
REST: `wrk -t1 -c16`. Medians with (lowest..highest) of {effort}, the servers in turn; a ratio is taken within
a round. CPU time is that of the server's whole process tree. The bare servers receive and return the same
bytes; the two services written by hand run the same `model.onnx` by the same onnxruntime, and nothing else.
Every answer was compared with the golden rows beforehand, and no request failed."""

_Found = dict[str, dict[str, Measured]]
_FLOOR = {True: BARE_GRPC, False: STARLETTE}


def measure(context: Context) -> Outcome:
    """Start the servers, check every answer, then put each under load in turn."""
    found: _Found = {}
    failures: list[str] = []
    asked = _asked(Questions(context.models, MODEL))
    with ExitStack() as stack:
        own = stack.enter_context(servers.sigmax(context.models))
        bare = [BARE_GRPC, BARE_ASGI, STARLETTE, FASTAPI]
        cases = list(asked.values())
        running = {
            server.name: server
            for server in (
                own,
                *stack.enter_context(servers.floors(bare, cases, own, context.folder)),
                *stack.enter_context(servers.peers(context.models, MODEL)),
            )
        }
        for key, case in asked.items():
            try:
                found[key] = closed.measure(case, _contestants(case, running), context.folder, context.effort)
            except LoadFailed as error:
                failures.append(str(error))
        failures += servers.counted_errors(own)
    return Outcome(_rendered(context, asked, found), _figures(found), failures=tuple(failures))


def _asked(questions: Questions) -> dict[str, Case]:
    one, some, many = (questions.rows(count) for count in (1, 32, 1024))
    return {
        "grpc_raw_1": one.infer_raw(),
        "grpc_raw_32": some.infer_raw(),
        "grpc_raw_1024": many.infer_raw(),
        "grpc_typed_1": one.infer_typed(),
        "grpc_classes_1": one.predict_classes(),
        "rest_json_1": one.infer_json(),
        "rest_json_32": some.infer_json(),
        "rest_json_1024": many.infer_json(),
        "rest_classes_1": one.classes_json(),
        "rest_probabilities_1": one.probabilities_json(),
    }


def _contestants(case: Case, running: Mapping[str, Server]) -> list[Server]:
    if case.grpc:
        return [running[SIGMAX], running[BARE_GRPC]]
    by_hand = (MSGSPEC, PYDANTIC) if case.path.endswith("/infer") else ()
    return [running[name] for name in (SIGMAX, BARE_ASGI, STARLETTE, FASTAPI, *by_hand)]


def _figures(found: _Found) -> dict[str, tuple[float, ...]]:
    """`<case>/<server>` is the speed as a multiple of that server's; `cpu:` in front, the CPU time."""
    figures = {}
    for key, measured in found.items():
        own = measured[SIGMAX]
        for name, other in measured.items():
            if name != SIGMAX:
                figures[f"{key}/{name}"] = own.speed(other).values
                figures[f"cpu:{key}/{name}"] = own.cost(other).values
    return figures


def _rendered(context: Context, asked: Mapping[str, Case], found: _Found) -> str:
    return "\n\n".join(
        [
            _EXPLAINED.format(model=MODEL, effort=context.effort.text),
            "**Sigmax beside its floor**: bare grpc.aio, or a Starlette route.",
            report.table(
                ["door", "rows", "requests/s", "CPU each", "speed, of its floor", "CPU, times its floor"],
                [_own_row(asked[key], measured) for key, measured in found.items()],
            ),
            "**Sigmax's speed over REST as a multiple of each server's**",
            report.table(
                ["door", "rows", BARE_ASGI, STARLETTE, FASTAPI, MSGSPEC, PYDANTIC],
                [_rest_row(asked[key], measured) for key, measured in found.items() if not asked[key].grpc],
            ),
            "**The others' own figures**",
            report.table(
                ["server", "rows", "requests/s", "CPU each"],
                [
                    [f"{name}, {asked[key].door}", *_absolute(asked[key], figures)]
                    for key, measured in found.items()
                    for name, figures in measured.items()
                    if name != SIGMAX
                ],
            ),
            report.conditions(context.command),
        ]
    )


def _own_row(case: Case, measured: Mapping[str, Measured]) -> list[str]:
    own, floor = measured[SIGMAX], measured[_FLOOR[case.grpc]]
    return [
        case.door,
        *_absolute(case, own),
        f"**{own.speed(floor).text(2)}**",
        own.cost(floor).text(2),
    ]


def _rest_row(case: Case, measured: Mapping[str, Measured]) -> list[str]:
    def speed(name: str) -> Spread | None:
        return measured[SIGMAX].speed(measured[name]) if name in measured else None

    ratios = map(speed, (BARE_ASGI, STARLETTE, FASTAPI, MSGSPEC, PYDANTIC))
    return [case.door, f"{case.rows:,}", *(ratio.text(2) if ratio else "" for ratio in ratios)]


def _absolute(case: Case, measured: Measured) -> list[str]:
    return [f"{case.rows:,}", measured.per_second.text(), f"{measured.cpu.text()} us"]


SECTION = Section("Every door beside its floor", measure)

if __name__ == "__main__":
    section.main(SECTION)
