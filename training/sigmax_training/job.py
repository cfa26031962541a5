"""The declarative job: what to train, on which data, judged how. One TOML file, one frozen object.

A job says nothing of where to publish. What depends on the data (do the classes exist?) is checked when
the data is there; everything else is checked here, and all mistakes of a file are reported together.
"""

from __future__ import annotations

import codecs
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from encodings.aliases import aliases
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, cast, get_args

from sigmax.contract import NAME_PATTERN, Colour, FloatType, Head, Image, Kind, Resize, Task, Unknown
from sigmax.errors import InvalidInput, nearest, quoted
from sigmax_training.overrides import Override, applied
from sigmax_training.reading import Table
from sigmax_training.tuning import Cost, FBeta, Objective, RecallAtPrecision

BUILTIN = ("breast_cancer", "digit_traits", "digits", "iris", "wine")
PHOTOGRAPHS, REGIONS = "sample_photographs", "sample_regions"
MAX_SIDE = 1024
"""Pixels a side of a picture as the model sees it: three channels of more would be millions of features."""

AUTOMATIC = "automatic"
LOGISTIC, MLP = "logistic_regression", "mlp"
NO_PENALTY, L1, L2, ELASTIC_NET = "none", "l1", "l2", "elastic_net"
SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "saga")
PENALTIES = {L2: SOLVERS, NO_PENALTY: SOLVERS, L1: ("saga",), ELASTIC_NET: ("saga",)}
"""Which solvers minimise which penalty."""
Activation = Literal["relu", "tanh", "logistic", "identity"]
Optimiser = Literal["adam", "sgd"]
BALANCED = "balanced"
REJECT, OWN_CATEGORY, CONSTANT = "reject", "category", "constant"
IMPUTATIONS = ("mean", "median", "most_frequent", CONSTANT)


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
class Regions:
    """Square patches of the same photographs by what they show: the pagoda, the blossom, or neither."""

    colour: Colour
    size: int
    stride: int
    flips: bool


@dataclass(frozen=True, slots=True)
class Column:
    """What a job says of one column, or of all of them; None where the data or the default decides.

    Attributes:
        kind: what the column holds.
        missing: `reject`, `category` (categories only) or how a number is imputed.
        fill: the number that `constant` puts in place of a missing one.
        unknown: what a category means that the training data does not have.
    """

    kind: Kind | None = None
    missing: str | None = None
    fill: float | None = None
    unknown: Unknown | None = None


class Format(StrEnum):
    """What the files of a table are."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: what stands between cells; None for a comma, or a tab where the file ends in `.tsv`.
        quote: what a cell is put into that has a delimiter in it; empty for nothing.
        encoding: as Python names it; a byte-order mark of UTF-8 is no part of the first cell.
        decimal: the sign before the fraction of a number.
    """

    delimiter: str | None = None
    quote: str = '"'
    encoding: str = "utf-8"
    decimal: str = "."


@dataclass(frozen=True, slots=True)
class Tabular:
    """A table; every column that is neither target, key nor ignored is a feature.

    Attributes:
        paths: its files, or folders that stand for the files in them; none where the caller hands the rows.
        targets: one column that holds the class (or several labels, with a separator), or for a
            multi-label model one column of yes and no a label.
        separator: what stands between the labels of one cell; None if a cell holds one class.
        ignore: columns that are no features.
        missing_values: the cells that mean a missing value, beside empty ones.
        default: what holds for every column that `columns` does not name.
        columns: what holds for single columns.
        format: what the files are; None to tell by their endings.
        dialect: of CSV files.
        stream: the rows are read again in every epoch instead of being held.
        buffer: of a stream, how many rows are shuffled among each other.
    """

    paths: tuple[Path, ...]
    targets: tuple[str, ...]
    separator: str | None = None
    ignore: tuple[str, ...] = ()
    missing_values: tuple[str, ...] = ()
    default: Column = Column()
    columns: Mapping[str, Column] = field(default_factory=dict)
    format: Format | None = None
    dialect: Dialect = Dialect()
    stream: bool = False
    buffer: int = 65_536


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


Data = Builtin | Photographs | Regions | Tabular | Pictures


@dataclass(frozen=True, slots=True)
class Decision:
    """Classes in column order and the positive one; None where the data set's own choice stands.

    Attributes:
        threshold: a number, or numbers by label (multi-label).
        tune: how thresholds are chosen on validation rows instead.
        band: half the width of the band around a threshold, or its bounds; by label or for all of them.
    """

    classes: tuple[str, ...] | None = None
    positive: str | None = None
    threshold: float | Mapping[str, float] | None = None
    tune: Objective | None = None
    band: float | tuple[float, float] | Mapping[str, float | tuple[float, float]] | None = None


ClassWeight = Mapping[str, float] | str | None
"""By label, `balanced`, or None: every row counts the same."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression to its exact optimum; C is the inverse of the penalty, as in scikit-learn."""

    penalty: str = L2
    C: float = 1.0
    l1_ratio: float = 0.5
    solver: str = "lbfgs"
    max_iter: int = 1000
    tol: float = 1e-6
    class_weight: ClassWeight = None


@dataclass(frozen=True, slots=True)
class Perceptron:
    """Layers trained by mini-batches until validation rows get no better; no hidden one is a regression."""

    hidden: tuple[int, ...] = (64,)
    activation: Activation = "relu"
    optimiser: Optimiser = "adam"
    learning_rate: float = 5e-3
    momentum: float = 0.9
    batch_size: int = 32
    epochs: int = 200
    early_stopping: bool = True
    patience: int = 10
    alpha: float = 1e-2
    class_weight: ClassWeight = None


Estimator = Logistic | Perceptron


class Calibration(StrEnum):
    """How probabilities are put right on validation rows."""

    NONE = "none"
    TEMPERATURE = "temperature"
    PLATT = "platt"


class Splitting(StrEnum):
    """What decides on which side of a split a row is."""

    STRATIFIED = "stratified"
    GROUP = "group"
    TIME = "time"
    HASH = "hash"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How quality is measured.

    Attributes:
        split: what decides which rows are judged.
        key: of a table, the column that holds each row's group, time or key; None for `stratified`.
        folds: how many; of `time` how many blocks, the first of which is not judged.
        repeats: how many times the folds are drawn; without meaning beside `time`.
        test_fraction: the share of the rows that the published model is not fitted on.
    """

    split: Splitting = Splitting.STRATIFIED
    key: str | None = None
    folds: int = 10
    repeats: int = 3
    test_fraction: float = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """One job; `dtype` and `head` are None where the rules of the export choose.

    Attributes:
        logits: the graph gives the scores before the head, too.
        validation: the share of the training rows that early stopping, calibration and tuned thresholds
            look at and that no weight is fitted on; without any of the three every training row is fitted on.
    """

    name: str
    data: Data
    estimator: Estimator = field(default_factory=Logistic)
    standardise: bool = True
    calibration: Calibration = Calibration.NONE
    decision: Decision = field(default_factory=Decision)
    head: Head | None = None
    dtype: FloatType | None = None
    logits: bool = False
    validation: float = 0.15
    evaluation: Evaluation = field(default_factory=Evaluation)
    seed: int = 0

    def head_for(self, task: Task) -> Head:
        """What turns the estimator's logits into probabilities: the job's word, else the task's usual one."""
        return self.head or (Head.SOFTMAX if task is Task.MULTICLASS else Head.SIGMOID)

    def served_head(self, task: Task) -> Head:
        """The head of the published graph: Platt's calibration of several classes is one sigmoid a class."""
        platt = self.calibration is Calibration.PLATT and task is Task.MULTICLASS
        return Head.ONE_VS_REST if platt else self.head_for(task)

    @property
    def validates(self) -> bool:
        """Whether training rows are set aside for validation."""
        early = isinstance(self.estimator, Perceptron) and self.estimator.early_stopping
        return early or self.calibration is not Calibration.NONE or self.decision.tune is not None


def read(path: Path, *, overrides: Sequence[Override] = (), given: bool = False) -> Job:
    """Read a job file; a relative path of its data is relative to the file.

    Args:
        path: where it lies.
        overrides: keys that are set before anything is read.
        given: the rows are handed over, so that it names no files.

    Raises:
        InvalidInput: naming everything that is wrong with the file.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"the job cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the job is not UTF-8 (byte {error.start})") from error
    return parse(text, path.parent, overrides=overrides, given=given)


def parse(text: str, folder: Path, *, overrides: Sequence[Override] = (), given: bool = False) -> Job:
    """Read a job from TOML.

    Args:
        text: the file's.
        folder: what relative paths are relative to.
        overrides: keys that are set before anything is read.
        given: the rows are handed over, so that no file is named.

    Raises:
        InvalidInput: naming everything that is wrong with it.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the job is not TOML: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("the job has an integer of too many digits, or lists too deep in lists") from error
    return parsed(applied(document, overrides), folder, given=given)


def parsed(document: Mapping[str, Any], folder: Path, *, given: bool = False) -> Job:
    """Read a job from tables, as TOML's are.

    Args:
        document: as of `parse`.
        folder: likewise.
        given: likewise.

    Raises:
        InvalidInput: naming everything that is wrong with it.
    """
    problems: list[str] = []
    job = _job(Table(document, "", problems), folder, given=given)
    if problems:
        raise InvalidInput("; ".join(dict.fromkeys(problems)))
    return job


def _job(table: Table, folder: Path, *, given: bool) -> Job:
    name = table.text("name")
    if name and not NAME_PATTERN.fullmatch(name):
        table.problem("name", f"is 1 to 64 of a-z, 0-9, '_' and '-', not {quoted(name)}")
    model = table.table("estimator")
    data = _data(table.table("data"), table.table("features"), folder, given=given)
    job = Job(
        name=name,
        seed=table.integer("seed", 0, low=0),
        data=data,
        standardise=model.flag("standardise", fallback=True),
        estimator=_estimator(model),
        calibration=_calibration(table.table("calibration")),
        decision=_decision(table.table("decision")),
        head=_head(table),
        dtype=_dtype(table),
        logits=table.flag("logits", fallback=False),
        validation=_validation(table.table("validation")),
        evaluation=_evaluation(table.table("evaluation"), data if table.right("data") else None),
    )
    if job.head is Head.ONE_VS_REST and job.calibration is Calibration.TEMPERATURE:
        table.problem(
            "calibration.method", "'temperature' is for softmax and sigmoid; one_vs_rest has 'platt'"
        )
    read = all(map(table.right, ("estimator", "calibration", "decision")))
    if "validation" in table and read and not job.validates:
        table.problem(
            "validation", "is for early stopping, calibration and tuned thresholds; this job has none of them"
        )
    if isinstance(data, Regions) and job.evaluation.split is Splitting.GROUP and job.validates:
        table.problem(
            "evaluation.split",
            "= 'group' fits on one of the photographs' two halves, and validation rows would divide it: "
            "use 'stratified', or leave out early stopping, calibration and tuned thresholds",
        )
    _check_stream(table, job)
    table.close()
    return job


def _check_stream(table: Table, job: Job) -> None:
    """A stream is trained on by mini-batches, and there are no folds of it: each would be a training."""
    if not isinstance(job.data, Tabular) or not job.data.stream:
        return
    if not isinstance(job.estimator, Perceptron):
        table.problem(
            "data.stream",
            "is for estimator.kind = 'mlp', which is trained by mini-batches; with hidden = [] it is "
            "logistic or softmax regression",
        )
    evaluation = table.table("evaluation")
    for key in ("folds", "repeats"):
        if key in evaluation:
            table.problem(f"evaluation.{key}", "has no meaning beside data.stream = true: there are no folds")
    if evaluation.value("split") == Splitting.STRATIFIED:
        table.problem(
            "evaluation.split",
            "= 'stratified' needs every row at once; leave it out to draw the rows by their number, or use "
            "'hash', 'group' or 'time'",
        )


def _data(table: Table, features: Table, folder: Path, *, given: bool) -> Data:
    sources = [key for key in ("images", "path", "builtin") if key in table]
    if given:
        for key in sources:
            table.value(key)
            table.problem(key, "says where the rows are, but rows were handed over: give one of them")
    elif len(sources) != 1:
        table.problem("builtin", "or path or images: exactly one of them says where the rows are")
        for key in sources[1:]:
            table.text(key)
    data: Data
    if "images" in table:
        data = _pictures(table, folder / table.text("images"))
    elif "path" in table and "image" in table:
        path, target = folder / table.text("path"), table.text("target")
        data = _pictures(table, path, target, table.text("image"))
    elif "path" in table or given or (not sources and _means_a_table(table, features)):
        data = _tabular(table, features, folder)
    else:
        name = table.choice("builtin", (*BUILTIN, PHOTOGRAPHS, REGIONS), BUILTIN[0])
        data = _patches(table, name) if name in (PHOTOGRAPHS, REGIONS) else Builtin(name)
    table.close()
    features.close()
    return data


def _means_a_table(table: Table, features: Table) -> bool:
    """Whether a job that does not say where its rows are speaks of a table all the same."""
    return any(key in table for key in ("target", "targets")) or any(True for _ in features)


def _tabular(table: Table, features: Table, folder: Path) -> Tabular:
    paths = table.texts("path") if table.is_list("path") else (table.text("path"),) if "path" in table else ()
    if ("target" in table) == ("targets" in table):
        table.problem("target", "or data.targets: one column of classes, or one column of yes and no a label")
    targets = table.texts("targets") if "targets" in table else (table.text("target"),)
    if "target" in table and "targets" in table:
        table.text("target")
    separator = table.text("separator", "") if "separator" in table else None
    if separator is not None and "targets" in table:
        table.problem("separator", "is for labels in the one column data.target")
    default = _column(features)
    named = features.table("columns")
    columns = {name: _closed(named.table(name)) for name in named}
    kind = Format(table.choice("format", [name.value for name in Format])) if "format" in table else None
    stream = table.flag("stream", fallback=False)
    if "buffer" in table and not stream:
        table.problem("buffer", "belongs to stream = true")
    return Tabular(
        tuple(folder / path for path in paths),
        targets,
        separator,
        table.texts("ignore", none=True) if "ignore" in table else (),
        table.texts("missing_values", empty=True, none=True) if "missing_values" in table else (),
        default,
        columns,
        kind,
        _dialect(table, kind),
        stream,
        table.integer("buffer", 65_536, low=1),
    )


def _dialect(table: Table, kind: Format | None) -> Dialect:
    given = [key for key in ("delimiter", "quote", "encoding", "decimal") if key in table]
    if kind not in (None, Format.CSV):
        for key in given:
            table.problem(key, f"is for CSV files, not for data.format = '{kind}'")
    default = Dialect()
    delimiter = table.sign("delimiter") if "delimiter" in table else None
    quote = table.sign("quote", empty=True) if "quote" in table else default.quote
    encoding = table.text("encoding", default.encoding)
    try:
        codecs.lookup(encoding).name.encode("ascii")
        "".encode(encoding)
    except (LookupError, ValueError):
        hint = nearest(encoding, sorted({*aliases, *aliases.values()}))
        table.problem("encoding", f"is no text encoding that is known here: {quoted(encoding)}{hint}")
    if delimiter is not None and delimiter == quote:
        table.problem("quote", "and data.delimiter are the same sign")
    return Dialect(delimiter, quote, encoding, table.choice("decimal", (".", ","), default.decimal))


def _closed(table: Table) -> Column:
    kinds = [kind.value for kind in Kind if kind is not Kind.IMAGE]
    column = _column(table, Kind(table.choice("kind", kinds)) if "kind" in table else None)
    table.close()
    return column


def _column(table: Table, kind: Kind | None = None) -> Column:
    known = (REJECT, OWN_CATEGORY, *IMPUTATIONS)
    missing = table.choice("missing", known) if "missing" in table else None
    fill = table.number("fill", 0.0, low=-math.inf) if "fill" in table else None
    if missing == CONSTANT and fill is None:
        table.problem("fill", f"is missing: missing = '{CONSTANT}' needs a number")
    if missing != CONSTANT and fill is not None:
        table.problem("fill", f"belongs to missing = '{CONSTANT}'")
    unknown = None
    if "unknown" in table:
        unknown = Unknown(table.choice("unknown", [Unknown.REJECT.value, Unknown.ZERO.value]))
    return Column(kind, missing, fill, unknown)


def _patches(table: Table, name: str) -> Photographs | Regions:
    kind = Photographs if name == PHOTOGRAPHS else Regions
    return kind(
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
    kinds: dict[str, Callable[[Table], Estimator]] = {LOGISTIC: _logistic, MLP: _perceptron}
    kind = table.choice("kind", tuple(kinds), LOGISTIC)
    estimator = kinds.pop(kind)(table)
    for name, read in kinds.items():
        if not table.right("kind"):
            read(table)  # which keys belong here is not known: those of every kind do
            continue
        for key in sorted(_KEYS[name] - _KEYS[kind]):
            table.refuse(key, f"belongs to kind = '{name}'")
    table.close()
    return estimator


_KEYS = {
    LOGISTIC: {setting.name for setting in fields(Logistic)},
    MLP: {setting.name for setting in fields(Perceptron)},
}


def _logistic(table: Table) -> Estimator:
    default = Logistic()
    penalty = table.choice("penalty", tuple(PENALTIES), default.penalty)
    solver = table.choice("solver", SOLVERS, PENALTIES[penalty][0])
    known = table.right("penalty")
    if known and solver not in PENALTIES[penalty]:
        table.problem("solver", f"of penalty = '{penalty}' is {' or '.join(PENALTIES[penalty])}")
    if known and "l1_ratio" in table and penalty != ELASTIC_NET:
        table.problem("l1_ratio", f"belongs to penalty = '{ELASTIC_NET}'")
    if "C" in table and penalty == NO_PENALTY:
        table.problem("C", f"has no meaning beside penalty = '{NO_PENALTY}'")
    return Logistic(
        penalty=penalty,
        C=table.number("C", default.C),
        l1_ratio=table.number("l1_ratio", default.l1_ratio, high=1.0),
        solver=solver,
        max_iter=table.integer("max_iter", 10_000 if solver == "saga" else default.max_iter, low=1),
        tol=table.number("tol", default.tol),
        class_weight=_class_weight(table),
    )


def _perceptron(table: Table) -> Estimator:
    default = Perceptron()
    optimiser = table.choice("optimiser", get_args(Optimiser), default.optimiser)
    if table.right("optimiser") and "momentum" in table and optimiser != "sgd":
        table.problem("momentum", "belongs to optimiser = 'sgd'")
    early = table.flag("early_stopping", default.early_stopping)
    if table.right("early_stopping") and "patience" in table and not early:
        table.problem("patience", "has no meaning beside early_stopping = false")
    return Perceptron(
        hidden=table.integers("hidden", default.hidden),
        activation=cast(Activation, table.choice("activation", get_args(Activation), default.activation)),
        optimiser=cast(Optimiser, optimiser),
        learning_rate=table.number("learning_rate", default.learning_rate),
        momentum=table.number("momentum", default.momentum, low=-1e-300, high=1.0),
        batch_size=table.integer("batch_size", default.batch_size, low=1),
        epochs=table.integer("epochs", default.epochs, low=1),
        early_stopping=early,
        patience=table.integer("patience", default.patience, low=1),
        alpha=table.number("alpha", default.alpha, low=-1e-300),
        class_weight=_class_weight(table),
    )


def _class_weight(table: Table) -> ClassWeight:
    if "class_weight" not in table:
        return None
    if table.is_table("class_weight"):
        weights = table.table("class_weight")
        found = {label: weights.number(label, 1.0) for label in weights}
        weights.close()
        return found
    return table.choice("class_weight", (BALANCED,))


def _calibration(table: Table) -> Calibration:
    if table.value("method") == "isotonic":
        table.problem(
            "method",
            "'isotonic' is no option: steps of a probability fold into no layer (and skl2onnx converts "
            "them to the nearest step, up to 0.30 wrong); use 'temperature' or 'platt'",
        )
        table.close()
        return Calibration.NONE
    method = Calibration(table.choice("method", [kind.value for kind in Calibration], Calibration.NONE.value))
    table.close()
    return method


def _validation(table: Table) -> float:
    fraction = table.number("fraction", 0.15, high=1.0)
    table.close()
    return fraction


def _decision(table: Table) -> Decision:
    decision = Decision(
        classes=table.labels("classes"),
        positive=table.label("positive"),
        threshold=_threshold(table),
        tune=_objective(table),
        band=_band(table),
    )
    if decision.tune is not None and decision.threshold is not None:
        table.problem("threshold", "is what decision.tune chooses: give one of them")
    table.close()
    if decision.classes and decision.positive and decision.positive not in decision.classes:
        hint = nearest(decision.positive, decision.classes)
        table.problem("positive", f"is one of decision.classes, not {quoted(decision.positive)}{hint}")
    return decision


def _threshold(table: Table) -> float | dict[str, float] | None:
    if "threshold" not in table:
        return None
    if not table.is_table("threshold"):
        return table.number("threshold", 0.5, high=1.0)
    by_label = table.table("threshold")
    found = {label: by_label.number(label, 0.5, high=1.0) for label in by_label}
    by_label.close()
    return found


def _objective(table: Table) -> Objective | None:
    if "tune" not in table:
        return None
    settings = table.table("tune")
    readers: dict[str, Callable[[Table], Objective]] = {
        "f_beta": lambda given: FBeta(given.number("beta", 1.0)),
        "cost": _cost,
        "recall_at_precision": lambda given: RecallAtPrecision(given.number("precision", 0.9, high=1.0)),
    }
    kind = settings.choice("objective", tuple(readers))
    objective = readers.pop(kind)(settings)
    for read in () if settings.right("objective") else readers.values():
        read(settings)  # which keys belong here is not known: those of every objective do
    settings.close()
    return objective


def _cost(table: Table) -> Cost:
    default = Cost()
    names = ("true_positive", "false_positive", "true_negative", "false_negative")
    found = {name: table.number(name, getattr(default, name), low=-math.inf) for name in names}
    return Cost(**found)


def _band(
    table: Table,
) -> float | tuple[float, float] | dict[str, float | tuple[float, float]] | None:
    if "band" not in table:
        return None
    if not table.is_table("band"):
        return _one_band(table, "band")
    by_label = table.table("band")
    found = {label: _one_band(by_label, label) for label in by_label}
    by_label.close()
    return found


def _one_band(table: Table, key: str) -> float | tuple[float, float]:
    """Half a width, or two bounds."""
    value = table.value(key)
    if not isinstance(value, list):
        return table.number(key, 0.1, high=0.5)
    bounds = table.numbers(key, (0.4, 0.6))
    if len(bounds) != 2 or not 0 <= bounds[0] < bounds[1] <= 1:
        table.problem(key, f"is half a width or [low, high] between 0 and 1, not {quoted(value)}")
        return (0.4, 0.6)
    return (bounds[0], bounds[1])


def _head(table: Table) -> Head | None:
    known = (AUTOMATIC, *(head.value for head in Head))
    choice = table.choice("head", known, AUTOMATIC)
    return None if choice == AUTOMATIC else Head(choice)


def _dtype(table: Table) -> FloatType | None:
    known = (AUTOMATIC, *(kind.value for kind in FloatType))
    choice = table.choice("dtype", known, AUTOMATIC)
    return None if choice == AUTOMATIC else FloatType(choice)


_GROUPS: dict[type, int] = {Photographs: 4, Regions: 2}
"""How many groups the photographs have: strips of both, or halves of both."""

_HELD = {Splitting.GROUP: "the group", Splitting.TIME: "the time", Splitting.HASH: "a key"}


def _evaluation(table: Table, data: Data | None) -> Evaluation:
    """How quality is measured, on data that is None where it is not known what it is."""
    default = Evaluation()
    table.refuse("by_group", "is written split = 'group' now, and key = the column that holds the group")
    evaluation = Evaluation(
        split=Splitting(table.choice("split", [kind.value for kind in Splitting], default.split.value)),
        key=table.text("key") if "key" in table else None,
        folds=table.integer("folds", default.folds, low=2),
        repeats=table.integer("repeats", default.repeats, low=1),
        test_fraction=table.number("test_fraction", default.test_fraction, high=1.0),
    )
    if evaluation.split is Splitting.TIME and "repeats" in table:
        table.problem("repeats", "has no meaning beside split = 'time', whose folds are not drawn")
    strips = _GROUPS.get(type(data), math.inf)
    if evaluation.split is Splitting.GROUP and "repeats" in table and strips <= evaluation.folds:
        table.problem("repeats", f"has no meaning here: each of the {strips} groups is left out once")
    if data is not None and table.right("split") and table.right("key"):
        _check_key(table, evaluation, data)
    table.close()
    return evaluation


def _check_key(table: Table, evaluation: Evaluation, data: Data) -> None:
    """Whether the rows have what their split stands on, as far as that is known without them."""
    split, key = evaluation.split, evaluation.key
    own_groups = isinstance(data, Photographs | Regions)
    no_table = isinstance(data, Builtin) or (isinstance(data, Pictures) and data.target is None)
    if split is Splitting.STRATIFIED:
        if key is not None:
            table.problem("key", "belongs to split = 'group', 'time' or 'hash': give one of them, or no key")
    elif own_groups and key is not None:
        table.problem("key", "is for tables: the photographs have groups of their own")
    elif own_groups and split is Splitting.TIME:
        table.problem("split", "= 'time' needs times, and the photographs have none: use 'group' or 'hash'")
    elif no_table:
        table.problem(
            "split", f"= '{split}' needs the key column of a table, which this data has not: use 'stratified'"
        )
    elif not own_groups and key is None:
        table.problem("key", f"is missing: the column that holds {_HELD[split]} of each row")
    elif isinstance(data, Tabular) and key in data.targets:
        table.problem("key", f"is a column that is not a target, not {quoted(key or '')}")
