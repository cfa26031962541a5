"""`sigmax-train import`: an ONNX classifier that somebody else exported, brought to the contract and published.

The reference is the original file, run as it is.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import (
    CHANNELS,
    INPUT,
    OUTPUT,
    Colour,
    Decision,
    Feature,
    FloatType,
    Graph,
    Image,
    Kind,
    Layer,
    Manifest,
    Task,
    check_name,
)
from sigmax.errors import InvalidInput, listed, nearest, quoted
from sigmax_training.data.dataset import F64, Dataset
from sigmax_training.draft import TOLERANCES
from sigmax_training.example import example
from sigmax_training.foreign import ending, labels
from sigmax_training.foreign.adapt import adapt
from sigmax_training.foreign.ending import Ending, Wanted
from sigmax_training.foreign.opened import Opened, open_file
from sigmax_training.foreign.original import Original, Picture
from sigmax_training.foreign.publication import Candidate, Witness, provenance, publish_first
from sigmax_training.pipeline import Outcome

_RANDOM_ROWS = 256
_SPREAD = 3.0
"""Random rows are in [-3, 3], where standardised features are."""

_PIXELS = 256


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person says of a file; None where the file or its rows say it.

    Attributes:
        classes: labels in column order.
        features: names in column order.
        positive: of two classes, the positive one; by default the last.
        head: what turns the graph's numbers into probabilities.
        colour: the input is a picture of this colour mode, its pixels multiplied by `scale`.
        scale: see there; 1/255 for pixels from 0 to 1.
        data: a CSV file of rows to prove the import on.
        seed: of random rows.
    """

    classes: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    positive: str | None = None
    head: Wanted | None = None
    colour: Colour | None = None
    scale: float | None = None
    data: Path | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The original, asked in rows of the features matrix and completed as the published graph is."""

    original: Original
    ending: Ending
    n_classes: int
    labels: tuple[str, ...] = field(default=())

    def probabilities(self, features: npt.NDArray[Any]) -> F64:
        """What the completed original says, float64 (n_samples, n_classes)."""
        if len(features) == 0:
            return np.empty((0, self.n_classes))
        return self.ending.completed(self.original.table(features))

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The original's own label output, as columns (n_samples,)."""
        found = np.array(self.original.labels(features), object)
        return labels.columns_of(found, self.labels, self.labels)


def publish_file(path: Path, name: str, models: Path, wishes: Wishes) -> Outcome:
    """Publish an ONNX classifier.

    Args:
        path: the file.
        name: of the model.
        models: the repository to publish into; it is made if it is not there.
        wishes: what a person says of the file.

    Raises:
        InvalidInput: naming what about the file cannot be served, or what has to be said of it.
        BundleRejected: the gate refuses: the adapted graph does not answer as the original does.
    """
    check_name(name)
    opened = open_file(path)
    picture, notices = _picture(opened, wishes), []
    names, rows = _rows(opened, picture, wishes)
    if wishes.data is None:
        where = f"from 0 to {_PIXELS - 1}" if picture else f"in [-{_SPREAD:g}, {_SPREAD:g}]"
        notices.append(f"proved on {len(rows)} random rows {where}, seed {wishes.seed}: give --data with real ones")
    original = Original(opened, picture)
    found = ending.find(opened.model.graph, opened.source, original.table(rows), wishes.head)
    n_classes = 2 if found.doubled else original.table(rows[:1]).shape[1]
    classes, said = _classes(opened, wishes, n_classes)
    notices += [*found.notices, *said]
    answers = Answers(original, found, n_classes, classes)
    decides = _decides(answers, opened, rows)
    if opened.label and found.task is not Task.MULTILABEL and not decides:
        notices.append(f"the output {quoted(opened.label)} names no classes that are known here; it is not compared")
    blocks = _blocks(picture, wishes, names, rows, opened.dtype)
    manifest = Manifest(
        name=name,
        version=1,
        task=found.task,
        head=found.head,
        features=blocks,
        classes=classes,
        decision=_decision(found.task, classes, wishes.positive),
        graph=Graph(1, 1, INPUT, (OUTPUT,), opened.dtype),
        tolerance=TOLERANCES[opened.dtype],
        metrics={},
        fingerprint="",
        provenance=_provenance(opened, wishes, len(rows)),
        files={},
    )
    request = example(Dataset("", rows, np.arange(len(rows)) % 2, classes, blocks), np.arange(len(rows)))
    witness = Witness(answers, decides, rows, request, wishes.seed)
    maker = partial(_candidate, opened, found, picture, manifest)
    return publish_first(models, [maker], witness, notices)


def _candidate(opened: Opened, found: Ending, picture: Picture | None, manifest: Manifest) -> Candidate:
    names = [block.name for block in manifest.features]
    adapted = adapt(opened, found, picture, manifest.n_features, manifest.classes, names)
    learnt = sum(int(np.prod(tensor.dims)) for tensor in opened.model.graph.initializer)
    layer = Layer("imported ONNX graph", manifest.n_features, len(manifest.classes), learnt)
    graph = Graph(adapted.opset, adapted.ir_version, INPUT, (OUTPUT,), opened.dtype, (layer,))
    return Candidate(_with_graph(manifest, graph), adapted.content)
