from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sigmax.features import EXACT, features, values
from tests.unit.sigmax.mixed import AGE, CITY, GRADE, MATRIX, MEMBER, MIXED, ROWS, VISITS, WAGE

from sigmax.contract import Colour, Feature, FloatType, Image, Kind, Missing, Resize, Unknown
from sigmax.errors import InvalidInput
from sigmax.protocol import elements, tensors
from sigmax.protocol.categories import encode
from sigmax.protocol.codes import canonical
from sigmax.protocol.elements import Tensor
from sigmax.protocol.schema import Schema
from sigmax.protocol.tabular import from_columns, from_rows

SCHEMA = Schema(MIXED)
SINGLE = Schema(replace(MIXED, graph=replace(MIXED.graph, dtype=FloatType.FLOAT32)))
FLAG = Feature("flag", Kind.CATEGORY, (), "bool", (0.0, 0.0), vocabulary=("true",), unknown=Unknown.REJECT)
TABLES = st.integers(1, 4).flatmap(
    lambda count: st.tuples(*(features(f"f{number}") for number in range(count)))
)
ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3), st.lists, max_leaves=4
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[tuple[Feature, ...], list[list[Any]]]:
    """Features, and rows in their order."""
    table = draw(TABLES)
    return table, draw(st.lists(st.tuples(*map(values, table)).map(list), min_size=1, max_size=4))


@given(requests())
def test_rows_columns_lists_and_tensors_are_the_same_matrix(request: Any) -> None:
    table, rows = request
    schema = Schema(replace(MIXED, features=table))
    named = [dict(zip(reversed(schema.names), reversed(row), strict=True)) for row in rows]
    columns = dict(zip(schema.names, map(list, zip(*rows, strict=True)), strict=True))

    by_column = np.column_stack([encode(feature, columns[feature.name]) for feature in table])

    for read in (
        from_rows(schema, rows),
        from_rows(schema, named),
        from_columns(schema, columns),
        from_rows(schema, json.loads(json.dumps(rows))),
    ):
        assert np.array_equal(read.features, by_column, equal_nan=True)
    assert np.array_equal(by_tensors(schema, rows, raw=True), by_column, equal_nan=True)
    assert np.array_equal(by_tensors(schema, rows, raw=False), by_column, equal_nan=True)


def by_tensors(schema: Schema, rows: list[list[Any]], raw: bool) -> Any:
    """The features matrix of rows that come as one or two tensors."""
    numbers = [
        [
            None if row[column] is None else float(row[column])
            for column in range(schema.width)
            if column not in schema.categories
        ]
        for row in rows
    ]
    texts = [
        "" if row[column] is None else canonical(row[column]) for row in rows for column in schema.categories
    ]
    matrix = np.array(numbers, np.float64)
    flat = [cell for row in numbers for cell in row]
    features = Tensor("features", "FP64", matrix.shape, matrix.tobytes() if raw else flat)
    if not schema.categories:
        read: Any = tensors.from_bytes if raw else tensors.from_values
        return read(schema, *features[1:])
    shape = (len(rows), len(schema.categories))
    categories = Tensor("categories", "BYTES", shape, tensors.to_bytes(texts) if raw else texts)
    given = [features, categories] if schema.numeric else [categories]
    return elements.read(schema, given, 100)


@given(features(), ANY)
def test_any_json_value_is_encoded_or_refused_by_row_and_feature(feature: Feature, value: Any) -> None:
    schema = Schema(replace(MIXED, features=(feature,)))
    rows = [[good(feature)], [value]]

    if takes(feature, value):
        code = from_rows(schema, rows).features[1, 0]
        if feature.kind is Kind.CATEGORY:
            assert code in range(feature.n_codes)
        else:
            assert math.isnan(code) if value is None else code == value
    else:
        with pytest.raises(InvalidInput, match=r"^row 1, feature 'f': "):
            from_rows(schema, rows)


def good(feature: Feature) -> Any:
    """One value that the feature takes."""
    return feature.vocabulary[0] if feature.vocabulary else 1


def takes(feature: Feature, value: Any) -> bool:
    """Whether a feature takes a value, said as plainly as can be."""
    if value is None or (value == "" and feature.kind is Kind.CATEGORY):
        return feature.missing is not Missing.REJECT
    kind = type(value)
    number = kind in (int, float) and math.isfinite(value) and (kind is float or abs(value) <= EXACT)
    match feature.kind:
        case Kind.NUMERIC:
            return number
        case Kind.INTEGER:
            return number and value == int(value) and abs(value) <= EXACT
        case Kind.BOOLEAN:
            return kind in (bool, int, float) and value in (0, 1)
    if feature.dtype == "int64" and number and abs(value) <= EXACT and value == int(value):
        text = str(int(value))
    else:
        text = unicodedata.normalize("NFC", value) if kind is str else json.dumps(value)
    decimal = re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text) is not None and -(2**63) <= int(text) < 2**63
    right = {
        "string": kind is str,
        "bool": text in ("true", "false"),
        "int64": decimal and (kind is not float or number),
    }
    return right[feature.dtype] and (text in (feature.vocabulary or ()) or feature.unknown != Unknown.REJECT)


def test_a_mixed_row_becomes_numbers_codes_and_nan() -> None:
    read = from_rows(SCHEMA, ROWS).features

    assert np.array_equal(read, MATRIX, equal_nan=True)
    assert read.dtype == np.float64
    assert read.flags.c_contiguous


def test_codes_and_nan_come_in_the_type_of_the_model() -> None:
    read = from_rows(SINGLE, ROWS).features

    assert read.dtype == np.float32
    assert np.array_equal(read, MATRIX.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(
    ("feature", "given", "expected"),
    [
        (AGE, [1, 2.5, -0.0], [1.0, 2.5, -0.0]),
        (WAGE, [1, None, 2.5], [1.0, math.nan, 2.5]),
        (VISITS, [1, 2.0, -7, 2**53], [1.0, 2.0, -7.0, 2.0**53]),
        (MEMBER, [True, False, 1, 0, 1.0, 0.0], [1.0, 0.0] * 3),
        (replace(MEMBER, missing=Missing.NATIVE), [True, None], [1.0, math.nan]),
        (CITY, ["서울", "대구", None, "", "어디"], [2.0, 0.0, 3.0, 3.0, 4.0]),
        (CITY, [unicodedata.normalize("NFD", "서울")], [2.0]),
        (GRADE, [1, 2.0, "30", 30, "1"], [0.0, 1.0, 2.0, 2.0, 0.0]),
        (FLAG, [True, "true"], [0.0, 0.0]),
    ],
)
def test_right_values_are_encoded(feature: Feature, given: list[Any], expected: list[float]) -> None:
    assert np.array_equal(encode(feature, given), expected, equal_nan=True)


def test_arrays_of_numpy_are_encoded_as_the_values_that_they_hold() -> None:
    assert encode(GRADE, np.array([2, 30])).tolist() == [1.0, 2.0]
    assert encode(MEMBER, np.array([True, False])).tolist() == [1.0, 0.0]
    assert encode(CITY, np.array(["서울", None], object)).tolist() == [2.0, 3.0]


def test_no_values_are_no_numbers() -> None:
    assert encode(CITY, []).shape == encode(AGE, []).shape == (0,)


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        (AGE, None, "expected a number, got null, a missing value, which this feature does not take"),
        (AGE, math.nan, "expected a finite number, got nan"),
        (WAGE, math.nan, "expected a finite number, got nan (send null for a missing value)"),
        (WAGE, -math.inf, "expected a finite number, got -inf (send null for a missing value)"),
        (WAGE, "", "expected a number, got the text ''"),
        (VISITS, 2.5, "expected a whole number, got the number 2.5"),
        (VISITS, True, "expected a whole number, got the boolean true"),
        (VISITS, "2", "expected a whole number, got the text '2'"),
        (
            VISITS,
            2**53 + 1,
            "expected a number, got the integer '9007199254740993', which float64 cannot hold exactly",
        ),
        (VISITS, 1e300, "expected a whole number of at most 9007199254740992, got the number 1e+300"),
        (MEMBER, "true", "expected true or false, got the text 'true'"),
        (MEMBER, 2, "expected true or false, got the number 2"),
        (MEMBER, 0.5, "expected true or false, got the number 0.5"),
        (MEMBER, [], "expected true or false, got a list of 0 values"),
        (CITY, 7, "expected a text, got the number 7"),
        (CITY, True, "expected a text, got the boolean true"),
        (CITY, {}, "expected a text, got an object"),
        (
            replace(CITY, missing=Missing.REJECT, range=(0.0, 3.0)),
            "",
            "expected a text, got an empty text, a missing value, which this feature does not take",
        ),
        (
            replace(CITY, unknown=Unknown.REJECT, range=(0.0, 3.0)),
            "서율",
            "unknown category '서율', did you mean '서울'? (3 known)",
        ),
        (
            replace(CITY, unknown=Unknown.REJECT, range=(0.0, 3.0)),
            "X",
            "unknown category 'X' (known: '대구', '부산', '서울')",
        ),
        (GRADE, 31, "unknown category '31', did you mean '1'? (3 known)"),
        (GRADE, "002", "expected a whole number or its decimal text, got the text '002'"),
        (GRADE, "1" * 30, f"expected a whole number or its decimal text, got the text '{'1' * 30}'"),
        (GRADE, 1.5, "expected a whole number or its decimal text, got the number 1.5"),
        (GRADE, True, "expected a whole number or its decimal text, got the boolean true"),
        (FLAG, 1, "expected true or false, got the number 1"),
        (FLAG, "True", "expected true or false, got the text 'True'"),
        (FLAG, False, "unknown category 'false' (known: 'true')"),
    ],
)
def test_wrong_values_are_refused_with_what_was_expected(feature: Feature, value: Any, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        encode(feature, [good(feature), value])

    assert str(refused.value) == f"row 1, feature '{feature.name}': {expected}"


def test_a_float_that_may_have_been_another_integer_is_no_integer_category() -> None:
    large = replace(GRADE, vocabulary=(str(EXACT), str(EXACT + 1)), range=(0.0, 1.0))

    assert encode(large, [EXACT + 1, str(EXACT + 1), float(EXACT)]).tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(InvalidInput, match=r"\(beyond 2\*\*53 only its text is exact\)"):
        encode(large, [EXACT + 1, float(EXACT + 2)])


def test_a_mistake_in_every_column_is_named_in_the_order_of_the_cells() -> None:
    wrong = {"나이": None, "도시": 3, "임금": "x", "회원": "yes", "등급": 31, "방문": 2.5}

    with pytest.raises(InvalidInput) as refused:
        from_rows(SCHEMA, [ROWS[0], wrong])

    problems = str(refused.value).split("; ")
    assert [text.partition(": ")[0] for text in problems] == [
        f"row 1, feature '{name}'" for name in SCHEMA.names
    ]


def test_a_picture_beside_a_category_is_read_with_it() -> None:
    photo = Feature(
        "photo",
        Kind.IMAGE,
        (1, 1, 2),
        "uint8",
        (0, 255),
        image=Image(Colour.GREY, "CHW", 1, 2, Resize.BILINEAR, 1 / 255),
    )
    schema = Schema(replace(MIXED, features=(CITY, photo, MEMBER)))

    named = from_rows(schema, [{"도시": "서울", "photo": [[[7, 9]]], "회원": True}])

    assert named.features.tolist() == [[2, 7, 9, 1]]
    assert from_rows(schema, [["서울", 7, 9, True]]).features.tolist() == [[2, 7, 9, 1]]
    with pytest.raises(InvalidInput, match=r"row 0, feature 'photo'\[0, 0, 1\]: expected a pixel"):
        from_rows(schema, [["서울", 7, 900, True]])
    with pytest.raises(ValueError, match="an image block has no values of one column"):
        encode(photo, [1])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("서울", "서울"),
        (unicodedata.normalize("NFD", "서울"), "서울"),
        (" A ", " A "),
        (7, "7"),
        (-7.0, "-7"),
        (np.int32(7), "7"),
        (np.float64(7), "7"),
        (np.bool_(True), "true"),
        (np.str_("x"), "x"),
        (True, "true"),
        (False, "false"),
    ],
)
def test_the_canonical_text_of_a_category(value: Any, expected: str) -> None:
    assert canonical(value) == expected


@pytest.mark.parametrize("value", [None, 1.5, math.nan, math.inf, 2.0**60, [], b"x"])
def test_what_is_no_category_has_no_canonical_text(value: Any) -> None:
    with pytest.raises(ValueError, match="is no category"):
        canonical(value)
