"""Write the table of checks into docs/conformance.md: `python -m tests.peers.table`, or `make conform-peers`.

Each server answers with a logistic regression of Fisher's irises, in its own environment and with its own
defaults; MLServer is told not to show its callers tracebacks, as it is told to in operation.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.service import running

import sigmax
from sigmax.conform.check import Level
from sigmax.conform.suite import GROUPS, Outcome, Result, Target, check

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
DOCUMENT = ROOT / "docs" / "conformance.md"
BEGIN = "<!-- measured by python -m tests.peers.table -->"
END = "<!-- end of what is measured -->"
MARKS = {Result.PASSED: "yes", Result.FAILED: "**no**", Result.SKIPPED: "-"}
_START_SECONDS = 120
_REQUEST_SECONDS = 20


@dataclass(frozen=True)
class Column:
    """One server's outcomes, by check."""

    title: str
    outcomes: dict[str, Outcome]

    def count(self, result: Result) -> int:
        """How many checks ended so."""
        return sum(one.result is result for one in self.outcomes.values())

    def broken(self, level: Level) -> int:
        """How many rules of a level are broken."""
        return sum(one.result is Result.FAILED and one.check.level is level for one in self.outcomes.values())


def ask(title: str, rest: str, grpc: str) -> Column:
    """Check a server; one that offers to load and unload models is asked to."""
    target = Target(rest, grpc, "iris", timeout=_REQUEST_SECONDS, may_write=True)
    run = check(target, [], lambda _: None)
    return Column(title, {one.check.id: one for one in run.outcomes})


def ours(folder: Path) -> Column:
    """Train the model and serve it with Sigmax."""
    job = str(ROOT / "training" / "jobs" / "iris.toml")
    train = [sys.executable, "-m", "sigmax_training", "run", job, "--models", str(folder / "models")]
    subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
    with running(folder / "models", "--model-control") as service:
        return ask(f"Sigmax {sigmax.__version__}", service.rest, service.grpc)


def mlserver(folder: Path) -> Column:
    """Serve the model with MLServer."""
    python = ROOT / "build" / "mlserver" / "bin" / "python"
    subprocess.run([python, HERE / "fit.py", folder / "model.joblib"], check=True)
    rest, grpc, metrics = free_ports(3)
    settings = {"host": "127.0.0.1", "http_port": rest, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "debug": False}))
    model = {
        "name": "iris",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": "1"},
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1, 1]}],
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    with answering([python.with_name("mlserver"), "start", folder], rest):
        return ask(f"MLServer {version(python, 'mlserver')}", f"http://127.0.0.1:{rest}", f"127.0.0.1:{grpc}")


def kserve(folder: Path) -> Column:
    """Serve the model with KServe's SDK."""
    python = ROOT / "build" / "kserve" / "bin" / "python"
    subprocess.run([python, HERE / "fit.py", folder / "model.joblib"], check=True)
    rest, grpc = free_ports(2)
    with answering([python, HERE / "kserve_server.py", folder / "model.joblib", str(rest), str(grpc)], rest):
        return ask(f"KServe {version(python, 'kserve')}", f"http://127.0.0.1:{rest}", f"127.0.0.1:{grpc}")


def version(python: Path, distribution: str) -> str:
    """Which version an environment has."""
    code = f"import importlib.metadata; print(importlib.metadata.version({distribution!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@contextmanager
def answering(command: Sequence[str | Path], port: int) -> Iterator[None]:
    """A server's process from when its model is ready until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(f"http://127.0.0.1:{port}/v2/models/iris/ready", process)
        yield
    finally:
        process.terminate()
        process.wait()


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Ask until the answer is 200.

    Raises:
        RuntimeError: the process ended, or the time is up.
    """
    deadline = monotonic() + _START_SECONDS
    while monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=_REQUEST_SECONDS):
                return
        except OSError:
            sleep(0.2)
    raise RuntimeError(f"{process.args!r} does not answer at {url}")


def tables(columns: Sequence[Column]) -> Iterator[str]:
    """The lines of the document, a table a group; without columns the rules alone."""
    titles = ["check", "level", "rule", *(column.title for column in columns)]
    yield f"| | {' | '.join(column.title for column in columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for result, word in (
        (Result.PASSED, "kept"),
        (Result.FAILED, "broken"),
        (Result.SKIPPED, "not concerned"),
    ):
        yield f"| {word} | {' | '.join(str(column.count(result)) for column in columns)} |"
    for level in Level:
        yield f"| broken, {level} | {' | '.join(str(column.broken(level)) for column in columns)} |"
    for title, checks in GROUPS:
        yield from ("", f"### {title}", "", f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}")
        for one in checks:
            marks = [MARKS[column.outcomes[one.id].result] for column in columns]
            yield f"| {' | '.join([f'`{one.id}`', one.level, one.sentence, *marks])} |"


def documented(document: str) -> list[tuple[str, str, str]]:
    """The checks that a document's tables name: id, level and rule."""
    _, _, rest = document.partition(BEGIN)
    inside, _, _ = rest.partition(END)
    rows = [
        [cell.strip() for cell in line.split("|")] for line in inside.splitlines() if line.startswith("| `")
    ]
    return [(row[1].strip("`"), row[2], row[3]) for row in rows]


def written(document: str, lines: Sequence[str]) -> str:
    """The document with these lines between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    begin, end = document.index(BEGIN) + len(BEGIN), document.index(END)
    return "\n".join([document[:begin], "", *lines, "", document[end:]])


def main() -> None:
    """Ask the three servers, one after the other."""
    columns = []
    for serve in (ours, mlserver, kserve):
        with tempfile.TemporaryDirectory() as folder:
            columns.append(serve(Path(folder)))
        sys.stdout.write(f"{columns[-1].title}: {columns[-1].count(Result.FAILED)} broken\n")
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), list(tables(columns))), "utf-8")


if __name__ == "__main__":
    main()
