"""tritonclient, unmodified and in an environment of its own, gets the golden answers: `make clients`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.clients.conftest import ENVIRONMENTS, MODELS, Ask, Bundles, check_golden

pytestmark = pytest.mark.clients

SERVICE = Path(__file__).parents[2] / "service"
PYTHON = ENVIRONMENTS / "triton/bin/python"
WAYS = ("http, binary", "http, json", "http.aio, binary", "http.aio, json", "grpc", "grpc.aio")
WIRE = "sigmax.wire.classifier_pb2, sigmax.wire.open_inference_grpc_pb2"
TRITON = "tritonclient.grpc, tritonclient.grpc.aio"


@pytest.fixture(scope="module")
def said(ask: Ask) -> Any:
    """What tritonclient was told, by way of asking and by model."""
    return ask("triton", "triton.py")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_tritonclient_gets_the_golden_answers(said: Any, bundles: Bundles, way: str, model: str) -> None:
    answer = said[way]["models"][model]

    check_golden(bundles[model], answer["probabilities"], answer["labels"])


@pytest.mark.parametrize("way", WAYS)
def test_tritonclient_is_told_who_answers_and_what_a_model_takes(said: Any, way: str) -> None:
    answers = said[way]

    iris = answers["models"]["iris"]
    assert answers["server"]["name"] == "sigmax"
    assert iris["metadata"]["name"] == "iris"
    assert [tensor["name"] for tensor in iris["metadata"]["inputs"]] == ["features"]
    assert [tensor["name"] for tensor in iris["metadata"]["outputs"]] == ["probabilities", "label"]
    assert iris["id"] == "seven"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("model", "unknown model 'irs', did you mean 'iris'?"),
        ("shape", "expected shape [-1, 4], got ["),
        ("value", "row 0, feature 'sepal length (cm)': expected a finite number, got nan"),
    ],
)
@pytest.mark.parametrize("way", [way for way in WAYS if "json" not in way])
def test_tritonclient_raises_its_own_exception_with_the_services_words(
    said: Any, way: str, wrong: str, text: str
) -> None:
    assert text in said[way]["errors"][wrong]


@pytest.mark.parametrize("order", [f"{WIRE}, {TRITON}", f"{TRITON}, {WIRE}"])
def test_the_wire_and_tritonclient_share_a_process_whichever_comes_first(order: str) -> None:
    script = f"import {order}; print(sigmax.wire.open_inference_grpc_pb2.ModelInferRequest(id='7').id)"

    done = subprocess.run(
        [PYTHON, "-c", script], capture_output=True, text=True, env={"PYTHONPATH": str(SERVICE)}, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "7\n"
