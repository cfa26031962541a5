"""Which version of a model answers: the highest that can be proved, and what happens when none can.

One rule: a version gives way only to another that has been proved. So one that is refused leaves the one
that answers; taking the highest away falls back to the next; and a folder, or a whole repository, that
vanishes takes no model out of service. Which models to look at, `repository.watcher` tells.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sigmax.contract import MANIFEST_FILE
from sigmax.errors import BundleRejected
from sigmax.inference.catalog import Catalog, Entry, Served, Sight, measured, open_version
from sigmax.inference.onnx_runtime import OnnxRuntimeMissing
from sigmax.repository import bundle, labels, layout, watcher

log = logging.getLogger(__name__)

Open = Callable[[Path, str, int], Served]

ATTEMPTS = 5
"""How often a version is read whose reading fails for a reason that may pass, until its files change."""

SETTLE_SECONDS = 0.5
"""A refused version that has changed is read again when it has stayed the same for so long."""

GONE = "its files are gone from the repository; it answers from memory until the service is started anew"

UNREADABLE = "its folder cannot be read"

_MAY_PASS = frozenset(
    {errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.EAGAIN}
)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a model came to.

    Attributes:
        entry: what the model is from now on, the very same if nothing changed; None if nothing is left of it.
        refused: the versions that were read and refused.
        again: seconds after which to look again though nothing changes; None if there is no need.
    """

    entry: Entry | None
    refused: tuple[int, ...] = ()
    again: float | None = None


def open_measured(path: Path, name: str, version: int) -> Served:
    """Open a version as it is served: proved, and with its costs."""
    return measured(open_version(path, name, version))


def load_catalog(root: Path) -> Catalog:
    """Load the highest good version of every model of a repository."""
    return Catalog(load_entry(root, name) for name in layout.names(root))


def load_entry(root: Path, name: str) -> Entry:
    """Load a model's highest version that can be proved; those above it are refused, with the reason."""
    new = Entry(name, None)
    return look(root, new).entry or new


def unloaded_entry(root: Path, name: str) -> Entry:
    """A model that was unloaded before this process began: of its versions only the numbers are read."""
    try:
        numbers = watcher.versions_in(root / name)
    except OSError:
        numbers = []
    return Entry(name, None, seen=dict.fromkeys(numbers, Sight(None)), unloaded=True)


def look(
    root: Path, before: Entry, opened: Open = open_measured, clock: Callable[[], float] = time.time
) -> Looked:
    """Look at a model's versions, load what is new, and say what the model is then; changes nothing itself.

    Args:
        root: the repository.
        before: what the model is now; with nothing in it, one that was never looked at.
        opened: reads, loads and proves one version.
        clock: seconds since 1970.
    """
    try:
        numbers = watcher.versions_in(root / before.name)
    except (FileNotFoundError, NotADirectoryError):
        if before.served is None:
            return Looked(None)
        numbers = []
    except OSError as error:
        note = f"{UNREADABLE}: {error.strerror}"
        return Looked(before if note == before.note else replace(before, note=note))
    return _Look(root, before, opened).at(numbers, clock)


class _Look:
    """One look at one model, version by version."""

    def __init__(self, root: Path, before: Entry, opened: Open) -> None:
        self._root, self._before, self._opened = root, before, opened
        self._rejected: dict[int, str] = {}
        self._seen: dict[int, Sight] = {}
        self._refused: list[int] = []
        self._again: list[float] = []

    def at(self, numbers: list[int], clock: Callable[[], float]) -> Looked:
        """Look at versions, highest first, as far as the first that answers."""
        before, note = self._before, ""
        served = next(filter(None, map(self._look_at, numbers)), None)
        if served is None and before.served is not None:
            served, note = before.served, GONE
        again = min(self._again, default=None)
        by_label, trouble = self._labels()
        note = "; ".join(filter(None, (note, trouble)))
        if self._is_as_before(served, note, by_label):
            return Looked(before, tuple(self._refused), again)
        since = before.since if served is before.served else clock()
        entry = Entry(before.name, served, self._rejected, since, note, self._seen, labels=by_label)
        return Looked(entry, tuple(self._refused), again)

    def _labels(self) -> tuple[Mapping[str, int], str]:
        """Versions by label, and what is wrong with the file that says so: then those before it stay."""
        folder, before = self._root / self._before.name, self._before.labels
        if not folder.is_dir():
            return before, ""
        try:
            return labels.read(folder), ""
        except BundleRejected as error:
            return before, f"{error}; {'the labels before it stay' if before else 'it has no labels'}"

    def _is_as_before(self, served: Served | None, note: str, by_label: Mapping[str, int]) -> bool:
        before = self._before
        same = served is before.served and note == before.note and by_label == before.labels
        return same and self._rejected == before.rejected and self._seen == before.seen

    def _look_at(self, number: int) -> Served | None:
        before, known = self._before, self._before.seen.get(number)
        sight = Sight(watcher.identity(layout.version_path(self._root, before.name, number)))
        if before.served is not None and number == before.served.manifest.version:
            return self._keep(before.served, sight, known)
        if sight.identity is None:
            if known is None:
                log.warning("model %s version %s is not read: it has no manifest", before.name, number)
            self._reject(number, sight, f"it has no {MANIFEST_FILE}")
            return None
        if known is None:
            return self._open(number, sight)
        if known.identity != sight.identity:  # of a version that was refused
            self._reject(number, replace(sight, settled=False), before.rejected[number])
            self._again.append(SETTLE_SECONDS)
            return None
        if not known.settled or 0 < known.failures < ATTEMPTS:
            return self._open(number, known)
        self._reject(number, known, before.rejected[number])
        return None

    def _keep(self, served: Served, sight: Sight, known: Sight | None) -> Served:
        """The version that answers, unless its files have become those of another that is proved."""
        number = served.manifest.version
        if known is not None and known.identity == sight.identity:
            self._seen[number] = known
            if number in self._before.rejected:
                self._rejected[number] = self._before.rejected[number]
            return served
        try:
            unchanged = bundle.read(self._path(number)).manifest == served.manifest
        except BundleRejected as error:
            self._reject(number, sight, f"its files have changed since it was loaded: {error}")
            log.warning("model %s version %s answers from memory: %s", served.name, number, error)
            return served
        if not unchanged:
            return self._open(number, sight) or served
        self._seen[number] = sight
        return served

    def _open(self, number: int, sight: Sight) -> Served | None:
        """Read, verify, load and prove a version; None if it is refused, which is logged."""
        name, started = self._before.name, time.perf_counter()
        try:
            served = self._opened(self._path(number), name, number)
        except BundleRejected as error:
            log.error("model %s version %s refused: %s", name, number, error)
            failures = sight.failures + 1 if _may_pass(error) else 0
            if 0 < failures < ATTEMPTS:
                self._again.append(2.0 ** (failures - 1))
            self._refuse(number, Sight(sight.identity, failures=failures), str(error))
            return None
        except OnnxRuntimeMissing:  # no bundle is at fault
            raise
        except Exception:  # one bundle must not keep the others from being served
            log.exception("model %s version %s refused for an error that nobody foresaw", name, number)
            self._refuse(number, Sight(sight.identity), "an unforeseen error, which is in the log")
            return None
        log.info(
            "model %s version %s ready: %s golden rows within %.2g of the estimator, %.0f ms; %s",
            *(name, number, served.proof.rows, served.proof.difference),
            *(1000 * (time.perf_counter() - started), served.costs),
        )
        self._seen[number] = Sight(sight.identity)
        return served

    def _refuse(self, number: int, sight: Sight, reason: str) -> None:
        self._refused.append(number)
        self._reject(number, sight, reason)

    def _reject(self, number: int, sight: Sight, reason: str) -> None:
        self._rejected[number], self._seen[number] = reason, sight

    def _path(self, number: int) -> Path:
        return layout.version_path(self._root, self._before.name, number)


def _may_pass(error: BundleRejected) -> bool:
    """Whether the system, and not the bundle, is to blame."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _MAY_PASS
