from __future__ import annotations

from typing import Any

import pytest

from sigmax.errors import InvalidInput, Unimplemented
from sigmax.protocol import parameters
from sigmax.protocol.options import Options
from sigmax.protocol.parameters import NONE, Wanted, Wishes


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"x_nobody_knows": "a", "x_number": 1, "x_bool": True, "headers": "a"},
        {"priority": 0},
        {"priority": 2**64 - 1},
        {"timeout": 0},
        {"sequence_id": 0, "sequence_start": False, "sequence_end": False},
        {"sequence_id": ""},
        {"sequence_id": None, "timeout": None},
        {"triton_enable_empty_final_response": True},
    ],
)
def test_parameters_that_mean_nothing_here_are_no_wishes(given: dict[str, Any]) -> None:
    assert parameters.of_request(given) is NONE


def test_a_timeout_is_given_in_microseconds_and_read_as_seconds() -> None:
    assert parameters.of_request({"timeout": 1_500_000}) == Wishes(timeout=1.5)
    assert parameters.of_request({"timeout": 1}) == Wishes(timeout=1e-6)


def test_wishes_come_together() -> None:
    given = {"threshold": 0.25, "binary_data_output": False, "timeout": 1_000_000, "other": 1}

    assert parameters.of_request(given) == Wishes(Options(threshold=0.25), 1.0, binary=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"timeout": -1},
            "parameter 'timeout' is a whole number of microseconds, at least 0, not the number",
        ),
        ({"priority": 10**400}, "parameter 'priority' is a whole number of at least 0, not the number 1000"),
        ({"priority": "high"}, "parameter 'priority' is a whole number of at least 0, not the text 'high'"),
        ({"priority": -1}, "parameter 'priority' is a whole number of at least 0, not the number -1"),
        ({"binary_data_output": 1}, "parameter 'binary_data_output' is a boolean, not the number 1"),
        ({"threshold": 2}, "parameter 'threshold' is a number from 0 to 1, not the number 2"),
        ({"triton_x": 1}, "parameter 'triton_x': names that begin with 'triton_' are reserved"),
        (
            {"triton_enable_empty_final_response": "yes"},
            "parameter 'triton_enable_empty_final_response' is a boolean, not the text 'yes'",
        ),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parameters.of_request(given)

    assert expected in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "given",
    [
        {"sequence_id": 1},
        {"sequence_id": "a"},
        {"sequence_start": True},
        {"sequence_id": 0, "sequence_end": True},
        {"sequence_start": 1},
    ],
)
def test_a_sequence_is_not_offered(given: dict[str, Any]) -> None:
    with pytest.raises(Unimplemented, match="this server has no sequences"):
        parameters.of_request(given)


def test_outputs_may_be_bytes_or_classes() -> None:
    requested: list[tuple[str, dict[str, Any]]] = [
        ("a", {}),
        ("b", {"binary_data": True, "other": "x"}),
        ("c", {"classification": 3, "binary_data": False}),
    ]

    assert parameters.of_outputs(requested) == (
        Wanted("a"),
        Wanted("b", None, binary=True),
        Wanted("c", 3, binary=False),
    )


@pytest.mark.parametrize("count", [0, -1, 1.5, 2.0, "2", True])
def test_a_count_of_classes_is_a_whole_number_of_at_least_1(count: Any) -> None:
    with pytest.raises(
        InvalidInput, match="output 'a': parameter 'classification' is a whole number of at least 1"
    ):
        parameters.of_outputs([("a", {"classification": count})])


def test_a_wish_for_bytes_is_true_or_false() -> None:
    with pytest.raises(InvalidInput, match="output 'a': parameter 'binary_data' is a boolean, not the"):
        parameters.of_outputs([("a", {"binary_data": "yes"})])


def test_shared_memory_is_not_offered() -> None:
    with pytest.raises(Unimplemented, match=r"output 'a': .*: this server has no shared memory"):
        parameters.of_outputs([("a", {"shared_memory_region": "r", "shared_memory_byte_size": 8})])
    with pytest.raises(Unimplemented, match="input 'b': parameter 'shared_memory_byte_size': this server"):
        parameters.refuse_shared_memory("input", "b", {"shared_memory_byte_size": 8})
