"""A training that was interrupted after any epoch ends at the same bits as one that was not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_iris

from sigmax_training import history, state, steps
from sigmax_training.course import Course
from sigmax_training.heads import Output
from sigmax_training.minibatch import MiniBatchClassifier
from sigmax_training.state import Arrays
from sigmax_training.steps import Columns

Array = npt.NDArray[Any]

EPOCHS = 6

HEADS: dict[str, tuple[dict[str, Any], Callable[[Array], Array]]] = {
    "binary": ({}, lambda codes: np.minimum(codes, 1)),
    "softmax": ({}, lambda codes: codes),
    "one-vs-rest": ({"one_vs_rest": True}, lambda codes: codes),
    "labels": ({}, lambda codes: np.stack([codes == 1, codes >= 1], axis=1)),
    "one label": ({}, lambda codes: (codes == 1)[:, np.newaxis]),
}


def iris(head: str, dtype: Any) -> tuple[Array, Array]:
    features, codes = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(codes))
    return features.astype(dtype)[order], HEADS[head][1](codes)[order]


def states(classifier: MiniBatchClassifier, *data: Any) -> list[bytes]:
    """The state after each epoch, as bytes."""
    kept: list[bytes] = []
    classifier.fit(*data, on_state=lambda arrays: kept.append(state.to_bytes(arrays)))
    return kept


def result(classifier: MiniBatchClassifier) -> tuple[list[bytes], bytes, int]:
    arrays = [*classifier.coefs_, *classifier.intercepts_]
    return (
        [array.tobytes() + str(array.dtype).encode() for array in arrays],
        history.to_json(classifier.history_),
        classifier.best_epoch_,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stops", [True, False], ids=["early stopping", "all epochs"])
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("head", HEADS)
def test_resumed_behind_any_epoch_it_ends_at_the_same_bits(
    head: str, optimiser: Any, stops: bool, dtype: Any
) -> None:
    features, codes = iris(head, dtype)
    data: tuple[Any, ...] = (features[:100], codes[:100], (features[100:], codes[100:]) if stops else None)
    settings: dict[str, Any] = {
        **HEADS[head][0],
        "hidden": (5,),
        "optimiser": optimiser,
        "epochs": EPOCHS,
        "patience": 2,
    }
    whole = MiniBatchClassifier(**settings).fit(*data)

    kept = states(MiniBatchClassifier(**settings), *data)

    assert len(kept) == len(whole.history_)
    for content in kept:
        resumed = MiniBatchClassifier(**settings).fit(*data, begin_at=state.from_bytes(content))
        assert result(resumed) == result(whole)


def test_the_states_of_a_resumed_training_are_those_of_the_uninterrupted_one() -> None:
    features, codes = iris("softmax", np.float64)
    settings: dict[str, Any] = {"epochs": EPOCHS}
    expected = states(MiniBatchClassifier(**settings), features, codes)
    kept: list[Arrays] = []

    MiniBatchClassifier(**settings).fit(
        features, codes, begin_at=state.from_bytes(expected[1]), on_state=kept.append
    )

    for content, arrays in zip(expected[2:], kept, strict=True):
        before = state.from_bytes(content)
        assert before.keys() == arrays.keys()
        for name in before.keys() - {"course/history"}:  # speed is in it
            assert before[name].tobytes() == arrays[name].tobytes(), name


def test_later_epochs_do_not_change_a_state() -> None:
    features, codes = iris("softmax", np.float64)
    kept: list[tuple[Arrays, bytes]] = []

    MiniBatchClassifier((4,), epochs=4).fit(
        features, codes, on_state=lambda arrays: kept.append((arrays, state.to_bytes(arrays)))
    )

    assert all(state.to_bytes(arrays) == content for arrays, content in kept)


def test_only_epochs_that_are_missing_are_told() -> None:
    features, codes = iris("softmax", np.float64)
    kept = states(MiniBatchClassifier(epochs=EPOCHS), features, codes)
    told: list[int] = []

    MiniBatchClassifier(epochs=EPOCHS).fit(
        features,
        codes,
        begin_at=state.from_bytes(kept[3]),
        on_epoch=lambda epoch: told.append(epoch.epoch),
    )

    assert told == [5, 6]


@pytest.mark.parametrize(
    "settings", [{"hidden": (3,)}, {"optimiser": "sgd"}, {"one_vs_rest": True, "hidden": (3,)}]
)
def test_a_state_of_another_training_is_refused(settings: dict[str, Any]) -> None:
    features, codes = iris("softmax", np.float64)
    other = state.from_bytes(states(MiniBatchClassifier(epochs=1), features, codes)[0])

    with pytest.raises(ValueError, match="the state is not that of this training"):
        MiniBatchClassifier(**settings).fit(features, codes, begin_at=other)


# ---- bytes


def test_arrays_come_back_bit_for_bit() -> None:
    arrays = {
        "a/0": np.array([[1.5, -0.0], [math.inf, math.nan]], np.float32),
        "a/1": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "number": np.asarray(7),
    }

    found = state.from_bytes(state.to_bytes(arrays))

    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].strides) == (array.dtype, array.strides)
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"not a state", state.to_bytes({"a": np.zeros(9)})[:-30]]
)
def test_what_is_no_state_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="the state is damaged"):
        state.from_bytes(content)


# ---- chunks


def test_chunks_are_trained_one_after_the_other_and_a_small_one_without_a_warning() -> None:
    features, codes = iris("softmax", np.float64)
    columns = Columns(Output.SOFTMAX, 3)
    made: dict[str, Any] = {
        "hidden": (),
        "activation": "relu",
        "optimiser": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.0,
        "batch_size": 50,
        "alpha": 0.0,
        "seed": 0,
    }
    chunks, small = steps.perceptron(**made), steps.perceptron(**made)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in (0, 50, 100):
            rows = slice(start, start + 50)
            steps.train(chunks, columns, features[rows], columns.wanted(codes[rows]), None)
        steps.train(small, columns, features[:50], columns.wanted(codes[:50]), None)
        before = small.coefs_[0].copy()
        steps.train(small, columns, features[:1], columns.wanted(codes[:1]), None)

    assert np.isfinite(chunks.coefs_[0]).all()
    assert 0 < np.abs(small.coefs_[0] - before).max() < 0.01 * np.abs(features[0]).max() / 50


def test_a_course_is_over_after_its_patience_and_says_what_it_kept() -> None:
    course = Course(epochs=9, patience=2, learning_rate=0.1)
    for number, loss in enumerate([0.5, 0.3, 0.4, 0.3], 1):
        assert not course.over
        course.note(1.0, (loss, 0.9), 10.0, [np.full(1, float(number))], [np.zeros(1)])

    assert course.over
    assert (course.best_epoch, course.coefs[0].tolist()) == (2, [2.0])
