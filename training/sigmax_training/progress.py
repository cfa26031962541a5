"""What a person sees while a job runs: a bar on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from types import TracebackType
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from sigmax_training.history import Epoch

Clock = Callable[[], float]
"""Seconds since some moment; only differences have a meaning."""

_WIDE = 150
"""Columns of a terminal that has room for a long bar and for all figures of an epoch beside it."""


_SILENCE = 10.0
"""Seconds after which rows are worth a line, so that somebody who watches sees that it moves."""


class Report(Protocol):
    """Where a job tells how far it is."""

    def stage(self, title: str, steps: int) -> None:
        """A new stage begins that has so many steps."""
        ...

    def step(self) -> None:
        """One step of the stage is done."""
        ...

    def rows(self, seen: int, total: int) -> None:
        """Of the step that is under way, so many rows have been read; it has `total` of them."""
        ...

    def epoch(self, epoch: Epoch) -> None:
        """One step of the stage is done, and it was an epoch; the stage may end before all of them are."""
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

    def rows(self, seen: int, total: int) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Print the notice."""
        self._console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)


class Lines:
    """Prints a line at the start of a stage and at each quarter of a long one, and one of JSON an epoch."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console, self._clock = console, clock
        self._title, self._steps, self._done, self._begun = "", 0, 0, clock()
        self._said = self._begun
        self._before: int | None = None

    def stage(self, title: str, steps: int) -> None:
        """Print the title."""
        self._title, self._steps, self._done, self._begun = title, steps, 0, self._clock()
        self._said, self._before = self._begun, None
        self._print(title)

    def step(self) -> None:
        """Print how far the stage is, at each quarter."""
        self._done += 1
        quarter = self._done * 4 // self._steps
        if self._steps > 1 and quarter > (self._done - 1) * 4 // self._steps:
            self._print(f"{self._title}: {self._done} of {self._steps}")

    def rows(self, seen: int, total: int) -> None:
        """Print how many rows of how many have been read, if nothing has been said for a while."""
        now = self._clock()
        if now - self._said >= _SILENCE:
            self._said = now
            self._print(f"{self._title}: {seen:,} of {total:,} rows")

    def epoch(self, epoch: Epoch) -> None:
        """Print the epoch as one line of JSON."""
        self._said = self._clock()
        self._before = epoch.epoch - 1 if self._before is None else self._before
        left = _seconds_left(epoch, self._before, self._said - self._begun)
        line = {
            "epoch": epoch.epoch,
            "epochs": epoch.epochs,
            "loss": epoch.loss,
            "validation_loss": epoch.validation_loss,
            "validation_accuracy": epoch.validation_accuracy,
            "rows_per_second": round(epoch.rows_per_second),
            "seconds_left": round(left, 1),
        }
        self._console.out(json.dumps(line, separators=(",", ":"), allow_nan=False), highlight=False)

    def notice(self, text: str) -> None:
        """Print the notice."""
        self._print(f"note: {text}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar:
    """Draws one bar a stage on a terminal."""

    def __init__(self, console: Console, progress: Progress, clock: Clock) -> None:
        self._console, self._clock = console, clock
        self._progress = progress
        self._task: TaskID | None = None
        self._epoch: Epoch | None = None
        self._before: int | None = None
        self._done, self._begun = 0, clock()

    def stage(self, title: str, steps: int) -> None:
        """Start a bar."""
        self.finish()
        self._task = self._progress.add_task(title, total=steps, epoch=None, left=None, share=None)
        self._done, self._epoch, self._before, self._begun = 0, None, None, self._clock()

    def step(self) -> None:
        """Move the bar."""
        self._done += 1
        if self._task is not None:
            self._progress.update(self._task, completed=self._done, share=None)

    def rows(self, seen: int, total: int) -> None:
        """Move the bar within its step."""
        if self._task is not None:
            share = seen / max(total, 1)
            self._progress.update(self._task, completed=self._done + share, share=share)

    def epoch(self, epoch: Epoch) -> None:
        """Move the bar to the epoch, and show its figures and the time that is left."""
        self._epoch, self._done = epoch, epoch.epoch
        self._before = epoch.epoch - 1 if self._before is None else self._before
        if self._task is not None:
            seconds = _seconds_left(epoch, self._before, self._clock() - self._begun)
            left = timedelta(seconds=round(seconds))
            self._progress.update(self._task, completed=epoch.epoch, epoch=epoch, left=left, share=None)
            self._make_room(self._task)

    def _make_room(self, shown: TaskID) -> None:
        """Where the terminal is narrow, the figures of the training stand alone: no other stage, no title."""
        if self._console.width >= _WIDE:
            return
        for task in self._progress.tasks:
            self._progress.update(task.id, visible=task.id == shown)
        self._progress.update(shown, description="")

    def finish(self) -> None:
        """Draw the bar of a training that stopped early as finished: there is nothing left to do."""
        if self._epoch is not None and self._task is not None:
            self._progress.update(self._task, total=self._epoch.epoch, left=None, share=None)

    def notice(self, text: str) -> None:
        """Print the notice above the bar."""
        self._console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)


def opened(console: Console, *, quiet: bool, clock: Clock = time.monotonic) -> AbstractContextManager[Report]:
    """The report that fits the console, for a `with` block.

    Args:
        console: where to print.
        quiet: print nothing but notices.
        clock: what the time that is left is reckoned with.
    """
    if quiet:
        return nullcontext(Silent(console))
    return _Bars(console, clock) if console.is_terminal else nullcontext(Lines(console, clock))


class _Bars(AbstractContextManager[Report]):
    """A bar that is taken off the terminal again, whatever happens."""

    def __init__(self, console: Console, clock: Clock) -> None:
        columns = (
            TextColumn("{task.description}"),
            _Line(narrow=console.width < _WIDE),
            _Count(),
            _Time(),
            _Figures(),
        )
        self._progress = Progress(*columns, console=console)
        self._bar = Bar(console, self._progress, clock)

    def __enter__(self) -> Report:
        self._progress.start()
        return self._bar

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._bar.finish()
        self._progress.stop()


class _Line(BarColumn):
    """The bar itself; where the terminal is narrow, a training has none, so that its figures have room."""

    def __init__(self, *, narrow: bool) -> None:
        super().__init__(10 if narrow else 40)
        self._narrow = narrow

    def render(self, task: Task) -> RenderableType:  # type: ignore[override]  # a bar, or nothing in its place
        """Draw the bar of a stage."""
        return Text("") if self._narrow and task.fields["epoch"] is not None else super().render(task)


class _Count(ProgressColumn):
    """How many steps of how many; of a training, which epoch."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))
        self._steps = MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        """Draw the count of a stage."""
        epoch: Epoch | None = task.fields["epoch"]
        share: float | None = task.fields["share"]
        within = "" if share is None else f" + {share:.0%}"
        if epoch is None:
            return self._steps.render(task).append(within)
        return Text(f"epoch {epoch.epoch}/{epoch.epochs}{within}", style="progress.download")


class _Time(ProgressColumn):
    """How long a stage has taken so far; of a training under way, how long it has left at most."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))
        self._elapsed = TimeElapsedColumn()

    def render(self, task: Task) -> Text:
        """Draw the time of a stage."""
        left: timedelta | None = task.fields["left"]
        return (
            self._elapsed.render(task) if left is None else Text(f"{left} left", style="progress.remaining")
        )


class _Figures(ProgressColumn):
    """What the last epoch of a training came to; the first to be cut off where the terminal is narrow."""

    def render(self, task: Task) -> Text:
        """Draw the figures of a stage, on one line."""
        epoch: Epoch | None = task.fields["epoch"]
        return Text("" if epoch is None else _figures(epoch), no_wrap=True, overflow="ellipsis")


def _seconds_left(epoch: Epoch, before: int, elapsed: float) -> float:
    """How long the remaining epochs take at most, if they take as long as those of this run did.

    Args:
        epoch: the last one.
        before: how many were done when the run was resumed.
        elapsed: seconds since then.
    """
    return elapsed / (epoch.epoch - before) * (epoch.epochs - epoch.epoch)


def _figures(epoch: Epoch) -> str:
    """What an epoch came to, in words for people; the most wanted first."""
    parts = [f"loss {epoch.loss:.4f}"]
    if epoch.validation_loss is not None and epoch.validation_accuracy is not None:
        parts.append(f"validation {epoch.validation_loss:.4f} {epoch.validation_accuracy:.1%}")
    return " ".join([*parts, f"{epoch.rows_per_second:,.0f} rows/s"])
