"""Class labels of any type as canonical texts, and true labels as columns.

Labels never enter the graph: converters cast them (2**40 becomes 0, True becomes 1, 1.5 becomes 1), and
nobody notices until a wrong class is served.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data.dataset import I64


def text_of(label: Any) -> str:
    """The canonical text of a label: `true` and `false`, whole numbers in decimal, texts as they are.

    Raises:
        InvalidInput: it is none of these.
    """
    value = label.item() if isinstance(label, np.generic) else label
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    if isinstance(value, str) and value != "":
        return value
    raise InvalidInput(
        f"the class {quoted(value)} is no text, integer or boolean: fit on labels that are, "
        "for instance y.astype(str)"
    )


def canonical(labels: Sequence[Any]) -> tuple[str, ...]:
    """The texts of classes, in their order.

    Raises:
        InvalidInput: a label has no canonical text, or two have the same.
    """
    texts = tuple(text_of(label) for label in labels)
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise InvalidInput(
            f"two classes have the text {quoted(twice[0])}: labels are told apart by their text"
        )
    return texts


def columns_of(truth: npt.NDArray[Any], classes: Sequence[str]) -> I64:
    """The column of each label, (n_samples,).

    Args:
        truth: (n_samples,), labels of any type.
        classes: texts in column order.

    Raises:
        InvalidInput: naming every row with a label that is no class.
    """
    column = {text: index for index, text in enumerate(classes)}
    given = truth.tolist()
    texts = [_text_or_none(label) for label in given]
    problems = [
        f"row {row}: {quoted(label)} is no class of the estimator{nearest(str(label), classes)}"
        for row, (label, text) in enumerate(zip(given, texts, strict=True))
        if text not in column
    ]
    if problems:
        raise InvalidInput(listed(problems))
    return np.array([column[text] for text in texts if text is not None], np.int64)


def indicators(truth: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each label is there, bool (n_samples, n_classes), from numbers or booleans.

    Raises:
        InvalidInput: a value is neither 0 nor 1.
    """
    flags = np.asarray(truth)
    wrong = np.argwhere((flags != 0) & (flags != 1))
    if wrong.size:
        row, column = wrong[0].tolist()
        raise InvalidInput(
            f"row {row}, label {column}: {quoted(flags[row, column])} is neither 0 nor 1, "
            "which say whether a label is there"
        )
    return flags.astype(np.bool_)


def _text_or_none(label: Any) -> str | None:
    try:
        return text_of(label)
    except InvalidInput:
        return None
