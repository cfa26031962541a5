from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.unit.sigmax.manifests import MULTICLASS

from sigmax.contract import Colour, Feature, FloatType, Image, Kind, Resize
from sigmax.errors import InvalidInput
from sigmax.protocol.schema import Schema
from sigmax.protocol.tabular import from_columns, from_rows

SCHEMA = Schema(MULTICLASS)
SINGLE = Schema(replace(MULTICLASS, graph=replace(MULTICLASS.graph, dtype=FloatType.FLOAT32)))
PHOTO = Feature(
    "photo",
    Kind.IMAGE,
    (1, 2, 3),
    "uint8",
    (0, 255),
    image=Image(Colour.GREY, "CHW", 2, 3, Resize.BILINEAR, 1 / 255),
)
MIXED = Schema(replace(MULTICLASS, features=(MULTICLASS.features[0], PHOTO)))

matrices = st.integers(1, 5).flatmap(
    lambda count: arrays(np.float64, (count, 2), elements=st.floats(allow_nan=False, allow_infinity=False))
)


@given(matrices)
def test_rows_columns_and_named_rows_are_the_same_matrix_to_the_last_bit(matrix: Any) -> None:
    rows = matrix.tolist()
    named = [{"b": b, "a": a} for a, b in rows]
    columns = {"b": matrix[:, 1].tolist(), "a": matrix[:, 0].tolist()}

    for read in (from_rows(SCHEMA, rows), from_rows(SCHEMA, named), from_columns(SCHEMA, columns)):
        assert read.features.tobytes() == matrix.tobytes()


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=8)
)
def test_any_json_value_is_a_number_of_the_model_or_refused_by_row_and_feature(value: Any) -> None:
    rows = [{"a": 1.0, "b": 2.0}, {"a": 1.0, "b": value}]
    good = type(value) in (int, float) and abs(value) <= (2**53 if type(value) is int else sys.float_info.max)

    if good:
        assert from_rows(SCHEMA, rows).features[1, 1] == value
    else:
        with pytest.raises(InvalidInput, match=r"^row 1, feature 'b': "):
            from_rows(SCHEMA, rows)


def test_a_decimal_becomes_the_nearest_number_of_the_models_type() -> None:
    assert from_rows(SINGLE, [[0.1, 1]]).features.tolist() == [[np.float32(0.1), 1.0]]


def test_an_integer_that_the_models_type_would_change_is_refused() -> None:
    assert from_rows(SCHEMA, [[2**53, -(2**53)]]).features.tolist() == [[2.0**53, -(2.0**53)]]
    with pytest.raises(InvalidInput, match="which float64 cannot hold exactly"):
        from_rows(SCHEMA, [[2**53 + 1, 0]])
    with pytest.raises(InvalidInput, match="which float32 cannot hold exactly"):
        from_rows(SINGLE, [[2**24 + 1, 0]])
    with pytest.raises(InvalidInput, match="1e\\+39 is too large for float32"):
        from_rows(SINGLE, [[1e39, 0]])


def test_minus_zero_and_denormals_are_numbers() -> None:
    features = from_rows(SCHEMA, [[-0.0, 5e-324]]).features

    assert np.signbit(features[0, 0])
    assert features[0, 1] == 5e-324


def test_an_image_is_read_flat_or_nested_beside_numbers() -> None:
    flat = {"a": 7, "photo": [1, 2, 3, 4, 5, 6]}
    nested = {"photo": [[[1, 2, 3], [4, 5, 6]]], "a": 7}

    assert from_rows(MIXED, [flat, nested]).features.tolist() == [[7, 1, 2, 3, 4, 5, 6]] * 2
    assert from_rows(MIXED, [[7, 1, 2, 3, 4, 5, 6]]).features.tolist() == [[7, 1, 2, 3, 4, 5, 6]]
    assert from_columns(MIXED, {"a": [7], "photo": [[1, 2, 3, 4, 5, 6]]}).features.shape == (1, 7)


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        (5, "row 0, feature 'photo': expected 6 numbers, flat or nested as [1, 2, 3], got the number 5"),
        ([1, 2], "expected 6 numbers, flat or nested as [1, 2, 3], got a list of 2 values"),
        ([[[1, 2, 3], [4, 5]]], "got a list of 2 values"),
        ([1, 2, 3, 4, 5, "x"], "row 0, feature 'photo'[0, 1, 2]: expected a number, got the text 'x'"),
        ([[[1, 2, 3], [4, None, 6]]], "row 0, feature 'photo'[0, 1, 1]: expected a number, got null"),
        (
            [1, 2, 3, 4, 5, 0.5],
            "row 0, feature 'photo'[0, 1, 2]: expected a pixel, a whole number from 0 to 255",
        ),
        (
            [1, 2, 3, 4, 5, 256],
            "row 0, feature 'photo'[0, 1, 2]: expected a pixel, a whole number from 0 to 255",
        ),
        (
            [1, -2, 3, 4, 5, 6],
            "feature 'photo'[0, 0, 1]: expected a pixel, a whole number from 0 to 255, got -2.0",
        ),
        ([1, 2, 3, 4, 5, [6]], "row 0, feature 'photo'[0, 1, 2]: expected a number, got a list of 1 values"),
    ],
)
def test_an_image_that_is_wrong_is_refused_by_row_and_pixel(photo: Any, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        from_rows(MIXED, [{"a": 7, "photo": photo}])

    assert expected in str(refused.value)


def test_a_feature_can_be_the_id_column_too() -> None:
    read = from_rows(SCHEMA, [{"a": 1, "b": 2}], id_column="a")

    assert read.ids == [1]
    assert read.features.tolist() == [[1, 2]]


def test_columns_give_their_id_column_back() -> None:
    read = from_columns(SCHEMA, {"a": [1, 2], "b": [3, 4], "who": ["x", "y"]}, id_column="who")

    assert read.ids == ["x", "y"]
    assert read.features.tolist() == [[1, 3], [2, 4]]
    with pytest.raises(InvalidInput, match="id column 'who' is missing"):
        from_columns(SCHEMA, {"a": [1], "b": [3]}, id_column="who")
