"""Measure a streamed job beside scikit-learn in memory and a bare loop: `python -m benchmarks.streaming`.

Each contestant is a process of its own, and they take turns. What counts is the whole process, from its start
to its end: a streamed job looks through the file, divides, trains, judges, exports, and proves what it
publishes; the others read and train.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import higgs, processes, report
from benchmarks.contestants import BATCH, LEARNING_RATE
from benchmarks.higgs import Rows
from benchmarks.report import Spread
from sigmax.inference.predictor import open_predictor
from sigmax.repository import bundle, layout

PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "onnxruntime")
TITLE = "More rows than the memory holds"
SEED, HELD_OUT_SEED, HELD_OUT = 1, 2, 500_000
SIZES = {"1m": 1_000_000, "10m": 10_000_000}
_POLL_SECONDS = 0.01

JOB = f"""\
name = "higgs"

[data]
path = "{{path}}"
target = "{higgs.TARGET}"
stream = true

[estimator]
kind = "mlp"
hidden = []
batch_size = {BATCH}
learning_rate = {LEARNING_RATE}
alpha = 1e-4
epochs = 1

[evaluation]
test_fraction = 0.1
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: time by the clock and of the processor, peak RSS in MiB, log loss on the held-out rows."""

    seconds: float
    cpu: float
    peak: float
    loss: float | None


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who trains, how it is started on a file, and what its output comes to on rows that it has not seen."""

    title: str
    command: Callable[[Path], list[str]]
    loss: Callable[[bytes, Rows], float | None]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where the rows are written")
    parser.add_argument("--files", nargs="+", default=["1m.parquet", "1m.csv", "10m.parquet"])
    parser.add_argument("--rounds", type=int, default=3, help="of a million rows")
    parser.add_argument("--large-rounds", type=int, default=1, help="of more")
    parser.add_argument("--output", type=Path, help="a Markdown file to put the table into")
    arguments = parser.parse_args()
    processes.end_on_sigterm()
    held_out = higgs.held_out(HELD_OUT, HELD_OUT_SEED)
    sections = []
    try:
        for name in arguments.files:
            path = arguments.folder / f"rows-{name}"
            higgs.write(path, SIZES[path.stem.removeprefix("rows-")], SEED)
            rounds = arguments.rounds if name.startswith("1m") else arguments.large_rounds
            found = measure(contestants(arguments.folder / "job"), path, held_out, rounds)
            sections.append(section(path, found, rounds))
            print(sections[-1], flush=True)
    except (RuntimeError, OSError) as error:
        sys.exit(f"benchmarks.streaming: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    if arguments.output:
        report.put_section(arguments.output, TITLE, rendered(sections, held_out))


def contestants(folder: Path) -> list[Contestant]:
    """All of them; the streamed job publishes into a folder that is emptied before."""

    def streamed(path: Path) -> list[str]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "higgs.toml").write_text(JOB.format(path=path.absolute()))
        launch = [sys.executable, "-m", "sigmax_training", "run", "--quiet"]
        return [*launch, str(folder / "higgs.toml"), "--models", str(folder / "models")]

    def other(name: str) -> Callable[[Path], list[str]]:
        return lambda path: [sys.executable, "-m", "benchmarks.contestants", name, str(path)]

    return [
        Contestant("a streamed job, one epoch", streamed, lambda _, rows: _loss_of_bundle(folder, rows)),
        Contestant("scikit-learn in memory, LogisticRegression", other("logistic"), _loss_of_weights),
        Contestant("scikit-learn in memory, MLPClassifier, one epoch", other("epoch"), _loss_of_weights),
        Contestant("a loop of partial_fit over the file, not shuffled", other("loop"), _loss_of_weights),
        Contestant("reading alone", other("read"), lambda _output, _rows: None),
    ]


def measure(
    starters: Sequence[Contestant], path: Path, held_out: Rows, rounds: int
) -> dict[str, list[Measured]]:
    """Let them take turns on a file."""
    found: dict[str, list[Measured]] = {starter.title: [] for starter in starters}
    for _ in range(rounds):
        for starter in starters:
            measured = run(starter, path, held_out)
            found[starter.title].append(measured)
            what = f"{measured.seconds:.1f} s, {measured.cpu:.1f} s CPU, {measured.peak:.0f} MiB"
            print(f"{path.name}: {starter.title}: {what}", file=sys.stderr, flush=True)
    return found


def run(starter: Contestant, path: Path, held_out: Rows) -> Measured:
    """Run a contestant to its end.

    Raises:
        RuntimeError: it failed.
    """
    command = starter.command(path)
    with tempfile.TemporaryFile() as output:
        begun, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(command, stdout=output, env=processes.environment())
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            peak = max(peak, processes.peak_memory(process.pid))
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}")
        output.seek(0)
        loss = starter.loss(output.read(), held_out)
    return Measured(seconds, ended[2].ru_utime + ended[2].ru_stime, peak, loss)


def _loss_of_bundle(folder: Path, rows: Rows) -> float:
    """What the published model comes to, asked as the service asks it."""
    predictor = open_predictor(bundle.read(layout.version_path(folder / "models", "higgs", 1)))
    parts = [
        predictor.probabilities(some.astype(np.float64))[:, 1]
        for some in np.array_split(rows.features, len(rows.features) // 8192)
    ]
    return higgs.log_loss(np.concatenate(parts), rows.signal)


def _loss_of_weights(output: bytes, rows: Rows) -> float:
    weights, intercept = json.loads(output.splitlines()[-1])
    logits = rows.features @ np.array(weights) + intercept
    return higgs.log_loss(1.0 / (1.0 + np.exp(-logits)), rows.signal)


def section(path: Path, found: dict[str, list[Measured]], rounds: int) -> str:
    """The table of a file."""
    rows = [
        [
            title,
            Spread(tuple(run.seconds for run in runs)).text(1),
            Spread(tuple(run.cpu for run in runs)).text(1),
            Spread(tuple(run.peak for run in runs)).text(),
            "" if runs[0].loss is None else f"{runs[0].loss:.5f}",
        ]
        for title, runs in found.items()
    ]
    size = path.stat().st_size / 1e6
    head = f"**{path.name}** ({size:,.0f} MB; {rounds} {'round' if rounds == 1 else 'rounds'})"
    return f"{head}\n\n{report.table(['', 'seconds', 'CPU seconds', 'peak RSS, MiB', 'log loss'], rows)}"


def rendered(sections: Sequence[str], held_out: Rows) -> str:
    """All tables, and how they came about."""
    return "\n\n".join(
        [
            "28 float32 features, two classes drawn from a logistic model (`benchmarks/higgs.py`). Whole "
            "processes, from start to end, in turn; medians with (lowest..highest). The streamed job reads "
            "the file four times (a look, statistics, the epoch, judging), sets 10 % of the rows aside to "
            "judge and 15 % of the others to watch, and its time includes export, proof and publication. Log "
            f"loss on {HELD_OUT:,} other rows, of which nobody reaches less than {held_out.optimum:.5f}.",
            *sections,
            report.conditions(shlex.join(["python", "-m", "benchmarks.streaming", *sys.argv[1:]]), PACKAGES),
            f"Load average at the end {os.getloadavg()[1]:.1f} (five minutes): where it is above 1, others "
            "took their share of the clock, and the CPU seconds are what to compare.",
        ]
    )


if __name__ == "__main__":
    main()
