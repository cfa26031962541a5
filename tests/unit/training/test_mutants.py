"""Mutants of published bundles: whatever moves an answer is refused by the golden rows alone.

Each mutant is one small change of a graph or a manifest, every digest right again. What it answers to rows
that no weight was fitted on, by name and through the code of the doors, says whether it moved anything.
"""

from __future__ import annotations

import base64
import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from tests.pictures import encoded, noise

from sigmax.contract import (
    EXAMPLE_FILE,
    GOLDEN_FILE,
    LOGITS,
    MAX_TOLERANCE,
    MODEL_FILE,
    Colour,
    Feature,
    FloatType,
    Head,
    Kind,
    Manifest,
    Missing,
    Resize,
    Task,
    Unknown,
)
from sigmax.errors import BundleRejected, SigmaxError
from sigmax.inference import proof
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.decision import Rule
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.predictor import open_predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema
from sigmax.repository import bundle
from sigmax.repository.bundle import Bundle
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery
from sigmax.telemetry.metrics import Metrics
from sigmax_training import data, pipeline, splits
from sigmax_training import job as jobs
from sigmax_training.data.dataset import Dataset
from sigmax_training.job import Evaluation, Job, Perceptron, Tabular

JOBS = Path(__file__).parents[3] / "training" / "jobs"
UNHEARD = "어디에도 없는 값"
METER = Metrics().verb("test", "predict")
_MOST = 120
"""Held-out rows that are asked."""

WINE = (
    'name = "wine"\nhead = "one_vs_rest"\n[data]\nbuiltin = "wine"\n[estimator]\nclass_weight = "balanced"\n'
)
IMPUTED = """
name = "imputed"
logits = true
head = "softmax"
[data]
path = "imputed.csv"
target = "y"
[features]
missing = "mean"
[features.columns.a]
missing = "constant"
fill = -1.5
[features.columns."나이"]
kind = "integer"
missing = "median"
[features.columns.flag]
missing = "most_frequent"
[decision]
threshold = 0.3
band = [0.2, 0.45]
"""
TAGS = """
name = "tags"
[data]
path = "tags.csv"
target = "y"
separator = "|"
[features]
missing = "category"
unknown = "zero"
[features.columns.code]
kind = "category"
unknown = "reject"
[decision]
threshold = { x = 0.4, y = 0.55 }
band = { x = [0.3, 0.5] }
"""


class Quiet:
    """A report that nobody reads."""

    def stage(self, title: str, steps: int) -> None: ...

    def step(self) -> None: ...

    def rows(self, seen: int, total: int) -> None: ...

    def epoch(self, epoch: object) -> None: ...

    def notice(self, text: str) -> None: ...


def write_imputed(folder: Path) -> None:
    """Numbers of every kind, a fifth of them missing."""
    rng = np.random.default_rng(3)
    numbers: list[Any] = [
        rng.normal(size=200),
        rng.integers(18, 90, 200),
        rng.random(200) < 0.5,
        rng.normal(5, 40, 200),
    ]
    score = numbers[0] + 0.02 * numbers[1] + numbers[2] - 0.02 * numbers[3] + rng.normal(size=200)
    forms: list[Callable[[Any], str]] = [repr, str, lambda flag: str(bool(flag)).lower(), repr]
    cells = [
        ["" if rng.random() < 0.2 else form(value) for value in column.tolist()]
        for form, column in zip(forms, numbers, strict=True)
    ]
    labels = ["높음" if value > np.median(score) else "낮음" for value in score]
    _write(folder / "imputed.csv", ["a", "나이", "flag", "b"], cells, labels)


def write_tags(folder: Path) -> None:
    """Categories alone, and several labels a row."""
    rng = np.random.default_rng(4)
    codes = [rng.integers(0, size, 240) for size in (5, 9, 3)]
    names = [["서울", "부산", "a b", "🦊", "שלום"], [str(code) for code in range(-4, 5)], ["lo", "mid", "hi"]]
    cells = [
        ["" if rng.random() < 0.1 and column != 1 else words[code] for code in drawn]
        for column, (words, drawn) in enumerate(zip(names, codes, strict=True))
    ]
    scores = [codes[0] - 2 + rng.normal(size=240), codes[1] - 4 + codes[2] + 2 * rng.normal(size=240)]
    labels = [
        "|".join(label for label, score in zip("xy", row, strict=True) if score > 0)
        for row in zip(*scores, strict=True)
    ]
    _write(folder / "tags.csv", ["곳", "code", "level"], cells, labels)


def _write(path: Path, names: list[str], cells: list[list[str]], labels: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*names, "y"], *zip(*cells, labels, strict=True)])


def all_jobs(folder: Path) -> list[Job]:
    """The jobs whose models are mutated, each quick to train."""
    write_imputed(folder)
    write_tags(folder)
    texts = (WINE, IMPUTED, TAGS)
    known = [jobs.read(JOBS / f"{name}.toml") for name in ("breast_cancer", "iris", "lease", "digits_png")]
    traits = jobs.read(JOBS / "digit_traits.toml")
    assert isinstance(traits.estimator, Perceptron)
    short = replace(traits, estimator=replace(traits.estimator, epochs=12))
    found = [*known, short, *(jobs.parse(text, folder) for text in texts)]
    return [replace(job, evaluation=Evaluation(folds=2, repeats=1)) for job in found]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a version says of the rows that are asked.

    Attributes:
        probabilities: (n_samples, n_classes), in the order of the original's classes.
        logits: likewise, of a model that gives them.
        decided: a label or several, one entry a row.
        unsure: the same of doubt; None where no band applies.
    """

    probabilities: np.ndarray
    logits: np.ndarray | None
    decided: list[Any]
    unsure: list[Any]


@dataclass(frozen=True, slots=True)
class Original:
    """A published version, the requests that it and its mutants are asked, and its answers."""

    path: Path
    content: Bundle
    bodies: tuple[Body, ...]
    answers: tuple[Answers, ...]

    @property
    def manifest(self) -> Manifest:
        """Of the version."""
        return self.content.manifest


def original(job: Job, root: Path) -> Original:
    """Train, publish and ask a model."""
    path = pipeline.run(job, root, Quiet()).published.path
    content = bundle.read(path)
    dataset = data.load(job)
    _, held_out = splits.holdout(dataset, job.evaluation, job.seed)
    options: dict[str, Any] = {"top_k": len(content.manifest.classes)}
    if LOGITS in content.manifest.graph.outputs:
        options["include"] = [LOGITS]
    requests = [{"rows": raw_rows(job, dataset, held_out[:_MOST])}]
    if dataset.files:
        files = [dataset.files[row].read_bytes() for row in held_out[:20]]
        files.append(encoded(noise(21, 30, 3)))
        requests.append({"images": [base64.b64encode(file).decode() for file in files]})
    bodies = tuple(Body(json.dumps({**request, "options": options}).encode()) for request in requests)
    answers = tuple(ask(content.manifest, content.manifest, content.model, body) for body in bodies)
    return Original(path, content, bodies, answers)


def raw_rows(job: Job, dataset: Dataset, rows: np.ndarray) -> list[Any]:
    """Held-out rows by name, as a caller has them; then one with an unknown category, where that is taken."""
    if not isinstance(job.data, Tabular):
        names = [block.name for block in dataset.blocks]
        values = dataset.features[rows].tolist()
        return values if dataset.image else [dict(zip(names, row, strict=True)) for row in values]
    with job.data.paths[0].open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    found = [{block.name: _value(block, cells[row][block.name]) for block in dataset.blocks} for row in rows]
    unknown = [block.name for block in dataset.blocks if block.unknown is Unknown.ZERO]
    return [*found, *({**found[0], name: UNHEARD} for name in unknown)]


def _value(block: Feature, cell: str) -> Any:
    if cell == "":
        return None
    if block.kind is Kind.BOOLEAN:
        return cell == "true"
    if block.kind is Kind.CATEGORY and block.dtype == "string":
        return cell
    return int(cell) if block.kind in (Kind.INTEGER, Kind.CATEGORY) else float(cell)


def ask(first: Manifest, manifest: Manifest, model: bytes, body: Body) -> Answers:
    """Ask a version that nobody proved; `first` is the original's manifest, which says the order.

    Raises:
        BundleRejected: it cannot even be opened.
        SigmaxError: it refuses a request that the original answers.
        KeyError: it answers about other classes.
    """
    content = Bundle(manifest, model, None, b"{}")  # type: ignore[arg-type]
    served = Served("mutant", "1", open_predictor(content), Schema(manifest), Proof(0, 0.0, 0), b"{}")
    dispatch = Dispatch(Catalog([Entry("mutant", served)]), max_rows=sys.maxsize)
    results = json.loads(dispatch.answer(METER, ClassesQuery, "mutant", "1", body).body)["results"]
    multilabel = "labels" in results[0]
    logits = [[row["logits"][label] for label in first.classes] for row in results if "logits" in row]
    return Answers(
        np.array([[row["probabilities"][label] for label in first.classes] for row in results]),
        np.array(logits) if logits else None,
        [frozenset(row["labels"]) if multilabel else row["label"] for row in results],
        [frozenset(row.get("unsure_labels") or ()) if multilabel else row.get("unsure") for row in results],
    )


# What a mutant is.


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed graph, a changed manifest, or both; `what` says how it was made."""

    what: str
    model: bytes
    manifest: Manifest


def moved(first: Original, mutant: Mutant) -> str | None:
    """What the mutant answers otherwise than the original does; None if nothing. `opens` if it does not."""
    for body, before in zip(first.bodies, first.answers, strict=True):
        try:
            after = ask(first.manifest, mutant.manifest, mutant.model, body)
        except BundleRejected:
            return "opens"
        except (SigmaxError, KeyError):
            return "refuses"
        found = differs(first.manifest, before, after)
        if found:
            return found
    return None


def differs(manifest: Manifest, before: Answers, after: Answers) -> str | None:
    """Which part of the answers is another one, beyond the tolerance and where the decision is clear."""
    tolerance, decision = manifest.tolerance, manifest.decision
    if (np.abs(before.probabilities - after.probabilities) > tolerance).any():
        return "probability"
    if (before.logits is None) != (after.logits is None):
        return "logits"
    if before.logits is not None:
        allowed = tolerance * np.maximum(1.0, np.abs(before.logits))
        if (np.abs(before.logits - after.logits) > allowed).any():
            return "logits"
    rule = Rule(manifest, np.float64, decision.thresholds, decision.band)
    clear = (rule.margins(before.probabilities) > tolerance).tolist()
    for name in ("decided", "unsure"):
        pairs = zip(getattr(before, name), getattr(after, name), clear, strict=True)
        if any(mine != theirs and sure for mine, theirs, sure in pairs):
            return name
        if rule.banded:
            clear = (rule.band_margins(before.probabilities) > tolerance).tolist()
    return None


def refused(first: Original, mutant: Mutant, folder: Path) -> str | None:
    """Why the golden rows refuse a mutant; None if they do not."""
    folder.mkdir()
    files = {
        MODEL_FILE: mutant.model,
        GOLDEN_FILE: (first.path / GOLDEN_FILE).read_bytes(),
        EXAMPLE_FILE: first.content.example,
    }
    bundle.write(folder, mutant.manifest, files)
    try:
        proof.load(folder)
    except BundleRejected as error:
        return str(error)
    return None


# Mutants of a graph.

Graph = onnx.ModelProto


def graph_mutants(first: Original, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Changes of a graph, each with its name."""
    content = first.content.model

    def fresh() -> Graph:
        return onnx.load_from_string(content)

    floats = [index for index, tensor in enumerate(fresh().graph.initializer) if _is_float(tensor)]
    for size in ("typical", "-typical", "1e-3", "1e-6"):
        for _ in range(9):
            yield one_number(fresh(), int(rng.choice(floats)), size, rng)
    for tensor in floats:
        yield one_number(fresh(), tensor, "typical", rng)
        yield one_number(fresh(), tensor, "1e-3", rng)
        yield two_swapped(fresh(), tensor, rng)
    for index, other in enumerate(fresh().graph.initializer):
        if not _is_float(other) and numpy_helper.to_array(other).size > 1:
            yield two_swapped(fresh(), index, rng)
    yield rounded(fresh())
    yield from operations(fresh)
    yield from rewired(fresh)


def _is_float(tensor: TensorProto) -> bool:
    return tensor.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE)


def _replaced(model: Graph, index: int, values: np.ndarray) -> bytes:
    tensor = model.graph.initializer[index]
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return bytes(model.SerializeToString())


def one_number(model: Graph, index: int, size: str, rng: np.random.Generator) -> tuple[str, bytes]:
    """One parameter by a typical amount, or by a share of itself."""
    tensor = model.graph.initializer[index]
    values = numpy_helper.to_array(tensor).copy()
    place = int(rng.integers(values.size))
    typical = float(np.sqrt((values.astype(np.float64) ** 2).mean())) or 1.0
    steps = {"typical": typical, "-typical": -typical}
    old = float(values.ravel()[place])
    values.ravel()[place] += steps.get(size) or float(size) * (old or typical)
    return f"{tensor.name}[{place}] by {size}", _replaced(model, index, values)


def two_swapped(model: Graph, index: int, rng: np.random.Generator) -> tuple[str, bytes]:
    """Two rows of a parameter, or two numbers of one, in each other's place."""
    tensor = model.graph.initializer[index]
    values = numpy_helper.to_array(tensor).copy()
    axis = int(rng.integers(values.ndim))
    if values.shape[axis] < 2:
        axis = int(np.argmax(values.shape))
    size = values.shape[axis]
    one, other = rng.choice(size, 2, replace=False) if size > 1 else (0, 0)
    order = np.arange(size)
    order[[one, other]] = order[[other, one]]
    return f"{tensor.name}: {one} and {other} swapped", _replaced(model, index, values.take(order, axis))


def rounded(model: Graph) -> tuple[str, bytes]:
    """Every float64 parameter to float32 and back."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.DOUBLE:
            values = numpy_helper.to_array(tensor).astype(np.float32).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return "parameters rounded to float32", model.SerializeToString()


OTHER = {
    "Relu": ("Tanh", "Sigmoid", "Identity"),
    "Sigmoid": ("Softmax", "Identity", "Tanh"),
    "Softmax": ("Sigmoid", "Identity"),
    "Min": ("Max",),
    "Neg": ("Identity",),
    "Sub": ("Add",),
    "Log": ("Identity",),
    "Abs": ("Identity",),
    "Add": ("Sub",),
    "Exp": ("Identity",),
}


def operations(fresh: Callable[[], Graph]) -> Iterator[tuple[str, bytes]]:
    """Each node with another operation in it."""
    for index, node in enumerate(fresh().graph.node):
        for other in OTHER.get(node.op_type, ()):
            model = fresh()
            changed = model.graph.node[index]
            del changed.attribute[:]
            changed.op_type = other
            yield f"{node.op_type} as {other}", model.SerializeToString()


def rewired(fresh: Callable[[], Graph]) -> Iterator[tuple[str, bytes]]:
    """Outputs that come from elsewhere, and inputs of a node that changed places."""
    made = {output for node in fresh().graph.node for output in node.output}
    for index, node in enumerate(fresh().graph.node):
        if node.output[0] == LOGITS:
            for source in sorted(made - {node.input[0], LOGITS}):
                model = fresh()
                model.graph.node[index].input[0] = source
                yield f"logits from {source}", model.SerializeToString()
        if node.op_type in ("Sub", "Where", "Add"):
            model = fresh()
            inputs = list(node.input)
            inputs[-1], inputs[-2] = inputs[-2], inputs[-1]
            del model.graph.node[index].input[:]
            model.graph.node[index].input.extend(inputs)
            yield f"{node.name} the other way round", model.SerializeToString()


def in_float32(content: bytes) -> bytes:
    """The same graph, all of it in float32."""
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.DOUBLE:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return bytes(model.SerializeToString())


def relabelled(content: bytes) -> bytes:
    """The last two columns of the last layer in each other's place."""
    model = onnx.load_from_string(content)
    names = [tensor.name for tensor in model.graph.initializer]
    for name in ("table", "weights_0", "weights_1", "bias_0", "bias_1"):
        if name in names and not (name.endswith("_0") and "weights_1" in names):
            index = names.index(name)
            values = numpy_helper.to_array(model.graph.initializer[index])
            axis = 1 if name == "table" else 0
            order = [*range(values.shape[axis] - 2), values.shape[axis] - 1, values.shape[axis] - 2]
            _replaced(model, index, values.take(order, axis))
    return bytes(model.SerializeToString())


# Mutants of a manifest.

Change = Callable[[], Manifest]


def manifest_mutants(manifest: Manifest, rng: np.random.Generator) -> Iterator[tuple[str, Change]]:
    """Changes of a manifest, each with its name; not all of them make a manifest."""
    classes = manifest.classes
    yield (
        "last two classes swapped",
        partial(replace, manifest, classes=(*classes[:-2], classes[-1], classes[-2])),
    )
    yield "classes rotated", partial(replace, manifest, classes=(*classes[1:], classes[0]))
    yield "a class renamed", partial(renamed_class, manifest, classes[0], classes[0] + "\u200b")
    if manifest.task is not Task.MULTICLASS:
        yield from decision_mutants(manifest)
    for wider in (10.0, 1e3, 1e9):
        yield f"tolerance x {wider:g}", partial(wide, manifest, wider)
    yield from task_mutants(manifest)
    features = manifest.features
    for index, feature in enumerate(features):
        for what, other in feature_mutants(feature, rng):
            if len(features) <= 12 or rng.random() < 0.1:
                yield what, partial(with_feature, manifest, index, other)
    if len(features) > 1:
        yield from order_mutants(manifest, rng)
    for outputs in (("probabilities",), ("probabilities", LOGITS)):
        yield f"outputs {outputs}", partial(replace, manifest, graph=replace(manifest.graph, outputs=outputs))
    for dtype in FloatType:
        yield f"graph {dtype}", partial(replace, manifest, graph=replace(manifest.graph, dtype=dtype))


def wide(manifest: Manifest, factor: float) -> Manifest:
    """The same with a wider tolerance, no wider than a manifest may say."""
    return replace(manifest, tolerance=min(manifest.tolerance * factor, MAX_TOLERANCE))


def renamed_class(manifest: Manifest, label: str, name: str) -> Manifest:
    """One class with another name, wherever the manifest names it."""
    own = manifest.decision

    def renamed(by_label: Any) -> dict[str, Any]:
        return {name if key == label else key: value for key, value in by_label.items()}

    decision = replace(
        own,
        thresholds=renamed(own.thresholds),
        positive=name if own.positive == label else own.positive,
        band=renamed(own.band),
    )
    classes = tuple(name if one == label else one for one in manifest.classes)
    return replace(manifest, classes=classes, decision=decision)


def decision_mutants(manifest: Manifest) -> Iterator[tuple[str, Change]]:
    """Thresholds, bands and the positive class."""
    own = manifest.decision
    for label, threshold in own.thresholds.items():
        for step in (0.2, -0.2, 0.02, -0.02, 2e-3, -2e-3, 1e-4, 1e-6):
            moved_to = {**own.thresholds, label: min(max(threshold + step, 0.0), 1.0)}
            yield (
                f"threshold of {label} by {step:g}",
                partial(replace, manifest, decision=replace(own, thresholds=moved_to)),
            )
        if label in own.band:
            low, high = own.band[label]
            for bounds in ((low / 2, high), (low, (high + 1) / 2), (low + 1e-3, high), (low, high - 1e-3)):
                band = {**own.band, label: bounds}
                yield (
                    f"band of {label} {bounds}",
                    partial(replace, manifest, decision=replace(own, band=band)),
                )
        else:
            band = {**own.band, label: (threshold / 2, (threshold + 1) / 2)}
            yield f"a band of {label}", partial(replace, manifest, decision=replace(own, band=band))
    yield "no band", partial(replace, manifest, decision=replace(own, band={}))
    if own.positive is not None:
        other = next(label for label in manifest.classes if label != own.positive)
        for threshold in (own.thresholds[own.positive], 0.5, 0.9):
            turned = replace(own, thresholds={other: threshold}, positive=other, band={})
            yield f"positive above {threshold:g}", partial(replace, manifest, decision=turned)
    elif len(own.thresholds) > 1:
        turned_round = dict(zip(own.thresholds, reversed(list(own.thresholds.values())), strict=True))
        yield "thresholds swapped", partial(replace, manifest, decision=replace(own, thresholds=turned_round))


def task_mutants(manifest: Manifest) -> Iterator[tuple[str, Change]]:
    """Another head, another task with a decision of its kind."""
    for head in Head:
        yield f"head {head}", partial(replace, manifest, head=head)
    several = replace(manifest.decision, thresholds={}, positive=None, band={})
    yield (
        "one of several",
        partial(replace, manifest, task=Task.MULTICLASS, head=Head.SOFTMAX, decision=several),
    )
    each = replace(several, thresholds=dict.fromkeys(manifest.classes, 0.5))
    yield "any labels", partial(replace, manifest, task=Task.MULTILABEL, head=Head.SIGMOID, decision=each)


def with_feature(manifest: Manifest, index: int, feature: Callable[[], Feature]) -> Manifest:
    """The manifest with another block at one place."""
    features = list(manifest.features)
    features[index] = feature()
    return replace(manifest, features=tuple(features))


def feature_mutants(
    feature: Feature, rng: np.random.Generator
) -> Iterator[tuple[str, Callable[[], Feature]]]:
    """What one block might say instead."""
    name = feature.name
    yield f"{name} renamed", partial(replace, feature, name=name + " ")
    for missing in (other for other in Missing if other is not feature.missing):
        yield f"{name}: missing {missing}", partial(coded, feature, missing=missing)
    if feature.kind is Kind.CATEGORY:
        yield from category_mutants(feature, rng)
    elif feature.image is not None:
        yield from image_mutants(feature)
    else:
        for kind, dtype in ((Kind.NUMERIC, "float64"), (Kind.INTEGER, "int64"), (Kind.BOOLEAN, "bool")):
            if kind is not feature.kind:
                yield f"{name}: {kind}", partial(replace, feature, kind=kind, dtype=dtype)
        yield f"{name}: float32", partial(replace, feature, dtype="float32")


def coded(feature: Feature, **changes: Any) -> Feature:
    """The block with changes, and the range of the codes that it then has."""
    vocabulary = changes.get("vocabulary", feature.vocabulary)
    if vocabulary is None:
        return replace(feature, **changes)
    missing, unknown = changes.get("missing", feature.missing), changes.get("unknown", feature.unknown)
    count = len(vocabulary) + (missing is not Missing.REJECT) + (unknown is not Unknown.REJECT)
    return replace(feature, range=(0.0, float(count - 1)), **changes)


def category_mutants(
    feature: Feature, rng: np.random.Generator
) -> Iterator[tuple[str, Callable[[], Feature]]]:
    """Other vocabularies, and another meaning of what is not in them."""
    words = feature.vocabulary or ()
    one, other = rng.choice(len(words), 2, replace=False).tolist()
    swapped = list(words)
    swapped[one], swapped[other] = words[other], words[one]
    strange = "123" if feature.dtype == "int64" else "다른 곳"
    named = tuple(strange if index == one else word for index, word in enumerate(words))
    for what, vocabulary in {
        "swapped": tuple(swapped),
        "rotated": (*words[1:], words[0]),
        "renamed": named,
        "shortened": words[:-1],
        "extended": (*words, strange),
    }.items():
        yield f"{feature.name}: {what}", partial(coded, feature, vocabulary=vocabulary)
    for unknown in (other for other in Unknown if other is not feature.unknown):
        yield f"{feature.name}: unknown {unknown}", partial(coded, feature, unknown=unknown)
    yield (
        f"{feature.name}: missing and unknown swapped",
        partial(
            coded,
            feature,
            missing=Missing.REJECT if feature.missing is Missing.CATEGORY else Missing.CATEGORY,
            unknown=Unknown.REJECT if feature.unknown is Unknown.ZERO else Unknown.ZERO,
        ),
    )
    if feature.dtype == "int64":
        yield f"{feature.name}: texts", partial(replace, feature, dtype="string")


def image_mutants(feature: Feature) -> Iterator[tuple[str, Callable[[], Feature]]]:
    """Another way to read a picture."""
    image = feature.image
    assert image is not None
    changes: list[dict[str, Any]] = [{"colour": colour} for colour in Colour]
    changes += [{"resize": resize} for resize in Resize]
    changes += [{"scale": 1.0}, {"scale": image.scale / 2}, {"height": image.width * 2}]
    changes += [{"height": image.height * 2, "width": image.width // 2}]
    for change in changes:
        other = replace(image, **change)
        yield f"image {change}", partial(replace, feature, image=other, shape=other.shape)


def order_mutants(manifest: Manifest, rng: np.random.Generator) -> Iterator[tuple[str, Change]]:
    """Blocks, or their names alone, in each other's place."""
    features = manifest.features
    for _ in range(4):
        one, other = rng.choice(len(features), 2, replace=False).tolist()
        blocks = list(features)
        blocks[one], blocks[other] = features[other], features[one]
        yield "blocks swapped", partial(replace, manifest, features=tuple(blocks))
        named = list(features)
        named[one] = replace(features[one], name=features[other].name)
        named[other] = replace(features[other], name=features[one].name)
        yield "names swapped", partial(replace, manifest, features=tuple(named))


def mutants(first: Original, seed: int) -> Iterator[Mutant]:
    """Mutants of a graph, of a manifest, and of both at once."""
    rng = np.random.default_rng(seed)
    manifest, model = first.manifest, first.content.model
    graphs = list(graph_mutants(first, rng))
    for what, changed in graphs:
        yield Mutant(what, changed, manifest)
    for index in rng.choice(len(graphs), 12, replace=False).tolist():
        what, changed = graphs[index]
        yield Mutant(f"{what}, tolerance widened", changed, wide(manifest, 1e9))
    for what, change in manifest_mutants(manifest, rng):
        try:
            other = change()
        except BundleRejected:  # that is no manifest
            continue
        if other != manifest:
            yield Mutant(what, model, other)
    small = replace(wide(manifest, 1e9), graph=replace(manifest.graph, dtype=FloatType.FLOAT32))
    if manifest.graph.dtype is FloatType.FLOAT64:
        yield Mutant("all of it in float32", in_float32(model), small)
    yield Mutant("the last two classes of the graph swapped", relabelled(model), manifest)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Original]:
    """The versions that are mutated."""
    folder = tmp_path_factory.mktemp("mutants")
    return [original(job, folder / "models") for job in all_jobs(folder)]


def test_every_mutant_that_moves_an_answer_is_refused(originals: list[Original], tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    missed: list[str] = []

    for seed, first in enumerate(originals):
        for number, mutant in enumerate(mutants(first, seed)):
            how = moved(first, mutant)
            reason = refused(first, mutant, tmp_path / f"{seed}-{number}")
            counts["mutants"] += 1
            counts["moved"] += how is not None
            counts["refused"] += reason is not None
            if how is not None and reason is None:
                missed.append(f"{first.manifest.name}: {mutant.what} ({how})")

    report = f"{dict(counts)}; missed {len(missed)}: {missed[:40]}"
    assert missed == [], report
    assert counts["mutants"] >= 500, report
    assert counts["moved"] >= 300, report
