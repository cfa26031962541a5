"""The proof that what is served is what was trained: served answers against the estimator's own.

Used by the gate before a bundle is published, by the service before a version becomes ready, and by
`sigmax verify`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sigmax.contract import Image, Manifest, Task
from sigmax.errors import BundleRejected, InvalidInput, quoted
from sigmax.inference.engine import Floats
from sigmax.inference.onnx_runtime import OnnxRuntimeError
from sigmax.inference.predictor import Predictor, open_predictor
from sigmax.pictures import decode
from sigmax.repository import bundle
from sigmax.repository.golden import GoldenPicture

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a comparison found.

    Attributes:
        rows: how many rows were compared.
        difference: the largest absolute difference of a probability.
        exempt: rows too close to the edge of a decision, or of a band, for it to be compared.
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
    proof = compare(
        predictor,
        golden.features,
        golden.probabilities,
        golden.classes,
        logits=golden.logits,
        unsure=golden.unsure,
    )
    return content, predictor, proof


def compare(
    predictor: Predictor,
    features: npt.NDArray[Any],
    probabilities: npt.NDArray[np.float64],
    classes: npt.NDArray[Any],
    *,
    logits: npt.NDArray[np.float64] | None = None,
    unsure: npt.NDArray[np.bool_] | None = None,
) -> Proof:
    """Compare served answers with the estimator's on the same rows.

    A row whose margin is within the tolerance may be decided either way: it is exempt from the
    comparison of classes, and counted. So is one that close to a bound of its band from that of doubt.

    Args:
        predictor: what serves.
        features: (n_samples, n_features).
        probabilities: (n_samples, n_classes), the estimator's own.
        classes: the estimator's chosen columns, as `Rule.choose` gives them.
        logits: (n_samples, n_classes), the estimator's own, of a model that gives them; beyond 1 the
            tolerance is a share of them.
        unsure: where the decision is unsure, as `Rule.unsure` gives it, of a model with a band.

    Raises:
        BundleRejected: naming the first row that differs, and by how much.
    """
    manifest, rule = predictor.manifest, predictor.rule
    served = _served(predictor.probabilities, predictor, features)
    difference = _check_numbers(manifest, "probability", served, probabilities)
    if logits is not None:
        both = _served(predictor.probabilities_and_logits, predictor, features)
        difference = max(difference, _check_numbers(manifest, "probability", both[0], probabilities))
        _check_numbers(manifest, "logit", both[1], logits)
    exempt = rule.margins(probabilities) <= manifest.tolerance
    _check_decisions("class", rule.choose(served), classes, exempt, partial(labels, manifest))
    if unsure is not None:
        close = rule.band_margins(probabilities) <= manifest.tolerance
        _check_decisions("unsure", rule.unsure(served), unsure, close, partial(_flags, manifest))
        exempt |= close
    return Proof(len(served), difference, int(exempt.sum()))


def _served(ask: Callable[[Floats], T], predictor: Predictor, features: npt.NDArray[Any]) -> T:
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(features, predictor.dtype)
    try:
        return ask(rows)
    except (OnnxRuntimeError, ValueError) as error:
        raise BundleRejected(f"the graph fails on these rows: {str(error)[:200]}") from error


def _check_numbers(
    manifest: Manifest, what: str, served: npt.NDArray[Any], expected: npt.NDArray[np.float64]
) -> float:
    """Refuse numbers that differ by more than the tolerance, beyond 1 by more than that share of them.

    Returns:
        The largest difference.
    """
    if served.shape != expected.shape:
        raise BundleRejected(f"{what}: shape {served.shape} served, {expected.shape} expected")
    with np.errstate(invalid="ignore"):  # infinity less infinity
        distance = np.abs(served.astype(np.float64) - expected)
    allowed = manifest.tolerance * np.maximum(1.0, np.abs(expected))
    wrong = np.flatnonzero(~(distance <= allowed).all(axis=1))
    if wrong.size:
        row = int(wrong[0])
        column = int(np.nan_to_num(distance[row] - allowed[row], nan=np.inf).argmax())
        raise BundleRejected(
            f"row {row}, class {quoted(manifest.classes[column])}: {what} {served[row, column]!s} served, "
            f"{expected[row, column]!s} expected, tolerance {allowed[row, column]:g} "
            f"({wrong.size} of {len(served)} rows differ)"
        )
    return float(distance.max(initial=0.0))


def _check_decisions(
    what: str,
    served: npt.NDArray[Any],
    expected: npt.NDArray[Any],
    exempt: npt.NDArray[np.bool_],
    said: Callable[[Any], str],
) -> None:
    differs = served != expected
    if differs.ndim == 2:
        differs = differs.any(axis=1)
    wrong = np.flatnonzero(differs & ~exempt)
    if wrong.size:
        row = int(wrong[0])
        raise BundleRejected(
            f"row {row}: {what} {said(served[row])} served, {said(expected[row])} expected "
            f"({wrong.size} of {len(served)} rows differ)"
        )


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


def labels(manifest: Manifest, chosen: Any) -> str:
    """Name what was chosen for a row, for messages: a column, or which labels."""
    if manifest.task is Task.MULTILABEL:
        return _flags(manifest, chosen)
    return quoted(manifest.classes[int(chosen)])


def _flags(manifest: Manifest, flags: Any) -> str:
    if manifest.task is Task.MULTILABEL:
        return str([label for label, yes in zip(manifest.classes, flags, strict=True) if yes])
    return "true" if flags else "false"
