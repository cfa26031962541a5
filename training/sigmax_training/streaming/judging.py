"""How good a fitted estimator is on every row that is judged, in one more pass over the stream.

The same figures as `evaluate` has of rows that are held, under the same names; folds there are none, because
each would be a training of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.inference.decision import Rule
from sigmax_training import calibration
from sigmax_training.data.dataset import F64, I64
from sigmax_training.data.stream import Stream
from sigmax_training.evaluate import mean_log_loss
from sigmax_training.fit import Fitted
from sigmax_training.streaming.division import TEST, Division
from sigmax_training.streaming.survey import OnRows

Block = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Features (n_samples, n_features) and codes of some rows."""

_BLOCK = 1 << 20
"""Numbers that are prepared at once, 8 MiB: a few rows at a time would cost more in calls than in numbers."""


class Tally:
    """What rows that are judged came to so far.

    Args:
        n_classes: how many classes or labels there are.
        multilabel: whether a row has any number of labels.
    """

    def __init__(self, n_classes: int, *, multilabel: bool) -> None:
        self._multilabel = multilabel
        self._rows = 0
        self._sums: dict[str, float] = {}
        self._gaps: F64 = np.zeros((1, 1))
        self._counts = np.zeros(n_classes, np.int64)

    def add(self, probabilities: F64, truth: npt.NDArray[Any], rule: Rule) -> None:
        """Judge some rows.

        Args:
            probabilities: (n_samples, n_classes).
            truth: (n_samples,), the column of each row's class; or bool (n_samples, n_labels).
            rule: decides.
        """
        right = rule.choose(probabilities) == truth
        means = {
            "test_accuracy": right.mean(),
            "test_log_loss": mean_log_loss(truth, probabilities),
            "test_brier": calibration.brier_score(probabilities, truth),
        }
        if self._multilabel:
            means["test_exact_match"] = right.all(axis=1).mean()
            self._counts += truth.sum(axis=0)
        else:
            self._counts += np.bincount(truth, minlength=len(self._counts))
        for name, mean in means.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(mean) * len(truth)
        self._gaps = self._gaps + calibration.gaps(probabilities, truth)
        self._rows += len(truth)

    def metrics(self, rows: int, counts: I64) -> dict[str, float]:
        """The figures by name; at least one row has been judged.

        Args:
            rows: how many the estimator was trained on.
            counts: (n_classes,), how many of them were of each class, or had each label.
        """
        found = {name: total / self._rows for name, total in self._sums.items()}
        return {
            **found,
            "test_calibration_error": float((np.abs(self._gaps).sum(axis=1) / self._rows).mean()),
            "test_rows": float(self._rows),
            "train_rows": float(rows),
            **self._baselines(counts / rows),
        }

    def _baselines(self, shares: F64) -> dict[str, float]:
        """Of answering every row with what is most frequent among the training rows, or with its shares."""
        here = self._counts / self._rows
        if not self._multilabel:
            return {
                "baseline_accuracy": float(here[shares.argmax()]),
                "baseline_log_loss": float(-(here * np.log(shares)).sum()),
            }
        return {
            "baseline_accuracy": float(np.where(shares > 0.5, here, 1.0 - here).mean()),
            "baseline_log_loss": float(-(here * np.log(shares) + (1 - here) * np.log(1 - shares)).mean()),
        }


def judge(stream: Stream, division: Division, fitted: Fitted, rule: Rule, on_rows: OnRows) -> Tally:
    """Ask a fitted estimator all rows that are judged.

    Args:
        stream: where the rows are.
        division: which of them are judged.
        fitted: not on these rows.
        rule: decides.
        on_rows: told how far it is.
    """
    tally = Tally(len(stream.classes), multilabel=stream.multilabel)
    for features, codes in _blocks(_judged(stream, division, on_rows), fitted.classifier.n_features_in_):
        tally.add(fitted.probabilities(features), codes, rule)
    return tally


def _judged(stream: Stream, division: Division, on_rows: OnRows) -> Iterator[Block]:
    """The rows that are judged, part by part."""
    seen = 0
    for part in stream.read(range(stream.pieces)):
        judged = division.sides(part) == TEST
        yield part.features[judged], part.codes[judged]
        seen += len(part.keys)
        on_rows(seen)


def _blocks(parts: Iterator[Block], width: int) -> Iterator[Block]:
    """The same rows, as many at once as are well prepared at once, `width` numbers each."""
    step = max(1, _BLOCK // width)
    waiting: list[Block] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part[1])
        if count >= step:
            yield from _cut(waiting, step)
            waiting, count = [], 0
    if count:
        yield from _cut(waiting, step)


def _cut(parts: list[Block], step: int) -> Iterator[Block]:
    features, codes = (np.concatenate(column) for column in zip(*parts, strict=True))
    for start in range(0, len(codes), step):
        yield features[start : start + step], codes[start : start + step]
