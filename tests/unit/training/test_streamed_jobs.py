"""A job that streams its files, from the command line: the same model, checked, resumed, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from tests.unit.training.test_streaming import Recorder

from sigmax.contract import Manifest
from sigmax.errors import InvalidInput
from sigmax_training import data, pipeline
from sigmax_training import job as jobs
from sigmax_training.cli import cli
from sigmax_training.data import csvs
from sigmax_training.data.stream import Part
from sigmax_training.data.table import Streamed

COUNT = 6000
JOB = """
name = "rows"
[data]
path = "{path}"
target = "y"
stream = true
buffer = 2000
[features]
missing = "mean"
[estimator]
kind = "mlp"
hidden = []
batch_size = 64
epochs = 2
[decision]
classes = ["yes", "no"]
positive = "yes"
"""


@pytest.fixture
def frame() -> pd.DataFrame:
    """Numbers, a category, missing values, sorted by class."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, COUNT))
    city = rng.choice(["서울", "부산", "대구"], COUNT)
    chance = 1 / (1 + np.exp(-(2 * a - b + (city == "서울"))))
    y = np.where(rng.random(COUNT) < chance, "yes", "no")
    a[::50] = np.nan
    return pd.DataFrame({"a": a, "b": b, "city": city, "y": y}).sort_values("y", ignore_index=True)


def written(frame: pd.DataFrame, folder: Path, kind: str) -> Path:
    """The rows as one Parquet file, one CSV file, or a folder of Parquet files."""
    if kind == "csv":
        frame.to_csv(folder / "rows.csv", index=False)
        return folder / "rows.csv"
    if kind == "parquet":
        frame.to_parquet(folder / "rows.parquet", row_group_size=500)
        return folder / "rows.parquet"
    (folder / "parts").mkdir()
    for number in range(3):
        frame.iloc[number * 2000 : number * 2000 + 2000].to_parquet(folder / "parts" / f"{number}.parquet")
    return folder / "parts"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), auto_envvar_prefix="SIGMAX_TRAIN")


@pytest.mark.parametrize("kind", ["csv", "parquet", "folder"])
def test_a_streamed_job_is_checked_trained_and_published(
    tmp_path: Path, frame: pd.DataFrame, kind: str
) -> None:
    job = tmp_path / "job.toml"
    job.write_text(JOB.format(path=written(frame, tmp_path, kind)))

    checked = call("check", job)
    run = call("run", job, "--models", tmp_path / "models")

    assert checked.exit_code == 0, checked.output
    assert "6,000 in " in checked.output
    assert "yes (3," in checked.output
    assert run.exit_code == 0, run.output
    assert '{"epoch":2,"epochs":2,' in run.output
    manifest = Manifest.from_json((tmp_path / "models/rows/1/manifest.json").read_bytes())
    assert manifest.classes == ("yes", "no")
    assert manifest.metrics["test_accuracy"] > 0.75 > manifest.metrics["baseline_accuracy"]
    assert "already published" in call("run", job, "--models", tmp_path / "models", "--quiet").output


def test_the_rows_of_a_key_stay_together_and_what_they_are_is_refused_by_name(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    path = written(frame, tmp_path, "parquet")
    job = tmp_path / "job.toml"
    job.write_text(JOB.format(path=path))

    wrong = call("check", job, "--set", "evaluation.split=hash", "--set", "evaluation.key=usr")
    other = call("run", job, "--set", 'estimator={kind="logistic_regression"}')

    assert (wrong.exit_code, other.exit_code) == (1, 1)
    assert "there is no evaluation.key column 'usr'" in wrong.output
    assert "data.stream is for estimator.kind = 'mlp'" in other.output


class Torn:
    """A stream whose file is cut off while an epoch reads it."""

    def __init__(self, stream: Streamed, path: Path, *, whole: int) -> None:
        self._stream, self._path, self._whole = stream, path, whole

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def read(self, order: Sequence[int]) -> Iterator[Part]:
        self._whole -= 1
        for number, part in enumerate(self._stream.read(order)):
            if self._whole < 0 and number == 2:
                self._path.write_bytes(self._path.read_bytes()[:-5000])
            yield part


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("whole", [0, 1, 2])
def test_a_file_that_is_cut_off_in_the_middle_of_any_pass_ends_the_run_and_publishes_nothing(
    tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, kind: str, whole: int
) -> None:
    monkeypatch.setattr(csvs, "PIECE_BYTES", 20_000)
    path = written(frame, tmp_path, kind)
    job = jobs.parse(JOB.format(path=path), tmp_path)
    torn = Torn(data.stream(job), path, whole=whole)

    with pytest.raises(InvalidInput, match=r"data .rows.(csv|parquet). has changed since the job began"):
        pipeline.run_streamed(job, torn, 2000, tmp_path / "models", Recorder())  # type: ignore[arg-type]

    assert not list((tmp_path / "models").rglob("manifest.json"))


def test_a_vanished_file_is_exit_code_1_and_earlier_versions_stay(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    path = written(frame, tmp_path, "parquet")
    job = tmp_path / "job.toml"
    job.write_text(JOB.format(path=path))
    assert call("run", job, "--models", tmp_path / "models", "--quiet").exit_code == 0
    before = {file: file.read_bytes() for file in (tmp_path / "models").rglob("*") if file.is_file()}
    path.unlink()

    result = call("run", job, "--models", tmp_path / "models", "--quiet", "--set", "seed=1")

    assert result.exit_code == 1
    assert "data 'rows.parquet' cannot be read: No such file or directory" in result.output
    assert {file: file.read_bytes() for file in before} == before
    assert sorted(path.name for path in (tmp_path / "models/rows").iterdir()) == ["1"]


def test_history_and_example_of_a_streamed_model_are_published(tmp_path: Path, frame: pd.DataFrame) -> None:
    job = jobs.parse(JOB.format(path=written(frame, tmp_path, "csv")), tmp_path)

    outcome = pipeline.run(job, tmp_path / "models", Recorder())

    assert len(json.loads((outcome.published.path / "history.json").read_text())["epochs"]) == 2
    example = json.loads((outcome.published.path / "example.json").read_text())
    assert set(example["rows"][0]) == {"a", "b", "city"}
