"""Golden rows: rows with the estimator's own answers, which every reader of a bundle can replay.

The file names its own columns and classes, so that it is a witness about the manifest, too: a manifest whose
classes stand in another order is contradicted by the rows, and one whose features do is refused.
"""

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

    def to_json(self, manifest: Manifest) -> bytes:
        """Write the rows as `golden.json`, with the names of columns and classes as they stand here."""
        arrays_by_name = {
            "features": self.features,
            "probabilities": self.probabilities,
            "classes": self.classes,
        }
        document = {
            "names": _names(manifest),
            "labels": list(manifest.classes),
            **{name: arrays.encode(part) for name, part in arrays_by_name.items()},
        }
        return (json.dumps(document, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, manifest: Manifest) -> Golden:
        """Read golden rows, with their classes in the manifest's order, and check that they fit it.

        Raises:
            BundleRejected: malformed, no rows, of another shape, or of other features or classes.
        """
        document = parse_json(data, "golden.json")
        if set(document) != set(_KEYS):
            raise BundleRejected(f"golden.json holds {', '.join(_KEYS)}, not {', '.join(sorted(document))}")
        if document["names"] != _names(manifest):
            raise BundleRejected("the golden rows have other features than the manifest, or in another order")
        features, probabilities, classes = (
            arrays.decode(document[name], f"golden {name}") for name in _KEYS[2:]
        )
        rows, width = features.shape[0] if features.ndim else 0, len(manifest.classes)
        multilabel = manifest.task is Task.MULTILABEL
        fits = (
            rows > 0
            and features.shape == (rows, manifest.n_features)
            and probabilities.shape == (rows, width)
            and probabilities.dtype == np.float64
            and classes.shape == ((rows, width) if multilabel else (rows,))
            and classes.dtype == (np.bool_ if multilabel else np.int64)
            and (multilabel or bool(((classes >= 0) & (classes < width)).all()))
        )
        if not fits:
            raise BundleRejected("the golden rows do not have the shape of the model")
        order = _order(document["labels"], manifest)
        moved = classes[:, order] if multilabel else np.argsort(order)[classes]
        return cls(features, probabilities[:, order], moved)


_KEYS = ("names", "labels", "features", "probabilities", "classes")


def _names(manifest: Manifest) -> list[str]:
    return [feature.name for feature in manifest.features]


def _order(labels: Any, manifest: Manifest) -> list[int]:
    """For each class of the manifest, its column in the golden rows."""
    known = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not known or sorted(labels) != sorted(manifest.classes):
        raise BundleRejected("the golden rows have other classes than the manifest")
    column = {label: index for index, label in enumerate(labels)}
    return [column[label] for label in manifest.classes]
