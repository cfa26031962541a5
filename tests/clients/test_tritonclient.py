"""tritonclient, unmodified and in an environment of its own, gets the golden answers: `make clients`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service import running

from sigmax.inference.decision import Rule
from sigmax.repository import bundle, layout

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / "build/triton/bin/python"
MODELS = ("breast_cancer", "digits", "iris", "temple_or_flower")
WAYS = ("http, binary", "http, json", "grpc")


@pytest.fixture(scope="module")
def bundles(repository: Path) -> dict[str, bundle.Bundle]:
    return {name: bundle.read(layout.version_path(repository, name, 1)) for name in MODELS}


@pytest.fixture(scope="module")
def said(repository: Path, bundles: dict[str, bundle.Bundle]) -> Any:
    """What tritonclient was told, by way of asking and by model."""
    questions = {
        name: {"dtype": content.manifest.graph.dtype.value, "rows": content.golden.features.tolist()}
        for name, content in bundles.items()
    }
    with running(repository) as service:
        addresses = [service.rest.removeprefix("http://"), service.grpc]
        done = subprocess.run(
            [PYTHON, HERE / "triton.py", *addresses],
            input=json.dumps(questions),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_tritonclient_gets_the_golden_answers(
    said: Any, bundles: dict[str, bundle.Bundle], way: str, model: str
) -> None:
    golden, manifest = bundles[model].golden, bundles[model].manifest
    margins = Rule(manifest, np.float64, manifest.decision.thresholds).margins(golden.probabilities)
    sure = np.flatnonzero(margins > manifest.tolerance)  # the others may be decided either way
    expected = [manifest.classes[golden.classes[row]] for row in sure]

    answer = said[way][model]

    assert np.abs(answer["probabilities"] - golden.probabilities).max() <= manifest.tolerance
    assert expected == [answer["labels"][row] for row in sure]
