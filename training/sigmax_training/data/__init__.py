"""Data sets: from scikit-learn, CSV files, picture files or cut from photographs, as one frozen `Dataset`."""

from __future__ import annotations

from typing import Any

from sigmax.errors import InvalidInput
from sigmax_training.data import builtin, photographs, pictures, regions, table
from sigmax_training.data.dataset import Dataset, ordered
from sigmax_training.data.held import By
from sigmax_training.data.table import Streamed
from sigmax_training.job import Builtin, Evaluation, Job, Photographs, Pictures, Splitting, Tabular


def by(evaluation: Evaluation) -> By | None:
    """The column of a table by which a job divides its rows; None where it needs none."""
    if evaluation.key is None:
        return None
    return By(evaluation.key, times=evaluation.split is Splitting.TIME)


def stream(job: Job, given: Any = None) -> Streamed:
    """Look through a job's table without holding it, its classes in the job's order.

    Args:
        job: its data is a table.
        given: as of `load`.

    Raises:
        InvalidInput: naming everything that is wrong with the data.
    """
    if not isinstance(job.data, Tabular):
        raise InvalidInput("only a table is streamed: data.path names one")
    return table.opened(job.data, by(job.evaluation), given, job.decision.classes)


def load(job: Job, given: Any = None) -> Dataset:
    """Load a job's data, its classes in the job's order.

    Args:
        job: says where the rows are.
        given: the rows of a table whose job names no files.

    Raises:
        InvalidInput: naming everything that is wrong with the data.
    """
    data = job.data
    if isinstance(data, Tabular):
        dataset = table.load(data, by(job.evaluation), given)
    elif isinstance(data, Builtin):
        dataset = builtin.load(data.name)
    elif isinstance(data, Pictures):
        dataset = pictures.load(data, by(job.evaluation))
    elif isinstance(data, Photographs):
        dataset = photographs.load(data)
    else:
        dataset = regions.load(data)
    return ordered(dataset, job.decision.classes) if job.decision.classes else dataset
