"""Real signals to a real `sigmax-train run`: nothing is half-published, `--resume` ends at the same model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sigmax.inference import proof
from sigmax.repository import layout
from sigmax_training import job as jobs
from sigmax_training import pipeline
from sigmax_training.history import Epoch

JOB = (
    'name = "iris"\n[data]\nbuiltin = "iris"\n'
    '[estimator]\nkind = "mlp"\nhidden = [4]\nbatch_size = 8\nepochs = 250\npatience = 250\n'
    "[evaluation]\nfolds = 2\nrepeats = 1\n"
)
EXACT = 'name = "iris"\n[data]\nbuiltin = "iris"\n[evaluation]\nfolds = 2\nrepeats = 1\n'
DEADLINE = 60


class Quiet:
    """A report that nobody reads."""

    def stage(self, title: str, steps: int) -> None: ...
    def step(self) -> None: ...
    def rows(self, seen: int, total: int) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...
    def notice(self, text: str) -> None: ...


class Run:
    """A run of the command line in a process of its own."""

    def __init__(self, folder: Path, *options: str, python: tuple[str, ...] = ()) -> None:
        command = [sys.executable, "-u", *python, "-m", "sigmax_training", "run", str(folder / "job.toml")]
        self.process = subprocess.Popen(
            [*command, "--models", str(folder / "models"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, seen: Callable[[str], bool]) -> None:
        """Read standard error up to a line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if seen(line):
                return
        raise AssertionError("the run ended too early")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; the exit code and the rest of standard error."""
        self.process.send_signal(number)
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            rest = stream.read()
        return self.process.wait(DEADLINE), rest


def is_epoch(at_least: int) -> Callable[[str], bool]:
    return lambda line: line.startswith("{") and json.loads(line)["epoch"] >= at_least


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What an uninterrupted run publishes."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "job.toml").write_text(JOB)
    return publish(folder)


def publish(folder: Path, *, resume: bool = False) -> dict[str, object]:
    """The files of the version that a run in this process publishes; of the manifest all but its date."""
    path = pipeline.run(
        jobs.read(folder / "job.toml"), folder / "models", Quiet(), resume=resume
    ).published.path
    files: dict[str, object] = {file.name: file.read_bytes() for file in path.iterdir()}
    manifest = json.loads((path / "manifest.json").read_bytes())
    del manifest["provenance"]["created"]
    return {**files, "manifest.json": manifest}


def test_sigterm_in_a_fold_and_ctrl_c_in_the_published_model_end_at_the_same_files(
    folder: Path, whole: dict[str, object]
) -> None:
    first = Run(folder)
    first.until(lambda line: "1 of 2" in line)
    terminated, said = first.end(signal.SIGTERM)

    second = Run(folder, "--resume")
    second.until(is_epoch(5))
    pressed, again = second.end(signal.SIGINT)

    assert (terminated, pressed) == (143, 130)
    assert said.startswith(f"interrupted: {folder / 'job.toml'}: after fold 1 of 2")
    assert said.endswith("; nothing was published; the same command with --resume continues\n")
    *_, last = again.splitlines()
    assert "job.toml: after fold 2 of 2 and the published model's epoch " in last
    assert "Traceback" not in said + again
    assert [path.name for path in (folder / "models").iterdir()] == [".checkpoints"]
    assert publish(folder, resume=True) == whole
    assert [path.name for path in (folder / "models").iterdir()] == ["iris"]


def test_sigkill_loses_no_more_than_the_last_second(folder: Path, whole: dict[str, object]) -> None:
    checkpoint = folder / "models" / ".checkpoints" / "iris" / "checkpoint"
    run = Run(folder, "--quiet")
    deadline = time.monotonic() + DEADLINE
    while not checkpoint.exists():
        assert time.monotonic() < deadline
        assert run.process.poll() is None
    code, said = run.end(signal.SIGKILL)

    assert (code, said) == (-signal.SIGKILL, "")
    assert layout.names(folder / "models") == []
    assert publish(folder, resume=True) == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_loaded_is_one_line_too(folder: Path, number: signal.Signals) -> None:
    run = Run(folder, python=("-X", "importtime"))
    run.until(lambda line: "sigmax_training.reading" in line)

    code, rest = run.end(number)

    lines = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert code == 128 + number
    assert len(lines) == 1
    assert lines[0].startswith("interrupted")


KILLED = """
import os, signal, sys
from pathlib import Path
from sigmax.repository import bundle, layout

old = bundle.read(Path(sys.argv[1]) / "iris" / "1")
files = {name: (Path(sys.argv[1]) / "iris" / "1" / name).read_bytes() for name in old.manifest.files}
layout.publish(Path(sys.argv[1]), old.manifest, files, lambda staging: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_sigkill_between_staging_and_rename_leaves_nothing_that_is_loaded(folder: Path) -> None:
    (folder / "job.toml").write_text(EXACT)
    models = folder / "models"
    publish(folder)
    before = {path: path.read_bytes() for path in (models / "iris" / "1").iterdir()}

    killed = subprocess.run([sys.executable, "-c", KILLED, str(models)], timeout=DEADLINE)

    assert killed.returncode == -signal.SIGKILL
    assert len(list((models / "iris").iterdir())) == 2  # the version, and what was staged
    assert layout.versions(models, "iris") == [1]
    assert {path: path.read_bytes() for path in (models / "iris" / "1").iterdir()} == before
    proof.load(models / "iris" / "1")
