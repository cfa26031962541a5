"""Calibration: on validation rows, how the logits have to be stretched so that the probabilities hold.

What is found is a slope and an offset for every logit, so that it folds into the last layer and costs nothing
when it is served. The fitting is scikit-learn's own (`CalibratedClassifierCV`); which rows it is fitted on,
and the folding, are for others. Beside it, how far probabilities can be believed: of ten rows with 0.7 seven
should be what was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from sigmax.contract import Head
from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data.dataset import F64
from sigmax_training.heads import sigmoid, softmax

METHODS = ("temperature", "platt")

Truth = npt.NDArray[Any]
"""The column of each row's class, integers (n_samples,); or whether each label is there, or one, booleans."""

_ISOTONIC = (
    "calibration 'isotonic' is not offered: it is a function in steps of each probability, which does not "
    "fold into a layer, and skl2onnx converts it to the nearest knot, which is wrong by up to 0.30; use "
    "'platt', or 'temperature', which keeps the order of the classes"
)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Calibrated logits are `slope * logits + offset`; `head` makes probabilities of them.

    Attributes:
        slope: (n_logits,): one for the one logit of a binary model, else one a class or label.
        offset: (n_logits,).
        head: the model's, but for Platt's method on several classes, which needs one_vs_rest.
    """

    slope: F64
    offset: F64
    head: Head


def calibrate(
    method: str, logits: F64, codes: Truth, head: Head, labels: Sequence[str] | None = None
) -> Calibration:
    """Fit a calibration on validation rows.

    `temperature` (Guo et al., On Calibration of Modern Neural Networks, 2017): one factor for all logits, so
    that no decision by the highest probability changes. `platt` (Platt, Probabilistic Outputs for Support
    Vector Machines, 1999; scikit-learn calls it sigmoid): a slope and an offset for every logit; of several
    classes each against the rest, the sigmoids then divided by their sum.

    Args:
        method: `temperature` or `platt`.
        logits: of rows not fitted on. Binary: (n_samples,), the one of the second class, log p1 / p0.
            Multiclass: (n_samples, n_classes), three or more. Multilabel: (n_samples, n_labels).
        codes: the column of each row's class, (n_samples,); multilabel: whether each row has each label, bool
            (n_samples, n_labels). Labels are calibrated each on its own.
        head: of the model.
        labels: classes or labels in column order, for messages; their columns, if it is None.

    Raises:
        InvalidInput: no such method, a class or label that the rows do not have both with and without, a
            logit that is not finite, or rows that no temperature is the best for.
    """
    if method == "isotonic":
        raise InvalidInput(_ISOTONIC)
    if method not in METHODS:
        hint = nearest(method, METHODS)
        raise InvalidInput(f"calibration is one of {', '.join(METHODS)}, not {quoted(method)}{hint}")
    if not np.isfinite(logits).all():
        row = int(np.argwhere(~np.isfinite(logits))[0][0])
        raise InvalidInput(f"calibration: row {row} has a logit that is not finite")
    if labels is None:
        labels = [str(column) for column in range(logits.shape[1] if logits.ndim == 2 else 2)]
    if codes.ndim == 2:
        return _each_label(method, logits, codes, head, labels)
    _check_classes(codes, labels)
    if logits.ndim == 1:
        slope, offset = _one_logit(method, logits, codes)
        return Calibration(np.array([slope]), np.array([offset]), head)
    if method == "temperature":
        return _temperature(logits, codes, head)
    calibrators = _calibrators(method, logits, codes)
    slopes, offsets = ([-getattr(part, name) for part in calibrators] for name in ("a_", "b_"))
    return Calibration(np.array(slopes), np.array(offsets), Head.ONE_VS_REST)


def calibrated(calibration: Calibration, logits: F64) -> F64:
    """Calibrated logits, in the shape of `logits`, which are as `calibrate` takes them."""
    return calibration.slope * logits + calibration.offset


def apply(calibration: Calibration, logits: F64) -> F64:
    """Calibrated probabilities.

    Args:
        calibration: fitted by `calibrate`.
        logits: as `calibrate` takes them.

    Returns:
        Shape (n_samples, n_classes); of the one logit z of a binary model the columns of -z and z.
    """
    moved = calibrated(calibration, logits)
    if logits.ndim == 1:
        return sigmoid(np.column_stack([-moved, moved]))
    if calibration.head is Head.SIGMOID:
        return sigmoid(moved)
    if calibration.head is Head.SOFTMAX:
        return softmax(moved)
    odds = sigmoid(moved)
    total = odds.sum(axis=1, keepdims=True)
    # as scikit-learn has it: where every sigmoid is 0, no class is more probable than another
    even = np.full_like(odds, 1 / odds.shape[1])
    return np.asarray(np.divide(odds, total, out=even, where=total > 0))


def expected_calibration_error(probabilities: F64, truth: Truth, bins: int = 10) -> float:
    """How far what came is from what was promised: the mean over bins of equal width, weighted by their rows.

    Of classes: the highest probability of each row, and how often its class is the right one (Guo et al., On
    Calibration of Modern Neural Networks, 2017, equation 3). Of booleans: the probability itself, and how
    often it comes true (Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015),
    the mean over the labels; so it is asked of the positive class of a binary model, too.

    Args:
        probabilities: (n_samples, n_classes) for classes; (n_samples,) or (n_samples, n_labels) for booleans.
        truth: classes or booleans.
        bins: how many; a probability at the edge of two belongs to the lower one.

    Returns:
        0 (every promise is kept) to 1.
    """
    found = gaps(probabilities, truth, bins)
    return float((np.abs(found).sum(axis=1) / len(truth)).mean())


def gaps(probabilities: F64, truth: Truth, bins: int = 10) -> F64:
    """By bin, the sum over its rows of what was promised less what came true: rows may be looked at in parts.

    Args:
        probabilities: as `expected_calibration_error` takes them.
        truth: likewise.
        bins: how many.

    Returns:
        (1, n_bins) for classes, else (n_labels, n_bins).
    """
    if truth.dtype == np.bool_:
        promised, kept = _columns(probabilities), _columns(truth)
        return np.array([_gaps(p, t, bins) for p, t in zip(promised, kept, strict=True)])
    chosen = probabilities.argmax(axis=1)
    return _gaps(probabilities.max(axis=1), chosen == truth, bins)[np.newaxis]


def brier_score(probabilities: F64, truth: Truth) -> float:
    """The mean squared distance of probabilities from the truth as 0 and 1.

    G. W. Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.

    Args:
        probabilities: (n_samples, n_classes) for classes; (n_samples,) or (n_samples, n_labels) for booleans.
        truth: classes or booleans.

    Returns:
        Of classes the sum over the columns, 0 to 2, of two classes half of it, which is the distance of one
        column; of booleans the mean over rows and labels, 0 to 1. As `sklearn.metrics.brier_score_loss`.
    """
    if truth.dtype == np.bool_:
        return float(((probabilities - truth) ** 2).mean())
    width = probabilities.shape[1]
    squares = ((probabilities - np.eye(width)[truth]) ** 2).sum(axis=1)
    return float(squares.mean() / (2 if width == 2 else 1))


def _each_label(
    method: str, logits: F64, truth: npt.NDArray[np.bool_], head: Head, labels: Sequence[str]
) -> Calibration:
    found: list[tuple[float, float]] = []
    problems: list[str] = []
    for label, column, has in zip(labels, logits.T, truth.T, strict=True):
        try:
            if has.all() or not has.any():
                raise InvalidInput(
                    f"{int(has.sum())} of {len(has)} validation rows have it, some must and some not"
                )
            found.append(_one_logit(method, column, has.astype(np.int64)))
        except InvalidInput as error:
            problems.append(f"label {quoted(label)}: {error}")
    if problems:
        raise InvalidInput(f"calibration: {listed(problems)}")
    slopes, offsets = zip(*found, strict=True)
    return Calibration(np.array(slopes), np.array(offsets), head)


def _one_logit(method: str, logits: F64, codes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Slope and offset of the logit of one class against one other, (n_samples,)."""
    if method == "temperature":
        _check_temperature(np.stack([-logits, logits], axis=1), codes)
        (calibrator,) = _calibrators(method, logits[:, np.newaxis], codes)
        return 2.0 * float(calibrator.beta_), 0.0  # of (-z, z), whose softmax is sigmoid(2z)
    (calibrator,) = _calibrators(method, logits[:, np.newaxis], codes)
    return -float(calibrator.a_), -float(calibrator.b_)


def _temperature(logits: F64, codes: npt.NDArray[np.int64], head: Head) -> Calibration:
    if head is not Head.SOFTMAX:
        raise InvalidInput(
            f"calibration 'temperature' of several classes is for a softmax head, not for {head.value}; "
            "use 'platt'"
        )
    _check_temperature(logits, codes)
    (calibrator,) = _calibrators("temperature", _unmistakable(logits), codes)
    width = logits.shape[1]
    return Calibration(np.full(width, float(calibrator.beta_)), np.zeros(width), head)


def _unmistakable(logits: F64) -> F64:
    """Logits that scikit-learn cannot take for probabilities, of which it would take the logarithm.

    It does so where all lie from 0 to 1 and every row sums to 1. A softmax does not change when 1 is added.
    """
    probable = bool(((logits >= 0) & (logits <= 1)).all()) and np.allclose(logits.sum(axis=1), 1.0)
    return logits + 1.0 if probable else logits


def _check_temperature(logits: F64, codes: npt.NDArray[np.int64]) -> None:
    """Refuse rows whose log loss has no lowest point, where scikit-learn's search ends just anywhere.

    The log loss is convex in the inverse temperature. It falls for ever if no row has a logit above its own;
    it rises from the start, at 0, if the rows' own logits are on average no higher than the others.
    """
    rows = np.arange(len(codes))
    own = logits[rows, codes]
    others = logits.copy()
    others[rows, codes] = -np.inf
    if (own >= others.max(axis=1)).all():
        raise InvalidInput(
            f"no temperature is best: the model makes no mistake on the {len(codes)} validation rows, so "
            "that sharper is always better; give it more rows, or use 'platt', which expects mistakes"
        )
    if own.sum() <= logits.mean(axis=1).sum():
        raise InvalidInput(
            f"no temperature is best: on the {len(codes)} validation rows guessing is better than the model"
        )


class _Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator whose features are its logits already."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    @property
    def classes_(self) -> npt.NDArray[np.int64]:
        """Columns, as scikit-learn asks for them."""
        return np.arange(self.n_classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, *_: Any) -> _Given:
        """Nothing to learn."""
        return self

    def decision_function(self, logits: F64) -> F64:
        """The logits, (n_samples,) where there is one a row."""
        one: F64 = logits[:, 0]
        return one if logits.shape[1] == 1 else logits

    def predict(self, logits: F64) -> npt.NDArray[np.int64]:
        """The class of each row, which scikit-learn wants to be there."""
        scores = self.decision_function(logits)
        return np.asarray(scores.argmax(axis=1) if scores.ndim == 2 else scores > 0, np.int64)


def _calibrators(method: str, logits: F64, codes: npt.NDArray[np.int64]) -> list[Any]:
    """What scikit-learn fits on logits (n_samples, n_logits): one calibrator, or one a class."""
    rows = np.arange(len(codes))
    given = FrozenEstimator(_Given(max(2, logits.shape[1])))
    # one fold that holds all rows: nothing is fitted but the calibrator
    name = "sigmoid" if method == "platt" else method
    fitted = CalibratedClassifierCV(given, method=name, ensemble=False, cv=[(rows, rows)])
    fitted.fit(logits, codes)
    found: list[Any] = fitted.calibrated_classifiers_[0].calibrators
    return found


def _check_classes(codes: npt.NDArray[np.int64], labels: Sequence[str]) -> None:
    there = set(codes.tolist())
    missing = [quoted(label) for code, label in enumerate(labels) if code not in there]
    if missing:
        raise InvalidInput(f"calibration: no validation row is of class {', '.join(missing)}")


def _columns(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One row a column: (n_columns, n_samples)."""
    return values.reshape(len(values), -1).T


def _gaps(promised: F64, kept: npt.NDArray[np.bool_], bins: int) -> F64:
    """The sum of what was promised less what was kept, both (n_samples,), in each bin."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    found = np.searchsorted(edges[1:-1], promised)  # (n_samples,): 0 to bins - 1
    return np.asarray(np.bincount(found, weights=promised - kept, minlength=bins), np.float64)
