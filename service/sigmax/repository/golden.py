"""Golden rows: rows with the estimator's own answers, which every reader of a bundle can replay.

A model of pictures may have a few files, too, with the pixels that the trainer made of them.

The file names its own columns and classes, so that it is a witness about the manifest, too: a manifest whose
classes stand in another order is contradicted by the rows, and one whose features do is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Manifest, Task, parse_json
from sigmax.errors import BundleRejected
from sigmax.repository import arrays


@dataclass(frozen=True, slots=True)
class GoldenPicture:
    """A PNG or JPEG file and what the trainer decoded it to: uint8 (n_features,)."""

    file: bytes
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows and what the estimator said of them.

    Attributes:
        features: (n_samples, n_features), in the model's feature order.
        probabilities: (n_samples, n_classes), float64, the estimator's own.
        classes: binary and multiclass: the chosen column, int64 (n_samples,); multilabel: whether
            each label is chosen, bool (n_samples, n_classes).
        pictures: of a model of pictures, files that must decode to the same pixels everywhere.
    """

    features: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]
    classes: npt.NDArray[Any]
    pictures: tuple[GoldenPicture, ...] = ()

    def __len__(self) -> int:
        return int(self.features.shape[0])

    def to_json(self, manifest: Manifest) -> bytes:
        """Write the rows as `golden.json`, with the names of columns and classes as they stand here."""
        arrays_by_name = {
            "features": self.features,
            "probabilities": self.probabilities,
            "classes": self.classes,
        }
        document: dict[str, Any] = {
            "names": _names(manifest),
            "labels": list(manifest.classes),
            **{name: arrays.encode(part) for name, part in arrays_by_name.items()},
        }
        if self.pictures:
            document[_PICTURES] = [_written(picture) for picture in self.pictures]
        return (json.dumps(document, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, manifest: Manifest) -> Golden:
        """Read golden rows, with their classes in the manifest's order, and check that they fit it.

        Raises:
            BundleRejected: malformed, no rows, of another shape, or of other features or classes.
        """
        document = parse_json(data, "golden.json")
        if set(document) - {_PICTURES} != set(_KEYS):
            raise BundleRejected(f"golden.json holds {', '.join(_KEYS)}, not {', '.join(sorted(document))}")
        if document["names"] != _names(manifest):
            raise BundleRejected("the golden rows have other features than the manifest, or in another order")
        features, probabilities, classes = (
            arrays.decode(document[name], f"golden {name}") for name in _KEYS[2:]
        )
        pictures = _pictures(document.get(_PICTURES, []), manifest)
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
        return cls(features, probabilities[:, order], moved, pictures)


_KEYS = ("names", "labels", "features", "probabilities", "classes")
_PICTURES = "pictures"


def _names(manifest: Manifest) -> list[str]:
    return [feature.name for feature in manifest.features]


def _written(picture: GoldenPicture) -> dict[str, Any]:
    return {"file": base64.b64encode(picture.file).decode(), "pixels": arrays.encode(picture.pixels)}


def _pictures(value: Any, manifest: Manifest) -> tuple[GoldenPicture, ...]:
    known = isinstance(value, list) and all(
        isinstance(entry, dict) and set(entry) == {"file", "pixels"} for entry in value
    )
    if not known or (value and manifest.image is None):
        raise BundleRejected("golden pictures are a list of file and pixels, of a model that takes pictures")
    return tuple(_picture(entry, manifest) for entry in value)


def _picture(entry: dict[str, Any], manifest: Manifest) -> GoldenPicture:
    try:
        file = base64.b64decode(entry["file"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BundleRejected("the file of a golden picture is not base64") from error
    pixels = arrays.decode(entry["pixels"], "the pixels of a golden picture")
    if pixels.dtype != np.uint8 or pixels.shape != (manifest.n_features,):
        raise BundleRejected("the pixels of a golden picture do not have the shape of the model")
    return GoldenPicture(file, pixels)


def _order(labels: Any, manifest: Manifest) -> list[int]:
    """For each class of the manifest, its column in the golden rows."""
    known = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not known or sorted(labels) != sorted(manifest.classes):
        raise BundleRejected("the golden rows have other classes than the manifest")
    column = {label: index for index, label in enumerate(labels)}
    return [column[label] for label in manifest.classes]
