"""Golden rows: rows with the estimator's own answers, which every reader of a bundle can replay.

A model of pictures may have a few files, too, with the pixels that the trainer made of them.

The file names its own columns and classes, so that it is a witness about the manifest, too: a manifest whose
classes stand in another order is contradicted by the rows, and one whose features do is refused. So is one
that has a band, or logits, where the rows know of none, or the other way round; and one that decides by other
numbers, or takes a wider tolerance, since the rows would be as right by it: few of them stand so close to a
threshold that they notice a small step of it, and none of them notices a tolerance.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import LOGITS, Kind, Manifest, Missing, Task, parse_json
from sigmax.errors import BundleRejected, quoted
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
        logits: (n_samples, n_classes), float64, the estimator's own; of a model that gives them, else None.
        unsure: of a model with a band, else None: whether each row is unsure, bool (n_samples,); multilabel:
            whether each label is, bool (n_samples, n_classes).
        pictures: of a model of pictures, files that must decode to the same pixels everywhere.
    """

    features: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]
    classes: npt.NDArray[Any]
    logits: npt.NDArray[np.float64] | None = None
    unsure: npt.NDArray[np.bool_] | None = None
    pictures: tuple[GoldenPicture, ...] = ()

    def __len__(self) -> int:
        return int(self.features.shape[0])

    def to_json(self, manifest: Manifest) -> bytes:
        """Write the rows as `golden.json`, with the names of columns and classes as they stand here."""
        parts = ((name, getattr(self, name)) for name in (*_ARRAYS, *_OPTIONAL))
        document: dict[str, Any] = {
            "names": _names(manifest),
            "labels": list(manifest.classes),
            "blocks": _blocks(manifest),
            "terms": _terms(manifest),
            **{name: arrays.encode(part) for name, part in parts if part is not None},
        }
        if self.pictures:
            document[_PICTURES] = [_written(picture) for picture in self.pictures]
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
        if set(document) - {_PICTURES} != set(keys):
            raise BundleRejected(f"golden.json holds {', '.join(keys)}, not {', '.join(sorted(document))}")
        if document["names"] != _names(manifest):
            raise BundleRejected("the golden rows have other features than the manifest, or in another order")
        if document.get("blocks", _blocks(manifest)) != _blocks(manifest):
            raise BundleRejected("the golden rows were encoded by other blocks than the manifest's")
        _check_terms(document.get("terms"), manifest)
        rows = cls(
            **{name: arrays.decode(document[name], f"golden {name}") for name in keys if name not in _NAMING},
            pictures=_pictures(document.get(_PICTURES, []), manifest),
        )
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
            self.pictures,
        )


def _is(array: npt.NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> bool:
    return array.shape == shape and array.dtype == dtype


_NAMING = ("names", "labels", "blocks", "terms")
_ARRAYS = ("features", "probabilities", "classes")
_OPTIONAL = ("logits", "unsure")
_PICTURES = "pictures"


def _keys(manifest: Manifest) -> tuple[str, ...]:
    """What the file holds: names and arrays, and of the optional ones those that the manifest is about."""
    held = {"logits": LOGITS in manifest.graph.outputs, "unsure": bool(manifest.decision.band)}
    since_2 = ("blocks", "terms") if manifest.format > 1 else ()
    return ("names", "labels", *since_2, *_ARRAYS, *(name for name in _OPTIONAL if held[name]))


def _blocks(manifest: Manifest) -> dict[str, Any]:
    """By name, how values become the numbers of these rows, of every block that is no plain number.

    The rows hold codes and pixels. With another vocabulary in the manifest, another meaning of what is absent
    or another way to read a picture they would be answered as before, and every caller's rows would not.
    """
    return {
        feature.name: feature.encoding()
        for feature in manifest.features
        if feature.kind is not Kind.NUMERIC or feature.missing is not Missing.REJECT
    }


def _terms(manifest: Manifest) -> dict[str, Any]:
    """What an answer of the manifest means, beside its features and its classes, as plain JSON values."""
    own = manifest.decision
    return {
        "task": manifest.task.value,
        "head": manifest.head.value,
        "dtype": manifest.graph.dtype.value,
        "tolerance": manifest.tolerance,
        "positive": own.positive,
        "thresholds": dict(own.thresholds),
        "band": {label: list(bounds) for label, bounds in own.band.items()},
    }


def _check_terms(value: Any, manifest: Manifest) -> None:
    if manifest.format == 1:  # its rows know nothing of the terms
        return
    expected = _terms(manifest)
    if not isinstance(value, dict) or set(value) != set(expected):
        raise BundleRejected(f"the terms of the golden rows are {', '.join(expected)}, not {quoted(value)}")
    for name, own in expected.items():
        if value[name] != own:
            raise BundleRejected(
                f"the golden rows were answered by another manifest: {name} {quoted(value[name])}, "
                f"here {quoted(own)}"
            )


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
