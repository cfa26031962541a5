"""Golden rows: rows with the estimator's own answers, which every reader of a bundle can replay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Manifest, Task, parse_json
from sigmax.errors import BundleRejected
from sigmax.repository import arrays


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows and what the estimator said of them.

    Attributes:
        features: (n_samples, n_features), in the model's feature order.
        probabilities: (n_samples, n_classes), float64, the estimator's own.
        classes: binary and multiclass: the chosen column, int64 (n_samples,); multilabel: whether
            each label is chosen, bool (n_samples, n_classes).
    """

    features: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]
    classes: npt.NDArray[Any]

    def __len__(self) -> int:
        return int(self.features.shape[0])

    def to_json(self) -> bytes:
        """Write the rows as `golden.json`."""
        parts = {"features": self.features, "probabilities": self.probabilities, "classes": self.classes}
        return (json.dumps({name: arrays.encode(part) for name, part in parts.items()}) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, manifest: Manifest) -> Golden:
        """Read golden rows and check that they fit the manifest.

        Raises:
            BundleRejected: malformed, no rows, or of another shape than the model's.
        """
        document = parse_json(data, "golden.json")
        names = ("features", "probabilities", "classes")
        if set(document) != set(names):
            raise BundleRejected(f"golden.json holds {', '.join(names)}, not {', '.join(sorted(document))}")
        features, probabilities, classes = (arrays.decode(document[name], f"golden {name}") for name in names)
        rows, width = len(features), len(manifest.classes)
        multilabel = manifest.task is Task.MULTILABEL
        fits = (
            rows > 0
            and features.shape == (rows, manifest.n_features)
            and probabilities.shape == (rows, width)
            and probabilities.dtype == np.float64
            and classes.shape == ((rows, width) if multilabel else (rows,))
            and classes.dtype == (np.bool_ if multilabel else np.int64)
        )
        if not fits:
            raise BundleRejected("the golden rows do not have the shape of the model")
        return cls(features, probabilities, classes)
