from __future__ import annotations

import grpc
import pytest

from sigmax import errors
from sigmax.errors import Code, SigmaxError, listed, nearest, quoted
from sigmax.rest import errors as rest_errors
from sigmax.rpc import errors as rpc_errors


def test_every_code_has_one_status_on_each_door_and_no_door_knows_another() -> None:
    assert set(rest_errors.STATUS) == set(Code)
    assert set(rpc_errors.STATUS) == set(Code)


def test_the_tables_are_those_of_the_design() -> None:
    expected = {
        Code.INVALID_INPUT: (400, "INVALID_ARGUMENT"),
        Code.UNAUTHENTICATED: (401, "UNAUTHENTICATED"),
        Code.FORBIDDEN: (403, "PERMISSION_DENIED"),
        Code.NOT_FOUND: (404, "NOT_FOUND"),
        Code.METHOD_NOT_ALLOWED: (405, "UNIMPLEMENTED"),
        Code.CONFLICT: (409, "ALREADY_EXISTS"),
        Code.TOO_LARGE: (413, "RESOURCE_EXHAUSTED"),
        Code.UNSUPPORTED_MEDIA: (415, "INVALID_ARGUMENT"),
        Code.OVERLOADED: (429, "RESOURCE_EXHAUSTED"),
        Code.CANCELLED: (499, "CANCELLED"),
        Code.INTERNAL: (500, "INTERNAL"),
        Code.UNIMPLEMENTED: (501, "UNIMPLEMENTED"),
        Code.NOT_READY: (503, "UNAVAILABLE"),
        Code.DEADLINE: (504, "DEADLINE_EXCEEDED"),
    }

    for code, (status, name) in expected.items():
        assert rest_errors.STATUS[code] == status
        assert rpc_errors.STATUS[code] is grpc.StatusCode[name]


def test_every_code_has_an_error_that_carries_it() -> None:
    def leaves(kind: type[SigmaxError]) -> set[Code]:
        return {kind.code}.union(*(leaves(child) for child in kind.__subclasses__()))

    assert leaves(SigmaxError) == set(Code)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    for kind in SigmaxError.__subclasses__():
        assert kind.__name__ in (errors.__doc__ or "")


def test_problems_are_listed_whole_until_there_are_too_many() -> None:
    assert listed(["a", "b"]) == "a; b"
    assert listed(["x"] * 21) == "; ".join(["x"] * 20) + "; and more"
    assert listed(["y" * 1_000, "z" * 1_000]) == "y" * 1_000 + "; and more"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "'plain'"),
        (7, "'7'"),
        ("고양이", "'고양이'"),
        ("a\nb", "'a\\nb'"),
        ("\ud800", "'\\ud800'"),
        ("x" * 100, "'" + "x" * 59 + "…'"),
    ],
)
def test_a_value_is_quoted_short_and_on_one_line(value: object, shown: str) -> None:
    assert quoted(value) == shown


def test_the_nearest_name_is_offered_only_if_it_is_near() -> None:
    assert nearest("petal widht", ["petal width", "petal length"]) == ", did you mean 'petal width'?"
    assert nearest("colour", ["petal width"]) == ""


def test_a_korean_word_is_near_if_one_letter_of_a_syllable_differs() -> None:
    assert nearest("서율", ["부산", "서울"]) == ", did you mean '서울'?"
    assert nearest("대전", ["부산", "서울"]) == ""


def test_a_name_in_other_letter_case_is_near() -> None:
    assert nearest("Y", ["x", "y"]) == ", did you mean 'y'?"
    assert nearest("AGE", ["Sex", "age"]) == ", did you mean 'age'?"


def test_the_nearest_of_many_names_is_found() -> None:
    names = [f"{first}{second}{third}" for first in "abcdefghij" for second in "klmnop" for third in "qrstu"]

    assert nearest("column jpx", [f"column {name}" for name in names]).startswith(", did you mean 'column j")
    assert nearest("apples", [*names, "apple"]) == ", did you mean 'apple'?"
    assert nearest("apples", [*map(str, range(2_000)), "apple"]) == ""


@pytest.mark.parametrize("text", ["x" * 100_000, "고양이" * 10_000, "%" * 10_000])
def test_a_text_is_shortened_to_what_grpc_metadata_holds(text: str) -> None:
    from urllib.parse import quote

    short = rpc_errors.fitting(text)

    assert short.endswith("…")
    assert len(quote(short)) <= rpc_errors.MAX_ENCODED + 9


def test_a_text_that_fits_is_left_alone() -> None:
    assert rpc_errors.fitting("row 0, feature 'a'") == "row 0, feature 'a'"
