from __future__ import annotations

from typing import Any

import pytest

from sigmax.errors import MAX_PROBLEMS, InvalidInput
from sigmax.protocol import options
from sigmax.protocol.options import Options


def test_what_is_left_out_is_the_default() -> None:
    assert options.parse({}) == options.parse({"top_k": None, "extra": "reject"}) == Options()


@pytest.mark.parametrize("threshold", [2, -0.1, float("nan"), float("inf"), 10**400, -(10**400), True, "0.5"])
def test_a_threshold_that_is_no_probability_is_refused(threshold: Any) -> None:
    with pytest.raises(InvalidInput, match="option 'threshold' is a number from 0 to 1, not"):
        options.parse({"threshold": threshold})


def test_a_million_unknown_options_cost_no_more_than_the_message_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[str] = []

    def nearest(name: str, known: object) -> str:
        searched.append(name)
        return ""

    monkeypatch.setattr(options, "nearest", nearest)

    with pytest.raises(InvalidInput, match=r"unknown option 'o0'; .*; and more$"):
        options.parse({f"o{number}": 1 for number in range(1_000_000)})

    assert len(searched) <= MAX_PROBLEMS + 1
