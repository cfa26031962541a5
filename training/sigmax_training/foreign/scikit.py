"""`publish`: a fitted scikit-learn classifier through export, gate and publication.

The reference is the estimator itself, asked in the form it was fitted on. It is never fitted again.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import INPUT, OUTPUT, Decision, FloatType, Graph, Head, Layer, Manifest, Task, check_name
from sigmax.errors import InvalidInput, nearest, quoted
from sigmax.inference.decision import Rule
from sigmax_training import export
from sigmax_training.convert import convert
from sigmax_training.data.dataset import F64, Dataset
from sigmax_training.draft import TOLERANCES
from sigmax_training.example import example
from sigmax_training.foreign import labels, prepare
from sigmax_training.foreign.canonical import network_of
from sigmax_training.foreign.columns import Columns, read, strangers, table_of, with_unknown
from sigmax_training.foreign.publication import Candidate, Witness, provenance, publish_first
from sigmax_training.foreign.unwrap import Unwrapped, name_of, unwrap
from sigmax_training.network import Network
from sigmax_training.pipeline import Outcome

_ATTEMPTS = (
    (FloatType.FLOAT64, TOLERANCES[FloatType.FLOAT64]),
    (FloatType.FLOAT64, TOLERANCES[FloatType.FLOAT32]),
    (FloatType.FLOAT32, TOLERANCES[FloatType.FLOAT32]),
)
"""What is tried, the most exact first: some operators of ONNX add up in float32 in a graph of float64."""

_NARROW = ("TreeEnsembleRegressor", "TreeEnsembleClassifier", "SVMClassifier", "LinearClassifier")

_EQUAL = 1e-12
"""Probabilities that differ by less say nothing about which of them is the higher."""

_ASKED = 2_000
"""Rows of the caller that predict is compared on."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A fitted estimator, asked in rows of the features matrix.

    Attributes:
        estimator: as it was given, wrappers and all.
        columns: how the matrix becomes what it was fitted on.
        task: what it answers.
        n_classes: how many columns its probabilities have; 0 while that is not known.
    """

    estimator: Any
    columns: Columns
    task: Task = Task.MULTICLASS
    n_classes: int = 0

    def probabilities(self, features: npt.NDArray[Any]) -> F64:
        """The estimator's own probabilities, float64 (n_samples, n_classes)."""
        if len(features) == 0:
            return np.empty((0, self.n_classes))
        return np.asarray(self._ask(self.estimator.predict_proba, features), np.float64)

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The estimator's own classes: columns (n_samples,), or of several labels bool (n_samples, n_classes)."""
        chosen = np.asarray(self._ask(self.estimator.predict, features))
        if self.task is Task.MULTILABEL:
            return labels.indicators(chosen)
        own = list(self.estimator.classes_)
        return labels.columns_of(chosen, own, labels.canonical(own))

    def _ask(self, method: Callable[[Any], Any], features: npt.NDArray[Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown categories and names of features: both are as they were
            return method(self.columns.restored(features))


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """All that is known of an estimator before it is written."""

    name: str
    inner: Unwrapped
    answers: Answers
    prepared: Any
    network: Network | None
    classes: tuple[str, ...]
    decision: Decision
    metrics: dict[str, float]
    provenance: dict[str, str]


def publish(
    estimator: Any,
    X: Any,  # noqa: N803 - scikit-learn's own name
    y: Any,
    *,
    name: str,
    models: str | Path = "models",
    classes: Sequence[str] | None = None,
    positive: Any = None,
    threshold: float | None = None,
    seed: int = 0,
) -> Outcome:
    """Publish a fitted scikit-learn classifier as a bundle that the service answers from as the estimator does.

    Args:
        estimator: a fitted classifier or a Pipeline that ends in one; searches and tuned thresholds are unwrapped.
        X: (n_samples, n_features), a pandas DataFrame or an array, in the form that the estimator was fitted on;
            ideally rows that it was not fitted on: the gate asks them, and the metrics are measured on them. A
            column with a missing value in it says that callers may leave it out.
        y: the true labels of these rows: (n_samples,), or (n_samples, n_classes) of zeros and ones for several
            labels a row.
        name: of the model: 1 to 64 of a-z, 0-9, '_' and '-'.
        models: the repository to publish into; it is made if it is not there.
        classes: texts for the classes, in the order of `estimator.classes_`; by default the classes themselves.
        positive: of two classes, the positive one, as it stands in y or in `classes`; by default the last.
        threshold: what the positive class's probability, or every label's, must exceed; by default 0.5, or what
            a TunedThresholdClassifierCV or FixedThresholdClassifier says.
        seed: of the random rows that the gate asks.

    Returns:
        What was published: the version and where it lies, metrics, what the gate found, and notices.

    Raises:
        InvalidInput: naming what about estimator, rows or labels cannot be published, and the remedy.
        BundleRejected: the gate refuses: the graph does not answer as the estimator does.
    """
    check_name(name)
    inner = unwrap(estimator)
    table = table_of(X, getattr(estimator, "feature_names_in_", None))
    encoded = prepare.encoded(inner.estimator, len(table.names))
    columns, rows = read(table, encoded)
    answers = _answering(estimator, columns, rows)
    truth = _truth(y, answers, rows)
    texts = _classes(answers, classes)
    decision = _decision(answers, inner, texts, positive, threshold)
    model = _model(name, inner, answers, rows, truth, texts, decision)
    decides = threshold is None or inner.threshold is not None or threshold == 0.5
    if decides:
        _check_predictions(model, rows[:_ASKED], rows)
    witness = Witness(answers, decides, rows, _example(model, rows, truth), seed)
    makers = [partial(_candidate, model, rows, dtype, tolerance) for dtype, tolerance in _ATTEMPTS]
    return publish_first(Path(models), makers, witness, ())


def _answering(estimator: Any, columns: Columns, rows: F64) -> Answers:
    """The estimator with all that it answers: which task, how many classes, which unknown categories."""
    answers = Answers(estimator, columns)
    try:
        first, chosen = answers._ask(estimator.predict_proba, rows), answers._ask(estimator.predict, rows[:1])
    except Exception as error:  # estimators refuse rows with errors of every class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InvalidInput(f"{name_of(estimator)} refuses the rows of X: {reason}") from error
    if isinstance(first, list):
        raise InvalidInput(
            f"{name_of(estimator)} answers with one table a label: use OneVsRestClassifier or MLPClassifier for "
            "several labels a row"
        )
    width = int(first.shape[1])
    several = np.asarray(chosen).ndim == 2
    if width < 2:
        raise InvalidInput(f"{name_of(estimator)} was fitted on one class: two are needed")
    task = Task.MULTILABEL if several else Task.BINARY if width == 2 else Task.MULTICLASS
    answers = replace(answers, task=task, n_classes=width)
    for index in columns.categories:
        answers = _with_unknown(answers, index, rows[:1])
    return answers


def _with_unknown(answers: Answers, index: int, row: F64) -> Answers:
    """The same, where an unknown category of a column is allowed if the estimator answers it, always alike."""
    column = answers.columns.columns[index]
    found: list[tuple[Answers, F64]] = []
    for stranger in strangers(column):
        changed = replace(answers, columns=with_unknown(answers.columns, index, stranger))
        unknown = row.copy()
        unknown[0, index] = column.block.n_codes
        try:
            found.append((changed, changed.probabilities(unknown)))
        except Exception:  # see above; it refuses unknown categories, so the service does
            return answers
    alike = found and all(np.array_equal(found[0][1], other) for _, other in found)
    return found[0][0] if alike else answers


def _truth(y: Any, answers: Answers, rows: F64) -> npt.NDArray[Any]:
    """The column of each row's class, (n_samples,), or whether each label is there, (n_samples, n_classes)."""
    truth = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if truth.ndim == 2 and truth.shape[1] == 1 and answers.task is not Task.MULTILABEL:
        truth = truth[:, 0]
    expected = (len(rows), answers.n_classes) if answers.task is Task.MULTILABEL else (len(rows),)
    if truth.shape != expected:
        raise InvalidInput(f"y has the shape {list(truth.shape)}, expected {list(expected)} for these rows")
    if answers.task is Task.MULTILABEL:
        return labels.indicators(truth)
    own = list(answers.estimator.classes_)
    return labels.columns_of(truth, own, labels.canonical(own))


def _classes(answers: Answers, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        several = answers.task is Task.MULTILABEL
        return labels.canonical(list(range(answers.n_classes)) if several else list(answers.estimator.classes_))
    texts = labels.canonical(list(given))
    if len(texts) != answers.n_classes:
        raise InvalidInput(f"classes: {len(texts)} texts for the estimator's {answers.n_classes} classes")
    return texts


def _decision(
    answers: Answers, inner: Unwrapped, classes: tuple[str, ...], positive: Any, threshold: float | None
) -> Decision:
    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidInput(f"threshold is between 0 and 1, not {threshold!r}")
    if answers.task is Task.MULTICLASS and (positive is not None or threshold is not None):
        raise InvalidInput(f"positive and threshold are for two classes, the estimator has {len(classes)}")
    if answers.task is Task.MULTICLASS:
        return Decision({})
    if answers.task is Task.MULTILABEL:
        if positive is not None:
            raise InvalidInput("positive is for two classes; here each label is decided on its own")
        return Decision(dict.fromkeys(classes, 0.5 if threshold is None else float(threshold)))
    own = labels.canonical(list(answers.estimator.classes_))
    chosen = classes[-1] if positive is None else _named(labels.text_of(positive), own, classes)
    if inner.threshold is None:
        return Decision({chosen: 0.5 if threshold is None else float(threshold)}, chosen)
    tuned = classes[own.index(labels.text_of(inner.positive))]
    if threshold is not None or (positive is not None and chosen != tuned):
        raise InvalidInput(
            f"the estimator brings its own threshold, {inner.threshold:g} for {quoted(tuned)}: leave positive and "
            "threshold out, or publish the estimator inside it"
        )
    # scikit-learn's wrappers take the positive class from the threshold on, the service above it
    return Decision({tuned: float(np.nextafter(inner.threshold, 0.0))}, tuned)


def _named(text: str, own: tuple[str, ...], classes: tuple[str, ...]) -> str:
    if text in classes:
        return text
    if text in own:
        return classes[own.index(text)]
    raise InvalidInput(f"positive: {quoted(text)} is no class of the estimator{nearest(text, classes)}")


def _model(
    name: str,
    inner: Unwrapped,
    answers: Answers,
    rows: F64,
    truth: npt.NDArray[Any],
    classes: tuple[str, ...],
    decision: Decision,
) -> _Model:
    prepared = prepare.prepared(inner.estimator, answers.columns)
    asked = rows[:_ASKED]
    network = network_of(
        prepared, answers.columns.blocks, answers.task, inner.inverse_temperature, asked, answers.probabilities(asked)
    )
    if network is None and inner.inverse_temperature is not None:
        raise InvalidInput(
            "CalibratedClassifierCV(method='temperature') is published around LogisticRegression or MLPClassifier, "
            "behind StandardScaler or not; else use method='sigmoid'"
        )
    rule = Rule(_manifest_for_rule(name, answers, classes, decision), np.float64, decision.thresholds)
    probabilities = answers.probabilities(rows)
    return _Model(
        name=name,
        inner=inner,
        answers=answers,
        prepared=prepared,
        network=network,
        classes=classes,
        decision=decision,
        metrics=_metrics(rule.choose(probabilities), probabilities, truth),
        provenance=provenance(
            " ".join(repr(answers.estimator).split())[:500],
            f"{len(rows)} rows given with the estimator",
            {"data_sha256": _digest(answers.columns, rows, truth)},
        ),
    )


def _manifest_for_rule(name: str, answers: Answers, classes: tuple[str, ...], decision: Decision) -> Manifest:
    """A manifest with as much in it as a decision rule needs."""
    head = Head.SOFTMAX if answers.task is Task.MULTICLASS else Head.SIGMOID
    graph = Graph(export.OPSET, export.IR_VERSION, INPUT, (OUTPUT,), FloatType.FLOAT64)
    return Manifest(
        name, 1, answers.task, head, answers.columns.blocks, classes, decision, graph, 1e-9, {}, "", {}, {}
    )


def _metrics(chosen: npt.NDArray[Any], probabilities: F64, truth: npt.NDArray[Any]) -> dict[str, float]:
    """Accuracy (of several labels: all of a row's right) and log loss, a probability of 0 as the smallest step."""
    least = np.finfo(np.float64).eps
    bounded = np.clip(probabilities, least, 1 - least)
    if truth.ndim == 2:
        right = (chosen == truth).all(axis=1)
        loss = -np.where(truth, np.log(bounded), np.log1p(-bounded)).mean()
    else:
        right = chosen == truth
        loss = -np.log(bounded[np.arange(len(truth)), truth]).mean()
    return {"accuracy": float(right.mean()), "log_loss": float(loss), "rows": float(len(truth))}


def _check_predictions(model: _Model, asked: F64, rows: F64) -> None:
    """The estimator's own predict has to follow from its probabilities, or nobody can serve both."""
    del rows
    answers = model.answers
    probabilities = answers.probabilities(asked)
    manifest = _manifest_for_rule(model.name, answers, model.classes, model.decision)
    rule = Rule(manifest, np.float64, model.decision.thresholds)
    differs = answers.predict(asked) != rule.choose(probabilities)
    clear = rule.margins(probabilities) > _EQUAL
    if answers.task is Task.MULTICLASS:
        clear[:] = True  # predict takes the lowest of equal columns, too, unless it looks at something else
    wrong = np.flatnonzero((differs.any(axis=1) if differs.ndim == 2 else differs) & clear)
    if wrong.size:
        raise InvalidInput(_disagreement(model, probabilities, int(wrong[0]), wrong.size, len(asked)))


def _disagreement(model: _Model, probabilities: F64, row: int, count: int, asked: int) -> str:
    name = name_of(model.inner.estimator.steps[-1][1] if hasattr(model.inner.estimator, "steps") else model.inner.estimator)
    where = f"row {row} ({count} of {asked} rows): {name}'s predict does not follow from its predict_proba"
    top = np.sort(probabilities[row])[-2:]
    if model.answers.task is Task.MULTICLASS and top[1] - top[0] <= _EQUAL:
        return (
            f"{where}: its probabilities are saturated, several classes have {top[1]:.6g}, and predict decides by "
            "scores that are lost in them; scale the features, or use LogisticRegression"
        )
    return (
        f"{where}, it decides by scores of its own: wrap it in CalibratedClassifierCV(..., method='sigmoid'), whose "
        "predict takes the highest probability"
    )


def _candidate(model: _Model, rows: F64, dtype: FloatType, tolerance: float) -> Candidate:
    """The model as a graph of one type."""
    del rows
    columns, classes = model.answers.columns, model.classes
    blocks = columns.served(dtype)
    names = [block.name for block in blocks]
    if model.network is not None:
        content = export.export(model.network, model.name, dtype, classes, names)
        layers, head = model.network.layers(), model.network.head
    else:
        document = {"classes": list(classes), "features": names}
        content = convert(model.prepared, len(blocks), len(classes), model.name, dtype, document)
        if dtype is FloatType.FLOAT64 and tolerance < TOLERANCES[FloatType.FLOAT32]:
            _check_exact(content)
        layers, head = _layers(model, len(blocks)), _head(model)
    manifest = Manifest(
        name=model.name,
        version=1,
        task=model.answers.task,
        head=head,
        features=blocks,
        classes=classes,
        decision=model.decision,
        graph=Graph(export.OPSET, export.IR_VERSION, INPUT, (OUTPUT,), dtype, layers),
        tolerance=tolerance,
        metrics=model.metrics,
        fingerprint="",
        provenance=model.provenance,
        files={},
    )
    return Candidate(manifest, content, model.network)


def _check_exact(content: bytes) -> None:
    """Refuse a file whose operators answer in float32 whatever comes in: no need to ask the gate."""
    narrow = [operator for operator in _NARROW if operator.encode() in content]
    if narrow:
        raise InvalidInput(f"ONNX's {narrow[0]} adds up in float32")


def _head(model: _Model) -> Head:
    if model.answers.task is not Task.MULTICLASS:
        return Head.SIGMOID
    return Head.ONE_VS_REST if "OneVsRest" in repr(type(model.inner.estimator)) else Head.SOFTMAX


def _layers(model: _Model, width: int) -> tuple[Layer, ...]:
    """The steps of the pipeline by name; how wide they are in between is the converter's business."""
    estimator = model.inner.estimator
    steps = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
    widths = [width, *(int(getattr(step, "n_features_in_", width)) for step in steps[1:]), len(model.classes)]
    return tuple(
        Layer(name_of(step), entering, leaving)
        for step, entering, leaving in zip(steps, widths, widths[1:], strict=False)
    )


def _example(model: _Model, rows: F64, truth: npt.NDArray[Any]) -> bytes:
    dataset = Dataset("", rows, truth, model.classes, model.answers.columns.blocks)
    return example(dataset, np.arange(len(rows)))


def _digest(columns: Columns, rows: F64, truth: npt.NDArray[Any]) -> str:
    names = [[block.name, block.kind.value, block.vocabulary] for block in columns.blocks]
    digest = hashlib.sha256(json.dumps(names).encode())
    for part in (rows.astype("<f8"), truth.astype("<i8")):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
