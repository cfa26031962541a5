"""`sigmax-train init` on a table: what it sees, and a job that runs as it is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from sigmax.contract import Kind
from sigmax_training import data, table_proposal
from sigmax_training import job as jobs
from sigmax_training.cli import cli
from sigmax_training.job import Column, Dialect, Perceptron, Tabular

COUNT = 200


@pytest.fixture
def frame() -> pd.DataFrame:
    """Customers: an identifier, notes, a constant, a copy, the answer in disguise, missing values."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, COUNT).astype(float)
    left = rng.random(COUNT) < 1 / (1 + np.exp(-(age - 50) / 10))
    age[3:6] = np.nan
    income = [str(value) for value in rng.normal(3000, 800, COUNT).round(2)]
    income[7] = "n/a"
    return pd.DataFrame(
        {
            "고객번호": np.arange(COUNT) + 1000,
            "나이": age,
            "소득": income,
            "도시": rng.choice(["서울", "부산", "대구"], COUNT),
            "승강기": rng.random(COUNT) < 0.5,
            "메모": [f"note {number}" for number in range(COUNT)],
            "국가": "KR",
            "나이 2": age,
            "사유": np.where(left, 7, 3),
            "이탈": np.where(left, "yes", "no"),
        }
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), auto_envvar_prefix="SIGMAX_TRAIN")


def test_a_table_becomes_a_job_that_declares_every_column(here: Path, frame: pd.DataFrame) -> None:
    frame.to_csv("customers.csv", index=False, sep=";", encoding="cp949")

    result = call("init", "customers.csv", "--target", "이탈")

    assert result.exit_code == 0, result.output
    assert "200 rows of 2 classes, 5 features (1 boolean, 1 category, 3 numeric)" in result.output
    assert "column '사유' alone gives the target away" in result.output
    job = jobs.read(here / "customers.toml")
    assert job.name == "customers"
    assert job.decision.positive == "yes"
    assert job.data == Tabular(
        (here / "customers.csv",),
        ("이탈",),
        ignore=("고객번호", "메모", "국가", "나이 2"),
        missing_values=("n/a",),
        default=Column(missing="median"),
        columns={
            "나이": Column(Kind.NUMERIC),
            "소득": Column(Kind.NUMERIC),
            "도시": Column(Kind.CATEGORY),
            "승강기": Column(Kind.BOOLEAN),
            "사유": Column(Kind.NUMERIC),
        },
        dialect=Dialect(";", encoding="cp949"),
    )


def test_the_job_checks_and_runs_as_it_is(here: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet("customers.parquet")
    assert call("init", "customers.parquet", "--target", "이탈", "--output", "job.toml").exit_code == 0

    checked = call("check", "job.toml")
    run = call("run", "--quiet", "job.toml")

    assert checked.exit_code == 0, checked.output
    assert "200: 160 to train, 40 to test" in checked.output
    assert run.exit_code == 0, run.output
    assert (here / "models" / "customers" / "1" / "manifest.json").exists()


def test_without_a_target_the_columns_are_named_and_a_likely_one(here: Path, frame: pd.DataFrame) -> None:
    frame.rename(columns={"도시": "Label"}).to_csv("customers.csv", index=False)

    result = call("init", "customers.csv")

    assert result.exit_code == 1
    assert "--target names the column that holds the class, one of '고객번호', '나이'," in result.output
    assert "for instance --target Label" in result.output
    assert not (here / "customers.toml").exists()


def test_a_target_that_is_not_there_is_answered_with_the_nearest(here: Path, frame: pd.DataFrame) -> None:
    frame.to_csv("customers.csv", index=False)

    result = call("init", "customers.csv", "--target", "이달")

    assert result.exit_code == 1
    assert "there is no target column '이달', did you mean '이탈'?" in result.output


def test_a_job_that_is_there_already_stays(here: Path, frame: pd.DataFrame) -> None:
    frame.to_csv("customers.csv", index=False)
    Path("customers.toml").write_text("mine")

    result = call("init", "customers.csv", "--target", "이탈")

    assert result.exit_code == 1
    assert "is there already" in result.output
    assert Path("customers.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("suffix", "options", "dialect"),
    [
        ("csv", {}, Dialect()),
        ("tsv", {"sep": "\t"}, Dialect()),
        ("csv", {"sep": "|"}, Dialect("|")),
        ("csv", {"encoding": "utf-8-sig"}, Dialect()),
        ("csv", {"encoding": "utf-16", "sep": "\t"}, Dialect("\t", encoding="utf-16")),
    ],
)
def test_delimiter_and_encoding_are_found_out(
    tmp_path: Path, frame: pd.DataFrame, suffix: str, options: dict[str, Any], dialect: Dialect
) -> None:
    path = tmp_path / f"rows.{suffix}"
    frame.to_csv(path, index=False, **options)

    assert table_proposal.look_at(path, table_proposal.Given("이탈")).source.dialect == dialect


def test_numbers_and_words_that_mean_something_are_a_category(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("floor,size,kind\n" + "1,3,x\n2,5,y\nroof,4,x\n1,2,y\n2,7,x\n" * 6)

    look = table_proposal.look_at(path, table_proposal.Given("kind"))

    assert look.source.columns["floor"] == Column(Kind.CATEGORY)
    assert "# numbers and texts such as 'roof'" in table_proposal.job_text(path, look, tmp_path / "j.toml")


def test_files_larger_than_the_memory_are_streamed(
    tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "customers.parquet"
    frame.to_parquet(path)
    monkeypatch.setattr(table_proposal, "STREAMED_BYTES", 1000)

    look = table_proposal.look_at(path, table_proposal.Given("이탈"))
    job = jobs.parse(table_proposal.job_text(path, look, tmp_path / "j.toml"), tmp_path)

    assert isinstance(job.data, Tabular)
    assert job.data.stream
    assert job.estimator == Perceptron(hidden=(), batch_size=256, epochs=5)


def test_a_table_of_mistakes_that_no_job_can_mend_is_refused(here: Path) -> None:
    Path("rows.csv").write_text("a,kind\n1,x\n2\n3,\n4,y\n")

    result = call("init", "rows.csv", "--target", "kind")

    assert result.exit_code == 1
    assert "line 3 has 1 cells, the header has 2; line 4, target 'kind': the label is empty" in result.output


@pytest.mark.parametrize("word", ["nan", "NaN"])
def test_nan_among_numbers_is_a_missing_value(tmp_path: Path, word: str) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"{word if row % 9 == 0 else row * 1.5},{row % 7},{'xy'[row % 2]}\n" for row in range(40)]
    path.write_text("a,b,kind\n" + "".join(rows))

    look = table_proposal.look_at(path, table_proposal.Given("kind"))

    assert look.source.missing_values == (word,)
    assert look.source.columns["a"] == Column(Kind.NUMERIC)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_whole_numbers_that_float64_does_not_hold_are_left_out(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"id": np.arange(40) + 2**60, "b": np.arange(40) % 7, "kind": ["x", "y"] * 20})
    frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)

    look = table_proposal.look_at(tmp_path / name, table_proposal.Given("kind"))

    assert "beyond 2**53" in look.left_out["id"]


def test_a_file_without_a_column_is_refused_without_a_target_too(here: Path) -> None:
    pd.DataFrame().to_parquet("rows.parquet")

    result = call("init", "rows.parquet")

    assert result.exit_code == 1
    assert "there is no column at all" in result.output


@pytest.mark.parametrize(
    "labels", [["x", "y"] * 2, ["x"] * 58 + ["y"] * 2, [f"class {row % 20}" for row in range(60)]]
)
def test_the_job_of_few_rows_sets_some_of_each_class_aside(here: Path, labels: list[str]) -> None:
    pd.DataFrame({"a": np.arange(len(labels)) % 7 + 0.5, "kind": labels}).to_parquet("rows.parquet")

    written = call("init", "rows.parquet", "--target", "kind")
    checked = call("check", "rows.toml")

    assert written.exit_code == 0, written.output
    assert checked.exit_code == 0, checked.output


def test_a_pipe_is_refused_before_it_is_opened(here: Path) -> None:
    os.mkfifo("rows.csv")

    assert "is a pipe or a device" in call("init", "rows.csv", "--target", "kind").output


def test_decimal_commas_and_dates_are_found_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = "".join(
        f"2025-01-{number % 28 + 1:02};{number % 17},{number % 10};{'xy'[number % 2]}\n"
        for number in range(60)
    )
    path.write_text("day;size;kind\n" + rows)

    look = table_proposal.look_at(path, table_proposal.Given("kind"))
    job = jobs.parse(table_proposal.job_text(path, look, tmp_path / "j.toml"), tmp_path)

    assert look.source.dialect == Dialect(";", decimal=",")
    assert look.source.columns == {"size": Column(Kind.NUMERIC)}
    assert "holds times, which no feature is; evaluation.key takes it" in look.left_out["day"]
    assert data.load(job).features[13, 0] == 13.3


def test_a_mistake_in_a_column_of_numbers_makes_it_no_category(here: Path) -> None:
    rows = "".join(f"{number / 7:.3f},{'xy'[number % 2]}\n" for number in range(60))
    Path("rows.csv").write_text("size,kind\n" + rows + "0x10,x\n")

    result = call("init", "rows.csv", "--target", "kind")
    checked = call("check", "rows.toml")

    assert (
        "look at it: column 'size' has 60 numbers and 1 texts, such as '0x10': it is numeric" in result.output
    )
    assert checked.exit_code == 1
    assert "line 62, column 'size': '0x10' is not a finite number" in checked.output


def test_what_a_person_knows_of_a_file_is_not_found_out(here: Path, frame: pd.DataFrame) -> None:
    Path("rows.csv").write_bytes("größe|kind\n1,5|x\n2,5|ü\n3,5|x\n4,5|ü\n".encode("latin-1"))

    found = call("init", "rows.csv", "--target", "kind", "--encoding", "latin-1", "--delimiter", "|")
    wrong = call("init", "rows.csv", "--target", "kind", "--encoding", "latn", "--output", "other.toml")
    guessed = call("init", "rows.csv", "--target", "kind", "--output", "guessed.toml")

    assert found.exit_code == 0, found.output
    assert 'encoding = "latin-1"' in Path("rows.toml").read_text()
    assert "--encoding: 'latn' is no encoding that is known here" in wrong.output
    assert guessed.exit_code == 0, guessed.output
    assert 'encoding = "cp1252"' in Path("guessed.toml").read_text()
