"""What a run has come to so far, on the disk: an interrupted run goes on from there with `--resume`.

It lies in `<repository>/.checkpoints/<model>/`, which no reader of a repository looks into, and is written as
one file that is replaced as a whole. What the arrays of a training mean is left to `steps` and `course`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sigmax.errors import InvalidInput, listed
from sigmax.repository.bundle import sync_directory
from sigmax_training import state
from sigmax_training.course import epochs_done
from sigmax_training.evaluate import Score
from sigmax_training.state import Arrays

Clock = Callable[[], float]
"""Seconds since some moment; only differences have a meaning."""

_FOLDER = ".checkpoints"
_FILE = "checkpoint"
_MAGIC = b"sigmax checkpoint"
_DOCUMENT = "document"

_SECONDS = 1.0
"""Between two writings at least: an epoch of a small table takes less than one."""

_SHARE = 10
"""And at least so many times as long as the last writing took: a tenth of the time is the most it costs."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a run must have in common with a checkpoint.

    Attributes:
        fingerprint: of job, data and versions.
        data: the digest of the data, to say what differs.
        versions: of the libraries by name, likewise.
    """

    fingerprint: str
    data: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """How far a run is.

    Attributes:
        scores: of the finished folds, in order.
        said: what was warned of in them.
        training: the state of the training under way, of the fold that comes next or, behind the last one,
            of the published model; None before its first epoch.
    """

    scores: tuple[Score, ...] = ()
    said: tuple[str, ...] = ()
    training: Arrays | None = None

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to continue."""
        return not self.scores and self.training is None

    def where(self, folds: int, epochs: int) -> str:
        """In words: "after fold 2 of 30 and epoch 7 of 200".

        Args:
            folds: how many there are.
            epochs: how many a training has at most.
        """
        parts = [f"fold {len(self.scores)} of {folds}"] if self.scores else []
        if self.training is not None:
            of = "the published model's " if len(self.scores) == folds else ""
            parts.append(f"{of}epoch {epochs_done(self.training)} of {epochs}")
        return f"after {' and '.join(parts)}" if parts else "before the first epoch or fold was done"


class Checkpoint:
    """Told of each epoch and fold; writes them down, but not more often than is worth while.

    Args:
        repository: is there.
        name: of the model.
        mark: of this run.
        clock: what the time between two writings is taken with.

    Attributes:
        progress: how far the run is, whether it is written yet or not; replaced as a whole, so that no
            interrupt can come in between.
    """

    def __init__(self, repository: Path, name: str, mark: Mark, clock: Clock = time.monotonic) -> None:
        self.folder = repository / _FOLDER / name
        self.progress = Progress()
        self._mark, self._clock = mark, clock
        self._written, self._cost = clock(), 0.0
        self._saved = self.progress

    @property
    def saved(self) -> Progress:
        """What is on the disk of this run."""
        return self._saved

    def check_place(self) -> None:
        """Find out now rather than after some epochs that nothing can be kept.

        Raises:
            InvalidInput: something else lies where the checkpoint belongs.
        """
        for folder in (self.folder.parent, self.folder):
            if os.path.lexists(folder) and not folder.is_dir():
                raise InvalidInput(f"'{folder}' is no folder, and checkpoints belong there: move it away")
        if (self.folder / _FILE).is_dir():
            raise InvalidInput(f"'{self.folder / _FILE}' is a folder, and a file belongs there: move it away")

    def found(self) -> Progress | None:
        """What lies there; None if nothing does.

        Raises:
            InvalidInput: it is damaged, cannot be read, or is of another run than this one; with what to do.
        """
        try:
            mark, progress = _parse((self.folder / _FILE).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInput(self._useless(f"cannot be read: {error.strerror}")) from error
        except ValueError as error:
            raise InvalidInput(self._useless("is damaged")) from error
        if mark.fingerprint != self._mark.fingerprint:
            raise InvalidInput(self._useless(f"is of another run: {_difference(mark, self._mark)}"))
        return progress

    def resume(self, progress: Progress) -> None:
        """Go on from what was found."""
        self.progress = self._saved = progress

    def begin_at(self) -> Arrays | None:
        """The state that the training under way begins at; None for its beginning."""
        return self.progress.training

    def keep(self, arrays: Arrays) -> None:
        """The training under way has done an epoch.

        Args:
            arrays: its state; nobody changes them.

        Raises:
            InvalidInput: it cannot be written.
        """
        self.progress = replace(self.progress, training=arrays)
        self._write_in_time()

    def fold(self, score: Score, said: tuple[str, ...]) -> None:
        """A fold is done.

        Raises:
            InvalidInput: it cannot be written.
        """
        before = self.progress
        self.progress = Progress((*before.scores, score), (*before.said, *said))
        self._write_in_time()

    def write(self) -> None:
        """Write now what is not written yet: beside, on the disk, renamed.

        Raises:
            InvalidInput: it cannot be written; what lay there still does.
        """
        progress, begun = self.progress, self._clock()
        if progress is self._saved or progress.nothing:
            return
        try:
            content = _content(self._mark, progress)
            try:
                self._replace(content)
            except FileNotFoundError:  # another run of the same model has taken the folder away
                self._replace(content)
        except OSError as error:
            raise InvalidInput(
                f"the checkpoint in '{self.folder}' cannot be written: {error.strerror}"
            ) from error
        self._saved, self._written = progress, self._clock()
        self._cost = self._written - begun

    def remove(self) -> None:
        """Take it away: the run is published. What cannot be taken away is seen by the next run."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()

    def remove_own(self) -> None:
        """Take away what this run left, or one like it that was killed when it had published; others stay."""
        with suppress(InvalidInput):
            if self.found() is not None:
                self.remove()

    def _replace(self, content: bytes) -> None:
        self.folder.parent.mkdir(exist_ok=True)  # a repository that has vanished is not made again
        self.folder.mkdir(exist_ok=True)
        _replace(self.folder, content)

    def _write_in_time(self) -> None:
        if self._clock() - self._written >= max(_SECONDS, _SHARE * self._cost):
            self.write()

    def _useless(self, why: str) -> str:
        return f"the checkpoint in '{self.folder}' {why}; run without --resume to begin anew"


def _replace(folder: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(folder / _FILE)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    sync_directory(folder)


def _content(mark: Mark, progress: Progress) -> bytes:
    """A line with the digest of all that follows, then the arrays, among them a JSON document."""
    document = {
        "mark": asdict(mark),
        "scores": [asdict(score) for score in progress.scores],
        "said": progress.said,
        "training": progress.training is not None,
    }
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    body = state.to_bytes({_DOCUMENT: text, **state.within("training", progress.training or {})})
    return b"%s %s\n%s" % (_MAGIC, hashlib.sha256(body).hexdigest().encode(), body)


def _parse(content: bytes) -> tuple[Mark, Progress]:
    """What `_content` wrote.

    Raises:
        ValueError: it is not that, or not all of it.
    """
    head, _, body = content.partition(b"\n")
    if head != b"%s %s" % (_MAGIC, hashlib.sha256(body).hexdigest().encode()):
        raise ValueError("the digest is another")
    arrays = state.from_bytes(body)
    try:
        document: dict[str, Any] = json.loads(arrays[_DOCUMENT].tobytes())
        scores = tuple(Score(**score) for score in document["scores"])
        training = state.of("training", arrays) if document["training"] else None
        return Mark(**document["mark"]), Progress(scores, tuple(document["said"]), training)
    except (KeyError, TypeError) as error:
        raise ValueError("the document is another version's") from error


def _difference(there: Mark, here: Mark) -> str:
    """What a person can do something about: the libraries, the data, else the job."""
    if there.versions != here.versions:
        names = [name for name in here.versions if there.versions.get(name) != here.versions[name]]
        return listed(
            [f"{name} was {there.versions.get(name)} and is {here.versions[name]}" for name in names]
        )
    return "the data was another" if there.data != here.data else "the job was another"
