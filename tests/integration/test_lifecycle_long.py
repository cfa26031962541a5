"""The long forms: fifty renewals, twenty kills, under load; `make lifecycle` prints the figures."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import lifecycle
from tests.lifecycle import Books, answered, never_less, under_load
from tests.service import Service, running

RENEWALS = int(os.environ.get("LIFECYCLE_RENEWALS", "50"))
KILLS = int(os.environ.get("LIFECYCLE_KILLS", "20"))
RATE = float(os.environ.get("LIFECYCLE_RATE", str(lifecycle.RATE)))
TIMEOUT = 60
IRIS = Path(__file__).parents[1] / "fixtures" / "format_1"

pytestmark = [pytest.mark.lifecycle, pytest.mark.timeout(3600)]


@pytest.fixture
def two() -> Any:
    with running(IRIS, "--workers", "2") as started:
        yield started


@pytest.fixture
def body() -> bytes:
    return (IRIS / "iris" / "1" / "example.json").read_bytes()


def metrics(service: Service) -> str:
    return httpx.get(f"{service.rest}/metrics", timeout=TIMEOUT).raise_for_status().text


def report(title: str, seconds: list[float], books: Books) -> None:
    spread = f"median {statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s"
    print(f"\n{title}, {RATE:g} requests a second of each client; each took {spread}\n{books}")  # noqa: T201
    for account in books.all:
        for problem in account.problems:
            print(f"  {problem}")  # noqa: T201


def test_fifty_renewals_lose_nothing(two: Service, body: bytes) -> None:
    seconds: list[float] = []

    async def renew() -> None:
        for _ in range(RENEWALS):
            seconds.append(await lifecycle.renewed(two))

    books = asyncio.run(under_load(two, body, renew, RATE))
    report(f"{RENEWALS} renewals of 2 workers", seconds, books)

    assert all(account.balanced for account in books.all)
    assert (books.rest.lost, books.rest.outcomes["refused"], books.grpc_retrying.lost) == (0, 0, 0)


def test_twenty_kills_lose_what_the_workers_held(two: Service, body: bytes) -> None:
    seconds: list[float] = []
    totals: list[float] = []

    async def kill() -> None:
        for _ in range(KILLS):
            totals.append(answered(await asyncio.to_thread(metrics, two)))
            seconds.append(await lifecycle.killed(two, lambda: lifecycle.ready(metrics(two))))

    books = asyncio.run(under_load(two, body, kill, RATE))
    totals.append(answered(metrics(two)))
    report(f"{KILLS} kills of one of 2 workers", seconds, books)

    assert all(account.balanced for account in books.all)
    assert all(lifecycle.answered_or_held(kind) for kind in books.rest.outcomes), books
    assert never_less(totals)


def test_stopping_under_load_loses_nothing(body: bytes) -> None:
    seconds: list[float] = []
    for _ in range(5):
        with running(IRIS, "--workers", "2") as service:

            async def stop(service: Service = service) -> None:
                begun = time.monotonic()
                service.process.terminate()
                await asyncio.to_thread(service.process.wait, TIMEOUT)
                seconds.append(time.monotonic() - begun)

            books = asyncio.run(under_load(service, body, stop, RATE))
            report("A stop of 2 workers", seconds[-1:], books)

            assert service.process.returncode == 0
            assert books.rest.lost == 0
