"""All checks in order, and one run of them against one server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from sigmax.conform import (
    agreement,
    binary,
    compression,
    extensions,
    grpc_infer,
    grpc_refusals,
    grpc_services,
    rest_infer,
    rest_paths,
    rest_refusals,
    serving_v1,
)
from sigmax.conform.check import Check, NoAnswer, NotAsked, Unmet, excerpt
from sigmax.conform.discovery import (
    Unusable,
    find_model,
    find_sample,
    given_sample,
    read_extensions,
    read_model,
)
from sigmax.conform.http import Budget, Http
from sigmax.conform.rpc import Rpc
from sigmax.conform.subject import Subject

GROUPS: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("REST: addresses, health, metadata", rest_paths.CHECKS),
    ("REST: inference as JSON", rest_infer.CHECKS),
    ("REST: wrong requests", rest_refusals.CHECKS),
    ("REST: binary tensors", binary.CHECKS),
    ("REST: compression", compression.CHECKS),
    ("REST: extensions", extensions.CHECKS),
    ("REST: KServe V1 and TensorFlow Serving", serving_v1.CHECKS),
    ("gRPC: the standard's service", grpc_infer.CHECKS),
    ("gRPC: wrong requests", grpc_refusals.CHECKS),
    ("gRPC: health, reflection, Triton's calls", grpc_services.CHECKS),
    ("Both doors", agreement.CHECKS),
)


SURPRISE = "an answer of the standard's form"
"""What was expected where a server's word had a form that no line of a check foresaw."""

SILENCE = "an answer"
"""What was expected where none came."""

_DEAD = 3


class Result(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A check and how it ended; `expected` and `got` of a failed one, `reason` of a skipped one."""

    group: str
    check: Check
    result: Result
    expected: str = ""
    got: str = ""
    reason: str = ""


def everything() -> Iterator[tuple[str, Check]]:
    """Every check with the title of its group."""
    for title, checks in GROUPS:
        for check in checks:
            yield title, check


def chosen(patterns: Sequence[str]) -> list[tuple[str, Check]]:
    """The checks whose id or level matches a pattern; all, if there is none."""
    return [
        (title, check)
        for title, check in everything()
        if not patterns or any(fnmatchcase(name, one) for one in patterns for name in (check.id, check.level))
    ]


def run(subject: Subject, checks: Sequence[tuple[str, Check]]) -> Iterator[Outcome]:
    """Ask one check after the other; whatever a server does, a check ends.

    Once three in a row had no answer and the server shows no life after any of them, the others are skipped.
    """
    dead = 0
    for title, check in checks:
        if dead == _DEAD:
            yield Outcome(title, check, Result.SKIPPED, reason="the server has stopped answering")
            continue
        outcome = _outcome(subject, title, check)
        dead = dead + 1 if outcome.expected == SILENCE and not _lives(subject) else 0
        yield outcome


def _lives(subject: Subject) -> bool:
    try:
        subject.http.ask("GET", "/v2/health/live")
    except NoAnswer:
        return False
    return True


def _outcome(subject: Subject, title: str, check: Check) -> Outcome:
    if check.extension and not subject.offered(check.extension):
        return Outcome(title, check, Result.SKIPPED, reason=f"the server does not list {check.extension!r}")
    try:
        check.run(subject)
    except Unmet as unmet:
        return Outcome(title, check, Result.FAILED, unmet.expected, unmet.got)
    except NotAsked as reason:
        return Outcome(title, check, Result.SKIPPED, reason=str(reason))
    except NoAnswer as silence:
        return Outcome(title, check, Result.FAILED, SILENCE, str(silence))
    except Exception as surprise:
        return Outcome(title, check, Result.FAILED, SURPRISE, excerpt(repr(surprise)))
    return Outcome(title, check, Result.PASSED)


@dataclass(frozen=True, slots=True)
class Target:
    """What the person at the command line said.

    Attributes:
        url: of the REST door.
        grpc: HOST:PORT of the gRPC door; None for no checks of it.
        model: its name; None for the first that the server lists.
        timeout: seconds that one request may take.
        request: a request that the model answers, as JSON; None to make one.
        may_write: whether models may be loaded and unloaded.
    """

    url: str
    grpc: str | None = None
    model: str | None = None
    timeout: float = 5.0
    request: bytes | None = None
    may_write: bool = False


@contextmanager
def explored(target: Target) -> Iterator[Subject]:
    """Look at a server until it can be checked.

    Raises:
        Unusable: nothing answers, or no model is found.
    """
    budget = Budget()
    rpc = Rpc(target.grpc, target.timeout, budget) if target.grpc else None
    try:
        yield _explored(target, budget, rpc)
    finally:
        if rpc is not None:
            rpc.close()


def _explored(target: Target, budget: Budget, rpc: Rpc | None) -> Subject:
    try:
        http = Http(target.url, target.timeout, budget)
        http.ask("GET", "/v2/health/live")
        model = read_model(http, target.model or find_model(http))
        listed = read_extensions(http)
        if target.request is None:
            sample = find_sample(http, model, listed)
        else:
            sample = given_sample(http, model, json.loads(target.request))
    except (NoAnswer, ValueError) as error:
        raise Unusable(str(error)) from error
    return Subject(http, rpc, model, listed, sample, target.may_write)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of checks against one server."""

    target: Target
    model: str
    outcomes: tuple[Outcome, ...]


def check(target: Target, patterns: Sequence[str], tell: Callable[[Outcome], object]) -> Run:
    """Check a server.

    Args:
        target: which one, and how.
        patterns: globs of ids and levels; none for all checks.
        tell: is told each outcome as it comes.

    Raises:
        Unusable: nothing answers, no model is found, or no check is meant.
    """
    checks = chosen(patterns)
    if not checks:
        raise Unusable(f"no check matches {', '.join(patterns)}")
    outcomes = []
    with explored(target) as subject:
        for outcome in run(subject, checks):
            tell(outcome)
            outcomes.append(outcome)
    return Run(target, subject.model.name, tuple(outcomes))
