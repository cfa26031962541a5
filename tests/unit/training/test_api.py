"""`sigmax_training.train`: a job on rows that the caller holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sigmax_training
from sigmax.errors import InvalidInput

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": RNG.normal(size=60), "b": RNG.normal(size=60), "y": [0, 1] * 30})
JOB = {"name": "held", "data": {"target": "y"}, "evaluation": {"folds": 2, "repeats": 1}}


def test_a_frame_is_trained_on_and_published(tmp_path: Path) -> None:
    outcome = sigmax_training.train(JOB, FRAME, models=tmp_path)

    assert outcome.published.path == tmp_path / "held" / "1"
    assert outcome.metrics["test_rows"] == 12
    assert sigmax_training.train(JOB, FRAME, models=tmp_path).proof is None


def test_a_job_file_without_a_path_takes_rows(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("name='held'\n[data]\ntarget='y'\n[evaluation]\nfolds=2\nrepeats=1\n")

    outcome = sigmax_training.train(tmp_path / "job.toml", FRAME, models=tmp_path / "models")

    assert outcome.published.version == 1


@pytest.mark.parametrize(
    ("job", "rows", "expected"),
    [
        ([1], FRAME, "the job is a list: hand over a file's path, or its keys as a mapping"),
        (None, FRAME, "the job is a NoneType"),
        (JOB, FRAME.y, "the rows are a Series: hand over a pandas or Polars DataFrame"),
        (JOB, FRAME.drop(columns="y"), "there is no target column 'y'"),
        (JOB, None, "exactly one of them says where the rows are"),
        (
            {**JOB, "data": {"target": "y", "path": "r.csv"}},
            FRAME,
            "but rows were handed over: give one of them",
        ),
        ({**JOB, "sed": 1}, FRAME, "sed is not a key that is known here, did you mean 'seed'?"),
    ],
)
def test_what_is_wrong_is_one_error_of_ours(tmp_path: Path, job: Any, rows: Any, expected: str) -> None:
    with pytest.raises(InvalidInput) as error:
        sigmax_training.train(job, rows, models=tmp_path)

    assert expected in str(error.value)
    assert not list(tmp_path.iterdir())
