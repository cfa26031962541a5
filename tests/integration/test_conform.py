"""`sigmax conform` asks a real service."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from tests.conformance import models
from tests.service import Service, command, environment, running
from tests.unit.sigmax import mixed

from sigmax.conform import report
from sigmax.conform.suite import Result, Target, check

NOT_YET: set[str] = set()
"""Rules that the service does not keep yet: the list only ever gets shorter."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("models")
    models.publish(root)
    mixed.write(root)
    with running(root) as started:
        yield started


@pytest.mark.parametrize("model", ["three", "small", "labels", "mixed"])
def test_the_service_keeps_every_rule_but_those_on_the_list(service: Service, model: str) -> None:
    run = check(Target(service.rest, service.grpc, model), [], lambda _: None)

    failed = [one for one in run.outcomes if one.result is Result.FAILED and one.check.id not in NOT_YET]
    assert [report.line(one) for one in failed] == []
    results = {one.check.id: one.result for one in run.outcomes}
    assert [results[name] for name in ("R6", "B1", "G1", "G.typed")] == [Result.PASSED] * 4


def test_rules_that_are_kept_end_in_0_and_a_summary(service: Service) -> None:
    ended = subprocess.run(
        command("conform", service.rest, "--grpc", service.grpc, "--only", "R6*", "--only", "G*"),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[0] == "REST: inference as JSON"
    assert " passed, 0 failed, " in ended.stdout.splitlines()[-1]
