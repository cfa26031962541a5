"""The command line: one table a job, clear errors, exit codes that scripts can rely on."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from sigmax_training import __version__, progress
from sigmax_training.cli import cli

IRIS = "name='iris'\n[data]\nbuiltin='iris'\n[evaluation]\nfolds=4\nrepeats=1\n"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "iris.toml"
    path.write_text(IRIS)
    return path


def call(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), auto_envvar_prefix="SIGMAX_TRAIN", env=env)


def test_a_run_prints_figures_difference_version_and_path(job: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"

    result = call("run", job, "--models", models)

    assert result.exit_code == 0
    for part in (
        "cv accuracy mean",
        "test log loss",
        "largest difference, served and estimator",
        "rows compared",
        "rows on the decision's edge",
        str(models / "iris" / "1"),
    ):
        assert part in result.stdout


def test_progress_is_shown_on_stderr_and_can_be_silenced(job: Path, tmp_path: Path) -> None:
    loud = call("run", job, "--models", tmp_path / "a")
    quiet = call("run", job, "--models", tmp_path / "b", "--quiet")

    assert "iris: cross-validation: 2 of 4" in loud.stderr
    assert "cross-validation" not in loud.stdout
    assert quiet.stderr == ""


def test_the_second_run_says_already_published(job: Path, tmp_path: Path) -> None:
    call("run", job, "--models", tmp_path / "models")

    result = call("run", job, "--models", tmp_path / "models")

    assert result.exit_code == 0
    assert "already published as version 1" in result.stdout


def test_the_repository_can_come_from_the_environment(job: Path, tmp_path: Path) -> None:
    result = call("run", job, env={"SIGMAX_TRAIN_RUN_MODELS": str(tmp_path / "there")})

    assert result.exit_code == 0
    assert (tmp_path / "there" / "iris" / "1" / "model.onnx").is_file()


def test_wrong_jobs_are_all_named_before_anything_is_trained(job: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("nam='x'\n[data]\nbuiltin='iris'")

    result = call("run", job, wrong, tmp_path / "none.toml", "--models", tmp_path / "models")

    assert result.exit_code == 1
    assert f"error: {wrong}: name is missing" in result.stderr
    assert "did you mean 'name'?" in result.stderr
    assert f"error: {tmp_path / 'none.toml'}: the job cannot be read" in result.stderr
    assert not (tmp_path / "models").exists()
    assert "Traceback" not in result.output


def test_what_is_set_holds_for_every_job_of_the_call(job: Path, tmp_path: Path) -> None:
    other = tmp_path / "wine.toml"
    other.write_text("name='wine'\n[data]\nbuiltin='wine'\n")
    settings = (
        "--set",
        "evaluation.folds=2",
        "--set",
        "evaluation.repeats=1",
        "--set",
        "estimator.penalty=none",
    )

    result = call("run", job, other, *settings, "--models", tmp_path / "models", "--quiet")

    assert result.exit_code == 0
    assert result.stdout.count("cv folds") == 2
    for name in ("iris", "wine"):
        assert "penalty='none'" in (tmp_path / "models" / name / "1" / "manifest.json").read_text()


def test_a_key_that_is_set_and_not_known_is_a_mistake_of_the_job(job: Path, tmp_path: Path) -> None:
    result = call("run", job, "--set", "estimator.solvr=saga", "--models", tmp_path / "models")

    assert result.exit_code == 1
    assert (
        f"error: {job}: estimator.solvr is not a key that is known here, did you mean 'solver'?"
        in result.stderr
    )


@pytest.mark.parametrize("wrong", ["estimator.C", "=3", "estimator.hidden=[8"])
def test_a_wrong_form_of_set_is_exit_code_2_and_the_right_one_is_shown(job: Path, wrong: str) -> None:
    result = call("run", job, "--set", wrong)

    assert result.exit_code == 2
    assert "KEY=VALUE as in estimator.C=0.1" in " ".join(result.stderr.split())


def test_a_job_that_fails_does_not_stop_the_next_one(job: Path, tmp_path: Path) -> None:
    lost = tmp_path / "lost.toml"
    lost.write_text("name='lost'\n[data]\npath='none.csv'\ntarget='y'")

    result = call("run", lost, job, "--models", tmp_path / "models")

    assert result.exit_code == 1
    assert f"error: {lost}: data 'none.csv' cannot be read: No such file or directory" in result.stderr
    assert (tmp_path / "models" / "iris" / "1").is_dir()


def test_a_repository_that_cannot_be_written_is_exit_code_1_without_a_traceback(
    job: Path, tmp_path: Path
) -> None:
    (tmp_path / "models").write_text("")

    result = call("run", job, "--models", tmp_path / "models")

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("arguments", [["run"], ["run", "x.toml", "--modles", "m"], ["walk"]])
def test_a_wrong_call_is_exit_code_2(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def test_the_version_is_the_distributions() -> None:
    pyproject = Path(__file__).parents[3] / "training" / "pyproject.toml"

    assert f'version = "{__version__}"' in pyproject.read_text()
    assert __version__ in call("--version").stdout


def test_a_terminal_gets_a_bar_and_notices() -> None:
    console = Console(force_terminal=True, record=True, width=100)

    with progress.opened(console, quiet=False) as report:
        report.stage("iris: folds", 2)
        report.step()
        report.notice("something to know")
        report.step()

    text = console.export_text()
    assert "iris: folds" in text
    assert "2/2" in text
    assert "note: something to know" in text
