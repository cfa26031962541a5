"""A job and its data looked at as `run` would, without training: what would be fitted, on which rows.

Whatever would stop a run before its first fit stops here, with the same words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sigmax.contract import Feature
from sigmax_training import data, draft, splits
from sigmax_training.data.dataset import Dataset
from sigmax_training.data.table import Streamed
from sigmax_training.job import Job, Tabular
from sigmax_training.streaming.fitting import outline

_CLASSES = 12


@dataclass(frozen=True, slots=True)
class Checked:
    """A job that can be run.

    Attributes:
        lines: what it is about, each with a word for it.
        notices: what a person should look at, though nothing is wrong.
    """

    lines: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]


def check(job: Job, rows: Any = None) -> Checked:
    """Check a job and its data.

    Args:
        job: what would be trained.
        rows: of a table whose job names no files.

    Raises:
        InvalidInput: naming everything that is wrong.
    """
    if isinstance(job.data, Tabular) and job.data.stream:
        return _streamed(job, data.stream(job, rows))
    dataset = data.load(job, rows)
    folds = splits.folds(dataset, job.evaluation, job.seed)
    train, test = splits.holdout(dataset, job.evaluation, job.seed)
    sizes = f"{len(train):,} to train, {len(test):,} to test"
    if job.validates:
        _, aside = splits.validation(dataset, train, job.evaluation, job.validation, job.seed)
        sizes += f", {len(aside):,} of the {len(train):,} to validate"
    lines = (
        ("data", dataset.description),
        ("rows", f"{len(dataset.codes):,}: {sizes}"),
        ("folds", str(len(folds))),
        ("classes", _classes(dataset.classes, _counts(dataset))),
        *_model(job, dataset),
    )
    return Checked(lines, dataset.notices)


def _streamed(job: Job, stream: Streamed) -> Checked:
    """Of rows that are not held, what is known without dividing them."""
    test = f"about {job.evaluation.test_fraction:.0%} of them to test"
    lines = (
        ("data", stream.description),
        ("rows", f"{stream.rows:,} in {stream.pieces} piece{'s' * (stream.pieces > 1)}: {test}"),
        ("folds", "none, a stream is judged by its test rows"),
        ("classes", _classes(stream.classes, stream.counts)),
        *_model(job, outline(stream)),
    )
    return Checked(lines, stream.notices)


def _model(job: Job, dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """What would be fitted, once job and data are known to fit together."""
    dtypes = draft.dtypes(job, dataset)
    for dtype in dtypes:
        draft.draft(job, dataset, dtype)
    return (
        ("features", _features(dataset.blocks)),
        *_missing(dataset),
        ("head", job.served_head(dataset.task).value),
        ("graph type", " or ".join(dtypes)),
    )


def _counts(dataset: Dataset) -> list[int]:
    """How many rows each class has."""
    if dataset.multilabel:
        found: list[int] = dataset.codes.sum(axis=0).tolist()
        return found
    counts: list[int] = np.bincount(dataset.codes, minlength=len(dataset.classes)).tolist()
    return counts


def _classes(labels: Sequence[str], counts: Sequence[int]) -> str:
    """How many rows each has, the first of many."""
    shown = [f"{label} ({count:,})" for label, count in zip(labels, counts, strict=True)]
    return ", ".join(shown[:_CLASSES]) + (", …" if len(shown) > _CLASSES else "")


def _features(blocks: tuple[Feature, ...]) -> str:
    kinds = Counter(block.kind.value for block in blocks)
    width = sum(block.size for block in blocks)
    return f"{width:,}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _missing(dataset: Dataset) -> list[tuple[str, str]]:
    """How many numbers are missing, by column."""
    if dataset.image is not None or not dataset.fills:
        return []
    found = []
    for column, block in enumerate(dataset.blocks):
        count = int(np.isnan(dataset.features[:, column]).sum())
        if count:
            found.append(f"{block.name} {count:,}")
    return (
        [("missing", ", ".join(found[:_CLASSES]) + (", …" if len(found) > _CLASSES else ""))] if found else []
    )
