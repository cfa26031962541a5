"""The command line: `sigmax-train run JOB...` trains and publishes, `import` publishes, `init` writes a job.

Each of the first two prints one table a model; `compare` one a data set.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from sigmax.contract import Colour, Manifest
from sigmax.errors import InvalidInput, SigmaxError
from sigmax.repository.layout import Published
from sigmax_training import __version__, leaderboard, pipeline, progress, proposal
from sigmax_training import compare as comparing
from sigmax_training import job as jobs
from sigmax_training import overrides as overriding
from sigmax_training.job import Job
from sigmax_training.overrides import Override
from sigmax_training.pipeline import Outcome

_PLAIN_WIDTH = 200
"""Columns of a table that no terminal shows: a path is never broken."""


@click.group()
@click.version_option(__version__, prog_name="sigmax-train")
def cli() -> None:
    """Train sigmoid and softmax classifiers and publish them as proven bundles."""


_models = click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=Path("models"),
    show_default=True,
    show_envvar=True,
    help="The repository of models; `run` and `import` make it if it is not there.",
)


def _names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Texts between commas; one with a comma inside stands in double quotes."""
    if value is None:
        return None
    return tuple(name.strip() for name in next(csv.reader([value], skipinitialspace=True), []))


def _overrides(
    _context: click.Context, _parameter: click.Parameter, value: Sequence[str]
) -> tuple[Override, ...]:
    try:
        return tuple(map(overriding.parse, value))
    except InvalidInput as error:
        raise click.BadParameter(str(error)) from error


_set = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_overrides,
    allow_from_autoenv=False,  # words between spaces would be values of their own
    help="Set a key of every JOB, as estimator.C=0.1; VALUE is TOML, or a bare word. Repeatable.",
)


@cli.command()
@click.argument("files", metavar="JOB...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_models
@_set
@click.option("--quiet", is_flag=True, show_envvar=True, help="Show no progress.")
def run(files: tuple[Path, ...], models: Path, overrides: tuple[Override, ...], quiet: bool) -> None:
    """Train, evaluate, export, prove and publish each JOB (a TOML file).

    A job that is already published with the same data and the same versions is left as it is.
    """
    wanted = [_read(path, overrides) for path in files]
    if None in wanted:
        sys.exit(1)
    done = [_run(path, job, models, quiet=quiet) for path, job in zip(files, wanted, strict=True) if job]
    sys.exit(0 if all(done) else 1)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The job file; default: the folder's name with .toml, here.",
)
def init(folder: Path, output: Path | None) -> None:
    """Look at FOLDER, which holds a folder of PNG or JPEG files for each class, and write a job for it."""
    job = output or Path(f"{proposal.job_name(folder)}.toml")
    try:
        look = proposal.look_at(folder)
        text = proposal.job_text(folder, look, job).encode()
        with job.open("xb") as file:
            file.write(text)
    except FileExistsError:
        _fail(job, InvalidInput("is there already, and is left as it is; --output names another file"))
        sys.exit(1)
    except UnicodeEncodeError:
        _fail(folder, InvalidInput("the folder's path is not UTF-8, so that no job can name it"))
        sys.exit(1)
    except OSError as error:
        _fail(job, InvalidInput(f"cannot be written: {error.strerror}"))
        sys.exit(1)
    except SigmaxError as error:
        _fail(folder, error)
        sys.exit(1)
    click.echo(proposal.summary(folder, look, job))


@cli.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, show_envvar=True, help="The model's name.")
@_models
@click.option("--classes", callback=_names, show_envvar=True, help="The labels in column order, as a,b,c.")
@click.option(
    "--features",
    callback=_names,
    show_envvar=True,
    help="The names of the features in column order, as x,y,z.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    show_envvar=True,
    help="A CSV file of rows to prove the import on, its header naming the features; else rows at random.",
)
@click.option("--positive", show_envvar=True, help="Of two classes, the positive one; by default the last.")
@click.option(
    "--head",
    type=click.Choice(["sigmoid", "softmax", "one_vs_rest", "none"]),
    show_envvar=True,
    help="What turns the graph's numbers into probabilities; what it does not end in is put behind it.",
)
@click.option(
    "--image",
    "colour",
    type=click.Choice([mode.value for mode in Colour]),
    show_envvar=True,
    help="The graph takes pictures of this colour mode.",
)
@click.option(
    "--scale",
    type=float,
    show_envvar=True,
    help="What every pixel is multiplied by: 0.00392156862745098 is 1/255.",
)
@click.option("--seed", type=int, default=0, show_default=True, show_envvar=True, help="Of random rows.")
@click.option("--quiet", is_flag=True, show_envvar=True, help="Show no notes.")
def import_(file: Path, name: str, models: Path, quiet: bool, **said: Any) -> None:
    """Publish FILE, an ONNX classifier that was exported elsewhere.

    It is brought to one input and one table of probabilities, and proved against the file as it is.
    """
    from sigmax_training.foreign.ending import Wanted
    from sigmax_training.foreign.importing import Wishes, publish_file

    said["head"] = said["head"] and Wanted(said["head"])
    said["colour"] = said["colour"] and Colour(said["colour"])
    try:
        outcome = publish_file(file, name, models, Wishes(**said))
    except SigmaxError as error:
        _fail(file, error)
        sys.exit(1)
    for text in () if quiet else outcome.notices:
        click.echo(f"note: {name}: {text}", err=True)
    _print(outcome)


@cli.command()
@click.argument("what", metavar="[WHAT]...", nargs=-1)
@_models
@click.option("--json", "as_json", is_flag=True, show_envvar=True, help="Print one JSON document.")
@click.option("--quiet", is_flag=True, show_envvar=True, help="Show no progress.")
def compare(what: tuple[str, ...], models: Path, as_json: bool, quiet: bool) -> None:
    """Show which is best: of models, versions as iris/3 and JOB files, beside always answering the majority.

    Without WHAT every version of the repository. A job is evaluated as `run` does, and not published; if it
    is published already, its version answers. Figures of different data stand in tables of their own.
    """

    def measure(path: Path) -> tuple[Manifest, Published | None]:
        job = jobs.read(path)
        with progress.opened(Console(stderr=True), quiet=quiet) as report:
            return pipeline.measure(job, models, report)

    try:
        found = comparing.compare(what, models, measure)
    except SigmaxError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(comparing.to_json(found), indent=2, ensure_ascii=False))
    else:
        leaderboard.show(found, _console())
    for name, problem in found.problems:
        click.echo(f"error: {name}: {problem}", err=True)
    sys.exit(1 if found.problems else 0)


def main() -> None:
    """The entry point; each option has an environment variable such as SIGMAX_TRAIN_RUN_MODELS."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when ONNX Runtime is loaded
    cli(auto_envvar_prefix="SIGMAX_TRAIN")


def _read(path: Path, overrides: Sequence[Override]) -> Job | None:
    try:
        return jobs.read(path, overrides)
    except SigmaxError as error:
        _fail(path, error)
        return None


def _run(path: Path, job: Job, models: Path, *, quiet: bool) -> bool:
    try:
        with progress.opened(Console(stderr=True), quiet=quiet) as report:
            outcome = pipeline.run(job, models, report)
    except SigmaxError as error:
        _fail(path, error)
        return False
    _print(outcome)
    return True


def _print(outcome: Outcome) -> None:
    _console().print(_table(outcome))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def _fail(path: Path, error: SigmaxError) -> None:
    click.echo(f"error: {path}: {error}", err=True)


def _table(outcome: Outcome) -> Table:
    table = Table(title=outcome.name, title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(outcome):
        table.add_row(name, value)
    return table


def _lines(outcome: Outcome) -> list[tuple[str, str]]:
    version, path = outcome.published.version, outcome.published.path
    if outcome.proof is None:
        return [("result", f"already published as version {version}"), ("path", str(path))]
    figures = [(name.replace("_", " "), f"{value:.6g}") for name, value in outcome.metrics.items()]
    return [
        *figures,
        ("graph type", str(outcome.dtype)),
        ("largest difference, served and estimator", f"{outcome.proof.difference:.2e}"),
        ("rows compared", str(outcome.proof.rows)),
        ("rows on the decision's edge", str(outcome.proof.exempt)),
        ("version", str(version)),
        ("path", str(path)),
    ]
