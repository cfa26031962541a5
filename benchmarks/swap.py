"""Measure what a new version does to requests that are under way: `python -m benchmarks.swap`.

Arrivals are a Poisson process at half of what the service can do. From time to time the next version of a
model is renamed into the repository; latency in the time after that is compared with the time before it.
"""

from __future__ import annotations

import gc
import json
import random
import select
import shutil
import subprocess
import sys
import time
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import closed, processes, report, section, servers
from benchmarks.cases import MODEL, PICTURES, Case, Questions
from benchmarks.figures import Outcome
from benchmarks.generator import POISSON, Generator, Plan
from benchmarks.load import LoadFailed
from benchmarks.report import Spread
from benchmarks.section import Context, Section
from benchmarks.servers import Server
from benchmarks.wires import GrpcWire, HttpWire, Question, Wire
from sigmax.contract import MANIFEST_FILE
from sigmax.repository import bundle, layout

SHARE = 0.5
"""Of capacity."""

_MOST_SWAPS = 8  # a version is one digit, so that every answer has the same length
_PERIOD = 2.5  # seconds from one rename to the next; half of it after a rename is "meanwhile"
_HALF = _PERIOD / 2
_BEFORE = 1.5  # seconds of load before the first
_LOOK_SECONDS = 0.02

_EXPLAINED = """\
`{asked}`, 1 row, one worker, requests by themselves (Poisson) at half of capacity, while the next version of
a model is published by rename every {period} s or so, {swaps} times a round. "Live" is from the rename to the
first answer of the new version. "Meanwhile" is the {half} s after each rename, in which the version is
noticed, verified, loaded, proved and swapped in; "quiet" the {half} s before it. Latency counts from when a
request was due. Medians with (lowest..highest) of {rounds} rounds."""


@dataclass(frozen=True, slots=True)
class Swaps:
    """One round.

    Attributes:
        rate: requests a second.
        attempted: requests.
        errors: of them, how many of each kind.
        live: seconds from each rename until the version answers.
        quiet: seconds of each request that was due in the time before a rename.
        meanwhile: the same in the time after it.
    """

    rate: float
    attempted: int
    errors: dict[str, int]
    live: list[float]
    quiet: npt.NDArray[np.float64]
    meanwhile: npt.NDArray[np.float64]

    def ratio(self, quantile: float) -> float:
        """Of the latencies meanwhile and quiet."""
        return float(np.quantile(self.meanwhile, quantile) / np.quantile(self.quiet, quantile))


def measure(context: Context) -> Outcome:
    """Both doors; the model that is asked is published anew, and a larger one beside it."""
    one = Questions(context.models, MODEL).rows(1)
    found: dict[tuple[str, str], list[Swaps]] = {}
    for key, case in (("grpc", one.infer_raw()), ("rest", one.infer_json())):
        for published in (MODEL, PICTURES):
            found[key, published] = [
                _round(context, case, published, turn) for turn in range(context.effort.rounds)
            ]
    doors = {"grpc": one.infer_raw().door, "rest": one.infer_json().door}
    return Outcome(_rendered(context, doors, found), _figures(found))


def _round(context: Context, case: Case, published: str, turn: int) -> Swaps:
    folder = context.folder / f"{case.grpc}-{published}-{turn}"
    models = folder / "models"
    shutil.copytree(context.models, models)
    count = _count(context)
    staged = [_staged(models, published, number + 2) for number in range(count)]
    with servers.sigmax(models) as server:
        _served(server, published)  # the first who asks for a page waits until its application is loaded
        rate = SHARE * _capacity(context, case, server)
        question = _question(server, case)
        versions = [_with_version(question.answer, case.grpc, number + 1) for number in range(count + 1)]
        plan = Plan(
            case.grpc, server.ports[case.grpc], *((8, 64) if case.grpc else (64, 1)), POISSON, rate, 0, turn
        )
        plan = replace(plan, seconds=_BEFORE + _PERIOD * count + _HALF)
        with _load(plan, question, versions) as process:
            renamed = _publish(process, staged, random.Random(turn))
            live = {} if published == MODEL else dict(_wait_live(server, published, renamed))
            said = json.loads(process.communicate()[0])
    return _judged(rate, said, renamed, live)


def _count(context: Context) -> int:
    return min(_MOST_SWAPS, 4 * context.effort.seconds)


def _staged(models: Path, name: str, version: int) -> tuple[Path, Path]:
    """A version that needs nothing but to be renamed: from, to."""
    source, folder = layout.version_path(models, name, 1), layout.version_path(models, name, version)
    staging = folder.with_name(f".staging-{version}")
    shutil.copytree(source, staging)
    manifest = replace(bundle.read(source).manifest, version=version)
    (staging / MANIFEST_FILE).write_bytes(manifest.to_json())
    return staging, folder


def _capacity(context: Context, case: Case, server: Server) -> float:
    measured = closed.measure(case, [server], context.folder, context.effort)
    return measured[server.name].per_second.median


def _question(server: Server, case: Case) -> Question:
    return Question(server.path(case), case.body, server.checked(case), tuple(case.headers.items()))


def _with_version(answer: bytes, grpc: bool, version: int) -> bytes:
    """An answer of version 1 as another version gives it; the example's probabilities are the same."""
    old, new = (b"\x12\x01%d" if grpc else b'"model_version":"%d"',) * 2
    changed = answer.replace(old % 1, new % version, 1)
    if old % 1 not in answer:
        raise LoadFailed("the answer does not say its version")
    return changed


@contextmanager
def _load(plan: Plan, question: Question, versions: Sequence[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The generator in a process of its own; its first line says when it began."""
    document = {
        "plan": asdict(plan),
        "path": question.path,
        "headers": question.headers,
        "body": b64encode(question.body).decode(),
        "versions": [b64encode(answer).decode() for answer in versions],
    }
    command = [sys.executable, "-m", "benchmarks.swap", "--generate"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=processes.environment()
    )
    try:
        if process.stdin is None:
            raise LoadFailed("the generator has no input")
        process.stdin.write(json.dumps(document).encode() + b"\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.wait()


def _publish(
    process: subprocess.Popen[bytes], staged: Sequence[tuple[Path, Path]], jitter: random.Random
) -> list[float]:
    """Rename one version after the other; when, of `time.perf_counter`."""
    if process.stdout is None:
        raise LoadFailed("the generator has no output")
    began = float(process.stdout.readline())
    renamed = []
    for number, (staging, folder) in enumerate(staged):
        due = began + _BEFORE + _PERIOD * number + jitter.uniform(0, 0.5)  # at any phase of the watcher
        time.sleep(max(due - time.perf_counter(), 0))
        renamed.append(time.perf_counter())
        staging.rename(folder)
    return renamed


def _wait_live(server: Server, name: str, renamed: Sequence[float]) -> Iterator[tuple[int, float]]:
    """When the last version answered, by asking for it: of the others nobody asks."""
    wanted = str(len(renamed) + 1)
    while time.perf_counter() < renamed[-1] + 60:
        if _served(server, name) == [wanted]:
            yield len(renamed) + 1, time.perf_counter()
            return
        time.sleep(_LOOK_SECONDS)
    raise LoadFailed(f"version {wanted} of {name} did not go live")


def _served(server: Server, name: str) -> Any:
    """The versions of a model that answer."""
    url = f"http://127.0.0.1:{server.ports[False]}/v2/models/{name}"
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)["versions"]


def _judged(rate: float, said: dict[str, Any], renamed: list[float], live: Mapping[int, float]) -> Swaps:
    due, done = np.array(said["due"]), np.array(said["done"])
    seen = live or {int(version): at for version, at in said["seen"].items()}
    latency = (done - due)[done >= 0]
    due = due[done >= 0] + said["began"]
    quiet, meanwhile = (
        np.concatenate([latency[(due >= at + low) & (due < at + low + _HALF)] for at in renamed])
        for low in (-_HALF, 0.0)
    )
    first = [seen[number + 2] - at for number, at in enumerate(renamed) if number + 2 in seen]
    errors = dict(said["errors"])
    if not live and len(first) < len(renamed):
        errors["versions that did not go live"] = len(renamed) - len(first)
    return Swaps(rate, said["attempted"], errors, first, quiet, meanwhile)


def _figures(found: Mapping[tuple[str, str], list[Swaps]]) -> dict[str, list[float]]:
    rounds = [one for swaps in found.values() for one in swaps]
    return {
        "swap:live": [seconds for one in rounds for seconds in one.live],
        "swap:failed": [float(sum(one.errors.values())) for one in rounds],
        "swap:p99": [one.ratio(0.99) for one in rounds],
    }


def _rendered(
    context: Context, doors: Mapping[str, str], found: Mapping[tuple[str, str], list[Swaps]]
) -> str:
    head = [
        "",
        "requests/s",
        "failed",
        "live, s",
        "p99 quiet, ms",
        "p99 meanwhile, ms",
        "times",
        "p99.9, times",
    ]
    rows = [_row(f"{doors[key]}; {name} is published", rounds) for (key, name), rounds in found.items()]
    explained = _EXPLAINED.format(
        asked=MODEL, period=_PERIOD, half=_HALF, swaps=_count(context), rounds=context.effort.rounds
    )
    return "\n\n".join([explained, report.table(head, rows), report.conditions(context.command)])


def _row(title: str, rounds: Sequence[Swaps]) -> list[str]:
    failed, attempted = sum(sum(one.errors.values()) for one in rounds), sum(one.attempted for one in rounds)
    quiet, meanwhile = (
        Spread(tuple(1e3 * float(np.quantile(getattr(one, name), 0.99)) for one in rounds))
        for name in ("quiet", "meanwhile")
    )
    return [
        title,
        Spread(tuple(one.rate for one in rounds)).text(),
        f"{failed} of {attempted:,}",
        Spread(tuple(seconds for one in rounds for seconds in one.live)).text(2),
        quiet.text(2),
        meanwhile.text(2),
        Spread(tuple(one.ratio(0.99) for one in rounds)).text(2),
        Spread(tuple(one.ratio(0.999) for one in rounds)).text(2),
    ]


class _Versions:
    """Which answers are right, and when each version's came first."""

    def __init__(self, versions: Sequence[bytes]) -> None:
        self._numbers = {answer: number + 1 for number, answer in enumerate(versions)}
        self.seen: dict[int, float] = {}

    def knows(self, answer: bytes) -> bool:
        """Whether an answer is right; remembers its version."""
        number = self._numbers.get(answer)
        if number is None:
            return False
        if number not in self.seen:
            self.seen[number] = time.perf_counter()
        return True


class _Grpc(GrpcWire):
    """Takes the answer of any version."""

    def __init__(self, port: int, questions: list[Question], versions: _Versions) -> None:
        super().__init__(port, questions)
        self._versions = versions

    def _done(self, stream: int, error: str) -> list[tuple[int, str]]:
        state = self._streams.get(stream)
        if state is not None and error in ("", "another answer") and self._versions.knows(state.received[5:]):
            error = ""
        return super()._done(stream, error)


class _Http(HttpWire):
    """The same over HTTP."""

    def __init__(self, port: int, questions: list[Question], versions: _Versions) -> None:
        super().__init__(port, questions)
        self._versions = versions

    def _done(self, error: str) -> list[tuple[int, str]]:
        if error in ("", "another answer") and self._versions.knows(self._in.partition(b"\r\n\r\n")[2]):
            error = ""
        return super()._done(error)


class _Swapping(Generator):
    """A generator that tells every request's times."""

    def __init__(self, plan: Plan, question: Question, versions: _Versions) -> None:
        self._versions = versions
        super().__init__(plan, [question])

    def _open(self) -> Wire:
        kind = _Grpc if self._plan.grpc else _Http
        wire: Wire = kind(self._plan.port, self._questions, self._versions)
        self._wires[wire.socket.fileno()] = wire
        self._epoll.register(wire.socket, select.EPOLLIN)
        return wire

    def told(self, began: float) -> dict[str, Any]:
        """Carry the plan out."""
        account = self.run()
        return {
            "began": began,
            "attempted": account.attempted,
            "errors": account.errors,
            "due": self._times.due,
            "done": self._times.done,
            "seen": self._versions.seen,
        }


def _generate() -> None:
    """Read what to do from standard input, do it, write what became of it to standard output."""
    document = json.loads(sys.stdin.readline())
    Path("/proc/self/timerslack_ns").write_text("1000")
    answers = [b64decode(answer) for answer in document["versions"]]
    headers = tuple((name, value) for name, value in document["headers"])
    question = Question(document["path"], b64decode(document["body"]), answers[0], headers)
    generator = _Swapping(Plan(**document["plan"]), question, _Versions(answers))
    gc.freeze()
    gc.disable()
    began = time.perf_counter()
    print(began, flush=True)
    print(json.dumps(generator.told(began)))


SECTION = Section("A new version under load", measure)

if __name__ == "__main__":
    if sys.argv[1:] == ["--generate"]:
        _generate()
    else:
        section.main(SECTION)
