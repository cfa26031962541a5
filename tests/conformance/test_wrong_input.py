"""Wrong requests: refused by every door with the same words, which say what is wrong and where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from google.protobuf import json_format
from tests.conformance.doors import Door, OpenInferenceRpc, Refused, Rest, Rpc
from tests.service import Service

from sigmax.repository.bundle import Bundle
from sigmax.wire import classifier_pb2
from sigmax.wire import open_inference_grpc_pb2 as oip

SEPAL_LENGTH, SEPAL_WIDTH = "sepal length (cm)", "sepal width (cm)"
PETAL_LENGTH, PETAL_WIDTH = "petal length (cm)", "petal width (cm)"
ROW = {SEPAL_LENGTH: 5.1, SEPAL_WIDTH: 3.5, PETAL_LENGTH: 1.4, PETAL_WIDTH: 0.2}
LEAKS = re.compile(r"Traceback|/work|/tmp|site-packages|\.py\b|<class|Error\b|msgspec|numpy|onnxruntime")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ROW.items() if key != name}


CLASSIFIER: dict[str, tuple[dict[str, Any], str]] = {
    "unknown feature": (
        {"rows": [{**without(PETAL_WIDTH), "petal widht (cm)": 0.2}]},
        "row 0: unknown feature 'petal widht (cm)', did you mean 'petal width (cm)'?; "
        "row 0: feature 'petal width (cm)' is missing",
    ),
    "extra feature": (
        {"rows": [ROW, {**ROW, "colour": 1}]},
        "row 1: unknown feature 'colour'",
    ),
    "missing features": (
        {"rows": [without(SEPAL_WIDTH), ROW, without(SEPAL_LENGTH)]},
        "row 0: feature 'sepal width (cm)' is missing; row 2: feature 'sepal length (cm)' is missing",
    ),
    "text for a number": (
        {"rows": [{**ROW, PETAL_WIDTH: "wide"}]},
        "row 0, feature 'petal width (cm)': expected a number, got the text 'wide'",
    ),
    "a number as text": (
        {"rows": [[5.1, "3.5", 1.4, 0.2]]},
        "row 0, feature 'sepal width (cm)': expected a number, got the text '3.5'",
    ),
    "a boolean": (
        {"rows": [{**ROW, SEPAL_LENGTH: True}]},
        "row 0, feature 'sepal length (cm)': expected a number, got the boolean true",
    ),
    "a missing value": (
        {"rows": [{**ROW, SEPAL_LENGTH: None}]},
        "row 0, feature 'sepal length (cm)': expected a number, got null, a missing value, "
        "which this model does not take",
    ),
    "a list for a number": (
        {"rows": [{**ROW, SEPAL_LENGTH: [1, 2]}]},
        "row 0, feature 'sepal length (cm)': expected a number, got a list of 2 values",
    ),
    "wrong width": ({"rows": [[1, 2, 3]]}, "row 0: expected 4 values, got 3"),
    "ragged rows": (
        {"rows": [[1, 2, 3, 4], [1, 2, 3], [1, 2, 3, 4, 5]]},
        "row 1: expected 4 values, got 3; row 2: expected 4 values, got 5",
    ),
    "mixed rows": (
        {"rows": [ROW, [1, 2, 3, 4]]},
        "row 1: expected an object by feature name, got a list of 4 values",
    ),
    "rows of numbers": ({"rows": [1, 2]}, "row 0: expected a list in feature order, got the number 1"),
    "empty batch": (
        {"rows": []},
        "no rows: send exactly one of 'rows' and 'columns', with at least one row",
    ),
    "empty request": ({}, "no rows: send exactly one of 'rows' and 'columns', with at least one row"),
    "both": (
        {"rows": [ROW], "columns": {name: [1] for name in ROW}},
        "both 'rows' and 'columns' are filled: send exactly one of them",
    ),
    "columns of different lengths": (
        {"columns": {**{name: [1, 2] for name in ROW}, PETAL_WIDTH: [1]}},
        "column 'petal width (cm)': 1 values, but 2 in column 'sepal length (cm)'",
    ),
    "a missing column": (
        {"columns": {name: [1] for name in without(PETAL_WIDTH)}},
        "feature 'petal width (cm)' is missing",
    ),
    "empty columns": ({"columns": {name: [] for name in ROW}}, "'columns' are empty: send at least one row"),
    "more rows than the limit": (
        {"rows": [[1, 2, 3, 4]] * 10_001},
        "10001 rows in one request, at most 10000 are taken",
    ),
    "a threshold for a multiclass model": (
        {"rows": [ROW], "options": {"threshold": 0.7}},
        "option 'threshold': a multiclass model takes the most probable class, it has no threshold",
    ),
    "a threshold outside 0 to 1": (
        {"rows": [ROW], "options": {"threshold": 1.5}},
        "option 'threshold' is a number from 0 to 1",
    ),
    "a wrong extra": (
        {"rows": [ROW], "options": {"extra": "drop"}},
        "option 'extra' is 'reject' or 'ignore', not the text 'drop'",
    ),
    "top_k of zero": (
        {"rows": [ROW], "options": {"top_k": 0}},
        "option 'top_k' is a whole number of at least 1",
    ),
    "an id column that is missing": (
        {"rows": [{**ROW, "id": 1}, ROW], "options": {"id": "id"}},
        "row 1: id column 'id' is missing",
    ),
    "an id column for lists": (
        {"rows": [[1, 2, 3, 4]], "options": {"id": "id"}},
        "the id column 'id' needs rows by name; these rows are lists",
    ),
}


@pytest.fixture
def rest(doors: dict[str, Door]) -> Rest:
    door = doors["rest named"]
    assert isinstance(door, Rest)
    return door


@pytest.fixture
def rpc(doors: dict[str, Door]) -> Rpc:
    door = doors["grpc classifier"]
    assert isinstance(door, Rpc)
    return door


@pytest.fixture
def oip_rpc(doors: dict[str, Door]) -> OpenInferenceRpc:
    door = doors["v2 grpc raw"]
    assert isinstance(door, OpenInferenceRpc)
    return door


@pytest.fixture(autouse=True)
def the_process_lives_on(doors: dict[str, Door], bundles: dict[str, Bundle]) -> Any:
    """After every wrong request a golden request gets the same bits as before it."""
    rows = bundles["iris"].golden.features
    before = doors["v2 grpc raw"].ask("iris", rows).probabilities.tobytes()
    yield
    assert doors["v2 grpc raw"].ask("iris", rows).probabilities.tobytes() == before


@pytest.mark.parametrize("name", CLASSIFIER)
def test_rest_and_grpc_refuse_with_the_same_words(rest: Rest, rpc: Rpc, name: str) -> None:
    request, expected = CLASSIFIER[name]
    message = json_format.ParseDict({"model": "iris", **request}, classifier_pb2.PredictClassesRequest())

    with pytest.raises(Refused) as by_rest:
        rest.post("/v1/models/iris:classes", request)
    with pytest.raises(Refused) as by_grpc:
        rpc.call("PredictClasses", message.SerializeToString())

    assert by_rest.value.code == "INVALID_INPUT"
    assert by_grpc.value.code == "INVALID_ARGUMENT"
    assert expected in by_rest.value.text
    assert by_rest.value.text == by_grpc.value.text
    assert not LEAKS.search(by_rest.value.text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "the body is empty: send a JSON object"),
        (b"{", "the body is not JSON"),
        (b'{"rows": [[1,2,3,4],]}', "the body is not JSON"),
        (b'{"rows": [[NaN,2,3,4]]}', "row 0, feature 'sepal length (cm)': expected a finite number, got nan"),
        (b'{"rows": [[1,2,3,4]], "note": NaN}', "unknown key 'note'"),
        (b'{"rows": [{"x": NaN}], "options": {"extra": "ignore"}}', "feature 'sepal length (cm)' is missing"),
        (
            b'{"columns": {"sepal length (cm)": [-Infinity], "sepal width (cm)": [1], '
            b'"petal length (cm)": [1], "petal width (cm)": [1]}}',
            "feature 'sepal length (cm)': expected a finite number, got -inf",
        ),
        (
            b'{"rows": [[1e999,2,3,4]]}',
            "row 0, feature 'sepal length (cm)': expected a finite number, got inf",
        ),
        (b"\xff\xfe{}", "the body is not JSON"),
        (b'{"rows": "\xff"}', "the body is not JSON"),
        (b"[1]", "the body is a JSON object, not a list of 1 values"),
        (b"null", "the body is a JSON object, not null"),
        (b'"x"', "the body is a JSON object, not the text 'x'"),
        (b'{"rows": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the body is nested too deeply"),
        (b"[" * 1_000_000, "the body is nested too deeply"),
        (
            b'{"row": [[1,2,3,4]]}',
            "unknown key 'row', did you mean 'rows'?; known are rows, columns, images, options",
        ),
        (
            b'{"instances": [[1,2,3,4]]}',
            "unknown key 'instances': :predict takes it, here it is 'rows'; known are rows, columns, images",
        ),
        (b'{"rows": [[1,2,3,4]], "top_k": 2}', "'top_k' belongs into 'options'"),
        (b'{"rows": {"a": 1}}', "'rows' is a list of objects or of lists, not an object"),
        (b'{"columns": [1]}', "'columns' is an object of lists by feature name, not a list of 1 values"),
        (b'{"rows": [[1,2,3,4]], "options": []}', "'options' is an object, not a list of 0 values"),
        (b'{"rows": [[1,2,3,4]], "options": {"topk": 1}}', "unknown option 'topk', did you mean 'top_k'?"),
        (
            b'{"rows": [[1,2,3,4]], "options": {"top_k": 1.5}}',
            "option 'top_k' is a whole number of at least 1",
        ),
        (
            b'{"rows": [[1,2,3,9007199254740993]]}',
            "integer '9007199254740993', which float64 cannot hold exactly",
        ),
        (b'{"rows": [[1,2,3,' + b"9" * 400 + b"]]}", ""),
    ],
)
@pytest.mark.parametrize("verb", ["classes", "probabilities"])
def test_a_body_that_is_no_request_is_a_400(rest: Rest, verb: str, body: bytes, expected: str) -> None:
    response = rest.client.post(f"/v1/models/iris:{verb}", content=body)

    assert response.status_code == 400
    document = response.json()
    assert document["code"] == "INVALID_INPUT"
    assert expected in document["error"]
    assert not LEAKS.search(document["error"])


def test_a_number_that_is_no_json_is_refused_wherever_it_stands(rest: Rest) -> None:
    body = json.dumps({"rows": [{**ROW, "id": float("nan")}], "options": {"id": "id"}})

    response = rest.client.post("/v1/models/iris:classes", content=body.encode())

    assert response.status_code == 400
    assert "NaN and Infinity are no JSON numbers" in response.json()["error"]


@pytest.mark.parametrize("options", [{"top_k": 2}, {"threshold": 0.2}])
def test_options_for_classes_are_refused_where_probabilities_are_asked_for(
    rest: Rest, rpc: Rpc, options: dict[str, Any]
) -> None:
    request = {"rows": [ROW], "options": options}
    message = json_format.ParseDict(
        {"model": "iris", **request}, classifier_pb2.PredictProbabilitiesRequest()
    )

    with pytest.raises(Refused, match="is for classes") as by_rest:
        rest.post("/v1/models/iris:probabilities", request)
    with pytest.raises(Refused) as by_grpc:
        rpc.call("PredictProbabilities", message.SerializeToString())

    assert by_rest.value.text == by_grpc.value.text


def test_a_row_of_millions_is_refused_by_its_length_over_grpc(rpc: Rpc) -> None:
    request = classifier_pb2.PredictClassesRequest(model="iris")
    request.rows.add().list_value.extend([1.0] * 1_000_000)

    with pytest.raises(Refused) as refused:
        rpc.call("PredictClasses", request.SerializeToString())

    assert refused.value.text == "row 0: expected 4 values, got 1000000"


def test_a_long_list_of_problems_is_bounded(rest: Rest) -> None:
    with pytest.raises(Refused) as refused:
        rest.post("/v1/models/iris:classes", {"rows": [["x"] * 4] * 1000})

    assert refused.value.text.endswith("; and more")
    assert len(refused.value.text) < 2_000


def test_a_callers_text_is_repeated_shortened_and_on_one_line(rest: Rest) -> None:
    with pytest.raises(Refused) as refused:
        rest.post(
            "/v1/models/iris:classes", {"rows": [{**ROW, SEPAL_LENGTH: "a\r\nb\x1b[31m" + "x" * 10_000}]}
        )

    assert "a\\r\\nb\\x1b[31mxxx" in refused.value.text
    assert "…" in refused.value.text.encode().decode("unicode_escape") or "\\u2026" in refused.value.text
    assert len(refused.value.text) < 300


@pytest.mark.parametrize("method", ["PredictProbabilities", "PredictClasses", "DescribeModel"])
@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"])
def test_bytes_that_are_no_message_are_an_invalid_argument(rpc: Rpc, method: str, data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        rpc.call(method, data)

    assert refused.value.code == "INVALID_ARGUMENT"
    assert refused.value.text == f"the request is not a sigmax.v1.{method}Request message"


def v2(data: Any, shape: list[Any], datatype: str = "FP64", name: str = "features") -> dict[str, Any]:
    return {"inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}]}


V2_REST: dict[str, tuple[Any, str]] = {
    "no inputs": ({"inputs": []}, "expected the one input 'features', got []"),
    "no inputs key": ({}, "the body is not an inference request"),
    "unknown input": (v2([1.0] * 4, [1, 4], name="X"), "expected the one input 'features', got ['X']"),
    "two inputs": (
        {"inputs": v2([1.0] * 4, [1, 4])["inputs"] * 2},
        "expected the one input 'features', got ['features', 'features']",
    ),
    "unknown datatype": (v2([1.0] * 4, [1, 4], "FP65"), "datatype 'FP65' is not one of BOOL, UINT8"),
    "text": (v2(["a"] * 4, [1, 4], "BYTES"), "datatype 'BYTES' is not one of"),
    "half floats": (v2([1.0] * 4, [1, 4], "FP16"), "FP16 has no form in JSON"),
    "wrong shape": (v2([1.0] * 5, [1, 5]), "expected shape [-1, 4], got [1, 5]"),
    "one dimension": (v2([1.0] * 4, [4]), "expected shape [-1, 4], got [4]"),
    "a negative shape": (v2([1.0] * 4, [-1, 4]), "expected shape [-1, 4], got [-1, 4]"),
    "a huge shape": (
        v2([1.0] * 4, [2**62, 4]),
        "4611686018427387904 rows in one request, at most 10000 are taken",
    ),
    "too few values": (v2([1.0] * 7, [2, 4]), "shape [2, 4] needs 8 values, got 7"),
    "too few rows": (v2([[1.0] * 4], [2, 4]), "'data' has 1 rows, shape [2, 4] says 2"),
    "a ragged row": (v2([[1.0] * 4, [1.0] * 3], [2, 4]), "row 1 of 'data' has 3 values, shape [2, 4] says 4"),
    "text and null among numbers": (
        v2([1.0, None, "x", 4.0], [1, 4]),
        "row 0, feature 'sepal width (cm)': expected a number, got null, a missing value, which this model "
        "does not take; row 0, feature 'petal length (cm)': expected a number, got the text 'x'",
    ),
    "a boolean among nested numbers": (
        v2([[1.0] * 4, [1.0, 2.0, True, 4.0]], [2, 4]),
        "row 1, feature 'petal length (cm)': expected a number, got the boolean true",
    ),
    "a fraction among integers": (
        v2([1, 2, 3.5, 4], [1, 4], "INT64"),
        "row 0, feature 'petal length (cm)': expected an integer, got the number 3.5",
    ),
    "a number among booleans": (
        v2([True, 2, True, False], [1, 4], "BOOL"),
        "row 0, feature 'sepal width (cm)': expected a boolean, got the number 2",
    ),
    "an integer outside its type": (
        v2([1, 2, 300, 4], [1, 4], "UINT8"),
        "row 0, feature 'petal length (cm)': '300' is outside UINT8",
    ),
    "an integer that would change": (
        v2([1, 2, 3, 2**53 + 1], [1, 4], "INT64"),
        "row 0, feature 'petal width (cm)': 9007199254740993 cannot be held by float64",
    ),
    "too large for its type": (
        v2([1.0, 2.0, 1e39, 4.0], [1, 4], "FP32"),
        "row 0, feature 'petal length (cm)': 1e+39 is no number of FP32",
    ),
    "data of three dimensions": (v2([[[1.0] * 4]], [1, 4]), "'data' of FP64 is a list of numbers"),
    "no data": (
        {"inputs": [{"name": "features", "shape": [1, 4], "datatype": "FP64"}]},
        "expected exactly one of 'data' and parameter 'binary_data_size'",
    ),
    "unknown output": (
        {**v2([1.0] * 4, [1, 4]), "outputs": [{"name": "probability"}]},
        "unknown output 'probability', did you mean 'probabilities'?; this model has probabilities, label",
    ),
    "an output twice": (
        {**v2([1.0] * 4, [1, 4]), "outputs": [{"name": "label"}, {"name": "label"}]},
        "an output is requested twice",
    ),
    "an id that is a number": ({**v2([1.0] * 4, [1, 4]), "id": 7}, "the body is not an inference request"),
}


@pytest.mark.parametrize("name", V2_REST)
def test_open_inference_rest_refuses(rest: Rest, name: str) -> None:
    request, expected = V2_REST[name]

    response = rest.client.post("/v2/models/iris/infer", json=request)

    assert response.status_code == 400
    assert expected in response.json()["error"]
    assert not LEAKS.search(response.json()["error"])


def infer_request() -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name="iris")
    request.inputs.add(name="features", datatype="FP64", shape=[1, 4])
    request.raw_input_contents.append(np.zeros(4).tobytes())
    return request


def typed_as_fp32(request: oip.ModelInferRequest) -> None:
    request.ClearField("raw_input_contents")
    request.inputs[0].contents.fp32_contents.extend([1.0] * 4)


def typed_half(request: oip.ModelInferRequest) -> None:
    request.ClearField("raw_input_contents")
    request.inputs[0].datatype = "FP16"


V2_RPC: dict[str, tuple[Callable[[oip.ModelInferRequest], Any], str]] = {
    "7 bytes too few": (
        lambda r: r.raw_input_contents.__setitem__(0, b"\0" * 25),
        "expected 32 bytes for FP64 [1, 4], got 25",
    ),
    "no raw entry of two": (
        lambda r: r.raw_input_contents.append(b""),
        "expected 1 entry of raw_input_contents, one an input, got 2",
    ),
    "raw and typed": (
        lambda r: r.inputs[0].contents.fp64_contents.append(1.0),
        "contents and raw_input_contents are both filled",
    ),
    "neither raw nor typed": (
        lambda r: r.ClearField("raw_input_contents"),
        "shape [1, 4] needs 4 values, got 0",
    ),
    "typed in the wrong field": (
        typed_as_fp32,
        "FP64 belongs into contents.fp64_contents, got fp32_contents",
    ),
    "half floats typed": (
        typed_half,
        "FP16 travels in raw_input_contents only",
    ),
    "lower case datatype": (
        lambda r: setattr(r.inputs[0], "datatype", "fp64"),
        "datatype 'fp64' is not one of",
    ),
    "BYTES": (lambda r: setattr(r.inputs[0], "datatype", "BYTES"), "datatype 'BYTES' is not one of"),
    "another width": (lambda r: r.inputs[0].shape.__setitem__(1, 5), "expected shape [-1, 4], got [1, 5]"),
    "an overflowing shape": (
        lambda r: r.inputs[0].shape.__setitem__(0, 2**62),
        f"{2**62} rows in one request, at most 10000 are taken",
    ),
    "a negative shape": (
        lambda r: r.inputs[0].shape.__setitem__(0, -1),
        "expected shape [-1, 4], got [-1, 4]",
    ),
    "rank 9": (lambda r: r.inputs[0].shape.extend([1] * 7), "expected shape [-1, 4], got [1, 4, 1"),
    "unknown input": (
        lambda r: setattr(r.inputs[0], "name", "X"),
        "expected the one input 'features', got ['X']",
    ),
    "unknown output": (
        lambda r: r.outputs.add(name="lable"),
        "unknown output 'lable', did you mean 'label'?",
    ),
}


@pytest.mark.parametrize("name", V2_RPC)
def test_open_inference_grpc_refuses(oip_rpc: OpenInferenceRpc, name: str) -> None:
    spoil, expected = V2_RPC[name]
    request = infer_request()
    spoil(request)

    with pytest.raises(Refused) as refused:
        oip_rpc.call("ModelInfer", request.SerializeToString())

    assert refused.value.code == "INVALID_ARGUMENT"
    assert expected in refused.value.text


def test_narrowing_that_loses_digits_is_refused_and_widening_is_not(
    oip_rpc: OpenInferenceRpc, bundles: dict[str, Bundle]
) -> None:
    assert bundles["digits"].manifest.graph.dtype == "float32"
    request = oip.ModelInferRequest(model_name="digits")
    request.inputs.add(name="features", datatype="FP64", shape=[1, 64])
    request.raw_input_contents.append(np.full(64, 0.1).tobytes())

    with pytest.raises(
        Refused, match=r"0\.1 cannot be held by float32, which the model computes in"
    ) as refused:
        oip_rpc.call("ModelInfer", request.SerializeToString())

    assert refused.value.code == "INVALID_ARGUMENT"
    request.raw_input_contents[0] = np.full(64, 0.5).tobytes()
    assert oip_rpc.call("ModelInfer", request.SerializeToString())


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "INT8", "UINT16", "INT32", "UINT64", "FP16", "FP32"])
def test_lossless_datatypes_are_widened(oip_rpc: OpenInferenceRpc, datatype: str) -> None:
    from sigmax.protocol.tensors import DTYPES

    rows = np.array([[1, 0, 1, 1]])
    expected = oip_rpc.ask("iris", rows.astype(np.float64)).probabilities
    request = oip.ModelInferRequest(model_name="iris")
    request.inputs.add(name="features", datatype=datatype, shape=[1, 4])
    request.raw_input_contents.append(rows.astype(DTYPES[datatype]).tobytes())

    answer = oip.ModelInferResponse.FromString(oip_rpc.call("ModelInfer", request.SerializeToString()))

    assert np.frombuffer(answer.raw_output_contents[0]).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("head_length", "blob", "announced", "expected"),
    [
        ("x", 32, 32, "header Inference-Header-Content-Length is a number of bytes, not 'x'"),
        ("-1", 32, 32, "header Inference-Header-Content-Length is a number of bytes, not '-1'"),
        ("100000", 32, 32, "says 100000 bytes of JSON, the body has"),
        ("1" * 5000, 32, 32, "header Inference-Header-Content-Length is a number of bytes, not '1111"),
        (None, 31, 32, "32 bytes announced behind the JSON, 31 came"),
        (None, 33, 32, "32 bytes announced behind the JSON, 33 came"),
        (None, 31, 31, "expected 32 bytes for FP64 [1, 4], got 31"),
        (None, 32, "32", "'binary_data_size' is a number of bytes"),
    ],
)
def test_binary_tensors_that_do_not_add_up_are_refused(
    rest: Rest, head_length: str | None, blob: int, announced: Any, expected: str
) -> None:
    tensor = {"name": "features", "shape": [1, 4], "datatype": "FP64"}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": announced}}]}).encode()
    headers = {"Inference-Header-Content-Length": head_length or str(len(head))}

    response = rest.client.post("/v2/models/iris/infer", content=head + b"\0" * blob, headers=headers)

    assert response.status_code == 400
    assert expected in response.json()["error"]


def test_a_body_over_the_limit_is_a_413_before_it_is_read(service: Service, rest: Rest) -> None:
    response = rest.client.post("/v1/models/iris:classes", content=b" " * (16 * 2**20 + 1))

    assert response.status_code == 413
    said = response.json()
    assert (said["error"], said["code"]) == ("the body is larger than 16777216 bytes", "TOO_LARGE")


def test_a_body_over_the_limit_that_does_not_announce_its_length_is_a_413(rest: Rest) -> None:
    chunks = (b" " * 2**20 for _ in range(17))

    response = rest.client.post("/v1/models/iris:classes", content=chunks)

    assert response.status_code == 413


def test_a_message_over_the_limit_is_resource_exhausted(oip_rpc: OpenInferenceRpc) -> None:
    with pytest.raises(Refused) as refused:
        oip_rpc.call("ModelInfer", b"\0" * (16 * 2**20 + 1))

    assert refused.value.code == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("POST", "/v1/models/iris:explode", 404, "NOT_FOUND"),
        ("GET", "/v1/models/none", 404, "NOT_FOUND"),
        ("GET", "/v1/models/iris/versions/9", 404, "NOT_FOUND"),
        ("GET", "/v2/models/none", 404, "NOT_FOUND"),
        ("GET", "/v2/models/none/ready", 404, "NOT_FOUND"),
        ("GET", "/v2/models/iris/versions/9/ready", 404, "NOT_FOUND"),
        ("POST", "/v2/models/none/infer", 404, "NOT_FOUND"),
        ("POST", "/v1/models/..%2f..%2fetc:classes", 404, "NOT_FOUND"),
        ("GET", "/docs/..%2fsecret", 404, "NOT_FOUND"),
        ("GET", "/v1/models/iris:classes", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/v2/models/iris/infer", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/v1/models", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/v1/models/iris", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_addresses_and_methods_that_are_not_there(
    rest: Rest, method: str, path: str, status: int, code: str
) -> None:
    response: httpx.Response = rest.client.request(method, path, content=b"{}" if method == "POST" else None)

    assert response.status_code == status
    assert response.json()["code"] == code
    assert isinstance(response.json()["error"], str)
    assert not LEAKS.search(response.json()["error"])


@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata", "ModelReady"])
def test_unknown_models_are_not_found_by_open_inference_grpc(oip_rpc: OpenInferenceRpc, method: str) -> None:
    request = oip.ModelInferRequest(model_name="none").SerializeToString()  # field 1 is the name in all three

    with pytest.raises(Refused, match="unknown model 'none'") as refused:
        oip_rpc.call(method, request)

    assert refused.value.code == "NOT_FOUND"


def test_an_unknown_method_is_unimplemented(rpc: Rpc) -> None:
    with pytest.raises(Refused) as refused:
        rpc.call("Nothing", b"")

    assert refused.value.code == "UNIMPLEMENTED"
