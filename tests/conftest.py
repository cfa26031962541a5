"""What tests of training and of serving share: a repository with the four example models, trained once."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from rich.console import Console

from sigmax_training import job as jobs
from sigmax_training import pipeline
from sigmax_training.job import Job
from sigmax_training.pipeline import Outcome
from sigmax_training.progress import Silent

# The same examples each time and no deadline: a failure says something about the change, not the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

# A shell without job control starts what it puts into the background with Ctrl-C ignored, and every process
# inherits that; the tests of interrupts send it, wherever they were started from.
signal.signal(signal.SIGINT, signal.default_int_handler)

JOBS = Path(__file__).parents[1] / "training" / "jobs"
MODELS = ("breast_cancer", "digits", "iris", "temple_or_flower")


def example_job(name: str) -> Job:
    """One of the four example jobs, its folds gone through once instead of several times."""
    job = jobs.read(JOBS / f"{name}.toml")
    return replace(job, evaluation=replace(job.evaluation, repeats=1))


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What training the four example jobs came to, by model name."""
    root = tmp_path_factory.mktemp("models")
    report = Silent(Console(quiet=True))
    return {name: pipeline.run(example_job(name), root, report) for name in MODELS}


@pytest.fixture(scope="session")
def repository(outcomes: dict[str, Outcome]) -> Path:
    """A repository with the four example models, each published by its job; not to be written to."""
    return outcomes["iris"].published.path.parents[1]
