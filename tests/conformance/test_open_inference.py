"""The Open Inference Protocol over REST and gRPC: classes, bytes, parameters, configuration, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf import json_format
from tests.conformance.doors import Refused, caller
from tests.conformance.models import ROWS, publish
from tests.service import running
from tests.standard import check
from tests.unit.sigmax import mixed

from sigmax.inference.open_inference import EXTENSIONS
from sigmax.protocol.tensors import DTYPES
from sigmax.wire import open_inference_grpc_pb2 as pb

LENGTH = "Inference-Header-Content-Length"
SERVICE = "inference.GRPCInferenceService"
WHOLE = np.array([[1, 0], [0, 1], [1, 1]], np.float64)
"""Rows that every datatype holds."""

Requested = pb.ModelInferRequest.InferRequestedOutputTensor


@dataclass(frozen=True)
class Both:
    """Both doors of one service."""

    http: httpx.Client
    channel: grpc.Channel

    def post(self, body: dict[str, Any], model: str = "three") -> httpx.Response:
        return self.http.post(f"/v2/models/{model}/infer", json=body)

    def infer(self, body: dict[str, Any], model: str = "three") -> dict[str, Any]:
        """The answer to a request in JSON that has to be right."""
        response = self.post(body, model)
        assert response.status_code == 200, response.text
        check(response.json(), "infer")
        said: dict[str, Any] = response.json()
        return said

    def refused(self, body: dict[str, Any], model: str = "three") -> tuple[int, str]:
        response = self.post(body, model)
        check(response.json(), "error")
        return response.status_code, response.json()["error"]

    def call(self, method: str, message: Any, answer: Any) -> Any:
        return answer.FromString(caller(self.channel, SERVICE)(method, message.SerializeToString()))

    def model_infer(self, message: pb.ModelInferRequest) -> pb.ModelInferResponse:
        answer: pb.ModelInferResponse = self.call("ModelInfer", message, pb.ModelInferResponse)
        return answer


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    root: Path = tmp_path_factory.mktemp("models")
    publish(root)
    mixed.write(root)
    with (
        running(root, "--max-rows", "1000") as service,
        httpx.Client(base_url=service.rest) as http,
        grpc.insecure_channel(service.grpc) as channel,
    ):
        yield Both(http, channel)


@pytest.fixture(autouse=True)
def answers_stay_the_same(both: Both) -> Iterator[None]:
    """Whatever a test asked, a right request is answered afterwards as before, to the last bit."""
    before = both.post(json_request(ROWS)).content
    yield
    assert both.post(json_request(ROWS)).content == before


def json_request(rows: Any, datatype: str = "FP64", **more: Any) -> dict[str, Any]:
    data = rows.ravel().astype(DTYPES[datatype]).tolist()
    tensor = {"name": "features", "datatype": datatype, "shape": list(rows.shape), "data": data}
    return {"inputs": [tensor], **more}


def raw_request(rows: Any, datatype: str = "FP64", model: str = "three", **more: Any) -> Any:
    raw = rows.astype(DTYPES[datatype]).tobytes()
    message = pb.ModelInferRequest(model_name=model, raw_input_contents=[raw], **more)
    message.inputs.add(name="features", datatype=datatype, shape=rows.shape)
    return message


def typed_request(rows: Any, model: str = "three", **more: Any) -> Any:
    message = pb.ModelInferRequest(model_name=model, **more)
    tensor = message.inputs.add(name="features", datatype="FP64", shape=rows.shape)
    tensor.contents.fp64_contents.extend(rows.ravel().tolist())
    return message


def numbers(said: dict[str, Any], name: str = "probabilities") -> Any:
    output = next(one for one in said["outputs"] if one["name"] == name)
    return np.array(output["data"], np.float64).reshape(output["shape"])


def texts(raw: bytes) -> list[str]:
    found = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        found.append(raw[4 : 4 + size].decode())
        raw = raw[4 + size :]
    return found


def integer(value: int) -> pb.InferParameter:
    return pb.InferParameter(int64_param=value)


def top(scores: Any, labels: tuple[str, ...], count: int) -> list[str]:
    """What the extension says of scores, one number at a time."""
    found = []
    for row in scores.tolist():
        order = sorted(range(len(row)), key=lambda column: (-row[column], column))[:count]
        found += [f"{row[column]:.6f}:{column}:{labels[column]}" for column in order]
    return found


# Classification


@pytest.mark.parametrize(
    ("model", "output", "labels"),
    [
        ("three", "probabilities", ("x", "y", "z")),
        ("three", "logits", ("x", "y", "z")),
        ("two", "probabilities", ("no", "yes")),
        ("small", "probabilities", ("no", "yes")),
        ("labels", "probabilities", ("x", "y", "z")),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 100])
def test_classes_are_the_same_texts_through_both_doors_in_every_form(
    both: Both, model: str, output: str, labels: tuple[str, ...], count: int
) -> None:
    wanted = [{"name": output, "parameters": {"classification": count}}]
    asked = [Requested(name=output, parameters={"classification": integer(count)})]
    expected = top(numbers(both.infer(json_request(ROWS, "FP32"), model), output), labels, count)
    shape = [len(ROWS), min(count, len(labels))]

    said = both.infer(json_request(ROWS, "FP32", outputs=wanted), model)["outputs"]
    binary = both.post(
        json_request(ROWS, "FP32", outputs=wanted, parameters={"binary_data_output": True}), model
    )
    raw = both.model_infer(raw_request(ROWS, "FP32", model, outputs=asked))
    typed = both.model_infer(
        raw_request(
            ROWS,
            "FP32",
            model,
            outputs=asked,
            parameters={"binary_data_output": pb.InferParameter(bool_param=False)},
        )
    )

    assert said == [{"name": output, "datatype": "BYTES", "shape": shape, "data": expected}]
    assert texts(binary.content[int(binary.headers[LENGTH]) :]) == expected
    assert texts(raw.raw_output_contents[0]) == expected
    assert [text.decode() for text in typed.outputs[0].contents.bytes_contents] == expected
    for answer in (raw, typed):
        assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", shape)


@pytest.mark.parametrize(
    ("model", "output"), [("three", "label"), ("labels", "labels"), ("two", "unsure"), ("labels", "unsure")]
)
def test_classes_are_told_only_of_numbers(both: Both, model: str, output: str) -> None:
    expected = (
        f"output '{output}': parameter 'classification' is for outputs that have a number for each class"
    )
    wanted = [{"name": output, "parameters": {"classification": 1}}]
    asked = [Requested(name=output, parameters={"classification": integer(1)})]

    status, text = both.refused(json_request(WHOLE, outputs=wanted), model)
    with pytest.raises(Refused) as refused:
        both.model_infer(raw_request(WHOLE, model=model, outputs=asked))

    assert (status, refused.value.code) == (400, "INVALID_ARGUMENT")
    assert text.startswith(expected)
    assert refused.value.text.startswith(expected)


@pytest.mark.parametrize("count", [0, -1])
def test_no_classes_at_all_are_no_request(both: Both, count: int) -> None:
    wanted = [{"name": "probabilities", "parameters": {"classification": count}}]
    asked = [Requested(name="probabilities", parameters={"classification": integer(count)})]

    assert both.refused(json_request(WHOLE, outputs=wanted))[0] == 400
    with pytest.raises(Refused, match=r"INVALID_ARGUMENT: .*a whole number of at least 1"):
        both.model_infer(raw_request(WHOLE, outputs=asked))


# Datatypes


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BF16"])
def test_a_datatype_that_holds_the_values_gives_the_same_answer_in_every_form(
    both: Both, datatype: str
) -> None:
    expected = both.infer(json_request(WHOLE))["outputs"]
    answers = [binary(both, WHOLE, datatype)]
    if datatype != "FP16":
        answers.append(both.infer(json_request(WHOLE, datatype)))
    message = raw_request(WHOLE, datatype)
    message.parameters["binary_data_output"].bool_param = False
    typed = both.model_infer(message)

    assert [answer["outputs"] for answer in answers] == [expected] * len(answers)
    assert list(typed.outputs[0].contents.fp64_contents) == expected[0]["data"]


def test_bf16_comes_as_bytes(both: Both) -> None:
    rows = np.array([[1.5, -2.0], [0.15625, 3.0]], np.float32)
    halves = (rows.view("<u4") >> 16).astype("<u2")
    expected = both.infer(json_request(rows.astype(np.float64)))["outputs"]
    message = pb.ModelInferRequest(model_name="three", raw_input_contents=[halves.tobytes()])
    message.inputs.add(name="features", datatype="BF16", shape=rows.shape)

    assert sent(both, halves.tobytes(), "BF16", rows.shape)["outputs"] == expected
    raw = both.model_infer(message)
    assert np.frombuffer(raw.raw_output_contents[0]).tolist() == expected[0]["data"]


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_precision_has_no_form_but_bytes(both: Both, datatype: str) -> None:
    tensor = {"name": "features", "datatype": datatype, "shape": [1, 2], "data": [1, 2]}
    message = pb.ModelInferRequest(model_name="three")
    message.inputs.add(name="features", datatype=datatype, shape=(1, 2)).contents.fp32_contents.extend([1, 2])

    assert both.refused({"inputs": [tensor]}) == (
        400,
        f"input 'features': {datatype} has no form in JSON: send it as binary data",
    )
    with pytest.raises(Refused, match=f"{datatype} travels in raw_input_contents only"):
        both.model_infer(message)


def test_a_value_that_would_change_is_refused_by_row_and_feature(both: Both) -> None:
    rows = np.array([[1, 2], [2**53 + 1, 4]])
    expected = "row 1, feature 'a': 9007199254740993 cannot be held by float64, which the model computes in"

    assert expected in both.refused(json_request(rows, "INT64"))[1]
    with pytest.raises(Refused, match=expected):
        both.model_infer(raw_request(rows, "INT64"))


def binary(both: Both, rows: Any, datatype: str, **more: Any) -> dict[str, Any]:
    return sent(both, rows.astype(DTYPES[datatype]).tobytes(), datatype, rows.shape, **more)


def sent(both: Both, blob: bytes, datatype: str, shape: Any, **more: Any) -> dict[str, Any]:
    """The answer, all JSON, to a tensor as bytes behind the JSON."""
    response = post_binary(both, blob, datatype, shape, **more)
    assert response.status_code == 200, response.text
    check(response.json(), "infer")
    said: dict[str, Any] = response.json()
    return said


def post_binary(both: Both, blob: bytes, datatype: str, shape: Any, **more: Any) -> httpx.Response:
    tensor = {"name": "features", "datatype": datatype, "shape": list(shape)}
    head = json.dumps(
        {"inputs": [{**tensor, "parameters": {"binary_data_size": len(blob)}}], **more}
    ).encode()
    return both.http.post("/v2/models/three/infer", content=head + blob, headers={LENGTH: str(len(head))})


# The form of an answer


@pytest.mark.parametrize("raw_in", [True, False])
@pytest.mark.parametrize("wish", [None, True, False])
def test_a_grpc_answer_comes_as_its_request_came_or_as_it_was_wished(
    both: Both, raw_in: bool, wish: bool | None
) -> None:
    parameters = {} if wish is None else {"binary_data_output": pb.InferParameter(bool_param=wish)}
    make = raw_request if raw_in else typed_request

    answer = both.model_infer(make(WHOLE, parameters=parameters, id="7"))

    raw_out = raw_in if wish is None else wish
    assert answer.id == "7"
    assert len(answer.raw_output_contents) == (len(answer.outputs) if raw_out else 0)
    assert [bool(output.contents.ListFields()) for output in answer.outputs] == [not raw_out] * 3
    plain = both.model_infer(raw_request(WHOLE)).raw_output_contents[0]
    values = answer.outputs[0].contents.fp64_contents
    came = answer.raw_output_contents[0] if raw_out else np.array(values).tobytes()
    assert came == plain


@pytest.mark.parametrize(
    ("parameters", "own", "expected"),
    [
        ({}, {}, []),
        ({"binary_data_output": True}, {}, ["probabilities", "label"]),
        ({"binary_data_output": True}, {"binary_data": False}, ["label"]),
        ({"binary_data_output": False}, {"binary_data": True}, ["probabilities"]),
        ({}, {"binary_data": True}, ["probabilities"]),
    ],
)
def test_a_rest_answer_has_bytes_where_they_were_wished(
    both: Both, parameters: dict[str, Any], own: dict[str, Any], expected: list[str]
) -> None:
    outputs = [{"name": "probabilities", "parameters": own}, {"name": "label"}]

    response = both.post(json_request(WHOLE, parameters=parameters, outputs=outputs))

    head = response.content[: int(response.headers.get(LENGTH, len(response.content)))]
    said = json.loads(head)
    check(said, "binary_infer")
    assert [one["name"] for one in said["outputs"] if "parameters" in one] == expected
    assert (LENGTH in response.headers) == bool(expected)
    assert response.headers["content-type"] == f"application/{'octet-stream' if expected else 'json'}"


@pytest.mark.parametrize("given", ["", "7", '한 "글"'])
def test_an_id_comes_back(both: Both, given: str) -> None:
    assert both.infer(json_request(WHOLE, id=given))["id"] == given
    assert both.model_infer(raw_request(WHOLE, id=given)).id == given
    assert "id" not in both.infer(json_request(WHOLE))


@pytest.mark.parametrize("given", [7, ["7"], {"a": 1}, True])
def test_an_id_is_a_text(both: Both, given: Any) -> None:
    assert both.refused(json_request(WHOLE, id=given))[0] == 400


# The body that is the only input's bytes


@pytest.mark.parametrize("path", ["/v2/models/three/infer", "/v2/models/three/versions/1/infer"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_body_without_json_is_the_rows_of_the_only_input(both: Both, path: str, count: int) -> None:
    rows = ROWS[:count]
    expected = both.infer(json_request(rows))["outputs"]

    response = both.http.post(path, content=rows.tobytes(), headers={LENGTH: "0"})

    length = int(response.headers[LENGTH])
    said, blob = json.loads(response.content[:length]), response.content[length:]
    check(said, "binary_infer")
    assert [one["shape"] for one in said["outputs"]] == [one["shape"] for one in expected]
    sizes = [one["parameters"]["binary_data_size"] for one in said["outputs"]]
    assert sum(sizes) == len(blob)
    assert np.frombuffer(blob[: sizes[0]]).tolist() == expected[0]["data"]
    assert texts(blob[sizes[0] : sizes[0] + sizes[1]]) == expected[1]["data"]


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("three", 17, "a row is 16 bytes, 2 numbers of FP64; the body has 17 bytes, which are no whole rows"),
        ("three", 0, "a row is 16 bytes, 2 numbers of FP64; the body has 0 bytes, which are no whole rows"),
        ("small", 4, "a row is 8 bytes, 2 numbers of FP32; the body has 4 bytes"),
        ("three", 16 * 1001, "1001 rows in one request, at most 1000 are taken"),
        ("mixed", 16, "this model has 'features' and 'categories'"),
    ],
)
def test_a_body_without_json_that_is_no_rows_is_refused(
    both: Both, model: str, size: int, expected: str
) -> None:
    response = both.http.post(f"/v2/models/{model}/infer", content=bytes(size), headers={LENGTH: "0"})

    assert response.status_code == 400
    assert expected in response.json()["error"]


def test_no_bytes_are_no_rows(both: Both) -> None:
    response = post_binary(both, b"", "FP64", (0, 2))

    assert (response.status_code, response.json()["error"]) == (
        400,
        "input 'features' is empty: send at least one row",
    )


def test_bytes_that_are_announced_and_not_there_name_the_header(both: Both) -> None:
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}

    assert both.refused({"inputs": [tensor]}) == (
        400,
        "input 'features': 16 bytes announced behind the JSON, 0 came: "
        "header Inference-Header-Content-Length says where it ends",
    )


# Parameters


def test_a_timeout_that_is_over_is_an_error_and_a_long_one_is_none(both: Both) -> None:
    assert both.infer(json_request(ROWS, parameters={"timeout": 60_000_000})) == both.infer(
        json_request(ROWS)
    )
    response = both.post(json_request(ROWS, parameters={"timeout": 1}))
    assert (response.status_code, response.json()["code"]) == (504, "DEADLINE")
    with pytest.raises(Refused, match="DEADLINE_EXCEEDED: the timeout of the request passed"):
        both.model_infer(raw_request(ROWS, parameters={"timeout": integer(1)}))


def test_priority_and_unknown_parameters_change_nothing(both: Both) -> None:
    parameters = {"priority": 1, "x_nobody_knows": "a", "x_number": 0.5, "headers": "h"}

    assert both.infer(json_request(ROWS, parameters=parameters)) == both.infer(json_request(ROWS))


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        ({"sequence_id": 7}, integer(7)),
        ({"sequence_start": True}, pb.InferParameter(bool_param=True)),
        ({"sequence_id": "s"}, pb.InferParameter(string_param="s")),
    ],
)
def test_a_sequence_is_not_offered(both: Both, parameters: dict[str, Any], value: Any) -> None:
    status, text = both.refused(json_request(WHOLE, parameters=parameters))
    with pytest.raises(Refused) as refused:
        both.model_infer(raw_request(WHOLE, parameters=dict.fromkeys(parameters, value)))

    assert (status, refused.value.code) == (501, "UNIMPLEMENTED")
    assert text == refused.value.text
    assert "this server has no sequences" in text


def test_shared_memory_is_not_offered(both: Both) -> None:
    region = {"shared_memory_region": "r", "shared_memory_byte_size": 16}
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "parameters": region}
    outputs = [{"name": "probabilities", "parameters": region}]
    message = raw_request(WHOLE)
    message.inputs[0].parameters["shared_memory_region"].string_param = "r"

    assert both.refused({"inputs": [tensor]})[0] == 501
    assert both.refused(json_request(WHOLE, outputs=outputs))[0] == 501
    with pytest.raises(Refused, match=r"UNIMPLEMENTED: input 'features': .*no shared memory"):
        both.model_infer(message)


@pytest.mark.parametrize("parameters", [{"triton_x": 1}, {"triton_final_response": True}])
def test_names_that_are_reserved_are_refused(both: Both, parameters: dict[str, Any]) -> None:
    status, text = both.refused(json_request(WHOLE, parameters=parameters))

    assert status == 400
    assert "names that begin with 'triton_' are reserved" in text


@pytest.mark.parametrize(
    ("parameters", "outputs"),
    [
        ({"binary_data_output": "yes"}, {}),
        ({"timeout": -1}, {}),
        ({"priority": "high"}, {}),
        ({}, {"binary_data": 1}),
        ({}, {"classification": "2"}),
        ({}, {"classification": 1.5}),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_refused(
    both: Both, parameters: dict[str, Any], outputs: dict[str, Any]
) -> None:
    wanted = [{"name": "probabilities", "parameters": outputs}]

    assert both.refused(json_request(WHOLE, parameters=parameters, outputs=wanted))[0] == 400


# Addresses


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/v2", "server"),
        ("/v2/", "server"),
        ("/v2/health/live", "live"),
        ("/v2/health/ready", "ready"),
        ("/v2/models", "models"),
        ("/v2/models/three", "model"),
        ("/v2/models/three/versions/1", "model"),
        ("/v2/models/mixed", "model"),
        ("/v2/models/three/ready", "model_ready"),
        ("/v2/models/three/versions/1/ready", "model_ready"),
        ("/v2/models/labels/config", "config"),
        ("/v2/models/labels/versions/1/config", "config"),
    ],
)
def test_every_answer_is_as_the_published_table_says(both: Both, path: str, schema: str) -> None:
    response = both.http.get(path)

    assert response.status_code == 200
    check(response.json(), schema)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/none", 404),
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/models/three/versions/9", 404),
        ("GET", "/v2/models/none/config", 404),
        ("GET", "/v2/models/three/versions/9/config", 404),
        ("POST", "/v2/models/three/config", 405),
        ("POST", "/v2/models", 405),
        ("GET", "/v2/models/three/infer", 405),
        ("POST", "/v2/models/three/generate", 501),
        ("POST", "/v2/models/three/versions/1/generate_stream", 501),
        ("GET", "/v2/logging", 501),
        ("POST", "/v2/logging", 501),
        ("GET", "/v2/trace/setting", 501),
        ("POST", "/v2/models/three/trace/setting", 501),
        ("GET", "/v2/systemsharedmemory/status", 501),
        ("POST", "/v2/systemsharedmemory/region/r/register", 501),
        ("GET", "/v2/cudasharedmemory/region/r/status", 501),
    ],
)
def test_every_refusal_is_as_the_published_table_says(
    both: Both, method: str, path: str, status: int
) -> None:
    response = both.http.request(method, path, content=b"{}" if method == "POST" else None)

    assert response.status_code == status
    check(response.json(), "error")


def test_the_extensions_that_are_there_are_listed(both: Both) -> None:
    said = both.call("ServerMetadata", pb.ServerMetadataRequest(), pb.ServerMetadataResponse)

    assert both.http.get("/v2").json()["extensions"] == list(said.extensions)
    assert set(EXTENSIONS) <= set(said.extensions)


def test_the_models_that_answer_are_listed(both: Both) -> None:
    models = both.http.get("/v2/models").json()["models"]

    assert models == sorted(models)
    assert {"three", "mixed"} <= set(models)


def test_the_metadata_says_what_columns_and_classes_mean(both: Both) -> None:
    said = both.http.get("/v2/models/two").json()["properties"]
    kinds = both.http.get("/v2/models/mixed").json()["properties"]

    assert said["task"] == "binary"
    assert json.loads(said["classes"]) == ["no", "yes"]
    assert json.loads(said["thresholds"]) == {"no": 0.4}
    assert json.loads(said["band"]) == {"no": [0.3, 0.6]}
    assert said["positive"] == "no"
    assert json.loads(said["features"]) == ["a", "b"]
    assert said["digest"].startswith("sha256:")
    assert json.loads(kinds["categories"]) == ["도시", "등급"]
    assert "positive" not in kinds


@pytest.mark.parametrize("model", ["three", "two", "small", "labels", "mixed"])
def test_the_configuration_is_as_the_metadata_through_both_doors(both: Both, model: str) -> None:
    said = both.http.get(f"/v2/models/{model}/config").json()
    metadata = both.http.get(f"/v2/models/{model}").json()
    answer = both.call("ModelConfig", pb.ModelConfigRequest(name=model), pb.ModelConfigResponse)

    assert json_format.ParseDict({"config": said}, pb.ModelConfigResponse()) == answer
    assert (said["name"], said["platform"], said["max_batch_size"]) == (model, "onnxruntime_onnx", 1000)
    for key in ("input", "output"):
        types = [(one["name"], one["data_type"], [-1, *one["dims"]]) for one in said[key]]
        assert types == [
            (
                one["name"],
                "TYPE_STRING" if one["datatype"] == "BYTES" else f"TYPE_{one['datatype']}",
                one["shape"],
            )
            for one in metadata[f"{key}s"]
        ]


@pytest.mark.parametrize(("name", "version"), [("none", ""), ("three", "9")])
def test_there_is_no_configuration_of_what_is_not_served(both: Both, name: str, version: str) -> None:
    with pytest.raises(Refused, match="NOT_FOUND"):
        both.call("ModelConfig", pb.ModelConfigRequest(name=name, version=version), pb.ModelConfigResponse)
