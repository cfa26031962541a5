"""Columns that a person should look at are named, with what was seen and the remedy; good ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from sigmax.contract import Kind
from sigmax_training.cli import cli
from sigmax_training.data import table
from sigmax_training.job import Column, Tabular

COUNT = 100
RNG = np.random.default_rng(0)
KIND = [("x", "y", "z")[number % 3] for number in range(COUNT)]
GOOD = RNG.normal(size=COUNT)


def notices(values: dict[str, Any], kind: list[str] | None = None, **source: Any) -> tuple[str, ...]:
    given = pa.table({"good": GOOD, **values, "kind": kind or KIND})
    return table.load(Tabular((), ("kind",), **source), given=given).notices


def test_good_columns_are_not_named() -> None:
    columns = {
        "year": RNG.integers(1950, 2026, COUNT),
        "city": [("서울", "부산")[number % 2] for number in range(COUNT)],
        "flag": RNG.random(COUNT) < 0.5,
        "count": RNG.integers(0, 5, COUNT),
    }

    assert notices(columns) == ()


@pytest.mark.parametrize(
    ("values", "shown"),
    [(np.full(COUNT, 3.5), "3.5"), (["KR"] * COUNT, "'KR'"), (np.ones(COUNT, np.bool_), "1")],
)
def test_a_constant_column_is_named_with_its_value(values: Any, shown: str) -> None:
    assert notices({"a": values}) == (
        f"column 'a' is constant: every row has {shown}, which tells no class from another: name it in "
        "data.ignore",
    )


def test_a_column_that_stands_twice_is_named_with_the_other() -> None:
    assert notices({"again": GOOD}) == (
        "column 'again' is the same as 'good' in every row: name one of them in data.ignore",
    )


def test_whole_numbers_that_all_differ_are_an_identifier_until_the_job_says_otherwise() -> None:
    numbers = RNG.permutation(COUNT) + 7000

    assert notices({"id": numbers}) == (
        f"column 'id' has another whole number in every row ({numbers[0]}, {numbers[1]}, …), as an "
        "identifier has: name it in data.ignore, or say features.columns.'id'.kind = 'numeric'",
    )
    assert notices({"id": numbers}, columns={"id": Column(Kind.NUMERIC)}) == ()


GIVES_AWAY = (
    "column 'told' alone gives the target away: "
    "name it in data.ignore if it is not known before the answer is"
)


@pytest.mark.parametrize(
    "told",
    [
        [("u", "v", "w")[number % 3] for number in range(COUNT)],
        [float(number % 3) + 0.1 * (number % 2) for number in range(COUNT)],
        [None if number % 7 == 0 else float(number % 3) for number in range(COUNT)],
    ],
    ids=["a category a class", "ranges that do not overlap", "where it is not missing"],
)
def test_a_feature_that_tells_every_class_is_named(told: list[Any]) -> None:
    assert notices({"told": told}, default=Column(missing="mean")) == (GIVES_AWAY,)


def test_of_two_classes_one_wrong_pair_in_a_thousand_still_gives_away() -> None:
    kind = ["x"] * 50 + ["y"] * 50
    told = np.arange(COUNT) + 0.5
    told[[49, 50]] = told[[50, 49]]

    assert notices({"told": told}, kind) == (GIVES_AWAY,)
    told[[40, 60]] = told[[60, 40]]
    assert notices({"told": told}, kind) == ()


def test_a_feature_that_tells_one_of_three_classes_is_a_good_feature() -> None:
    assert notices({"a": [float(number % 3 == 0) + 0.1 * (number % 5) for number in range(COUNT)]}) == ()


def test_numbers_far_from_zero_are_named_with_mean_and_deviation() -> None:
    (notice,) = notices({"when": 1.7e9 + RNG.normal(0, 1000, COUNT)})

    assert "column 'when' lies 1,7" in notice
    assert "deviations from zero (mean 1.7e+09, deviation " in notice
    assert "subtract a constant from it in the data, for instance its smallest value" in notice


def test_of_many_columns_alike_the_first_few_are_named() -> None:
    found = notices({f"a{number}": np.zeros(COUNT) for number in range(9)})

    assert len(found) == 6
    assert found[-1] == "4 more columns: constant"


def test_a_stream_is_suspected_by_a_sample() -> None:
    given = pa.table({"good": GOOD, "a": np.zeros(COUNT), "kind": KIND})

    assert "column 'a' is constant" in table.opened(Tabular((), ("kind",)), given=given).notices[0]


def test_check_shows_notices_and_strictly_they_are_errors(tmp_path: Path) -> None:
    rows = "".join(f"{value},1,{label}\n" for value, label in zip(GOOD.tolist(), KIND, strict=True))
    (tmp_path / "rows.csv").write_text("good,one,kind\n" + rows)
    (tmp_path / "job.toml").write_text("name='a'\n[data]\npath='rows.csv'\ntarget='kind'\n")

    plain = CliRunner().invoke(cli, ["check", str(tmp_path / "job.toml")])
    strict = CliRunner().invoke(cli, ["check", "--strict", str(tmp_path / "job.toml")])

    assert (plain.exit_code, strict.exit_code) == (0, 1)
    assert "note: a: column 'one' is constant" in plain.output
    assert "classes      x (34), y (33), z (33)" in plain.output


def test_check_names_what_would_stop_the_run(tmp_path: Path) -> None:
    rows = "".join(f"{value},{'x' if value > -1.5 else 'y'}\n" for value in GOOD.tolist())
    (tmp_path / "rows.csv").write_text("good,kind\n" + rows)
    (tmp_path / "job.toml").write_text("name='a'\n[data]\npath='rows.csv'\ntarget='kind'\n")

    result = CliRunner().invoke(cli, ["check", str(tmp_path / "job.toml"), str(tmp_path / "none.toml")])

    assert result.exit_code == 1
    assert "fewer than evaluation.folds = 10" in result.output
    assert "none.toml: the job cannot be read: No such file or directory" in result.output


def test_numbers_of_which_the_square_is_infinite_are_not_far_from_zero() -> None:
    assert notices({"a": np.where(np.arange(COUNT) % 2, 1e308, -1e308) * np.abs(GOOD / 4)}) == ()


@pytest.mark.parametrize("kind", [Kind.NUMERIC, Kind.BOOLEAN])
def test_a_column_that_tells_one_of_many_labels_is_named(kind: Kind) -> None:
    labels = RNG.random((COUNT, 3)) < 0.5
    given = pa.table(
        {"good": GOOD, "told": labels[:, 1].astype(float), **{f"l{n}": labels[:, n] for n in range(3)}}
    )
    source = Tabular((), ("l0", "l1", "l2"), columns={"told": Column(kind)})

    assert [notice.split(":")[0] for notice in table.load(source, given=given).notices] == [
        "column 'told' alone gives the target away"
    ]
