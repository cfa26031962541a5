"""What a control group grants is read from either version, at any depth."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigmax.runtime import machine
from sigmax.runtime.machine import Cores


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"),
    [(8, None, 8), (8, 2.0, 2), (8, 2.9, 2), (2, 4.0, 2), (8, 0.5, 1), (1, None, 1)],
)
def test_granted_is_what_can_be_kept_busy_and_at_least_one(
    affinity: int, quota: float | None, expected: int
) -> None:
    assert Cores(16, affinity, quota).granted == expected


def test_the_quota_of_version_2_is_read_where_the_process_is_and_above(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("0::/service/worker\n")
    root = tmp_path / "fs"
    write(root / "service" / "worker", cpu__max="max 100000\n")
    write(root / "service", cpu__max="150000 100000\n")

    assert machine.quota(root, membership) == 1.5


def test_the_quota_of_version_1_is_read_of_the_controller_for_cpu(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("4:memory:/box\n2:cpu,cpuacct:/box\n")
    root = tmp_path / "fs"
    write(root / "cpu" / "box", cpu__cfs_quota_us="300000\n", cpu__cfs_period_us="100000\n")

    assert machine.quota(root, membership) == 3.0


def test_inside_a_container_the_mounted_group_is_the_own_one(tmp_path: Path) -> None:
    """There the path of the membership is that of the host and leads nowhere."""
    membership = tmp_path / "cgroup"
    membership.write_text("0::/system.slice/docker-0123.scope\n")
    write(tmp_path / "fs", cpu__max="200000 100000\n", memory__max="1073741824\n")

    assert machine.quota(tmp_path / "fs", membership) == 2.0
    assert machine.memory_limit(tmp_path / "fs", membership) == 2**30


@pytest.mark.parametrize("text", ["max 100000\n", "-1\n", "", "nonsense"])
def test_without_a_limit_there_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path / "fs", cpu__max=text, memory__max="max\n")

    assert machine.quota(tmp_path / "fs", tmp_path / "none") is None
    assert machine.memory_limit(tmp_path / "fs", tmp_path / "none") is None


def test_the_memory_limit_of_version_1_that_is_none_is_none(tmp_path: Path) -> None:
    write(tmp_path / "fs" / "memory", memory__limit_in_bytes="9223372036854771712\n")

    assert machine.memory_limit(tmp_path / "fs", tmp_path / "none") is None
