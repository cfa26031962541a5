from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.sigmax.manifests import MULTICLASS
from tests.unit.sigmax.repository.test_bundle import files

from sigmax.errors import BundleRejected
from sigmax.repository import layout


def proved(path: Path) -> None:
    """A proof that always succeeds."""


def test_versions_are_numbers_and_everything_else_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    for name in ("1", "10", "9", "01", "0", "-1", "1.0", "１", "x", ".staging-1", "1" * 19, "2 "):  # noqa: RUF001
        (folder / name).mkdir(parents=True)
    (folder / "3").write_text("a file")

    assert layout.versions(tmp_path, "small") == [10, 9, 1]
    assert layout.versions(tmp_path, "none") == []


def test_names_are_model_names_and_everything_else_is_passed_over(tmp_path: Path) -> None:
    for name in ("iris", "a-b_c", ".git", "Upper", "lost+found"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")

    assert layout.names(tmp_path) == ["a-b_c", "iris"]


def test_publishing_takes_the_next_version_and_leaves_nothing_else(tmp_path: Path) -> None:
    first = layout.publish(tmp_path, MULTICLASS, files(), proved)
    second = layout.publish(tmp_path, MULTICLASS, files(), proved)

    assert (first.version, second.version) == (1, 2)
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == ["1", "2"]
    assert '"version": 2' in (second.path / "manifest.json").read_text()
    assert second.path.stat().st_mode & 0o777 == 0o755


def test_a_proof_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        assert (path / "manifest.json").is_file()
        raise BundleRejected("row 3 differs")

    with pytest.raises(BundleRejected, match="row 3 differs"):
        layout.publish(tmp_path, MULTICLASS, files(), refuse)

    assert list(tmp_path.iterdir()) == []


def test_a_version_is_never_seen_before_it_is_whole(tmp_path: Path) -> None:
    seen: list[list[int]] = []

    layout.publish(
        tmp_path, MULTICLASS, files(), lambda path: seen.append(layout.versions(tmp_path, "small"))
    )

    assert seen == [[]]


def test_a_publisher_that_comes_second_takes_the_version_after(tmp_path: Path) -> None:
    raced: list[int] = []

    def overtaken(path: Path) -> None:
        if not raced:
            raced.append(layout.publish(tmp_path, MULTICLASS, files(), proved).version)

    slow = layout.publish(tmp_path, MULTICLASS, files(), overtaken)

    assert raced == [1]
    assert slow.version == 2
    assert '"version": 2' in (slow.path / "manifest.json").read_text()


def test_publishers_side_by_side_get_versions_of_their_own(tmp_path: Path) -> None:
    versions: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: versions.append(layout.publish(tmp_path, MULTICLASS, files(), proved).version)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(versions) == [1, 2, 3, 4]


def test_a_file_in_the_place_of_the_next_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "1").write_text("mine")

    assert layout.publish(tmp_path, MULTICLASS, files(), proved).version == 2
    assert (tmp_path / "small" / "1").read_text() == "mine"


def test_a_fingerprint_finds_its_version_past_broken_ones(tmp_path: Path) -> None:
    layout.publish(tmp_path, replace(MULTICLASS, fingerprint="a"), files(), proved)
    layout.publish(tmp_path, replace(MULTICLASS, fingerprint="b"), files(), proved)
    broken = layout.publish(tmp_path, replace(MULTICLASS, fingerprint="a"), files(), proved)
    (broken.path / "manifest.json").write_text("{")

    assert [found.version for found in layout.published_as(tmp_path, "small", "a")] == [1]
    assert list(layout.published_as(tmp_path, "small", "c")) == []


def test_what_a_killed_publisher_left_is_swept_a_day_later(tmp_path: Path) -> None:
    old, fresh = tmp_path / "small" / ".staging-old", tmp_path / "small" / ".staging-new"
    old.mkdir(parents=True)
    fresh.mkdir()
    os.utime(old, (0, 0))

    layout.publish(tmp_path, MULTICLASS, files(), proved)

    assert not old.exists()
    assert fresh.exists()
