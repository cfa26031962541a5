"""The declarative job: what to train, on which data, judged how. One TOML file, one frozen object.

A job says nothing of where to publish. What depends on the data (do the classes exist?) is checked when
the data is there; everything else is checked here, and all mistakes of a file are reported together.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from sigmax.contract import NAME_PATTERN, Colour, FloatType, Head, Image, Resize
from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training.reading import Table

BUILTIN = ("breast_cancer", "digits", "iris", "wine")
PHOTOGRAPHS = "sample_photographs"
MAX_SIDE = 1024
"""Pixels a side of a picture as the model sees it: three channels of more would be millions of features."""

SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "saga")
AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Builtin:
    """A data set that ships with scikit-learn."""

    name: str


@dataclass(frozen=True, slots=True)
class Photographs:
    """Square patches cut from scikit-learn's two sample photographs, pixels in steps of `stride`."""

    colour: Colour
    size: int
    stride: int
    flips: bool


@dataclass(frozen=True, slots=True)
class Csv:
    """A CSV file with a header; every column but the target is a numeric feature."""

    path: Path
    target: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """PNG and JPEG files, each of which becomes one row of pixels.

    Attributes:
        images: a folder that holds a folder of files for each class; or a CSV file that lists them.
        size: height and width, to which every picture is resized.
        target: of a CSV file, the column that holds the class.
        image: of a CSV file, the column that holds the path, relative to the CSV file.
    """

    images: Path
    size: tuple[int, int]
    colour: Colour = Colour.RGB
    resize: Resize = Resize.BILINEAR
    flips: bool = False
    target: str | None = None
    image: str | None = None

    @property
    def block(self) -> Image:
        """How a picture becomes the numbers of the model's one image block."""
        height, width = self.size
        return Image(self.colour, "CHW", height, width, self.resize, scale=1 / 255)


Data = Builtin | Photographs | Csv | Pictures


@dataclass(frozen=True, slots=True)
class Decision:
    """Classes in column order and the positive one; None where the data set's own choice stands."""

    classes: tuple[str, ...] | None = None
    positive: str | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression with an L2 penalty of 1/C, as scikit-learn defines it."""

    C: float = 1.0
    solver: str = "lbfgs"
    max_iter: int = 1000
    tol: float = 1e-6


@dataclass(frozen=True, slots=True)
class Perceptron:
    """A multi-layer perceptron with ReLU between its layers, trained by Adam."""

    hidden: tuple[int, ...] = (64,)
    alpha: float = 1e-4
    learning_rate: float = 1e-3
    batch_size: int = 200
    max_iter: int = 500
    tol: float = 1e-4


Estimator = Logistic | Perceptron


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How quality is measured: repeated stratified folds, or each group of the data once (`by_group`)."""

    by_group: bool = False
    folds: int = 10
    repeats: int = 3
    test_fraction: float = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """One job; `dtype` and `head` are None where the rules of the export choose."""

    name: str
    data: Data
    estimator: Estimator = field(default_factory=Logistic)
    standardise: bool = True
    decision: Decision = field(default_factory=Decision)
    head: Head | None = None
    dtype: FloatType | None = None
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = 0


def read(path: Path) -> Job:
    """Read a job file; a relative path of its data is relative to the file.

    Raises:
        InvalidInput: naming everything that is wrong with the file.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"the job cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the job is not UTF-8 (byte {error.start})") from error
    return parse(text, path.parent)


def parse(text: str, folder: Path) -> Job:
    """Read a job from TOML.

    Raises:
        InvalidInput: naming everything that is wrong with it.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the job is not TOML: {error}") from error
    problems: list[str] = []
    job = _job(Table(document, "", problems), folder)
    if problems:
        raise InvalidInput(listed(problems))
    return job


def _job(table: Table, folder: Path) -> Job:
    name = table.text("name")
    if name and not NAME_PATTERN.fullmatch(name):
        table.problem("name", f"is 1 to 64 of a-z, 0-9, '_' and '-', not {quoted(name)}")
    model = table.table("estimator")
    job = Job(
        name=name,
        seed=table.integer("seed", 0, low=0),
        data=_data(table.table("data"), folder),
        standardise=model.flag("standardise", fallback=True),
        estimator=_estimator(model),
        decision=_decision(table.table("decision")),
        head=_head(table),
        dtype=_dtype(table),
        evaluation=_evaluation(table.table("evaluation")),
    )
    table.close()
    return job


def _data(table: Table, folder: Path) -> Data:
    sources = [key for key in ("images", "path", "builtin") if key in table]
    if len(sources) != 1:
        table.problem("builtin", "or path or images: exactly one of them says where the rows are")
        for key in sources[1:]:
            table.text(key)
    data: Data
    if "images" in table:
        data = _pictures(table, folder / table.text("images"))
    elif "path" in table:
        path, target = folder / table.text("path"), table.text("target")
        listed_too = "image" in table
        data = _pictures(table, path, target, table.text("image")) if listed_too else Csv(path, target)
    else:
        name = table.choice("builtin", (*BUILTIN, PHOTOGRAPHS), BUILTIN[0])
        data = _photographs(table) if name == PHOTOGRAPHS else Builtin(name)
    table.close()
    return data


def _photographs(table: Table) -> Photographs:
    return Photographs(
        colour=Colour(table.choice("colour", [mode.value for mode in Colour], Colour.HSV.value)),
        size=table.integer("size", 100, low=1, high=160),
        stride=table.integer("stride", 20, low=1, high=160),
        flips=table.flag("flips", fallback=True),
    )


def _pictures(table: Table, path: Path, target: str | None = None, image: str | None = None) -> Pictures:
    return Pictures(
        images=path,
        size=table.sides("size", MAX_SIDE),
        colour=Colour(table.choice("colour", [mode.value for mode in Colour], Colour.RGB.value)),
        resize=Resize(table.choice("resize", [name.value for name in Resize], Resize.BILINEAR.value)),
        flips=table.flag("flips", fallback=False),
        target=target,
        image=image,
    )


def _estimator(table: Table) -> Estimator:
    kind = table.choice("kind", ("logistic_regression", "mlp"), "logistic_regression")
    estimator = _perceptron(table) if kind == "mlp" else _logistic(table)
    table.close()
    return estimator


def _logistic(table: Table) -> Estimator:
    default = Logistic()
    return Logistic(
        C=table.number("C", default.C),
        solver=table.choice("solver", SOLVERS, default.solver),
        max_iter=table.integer("max_iter", default.max_iter, low=1),
        tol=table.number("tol", default.tol),
    )


def _perceptron(table: Table) -> Estimator:
    default = Perceptron()
    return Perceptron(
        hidden=table.integers("hidden", default.hidden),
        alpha=table.number("alpha", default.alpha),
        learning_rate=table.number("learning_rate", default.learning_rate),
        batch_size=table.integer("batch_size", default.batch_size, low=1),
        max_iter=table.integer("max_iter", default.max_iter, low=1),
        tol=table.number("tol", default.tol),
    )


def _decision(table: Table) -> Decision:
    threshold = table.number("threshold", 0.5, high=1.0)
    decision = Decision(
        classes=table.labels("classes"),
        positive=table.label("positive"),
        threshold=threshold if "threshold" in table else None,
    )
    table.close()
    if decision.classes and decision.positive and decision.positive not in decision.classes:
        table.problem("positive", f"is one of decision.classes, not {quoted(decision.positive)}")
    return decision


def _head(table: Table) -> Head | None:
    known = (AUTOMATIC, Head.SIGMOID.value, Head.SOFTMAX.value)
    choice = table.choice("head", known, AUTOMATIC)
    return None if choice == AUTOMATIC else Head(choice)


def _dtype(table: Table) -> FloatType | None:
    known = (AUTOMATIC, *(kind.value for kind in FloatType))
    choice = table.choice("dtype", known, AUTOMATIC)
    return None if choice == AUTOMATIC else FloatType(choice)


def _evaluation(table: Table) -> Evaluation:
    default = Evaluation()
    evaluation = Evaluation(
        by_group=table.flag("by_group", default.by_group),
        folds=table.integer("folds", default.folds, low=2),
        repeats=table.integer("repeats", default.repeats, low=1),
        test_fraction=table.number("test_fraction", default.test_fraction, high=1.0),
    )
    if evaluation.by_group and ("folds" in table or "repeats" in table):
        table.problem("by_group", "folds each group once: folds and repeats have no meaning beside it")
    table.close()
    return evaluation
