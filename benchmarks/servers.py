"""Who is compared: Sigmax, the bare libraries with Sigmax's own answers, and services written by hand.

Each is a process of its own. All of a section run at the same time, so that they can take turns.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc

from benchmarks import load, processes
from benchmarks.cases import Case

SIGMAX = "Sigmax"
BARE_GRPC, BARE_ASGI, STARLETTE, FASTAPI = "bare grpc.aio", "bare ASGI", "Starlette route", "FastAPI route"
MSGSPEC, PYDANTIC = "FastAPI + msgspec", "FastAPI + pydantic"

_FLOORS = {
    BARE_GRPC: "benchmarks.floors.grpc_aio",
    BARE_ASGI: "benchmarks.floors.asgi",
    STARLETTE: "benchmarks.floors.starlette_route",
    FASTAPI: "benchmarks.floors.fastapi_route",
}
_PEERS = {MSGSPEC: "benchmarks.peers.fastapi_msgspec", PYDANTIC: "benchmarks.peers.fastapi_pydantic"}
_NO_FAILURES = ('code="OK"', 'code="CANCELLED"')
_CALL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Server:
    """One server under load.

    Attributes:
        name: as the tables call it.
        pid: of its process, the root of a tree.
        ports: where it answers, by whether that is gRPC.
        path: where it takes a case.
    """

    name: str
    pid: int
    ports: dict[bool, int]
    path: Callable[[Case], str] = field(default=lambda case: case.path)

    def url(self, case: Case) -> str:
        """Where to send a case."""
        return f"http://127.0.0.1:{self.ports[case.grpc]}{self.path(case)}"

    def ask(self, case: Case) -> bytes:
        """Send a case once.

        Raises:
            LoadFailed: it was not answered well.
        """
        try:
            return self._ask_grpc(case) if case.grpc else self._ask_rest(case)
        except urllib.error.HTTPError as error:
            text = error.read()[:500].decode(errors="replace")
            raise load.LoadFailed(f"{self.name}, {case.name}: {error.code} {text}") from error
        except grpc.RpcError as error:
            raise load.LoadFailed(f"{self.name}, {case.name}: {error}") from error

    def checked(self, case: Case) -> bytes:
        """Send a case once and compare the answer with the golden rows.

        Raises:
            LoadFailed: it was not answered well.
            AssertionError: the answer is wrong.
        """
        answer = self.ask(case)
        case.check(answer)
        return answer

    def renamed(self, name: str) -> Server:
        """The same server by another name."""
        return replace(self, name=name)

    def _ask_grpc(self, case: Case) -> bytes:
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[True]}") as channel:
            call = channel.unary_unary(self.path(case), None, None)
            answer: bytes = call(case.body, timeout=_CALL_SECONDS)
            return answer

    def _ask_rest(self, case: Case) -> bytes:
        request = urllib.request.Request(self.url(case), case.body, case.headers, method="POST")
        with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as response:
            body: bytes = response.read()
            return body


@contextmanager
def sigmax(models: Path, *options: str, name: str = SIGMAX, workers: int = 1) -> Iterator[Server]:
    """Sigmax with its defaults but for the number of workers and some options.

    Raises:
        RuntimeError: it did not become ready.
    """
    rest, grpc_port = processes.free_port(), processes.free_port()
    if processes.has_option("workers"):
        options = ("--workers", str(workers), *options)
    command = processes.sigmax(models, rest, grpc_port, *options)
    with processes.running(command, processes.greets) as pid:
        if not processes.answers(f"http://127.0.0.1:{rest}/v2/health/ready"):
            raise RuntimeError(f"{' '.join(command)} is not ready")
        yield Server(name, pid, {True: grpc_port, False: rest})


@contextmanager
def floors(names: Sequence[str], cases: Sequence[Case], own: Server, folder: Path) -> Iterator[list[Server]]:
    """Bare servers that answer each case with the bytes that Sigmax answers with."""
    answers = folder / "answers"
    answers.mkdir(exist_ok=True)
    number = {case.name: str(index) for index, case in enumerate(cases)}
    for case in cases:
        (answers / number[case.name]).write_bytes(own.checked(case))

    def path(case: Case) -> str:
        return f"/bare.Floor/{number[case.name]}" if case.grpc else f"/bare/{number[case.name]}"

    with ExitStack() as stack:
        yield [
            stack.enter_context(_started(name, [_FLOORS[name], "{port}", str(answers)], path))
            for name in names
        ]


@contextmanager
def peers(models: Path, model: str) -> Iterator[list[Server]]:
    """Services written by hand that answer `/v2/models/<model>/infer`."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                _started(name, [module, "{port}", str(models), model], lambda case: case.path)
            )
            for name, module in _PEERS.items()
        ]


@contextmanager
def _started(name: str, arguments: Sequence[str], path: Callable[[Case], str]) -> Iterator[Server]:
    port = processes.free_port()
    command = [sys.executable, "-m", *(argument.format(port=port) for argument in arguments)]
    with processes.running(command, lambda _: processes.listens(port)) as pid:
        yield Server(name, pid, {True: port, False: port}, path)


def counted_errors(own: Server) -> tuple[str, ...]:
    """What Sigmax itself counted as failed, whatever the load generators saw; empty if nothing.

    A load generator that is done hangs up on what it asked last: that is CANCELLED, and no failure.
    """
    url = f"http://127.0.0.1:{own.ports[False]}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=_CALL_SECONDS) as response:
            lines = response.read().decode().splitlines()
    except OSError as error:
        return (f"the service's own count of errors cannot be read: {error}",)
    counted = [
        line
        for line in lines
        if line.startswith("sigmax_requests_total{") and not any(code in line for code in _NO_FAILURES)
    ]
    failed = [line for line in counted if float(line.rpartition(" ")[2])]
    return ("the service counted errors: " + "; ".join(failed),) if failed else ()
