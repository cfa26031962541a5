from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.sigmax.mixed import AGE, CITY, GRADE, MATRIX, MIXED

from sigmax.contract import Unknown
from sigmax.errors import InvalidInput
from sigmax.protocol import elements, tensors
from sigmax.protocol.elements import Tensor
from sigmax.protocol.schema import Schema

SCHEMA = Schema(MIXED)
WHOLE = Schema(replace(MIXED, features=(GRADE, replace(GRADE, name="second"))))
NUMBERS = MATRIX[:1, [0, 2, 3, 5]].tobytes()


def features(content: Any = NUMBERS, datatype: str = "FP64") -> Tensor:
    return Tensor("features", datatype, (1, 4), content)


def categories(content: Any, datatype: str = "BYTES", shape: tuple[int, ...] = (1, 2)) -> Tensor:
    return Tensor("categories", datatype, shape, content)


def test_inputs_are_read_in_any_order_and_as_bytes_texts_or_their_bytes() -> None:
    packed = tensors.to_bytes(["서울", "30"])

    for content in (packed, ["서울", "30"], ["서울".encode(), b"30"]):
        for given in ([features(), categories(content)], [categories(content), features()]):
            assert elements.read(SCHEMA, given, 10).tolist() == MATRIX[:1].tolist()


def test_null_is_missing_as_an_empty_element_is() -> None:
    for content in ([None, "1"], ["", "1"], [b"", b"1"], tensors.to_bytes(["", "1"])):
        assert elements.read(SCHEMA, [features(), categories(content)], 10)[0, 1] == 3


def test_lossless_datatypes_of_the_numbers_are_widened() -> None:
    whole = np.array([[31, 2, 1, 3]], np.uint8)

    read = elements.read(SCHEMA, [features(whole.tobytes(), "UINT8"), categories(["서울", "1"])], 10)

    assert read.tolist() == [[31, 2, 2, 1, 0, 3]]


def test_models_of_nothing_but_categories_have_one_input() -> None:
    assert WHOLE.inputs == ("categories",)
    assert WHOLE.numeric is None
    assert elements.read(WHOLE, [categories(["30", "2"])], 10).tolist() == [[2, 1]]
    with pytest.raises(InvalidInput, match=r"expected the one input 'categories', got \['features'\]"):
        tensors.check_inputs(WHOLE, ["features"])


@pytest.mark.parametrize(
    "datatype", ["INT64", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "UINT64"]
)
def test_integers_of_any_size_are_taken_where_all_categories_are(datatype: str) -> None:
    numbers = np.array([[30, 2], [1, 1]], tensors.DTYPES[datatype])

    for content in (numbers.tobytes(), numbers.ravel().tolist()):
        given = [categories(content, datatype, (2, 2))]
        assert elements.read(WHOLE, given, 10).tolist() == [[2, 1], [0, 0]]
    elements.check_datatype(WHOLE, datatype)


def test_an_integer_outside_its_datatype_is_no_category() -> None:
    with pytest.raises(InvalidInput, match="row 0, feature 'second': '256' is outside UINT8"):
        elements.read(WHOLE, [categories([30, 256], "UINT8", (1, 2))], 10)


def test_only_integers_are_taken_for_categories() -> None:
    with pytest.raises(InvalidInput, match=r"datatype 'INT64' is not one of BYTES$"):
        elements.check_datatype(SCHEMA, "INT64")
    with pytest.raises(InvalidInput, match=r"datatype 'FP64' is not one of BYTES, UINT8, .*, INT64$"):
        elements.check_datatype(WHOLE, "FP64")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (np.array([30, 31]).tobytes(), "row 0, feature 'second': unknown category '31'"),
        (b"\0" * 15, "15 bytes are not whole INT64 numbers of 8"),
        (b"\0" * 8, "needs 2 elements, got 1; row 0, feature 'second' is the first without one"),
        ([2**70, 1], "row 0, feature '등급': '1180591620717411303424' is outside INT64"),
    ],
)
def test_wrong_integers_are_refused(content: Any, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        elements.read(WHOLE, [categories(content, "INT64")], 10)

    assert expected in str(refused.value)


def test_every_wrong_element_is_named_by_row_and_feature() -> None:
    strict = Schema(
        replace(MIXED, features=(AGE, replace(CITY, unknown=Unknown.REJECT, range=(0.0, 3.0)), GRADE))
    )
    given = [
        Tensor("features", "FP64", (2, 1), [1.0, 2.0]),
        categories(["서율", "1", "부산", "x"], shape=(2, 2)),
    ]

    with pytest.raises(InvalidInput) as refused:
        elements.read(strict, given, 10)

    assert str(refused.value) == (
        "row 0, feature '도시': unknown category '서율', did you mean '서울'? (3 known); "
        "row 1, feature '등급': expected a whole number or its decimal text, got the text 'x'"
    )


def test_more_rows_than_the_limit_are_refused_by_the_shape_alone() -> None:
    with pytest.raises(InvalidInput, match="11 rows in one request, at most 10 are taken"):
        elements.read(SCHEMA, [features(), categories(b"", shape=(11, 2))], 10)


def test_a_shape_that_promises_too_much_costs_no_memory() -> None:
    promised = categories(tensors.to_bytes(["서울", "1"]), shape=(10**15, 2))

    with pytest.raises(InvalidInput, match="needs 2000000000000000 elements, got 2; row 1, feature '도시'"):
        elements.read(SCHEMA, [features(), promised], sys.maxsize)
