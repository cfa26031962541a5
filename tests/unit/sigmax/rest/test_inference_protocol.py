from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.sigmax.mixed import AGE, GRADE, MEMBER, MIXED, VISITS, WAGE

from sigmax.contract import Colour, Feature, Image, Kind, Manifest, Resize
from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema
from sigmax.rest.asgi import Body
from sigmax.rest.inference_protocol import InferQuery
from sigmax.telemetry.metrics import Metrics

NUMBERS = replace(MIXED, features=(AGE, WAGE, MEMBER, VISITS))
GRADES = replace(MIXED, features=(GRADE, replace(GRADE, name="second")))


_GREY = Image(Colour.GREY, "CHW", 2, 3, Resize.BILINEAR, 1 / 255)
PHOTO = Feature("photo", Kind.IMAGE, (1, 2, 3), "uint8", (0, 255), image=_GREY)
PHOTOS = replace(MIXED, features=(PHOTO,))


class Witness:
    """An engine that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = np.zeros((0, 0))

    def run(self, features: Floats) -> Floats:
        self.asked = np.array(features, np.float64)
        return np.tile([0.25, 0.25, 0.5], (len(features), 1))

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        probabilities = self.run(features)
        return probabilities, np.log(probabilities)


def asked(manifest: Manifest, *tensors: dict[str, Any]) -> list[list[float]]:
    """The features matrix that a request with these inputs becomes."""
    return sent(manifest, json.dumps({"inputs": tensors}).encode())


def sent(manifest: Manifest, content: bytes) -> list[list[float]]:
    """The features matrix that a body becomes."""
    engine = Witness()
    served = Served("mixed", "1", Predictor(manifest, engine), Schema(manifest), Proof(1, 0.0, 0), b"{}")
    body = Body(content)
    dispatch = Dispatch(Catalog([Entry("mixed", served)]), 10)
    dispatch.answer(Metrics().verb("test", "infer"), InferQuery, "mixed", "", body)
    matrix: list[list[float]] = engine.asked.tolist()
    return matrix


def tensor(name: str, datatype: str, data: list[Any], width: int) -> dict[str, Any]:
    rows = len(data) if isinstance(data[0], list) else len(data) // width
    return {"name": name, "datatype": datatype, "shape": [rows, width], "data": data}


@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
@pytest.mark.parametrize("data", [[1, None, 1, 3], [[1.0, None, 1, 3]]])
def test_null_is_a_missing_number_where_one_may_be(datatype: str, data: list[Any]) -> None:
    matrix = asked(NUMBERS, tensor("features", datatype, data, 4))

    assert np.array_equal(matrix, [[1, np.nan, 1, 3]], equal_nan=True)


@pytest.mark.parametrize(
    ("datatype", "data", "expected"),
    [
        (
            "FP64",
            [None, None, 1, None],
            "row 0, feature '나이': expected a number, got null, a missing value, which this feature does not"
            " take; row 0, feature '방문': expected a number, got null, a missing value, which this feature",
        ),
        ("FP64", [1, "x", 1, 3], "row 0, feature '임금': expected a number, got the text 'x'"),
        (
            "INT32",
            [1, None, 1, 3],
            "row 0, feature '임금': expected an integer, got null, which INT32 cannot",
        ),
        ("BOOL", [True, None, True, True], "row 0, feature '임금': expected a boolean, got null, which BOOL"),
        ("FP64", [1, 2, 3, 4], "row 0, feature '회원': expected true or false, as 1 or 0, got the number 3"),
        ("FP64", [[1, 2, 1]], "row 0 of 'data' has 3 values, shape [1, 4] says 4"),
    ],
)
def test_what_is_wrong_among_numbers_that_may_be_missing_is_named(
    datatype: str, data: list[Any], expected: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(NUMBERS, {"name": "features", "datatype": datatype, "shape": [1, 4], "data": data})

    assert expected in str(refused.value)


@pytest.mark.parametrize("data", [None, 1, "x", {"a": 1}])
def test_data_that_is_no_list_is_refused_as_that(data: Any) -> None:
    with pytest.raises(
        InvalidInput, match="'data' of FP64 is a list of numbers, flat or nested as its shape"
    ):
        asked(NUMBERS, {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": data})


@pytest.mark.parametrize("data", ["[1, 1e999, 1, 3]", "[[1, 1e999, 1, 3]]"])
def test_a_number_beyond_all_numbers_is_named(data: str) -> None:
    text = json.dumps({"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 4], "data": "here"}]})

    with pytest.raises(
        InvalidInput, match="row 0, feature '임금': expected a finite number, got the number inf"
    ):
        sent(NUMBERS, text.replace('"here"', data).encode())


def test_whole_categories_come_as_integers_or_as_their_texts() -> None:
    assert asked(GRADES, tensor("categories", "INT64", [30, 2, 1, 1], 2)) == [[2, 1], [0, 0]]
    assert asked(GRADES, tensor("categories", "INT64", [[30, 2], [1, 1]], 2)) == [[2, 1], [0, 0]]
    assert asked(GRADES, tensor("categories", "BYTES", ["30", "2"], 2)) == [[2, 1]]


@pytest.mark.parametrize(
    ("datatype", "data", "expected"),
    [
        ("INT64", [30, "2"], "row 0, feature 'second': expected an integer, got the text '2'"),
        ("INT64", [30, 3], "row 0, feature 'second': unknown category '3'"),
        ("BYTES", ["30", 2], "row 0, feature 'second': expected a text, got the number 2"),
        (
            "BYTES",
            ["30", None],
            "row 0, feature 'second': expected a whole number or its decimal text, got null",
        ),
        (
            "BYTES",
            ["30"],
            "shape [1, 2] needs 2 elements, got 1; row 0, feature 'second' is the first without",
        ),
        ("BYTES", {"a": 1}, "'data' of BYTES is a list of texts, flat or nested as its shape"),
    ],
)
def test_wrong_categories_are_named(datatype: str, data: Any, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(GRADES, {"name": "categories", "datatype": datatype, "shape": [1, 2], "data": data})

    assert expected in str(refused.value)


NESTED = [[[[1, 2, 3], [4, 5, 6]]], [[[7, 8, 9], [10, 11, 12]]]]


def photos(data: Any, datatype: str = "UINT8", shape: tuple[int, ...] = (2, 1, 2, 3)) -> dict[str, Any]:
    return {"name": "features", "datatype": datatype, "shape": shape, "data": data}


@pytest.mark.parametrize("datatype", ["UINT8", "INT64", "FP32", "FP64"])
def test_pictures_come_nested_as_their_shape_or_flat(datatype: str) -> None:
    expected = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]

    assert asked(PHOTOS, photos(NESTED, datatype)) == expected
    assert asked(PHOTOS, photos(list(range(1, 13)), datatype)) == expected
    assert asked(PHOTOS, photos(expected, datatype, (2, 6))) == expected


def with_one(value: Any) -> Any:
    """The pictures with another pixel: row 1, channel 0, line 1, column 2."""
    changed = json.loads(json.dumps(NESTED))
    changed[1][0][1][2] = value
    return changed


_THERE = "row 1, feature 'photo'[0, 1, 2]: "
_NEITHER = "input 'features': 'data' is neither flat nor nested as its shape [2, 1, 2, 3]"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (photos(with_one("7")), f"{_THERE}expected an integer, got the text '7'"),
        (photos(with_one(7.5)), f"{_THERE}expected an integer, got the number 7.5"),
        (photos(with_one(True)), f"{_THERE}expected an integer, got the boolean true"),
        (photos(with_one(None), "FP32"), f"{_THERE}expected a number, got null"),
        (photos(with_one(float("nan")), "FP32"), f"{_THERE}expected a finite number, got the number nan"),
        (photos(with_one(7.5), "FP32"), f"{_THERE}expected a pixel, a whole number from 0 to 255, got 7.5"),
        (photos(with_one(300)), f"{_THERE}'300' is outside UINT8"),
        (photos(with_one([1])), _NEITHER),
        (photos(with_one({})), _NEITHER),
        (photos(NESTED[:1]), _NEITHER),
        (photos([[1, 2, 3, 4, 5, 6]] * 2), _NEITHER),
        (photos([NESTED]), _NEITHER),
        (photos(NESTED, "FP16"), "FP16 has no form in JSON"),
        (
            photos([[[[1], [2], [3]], [[4], [5], [6]]]], shape=(1, 2, 3, 1)),
            "expected shape [-1, 6] or [-1, 1, 2, 3], got [1, 2, 3, 1]; channels come first",
        ),
        (photos(NESTED, shape=(0, 1, 2, 3)), "is empty: send at least one row"),
    ],
)
def test_what_is_wrong_in_nested_pictures_is_named(sent: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(PHOTOS, sent)

    assert expected in str(refused.value)
