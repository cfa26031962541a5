"""What this machine grants a service: cores, memory, open files; read, never changed."""

from __future__ import annotations

import math
import os
import resource
from dataclasses import dataclass
from pathlib import Path

FEWEST_FILES = 128
"""Open files below which a worker does not start: its libraries, the doors and some connections."""

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT = 2**60  # what version 1 says where there is none, and more


@dataclass(frozen=True, slots=True)
class Cores:
    """How many cores there are, for whom.

    Attributes:
        seen: of the machine.
        affinity: that this process may run on.
        quota: that its control group may use, in cores; None without a limit.
    """

    seen: int
    affinity: int
    quota: float | None

    @property
    def granted(self) -> int:
        """How many can be kept busy; a part of a core is none, but there is always one."""
        limit = self.affinity if self.quota is None else min(self.affinity, math.floor(self.quota))
        return max(limit, 1)


def cores(root: Path = _ROOT) -> Cores:
    """The cores; `root` is where control groups are mounted."""
    seen = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else seen
    return Cores(seen, affinity, quota(root))


def quota(root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> float | None:
    """The tightest limit of this process's control groups in cores, of version 2 or 1; None without one."""
    limits = [limit for folder in _folders("cpu", root, membership) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def memory_limit(root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> int | None:
    """The tightest limit of this process's control groups in bytes, of version 2 or 1; None without one."""
    texts = [
        _read(folder / name).strip()
        for folder in _folders("memory", root, membership)
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    return min((int(text) for text in texts if text.isdigit() and int(text) < _NO_LIMIT), default=None)


def memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes of memory that the machine has; 0 where it does not say."""
    for line in _read(meminfo).splitlines():
        if line.startswith("MemTotal:"):
            return 1024 * int(line.split()[1])
    return 0


def _folders(controller: str, root: Path, membership: Path) -> list[Path]:
    """Where limits stand: this process's groups and those around them, as far as they are visible."""
    found = [root, root / controller]
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        own = controller in controllers.split(",")
        base = root if not controllers else root / controller if own else None
        if base is not None:
            group = base / path.lstrip("/")
            found += [group, *(parent for parent in group.parents if parent.is_relative_to(base))]
    return found


def _limit(folder: Path) -> float | None:
    allowed, _, period = _read(folder / "cpu.max").strip().partition(" ")
    if not allowed:
        allowed = _read(folder / "cpu.cfs_quota_us").strip()
        period = _read(folder / "cpu.cfs_period_us").strip()
    try:
        cores = int(allowed) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return cores if cores > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def open_files() -> tuple[int, int]:
    """How many files a process may have open: the limit, and up to where it may be raised."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def raise_open_files() -> None:
    """Raise the limit as far as it goes, for this process and those that it starts.

    Raises:
        OSError: it is too low for a worker to start.
    """
    soft, hard = open_files()
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < FEWEST_FILES:
        raise OSError(f"{hard} open files are allowed, a worker needs {FEWEST_FILES}: raise `ulimit -n`")
