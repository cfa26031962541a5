"""The tables that ship with scikit-learn; nothing is downloaded."""

from __future__ import annotations

import numpy as np
from sklearn import datasets

from sigmax_training.data.dataset import Dataset, assemble, numeric_blocks
from sigmax_training.reading import label_of

_LOADERS = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


TRAITS = {"even": (0, 2, 4, 6, 8), "prime": (2, 3, 5, 7), "loop": (0, 6, 8, 9)}
"""Labels of a digit: even, prime, and written with a closed loop (a 4 may be, and is not counted)."""


def load(name: str) -> Dataset:
    """Load one of them; names, classes and their order are the data set's own."""
    if name == "digit_traits":
        return _digit_traits()
    source = _LOADERS[name]()
    classes = [label_of(label) for label in source.target_names.tolist()]
    labels = [classes[code] for code in source.target.tolist()]
    features = np.ascontiguousarray(source.data, np.float64)
    return assemble(
        f"scikit-learn's {name}", features, [str(column) for column in source.feature_names], labels, classes
    )


def _digit_traits() -> Dataset:
    """The handwritten digits with any number of labels each."""
    source = datasets.load_digits()
    features = np.ascontiguousarray(source.data, np.float64)
    names = [str(column) for column in source.feature_names]
    return Dataset(
        description="scikit-learn's digits, labelled even, prime and with a loop",
        features=features,
        codes=np.column_stack([np.isin(source.target, digits) for digits in TRAITS.values()]),
        classes=tuple(TRAITS),
        blocks=numeric_blocks(features, names),
    )
