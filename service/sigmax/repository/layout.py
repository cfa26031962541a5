"""The layout of a repository, `<root>/<name>/<version>/`, and publishing into it by one rename.

A reader sees a version whole or not at all: it is written beside, under a dot name, proved there,
and renamed. The staging folder of a publisher that was killed is swept by the next one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sigmax.contract import MANIFEST_FILE, NAME_PATTERN, VERSION_PATTERN, Manifest, check_name
from sigmax.errors import BundleRejected, Conflict
from sigmax.repository import bundle, watcher

_STAGING_PREFIX = ".staging-"
_ABANDONED_SECONDS = 24 * 3600
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Published:
    """A version in the repository and where it lies."""

    version: int
    path: Path


def names(root: Path) -> list[str]:
    """The model names of a repository, sorted; what is not a model's folder is passed over."""
    return sorted(
        entry.name for entry in root.iterdir() if NAME_PATTERN.fullmatch(entry.name) and entry.is_dir()
    )


def versions(root: Path, name: str) -> list[int]:
    """The version numbers of a model, highest first; what is not a version is passed over."""
    folder = root / name
    return watcher.versions_in(folder) if folder.is_dir() else []


def version_path(root: Path, name: str, version: int) -> Path:
    """Where a version lies."""
    return root / name / str(version)


def published_as(root: Path, name: str, fingerprint: str) -> Iterator[Published]:
    """The versions with this fingerprint, highest first; whether they are still whole is not asked."""
    for version in versions(root, name):
        path = version_path(root, name, version)
        with contextlib.suppress(BundleRejected, OSError):
            if Manifest.from_json((path / MANIFEST_FILE).read_bytes()).fingerprint == fingerprint:
                yield Published(version, path)


def publish(
    root: Path, manifest: Manifest, files: Mapping[str, bytes], prove: Callable[[Path], None]
) -> Published:
    """Publish as the next version: write beside, prove, rename.

    Args:
        root: the repository; it is made if it is not there.
        manifest: its version and files are filled in here.
        files: content by name.
        prove: called with the finished folder; whatever it raises refuses the publication.

    Raises:
        BundleRejected: the proof failed.
        Conflict: other publishers took the next version five times in a row.
        OSError: the repository cannot be written.
    """
    check_name(manifest.name)
    folder = root / manifest.name
    try:
        _sweep(folder)
        for _ in range(_ATTEMPTS):
            published = _attempt(root, folder, manifest, files, prove)
            if published is not None:
                return published
    finally:
        with contextlib.suppress(OSError):  # a first version that was refused leaves no empty model behind
            folder.rmdir()
    raise Conflict(f"model '{manifest.name}': other publishers took the next version {_ATTEMPTS} times")


def _attempt(
    root: Path, folder: Path, manifest: Manifest, files: Mapping[str, bytes], prove: Callable[[Path], None]
) -> Published | None:
    """Publish as the version that is next now; None if another publisher took it meanwhile."""
    version = _highest(folder) + 1
    target = version_path(root, manifest.name, version)
    with _staging(folder) as staging:
        bundle.write(staging, replace(manifest, version=version), files)
        prove(staging)
        if not _rename(staging, target):
            return None
    bundle.sync_directory(folder)
    bundle.sync_directory(root)
    return Published(version, target)


def _highest(folder: Path) -> int:
    """The highest version number that is taken, be it by a file that is no version."""
    taken = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return max((int(name) for name in taken if VERSION_PATTERN.fullmatch(name)), default=0)


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=folder))
    staging.chmod(0o755)  # mkdtemp gives 0700; the service may run as another user
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _rename(staging: Path, target: Path) -> bool:
    """Rename without replacing: POSIX refuses to put a folder over one that holds anything."""
    try:
        os.rename(staging, target)  # noqa: PTH104 - Path.rename promises to replace, os.rename documents the refusal
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def _sweep(folder: Path) -> None:
    """Remove what publishers that were killed left behind, a day later."""
    oldest = time.time() - _ABANDONED_SECONDS
    for entry in folder.glob(f"{_STAGING_PREFIX}*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)
