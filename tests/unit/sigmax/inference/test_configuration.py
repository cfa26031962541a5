from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.sigmax import mixed
from tests.unit.sigmax.manifests import BANDED, BANDED_LABELS, BINARY, MULTICLASS, with_logits

from sigmax.contract import FloatType, Manifest
from sigmax.inference.catalog import Served
from sigmax.inference.configuration import Deployment, configuration
from sigmax.inference.costs import Costs
from sigmax.inference.engine import Floats
from sigmax.inference.open_inference import metadata
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema


class Idle:
    """An engine that nobody asks."""

    def run(self, features: Floats) -> Floats:
        return np.zeros_like(features)

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        return self.run(features), self.run(features)


def served(manifest: Manifest, batch_rows: int = 0) -> Served:
    predictor = Predictor(manifest, Idle())
    costs = Costs(batch_rows=batch_rows)
    return Served(manifest.name, "1", predictor, Schema(manifest), Proof(1, 0.0, 0), b"{}", costs)


SINGLE = replace(BINARY, graph=replace(BINARY.graph, dtype=FloatType.FLOAT32))


@pytest.mark.parametrize("manifest", [SINGLE, MULTICLASS, with_logits(BANDED), BANDED_LABELS, mixed.MIXED])
def test_inputs_and_outputs_are_those_of_the_metadata_without_the_dimension_of_the_rows(
    manifest: Manifest,
) -> None:
    said, described = configuration(served(manifest)), metadata(served(manifest))

    for key in ("input", "output"):
        assert [(one["name"], [-1, *one["dims"]]) for one in said[key]] == [
            (one["name"], one["shape"]) for one in described[f"{key}s"]
        ]
        for one, other in zip(said[key], described[f"{key}s"], strict=True):
            datatype = other["datatype"]
            assert one["data_type"] == ("TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}")


def test_what_an_operator_set_is_told() -> None:
    said = configuration(served(BINARY), Deployment(max_rows=500, workers=3))

    assert said["max_batch_size"] == 500
    assert [(group["kind"], group["count"]) for group in said["instance_group"]] == [("KIND_CPU", 3)]
    assert "dynamic_batching" not in said


@pytest.mark.parametrize(("set_by_operator", "expected"), [(None, 64), (16, 16)])
def test_a_model_whose_requests_are_put_together_says_so(set_by_operator: int | None, expected: int) -> None:
    deployment = Deployment(max_batch_rows=set_by_operator, max_delay=0.0025)

    assert configuration(served(BINARY, batch_rows=64), deployment)["dynamic_batching"] == {
        "preferred_batch_size": [expected],
        "max_queue_delay_microseconds": 2500,
        "preserve_ordering": False,
    }


def test_a_size_without_a_limit_fits_the_field() -> None:
    assert configuration(served(BINARY), Deployment(max_rows=sys.maxsize))["max_batch_size"] == 2**31 - 1
