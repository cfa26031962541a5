"""An interrupted run publishes nothing, and with a checkpoint it ends where an uninterrupted one does."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sigmax.errors import InvalidInput
from sigmax.inference import proof
from sigmax.repository import layout
from sigmax_training import job as jobs
from sigmax_training import pipeline
from sigmax_training.checkpoint import Checkpoint, Mark
from sigmax_training.evaluate import Score
from sigmax_training.history import Epoch
from sigmax_training.interrupts import Interrupted, Interrupts
from sigmax_training.job import Job

MLP = (
    "name='iris'\n[data]\nbuiltin='iris'\n[evaluation]\nfolds=3\nrepeats=1\n"
    "[estimator]\nkind='mlp'\nhidden=[4]\nepochs=8\npatience=3\n"
)
EXACT = "name='iris'\n[data]\nbuiltin='iris'\n[evaluation]\nfolds=3\nrepeats=1\n"
MARK = Mark("f", "d", {"numpy": "2.0"})


class Pressing:
    """A report that presses Ctrl-C after an epoch, or after a step of a stage, or never."""

    def __init__(self, epoch: int = 0, step: tuple[str, int] = ("", 0)) -> None:
        self._epoch, self._step = epoch, step
        self._title, self._done = "", 0
        self.epochs: list[int] = []
        self.notices: list[str] = []

    def stage(self, title: str, steps: int) -> None:
        self._title, self._done = title.partition(": ")[2], 0

    def step(self) -> None:
        self._done += 1
        if (self._title, self._done) == self._step:
            signal.raise_signal(signal.SIGINT)

    def rows(self, seen: int, total: int) -> None: ...

    def epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch.epoch)
        if epoch.epoch == self._epoch:
            signal.raise_signal(signal.SIGINT)

    def notice(self, text: str) -> None:
        self.notices.append(text)


def job(text: str = MLP) -> Job:
    return jobs.parse(text, Path())


def bundle(path: Path) -> dict[str, object]:
    """Every file of a version; of the manifest all but when it was made."""
    files: dict[str, object] = {file.name: file.read_bytes() for file in path.iterdir()}
    manifest = json.loads((path / "manifest.json").read_bytes())
    del manifest["provenance"]["created"]
    return {**files, "manifest.json": manifest}


def everything(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def interrupted(root: Path, report: Pressing, text: str = MLP, *, resume: bool = False) -> str:
    with pytest.raises(Interrupted) as caught:
        pipeline.run(job(text), root, report, resume=resume)
    return str(caught.value)


# ---- the same model


@pytest.mark.parametrize(
    ("report", "where"),
    [
        (Pressing(step=("cross-validation", 1)), "after fold 1 of 3;"),
        (Pressing(step=("cross-validation", 3)), "after fold 3 of 3;"),
        (Pressing(epoch=1), "after fold 3 of 3 and the published model's epoch 1 of 8;"),
        (Pressing(epoch=5), "after fold 3 of 3 and the published model's epoch 5 of 8;"),
    ],
)
def test_a_resumed_run_publishes_the_same_files(tmp_path: Path, report: Pressing, where: str) -> None:
    whole = pipeline.run(job(), tmp_path / "whole", Pressing())
    models, again = tmp_path / "models", Pressing()

    said = interrupted(models, report)

    assert said == f"{where} nothing was published; the same command with --resume continues"
    assert layout.names(models) == []
    outcome = pipeline.run(job(), models, again, resume=True)
    assert bundle(outcome.published.path) == bundle(whole.published.path)
    assert again.notices[0] == f"iris: resumed {where.rstrip(';')}"
    assert again.epochs[0] == len(report.epochs) + 1
    assert [path.name for path in models.iterdir()] == ["iris"]


def test_a_run_may_be_interrupted_again_and_again(tmp_path: Path) -> None:
    whole = pipeline.run(job(), tmp_path / "whole", Pressing())
    models = tmp_path / "models"
    interrupted(models, Pressing(step=("cross-validation", 2)))

    for epoch in (1, 2, 3, 4):
        interrupted(models, Pressing(epoch=epoch), resume=True)

    outcome = pipeline.run(job(), models, Pressing(), resume=True)
    assert bundle(outcome.published.path) == bundle(whole.published.path)


def test_folds_of_an_exact_estimator_are_not_run_again(tmp_path: Path) -> None:
    whole = pipeline.run(job(EXACT), tmp_path / "whole", Pressing())
    models = tmp_path / "models"

    said = interrupted(models, Pressing(step=("cross-validation", 2)), EXACT)
    outcome = pipeline.run(job(EXACT), models, Pressing(), resume=True)

    assert said.startswith("after fold 2 of 3;")
    assert bundle(outcome.published.path) == bundle(whole.published.path)


def test_an_interrupt_behind_the_publication_says_so(tmp_path: Path) -> None:
    said = interrupted(tmp_path, Pressing(step=("export and proof", 1)))

    assert said == "version 1 had just been published"
    assert [path.name for path in tmp_path.iterdir()] == ["iris"]


# ---- which checkpoint


def test_an_interrupt_while_the_checkpoint_is_taken_away_says_what_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmtree, presses = shutil.rmtree, [signal.SIGINT]

    def pressed(folder: str | Path, **options: Any) -> None:
        if Path(folder) == tmp_path / ".checkpoints" / "iris" and presses:
            signal.raise_signal(presses.pop())
        rmtree(folder, **options)

    monkeypatch.setattr("shutil.rmtree", pressed)

    assert interrupted(tmp_path, Pressing()) == "version 1 had just been published"
    assert not (tmp_path / ".checkpoints").exists()


def test_without_a_checkpoint_a_run_begins_anew_and_says_so(tmp_path: Path) -> None:
    report = Pressing()

    outcome = pipeline.run(job(), tmp_path, report, resume=True)

    assert outcome.published.version == 1
    assert report.notices == ["iris: there is no checkpoint to resume, the run begins anew"]


def test_a_run_that_begins_anew_says_what_is_lost_with_it(tmp_path: Path) -> None:
    interrupted(tmp_path, Pressing(epoch=2))
    report = Pressing()

    pipeline.run(job(), tmp_path, report)

    assert report.notices == [
        "iris: the run begins anew; --resume would have continued the checkpoint in "
        f"'{tmp_path}/.checkpoints/iris', which is replaced"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["iris"]


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        (MLP.replace("hidden=[4]", "hidden=[5]"), "the job was another"),
        (MLP.replace("builtin='iris'", "builtin='wine'"), "the data was another"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_stays(tmp_path: Path, text: str, difference: str) -> None:
    interrupted(tmp_path, Pressing(epoch=2))
    before = everything(tmp_path)

    with pytest.raises(InvalidInput) as refused:
        pipeline.run(job(text), tmp_path, Pressing(), resume=True)

    assert str(refused.value) == (
        f"the checkpoint in '{tmp_path}/.checkpoints/iris' is of another run: {difference}; "
        "run without --resume to begin anew"
    )
    assert everything(tmp_path) == before


def test_a_checkpoint_of_other_libraries_names_them(tmp_path: Path) -> None:
    written = Checkpoint(tmp_path, "iris", MARK)
    written.keep({"course/history": np.zeros((1, 5))})
    written.write()

    with pytest.raises(InvalidInput, match=r"numpy was 2\.0 and is 2\.1; run without --resume"):
        Checkpoint(tmp_path, "iris", replace(MARK, fingerprint="g", versions={"numpy": "2.1"})).found()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_checkpoint_is_refused_and_replaced_by_a_run_that_begins_anew(
    tmp_path: Path, damage: str
) -> None:
    interrupted(tmp_path, Pressing(epoch=2))
    file = tmp_path / ".checkpoints" / "iris" / "checkpoint"
    content = file.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    file.write_bytes({"truncated": content[:-100], "flipped": flipped, "empty": b""}[damage])

    with pytest.raises(InvalidInput, match="is damaged; run without --resume to begin anew"):
        pipeline.run(job(), tmp_path, Pressing(), resume=True)

    assert pipeline.run(job(), tmp_path, Pressing()).published.version == 1


def test_another_run_interrupted_at_once_leaves_the_checkpoint_that_was_there(tmp_path: Path) -> None:
    interrupted(tmp_path, Pressing(epoch=2))
    before = everything(tmp_path)

    said = interrupted(tmp_path, _AtOnce())

    assert said == "before the first epoch or fold was done; nothing was published"
    assert everything(tmp_path) == before


class _AtOnce(Pressing):
    def stage(self, title: str, steps: int) -> None:
        if "cross-validation" in title:
            raise KeyboardInterrupt


def test_what_a_killed_run_left_behind_its_publication_is_taken_away(tmp_path: Path) -> None:
    interrupted(tmp_path, Pressing(epoch=2))
    shutil.copytree(tmp_path / ".checkpoints", tmp_path / "kept")
    pipeline.run(job(), tmp_path, Pressing(), resume=True)
    (tmp_path / "kept").rename(tmp_path / ".checkpoints")

    outcome = pipeline.run(job(), tmp_path, Pressing(), resume=True)

    assert outcome.proof is None
    assert not (tmp_path / ".checkpoints").exists()


def test_the_service_does_not_see_checkpoints(tmp_path: Path) -> None:
    interrupted(tmp_path, Pressing(epoch=2))
    (tmp_path / ".checkpoints" / "iris" / "1").mkdir()

    assert layout.names(tmp_path) == []
    assert layout.versions(tmp_path, "iris") == []


# ---- how often


def writings(folder: Path, seconds: list[float]) -> list[int]:
    """After which epochs the file is another one, for epochs that end at these times."""
    now = 0.0
    checkpoint = Checkpoint(folder, "iris", MARK, lambda: now)
    file, before, found = checkpoint.folder / "checkpoint", b"", []
    for number, now in enumerate(seconds, 1):  # noqa: B007 - the clock reads it
        checkpoint.keep({"course/history": np.zeros((number, 5))})
        content = file.read_bytes() if file.exists() else b""
        if content != before:
            found.append(number)
        before = content
    return found


def test_an_epoch_that_is_shorter_than_a_second_is_not_written_each_time(tmp_path: Path) -> None:
    assert writings(tmp_path, [0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 9.0, 10.0]) == [3, 6, 7, 8]


def test_a_training_of_a_finished_fold_is_forgotten(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "iris", MARK)
    checkpoint.keep({"course/history": np.zeros((2, 5))})
    checkpoint.fold(Score(0.1 + 0.2, 1 / 3), ("a warning",))
    checkpoint.write()

    found = Checkpoint(tmp_path, "iris", MARK).found()

    assert found is not None
    assert (found.scores, found.said, found.training) == ((Score(0.1 + 0.2, 1 / 3),), ("a warning",), None)


def test_another_run_that_is_done_takes_the_folder_away_in_the_midst_of_a_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, done = Checkpoint(tmp_path, "iris", MARK), [Checkpoint(tmp_path, "iris", MARK)]
    checkpoint.keep({"course/history": np.zeros((2, 5))})
    synced = os.fsync

    def slow(file: int) -> None:
        synced(file)
        if done:
            done.pop().remove()

    monkeypatch.setattr("os.fsync", slow)
    checkpoint.write()

    found = Checkpoint(tmp_path, "iris", MARK).found()
    assert found is not None
    assert found.training is not None


# ---- disks


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full as soon as a file has so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_publishes_nothing_and_leaves_what_was_there(tmp_path: Path) -> None:
    pipeline.run(job(EXACT), tmp_path, Pressing())
    before = everything(tmp_path)

    with files_of_at_most(1000), pytest.raises(InvalidInput) as refused:
        pipeline.run(job("seed=1\n" + EXACT), tmp_path, Pressing())

    assert str(refused.value) == f"the repository '{tmp_path}' cannot be written: File too large"
    assert everything(tmp_path) == before
    assert layout.versions(tmp_path, "iris") == [1]


def test_a_checkpoint_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    endless = MLP.replace("epochs=8", "epochs=1000000").replace("patience=3", "early_stopping=false")

    with files_of_at_most(1000), pytest.raises(InvalidInput) as refused:
        pipeline.run(job(endless), tmp_path, Pressing())

    where = f"the checkpoint in '{tmp_path}/.checkpoints/iris'"
    assert str(refused.value) == f"{where} cannot be written: File too large"
    assert everything(tmp_path) == {}


def test_an_interrupt_on_a_full_disk_says_that_nothing_can_be_continued(tmp_path: Path) -> None:
    with files_of_at_most(1000):
        said = interrupted(tmp_path, Pressing(epoch=2))

    assert "nothing was published; the checkpoint in" in said
    assert said.endswith("cannot be written: File too large")


def test_a_small_disk_that_fills_up(tmp_path: Path) -> None:
    models = tmp_path / "models"
    with small_disk(models, "64k"):
        pipeline.run(job(EXACT), models, Pressing())
        before = everything(models)
        free = shutil.disk_usage(models).free
        (models / "filler").write_bytes(bytes(free - 8192))

        with pytest.raises(InvalidInput, match="cannot be written: No space left on device"):
            pipeline.run(job("seed=1\n" + EXACT), models, Pressing())

        (models / "filler").unlink()
        assert everything(models) == before
        proof.load(models / "iris" / "1")


class Filling(Pressing):
    """A report that calls something before the stage in which the model is written."""

    def __init__(self, fill: Callable[[], object]) -> None:
        super().__init__()
        self._fill = fill

    def stage(self, title: str, steps: int) -> None:
        super().stage(title, steps)
        if self._title == "export and proof":
            self._fill()


def test_a_model_that_cannot_be_written_need_not_be_trained_again(tmp_path: Path) -> None:
    whole = pipeline.run(job(), tmp_path / "whole", Pressing())
    models, in_the_way, again = tmp_path / "models", tmp_path / "models" / "iris", Pressing()

    with pytest.raises(InvalidInput) as refused:
        pipeline.run(job(), models, Filling(in_the_way.touch))

    assert str(refused.value) == (
        f"the repository '{models}' cannot be written: File exists; "
        "the same command with --resume continues behind the last epoch"
    )
    in_the_way.unlink()
    outcome = pipeline.run(job(), models, again, resume=True)
    assert again.epochs == []
    assert bundle(outcome.published.path) == bundle(whole.published.path)
    assert not (models / ".checkpoints").exists()


def test_a_model_and_a_state_that_cannot_be_written_promise_nothing(tmp_path: Path) -> None:
    with files_of_at_most(1000), pytest.raises(InvalidInput) as refused:
        pipeline.run(job(), tmp_path, Pressing())

    assert str(refused.value) == f"the repository '{tmp_path}' cannot be written: File too large"
    assert everything(tmp_path) == {}


def test_a_state_that_cannot_be_written_at_the_end_does_not_hinder_the_model(tmp_path: Path) -> None:
    wide = MLP.replace("hidden=[4]", "hidden=[300]")
    size = max(
        file.stat().st_size
        for file in pipeline.run(job(wide), tmp_path / "whole", Pressing()).published.path.iterdir()
    )

    with files_of_at_most(size + 1000):
        outcome = pipeline.run(job(wide), tmp_path / "models", Pressing())

    proof.load(outcome.published.path)


def test_a_small_disk_that_is_full_when_the_model_is_written(tmp_path: Path) -> None:
    models, again = tmp_path / "models", Pressing()
    with small_disk(models, "256k"):
        filler = models / "filler"

        with pytest.raises(InvalidInput, match=r"No space left on device; .* behind the last epoch"):
            pipeline.run(job(), models, Filling(lambda: filler.write_bytes(bytes(free(models)))))

        filler.unlink()
        outcome = pipeline.run(job(), models, again, resume=True)
        assert again.epochs == []
        proof.load(outcome.published.path)


def free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (".checkpoints", "is no folder, and checkpoints belong there: move it away"),
        (".checkpoints/iris", "is no folder, and checkpoints belong there: move it away"),
        (".checkpoints/iris/checkpoint/x", "is a folder, and a file belongs there: move it away"),
    ],
)
def test_what_lies_in_the_place_of_a_checkpoint_is_known_before_the_training(
    tmp_path: Path, place: str, expected: str, resume: bool
) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("of somebody")
    report = Pressing()

    with pytest.raises(InvalidInput) as refused:
        pipeline.run(job(), tmp_path, report, resume=resume)

    assert str(refused.value) == f"'{tmp_path / place.removesuffix('/x')}' {expected}"
    assert (report.epochs, report.notices) == ([], [])
    assert (tmp_path / place).read_text() == "of somebody"


def test_a_link_to_nowhere_is_no_folder_for_checkpoints(tmp_path: Path) -> None:
    (tmp_path / ".checkpoints").symlink_to(tmp_path / "nowhere")

    with pytest.raises(InvalidInput, match="is no folder, and checkpoints belong there"):
        pipeline.run(job(), tmp_path, Pressing())


def test_a_repository_that_vanishes_is_not_made_again(tmp_path: Path) -> None:
    models = tmp_path / "models"

    class Removing(Pressing):
        def epoch(self, epoch: Epoch) -> None:
            if models.exists():
                shutil.rmtree(models)

    with pytest.raises(InvalidInput) as refused:
        pipeline.run(job(), models, Removing())

    assert str(refused.value) == f"the repository '{models}' cannot be written: No such file or directory"
    assert not models.exists()


# ---- signals


def test_the_same_signal_twice_at_once_is_one() -> None:
    interrupts = Interrupts()
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    interrupts.install()
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])

    assert interrupts.exit_code == 143
