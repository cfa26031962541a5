"""Progress: a bar on a terminal, one JSON line an epoch anywhere else, nothing under --quiet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from io import StringIO

from rich.console import Console

from sigmax_training import progress
from sigmax_training.history import Epoch
from sigmax_training.progress import Report


def an_epoch(number: int, epochs: int = 10) -> Epoch:
    return Epoch(number, epochs, 0.5, 0.25, 0.975, 12345.6, best=True)


def ticking(step: float) -> Callable[[], float]:
    """A clock that is so much later whenever somebody looks."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    return clock


def terminal(width: int = 160) -> tuple[Console, StringIO]:
    file = StringIO()
    return Console(
        force_terminal=True, force_interactive=True, color_system=None, file=file, width=width
    ), file


def pipe() -> tuple[Console, StringIO]:
    file = StringIO()
    return Console(file=file), file


def test_every_epoch_is_one_line_of_json() -> None:
    console, file = pipe()

    with progress.opened(console, quiet=False, clock=ticking(2.0)) as report:
        report.stage("digits: training", 10)
        report.epoch(an_epoch(1))
        report.epoch(an_epoch(2))

    title, first, second = file.getvalue().splitlines()
    assert title == "digits: training"
    assert first == (
        '{"epoch":1,"epochs":10,"loss":0.5,"validation_loss":0.25,"validation_accuracy":0.975,'
        '"rows_per_second":12346,"seconds_left":18.0}'
    )
    assert json.loads(second)["seconds_left"] == 16.0


def test_a_resumed_training_reckons_with_the_time_of_its_own_epochs() -> None:
    console, file = pipe()

    with progress.opened(console, quiet=False, clock=ticking(2.0)) as report:
        training(7, 8)(report)

    seventh, eighth = map(json.loads, file.getvalue().splitlines()[1:])
    assert (seventh["seconds_left"], eighth["seconds_left"]) == (6.0, 4.0)


def test_a_line_has_null_where_nothing_was_measured() -> None:
    console, file = pipe()

    with progress.opened(console, quiet=False) as report:
        report.epoch(Epoch(1, 2, 0.5, None, None, 10.0, best=True))

    line = json.loads(file.getvalue())
    assert line["validation_loss"] is None
    assert line["validation_accuracy"] is None


def test_a_long_line_is_not_broken() -> None:
    file = StringIO()

    with progress.opened(Console(file=file, width=20), quiet=False) as report:
        report.epoch(an_epoch(1))

    assert json.loads(file.getvalue())["epochs"] == 10


def test_quiet_prints_nothing_of_a_training() -> None:
    for console, file in (pipe(), terminal()):
        with progress.opened(console, quiet=True) as report:
            report.stage("digits: training", 10)
            report.step()
            report.epoch(an_epoch(1))

        assert file.getvalue() == ""


def drawn(draw: Callable[[Report], None], *, width: int = 160, interrupted: bool = False) -> list[str]:
    """The lines of the last picture on a terminal, one a stage."""
    console, file = terminal(width)

    def stop() -> None:
        if interrupted:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), progress.opened(console, quiet=False, clock=ticking(2.0)) as report:
        draw(report)
        stop()
    return [line for line in file.getvalue().splitlines() if ":" in line]


def training(*numbers: int, epochs: int = 10) -> Callable[[Report], None]:
    """A stage with these epochs."""

    def draw(report: Report) -> None:
        report.stage("digits: training", epochs)
        for number in numbers:
            report.epoch(an_epoch(number, epochs))

    return draw


def test_a_terminal_shows_epoch_loss_validation_speed_and_the_time_that_is_left() -> None:
    picture = drawn(training(1, 2), interrupted=True)[-1]

    for part in (
        "digits: training",
        "epoch 2/10",
        "loss 0.5000",
        "validation 0.2500 97.5%",
        "12,346 rows/s",
        "0:00:16 left",
    ):
        assert part in picture


def test_without_validation_rows_a_terminal_shows_none() -> None:
    def draw(report: Report) -> None:
        report.stage("digits: training", 2)
        report.epoch(Epoch(1, 2, 0.5, None, None, 10.0, best=True))

    assert "loss 0.5000 10 rows/s" in drawn(draw)[-1]


def test_a_narrow_terminal_shows_every_figure_in_place_of_a_bar() -> None:
    def draw(report: Report) -> None:
        report.stage("breast_cancer: cross-validation", 1)
        report.step()
        training(7, epochs=200)(report)

    picture = re.sub(r"\x1b\[\d+[A-Z]", "", drawn(draw, width=80, interrupted=True)[-1])

    assert "epoch 7/200" in picture
    assert "0:06:26 left" in picture
    assert "rows/s" in picture
    assert len(picture) <= 80


def test_a_training_that_stopped_early_looks_finished() -> None:
    early, whole = drawn(training(1, 2, 3, 4))[-1], drawn(training(9, 10))[-1]

    assert "epoch 4/10" in early
    assert "left" not in early
    assert early.count("━") == whole.count("━") == 40


def test_a_training_that_stopped_early_looks_finished_while_the_next_stage_goes_on() -> None:
    def draw(report: Report) -> None:
        training(4)(report)
        report.stage("digits: proof", 1)

    first, second = drawn(draw, interrupted=True)[-2:]

    assert "left" not in first
    assert first.count("━") == 40
    assert "0/1" in second


def test_an_interrupted_training_does_not_look_finished() -> None:
    picture = drawn(training(4), interrupted=True)[-1]

    assert "left" in picture
    assert picture.count("━") < 40


def test_stages_without_epochs_are_counted_in_steps() -> None:
    def draw(report: Report) -> None:
        report.stage("digits: folds", 3)
        report.step()

    picture = drawn(draw)[-1]

    assert "1/3" in picture
    assert "epoch" not in picture


def test_rows_within_a_long_step_are_a_line_now_and_then() -> None:
    console, file = pipe()

    with progress.opened(console, quiet=False, clock=ticking(4.0)) as report:
        report.stage("m: training", 3)
        for seen in range(1, 7):
            report.rows(seen * 1_000_000, 9_000_000)

    assert file.getvalue().splitlines() == [
        "m: training",
        "m: training: 3,000,000 of 9,000,000 rows",
        "m: training: 6,000,000 of 9,000,000 rows",
    ]


def test_the_bar_moves_within_an_epoch() -> None:
    console, file = terminal()

    with suppress(KeyboardInterrupt), progress.opened(console, quiet=False, clock=ticking(2.0)) as report:
        report.stage("m: training", 10)
        report.rows(250, 1000)
        report.epoch(an_epoch(1))
        report.rows(500, 1000)
        raise KeyboardInterrupt

    assert "epoch 1/10 + 50%" in file.getvalue()


def test_quiet_says_nothing_of_rows() -> None:
    console, file = pipe()

    with progress.opened(console, quiet=True, clock=ticking(100.0)) as report:
        report.rows(1, 2)

    assert not file.getvalue()
