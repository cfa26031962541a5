"""A real process: it starts when its models are proved, says so truthfully, and leaves when told."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.openapi import resolved
from tests.service import Service, call, command, environment, running

from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

TIMEOUT = 60


@pytest.fixture(scope="module")
def service(repository: Path) -> Any:
    with running(repository) as started:
        yield started


@pytest.fixture
def client(service: Service) -> Any:
    with httpx.Client(base_url=service.rest) as client:
        yield client


@pytest.fixture
def channel(service: Service) -> Any:
    with grpc.insecure_channel(service.grpc) as channel:
        yield channel


@pytest.fixture
def own_repository(repository: Path, tmp_path: Path) -> Path:
    """A copy of iris alone, to be broken."""
    root = tmp_path / "models"
    shutil.copytree(repository / "iris", root / "iris")
    return root


def fails(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=TIMEOUT, env=environment(**variables)
    )


def test_live_and_ready_are_said_on_both_doors(client: httpx.Client, channel: grpc.Channel) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.head("/v2/health/ready").status_code == 200
    assert client.get("/").json()["status"] == "alive"
    pb = open_inference_grpc_pb2
    live = call(channel, "/inference.GRPCInferenceService/ServerLive")
    ready = call(channel, "/inference.GRPCInferenceService/ServerReady")
    assert pb.ServerLiveResponse.FromString(live).live
    assert pb.ServerReadyResponse.FromString(ready).ready


def test_metadata_is_the_same_on_both_doors(client: httpx.Client, channel: grpc.Channel) -> None:
    pb = open_inference_grpc_pb2
    by_rest = client.get("/v2/models/digits").json()
    request = pb.ModelMetadataRequest(name="digits", version="1").SerializeToString()
    answer = call(channel, "/inference.GRPCInferenceService/ModelMetadata", request)

    by_grpc = pb.ModelMetadataResponse.FromString(answer)

    assert by_rest["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 64]}]
    assert [tensor["name"] for tensor in by_rest["outputs"]] == [tensor.name for tensor in by_grpc.outputs]
    assert list(by_grpc.inputs[0].shape) == [-1, 64]
    assert dict(by_grpc.properties) == by_rest["properties"]
    assert client.get("/v2/models/digits/versions/1").json() == by_rest
    assert client.get("/v2/models/digits/ready").json() == {"name": "digits", "ready": True}
    server = call(channel, "/inference.GRPCInferenceService/ServerMetadata", b"")
    assert pb.ServerMetadataResponse.FromString(server).name == client.get("/v2").json()["name"] == "sigmax"


def test_models_are_listed_and_described_the_same_on_both_doors(
    client: httpx.Client, channel: grpc.Channel
) -> None:
    pb = classifier_pb2
    listed = client.get("/v1/models").json()
    answer = call(channel, "/sigmax.v1.Classifier/ListModels", b"")
    assert list(pb.ListModelsResponse.FromString(answer).models) == listed["models"]
    assert listed["models"] == ["breast_cancer", "digits", "iris", "temple_or_flower"]

    described = client.get("/v1/models/breast_cancer").json()
    request = pb.DescribeModelRequest(model="breast_cancer").SerializeToString()
    answer = call(channel, "/sigmax.v1.Classifier/DescribeModel", request)
    by_grpc = pb.DescribeModelResponse.FromString(answer)

    assert [feature.name for feature in by_grpc.features] == [f["name"] for f in described["features"]]
    assert dict(by_grpc.metrics) == described["metrics"]
    assert by_grpc.decision.positive == described["decision"]["positive"] == "malignant"
    assert described["decision"]["thresholds"] == {"malignant": 0.5}
    assert described["proof"]["difference"] <= described["proof"]["tolerance"] == 1e-9
    assert described["model_version_status"][0]["state"] == "AVAILABLE"
    assert len(described["features"]) == 30


@pytest.mark.parametrize("model", ["breast_cancer", "digits", "iris", "temple_or_flower"])
def test_the_example_of_a_description_works_when_pasted(client: httpx.Client, model: str) -> None:
    example = client.get(f"/v1/models/{model}").json()["example"]

    answer = client.post(f"/v1/models/{model}:classes", json=example)

    assert answer.status_code == 200
    assert len(answer.json()["results"]) == len(example["rows"])


def test_the_documentation_has_a_typed_request_for_every_model_and_version(client: httpx.Client) -> None:
    paths = resolved(client.get("/openapi.json").json())

    for model in ("breast_cancer", "digits", "iris", "temple_or_flower"):
        for verb in (":classes", ":probabilities", ":predict", ":classify"):
            operation = paths[f"/v1/models/{model}{verb}"]["post"]
            of_version = paths[f"/v1/models/{model}/versions/1{verb}"]["post"]
            assert operation["responses"]["200"]
            assert of_version["requestBody"] == operation["requestBody"]
        assert f"/v2/models/{model}/versions/1/infer" in paths
    operations = [operation for path in paths.values() for operation in path.values()]
    assert not [operation for operation in operations if "422" in operation["responses"]]
    schema = paths["/v1/models/iris:classes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    named = schema["properties"]["rows"]["anyOf"][0]["items"]
    assert next(iter(named["properties"])) == "sepal length (cm)"


def test_every_example_of_the_documentation_works_when_pasted(client: httpx.Client) -> None:
    paths = resolved(client.get("/openapi.json").json())
    examples = {
        path: content["example"]
        for path, item in paths.items()
        for content in item.get("post", {}).get("requestBody", {}).get("content", {}).values()
        if "example" in content
    }

    answers = {path: client.post(path, json=example).status_code for path, example in examples.items()}

    assert set(answers.values()) == {200}
    assert {"/v1/models/iris/versions/1:classes", "/v2/models/iris/infer"} <= set(answers)


def test_every_fixed_address_answers_as_it_is_described(client: httpx.Client) -> None:
    paths = resolved(client.get("/openapi.json").json())
    fixed = {path: item["get"] for path, item in paths.items() if "get" in item}

    for path, operation in fixed.items():
        answer = client.get(path.format(model="iris", version="1"))
        content = operation["responses"]["200"]["content"]
        assert answer.status_code == 200, path
        if "application/json" in content:
            required = content["application/json"]["schema"]["required"]
            assert set(required) <= set(answer.json()), path


def test_the_documentation_page_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs").text

    assert "https://" not in page
    for asset in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon-32x32.png"):
        assert asset in page
        assert client.get(asset).status_code == 200


def test_metrics_count_requests_and_errors_by_model_and_door(repository: Path) -> None:
    with running(repository) as service, httpx.Client(base_url=service.rest) as client:
        example = client.get("/v1/models/iris").json()["example"]
        client.post("/v1/models/iris:classes", json=example)
        client.post("/v1/models/iris:classes", json={"rows": [[1]]})
        client.post("/v1/models/no-such-model:classes", json=example)
        client.post("/v1/models/nor-this-one:classes", json=example)

        text = client.get("/metrics").text

    labels = 'door="rest",model="iris",verb="classes",version="1"'
    assert f'sigmax_requests_total{{code="OK",{labels}}} 1.0' in text
    assert f'sigmax_requests_total{{code="INVALID_INPUT",{labels}}} 1.0' in text
    assert f"sigmax_request_duration_seconds_count{{{labels}}} 2.0" in text
    assert 'sigmax_model_state{model="iris",version="1"} 1.0' in text
    assert 'code="NOT_FOUND",door="rest",model="unknown",verb="classes",version=""} 2.0' in text
    assert "no-such-model" not in text


def test_health_is_told_for_the_server_its_services_and_each_model(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)

    for name in ("", "sigmax.v1.Classifier", "inference.GRPCInferenceService", "iris"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="none"), timeout=TIMEOUT)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


def test_an_open_watch_is_told_and_does_not_hold_a_service_that_leaves(own_repository: Path) -> None:
    with running(own_repository, "--grace", "50") as service, grpc.insecure_channel(service.grpc) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service="iris"), timeout=TIMEOUT
        )
        first = next(watch).status
        service.process.terminate()
        told = [answer.status for answer in watch]

        assert first == health_pb2.HealthCheckResponse.SERVING
        assert told == [health_pb2.HealthCheckResponse.NOT_SERVING]
        assert service.process.wait(20) == 0  # well within the 50 s of grace


def test_reflection_tells_services_and_files(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="sigmax.v1.Classifier"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService"),
    ]

    listed, ours, standard = stub.ServerReflectionInfo(iter(requests), timeout=TIMEOUT)

    names = {service.name for service in listed.list_services_response.service}
    assert names >= {"sigmax.v1.Classifier", "inference.GRPCInferenceService", "grpc.health.v1.Health"}
    for answer, expected in (
        (ours, "sigmax/v1/classifier.proto"),
        (standard, "inference/open_inference_grpc.proto"),
    ):
        files = answer.file_descriptor_response.file_descriptor_proto
        assert expected in {descriptor_pb2.FileDescriptorProto.FromString(data).name for data in files}


def test_errors_carry_a_reason_for_machines(channel: grpc.Channel) -> None:
    from google.rpc import error_details_pb2, status_pb2

    request = classifier_pb2.PredictClassesRequest(model="none").SerializeToString()
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, "/sigmax.v1.Classifier/PredictClasses", request)

    trailing: dict[str, bytes] = dict(refused.value.trailing_metadata() or ())  # type: ignore[arg-type]
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    detail = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(detail)
    assert (detail.reason, detail.domain) == ("NOT_FOUND", "sigmax")
    assert status.message == refused.value.details()


def test_the_greeting_has_two_lines_a_model_that_work_when_pasted(repository: Path, tmp_path: Path) -> None:
    with running(repository) as service:
        assert service.process.stdout is not None
        lines = [service.process.stdout.readline() for _ in range(4 * 4)]
        curls = [shlex.split(line) for line in lines if line.startswith("  curl ")]
        predicts = [shlex.split(line) for line in lines if " predict " in line]
        assert len(curls) == len(predicts) == 4
        for curl, predict in zip(curls, predicts, strict=True):
            url, body = curl[2], Path(curl[4].removeprefix("@")).read_bytes()
            by_rest = httpx.post(url, content=body).json()
            assert predict[:4] == ["python", "-m", "sigmax", "predict"]
            offline = fails(*predict[3:])
            assert offline.returncode == 0
            assert json.loads(offline.stdout) == by_rest


@pytest.mark.parametrize("host", ["::1", "::", "0.0.0.0", "localhost"])
def test_the_addresses_of_the_greeting_answer(own_repository: Path, host: str) -> None:
    with running(own_repository, "--host", host) as service, grpc.insecure_channel(service.grpc) as channel:
        assert httpx.get(f"{service.rest}/v2/health/live").json() == {"live": True}
        assert call(channel, "/inference.GRPCInferenceService/ServerLive")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_once_with_exit_code_0(own_repository: Path, number: signal.Signals) -> None:
    with running(own_repository) as service:
        service.process.send_signal(number)

        assert service.process.wait(TIMEOUT) == 0


def test_a_request_under_way_is_answered_before_it_leaves(own_repository: Path) -> None:
    body = b'{"rows": [[1, 2, 3, 4]]}'
    head = f"POST /v1/models/iris:classes HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with running(own_repository) as service:
        address = service.rest.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as connection:
            connection.sendall(head.encode() + body[:10])
            health = httpx.get(f"{service.rest}/v2/health/live")  # the first half has arrived by now
            service.process.send_signal(signal.SIGTERM)
            connection.sendall(body[10:])
            answer = connection.makefile("rb").readline()

        assert health.status_code == 200
        assert answer == b"HTTP/1.1 200 OK\r\n"
        assert service.process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_a_port_in_use_is_an_error_that_names_it(own_repository: Path, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        other = "grpc" if door == "rest" else "rest"
        ended = fails(
            "serve", "--models", str(own_repository), f"--{door}-port", port, f"--{other}-port", "0"
        )

    assert ended.returncode == 1
    name = {"rest": "REST", "grpc": "gRPC"}[door]
    assert f"sigmax: {name} cannot listen on 127.0.0.1:{port}: address already in use\n" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_service_cannot_share_the_grpc_port(own_repository: Path) -> None:
    with running(own_repository) as first:
        port = first.grpc.rsplit(":", 1)[1]

        second = fails("serve", "--models", str(own_repository), "--rest-port", "0", "--grpc-port", port)

    assert second.returncode == 1
    assert f"gRPC cannot listen on 127.0.0.1:{port}" in second.stderr


def test_an_empty_repository_starts_is_not_ready_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        ready = httpx.get(f"{service.rest}/v2/health/ready")
        live = httpx.get(f"{service.rest}/v2/health/live")
        asked = fails("ready", service.rest)

    assert ready.status_code == 503
    assert ready.json()["ready"] is False
    assert "no model is ready" in ready.json()["error"]
    assert live.status_code == 200
    assert asked.returncode == 1
    assert "no model is ready" in asked.stderr


def test_a_required_model_that_is_not_there_makes_it_not_ready(own_repository: Path) -> None:
    with running(own_repository, "--require", "wine") as service:
        ready = httpx.get(f"{service.rest}/v2/health/ready")

    assert ready.status_code == 503
    assert "required models are not ready: wine" in ready.json()["error"]


def test_a_refused_version_falls_back_to_the_last_good_one(own_repository: Path) -> None:
    broken = own_repository / "iris" / "2"
    shutil.copytree(own_repository / "iris" / "1", broken)
    manifest = json.loads((broken / "manifest.json").read_text())
    (broken / "manifest.json").write_text(json.dumps({**manifest, "version": 2}))
    (broken / "model.onnx").write_bytes((broken / "model.onnx").read_bytes()[:-1] + b"\0")

    with running(own_repository) as service:
        described = httpx.get(f"{service.rest}/v1/models/iris").json()
        ready = httpx.get(f"{service.rest}/v2/health/ready")
        refused = httpx.get(f"{service.rest}/v1/models/iris/versions/2")
        metrics = httpx.get(f"{service.rest}/metrics").text

    assert described["version"] == "1"
    states = {status["version"]: status["state"] for status in described["model_version_status"]}
    assert states == {"2": "END", "1": "AVAILABLE"}
    assert "sha256 differs" in described["model_version_status"][0]["status"]["error_message"]
    assert ready.status_code == 200
    assert refused.status_code == 503
    assert 'sigmax_model_state{model="iris",version="2"} 0.0' in metrics


def test_a_model_without_a_good_version_is_not_served_and_leaves_others_alone(
    own_repository: Path, repository: Path
) -> None:
    shutil.copytree(repository / "digits", own_repository / "digits")
    (own_repository / "digits" / "1" / "golden.json").unlink()

    with running(own_repository) as service:
        models = httpx.get(f"{service.rest}/v1/models").json()
        answer = httpx.post(f"{service.rest}/v1/models/digits:classes", json={"rows": []})

    assert models["models"] == ["iris"]
    assert "golden.json cannot be read" in models["details"][0]["reason"]
    assert (answer.status_code, answer.json()["code"]) == (503, "NOT_READY")


def test_settings_come_from_flag_then_variable_then_file_then_default(
    own_repository: Path, tmp_path: Path
) -> None:
    file = tmp_path / "sigmax.toml"
    file.write_text("[serve]\nmax_rows = 3\nmax_bytes = 2048\n")
    body = {"rows": [[1, 2, 3, 4]] * 10}

    def refusal(*arguments: str, **variables: str) -> str:
        ports = ["--rest-port", "0", "--grpc-port", "0"]
        process = subprocess.Popen(
            command("--config", str(file), "serve", "--models", str(own_repository), *ports, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(**variables),
        )
        assert process.stdout is not None
        rest = process.stdout.readline().split("REST ")[1].split(",")[0]
        answer = httpx.post(f"{rest}/v1/models/iris:classes", json=body).json()
        process.terminate()
        process.wait(TIMEOUT)
        process.stdout.close()
        return str(answer["error"])

    assert "at most 3" in refusal()
    assert "at most 5" in refusal(SIGMAX_SERVE_MAX_ROWS="5")
    assert "at most 7" in refusal("--max-rows", "7", SIGMAX_SERVE_MAX_ROWS="5")


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        (["--max-rows", "0"], {}, "Invalid value for '--max-rows'"),
        (["--modles", "x"], {}, "No such option"),
        ([], {"SIGMAX_SERVE_MAX_ROW": "5"}, "unknown variable SIGMAX_SERVE_MAX_ROW, did you mean"),
        (["--models", "/does/not/exist"], {}, "does not exist"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    own_repository: Path, arguments: list[str], variables: dict[str, str], expected: str
) -> None:
    ended = fails("serve", "--models", str(own_repository), *arguments, **variables)

    assert ended.returncode == 2
    assert expected in ended.stderr


def test_an_unknown_key_of_the_settings_file_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "sigmax.toml"
    file.write_text("[serve]\nmax_row = 3\n[sevre]\nx = 1\n")

    ended = fails("--config", str(file), "serve", "--models", str(tmp_path))

    assert ended.returncode == 2
    assert "[serve] unknown key 'max_row', did you mean 'max_rows'?" in ended.stderr
    assert "unknown table 'sevre', did you mean 'serve'?" in ended.stderr


def test_the_serving_process_needs_nothing_of_training(repository: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import sigmax.runtime.serving, sigmax.offline;"
        "from sigmax.inference.loading import load_catalog;"
        f"assert len(load_catalog(Path({str(repository)!r})).ready_names) == 4;"
        "found = {'sklearn', 'skl2onnx', 'onnx', 'scipy', 'pandas', 'joblib'} & set(sys.modules);"
        "assert not found, found"
    )

    ended = subprocess.run([command()[0], "-c", code], capture_output=True, text=True, timeout=TIMEOUT)

    assert ended.returncode == 0, ended.stderr


def test_a_health_check_does_not_load_the_engine() -> None:
    code = (
        "import sys, sigmax.cli;"
        "found = {'onnxruntime', 'grpc', 'numpy', 'fastapi', 'PIL'} & set(sys.modules);"
        "assert not found, found"
    )

    ended = subprocess.run([command()[0], "-c", code], capture_output=True, text=True, timeout=TIMEOUT)

    assert ended.returncode == 0, ended.stderr


def test_only_what_predicts_is_packed_under_the_open_inference_protocol(client: httpx.Client) -> None:
    wished = {"accept-encoding": "gzip, deflate"}  # of a client that unpacks the answers of infer alone

    metadata = client.get("/v2/models/digits", headers=wished)
    description = client.get("/v1/models/digits", headers=wished)

    assert metadata.status_code == 200
    assert "content-encoding" not in metadata.headers
    assert description.headers["content-encoding"] == "gzip"
