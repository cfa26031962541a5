"""The gate: nothing is published that the serving code does not answer as the estimator does.

The finished bundle is opened by the service's own predictor and asked held-out rows and edge rows, in
batches of several sizes. One answer that differs refuses the publication and names the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from sigmax.contract import FloatType, Manifest, Task
from sigmax.errors import BundleRejected, quoted
from sigmax.inference import proof
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax_training import golden
from sigmax_training.data.dataset import F64, I64
from sigmax_training.network import Network
from sigmax_training.rows import Reference, Rows, Space, decision_edges

BATCHES = (0, 1, 2, 7, 33)
"""Batch sizes that the gate asks in, beside all rows at once."""

MARGINS = {FloatType.FLOAT64: 1e-6, FloatType.FLOAT32: 1e-3}
"""How far from the edge the rows beside it are: well over the tolerance, and still close."""

_CELLS = 20_000_000
_HELD_OUT, _RANDOM, _PAIRS = 2_000, 64, 24
"""Bounds of the gate's work: held-out rows, random rows, walks across a decision's edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Rows with the estimator's own answers; `origin` says of which rows they are, for messages.

    `unsure` is there where the decision has a band.
    """

    features: Rows
    probabilities: F64
    classes: I64
    origin: str
    unsure: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """What the gate asks, and which of it goes into the bundle as golden rows."""

    gate: Case
    golden: Case
    untouched: int
    parameters: int


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


def questions(
    reference: Reference, network: Network, manifest: Manifest, held_out: Rows, seed: int
) -> Questions:
    """Choose the rows that the gate asks.

    Args:
        reference: answers them.
        network: its parameters; every one of them should matter to a golden row.
        manifest: says where rows live and how exact answers must be.
        held_out: (n_samples, n_features), rows that the estimator was not fitted on.
        seed: of the random rows.
    """
    rng = np.random.default_rng(seed)
    space = Space.of(manifest.features)
    most = max(1, min(_HELD_OUT, _CELLS // manifest.n_features))
    held_out = held_out[rng.permutation(len(held_out))[:most]]
    extremes = space.extremes()
    scattered = space.random(min(_RANDOM, most), rng)
    pool = np.concatenate([held_out, scattered])
    pool = pool[rng.permutation(len(pool))]
    edges = decision_edges(reference, space, pool, _PAIRS, MARGINS[manifest.graph.dtype])
    parts = {"held-out": held_out, "extreme": extremes, "random": scattered}
    if edges:
        parts["edge of a decision"] = np.concatenate(edges)
    real = held_out[: golden.budget(manifest.n_features) // 4]
    wanted = np.concatenate([extremes[:3], *edges[:1], real])
    candidates = np.concatenate([*edges[1:], held_out[:_RANDOM], scattered])
    selection = golden.select(network, manifest.tolerance, wanted, candidates)
    return Questions(
        gate=_case(reference, np.concatenate(list(parts.values())), _origin(parts)),
        golden=_case(reference, selection.rows, "golden rows"),
        untouched=selection.untouched,
        parameters=selection.parameters,
    )


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
        return proof.compare(predictor, case.features, case.probabilities, case.classes, unsure=case.unsure)
    except BundleRejected as error:
        raise BundleRejected(f"the gate, {how}: {error} ({case.origin})") from error


def _check_own_classes(manifest: Manifest, reference: Reference, case: Case) -> None:
    """The rule's classes must be the estimator's own `predict`, where that knows the same threshold."""
    if manifest.task is Task.BINARY and set(manifest.decision.thresholds.values()) != {0.5}:
        return
    own = reference.fitted.predict(case.features)
    clear = reference.rule.margins(case.probabilities) > manifest.tolerance
    wrong = np.flatnonzero((own != case.classes) & clear)
    if wrong.size:
        row = int(wrong[0])
        raise BundleRejected(
            f"the gate: row {row}: the estimator predicts {quoted(manifest.classes[own[row]])}, "
            f"the decision rule {quoted(manifest.classes[case.classes[row]])} ({case.origin})"
        )


def _none_of(case: Case) -> Case:
    unsure = None if case.unsure is None else case.unsure[:0]
    return Case(case.features[:0], case.probabilities[:0], case.classes[:0], case.origin, unsure)


def _case(reference: Reference, rows: Rows, origin: str) -> Case:
    probabilities, rule = reference.fitted.probabilities(rows), reference.rule
    unsure = rule.unsure(probabilities) if rule.banded else None
    return Case(rows, probabilities, rule.choose(probabilities), origin, unsure)


def _origin(parts: dict[str, npt.NDArray[Any]]) -> str:
    """Which row numbers are of which kind."""
    texts, start = [], 0
    for kind, rows in parts.items():
        texts.append(f"{kind}: rows {start} to {start + len(rows) - 1}")
        start += len(rows)
    return ", ".join(texts)
