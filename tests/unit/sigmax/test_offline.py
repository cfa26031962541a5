from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.sigmax import mixed
from tests.unit.sigmax.mixed import MIXED, ROWS

from sigmax import offline
from sigmax.contract import Decision, Head, Task
from sigmax.csvs import Dialect
from sigmax.errors import InvalidInput
from sigmax.repository import bundle

HEADER = "도시,나이,임금,회원,등급,방문"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("서울,31.5,2.25,true,30,3", ROWS[0]),
        ("서울,31.5,2.25,TRUE,30,3.0", ROWS[0]),
        ("서울,31.5,2.25,1,30,+3", ROWS[0]),
        ("대구,0,,False,1,0", ROWS[1]),
        (",64,9.5,0,2,12", ROWS[2]),
        ("  , 64 , 9.5 , false , 2 , 12 ", ROWS[2]),
        ("대구,0,   ,FALSE, 1,0", ROWS[1]),
    ],
)
def test_a_cell_is_read_as_its_features_kind(tmp_path: Path, line: str, expected: mixed.Row) -> None:
    served = mixed.served(tmp_path)

    by_csv = offline.answer_csv(served, f"{HEADER}\n{line}\n".encode(), {}, True)

    probabilities = served.predictor.probabilities(mixed.MATRIX)[ROWS.index(expected)]
    assert [float(cell) for cell in by_csv.splitlines()[1].split(",")] == pytest.approx(
        probabilities.tolist(), abs=1e-15
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "서울,,1,true,1,1",
            "feature '나이': expected a number, got null, a missing value, which this feature",
        ),
        ("서울,1,x,true,1,1", "feature '임금': expected a number, got the text 'x'"),
        ("서울,1,nan,true,1,1", "feature '임금': expected a number, got the text 'nan'"),
        ("서울,1,1,yes,1,1", "feature '회원': expected true or false, got the text 'yes'"),
        ("서울,1,1,2,1,1", "feature '회원': expected true or false, got the number 2"),
        ("서울,1,1,,1,1", "feature '회원': expected true or false, got null"),
        ("서울,1,1,1,31,1", "feature '등급': unknown category '31'"),
        (
            "서울,1,1,1,1.0,1",
            "feature '등급': expected a whole number or its decimal text, got the text '1.0'",
        ),
        (" 서울,1,1,1,,1", "feature '등급': expected a whole number or its decimal text, got null"),
        ("서울,1,1,1,1,2.5", "feature '방문': expected a whole number, got the number 2.5"),
        ("서울,1,1,1,1,9007199254740993", "got the integer '9007199254740993', which float64 cannot hold"),
        (f"서울,1,1,1,1,{'9' * 5000}", "feature '방문': expected a whole number, got the text '9999"),
    ],
)
def test_a_cell_that_is_wrong_is_named_by_row_and_feature(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        offline.answer_csv(mixed.served(tmp_path), f"{HEADER}\n{line}\n".encode(), {}, False)

    assert str(refused.value).startswith("row 0, ")
    assert expected in str(refused.value)


def test_categories_of_booleans_are_read_in_any_case(tmp_path: Path) -> None:
    grade = replace(mixed.GRADE, dtype="bool", vocabulary=("false", "true"), range=(0.0, 1.0))
    manifest = replace(MIXED, features=tuple(grade if one.name == "등급" else one for one in MIXED.features))
    served = mixed.served(tmp_path, manifest)

    said = offline.answer_csv(served, f"{HEADER}\n서울,1,1,1,True,1\n서울,1,1,1,true,1\n".encode(), {}, True)

    _, first, second = said.splitlines()
    assert first == second
    with pytest.raises(InvalidInput, match="feature '등급': expected true or false, got the text '1'"):
        offline.answer_csv(served, f"{HEADER}\n서울,1,1,1,1,1\n".encode(), {}, True)


def test_a_category_can_be_the_id_column_too(tmp_path: Path) -> None:
    data = f"{HEADER}\n서울,1,1,1,1,1\n".encode()

    said = offline.answer_csv(mixed.served(tmp_path), data, {"id": "도시"}, False)

    assert said.splitlines()[1].startswith("서울,")


def test_inspect_shows_kinds_vocabularies_layers_and_the_decision(tmp_path: Path) -> None:
    lines = offline.inspect(mixed.write(tmp_path), as_json=False).splitlines()

    size = (tmp_path / "mixed" / "1" / "model.onnx").stat().st_size
    for expected in (
        "  input       features float64 [n_samples, 6]",
        "  output      probabilities float64 [n_samples, 3]",
        "  layer       impute 4 -> 4, 1 parameter",
        "  layer       dense 12 -> 3, 39 parameters",
        "  layer       softmax 3 -> 3",
        f"  parameters  40, in a file of {size:,} bytes",
        "  decision    the class with the highest probability, the first of them on a tie",
        "  feature     나이: numeric, 0 to 100",
        "  feature     도시: category (string), 3 known: '대구', '부산', '서울'; unknown: zero; "
        "missing: category",
        "  feature     임금: numeric, 0 to 9.5; missing: impute",
        "  feature     회원: boolean, 0 to 1",
        "  feature     등급: category (int64), 3 known: '1', '2', '30'; unknown: reject",
        "  feature     방문: integer, 0 to 12",
    ):
        assert expected in lines


def test_inspect_says_nothing_of_layers_that_a_manifest_does_not_have(tmp_path: Path) -> None:
    plain = replace(MIXED, graph=replace(MIXED.graph, layers=()))

    text = offline.inspect(mixed.write(tmp_path, plain), as_json=False)

    assert "layer" not in text
    assert "parameters" not in text


def test_inspect_names_the_first_categories_of_many(tmp_path: Path) -> None:
    many = tuple(f"city {number}" for number in range(100_000))
    city = replace(mixed.CITY, vocabulary=many, range=(0.0, 100_001.0))
    shown = offline._described(city)

    assert shown.startswith(
        "category (string), 100000 known: 'city 0', 'city 1', 'city 2', 'city 3', 'city 4', …;"
    )
    assert len(shown) < 200


def test_inspect_shows_the_band_of_a_threshold() -> None:
    from tests.unit.sigmax.manifests import BINARY

    banded = replace(BINARY, decision=Decision({"yes": 0.5}, "yes", {"yes": (0.4, 0.6)}))
    manifest = replace(banded, files={"model.onnx": bundle._entry(b"")})

    lines = list(offline._lines(manifest))

    assert (manifest.task, manifest.head) == (Task.BINARY, Head.SIGMOID)
    assert (
        "  decision    the positive class when its probability exceeds the threshold, else the other" in lines
    )
    assert "  positive    yes" in lines
    assert "  threshold   yes above 0.5" in lines
    assert "  band        yes unsure above 0.4 up to 0.6" in lines


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.gif", "a.webp", "a.bmp", "a.tiff", "a.heic"])
def test_a_file_that_ends_as_a_picture_is_one_even_of_a_format_that_is_not_read(name: str) -> None:
    assert offline.is_picture(name, b"")
    assert not offline.is_picture("rows.csv", b"GIF8,a\n1,2\n")


def test_top_k_of_csv_rows_is_told_what_there_is_instead(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        offline.answer_csv(
            mixed.served(tmp_path), f"{HEADER}\n서울,1,1,1,1,1\n".encode(), {"top_k": 2}, False
        )

    assert str(refused.value) == (
        "option 'top_k' has no place in CSV; ask for --probabilities, or give the rows as JSON"
    )


PLAIN = f"{HEADER}\n대구,0,2.25,true,1,3\n"


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (PLAIN.replace(",", ";"), Dialect(delimiter=";")),
        (PLAIN.replace(",", "\t"), Dialect(delimiter="\t")),
        (PLAIN, Dialect(encoding="cp949")),
        (PLAIN, Dialect(encoding="utf-16")),
        (PLAIN, Dialect(encoding="UTF8")),
        ("\ufeff" + PLAIN, Dialect(encoding="UTF-8")),
        (PLAIN.replace(",", ";").replace(".", ","), Dialect(delimiter=";", decimal=",")),
        (PLAIN.replace("2.25", '"2,25"').replace("true,1,3", 'TRUE,1,"3,0"'), Dialect(decimal=",")),
        (PLAIN.replace("2.25", "225e-2"), Dialect(decimal=",")),
        (PLAIN.replace(",", " , ", HEADER.count(",")), Dialect()),
    ],
)
def test_rows_in_any_dialect_that_training_reads_are_the_same_rows(
    tmp_path: Path, text: str, dialect: Dialect
) -> None:
    served = mixed.served(tmp_path)

    said = offline.answer_csv(served, text.encode(dialect.encoding), {}, True, dialect)

    assert said == offline.answer_csv(served, PLAIN.encode(), {}, True)


@pytest.mark.parametrize(
    ("data", "dialect", "expected"),
    [
        (
            b"a;b,c;d\n1;2,3;4\n",
            Dialect(delimiter="|"),
            "the header 'a;b,c;d' is one cell: '|' stands between cells; "
            "another sign is given as --delimiter ';'",
        ),
        (
            PLAIN.replace(",", ";").encode(),
            Dialect(),
            f"the header '{HEADER.replace(',', ';')}' is one cell: a comma stands between cells; "
            "another sign is given as --delimiter ';'",
        ),
        (
            b"a\tb\n",
            Dialect(),
            r"the header 'a\tb' is one cell: a comma stands between cells; another sign is given as "
            r"--delimiter '\t'",
        ),
        (PLAIN.encode("cp949"), Dialect(), "the CSV is not UTF-8: byte 0; it may be --encoding cp949"),
        (PLAIN.encode("utf-16"), Dialect(), "the CSV is not UTF-8: byte 0; it may be --encoding utf-16"),
        (b"a,\xff\n", Dialect(), "the CSV is not UTF-8: byte 2; it may be --encoding cp1252"),
        (b"a,\0\xff\n", Dialect(), "the CSV is not UTF-8: byte 3; --encoding says what it is"),
        (
            PLAIN.encode("utf-16"),
            Dialect(encoding="cp949"),
            "the CSV is not cp949: byte 0; --encoding says what it is",
        ),
        (b" a,a \n1,2\n", Dialect(), "the CSV's header names a column twice"),
        (
            PLAIN.encode(),
            Dialect(decimal=","),
            "row 0, feature '임금': expected a number, got the text '2.25' (--decimal . reads such numbers)",
        ),
        (
            PLAIN.replace("2.25", '"2,25"').encode(),
            Dialect(),
            "row 0, feature '임금': expected a number, got the text '2,25' (--decimal , reads such numbers)",
        ),
        (
            PLAIN.replace("2.25", '"2.000,5"').encode(),
            Dialect(decimal=","),
            "row 0, feature '임금': expected a number, got the text '2.000,5'",
        ),
    ],
)
def test_a_csv_in_another_dialect_is_answered_with_the_option_to_give(
    tmp_path: Path, data: bytes, dialect: Dialect, expected: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        offline.answer_csv(mixed.served(tmp_path), data, {}, False, dialect)

    assert str(refused.value) == expected


def test_a_cell_may_be_very_long_and_the_limit_of_other_readers_stays(tmp_path: Path) -> None:
    long, limit = "x" * 200_000, csv.field_size_limit()
    data = f"note,{HEADER}\n{long},{PLAIN.splitlines()[1]}\n".encode()

    said = offline.answer_csv(mixed.served(tmp_path), data, {"id": "note"}, False)

    assert said.splitlines()[1].startswith(f"{long},")
    assert csv.field_size_limit() == limit


def test_a_name_with_blanks_around_it_is_that_of_the_model_where_it_has_one(tmp_path: Path) -> None:
    spaced = tuple(replace(one, name=" 나이 ") if one.name == "나이" else one for one in MIXED.features)
    served = mixed.served(tmp_path, replace(MIXED, features=spaced))

    said = offline.answer_csv(served, PLAIN.replace("나이", " 나이 ").encode(), {}, False)

    assert said.startswith("label,")
