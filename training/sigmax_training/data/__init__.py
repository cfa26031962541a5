"""Data sets: from scikit-learn, CSV files, picture files or cut from photographs, as one frozen `Dataset`."""

from __future__ import annotations

from sigmax_training.data import builtin, photographs, pictures, regions, table
from sigmax_training.data.dataset import Dataset, ordered
from sigmax_training.job import Builtin, Csv, Job, Photographs, Pictures


def load(job: Job) -> Dataset:
    """Load a job's data, its classes in the job's order.

    Raises:
        InvalidInput: naming everything that is wrong with the data.
    """
    data = job.data
    if isinstance(data, Csv):
        dataset = table.load(data)
    elif isinstance(data, Builtin):
        dataset = builtin.load(data.name)
    elif isinstance(data, Pictures):
        dataset = pictures.load(data)
    elif isinstance(data, Photographs):
        dataset = photographs.load(data)
    else:
        dataset = regions.load(data)
    return ordered(dataset, job.decision.classes) if job.decision.classes else dataset
