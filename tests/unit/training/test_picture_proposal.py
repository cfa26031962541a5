"""`sigmax-train init`: a folder is looked at, and the job that is written runs as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner, Result
from tests import pictures as files
from tests.conftest import JOBS
from tests.pictures import encoded, noise

from sigmax.contract import Colour
from sigmax.errors import InvalidInput
from sigmax.repository import bundle
from sigmax_training import job as jobs
from sigmax_training.cli import cli
from sigmax_training.job import Logistic, Pictures
from sigmax_training.picture_proposal import Look, chosen_size, look_at
from sigmax_training.proposal import job_name


def fill(root: Path, counts: dict[str, int], shape: tuple[int, ...] = (12, 20, 3)) -> Path:
    """A folder of noise, so many pictures a class."""
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"{number}.png").write_bytes(encoded(noise(*shape, seed=number)))
    return root


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), auto_envvar_prefix="SIGMAX_TRAIN")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "counts",
    [{"cat": 2, "dog": 2}, {"a": 2, "b": 2, "c": 2}, {"a": 3, "b": 9}, {str(n): 2 for n in range(12)}],
)
def test_the_job_that_is_written_trains_as_it_is(here: Path, counts: dict[str, int]) -> None:
    fill(here / "My Photos!", counts)

    written = call("init", "My Photos!")
    trained = call("run", "my_photos.toml", "--quiet")

    assert written.exit_code == 0, written.output
    assert trained.exit_code == 0, trained.output
    manifest = bundle.read(here / "models" / "my_photos" / "1").manifest
    assert sorted(manifest.classes) == sorted(counts)
    assert manifest.image is not None
    assert (manifest.image.height, manifest.image.width) == (12, 20)


def test_what_was_seen_and_what_to_do_next_is_told(here: Path) -> None:
    fill(here / "photos", {"cat": 3, "elephant": 4})

    result = call("init", "photos", "--output", "jobs of mine.toml")

    assert result.stdout.splitlines() == [
        "photos: 7 pictures of 2 classes, typically 20x12 pixels in colour",
        "  cat       3",
        "  elephant  4",
        "wrote jobs of mine.toml; next:",
        "  sigmax-train run 'jobs of mine.toml'",
        "  sigmax serve",
    ]


def test_what_is_chosen_is_explained_where_it_stands(here: Path) -> None:
    fill(here / "photos", {"cat": 3, "dog": 4})
    (here / "jobs").mkdir()

    call("init", "photos", "--output", "jobs/cats.toml")

    text = (here / "jobs" / "cats.toml").read_text()
    assert "# Which of 2 classes a picture shows: 'cat' 3, 'dog' 4." in text
    assert "size = [12, 20]  # [height, width] of what the model sees; 12 x 20 is typical" in text
    assert "folds = 3  # at most 3, the pictures of the smallest class" in text
    job = jobs.read(here / "jobs" / "cats.toml")
    assert isinstance(job.data, Pictures)
    assert job.data.images.resolve() == here / "photos"
    assert isinstance(job.estimator, Logistic)


def test_a_file_that_is_there_is_never_overwritten(here: Path) -> None:
    fill(here / "photos", {"cat": 2, "dog": 2})
    (here / "photos.toml").write_text("mine")

    result = call("init", "photos")

    assert result.exit_code == 1
    assert "error: photos.toml: is there already, and is left as it is" in result.stderr
    assert (here / "photos.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, "holds no folders: put the pictures of each class into a folder of its name"),
        ({"cat": 2}, "the only class is 'cat'; two classes are needed"),
        ({"cat": 2, "dog": 1}, "class 'dog' has one picture; at least two are needed"),
        ({"cat": 2, "dog": 0}, "class 'dog': its folder holds no picture"),
    ],
)
def test_a_folder_that_no_job_could_train_on_is_refused(
    here: Path, counts: dict[str, int], expected: str
) -> None:
    (here / "photos").mkdir()
    fill(here / "photos", counts)

    result = call("init", "photos")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: photos: ")
    assert expected in result.stderr
    assert not (here / "photos.toml").exists()


def test_files_that_are_no_pictures_are_named(here: Path) -> None:
    fill(here / "photos", {"cat": 2, "dog": 2})
    (here / "photos" / "cat" / "notes.txt").write_text("x")
    (here / "photos" / "dog" / "moving.png").write_bytes(files.animated())

    text = call("init", "photos").stderr

    assert "cat/notes.txt: the picture is text" in text
    assert "dog/moving.png: the picture is an animated PNG" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("none",), "error: none: data 'none' cannot be read: No such file or directory"),
        (("photos", "--output", "no/such.toml"), "cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_read_or_written_is_said_without_a_traceback(
    here: Path, arguments: tuple[str, ...], expected: str
) -> None:
    fill(here / "photos", {"cat": 2, "dog": 2})

    result = call("init", *arguments)

    assert result.exit_code == 1
    assert expected in result.stderr
    assert "Traceback" not in result.output


def test_pictures_without_colour_are_grey_however_they_are_stored(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(2):
            grey = PIL.Image.fromarray(noise(16, 16, seed=number))
            (tmp_path / label / f"{number}.png").write_bytes(encoded(grey))
            (tmp_path / label / f"{number}.jpg").write_bytes(encoded(grey.convert("RGB"), "JPEG"))
    assert look_at(tmp_path).grey

    coloured = np.dstack([noise(16, 16), noise(16, 16), np.zeros((16, 16), np.uint8)])
    (tmp_path / "a" / "colour.png").write_bytes(encoded(coloured))

    assert not look_at(tmp_path).grey


def test_the_digits_are_proposed_in_grey_and_in_their_own_size(here: Path) -> None:
    result = call("init", JOBS / "digits_png", "--output", "digits.toml")

    assert result.exit_code == 0, result.output
    job = jobs.read(here / "digits.toml")
    assert isinstance(job.data, Pictures)
    assert (job.data.size, job.data.colour) == ((8, 8), Colour.GREY)
    assert (job.name, job.evaluation.folds, job.evaluation.test_fraction) == ("digits_png", 5, 0.2)


def test_the_typical_size_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(2):
            content = encoded(noise(6, 10, 3, seed=number), "JPEG", exif=files.exif(6))
            (tmp_path / label / f"{number}.jpg").write_bytes(content)

    look = look_at(tmp_path)

    assert (look.height, look.width) == (10, 6)


@pytest.mark.parametrize(
    ("height", "width", "total", "expected"),
    [
        (8, 8, 100, (8, 8)),
        (3000, 4000, 100, (48, 64)),
        (4000, 3000, 100, (64, 48)),
        (10, 4000, 100, (1, 64)),
        (3000, 4000, 10_000, (29, 39)),
    ],
)
def test_the_size_keeps_the_shape_and_stays_small(
    height: int, width: int, total: int, expected: tuple[int, int]
) -> None:
    assert chosen_size(Look({"a": total}, height, width, grey=False)) == expected


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("Photos of Cats & Dogs", "photos_of_cats_dogs"),
        ("Grüße", "grue"),
        ("사진", "pictures"),
        ("--x--", "x"),
        ("a" * 100, "a" * 64),
        ("2024-05", "2024-05"),
    ],
)
def test_the_name_is_made_of_the_folders(tmp_path: Path, folder: str, expected: str) -> None:
    assert job_name(tmp_path / folder) == expected


def test_the_folder_one_is_in_can_be_named_by_a_dot(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fill(here / "photos", {"cat": 2, "dog": 2}))

    result = call("init", ".", "--output", "../cats.toml")

    assert result.exit_code == 0, result.output
    assert jobs.read(here / "cats.toml").name == "photos"


def test_a_folder_whose_name_is_no_text_is_refused(here: Path) -> None:
    fill(here / "photos\udcff", {"cat": 2, "dog": 2})

    result = call("init", "photos\udcff", "--output", "job.toml")

    assert result.exit_code == 1
    assert "is not UTF-8" in result.stderr
    assert not (here / "job.toml").exists()


def test_what_is_wrong_with_a_folder_is_one_error() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        look_at(Path("/does/not/exist"))
