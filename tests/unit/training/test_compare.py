"""The best stands first, beside the majority baseline; figures of different data are never ranked."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from sigmax.contract import MANIFEST_FILE, Manifest
from sigmax.errors import InvalidInput
from sigmax.repository import bundle
from sigmax.repository.layout import Published
from sigmax_training import compare, leaderboard
from sigmax_training.cli import cli
from sigmax_training.compare import Comparison, Row, short

IRIS = "name='iris'\n[data]\nbuiltin='iris'\n[evaluation]\nfolds=3\nrepeats=1\n"
STRONG = IRIS.replace("[evaluation]", "[estimator]\nC=10.0\n[evaluation]")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two versions of iris and one of wine; not to be written to."""
    folder = tmp_path_factory.mktemp("compared")
    for name, text in {"weak": IRIS, "strong": STRONG, "wine": IRIS.replace("iris", "wine")}.items():
        (folder / f"{name}.toml").write_text(text)
        done = call("run", folder / f"{name}.toml", "--models", folder / "models", "--quiet")
        assert done.exit_code == 0
    return folder / "models"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def document(*arguments: str | Path) -> Any:
    return json.loads(call("compare", "--json", *arguments).stdout)


def no_job(path: Path) -> tuple[Manifest, Published | None]:
    raise AssertionError(f"{path} is no job here")


def row(**metrics: float) -> Row:
    """A version with some metrics, of some data."""
    fixture = Path(__file__).parents[2] / "fixtures" / "format_1" / "iris" / "1"
    manifest = Manifest.from_json((fixture / MANIFEST_FILE).read_bytes())
    return Row(replace(manifest, metrics=metrics), 1)


def test_without_a_word_every_version_stands_beside_those_of_the_same_data_the_best_first(
    models: Path,
) -> None:
    tables = document("--models", models)["tables"]

    found = [[row["what"] for row in table["rows"]] for table in tables]

    assert found == [["iris/2", "iris/1"], ["wine/1"]]
    assert [table["data"] for table in tables] == ["scikit-learn's iris", "scikit-learn's wine"]


def test_figures_are_those_of_the_manifest_and_the_gain_is_the_share_of_the_baselines_loss(
    models: Path,
) -> None:
    metrics = bundle.read(models / "iris" / "1").manifest.metrics

    (table,) = document("iris/1", "--models", models)["tables"]
    (found,) = table["rows"]

    assert {name: found[name] for name in compare.FIGURES} == {
        name: metrics[name] for name in compare.FIGURES
    }
    assert found["gain"] == pytest.approx(1 - metrics["test_log_loss"] / math.log(3))
    assert (found["features"], found["parameters"], found["version"]) == (4, 15, 1)
    assert table["baseline"] == {
        "what": "majority baseline",
        "test_log_loss": pytest.approx(math.log(3)),
        "test_accuracy": pytest.approx(1 / 3),
    }


def test_every_table_for_people_ends_with_the_majority_baseline(models: Path) -> None:
    result = call("compare", "--models", models)

    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    assert [line.split()[0] for line in lines if "/" in line or "majority" in line] == [
        "iris/2",
        "iris/1",
        "majority",
        "wine/1",
        "majority",
    ]
    assert "logistic_regression, C=10.0" in result.stdout
    assert "1.0986" in next(line for line in lines if "majority" in line)


def test_a_job_is_evaluated_as_run_does_and_nothing_is_published(models: Path, tmp_path: Path) -> None:
    job = tmp_path / "middle.toml"
    job.write_text(IRIS.replace("[evaluation]", "[estimator]\nC=3.0\n[evaluation]"))
    before = sorted(models.rglob("*"))

    (table,) = document("iris", job, "--models", models, "--quiet")["tables"]
    call("run", job, "--models", tmp_path / "models", "--quiet")
    published = bundle.read(tmp_path / "models" / "iris" / "1").manifest.metrics

    assert [row["what"] for row in table["rows"]] == ["iris/2", str(job), "iris/1"]
    found = table["rows"][1]
    assert {name: found[name] for name in compare.FIGURES} == {
        name: published[name] for name in compare.FIGURES
    }
    assert (found["version"], found["parameters"]) == (None, 15)
    assert sorted(models.rglob("*")) == before


def test_a_job_that_is_published_is_answered_from_its_version_and_stands_once(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models.parent)  # so that its name fits into a column

    result = call("compare", "iris", "strong.toml", "--models", models)

    assert result.exit_code == 0
    assert "iris/2 (strong.toml)" in result.stdout
    assert result.stdout.count("iris/2") == 1
    assert "cross-validation" not in result.stderr


def test_a_job_needs_no_repository(tmp_path: Path) -> None:
    job = tmp_path / "iris.toml"
    job.write_text(IRIS)

    result = call("compare", job, "--models", tmp_path / "none", "--quiet")

    assert result.exit_code == 0
    assert "majority baseline" in result.stdout
    assert not (tmp_path / "none").exists()


def test_what_is_wrong_is_named_and_the_others_are_shown(models: Path, tmp_path: Path) -> None:
    broken = tmp_path / "models"
    shutil.copytree(models, broken)
    (broken / "iris" / "1" / MANIFEST_FILE).write_text("{")
    shutil.copytree(broken / "wine" / "1", broken / "wine" / "5")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("nam='x'\n[data]\nbuiltin='iris'")
    none = tmp_path / "none.toml"

    result = call(
        "compare", "iris", "wnie", "wine/7", "wine/5", "wine/x", "a/b/c", wrong, none, "--models", broken
    )

    assert result.exit_code == 1
    assert "iris/2" in result.stdout
    for message in (
        "error: iris/1: the manifest is not JSON",
        "error: wnie: is no job file (which ends in .toml), and no model of the repository",
        "did you mean 'wine'?",
        "error: wine/7: model 'wine' has no version '7': it has 1, 5",
        "error: wine/5: the manifest is that of wine/1",
        "error: wine/x: model 'wine' has no version 'x'",
        "error: a/b/c: is no job file",
        f"error: {wrong}: name is missing",
        f"error: {none}: the job cannot be read: No such file or directory",
    ):
        assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("path", ["models/iris/1", "./models/iris/1/", "iris/1/", "models/../models/iris/1"])
def test_a_version_may_be_named_by_its_folder(
    models: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models.parent)

    assert document(path) == document("iris/1")


@pytest.mark.parametrize("path", ["models/iris", "models/iris/", "iris/"])
def test_a_model_may_be_named_by_its_folder(models: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models.parent)

    assert document(path, models / "wine", "iris/2") == document("iris", "wine")


def test_a_name_is_a_model_though_a_folder_is_called_so_too(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models / "wine", tmp_path / "models" / "models")
    shutil.copytree(models / "iris", tmp_path / "models" / "1")
    monkeypatch.chdir(tmp_path)

    found = document("models/1")

    assert [error["message"] for error in found["errors"]] == ["the manifest is that of wine/1"]


def test_what_no_path_can_be_is_said_beside_the_others(models: Path) -> None:
    result = call("compare", "iris/1", "a" * 300, f"{'a' * 300}/1", "--models", models)

    assert result.exit_code == 1
    assert "iris/1" in result.stdout
    assert result.stderr.count("is no job file (which ends in .toml), and no model of the repository") == 2


def test_what_names_no_version_is_said_in_words(models: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "yy").mkdir(parents=True)

    result = call(
        "compare",
        "yy",
        "yy/",
        "yy/1",
        tmp_path / "models" / "yy",
        "",
        models / "iris",
        "--models",
        tmp_path / "models",
    )

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: yy: model 'yy' has no version",
        "error: yy/: model 'yy' has no version",
        "error: yy/1: model 'yy' has no version",
        f"error: {tmp_path}/models/yy: model 'yy' has no version",
        "error: '': names nothing: give a model, a version as iris/3, or a job file (.toml)",
        f"error: {models}/iris: is no job file (which ends in .toml), and no model of the repository "
        f"'{tmp_path}/models'; it has yy",
    ]


@pytest.mark.parametrize("what", [(), ("nope", ""), ("none.toml",)])
def test_json_is_printed_though_everything_is_wrong(tmp_path: Path, what: tuple[str, ...]) -> None:
    result = call("compare", "--json", *what, "--models", tmp_path / "models")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["tables"] == []
    assert [error["what"] for error in found["errors"]] == list(what or [str(tmp_path / "models")])
    assert all(error["message"] in result.stderr for error in found["errors"])


def test_what_is_wrong_stands_in_the_json_too(models: Path) -> None:
    found = document("nope", "wine", "--models", models)

    assert [error["what"] for error in found["errors"]] == ["nope"]
    assert len(found["tables"]) == 1


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_repository_is_exit_code_1(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "models" / "empty").mkdir(parents=True)

    result = call("compare", "--models", tmp_path / "models")

    assert result.exit_code == 1
    expected = "there is no model in the repository" if there else "cannot be read: No such file or directory"
    assert expected in result.stderr


def shown(*rows: Row, width: int = 200) -> str:
    table = compare._table(sorted(rows, key=lambda one: one.rank))
    console = Console(record=True, width=width, file=StringIO())
    leaderboard.show(Comparison((table,)), console)
    return console.export_text()


def test_a_missing_figure_is_a_dash() -> None:
    text = shown(row(test_accuracy=0.9, test_log_loss=0.5, baseline_accuracy=0.4))

    model, baseline = (line.split() for line in text.splitlines() if "iris/1" in line or "majority" in line)

    assert model[-7:] == ["-", "-", "0.5000", "0.9000", "-", "4", "-"]
    assert baseline[2:] == ["-", "-", "-", "0.4000", "-", "-", "-"]


def test_a_terminal_of_80_columns_shows_every_figure() -> None:
    figures = dict(
        zip(compare.FIGURES, (0.11111, 0.22222, 0.33333, 0.44444, 0.5, 0.6, 0.8, 0.9), strict=True)
    )

    text = shown(row(**figures), width=80)

    for figure in (
        "0.1111 ±",
        "0.2222",
        "0.3333 ±",
        "0.4444",
        "0.5000",
        "0.6000",
        "37.5%",
        "0.8000",
        "0.9000",
    ):
        assert figure in text
    assert "…" not in text


def test_a_model_without_any_figure_stands_in_a_table_of_its_own() -> None:
    none = replace(row().manifest, provenance={})
    other = replace(none, name="other")

    tables = compare._tables([Row(none, 1), Row(other, 1)])

    assert [table.sha256 for table in tables] == [None, None]
    assert [table.rows[0].what for table in tables] == ["iris/1", "other/1"]


def test_rows_with_folds_and_without_are_ranked_by_the_loss_that_they_have() -> None:
    rows = [
        row(),
        row(test_log_loss=0.3),
        row(cv_log_loss_mean=0.2, test_log_loss=0.9),
        row(cv_log_loss_mean=0.4),
    ]

    ranked = sorted(rows, key=lambda one: one.rank)

    assert ranked == [rows[2], rows[1], rows[3], rows[0]]


def test_figures_of_different_splits_carry_a_note() -> None:
    one, other = row(test_log_loss=0.3), row(test_log_loss=0.2)
    drawn, grouped = (
        replace(found.manifest, version=version, provenance={"data_sha256": "x", "evaluation": way})
        for found, version, way in (
            (one, 1, "stratified, 10 folds"),
            (other, 2, "group by patient, 10 folds"),
        )
    )

    (alike,) = compare._tables([Row(drawn, 1), Row(drawn, 3)])
    (mixed,) = compare._tables([Row(drawn, 1), Row(grouped, 2)])

    assert alike.note is None
    assert mixed.note is not None
    assert mixed.note.endswith("group by patient: iris/2; stratified: iris/1")


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("StandardScaler -> Logistic(penalty='l2', C=1.0)", "logistic_regression"),
        (
            "Logistic(C=0.5) -> platt calibration",
            "logistic_regression, C=0.5, standardise=False, platt",
        ),
        ("StandardScaler -> Perceptron(hidden=(8, 4), epochs=9)", "mlp, hidden=(8, 4), epochs=9"),
        ("RandomForestClassifier(\n  n_estimators=3)", "RandomForestClassifier( n_estimators=3)"),
        ("Logistic(", "logistic_regression, standardise=False"),
        ("x" * 80, "x" * 59 + "…"),
    ],
)
def test_an_estimator_is_shown_by_what_is_not_its_default(estimator: str, expected: str) -> None:
    assert short(estimator) == expected


def test_nothing_named_and_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no model in the repository"):
        compare.compare([], tmp_path, no_job)
