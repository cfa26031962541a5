"""Any table that a job takes is answered as its estimator answers it, asked by name in JSON.

The tables and the jobs are random. Where the optimum is one and only one, the oracle is not this project's
estimator: scikit-learn's own transformers on the raw cells, as somebody would write it in a notebook.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sigmax.contract import FloatType, Task
from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.loading import load_catalog
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery, ProbabilitiesQuery
from sigmax.telemetry.metrics import Metrics
from sigmax_training import data, pipeline, splits
from sigmax_training import job as jobs
from sigmax_training.data.dataset import Dataset
from sigmax_training.fit import Fitted, fit
from sigmax_training.job import Job

EXACT = {FloatType.FLOAT64: 1e-9, FloatType.FLOAT32: 1e-5}
ABSENT = "NA"
UNHEARD = "전혀 다른 값"

TEXTS = (
    *(
        "수성구",
        "강남구 ",
        "유성 구",
        "O'Brien",
        'say "hi"',
        "a,b",
        "🦊",
        "👩‍👩‍👧",
        "שלום",
        "مرحبا",
        "e\u0301té",
        "A",
        "a",
    ),
    *(
        "007",
        "7",
        "-0",
        "true",
        "1e3",
        "half\nlines",
        "tab\there",
        "\u202eabc",
        "null",
        "#",
        "'",
        "=1+1",
        "ß",
        "İ",
    ),
)
NAMES = (
    *TEXTS,
    "면적",
    "시세 대비 가격",
    "준공연도",
    "target?",
    "a.b",
    "columns",
    "id",
    "rows",
    "options",
    "[0]",
)
TIGHT = 1e-12
INTEGERS = (
    "0",
    "-1",
    "7",
    "12",
    "-40",
    str(2**40),
    str(-(2**40)),
    str(2**53 + 1),
    str(2**63 - 1),
    str(-(2**63)),
)

some_text = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff|"), min_size=1, max_size=8
)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def several(known: tuple[str, ...], low: int, high: int) -> st.SearchStrategy[list[str]]:
    """Different texts, some of them well known for making trouble; none that means a missing value."""
    wanted = st.one_of(st.sampled_from(known), some_text).filter(
        lambda text: _folded(text) not in ("", ABSENT) and "|" not in text
    )
    return st.lists(wanted, min_size=low, max_size=high, unique_by=_folded)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as somebody would describe it.

    Attributes:
        values: as JSON has them, None where one is missing.
        cells: as the file has them.
        settings: what the job says of it.
    """

    name: str
    kind: str
    values: tuple[Any, ...]
    cells: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be learnt: columns of cells, and for each row its label, or its labels."""

    names: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    settings: dict[str, Any]
    labels: tuple[str, ...]
    truth: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A file and the job about it."""

    columns: tuple[Column, ...]
    target: Target
    settings: dict[str, dict[str, Any]]
    head: str
    dtype: str
    seed: int

    def __len__(self) -> int:
        return len(self.columns[0].values)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What a caller would send."""
        return [{column.name: column.values[row] for column in self.columns} for row in range(len(self))]

    @property
    def toml(self) -> str:
        """The job as a user writes it."""
        lines = ['name = "any-table"', f"seed = {self.seed}"]
        lines += [f'{key} = "{text}"' for key, text in (("head", self.head), ("dtype", self.dtype)) if text]
        named = {f"features.columns.{_quoted(one.name)}": one.settings for one in self.columns}
        source = {"path": "표.csv", "missing_values": ["", ABSENT], **self.target.settings}
        for title, entries in {"data": source, **self.settings, **named}.items():
            lines += [f"[{title}]", *(f"{key} = {_toml(value)}" for key, value in entries.items())]
        return "\n".join(lines)

    @property
    def learnt_alike(self) -> bool:
        """Whether anybody who learns from the same rows ends at the same weights."""
        own = self.settings["estimator"].get("tol") == TIGHT
        return own and self.settings["calibration"]["method"] == "none"

    def write(self, folder: Path) -> Job:
        """Write the file; the job about it, read."""
        header = [*(column.name for column in self.columns), *self.target.names]
        cells = [*(column.cells for column in self.columns), *self.target.cells]
        with (folder / "표.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *zip(*cells, strict=True)])
        return jobs.parse(self.toml, folder)


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    kept = (char if char >= " " and char not in '"\\\x7f' else f"\\u{ord(char):04x}" for char in text)
    return f'"{"".join(kept)}"'


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


@st.composite
def tables(draw: Callable[..., Any]) -> Table:
    """Random schemas, values that the labels depend on a little, and a random way to learn them."""
    seed = draw(st.integers(0, 2**20))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(40, 60))
    width = draw(st.integers(1, 6))
    names = [name.strip() for name in draw(several(NAMES, width + 3, width + 3))]
    drawn = [draw(columns(name, count, rng)) for name in names[:width]]
    score = np.sum([effect for _, effect in drawn], axis=0) + rng.normal(size=count)
    target = draw(targets(tuple(names[width:]), score, rng))
    multilabel = not isinstance(target.truth[0], str)
    sections, head = draw(ways(multilabel, target.labels))
    dtype = draw(st.sampled_from(["", "float64"]))
    return Table(tuple(column for column, _ in drawn), target, sections, head, dtype, seed % 1000)


@st.composite
def columns(
    draw: Callable[..., Any], name: str, count: int, rng: np.random.Generator
) -> tuple[Column, np.ndarray]:
    """One column, and what it adds to the score that labels come from."""
    kind = draw(st.sampled_from(["numeric", "boolean", "integer", "texts", "integers", "flags"]))
    make = {"numeric": _numeric, "integer": _integer, "boolean": _boolean}.get(kind, _category)
    values, cells, effect, settings = make(draw, kind, count, rng)
    category = kind in ("texts", "integers", "flags")
    if draw(st.booleans()):
        known = ["category"] if category else ["mean", "median", "most_frequent", "constant"]
        settings["missing"] = draw(st.sampled_from(known))
        if settings["missing"] == "constant":
            settings["fill"] = draw(st.sampled_from([0.0, -1.5, 3.0]))
        absent = rng.random(count) < 0.15
        values = [None if gone else value for value, gone in zip(values, absent, strict=True)]
        word = draw(st.sampled_from(["", ABSENT]))
        cells = [word if gone else cell for cell, gone in zip(cells, absent, strict=True)]
    if category:
        settings["unknown"] = draw(st.sampled_from(["zero", "reject"]))
    return Column(name, kind, tuple(values), tuple(cells), settings), effect


Drawn = tuple[list[Any], list[str], np.ndarray, dict[str, Any]]


def _numeric(draw: Callable[..., Any], kind: str, count: int, rng: np.random.Generator) -> Drawn:
    effect = rng.normal(size=count)
    numbers = draw(st.sampled_from([0.0, -3.0, 100.0])) + effect * draw(st.sampled_from([1.0, 0.01, 250.0]))
    values = [float(f"{number:.6g}") for number in numbers]
    form = draw(st.sampled_from(["{!r}", "{:e}", " {!r} "]))
    return values, [form.format(value) for value in values], effect, {}


def _integer(draw: Callable[..., Any], kind: str, count: int, rng: np.random.Generator) -> Drawn:
    low, span = draw(st.sampled_from([(0, 5), (-3, 40), (1950, 70), (2**40, 2**39)]))
    steps = rng.integers(0, span, count)
    values = [low + int(step) for step in steps]
    form = draw(st.sampled_from(["{}", "{}.0", " {}"]))
    return values, [form.format(value) for value in values], steps / span, {"kind": "integer"}


def _boolean(draw: Callable[..., Any], kind: str, count: int, rng: np.random.Generator) -> Drawn:
    flags = rng.random(count) < 0.6
    yes, no = draw(st.sampled_from([("true", "false"), ("True", "FALSE"), ("1", "0")]))
    given = {"kind": "boolean"} if yes == "1" or draw(st.booleans()) else {}
    return [bool(flag) for flag in flags], [yes if flag else no for flag in flags], flags * 1.0, given


def _category(draw: Callable[..., Any], kind: str, count: int, rng: np.random.Generator) -> Drawn:
    if kind == "flags":
        known: list[str] = ["true", "false"]
    else:
        known = draw(several(TEXTS, 2, 5) if kind == "texts" else several_integers(2, 5))
        if kind == "texts" and _plain(known):
            known = [*known, "한강"]
    codes = np.concatenate([np.arange(len(known)), rng.integers(0, len(known), count - len(known))])
    rng.shuffle(codes)
    values = [_as_json(kind, known[code]) for code in codes]
    return values, [known[code] for code in codes], codes / len(known), {"kind": "category"}


def _as_json(kind: str, text: str) -> str | int | bool:
    """A category as a caller sends it."""
    if kind == "flags":
        return text == "true"
    return int(text) if kind == "integers" else text


def several_integers(low: int, high: int) -> st.SearchStrategy[list[str]]:
    """Different integers in decimal, the greatest of 64 bits among them."""
    known = st.one_of(st.sampled_from(INTEGERS), st.integers(-20, 20).map(str))
    return st.lists(known, min_size=low, max_size=high, unique=True)


def _plain(texts: list[str]) -> bool:
    """Whether all texts would be read as integers, or as yes and no."""
    stripped = [text.strip() for text in texts]
    return all(text.removeprefix("-").isdigit() for text in stripped) or {
        text.casefold() for text in stripped
    } <= {"true", "false"}


@st.composite
def targets(
    draw: Callable[..., Any], names: tuple[str, ...], score: np.ndarray, rng: np.random.Generator
) -> Target:
    """One class a row, of two to four; or several labels, in one cell or in a column each."""
    order = score.argsort().argsort()
    how = draw(st.sampled_from(["classes", "classes", "separator", "columns"]))
    if how == "classes":
        labels = _labels(draw, draw(st.integers(2, 4)))
        mine = [labels[rank * len(labels) // len(order)] for rank in order]
        return Target(
            names[:1], (tuple(mine),), {"target": names[0]}, tuple(labels), tuple(map(_label, mine))
        )
    count = draw(st.integers(2, 3))
    labels = list(names[:count]) if how == "columns" else _labels(draw, count)
    shares = [0.5, 0.35, 0.6][:count]
    flags = np.stack([(score + rng.normal(size=len(score))).argsort().argsort() for _ in labels], axis=1)
    truth = flags > np.array(shares) * len(score)
    chosen = [
        frozenset(_label(label) for label, there in zip(labels, row, strict=True) if there) for row in truth
    ]
    if how == "columns":
        written = tuple(tuple("true" if there else "0" for there in column) for column in truth.T)
        return Target(names[:count], written, {"targets": labels}, tuple(labels), tuple(chosen))
    joined = tuple("|".join(label for label in labels if _label(label) in row) for row in chosen)
    return Target(names[:1], (joined,), {"target": names[0], "separator": "|"}, tuple(labels), tuple(chosen))


def _labels(draw: Callable[..., Any], count: int) -> list[str]:
    kind = draw(st.sampled_from(["texts", "integers", "flags"] if count == 2 else ["texts", "integers"]))
    if kind == "flags":
        return list(draw(st.sampled_from([("true", "false"), ("TRUE", "False")])))
    if kind == "integers":
        labels: list[str] = draw(several_integers(count, count))
        return labels
    return [text.strip() for text in draw(several(TEXTS, count, count))]


def _label(text: str) -> str:
    """The canonical text of a label, of those that are drawn here."""
    return text.casefold() if text in ("TRUE", "False") else text


@st.composite
def ways(
    draw: Callable[..., Any], multilabel: bool, labels: tuple[str, ...]
) -> tuple[dict[str, dict[str, Any]], str]:
    """An estimator, a calibration and a head that go together."""
    heads = ["softmax", "one_vs_rest"] if len(labels) > 2 else ["sigmoid", "softmax"]
    head = draw(st.sampled_from(["", *(["sigmoid"] if multilabel else heads)]))
    methods = ["none", "platt", *([] if head == "one_vs_rest" else ["temperature"])]
    alone = draw(st.booleans())
    method = "none" if alone else draw(st.sampled_from(methods))
    estimator = draw(one_optimum() if alone else st.one_of(one_optimum(), penalised(), perceptron()))
    sections: dict[str, dict[str, Any]] = {
        "estimator": estimator,
        "calibration": {"method": method},
        "evaluation": {"folds": 2, "repeats": 1},
    }
    if method != "none" or estimator.get("early_stopping"):
        sections["validation"] = {"fraction": 0.4}
    if len(labels) == 2 and not multilabel and draw(st.booleans()):
        positive = draw(st.sampled_from(labels))
        sections["decision"] = {
            "positive": _label(positive),
            "threshold": draw(st.sampled_from([0.3, 0.5, 0.75])),
        }
    return sections, head


@st.composite
def one_optimum(draw: Callable[..., Any]) -> dict[str, Any]:
    """A logistic regression that ends at the same weights however it gets there."""
    return {
        "C": draw(st.sampled_from([0.05, 1.0, 7.0])),
        "solver": draw(st.sampled_from(["newton-cholesky", "newton-cholesky", "lbfgs"])),
        "standardise": True,
        "tol": TIGHT,
    }


@st.composite
def penalised(draw: Callable[..., Any]) -> dict[str, Any]:
    """Any other one, stopped early or not."""
    penalty = draw(st.sampled_from(["none", "l1", "elastic_net", "l2"]))
    settings = {} if penalty == "none" else {"C": draw(st.sampled_from([0.3, 3.0]))}
    return {"penalty": penalty, **settings, "max_iter": 50, "standardise": draw(st.booleans())}


@st.composite
def perceptron(draw: Callable[..., Any]) -> dict[str, Any]:
    """A few epochs of a small one."""
    return {
        "kind": "mlp",
        "hidden": draw(st.sampled_from([[4], [5, 3], []])),
        "activation": draw(st.sampled_from(["relu", "tanh", "logistic", "identity"])),
        "epochs": draw(st.integers(2, 3)),
        "learning_rate": 0.05,
        "early_stopping": draw(st.booleans()),
        "standardise": True,
    }


# The oracles.


class Quiet:
    """A report that nobody reads."""

    def stage(self, title: str, steps: int) -> None:
        """Pass over it."""

    def step(self) -> None:
        """Pass over it."""

    def rows(self, seen: int, total: int) -> None:
        """Pass over it."""

    def epoch(self, epoch: object) -> None:
        """Pass over it."""

    def notice(self, text: str) -> None:
        """Pass over it."""


def raw_frame(table: Table, folder: Path) -> pandas.DataFrame:
    """The file as pandas reads it, each column turned into what it holds; an absent category is a text."""
    frame = pandas.read_csv(
        folder / "표.csv", dtype=str, keep_default_na=False, na_values=["", ABSENT], engine="python"
    )
    for column in table.columns:
        cells = frame[column.name]
        if column.kind in ("numeric", "integer"):
            frame[column.name] = cells.astype(np.float64)
        elif column.kind == "boolean":
            yes = {"true": 1.0, "True": 1.0, "1": 1.0, "false": 0.0, "FALSE": 0.0, "0": 0.0}
            frame[column.name] = cells.map(yes).astype(np.float64)
        else:
            frame[column.name] = cells.fillna("\0absent").astype(object)
    return frame


def independent(
    table: Table, frame: pandas.DataFrame, train: np.ndarray, rows: pandas.DataFrame
) -> np.ndarray:
    """Probabilities (n_samples, n_labels) in the order of the drawn labels, by scikit-learn alone."""
    options = table.settings["estimator"]
    steps = []
    for column in table.columns:
        filled = column.settings.get("missing", "")
        if column.kind in ("texts", "integers", "flags"):
            steps.append((OneHotEncoder(handle_unknown="ignore", sparse_output=False), [column.name]))
            continue
        strategy = filled or "mean"
        imputer = SimpleImputer(
            strategy=strategy, fill_value=column.settings.get("fill"), keep_empty_features=True
        )
        scaler = StandardScaler() if options["standardise"] else "passthrough"
        steps.append((make_pipeline(imputer, scaler), [column.name]))
    seen = ColumnTransformer([(f"step {index}", step, names) for index, (step, names) in enumerate(steps)])
    model: Any = LogisticRegression(C=options["C"], solver=options["solver"], tol=TIGHT, max_iter=2000)
    labels = list(map(_label, table.target.labels))
    multilabel = not isinstance(table.target.truth[0], str)
    truth: Any = np.array(table.target.truth, dtype=object)[train]
    if multilabel:
        truth = np.array([[label in row for label in labels] for row in truth])
    if multilabel or table.head == "one_vs_rest":
        model = OneVsRestClassifier(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = make_pipeline(seen, model).fit(frame.iloc[train], truth if multilabel else truth.astype(str))
        probabilities = fitted.predict_proba(rows)
    if multilabel:
        return np.asarray(probabilities)
    return np.asarray(probabilities[:, [list(fitted.classes_).index(label) for label in labels]])


# Asking.


def ask(served: Served, query: Any, rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """The answer of a door to rows by name."""
    dispatch = Dispatch(Catalog([Entry(served.name, served)]), max_rows=sys.maxsize)
    body = Body(json.dumps({"rows": rows, "options": options}, ensure_ascii=False).encode())
    answer = dispatch.answer(Metrics().verb("test", "predict"), query, served.name, served.version, body)
    found: dict[str, Any] = json.loads(answer.body)
    return found


def said(result: dict[str, Any]) -> Any:
    """What was decided of one row."""
    return frozenset(result["labels"]) if "labels" in result else result["label"]


@dataclass(frozen=True, slots=True)
class Trained:
    """A table, its published version, and its own estimator fitted once more."""

    table: Table
    folder: Path
    served: Served
    job: Job
    dataset: Dataset
    train: np.ndarray
    fitted: Fitted


def trained(table: Table, folder: Path) -> Trained:
    """Train and publish; open what the service would."""
    job = table.write(folder)
    try:
        pipeline.run(job, folder / "models", Quiet())
    except InvalidInput as error:
        if table.settings["calibration"]["method"] == "none" or "validation rows" not in str(error):
            raise
        reject()  # a few validation rows may be in perfect order, which no temperature is the best for
    served = load_catalog(folder / "models").find("any-table")
    dataset = data.load(job)
    train, _ = splits.holdout(dataset, job.evaluation, job.seed)
    return Trained(table, folder, served, job, dataset, train, fit(job, dataset, train))


def check_own(case: Trained) -> None:
    """Every row of the file is answered as the estimator answers it."""
    answer = ask(case.served, ProbabilitiesQuery, case.table.rows)
    expected = case.fitted.probabilities(case.dataset.features)
    exact = EXACT[case.served.manifest.graph.dtype]

    assert set(answer["classes"]) == set(map(_label, case.table.target.labels))
    assert answer["classes"] == list(case.dataset.classes)
    assert np.abs(np.array(answer["probabilities"]) - expected).max() <= exact


def check_decided(case: Trained, probabilities: np.ndarray, doubt: float) -> None:
    """Every row is decided by the one rule; `probabilities` are in the order of the manifest's classes."""
    results = ask(case.served, ClassesQuery, case.table.rows)["results"]
    decision, classes = case.served.manifest.decision, case.served.manifest.classes
    for result, row in zip(results, probabilities, strict=True):
        by_label = dict(zip(classes, row.tolist(), strict=True))
        if case.served.manifest.task is Task.MULTICLASS:
            best = sorted(by_label, key=by_label.__getitem__)[-2:]
            clear = by_label[best[1]] - by_label[best[0]] > doubt
            assert not clear or said(result) == best[1]
            continue
        clear = all(abs(by_label[label] - bound) > doubt for label, bound in decision.thresholds.items())
        above = [label for label, bound in decision.thresholds.items() if by_label[label] > bound]
        if case.served.manifest.task is Task.MULTILABEL:
            assert not clear or said(result) == frozenset(above)
        else:
            other = next(label for label in classes if label != decision.positive)
            assert not clear or said(result) == (decision.positive if above else other)


def unheard(table: Table) -> Iterator[tuple[Column, Any]]:
    """Each column of categories with one that no row has."""
    for column in table.columns:
        if column.kind in ("texts", "integers"):
            yield column, UNHEARD if column.kind == "texts" else 123456789


def check_unknown(case: Trained) -> None:
    """A category that no row has is none of them, or is refused by the name of its feature."""
    row = case.table.rows[0]
    for column, value in unheard(case.table):
        rows = [{**row, column.name: value}]
        if column.settings["unknown"] == "reject":
            with pytest.raises(InvalidInput, match="row 0"):
                ask(case.served, ProbabilitiesQuery, rows)
            continue
        features = case.dataset.features[:1].copy()
        index = case.table.columns.index(column)
        features[0, index] = float(case.dataset.blocks[index].unknown_code or 0)
        answer = ask(case.served, ProbabilitiesQuery, rows)["probabilities"]
        exact = EXACT[case.served.manifest.graph.dtype]
        assert np.abs(np.array(answer) - case.fitted.probabilities(features)).max() <= exact


def check_missing(case: Trained) -> None:
    """Null is refused where no value may be missing, by the name of the feature."""
    row = case.table.rows[0]
    for column in case.table.columns:
        if "missing" not in column.settings:
            with pytest.raises(InvalidInput, match="row 0"):
                ask(case.served, ProbabilitiesQuery, [{**row, column.name: None}])


def check_independent(case: Trained) -> None:
    """Where there is one optimum, every row and every unknown category is answered as scikit-learn has it."""
    table = case.table
    frame = raw_frame(table, case.folder)
    rows, asked = table.rows, [frame]
    for column, value in unheard(table):
        if column.settings["unknown"] == "zero":
            rows.append({**rows[0], column.name: value})
            asked.append(frame.iloc[:1].assign(**{column.name: str(value)}))
    expected = independent(table, frame, case.train, pandas.concat(asked))
    order = [list(map(_label, table.target.labels)).index(label) for label in case.dataset.classes]

    answer = ask(case.served, ProbabilitiesQuery, rows)

    assert np.abs(np.array(answer["probabilities"]) - expected[:, order]).max() <= 1e-6
    check_decided(case, expected[: len(table), order], 1e-5)


@given(table=tables())
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
def test_any_table_is_answered_by_name_as_its_estimator_answers(table: Table) -> None:
    with tempfile.TemporaryDirectory() as name:
        case = trained(table, Path(name))

        check_own(case)
        check_decided(case, case.fitted.probabilities(case.dataset.features), 1e-5)
        check_unknown(case)
        check_missing(case)
        if table.learnt_alike:
            check_independent(case)
