"""Each check passes on a server that keeps its rule and fails on one that breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from tests.unit.sigmax.conform import faults
from tests.unit.sigmax.conform.faults import Fault
from tests.unit.sigmax.conform.reference import MODELS, Reference, serving

from sigmax.conform.http import Budget, Http
from sigmax.conform.rpc import Rpc
from sigmax.conform.subject import Subject
from sigmax.conform.suite import SURPRISE, Outcome, Result, Target, chosen, everything, explored, run

IDS = [check.id for _, check in everything()]


CONCERNS = {
    "mixed": (),
    "single": ("B6",),
    "integers": ("E.data.*", "?.fp64", "?.lossy", "J.lossless"),
    "flags": ("E.data.*", "?.lossy"),
    "words": ("R6*", "E*", "B*", "G*"),
}
"""By model of the server what to ask of it; all, for none."""


@dataclass(frozen=True)
class Bench:
    """The server, and each of its models as the checks see it while nothing is wrong."""

    reference: Reference
    subjects: dict[str, Subject]

    def outcome(self, name: str, fault: Fault) -> Outcome:
        """How one check ends while the server has a fault."""
        subject = self.subjects[fault.model]
        if fault.extensions is not None:
            subject = replace(subject, extensions=fault.extensions)
        self.reference.http_fault, self.reference.rpc_fault = fault.http, fault.rpc
        try:
            (outcome,) = run(subject, [one for one in everything() if one[1].id == name])
        finally:
            self.reference.http_fault = self.reference.rpc_fault = None
        return outcome


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    reference = Reference()
    with ExitStack() as stack:
        url, grpc = stack.enter_context(serving(reference))
        targets = {name: Target(url, grpc, name, may_write=True) for name in MODELS}
        subjects = {name: stack.enter_context(explored(one)) for name, one in targets.items()}
        budget = Budget(10**6)  # the tests ask more than one run does
        http, rpc = Http(url, 5, budget), Rpc(grpc, 5, budget)
        stack.callback(rpc.close)
        yield Bench(reference, {name: replace(one, http=http, grpc=rpc) for name, one in subjects.items()})


def broken() -> Iterator[tuple[str, str, Fault]]:
    """Each check with a fault that it has to find, and the fault's name."""
    for name, fault in (faults.REST | faults.RPC).items():
        yield name, "broken", fault
    for name, model in faults.REFUSALS.items():
        yield name, "accepts", Fault(faults.ACCEPTS, model=model)
        yield name, "breaks", Fault(faults.BREAKS, model=model)
        yield name, "detail", Fault(faults.DETAIL, model=model)
        yield name, "dies", Fault(faults.DIES, model=model)
    for name in faults.RPC_REFUSALS:
        yield name, "accepts", Fault(rpc=faults.RPC_ACCEPTS)
        yield name, "breaks", Fault(rpc=faults.RPC_BREAKS)
        yield name, "mute", Fault(rpc=faults.RPC_MUTE)
    for name, fault in faults.ALSO:
        yield name, "also", fault
    for version in ("v1", "v1alpha"):
        yield f"F.{version}.fields", "renumbered", faults.RENUMBERED


@pytest.mark.parametrize(
    ("name", "fault"), [pytest.param(name, one, id=f"{name}-{way}") for name, way, one in broken()]
)
def test_a_check_finds_the_server_that_breaks_its_rule(bench: Bench, name: str, fault: Fault) -> None:
    outcome = bench.outcome(name, fault)

    assert outcome.result is Result.FAILED, outcome.reason
    assert outcome.expected not in ("", SURPRISE)
    assert outcome.got
    assert outcome.got.startswith("no answer") == (fault.http is faults.DIES)


def test_every_check_has_a_server_that_breaks_its_rule() -> None:
    assert sorted({name for name, _, _ in broken()}) == sorted(IDS)


def test_every_check_passes_on_a_server_that_keeps_all_rules(bench: Bench) -> None:
    outcomes = [bench.outcome(name, Fault(extensions=frozenset())) for name in ("B0", "X")]
    for name, patterns in CONCERNS.items():
        outcomes.extend(run(bench.subjects[name], chosen(patterns)))

    assert [outcome for outcome in outcomes if outcome.result is Result.FAILED] == []
    passed = {outcome.check.id for outcome in outcomes if outcome.result is Result.PASSED}
    assert set(IDS) - passed == {
        "X.system_shared_memory"
    }  # no server has both this and what GX.memory asks for


def test_ids_are_unique_and_sentences_are_there() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(check.sentence and check.id[0].isupper() for _, check in everything())
