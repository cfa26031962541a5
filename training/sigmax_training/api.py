"""A job run from Python: on the files that it names, or on rows that the caller holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from sigmax.errors import InvalidInput
from sigmax_training import job as jobs
from sigmax_training import pipeline, progress
from sigmax_training.job import Job
from sigmax_training.pipeline import Outcome


def train(
    job: Job | Mapping[str, Any] | str | Path,
    rows: Any = None,
    *,
    models: str | Path = "models",
    resume: bool = False,
    quiet: bool = True,
) -> Outcome:
    """Train, evaluate, export, prove and publish, as `sigmax-train run` does.

    Args:
        job: a job file's path, or what would stand in one as nested mappings, `{"name": ..., "data": {...}}`.
        rows: a pandas or Polars DataFrame or an Arrow table; the job then names no `path`.
        models: the repository to publish into; it is made if it is not there.
        resume: go on from the checkpoint of an interrupted run, if there is one.
        quiet: show no progress on standard error; notices come back in the outcome.

    Returns:
        The version, where it lies, its metrics, what the gate found, and notices.

    Raises:
        InvalidInput: naming everything that is wrong with the job or the rows.
        BundleRejected: the gate refuses.
    """
    given = rows is not None
    if isinstance(job, str | Path):
        job = jobs.read(Path(job), given=given)
    elif isinstance(job, Mapping):
        job = jobs.parsed(job, Path(), given=given)
    elif not isinstance(job, Job):
        raise InvalidInput(
            f"the job is a {type(job).__name__}: hand over a file's path, or its keys as a mapping"
        )
    console = Console(stderr=True, quiet=quiet)
    with progress.opened(console, quiet=quiet) as report:
        return pipeline.run(job, Path(models), report, rows, resume=resume)
