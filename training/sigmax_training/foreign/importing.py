"""`sigmax-train import`: an ONNX classifier from elsewhere, brought to the contract and published.

The reference is the original file, run as it is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    Resize,
    Task,
    check_name,
)
from sigmax.errors import BundleRejected, InvalidInput, nearest, quoted
from sigmax_training.data.dataset import F64, Dataset
from sigmax_training.draft import TOLERANCES
from sigmax_training.example import example
from sigmax_training.foreign import ending, labels
from sigmax_training.foreign import graph as graphs
from sigmax_training.foreign.adapt import adapt
from sigmax_training.foreign.ending import Ending, Wanted
from sigmax_training.foreign.opened import Opened, open_file
from sigmax_training.foreign.original import Original, Picture
from sigmax_training.foreign.publication import Candidate, Witness, provenance, publish_first
from sigmax_training.foreign.sheet import read_sheet
from sigmax_training.pipeline import Outcome

_RANDOM_ROWS = 256
_SPREAD = 3.0
"""Random rows are in [-3, 3], where standardised features are."""

_PIXELS = 256
_RESIZE = Resize.BILINEAR
"""How the service brings pictures of other sizes to the size of the graph."""


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

    def probabilities(self, features: npt.NDArray[Any]) -> F64:
        """What the completed original says, float64 (n_samples, n_classes)."""
        if len(features) == 0:
            return np.empty((0, self.n_classes))
        return self.ending.completed(self.original.table(features))

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The highest of the probabilities; what the original's own label output says is only compared."""
        return np.asarray(self.probabilities(features).argmax(axis=1))


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
    picture = _picture(opened, wishes)
    notices: list[str] = []
    names, rows = _rows(opened, picture, wishes)
    if wishes.data is None:
        where = f"from 0 to {_PIXELS - 1}" if picture else f"in [-{_SPREAD:g}, {_SPREAD:g}]"
        notices.append(
            f"proved on {len(rows)} random rows {where}, seed {wishes.seed}: give --data with real ones"
        )
    original = Original(opened, picture)
    found = ending.find(opened.model.graph, opened.source, original.table(rows), wishes.head)
    n_classes = 2 if found.doubled else original.table(rows[:1]).shape[1]
    classes, said = _classes(opened, wishes, n_classes)
    notices += [*found.notices, *said]
    answers = Answers(original, found, n_classes)
    notices += _labels_differ(opened, answers, rows)
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
    witness = Witness(answers, decides=False, rows=rows, example=request, seed=wishes.seed)
    maker = partial(_candidate, opened, found, picture, manifest)
    try:
        return publish_first(models, [maker], witness, notices)
    except BundleRejected as error:
        if not opened.batch:
            raise
        raise BundleRejected(
            f"the graph was exported for batches of {opened.batch}, which stands inside it, too: export it "
            f"with a free batch size, by dynamic_axes or dynamic_shapes ({error})"
        ) from error


def _candidate(opened: Opened, found: Ending, picture: Picture | None, manifest: Manifest) -> Candidate:
    names = [block.name for block in manifest.features]
    adapted = adapt(opened, found, picture, manifest.classes, names)
    learnt = graphs.count_numbers(opened.model)
    layer = Layer("imported ONNX graph", manifest.n_features, len(manifest.classes), learnt)
    graph = Graph(adapted.opset, adapted.ir_version, INPUT, (OUTPUT,), opened.dtype, (layer,))
    return Candidate(replace(manifest, graph=graph), adapted.content)


def _picture(opened: Opened, wishes: Wishes) -> Picture | None:
    """How a row of pixels becomes the input, where that has four dimensions."""
    if len(opened.shape) == 1:
        if wishes.colour or wishes.scale is not None:
            raise InvalidInput(
                "--image and --scale are for graphs that take pictures; this one takes rows of numbers"
            )
        return None
    if wishes.colour is None or wishes.scale is None:
        raise InvalidInput(
            f"the graph takes pictures, {_sizes(opened.shape)}: say --image rgb, hsv or grey, and --scale "
            f"{1 / 255!r} if it was trained on pixels from 0 to 1, --scale 1 if on pixels from 0 to 255"
        )
    channels = CHANNELS[wishes.colour]
    first, last = opened.shape[0] == channels, opened.shape[-1] == channels
    height, width = opened.shape[1:] if first else opened.shape[:-1]
    if not (first or last) or not (height and width):
        raise InvalidInput(
            f"the graph takes {_sizes(opened.shape)}; {wishes.colour} pictures of a known size have "
            f"{channels} channels, before or behind height and width"
        )
    return Picture((channels, height, width), not first, wishes.scale)


def _sizes(shape: Sequence[int]) -> str:
    return str(["n", *(size or "?" for size in shape)]).replace("'", "")


def _rows(
    opened: Opened, picture: Picture | None, wishes: Wishes
) -> tuple[tuple[str, ...], npt.NDArray[Any]]:
    """The names of the columns, and rows to ask: of the CSV file, or at random."""
    known = wishes.features or opened.names
    sheet = read_sheet(wishes.data) if wishes.data else None
    header = tuple(sheet.columns) if sheet else ()
    width = math.prod(picture.shape) if picture else opened.shape[0] or len(known) or len(header)
    if not width:
        raise InvalidInput("the file does not say how many features it takes: give --features or --data")
    names = () if picture else _names(known, header, width)
    if sheet is not None:
        rows = sheet.numbers(names if known and not picture else header, width)
        return names, _pixels(rows) if picture else rows
    rng = np.random.default_rng(wishes.seed)
    if picture:
        return names, rng.integers(0, _PIXELS, (_RANDOM_ROWS // 8, width)).astype(np.uint8)
    return names, rng.uniform(-_SPREAD, _SPREAD, (_RANDOM_ROWS, width))


def _names(known: tuple[str, ...], header: tuple[str, ...], width: int) -> tuple[str, ...]:
    names = known or (header if len(header) == width else ())
    if header and not names:
        raise InvalidInput(
            f"the graph takes {width} features, the CSV file has {len(header)} columns: say by --features "
            "which of them in which order"
        )
    names = names or tuple(f"x{index}" for index in range(width))
    if len(names) != width:
        raise InvalidInput(f"{len(names)} names of features for the {width} that the graph takes")
    if len(set(names)) < len(names) or "" in names:
        raise InvalidInput("each feature has a name of its own")
    return names


def _pixels(rows: F64) -> npt.NDArray[np.uint8]:
    wrong = np.argwhere((rows < 0) | (rows >= _PIXELS) | (rows != np.rint(rows)))
    if wrong.size:
        row, column = wrong[0].tolist()
        raise InvalidInput(
            f"--data, row {row}, pixel {column}: {rows[row, column]:g} is no whole number to 255"
        )
    return rows.astype(np.uint8)


def _classes(opened: Opened, wishes: Wishes, count: int) -> tuple[tuple[str, ...], list[str]]:
    """Labels in column order, and a notice where they are only numbers."""
    classes = wishes.classes or opened.classes
    if classes and len(classes) != count:
        whose = "--classes names" if wishes.classes else "the file names"
        raise InvalidInput(
            f"{whose} {len(classes)} classes, {', '.join(map(quoted, classes[:5]))}; the graph has {count}: "
            f"say --classes with {count} labels in column order"
        )
    if classes:
        if len(set(classes)) < count or "" in classes:
            raise InvalidInput("--classes: each class has a label of its own")
        return classes, []
    numbered = tuple(str(column) for column in range(count))
    return numbered, [
        f"the file names no classes, they are {numbered[0]} to {numbered[-1]}: --classes names them"
    ]


def _labels_differ(opened: Opened, answers: Answers, rows: npt.NDArray[Any]) -> list[str]:
    """Where the original's label output names another class than the highest probability, which decides."""
    if not opened.label or answers.ending.task is Task.MULTILABEL or not opened.classes:
        return []
    try:
        named = [labels.text_of(label) for label in answers.original.labels(rows)]
    except InvalidInput:
        return [f"the output {quoted(opened.label)} names no classes; it is not compared"]
    highest = [opened.classes[column] for column in answers.predict(rows).tolist()]
    differ = [row for row, pair in enumerate(zip(named, highest, strict=True)) if pair[0] != pair[1]]
    if not differ:
        return []
    row = differ[0]
    return [
        f"the file's own output {quoted(opened.label)} is not its highest probability in {len(differ)} of "
        f"{len(rows)} rows (row {row}: {quoted(named[row])}, highest {quoted(highest[row])}); the service "
        "decides by probabilities"
    ]


def _decision(task: Task, classes: tuple[str, ...], positive: str | None) -> Decision:
    if positive is not None and task is not Task.BINARY:
        raise InvalidInput(f"--positive is for two classes, not for {task} models")
    if positive is not None and positive not in classes:
        raise InvalidInput(f"--positive: {quoted(positive)} is no class{nearest(positive, classes)}")
    if task is Task.MULTICLASS:
        return Decision({})
    if task is Task.MULTILABEL:
        return Decision(dict.fromkeys(classes, 0.5))
    chosen = positive or classes[-1]
    return Decision({chosen: 0.5}, chosen)


def _blocks(
    picture: Picture | None, wishes: Wishes, names: tuple[str, ...], rows: npt.NDArray[Any], dtype: FloatType
) -> tuple[Feature, ...]:
    if picture and wishes.colour:
        channels, height, width = picture.shape
        image = Image(wishes.colour, "CHW", height, width, _RESIZE, picture.scale)
        bounds = (0.0, _PIXELS - 1.0)
        return (Feature("image", Kind.IMAGE, (channels, height, width), "uint8", bounds, image=image),)
    low, high = rows.min(axis=0).tolist(), rows.max(axis=0).tolist()
    return tuple(
        Feature(name, Kind.NUMERIC, (), dtype.value, (low[index], high[index]))
        for index, name in enumerate(names)
    )


def _provenance(opened: Opened, wishes: Wishes, count: int) -> dict[str, str]:
    made_by = " ".join(text for text in (opened.model.producer_name, opened.model.producer_version) if text)
    data = (
        f"{count} rows of {wishes.data.name}" if wishes.data else f"{count} random rows, seed {wishes.seed}"
    )
    digest = {"original_sha256": hashlib.sha256(opened.content).hexdigest()}
    return provenance(f"ONNX file of {made_by or 'an unnamed producer'}", data, digest)
