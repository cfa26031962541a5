"""tritonclient, in an environment of its own, lists, loads and unloads models: `make clients`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.service import running
from tests.unit.sigmax.changing import Repository

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / "build/triton/bin/python"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("control")
    (root / "models").mkdir()
    Repository(root / "models", root / "workshop").publish(1)
    with running(root / "models", "--workers", "2", "--model-control") as service:
        addresses = [service.rest.removeprefix("http://"), service.grpc]
        asked = [PYTHON, HERE / "triton_control.py", *addresses, "small"]
        done = subprocess.run(list(map(str, asked)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", ["http", "http.aio", "grpc", "grpc.aio"])
def test_tritonclient_lists_loads_and_unloads_and_is_refused_with_a_reason(answers: Any, way: str) -> None:
    said = answers[way]

    assert said["index"] == [{"name": "small", "version": "1", "state": "READY", "reason": ""}]
    assert said["ready"] == [False, False, True]
    assert said["overridden"].endswith(
        ": a model is served as it was published and proved; publish another version"
    )
    assert [text.split(": ")[1] for text in said["unknown"]] == ["unknown model 'nobody'"] * 2
