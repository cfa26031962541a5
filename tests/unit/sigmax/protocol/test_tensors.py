from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.unit.sigmax.manifests import MULTICLASS
from tests.unit.sigmax.mixed import AGE, MEMBER, VISITS, WAGE

from sigmax.contract import Colour, Feature, FloatType, Image, Kind, Missing, Resize
from sigmax.errors import InvalidInput
from sigmax.protocol import tensors
from sigmax.protocol.schema import Schema

DOUBLE = Schema(MULTICLASS)
SINGLE = Schema(replace(MULTICLASS, graph=replace(MULTICLASS.graph, dtype=FloatType.FLOAT32)))

OPTIONAL = Schema.of((AGE, WAGE, MEMBER, VISITS), np.float64)
OPTIONAL_SINGLE = Schema.of((AGE, WAGE, MEMBER, VISITS), np.float32)

any_tensor = st.sampled_from(sorted(set(tensors.DTYPES) - {"BF16"})).flatmap(
    lambda name: arrays(tensors.DTYPES[name], (2, 2)).map(lambda array: (name, array))
)


def exact(array: Any) -> list[list[Any]]:
    """The values as Python numbers, which compare without rounding."""
    rows: list[list[Any]] = array.tolist()
    return rows


@given(any_tensor, st.sampled_from([DOUBLE, SINGLE]))
def test_a_tensor_is_widened_only_if_no_value_changes(tensor: tuple[str, Any], schema: Schema) -> None:
    name, array = tensor
    with np.errstate(all="ignore"):
        cast = array.astype(schema.dtype)
    kept = bool(np.isfinite(cast).all()) and exact(cast) == exact(array)
    if array.dtype.kind in "iu":
        kept = kept and all(abs(value) <= schema.exact for row in exact(array) for value in row)

    if kept:
        wide = tensors.from_bytes(schema, name, (2, 2), array.tobytes())
        assert wide.dtype == schema.dtype
        assert exact(wide) == exact(array)
    else:
        with pytest.raises(InvalidInput, match=r"^row [01], feature '[ab]': "):
            tensors.from_bytes(schema, name, (2, 2), array.tobytes())


@given(arrays(np.uint16, (2, 2)), st.sampled_from([DOUBLE, SINGLE]))
def test_bf16_is_the_upper_half_of_an_fp32(halves: Any, schema: Schema) -> None:
    bits = np.zeros((2, 2, 2), "<u2")
    bits[..., 1] = halves
    expected = np.frombuffer(bits.tobytes(), "<f4").reshape(2, 2)

    if np.isfinite(expected).all():
        wide = tensors.from_bytes(schema, "BF16", (2, 2), halves.astype("<u2").tobytes())
        assert wide.dtype == schema.dtype
        assert exact(wide) == exact(expected)
    else:
        with pytest.raises(InvalidInput, match=r"^row [01], feature '[ab]': expected a finite number"):
            tensors.from_bytes(schema, "BF16", (2, 2), halves.astype("<u2").tobytes())


def test_a_byte_that_is_neither_0_nor_1_is_no_boolean() -> None:
    assert tensors.from_bytes(DOUBLE, "BOOL", (1, 2), b"\1\0").tolist() == [[1, 0]]
    with pytest.raises(InvalidInput, match="row 0, feature 'b': byte 2 is no BOOL"):
        tensors.from_bytes(DOUBLE, "BOOL", (1, 2), b"\1\2")


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_precision_comes_as_bytes_alone(datatype: str) -> None:
    with pytest.raises(InvalidInput, match=f"input 'features': {datatype} has no form but bytes"):
        tensors.from_values(DOUBLE, datatype, (1, 2), [1, 2])


@given(arrays(np.float64, (3, 2), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_raw_and_typed_values_are_the_same_matrix(matrix: Any) -> None:
    raw = tensors.from_bytes(DOUBLE, "FP64", (3, 2), matrix.tobytes())
    typed = tensors.from_values(DOUBLE, "FP64", (3, 2), matrix.ravel().tolist())

    assert raw.tobytes() == typed.tobytes() == matrix.tobytes()


@pytest.mark.parametrize(
    ("datatype", "value", "good"),
    [
        ("INT64", 2**53, True),
        ("INT64", 2**53 + 1, False),
        ("INT64", -(2**53) - 1, False),
        ("UINT64", 2**64 - 1, False),
        ("UINT64", 2**53, True),
        ("INT32", 2**31 - 1, True),
    ],
)
def test_integers_beyond_2_to_53_are_refused_by_float64(datatype: str, value: int, good: bool) -> None:
    raw = np.array([[value, 0]], tensors.DTYPES[datatype]).tobytes()

    if good:
        assert tensors.from_bytes(DOUBLE, datatype, (1, 2), raw)[0, 0] == value
    else:
        with pytest.raises(InvalidInput, match=f"row 0, feature 'a': {value} cannot be held by float64"):
            tensors.from_bytes(DOUBLE, datatype, (1, 2), raw)


def test_pixels_that_were_scaled_are_refused_by_row_and_pixel() -> None:
    photo = Feature(
        "photo",
        Kind.IMAGE,
        (1, 1, 2),
        "uint8",
        (0, 255),
        image=Image(Colour.GREY, "CHW", 1, 2, Resize.BILINEAR, 1 / 255),
    )
    schema = Schema(replace(MULTICLASS, features=(photo,)))

    assert tensors.from_values(schema, "FP32", (1, 2), [0.0, 255.0]).tolist() == [[0, 255]]
    assert tensors.from_bytes(schema, "UINT8", (1, 2), b"\x00\xff").tolist() == [[0, 255]]
    with pytest.raises(
        InvalidInput, match=r"row 0, feature 'photo'\[0, 0, 1\]: expected a pixel, .*, got 0.25"
    ):
        tensors.from_values(schema, "FP64", (1, 2), [0.0, 0.25])


def test_pixels_that_came_as_bytes_stay_bytes_and_other_numbers_are_widened() -> None:
    image = Image(Colour.GREY, "CHW", 1, 2, Resize.BILINEAR, 1 / 255)
    photo = Feature("photo", Kind.IMAGE, (1, 1, 2), "uint8", (0, 255), image=image)
    schema = Schema(replace(MULTICLASS, features=(photo,)))

    assert tensors.from_bytes(schema, "UINT8", (1, 2), b"\x00\xff").dtype == np.uint8
    assert tensors.from_bytes(schema, "UINT16", (1, 2), b"\x00\x00\xff\x00").dtype == np.float64
    assert tensors.from_bytes(DOUBLE, "UINT8", (1, 2), b"\x00\xff").dtype == np.float64


COLOURED = Image(Colour.RGB, "CHW", 2, 4, Resize.BILINEAR, 1 / 255)
PICTURES = Schema.of(
    (Feature("photo", Kind.IMAGE, (3, 2, 4), "uint8", (0, 255), image=COLOURED),), np.float32
)


@pytest.mark.parametrize("datatype", ["UINT8", "INT64", "FP32", "FP64", "FP16"])
def test_pictures_in_their_own_shape_are_the_rows_that_they_are(datatype: str) -> None:
    pictures = np.arange(48).reshape(2, 3, 2, 4).astype(tensors.DTYPES[datatype])

    own = tensors.from_bytes(PICTURES, datatype, (2, 3, 2, 4), pictures.tobytes())
    rows = tensors.from_bytes(PICTURES, datatype, (2, 24), pictures.tobytes())

    assert own.dtype == rows.dtype
    assert own.tolist() == rows.tolist() == pictures.reshape(2, 24).tolist()
    if datatype not in tensors.RAW_ONLY:
        flat = pictures.ravel().tolist()
        assert tensors.from_values(PICTURES, datatype, (2, 3, 2, 4), flat).tolist() == rows.tolist()


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((2, 2, 4, 3), "; channels come first"),
        ((-1, 3, 2, 4), "; -1 stands for the number of rows: say how many there are"),
        ((-1, 24), "; -1 stands for the number of rows: say how many there are"),
        ((24,), "; one row is [1, 24]"),
        ((3, 2, 4), ""),
        ((1, 2, 3, 2, 4), ""),
        ((2, 3, 2, -4), ""),
    ],
)
def test_a_shape_that_is_none_of_pictures_is_refused_with_both_that_are(
    shape: tuple[int, ...], remedy: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        tensors.from_bytes(PICTURES, "UINT8", shape, bytes(48))

    expected = f"input 'features': expected shape [-1, 24] or [-1, 3, 2, 4], got {list(shape)}{remedy}"
    assert str(refused.value) == expected


def test_more_pictures_than_rows_may_be_are_refused_by_their_shape() -> None:
    with pytest.raises(InvalidInput, match="3 rows in one request, at most 2 are taken"):
        tensors.from_values(PICTURES, "UINT8", (3, 3, 2, 4), [0] * 72, max_rows=2)


def test_a_model_of_numbers_has_rows_in_one_shape_only() -> None:
    with pytest.raises(InvalidInput, match=r"expected shape \[-1, 2\], got \[1, 1, 2\]$"):
        tensors.from_values(DOUBLE, "FP64", (1, 1, 2), [1.0, 2.0])


@pytest.mark.parametrize(
    ("datatype", "meant"),
    [("fp64", "FP64"), ("float32", "FP32"), ("TYPE_INT64", "INT64"), ("double", "FP64"), ("Bool", "BOOL")],
)
def test_what_others_call_a_datatype_is_told_its_name_here(datatype: str, meant: str) -> None:
    with pytest.raises(InvalidInput, match=f"datatype '{datatype}' .*, did you mean '{meant}'"):
        tensors.dtype_of(datatype)


def test_nan_is_a_missing_value_where_one_may_be_and_only_there() -> None:
    rows = np.array([[1.0, np.nan, 1.0, 3.0]])

    for read in (
        tensors.from_bytes(OPTIONAL, "FP64", (1, 4), rows.tobytes()),
        tensors.from_bytes(OPTIONAL, "FP32", (1, 4), rows.astype(np.float32).tobytes()),
        tensors.from_values(OPTIONAL, "FP64", (1, 4), [1.0, None, 1.0, 3.0]),
        tensors.from_values(OPTIONAL, "FP32", (1, 4), [1.0, float("nan"), 1.0, 3.0]),
        tensors.from_bytes(OPTIONAL_SINGLE, "FP64", (1, 4), rows.tobytes()),
    ):
        assert np.array_equal(read, rows, equal_nan=True)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([np.nan, np.nan, 1, 3], "row 0, feature '나이': expected a finite number, got nan"),
        ([1, np.inf, 1, 3], "row 0, feature '임금': expected a finite number, got inf"),
        ([1, np.nan, np.nan, 3], "row 0, feature '회원': expected a finite number, got nan"),
        ([1, np.nan, 1, np.nan], "row 0, feature '방문': expected a finite number, got nan"),
        ([1, 2, 2, 3], "row 0, feature '회원': expected true or false, as 1 or 0, got the number 2"),
        ([1, np.nan, 1, 2.5], "row 0, feature '방문': expected a whole number, got the number 2.5"),
        (
            [1, np.nan, -1, 5e-324],
            "row 0, feature '회원': expected true or false, as 1 or 0, got the number -1; "
            "row 0, feature '방문': expected a whole number, got the number 5e-324",
        ),
        ([1, 2, 1, 2.0**53 + 2], "feature '방문': expected a whole number of at most 9007199254740992"),
    ],
)
def test_numbers_that_are_not_of_their_features_kind_are_refused(row: list[float], expected: str) -> None:
    raw = np.array([row], np.float64).tobytes()

    with pytest.raises(InvalidInput) as by_bytes:
        tensors.from_bytes(OPTIONAL, "FP64", (1, 4), raw)
    with pytest.raises(InvalidInput) as by_values:
        tensors.from_values(OPTIONAL, "FP64", (1, 4), row)

    assert expected in str(by_bytes.value)
    assert str(by_bytes.value) == str(by_values.value)


def test_missing_integers_and_booleans_are_nan_where_they_may_be() -> None:
    lacking = [replace(feature, missing=Missing.NATIVE) for feature in (MEMBER, VISITS)]
    schema = Schema.of(lacking, np.float64)

    assert np.isnan(tensors.from_values(schema, "FP64", (1, 2), [None, None])).all()
    with pytest.raises(
        InvalidInput, match=r"^row 1, feature '방문': expected a whole number, got the number 0.5"
    ):
        tensors.from_values(schema, "FP64", (2, 2), [None, None, 1.0, 0.5])


def test_narrowing_is_refused_beside_a_missing_value_too() -> None:
    rows = np.array([[0.1, np.nan, 1.0, 3.0]])

    with pytest.raises(InvalidInput, match=r"^row 0, feature '나이': 0.1 cannot be held by float32"):
        tensors.from_bytes(OPTIONAL_SINGLE, "FP64", (1, 4), rows.tobytes())


def test_the_elements_of_a_bytes_tensor_carry_their_length() -> None:
    assert tensors.to_bytes(["새", ""]) == b"\x03\0\0\0" + "새".encode() + b"\0\0\0\0"


def test_rows_over_the_limit_are_refused_by_their_shape_alone() -> None:
    with pytest.raises(InvalidInput, match="3 rows in one request, at most 2 are taken"):
        tensors.from_bytes(DOUBLE, "FP64", (3, 2), b"", max_rows=2)
    with pytest.raises(InvalidInput, match="3 rows in one request, at most 2 are taken"):
        tensors.from_values(DOUBLE, "FP64", (3, 2), [], max_rows=2)
