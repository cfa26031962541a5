"""What counts as the output that a document shows."""

from __future__ import annotations

import pytest
from tests.docs.output import agrees


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ([], []),
        (["setosa 0.98222346"], ["setosa 0.98222347  "]),
        (["difference 2.2e-16"], ["difference 1.3e-15"]),
        (["a", "...", "d"], ["a", "b", "c", "d"]),
        (["..."], []),
        (["proved: … golden rows"], ["proved: 9 golden rows"]),
    ],
)
def test_output_agrees_where_only_the_last_digits_or_what_is_left_out_differ(
    shown: list[str], came: list[str]
) -> None:
    assert agrees(shown, came)


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ([], ["a warning"]),
        (["setosa 0.982"], ["setosa 0.983"]),
        (["setosa 0.982"], ["virginica 0.982"]),
        (["version 1"], ["version 2"]),
        (["a", "...", "d"], ["a", "b", "c"]),
        (["a"], ["a", "b"]),
        (["0.5 and 0.5"], ["0.5"]),
        (["proved: … golden rows"], ["REFUSED"]),
    ],
)
def test_any_other_output_does_not_agree(shown: list[str], came: list[str]) -> None:
    assert not agrees(shown, came)
