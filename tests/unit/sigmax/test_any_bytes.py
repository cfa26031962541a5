"""Any bytes, near requests and far from them: an answer, or an error that is the caller's.

A look of some seconds at what `make fuzz` does at length; what that finds is kept here.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import models
from tests.fuzz.targets import DOORS, Frame, Target, target

from sigmax.errors import Code


@pytest.fixture(scope="module", params=list(DOORS))
def door(request: pytest.FixtureRequest) -> Target:
    return target(request.param)


def test_a_request_with_something_changed_is_answered_or_is_the_callers_error(door: Target) -> None:
    @settings(max_examples=60)
    @given(st.integers(0, 2**32))
    def many(seed: int) -> None:
        random = Random(seed)
        data = random.choice(door.seeds)
        for _ in range(10):
            data = door.mutated(data, random)
            door.check(data)

    many()
    door.check_golden()


def test_bytes_of_any_kind_are_the_callers_error(door: Target) -> None:
    @settings(max_examples=200)
    @given(st.binary(max_size=200))
    def many(data: bytes) -> None:
        assert door.check(data)[0] == "error"

    many()
    door.check_golden()


def infer_body(model: str, text: bytes) -> bytes:
    """A request for `rest-infer`: the whole body is JSON."""
    names = [*models.catalog().ready_names, "none"]
    return Frame(names.index(model), 0, 0xFFFF, text).packed()


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        pytest.param(
            "rest-infer",
            infer_body(
                "grades",
                b'{"inputs":[{"name":"categories","datatype":"BYTES","shape":[2,2],"data":["-1","\xc9\xdd"]}]}',
            ),
            "input 'categories': 'data' is not JSON: ",
            id="a text in data that is no UTF-8",
        ),
        pytest.param(
            "rest-infer",
            infer_body(
                "grades",
                b'{"inputs":[{"name":"categories","datatype":"BYTES","shape":[1,2],"data":[1,"\xc9"]}]}',
            ),
            "input 'categories': 'data' of BYTES is a list of texts",
            id="a number, and a text that is no UTF-8",
        ),
        pytest.param(
            "rest-infer",
            infer_body(
                "grades",
                b'{"inputs":[{"name":"categories","datatype":"BYTES","shape":["\\ud800",2],"data":["a","b"]}]}',
            ),
            "the body is not JSON: ",
            id="half a surrogate pair in a shape",
        ),
        pytest.param(
            "grpc-classes",
            b'\n\x05photo"\x0b\n\x05photo\x12\x02\n\x00',
            "row 0, feature 'photo': expected 64 numbers, flat or nested as [1, 8, 8], got null",
            id="null for a picture",
        ),
    ],
)
def test_what_was_found(name: str, data: bytes, text: str) -> None:
    kind, code, said = target(name).check(data)

    assert (kind, code) == ("error", Code.INVALID_INPUT)
    assert said.startswith(text)
