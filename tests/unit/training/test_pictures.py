"""Picture files as a data set: a folder a class or a CSV file, and every wrong file is named."""

from __future__ import annotations

import json
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from rich.console import Console
from tests import pictures as files
from tests.conftest import JOBS
from tests.pictures import encoded, noise

from sigmax.contract import Colour, Image, Resize
from sigmax.errors import InvalidInput
from sigmax.pictures import decode
from sigmax_training import data, pipeline
from sigmax_training import job as jobs
from sigmax_training.data import photographs
from sigmax_training.data.dataset import Dataset
from sigmax_training.data.held import By
from sigmax_training.data.pictures import load as load_pictures
from sigmax_training.data.pictures import originals
from sigmax_training.job import Photographs, Pictures
from sigmax_training.progress import Silent


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of three pictures, PNG and JPEG, each of a size of its own."""
    root = tmp_path / "photos"
    for code, label in enumerate(("cat", "dog")):
        (root / label).mkdir(parents=True)
        for number in range(3):
            kind = "PNG" if number else "JPEG"
            pixels = noise(5 + number, 7 + code, 3, seed=10 * code + number)
            (root / label / f"{number}.{kind.lower()}").write_bytes(encoded(pixels, kind))
    return root


def load(root: Path, size: tuple[int, int] = (4, 6), **settings: object) -> Dataset:
    return load_pictures(replace(Pictures(root, size), **settings))  # type: ignore[arg-type]


def refused(root: Path) -> str:
    with pytest.raises(InvalidInput) as error:
        load(root)
    return str(error.value)


def test_a_folder_for_each_class_becomes_rows_of_pixels_as_the_service_decodes_them(photos: Path) -> None:
    found = load(photos)

    image = Image(Colour.RGB, "CHW", 4, 6, Resize.BILINEAR, 1 / 255)
    assert found.classes == ("cat", "dog")
    assert found.codes.tolist() == [0, 0, 0, 1, 1, 1]
    assert (found.features.dtype, found.features.shape) == (np.dtype(np.uint8), (6, 72))
    assert [path.parent.name for path in found.files] == ["cat"] * 3 + ["dog"] * 3
    for row, path in zip(found.features, found.files, strict=True):
        assert row.tolist() == decode(path.read_bytes(), image).tolist()


def test_the_rows_are_one_image_block_with_the_settings_of_the_job(photos: Path) -> None:
    found = load(photos, colour=Colour.GREY, resize=Resize.LANCZOS, flips=True)

    (block,) = found.blocks
    assert (block.name, block.shape, block.dtype, block.range) == ("image", (1, 4, 6), "uint8", (0.0, 255.0))
    assert block.image == Image(Colour.GREY, "CHW", 4, 6, Resize.LANCZOS, 1 / 255)
    assert found.flips
    assert found.description == "6 pictures of photos as 6x4 pixels (GREY, lanczos)"


def test_the_digest_does_not_depend_on_the_names_of_the_files(photos: Path) -> None:
    before = load(photos).sha256
    (photos / "cat" / "0.jpeg").rename(photos / "cat" / "z.JPG")
    (photos / "cat" / "2.png").rename(photos / "cat" / "0 (copy).png")
    moved = photos.rename(photos.with_name("elsewhere"))

    assert load(moved).sha256 == before


def test_the_digest_depends_on_pixels_labels_size_and_colour(photos: Path) -> None:
    before = {load(photos).sha256}
    before.add(load(photos, size=(6, 4)).sha256)
    before.add(load(photos, colour=Colour.HSV).sha256)
    (photos / "cat" / "1.png").rename(photos / "dog" / "x.png")
    before.add(load(photos).sha256)
    (photos / "dog" / "x.png").write_bytes(encoded(noise(5, 5, 3, seed=99)))
    before.add(load(photos).sha256)

    assert len(before) == 5


def test_hidden_files_and_what_file_managers_leave_are_passed_over(photos: Path) -> None:
    before = load(photos).sha256
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "cat/.DS_Store", "cat/._0.jpeg", "dog/Thumbs.db"):
        (photos / name).write_bytes(b"x")
    (photos / ".cache").mkdir()
    (photos / "__MACOSX").mkdir()

    assert load(photos).sha256 == before


def test_every_wrong_file_is_named_at_once(photos: Path) -> None:
    (photos / "notes.txt").write_text("x")
    (photos / "cat" / "notes.txt").write_text("about cats")
    (photos / "cat" / "moving.png").write_bytes(files.animated())
    (photos / "dog" / "cut.jpg").write_bytes(files.RIGHT_JPEG[:-40])
    (photos / "dog" / "more").mkdir()
    (photos / "dog" / "gone.png").symlink_to("nowhere.png")
    (photos / "bird").mkdir()

    text = refused(photos)

    for part in (
        "notes.txt lies in no folder of a class",
        "cat/notes.txt: the picture is text; send the bytes of a PNG or JPEG file",
        "cat/moving.png: the picture is an animated PNG",
        "dog/cut.jpg: the picture is a damaged JPEG",
        "dog/more is a folder; pictures lie in the folder of their class itself",
        "dog/gone.png: cannot be read: No such file or directory",
        "class 'bird': its folder holds no picture",
    ):
        assert part in text
    assert "/tmp" not in text


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), "data 'root' holds no folders: put the pictures of each class into a folder of its name"),
        (("cat/1", "cat/2"), "the target is constant: every row is 'cat'; two classes are needed"),
        (("cat/1", "cat/2", "dog/1"), "class 'dog' has one row; at least two are needed"),
        (("a\nb/1", "a\nb/2", "c/1", "c/2"), r"class 'a\nb': its name has characters that cannot be shown"),
    ],
)
def test_a_folder_that_is_no_data_set_is_refused(
    tmp_path: Path, names: tuple[str, ...], expected: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{name}.png").write_bytes(files.RIGHT_PNG)

    assert expected in refused(root)


def test_a_folder_that_is_not_there_or_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert refused(tmp_path / "none") == "data 'none' cannot be read: No such file or directory"
    assert refused(tmp_path / "file") == "data 'file' cannot be read: Not a directory"


def test_a_name_that_is_no_text_is_refused_and_not_served(photos: Path) -> None:
    (photos / "cat").rename(photos / "c\udcff")

    assert "its name has characters that cannot be shown" in refused(photos)


def test_a_class_is_called_the_same_however_its_characters_are_composed(photos: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "고양이") for form in ("NFC", "NFD"))
    (photos / "cat").rename(photos / decomposed)

    assert load(photos).classes == ("dog", composed)

    shutil.copytree(photos / decomposed, photos / composed)
    assert "class '고양이' has two folders whose names look alike" in refused(photos)


def test_classes_that_are_numbers_stand_by_their_value(tmp_path: Path) -> None:
    for label in ("10", "9", "2"):
        (tmp_path / label).mkdir()
        for number in range(2):
            (tmp_path / label / f"{number}.png").write_bytes(encoded(noise(3, 3, seed=number)))

    assert load(tmp_path).classes == ("2", "9", "10")


@pytest.fixture
def listing(photos: Path) -> Path:
    """A CSV file of the same pictures, with a column that nobody asks for."""
    paths = sorted(photos.glob("*/*"))
    lines = [f"{path.relative_to(photos.parent)}, {path.parent.name} ,me\n" for path in paths]
    (photos.parent / "list.csv").write_text("file,label,photographer\n" + "".join(lines), "utf-8-sig")
    return photos.parent / "list.csv"


def load_list(path: Path) -> Dataset:
    return load(path, target="label", image="file")


def refused_list(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    with pytest.raises(InvalidInput) as error:
        load_list(path)
    return str(error.value)


def test_a_csv_file_of_paths_gives_the_rows_of_the_folder(listing: Path, photos: Path) -> None:
    assert load_list(listing).sha256 == load(photos).sha256


def test_pictures_of_a_list_are_divided_by_a_column_of_it(listing: Path) -> None:
    header, *lines = listing.read_text("utf-8-sig").splitlines()
    days = [f"{line},2026-01-{2 - number % 2:02}" for number, line in enumerate(lines)]
    listing.write_text("\n".join([f"{header},day", *days]))
    source = Pictures(listing, (8, 8), target="label", image="file")

    grouped = load_pictures(source, By("day"))
    timed = load_pictures(source, By("day", times=True))

    assert grouped.groups is not None
    assert timed.times is not None
    assert len(set(grouped.groups.tolist())) == 2
    assert sorted(set(timed.times.tolist()))[1] - min(timed.times) == 86_400_000_000
    by_group = dict(zip(grouped.files, grouped.groups.tolist(), strict=True))
    by_time = dict(zip(timed.files, timed.times.tolist(), strict=True))
    assert len({(by_group[path], by_time[path]) for path in by_group}) == 2


def test_a_key_that_a_list_of_pictures_lacks_is_named(listing: Path) -> None:
    source = Pictures(listing, (8, 8), target="label", image="file")

    with pytest.raises(InvalidInput, match=r"there is no evaluation.key column 'day'"):
        load_pictures(source, By("day"))
    with pytest.raises(InvalidInput, match="line 2, key 'photographer': 'me' is neither a number nor a time"):
        load_pictures(source, By("photographer", times=True))


def test_the_paths_of_a_csv_file_may_be_absolute_and_decomposed(listing: Path, photos: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "고양이.png")
    (photos / "cat" / "1.png").rename(photos / "cat" / decomposed)
    lines = listing.read_text("utf-8-sig").replace("cat/1.png", "cat/고양이.png")
    listing.write_text(lines.replace("photos/dog/1.png", str(photos / "dog" / "1.png")))

    assert load_list(listing).sha256 == load(photos).sha256


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "data 'list.csv' is empty: a header and rows are needed"),
        ("file,label\n", "data 'list.csv' is empty: a header and rows are needed"),
        ("fil,label\na,b\n", "there is no image column 'file', did you mean 'fil'?"),
        ("file,labl\na,b\n", "there is no target column 'label', did you mean 'labl'?"),
        ("file,label,file\na,b,c\n", "column 'file' stands 2 times"),
        ("file,label\nnone.png,x\n", "line 2, none.png: is not there"),
        ("file,label\n,x\n", "line 2: the path of the picture is empty"),
        ("file,label\nphotos/cat/1.png,\n", "line 2: the label is empty"),
        ("file,label\nphotos/cat/1.png\n", "line 2 has 1 cells, the header has 2"),
        ("file,label\nlist.csv,x\n", "line 2, list.csv: the picture is text"),
        ("file,label\nphotos,x\n", "line 2, photos: cannot be read: Is a directory"),
        ('file,label\n"x\n', "data 'list.csv' is not CSV"),
    ],
)
def test_a_mistake_in_a_csv_file_of_paths_is_named_by_its_line(
    listing: Path, text: str, expected: str
) -> None:
    assert expected in refused_list(listing, text)


def test_a_csv_file_of_paths_that_is_not_utf8_or_not_there_is_named(listing: Path) -> None:
    listing.write_bytes(b"file,label\n\xff,x\n")
    with pytest.raises(InvalidInput, match=r"data 'list.csv' is not UTF-8"):
        load_list(listing)
    with pytest.raises(InvalidInput, match=r"data 'none.csv' cannot be read: No such file"):
        load_list(listing.with_name("none.csv"))


def test_all_mistakes_of_a_csv_file_of_paths_are_reported_together(listing: Path) -> None:
    text = refused_list(listing, "file,label\nnone.png,x\n,y\nlist.csv,x\n")

    assert all(f"line {line}" in text for line in (2, 3, 4))


def test_the_patches_of_the_photographs_are_those_that_pillow_gives() -> None:
    from sklearn.datasets import load_sample_image

    found = photographs.load(Photographs(Colour.HSV, size=160, stride=160, flips=False))

    picture = PIL.Image.fromarray(load_sample_image("china.jpg")).convert("HSV")
    assert found.features[0].tolist() == np.asarray(picture)[:160, :160].transpose(2, 0, 1).ravel().tolist()


def test_originals_are_the_files_of_rows_while_they_are_small_and_unchanged(photos: Path) -> None:
    found = load(photos)
    rows = np.arange(6)
    assert [row for row, _ in originals(found, rows, 10**6)] == list(range(6))

    found.files[1].write_bytes(files.RIGHT_PNG)
    found.files[2].unlink()
    found.files[3].write_bytes(b"no picture any more")
    sizes = [found.files[row].stat().st_size for row in (0, 4, 5)]

    left = dict(originals(found, rows, max(sizes)))
    assert sorted(left) == [0, 4, 5]
    assert left[4] == found.files[4].read_bytes()
    assert len(dict(originals(found, rows, min(sizes)))) == 1
    assert not dict(originals(replace(found, files=()), rows, 10**6))


JOB = "name='own'\n[data]\nimages='photos'\nsize=[4,6]\n[evaluation]\nfolds=2\nrepeats=1\ntest_fraction=0.5\n"


def published(folder: Path) -> Path:
    job = jobs.parse(JOB, folder)
    return pipeline.run(job, folder / "models", Silent(Console(quiet=True))).published.path


def test_a_bundle_of_small_files_has_one_as_its_example_and_some_as_golden_pictures(photos: Path) -> None:
    path = published(photos.parent)

    example = json.loads((path / "example.json").read_text())
    golden = json.loads((path / "golden.json").read_text())
    assert list(example) == ["images"]
    assert 1 <= len(golden["pictures"]) <= 2
    assert golden["pictures"][0]["pixels"]["shape"] == [72]


def test_a_bundle_of_large_files_has_pixels_as_its_example_and_says_what_is_not_proved(
    tmp_path: Path,
) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(2):
            padded = files.with_segment(encoded(noise(8, 8, 3, seed=number), "JPEG"), 0xFE, bytes(60_000))
            for _ in range(20):
                padded = files.with_segment(padded, 0xFE, bytes(60_000))
            (tmp_path / "photos" / label / f"{number}.jpg").write_bytes(padded)

    outcome = pipeline.run(jobs.parse(JOB, tmp_path), tmp_path / "models", Silent(Console(quiet=True)))

    example = json.loads((outcome.published.path / "example.json").read_text())
    assert list(example) == ["rows"]
    assert len(example["rows"][0]) == 72
    assert "pictures" not in json.loads((outcome.published.path / "golden.json").read_text())
    assert any("how pictures are decoded is not proved at load" in text for text in outcome.notices)


def test_the_same_pictures_under_other_names_are_already_published(photos: Path) -> None:
    first = published(photos.parent)
    (photos / "cat" / "1.png").rename(photos / "cat" / "another name.png")

    assert published(photos.parent) == first
    assert data.load(jobs.parse(JOB, photos.parent)).classes == ("cat", "dog")


def test_two_trainings_on_pictures_give_the_same_files(photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(photos, other / "photos")
    (other / "photos" / "dog" / "1.png").rename(other / "photos" / "dog" / "9.png")

    first, second = published(photos.parent), published(other)

    for name in ("model.onnx", "golden.json", "example.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_digits_as_files_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    found = data.load(jobs.read(JOBS / "digits_png.toml"))

    assert found.classes == tuple("0123456789")
    rows = {(code, row.tobytes()) for code, row in zip(found.codes.tolist(), found.features, strict=True)}
    source = load_digits()
    pixels = (source.data * 15).astype(np.uint8)
    assert rows == {(code, row.tobytes()) for code, row in zip(source.target.tolist(), pixels, strict=True)}
    assert len(found.codes) == len(source.target)


def test_the_digits_as_files_train_without_a_notice_and_as_well_as_promised(tmp_path: Path) -> None:
    job = jobs.read(JOBS / "digits_png.toml")
    job = replace(job, evaluation=replace(job.evaluation, repeats=1))

    outcome = pipeline.run(job, tmp_path, Silent(Console(quiet=True)))

    assert outcome.notices == ()
    assert outcome.metrics["cv_accuracy_mean"] >= 0.96
    assert outcome.metrics["test_accuracy"] >= 0.95
