"""A section of the benchmark as a command: measured, printed, written where it belongs.

A section that fails says so in its place in the document; what it had measured before is not shown as new.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks import effort, figures, load, plots, processes, report, targets
from benchmarks.effort import Effort
from benchmarks.figures import Outcome
from sigmax.errors import SigmaxError
from sigmax.repository import layout

DOCUMENT = Path("docs/benchmarks.md")

EXAMPLES = ("breast_cancer", "digits", "iris", "temple_or_flower")
"""The models that are served while something is measured: those of `make run`."""

EXPECTED = (
    *(load.LoadFailed, RuntimeError, AssertionError, OSError, grpc.RpcError, SigmaxError),
    *(ValueError, KeyError, IndexError, ZeroDivisionError),
)
"""What a server, a load generator or an answer can do wrong: it is named, and the next case goes on."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a section is given.

    Attributes:
        models: a repository with the example models and no others.
        folder: empty, of this section alone; removed afterwards.
        effort: how much load.
        command: that measures this, for the document.
    """

    models: Path
    folder: Path
    effort: Effort
    command: str


@dataclass(frozen=True, slots=True)
class Section:
    """A title and how it is measured."""

    title: str
    measure: Callable[[Context], Outcome]


def main(section: Section) -> None:
    """Run one section from the command line."""
    arguments = options(f"python -m benchmarks.{Path(sys.argv[0]).stem}", section.title)
    sys.exit(run([section], arguments))


def options(program: str, description: str) -> argparse.Namespace:
    """Read the command line, which is the same for every section and for all of them."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--models", type=Path, default=Path("models"), help="the example models")
    effort.add_options(parser)
    parser.add_argument(
        "--output",
        type=Path,
        help=f"a Markdown file to write into; figures and plots go beside it ({DOCUMENT})",
    )
    parser.add_argument(
        "--minutes", type=float, default=25, help="no section is begun later; it is named as not measured"
    )
    parser.add_argument("--only", default="", help="of all sections, those with this in their title")
    arguments = parser.parse_args()
    arguments.command = report.command(program)
    return arguments


def run(sections: Sequence[Section], arguments: argparse.Namespace) -> int:
    """Measure sections one after the other, and write each as soon as it is done.

    Returns:
        The exit code: 0, 1 if anything could not be measured.
    """
    processes.end_on_sigterm()
    failures: list[str] = []
    end = time.monotonic() + 60 * arguments.minutes
    try:
        load.check_tools()
        for section in sections:
            print(f"== {section.title}", file=sys.stderr, flush=True)
            if time.monotonic() < end:
                outcome = _measured(section, arguments)
            else:
                outcome = Outcome("", failures=(f"{arguments.minutes:g} minutes were over",))
            _show(section.title, outcome, arguments.output, last=len(sections) > 1)
            failures += [f"{section.title}: {failure}" for failure in outcome.failures]
    except load.LoadFailed as error:
        failures.append(str(error))
    except KeyboardInterrupt:
        return 130
    for failure in failures:
        print(f"NOT MEASURED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _measured(section: Section, arguments: argparse.Namespace) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="sigmax-bench-") as folder:
        own = Path(folder) / "own"
        own.mkdir()
        try:
            models = _examples(arguments.models, Path(folder) / "models")
            context = Context(models, own, effort.chosen(arguments), arguments.command)
            return section.measure(context)
        except EXPECTED as error:
            traceback.print_exc()
            return Outcome("", failures=(f"{type(error).__name__}: {error}",))


def _show(title: str, outcome: Outcome, document: Path | None, *, last: bool) -> None:
    missing = (f"Not measured: {_first_line(failure)}" for failure in outcome.failures)
    text = "\n\n".join([outcome.text, *missing]).strip()
    print(f"\n## {title}\n\n{text}\n", flush=True)
    if document:
        write(document, title, Outcome(text, outcome.figures, outcome.curves), last=last)


def _examples(models: Path, into: Path) -> Path:
    """A repository of the example models alone, whatever else lies there.

    Raises:
        FileNotFoundError: one is missing.
    """
    into.mkdir()
    for name in EXAMPLES:
        if not layout.versions(models, name):
            raise FileNotFoundError(
                f"there is no model {name} in {models}: `make run` trains what is missing"
            )
        (into / name).symlink_to((models / name).absolute())
    return into


def write(document: Path, title: str, outcome: Outcome, *, last: bool = False) -> None:
    """Put a section, its figures and everything that follows from them where they belong.

    Args:
        document: the Markdown file; figures and plots lie in a folder of its name beside it.
        title: of the section.
        outcome: what it came to.
        last: the section comes behind the others instead of where it stood.
    """
    folder = document.with_suffix("")
    kept = folder / "figures.json"
    figures.put(kept, title, outcome)
    report.put_section(document, title, outcome.text, last=last)
    pictures = plots.draw(folder, figures.figures(kept), figures.curves(kept))
    report.put_section(document, targets.TITLE, targets.rendered(figures.figures(kept), pictures))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]
