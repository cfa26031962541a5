"""The course of a training by epochs: what each came to, which weights are the best, and when it is over.

It is told what an epoch came to, however its steps were made; making and measuring them is left to `steps`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax_training import state
from sigmax_training.history import Epoch, best_epoch
from sigmax_training.state import Arrays

Weights = list[npt.NDArray[Any]]


class Course:
    """What a training has come to so far.

    With validation rows the weights of the best epoch are kept, else those of the last one.

    Args:
        epochs: how many there are at most.
        patience: how many epochs in a row may pass without a lower validation loss.
        learning_rate: for the message of a training that diverges.

    Attributes:
        history: one entry an epoch, in order.
        coefs: the kept weights, one array a layer; empty before the first epoch.
        intercepts: likewise.
    """

    def __init__(self, epochs: int, patience: int, learning_rate: float) -> None:
        self._epochs, self._patience, self._learning_rate = epochs, patience, learning_rate
        self._lowest = math.inf
        self.history: list[Epoch] = []
        self.coefs: Weights = []
        self.intercepts: Weights = []

    @property
    def over(self) -> bool:
        """Whether there is no further epoch."""
        done = len(self.history)
        return done >= self._epochs or (done > 0 and done - self.best_epoch >= self._patience)

    @property
    def best_epoch(self) -> int:
        """The number of the epoch whose weights are kept."""
        return best_epoch(self.history)

    def note(
        self,
        loss: float,
        measured: tuple[float, float] | None,
        rows_per_second: float,
        coefs: Weights,
        intercepts: Weights,
    ) -> Epoch:
        """The next epoch is done.

        Args:
            loss: the mean training loss of its rows.
            measured: log loss and accuracy of the validation rows after it; None if there are none.
            rows_per_second: how fast it was.
            coefs: as they are now; copied if they are the best.
            intercepts: likewise.

        Raises:
            ValueError: a loss is no finite number; the training has diverged.
        """
        number = len(self.history) + 1
        held, accuracy = (None, None) if measured is None else measured
        if not math.isfinite(loss if held is None else loss + held):
            raise ValueError(
                f"the training diverged: in epoch {number} of {self._epochs} its loss is no finite "
                f"number. The learning rate {self._learning_rate:g} is likely too high: try a tenth of it"
            )
        best = held is None or held < self._lowest
        if held is not None:
            self._lowest = min(self._lowest, held)
        if best:
            self.coefs = [array.copy() for array in coefs]
            self.intercepts = [array.copy() for array in intercepts]
        epoch = Epoch(number, self._epochs, loss, held, accuracy, rows_per_second, best)
        self.history.append(epoch)
        return epoch

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it as arrays that a later epoch does not change."""
        return {
            **state.numbered("coefs", list(self.coefs)),
            **state.numbered("intercepts", list(self.intercepts)),
            "history": np.array([_row(epoch) for epoch in self.history], np.float64).reshape(-1, 5),
            "lowest": np.asarray(self._lowest),
        }

    def restore(self, arrays: Arrays) -> None:
        """Go on from where `arrays` were taken; this course has had no epoch yet.

        Raises:
            ValueError: these are not the arrays of a course.
        """
        try:
            self.history = [
                self._epoch(place, row) for place, row in enumerate(arrays["history"].tolist(), 1)
            ]
            self.coefs = state.in_order("coefs", arrays)
            self.intercepts = state.in_order("intercepts", arrays)
            self._lowest = float(arrays["lowest"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"the state is not that of this training: {error}") from error

    def _epoch(self, number: int, row: list[float]) -> Epoch:
        loss, held, accuracy, speed, best = row
        measured = None if math.isnan(held) else held
        right = None if math.isnan(accuracy) else accuracy
        return Epoch(number, self._epochs, loss, measured, right, speed, bool(best))


def epochs_done(arrays: Arrays) -> int:
    """How many epochs a training has done, from its state: a course's arrays behind "course/"."""
    return len(arrays["course/history"])


def _row(epoch: Epoch) -> tuple[float, ...]:
    """An epoch as numbers; NaN stands for what was not measured, because a loss that is kept is finite."""
    held = math.nan if epoch.validation_loss is None else epoch.validation_loss
    accuracy = math.nan if epoch.validation_accuracy is None else epoch.validation_accuracy
    return epoch.loss, held, accuracy, epoch.rows_per_second, float(epoch.best)
