"""What is inside a fitted estimator: searches and thresholds unwrapped, what cannot be published refused.

Each refusal here is an error that converters make silently, or a traceback that they end in; it says what
to do instead.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sigmax.errors import InvalidInput, quoted

_TEXTS = "train on numbers and categories, or publish the part behind the vectoriser"
_REFUSED = {
    "ClassifierChain": "no converter knows it: use OneVsRestClassifier or MLPClassifier for several labels",
    "MultiOutputClassifier": "it answers with one table a label: use OneVsRestClassifier or MLPClassifier",
    "CountVectorizer": f"texts are split differently in every language's runtime: {_TEXTS}",
    "HashingVectorizer": f"texts are split differently in every language's runtime: {_TEXTS}",
    "TfidfVectorizer": f"texts are split differently in every language's runtime: {_TEXTS}",
    "TfidfTransformer": f"it stands behind a text vectoriser: {_TEXTS}",
    "DictVectorizer": "its rows are dictionaries: use a DataFrame, and OneHotEncoder in a ColumnTransformer",
}


@dataclass(frozen=True, slots=True, eq=False)
class Unwrapped:
    """The part of an estimator that is written as a graph, and what its wrappers add.

    Attributes:
        estimator: a classifier, or a pipeline that ends in one.
        threshold: what the positive class's probability has to reach, not only exceed; None for the usual.
        positive: the positive class that a wrapper names, one of the estimator's own classes; else None.
        inverse_temperature: what every logit is multiplied by; None without temperature calibration.
    """

    estimator: Any
    threshold: float | None = None
    positive: Any = None
    inverse_temperature: float | None = None


def unwrap(estimator: Any) -> Unwrapped:
    """Take a fitted estimator out of its wrappers.

    Raises:
        InvalidInput: it is not fitted, is no classifier, has no probabilities, or holds a part that cannot be
            published.
    """
    _check_classifier(estimator)
    for part in parts(estimator):
        _check_part(part)
    found = _unwrap(estimator)
    for part in parts(found.estimator):  # a search may have put another setting in than it was given
        _check_part(part)
    return found


def parts(estimator: Any) -> Iterator[Any]:
    """The estimator and every estimator that it was built from."""
    yield estimator
    for value in estimator.get_params(deep=True).values():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield value


def name_of(estimator: Any) -> str:
    """The name of an estimator's class, for messages."""
    return type(estimator).__name__


def _check_classifier(estimator: Any) -> None:
    name = name_of(estimator)
    if not hasattr(estimator, "get_params") or not hasattr(estimator, "predict"):
        raise InvalidInput(
            f"{quoted(name)} is no scikit-learn estimator; ONNX files go through sigmax-train import"
        )
    if is_regressor(estimator) or not is_classifier(estimator):
        raise InvalidInput(f"{name} is no classifier: it predicts numbers or groups, not classes")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise InvalidInput(f"this {name} is not fitted: call fit(X, y) first") from error


def _check_part(part: Any) -> None:
    name = name_of(part)
    if name in _REFUSED:
        raise InvalidInput(f"{name} cannot be published: {_REFUSED[name]}")
    if isinstance(part, CalibratedClassifierCV) and part.method == "isotonic":
        raise InvalidInput(
            "CalibratedClassifierCV(method='isotonic') cannot be published: its converter takes the nearest "
            "knot instead of interpolating, wrong by up to 0.3; use method='sigmoid' or 'temperature'"
        )


def _unwrap(estimator: Any) -> Unwrapped:
    if isinstance(estimator, TunedThresholdClassifierCV | FixedThresholdClassifier):
        return _threshold(estimator)
    if hasattr(estimator, "best_estimator_"):
        return _unwrap(estimator.best_estimator_)
    if isinstance(estimator, FrozenEstimator):
        return _unwrap(estimator.estimator)
    if isinstance(estimator, Pipeline):
        return _last_step(estimator)
    if isinstance(estimator, CalibratedClassifierCV) and estimator.method == "temperature":
        return _temperature(estimator)
    if not hasattr(estimator, "predict_proba"):
        raise InvalidInput(
            f"{name_of(estimator)} has no predict_proba; LogisticRegression has, and so has "
            f"CalibratedClassifierCV({name_of(estimator)}(...), method='sigmoid')"
        )
    return Unwrapped(estimator)


def _last_step(pipeline: Pipeline) -> Unwrapped:
    """A pipeline whose classifier is unwrapped, the steps before it as they are."""
    inner = _unwrap(pipeline.steps[-1][1])
    made = copy.copy(pipeline)
    before = [
        (name, step) for name, step in pipeline.steps[:-1] if step is not None and step != "passthrough"
    ]
    if isinstance(inner.estimator, Pipeline):
        made.steps = [*before, *inner.estimator.steps]
    else:
        made.steps = [*before, (pipeline.steps[-1][0], inner.estimator)]
    return replace(inner, estimator=made)


def _threshold(wrapper: Any) -> Unwrapped:
    name = name_of(wrapper)
    inner_estimator = getattr(wrapper, "estimator_", None) or wrapper.estimator
    inner = _unwrap(inner_estimator)
    if inner.threshold is not None:
        raise InvalidInput(f"{name} around another threshold: which of them counts is not clear; keep one")
    if len(wrapper.classes_) != 2:
        raise InvalidInput(f"{name} has {len(wrapper.classes_)} classes: a threshold is for two")
    if wrapper.response_method == "decision_function":
        raise InvalidInput(
            f"{name}(response_method='decision_function') has a threshold on scores, not on probabilities: "
            "fit it with response_method='predict_proba'"
        )
    return replace(inner, threshold=_threshold_of(wrapper), positive=_positive_of(wrapper))


def _threshold_of(wrapper: Any) -> float:
    value = wrapper.best_threshold_ if hasattr(wrapper, "best_threshold_") else wrapper.threshold
    threshold = 0.5 if value == "auto" else float(value)
    if not 0 < threshold <= 1:
        raise InvalidInput(
            f"{name_of(wrapper)} has the threshold {threshold:g}: one above 0, at most 1 is served"
        )
    return threshold


def _positive_of(wrapper: Any) -> Any:
    """The class whose probability is compared; scikit-learn's own choice is the last one."""
    if isinstance(wrapper, TunedThresholdClassifierCV):
        named = wrapper._curve_scorer._get_pos_label()
    else:
        named = wrapper.pos_label
    return wrapper.classes_[-1] if named is None else named


def _temperature(calibrated: CalibratedClassifierCV) -> Unwrapped:
    """One classifier whose logits are all multiplied by one number, found by the calibration."""
    found = calibrated.calibrated_classifiers_
    if len(found) != 1:
        raise InvalidInput(
            "CalibratedClassifierCV(method='temperature') cannot be published with ensemble=True, which "
            f"averages {len(found)} classifiers; use ensemble=False"
        )
    inner = _unwrap(found[0].estimator)
    if inner.inverse_temperature is not None or inner.threshold is not None:
        raise InvalidInput("CalibratedClassifierCV around another calibration or threshold: keep one of them")
    return replace(inner, inverse_temperature=float(np.asarray(found[0].calibrators[0].beta_)))
