"""How a training by epochs went: what each pass over the rows came to, for the bundle and for who watches.

The bundle's file holds nothing that differs between two equal runs; speed is for the progress display alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training rows came to.

    Attributes:
        epoch: its number, from 1.
        epochs: how many there are at most; early stopping makes them fewer.
        loss: mean training loss of its batches, each before its own step, the penalty included.
        validation_loss: log loss of the validation rows after it; None if there are none.
        validation_accuracy: share of right classes (of right labels, where there are several); None likewise.
        rows_per_second: training rows, by the time that the epoch and its validation took.
        best: no epoch before it had so low a validation loss; without validation rows every epoch is, because
            the weights of the last one are kept.
    """

    epoch: int
    epochs: int
    loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    rows_per_second: float
    best: bool


def best_epoch(history: Sequence[Epoch]) -> int:
    """The number of the epoch whose weights are kept: the last one that was the best so far.

    Args:
        history: at least one epoch, in order.
    """
    return max(epoch.epoch for epoch in history if epoch.best)


def to_json(history: Sequence[Epoch]) -> bytes:
    """The bundle's `history.json`: the same bytes for two equal runs.

    Args:
        history: at least one epoch, in order.
    """
    epochs = [
        {
            "epoch": epoch.epoch,
            "loss": epoch.loss,
            "validation_loss": epoch.validation_loss,
            "validation_accuracy": epoch.validation_accuracy,
        }
        for epoch in history
    ]
    document = {"epochs": epochs, "best_epoch": best_epoch(history)}
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
