"""A comparison as tables for people: one a data set, the best row first, the baseline last."""

from __future__ import annotations

from rich import box
from rich import table as rich
from rich.console import Console
from rich.text import Text

from sigmax_training.compare import BASELINE, Comparison, Row, Table, short

MISSING = "-"
"""What stands in place of a figure that was not measured."""

_FIGURES = ("cv log loss", "cv accuracy", "test log loss", "test accuracy", "gain")
_SIZES = ("features", "parameters")
_NARROW = 140
"""Columns of a console below which sizes are left out and names are folded, so that figures have room."""


def show(comparison: Comparison, console: Console) -> None:
    """Print every table, and under it what a reader should know."""
    for table in comparison.tables:
        console.print(_table(table, wide=console.width >= _NARROW))
        if table.note:
            console.print(f"note: {table.note}", markup=False, highlight=False, soft_wrap=True)


def _table(table: Table, *, wide: bool) -> rich.Table:
    shown = rich.Table(title=Text(table.data), title_justify="left", box=box.SIMPLE)
    shown.padding = (0, 1) if wide else (0, 1, 0, 0)
    columns = (*_FIGURES, *_SIZES) if wide else _FIGURES
    shown.add_column("what", overflow="fold", width=None if wide else 15)
    shown.add_column("estimator", overflow="fold", width=None if wide else 12)
    for name in columns:
        shown.add_column(name, justify="right", width=None if wide else min(8, len(name) + 2))
    for row in table.rows:
        shown.add_row(*map(Text, _cells(row)[: 2 + len(columns)]))
    losses = _number(table.baseline("baseline_log_loss")), _number(table.baseline("baseline_accuracy"))
    gain = MISSING if losses[0] == MISSING else _share(0.0)
    shown.add_row(BASELINE, "", MISSING, MISSING, *losses, gain, *[MISSING] * (len(columns) - len(_FIGURES)))
    return shown


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        short(row.manifest.provenance.get("estimator", MISSING)),
        _spread(row, "cv_log_loss"),
        _spread(row, "cv_accuracy"),
        _number(row.figure("test_log_loss")),
        _number(row.figure("test_accuracy")),
        MISSING if row.gain is None else _share(row.gain),
        f"{row.manifest.n_features:,}",
        MISSING if row.parameters is None else f"{row.parameters:,}",
    )


def _spread(row: Row, name: str) -> str:
    """Mean and standard deviation over the folds."""
    mean, deviation = row.figure(f"{name}_mean"), row.figure(f"{name}_std")
    if mean is None:
        return MISSING
    return _number(mean) if deviation is None else f"{_number(mean)} ± {_number(deviation)}"


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"


def _share(value: float) -> str:
    return f"{value:.1%}"
