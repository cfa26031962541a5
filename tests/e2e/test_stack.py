"""The compose stack, asked from outside as a user would; `make compose` brings it up and takes it down."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from sigmax.inference.decision import Rule
from sigmax.repository import bundle
from sigmax.wire import classifier_pb2 as wire

pytestmark = pytest.mark.image

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
MODELS = ("breast_cancer", "digits", "iris", "temple_or_flower")

CONFINEMENT = """
import json, pathlib
processes = []
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    processes.append(dict(line.split(":", 1) for line in status.read_text().splitlines()))
writable = []
for folder in ("/", "/etc", "/models", "/models/iris/1", "/opt/sigmax", "/tmp"):
    try:
        pathlib.Path(folder, "probe").touch()
        writable.append(folder)
    except OSError:
        pass
print(json.dumps({"processes": processes, "writable": writable}))
"""


def docker(*arguments: str, stdin: str = "") -> str:
    """What a docker command prints; its errors are the test's."""
    done = subprocess.run(
        ["docker", *arguments], cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def compose(*arguments: str) -> str:
    return docker("compose", "--project-name", "sigmax-e2e", *arguments)


def address(port: int) -> str:
    """Where a port of the service is published; a new one after each start."""
    return compose("port", "serve", str(port)).strip()


@dataclass(frozen=True)
class Answers:
    classes: list[str]
    probabilities: np.ndarray[Any, np.dtype[np.float64]]
    labels: list[str]


def ask_rest(model: str, rows: list[list[float]]) -> Answers:
    def post(verb: str) -> dict[str, Any]:
        url = f"http://{address(8080)}/v1/models/{model}:{verb}"
        body = json.dumps({"rows": rows}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    distributions = post("probabilities")
    labels = [result["label"] for result in post("classes")["results"]]
    return Answers(distributions["classes"], np.array(distributions["probabilities"]), labels)


def ask_grpc(model: str, rows: list[list[float]]) -> Answers:
    with grpc.insecure_channel(address(8081)) as channel:

        def call(method: str, request: Any, answer: Any) -> Any:
            for row in rows:
                request.rows.add().list_value.extend(row)
            path = f"/sigmax.v1.Classifier/{method}"
            return channel.unary_unary(path, type(request).SerializeToString, answer.FromString)(
                request, timeout=30
            )

        distributions = call(
            "PredictProbabilities",
            wire.PredictProbabilitiesRequest(model=model),
            wire.PredictProbabilitiesResponse,
        )
        chosen = call("PredictClasses", wire.PredictClassesRequest(model=model), wire.PredictClassesResponse)
    probabilities = np.array([list(row.values) for row in distributions.probabilities])
    return Answers(list(distributions.classes), probabilities, [result.label for result in chosen.results])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the volume that the training container published into."""
    folder = tmp_path_factory.mktemp("volume")
    compose("cp", "serve:/models", str(folder))
    return folder / "models"


def test_the_service_is_ready() -> None:
    with urllib.request.urlopen(f"http://{address(8080)}/v2/health/ready", timeout=30) as response:
        assert response.status == 200


@pytest.mark.parametrize("model", MODELS)
def test_both_doors_give_the_golden_answers(model: str, repository: Path) -> None:
    published = bundle.read(repository / model / "1")
    golden, manifest = published.golden, published.manifest
    rows = golden.features.tolist()
    margins = Rule(manifest, np.float64, manifest.decision.thresholds).margins(golden.probabilities)
    sure = np.flatnonzero(margins > manifest.tolerance)  # the others may be decided either way

    over_rest, over_grpc = ask_rest(model, rows), ask_grpc(model, rows)

    assert list(manifest.classes) == over_rest.classes == over_grpc.classes
    np.testing.assert_array_equal(over_rest.probabilities, over_grpc.probabilities)
    np.testing.assert_allclose(over_rest.probabilities, golden.probabilities, rtol=0, atol=manifest.tolerance)
    assert over_rest.labels == over_grpc.labels
    assert [manifest.classes[golden.classes[row]] for row in sure] == [over_rest.labels[row] for row in sure]


def test_training_again_changes_nothing() -> None:
    said = compose("up", "--no-log-prefix", "--exit-code-from", "train", "train")

    assert len(MODELS) == said.count("already published as version 1")


def test_the_service_runs_without_rights() -> None:
    inside = json.loads(compose("exec", "-T", "serve", "python", "-c", CONFINEMENT))

    for process in inside["processes"]:
        name = process["Name"].strip()
        assert process["Uid"].split() == ["10001"] * 4, name
        assert process["Gid"].split() == ["10001"] * 4, name
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(process[kind], 16) == 0, (name, kind)
        assert process["NoNewPrivs"].strip() == "1", name
    assert inside["writable"] == []


def test_the_serving_image_holds_nothing_but_the_service() -> None:
    report = docker(
        *("run", "--interactive", "--rm", "--network", "none", "--entrypoint", "python", "sigmax", "-I", "-"),
        stdin=(HERE / "inside.py").read_text(),
    )

    assert json.loads(report) == {
        "importable": [],
        "programs": ["/opt/sigmax/bin/sigmax", "/usr/local/bin/python"],
    }


def test_a_stop_is_clean_and_within_the_grace_time() -> None:
    container = compose("ps", "--quiet", "serve").strip()

    compose("stop", "serve")  # SIGTERM, and SIGKILL (exit code 137) when the grace time is over
    code = docker("inspect", "--format", "{{.State.ExitCode}}", container).strip()
    compose("up", "--detach", "--wait", "--no-deps", "serve")

    assert code == "0"
