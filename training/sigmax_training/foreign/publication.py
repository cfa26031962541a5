"""The end that all imports share: what is already there is left, the rest is proved and published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

import numpy as np

from sigmax.contract import EXAMPLE_FILE, GOLDEN_FILE, MODEL_FILE, Manifest
from sigmax.errors import BundleRejected, InvalidInput
from sigmax.inference import proof
from sigmax.inference.decision import Rule
from sigmax.inference.proof import Proof
from sigmax.repository import layout
from sigmax.repository.golden import Golden
from sigmax_training import draft, parity
from sigmax_training.network import Network
from sigmax_training.pipeline import Outcome
from sigmax_training.rows import Estimator, Reference, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that might be published.

    Attributes:
        manifest: all of it but version, fingerprint and files.
        model: the ONNX file.
        network: the same as matrices, where it is that simple.
    """

    manifest: Manifest
    model: bytes
    network: Network | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Witness:
    """What candidates are proved by.

    Attributes:
        estimator: the original.
        decides: whether its own classes have to be those of the decision rule.
        rows: (n_samples, n_features), to be asked.
        example: a request that works.
        seed: of the random rows.
    """

    estimator: Estimator
    decides: bool
    rows: Rows
    example: bytes
    seed: int


def publish_first(
    repository: Path, makers: Sequence[Callable[[], Candidate]], witness: Witness, notices: Sequence[str]
) -> Outcome:
    """Publish the first candidate that the gate lets pass; why others were passed over is a notice.

    Args:
        repository: the folder of models; it is made if it is not there.
        makers: make the candidates, the preferred one first.
        witness: what they are proved by.
        notices: what a person should know in any case.

    Raises:
        InvalidInput: no candidate can be made, or the repository cannot be written.
        BundleRejected: the gate refuses every candidate; what it said of the first of the widest tolerance.
    """
    passed_over: list[str] = []
    unmade: list[InvalidInput] = []
    refused: list[tuple[float, BundleRejected]] = []
    for make in makers:
        try:
            candidate = make()
        except InvalidInput as error:
            unmade.append(error)
            passed_over.append(str(error))
            continue
        said = [*notices, *(f"{_step(candidate)}: {reason}" for reason in passed_over[:1])]
        try:
            return _publish(repository, candidate, witness, said)
        except BundleRejected as error:
            refused.append((candidate.manifest.tolerance, error))
            passed_over.append(str(error))
        except OSError as error:
            text = f"the repository '{repository}' cannot be written: {error.strerror}"
            raise InvalidInput(text) from error
    raise max(refused, key=itemgetter(0))[1] if refused else unmade[0]


def provenance(source: str, data: str, details: dict[str, str]) -> dict[str, str]:
    """Where a model comes from, for people."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"created": created, "estimator": source, "data": data, **details, **draft.versions()}


def _step(candidate: Candidate) -> str:
    graph, tolerance = candidate.manifest.graph, candidate.manifest.tolerance
    return f"published in {graph.dtype} with a tolerance of {tolerance:g}"


def _publish(repository: Path, candidate: Candidate, witness: Witness, notices: list[str]) -> Outcome:
    manifest = replace(candidate.manifest, fingerprint=_fingerprint(candidate))
    for published in layout.published_as(repository, manifest.name, manifest.fingerprint):
        try:
            proof.load(published.path)
        except BundleRejected as error:
            notices = [*notices, f"version {published.version} is broken, the next is published: {error}"]
        else:
            return Outcome(manifest.name, published)
    rule = Rule(manifest, np.float64, manifest.decision.thresholds)
    reference = Reference(witness.estimator, rule, decides=witness.decides)
    asked = parity.questions(reference, candidate.network, manifest, witness.rows, witness.seed)
    golden = Golden(asked.golden.features, asked.golden.probabilities, asked.golden.classes)
    files = {
        MODEL_FILE: candidate.model,
        GOLDEN_FILE: golden.to_json(manifest),
        EXAMPLE_FILE: witness.example,
    }
    proofs: list[Proof] = []
    published = layout.publish(
        repository, manifest, files, lambda path: proofs.append(parity.check(path, asked, reference))
    )
    dtype = manifest.graph.dtype
    return Outcome(
        manifest.name, published, dict(manifest.metrics), proofs[-1], dtype, (*notices, *asked.notices)
    )


def _fingerprint(candidate: Candidate) -> str:
    """A digest of the file, what is said of it and every version that matters; not of the time."""
    plain = replace(candidate.manifest, provenance={})
    document = [json.loads(plain.to_json()), hashlib.sha256(candidate.model).hexdigest(), draft.versions()]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
