"""Version labels: read strictly, noticed when they change, and answered by the version that has them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sigmax.changing import Repository

from sigmax.errors import BundleRejected, NotFound, NotReady
from sigmax.inference.catalog import Catalog, Entry, Label
from sigmax.inference.loading import load_entry, look
from sigmax.inference.readiness import Readiness
from sigmax.inference.status import Status
from sigmax.repository import labels
from sigmax.repository.watcher import Watcher

LONG_AFTER = 2**62


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture
def repository(workshop: Path, tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "models", workshop)
    made.publish(3)
    return made


def write(repository: Repository, content: Any) -> None:
    """As the documents say: beside, then renamed."""
    text = content if isinstance(content, str) else json.dumps(content)
    folder = repository.root / "small"
    (folder / ".labels.new").write_text(text)
    (folder / ".labels.new").rename(folder / "labels.json")


def test_a_model_without_the_file_has_no_labels(repository: Repository) -> None:
    assert labels.read(repository.root / "small") == {}


def test_labels_are_read_in_the_files_order_and_need_no_version(repository: Repository) -> None:
    write(repository, {"stable": 3, "Canary_2.x-y": 44})

    assert list(labels.read(repository.root / "small").items()) == [("stable", 3), ("Canary_2.x-y", 44)]


WRONG: dict[str, str] = {
    "[]": "labels.json is not a JSON object",
    "{": "labels.json is not JSON: ",
    '{"a": 1, "a": 2}': "labels.json is not JSON: a key stands twice",
    '{"a": NaN}': "labels.json is not JSON: NaN is not a JSON number",
    '{"3": 3}': "labels.json: label '3': use 1 to 64 of letters, digits, '_', '.' and '-', starting with a",
    '{"": 3}': "label '': use 1 to 64",
    '{"a/b": 3}': "label 'a/b': use 1 to 64",
    '{"a": "3", "b": true}': (
        "labels.json: label 'a': a version is a whole number of at least 1, not '3'; "
        "label 'b': a version is a whole number of at least 1, not 'True'"
    ),
    '{"a": 0}': "label 'a': a version is a whole number of at least 1, not '0'",
    '{"a": 3.0}': "label 'a': a version is a whole number of at least 1, not '3.0'",
    '{"a": {"version": 3}}': "label 'a': a version is a whole number",
    json.dumps({"a" * 65: 1}): "use 1 to 64 of letters",
    " " * 70_000: "labels.json has 70000 bytes, more than 65536",
}


@pytest.mark.parametrize(("content", "expected"), WRONG.items(), ids=range(len(WRONG)))
def test_a_broken_file_is_refused_with_what_is_wrong(
    repository: Repository, content: str, expected: str
) -> None:
    write(repository, content)

    with pytest.raises(BundleRejected) as refused:
        labels.read(repository.root / "small")

    assert expected in str(refused.value)


def test_a_link_in_the_place_of_the_file_is_refused(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"a": 3}')
    (repository.root / "small" / "labels.json").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BundleRejected, match=r"labels.json cannot be read"):
        labels.read(repository.root / "small")


def looked(repository: Repository, before: Entry) -> Entry:
    after = look(repository.root, before).entry
    assert after is not None
    return after


def test_a_look_finds_labels_that_came_changed_and_went_and_loads_nothing(repository: Repository) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("nothing is to be loaded")

    before = load_entry(repository.root, "small")
    for content in ({"stable": 3}, {"stable": 2, "canary": 3}, {}):
        write(repository, content)
        found = look(repository.root, before, never)
        assert found.entry is not None
        assert dict(found.entry.labels) == content
        assert found.entry.served is before.served
        assert look(repository.root, found.entry, never).entry is found.entry
    write(repository, {"stable": 3})
    labelled = looked(repository, before)
    (repository.root / "small" / "labels.json").unlink()

    assert looked(repository, labelled).labels == {}


def test_a_broken_file_leaves_the_labels_before_it_and_is_told(repository: Repository) -> None:
    write(repository, {"stable": 3})
    before = load_entry(repository.root, "small")
    write(repository, {"stable": "three"})

    after = looked(repository, before)

    assert dict(after.labels) == {"stable": 3}
    assert after.note == (
        "labels.json: label 'stable': a version is a whole number of at least 1, not 'three'; "
        "the labels before it stay"
    )
    write(repository, {"stable": 4})
    assert (looked(repository, after).note, dict(looked(repository, after).labels)) == ("", {"stable": 4})


def test_a_file_that_is_broken_from_the_start_keeps_no_version_from_answering(repository: Repository) -> None:
    write(repository, "{")

    entry = load_entry(repository.root, "small")

    assert entry.answers()
    assert entry.note.endswith("it has no labels")


def test_a_folder_that_vanishes_takes_no_label_away(repository: Repository) -> None:
    write(repository, {"stable": 3})
    before = load_entry(repository.root, "small")
    (repository.root / "small").rename(repository.root / "away")

    assert dict(looked(repository, before).labels) == {"stable": 3}


def in_place(folder: Path) -> None:
    status = (folder / "labels.json").stat()
    (folder / "labels.json").write_text('{"stable": 4}')
    os.utime(folder / "labels.json", ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], Any]] = {
    "renamed over the old one": lambda folder: (folder / ".new").rename(folder / "labels.json"),
    "written to in its place": in_place,
    "removed": lambda folder: (folder / "labels.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_watcher_tells_a_model_whose_labels_alone_changed(
    repository: Repository, change: Callable[[Path], Any]
) -> None:
    write(repository, {"stable": 3})
    (repository.root / "small" / ".new").write_text('{"stable": 4}')
    watching = Watcher(repository.root, now=lambda: LONG_AFTER)
    assert watching.changed() == {"small"}
    assert watching.changed() == set()

    change(repository.root / "small")

    assert watching.changed() == {"small"}
    assert watching.changed() == set()


@pytest.fixture
def catalog(repository: Repository) -> Catalog:
    repository.publish(4, good=False)
    write(repository, {"stable": 3, "canary": 4, "old": 2})
    return Catalog([load_entry(repository.root, "small")])


def test_a_label_of_the_version_that_answers_finds_it(catalog: Catalog) -> None:
    assert catalog.find("small", Label("stable")) is catalog.find("small")
    assert catalog.entry("small").answers(Label("stable"))


def test_a_label_of_another_version_says_which_one_answers(catalog: Catalog) -> None:
    with pytest.raises(NotFound) as refused:
        catalog.find("small", Label("old"))

    assert str(refused.value) == (
        "label 'old' is version 2: model 'small' has no version '2' ready, version 3 is"
    )
    with pytest.raises(NotFound, match="label 'old' is version 2"):
        catalog.entry("small").answers(Label("old"))


def test_a_label_of_a_version_that_was_refused_says_why(catalog: Catalog) -> None:
    with pytest.raises(NotReady, match=r"^label 'canary' is version 4: model 'small' version 4 was refu"):
        catalog.find("small", Label("canary"))

    assert not catalog.entry("small").answers(Label("canary"))


def test_an_unknown_label_is_not_found_with_those_that_there_are(catalog: Catalog) -> None:
    with pytest.raises(NotFound) as refused:
        catalog.find("small", Label("stabel"))

    assert str(refused.value) == (
        "model 'small' has no label 'stabel', did you mean 'stable'?; those that there are: "
        "'stable' (version 3), 'canary' (version 4), 'old' (version 2)"
    )


def test_a_label_is_no_version_and_a_version_no_label(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="no version 'stable' ready"):
        catalog.find("small", "stable")
    with pytest.raises(NotFound, match="no version 'labels/stable' ready"):
        catalog.find("small", str(Label("stable")) + "")
    with pytest.raises(NotFound, match="no label '3'"):
        catalog.find("small", Label("3"))


def test_a_model_without_labels_says_so() -> None:
    with pytest.raises(NotFound, match=r"has no label 'x'; it has none, labels\.json gives some"):
        Entry("small", None).number_of(Label("x"))


def test_the_status_has_the_labels(catalog: Catalog) -> None:
    said: dict[str, Any] = asyncio.run(Status(catalog, Readiness(catalog))())

    assert said["models"][0]["labels"] == {"stable": 3, "canary": 4, "old": 2}
