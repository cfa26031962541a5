"""The mini-batch trainer reaches its objective's optimum, stops in time, and says when it cannot train."""

from __future__ import annotations

import signal
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sigmax_training.heads import Output, probabilities
from sigmax_training.minibatch import ACTIVATIONS, Epoch, MiniBatchClassifier
from sigmax_training.steps import Perceptron

Array = npt.NDArray[Any]


def scaled(loaded: tuple[Array, Array]) -> tuple[Array, Array]:
    features, codes = loaded
    return StandardScaler().fit_transform(features), codes


def cancer() -> tuple[Array, Array]:
    return scaled(load_breast_cancer(return_X_y=True))


def iris() -> tuple[Array, Array]:
    return scaled(load_iris(return_X_y=True))


def halves(features: Array, codes: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Rows to train on, their codes, and rows to validate with."""
    train, held, known, unknown = train_test_split(features, codes, test_size=0.3, random_state=0)
    return train, known, (held, unknown)


def weights(classifier: MiniBatchClassifier) -> list[Array]:
    return [*classifier.coefs_, *classifier.intercepts_]


def as_bytes(classifier: MiniBatchClassifier) -> list[bytes]:
    return [array.tobytes() for array in weights(classifier)]


def batches(n_samples: int, batch_size: int) -> int:
    return -(-n_samples // batch_size)


# ---- the optimum


@pytest.mark.parametrize(
    ("optimiser", "learning_rate"), [("sgd", 0.03), ("adam", 0.01)], ids=["momentum", "adam"]
)
def test_breast_cancer_reaches_the_exact_optimum(optimiser: Any, learning_rate: float) -> None:
    features, codes = cancer()
    exact = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(features, codes)

    def objective(matrix: Array, chances: Array) -> float:
        return float(log_loss(codes, chances) + np.sum(matrix**2) / (2 * len(codes)))

    found = MiniBatchClassifier(
        optimiser=optimiser,
        learning_rate=learning_rate,
        alpha=1 / batches(len(codes), 32),
        epochs=200,
    ).fit(features, codes)

    lowest = objective(exact.coef_, exact.predict_proba(features))
    assert lowest <= objective(found.coefs_[0], found.predict_proba(features)) <= lowest + 1e-3
    assert log_loss(codes, found.predict_proba(features)) == pytest.approx(
        log_loss(codes, exact.predict_proba(features)), abs=1e-3
    )


def test_without_hidden_layers_it_is_softmax_regression() -> None:
    features, codes = iris()
    exact = LogisticRegression(tol=1e-10, max_iter=10_000).fit(features, codes)

    found = MiniBatchClassifier(alpha=1 / batches(len(codes), 32), epochs=400).fit(features, codes)

    np.testing.assert_allclose(found.predict_proba(features), exact.predict_proba(features), atol=0.02)
    assert log_loss(codes, found.predict_proba(features)) == pytest.approx(
        log_loss(codes, exact.predict_proba(features)), abs=2e-3
    )


def test_one_vs_rest_is_scikit_learns_one_vs_rest() -> None:
    features, codes = iris()
    exact = OneVsRestClassifier(LogisticRegression(tol=1e-10, max_iter=10_000)).fit(features, codes)

    found = MiniBatchClassifier(one_vs_rest=True, alpha=1 / batches(len(codes), 32), epochs=400)
    found.fit(features, codes)

    np.testing.assert_allclose(found.predict_proba(features), exact.predict_proba(features), atol=0.02)


def test_several_labels_are_logistic_regressions_side_by_side() -> None:
    features, codes = iris()
    labels = np.stack([codes == 1, codes >= 1], axis=1)
    exact = [LogisticRegression(tol=1e-10, max_iter=10_000).fit(features, column) for column in labels.T]

    found = MiniBatchClassifier(alpha=1 / batches(len(codes), 32), epochs=400).fit(features, labels)

    expected = np.stack([one.predict_proba(features)[:, 1] for one in exact], axis=1)
    np.testing.assert_allclose(found.predict_proba(features), expected, atol=0.02)


def test_balanced_weights_of_a_rare_class_reach_the_balanced_optimum() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(2000, 5))
    codes = (features @ np.array([1.0, -1.0, 0.5, 0.0, 0.0]) + generator.logistic(size=2000) > 5.0).astype(
        int
    )
    exact = LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=10_000).fit(features, codes)

    found = MiniBatchClassifier(
        class_weight="balanced",
        optimiser="sgd",
        learning_rate=1e-3,
        alpha=1 / batches(len(codes), 32),
        epochs=150,
    ).fit(features, codes)

    assert 0.01 < codes.mean() < 0.05
    np.testing.assert_allclose(found.intercepts_[0], exact.intercept_, atol=0.05)
    np.testing.assert_allclose(found.coefs_[0][:, 0], exact.coef_[0], atol=0.05)


# ---- a step


def test_a_step_of_plain_gradient_descent_is_error_times_features() -> None:
    features, codes = cancer()
    settings: dict[str, Any] = {
        "optimiser": "sgd",
        "momentum": 0.0,
        "batch_size": len(codes),
        "alpha": 3.0,
        "epochs": 1,
    }
    before = MiniBatchClassifier(learning_rate=1e-300, **settings).fit(features, codes)

    after = MiniBatchClassifier(learning_rate=0.5, **settings).fit(features, codes)

    error = before.predict_proba(features)[:, 1] - codes
    gradient = (features.T @ error + 3.0 * before.coefs_[0][:, 0]) / len(codes)
    np.testing.assert_allclose(after.coefs_[0][:, 0], before.coefs_[0][:, 0] - 0.5 * gradient, rtol=1e-12)
    np.testing.assert_allclose(after.intercepts_[0], before.intercepts_[0] - 0.5 * error.mean(), rtol=1e-12)


def test_momentum_adds_a_share_of_the_last_step_to_the_next() -> None:
    features, codes = cancer()

    def matrix(epochs: int, learning_rate: float = 0.5) -> Array:
        classifier = MiniBatchClassifier(
            optimiser="sgd",
            momentum=0.75,
            learning_rate=learning_rate,
            batch_size=len(codes),
            alpha=0.0,
            epochs=epochs,
        )
        steps.append(classifier.fit(features, codes))
        return np.asarray(steps[-1].coefs_[0][:, 0])

    steps: list[MiniBatchClassifier] = []
    start, first, second = matrix(1, 1e-300), matrix(1), matrix(2)

    error = steps[1].predict_proba(features)[:, 1] - codes
    expected = 0.75 * (first - start) - 0.5 * features.T @ error / len(codes)
    np.testing.assert_allclose(second - first, expected, rtol=1e-9)


def test_rows_of_a_small_last_batch_and_of_a_heavy_class_have_their_weight_and_no_more() -> None:
    features, codes = cancer()
    heavy = {0: 5.0, 1: 1.0}
    settings: dict[str, Any] = {
        "optimiser": "sgd",
        "momentum": 0.0,
        "batch_size": 100,
        "alpha": 3.0,
        "epochs": 1,
        "class_weight": heavy,
    }
    before = MiniBatchClassifier(learning_rate=1e-300, **settings).fit(features, codes)

    after = MiniBatchClassifier(learning_rate=1e-6, **settings).fit(features, codes)

    error = (before.predict_proba(features)[:, 1] - codes) * np.where(codes == 0, 5.0, 1.0)
    steps = (features.T @ error + batches(len(codes), 100) * 3.0 * before.coefs_[0][:, 0]) / 100
    np.testing.assert_allclose((before.coefs_[0] - after.coefs_[0])[:, 0] / 1e-6, steps, rtol=1e-3, atol=1e-4)


def test_every_epoch_has_every_row_once_in_another_order() -> None:
    classifier = _Watched(batch_size=4, epochs=3)
    numbered = np.arange(10.0)[:, np.newaxis]

    classifier.fit(numbered, np.arange(10) % 2)

    epochs = [classifier.seen[start : start + 10] for start in (0, 10, 20)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


class _Watching(Perceptron):
    seen: list[float]

    def _compute_loss_grad(self, layer: int, _: float, *arrays: list[Any]) -> None:
        self.seen.extend(arrays[0][0][:, 0])
        super()._compute_loss_grad(layer, _, *arrays)


class _Watched(MiniBatchClassifier):
    """Remembers the first feature of every row, in the order of training."""

    def _perceptron(self, n_samples: int) -> Perceptron:
        self.seen: list[float] = []
        watching = _Watching(**super()._perceptron(n_samples).get_params())
        watching.seen = self.seen
        return watching


# ---- when to stop


def test_early_stopping_restores_the_best_epoch() -> None:
    train, codes, held = halves(*scaled(load_digits(return_X_y=True)))
    stopped = MiniBatchClassifier(hidden=(32,), patience=3).fit(train, codes, held)

    exactly = MiniBatchClassifier(hidden=(32,), epochs=stopped.best_epoch_).fit(train, codes)

    assert len(stopped.history_) == stopped.best_epoch_ + 3 < 200
    assert as_bytes(stopped) == as_bytes(exactly)


def test_the_best_epoch_is_restored_when_all_epochs_ran_too() -> None:
    train, codes, held = halves(*cancer())
    settings: dict[str, Any] = {"hidden": (32,), "learning_rate": 0.05}
    best = MiniBatchClassifier(**settings).fit(train, codes, held).best_epoch_

    longer = MiniBatchClassifier(**settings, epochs=best + 2).fit(train, codes, held)

    assert len(longer.history_) == best + 2
    assert longer.best_epoch_ == best
    assert as_bytes(longer) == as_bytes(MiniBatchClassifier(**settings, epochs=best).fit(train, codes))


def test_without_validation_rows_all_epochs_run_and_the_last_weights_stay() -> None:
    features, codes = iris()

    fitted = MiniBatchClassifier(epochs=7, patience=1).fit(features, codes)

    assert [epoch.epoch for epoch in fitted.history_] == list(range(1, 8))
    assert fitted.best_epoch_ == 7
    assert all(
        epoch.validation_loss is None and epoch.validation_accuracy is None for epoch in fitted.history_
    )


@pytest.mark.parametrize("one_vs_rest", [False, True])
@pytest.mark.parametrize("data", [cancer, iris])
def test_the_history_holds_log_loss_and_accuracy_of_the_validation_rows(data: Any, one_vs_rest: bool) -> None:
    train, codes, (held, truth) = halves(*data())

    fitted = MiniBatchClassifier(epochs=5, one_vs_rest=one_vs_rest).fit(train, codes, (held, truth))

    last = fitted.history_[fitted.best_epoch_ - 1]
    assert last.validation_accuracy == accuracy_score(truth, fitted.predict(held))
    if one_vs_rest and data is iris:
        chances = 1 / (1 + np.exp(-fitted.decision_function(held)))
        expected = np.mean([log_loss(truth == column, chances[:, column]) for column in range(3)])
    else:
        expected = log_loss(truth, fitted.predict_proba(held))
    assert last.validation_loss == pytest.approx(expected, rel=1e-9)


def test_the_validation_loss_carries_the_class_weights() -> None:
    train, codes, (held, truth) = halves(*cancer())

    fitted = MiniBatchClassifier(epochs=3, class_weight={0: 7.0}).fit(train, codes, (held, truth))

    expected = log_loss(truth, fitted.predict_proba(held), sample_weight=np.where(truth == 0, 7.0, 1.0))
    assert fitted.history_[fitted.best_epoch_ - 1].validation_loss == pytest.approx(expected, rel=1e-9)


def test_the_training_loss_is_that_of_the_weights_before_the_step() -> None:
    features, codes = iris()
    labels = np.stack([codes == 1, codes >= 1], axis=1)
    settings: dict[str, Any] = {"learning_rate": 1e-300, "alpha": 0.0, "epochs": 1}

    for truth in (codes, codes.clip(max=1), labels):
        fitted = MiniBatchClassifier(**settings).fit(features, truth, (features, truth))

        assert fitted.history_[0].loss == pytest.approx(fitted.history_[0].validation_loss, rel=1e-9)


def test_every_epoch_is_told_and_kept() -> None:
    train, codes, held = halves(*iris())
    told: list[Epoch] = []

    fitted = MiniBatchClassifier(epochs=4).fit(train, codes, held, told.append)

    assert tuple(told) == fitted.history_
    assert [(epoch.epoch, epoch.epochs) for epoch in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(epoch.rows_per_second > 0 for epoch in told)
    lowest = [min(e.validation_loss or 0 for e in told[: index + 1]) for index in range(4)]
    assert [epoch.best for epoch in told] == [
        epoch.validation_loss == low for epoch, low in zip(told, lowest, strict=True)
    ]


# ---- what is answered


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_the_forward_pass_is_scikit_learns_for_each_activation(activation: Any) -> None:
    features, codes = iris()
    fitted = MiniBatchClassifier((8, 5), activation, epochs=3).fit(features, codes)
    theirs = MLPClassifier((8, 5), activation=activation).partial_fit(features, codes, classes=[0, 1, 2])
    theirs.coefs_, theirs.intercepts_ = fitted.coefs_, fitted.intercepts_

    expected = theirs.predict_proba(features)

    np.testing.assert_allclose(fitted.predict_proba(features), expected, rtol=1e-12)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_each_activation_learns(activation: Any) -> None:
    train, codes, (held, truth) = halves(*cancer())

    fitted = MiniBatchClassifier((16,), activation, epochs=30).fit(train, codes, (held, truth))

    assert fitted.score(held, truth) > 0.95


def test_probabilities_are_exactly_the_head_of_the_logits() -> None:
    features, codes = iris()
    for truth, one_vs_rest, output, shape in (
        (codes.clip(max=1), False, Output.BINARY, (150,)),
        (codes, False, Output.SOFTMAX, (150, 3)),
        (codes, True, Output.ONE_VS_REST, (150, 3)),
        (np.stack([codes == 0, codes < 2], axis=1), False, Output.LABELS, (150, 2)),
        ((codes == 0)[:, np.newaxis], False, Output.LABELS, (150, 1)),
    ):
        fitted = MiniBatchClassifier(epochs=2, one_vs_rest=one_vs_rest).fit(features, truth)

        logits = fitted.decision_function(features)
        chances = fitted.predict_proba(features)

        assert logits.shape == shape
        assert logits.dtype == chances.dtype == np.float64
        np.testing.assert_array_equal(chances, probabilities(output, logits.reshape(150, -1)))
        assert fitted.classes_.tolist() == list(range(chances.shape[1]))
        assert fitted.predict(features).shape == truth.shape
        assert fitted.predict(features).dtype == (np.bool_ if truth.ndim == 2 else np.int64)


def test_one_label_is_learnt_like_two_classes() -> None:
    features, codes = cancer()
    classes = MiniBatchClassifier(epochs=3).fit(features, codes)

    label = MiniBatchClassifier(epochs=3).fit(features, codes[:, np.newaxis].astype(bool))

    assert as_bytes(label) == as_bytes(classes)
    np.testing.assert_array_equal(label.predict_proba(features)[:, 0], classes.predict_proba(features)[:, 1])


@pytest.mark.parametrize("one_vs_rest", [False, True])
def test_a_class_without_a_training_row_has_its_column(one_vs_rest: bool) -> None:
    features, codes = iris()
    train, known = features[codes != 1], codes[codes != 1]
    classifier = MiniBatchClassifier(epochs=20, one_vs_rest=one_vs_rest)

    chances = classifier.fit(train, known, n_classes=5).predict_proba(features)

    assert chances.shape == (150, 5)
    assert chances[:, [1, 3, 4]].max() < 0.5
    assert classifier.fit(train, known, (features, codes)).predict_proba(features).shape == (150, 3)


def test_many_classes_on_few_rows_are_no_warning() -> None:
    features = np.random.default_rng(0).normal(size=(30, 4))

    fitted = MiniBatchClassifier(epochs=2).fit(features, np.arange(30) % 20)

    assert fitted.predict_proba(features).shape == (30, 20)


def test_no_rows_have_no_answers() -> None:
    features, codes = iris()

    fitted = MiniBatchClassifier(epochs=1).fit(features, codes)

    assert fitted.predict_proba(np.empty((0, 4))).shape == (0, 3)
    assert fitted.predict(np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize(
    ("given", "trained"), [(np.uint8, np.float64), (np.float64, np.float64), (np.float32, np.float32)]
)
def test_pictures_stay_float32_and_everything_else_is_float64(given: Any, trained: Any) -> None:
    features, codes = load_digits(return_X_y=True)
    pictures = features.astype(given)

    fitted = MiniBatchClassifier((8,), epochs=2).fit(pictures, codes, (pictures, codes))

    assert {array.dtype for array in weights(fitted)} == {np.dtype(trained)}
    assert fitted.decision_function(pictures).dtype == np.float64


def test_rows_beyond_one_block_are_answered_like_the_first_ones() -> None:
    features = np.random.default_rng(0).normal(size=(150, 30_000))
    codes = np.arange(150) % 2
    fitted = MiniBatchClassifier(epochs=1, learning_rate=1e-4).fit(features, codes)

    logits = fitted.decision_function(features)

    expected = features @ fitted.coefs_[0][:, 0] + fitted.intercepts_[0]
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-9)


# ---- the same again


@pytest.mark.parametrize("settings", [{}, {"hidden": (16,)}, {"optimiser": "sgd"}, {"one_vs_rest": True}])
def test_equal_seeds_give_equal_bytes_and_others_do_not(settings: dict[str, Any]) -> None:
    features, codes = iris()

    def trained(seed: int) -> list[bytes]:
        return as_bytes(MiniBatchClassifier(**settings, epochs=5, seed=seed).fit(features, codes))

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_a_batch_greater_than_the_data_is_all_of_it() -> None:
    features, codes = iris()
    whole = MiniBatchClassifier(batch_size=150, epochs=3).fit(features, codes)

    greater = MiniBatchClassifier(batch_size=10_000, epochs=3).fit(features, codes)

    assert as_bytes(greater) == as_bytes(whole)


def test_it_works_as_a_step_of_scikit_learn() -> None:
    features, codes = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), MiniBatchClassifier(epochs=50, seed=3))

    scores = cross_val_score(pipeline, features, codes, cv=3)

    assert scores.mean() > 0.9
    assert clone(pipeline[-1]).get_params() == pipeline[-1].get_params()


# ---- what cannot be trained


def test_a_loss_that_is_no_number_stops_with_epoch_and_learning_rate() -> None:
    train, codes, held = halves(*cancer())
    classifier = MiniBatchClassifier((8, 8), optimiser="sgd", learning_rate=1e6)

    with pytest.raises(ValueError, match=r"in epoch 1 of 200 .*learning rate 1e\+06 is likely too high"):
        classifier.fit(train, codes, held)


def test_a_penalty_that_grows_without_end_stops_with_a_later_epoch() -> None:
    features, codes = iris()
    classifier = MiniBatchClassifier(optimiser="sgd", momentum=0.0, learning_rate=1.0, alpha=100.0)

    with pytest.raises(ValueError, match=r"in epoch \d\d+ of 200 its loss is no finite number"):
        classifier.fit(features, codes)


class _Warned(Perceptron):
    def _compute_loss_grad(self, layer: int, _: float, *arrays: list[Any]) -> None:
        warnings.warn("something else", UserWarning, stacklevel=1)


class _WarnedOf(MiniBatchClassifier):
    def _perceptron(self, n_samples: int) -> Perceptron:
        return _Warned((), batch_size=n_samples)


def test_another_warning_is_not_taken_for_an_interrupt() -> None:
    features, codes = iris()

    with pytest.raises(UserWarning, match="something else"):
        _WarnedOf().fit(features, codes)


def test_an_interrupt_between_epochs_leaves_as_an_interrupt() -> None:
    features, codes = iris()
    classifier = MiniBatchClassifier()

    def press(epoch: Epoch) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        classifier.fit(features, codes, on_epoch=press)
    assert not hasattr(classifier, "coefs_")


class _PressedInABatch(Perceptron):
    def _compute_loss_grad(self, layer: int, _: float, *arrays: list[Any]) -> None:
        signal.raise_signal(signal.SIGINT)


class _Pressed(MiniBatchClassifier):
    def _perceptron(self, n_samples: int) -> Perceptron:
        return _PressedInABatch((), batch_size=n_samples)


def test_an_interrupt_in_the_midst_of_a_batch_leaves_as_an_interrupt() -> None:
    features, codes = iris()
    classifier = _Pressed()

    with pytest.raises(KeyboardInterrupt):
        classifier.fit(features, codes)
    assert not hasattr(classifier, "coefs_")


def test_all_wrong_settings_are_named_at_once() -> None:
    features, codes = iris()
    classifier = MiniBatchClassifier(
        (0,),
        "sigmoid",  # type: ignore[arg-type]
        optimiser="rmsprop",  # type: ignore[arg-type]
        learning_rate=0.0,
        momentum=1.0,
        batch_size=0,
        epochs=0,
        alpha=-1.0,
        patience=0,
    )

    with pytest.raises(ValueError, match="activation is one of relu, tanh") as refused:
        classifier.fit(features, codes)

    parts = str(refused.value).split("; ")
    assert [part.split()[0] for part in parts] == [
        "hidden",
        "activation",
        "optimiser",
        "learning_rate",
        "momentum",
        "batch_size",
        "epochs",
        "alpha",
        "patience",
    ]


def test_class_weights_of_several_labels_are_refused_with_what_to_do() -> None:
    features, codes = iris()
    labels = np.stack([codes == 1, codes >= 1], axis=1)

    with pytest.raises(ValueError, match="leave class_weight out"):
        MiniBatchClassifier(class_weight="balanced").fit(features, labels)


def test_a_missing_value_is_refused() -> None:
    features, codes = iris()
    features[3, 2] = np.nan

    with pytest.raises(ValueError, match="NaN"):
        MiniBatchClassifier().fit(features, codes)


def test_a_column_that_no_training_row_has_gets_no_weight() -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=(60, 2)), np.zeros(60)])
    codes = (rows[:, 0] > 0).astype(np.int64)
    other = np.add(rows, (0.0, 0.0, 1.0))

    trained = MiniBatchClassifier(hidden=(8,), epochs=3).fit(rows, codes)

    assert (trained.coefs_[0][2] == 0.0).all()
    assert trained.predict_proba(other).tolist() == trained.predict_proba(rows).tolist()
