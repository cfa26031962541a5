from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sigmax.repository.watcher import Watcher, identity, watch

LONG_AFTER = 2**62
"""Nanoseconds: every change lies far back."""


def version(root: Path, name: str, number: int) -> Path:
    """Publish something that looks like a version, by rename."""
    folder = root / name / str(number)
    staging = root / name / f".staging-{number}"
    staging.mkdir(parents=True)
    (staging / "manifest.json").write_text("{}")
    (staging / "model.onnx").write_text("weights")
    staging.rename(folder)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for name in ("a", "b", "c"):
        version(folder, name, 1)
    return folder


@pytest.fixture
def watching(root: Path) -> Watcher:
    made = Watcher(root, now=lambda: LONG_AFTER)
    assert made.changed() == {"a", "b", "c"}
    assert made.changed() == set()
    return made


def replaced_alike(folder: Path) -> None:
    """Another manifest of the same size and the same time of modification in its place."""
    manifest = folder / "manifest.json"
    status = manifest.stat()
    (folder / "other").write_text("[]")
    os.utime(folder / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "other").rename(manifest)


def written_into(folder: Path) -> None:
    with (folder / "model.onnx").open("r+b") as file:
        file.write(b"W")


def set_back(folder: Path) -> None:
    os.utime(folder / "model.onnx", (0, 0))


def written_into_and_set_back(folder: Path) -> None:
    status = (folder / "model.onnx").stat()
    written_into(folder)
    os.utime(folder / "model.onnx", ns=(status.st_atime_ns, status.st_mtime_ns))


def made_anew(folder: Path) -> None:
    """The same version number once more, its content the same."""
    shutil.copytree(folder, folder.parent / ".again")
    shutil.rmtree(folder)
    (folder.parent / ".again").rename(folder)


def became_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


CHANGES: dict[str, Callable[[Path], Any]] = {
    "a version is added": lambda root: version(root, "a", 2),
    "a lower version is added": lambda root: [version(root, "a", number) for number in (7, 3)],
    "a version is removed": lambda root: shutil.rmtree(root / "a" / "1"),
    "the model is removed": lambda root: shutil.rmtree(root / "a"),
    "the model becomes a file": lambda root: became_a_file(root / "a"),
    "a manifest is replaced, its size and time the same": lambda root: replaced_alike(root / "a" / "1"),
    "a file is written to": lambda root: written_into(root / "a" / "1"),
    "a file is written to, its size and time the same": (
        lambda root: written_into_and_set_back(root / "a" / "1")
    ),
    "a file's time is set back": lambda root: set_back(root / "a" / "1"),
    "a file is removed": lambda root: (root / "a" / "1" / "model.onnx").unlink(),
    "a version is made anew": lambda root: made_anew(root / "a" / "1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_once_and_of_its_model_alone(
    root: Path, watching: Watcher, change: Callable[[Path], Any]
) -> None:
    change(root)

    assert watching.changed() == {"a"}
    assert watching.changed() == set()


def test_a_model_that_comes_is_told(root: Path, watching: Watcher) -> None:
    version(root, "new", 1)

    assert watching.changed() == {"new"}
    assert watching.changed() == set()


def test_what_is_no_model_and_no_version_is_passed_over(root: Path, watching: Watcher) -> None:
    for name in (".git", "Upper", "lost+found"):
        version(root, name, 1)
    (root / "file").write_text("")
    for name in (".staging-x", "01", "0", "labels", "1.0"):
        (root / "a" / name).mkdir()

    assert watching.changed() == set()


def test_reading_is_no_change(root: Path, watching: Watcher) -> None:
    for file in root.rglob("*.*"):
        if file.is_file():
            file.read_bytes()

    assert watching.changed() == set()


def test_a_repository_that_vanishes_has_not_changed_and_is_known_when_it_returns(
    root: Path, watching: Watcher
) -> None:
    root.rename(root.with_name("away"))
    assert watching.changed() == set()

    root.with_name("away").rename(root)
    assert watching.changed() == set()
    version(root, "a", 2)
    assert watching.changed() == {"a"}


def test_an_empty_folder_in_the_place_of_the_repository_tells_every_model(
    root: Path, watching: Watcher
) -> None:
    root.rename(root.with_name("away"))
    root.mkdir()

    assert watching.changed() == {"a", "b", "c"}


def test_a_repository_may_come_later(tmp_path: Path) -> None:
    watching = Watcher(tmp_path / "models")
    assert watching.changed() == set()

    version(tmp_path / "models", "a", 1)

    assert watching.changed() == {"a"}


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_folder_that_cannot_be_read_is_told_once_and_again_when_it_can(
    root: Path, watching: Watcher, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def failing(path: Any) -> Any:
        if str(path).startswith(f"{root}/b"):
            raise OSError(number, os.strerror(number))
        return scandir(path)

    with monkeypatch.context() as broken:
        broken.setattr(os, "scandir", failing)
        assert watching.changed() == {"b"}
        assert watching.changed() == set()

    assert watching.changed() == {"b"}


def test_a_repository_that_cannot_be_read_has_not_changed(
    root: Path, watching: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Any) -> Any:
        raise OSError(errno.ESTALE, "stale")

    with monkeypatch.context() as broken:
        broken.setattr(os, "stat", failing)
        assert watching.changed() == set()

    assert watching.changed() == set()


def test_of_many_models_some_are_looked_into_in_turn_and_every_folder_is_looked_at(
    tmp_path: Path,
) -> None:
    names = [f"m{number}" for number in range(5)]
    for name in names:
        version(tmp_path, name, 1)
    watching = Watcher(tmp_path, looked_at=2, now=lambda: LONG_AFTER)
    assert watching.changed() == set(names)

    for name in names:
        version(tmp_path, name, 2)
    assert watching.changed() == set(names)

    for name in names:
        written_into(tmp_path / name / "2")
    told = [watching.changed() for _ in range(3)]
    assert set.union(*told) == set(names)
    assert max(map(len, told)) == 2


def test_a_folder_that_changed_just_now_is_looked_into_since_its_marks_may_not_tell(tmp_path: Path) -> None:
    folder = version(tmp_path, "a", 1)
    watching = Watcher(tmp_path, looked_at=0, now=lambda: 0)
    assert watching.changed() == {"a"}

    written_into(folder)

    assert watching.changed() == {"a"}


def test_a_version_without_a_manifest_has_no_identity(tmp_path: Path) -> None:
    folder = version(tmp_path, "a", 1)
    whole = identity(folder)
    (folder / "manifest.json").rename(folder / ".manifest.json")

    assert whole is not None
    assert identity(folder) is None


def test_watching_tells_what_changed_until_it_is_stopped(root: Path) -> None:
    told: list[set[str]] = []
    stop = threading.Event()

    def tell(names: set[str]) -> None:
        told.append(names)
        if len(told) == 1:
            version(root, "b", 2)
        else:
            stop.set()

    thread = threading.Thread(target=watch, args=(Watcher(root), 0.001, tell, stop))
    thread.start()
    thread.join(60)

    assert not thread.is_alive()
    assert told == [{"a", "b", "c"}, {"b"}]


def test_the_process_that_watches_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, sigmax.repository.watcher;"
        "found = {'numpy', 'grpc', 'onnxruntime', 'click'} & set(sys.modules); assert not found, found"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr


def test_the_repository_is_looked_at_at_once_and_not_only_after_the_first_pause(tmp_path: Path) -> None:
    (tmp_path / "iris").mkdir()
    stop, told = threading.Event(), list[set[str]]()

    def tell(names: set[str]) -> None:
        told.append(names)
        stop.set()

    watch(Watcher(tmp_path), 3600, tell, stop)

    assert told == [{"iris"}]
