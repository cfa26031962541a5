from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax.protocol.values import all_within, surely_finite

SHAPES = [(1, 2), (1, 30), (3, 30), (1, 200), (200, 30), (1, 30_000)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_noticed_among_any(
    shape: tuple[int, int], dtype: type[np.floating], wrong: float
) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=shape).astype(dtype)
    assert surely_finite(matrix)
    assert all_within(matrix, float(np.finfo(dtype).max))

    for _ in range(20):
        spoilt = matrix.copy()
        spoilt.ravel()[random.integers(matrix.size)] = wrong
        assert not surely_finite(spoilt)
        assert not all_within(spoilt, float(np.finfo(dtype).max))


@given(st.sampled_from([np.float32, np.float64]), st.sampled_from(SHAPES), st.integers(0, 999))
def test_what_is_surely_finite_is_and_no_warning_is_given(
    dtype: type[np.floating], shape: tuple[int, int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    largest = float(np.finfo(dtype).max)
    matrix = random.choice([1.0, -1.0, largest, -largest], shape).astype(dtype)
    if random.random() < 0.5:
        matrix[0, random.integers(shape[1])] = random.choice([np.inf, -np.inf, np.nan])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = surely_finite(matrix)

    assert not said or np.isfinite(matrix).all()


def test_a_bound_is_kept_on_both_sides() -> None:
    for size in (10, 10_000):
        numbers = np.full(size, 8.0)
        assert all_within(numbers, 8.0)
        assert all_within(-numbers, 8.0)
        assert not all_within(numbers, np.nextafter(8.0, 0.0))
        assert not all_within(-numbers, np.nextafter(8.0, 0.0))
    assert all_within(np.zeros(0), 8.0)
