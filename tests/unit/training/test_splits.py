"""Rows of one group, one time or one key are never divided; what cannot be divided says what to change."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from sigmax.errors import InvalidInput
from sigmax_training import drawing, grouping, splits
from sigmax_training.data.dataset import Dataset, numeric_blocks
from sigmax_training.job import Evaluation, Splitting

GROUP = Evaluation(Splitting.GROUP, "patient", folds=4, repeats=2, test_fraction=0.2)
TIME = Evaluation(Splitting.TIME, "day", folds=4, test_fraction=0.25)
HASH = Evaluation(Splitting.HASH, "id", folds=4, repeats=2, test_fraction=0.3)


def rows(count: int = 240, *, labels: bool = False, seed: int = 0) -> Dataset:
    """Rows of three classes (or labels) in 30 groups of different sizes, at 60 times, in no order."""
    rng = np.random.default_rng(seed)
    codes = rng.random((count, 3)) < 0.4 if labels else rng.permutation(np.arange(count) % 3)
    features = np.arange(count, dtype=np.float64)[:, np.newaxis]
    return Dataset(
        description="rows",
        features=features,
        codes=codes,
        classes=("a", "b", "c"),
        blocks=numeric_blocks(features, ["x"]),
        groups=drawing.keys_of_integers(np.sort(rng.integers(0, 30, count))),
        times=rng.permutation(np.arange(count) // 4).astype(np.float64),
    )


def of(values: npt.NDArray[np.generic] | None, chosen: npt.NDArray[np.int64]) -> set[object]:
    assert values is not None
    return set(values[chosen].tolist())


@pytest.mark.parametrize(
    ("evaluation", "labels", "seed"), list(product((GROUP, HASH), (False, True), (0, 1)))
)
def test_rows_of_one_group_are_on_one_side_of_every_split(
    evaluation: Evaluation, labels: bool, seed: int
) -> None:
    dataset = rows(labels=labels)
    held_out = splits.holdout(dataset, evaluation, seed)
    found = [
        held_out,
        splits.validation(dataset, held_out[0], evaluation, 0.2, seed),
        *splits.folds(dataset, evaluation, seed),
    ]

    assert all(not of(dataset.groups, train) & of(dataset.groups, test) for train, test in found)
    assert sorted([*held_out[0], *held_out[1]]) == list(range(240))


@pytest.mark.parametrize(("evaluation", "labels"), list(product((GROUP, HASH), (False, True))))
def test_folds_judge_every_row_once_a_repeat_and_differ_between_repeats(
    evaluation: Evaluation, labels: bool
) -> None:
    found = splits.folds(rows(labels=labels), evaluation, seed=0)

    judged = [test for _, test in found]

    assert len(found) == 8
    assert np.bincount(np.concatenate(judged)).tolist() == [2] * 240
    assert [test.tolist() for test in judged[:4]] != [test.tolist() for test in judged[4:]]


def test_as_many_groups_as_folds_are_each_left_out_once() -> None:
    dataset = replace(rows(), groups=np.arange(240) % 7)

    found = splits.folds(dataset, replace(GROUP, folds=7), seed=0)

    assert [of(dataset.groups, test) for _, test in found] == [{group} for group in range(7)]


def closest(sizes: list[int], fraction: float) -> float:
    """How close whole groups come to a fraction of the rows, by trying all of them."""
    total = sum(sizes)
    chosen = (np.array(bits) @ sizes for bits in product((0, 1), repeat=len(sizes)))
    return min(abs(float(rows) - fraction * total) for rows in chosen if 0 < rows < total)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.35, 0.5])
@pytest.mark.parametrize(
    "sizes", [[90, 10, 10, 10], [33, 31, 17, 5, 3, 2], [1, 1], [50, 40, 30, 20, 10, 9, 8]]
)
def test_few_groups_come_as_close_to_the_fraction_of_the_rows_as_can_be(
    sizes: list[int], fraction: float
) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    alike = np.ones((len(groups), 1), np.bool_)

    held = grouping.aside(groups, alike, fraction, seed=3)

    assert abs(held.sum() - fraction * len(groups)) == pytest.approx(closest(sizes, fraction))


@pytest.mark.parametrize("seed", range(3))
def test_many_groups_come_close_to_the_fraction_of_the_rows_with_every_class_on_both_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 300, 5000) ** 2 // 300
    codes = np.where(
        groups < 2, 1, np.where(np.isin(groups, (50, 60)), 2, 0)
    )  # two rare classes of two groups
    marks = codes[:, np.newaxis] == np.arange(3)

    held = grouping.aside(groups, marks, 0.2, seed)

    assert abs(held.sum() - 1000) <= 2
    assert marks[held].any(axis=0).all()
    assert marks[~held].any(axis=0).all()


def test_a_hundred_thousand_groups_are_divided_quickly() -> None:
    groups = np.arange(200_000) // 2

    held = grouping.aside(groups, np.ones((200_000, 1), np.bool_), 0.2, seed=0)

    assert held.sum() == 40_000


def test_later_rows_are_judged_and_the_validation_rows_are_the_latest_of_the_training_rows() -> None:
    dataset = rows()
    times = dataset.times
    assert times is not None

    train, test = splits.holdout(dataset, TIME, seed=0)
    kept, aside = splits.validation(dataset, train, TIME, 0.2, seed=0)

    assert len(test) == 60
    assert times[train].max() < times[test].min()
    assert len(aside) == 36
    assert times[kept].max() < times[aside].min()
    assert sorted([*kept, *aside]) == train.tolist()


def test_each_block_of_time_is_judged_by_what_the_blocks_before_it_teach() -> None:
    dataset = rows(labels=True)
    times = dataset.times
    assert times is not None

    found = splits.folds(dataset, TIME, seed=0)

    assert [(len(train), len(test)) for train, test in found] == [(60, 60), (120, 60), (180, 60)]
    assert all(times[train].max() < times[test].min() for train, test in found)


def test_rows_of_one_time_are_in_one_block_however_many_they_are() -> None:
    times = np.array([0.0] * 6 + [1.0] * 200 + [2.0] * 30 + [3.0] * 4)
    dataset = replace(rows(), times=times)

    found = splits.folds(dataset, replace(TIME, folds=4), seed=0)

    assert [of(times, test) for _, test in found] == [{1.0}, {2.0}, {3.0}]


def drawn(dataset: Dataset, seed: int = 5) -> dict[object, tuple[object, ...]]:
    """Where each key is in every split by hash."""
    assert dataset.groups is not None
    held_out = splits.holdout(dataset, HASH, seed)
    found = [held_out, splits.validation(dataset, held_out[0], HASH, 0.2, seed)]
    found += splits.folds(dataset, HASH, seed)
    sides = np.array([np.isin(np.arange(len(dataset.codes)), test) for _, test in found])
    return {key: tuple(sides[:, place].tolist()) for place, key in enumerate(dataset.groups.tolist())}


def test_shuffled_and_added_rows_leave_every_other_row_where_it_was() -> None:
    keys = drawing.keys_of_texts([f"row {number}" for number in range(240)])
    every = replace(rows(), groups=keys)
    order = np.random.default_rng(1).permutation(240)
    shuffled = replace(every, features=every.features[order], codes=every.codes[order], groups=keys[order])
    some = np.sort(order[:150])
    fewer = replace(every, features=every.features[some], codes=every.codes[some], groups=keys[some])

    of_all = drawn(every)

    assert drawn(shuffled) == of_all
    assert drawn(fewer) == {key: of_all[key] for key in keys[some].tolist()}
    assert drawn(every, seed=6) != of_all


def test_a_row_is_held_out_where_its_keys_share_is_below_the_fraction() -> None:
    dataset = rows()
    assert dataset.groups is not None

    _, test = splits.holdout(dataset, HASH, seed=9)

    assert test.tolist() == np.flatnonzero(drawing.shares(dataset.groups, 9, "test") < 0.3).tolist()


def test_photographs_are_divided_by_hash_by_their_own_groups() -> None:
    dataset = replace(rows(), groups=np.arange(240) % 30)

    train, test = splits.holdout(dataset, replace(HASH, key=None), seed=0)

    assert not of(dataset.groups, train) & of(dataset.groups, test)


@pytest.mark.parametrize(
    ("change", "evaluation", "expected"),
    [
        ({"groups": None}, GROUP, "evaluation.split = 'group' needs rows that have a key: name a column"),
        ({"groups": None}, HASH, "evaluation.split = 'hash' needs rows that have a key: name a column"),
        ({"times": None}, TIME, "evaluation.split = 'time' needs rows that have a time: name a column"),
        (
            {"groups": np.zeros(240, np.int64)},
            GROUP,
            "evaluation.key = 'patient' is the same in every row, .* give another column as evaluation.key",
        ),
        (
            {"times": np.ones(240)},
            TIME,
            "evaluation.key = 'day': all rows are of the same time, .* give another column as evaluation.key",
        ),
        (
            {"groups": np.arange(240) // 239},
            replace(HASH, test_fraction=0.01),
            "evaluation.test_fraction = 0.01: of 240 rows 0 would be set aside, .* another eval",
        ),
        (
            {"codes": np.where(np.arange(240) < 40, 0, 1 + np.arange(240) % 2), "times": np.arange(240.0)},
            TIME,
            "the held-out rows have no row of class 'a': give another evaluation.test_fraction",
        ),
        (
            {"codes": np.arange(240) % 30 // 12, "groups": np.arange(240) % 30 // 12},
            GROUP,
            "have no row of class '.*': give another evaluation.test_fraction or another col",
        ),
    ],
)
def test_what_cannot_be_held_out_names_key_and_remedy(
    change: dict[str, object], evaluation: Evaluation, expected: str
) -> None:
    with pytest.raises(InvalidInput, match=expected):
        splits.holdout(replace(rows(), **change), evaluation, seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "evaluation", "expected"),
    [
        (
            {"codes": np.repeat([0, 1, 2], [100, 100, 40]), "times": np.arange(240.0)},
            TIME,
            "fold 1 of 3: the rows to fit on have no row of class 'b', 'c': give fewer evaluation.folds or",
        ),
        (
            {"times": np.arange(240.0) // 100},
            TIME,
            "evaluation.folds = 4 blocks of time, but evaluation.key = 'day' has 3 different times: give",
        ),
        (
            {"groups": np.arange(240) % 3},
            HASH,
            "evaluation.folds = 4: fold . of 8: there are no rows to judge: give fewer evaluation.folds",
        ),
        (
            {"codes": np.repeat([0, 1, 2], 80), "groups": np.repeat([0, 1, 2, 3, 4], [80, *[40] * 4])},
            GROUP,
            "needs every class in two groups at least, .* in one group alone is 'a': give another column",
        ),
        (
            {"codes": np.arange(240) % 40 // 39 + np.arange(240) % 2 * 2 // 2},
            replace(GROUP, folds=7),
            "class 'c' has 6 rows, fewer than evaluation.folds = 7",
        ),
    ],
)
def test_what_cannot_be_folded_names_key_and_remedy(
    change: dict[str, object], evaluation: Evaluation, expected: str
) -> None:
    with pytest.raises(InvalidInput, match=expected):
        splits.folds(replace(rows(), **change), evaluation, seed=0)  # type: ignore[arg-type]


def test_two_groups_and_validation_rows_are_refused_with_what_to_change() -> None:
    dataset = replace(rows(), groups=np.arange(240) % 2)
    train, _ = splits.folds(dataset, GROUP, seed=0)[0]

    with pytest.raises(
        InvalidInput,
        match=r"of one group, .* needs three groups or more; give another column as evaluation.key, or leave",
    ):
        splits.validation(dataset, train, GROUP, 0.15, seed=0)


@pytest.mark.parametrize("evaluation", [Evaluation(), GROUP, TIME, HASH], ids=str)
def test_a_label_too_rare_for_the_validation_rows_is_named_with_the_key_to_change(
    evaluation: Evaluation,
) -> None:
    dataset = rows(labels=True)
    codes = dataset.codes.copy()
    codes[:, 1] = np.arange(240) == 0  # one row has it
    rare = replace(dataset, codes=codes)

    with pytest.raises(
        InvalidInput, match=r"label 'b' both set and unset: give .*(validation.fraction|folds)"
    ):
        splits.validation(rare, np.arange(240), evaluation, 0.15, seed=0)
