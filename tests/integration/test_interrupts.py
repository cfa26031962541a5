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
    '[estimator]\nkind = "mlp"\nhidden = [4]\nepochs = 60\npatience = 60\n'
    "[evaluation]\nfolds = 2\nrepeats = 1\n"
)
EXACT = 'name = "iris"\n[data]\nbuiltin = "iris"\n[evaluation]\nfolds = 2\nrepeats = 1\n'
ENDLESS = JOB.replace("epochs = 60", "epochs = 1000000").replace("patience = 60", "early_stopping = false")
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


def test_a_run_that_sigterm_ended_is_resumed_to_the_same_files(
    folder: Path, whole: dict[str, object]
) -> None:
    run = Run(folder)
    run.until(is_epoch(5))

    code, rest = run.end(signal.SIGTERM)

    last = rest.splitlines()[-1]
    assert code == 143
    assert last.startswith(
        f"interrupted: {folder / 'job.toml'}: after fold 2 of 2 and the published model's epoch "
    )
    assert last.endswith(" of 60; nothing was published; the same command with --resume continues")
    assert epoch_in(last) >= 5
    assert "Traceback" not in rest
    assert [path.name for path in (folder / "models").iterdir()] == [".checkpoints"]
    assert publish(folder, resume=True) == whole
    assert [path.name for path in (folder / "models").iterdir()] == ["iris"]


class Stopping(Quiet):
    """A report that ends the run as soon as it has said what it resumes."""

    def __init__(self) -> None:
        self.said = ""

    def notice(self, text: str) -> None:
        self.said = text
        raise KeyboardInterrupt


def test_sigkill_loses_no_more_than_what_was_not_written_yet(folder: Path) -> None:
    (folder / "job.toml").write_text(ENDLESS)
    checkpoint = folder / "models" / ".checkpoints" / "iris" / "checkpoint"
    run = Run(folder, "--quiet")
    deadline = time.monotonic() + DEADLINE
    while not checkpoint.exists():
        assert time.monotonic() < deadline
        assert run.process.poll() is None

    killed = run.end(signal.SIGKILL)

    report = Stopping()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(jobs.read(folder / "job.toml"), folder / "models", report, resume=True)
    assert killed == (-signal.SIGKILL, "")
    assert layout.names(folder / "models") == []
    assert report.said.startswith("iris: resumed after epoch ")
    assert epoch_in(report.said) >= 1


def epoch_in(text: str) -> int:
    return int(text.rpartition("epoch ")[2].split()[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_loaded_is_one_line_too(folder: Path, number: signal.Signals) -> None:
    run = Run(folder, python=("-X", "importtime"))
    run.until(lambda line: "sigmax_training.reading" in line)

    code, rest = run.end(number)

    lines = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert code == 128 + number
    assert len(lines) == 1
    assert lines[0].startswith("interrupted")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_figures_that_cannot_be_printed_are_one_line_and_exit_code_1(folder: Path) -> None:
    (folder / "job.toml").write_text(EXACT)
    publish(folder)
    command = [sys.executable, "-m", "sigmax_training", "run", "--quiet", str(folder / "job.toml")]

    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [*command, "--models", str(folder / "models")], stdout=full, stderr=subprocess.PIPE, text=True
        )

    assert (run.returncode, run.stderr) == (
        1,
        "error: the output cannot be written: No space left on device\n",
    )


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
