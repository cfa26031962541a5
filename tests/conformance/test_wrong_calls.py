"""Wrong gRPC calls: every row of the checklist that is about data, through both services, to the letter.

A name begins with the row of the checklist that it is of. B1: bytes that are no message. B2: unknown fields,
nested or many. B6: shapes. B7: contents that do not fit their shape. B8: how bytes lie. B9: datatypes.
B10: inputs and outputs. B11: elements of texts. B19 and B20, exceptions in a handler, are in
tests/unit/sigmax/rpc/test_service.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from tests.conformance import models
from tests.service import Service, call, running
from tests.unit.sigmax import mixed

from sigmax.protocol.tensors import to_bytes
from sigmax.wire import classifier_pb2 as classifier
from sigmax.wire import open_inference_grpc_pb2 as oip

CHECKLIST = ("B1", "B2", "B6", "B7", "B9", "B10", "B11")
CLASSIFIER = "/sigmax.v1.Classifier/PredictProbabilities"
INFER = "/inference.GRPCInferenceService/ModelInfer"
NOT_CLASSIFIER = "the request is not a sigmax.v1.PredictProbabilitiesRequest message"
NOT_INFER = "the request is not a inference.ModelInferRequest message"


@dataclass(frozen=True)
class Case:
    """A wrong call, INVALID_ARGUMENT, and what is said of it.

    Attributes:
        name: begins with the row of the checklist.
        path: of the method.
        request: as it is sent.
        error: the whole text of the refusal.
        fields: of the field violations.
    """

    name: str
    path: str
    request: bytes
    error: str
    fields: tuple[str, ...] = ()


def raw(spoil: Callable[[oip.ModelInferRequest], Any]) -> bytes:
    """A request with raw contents, spoilt."""
    request = oip.ModelInferRequest(model_name="plain")
    request.inputs.add(name="features", datatype="FP64", shape=[1, 2])
    request.raw_input_contents.append(np.array([0.5, 1.0]).tobytes())
    spoil(request)
    return request.SerializeToString()


def typed(spoil: Callable[[oip.ModelInferRequest], Any]) -> bytes:
    """A request with typed contents, spoilt."""
    request = oip.ModelInferRequest(model_name="plain")
    tensor = request.inputs.add(name="features", datatype="FP64", shape=[1, 2])
    tensor.contents.fp64_contents.extend([0.5, 1.0])
    spoil(request)
    return request.SerializeToString()


def texts(content: bytes) -> bytes:
    """A request with the raw texts of categories."""
    request = oip.ModelInferRequest(model_name="mixed")
    request.inputs.add(name="features", datatype="FP64", shape=[1, 4])
    request.inputs.add(name="categories", datatype="BYTES", shape=[1, 2])
    request.raw_input_contents.extend([np.array([31.5, 2.25, 1, 3]).tobytes(), content])
    return request.SerializeToString()


def text_elements(*elements: bytes) -> bytes:
    """The same, typed."""
    request = oip.ModelInferRequest(model_name="mixed")
    request.inputs.add(name="features", datatype="FP64", shape=[1, 4])
    request.inputs.add(name="categories", datatype="BYTES", shape=[1, 2])
    request.inputs[0].contents.fp64_contents.extend([31.5, 2.25, 1, 3])
    request.inputs[1].contents.bytes_contents.extend(elements)
    return request.SerializeToString()


def shape(*sizes: int) -> Callable[[oip.ModelInferRequest], None]:
    def spoil(request: oip.ModelInferRequest) -> None:
        request.inputs[0].shape[:] = sizes

    return spoil


def datatype(name: str) -> Callable[[oip.ModelInferRequest], None]:
    def spoil(request: oip.ModelInferRequest) -> None:
        request.inputs[0].datatype = name

    return spoil


def content(value: bytes) -> Callable[[oip.ModelInferRequest], None]:
    def spoil(request: oip.ModelInferRequest) -> None:
        request.raw_input_contents[0] = value

    return spoil


def outputs(*names: str) -> Callable[[oip.ModelInferRequest], None]:
    def spoil(request: oip.ModelInferRequest) -> None:
        for name in names:
            request.outputs.add(name=name)

    return spoil


def again(request: oip.ModelInferRequest) -> None:
    request.inputs.append(request.inputs[0])


def typed_as(field: str, *values: Any, of: str = "FP64") -> bytes:
    """A typed request whose values lie in one of the fields."""

    def spoil(request: oip.ModelInferRequest) -> None:
        request.inputs[0].datatype = of
        request.inputs[0].contents.Clear()
        getattr(request.inputs[0].contents, field).extend(values)

    return typed(spoil)


def rows(*rows: list[Any]) -> bytes:
    """A Classifier request with rows in order."""
    request = {"model": "plain", "rows": list(rows)}
    return json_format.ParseDict(request, classifier.PredictProbabilitiesRequest()).SerializeToString()


def group(depth: int) -> bytes:
    """A field that nobody knows: groups in groups."""
    return b"\xa3\x06" * depth + b"\xa4\x06" * depth


MANY = 100_000
GOOD = rows([0.5, 1])

CASES = [
    *[
        Case(f"B1-{what}-{service}", path, data, text)
        for what, data in {
            "random": b"\xff\xff\xff",
            "truncated": b"\x0a\x05ab",
            "not-utf-8": b"\x0a\x02\xff\xfe",
            "half-a-number": b"\x0d\x01\x02",
            "field-0": b"\x00\x00",
            "an-end-without-a-group": b"\xa4\x06",
        }.items()
        for service, path, text in (("classifier", CLASSIFIER, NOT_CLASSIFIER), ("infer", INFER, NOT_INFER))
    ],
    Case("B1-wrong-message", INFER, GOOD, "the request is not a inference.ModelInferRequest message"),
    Case("B2-groups-in-groups-classifier", CLASSIFIER, GOOD + group(MANY), NOT_CLASSIFIER),
    Case("B2-groups-in-groups-infer", INFER, raw(lambda _: None) + group(MANY), NOT_INFER),
    Case("B2-groups-without-an-end", INFER, raw(lambda _: None) + b"\xa3\x06" * MANY, NOT_INFER),
    Case(
        "B6-product-overflows-raw",
        INFER,
        raw(shape(2**4, 2**60 + 2)),
        "input 'features': expected shape [-1, 2], got [16, 1152921504606846978]",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-product-overflows-typed",
        INFER,
        typed(shape(2**4, 2**60 + 2)),
        "input 'features': expected shape [-1, 2], got [16, 1152921504606846978]",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-rows-overflow-raw",
        INFER,
        raw(shape(2**62, 2)),
        "4611686018427387904 rows in one request, at most 10000 are taken",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-rows-overflow-typed",
        INFER,
        typed(shape(2**62, 2)),
        "4611686018427387904 rows in one request, at most 10000 are taken",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-negative-raw",
        INFER,
        raw(shape(-1, 2)),
        "input 'features': expected shape [-1, 2], got [-1, 2]"
        "; -1 stands for the number of rows: say how many there are",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-negative-typed",
        INFER,
        typed(shape(-1, 2)),
        "input 'features': expected shape [-1, 2], got [-1, 2]"
        "; -1 stands for the number of rows: say how many there are",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-both-negative",
        INFER,
        raw(shape(-1, -2)),
        "input 'features': expected shape [-1, 2], got [-1, -2]",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-smallest",
        INFER,
        raw(shape(-(2**63), 2)),
        "input 'features': expected shape [-1, 2], got [-9223372036854775808, 2]"
        "; -1 stands for the number of rows: say how many there are",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-no-rows-raw",
        INFER,
        raw(shape(0, 2)),
        "input 'features' is empty: send at least one row",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-no-rows-typed",
        INFER,
        typed(shape(0, 2)),
        "input 'features' is empty: send at least one row",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-no-columns",
        INFER,
        raw(shape(1, 0)),
        "input 'features': expected shape [-1, 2], got [1, 0]",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-rank-0-raw",
        INFER,
        raw(shape()),
        "input 'features': expected shape [-1, 2], got []",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-rank-0-typed",
        INFER,
        typed(shape()),
        "input 'features': expected shape [-1, 2], got []",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-rank-1",
        INFER,
        raw(shape(2)),
        "input 'features': expected shape [-1, 2], got [2]; one row is [1, 2]",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-rank-9",
        INFER,
        raw(shape(*[1] * 9)),
        "input 'features': expected shape [-1, 2], got [1, 1, 1, 1, 1, 1, 1, 1]",
        ("inputs.features.shape",),
    ),
    Case(
        "B6-rank-of-many",
        INFER,
        raw(shape(*[1] * MANY)),
        "input 'features': expected shape [-1, 2], got [1, 1, 1, 1, 1, 1, 1, 1]",
        ("inputs.features.shape",),
    ),
    Case("B6-a-row-too-wide", CLASSIFIER, rows([0.5, 1, 2]), "row 0: expected 2 values, got 3", ("rows[0]",)),
    Case("B6-a-row-of-none", CLASSIFIER, rows([]), "row 0: expected 2 values, got 0", ("rows[0]",)),
    Case(
        "B6-no-rows",
        CLASSIFIER,
        rows(),
        "no rows: send exactly one of 'rows' and 'columns', with at least one row",
    ),
    Case(
        "B7-one-byte-too-few",
        INFER,
        raw(content(b"\0" * 15)),
        "input 'features': expected 16 bytes for FP64 [1, 2], got 15",
        ("inputs.features",),
    ),
    Case(
        "B7-one-byte-too-many",
        INFER,
        raw(content(b"\0" * 17)),
        "input 'features': expected 16 bytes for FP64 [1, 2], got 17",
        ("inputs.features",),
    ),
    Case(
        "B7-nothing",
        INFER,
        raw(content(b"")),
        "input 'features': expected 16 bytes for FP64 [1, 2], got 0",
        ("inputs.features",),
    ),
    Case(
        "B7-twice-as-much",
        INFER,
        raw(content(b"\0" * 32)),
        "input 'features': expected 16 bytes for FP64 [1, 2], got 32",
        ("inputs.features",),
    ),
    Case(
        "B7-fewer-values",
        INFER,
        typed(lambda r: r.inputs[0].contents.fp64_contents.pop()),
        "input 'features': shape [1, 2] needs 2 values, got 1",
        ("inputs.features",),
    ),
    Case(
        "B7-more-values",
        INFER,
        typed(lambda r: r.inputs[0].contents.fp64_contents.append(1)),
        "input 'features': shape [1, 2] needs 2 values, got 3",
        ("inputs.features",),
    ),
    Case(
        "B7-raw-and-typed",
        INFER,
        raw(lambda r: r.inputs[0].contents.fp64_contents.append(1)),
        "input 'features': contents and raw_input_contents are both filled",
        ("inputs.features.contents",),
    ),
    Case(
        "B7-neither",
        INFER,
        raw(lambda r: r.ClearField("raw_input_contents")),
        "input 'features': shape [1, 2] needs 2 values, got 0",
        ("inputs.features",),
    ),
    Case(
        "B7-two-raw-entries",
        INFER,
        raw(lambda r: r.raw_input_contents.append(b"")),
        "expected 1 entry of raw_input_contents, one an input, got 2",
        ("raw_input_contents",),
    ),
    Case(
        "B7-a-second-field",
        INFER,
        typed(lambda r: r.inputs[0].contents.fp32_contents.append(1)),
        "input 'features': FP64 belongs into contents.fp64_contents, got fp32_contents, fp64_contents",
        ("inputs.features.contents",),
    ),
    Case(
        "B9-unknown",
        INFER,
        raw(datatype("FP65")),
        (
            "input 'features': datatype 'FP65' is not one of BOOL, UINT8, UINT16, UINT32, UINT64, "
            "INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64"
        ),
        ("inputs.features.datatype",),
    ),
    Case(
        "B9-empty",
        INFER,
        raw(datatype("")),
        (
            "input 'features': datatype '' is not one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, "
            "INT16, INT32, INT64, FP16, BF16, FP32, FP64"
        ),
        ("inputs.features.datatype",),
    ),
    Case(
        "B9-lower-case",
        INFER,
        raw(datatype("fp64")),
        (
            "input 'features': datatype 'fp64' is not one of BOOL, UINT8, UINT16, UINT32, UINT64, "
            "INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64, did you mean 'FP64'?"
        ),
        ("inputs.features.datatype",),
    ),
    Case(
        "B9-lower-case-typed",
        INFER,
        typed(datatype("fp64")),
        (
            "input 'features': datatype 'fp64' is not one of BOOL, UINT8, UINT16, UINT32, UINT64, "
            "INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64, did you mean 'FP64'?"
        ),
        ("inputs.features.datatype",),
    ),
    Case(
        "B9-bf16-said-fp64-sent",
        INFER,
        raw(datatype("BF16")),
        "input 'features': expected 4 bytes for BF16 [1, 2], got 16",
        ("inputs.features",),
    ),
    Case(
        "B9-texts",
        INFER,
        raw(datatype("BYTES")),
        (
            "input 'features': datatype 'BYTES' is not one of BOOL, UINT8, UINT16, UINT32, UINT64, "
            "INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64; "
            "send numbers as numbers, and PNG or JPEG files to :classes or PredictClasses"
        ),
        ("inputs.features.datatype",),
    ),
    Case(
        "B9-texts-typed",
        INFER,
        typed_as("bytes_contents", b"1", b"2", of="BYTES"),
        (
            "input 'features': datatype 'BYTES' is not one of BOOL, UINT8, UINT16, UINT32, UINT64, "
            "INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64; "
            "send numbers as numbers, and PNG or JPEG files to :classes or PredictClasses"
        ),
        ("inputs.features.datatype",),
    ),
    Case(
        "B9-half-typed",
        INFER,
        typed(datatype("FP16")),
        "input 'features': FP16 travels in raw_input_contents only",
        ("inputs.features.contents",),
    ),
    Case(
        "B9-fp32-said-fp64-sent",
        INFER,
        raw(datatype("FP32")),
        "input 'features': expected 8 bytes for FP32 [1, 2], got 16",
        ("inputs.features",),
    ),
    Case(
        "B9-typed-in-another-field",
        INFER,
        typed_as("fp32_contents", 1, 2),
        "input 'features': FP64 belongs into contents.fp64_contents, got fp32_contents",
        ("inputs.features.contents",),
    ),
    Case(
        "B9-outside-int8",
        INFER,
        typed_as("int_contents", 1, 128, of="INT8"),
        "row 0, feature 'b': '128' is outside INT8",
        ("inputs.features[0][1]",),
    ),
    Case(
        "B9-outside-uint16",
        INFER,
        typed_as("uint_contents", 1, 2**16, of="UINT16"),
        "row 0, feature 'b': '65536' is outside UINT16",
        ("inputs.features[0][1]",),
    ),
    Case(
        "B9-an-integer-that-would-change",
        INFER,
        typed_as("int64_contents", 1, 2**53 + 1, of="INT64"),
        (
            "row 0, feature 'b': 9007199254740993 cannot be held by float64, which the model computes "
            "in, without changing it"
        ),
        ("inputs.features[0][1]",),
    ),
    Case(
        "B9-nan-raw",
        INFER,
        raw(content(np.array([1, np.nan]).tobytes())),
        "row 0, feature 'b': expected a finite number, got nan",
        ("inputs.features[0][1]",),
    ),
    Case(
        "B9-infinity-typed",
        INFER,
        typed_as("fp64_contents", 1, np.inf),
        "row 0, feature 'b': expected a finite number, got inf",
        ("inputs.features[0][1]",),
    ),
    Case(
        "B9-nan-classifier",
        CLASSIFIER,
        GOOD.replace(np.array([0.5]).tobytes(), np.array([np.nan]).tobytes()),
        "row 0, feature 'a': expected a finite number, got nan",
        ("rows[0][0]",),
    ),
    Case(
        "B9-a-text-classifier",
        CLASSIFIER,
        rows([0.5, "1"]),
        "row 0, feature 'b': expected a number, got the text '1'",
        ("rows[0][1]",),
    ),
    Case(
        "B9-a-boolean-classifier",
        CLASSIFIER,
        rows([0.5, True]),
        "row 0, feature 'b': expected a number, got the boolean true",
        ("rows[0][1]",),
    ),
    Case(
        "B9-a-list-classifier",
        CLASSIFIER,
        rows([0.5, [1]]),
        "row 0, feature 'b': expected a number, got a list of 1 values",
        ("rows[0][1]",),
    ),
    Case(
        "B10-an-input-twice",
        INFER,
        raw(again),
        "expected the one input 'features', got ['features', 'features']",
        ("inputs",),
    ),
    Case(
        "B10-an-input-twice-typed",
        INFER,
        typed(again),
        "expected the one input 'features', got ['features', 'features']",
        ("inputs",),
    ),
    Case(
        "B10-no-input",
        INFER,
        raw(lambda r: r.ClearField("inputs")),
        "expected the one input 'features', got []",
        ("inputs",),
    ),
    Case(
        "B10-another-input",
        INFER,
        raw(lambda r: setattr(r.inputs[0], "name", "X")),
        "expected the one input 'features', got ['X']",
        ("inputs",),
    ),
    Case(
        "B10-one-of-two",
        INFER,
        texts(b"").replace(b"features", b"feature_"),
        "expected the inputs 'features' and 'categories', got ['feature_', 'categories']",
        ("inputs",),
    ),
    Case(
        "B10-another-output",
        INFER,
        raw(outputs("lable")),
        "unknown output 'lable', did you mean 'label'?; this model has probabilities, label",
        ("outputs.lable",),
    ),
    Case(
        "B10-an-output-twice",
        INFER,
        raw(outputs("label", "label")),
        "an output is requested twice: ['label', 'label']",
        ("outputs",),
    ),
    Case(
        "B10-many-outputs",
        INFER,
        raw(outputs(*["label"] * MANY)),
        (
            "an output is requested twice: ['label', 'label', 'label', 'label', 'label', 'label', "
            "'label', 'label', 'label', 'label', 'label', 'label', 'label', 'label', 'label', 'label', "
            "'label', 'label', 'label', 'label']"
        ),
        ("outputs",),
    ),
    Case(
        "B10-many-unknown-outputs",
        INFER,
        raw(outputs(*[f"o{n}" for n in range(MANY)])),
        "unknown output 'o0'; this model has probabilities, label",
        ("outputs.o0",),
    ),
    Case(
        "B10-a-feature-of-another-name",
        CLASSIFIER,
        json_format.ParseDict(
            {"model": "plain", "rows": [{"a": 1, "c": 2}]}, classifier.PredictProbabilitiesRequest()
        ).SerializeToString(),
        "row 0: unknown feature 'c'; row 0: feature 'b' is missing",
        (
            "rows[0].c",
            "rows[0].b",
        ),
    ),
    Case(
        "B11-beyond-the-end",
        INFER,
        texts(b"\x05\0\0\0ab"),
        "row 0, feature '도시': the element is cut off, 3 bytes of it are not there",
        ("inputs.categories[0][0]",),
    ),
    Case(
        "B11-2**31",
        INFER,
        texts(b"\0\0\0\x80ab"),
        "row 0, feature '도시': the element is cut off, 2147483646 bytes of it are not there",
        ("inputs.categories[0][0]",),
    ),
    Case(
        "B11-minus-one",
        INFER,
        texts(b"\xff\xff\xff\xffab"),
        "row 0, feature '도시': the element is cut off, 4294967293 bytes of it are not there",
        ("inputs.categories[0][0]",),
    ),
    Case(
        "B11-half-a-length",
        INFER,
        texts(b"\x01\0"),
        "row 0, feature '도시': the element is cut off, 3 bytes of it are not there",
        ("inputs.categories[0][0]",),
    ),
    Case(
        "B11-second-beyond-the-end",
        INFER,
        texts(to_bytes(["서울"]) + b"\x03\0\0\0ab"),
        "row 0, feature '등급': the element is cut off, 1 bytes of it are not there",
        ("inputs.categories[0][1]",),
    ),
    Case(
        "B11-one-too-few",
        INFER,
        texts(to_bytes(["서울"])),
        (
            "input 'categories': shape [1, 2] needs 2 elements, got 1; row 0, feature '등급' is the "
            "first without one"
        ),
        ("inputs.categories",),
    ),
    Case(
        "B11-one-too-many",
        INFER,
        texts(to_bytes(["서울", "30", "30"])),
        "input 'categories': shape [1, 2] needs 2 elements, got more",
        ("inputs.categories",),
    ),
    Case(
        "B11-not-utf-8",
        INFER,
        texts(b"\x01\0\0\0\xff" + to_bytes(["30"])),
        "row 0, feature '도시': expected a text in UTF-8, byte 0 is none",
        ("inputs.categories[0][0]",),
    ),
    Case(
        "B11-not-utf-8-typed",
        INFER,
        text_elements(b"\xff", b"30"),
        "row 0, feature '도시': expected a text in UTF-8, byte 0 is none",
        ("inputs.categories[0][0]",),
    ),
    Case(
        "B11-one-too-few-typed",
        INFER,
        text_elements(b"30"),
        (
            "input 'categories': shape [1, 2] needs 2 elements, got 1; row 0, feature '등급' is the "
            "first without one"
        ),
        ("inputs.categories",),
    ),
    Case(
        "B11-unknown-typed",
        INFER,
        text_elements("서울".encode(), b"31"),
        "row 0, feature '등급': unknown category '31', did you mean '1'? (3 known)",
        ("inputs.categories[0][1]",),
    ),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("wrong")
    models.publish(root)
    mixed.write(root)
    with running(root) as started:
        yield started


@pytest.fixture(scope="module")
def channel(service: Service) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(service.grpc) as opened:
        yield opened


@pytest.fixture(scope="module")
def right(service: Service) -> list[bytes]:
    """What is said of right rows before anything wrong was sent."""
    with grpc.insecure_channel(service.grpc) as opened:
        return golden(opened)


@pytest.fixture(autouse=True)
def nothing_broke(channel: grpc.Channel, right: list[bytes]) -> Iterator[None]:
    """After every call the right rows get the same bits through both services."""
    yield
    assert golden(channel) == right


def golden(channel: grpc.Channel) -> list[bytes]:
    right = (CLASSIFIER, GOOD), (INFER, raw(lambda _: None)), (INFER, typed(lambda _: None))
    return [call(channel, path, request) for path, request in right]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_wrong_call_is_an_invalid_argument_that_says_what_is_wrong(
    channel: grpc.Channel, case: Case
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, case.path, case.request)

    error: Any = refused.value
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, case.error)
    info, violations, request = details(error)
    assert (info.reason, info.domain) == ("INVALID_INPUT", "sigmax")
    assert [violation.field for violation in violations] == list(case.fields)
    assert request.request_id == dict(error.trailing_metadata())["x-request-id"]


def details(
    error: Any,
) -> tuple[
    error_details_pb2.ErrorInfo,
    list[error_details_pb2.BadRequest.FieldViolation],
    error_details_pb2.RequestInfo,
]:
    """What an error carries beside its text."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, bad, request = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RequestInfo(),
    )
    for detail in status.details:
        assert any(detail.Unpack(one) for one in (info, bad, request))
    return info, list(bad.field_violations), request


def test_every_row_of_the_checklist_is_there() -> None:
    assert {case.name.partition("-")[0] for case in CASES} == set(CHECKLIST)
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("name", "request_bytes", "same"),
    [
        ("B2-many-unknown-fields", raw(lambda _: None) + b"\xa0\x06\x01" * 10**6, raw(lambda _: None)),
        ("B2-shallow-groups", raw(lambda _: None) + group(20), raw(lambda _: None)),
        ("B9-widened-from-fp32", typed_as("fp32_contents", 0.5, 1, of="FP32"), typed(lambda _: None)),
        ("B9-widened-from-int8", typed_as("int_contents", 0, 1, of="INT8"), typed_as("fp64_contents", 0, 1)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_looks_wrong_and_is_not_is_answered(
    channel: grpc.Channel, name: str, request_bytes: bytes, same: bytes
) -> None:
    assert call(channel, INFER, request_bytes) == call(channel, INFER, same)


@pytest.mark.parametrize("shift", range(9), ids=lambda shift: f"B8-shifted-by-{shift}")
def test_the_answer_does_not_depend_on_where_the_numbers_lie(channel: grpc.Channel, shift: int) -> None:
    def moved(request: oip.ModelInferRequest) -> None:
        request.parameters["x" * shift].bool_param = True

    assert call(channel, INFER, raw(moved)) == call(channel, INFER, raw(lambda _: None))


def test_b8_numbers_of_the_other_byte_order_are_other_numbers(channel: grpc.Channel) -> None:
    swapped = np.array([0.5, 1.0], ">f8")
    read_so = np.frombuffer(swapped.tobytes(), "<f8")

    answers = [call(channel, INFER, raw(content(numbers.tobytes()))) for numbers in (swapped, read_so)]

    assert answers[0] == answers[1] != call(channel, INFER, raw(lambda _: None))
