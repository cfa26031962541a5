"""From probabilities to classes: one rule, stated once, for the service, the gate and the trainer.

Multiclass: the highest probability, the lowest column on a tie. Binary: the positive class when its
probability exceeds the threshold (strictly). Multilabel: each label whose probability exceeds its
threshold. A band says where nobody should rely on that: a row, or a label of it, is unsure when
low < probability <= high; the decided class stays what the threshold says. Thresholds and bounds are cast
once to the type of the probabilities, so that 0.1 means the same on both sides of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Manifest, Task

Chosen = npt.NDArray[Any]

_NO_BAND = (math.inf, math.inf)
"""Bounds that no probability lies between."""


class Rule:
    """The decision rule of one model, ready to be applied.

    Args:
        manifest: names the task, the classes and the positive class.
        dtype: the type of the probabilities that the rule is applied to.
        thresholds: by label, as in the manifest's decision.
        band: by label, (low, high), as in the manifest's decision; for some labels, for all, or for none.

    Attributes:
        banded: whether a row can be unsure.
    """

    __slots__ = ("_high", "_low", "_one_band", "_one_threshold", "_positive", "_task", "_threshold", "banded")

    def __init__(
        self,
        manifest: Manifest,
        dtype: npt.DTypeLike,
        thresholds: Mapping[str, float],
        band: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._task = manifest.task
        self._positive = manifest.positive_column if self._task is Task.BINARY else 0
        labels = [label for label in manifest.classes if label in thresholds]
        self._threshold = np.array([thresholds[label] for label in labels], dtype)
        self._one_threshold = float(self._threshold[0]) if labels else 0.0
        bounds = [(band or {}).get(label, _NO_BAND) for label in labels]
        self._low, self._high = np.array(bounds, dtype).reshape(-1, 2).T
        self._one_band = (float(self._low[0]), float(self._high[0])) if labels else _NO_BAND
        self.banded = bool(band)

    def choose(self, probabilities: npt.NDArray[Any]) -> Chosen:
        """Decide every row.

        Args:
            probabilities: (n_samples, n_classes).

        Returns:
            The chosen column, int64 (n_samples,); for multilabel bool (n_samples, n_classes).
        """
        if self._task is Task.MULTICLASS:
            return np.asarray(probabilities.argmax(axis=1))
        if self._task is Task.MULTILABEL:
            return np.asarray(probabilities > self._threshold)
        positive = probabilities[:, self._positive]
        second = positive > self._threshold[0] if self._positive else positive <= self._threshold[0]
        return np.asarray(second.astype(np.int64))

    def choose_one(self, probabilities: list[float]) -> int:
        """Decide one row of a binary or multiclass model, as `choose` does, without numpy's cost a call.

        Args:
            probabilities: n_classes numbers.

        Returns:
            The chosen column.
        """
        if self._task is Task.MULTICLASS:
            return probabilities.index(max(probabilities))
        exceeded = probabilities[self._positive] > self._one_threshold
        return self._positive if exceeded else 1 - self._positive

    def unsure(self, probabilities: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Whether nobody should rely on a decision.

        Args:
            probabilities: (n_samples, n_classes), of a binary or multilabel model.

        Returns:
            Of each row, (n_samples,); for multilabel of each label, (n_samples, n_classes). A label without a
            band is never unsure.
        """
        asked = self._asked(probabilities)
        return np.asarray((asked > self._low) & (asked <= self._high)).reshape(self._shape(probabilities))

    def unsure_one(self, probabilities: list[float]) -> bool:
        """Whether one row of a binary model is unsure, as `unsure` says, without numpy's cost a call."""
        low, high = self._one_band
        return low < probabilities[self._positive] <= high

    def band_margins(self, probabilities: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """How far each row is from being unsure or sure otherwise, in units of probability.

        Returns:
            Shape (n_samples,): the distance of the closest probability to a bound of its band.
        """
        asked = self._asked(probabilities)
        distances = np.minimum(np.abs(asked - self._low), np.abs(asked - self._high))
        return np.asarray(distances.min(axis=1), np.float64)

    def _asked(self, probabilities: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The probabilities that have a threshold, (n_samples, n_thresholds)."""
        if self._task is Task.BINARY:
            return probabilities[:, self._positive : self._positive + 1]
        return probabilities

    def _shape(self, probabilities: npt.NDArray[Any]) -> tuple[int, ...]:
        return probabilities.shape if self._task is Task.MULTILABEL else probabilities.shape[:1]

    def margins(self, probabilities: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """How far each row is from being decided otherwise, in units of probability.

        Returns:
            Shape (n_samples,): multiclass the distance of the two highest probabilities, else the
            distance of the closest probability to its threshold.
        """
        if self._task is Task.MULTICLASS:
            top = np.sort(probabilities, axis=1)[:, -2:]
            return np.asarray(top[:, 1] - top[:, 0], np.float64)
        if self._task is Task.MULTILABEL:
            return np.asarray(np.abs(probabilities - self._threshold).min(axis=1), np.float64)
        return np.asarray(np.abs(probabilities[:, self._positive] - self._threshold[0]), np.float64)
