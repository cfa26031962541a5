"""Shares of rows are drawn from their keys alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sigmax_training.drawing import keys_of_integers, keys_of_texts, shares


def test_equal_keys_fall_together_wherever_they_stand() -> None:
    first = shares(keys_of_texts(["kim", "lee", "park"]), 0, "test")
    second = shares(keys_of_texts(["park", "choi", "kim"]), 0, "test")

    assert first[0] == second[2]
    assert first[2] == second[0]


def test_an_integer_falls_where_its_text_falls() -> None:
    numbers = np.array([-(2**63), -1, 0, 7, 2**40, 2**63 - 1])

    assert keys_of_texts(map(str, numbers.tolist())).tolist() == keys_of_integers(numbers).tolist()


def test_a_key_falls_in_the_same_place_on_every_machine() -> None:
    drawn = shares(keys_of_texts(["kim", "7"]), 3, "test")

    assert drawn.tolist() == [0.1280271366651281, 0.6986257670410632]


@pytest.mark.parametrize("keys", [np.arange(100_000), np.arange(100_000) * 1024])
def test_row_numbers_are_spread_evenly(keys: npt.NDArray[Any]) -> None:
    drawn = shares(keys_of_integers(keys), 0, "test")
    counts = np.histogram(drawn, bins=20, range=(0, 1))[0]

    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert np.abs(counts - 5_000).max() < 5 * np.sqrt(5_000)


def test_two_purposes_and_two_seeds_are_independent() -> None:
    keys = keys_of_integers(np.arange(20_000))
    base = shares(keys, 0, "test")

    for other in (shares(keys, 0, "validation"), shares(keys, 1, "test")):
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.03
