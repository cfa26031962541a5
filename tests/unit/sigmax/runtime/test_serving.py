"""What a worker does beside answering must not keep it from answering."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.sigmax.runtime.test_supervisor import SETTINGS

from sigmax.errors import NotReady
from sigmax.runtime.serving import Worker
from sigmax.telemetry import totals
from sigmax.telemetry.metrics import Metrics


class Asked(Worker):
    """A worker whose supervisor has heard of many models."""

    async def ask(self, what: str, families: Sequence[str] = ()) -> Any:
        metrics = Metrics()
        verb = metrics.verb("rest", "classes")
        for number in range(100):
            verb.request(f"model_{number}", "1", "OK", 0.0, 1)
        return totals.changes(metrics.figures(), {})


def test_the_loop_goes_on_while_the_metrics_of_many_models_are_written() -> None:
    async def within() -> tuple[bytes, int]:
        with socket.socket() as rest:
            written = asyncio.create_task(Asked(SETTINGS, {}, rest).exposition())
            turns = 0
            while not written.done():
                await asyncio.sleep(0.001)
                turns += 1
        return written.result(), turns

    text, turns = asyncio.run(within())

    assert text.count(b"sigmax_requests_total{") == 100
    assert turns > 3  # one, if all is written in a turn


def test_why_a_repository_cannot_be_read_is_said_without_its_path() -> None:
    with socket.socket() as rest, pytest.raises(NotReady) as refused:
        Worker(SETTINGS, {}, rest)._load()

    assert str(refused.value) == "the repository cannot be read: No such file or directory"
