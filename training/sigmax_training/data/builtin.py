"""The tables that ship with scikit-learn; nothing is downloaded."""

from __future__ import annotations

import numpy as np
from sklearn import datasets

from sigmax_training.data.dataset import Dataset, assemble
from sigmax_training.reading import label_of

_LOADERS = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


def load(name: str) -> Dataset:
    """Load one of them; names, classes and their order are the data set's own."""
    source = _LOADERS[name]()
    classes = [label_of(label) for label in source.target_names.tolist()]
    labels = [classes[code] for code in source.target.tolist()]
    features = np.ascontiguousarray(source.data, np.float64)
    return assemble(
        f"scikit-learn's {name}", features, [str(column) for column in source.feature_names], labels, classes
    )
