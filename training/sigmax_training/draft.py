"""What will be published, before anything is trained: the manifest without its figures, and its fingerprint.

Here a job meets its data: the classes it names must exist, the head must fit the number of classes.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from sigmax.contract import (
    HEADS,
    INPUT,
    LOGITS,
    OUTPUT,
    Decision,
    Feature,
    FloatType,
    Graph,
    Kind,
    Manifest,
    Task,
)
from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax.protocol.schema import MAX_EXACT
from sigmax_training import __version__
from sigmax_training.data.dataset import Dataset
from sigmax_training.export import IR_VERSION, OPSET
from sigmax_training.job import Job, Logistic

TOLERANCES = {FloatType.FLOAT64: 1e-9, FloatType.FLOAT32: 1e-5}
"""How far a served probability may be from the estimator's.

The measured maxima are in docs/decisions/0003-the-canonical-graph.md.
"""

LIBRARIES = ("numpy", "onnx", "onnxruntime", "pillow", "scikit-learn", "scipy", "skl2onnx")
"""What a published figure depends on, beside job and data."""


def dtypes(job: Job, dataset: Dataset) -> tuple[FloatType, ...]:
    """The graph types to try, in order: the job's, or float64 for linear tables and float32 elsewhere.

    A table with numbers beyond the integers that float32 can tell apart is float64, too: the doors refuse an
    integer that would be another one in the model's type.
    """
    if job.dtype:
        return (job.dtype,)
    linear = isinstance(job.estimator, Logistic) or not job.estimator.hidden
    if dataset.image is None and (linear or _beyond_float32(dataset)):
        return (FloatType.FLOAT64,)
    return (FloatType.FLOAT32, FloatType.FLOAT64)


def _beyond_float32(dataset: Dataset) -> bool:
    largest = max(max(map(abs, block.range)) for block in dataset.blocks)
    return largest > MAX_EXACT[np.dtype(np.float32)]


def draft(job: Job, dataset: Dataset, dtype: FloatType) -> Manifest:
    """The manifest as far as job and data determine it; version, metrics, layers and files are still missing.

    Raises:
        InvalidInput: naming everything in the job that does not fit the data.
    """
    task = dataset.task
    problems = _problems(job, dataset, task)
    if problems:
        raise InvalidInput(listed(problems))
    manifest = Manifest(
        name=job.name,
        version=1,
        task=task,
        head=job.served_head(task),
        features=tuple(_served(block, dtype) for block in dataset.blocks),
        classes=dataset.classes,
        decision=_decision(job, dataset, task),
        graph=Graph(OPSET, IR_VERSION, INPUT, (OUTPUT, LOGITS) if job.logits else (OUTPUT,), dtype),
        tolerance=TOLERANCES[dtype],
        metrics={},
        fingerprint="",
        provenance={},
        files={},
    )
    if job.decision.tune is None:
        decided(job, manifest, {})  # a band that is not around its threshold is known before the training
    return manifest


def decided(job: Job, manifest: Manifest, thresholds: Mapping[str, float]) -> Decision:
    """The decision as it is published: tuned thresholds in place of the job's, with bands around them.

    Raises:
        InvalidInput: a band that does not lie around its threshold.
    """
    decision = manifest.decision
    final = {**decision.thresholds, **thresholds}
    bands = {label: band for label in final if (band := _band_of(job, label)) is not None}
    found = {label: _around(final[label], band) for label, band in bands.items()}
    problems = [
        f"decision.band: the threshold of {quoted(label)}, {final[label]:.6g}, is outside {list(band)}"
        for label, band in found.items()
        if not band[0] <= final[label] <= band[1]
    ]
    if problems:
        raise InvalidInput(listed(problems))
    return replace(decision, thresholds=final, band=found)


def _band_of(job: Job, label: str) -> float | tuple[float, float] | None:
    band = job.decision.band
    return band.get(label) if isinstance(band, Mapping) else band


def _around(threshold: float, band: float | tuple[float, float]) -> tuple[float, float]:
    if isinstance(band, tuple):
        return band
    return (max(0.0, threshold - band), min(1.0, threshold + band))


def fingerprint(
    job: Job, dataset: Dataset, drafts: tuple[Manifest, ...], *, buffer: int | None = None
) -> str:
    """A digest of the resolved job, the data and every version that matters.

    The same job on the same data is the same model, wherever its file lies and however it is laid out.

    Args:
        job: what is trained.
        dataset: on what.
        drafts: of what may be published.
        buffer: how many rows are held to be shuffled; None where all of them are held.
    """
    document = {
        "drafts": [json.loads(manifest.to_json()) for manifest in drafts],
        "estimator": [type(job.estimator).__name__, asdict(job.estimator), job.standardise],
        "calibration": job.calibration.value,
        "head": job.head_for(dataset.task).value,
        "decision": [repr(job.decision.tune), _in_order(job.decision.band)],
        "evaluation": asdict(job.evaluation),
        "fills": [[name, asdict(fill)] for name, fill in sorted(dataset.fills.items())],
        "flips": dataset.flips,
        "validation": job.validation if job.validates else None,
        "seed": job.seed,
        "data": dataset.sha256,
        "versions": versions(),
    }
    if buffer is not None:
        document["buffer"] = buffer
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _in_order(band: Any) -> Any:
    """A band whose labels stand in the same order however the job was written."""
    return sorted(band.items()) if isinstance(band, Mapping) else band


def versions() -> dict[str, str]:
    """The versions of the trainer and of the libraries it stands on."""
    found = {library: version(library) for library in LIBRARIES}
    return {"sigmax-training": __version__, "python": platform.python_version(), **found}


def _too_long(dataset: Dataset) -> list[Feature]:
    """The blocks of integers that float32 cannot hold exactly."""
    exact = MAX_EXACT[np.dtype(np.float32)]
    return [
        block
        for block in dataset.blocks
        if block.kind is Kind.INTEGER and max(abs(bound) for bound in block.range) > exact
    ]


def _served(block: Feature, dtype: FloatType) -> Feature:
    """A number is sent in the graph's own type; pixels, categories and so on are sent as they are."""
    return replace(block, dtype=dtype.value) if block.kind is Kind.NUMERIC else block


def _decision(job: Job, dataset: Dataset, task: Task) -> Decision:
    if task is Task.MULTICLASS:
        return Decision({})
    threshold = job.decision.threshold
    if task is Task.MULTILABEL:
        own = threshold if isinstance(threshold, Mapping) else dict.fromkeys(dataset.classes, threshold)
        return Decision({label: _or_half(own.get(label)) for label in dataset.classes})
    positive = job.decision.positive or dataset.classes[-1]
    return Decision({positive: _or_half(threshold if isinstance(threshold, float) else None)}, positive)


def _or_half(threshold: float | None) -> float:
    return 0.5 if threshold is None else threshold


def _problems(job: Job, dataset: Dataset, task: Task) -> list[str]:
    decision = job.decision
    problems = [] if task is Task.MULTICLASS else _unknown_labels(job, dataset, task)
    if decision.positive and task is Task.BINARY and decision.positive not in dataset.classes:
        hint = nearest(decision.positive, dataset.classes)
        problems.append(f"decision.positive: {quoted(decision.positive)} is no class of the data{hint}")
    count = len(dataset.classes)
    if decision.positive is not None and task is not Task.BINARY:
        problems.append(f"decision.positive is for two classes, the data has {_count(task, count)}")
    if task is Task.MULTICLASS:
        given = {"threshold": decision.threshold, "tune": decision.tune, "band": decision.band}
        problems += [
            f"decision.{key} is for two classes or several labels, the data has {count} classes"
            for key, value in given.items()
            if value is not None
        ]
    if job.dtype is FloatType.FLOAT32:
        problems += [
            f"dtype = 'float32' does not hold every integer of column {quoted(block.name)}, which has "
            f"{block.range[0]:.0f} to {block.range[1]:.0f}: leave dtype out, or make the column 'numeric'"
            for block in _too_long(dataset)
        ]
    if job.head is not None and job.head not in HEADS[task]:
        problems.append(f"head = '{job.head}' is not for this data: it has {_count(task, count)}")
    return problems


def _unknown_labels(job: Job, dataset: Dataset, task: Task) -> list[str]:
    """Thresholds and bands by label, for labels that are none or where there is only one to give."""
    problems = []
    for key, value in (("threshold", job.decision.threshold), ("band", job.decision.band)):
        if not isinstance(value, Mapping):
            continue
        if task is Task.BINARY:
            problems.append(f"decision.{key} by label is for several labels a row; here it is of one class")
            continue
        problems += [
            f"decision.{key}: {quoted(label)} is no label of the data{nearest(label, dataset.classes)}"
            for label in value
            if label not in dataset.classes
        ]
    return problems


def _count(task: Task, count: int) -> str:
    return f"{count} labels of which a row has any number" if task is Task.MULTILABEL else f"{count} classes"
