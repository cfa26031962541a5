"""A table is the same data set in whatever files, formats and encodings it comes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sigmax.contract import Kind
from sigmax.errors import InvalidInput
from sigmax_training.data import csvs, table
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

        assert "data 'rows.csv' is not CSV" in refused(path)


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
