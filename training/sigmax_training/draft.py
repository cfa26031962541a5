"""What will be published, before anything is trained: the manifest without its figures, and its fingerprint.

Here a job meets its data: the classes it names must exist, the head must fit the number of classes.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, replace
from importlib.metadata import version

from sigmax.contract import (
    INPUT,
    OUTPUT,
    Decision,
    Feature,
    FloatType,
    Graph,
    Head,
    Kind,
    Manifest,
    Task,
)
from sigmax.errors import InvalidInput, listed, nearest, quoted
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
    """The graph types to try, in order: the job's, or float64 for linear tables and float32 elsewhere."""
    if job.dtype:
        return (job.dtype,)
    if isinstance(job.estimator, Logistic) and dataset.image is None:
        return (FloatType.FLOAT64,)
    return (FloatType.FLOAT32, FloatType.FLOAT64)


def draft(job: Job, dataset: Dataset, dtype: FloatType) -> Manifest:
    """The manifest as far as job and data determine it; version, metrics and files are still missing.

    Raises:
        InvalidInput: naming everything in the job that does not fit the data.
    """
    task = Task.BINARY if len(dataset.classes) == 2 else Task.MULTICLASS
    problems = _problems(job, dataset, task)
    if problems:
        raise InvalidInput(listed(problems))
    return Manifest(
        name=job.name,
        version=1,
        task=task,
        head=job.head or (Head.SIGMOID if task is Task.BINARY else Head.SOFTMAX),
        features=tuple(_served(block, dtype) for block in dataset.blocks),
        classes=dataset.classes,
        decision=_decision(job, dataset, task),
        graph=Graph(OPSET, IR_VERSION, INPUT, (OUTPUT,), dtype),
        tolerance=TOLERANCES[dtype],
        metrics={},
        fingerprint="",
        provenance={},
        files={},
    )


def fingerprint(job: Job, dataset: Dataset, drafts: tuple[Manifest, ...]) -> str:
    """A digest of the resolved job, the data and every version that matters.

    The same job on the same data is the same model, wherever its file lies and however it is laid out.
    """
    document = {
        "drafts": [json.loads(manifest.to_json()) for manifest in drafts],
        "estimator": [type(job.estimator).__name__, asdict(job.estimator), job.standardise],
        "evaluation": asdict(job.evaluation),
        "flips": dataset.flips,
        "seed": job.seed,
        "data": dataset.sha256,
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The versions of the trainer and of the libraries it stands on."""
    found = {library: version(library) for library in LIBRARIES}
    return {"sigmax-training": __version__, "python": platform.python_version(), **found}


def _served(block: Feature, dtype: FloatType) -> Feature:
    """A number is sent in the graph's own type; pixels are sent as they are."""
    return block if block.kind is Kind.IMAGE else replace(block, dtype=dtype.value)


def _decision(job: Job, dataset: Dataset, task: Task) -> Decision:
    if task is not Task.BINARY:
        return Decision({})
    positive = job.decision.positive or dataset.classes[-1]
    threshold = 0.5 if job.decision.threshold is None else job.decision.threshold
    return Decision({positive: threshold}, positive)


def _problems(job: Job, dataset: Dataset, task: Task) -> list[str]:
    decision, problems = job.decision, []
    if decision.positive and decision.positive not in dataset.classes:
        hint = nearest(decision.positive, dataset.classes)
        problems.append(f"decision.positive: {quoted(decision.positive)} is no class of the data{hint}")
    if task is Task.BINARY:
        return problems
    count = len(dataset.classes)
    for key, value in (("positive", decision.positive), ("threshold", decision.threshold)):
        if value is not None:
            problems.append(f"decision.{key} is for two classes, the data has {count}")
    if job.head is Head.SIGMOID:
        problems.append(f"head = 'sigmoid' is for two classes, the data has {count}")
    return problems
