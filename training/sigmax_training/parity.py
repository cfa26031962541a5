"""The gate: nothing is published that the serving code does not answer as the estimator does.

The finished bundle is opened by the service's own predictor and asked held-out rows and edge rows, in
batches of several sizes. One answer that differs refuses the publication and names the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from sigmax.contract import LOGITS, FloatType, Manifest
from sigmax.errors import BundleRejected
from sigmax.inference import proof
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax_training import golden
from sigmax_training.data.dataset import F64, I64
from sigmax_training.network import Network
from sigmax_training.rows import (
    TOUR,
    Estimator,
    Reference,
    Rows,
    Scoring,
    Space,
    boundaries,
    decision_edges,
)

BATCHES = (0, 1, 2, 7, 33)
"""Batch sizes that the gate asks in, beside all rows at once."""

MARGINS = {FloatType.FLOAT64: 1e-6, FloatType.FLOAT32: 1e-3}
"""How far from the edge the rows beside it are: well over the tolerance, and still close."""

RESOLUTIONS = {FloatType.FLOAT64: 2.0**-40, FloatType.FLOAT32: 2.0**-14}
"""Where an answer jumps, how far along the way the rows beside it are: many steps of the type."""

_CELLS = 20_000_000
_HELD_OUT, _PAIRS = 2_000, 24
"""Bounds of the gate's work: held-out rows, walks across a decision's edge."""

_WEIGHED = 20_000_000
"""How many numbers are looked at to see which held-out row notices a change of which parameter."""

_RANDOM, _RANDOM_WIDE, _WIDE = 256, 64, 1_000
"""Random rows, and how many where a row has more than so many features."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Rows with the estimator's own answers; `origin` says of which rows they are, for messages.

    Logits are there for a model that gives them, and whether a decision is unsure for one with a band.
    """

    features: Rows
    probabilities: F64
    classes: I64
    origin: str
    logits: F64 | None = None
    unsure: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """What the gate asks, and which of it goes into the bundle as golden rows."""

    gate: Case
    golden: Case
    untouched: int
    parameters: int
    counted: str = "parameters"

    @property
    def notices(self) -> tuple[str, ...]:
        """What the golden rows do not notice."""
        if not self.untouched:
            return ()
        share = f"{self.untouched} of {self.parameters} {self.counted}"
        return (f"{share} matter to no golden row: a change of them alone is not noticed at load",)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """The rows of a gate by where they come from."""

    held_out: Rows
    extremes: Rows
    scattered: Rows
    tour: Rows
    codes: Rows
    edges: tuple[tuple[Rows, ...], ...]

    @property
    def parts(self) -> dict[str, Rows]:
        """Every row, by kind."""
        walked = [rows for edges in self.edges for rows in edges]
        found = {"held-out": self.held_out, "extreme": self.extremes, "random": self.scattered}
        if len(self.tour):
            found["tour of the categories"] = self.tour
        if len(self.codes):
            found["every code"] = self.codes
        return {**found, "edge of a decision": np.concatenate(walked)} if walked else found


class InBatches:
    """An engine that asks a predictor in batches of one size, so that rows keep their numbers."""

    def __init__(self, predictor: Predictor, size: int) -> None:
        self._predictor = predictor
        self._size = size

    def run(self, features: Floats) -> Floats:
        """Features (n_samples, n_features) to probabilities (n_samples, n_classes), batch by batch."""
        parts = [self._predictor.probabilities(batch) for batch in self._batches(features)]
        return cast(Floats, np.concatenate(parts))

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        """Features to probabilities and logits, both (n_samples, n_classes), batch by batch."""
        parts = [self._predictor.probabilities_and_logits(batch) for batch in self._batches(features)]
        probabilities, logits = (cast(Floats, np.concatenate(part)) for part in zip(*parts, strict=True))
        return probabilities, logits

    def _batches(self, features: Floats) -> list[Floats]:
        """The rows in parts of the size; at least one part, which may be empty."""
        starts = range(0, max(len(features), 1), self._size)
        return [features[start : start + self._size] for start in starts]


@dataclass(frozen=True, slots=True, eq=False)
class _Scout:
    """The estimator's numbers by the network's matrices, for walking to edges: many questions of few rows.

    It only chooses which rows are asked; what is compared are the estimator's own answers to them.
    """

    network: Network
    fitted: Estimator

    def probabilities(self, features: Rows) -> F64:
        return self.network.probabilities(features)

    def predict(self, features: Rows) -> npt.NDArray[Any]:
        return self.fitted.predict(features)


def questions(
    reference: Reference, network: Network | None, manifest: Manifest, held_out: Rows, seed: int
) -> Questions:
    """Choose the rows that the gate asks.

    Args:
        reference: answers them.
        network: its parameters; every one of them should matter to a golden row. None for a model that is no
            network: it may jump, and it may refuse rows.
        manifest: says where rows live and how exact answers must be.
        held_out: (n_samples, n_features), rows that the estimator was not fitted on.
        seed: of the random rows.
    """
    scout = reference if network is None else replace(reference, fitted=_Scout(network, reference.fitted))
    asked = _asked(scout, manifest, held_out, seed, jumps=network is None)
    first = [edges[0] for edges in asked.edges if edges]
    others = [rows for edges in asked.edges for rows in edges[1:]]
    beyond = len(asked.tour) + sum(map(len, first))
    most = golden.budget(manifest.n_features, beyond)
    real = asked.held_out[: most // 4]
    wanted = np.concatenate([asked.extremes[:3], asked.extremes[4:], *first, real])
    if network is None:
        candidates = np.concatenate(
            [asked.tour, *others, asked.held_out[: _count(manifest)], asked.scattered]
        )
        answers = reference.fitted.probabilities
        selection = golden.spread(manifest.features, most, wanted, candidates, answers)
    else:
        watched = asked.held_out[: max(_count(manifest), _WEIGHED // network.parameters)]
        candidates = np.concatenate([asked.tour, *others, watched, asked.scattered])
        selection = golden.select(network, manifest.tolerance, most, wanted, candidates, real=watched)
    return Questions(
        gate=_case(reference, manifest, np.concatenate(list(asked.parts.values())), _origin(asked.parts)),
        golden=_case(reference, manifest, selection.rows, "golden rows"),
        untouched=selection.untouched,
        parameters=selection.parameters,
        counted="codes and missing values" if network is None else "parameters",
    )


def _asked(reference: Reference, manifest: Manifest, held_out: Rows, seed: int, *, jumps: bool) -> _Asked:
    rng = np.random.default_rng(seed)
    space = Space.of(manifest.features)
    most = max(1, min(_HELD_OUT, _CELLS // manifest.n_features))
    held_out = held_out[rng.permutation(len(held_out))[:most]]
    scattered = space.random(min(_count(manifest), most), rng)
    tour, extremes = space.tour(rng, manifest.features), space.extremes()
    if jumps:
        scattered, tour, extremes = (reference.answered(rows) for rows in (scattered, tour, extremes))
    pool = np.concatenate([held_out, scattered])
    pool = pool[rng.permutation(len(pool))]
    found = boundaries(reference, manifest)
    count = max(2, _PAIRS // len(found))
    margin = MARGINS[manifest.graph.dtype]
    resolution = RESOLUTIONS[manifest.graph.dtype] if jumps else 0.0
    edges = tuple(
        decision_edges(boundary, space, pool, count, margin, resolution=resolution) for boundary in found
    )
    codes = _every_code(space, rng, manifest)
    return _Asked(held_out, extremes, scattered, tour, reference.answered(codes) if jumps else codes, edges)


def _every_code(space: Space, rng: np.random.Generator, manifest: Manifest) -> Rows:
    """Rows that have every code, where the tour is too short for that; none where it is not.

    The estimator sees a place for every code of every row, which bounds them: all of 4,000 codes are asked.
    """
    if space.codes <= TOUR:
        return space.random(0, rng)
    places = sum(block.n_codes or block.size for block in manifest.features)
    return space.tour(rng, manifest.features, max(TOUR, _CELLS // places))


def _count(manifest: Manifest) -> int:
    """How many random rows are asked."""
    return _RANDOM if manifest.n_features <= _WIDE else _RANDOM_WIDE


def check(path: Path, asked: Questions, reference: Reference) -> Proof:
    """Ask a finished bundle everything.

    Args:
        path: the bundle, staged or published.
        asked: the questions, with the estimator's answers.
        reference: the estimator.

    Returns:
        What was found over all batch sizes; rows are counted once.

    Raises:
        BundleRejected: naming the first row that is answered otherwise.
    """
    content, predictor, replayed = proof.load(path)
    _check_own_classes(content.manifest, reference, asked.gate)
    whole = _compare(predictor, asked.gate, "all rows at once")
    found = [replayed, whole]
    for size in BATCHES:
        batched = Predictor(content.manifest, InBatches(predictor, max(size, 1)))
        rows = asked.gate if size else _none_of(asked.gate)
        found.append(_compare(batched, rows, f"batches of {size}"))
    return Proof(whole.rows, max(proof.difference for proof in found), whole.exempt)


def _compare(predictor: Predictor, case: Case, how: str) -> Proof:
    try:
        return proof.compare(
            predictor,
            case.features,
            case.probabilities,
            case.classes,
            logits=case.logits,
            unsure=case.unsure,
        )
    except BundleRejected as error:
        raise BundleRejected(f"the gate, {how}: {error} ({case.origin})") from error


def _check_own_classes(manifest: Manifest, reference: Reference, case: Case) -> None:
    """The rule's classes must be the estimator's own `predict`, where that knows the same threshold."""
    if not set(manifest.decision.thresholds.values()) <= {0.5} or not reference.decides:
        return
    own = reference.fitted.predict(case.features)
    clear = reference.rule.margins(case.probabilities) > manifest.tolerance
    differs = own != case.classes
    wrong = np.flatnonzero((differs.any(axis=1) if differs.ndim == 2 else differs) & clear)
    if wrong.size:
        row = int(wrong[0])
        raise BundleRejected(
            f"the gate: row {row}: the estimator predicts {proof.labels(manifest, own[row])}, "
            f"the decision rule {proof.labels(manifest, case.classes[row])} ({case.origin})"
        )


def _none_of(case: Case) -> Case:
    return Case(
        case.features[:0],
        case.probabilities[:0],
        case.classes[:0],
        case.origin,
        None if case.logits is None else case.logits[:0],
        None if case.unsure is None else case.unsure[:0],
    )


def _case(reference: Reference, manifest: Manifest, rows: Rows, origin: str) -> Case:
    probabilities, rule = reference.fitted.probabilities(rows), reference.rule
    return Case(
        rows,
        probabilities,
        rule.choose(probabilities),
        origin,
        cast(Scoring, reference.fitted).logits(rows) if LOGITS in manifest.graph.outputs else None,
        rule.unsure(probabilities) if manifest.decision.band else None,
    )


def _origin(parts: dict[str, npt.NDArray[Any]]) -> str:
    """Which row numbers are of which kind."""
    texts, start = [], 0
    for kind, rows in parts.items():
        texts.append(f"{kind}: rows {start} to {start + len(rows) - 1}")
        start += len(rows)
    return ", ".join(texts)
