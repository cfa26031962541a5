"""Golden rows: rows with the estimator's own answers, which every reader of a bundle can replay.

The file names its own columns and classes, so that it is a witness about the manifest, too: a manifest whose
classes stand in another order is contradicted by the rows, and one whose features do is refused. So is one
that has a band, or logits, where the rows know of none, or the other way round.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import LOGITS, Manifest, Task, parse_json
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
        logits: (n_samples, n_classes), float64, the estimator's own; of a model that gives them, else None.
        unsure: of a model with a band, else None: whether each row is unsure, bool (n_samples,); multilabel:
            whether each label is, bool (n_samples, n_classes).
    """

    features: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]
    classes: npt.NDArray[Any]
    logits: npt.NDArray[np.float64] | None = None
    unsure: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return int(self.features.shape[0])

    def to_json(self, manifest: Manifest) -> bytes:
        """Write the rows as `golden.json`, with the names of columns and classes as they stand here."""
        parts = ((name, getattr(self, name)) for name in (*_ARRAYS, *_OPTIONAL))
        document = {
            "names": _names(manifest),
            "labels": list(manifest.classes),
            **{name: arrays.encode(part) for name, part in parts if part is not None},
        }
        return (json.dumps(document, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, manifest: Manifest) -> Golden:
        """Read golden rows, with their classes in the manifest's order, and check that they fit it.

        Raises:
            BundleRejected: malformed, no rows, of another shape, or of other features, classes, outputs or
                band than the manifest's.
        """
        document = parse_json(data, "golden.json")
        keys = _keys(manifest)
        if set(document) != set(keys):
            raise BundleRejected(f"golden.json holds {', '.join(keys)}, not {', '.join(sorted(document))}")
        if document["names"] != _names(manifest):
            raise BundleRejected("the golden rows have other features than the manifest, or in another order")
        rows = cls(**{name: arrays.decode(document[name], f"golden {name}") for name in keys[2:]})
        if not rows._fit(manifest):
            raise BundleRejected("the golden rows do not have the shape of the model")
        return rows._ordered(_order(document["labels"], manifest))

    def _fit(self, manifest: Manifest) -> bool:
        rows, width = self.features.shape[0] if self.features.ndim else 0, len(manifest.classes)
        multilabel = manifest.task is Task.MULTILABEL
        each, every = ((rows, width) if multilabel else (rows,)), (rows, width)
        return (
            rows > 0
            and self.features.shape == (rows, manifest.n_features)
            and _is(self.probabilities, every, np.float64)
            and _is(self.classes, each, np.bool_ if multilabel else np.int64)
            and (multilabel or bool(((self.classes >= 0) & (self.classes < width)).all()))
            and (self.logits is None or _is(self.logits, every, np.float64))
            and (self.unsure is None or _is(self.unsure, each, np.bool_))
        )

    def _ordered(self, order: list[int]) -> Golden:
        """The rows with their classes in another order, given as the old column of each new one."""
        multilabel, unsure = self.classes.ndim == 2, self.unsure
        return Golden(
            self.features,
            self.probabilities[:, order],
            self.classes[:, order] if multilabel else np.argsort(order)[self.classes],
            None if self.logits is None else self.logits[:, order],
            unsure[:, order] if unsure is not None and multilabel else unsure,
        )


def _is(array: npt.NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> bool:
    return array.shape == shape and array.dtype == dtype


_ARRAYS = ("features", "probabilities", "classes")
_OPTIONAL = ("logits", "unsure")


def _keys(manifest: Manifest) -> tuple[str, ...]:
    """What the file holds: names and arrays, and of the optional ones those that the manifest is about."""
    held = {"logits": LOGITS in manifest.graph.outputs, "unsure": bool(manifest.decision.band)}
    return ("names", "labels", *_ARRAYS, *(name for name in _OPTIONAL if held[name]))


def _names(manifest: Manifest) -> list[str]:
    return [feature.name for feature in manifest.features]


def _order(labels: Any, manifest: Manifest) -> list[int]:
    """For each class of the manifest, its column in the golden rows."""
    known = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not known or sorted(labels) != sorted(manifest.classes):
        raise BundleRejected("the golden rows have other classes than the manifest")
    column = {label: index for index, label in enumerate(labels)}
    return [column[label] for label in manifest.classes]
