"""One pass over a stream learns what a fit on all of its training rows would learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from tests.unit.training.streams import Held, binary, of_dataset

from sigmax.errors import InvalidInput
from sigmax_training import data, features
from sigmax_training import job as jobs
from sigmax_training.data.dataset import Dataset
from sigmax_training.drawing import shares
from sigmax_training.streaming import survey as surveys
from sigmax_training.streaming.division import TEST, TRAINING, VALIDATION, Fractions, divide
from sigmax_training.streaming.moments import Moments
from sigmax_training.streaming.preparation import Preparation
from sigmax_training.streaming.sampling import Smallest
from sigmax_training.streaming.survey import Survey

FRACTIONS = Fractions(0.2, 0.15)


def survey(stream: Held, *, standardise: bool = True, fractions: Fractions = FRACTIONS) -> Survey:
    division = divide(stream, fractions, 0)
    return surveys.survey(stream, division, standardise=standardise, on_rows=lambda seen: None)


def sides(stream: Held, fractions: Fractions = FRACTIONS) -> Any:
    division = divide(stream, fractions, 0)
    return np.concatenate([division.sides(part) for part in stream.read(range(stream.pieces))])


def mixed(folder: Path, missing: str) -> Dataset:
    """Numbers, booleans and categories, with gaps."""
    rng = np.random.default_rng(3)
    lines = ["size,age,ready,port,grade"]
    for row in range(3000):
        size = "" if row % 7 == 0 else f"{rng.normal(1e3, 5):.3f}"
        age = "" if row % 11 == 0 else str(rng.integers(0, 9))
        port = "" if row % 13 == 0 else ("busan", "seoul", "jeju")[rng.integers(3)]
        lines.append(f"{size},{age},{'true' if row % 3 else 'false'},{port},{'pass' if row % 2 else 'fail'}")
    (folder / "rows.csv").write_text("\n".join([*lines, ""]))
    text = f"name='m'\n[data]\npath='rows.csv'\ntarget='grade'\n[features]\nmissing='{missing}'\n"
    if missing == "constant":
        text += "fill=-1.5\n"
    return data.load(jobs.parse(text + "[features.columns.port]\nmissing='category'\n", folder))


def test_a_row_is_a_test_row_by_its_key_alone() -> None:
    stream = binary(5000)

    found = sides(stream)

    keys = np.arange(5000, dtype=np.uint64)
    test = shares(keys, 0, "test") < 0.2
    np.testing.assert_array_equal(found == TEST, test)
    np.testing.assert_array_equal(found == VALIDATION, ~test & (shares(keys, 0, "validation") < 0.15))


def test_where_rows_have_times_the_later_ones_are_watched_and_the_latest_judged() -> None:
    times = np.random.default_rng(1).permutation(5000).astype(float)
    stream = binary(5000, times=times)

    found = sides(stream)

    assert times[found == TEST].min() > times[found == VALIDATION].max()
    assert times[found == VALIDATION].min() > times[found == TRAINING].max()
    assert [np.count_nonzero(found == side) for side in (TEST, VALIDATION)] == [1000, 600]


def test_rows_of_one_time_cannot_be_divided_by_it() -> None:
    with pytest.raises(InvalidInput, match=r"evaluation.test_fraction: .* of the same time, .*: give"):
        divide(binary(2000, times=np.zeros(2000)), FRACTIONS, 0)


@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("standardise", [True, False])
def test_preparing_is_what_the_transformers_do(tmp_path: Path, missing: str, standardise: bool) -> None:
    dataset = mixed(tmp_path, missing)
    stream = of_dataset(dataset)
    training = dataset.features[sides(stream) == TRAINING]
    transformer = features.preprocessor(dataset.blocks, dataset.fills, standardise=standardise)
    expected = transformer.fit(training).transform(dataset.features)
    learnt = features.expansion(transformer, dataset.blocks)

    preparation = survey(stream, standardise=standardise).preparation

    np.testing.assert_allclose(preparation.expansion.fill, learnt.fill, rtol=1e-12)
    np.testing.assert_allclose(preparation.expansion.mean, learnt.mean, rtol=1e-12, atol=0)
    np.testing.assert_allclose(preparation.expansion.deviation, learnt.deviation, rtol=1e-12)
    assert learnt.sizes == preparation.expansion.sizes
    np.testing.assert_allclose(preparation.transform(dataset.features), expected, rtol=1e-9, atol=1e-9)


def test_preparing_with_the_same_numbers_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    dataset = mixed(tmp_path, "median")
    transformer = features.preprocessor(dataset.blocks, dataset.fills, standardise=True)
    expected = transformer.fit_transform(dataset.features)

    preparation = Preparation(features.expansion(transformer, dataset.blocks))

    np.testing.assert_array_equal(preparation.transform(dataset.features), expected)


def test_moments_of_parts_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(10_000, 4)) * (1, 1e-6, 1e6, 1) + (1e6, 0, -1e3, 7)
    matrix[:, 3] = 0.1
    moments = Moments(4)
    for start in range(0, 10_000, 137):
        moments.add(matrix[start : start + 137])

    mean, deviation = moments.scaling()

    scaler = StandardScaler().fit(matrix)
    np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(deviation, scaler.scale_, rtol=1e-12)
    assert (mean[3], deviation[3]) == (0.1, 1.0)


def test_a_column_that_begins_with_missing_numbers_keeps_its_digits() -> None:
    matrix = np.random.default_rng(0).normal(1e9, 1e-2, size=(2000, 1))
    matrix[:700] = np.nan
    moments = Moments(1)
    for start in range(0, 2000, 100):
        moments.add(matrix[start : start + 100])

    mean, deviation = moments.scaling()

    scaler = StandardScaler().fit(matrix)
    np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(deviation, scaler.scale_, rtol=1e-12)


def test_a_sample_does_not_depend_on_the_order_of_the_rows() -> None:
    numbers, values = np.random.default_rng(0).random(5000), np.arange(5000)
    found = []
    for order in (np.arange(5000), np.random.default_rng(1).permutation(5000)):
        sample = Smallest(100)
        for some in np.array_split(order, 31):
            sample.add(numbers[some], values[some])
        found.append(sample.columns()[0])

    np.testing.assert_array_equal(found[0], np.argsort(numbers)[:100])
    np.testing.assert_array_equal(found[0], found[1])


def test_a_sample_has_rows_of_every_key_though_it_is_smaller_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sigmax_training.streaming.survey.SAMPLED_ROWS", 150)
    stream = binary(12_000, keys=np.repeat(np.arange(60, dtype=np.uint64), 200))
    stream.features[:, 0] = np.repeat(np.arange(60), 200)

    found = survey(stream)

    for side, sample in ((TEST, found.test), (VALIDATION, found.validation)):
        there = np.unique(stream.features[sides(stream) == side, 0])
        np.testing.assert_array_equal(np.unique(sample.features[:, 0]), there)


@pytest.mark.parametrize(
    ("side", "text"),
    [
        (TRAINING, "the training rows have no row of class 'yes': give another evaluation.test_fraction or"),
        (VALIDATION, "the validation rows have no row of class 'yes': give another validation.fraction or"),
    ],
)
def test_rows_to_learn_from_without_a_class_are_an_error(side: int, text: str) -> None:
    stream = binary(2000)
    codes = np.where(sides(stream) == side, 0, stream.codes)

    with pytest.raises(InvalidInput, match=text):
        survey(Held(stream.features, codes, stream.classes, stream.blocks))


@pytest.mark.parametrize("always", [True, False])
def test_a_label_that_is_the_same_in_all_training_rows_is_an_error(always: bool) -> None:
    stream = binary(2000)
    codes = np.column_stack([stream.codes == 0, stream.codes == 1])
    codes[sides(stream) == TRAINING, 1] = always

    with pytest.raises(
        InvalidInput, match="the training rows do not have label 'yes' both set and unset: give"
    ):
        survey(Held(stream.features, codes, stream.classes, stream.blocks))


def test_a_fraction_that_sets_nothing_aside_is_an_error() -> None:
    expected = r"test_fraction = 1e-09 sets none of 2000 rows aside: give another evaluation.test_fraction or"
    with pytest.raises(InvalidInput, match=expected):
        survey(binary(2000), fractions=Fractions(1e-9, 0.0))


def test_numbers_too_large_to_be_scaled_are_an_error() -> None:
    stream = binary(2000)
    stream.features[::2, 1] = 1e300

    with pytest.raises(InvalidInput, match="column 'b' are too large"):
        survey(stream)


def test_an_input_that_no_row_has_taught_is_known(tmp_path: Path) -> None:
    dataset = mixed(tmp_path, "mean")
    dataset.features[dataset.features[:, 3] == 1.0, 3] = 0.0
    dataset.features[:, 1] = 4.0

    found = survey(of_dataset(dataset))

    training = dataset.features[sides(of_dataset(dataset)) == TRAINING]
    np.testing.assert_array_equal(found.taught, found.preparation.transform(training).any(axis=0))
    assert sorted(np.flatnonzero(~found.taught).tolist()) == [1, 4]
