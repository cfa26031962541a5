"""Data is checked before anything learns from it: every mistake with its line and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax.contract import Colour
from sigmax.errors import InvalidInput
from sigmax_training import data
from sigmax_training.data import builtin, photographs, table, target
from sigmax_training.data.dataset import Dataset, assemble, ordered
from sigmax_training.job import Photographs, Tabular, parse

GOOD = "a,b,kind\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(GOOD)
    return path


def refused(path: Path, content: str | bytes, name: str = "kind") -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput) as error:
        table.load(Tabular((path,), (name,)))
    return str(error.value)


def test_a_csv_becomes_features_classes_and_blocks_with_ranges(csv: Path) -> None:
    found = table.load(Tabular((csv,), ("kind",)))

    assert found.features.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert found.classes == ("x", "y")
    assert found.codes.tolist() == [0, 1, 0, 1]
    assert [(block.name, block.range) for block in found.blocks] == [("a", (1, 7)), ("b", (2, 8))]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", " , "),
        GOOD + "\n\n",
        GOOD.replace("a,b,kind", '"a","b","kind"'),
        GOOD.rstrip("\n"),
    ],
)
def test_byte_order_marks_line_ends_blanks_and_quotes_change_nothing(csv: Path, content: str) -> None:
    plain = table.load(Tabular((csv,), ("kind",)))
    csv.write_bytes(content.encode())

    assert table.load(Tabular((csv,), ("kind",))).sha256 == plain.sha256


def test_the_digest_does_not_depend_on_the_name_of_the_file(csv: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(GOOD)

    assert table.load(Tabular((csv,), ("kind",))).sha256 == table.load(Tabular((other,), ("kind",))).sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [("5,6,x\n7,8,y", "5,6,y\n7,8,x"), ("1,2,x", "1,3,x"), ("a,b", "a,c"), ("1,2,x\n3,4,y", "3,4,y\n1,2,x")],
)
def test_the_digest_depends_on_every_cell_name_label_and_the_order(csv: Path, old: str, new: str) -> None:
    before = table.load(Tabular((csv,), ("kind",))).sha256
    csv.write_text(GOOD.replace(old, new))

    assert table.load(Tabular((csv,), ("kind",))).sha256 != before


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "is empty"),
        ("a,b,kind\n", "has a header and no rows"),
        (GOOD.replace("kind", "kin"), "there is no target column 'kind', did you mean 'kin'?"),
        ("a,b,species\n1,2,x\n", "there is no target column 'kind'; there are 'a', 'b', 'species'"),
        ("a;b;kind\n1;2;x\n", "the header 'a;b;kind' is one cell: a comma stands between cells"),
        ("a\tb\tkind\n1\t2\tx\n", "a comma stands between cells"),
        ("a,b,kind\n1,2,x\n3,4,x\n", "the target is constant: every row is 'x'"),
        (GOOD + "9,9,z\n", "class 'z' has one row"),
        (GOOD + "9,nan,x\n", "line 6, column 'b': 'nan' is not a finite number"),
        (GOOD + "inf,9,x\n", "line 6, column 'a': 'inf' is not a finite number"),
        (GOOD + "9,Seoul,x\n", "line 6, column 'b': 'Seoul' is not a finite number"),
        (GOOD + "1_000,9,x\n", "line 6, column 'a': '1_000' is not a finite number"),
        (GOOD + ",9,x\n", "line 6, column 'a': the cell is empty"),
        (GOOD + "9,9,\n", "line 6, target 'kind': the label is empty"),
        (GOOD + "9,9\n", "line 6 has 2 cells, the header has 3"),
        (GOOD + "9,9,x,9\n", "line 6 has 4 cells, the header has 3"),
        (GOOD.replace("b,", "a,"), "column 'a' stands 2 times"),
        (GOOD.replace("b,", ","), "column 2 has no name"),
        ("kind\nx\ny\n", "there is no feature beside the target"),
        (b"a,kind\n\xff,x\n", "is not UTF-8"),
        ('a,kind\n"1,x\n', "is not CSV"),
    ],
)
def test_a_mistake_in_a_csv_is_named(csv: Path, content: str | bytes, expected: str) -> None:
    assert expected in refused(csv, content)


def test_all_mistakes_of_a_csv_are_reported_together(csv: Path) -> None:
    message = refused(csv, GOOD + "oops,9,x\n9,nan,\n9\n")

    assert message.count("line 6") == 1
    assert message.count("line 7") == 2
    assert message.count("line 8") == 1


def test_a_column_of_texts_does_not_hide_the_mistake_in_another_one(csv: Path) -> None:
    rows = "".join(f"Seoul,{number},x\n" for number in range(1000))

    message = refused(csv, GOOD + rows + "1,oops,x\n")

    assert "997 more in column 'a'" in message
    assert "line 1006, column 'b': 'oops'" in message
    assert len(message) < 1000


def test_a_missing_csv_and_a_folder_in_its_place_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'none.csv' cannot be read: No such file"):
        table.load(Tabular((tmp_path / "none.csv",), ("kind",)))
    with pytest.raises(InvalidInput, match="is a folder without a file"):
        table.load(Tabular((tmp_path,), ("kind",)))


@pytest.mark.parametrize(
    ("labels", "texts", "classes"),
    [
        (["10", "9", "-1"], ["10", "9", "-1"], ["-1", "9", "10"]),
        (["True", "false", "TRUE"], ["true", "false", "true"], ["false", "true"]),
        (["b", "a"], ["b", "a"], ["a", "b"]),
        (["007", "7"], ["007", "7"], ["007", "7"]),
        (["1", "x"], ["1", "x"], ["1", "x"]),
        (["새", "개"], ["새", "개"], ["개", "새"]),
    ],
)
def test_labels_are_canonical_texts_sorted_by_their_meaning(
    labels: list[str], texts: list[str], classes: list[str]
) -> None:
    assert target.canonical(labels) == (texts, classes)


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1))
def test_integers_stay_themselves_and_sort_by_value(numbers: list[int]) -> None:
    texts, classes = target.canonical([str(number) for number in numbers])

    assert list(map(int, texts)) == numbers
    assert list(map(int, classes)) == sorted(set(numbers))


def test_a_value_that_is_not_finite_is_named_with_row_and_column() -> None:
    features = np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, np.inf]])

    with pytest.raises(InvalidInput, match=r"row 1, column 'a': nan .*row 2, column 'b': inf"):
        assemble("x", features, ["a", "b"], ["p", "q", "p"], ["p", "q"])


def test_the_job_can_set_the_order_of_the_classes() -> None:
    iris = builtin.load("iris")

    turned = ordered(iris, ("virginica", "setosa", "versicolor"))

    assert [turned.classes[code] for code in turned.codes] == [iris.classes[code] for code in iris.codes]
    assert turned.classes == ("virginica", "setosa", "versicolor")


def test_classes_that_are_not_the_datas_are_refused_with_the_nearest_name() -> None:
    job = parse(
        "name='x'\n[data]\nbuiltin='iris'\n[decision]\nclasses=['setosa','versicolour','virginica']", Path()
    )

    with pytest.raises(InvalidInput) as error:
        data.load(job)

    assert "'versicolour' is no class of the data, did you mean 'versicolor'?" in str(error.value)
    assert "the data's class 'versicolor' is missing" in str(error.value)


@pytest.fixture(scope="module")
def patches() -> Dataset:
    return photographs.load(Photographs(Colour.HSV, size=100, stride=20, flips=True))


def test_the_photographs_give_68_patches_a_strip_and_picture(patches: Dataset) -> None:
    assert patches.features.shape == (2 * 4 * 68, 30_000)
    assert patches.features.dtype == np.uint8
    assert patches.groups is not None
    assert np.bincount(patches.groups).tolist() == [136] * 4
    assert np.bincount(patches.codes).tolist() == [272] * 2


def test_no_pixel_is_in_two_strips() -> None:
    """Patches of a picture that holds its own column numbers show which columns they were cut from."""
    columns = np.tile(np.arange(640) // 160, (1, 427, 1)).astype(np.uint8)

    found = list(photographs.cut(columns, 100, 20))

    assert all((patch == strip).all() for strip, patch in found)


@pytest.mark.parametrize(("colour", "width"), [(Colour.RGB, 300), (Colour.GREY, 100)])
def test_other_colour_modes_are_cut_alike(colour: Colour, width: int) -> None:
    found = photographs.load(Photographs(colour, size=10, stride=150, flips=False))

    assert found.features.shape[1] == width
