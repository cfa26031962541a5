from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sigmax.errors import InvalidInput
from sigmax.inference.classification import MAX_TEXTS, check_count, classified

LABELS = ("a", "b:c", "한")


def by_hand(scores: Any, count: int) -> list[str]:
    """What the extension says, one number at a time."""
    texts = []
    for row in scores.tolist():
        order = sorted(range(len(row)), key=lambda column: (-row[column], column))[:count]
        texts += [f"{row[column]:.6f}:{column}:{LABELS[column]}" for column in order]
    return texts


def test_the_highest_come_first_with_value_column_and_label() -> None:
    scores = np.array([[0.25, 0.5, 0.25], [1e-7, 0.0, 1.0]])

    assert classified(scores, LABELS, 2) == [
        "0.500000:1:b:c",
        "0.250000:0:a",
        "1.000000:2:한",
        "0.000000:0:a",
    ]


def test_a_tie_goes_to_the_lower_column() -> None:
    assert classified(np.full((1, 3), 0.5), LABELS, 3) == [
        "0.500000:0:a",
        "0.500000:1:b:c",
        "0.500000:2:한",
    ]


@given(
    arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 40), st.just(3)),
        elements=st.floats(-20, 20, width=32),
    ),
    st.integers(1, 5),
)
def test_any_scores_are_written_as_one_number_at_a_time(scores: Any, count: int) -> None:
    assert classified(scores, LABELS, count) == by_hand(scores, count)


@given(st.lists(st.integers(0, 10**6 - 1), min_size=30, max_size=60), st.integers(-2, 2))
def test_numbers_in_the_middle_of_two_decimals_are_rounded_as_c_does(
    millionths: list[int], steps: int
) -> None:
    middle = (np.array(millionths, np.float64) + 0.5) / 1e6
    for _ in range(abs(steps)):
        middle = np.nextafter(middle, 2 if steps > 0 else -1)
    scores = np.stack([middle, middle[::-1], np.sqrt(middle)], axis=1)

    assert classified(scores, LABELS, 3) == by_hand(scores, 3)


def test_many_texts_are_refused_before_they_are_made() -> None:
    check_count(MAX_TEXTS // 10, 10)
    with pytest.raises(InvalidInput, match="100001 rows of 10 classes are 1000010 texts, at most 1000000"):
        check_count(MAX_TEXTS // 10 + 1, 10)
