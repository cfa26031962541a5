"""Where the microseconds of a REST request go: `python -m benchmarks.budget_rest`.

In process, without sockets: the bytes of a request are given to the connection's protocol, which writes the
answer's bytes to a transport that keeps nothing. Beside it, in turn, uvicorn with bare applications that
answer with the same bytes. CPU time of the thread; the least of many short rounds, since a busy machine only
adds to it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from benchmarks import report
from benchmarks.cases import MODEL, Case, Questions
from benchmarks.floors import asgi, starlette_route
from sigmax.inference.dispatch import Dispatch, Prediction
from sigmax.inference.loading import load_catalog
from sigmax.inference.readiness import Readiness
from sigmax.protocol.tabular import Rows
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.front import rest_door
from sigmax.rest.heads import Route
from sigmax.rest.hot import HotRoutes
from sigmax.rest.http import HttpProtocol
from sigmax.rest.sending import AS_IT_IS, Sending
from sigmax.telemetry.metrics import Metrics

TITLE = "REST"
PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "msgspec", "pysimdjson", "numpy", "onnxruntime")

_MAX_ROWS, _MAX_BYTES = 100_000, 2**24
_EXPLAINED = """\
Microseconds of CPU a request, `breast_cancer`, 30 features: the least of {rounds} short rounds, in process,
no sockets, whose system calls every server pays alike. Each line is measured by itself, looped: together
they cost more than their sum, since between two of them the caches empty. The last two are uvicorn with an
application that answers with the same bytes: a bare one, and a Starlette route."""


class Nowhere(asyncio.Transport):
    """A transport that keeps nothing but the latest bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.latest = 0, b""

    def write(self, data: Any) -> None:
        """Count a write."""
        self.written += 1
        self.latest = data

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing is closed."""

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


def connection(protocol: type[HttpToolsProtocol], app: ASGIApp) -> tuple[HttpToolsProtocol, Nowhere]:
    """A connection of uvicorn's as the floors have it."""
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
    )
    state, transport = ServerState(), Nowhere()
    state.default_headers = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
    made = protocol(config, state, {})
    made.connection_made(transport)
    return made, transport


def request(path: str, body: bytes) -> bytes:
    """A POST as a load generator sends it."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


Step = tuple[str, Callable[[int], Any]]


def repeated(step: Callable[[], Any]) -> Callable[[int], Any]:
    """A step of so many times."""

    async def run(count: int) -> None:
        for _ in range(count):
            step()

    return run


def asked(protocol: type[HttpToolsProtocol], app: ASGIApp, data: bytes) -> Callable[[int], Any]:
    """A whole request of so many times; an application's answer needs the loop to turn."""
    made, transport = connection(protocol, app)

    async def run(count: int) -> None:
        for _ in range(count):
            before = transport.written
            made.data_received(data)
            while transport.written < before + 1 or not transport.latest.endswith(b"}"):
                await asyncio.sleep(0)

    return run


class Constant(HotRoutes):
    """The routes with one answer: what is left is the connection's own work."""

    constant: Answer

    def answer(self, _: Route, __: Body, ___: Sending = AS_IT_IS) -> Answer:
        """The same, always."""
        return self.constant


async def steps(case: Case, models: Path) -> list[Step]:
    """Every step of a case, each ready to be run many times."""
    catalog, metrics = load_catalog(models), Metrics()
    dispatch = Dispatch(catalog, _MAX_ROWS)
    routes = rest_door(catalog, dispatch, Readiness(catalog), metrics, _MAX_BYTES)
    route, body = routes.find(case.path), Body(case.body, None, b"application/json")
    if route is None:
        raise RuntimeError(f"{case.path} is no hot route")
    served = catalog.find(route.model)
    for _ in range(2):
        answer = routes.answer(route, body)
    if not isinstance(answer, Answer):
        raise RuntimeError("a costly model is not answered at once")
    constant = Constant(routes, dispatch, metrics, _MAX_BYTES)
    constant.constant = answer
    query = route.read(route.model, "", body)
    rows: Rows = query.rows(served, _MAX_ROWS)
    predicted = served.predictor.probabilities(rows.features)
    prediction = Prediction(served, predicted, None)
    bare = {"0": answer.body}

    def read() -> Rows:
        return route.read(route.model, "", body).rows(served, _MAX_ROWS)

    return [
        (
            "**from the request's bytes to the answer's**",
            asked(HttpProtocol, routes, request(case.path, case.body)),
        ),
        (
            "the connection: head recognised, answer written, timer",
            asked(HttpProtocol, constant, request(case.path, case.body)),
        ),
        ("the routes, with all that follows", repeated(lambda: routes.answer(route, body))),
        ("&nbsp;&nbsp;JSON to the features matrix, checked", repeated(read)),
        ("&nbsp;&nbsp;the model", repeated(lambda: served.predictor.probabilities(rows.features))),
        ("&nbsp;&nbsp;the answer's text, decided", repeated(lambda: query.render(prediction))),
        (
            "*uvicorn and a bare application*",
            asked(HttpToolsProtocol, asgi.fixed(bare), request("/bare/0", case.body)),
        ),
        (
            "*uvicorn and a Starlette route*",
            asked(HttpToolsProtocol, starlette_route.fixed(bare), request("/bare/0", case.body)),
        ),
    ]


async def measured(made: list[Step], rounds: int, count: int) -> dict[str, float]:
    """Microseconds of each step, the least of all rounds."""
    least: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in made:
            before = time.thread_time()
            await run(count)
            spent = 1e6 * (time.thread_time() - before) / count
            least[name] = min(spent, least.get(name, spent))
    return least


async def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget_rest", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="a repository with breast_cancer")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--output", type=Path, help="a Markdown file to put the table into")
    arguments = parser.parse_args()
    questions = Questions(arguments.models, MODEL)
    one = questions.rows(1)
    chosen = [one.infer_json(), one.classes_json(), questions.rows(1024).infer_json()]
    columns = []
    for case in chosen:
        made = await steps(case, arguments.models)
        columns.append(await measured(made, arguments.rounds, max(2, 20 // case.rows)))
    head = ["step", *(f"{case.door.removeprefix('REST ')}, {case.rows:,} rows" for case in chosen)]
    lines = [[name, *(f"{column[name]:.1f}" for column in columns)] for name in columns[0]]
    text = "\n\n".join(
        [
            _EXPLAINED.format(rounds=arguments.rounds),
            report.table(head, lines),
            report.conditions("python -m benchmarks.budget_rest", PACKAGES),
        ]
    )
    print(text)
    if arguments.output:
        report.put_section(arguments.output, TITLE, text)


if __name__ == "__main__":
    uvloop.run(main())
