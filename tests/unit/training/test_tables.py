"""A table is the same data set in whatever files, formats and encodings it comes."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sigmax.contract import Kind
from sigmax.errors import InvalidInput
from sigmax_training.data import csvs, table, target
from sigmax_training.data.batches import BATCH_ROWS
from sigmax_training.data.dataset import Dataset
from sigmax_training.data.held import By
from sigmax_training.data.look import look
from sigmax_training.job import Column, Dialect, Format, Tabular

ROWS = 40
FRAME = pd.DataFrame(
    {
        "넓이": [round(20 + number * 1.37, 2) for number in range(ROWS)],
        "층": [number % 9 for number in range(ROWS)],
        "도시": [("서울", "부산", "대구 북구")[number % 3] for number in range(ROWS)],
        "승강기": [number % 4 != 0 for number in range(ROWS)],
        "kind": [("x", "y")[number % 2] for number in range(ROWS)],
    }
)


def load(*paths: Path, by: By | None = None, **source: Any) -> Dataset:
    return table.load(Tabular(paths, ("kind",), **source), by)


def refused(*paths: Path, by: By | None = None, **source: Any) -> str:
    with pytest.raises(InvalidInput) as error:
        load(*paths, by=by, **source)
    return str(error.value)


def write_arrow(frame: pd.DataFrame, path: Path) -> None:
    found = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, found.schema) as writer:
        writer.write_table(found, max_chunksize=7)


def write_arrow_stream(frame: pd.DataFrame, path: Path) -> None:
    found = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found, max_chunksize=7)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "plain.csv": lambda frame, path: frame.to_csv(path, index=False),
    "tabs.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "quoted.csv": lambda frame, path: frame.to_csv(path, index=False, quoting=2),
    "marked.csv": lambda frame, path: frame.to_csv(path, index=False, encoding="utf-8-sig"),
    "windows.csv": lambda frame, path: frame.to_csv(path, index=False, lineterminator="\r\n"),
    "groups.parquet": lambda frame, path: frame.to_parquet(path, row_group_size=7),
    "file.arrow": write_arrow,
    "stream.arrows": write_arrow_stream,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_data_set(tmp_path: Path, name: str) -> None:
    expected = table.load(Tabular((), ("kind",)), given=FRAME)
    WRITERS[name](FRAME, tmp_path / name)

    found = load(tmp_path / name)

    assert found.sha256 == expected.sha256
    assert [block.kind for block in found.blocks] == [
        Kind.NUMERIC,
        Kind.NUMERIC,
        Kind.CATEGORY,
        Kind.BOOLEAN,
    ]
    assert found.blocks == expected.blocks


@pytest.mark.parametrize("encoding", ["cp949", "euc-kr", "utf-16", "utf-16-le", "utf-8"])
@pytest.mark.parametrize("quoting", [0, 1])
def test_a_declared_encoding_is_read(tmp_path: Path, encoding: str, quoting: int) -> None:
    path = tmp_path / "rows.csv"
    FRAME.to_csv(path, index=False, encoding=encoding, quoting=quoting)

    found = load(path, dialect=Dialect(encoding=encoding))

    assert found.sha256 == table.load(Tabular((), ("kind",)), given=FRAME).sha256


def test_another_encoding_than_utf_8_is_named_with_the_one_that_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    FRAME.to_csv(path, index=False, encoding="cp949")

    message = refused(path)

    assert "data 'rows.csv' is not UTF-8" in message
    assert "it may be data.encoding = 'cp949'" in message
    FRAME.to_csv(path, index=False, encoding="utf-16")
    assert "it may be data.encoding = 'utf-16'" in refused(path)


def test_bytes_that_the_declared_encoding_does_not_have_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("가,kind\n1,x\n2,y\n".encode("cp949") + b"\xff\xff,x\n")

    assert "data 'rows.csv' is not cp949" in refused(path, dialect=Dialect(encoding="cp949"))


def test_another_delimiter_and_quote_are_read_and_the_remedy_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a;'b;c';kind\n1;'x;y';u\n2;z;v\n3;z;u\n4;'x;y';v\n")

    found = load(path, dialect=Dialect(";", "'"))

    assert [block.name for block in found.blocks] == ["a", "b;c"]
    assert found.blocks[1].vocabulary == ("x;y", "z")
    assert 'data.delimiter = ";"' in refused(path)


def test_a_file_without_quoting_may_have_quotes_in_its_cells(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('size,kind\n3" pipe,u\n4" pipe,v\n3" pipe,v\n4" pipe,u\n')

    found = load(path, dialect=Dialect(quote=""))

    assert found.blocks[0].vocabulary == ('3" pipe', '4" pipe')


def test_an_unclosed_quote_and_text_behind_a_quote_are_no_cells(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for content in ('a,kind\n1,x\n2,"y\n3,x\n', 'a,kind\n1,x\n2,"y"z\n3,x\n'):
        path.write_text(content)

        message = refused(path)
        assert "data 'rows.csv' is not CSV" in message
        assert "(the row begins on line 3)" in message
        assert 'data.quote = ""' in message


def test_lines_are_counted_with_those_that_hold_nothing_and_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,kind\n\n1,x\n\n2,y\noops,x\n")
    assert "line 6, column 'a': 'oops'" in refused(path)

    path.write_text('a,b,kind\n1,"two\nlines",x\n2,b,y\noops,b,x\n')
    assert "line 5, column 'a': 'oops'" in refused(path)


def test_a_file_divided_into_pieces_gives_the_same_rows_and_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    FRAME.to_csv(path, index=False)
    whole = load(path)
    monkeypatch.setattr(csvs, "PIECE_BYTES", 64)

    survey = look(Tabular((path,), ("kind",)))
    found = load(path)

    assert len(survey.pieces) > 5
    assert found.sha256 == whole.sha256
    path.write_text(path.read_text().replace("43.29", "wide"))
    assert "line 19, column '넓이': 'wide'" in refused(path)


def test_many_files_and_a_folder_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    (folder / ".part.crc").touch()
    for number, name in enumerate(("01.parquet", "02.parquet")):
        part = FRAME.iloc[number * 20 : number * 20 + 20]
        part[list(FRAME.columns[::-1]) if number else list(FRAME.columns)].to_parquet(folder / name)

    expected = table.load(Tabular((), ("kind",)), given=FRAME)

    assert load(folder).sha256 == expected.sha256
    assert load(folder / "01.parquet", folder / "02.parquet").sha256 == expected.sha256


def test_mistakes_in_several_files_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "jan.csv").write_text("a,b,kind\n1,2,x\n2,3,y\n")
    (tmp_path / "feb.csv").write_text("a,c,kind\n1,2,x\n2,3,y\n")
    message = refused(tmp_path / "jan.csv", tmp_path / "feb.csv")
    assert "feb.csv has no column 'b', which jan.csv has" in message
    assert "feb.csv has a column 'c', which jan.csv has not" in message

    (tmp_path / "feb.csv").write_text("a,b,kind\n1,2,x\n2,,y\n3\n")
    message = refused(tmp_path / "jan.csv", tmp_path / "feb.csv")
    assert "feb.csv, line 4 has 1 cells, the header has 3" in message
    assert "feb.csv, line 3, column 'b': the cell is empty" in message


def test_a_column_whose_type_changes_between_files_is_named_with_both(tmp_path: Path) -> None:
    (tmp_path / "jan.csv").write_text("a,flag,kind\n1,true,x\n2,false,y\n")
    (tmp_path / "feb.csv").write_text("a,flag,kind\nred,1,x\nblue,0,y\n")

    message = refused(tmp_path / "jan.csv", tmp_path / "feb.csv")

    assert "column 'a' holds numbers in jan.csv and texts in feb.csv: make the files alike" in message
    assert "features.columns.'a'.kind = 'category'" in message
    assert "column 'flag' holds true and false in jan.csv and numbers in feb.csv" in message
    assert "features.columns.'flag'.kind = 'boolean'" in message


def test_whole_numbers_in_one_file_and_decimals_in_another_are_both_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "kind": ["x", "y"]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"a": [1.5, 2.5], "kind": ["x", "y"]}).to_parquet(tmp_path / "2.parquet")

    assert load(tmp_path).features[:, 0].tolist() == [1, 2, 1.5, 2.5]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("rows.dat",), "the ending says nothing about what it is"),
        (("a.csv", "b.parquet"), "the files are csv and parquet; one table is of one format"),
        (("a.csv", "a.csv"), "data.path names 'a.csv' more than once"),
        (("none.csv",), "data 'none.csv' cannot be read: No such file or directory"),
        (("folder",), "data 'folder' is a folder without a file"),
        (("outer",), "data 'outer/folder' is a folder; the files of a table lie side by side"),
    ],
)
def test_files_that_are_no_table_are_named(tmp_path: Path, names: tuple[str, ...], expected: str) -> None:
    for name in ("rows.dat", "a.csv", "b.parquet"):
        (tmp_path / name).write_text("a,kind\n1,x\n2,y\n3,x\n4,y\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "outer" / "folder").mkdir(parents=True)

    assert expected in refused(*(tmp_path / name for name in names))


def test_a_declared_format_needs_no_ending(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "rows.dat", index=False)

    assert len(load(tmp_path / "rows.dat", format=Format.CSV).codes) == ROWS


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow"])
def test_a_file_that_is_cut_off_or_something_else_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS["groups.parquet" if name.endswith("parquet") else "file.arrow"](FRAME, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not at all" * 100):
        path.write_bytes(content)

        assert f"data '{name}' is no " in refused(path)


def test_a_damaged_page_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    FRAME.to_parquet(path)
    content = bytearray(path.read_bytes())
    content[40:120] = bytes(80)
    path.write_bytes(content)

    assert "data 'rows.parquet' is" in refused(path)


def test_a_nameless_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    FRAME.sort_values("넓이", ascending=False).to_parquet(path)

    assert [block.name for block in load(path).blocks] == ["넓이", "층", "도시", "승강기"]


# Types that files bring along.


def of_columns(**columns: Any) -> Dataset:
    return table.load(Tabular((), ("kind",)), given=pa.table({**columns, "kind": ["x", "y", "x", "y"]}))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2, 3, 4], pa.uint8()),
        pa.array([1, 2, 3, 4], pa.float32()),
        pa.array([1, 2, 3, 4], pa.decimal128(9, 2)),
        pa.array(np.array([1, 2, 3, 4], np.float16)),
    ],
)
def test_every_type_of_number_is_numeric(values: pa.Array) -> None:
    found = of_columns(a=values)

    assert found.blocks[0].kind is Kind.NUMERIC
    assert found.features[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["1", "2", "1", "2"]),
        pa.array(["1", "2", "1", "2"], pa.large_string()),
        pa.array(["1", "2", "1", "2"]).dictionary_encode(),
    ],
)
def test_a_text_of_a_typed_file_is_a_category_even_if_it_could_be_a_number(values: pa.Array) -> None:
    found = of_columns(a=values)

    assert found.blocks[0].kind is Kind.CATEGORY
    assert found.blocks[0].vocabulary == ("1", "2")


def test_texts_of_a_typed_file_are_numbers_where_the_job_says_so() -> None:
    given = pa.table({"a": [" 1.5", "2", "3", "4"], "kind": ["x", "y", "x", "y"]})

    found = table.load(Tabular((), ("kind",), columns={"a": Column(Kind.NUMERIC)}), given=given)

    assert found.features[:, 0].tolist() == [1.5, 2, 3, 4]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([dt.datetime(2026, 1, day) for day in (1, 2, 3, 4)]), "column 'a' holds timestamp[us]"),
        (pa.array([[1.0], [2.0], [3.0], [4.0]]), "column 'a' holds list<"),
        (pa.array([b"1", b"2", b"3", b"4"]), "column 'a' holds binary"),
        (pa.array([1, 2, 3, 2**53 + 2]), "row 3, column 'a': 9007199254740994 is beyond 2**53"),
        (pa.array([1.0, np.inf, 3.0, 4.0]), "row 1, column 'a': 'inf' is not a finite number"),
        (pa.array([1.0, np.nan, 3.0, 4.0]), "row 1, column 'a': the value is missing"),
        (pa.array([1.0, None, 3.0, 4.0]), "row 1, column 'a': the value is missing"),
        (pa.array(["u", None, "u", "v"]), "for instance 'category'"),
        (pa.nulls(4), "column 'a' has no value at all"),
    ],
)
def test_values_that_no_feature_takes_are_named_with_row_and_remedy(values: pa.Array, expected: str) -> None:
    with pytest.raises(InvalidInput) as error:
        of_columns(a=values)

    assert expected in str(error.value)


def test_a_number_that_means_a_missing_value_does_so_in_a_typed_column_too() -> None:
    given = pa.table({"a": [1.0, -999.0, 3.0, 4.0], "kind": ["x", "y", "x", "y"]})

    found = table.load(
        Tabular((), ("kind",), missing_values=("-999",), default=Column(missing="mean")), given=given
    )

    assert np.isnan(found.features[1, 0])
    assert found.blocks[0].range == (1, 4)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array([1, 0, 1, 0]), ("0", "1")),
        (pa.array([1.0, 0.0, 1.0, 0.0]), ("0", "1")),
        (pa.array([True, False, True, False]), ("false", "true")),
        (pa.array([10, 9, 10, 9], pa.int8()), ("9", "10")),
        (pa.array(["b", "a", "b", "a"]).dictionary_encode(), ("a", "b")),
    ],
)
def test_labels_of_every_type_are_canonical_texts(labels: pa.Array, classes: tuple[str, ...]) -> None:
    found = table.load(Tabular((), ("kind",)), given=pa.table({"a": [1, 2, 3, 5], "kind": labels}))

    assert found.classes == classes
    assert found.codes.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([0.37, 1.0, 0.0, 1.0]), "row 0, target 'kind': 0.37 is a fraction, and a class is none"),
        (pa.array(["x", None, "y", "x"]), "row 1, target 'kind': the label is empty"),
        (pa.array([[1], [2], [1], [2]]), "target 'kind' holds list<"),
    ],
)
def test_a_target_that_holds_no_classes_is_named(labels: pa.Array, expected: str) -> None:
    with pytest.raises(InvalidInput) as error:
        table.load(Tabular((), ("kind",)), given=pa.table({"a": [1, 2, 3, 5], "kind": labels}))

    assert expected in str(error.value)


def test_a_target_of_measured_numbers_is_no_target(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,kind\n" + "".join(f"{number % 7},{number * 31}\n" for number in range(200)))

    assert "target 'kind' has 200 different labels in 200 rows, as an identifier" in refused(path)


def test_too_many_classes_are_refused_even_if_each_has_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "MAX_CLASSES", 60)
    given = pa.table({"a": range(400), "kind": [f"label {number % 100}" for number in range(400)]})

    with pytest.raises(InvalidInput, match="target 'kind' has more than 60 different labels"):
        table.load(Tabular((), ("kind",)), given=given)
    with pytest.raises(InvalidInput, match="target 'kind' has more than 60 different labels"):
        table.load(Tabular((), ("kind",), separator=";"), given=given)


# Frames.


def test_a_frame_is_a_table_and_its_index_is_no_column() -> None:
    found = table.load(Tabular((), ("kind",)), given=FRAME.set_index(np.arange(ROWS) * 7))

    assert [block.name for block in found.blocks] == ["넓이", "층", "도시", "승강기"]
    assert found.blocks[2].vocabulary == ("대구 북구", "부산", "서울")


def test_categories_and_nullable_integers_of_pandas_are_read() -> None:
    frame = pd.DataFrame(
        {
            "a": pd.Categorical(["u", "v", "u", "v"]),
            "b": pd.array([1, None, 3, 4], "Int64"),
            "kind": ["x", "y", "x", "y"],
        }
    )

    found = table.load(Tabular((), ("kind",), default=Column(missing="mean")), given=frame)

    assert [block.kind for block in found.blocks] == [Kind.CATEGORY, Kind.NUMERIC]
    assert np.isnan(found.features[1, 1])


def test_a_column_of_a_frame_that_mixes_types_is_named_with_both_rows() -> None:
    frame = pd.DataFrame({"a": ["u", 7, "u", "v"], "kind": ["x", "y", "x", "y"]})

    with pytest.raises(InvalidInput) as error:
        table.load(Tabular((), ("kind",)), given=frame)

    assert "column 'a' mixes types: row 0 holds 'u' (str), row 1 holds '7' (int)" in str(error.value)


def test_rows_of_no_kind_of_table_are_refused() -> None:
    with pytest.raises(InvalidInput, match="the rows are a list: hand over a pandas or Polars DataFrame"):
        table.load(Tabular((), ("kind",)), given=[[1, 2]])


# The column that rows are divided by.


def test_a_key_is_no_feature_and_has_the_same_number_in_every_format(tmp_path: Path) -> None:
    frame = FRAME.assign(id=[number // 2 for number in range(ROWS)])
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    typed, text = (load(tmp_path / f"rows.{end}", by=By("id")) for end in ("parquet", "csv"))

    assert typed.groups is not None
    assert text.groups is not None
    assert typed.groups.tolist() == text.groups.tolist()
    assert typed.groups[0] == typed.groups[1] != typed.groups[2]
    assert "id" not in [block.name for block in typed.blocks]


@pytest.mark.parametrize(
    "times",
    [
        ["2026-01-03", "2026-01-01", "2026-01-02 12:00", "2026-01-02T11:59:59.5Z"],
        pa.array(
            [dt.date(2026, 1, 3), dt.date(2026, 1, 1), dt.datetime(2026, 1, 2), dt.date(2026, 1, 2)][:2] * 2
        ),
        [3, 1, 2.5, 2],
        ["3", "1", "2.5", "2"],
    ],
    ids=["texts", "days", "numbers", "texts of numbers"],
)
def test_times_are_days_moments_or_numbers(times: Any) -> None:
    given = pa.table({"a": [1, 2, 3, 5], "when": times, "kind": ["x", "y", "x", "y"]})

    found = table.load(Tabular((), ("kind",)), By("when", times=True), given).times

    assert found is not None
    assert found[0] > found[1]
    assert found[0] - found[1] in (2, 2 * 86_400_000_000)


def test_a_missing_key_and_a_time_that_is_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,when,kind\n1,2026-01-01,x\n2,,y\n3,soon,x\n4,2026-01-02,y\n")

    assert "line 3, key 'when': is empty" in refused(path, by=By("when"))
    message = refused(path, by=By("when", times=True))
    assert "line 3, key 'when': nothing is neither a number nor a time" in message
    assert "line 4, key 'when': 'soon' is neither a number nor a time such as 2026-11-25" in message
    assert "there is no evaluation.key column 'wen', did you mean 'when'?" in refused(path, by=By("wen"))
    assert "evaluation.key names the target 'kind'" in refused(path, by=By("kind"))


# Streams.


@pytest.mark.parametrize("name", ["plain.csv", "quoted.csv", "groups.parquet", "file.arrow"])
def test_a_stream_has_the_rows_of_the_table_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(csvs, "PIECE_BYTES", 100)
    WRITERS[name](FRAME, tmp_path / name)
    held = load(tmp_path / name)

    stream = table.opened(Tabular((tmp_path / name,), ("kind",)))
    parts = list(stream.read(range(stream.pieces)))
    backwards = list(stream.read(range(stream.pieces)[::-1]))

    assert stream.rows == ROWS
    assert stream.classes == held.classes
    assert stream.blocks == held.blocks
    assert np.array_equal(np.concatenate([part.features for part in parts]), held.features)
    assert np.array_equal(np.concatenate([part.codes for part in parts]), held.codes)
    assert np.concatenate([part.keys for part in parts]).tolist() == list(range(ROWS))
    assert sorted(np.concatenate([part.keys for part in backwards]).tolist()) == list(range(ROWS))


def test_a_stream_has_the_jobs_order_of_classes() -> None:
    stream = table.opened(Tabular((), ("kind",)), given=FRAME, classes=("y", "x"))

    assert stream.classes == ("y", "x")
    assert np.concatenate([part.codes for part in stream.read([0])]).tolist() == [1, 0] * 20
    with pytest.raises(InvalidInput, match="'z' is no class of the data"):
        table.opened(Tabular((), ("kind",)), given=FRAME, classes=("z", "x"))


def test_a_file_that_changes_or_vanishes_between_two_readings_is_named(tmp_path: Path) -> None:
    for name in ("plain.csv", "groups.parquet", "file.arrow"):
        WRITERS[name](FRAME, tmp_path / name)
        stream = table.opened(Tabular((tmp_path / name,), ("kind",)))
        WRITERS[name](FRAME.iloc[:30], tmp_path / name)

        with pytest.raises(InvalidInput, match="has changed since the job began"):
            list(stream.read([0]))
        (tmp_path / name).unlink()
        with pytest.raises(InvalidInput, match="cannot be read: No such file"):
            list(stream.read([0]))


def test_a_stream_has_a_digest_of_its_files_and_of_what_they_mean(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    FRAME.to_csv(tmp_path / "b.csv", index=False)
    same = [table.opened(Tabular((tmp_path / name,), ("kind",))).sha256 for name in ("a.csv", "b.csv")]
    other = table.opened(Tabular((tmp_path / "a.csv",), ("kind",), ignore=("층",))).sha256

    assert same[0] == same[1] != other


# Files and values that somebody made to be wrong, or that nobody expects.


def test_a_header_that_ends_with_a_carriage_return_loses_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,kind\r1,x\r2,y\n3,x\n4,y\n")

    assert load(path).features[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("start", ["\n", "\r\n\n", "\ufeff\n"])
def test_lines_before_the_header_may_hold_nothing(tmp_path: Path, start: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(f"{start}a,kind\n1,x\n2,y\n3,x\n4,y\n".encode())

    assert load(path).features[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("encoding", ["iso2022_kr", "iso2022_jp", "utf-7", "hz"])
def test_an_encoding_with_states_is_read_from_its_beginning(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    word = "나" if encoding == "iso2022_kr" else "中"
    path.write_bytes(f"{word},kind\n{word},x\nb,y\n{word},x\nb,y\n".encode(encoding))

    assert load(path, dialect=Dialect(encoding=encoding)).blocks[0].vocabulary == ("b", word)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_byte_order_mark_within_a_file_is_part_of_a_cell(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,kind\n\ufeffu,x\nu,y\n\ufeffu,x\nu,y\n", encoding=encoding)

    assert load(path, dialect=Dialect(encoding=encoding)).features[:, 0].tolist() == [1, 0, 1, 0]


def test_whole_numbers_of_a_csv_file_that_float64_cannot_hold_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,kind\n9007199254740992,x\n9007199254740993,y\n1e300,x\n-9007199254740993.0,y\n")

    message = refused(path)

    assert "line 3, column 'a': 9007199254740993 is beyond 2**53" in message
    assert message.count("beyond") == 1
    assert "line 3" in refused(path, columns={"a": Column(Kind.NUMERIC)})


def test_a_column_that_begins_with_nothing_in_one_file_is_what_its_cells_are(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,kind\n" + ",x\n" * BATCH_ROWS + "red,y\n" * 20)
    (tmp_path / "2.csv").write_text("a,kind\n" + "red,x\nblue,y\n" * 20)

    found = load(tmp_path / "1.csv", tmp_path / "2.csv", default=Column(missing="category"))

    assert found.blocks[0].vocabulary == ("blue", "red")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.arrow"])
def test_a_pipe_is_no_file_that_can_be_read_twice(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)

    assert f"data '{name}' is a pipe or a device: write the rows into a file" in refused(tmp_path / name)


def test_a_file_and_a_link_to_it_are_one_file_twice(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "again.csv").symlink_to("rows.csv")
    (tmp_path / "folder").mkdir()

    for other in (tmp_path / "again.csv", tmp_path / "folder" / ".." / "rows.csv"):
        assert "data.path names 'rows.csv' more than once" in refused(tmp_path / "rows.csv", other)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder, cell in (("2025", "1"), ("2026", "oops")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.csv").write_text(f"a,kind\n1,x\n2,y\n{cell},x\n3,y\n")

    message = refused(tmp_path / "2025" / "rows.csv", tmp_path / "2026" / "rows.csv")

    assert "2026/rows.csv, line 4, column 'a': 'oops'" in message


def test_an_arrow_file_that_lies_about_its_memory_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    offsets = pa.py_buffer(np.array([0, 1, 2**30, 3, 4], np.int32))
    texts = pa.Array.from_buffers(pa.string(), 4, [None, offsets, pa.py_buffer(b"uvuv")])
    batch = pa.record_batch({"a": texts, "kind": ["x", "y", "x", "y"]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(pa.record_batch({"a": ["u", "v", "u", "v"], "kind": ["x", "y", "x", "y"]}))
    content = path.read_bytes()
    honest = np.array([0, 1, 2, 3, 4], np.int32).tobytes()
    assert content.count(honest) == 2
    path.write_bytes(content.replace(honest, offsets.to_pybytes()))

    assert "data 'rows.arrow' is no Arrow file, or is damaged" in refused(path)
    with pytest.raises(InvalidInput, match="the rows are no table that can be read"):
        table.load(Tabular((), ("kind",)), given=pa.Table.from_batches([batch]))


def test_texts_of_a_typed_file_that_are_not_utf_8_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"a": ["uuuu", "vvvv"] * 2, "kind": ["x", "y"] * 2}).to_parquet(path, compression=None)
    path.write_bytes(path.read_bytes().replace(b"uuuu", b"u\xff\xffu"))

    assert "data 'rows.parquet' is no Parquet file, or is damaged" in refused(path)


# Types.


def streamed(given: Any, **source: Any) -> np.ndarray[Any, Any]:
    """The features as a stream reads them."""
    stream = table.opened(Tabular((), ("kind",), **source), given=given)
    return np.concatenate([part.features for part in stream.read(range(stream.pieces))])


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["u", "v", "u", "v"], pa.string_view()),
        pa.DictionaryArray.from_arrays(
            pa.array([0, 1, 0, 1], pa.int8()), pa.array(["u", "v"], pa.string_view())
        ),
        pa.array(["u", "v", "u", "v"], pa.large_string()).dictionary_encode(),
    ],
    ids=["view", "dictionary of views", "dictionary of large texts"],
)
def test_every_type_of_text_is_read_and_streamed(values: pa.Array) -> None:
    assert streamed(pa.table({"a": values, "kind": ["x", "y", "x", "y"]}))[:, 0].tolist() == [0, 1, 0, 1]
    assert of_columns(a=values).blocks[0].vocabulary == ("u", "v")
    labels = table.opened(Tabular((), ("kind",)), given=pa.table({"a": [1, 2, 3, 5], "kind": values}))
    assert labels.classes == ("u", "v")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([b"1"] * 4, pa.binary_view()),
        pa.array([[1]] * 4, pa.list_view(pa.int8())),
        pa.RunEndEncodedArray.from_arrays([2, 4], pa.array(["u", "v"])),
        pa.UnionArray.from_sparse(pa.array([0, 0, 0, 0], pa.int8()), [pa.array([1, 2, 3, 4])]),
        pa.array([b"1" * 16] * 4, pa.uuid()),
    ],
    ids=["binary view", "list view", "run ends", "union", "uuid"],
)
def test_a_stream_of_a_type_that_no_feature_has_is_refused(values: pa.Array) -> None:
    with pytest.raises(InvalidInput, match="which no feature is"):
        streamed(pa.table({"a": values, "kind": ["x", "y", "x", "y"]}))


def test_a_stream_takes_another_type_of_number_and_another_dictionary_in_each_file(tmp_path: Path) -> None:
    for number, kind in enumerate((pa.int64(), pa.float32())):
        texts = pa.array([f"{number} {row}" for row in range(100)])
        words = pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), texts)
        rows = pa.table({"a": pa.array(range(100), kind), "b": words, "kind": ["x", "y"] * 50})
        path = str(tmp_path / f"{number}.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)
    source = Tabular((tmp_path,), ("kind",), columns={"b": Column(Kind.CATEGORY)})

    stream = table.opened(source)

    features = np.concatenate([part.features for part in stream.read(range(stream.pieces))])
    assert np.array_equal(features, table.load(source).features)


def test_whole_numbers_just_beyond_two_to_the_53_are_named() -> None:
    with pytest.raises(InvalidInput, match="row 3, column 'a': 9007199254740993 is beyond"):
        of_columns(a=pa.array([1, 2, 2**53, 2**53 + 1]))


@pytest.mark.parametrize("labels", [[1, 0, 1, 0], [True, False, True, False]])
def test_a_category_of_numbers_is_a_label_like_the_numbers(labels: list[Any]) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 5], "kind": pd.Categorical(labels)})

    found = table.load(Tabular((), ("kind",)), given=frame)

    assert found.classes == tuple(sorted(str(label).lower() for label in set(labels)))
    assert found.codes.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1]] * 4),
        pa.array([{"x": 1}] * 4),
        pa.array([b"\xff"] * 4),
        pa.array([1, 2, 3, 4], pa.timestamp("us", "Nowhere/None")),
    ],
    ids=["list", "struct", "bytes", "zone"],
)
@pytest.mark.parametrize(("targets", "separator"), [(("k", "l"), None), (("k",), ";")])
def test_labels_of_a_type_that_is_none_are_named(
    values: pa.Array, targets: tuple[str, ...], separator: str | None
) -> None:
    given = pa.table({"a": [1, 2, 3, 5], "k": values, "l": [1, 0, 1, 0]})

    with pytest.raises(InvalidInput, match=r"target 'k' holds .*, which no label is: give it as"):
        table.load(Tabular((), targets, separator), given=given)


def held_by(values: Any, *, times: bool) -> Dataset:
    given = pa.table({"a": [1, 2, 3, 5], "k": values, "kind": ["x", "y", "x", "y"]})
    return table.load(Tabular((), ("kind",)), By("k", times=times), given)


def test_a_moment_is_the_same_key_in_every_zone_and_in_one_that_is_not_known() -> None:
    moments = [1_000_000, 2_000_000, 1_000_000, 2_000_000]
    found = [
        held_by(pa.array(moments, pa.timestamp("us", zone)), times=False).groups
        for zone in ("UTC", "Asia/Seoul", "Nowhere/None")
    ]

    assert found[0] is not None
    assert found[0][0] == found[0][2] != found[0][1]
    assert all(np.array_equal(found[0], other) for other in found[1:] if other is not None)


@pytest.mark.parametrize(
    ("values", "times", "expected"),
    [
        (pa.array([1, None, 3, 4], pa.timestamp("us", "Nowhere/None")), False, "row 1, key 'k': is empty"),
        (pa.array([1, None, 3, 4], pa.timestamp("us", "Nowhere/None")), True, "row 1, key 'k': nothing is"),
        (pa.array([[1]] * 4), True, "column 'k' holds list<item: int64>, which is no time"),
        (pa.array([b"\xff"] * 4), True, "column 'k' holds binary, which is no time"),
    ],
)
def test_keys_of_a_type_that_is_none_are_named(values: pa.Array, times: bool, expected: str) -> None:
    with pytest.raises(InvalidInput) as error:
        held_by(values, times=times)

    assert expected in str(error.value)


@pytest.mark.parametrize("rows", [1, BATCH_ROWS])
def test_numbers_and_moments_are_no_order_however_far_apart_they_stand(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,when,kind\n" + "1,2027,x\n" * rows + "2,2026-01-01,y\n" * 2)

    message = refused(path, by=By("when", times=True))

    assert f"key 'when' is a number in line 2 and a time in line {rows + 2}" in message


# Frames that are odd.


class Frame(pd.DataFrame):  # type: ignore[misc]  # pandas has no types
    """A frame of a class of one's own."""


def test_an_index_is_no_column_of_a_frames_subclass_and_of_a_table_made_from_one() -> None:
    columns = {"a": [1, 2, 3, 5], "kind": ["x", "y", "x", "y"]}
    own = Frame(columns, index=[5, 6, 7, 9])

    for given in (own, pa.Table.from_pandas(pd.DataFrame(own))):
        found = table.load(Tabular((), ("kind",)), given=given)
        assert [block.name for block in found.blocks] == ["a"]


def test_a_sparse_column_is_the_numbers_that_it_stands_for() -> None:
    frame = pd.DataFrame({"a": pd.arrays.SparseArray([1, 0, 0, 2]), "kind": ["x", "y", "x", "y"]})

    assert table.load(Tabular((), ("kind",)), given=frame).features[:, 0].tolist() == [1, 0, 0, 2]


def test_moments_of_numpy_beside_numbers_of_numpy_are_mixed() -> None:
    moments = pd.Series([np.datetime64("2026"), np.int8(3), np.datetime64("2026"), np.int8(1)], dtype=object)
    frame = pd.DataFrame({"a": moments, "kind": ["x", "y", "x", "y"]})

    with pytest.raises(InvalidInput, match=r"column 'a' mixes types: row 0 holds .* row 1 holds"):
        table.load(Tabular((), ("kind",)), given=frame)


@pytest.mark.parametrize("value", [[np.datetime64("2026"), np.int8(3)], {"a": 1}, (1,), np.ones(2)])
def test_a_list_is_no_value_and_an_ignored_column_may_hold_anything(value: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 5], "kind": ["x", "y", "x", "y"]})
    frame["b"] = pd.Series(["u", value, 7, value], dtype=object)

    with pytest.raises(InvalidInput, match=r"row 1, column 'b' holds a .*: name it in data.ignore"):
        table.load(Tabular((), ("kind",)), given=frame)
    assert len(table.load(Tabular((), ("kind",), ignore=("b",)), given=frame).codes) == 4


@pytest.mark.parametrize("kind", [Kind.NUMERIC, Kind.INTEGER, Kind.BOOLEAN, Kind.CATEGORY])
def test_a_category_of_numbers_is_the_feature_that_the_job_says(kind: Kind) -> None:
    given = pd.DataFrame({"a": pd.Categorical([1, 0, 1, 0]), "kind": ["x", "y", "x", "y"]})

    with pytest.raises(InvalidInput, match="column 'a' holds dictionary<values=int64"):
        table.load(Tabular((), ("kind",)), given=given)
    assert streamed(given, columns={"a": Column(kind)})[:, 0].tolist() == [1, 0, 1, 0]


def test_half_a_character_is_no_text_of_a_cell_or_a_name() -> None:
    cells = pd.DataFrame(
        {"a": pd.Series(["u", "\ud800", "u", "v"], dtype=object), "kind": ["x", "y", "x", "y"]}
    )
    names = pd.DataFrame([[1, "x"]] * 4, columns=pd.Index(["\ud800", "kind"], dtype=object))

    with pytest.raises(InvalidInput, match=r"row 1, column 'a': '\\ud800' is no text of Unicode"):
        table.load(Tabular((), ("kind",)), given=cells)
    with pytest.raises(InvalidInput, match=r"the name of column '\\ud800' is no text of Unicode"):
        table.load(Tabular((), ("kind",)), given=names)


@pytest.mark.parametrize("given", [pd.Series([1, 2]), pa.chunked_array([[1, 2]])], ids=["series", "chunks"])
def test_a_single_column_is_no_table(given: Any) -> None:
    with pytest.raises(InvalidInput, match="the rows are "):
        table.load(Tabular((), ("kind",)), given=given)


def test_a_table_without_a_column_says_so() -> None:
    with pytest.raises(InvalidInput, match="there is no target column 'kind'; there is no column at all"):
        table.load(Tabular((), ("kind",)), given=pa.table({}))


# Decimal commas.


def test_decimal_commas_are_numbers_where_the_job_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a;kind\n1,5;x\n-,25;y\n3;x\n4,0e2;y\n-999,0;x\n")

    found = load(
        path,
        dialect=Dialect(";", decimal=","),
        missing_values=("-999,0",),
        default=Column(missing="mean"),
    )

    assert found.features[:4, 0].tolist() == [1.5, -0.25, 3, 400]
    assert np.isnan(found.features[4, 0])


def test_a_point_among_decimal_commas_and_a_comma_among_points_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a;kind\n1,5;x\n2.620,00;y\n3;x\n4;y\n")

    assert "line 3, column 'a': '2.620,00' is not a finite number" in refused(
        path, dialect=Dialect(";", decimal=",")
    )
    path.write_text("a;kind\n1,5;x\n2,5;y\n3;x\n4;y\n")
    assert "column 'a' has numbers with a decimal comma: say data.decimal = ','" in refused(
        path, dialect=Dialect(";")
    )
    path.write_text("a;kind\n1,5;x\n2,5;y\n3,5;x\n4,5;y\n")
    assert "column 'a' has numbers with a decimal comma, such as '1,5': say data.decimal" in refused(
        path, dialect=Dialect(";")
    )


def test_a_stray_file_in_a_folder_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "readme.md").write_text("# Read me")
    assert "data 'readme.md': the ending is none of a table's" in refused(tmp_path)

    (tmp_path / "rows.csv").write_bytes(b"\x1f\x8b\x08\x00\x00\xff" * 100)
    assert "data.encoding says what it is, if it is a text at all" in refused(tmp_path / "rows.csv")


def test_a_stream_that_stands_by_class_in_one_piece_is_noted(tmp_path: Path) -> None:
    ordered = pd.concat([FRAME] * 10).sort_values("kind", ignore_index=True)
    ordered.to_csv(tmp_path / "rows.csv", index=False)
    source = Tabular((tmp_path / "rows.csv",), ("kind",), stream=True, buffer=50)

    (notice,) = table.opened(source).notices

    assert "the rows stand by class, and 400 of them in one piece, of which the buffer mixes 50" in notice
    assert table.opened(replace(source, buffer=300)).notices == ()
    ordered.sample(frac=1, random_state=0).to_csv(tmp_path / "rows.csv", index=False)
    assert table.opened(source).notices == ()
