"""KServe's SDK, unmodified and in an environment of its own, gets the golden answers: `make clients`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.clients.conftest import ENVIRONMENTS, MODELS, Ask, Bundles, check_golden, part

pytestmark = pytest.mark.clients

SERVICE = Path(__file__).parents[2] / "service"
WIRE = "sigmax.wire.classifier_pb2, sigmax.wire.open_inference_grpc_pb2"
SDK = "kserve, kserve.protocol.grpc.grpc_predict_v2_pb2"


@pytest.fixture(scope="module")
def said(ask: Ask) -> Any:
    return ask("kserve-client", "kserve_sdk.py")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("client", "form"), [("rest v2", "json"), ("rest v2", "binary"), ("grpc", "typed"), ("grpc", "raw")]
)
def test_the_sdk_gets_the_golden_answers(
    said: Any, bundles: Bundles, client: str, form: str, model: str
) -> None:
    answer = part(said, client)["models"][form][model]

    assert (answer["model"], answer["id"]) == (model, "seven")
    assert answer["version"] in ("1", None)  # the SDK reads no version out of an answer over REST
    check_golden(bundles[model], answer["probabilities"], answer["labels"])


@pytest.mark.parametrize("model", MODELS)
def test_predict_of_the_first_protocol_gets_the_golden_answers(
    said: Any, bundles: Bundles, model: str
) -> None:
    predictions = part(said, "rest v1")["models"][model]["predictions"]

    probabilities = [row["probabilities"] for row in predictions]
    check_golden(bundles[model], probabilities, [row["label"] for row in predictions])


@pytest.mark.parametrize(
    ("client", "probes"),
    [
        ("rest v1", {"live": True, "ready": True}),
        ("rest v2", {"live": True, "ready": True, "model": True, "unknown": False}),
        ("grpc", {"live": True, "ready": True, "model": True}),
    ],
)
def test_the_sdk_finds_server_and_model_ready(said: Any, client: str, probes: dict[str, bool]) -> None:
    answer = part(said, client)

    assert {name: answer[name] for name in probes} == probes


@pytest.mark.parametrize("client", ["rest v1", "rest v2", "grpc"])
def test_the_sdk_raises_its_own_exception_with_the_services_words(said: Any, client: str) -> None:
    assert "unknown model 'irs', did you mean 'iris'?" in part(said, client)["error"]


@pytest.mark.parametrize("order", [f"{WIRE}, {SDK}", f"{SDK}, {WIRE}"])
def test_the_wire_and_the_sdk_share_a_process_whichever_comes_first(order: str) -> None:
    script = f"import {order}; print(sigmax.wire.open_inference_grpc_pb2.ModelInferRequest(id='7').id)"

    done = subprocess.run(
        [ENVIRONMENTS / "kserve-client/bin/python", "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SERVICE)},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "7\n"
