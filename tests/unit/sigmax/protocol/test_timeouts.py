from __future__ import annotations

from typing import Any

import pytest

from sigmax.errors import InvalidInput
from sigmax.protocol.timeouts import timeout_of


@pytest.mark.parametrize("value", [1_500, "1500", 1500.0])
def test_a_timeout_is_a_number_of_microseconds_or_its_digits(value: Any) -> None:
    assert timeout_of({"timeout": value, "priority": 1}) == 0.0015


@pytest.mark.parametrize("parameters", [{}, {"timeout": None}, {"timeout": 0}, {"timeout": "0"}])
def test_no_timeout_and_one_of_0_are_none(parameters: Any) -> None:
    assert timeout_of(parameters) is None


@pytest.mark.parametrize("value", [10**12, 2**63, 2**64 - 1, str(2**64 - 1), 1e300, 10**400])
def test_a_timeout_without_end_is_a_long_one(value: Any) -> None:
    timeout = timeout_of({"timeout": value})

    assert timeout is not None
    assert timeout >= 10**6


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-1, "the number -1"),
        (0.5, "the number 0.5"),
        (float("inf"), "the number inf"),
        (True, "the boolean true"),
        ("", "the text ''"),
        ("1 s", "the text '1 s'"),
        ("٣", "the text '٣'"),
        ("1" * 21, "the text '111111111111111111111'"),
    ],
)
def test_anything_else_is_refused_with_what_came(value: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        timeout_of({"timeout": value})

    text = "parameter 'timeout' is a whole number of microseconds, at least 0, not"
    assert str(error.value) == f"{text} {said}"
