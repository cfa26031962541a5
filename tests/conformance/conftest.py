"""One service with the four example models, and every door to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.conformance.doors import (
    Door,
    InProcess,
    OpenInferenceRest,
    OpenInferenceRpc,
    OpenInferenceStream,
    Rest,
    Rpc,
    ServingV1,
)
from tests.service import Service, running

from sigmax.protocol.tensors import NAMES
from sigmax.repository import bundle, layout
from sigmax.repository.bundle import Bundle

DOORS = (
    "in-process",
    "rest ordered",
    "rest named",
    "rest columns",
    "v1 predict rows",
    "v1 predict named",
    "v1 predict columns",
    "v1 classify",
    "grpc classifier",
    "v2 rest flat",
    "v2 rest nested",
    "v2 rest binary",
    "v2 grpc typed",
    "v2 grpc raw",
    "v2 grpc stream",
)


@pytest.fixture(scope="session")
def bundles(repository: Path) -> dict[str, Bundle]:
    """The content of each model's only version."""
    return {name: bundle.read(layout.version_path(repository, name, 1)) for name in layout.names(repository)}


@pytest.fixture(scope="session", params=[1, 2], ids=["1 worker", "2 workers"])
def service(repository: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service with the four example models."""
    with running(repository, "--workers", str(request.param)) as started:
        yield started


@pytest.fixture(scope="session")
def doors(service: Service, repository: Path, bundles: dict[str, Bundle]) -> Iterator[dict[str, Door]]:
    """Every door, by name."""
    datatypes = {
        name: NAMES[np.dtype(content.manifest.graph.dtype.value)] for name, content in bundles.items()
    }
    made: dict[str, Door] = {
        "in-process": InProcess(repository),
        "rest ordered": Rest(service, "ordered"),
        "rest named": Rest(service, "named"),
        "rest columns": Rest(service, "columns"),
        "v1 predict rows": ServingV1(service, "rows"),
        "v1 predict named": ServingV1(service, "named"),
        "v1 predict columns": ServingV1(service, "columns"),
        "v1 classify": ServingV1(service, "examples"),
        "grpc classifier": Rpc(service),
        "v2 rest flat": OpenInferenceRest(service, "flat", datatypes),
        "v2 rest nested": OpenInferenceRest(service, "nested", datatypes),
        "v2 rest binary": OpenInferenceRest(service, "binary", datatypes),
        "v2 grpc typed": OpenInferenceRpc(service, "typed", datatypes),
        "v2 grpc raw": OpenInferenceRpc(service, "raw", datatypes),
        "v2 grpc stream": OpenInferenceStream(service, "raw", datatypes),
    }
    yield made
    for one in made.values():
        one.close()


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, doors: dict[str, Door]) -> Door:
    """Each door in turn."""
    return doors[request.param]
