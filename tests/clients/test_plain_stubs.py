"""Stubs that `protoc` makes of our proto, in a process without Sigmax, get the golden answers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from tests.clients.conftest import HERE, MODELS, Bundles, check_golden
from tests.service import Service

PROTOS = HERE.parents[1] / "proto/inference"


@pytest.fixture(scope="module")
def said(service: Service, bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("stubs")
    protos = sorted(path.name for path in PROTOS.glob("*.proto"))
    made = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *made, *protos], check=True, timeout=60
    )
    questions = {
        name: {"dtype": content.manifest.graph.dtype.value, "rows": content.golden.features.tolist()}
        for name, content in bundles.items()
    }
    done = subprocess.run(
        [sys.executable, HERE / "stubs.py", service.rest, service.grpc],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("model", MODELS)
def test_plain_stubs_with_typed_contents_get_the_golden_answers_typed(
    said: Any, bundles: Bundles, model: str
) -> None:
    answer = said[model]

    assert (answer["id"], answer["raw"]) == ("seven", 0)
    check_golden(bundles[model], answer["probabilities"], answer["labels"])


def test_plain_stubs_find_the_server_alive(said: Any) -> None:
    assert said["live"] is True
