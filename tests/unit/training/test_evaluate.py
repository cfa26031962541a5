"""Evaluation never judges a row that was fitted on, and mirrors pictures in training only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sigmax.contract import Colour, Image
from sigmax.errors import InvalidInput
from sigmax_training import data, evaluate, splits
from sigmax_training.data import photographs
from sigmax_training.data.dataset import Dataset, numeric_blocks
from sigmax_training.evaluate import Score
from sigmax_training.fit import fit, training_rows
from sigmax_training.job import Evaluation, Photographs, Splitting, parse
from sigmax_training.rows import Space

BY_GROUP = Evaluation(Splitting.GROUP, test_fraction=0.25)


@pytest.fixture(scope="module")
def patches() -> Dataset:
    return photographs.load(Photographs(Colour.HSV, size=20, stride=40, flips=True))


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return data.load(parse("name='x'\n[data]\nbuiltin='iris'", Path()))


def groups(dataset: Dataset, rows: np.ndarray) -> set[int]:
    assert dataset.groups is not None
    return set(dataset.groups[rows].tolist())


def test_each_strip_is_judged_once_by_an_estimator_that_has_not_seen_it(patches: Dataset) -> None:
    found = splits.folds(patches, BY_GROUP, seed=0)

    assert [groups(patches, test) for _, test in found] == [{0}, {1}, {2}, {3}]
    assert all(not groups(patches, train) & groups(patches, test) for train, test in found)


@pytest.mark.parametrize("seed", range(4))
def test_the_held_out_strip_is_not_in_the_training_split(patches: Dataset, seed: int) -> None:
    train, test = splits.holdout(patches, BY_GROUP, seed)

    assert len(groups(patches, test)) == 1
    assert groups(patches, train) | groups(patches, test) == {0, 1, 2, 3}
    assert not groups(patches, train) & groups(patches, test)


def test_training_sees_each_picture_mirrored_too(patches: Dataset) -> None:
    rows = np.array([5, 300])
    image = patches.image
    assert isinstance(image, Image)

    features, codes = training_rows(patches, rows)
    pictures = features.reshape(4, *image.shape)

    assert codes.tolist() == [*patches.codes[rows], *patches.codes[rows]]
    assert (pictures[2:] == pictures[:2, :, :, ::-1]).all()
    assert not (pictures[2:] == pictures[:2]).all()


def test_without_flips_training_sees_the_rows_as_they_are(patches: Dataset) -> None:
    features, _ = training_rows(replace(patches, flips=False), np.array([5]))

    assert len(features) == 1


def test_repeated_stratified_folds_judge_every_row_once_a_repeat(iris: Dataset) -> None:
    found = splits.folds(iris, Evaluation(folds=5, repeats=3), seed=0)

    judged = np.concatenate([test for _, test in found])

    assert len(found) == 15
    assert np.bincount(judged).tolist() == [3] * 150
    assert all(np.bincount(iris.codes[test]).tolist() == [10, 10, 10] for _, test in found)


def test_the_held_out_split_is_stratified_and_given_by_the_seed(iris: Dataset) -> None:
    first, again, other = (splits.holdout(iris, Evaluation(), seed)[1] for seed in (0, 0, 1))

    assert np.bincount(iris.codes[first]).tolist() == [10, 10, 10]
    assert first.tolist() == again.tolist() != other.tolist()


def test_a_group_that_holds_all_rows_of_a_class_cannot_be_left_out(patches: Dataset) -> None:
    lonely = replace(patches, groups=patches.codes)

    with pytest.raises(InvalidInput, match="in one group alone are 'temple', 'flower'"):
        splits.folds(lonely, BY_GROUP, seed=0)


def test_the_summary_is_mean_deviation_and_worst_of_the_folds() -> None:
    found = evaluate.summary((Score(0.5, 1.0), Score(1.0, 2.0)))

    assert found == {
        "cv_accuracy_mean": 0.75,
        "cv_accuracy_std": 0.25,
        "cv_accuracy_worst": 0.5,
        "cv_log_loss_mean": 1.5,
        "cv_log_loss_std": 0.5,
        "cv_folds": 2.0,
    }


def test_the_baseline_is_the_most_frequent_training_class(iris: Dataset) -> None:
    train, test = np.arange(60), np.arange(40, 70)  # 50 setosa and 10 versicolor; then 10 and 20

    assert evaluate.baseline(iris, (train, test))["baseline_accuracy"] == pytest.approx(10 / 30)


def test_the_log_loss_of_the_baseline_is_that_of_the_training_rows_class_shares(iris: Dataset) -> None:
    train, test = np.arange(0, 150, 2), np.arange(1, 60, 2)  # 25 of each; then 25 setosa and 5 versicolor
    unequal = np.concatenate([train, np.arange(1, 50, 2)])  # 50 setosa of 100

    even, skewed = (evaluate.baseline(iris, (rows, test))["baseline_log_loss"] for rows in (train, unequal))

    assert even == pytest.approx(np.log(3))
    assert skewed == pytest.approx((25 * np.log(2) + 5 * np.log(4)) / 30)


def test_data_that_the_estimator_cannot_take_is_a_clear_error(iris: Dataset) -> None:
    huge = replace(iris, features=np.where(np.arange(600).reshape(150, 4) % 2 == 0, 1e308, -1e308))
    job = parse("name='x'\n[data]\nbuiltin='iris'", Path())

    with pytest.raises(InvalidInput, match=r"'petal length \(cm\)'.* are too large to be scaled"):
        fit(job, huge, np.arange(150))


@pytest.fixture(scope="module")
def traits() -> Dataset:
    return data.load(parse("name='x'\n[data]\nbuiltin='digit_traits'", Path()))


def test_rows_of_several_labels_are_folded_and_every_label_is_on_every_side(traits: Dataset) -> None:
    found = splits.folds(traits, Evaluation(folds=4, repeats=2), seed=0)

    assert len(found) == 8
    assert np.sort(np.concatenate([test for _, test in found[:4]])).tolist() == list(range(1797))
    assert all(traits.codes[train].mean(axis=0).min() > 0 for train, _ in found)


def test_the_log_loss_of_the_baseline_of_labels_is_the_mean_over_them(traits: Dataset) -> None:
    train, test = np.arange(900), np.arange(900, 1797)
    shares = traits.codes[train].mean(axis=0)
    of_truth = np.where(traits.codes[test], shares, 1 - shares)

    found = evaluate.baseline(traits, (train, test))

    assert found["baseline_log_loss"] == pytest.approx(-np.log(of_truth).mean())
    assert found["baseline_accuracy"] == pytest.approx((traits.codes[test] == (shares > 0.5)).mean())


def test_validation_rows_are_training_rows_set_aside(iris: Dataset) -> None:
    train, _ = splits.holdout(iris, Evaluation(), 0)

    kept, aside = splits.validation(iris, train, Evaluation(), 0.25, 0)

    assert sorted([*kept, *aside]) == train.tolist()
    assert len(aside) == 30
    assert np.bincount(iris.codes[aside]).tolist() == [10, 10, 10]


def test_groups_stay_together_in_validation_too(patches: Dataset) -> None:
    train, _ = splits.holdout(patches, BY_GROUP, 0)

    kept, aside = splits.validation(patches, train, BY_GROUP, 0.25, 0)

    assert groups(patches, kept) & groups(patches, aside) == set()
    assert len(groups(patches, aside)) == 1


def test_one_group_is_not_divided(patches: Dataset) -> None:
    assert patches.groups is not None

    with pytest.raises(InvalidInput, match="rows to be divided are of one group, and a group is not divided"):
        splits.validation(patches, np.flatnonzero(patches.groups == 0), BY_GROUP, 0.25, 0)


def test_a_label_that_is_too_rare_for_the_folds_is_named(traits: Dataset) -> None:
    rare = replace(traits, codes=traits.codes & (np.arange(1797) < 12)[:, np.newaxis])

    with pytest.raises(InvalidInput, match=r"label 'even' has \d rows, fewer than evaluation.folds = 10"):
        splits.folds(rare, Evaluation(folds=10), seed=0)


CODES = np.repeat([0, 1, 2], [50, 50, 3])


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (
            0.01,
            "validation.fraction = 0.01 does not fit the data: it sets 2 of 103 rows aside",
        ),
        (0.999, "it sets 103 of 103 rows aside"),
    ],
)
def test_a_share_that_leaves_a_class_out_is_refused(iris: Dataset, fraction: float, expected: str) -> None:
    few = replace(iris, codes=CODES, features=iris.features[:103])

    with pytest.raises(InvalidInput, match=expected):
        splits.validation(few, np.arange(103), Evaluation(), fraction, seed=0)


def test_a_class_that_cannot_be_divided_is_named_by_its_label(iris: Dataset) -> None:
    few = replace(iris, codes=CODES, features=iris.features[:103])

    with pytest.raises(InvalidInput, match=r"of the 101 rows .* fewer than two are of class 'virginica'"):
        splits.validation(few, np.arange(101), Evaluation(), 0.2, seed=0)


def test_rows_that_do_not_fit_into_the_memory_are_a_clear_error(
    iris: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 40 GiB")

    monkeypatch.setattr("sigmax_training.features.preprocessor", full)

    with pytest.raises(InvalidInput, match="150 rows to fit on do not fit into the memory"):
        fit(parse("name='x'\n[data]\nbuiltin='iris'", Path()), iris, np.arange(150))


def test_random_rows_of_numbers_over_the_whole_range_of_float64_are_finite() -> None:
    blocks = numeric_blocks(np.array([[-1.7e308, 0.0], [1.7e308, 1.0]]), ["a", "b"])

    rows = Space.of(blocks).random(50, np.random.default_rng(0))

    assert np.isfinite(rows).all()
