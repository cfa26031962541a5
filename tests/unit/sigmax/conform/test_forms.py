"""The forms that the checker writes and reads are the standard's, and those of the libraries' messages."""

from __future__ import annotations

from typing import Any

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from sigmax.conform.check import NotAsked, Unmet
from sigmax.conform.http import Reply
from sigmax.conform.messages import messages
from sigmax.conform.refusals import insides
from sigmax.conform.subject import read_answer
from sigmax.conform.tensors import Tensor, cast, from_json, from_raw, to_json, to_raw

RAW = [
    (Tensor("t", "BYTES", (2,), (b"ab", b"")), b"\2\0\0\0ab\0\0\0\0"),
    (Tensor("t", "BOOL", (2,), (True, False)), b"\1\0"),
    (Tensor("t", "INT16", (1,), (-2,)), b"\xfe\xff"),
    (Tensor("t", "UINT32", (1,), (258,)), b"\2\1\0\0"),
    (Tensor("t", "FP16", (1,), (1.5,)), b"\0\x3e"),
    (Tensor("t", "FP64", (1,), (1.0,)), b"\0\0\0\0\0\0\xf0\x3f"),
]


@pytest.mark.parametrize(("tensor", "raw"), RAW, ids=[tensor.datatype for tensor, _ in RAW])
def test_a_tensor_lies_in_bytes_as_the_standard_says(tensor: Tensor, raw: bytes) -> None:
    assert to_raw(tensor) == raw
    assert from_raw(tensor.name, tensor.datatype, tensor.shape, raw) == tensor


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [("FP64", b"1234567"), ("BYTES", b"\2\0\0\0a"), ("BYTES", b"\0\0\0\0" * 2), ("BOOL", b"")],
)
def test_bytes_that_are_not_the_shapes_are_not_read(datatype: str, raw: bytes) -> None:
    with pytest.raises(Unmet):
        from_raw("t", datatype, [1], raw)


def test_json_is_written_flat_or_nested() -> None:
    tensor = Tensor("t", "BYTES", (2, 1), (b"a", "한".encode()))

    assert to_json(tensor)["data"] == ["a", "한"]
    assert to_json(tensor, nested=True)["data"] == [["a"], ["한"]]
    assert from_json("t", "BYTES", [2, 1], [["a"], ["한"]]) == tensor


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("FP32", ["1"]),
        ("FP32", [None]),
        ("FP32", [True]),
        ("INT8", [1.0]),
        ("BOOL", [1]),
        ("BYTES", [1]),
        ("FP32", []),
    ],
)
def test_json_of_another_kind_is_not_read(datatype: str, data: list[Any]) -> None:
    with pytest.raises(Unmet):
        from_json("t", datatype, [1], data)


def test_numbers_are_cast_only_where_nothing_is_lost() -> None:
    assert cast(Tensor("t", "FP64", (2,), (0.0, 1.0)), "BOOL").values == (False, True)
    with pytest.raises(NotAsked):
        cast(Tensor("t", "FP64", (1,), (0.5,)), "INT8")
    with pytest.raises(NotAsked):
        cast(Tensor("t", "INT16", (1,), (300,)), "INT8")


def test_an_answer_with_nan_is_not_json() -> None:
    body = b'{"outputs": [{"name": "p", "datatype": "FP32", "shape": [1], "data": [NaN]}]}'

    with pytest.raises(Unmet, match="strict JSON"):
        read_answer(Reply(200, (), body))


@pytest.mark.parametrize("length", ["5", "x", "999", "77, 77"])
def test_a_wrong_length_of_the_json_is_not_read_over(length: str) -> None:
    body = b'{"outputs": [{"name": "p", "datatype": "BOOL", "shape": [1], "data": [true]}]}'

    with pytest.raises(Unmet):
        read_answer(Reply(200, (("inference-header-content-length", length),), body))


def test_health_and_reflection_are_the_librarys_on_the_wire() -> None:
    serving = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
    listed = health_pb2.HealthListResponse(statuses={"a": serving}).SerializeToString()
    told = reflection_pb2.ServerReflectionResponse(
        list_services_response={"service": [{"name": "x"}]},
        file_descriptor_response={"file_descriptor_proto": [b"y"]},
    )
    failed = reflection_pb2.ServerReflectionResponse(error_response={"error_code": 5, "error_message": "z"})
    asked = messages().ReflectionRequest(file_containing_symbol="s").SerializeToString()

    assert [(one.key, one.value.status) for one in messages().HealthList.FromString(listed).statuses] == [
        ("a", 1)
    ]
    assert messages().ReflectionResponse.FromString(told.SerializeToString()).files.file_descriptor_proto == [
        b"y"
    ]
    assert messages().ReflectionResponse.FromString(failed.SerializeToString()).error.error_message == "z"
    assert reflection_pb2.ServerReflectionRequest.FromString(asked).file_containing_symbol == "s"


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last)",
        'File "/srv/x.py", line 3',
        "<class 'ValueError'>",
        "ValueError : no",
        "google.protobuf.message.DecodeError",
        "object at 0x7f8baeab4b50",
    ],
)
def test_what_is_inside_is_seen_in_a_text(text: str) -> None:
    assert insides(f"so: {text}")


@pytest.mark.parametrize(
    "text", ["row 0: expected a number, got 'text'", "an error: no such Model", "datatype FP32"]
)
def test_a_text_for_callers_is_clean(text: str) -> None:
    assert insides(text) is None
