"""Fitting: rows and a job's settings in, a fitted estimator with its calibration and thresholds out.

One call does all that the published model is made by, so that every fold of the evaluation is treated as the
published model is: validation rows are set aside inside the training rows, never among those that are judged.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from sigmax.contract import Head, Kind, Task
from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training import calibration, estimators, features, splits, tuning
from sigmax_training.calibration import Calibration
from sigmax_training.data.dataset import F64, I64, Dataset
from sigmax_training.features import Expansion
from sigmax_training.history import Epoch
from sigmax_training.job import Calibration as Method
from sigmax_training.job import Job, Perceptron
from sigmax_training.state import Arrays

OnEpoch = Callable[[Epoch], None]

MAX_EXPANDED_BYTES = 8 * 2**30
"""How large the training rows may become with a column a code; scikit-learn copies them once more."""

_OFF_THE_SHARE = 1e-3
_NOT_OPTIMAL = (
    "the solver stopped before the optimum: the mean probability of a class is off its share of the rows by "
    "{short:.2g}; another solver, a smaller tol or a weaker penalty finds it"
)


class Memory(Protocol):
    """Where the state of a training by epochs is kept, so that it can go on after an interrupt."""

    def begin_at(self) -> Arrays | None:
        """The state that the training begins at; None for its beginning."""
        ...

    def keep(self, arrays: Arrays) -> None:
        """The training has done an epoch, and this is its state."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted estimator on features as they come.

    Attributes:
        classifier: scikit-learn's, or one that behaves as scikit-learn's do.
        preprocessor: what the features go through first; None if nothing.
        expansion: the same as plain numbers.
        scale: what every feature is multiplied by before all (1/255 for pixels, else 1).
        task: what is asked.
        head: what turns logits into probabilities, calibration included.
        calibration: applied to the logits; None if there is none.
        thresholds: by label, chosen on validation rows; empty where the job's own stand.
        history: one entry an epoch, where training goes by epochs.
        best_epoch: the epoch whose weights were kept, from 1; 0 where there are none.
        warnings: what scikit-learn had to say while it fitted.
    """

    classifier: Any
    preprocessor: Any
    expansion: Expansion
    scale: float
    task: Task
    head: Head
    calibration: Calibration | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def n_classes(self) -> int:
        """How many classes or labels there are."""
        return len(self.classifier.classes_)

    def probabilities(self, features: npt.NDArray[Any]) -> F64:
        """The estimator's own probabilities, float64 (n_samples, n_classes)."""
        if len(features) == 0:
            return np.empty((0, self.n_classes))
        if self.calibration is not None:
            return calibration.apply(self.calibration, self._scores(features))
        return np.asarray(self.classifier.predict_proba(self._prepared(features)), np.float64)

    def logits(self, features: npt.NDArray[Any]) -> F64:
        """The scores before the head, calibrated, (n_samples, n_classes); of a binary model -z and z.

        A softmax over two classes has -z/2 and z/2.
        """
        scores = self._scores(features) if len(features) else np.empty((0, self.n_classes))
        if self.calibration is not None:
            scores = calibration.calibrated(self.calibration, scores)
        if scores.ndim == 2:
            return scores
        half = 0.5 if self.head is Head.SOFTMAX else 1.0
        return half * np.column_stack([-scores, scores])

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The estimator's own classes: columns (n_samples,), or of labels bool (n_samples, n_classes)."""
        chosen = np.asarray(self.classifier.predict(self._prepared(features)))
        return chosen.astype(np.bool_ if self.task is Task.MULTILABEL else np.int64)

    def _scores(self, features: npt.NDArray[Any]) -> F64:
        return np.asarray(self.classifier.decision_function(self._prepared(features)), np.float64)

    def _prepared(self, features: npt.NDArray[Any]) -> F64:
        scaled = _scaled(features, self.scale)
        return scaled if self.preprocessor is None else self.preprocessor.transform(scaled)


def fit(
    job: Job, dataset: Dataset, rows: I64, on_epoch: OnEpoch | None = None, memory: Memory | None = None
) -> Fitted:
    """Fit a job's estimator on some rows of a data set.

    On one thread: sums are then added up in the same order on every number of cores, and a logistic
    regression on 30,000 pixels is faster (1.7 s against 2.2 s on 2 cores).

    Args:
        job: says which estimator, and what becomes of the validation rows.
        dataset: where the rows are.
        rows: indices into it; every class has a row among them.
        on_epoch: told of each epoch, where training goes by epochs.
        memory: keeps its state after each of them, and knows the one to begin at.

    Raises:
        InvalidInput: scikit-learn refuses the data, for instance because its scale overflows.
    """
    aside = np.empty(0, np.int64)
    if job.validates:
        rows, aside = splits.validation(dataset, rows, job.evaluation, job.validation, job.seed)
    with guarded(len(rows)) as said:
        fitted = _fit(job, dataset, rows, aside, on_epoch, memory=memory)
    fitted = replace(fitted, warnings=tuple(said))
    return validated(job, dataset.classes, dataset.features[aside], dataset.codes[aside], fitted)


@contextmanager
def guarded(count: int) -> Iterator[list[str]]:
    """Where an estimator is fitted, on one thread: what it refuses is the data's mistake.

    Args:
        count: rows to fit on.

    Yields:
        What scikit-learn had to say, once the block has ended.

    Raises:
        InvalidInput: in place of the error that is raised in the block.
    """
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1):
        warnings.simplefilter("always")
        try:
            yield said
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            raise InvalidInput(f"the estimator refuses the data: {_first_line(error)}") from error
        except MemoryError as error:
            raise InvalidInput(
                f"{count} rows to fit on do not fit into the memory; a category takes as many numbers a "
                "row as it has different values"
            ) from error
    said += dict.fromkeys(_first_line(warning.message) for warning in caught)


def _fit(
    job: Job, dataset: Dataset, rows: I64, aside: I64, on_epoch: OnEpoch | None, *, memory: Memory | None
) -> Fitted:
    image = dataset.image
    scale = image.scale if image else 1.0
    matrix, codes = training_rows(dataset, rows)
    prepared = _scaled(matrix, scale)
    transformer = features.preprocessor(dataset.blocks, dataset.fills, standardise=job.standardise)
    if transformer is not None:
        _check_size(dataset, len(prepared))
        prepared = transformer.fit_transform(prepared)
    task = dataset.task
    head = job.head_for(task)
    _check_finite(prepared, features.expansion(transformer, dataset.blocks), dataset)
    classifier = estimators.estimator(job.estimator, task, head, dataset.classes, job.seed)
    if isinstance(job.estimator, Perceptron):
        validation = None
        if job.estimator.early_stopping:
            watched = _scaled(dataset.features[aside], scale)
            watched = watched if transformer is None else transformer.transform(watched)
            validation = (watched, dataset.codes[aside])
        classifier.fit(
            prepared,
            codes,
            validation=validation,
            on_epoch=on_epoch,
            n_classes=len(dataset.classes),
            begin_at=memory and memory.begin_at(),
            on_state=memory and memory.keep,
        )
    else:
        classifier.fit(prepared, codes.astype(np.int64))
        short = estimators.short_of_the_optimum(classifier, prepared, codes)
        if short > _OFF_THE_SHARE:
            warnings.warn(_NOT_OPTIMAL.format(short=short), RuntimeWarning, stacklevel=1)
    return Fitted(
        classifier=classifier,
        preprocessor=transformer,
        expansion=features.expansion(transformer, dataset.blocks),
        scale=scale,
        task=task,
        head=head,
        history=getattr(classifier, "history_", ()),
        best_epoch=getattr(classifier, "best_epoch_", 0),
    )


def _check_size(dataset: Dataset, count: int) -> None:
    """Refuse what does not fit into the memory before it is made: a category is as wide as its codes."""
    wide = {block.name: block.n_codes for block in dataset.blocks if block.kind is Kind.CATEGORY}
    size = 8 * count * (len(dataset.blocks) - len(wide) + sum(wide.values()))
    if wide and size > MAX_EXPANDED_BYTES:
        name = max(wide, key=wide.__getitem__)
        raise InvalidInput(
            f"{count} rows to fit on would take {size / 2**30:.1f} GiB, at most "
            f"{MAX_EXPANDED_BYTES / 2**30:g} GiB are taken: a category is as wide as its vocabulary, and "
            f"{quoted(name)} has {wide[name]} categories; group the rare ones, or name it in data.ignore"
        )


def validated(
    job: Job, classes: tuple[str, ...], watched: npt.NDArray[Any], codes: npt.NDArray[Any], fitted: Fitted
) -> Fitted:
    """The same estimator with what validation rows teach: a calibration, then thresholds.

    Args:
        job: says which of the two are wanted.
        classes: the labels in column order.
        watched: features of the rows, (n_samples, n_features).
        codes: what is true of them.
        fitted: not on these rows.

    Raises:
        InvalidInput: the rows do not determine what is wanted.
    """
    if job.calibration is not Method.NONE:
        scores = fitted._scores(watched)
        found = calibration.calibrate(job.calibration.value, scores, codes, fitted.head, classes)
        fitted = replace(fitted, calibration=found, head=found.head)
    if job.decision.tune is None:
        return fitted
    probabilities = fitted.probabilities(watched)
    if fitted.task is Task.MULTILABEL:
        chosen = tuning.tune_labels(probabilities, codes, classes, job.decision.tune)
        return replace(fitted, thresholds={label: tuned.threshold for label, tuned in chosen.items()})
    positive = job.decision.positive or classes[-1]
    column = classes.index(positive)
    tuned = tuning.tune(probabilities[:, column], codes == column, job.decision.tune)
    return replace(fitted, thresholds={positive: tuned.threshold})


def training_rows(dataset: Dataset, rows: I64) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Features and columns to fit on: the rows and, if the data set says so, their mirror images."""
    matrix, codes = dataset.features[rows], dataset.codes[rows]
    if not dataset.flips or dataset.image is None:
        return matrix, codes
    pictures = matrix.reshape(-1, *dataset.image.shape)
    mirrored = pictures[..., ::-1].reshape(matrix.shape)
    return np.concatenate([matrix, mirrored]), np.concatenate([codes, codes])


def describe(job: Job) -> str:
    """The estimator in one line, for people."""
    steps = ["StandardScaler"] if job.standardise else []
    behind = [] if job.calibration is Method.NONE else [f"{job.calibration} calibration"]
    return " -> ".join([*steps, repr(job.estimator), *behind])


def _scaled(matrix: npt.NDArray[Any], scale: float) -> F64:
    return np.asarray(matrix, np.float64) if scale == 1.0 else matrix * np.float64(scale)


def _check_finite(prepared: F64, seen: Expansion, dataset: Dataset) -> None:
    """Refuse numbers whose squares are beyond float64, so that they have no deviation."""
    wrong = np.flatnonzero(~np.isfinite(prepared).all(axis=0))
    if wrong.size:
        raise InvalidInput(too_large([dataset.blocks[seen.numbers[place]].name for place in wrong.tolist()]))


def too_large(columns: Sequence[str]) -> str:
    """What is said of columns of numbers whose squares are beyond float64."""
    names = listed([quoted(name) for name in columns])
    return (
        f"the numbers of column {names} are too large to be scaled to a deviation of 1: "
        "give them in another unit"
    )


def _first_line(message: Exception | str) -> str:
    return (str(message).splitlines() or [""])[0]
