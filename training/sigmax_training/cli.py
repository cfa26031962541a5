"""The command line: `sigmax-train init` writes a job, `check` checks it, `run` trains and publishes.

`import` publishes what was trained elsewhere. `run` and `import` print one table a model, `compare` one a
data set. What a command needs is loaded inside it, so that a signal that comes meanwhile ends it as any other
does: one line, exit code 130 (Ctrl-C) or 143 (SIGTERM), no traceback.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sigmax.contract import Colour
from sigmax.errors import InvalidInput, SigmaxError, quoted
from sigmax_training import __version__
from sigmax_training import overrides as overriding
from sigmax_training.interrupts import Interrupted, Interrupts
from sigmax_training.overrides import Override

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from sigmax.contract import Manifest
    from sigmax.repository.layout import Published
    from sigmax_training.job import Job
    from sigmax_training.pipeline import Outcome

_SIGINT = 130
"""What a shell reports of a process that Ctrl-C has ended."""

_PLAIN_WIDTH = 200
"""Columns of a table that no terminal shows: a path is never broken."""


class _Commands(click.Group):
    """Says in one line that a command was interrupted, where click would say no more than "Aborted!"."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as interrupt:
            click.echo(f"interrupted: {interrupt}" if str(interrupt) else "interrupted", err=True)
            sys.exit(_SIGINT)


@click.group(cls=_Commands)
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
@click.option("--resume", is_flag=True, show_envvar=True, help="Continue a run that was interrupted.")
def run(
    files: tuple[Path, ...], models: Path, overrides: tuple[Override, ...], quiet: bool, resume: bool
) -> None:
    """Train, evaluate, export, prove and publish each JOB (a TOML file).

    A job that is already published with the same data and the same versions is left as it is.
    """
    wanted = [_read(path, overrides) for path in files]
    if None in wanted:
        sys.exit(1)
    done = [
        _run(path, job, models, quiet=quiet, resume=resume)
        for path, job in zip(files, wanted, strict=True)
        if job
    ]
    sys.exit(0 if all(done) else 1)


@cli.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--target", show_envvar=True, help="Of a table, the column that holds the class.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The job file; default: the name of DATA with .toml, here.",
)
def init(data: Path, target: str | None, output: Path | None) -> None:
    """Look at DATA and write a job for it, with every choice explained.

    DATA is a table (CSV, Parquet or Arrow: a file, or a folder of files), or a folder that holds a folder of
    PNG or JPEG files for each class.
    """
    job = output or Path(f"{_name_of(data, target)}.toml")
    try:
        text, summary = _proposed(data, target, job)
        content = text.encode()
        with job.open("xb") as file:
            file.write(content)
    except FileExistsError:
        _fail(job, InvalidInput("is there already, and is left as it is; --output names another file"))
        sys.exit(1)
    except UnicodeEncodeError:
        _fail(data, InvalidInput("the path is not UTF-8, so that no job can name it"))
        sys.exit(1)
    except OSError as error:
        _fail(job, InvalidInput(f"cannot be written: {error.strerror}"))
        sys.exit(1)
    except SigmaxError as error:
        _fail(data, error)
        sys.exit(1)
    click.echo(summary)


def _are_pictures(data: Path, target: str | None) -> bool:
    from sigmax_training import picture_proposal

    return target is None and picture_proposal.may_be_pictures(data)


def _name_of(data: Path, target: str | None) -> str:
    from sigmax_training import proposal, table_proposal

    return proposal.job_name(data) if _are_pictures(data, target) else table_proposal.name_of(data)


def _proposed(data: Path, target: str | None, job: Path) -> tuple[str, str]:
    """A job's text, and what is said of it."""
    from sigmax_training import picture_proposal, table_proposal

    if _are_pictures(data, target):
        pictures = picture_proposal.look_at(data)
        text = picture_proposal.job_text(data, pictures, job)
        return text, picture_proposal.summary(data, pictures, job)
    table = table_proposal.look_at(data, target)
    return table_proposal.job_text(data, table, job), table_proposal.summary(data, table, job)


@cli.command()
@click.argument("files", metavar="JOB...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_set
@click.option("--strict", is_flag=True, show_envvar=True, help="A notice is an error, too.")
def check(files: tuple[Path, ...], overrides: tuple[Override, ...], strict: bool) -> None:
    """Check each JOB and its data without training: what would be fitted, on which rows, what is wrong."""
    good = [_check(path, overrides, strict=strict) for path in files]
    sys.exit(0 if all(good) else 1)


def _check(path: Path, overrides: Sequence[Override], *, strict: bool) -> bool:
    from sigmax_training import checking
    from sigmax_training import job as jobs

    try:
        job = jobs.read(path, overrides=overrides)
        checked = checking.check(job)
    except SigmaxError as error:
        _fail(path, error)
        return False
    _print_table(job.name, checked.lines)
    for text in checked.notices:
        click.echo(f"note: {job.name}: {text}", err=True)
    return not (strict and checked.notices)


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

    A model or a version may be named by its folder, as `run` prints it. Without WHAT every version of the
    repository. A job is evaluated as `run` does, and not published; if it is published already, its version
    answers. Figures of different data stand in tables of their own.
    """
    from rich.console import Console

    from sigmax_training import compare as comparing
    from sigmax_training import job as jobs
    from sigmax_training import leaderboard, pipeline, progress

    def measure(path: Path) -> tuple[Manifest, Published | None]:
        job = jobs.read(path)
        with progress.opened(Console(stderr=True), quiet=quiet) as report:
            return pipeline.measure(job, models, report)

    try:
        found = comparing.compare(what, models, measure)
    except SigmaxError as error:
        if as_json:
            nothing = comparing.Comparison((), ((str(models), error),))
            click.echo(json.dumps(comparing.to_json(nothing), indent=2, ensure_ascii=False))
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(comparing.to_json(found), indent=2, ensure_ascii=False))
    else:
        leaderboard.show(found, _console())
    for name, problem in found.problems:
        click.echo(f"error: {name or quoted(name)}: {problem}", err=True)
    sys.exit(1 if found.problems else 0)


def main() -> None:
    """The entry point; each option has an environment variable such as SIGMAX_TRAIN_RUN_MODELS."""
    interrupts = Interrupts()
    interrupts.install()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when ONNX Runtime is loaded
    try:
        cli(auto_envvar_prefix="SIGMAX_TRAIN")
    except SystemExit as end:
        sys.exit(interrupts.exit_code if interrupts.received and end.code else end.code)
    except OSError as error:
        _no_output(error)
        sys.exit(1)
    except Exception:  # an extension module that is being loaded makes another error of an interrupt
        if interrupts.received is None:
            raise
        click.echo("interrupted", err=True)
        sys.exit(interrupts.exit_code)


def _no_output(error: OSError) -> None:
    """Say that what a command prints does not fit on the disk; Python would fail once more at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    click.echo(f"error: the output cannot be written: {error.strerror}", err=True)


def _read(path: Path, overrides: Sequence[Override]) -> Job | None:
    from sigmax_training import job as jobs

    try:
        return jobs.read(path, overrides=overrides)
    except SigmaxError as error:
        _fail(path, error)
        return None


def _run(path: Path, job: Job, models: Path, *, quiet: bool, resume: bool) -> bool:
    from rich.console import Console

    from sigmax_training import pipeline, progress

    try:
        with progress.opened(Console(stderr=True), quiet=quiet) as report:
            outcome = pipeline.run(job, models, report, resume=resume)
    except SigmaxError as error:
        _fail(path, error)
        return False
    except KeyboardInterrupt as interrupt:
        raise Interrupted(f"{path}: {str(interrupt) or 'nothing was published'}") from None
    _print(outcome)
    return True


def _print(outcome: Outcome) -> None:
    _print_table(outcome.name, _lines(outcome))


def _print_table(title: str, lines: Iterable[tuple[str, str]]) -> None:
    _console().print(_table(title, lines))


def _console() -> Console:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def _fail(path: Path, error: SigmaxError) -> None:
    click.echo(f"error: {path}: {error}", err=True)


def _table(title: str, lines: Iterable[tuple[str, str]]) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(name, escape(value))
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
