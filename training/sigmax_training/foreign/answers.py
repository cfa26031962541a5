"""A fitted scikit-learn estimator as the gate asks it: in rows of the features matrix, by column numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Task
from sigmax.errors import InvalidInput
from sigmax_training.data.dataset import F64
from sigmax_training.foreign import labels
from sigmax_training.foreign.columns import Columns, strangers, with_unknown
from sigmax_training.foreign.unwrap import name_of


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A fitted estimator.

    Attributes:
        estimator: as it was given, wrappers and all.
        columns: how rows of the matrix become what it was fitted on.
        task: what it answers.
        n_classes: how many columns its probabilities have.
    """

    estimator: Any
    columns: Columns
    task: Task = Task.MULTICLASS
    n_classes: int = 0

    @property
    def own(self) -> tuple[str, ...]:
        """The texts of the estimator's classes, in its own column order; of labels their column numbers."""
        if self.task is Task.MULTILABEL:
            return labels.canonical(range(self.n_classes))
        return labels.canonical(list(self.estimator.classes_))

    def probabilities(self, features: npt.NDArray[Any]) -> F64:
        """The estimator's own probabilities, float64 (n_samples, n_classes)."""
        if len(features) == 0:
            return np.empty((0, self.n_classes))
        return np.asarray(self.ask(self.estimator.predict_proba, features), np.float64)

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The estimator's own classes: columns (n_samples,), or of labels bool (n_samples, n_classes)."""
        return self.columns_of(np.asarray(self.ask(self.estimator.predict, features)))

    def columns_of(self, truth: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Classes as the estimator names them, as columns, or of labels as booleans."""
        if self.task is Task.MULTILABEL:
            return labels.indicators(truth)
        return labels.columns_of(truth, self.own)

    def ask(self, method: Callable[[Any], Any], features: npt.NDArray[Any]) -> Any:
        """Call a method of the estimator with rows in the form that it was fitted on."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown categories, names of features: all as in the fitting
            return method(self.columns.restored(features))


def answering(estimator: Any, columns: Columns, rows: F64) -> Answers:
    """Find out what an estimator answers: which task, how many classes, which unknown categories.

    Args:
        estimator: fitted.
        columns: of the rows; unknown categories are allowed where the estimator answers them.
        rows: (n_samples, n_features), all of which it has to answer.

    Raises:
        InvalidInput: it refuses the rows, or answers in a form that no bundle has.
    """
    answers = Answers(estimator, columns)
    try:
        first = answers.ask(estimator.predict_proba, rows)
        chosen = np.asarray(answers.ask(estimator.predict, rows[:1]))
    except Exception as error:  # estimators refuse rows with errors of every class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InvalidInput(f"{name_of(estimator)} refuses the rows of X: {reason}") from error
    if isinstance(first, list):
        raise InvalidInput(
            f"{name_of(estimator)} answers with one table a label: for several labels a row use "
            "OneVsRestClassifier or MLPClassifier"
        )
    width = int(first.shape[1])
    if width < 2:
        raise InvalidInput(f"{name_of(estimator)} was fitted on one class: two are needed")
    several = chosen.ndim == 2
    task = Task.MULTILABEL if several else Task.BINARY if width == 2 else Task.MULTICLASS
    answers = replace(answers, task=task, n_classes=width)
    for index in columns.categories:
        answers = _with_unknown(answers, index, rows[:1])
    return answers


def _with_unknown(answers: Answers, index: int, row: F64) -> Answers:
    """The same, where an unknown category of a column is allowed if the estimator answers it, any alike."""
    column = answers.columns.columns[index]
    unknown = row.copy()
    unknown[0, index] = column.block.n_codes
    found: list[tuple[Answers, F64]] = []
    for stranger in strangers(column):
        changed = replace(answers, columns=with_unknown(answers.columns, index, stranger))
        try:
            found.append((changed, changed.probabilities(unknown)))
        except Exception:  # as above; what the estimator refuses, the service refuses
            return answers
    alike = bool(found) and all(np.array_equal(found[0][1], other) for _, other in found)
    return found[0][0] if alike else answers
