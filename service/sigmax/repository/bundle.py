"""One bundle: read it with every digest checked, or write it so that a power cut cannot halve it.

Files are read once, into memory, and what was hashed is what is used; nothing is opened twice.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sigmax.contract import (
    EXAMPLE_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    FileEntry,
    Manifest,
    parse_json,
)
from sigmax.errors import BundleRejected
from sigmax.repository.golden import Golden

MAX_MANIFEST_BYTES = 256 * 2**20
"""A manifest of a million features is about 150 MiB; more is not a manifest."""

MAX_FILE_BYTES = 2 * 2**30
"""The size at which protobuf, and so ONNX, ends."""

REQUIRED = (MODEL_FILE, GOLDEN_FILE, EXAMPLE_FILE)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The verified content of one version."""

    manifest: Manifest
    model: bytes
    golden: Golden
    example: bytes


def read(directory: Path) -> Bundle:
    """Read a bundle and check every file against the manifest.

    Raises:
        BundleRejected: a file is missing, too large, not a plain file, or not the one that was
            sealed; or the manifest or the golden rows are malformed.
    """
    manifest = Manifest.from_json(read_plain(directory, MANIFEST_FILE, MAX_MANIFEST_BYTES))
    for name in REQUIRED:
        if name not in manifest.files:
            raise BundleRejected(f"the manifest does not list {name}")
    content = {name: _read_sealed(directory, name, entry) for name, entry in manifest.files.items()}
    golden = Golden.from_json(content[GOLDEN_FILE], manifest)
    parse_json(content[EXAMPLE_FILE], EXAMPLE_FILE)
    return Bundle(manifest, content[MODEL_FILE], golden, content[EXAMPLE_FILE])


def write(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Write the files and, last, the manifest that seals them; all of it is on the disk afterwards.

    Args:
        directory: exists and is empty.
        manifest: its `files` are replaced by the size and digest of what is written.
        files: content by name; at least those in `REQUIRED`.

    Returns:
        The sealed manifest.
    """
    entries = {name: _entry(content) for name, content in sorted(files.items())}
    sealed = replace(manifest, files=entries)
    for name, content in files.items():
        _write_file(directory / name, content)
    _write_file(directory / MANIFEST_FILE, sealed.to_json())
    sync_directory(directory)
    return sealed


def sync_directory(directory: Path) -> None:
    """Make the entries of a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _entry(content: bytes) -> FileEntry:
    return FileEntry(len(content), hashlib.sha256(content).hexdigest())


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read_sealed(directory: Path, name: str, entry: FileEntry) -> bytes:
    if name in (".", "..", MANIFEST_FILE) or "/" in name or "\0" in name:
        raise BundleRejected(f"{name!r} is no file name of a bundle")
    content = read_plain(directory, name, MAX_FILE_BYTES)
    if len(content) != entry.size:
        raise BundleRejected(f"{name} has {len(content)} bytes, the manifest says {entry.size}")
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleRejected(f"{name} is not the file that was sealed: its sha256 differs")
    return content


def read_plain(directory: Path, name: str, limit: int) -> bytes:
    """Read a plain file of the directory itself: no link, no pipe, no device.

    Raises:
        BundleRejected: it cannot be read, caused by the system's error, or has more bytes than the limit.
    """
    try:
        with open(directory / name, "rb", opener=_open_plain) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleRejected(f"{name} is not a plain file")
            if status.st_size > limit:
                raise BundleRejected(f"{name} has {status.st_size} bytes, more than {limit}")
            return file.read()
    except OSError as error:
        raise BundleRejected(f"{name} cannot be read: {error.strerror}") from error


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
