"""A column is what the job says, else what all of its cells agree on; what differs is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sigmax.contract import Kind, Missing, Task, Unknown
from sigmax.errors import InvalidInput
from sigmax_training.data import table
from sigmax_training.data.dataset import Dataset, Fill
from sigmax_training.job import Column, Tabular

HEADER = "나이,도시,flag,kind\n"
ROWS = "31,서울,true,x\n42,부산,false,y\n27,서울,TRUE,x\n50,대구,false,y\n"


def read(tmp_path: Path, content: str, default: Column | None = None, **columns: Column) -> Dataset:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    return table.load(Tabular((path,), ("kind",), default=default or Column(), columns=columns))


def refused(tmp_path: Path, content: str, columns: Mapping[str, Column] | None = None) -> str:
    with pytest.raises(InvalidInput) as error:
        read(tmp_path, content, None, **(columns or {}))
    return str(error.value)


def test_numbers_texts_and_booleans_are_told_apart(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + ROWS)

    assert [block.kind for block in found.blocks] == [Kind.NUMERIC, Kind.CATEGORY, Kind.BOOLEAN]
    assert found.blocks[1].vocabulary == ("대구", "부산", "서울")
    assert found.features.tolist() == [[31, 2, 1], [42, 1, 0], [27, 2, 1], [50, 0, 0]]


def test_a_missing_value_is_an_error_until_the_job_says_what_it_means(tmp_path: Path) -> None:
    message = refused(tmp_path, HEADER + ROWS + ",서울,true,x\n1,,true,x\n1,서울,,x\n")

    assert "line 6, column '나이': the cell is empty (features.missing says what that means" in message
    assert "line 7, column '도시': the cell is empty" in message
    assert "line 8, column 'flag': the cell is empty" in message


def test_missing_numbers_are_nan_and_missing_texts_a_category_of_their_own(tmp_path: Path) -> None:
    content = HEADER + ROWS + ",서울,true,x\n1,,true,x\n1,서울,,x\n"

    found = read(tmp_path, content, Column(missing="median"), flag=Column(missing="most_frequent"))

    assert [block.missing for block in found.blocks] == [
        Missing.IMPUTE,
        Missing.CATEGORY,
        Missing.IMPUTE,
    ]
    assert found.fills == {"나이": Fill("median"), "flag": Fill("most_frequent")}
    assert np.isnan(found.features[4, 0])
    assert found.features[5, 1] == found.blocks[1].missing_code == 3
    assert np.isnan(found.features[6, 2])
    assert found.blocks[0].range == (1, 50)


def test_a_constant_for_missing_numbers_is_the_jobs(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + ROWS, **{"나이": Column(missing="constant", fill=-1.0)})

    assert found.fills == {"나이": Fill("constant", -1.0)}


def test_words_for_a_missing_value_are_the_jobs(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + ROWS + "NA,서울,true,x\n")

    columns = {"나이": Column(missing="mean")}
    found = table.load(Tabular((path,), ("kind",), missing_values=("NA",), columns=columns))

    assert np.isnan(found.features[4, 0])


def test_a_text_among_numbers_is_an_error_and_no_category(tmp_path: Path) -> None:
    assert "line 6, column '나이': 'forty' is not a finite number" in refused(
        tmp_path, HEADER + ROWS + "forty,서울,true,x\n"
    )


def test_a_column_of_integers_is_a_category_where_the_job_says_so(tmp_path: Path) -> None:
    content = "code,kind\n10,x\n2,y\n-1,x\n2,y\n"

    block = read(tmp_path, content, code=Column(kind=Kind.CATEGORY)).blocks[0]

    assert (block.dtype, block.vocabulary) == ("int64", ("-1", "2", "10"))


def test_a_column_of_booleans_is_a_category_where_the_job_says_so(tmp_path: Path) -> None:
    block = read(tmp_path, HEADER + ROWS, flag=Column(kind=Kind.CATEGORY)).blocks[2]

    assert (block.dtype, block.vocabulary) == ("bool", ("false", "true"))


def test_a_decimal_in_a_column_of_integers_is_an_error(tmp_path: Path) -> None:
    message = refused(tmp_path, HEADER + ROWS + "1.5,서울,true,x\n", {"나이": Column(kind=Kind.INTEGER)})

    assert "line 6, column '나이': '1.5' is not a whole number" in message


def test_the_same_word_in_two_unicode_forms_is_one_category(tmp_path: Path) -> None:
    composed, decomposed = "가", "가"

    found = read(tmp_path, f"c,kind\n{composed},x\n{decomposed},y\n나,x\n나,y\n")

    assert found.blocks[0].vocabulary == (composed, "나")
    assert found.features[0, 0] == found.features[1, 0]


def test_texts_that_all_differ_name_rows_and_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"customer {number},{'xy'[number % 2]}\n" for number in range(30))

    message = refused(tmp_path, "id,kind\n" + rows)

    assert "column 'id' has 30 different texts in 30 rows, as an identifier has" in message
    assert read(tmp_path, "id,kind\n" + rows, id=Column(kind=Kind.CATEGORY)).blocks[0].n_codes == 30


def test_a_column_without_a_value_is_named_with_the_remedy(tmp_path: Path) -> None:
    assert "column 'a' has no value at all: name it in data.ignore" in refused(
        tmp_path, "a,b,kind\n,1,x\n,2,y\n,3,x\n,4,y\n"
    )


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            Column(kind=Kind.NUMERIC, missing="category"),
            "missing = 'category' is for categories",
        ),
        (Column(kind=Kind.CATEGORY, missing="mean"), "a category is not imputed"),
        (Column(kind=Kind.BOOLEAN, unknown=Unknown.ZERO), "'unknown' is for categories, not for boolean"),
    ],
)
def test_settings_of_a_column_that_contradict_each_other_are_refused(
    tmp_path: Path, column: Column, expected: str
) -> None:
    assert expected in refused(tmp_path, HEADER + ROWS, {"flag": column})


def test_ignored_columns_are_no_features(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + ROWS)

    found = table.load(Tabular((path,), ("kind",), ignore=("나이",)))

    assert [block.name for block in found.blocks] == ["도시", "flag"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"ignore": ("nai",)}, "there is no ignored column 'nai'"),
        ({"ignore": ("kind",)}, "data.ignore names the target 'kind'"),
        ({"columns": {"flga": Column()}}, "there is no features.columns column 'flga', did you mean 'flag'?"),
        ({"ignore": ("flag",), "columns": {"flag": Column()}}, "names 'flag', which is no feature"),
    ],
)
def test_columns_that_are_not_there_are_named(
    tmp_path: Path, source: dict[str, object], expected: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + ROWS)

    with pytest.raises(InvalidInput, match=expected):
        table.load(Tabular((path,), ("kind",), **source))  # type: ignore[arg-type]


def test_labels_in_one_cell_are_divided_by_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,tags\n1,red;big\n2,\n3,big\n4,red\n")

    found = table.load(Tabular((path,), ("tags",), separator=";"))

    assert found.task is Task.MULTILABEL
    assert found.classes == ("big", "red")
    assert found.codes.tolist() == [[True, True], [False, False], [True, False], [False, True]]


def test_a_column_of_yes_and_no_a_label_is_a_label_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,red,big\n1,1,true\n2,0,false\n3,0,True\n4,1,0\n")

    found = table.load(Tabular((path,), ("red", "big")))

    assert found.classes == ("red", "big")
    assert found.codes.tolist() == [[True, True], [False, False], [False, True], [True, False]]


def test_a_label_column_that_is_no_yes_or_no_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,red,big\n1,1,maybe\n2,0,false\n3,0,true\n4,1,\n")

    with pytest.raises(InvalidInput) as error:
        table.load(Tabular((path,), ("red", "big")))

    assert "line 2, target 'big': 'maybe' is not true, false, 1 or 0" in str(error.value)
    assert "line 5, target 'big': '' is not true, false, 1 or 0" in str(error.value)


def test_a_label_that_nearly_every_row_or_nearly_none_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,red,big\n1,1,1\n2,0,1\n3,0,1\n4,1,1\n")

    with pytest.raises(InvalidInput, match="label 'big' is there in 4 of 4 rows"):
        table.load(Tabular((path,), ("red", "big")))


@pytest.mark.parametrize(
    ("name", "own", "expected"),
    [
        ("나이", Column(unknown=Unknown.ZERO), "나이: 'unknown' is for categories, not for numeric columns"),
        (
            "나이",
            Column(missing="category"),
            "missing = 'category' is for categories, not for numeric columns",
        ),
        (
            "flag",
            Column(missing="category"),
            "missing = 'category' is for categories, not for boolean columns",
        ),
        (
            "도시",
            Column(missing="mean"),
            "도시: a category is not imputed; missing is 'reject' or 'category'",
        ),
    ],
)
def test_what_a_job_says_of_a_column_must_fit_what_the_column_turns_out_to_be(
    tmp_path: Path, name: str, own: Column, expected: str
) -> None:
    assert expected in refused(tmp_path, HEADER + ROWS, {name: own})


def test_a_missing_text_is_refused_with_the_remedy_for_texts(tmp_path: Path) -> None:
    message = refused(tmp_path, HEADER + ROWS + "1,,true,x\n")

    assert "the cell is empty (features.missing says what that means, for instance 'category')" in message


def test_categories_beyond_64_bits_are_texts(tmp_path: Path) -> None:
    rows = f"{2**63},서울,true,x\n{2**63 - 1},부산,false,y\n" * 2

    found = read(tmp_path, HEADER + rows, **{"나이": Column(Kind.CATEGORY)})

    assert found.blocks[0].dtype == "string"


def test_cells_that_are_wrong_come_with_the_remedy(tmp_path: Path) -> None:
    rows = "31,서울,true,x\ninf,부산,false,y\n27,서울,TRUE,x\n50,대구,false,y\n"

    assert (
        "column '나이' has numbers that are not finite: correct the cells, or name them in data"
        in refused(tmp_path, HEADER + rows)
    )
    message = refused(tmp_path, HEADER + ROWS + "1.5,서울,true,x\n", {"나이": Column(Kind.INTEGER)})
    assert "line 6, column '나이': '1.5' is not a whole number" in message
    assert "column '나이' is declared as integer: correct the cells, or say another" in message
