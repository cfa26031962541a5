"""The declarative job: what to train, on which data, judged how. One TOML file, one frozen object.

A job says nothing of where to publish. What depends on the data (do the classes exist?) is checked when
the data is there; everything else is checked here, and all mistakes of a file are reported together.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from sigmax.contract import NAME_PATTERN, Colour, FloatType, Head
from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training.reading import Table

BUILTIN = ("breast_cancer", "digits", "iris", "wine")
PHOTOGRAPHS = "sample_photographs"
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


Data = Builtin | Photographs | Csv


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
    if ("builtin" in table) == ("path" in table):
        table.problem("builtin", "or data.path: exactly one of them says where the rows are")
    data: Data
    if "path" in table:
        data = Csv(folder / table.text("path"), table.text("target"))
        if "builtin" in table:
            table.text("builtin")
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
