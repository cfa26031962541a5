"""The proof that what is served is what was trained: served answers against the estimator's own.

Used by the gate before a bundle is published, by the service before a version becomes ready, and by
`sigmax verify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Image, Manifest, Task
from sigmax.errors import BundleRejected, InvalidInput, quoted
from sigmax.inference.predictor import Predictor, open_predictor
from sigmax.pictures import decode
from sigmax.repository import bundle
from sigmax.repository.golden import GoldenPicture


@dataclass(frozen=True, slots=True)
class Proof:
    """What a comparison found.

    Attributes:
        rows: how many rows were compared.
        difference: the largest absolute difference of a probability.
        exempt: rows too close to their decision's edge for their class to be compared.
    """

    rows: int
    difference: float
    exempt: int


def load(path: Path) -> tuple[bundle.Bundle, Predictor, Proof]:
    """Read a bundle, load its graph and replay its golden rows and pictures.

    Raises:
        BundleRejected: a digest, the graph, a golden row or picture is not what it should be.
    """
    content = bundle.read(path)
    predictor = open_predictor(content)
    golden = content.golden
    if content.manifest.image is not None:
        for index, picture in enumerate(golden.pictures):
            _check_picture(index, picture, content.manifest.image)
    return content, predictor, compare(predictor, golden.features, golden.probabilities, golden.classes)


def compare(
    predictor: Predictor,
    features: npt.NDArray[Any],
    probabilities: npt.NDArray[np.float64],
    classes: npt.NDArray[Any],
) -> Proof:
    """Compare served answers with the estimator's on the same rows.

    A row whose margin is within the tolerance may be decided either way: it is exempt from the
    comparison of classes, and counted.

    Args:
        predictor: what serves.
        features: (n_samples, n_features).
        probabilities: (n_samples, n_classes), the estimator's own.
        classes: the estimator's chosen columns, as `Rule.choose` gives them.

    Raises:
        BundleRejected: naming the first row that differs, and by how much.
    """
    manifest = predictor.manifest
    served = _served(predictor, features)
    if served.shape != probabilities.shape:
        raise BundleRejected(f"{served.shape} probabilities served, {probabilities.shape} expected")
    distance = np.abs(served.astype(np.float64) - probabilities)
    wrong = np.flatnonzero(~(distance <= manifest.tolerance).all(axis=1))
    if wrong.size:
        raise BundleRejected(_difference(manifest, served, probabilities, int(wrong[0]), wrong.size))
    exempt = predictor.rule.margins(probabilities) <= manifest.tolerance
    chosen = predictor.rule.choose(served)
    differs = chosen != classes
    if differs.ndim == 2:
        differs = differs.any(axis=1)
    wrong = np.flatnonzero(differs & ~exempt)
    if wrong.size:
        row = int(wrong[0])
        raise BundleRejected(
            f"row {row}: class {_labels(manifest, chosen[row])} served, "
            f"{_labels(manifest, classes[row])} expected ({wrong.size} of {len(served)} rows differ)"
        )
    return Proof(len(served), float(distance.max(initial=0.0)), int(exempt.sum()))


def _check_picture(index: int, picture: GoldenPicture, image: Image) -> None:
    """A decoder that makes other pixels of the same file would have every picture judged by another model."""
    try:
        pixels = decode(picture.file, image)
    except InvalidInput as error:
        raise BundleRejected(f"golden picture {index} is refused here: {error}") from error
    distance = np.abs(pixels.astype(np.int16) - picture.pixels)
    if distance.any():
        raise BundleRejected(
            f"golden picture {index} is decoded otherwise here than by the trainer: "
            f"{np.count_nonzero(distance)} of {distance.size} pixels differ, by {distance.max()} at most"
        )


def _served(predictor: Predictor, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(features, predictor.dtype)
    try:
        return predictor.probabilities(rows)
    except Exception as error:  # ONNX Runtime's own classes share no root but Exception
        raise BundleRejected(f"the graph fails on these rows: {str(error)[:200]}") from error


def _difference(
    manifest: Manifest,
    served: npt.NDArray[Any],
    expected: npt.NDArray[np.float64],
    row: int,
    count: int,
) -> str:
    column = int(np.nan_to_num(np.abs(served[row] - expected[row]), nan=np.inf).argmax())
    return (
        f"row {row}, class {quoted(manifest.classes[column])}: probability {served[row, column]!s} served, "
        f"{expected[row, column]!s} expected, tolerance {manifest.tolerance:g} "
        f"({count} of {len(served)} rows differ)"
    )


def _labels(manifest: Manifest, chosen: Any) -> str:
    if manifest.task is Task.MULTILABEL:
        return str([label for label, yes in zip(manifest.classes, chosen, strict=True) if yes])
    return quoted(manifest.classes[int(chosen)])
