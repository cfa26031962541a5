"""What a person sees while a job runs: a bar on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Report(Protocol):
    """Where a job tells how far it is."""

    def stage(self, title: str, steps: int) -> None:
        """A new stage begins that has so many steps."""
        ...

    def step(self) -> None:
        """One step of the stage is done."""
        ...

    def notice(self, text: str) -> None:
        """Something that a person should know, though nothing failed."""
        ...


class Silent:
    """Shows nothing but notices."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def stage(self, title: str, steps: int) -> None:
        """Nothing."""

    def step(self) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Print the notice."""
        self._console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)


class Lines:
    """Prints a line at the start of a stage and at each quarter of a long one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title, self._steps, self._done = "", 0, 0

    def stage(self, title: str, steps: int) -> None:
        """Print the title."""
        self._title, self._steps, self._done = title, steps, 0
        self._print(title)

    def step(self) -> None:
        """Print how far the stage is, at each quarter."""
        self._done += 1
        quarter = self._done * 4 // self._steps
        if self._steps > 1 and quarter > (self._done - 1) * 4 // self._steps:
            self._print(f"{self._title}: {self._done} of {self._steps}")

    def notice(self, text: str) -> None:
        """Print the notice."""
        self._print(f"note: {text}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar:
    """Draws one bar a stage on a terminal."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._task: TaskID | None = None

    def stage(self, title: str, steps: int) -> None:
        """Start a bar."""
        self._task = self._progress.add_task(title, total=steps)

    def step(self) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.advance(self._task)

    def notice(self, text: str) -> None:
        """Print the notice above the bar."""
        self._console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)


def opened(console: Console, *, quiet: bool) -> AbstractContextManager[Report]:
    """The report that fits the console, for a `with` block."""
    if quiet:
        return nullcontext(Silent(console))
    return _Bars(console) if console.is_terminal else nullcontext(Lines(console))


class _Bars(AbstractContextManager[Report]):
    """A bar that is taken off the terminal again, whatever happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)

    def __enter__(self) -> Report:
        self._progress.start()
        return Bar(self._console, self._progress)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
