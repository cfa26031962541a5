"""What tests of foreign clients share: one service, its golden rows as questions, and who asks them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.service import Service, running

from sigmax.inference.decision import Rule
from sigmax.repository import bundle, layout

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / "build"
MODELS = ("breast_cancer", "digits", "iris", "temple_or_flower")

Bundles = dict[str, bundle.Bundle]
Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def bundles(repository: Path) -> Bundles:
    return {name: bundle.read(layout.version_path(repository, name, 1)) for name in MODELS}


@pytest.fixture(scope="session")
def service(repository: Path) -> Iterator[Service]:
    with running(repository, "--model-control") as started:
        yield started


@pytest.fixture(scope="session")
def ask(service: Service, bundles: Bundles) -> Ask:
    """Run a script of an environment with the addresses and the questions; what it answers."""
    questions = {
        name: {"dtype": content.manifest.graph.dtype.value, "rows": content.golden.features.tolist()}
        for name, content in bundles.items()
    }

    def asked(environment: str, script: str, *arguments: str) -> Any:
        python = ENVIRONMENTS / environment / "bin/python"
        addresses = [service.rest.removeprefix("http://"), service.grpc]
        done = subprocess.run(
            [python, HERE / script, *addresses, *arguments],
            input=json.dumps(questions),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return asked


def check_golden(content: bundle.Bundle, probabilities: Any, labels: list[str]) -> None:
    """The answers are the estimator's own: within the tolerance, and every label that is not at the edge."""
    golden, manifest = content.golden, content.manifest
    margins = Rule(manifest, np.float64, manifest.decision.thresholds).margins(golden.probabilities)
    sure = np.flatnonzero(margins > manifest.tolerance)  # the others may be decided either way
    expected = [manifest.classes[golden.classes[row]] for row in sure]
    given: npt.NDArray[Any] = np.array(probabilities).reshape(golden.probabilities.shape)

    assert np.abs(given - golden.probabilities).max() <= manifest.tolerance
    assert expected == [labels[row] for row in sure]


def part(said: Any, name: str) -> Any:
    """What a part of a script came to."""
    found = said[name]
    assert "failed" not in found, found["failed"]
    return found
