from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sigmax.changing import Repository

from sigmax.errors import BundleRejected
from sigmax.inference import loading
from sigmax.inference.catalog import Entry, Served, open_version
from sigmax.inference.loading import Looked, load_catalog, look

NEW = Entry("small", None)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture
def repository(workshop: Path, tmp_path: Path) -> Repository:
    return Repository(tmp_path / "models", workshop)


def seen(repository: Repository, before: Entry = NEW) -> Entry:
    """What the model is when everything has settled."""
    entry = before
    for _ in range(2 * loading.ATTEMPTS):
        looked = look(repository.root, entry)
        entry = looked.entry or NEW
        if looked.again is None:
            return entry
    raise AssertionError("it is looked at for ever")


def version(entry: Entry) -> str | None:
    return entry.served.version if entry.served else None


class Counting:
    """Opens versions and counts which."""

    def __init__(self, *failures: BundleRejected) -> None:
        self.opened: list[int] = []
        self._failures = list(failures)

    def __call__(self, path: Path, name: str, number: int) -> Served:
        self.opened.append(number)
        if self._failures:
            raise self._failures.pop(0)
        return open_version(path, name, number)


def test_a_higher_version_answers_and_what_had_the_lower_one_keeps_it(repository: Repository) -> None:
    repository.publish(1)
    first = seen(repository)
    repository.publish(2)

    second = seen(repository, first)

    assert (version(first), version(second)) == ("1", "2")
    assert second.since >= first.since > 0


def test_a_look_without_a_change_loads_nothing_and_gives_the_very_same(repository: Repository) -> None:
    repository.publish(1)
    repository.publish(2, good=False)
    entry, counting = seen(repository), Counting()

    assert look(repository.root, entry, counting) == Looked(entry)
    assert counting.opened == []


def test_a_bad_version_leaves_the_one_that_answers_with_the_reason(repository: Repository) -> None:
    repository.publish(1)
    first = seen(repository)
    repository.publish(2, good=False)

    looked = look(repository.root, first)

    assert looked.entry is not None
    assert looked.entry.served is first.served
    assert looked.entry.since == first.since
    assert "row 0, class 'z'" in looked.entry.rejected[2]
    assert looked.refused == (2,)
    assert looked.again is None


def test_a_lower_version_published_later_does_not_answer(repository: Repository) -> None:
    repository.publish(5)
    first = seen(repository)
    repository.publish(3)

    assert seen(repository, first) is first


def test_taking_the_highest_away_goes_back_to_the_next_good_one(repository: Repository) -> None:
    repository.publish(1)
    repository.publish(2, good=False)
    repository.publish(3)
    third = seen(repository)
    repository.delete(3)

    first = seen(repository, third)

    assert (version(third), version(first)) == ("3", "1")
    assert list(first.rejected) == [2]


def test_a_version_whose_files_vanish_answers_from_memory_until_another_is_proved(
    repository: Repository,
) -> None:
    repository.publish(2)
    second = seen(repository)

    shutil.rmtree(repository.root)
    alone = seen(repository, second)
    repository.publish(1)
    back = seen(repository, alone)

    assert alone.served is second.served
    assert (alone.note, second.note, back.note) == (loading.GONE, "", "")
    assert version(back) == "1"


def test_files_that_vanish_and_return_are_not_loaded_again(repository: Repository) -> None:
    repository.publish(1)
    first, counting = seen(repository), Counting()

    repository.root.rename(repository.root.with_name("away"))
    alone = look(repository.root, first, counting).entry
    repository.root.with_name("away").rename(repository.root)
    assert alone is not None
    back = look(repository.root, alone, counting).entry

    assert back is not None
    assert back.served is first.served
    assert (alone.note, back.note, counting.opened) == (loading.GONE, "", [])


def test_a_model_that_never_answered_and_vanishes_is_forgotten(repository: Repository) -> None:
    repository.publish(1, good=False)
    refused = seen(repository)
    shutil.rmtree(repository.root / "small")

    assert look(repository.root, refused).entry is None


def test_damaged_files_of_the_version_that_answers_are_told_and_do_not_end_it(repository: Repository) -> None:
    repository.publish(1)
    repository.publish(2)
    second = seen(repository)
    repository.corrupt(2)

    damaged = seen(repository, second)

    assert damaged.served is second.served
    assert damaged.rejected[2].startswith("its files have changed since it was loaded: model.onnx has")
    assert damaged.describe()["model_version_status"][0]["state"] == "AVAILABLE"
    assert seen(repository, damaged) is damaged


def test_files_that_were_touched_are_not_loaded_again(repository: Repository) -> None:
    folder = repository.publish(1)
    first, counting = seen(repository), Counting()
    os.utime(folder / "model.onnx", (1, 1))

    after = look(repository.root, first, counting).entry

    assert after is not None
    assert after.served is first.served
    assert after.rejected == {}
    assert counting.opened == []


def test_another_bundle_with_the_same_version_number_is_loaded(
    repository: Repository, tmp_path: Path
) -> None:
    repository.publish(1)
    first = seen(repository)
    other = Repository(tmp_path / "other", tmp_path / "workshop").publish(1)
    manifest = (other / "manifest.json").read_text()
    repository.delete(1)
    shutil.copytree(other, repository.folder(1))
    (repository.folder(1) / "manifest.json").write_text(manifest.replace('"made up"', '"made anew"'))

    again = seen(repository, first)

    assert again.served is not None
    assert again.served is not first.served
    assert again.served.manifest.provenance == {"data": "made anew"}


def test_a_bad_bundle_under_the_number_of_the_version_that_answers_leaves_it(repository: Repository) -> None:
    repository.publish(1)
    repository.publish(2)
    second = seen(repository)
    repository.delete(2)
    repository.publish(2, good=False)

    after = seen(repository, second)

    assert after.served is second.served
    assert after.note == ""
    assert "row 0, class 'z'" in after.rejected[2]
    assert [status["state"] for status in after.describe()["model_version_status"]] == ["AVAILABLE"]


def test_a_refused_version_is_read_again_once_its_files_have_changed_and_then_stay(
    repository: Repository,
) -> None:
    whole = repository.publish(1) / "model.onnx"
    content = whole.read_bytes()
    whole.write_bytes(content[:10])
    entry = look(repository.root, NEW).entry
    counting = Counting()
    agains = []

    for size in (20, 30, len(content)):  # as it is copied
        assert entry is not None
        whole.write_bytes(content[:size])
        looked = look(repository.root, entry, counting)
        entry = looked.entry
        agains.append(looked.again)
    assert counting.opened == []
    assert entry is not None
    settled = look(repository.root, entry, counting)

    assert agains == [loading.SETTLE_SECONDS] * 3
    assert counting.opened == [1]
    assert settled.entry is not None
    assert version(settled.entry) == "1"
    assert settled.entry.rejected == {}


def test_a_version_without_a_manifest_is_not_read(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    repository.publish(1)
    manifest = repository.publish(2) / "manifest.json"
    manifest.rename(repository.root / "manifest.json")
    counting = Counting()

    looked = look(repository.root, NEW, counting)

    assert looked.entry is not None
    assert (version(looked.entry), counting.opened) == ("1", [1])
    assert looked.entry.rejected == {2: "it has no manifest.json"}
    assert looked.refused == ()
    (repository.root / "manifest.json").rename(manifest)
    assert version(seen(repository, looked.entry)) == "2"
    assert [record.levelname for record in caplog.records if "no manifest" in record.message] == ["WARNING"]


def unreadable(number: int) -> BundleRejected:
    error = BundleRejected("model.onnx cannot be read: …")
    error.__cause__ = OSError(number, os.strerror(number))
    return error


def test_reading_that_fails_for_a_reason_that_may_pass_is_tried_again_later_and_later(
    repository: Repository,
) -> None:
    repository.publish(1)
    counting = Counting(*[unreadable(errno.ESTALE)] * 3)
    entry, agains = NEW, []

    while version(entry) is None:
        looked = look(repository.root, entry, counting)
        agains.append(looked.again)
        assert looked.entry is not None
        entry = looked.entry

    assert agains == [1, 2, 4, None]
    assert entry.rejected == {}


def test_it_is_not_tried_for_ever_until_the_files_change(repository: Repository) -> None:
    folder = repository.publish(1)
    counting = Counting(*[unreadable(errno.EIO)] * loading.ATTEMPTS)
    entry = NEW

    agains = []
    for _ in range(3 * loading.ATTEMPTS):
        looked = look(repository.root, entry, counting)
        entry = looked.entry or NEW
        agains.append(looked.again)
    assert [again for again in agains if again is not None] == [1, 2, 4, 8]
    assert counting.opened == [1] * loading.ATTEMPTS
    os.utime(folder / "model.onnx", (1, 1))

    assert version(seen(repository, entry)) == "1"


def test_what_cannot_pass_by_itself_is_not_tried_again(repository: Repository) -> None:
    repository.publish(1)
    counting = Counting(unreadable(errno.EACCES))

    refused = look(repository.root, NEW, counting)

    assert refused.again is None
    assert refused.entry is not None
    assert look(repository.root, refused.entry, counting) == Looked(refused.entry)


def test_a_folder_that_cannot_be_read_is_said_and_changes_nothing(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(1)
    first = seen(repository)

    def failing(path: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as broken:
        broken.setattr(os, "scandir", failing)
        noted = look(repository.root, first).entry
        assert noted is not None
        assert look(repository.root, noted).entry is noted

    assert (noted.note, noted.served) == ("its folder cannot be read: Permission denied", first.served)
    assert seen(repository, noted).note == ""


def test_an_unforeseen_error_is_in_the_log_alone(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    repository.publish(1)

    def failing(path: Path, name: str, number: int) -> Served:
        raise RuntimeError("secret=hunter2")

    with caplog.at_level(logging.ERROR):
        entry = look(repository.root, NEW, failing).entry

    assert entry is not None
    assert entry.rejected == {1: "an unforeseen error, which is in the log"}
    assert "hunter2" in caplog.text


def test_a_catalog_is_loaded_with_every_model(repository: Repository) -> None:
    repository.publish(1)
    repository.publish(1, name="other", good=False)
    (repository.root / "empty").mkdir()

    catalog = load_catalog(repository.root)

    assert [entry.name for entry in catalog.entries] == ["empty", "other", "small"]
    assert catalog.ready_names == ["small"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 5), st.booleans()),
        st.tuples(st.sampled_from(["corrupt", "delete"]), st.integers(1, 5), st.none()),
        st.tuples(st.just("roll back"), st.none(), st.none()),
    ),
    max_size=12,
)


class Expected:
    """What must be served: which versions lie there, whether each is good, and which one answers."""

    def __init__(self) -> None:
        self.there: dict[int, bool] = {}
        self.served: int | None = None

    def look(self) -> None:
        for number in sorted(self.there, reverse=True):
            if number == self.served or self.there[number]:
                self.served = number
                return


def take(step: tuple[str, int | None, bool | None], repository: Repository, expected: Expected) -> None:
    """Do one thing to the repository and to what is expected, if it can be done."""
    what, number, good = step
    if what == "roll back":
        number = max(expected.there, default=None)
    if number is None or (what == "publish") == (number in expected.there):
        return
    if what == "publish":
        repository.publish(number, bool(good))
        expected.there[number] = bool(good)
    elif what == "corrupt":
        repository.corrupt(number)
        expected.there[number] = False
    else:
        repository.delete(number)
        del expected.there[number]


@settings(max_examples=60)
@given(steps=STEPS, looks=st.lists(st.booleans(), min_size=12, max_size=12))
def test_whatever_is_published_broken_and_taken_away_the_right_version_answers(
    workshop: Path, steps: list[Any], looks: list[bool]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository, expected, entry = Repository(Path(folder), workshop), Expected(), NEW
        for step, looked in zip(steps, looks, strict=False):
            take(step, repository, expected)
            if looked or step == steps[-1]:
                entry = seen(repository, entry)
                expected.look()
                assert version(entry) == (str(expected.served) if expected.served else None)
                assert_explained(entry, expected)


def assert_explained(entry: Entry, expected: Expected) -> None:
    """Every version above the one that answers is refused; one that answers though it is gone says so."""
    served = expected.served
    above = {number for number in expected.there if served is None or number > served}
    if served is not None and served not in expected.there:
        assert entry.note == loading.GONE
        assert set(entry.rejected) == set(expected.there)
    else:
        assert entry.note == ""
        assert set(entry.rejected) - {served} == above
