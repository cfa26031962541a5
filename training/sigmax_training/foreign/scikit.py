"""`publish`: a fitted scikit-learn classifier through export, gate and publication.

The reference is the estimator itself, asked in the form it was fitted on. It is never fitted again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from sigmax.contract import (
    HEADS,
    INPUT,
    OUTPUT,
    Decision,
    FloatType,
    Graph,
    Head,
    Layer,
    Manifest,
    Task,
    check_name,
)
from sigmax.errors import InvalidInput, nearest, quoted
from sigmax.inference.decision import Rule
from sigmax_training import export
from sigmax_training.convert import Target, convert
from sigmax_training.data.dataset import F64, Dataset
from sigmax_training.draft import TOLERANCES
from sigmax_training.example import example
from sigmax_training.foreign import canonical, labels, prepare
from sigmax_training.foreign import graph as graphs
from sigmax_training.foreign.answers import Answers, answering
from sigmax_training.foreign.columns import read, table_of
from sigmax_training.foreign.publication import Candidate, Witness, provenance, publish_first
from sigmax_training.foreign.unwrap import Unwrapped, name_of, unwrap
from sigmax_training.network import Network
from sigmax_training.pipeline import Outcome

_EXACT, _WIDE = TOLERANCES[FloatType.FLOAT64], TOLERANCES[FloatType.FLOAT32]
_ATTEMPTS = ((FloatType.FLOAT64, _EXACT), (FloatType.FLOAT64, _WIDE), (FloatType.FLOAT32, _WIDE))
"""What is tried, the most exact first: some operators of ONNX add up in float32 whatever comes in."""

_NARROW = ("TreeEnsembleRegressor", "TreeEnsembleClassifier", "SVMClassifier", "LinearClassifier")
"""Those operators."""

_EQUAL = 1e-12
"""Probabilities that differ by less say nothing about which of them is the higher."""

_ASKED = 2_000
"""Rows that `predict` is compared on."""


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """What is known of an estimator before it is written."""

    name: str
    inner: Unwrapped
    answers: Answers
    classes: tuple[str, ...]
    decision: Decision
    rows: F64
    truth: npt.NDArray[Any]


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
    """Publish a fitted scikit-learn classifier as a bundle that is served as the estimator answers.

    Args:
        estimator: a fitted classifier or a Pipeline that ends in one; searches and tuned thresholds are
            unwrapped.
        X: (n_samples, n_features), a pandas DataFrame or an array in the form that the estimator was fitted
            on, ideally rows that it was not fitted on: the gate asks them, and the metrics are measured on
            them. A column with a missing value among them says that callers may leave it out.
        y: the true labels of these rows: (n_samples,), or (n_samples, n_classes) of zeros and ones for
            several labels a row.
        name: of the model: 1 to 64 of a-z, 0-9, '_' and '-'.
        models: the repository to publish into; it is made if it is not there.
        classes: texts for the classes in the order of `estimator.classes_`; by default the classes' own.
        positive: of two classes the positive one, as it stands in y or in `classes`; by default the last.
        threshold: what the positive class's probability, or every label's, must exceed; by default 0.5, or
            what a TunedThresholdClassifierCV or FixedThresholdClassifier says.
        seed: of the random rows that the gate asks.

    Returns:
        What was published: version and path, metrics, what the gate found, and notices.

    Raises:
        InvalidInput: naming what about estimator, rows or labels cannot be published, and the remedy.
        BundleRejected: the gate refuses: the graph does not answer as the estimator does.
    """
    check_name(name)
    inner = unwrap(estimator)
    table = table_of(X, getattr(estimator, "feature_names_in_", None))
    places = prepare.used(inner.estimator, len(table.names))
    if table.frame is not None and 0 < len(places) < len(table.names):
        table = table.only(places)
        inner = replace(inner, estimator=prepare.narrowed(inner.estimator, places))
    columns, rows = read(table, prepare.encoded(inner.estimator, len(table.names)))
    answers = answering(estimator, columns, rows)
    texts = _classes(answers, classes)
    decision = _decision(answers, inner, texts, positive, threshold)
    model = _Model(name, inner, answers, texts, decision, rows, _truth(y, answers, len(rows)))
    draft = _draft(model)
    decides = threshold in (None, 0.5) or inner.threshold is not None
    if decides:
        _check_predictions(model, draft)
    prepared = prepare.prepared(inner.estimator, answers.columns)
    network = _network(model, prepared)
    witness = Witness(answers, decides, rows, _example(model), seed)
    makers = [partial(_candidate, model, draft, prepared, network, attempt) for attempt in _ATTEMPTS]
    return publish_first(Path(models), makers, witness, ())


def _truth(y: Any, answers: Answers, count: int) -> npt.NDArray[Any]:
    """The column of each row's class, or whether each label is there, (n_samples, n_classes)."""
    truth = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    several = answers.task is Task.MULTILABEL
    if truth.ndim == 2 and truth.shape[1] == 1 and not several:
        truth = truth[:, 0]
    expected = (count, answers.n_classes) if several else (count,)
    if truth.shape != expected:
        raise InvalidInput(f"y has the shape {list(truth.shape)}, expected {list(expected)} for these rows")
    try:
        return answers.columns_of(truth)
    except InvalidInput as error:
        raise InvalidInput(f"y, {error}") from error


def _classes(answers: Answers, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return answers.own
    texts = labels.canonical(list(given))
    if len(texts) != answers.n_classes:
        raise InvalidInput(f"classes: {len(texts)} texts for the estimator's {answers.n_classes} classes")
    return texts


def _decision(
    answers: Answers, inner: Unwrapped, classes: tuple[str, ...], positive: Any, threshold: float | None
) -> Decision:
    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidInput(f"threshold is between 0 and 1, not {threshold!r}")
    bound = 0.5 if threshold is None else float(threshold)
    if answers.task is Task.MULTICLASS:
        if positive is not None or threshold is not None:
            raise InvalidInput(f"positive and threshold are for two classes, not for {len(classes)}")
        return Decision({})
    if answers.task is Task.MULTILABEL:
        if positive is not None:
            raise InvalidInput("positive is for two classes; here each label is decided on its own")
        return Decision(dict.fromkeys(classes, bound))
    chosen = None if positive is None else _named(labels.text_of(positive), answers.own, classes)
    if inner.threshold is None:
        return Decision({chosen or classes[-1]: bound}, chosen or classes[-1])
    tuned = classes[answers.own.index(labels.text_of(inner.positive))]
    if threshold is not None or chosen not in (None, tuned):
        raise InvalidInput(
            f"the estimator brings its own threshold, {inner.threshold:g} for {quoted(tuned)}: leave out "
            "positive and threshold, or publish the estimator inside it"
        )
    # scikit-learn's wrappers take the positive class from the threshold on, the service above it
    return Decision({tuned: float(np.nextafter(inner.threshold, 0.0))}, tuned)


def _named(text: str, own: tuple[str, ...], classes: tuple[str, ...]) -> str:
    if text in classes:
        return text
    if text in own:
        return classes[own.index(text)]
    raise InvalidInput(f"positive: {quoted(text)} is no class of the estimator{nearest(text, classes)}")


def _draft(model: _Model) -> Manifest:
    """The manifest of all candidates; head, graph and tolerance are each one's own."""
    head = Head.SIGMOID
    if model.answers.task is Task.MULTICLASS:
        one_vs_rest = isinstance(_classifier(model), OneVsRestClassifier)
        head = Head.ONE_VS_REST if one_vs_rest else Head.SOFTMAX
    blank = Manifest(
        name=model.name,
        version=1,
        task=model.answers.task,
        head=head,
        features=model.answers.columns.blocks,
        classes=model.classes,
        decision=model.decision,
        graph=Graph(export.OPSET, export.IR_VERSION, INPUT, (OUTPUT,), FloatType.FLOAT64),
        tolerance=_EXACT,
        metrics={},
        fingerprint="",
        provenance=provenance(
            " ".join(repr(model.answers.estimator).split())[:500],
            f"{len(model.rows)} rows given with the estimator",
            {"data_sha256": _digest(model)},
        ),
        files={},
    )
    probabilities = model.answers.probabilities(model.rows)
    chosen = _rule(blank).choose(probabilities)
    return replace(blank, metrics=_metrics(chosen, probabilities, model.truth))


def _rule(manifest: Manifest) -> Rule:
    return Rule(manifest, np.float64, manifest.decision.thresholds)


def _metrics(chosen: npt.NDArray[Any], probabilities: F64, truth: npt.NDArray[Any]) -> dict[str, float]:
    """Accuracy (of several labels: all of a row's right) and log loss, 0 taken as the smallest step."""
    least = np.finfo(np.float64).eps
    bounded = np.clip(probabilities, least, 1 - least)
    if truth.ndim == 2:
        right = (chosen == truth).all(axis=1)
        loss = -np.where(truth, np.log(bounded), np.log1p(-bounded)).mean()
    else:
        right = chosen == truth
        loss = -np.log(bounded[np.arange(len(truth)), truth]).mean()
    return {"accuracy": float(right.mean()), "log_loss": float(loss), "rows": float(len(truth))}


def _check_predictions(model: _Model, draft: Manifest) -> None:
    """The estimator's own predict has to follow from its probabilities, or nobody can serve both."""
    asked = model.rows[:_ASKED]
    probabilities, rule = model.answers.probabilities(asked), _rule(draft)
    differs = model.answers.predict(asked) != rule.choose(probabilities)
    if differs.ndim == 2:
        differs = differs.any(axis=1)
    if model.answers.task is not Task.MULTICLASS:
        # of several equal columns predict takes the lowest, as the rule does; of two, that takes the negative
        differs &= rule.margins(probabilities) > _EQUAL
    wrong = np.flatnonzero(differs)
    if wrong.size:
        share = f"row {wrong[0]} ({wrong.size} of {len(asked)} rows)"
        raise InvalidInput(_disagreement(model, share, probabilities[wrong[0]]))


def _disagreement(model: _Model, share: str, probabilities: F64) -> str:
    said = f"{share}: {name_of(_classifier(model))}'s predict does not follow from its predict_proba"
    second, first = np.sort(probabilities)[-2:].tolist()
    if model.answers.task is Task.MULTICLASS and first - second <= _EQUAL:
        return (
            f"{said}: the probabilities are saturated, several classes have {first:.6g}, and predict decides "
            "by scores that are lost in them; scale the features, or use LogisticRegression"
        )
    return (
        f"{said}, it decides by scores of its own: wrap it in CalibratedClassifierCV(..., method='sigmoid'), "
        "whose predict takes the highest probability"
    )


def _classifier(model: _Model) -> Any:
    estimator = model.inner.estimator
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _network(model: _Model, prepared: Any) -> Network | None:
    """The model as matrices; None if it is no such thing."""
    answers, beta = model.answers, model.inner.inverse_temperature
    asked = model.rows[:_ASKED]
    factors = (1.0,) if beta is None else (beta, 2.0 * beta)  # scikit-learn's two logits are -z and z
    found = canonical.network_of(
        prepared,
        answers.columns.blocks,
        HEADS[answers.task],
        factors,
        partial(canonical.agrees, rows=asked, probabilities=answers.probabilities(asked)),
    )
    if found is None and beta is not None:
        raise InvalidInput(
            "CalibratedClassifierCV(method='temperature') is published around LogisticRegression or "
            "MLPClassifier, behind StandardScaler or not; around others use method='sigmoid'"
        )
    return found


def _candidate(
    model: _Model,
    draft: Manifest,
    prepared: Any,
    network: Network | None,
    attempt: tuple[FloatType, float],
) -> Candidate:
    """The model as a graph of one type, with what it promises."""
    dtype, tolerance = attempt
    blocks = model.answers.columns.served(dtype)
    names = tuple(block.name for block in blocks)
    if network is None:
        content = convert(prepared, Target(model.name, dtype, len(blocks), model.classes, names))
        layers, head = _layers(model, content), draft.head
        if dtype is FloatType.FLOAT64 and tolerance == _EXACT:
            _check_exact(content)
    else:
        content = export.export(network, model.name, dtype, model.classes, names)
        layers, head = network.layers(), network.head
    manifest = replace(
        draft,
        head=head,
        features=blocks,
        graph=replace(draft.graph, dtype=dtype, layers=layers),
        tolerance=tolerance,
    )
    return Candidate(manifest, content, network)


def _check_exact(content: bytes) -> None:
    """Pass over a file whose operators answer in float32 in any case: no need to ask the gate."""
    narrow = [operator for operator in _NARROW if operator.encode() in content]
    if narrow:
        raise InvalidInput(f"ONNX's {narrow[0]} adds up in float32")


def _layers(model: _Model, content: bytes) -> tuple[Layer, ...]:
    """The steps of the pipeline by name; what all of them learnt is counted at the last."""
    estimator = model.inner.estimator
    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    width = len(model.answers.columns.columns)
    widths = [width, *(int(getattr(step, "n_features_in_", width)) for step in steps[1:])]
    ends = [*widths[1:], len(model.classes)]
    found = [Layer(name_of(step), *sizes) for step, *sizes in zip(steps, widths, ends, strict=True)]
    learnt = graphs.count_numbers(onnx.load_model_from_string(content))
    return (*found[:-1], replace(found[-1], parameters=learnt))


def _example(model: _Model) -> bytes:
    blocks = model.answers.columns.blocks
    return example(Dataset("", model.rows, model.truth, model.classes, blocks), np.arange(len(model.rows)))


def _digest(model: _Model) -> str:
    """A digest of the rows and their labels."""
    blocks = model.answers.columns.blocks
    names = [[block.name, block.kind.value, block.vocabulary] for block in blocks]
    digest = hashlib.sha256(json.dumps(names).encode())
    for part in (model.rows.astype("<f8"), model.truth.astype("<i8")):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
