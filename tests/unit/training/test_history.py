"""The history of a training is the same bytes for two equal runs."""

from __future__ import annotations

import json
from dataclasses import replace

from sigmax_training import history
from sigmax_training.history import Epoch

RUN = (
    Epoch(1, 5, 0.9, 0.8, 0.5, 1000.0, best=True),
    Epoch(2, 5, 0.7, 0.6, 0.75, 2000.0, best=True),
    Epoch(3, 5, 0.6, 0.7, 0.75, 3000.0, best=False),
)


def test_every_epoch_and_the_best_one_are_in_the_file() -> None:
    document = json.loads(history.to_json(RUN))

    assert document == {
        "epochs": [
            {"epoch": 1, "loss": 0.9, "validation_loss": 0.8, "validation_accuracy": 0.5},
            {"epoch": 2, "loss": 0.7, "validation_loss": 0.6, "validation_accuracy": 0.75},
            {"epoch": 3, "loss": 0.6, "validation_loss": 0.7, "validation_accuracy": 0.75},
        ],
        "best_epoch": 2,
    }


def test_without_validation_rows_the_last_epoch_is_the_best() -> None:
    blind = [replace(epoch, validation_loss=None, validation_accuracy=None, best=True) for epoch in RUN]

    document = json.loads(history.to_json(blind))

    assert document["best_epoch"] == 3
    assert document["epochs"][0]["validation_loss"] is None


def test_the_speed_of_a_run_leaves_no_trace() -> None:
    slower = [replace(epoch, rows_per_second=1.0) for epoch in RUN]

    assert history.to_json(slower) == history.to_json(RUN)
