"""The command line, `sigmax …`: the only reader of the environment.

Each command imports what it needs: a health check must not load ONNX Runtime.

A setting comes from its flag, else from `SIGMAX_<COMMAND>_<OPTION>`, else from the file named by
`--config`, else from its default. A name that no option has is an error wherever it stands.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from encodings.aliases import aliases
from pathlib import Path
from typing import Any

import click

from sigmax import __version__
from sigmax.errors import SigmaxError, listed, nearest, quoted
from sigmax.protocol.containers import MAX_PIXELS

PREFIX = "SIGMAX"
_Folder = click.Path(exists=True, file_okay=False, path_type=Path)
_READY_TIMEOUT = 5
_DIALECT = ("delimiter", "encoding", "decimal")
"""The options of `predict` that say how a CSV file is written."""

_models_option = click.option(
    "--models", type=_Folder, default=Path("models"), show_default=True, help="The model repository."
)


def main() -> None:
    """Run `sigmax`: exit code 0, 1 for what went wrong with a message, 2 for wrong usage."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when ONNX Runtime is loaded
    try:
        cli.main(auto_envvar_prefix=PREFIX)
    except (SigmaxError, OSError) as error:
        click.echo(f"sigmax: {error}", err=True)
        sys.exit(1)


@click.group()
@click.version_option(__version__, prog_name="sigmax")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file with a table a command.",
)
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Serve sigmoid and softmax classifiers, proved against what was trained."""
    context.default_map = _read_config(config) if config else {}
    context.default_map["doctor"] = _for_doctor(context.default_map)
    _refuse_unknown_variables(context)


@cli.command()
@_models_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that both doors bind.")
@click.option("--rest-port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--grpc-port", type=click.IntRange(0, 65535), default=8081, show_default=True)
@click.option(
    "--max-rows", type=click.IntRange(1), default=10_000, show_default=True, help="Rows of one request."
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1024),
    default=16 * 2**20,
    show_default=True,
    help="Bytes of one request.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=MAX_PIXELS,
    show_default=True,
    help="Pixels of one request's pictures.",
)
@click.option(
    "--max-batch-rows",
    type=click.IntRange(1),
    help="Rows of one run of a costly model.  [default: what its costs suggest, measured when it is loaded]",
)
@click.option(
    "--max-delay",
    type=click.FloatRange(0, 10),
    default=0.0,
    show_default=True,
    help="Seconds that a request of a costly model waits for others while nothing is computed.",
)
@click.option(
    "--max-queue-rows",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    help="Rows of costly models that may wait; what comes beyond them is told to try again later.",
)
@click.option(
    "--receive-timeout",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds that a client may take to send a REST request.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Seconds for running requests at the end.",
)
@click.option(
    "--poll",
    type=click.FloatRange(0),
    default=0.5,
    show_default=True,
    help="Seconds between two looks for new versions; 0: only at the start.",
)
@click.option(
    "--require", multiple=True, help="A model without which the service is not ready; may be repeated."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that answer.  [default: the cores that this machine grants]",
)
@click.option(
    "--start-timeout",
    type=click.FloatRange(1),
    default=120.0,
    show_default=True,
    help="Seconds that a worker may take to load every model.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option(
    "--model-control",
    is_flag=True,
    help="Whoever reaches a door may list, load and unload models (Triton's model_repository).",
)
def serve(workers: int | None, **options: Any) -> None:
    """Load every model, prove it, and answer over REST and gRPC until SIGTERM."""
    from sigmax.runtime import machine, ports
    from sigmax.runtime.settings import Settings
    from sigmax.runtime.spawn import hold_signals, spawn

    settings = Settings(**options, workers=workers or machine.cores().granted)
    machine.raise_open_files()
    taken = ports.take(settings.host, settings.rest_port, settings.grpc_port)
    orders = {
        "settings": settings.document(),
        "ports": taken.numbers,
        "program": sys.argv[0],
        "unloaded": [],
    }
    hold_signals()
    first = [spawn(taken.rest, orders) for _ in range(settings.workers)]  # they load while this process does
    import asyncio

    from sigmax.runtime.supervisor import Supervisor
    from sigmax.telemetry import logs

    logs.configure(settings.log_level)
    sys.exit(asyncio.run(Supervisor(settings, taken, orders, _greet).run(first)))


def _greet(text: str) -> None:
    """Print without a buffer: who waits for a reader in one would hold up the end of the process, too."""
    if sys.stdout is None:  # it was closed before
        return
    rest = f"{text}\n".encode(sys.stdout.encoding, "replace")
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


@cli.command()
@click.option(
    "--models", type=click.Path(path_type=Path), default=Path("models"), envvar=f"{PREFIX}_SERVE_MODELS"
)
@click.option("--host", default="127.0.0.1", envvar=f"{PREFIX}_SERVE_HOST")
@click.option("--rest-port", type=click.IntRange(0, 65535), default=8080, envvar=f"{PREFIX}_SERVE_REST_PORT")
@click.option("--grpc-port", type=click.IntRange(0, 65535), default=8081, envvar=f"{PREFIX}_SERVE_GRPC_PORT")
@click.option("--workers", type=click.IntRange(1), envvar=f"{PREFIX}_SERVE_WORKERS")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(as_json: bool, **options: Any) -> None:
    """Say what `sigmax serve` would choose here and why, told the same; exit code 1 if it would not start."""
    from sigmax.runtime import doctor as practice
    from sigmax.runtime import weighing

    findings = [*practice.examine(practice.Asked(**options)), *weighing.findings(options["models"])]
    if as_json:
        click.echo(json.dumps([finding.document() for finding in findings], indent=2))
    else:
        click.echo(practice.text(findings))
    if any(finding.level is practice.Level.BAD for finding in findings):
        sys.exit(1)


@cli.command()
@click.argument("url", default="http://127.0.0.1:8080")
def ready(url: str) -> None:
    """Ask a service whether it is ready; exit code 0 if it is, for health checks."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/v2/health/ready", timeout=_READY_TIMEOUT):
            click.echo("ready")
    except urllib.error.HTTPError as error:
        raise click.ClickException(f"not ready: {error.read().decode(errors='replace')}") from error
    except (OSError, ValueError) as error:
        raise _no_answer(url, error) from error


@cli.command()
@click.argument("url", default="http://127.0.0.1:8080")
@click.option("--json", "as_json", is_flag=True, help="What `GET /status` answers, as it is.")
def status(url: str, as_json: bool) -> None:
    """Ask a service what it serves since when, and what it refused; exit code 0 if all is well."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/status", timeout=_READY_TIMEOUT) as response:
            text = response.read().decode(errors="replace")
    except (OSError, ValueError) as error:
        raise _no_answer(url, error) from error
    try:
        said = json.loads(text)
        lines, well = list(_status_lines(said)), _is_well(said)
    except (ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"{url} does not answer as Sigmax does") from error
    click.echo(text if as_json else "\n".join(lines))
    if not well:
        sys.exit(1)


def _status_lines(said: Mapping[str, Any]) -> Iterator[str]:
    yield f"Sigmax {said['version']}: {'ready' if said['ready'] else 'not ready: ' + said['reason']}"
    processes = said["processes"]
    for worker in processes["workers"]:
        yield f"worker {worker['pid']}: {worker['state']} for {worker['seconds']:.0f} s"
    if processes["restarts"]:
        died = ", ".join(f"{count} by {cause}" for cause, count in sorted(processes["restarts"].items()))
        yield f"workers that died: {died}; the last: {processes['last_death']['reason']}"
    for model in said["models"]:
        yield f"{model['name']}: {_model_state(model)}"
        if model.get("labels"):
            yield f"  labels: {', '.join(f'{label} {number}' for label, number in model['labels'].items())}"
        yield from (f"  version {one['version']} refused: {one['reason']}" for one in model["refused"])
        if model["note"]:
            yield f"  {model['note']}"


def _model_state(model: Mapping[str, Any]) -> str:
    if model["ready"]:
        return f"version {model['version']} since {model['since']}"
    return "unloaded on request" if model.get("unloaded") else "nothing to serve"


def _is_well(said: Mapping[str, Any]) -> bool:
    """Whether every process answers, and every model with its highest version, which is on the disk.

    A model that was unloaded on request is as it should be.
    """
    processes = said["processes"]
    answering = sum(worker["state"] == "ready" for worker in processes["workers"])
    models = all(
        model.get("unloaded") or (model["ready"] and not model["refused"] and not model["note"])
        for model in said["models"]
    )
    return bool(said["ready"] and models and answering >= processes["wanted"])


def _no_answer(url: str, error: OSError | ValueError) -> click.ClickException:
    reason = getattr(error, "reason", error)
    return click.ClickException(f"no answer from {url}: {getattr(reason, 'strerror', None) or reason}")


def _delimiter(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    r"""One ASCII character that is no line end and no quote; `\t` in two signs is a tab, too."""
    sign = "\t" if value == r"\t" else value
    if sign is not None and (len(sign) != 1 or not sign.isascii() or sign in '\n\r\0"'):
        raise click.BadParameter(f"expected one ASCII character, got {quoted(sign)}")
    return sign


def _encoding(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        "".encode(value or "utf-8")
    except (LookupError, ValueError) as error:
        hint = nearest(str(value), sorted({*aliases, *aliases.values()}))
        raise click.BadParameter(f"{quoted(value)} is no text encoding that is known here{hint}") from error
    return value


@cli.command()
@click.argument("model")
@click.option(
    "--input",
    "sources",
    type=click.File("rb", lazy=True),
    multiple=True,
    required=True,
    help="Rows as .csv or .json, or a picture as .png or .jpg, which may be repeated; - for standard input.",
)
@_models_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    help="Of input and output; default: by the name, or the first character. Pictures: of the output, json.",
)
@click.option("--probabilities", is_flag=True, help="Every class's probability instead of the decided class.")
@click.option("--top-k", type=click.IntRange(1), help="How many of the most probable classes to name.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Instead of the model's own.")
@click.option(
    "--band",
    type=(click.FloatRange(0, 1), click.FloatRange(0, 1)),
    metavar="LOW HIGH",
    help="Say of each row whether it is unsure: its probability above LOW, up to HIGH.",
)
@click.option(
    "--include", multiple=True, type=click.Choice(["logits"]), help="What else to answer; may be repeated."
)
@click.option("--id", "id_column", help="A column that comes back with each row.")
@click.option(
    "--extra",
    type=click.Choice(["reject", "ignore"]),
    default="reject",
    show_default=True,
    help="Columns that the model does not know.",
)
@click.option(
    "--delimiter",
    callback=_delimiter,
    help=r"Of CSV: what stands between cells.  [default: a comma; of .tsv a tab, \t]",
)
@click.option(
    "--encoding", callback=_encoding, help="Of CSV: cp949, utf-16, any that Python knows.  [default: utf-8]"
)
@click.option(
    "--decimal",
    type=click.Choice([".", ","]),
    help="Of CSV: what stands before a number's fraction.  [default: .]",
)
def predict(
    model: str, sources: Any, models: Path, form: str | None, probabilities: bool, **options: Any
) -> None:
    """Predict offline. MODEL is a name, name/version or the folder of a bundle."""
    from sigmax import offline
    from sigmax.csvs import Dialect

    dialect = {name: value for name in _DIALECT if (value := options.pop(name)) is not None}
    files = [_read_file(source) for source in sources]
    pictures = [offline.is_picture(*file) for file in files]
    if len(files) > 1 and not all(pictures):
        raise click.UsageError("several --input are for pictures; rows come from one file")
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "id_column" in given:
        given["id"] = given.pop("id_column")
    is_csv = not all(pictures) and (form or offline.guess_format(*files[0])) == "csv"
    if dialect and not is_csv:
        raise click.UsageError(f"--{next(iter(dialect))} is for CSV, which the input is not")
    served = offline.find(models, model)
    if all(pictures):
        text = offline.answer_pictures(served, files, given, probabilities, as_csv=form == "csv")
    elif is_csv:
        name, data = files[0]
        if Path(name).suffix.lower() == ".tsv":
            dialect.setdefault("delimiter", "\t")
        text = offline.answer_csv(served, data, given, probabilities, Dialect(**dialect))
    else:
        text = offline.answer_json(served, files[0][1], given, probabilities)
    click.echo(text, nl=False)


def _read_file(source: Any) -> tuple[str, bytes]:
    """The name and the content of a file that is closed again: a shell's `*.png` may be thousands."""
    with source as file:
        return source.name, file.read()


@cli.command()
@click.argument("model")
@_models_option
@click.option("--json", "as_json", is_flag=True, help="The manifest as it is.")
def inspect(model: str, models: Path, as_json: bool) -> None:
    """Show what a bundle holds. MODEL is a name, name/version or the folder of a bundle."""
    from sigmax import offline

    click.echo(offline.inspect(offline.locate(models, model), as_json), nl=False)


@cli.command()
@click.argument("references", metavar="[MODEL]...", nargs=-1)
@_models_option
def verify(references: tuple[str, ...], models: Path) -> None:
    """Check digests and replay the golden rows of the models named, or of every version there is."""
    from sigmax import offline

    failed = False
    for line, good in offline.verify(models, references):
        click.echo(line, err=not good)
        failed |= not good
    if failed:
        sys.exit(1)


@cli.command()
@click.argument("url")
@click.option("--grpc", metavar="HOST:PORT", help="The gRPC door; without it only REST is checked.")
@click.option("--model", help="Its name; default: the first that the server lists.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON document.")
@click.option(
    "--only", metavar="GLOB", multiple=True, help="Checks by id or level, R* or MUST; may be repeated."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds that one request may take.",
)
@click.option(
    "--request",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An inference request in JSON that the model answers, where one made from its metadata is refused.",
)
@click.option("--write", is_flag=True, help="Load and unload the model, too, where the server offers that.")
def conform(
    url: str, as_json: bool, only: tuple[str, ...], request: Path | None, write: bool, **options: Any
) -> None:
    """Check a server against the Open Inference Protocol v2, any server that claims to speak it.

    Exit code 0 if every rule that concerns it is kept, 1 if one is not, 2 if it does not answer.
    """
    from sigmax.conform import report
    from sigmax.conform.discovery import Unusable
    from sigmax.conform.suite import Target, check

    content = request.read_bytes() if request else None
    target = Target(url, request=content, may_write=write, **options)
    try:
        run = check(target, only, (lambda _: None) if as_json else report.Teller(click.echo))
    except Unusable as error:
        click.echo(f"sigmax: {error}", err=True)
        sys.exit(2)
    click.echo(report.as_json(run) if as_json else report.summary(run))
    if report.failed(run):
        sys.exit(1)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from error
    problems = []
    for command, table in document.items():
        known = _option_names(command)
        if known is None or not isinstance(table, dict):
            problems.append(f"unknown table {quoted(command)}{nearest(command, cli.commands)}")
            continue
        problems.extend(
            f"[{command}] unknown key {quoted(key)}{nearest(key, known)}" for key in table if key not in known
        )
    if problems:
        raise click.UsageError(f"{path}: {listed(problems)}")
    return document


def _for_doctor(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the file tells `serve` is what `doctor` is asked about."""
    known = _option_names("doctor") or ()
    told = {key: value for key, value in config.get("serve", {}).items() if key in known}
    return {**told, **config.get("doctor", {})}


def _option_names(command: str) -> list[str] | None:
    if command not in cli.commands:
        return None
    return [str(parameter.name) for parameter in cli.commands[command].params]


def _refuse_unknown_variables(context: click.Context) -> None:
    """Refuse a `SIGMAX_<COMMAND>_…` variable of the command being run that no option has."""
    command = str(context.invoked_subcommand)
    prefix = f"{PREFIX}_{command.upper()}_"
    known = [prefix + name.upper() for name in _option_names(command) or ()]
    unknown = [name for name in os.environ if name.startswith(prefix) and name not in known]
    if unknown:
        raise click.UsageError(
            listed([f"unknown variable {name}{nearest(name, known)}" for name in sorted(unknown)])
        )
