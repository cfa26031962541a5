"""Which models of a repository have changed since one last asked, told by asking the file system again.

Standard library alone, since the process that watches loads no model. Nothing is read here and nothing is
judged: a name is told, and whoever serves the model looks for itself.

It asks instead of being told (inotify): that works on network file systems and in containers, cannot
overflow, and costs little. The time of a change is never compared with another time, only with itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sigmax.contract import LABELS_FILE, MANIFEST_FILE, NAME_PATTERN, VERSION_PATTERN

log = logging.getLogger(__name__)

Identity = int
"""A number that is another one when anything of a version's files is; not to be told to other processes."""

LOOKED_AT = 16
"""Models whose versions are looked into at one asking, in turn; of the others only the folder is."""

_HIGHEST = 4  # versions of a model that are looked into: those below answer only if all of these are refused
_SETTLED_NS = 2_000_000_000  # two changes within one tick of a file system's clock leave the same mark

_Marks = tuple[int, ...]


def versions_in(folder: Path | str) -> list[int]:
    """The version numbers in a model's folder, highest first; what is not a version is passed over.

    Raises:
        OSError: the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        found = [int(entry.name) for entry in entries if _is_version(entry)]
    return sorted(found, reverse=True)


def identity(folder: Path | str) -> Identity | None:
    """What a version's folder and the files in it are now; None while it has no manifest.

    Each file counts by its name, inode, size and times; one that is replaced or written to makes another
    identity, though its time of modification was set back. What cannot be looked at is an identity, too.
    """
    try:
        own = _marks(os.stat(folder))  # noqa: PTH116 - a Path would take as long as the call
        with os.scandir(folder) as entries:
            files = sorted(
                (entry.name, *_marks(entry.stat(follow_symlinks=False)))
                for entry in entries
                if not entry.name.startswith(".")
            )
    except OSError as error:
        return hash(("unreadable", error.errno))
    if all(name != MANIFEST_FILE for name, *_ in files):
        return None
    return hash((own, tuple(files)))


class _Sight(NamedTuple):
    """What was seen of a model: the marks of its folder, whether they are old, and its versions."""

    folder: _Marks
    settled: bool
    versions: int


class Watcher:
    """Remembers what a repository was like when it was last asked; at first it tells every model."""

    def __init__(
        self, root: Path | str, looked_at: int = LOOKED_AT, now: Callable[[], int] = time.time_ns
    ) -> None:
        """Look at nothing yet.

        Args:
            root: the repository; it may come later.
            looked_at: models whose versions are looked into at one asking.
            now: nanoseconds, as the file system's times are.
        """
        self._root = os.fspath(root)
        self._looked_at = looked_at
        self._now = now
        self._sights: dict[str, _Sight] = {}
        self._listed: tuple[_Marks, bool, list[str]] | None = None
        self._turn = 0

    def changed(self) -> set[str]:
        """The models of which a version or the labels were added, removed or changed, or that came or went.

        A repository that is not there, or cannot be read, has not changed.
        """
        try:
            names = self._names()
        except OSError:
            return set()
        told = set(self._sights).difference(names)
        for name in told:
            del self._sights[name]
        into = self._in_turn(names)
        told.update([name for name in names if self._has_changed(name, name in into)])
        return told

    def _names(self) -> list[str]:
        """The folders of the repository that can be models'."""
        root = os.stat(self._root)  # noqa: PTH116
        marks = _marks(root)
        if self._listed is not None and self._listed[0] == marks and self._listed[1]:
            return self._listed[2]
        with os.scandir(self._root) as entries:
            names = [entry.name for entry in entries if NAME_PATTERN.fullmatch(entry.name) and _is_dir(entry)]
        self._listed = marks, self._is_settled(root), sorted(names)
        return self._listed[2]

    def _in_turn(self, names: list[str]) -> set[str]:
        """The next models that are looked into."""
        start = self._turn if self._turn < len(names) else 0
        self._turn = start + self._looked_at
        return set(names[start : self._turn])

    def _has_changed(self, name: str, into: bool) -> bool:
        before, folder = self._sights.get(name), f"{self._root}/{name}"
        try:
            status = os.stat(folder)  # noqa: PTH116
            marks = _marks(status)
            if before is not None and before.folder == marks and before.settled and not into:
                return False
            versions = _versions(folder)
        except (FileNotFoundError, NotADirectoryError):  # since the repository was listed
            self._listed = None
            return self._sights.pop(name, None) is not None
        except OSError as error:  # told once, that whoever serves the model can say so
            marks, status, versions = (), None, hash(("unreadable", error.errno))
        self._sights[name] = _Sight(marks, status is not None and self._is_settled(status), versions)
        return before is None or before.versions != versions

    def _is_settled(self, status: os.stat_result) -> bool:
        return status.st_ctime_ns < self._now() - _SETTLED_NS


def watch(
    watcher: Watcher, seconds: float, tell: Callable[[set[str]], object], stop: threading.Event
) -> None:
    """Ask a watcher again and again, in a thread of its own: a file system that hangs holds nothing else.

    The first time at once: what is taken away before it has been seen would never be missed.

    Args:
        watcher: asked.
        seconds: between two askings.
        tell: called in this thread with the names of changed models.
        stop: ends it when set.
    """
    while True:
        try:
            names = watcher.changed()
        except Exception:  # the next asking may do better, and nobody would notice that there is none
            log.exception("the repository could not be looked at for an error that nobody foresaw")
            names = set()
        if names:
            tell(names)
        if stop.wait(seconds):
            return


def _versions(folder: str) -> int:
    numbers = versions_in(folder)
    return hash(
        (tuple(numbers), _labels(folder), *(identity(f"{folder}/{number}") for number in numbers[:_HIGHEST]))
    )


def _labels(folder: str) -> _Marks:
    """What the file of version labels is now; nothing if there is none."""
    try:
        return _marks(os.lstat(f"{folder}/{LABELS_FILE}"))
    except OSError:
        return ()


def _marks(status: os.stat_result) -> _Marks:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_version(entry: os.DirEntry[str]) -> bool:
    return VERSION_PATTERN.fullmatch(entry.name) is not None and _is_dir(entry)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False
