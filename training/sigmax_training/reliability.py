"""How far probabilities can be believed: of ten rows with 0.7 seven should be what was said.

Figures of probabilities that were made by somebody else, on rows that nothing was fitted on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax_training.data.dataset import F64

Truth = npt.NDArray[Any]
"""The column of each row's class, integers (n_samples,); or booleans in the shape of the probabilities."""


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
    if truth.dtype == np.bool_:
        promised, kept = _columns(probabilities), _columns(truth)
        return float(np.mean([_distance(p, t, bins) for p, t in zip(promised, kept, strict=True)]))
    chosen = probabilities.argmax(axis=1)
    return _distance(probabilities.max(axis=1), chosen == truth, bins)


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


def _columns(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One row a column: (n_columns, n_samples)."""
    return values.reshape(len(values), -1).T


def _distance(promised: F64, kept: npt.NDArray[np.bool_], bins: int) -> float:
    """The weighted mean, over the bins, of |mean promised - share kept|; both (n_samples,)."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    found = np.searchsorted(edges[1:-1], promised)  # (n_samples,): 0 to bins - 1
    gaps = np.bincount(found, weights=promised - kept, minlength=bins)
    return float(np.abs(gaps).sum() / len(promised))
