"""The manifest: the one truth about a published model, for the trainer, the service and every door.

Standard library only. Reading is strict (an unknown key or a greater format is refused), so that a
service never half-understands a bundle. What the numbers in the graph are is not known here.
"""

from __future__ import annotations

import json
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from sigmax.errors import BundleRejected, nearest, quoted

FORMAT = 2
"""The manifest format that this code writes; every lower one stays readable.

Format 2 brought kinds beside numbers and images, missing values, bands, logits and the graph's layers.
"""

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Model names: safe as a path segment, a URL segment and a metric label."""

VERSION_PATTERN = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
"""Versions as folders are named: numbers without leading zeros."""

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
LABELS_FILE = "labels.json"
GOLDEN_FILE = "golden.json"
EXAMPLE_FILE = "example.json"

HISTORY_FILE = "history.json"

INPUT = "features"
OUTPUT = "probabilities"
LOGITS = "logits"

MAX_TOLERANCE = 1e-4
"""A proof that lets probabilities differ by more proves nothing."""

MAX_FEATURES = 10_000_000
MAX_CLASSES = 100_000
MAX_CATEGORIES = 1_000_000


class Task(StrEnum):
    """What is asked: one of two classes, one of several, or any subset of labels."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"


class Head(StrEnum):
    """How logits become probabilities."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    ONE_VS_REST = "one_vs_rest"


class Kind(StrEnum):
    """What a feature block holds."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    CATEGORY = "category"
    IMAGE = "image"


class Missing(StrEnum):
    """What a missing value of a feature means.

    `reject`: an error. `impute`: the graph puts a number in its place. `category`: a category of its own.
    `native`: the estimator itself was fitted on missing values.
    """

    REJECT = "reject"
    IMPUTE = "impute"
    CATEGORY = "category"
    NATIVE = "native"


class Unknown(StrEnum):
    """What a category that is not in the vocabulary means.

    `reject`: an error. `zero`: none of the categories, so it adds nothing to any logit. `native`: what the
    estimator itself makes of it.
    """

    REJECT = "reject"
    ZERO = "zero"
    NATIVE = "native"


class Colour(StrEnum):
    """The colour mode of an image block, named as Pillow names it in lower case."""

    RGB = "rgb"
    HSV = "hsv"
    GREY = "grey"


class Resize(StrEnum):
    """The filter that resizes a picture to an image block, named as Pillow names it in lower case."""

    NEAREST = "nearest"
    BOX = "box"
    BILINEAR = "bilinear"
    HAMMING = "hamming"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class FloatType(StrEnum):
    """The element type of a graph's input and output."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


HEADS = {
    Task.BINARY: (Head.SIGMOID, Head.SOFTMAX),
    Task.MULTICLASS: (Head.SOFTMAX, Head.ONE_VS_REST),
    Task.MULTILABEL: (Head.SIGMOID,),
}
CHANNELS = {Colour.RGB: 3, Colour.HSV: 3, Colour.GREY: 1}


@dataclass(frozen=True, slots=True)
class Image:
    """How pixels of a picture become the numbers of an image block (always laid out CHW)."""

    colour: Colour
    layout: str
    height: int
    width: int
    resize: Resize
    scale: float

    def __post_init__(self) -> None:
        _require(self.layout == "CHW", f"an image is laid out 'CHW', not {quoted(self.layout)}")
        _require(self.height > 0 and self.width > 0, "an image has a height and a width of at least 1 pixel")
        _require(math.isfinite(self.scale) and self.scale > 0, "an image's scale is a positive number")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (CHANNELS[self.colour], self.height, self.width)


DTYPES = {
    Kind.NUMERIC: ("float64", "float32"),
    Kind.BOOLEAN: ("bool",),
    Kind.INTEGER: ("int64",),
    Kind.CATEGORY: ("string", "int64", "bool"),
    Kind.IMAGE: ("uint8",),
}
"""What a caller sends for a block of each kind; the graph computes in a type of its own."""

_MISSING = {
    Kind.CATEGORY: (Missing.REJECT, Missing.CATEGORY, Missing.NATIVE),
    Kind.IMAGE: (Missing.REJECT,),
}
_MISSING_NUMBERS = (Missing.REJECT, Missing.IMPUTE, Missing.NATIVE)


@dataclass(frozen=True, slots=True)
class Feature:
    """One named block of the input: a number or a category (shape `()`), or an image (shape CHW).

    A category enters the features matrix as a code: its position in the vocabulary; behind the vocabulary
    one code for a missing value, where that is allowed, and behind it one for an unknown category, where
    that is. A missing number enters as NaN, where it is allowed.

    Attributes:
        dtype: what a caller sends.
        range: the lowest and the highest value of the training data; of a category its codes.
        missing: what a missing value means.
        image: of an image block, how pixels become numbers.
        vocabulary: of a category block, the canonical texts of its categories: NFC, and none of them empty,
            since an empty text is a missing value.
        unknown: of a category block, what any other text means.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    dtype: str
    range: tuple[float, float]
    missing: Missing = Missing.REJECT
    image: Image | None = None
    vocabulary: tuple[str, ...] | None = None
    unknown: Unknown | None = None

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise BundleRejected(f"feature {quoted(self.name)}: {problem}" if self.name else problem)

    def _problems(self) -> Iterator[str]:
        """What is wrong, put into words only where it is: a table has many features."""
        known, types = _MISSING.get(self.kind, _MISSING_NUMBERS), DTYPES[self.kind]
        pictured, listed = self.kind is Kind.IMAGE, self.kind is Kind.CATEGORY
        shape = self.image.shape if self.image else ()
        if self.name == "":
            yield "a feature has a name"
        if not self.range[0] <= self.range[1]:
            yield "its range runs backwards"
        if self.missing not in known:
            yield f"missing '{self.missing}' is not for {self.kind} blocks"
        if self.dtype not in types:
            yield f"dtype is one of {', '.join(types)}, not {quoted(self.dtype)}"
        if (self.image is not None) != pictured:
            yield "'image' belongs to image blocks, and there"
        if (self.vocabulary is not None) != listed:
            yield "'vocabulary' belongs to category blocks"
        if (self.unknown is not None) != listed:
            yield "'unknown' belongs to category blocks"
        if self.shape != shape:
            yield f"shape {list(self.shape)}, expected {list(shape)}"
        if self.vocabulary is not None:
            yield from self._problems_of_codes(self.vocabulary)

    def _problems_of_codes(self, vocabulary: tuple[str, ...]) -> Iterator[str]:
        yield from _problems_of_vocabulary(vocabulary, self.dtype)
        codes = (0.0, float(self.n_codes - 1))
        if self.range != codes:
            yield f"range {list(self.range)}, its codes are {list(codes)}"

    @property
    def size(self) -> int:
        """How many columns of the features matrix this block takes."""
        return math.prod(self.shape)

    def encoding(self) -> dict[str, Any]:
        """How a value becomes numbers, as plain JSON values: all of the block but its name and range."""
        return {name: value for name, value in _plain(self).items() if name not in ("name", "range")}

    @property
    def n_codes(self) -> int:
        """How many codes a category block has: its vocabulary, missing, unknown."""
        known = len(self.vocabulary or ())
        return known + (self.missing_code is not None) + (self.unknown_code is not None)

    @property
    def missing_code(self) -> int | None:
        """The code of a missing category; None where it is an error."""
        return None if self.missing is Missing.REJECT else len(self.vocabulary or ())

    @property
    def unknown_code(self) -> int | None:
        """The code of an unknown category; None where it is an error."""
        if self.unknown in (None, Unknown.REJECT):
            return None
        return len(self.vocabulary or ()) + (self.missing_code is not None)


def _problems_of_vocabulary(vocabulary: tuple[str, ...], dtype: str) -> Iterator[str]:
    if not 0 < len(vocabulary) <= MAX_CATEGORIES:
        yield f"1 to {MAX_CATEGORIES} categories"
    if len(set(vocabulary)) != len(vocabulary):
        yield "each category is named once"
    if "" in vocabulary:
        yield "an empty text is a missing value and no category"
    for text in vocabulary:
        if not unicodedata.is_normalized("NFC", text):
            yield f"category {quoted(text)} is not in NFC"
    if dtype == "int64" and not all(map(_is_int64, vocabulary)):
        yield "categories of int64 are integers in decimal, of 64 bits at most"
    if dtype == "bool" and not set(vocabulary) <= {"true", "false"}:
        yield "categories of bool are 'true' and 'false'"


def _is_int64(text: str) -> bool:
    decimal = re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text) is not None
    return decimal and -(2**63) <= int(text) < 2**63


@dataclass(frozen=True, slots=True)
class Decision:
    """How probabilities become classes.

    Attributes:
        thresholds: by label, the probability that must be exceeded: for the positive class of a
            binary model, for every label of a multilabel model, for none of a multiclass model.
        positive: the positive class of a binary model, else None.
        band: by label, for any label that has a threshold, the bounds (low, high) between which nobody should
            rely on the decision: a row is unsure when low < probability <= high.
    """

    thresholds: Mapping[str, float]
    positive: str | None = None
    band: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the graph, for people.

    Attributes:
        kind: what it does, for instance `dense`, `relu` or `softmax`.
        inputs: how many numbers a row has before it.
        outputs: how many numbers a row has behind it.
        parameters: how many numbers of it were learnt.
    """

    kind: str
    inputs: int
    outputs: int
    parameters: int = 0

    def __post_init__(self) -> None:
        least = min(self.inputs, self.outputs, self.parameters)
        _require(least >= 0, f"layer {quoted(self.kind)}: its sizes are not negative")


@dataclass(frozen=True, slots=True)
class Graph:
    """What the ONNX file promises about itself, and what it is made of."""

    opset: int
    ir_version: int
    input: str
    outputs: tuple[str, ...]
    dtype: FloatType
    layers: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        _require(self.input == INPUT, f"the graph's input is {INPUT!r}, not {quoted(self.input)}")
        known = ((OUTPUT,), (OUTPUT, LOGITS))
        expected = f"{OUTPUT!r}, or that and {LOGITS!r}"
        _require(self.outputs in known, f"the graph's outputs are {expected}, not {list(self.outputs)}")

    @property
    def parameters(self) -> int:
        """How many numbers were learnt, over all layers."""
        return sum(layer.parameters for layer in self.layers)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size in bytes and SHA-256 in hexadecimal of one file of the bundle."""

    size: int
    sha256: str

    def __post_init__(self) -> None:
        _require(self.size >= 0, "a file's size is not negative")
        _require(re.fullmatch(r"[0-9a-f]{64}", self.sha256) is not None, "a sha256 is 64 hexadecimal digits")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One published version of one model.

    Attributes:
        classes: labels in column order.
        tolerance: how far a served probability may be from the estimator's, absolute.
        metrics: measured quality by name, such as `test_accuracy`.
        fingerprint: digest of job, data and trainer versions; the same fingerprint is the same model.
        provenance: where the model comes from, for people.
        files: every other file of the bundle.
    """

    name: str
    version: int
    task: Task
    head: Head
    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    decision: Decision
    graph: Graph
    tolerance: float
    metrics: Mapping[str, float]
    fingerprint: str
    provenance: Mapping[str, str]
    files: Mapping[str, FileEntry]
    format: int = FORMAT

    def __post_init__(self) -> None:
        _require(
            1 <= self.format <= FORMAT, f"manifest format {self.format}, this version reads 1 to {FORMAT}"
        )
        check_name(self.name)
        _require(self.version >= 1, "a version is a positive integer")
        _require(self.head in HEADS[self.task], f"a {self.task} model cannot have a {self.head} head")
        _require(0 < self.tolerance <= MAX_TOLERANCE, f"the tolerance is above 0, at most {MAX_TOLERANCE:g}")
        _check_classes(self)
        _check_features(self.features)
        _check_decision(self)
        _require(self.format > 1 or not _newer(self), "manifest format 1 has nothing that format 2 brought")

    @property
    def n_features(self) -> int:
        """The width of the features matrix."""
        return sum(feature.size for feature in self.features)

    @property
    def image(self) -> Image | None:
        """How a picture fills a whole row; None where there is more, or something else, to fill."""
        return self.features[0].image if len(self.features) == 1 else None

    @property
    def positive_column(self) -> int:
        """The column of the positive class; only binary models have one."""
        if self.decision.positive is None:
            raise ValueError("only a binary model has a positive class")
        return self.classes.index(self.decision.positive)

    def to_json(self) -> bytes:
        """Write the manifest: UTF-8, two spaces, keys in the order of this class."""
        text = json.dumps(_plain(self), ensure_ascii=False, indent=2, allow_nan=False)
        return (text + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            BundleRejected: not JSON, a greater format, an unknown or missing key, or a value that
                contradicts another.
        """
        document = parse_json(data, "the manifest")
        found = document.get("format")
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise BundleRejected("the manifest has no 'format' number")
        if found > FORMAT:
            raise BundleRejected(
                f"manifest format {found} is newer than {FORMAT}, the newest that this version reads"
            )
        return _manifest(document, "manifest")


def check_name(name: str) -> None:
    """Refuse a model name that is not lower-case letters, digits, '_' and '-', 64 at most."""
    _require(
        NAME_PATTERN.fullmatch(name) is not None,
        f"model name {quoted(name)}: use 1 to 64 of a-z, 0-9, '_' and '-', starting with a letter or digit",
    )


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object of a bundle strictly: no NaN, no key twice, no half of a surrogate pair.

    Raises:
        BundleRejected: saying what is wrong with `what`.
    """
    try:
        document = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
        if b"\\u" in data:
            json.dumps(document, ensure_ascii=False).encode()  # half a pair cannot be sent to anybody
    except (ValueError, RecursionError) as error:
        raise BundleRejected(f"{what} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleRejected(f"{what} is not a JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key stands twice")
    return document


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise BundleRejected(problem)


def _check_classes(manifest: Manifest) -> None:
    count = len(manifest.classes)
    _require(all(label != "" for label in manifest.classes), "a class has a label that is not empty")
    _require(len(set(manifest.classes)) == count, "each class is named once")
    least = 1 if manifest.task is Task.MULTILABEL else 2
    _require(
        least <= count <= MAX_CLASSES, f"a {manifest.task} model has at least {least} classes, not {count}"
    )
    if manifest.task is Task.BINARY:
        _require(count == 2, f"a binary model has 2 classes, not {count}")


def _newer(manifest: Manifest) -> bool:
    """Whether something in it came with format 2, which golden rows of format 1 are no witness of."""
    known = all(
        feature.kind in (Kind.NUMERIC, Kind.IMAGE) and feature.missing is Missing.REJECT
        for feature in manifest.features
    )
    graph = manifest.graph
    return not known or bool(manifest.decision.band or graph.layers or LOGITS in graph.outputs)


def _check_features(features: Sequence[Feature]) -> None:
    _require(len(features) > 0, "a model has at least one feature")
    _require(len({feature.name for feature in features}) == len(features), "each feature is named once")
    _require(sum(feature.size for feature in features) <= MAX_FEATURES, f"more than {MAX_FEATURES} features")


def _check_decision(manifest: Manifest) -> None:
    decision, task = manifest.decision, manifest.task
    if task is Task.BINARY:
        _require(decision.positive in manifest.classes, "the positive class is one of the classes")
        expected = {str(decision.positive)}
    else:
        _require(decision.positive is None, "only a binary model has a positive class")
        expected = set(manifest.classes) if task is Task.MULTILABEL else set()
    _require(set(decision.thresholds) == expected, f"thresholds are for {sorted(expected)}")
    for label, threshold in decision.thresholds.items():
        _require(0 <= threshold <= 1, f"the threshold of {quoted(label)} is between 0 and 1")
    for label, (low, high) in decision.band.items():
        _require(label in decision.thresholds, f"a band is for a label with a threshold, not {quoted(label)}")
        inside = 0 <= low <= decision.thresholds[label] <= high <= 1 and low < high
        _require(inside, f"the band of {quoted(label)} is two numbers of 0 to 1 around its threshold")


# Writing: dataclasses to plain JSON values; None is left out.


def _plain(value: Any) -> Any:
    if isinstance(value, Manifest):
        body = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"format": body.pop("format"), **body}
    if isinstance(value, Feature | Image | Decision | Graph | Layer | FileEntry):
        pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(item) for name, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value


# Reading: one small reader a type, each of which names the key that it could not read.

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader = Callable[[Any, str], T]


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise BundleRejected(f"{key} is a text, not {quoted(value)}")
    return value


def _integer(value: Any, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BundleRejected(f"{key} is an integer, not {quoted(value)}")
    return value


def _number(value: Any, key: str) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not abs(value) <= sys.float_info.max:
        raise BundleRejected(f"{key} is a number, not {quoted(value)}")
    return float(value)


def _enum(kind: type[E]) -> Reader[E]:
    known: dict[str, E] = {member.value: member for member in kind}

    def read(value: Any, key: str) -> E:
        found = known.get(value) if isinstance(value, str) else None
        if found is None:
            raise BundleRejected(f"{key} is one of {', '.join(known)}, not {quoted(value)}")
        return found

    return read


def _list(item: Reader[T]) -> Reader[tuple[T, ...]]:
    def read(value: Any, key: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise BundleRejected(f"{key} is a list")
        return tuple(item(entry, f"{key}[{index}]") for index, entry in enumerate(value))

    return read


def _mapping(item: Reader[T]) -> Reader[dict[str, T]]:
    def read(value: Any, key: str) -> dict[str, T]:
        _require(isinstance(value, dict), f"{key} is an object")
        return {name: item(entry, f"{key}.{name}") for name, entry in value.items()}

    return read


def _object(kind: type[T], readers: Mapping[str, Reader[Any]], optional: tuple[str, ...] = ()) -> Reader[T]:
    """A reader of one dataclass: every key known, every key there but the optional ones."""

    def read(value: Any, key: str) -> T:
        _require(isinstance(value, dict), f"{key} is an object")
        for name in value:
            if name not in readers:  # asked first: finding the nearest one costs more than all the reading
                raise BundleRejected(f"{key}: unknown key {quoted(name)}{nearest(name, readers)}")
        for name in readers:
            if name not in value and name not in optional:
                raise BundleRejected(f"{key}: {name!r} is missing")
        return kind(**{name: readers[name](entry, f"{key}.{name}") for name, entry in value.items()})

    return read


def _range(value: Any, key: str) -> tuple[float, float]:
    bounds = _list(_number)(value, key)
    _require(len(bounds) == 2, f"{key} is [lowest, highest]")
    return (bounds[0], bounds[1])


_image = _object(
    Image,
    {
        "colour": _enum(Colour),
        "layout": _text,
        "height": _integer,
        "width": _integer,
        "resize": _enum(Resize),
        "scale": _number,
    },
)
_feature = _object(
    Feature,
    {
        "name": _text,
        "kind": _enum(Kind),
        "shape": _list(_integer),
        "dtype": _text,
        "range": _range,
        "missing": _enum(Missing),
        "image": _image,
        "vocabulary": _list(_text),
        "unknown": _enum(Unknown),
    },
    optional=("image", "vocabulary", "unknown"),
)
_decision = _object(
    Decision,
    {"positive": _text, "thresholds": _mapping(_number), "band": _mapping(_range)},
    optional=("positive", "band"),
)
_layer = _object(Layer, {"kind": _text, "inputs": _integer, "outputs": _integer, "parameters": _integer})
_graph = _object(
    Graph,
    {
        "opset": _integer,
        "ir_version": _integer,
        "input": _text,
        "outputs": _list(_text),
        "dtype": _enum(FloatType),
        "layers": _list(_layer),
    },
    optional=("layers",),
)
_file = _object(FileEntry, {"size": _integer, "sha256": _text})
_manifest = _object(
    Manifest,
    {
        "format": _integer,
        "name": _text,
        "version": _integer,
        "task": _enum(Task),
        "head": _enum(Head),
        "features": _list(_feature),
        "classes": _list(_text),
        "decision": _decision,
        "graph": _graph,
        "tolerance": _number,
        "metrics": _mapping(_number),
        "fingerprint": _text,
        "provenance": _mapping(_text),
        "files": _mapping(_file),
    },
)
