"""What a trainer is told of its rows: codes, how many columns they span, and how heavy each class is.

Refusals only; nothing is learnt here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from sigmax_training.data.dataset import F64, I64
from sigmax_training.heads import Codes, Output

ClassWeight = Literal["balanced"] | Mapping[int, float] | None


def read_codes(given: npt.ArrayLike, n_samples: int, which: str) -> Codes:
    """Columns as int64, or truths of labels as bool.

    Args:
        given: integers from 0 on (n_samples,), or truths (n_samples, n_labels).
        n_samples: rows of features.
        which: "training" or "validation", for the message.

    Raises:
        ValueError: they are neither, or not as many.
    """
    codes = np.asarray(given)
    if len(codes) != n_samples:
        raise ValueError(f"there are {n_samples} {which} rows of features, but {len(codes)} of codes")
    if codes.ndim == 2 and np.isin(codes, (False, True)).all():
        return codes.astype(np.bool_)
    if codes.ndim == 1 and codes.dtype.kind in "iub" and codes.min() >= 0:
        return codes.astype(np.int64)
    raise ValueError(
        f"the {which} codes are either columns from 0 on, integers (n_samples,), or truths of labels "
        f"(n_samples, n_labels); they are {codes.dtype} {codes.shape}"
    )


def width(codes: Codes, held: Codes | None, n_classes: int | None) -> int:
    """How many columns the probabilities have.

    Args:
        codes: of the training rows.
        held: of the validation rows.
        n_classes: None for as many as the codes need.

    Raises:
        ValueError: the codes do not agree, or need more columns than n_classes.
    """
    arrays = [codes] if held is None else [codes, held]
    if len({array.shape[1:] for array in arrays}) > 1:
        raise ValueError("the training rows and the validation rows do not have the same labels")
    if codes.ndim == 2:
        needed, fits = codes.shape[1], n_classes in (None, codes.shape[1])
    else:
        needed = max(1, *(int(array.max()) for array in arrays)) + 1
        fits = n_classes is None or n_classes >= needed
    if not fits:
        raise ValueError(f"n_classes is {n_classes}, but the codes have {needed} columns")
    return n_classes or needed


def output(codes: Codes, n_classes: int, *, one_vs_rest: bool) -> Output:
    """What a last layer's columns are, for codes and for what is wanted of more than two classes."""
    return output_of(n_classes, multilabel=codes.ndim == 2, one_vs_rest=one_vs_rest)


def output_of(n_classes: int, *, multilabel: bool, one_vs_rest: bool) -> Output:
    """The same, told what the codes are instead."""
    if multilabel:
        return Output.LABELS
    if n_classes == 2:
        return Output.BINARY
    return Output.ONE_VS_REST if one_vs_rest else Output.SOFTMAX


def class_weights(wanted: ClassWeight, codes: Codes, n_classes: int) -> F64 | None:
    """What the loss of a class's rows is multiplied by.

    Args:
        wanted: "balanced" for n_samples / (n_classes * rows of the class), among the classes that have rows;
            or a weight by code, 1 where nothing is said; None for no weights.
        codes: of the training rows.
        n_classes: how many weights there are.

    Returns:
        (n_classes,); None if nothing is weighted.

    Raises:
        ValueError: rows have several labels, a code has no column, or a weight is not above 0.
    """
    if wanted is None:
        return None
    if codes.ndim == 2:
        raise ValueError(
            "class_weight cannot weigh rows that have several labels, because such a row has no one class: "
            "leave class_weight out, and give a rare label a lower threshold"
        )
    return weights_by_count(wanted, np.bincount(codes, minlength=n_classes))


def weights_by_count(wanted: ClassWeight, rows: I64) -> F64 | None:
    """The same, told only how many rows of one class each there are.

    Args:
        wanted: as `class_weights` takes it.
        rows: (n_classes,), how many training rows each class has.

    Raises:
        ValueError: a code has no column, or a weight is not above 0.
    """
    if wanted is None:
        return None
    n_classes = len(rows)
    if isinstance(wanted, str):
        if wanted != "balanced":
            raise ValueError(f"class_weight is 'balanced' or a weight for each code, not {wanted!r}")
        return np.where(rows > 0, rows.sum() / (np.count_nonzero(rows) * np.maximum(rows, 1)), 1.0)
    wrong = {
        code: weight
        for code, weight in wanted.items()
        if code not in range(n_classes) or not 0 < weight < math.inf
    }
    if wrong:
        raise ValueError(f"class_weight has weights above 0 for codes from 0 to {n_classes - 1}, not {wrong}")
    return np.array([float(wanted.get(code, 1.0)) for code in range(n_classes)])
