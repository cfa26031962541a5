"""Outcomes as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from sigmax.conform.suite import Outcome, Result, Run

_MARKS = {Result.PASSED: "ok  ", Result.FAILED: "FAIL", Result.SKIPPED: "skip"}
_WIDTH = 22


class Teller:
    """Tells outcomes for people as they come, each group under its title."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._group = ""

    def __call__(self, outcome: Outcome) -> None:
        """Tell one."""
        if outcome.group != self._group:
            self._write(f"{outcome.group}")
            self._group = outcome.group
        self._write(line(outcome))


def line(outcome: Outcome) -> str:
    """One outcome for people; a failed one says what was expected and what breaks."""
    check = outcome.check
    text = f"  {_MARKS[outcome.result]} {check.id:<{_WIDTH}} {check.level:<6} {check.sentence}"
    if outcome.result is Result.SKIPPED:
        return f"{text} ({outcome.reason})"
    if outcome.result is Result.PASSED:
        return text
    indent = "\n" + " " * 9
    lines = [text, f"expected {outcome.expected}", f"got      {outcome.got}"]
    if check.breaks:
        lines.append(f"concerns {check.breaks}")
    return indent.join(lines)


def summary(run: Run) -> str:
    """The last line: how many ended how, failed ones by level."""
    counts = Counter(outcome.result for outcome in run.outcomes)
    failed = Counter(outcome.check.level for outcome in run.outcomes if outcome.result is Result.FAILED)
    levels = ", ".join(f"{count} {level}" for level, count in sorted(failed.items()))
    return (
        f"{counts[Result.PASSED]} passed, {counts[Result.FAILED]} failed{f' ({levels})' if levels else ''}, "
        f"{counts[Result.SKIPPED]} skipped"
    )


def as_json(run: Run) -> str:
    """Everything for programs."""
    counts = Counter(outcome.result for outcome in run.outcomes)
    document = {
        "url": run.target.url,
        "grpc": run.target.grpc,
        "model": run.model,
        "summary": {result.value: counts[result] for result in Result},
        "checks": [_row(outcome) for outcome in run.outcomes],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _row(outcome: Outcome) -> dict[str, Any]:
    check = outcome.check
    row = {
        "id": check.id,
        "group": outcome.group,
        "level": check.level.value,
        "rule": check.sentence,
        "result": outcome.result.value,
    }
    details = {"expected": outcome.expected, "got": outcome.got, "reason": outcome.reason}
    if outcome.result is Result.FAILED:
        details["breaks"] = check.breaks
    return row | {key: value for key, value in details.items() if value}


def failed(run: Run) -> bool:
    """Whether any rule that was asked is not kept."""
    return any(outcome.result is Result.FAILED for outcome in run.outcomes)
