"""A service under load whose workers are renewed, killed and stopped meanwhile: for tests, short and long."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from google.protobuf import json_format
from tests.accounting import RETRY_POLICY, Account, RestClient, RpcClient, steadily
from tests.service import Service

from sigmax.wire import classifier_pb2

RATE = 60.0
"""Requests a second of each client: few enough that two busy cores keep up while a worker starts."""

_PATIENCE = 60.0
_WARM = 20  # answers to each client before anything happens
_LOOK = 0.02
_REQUESTS = re.compile(r'^sigmax_requests_total\{code="OK",.*\} (\S+)$', re.MULTILINE)
_READY = re.compile(r'^sigmax_workers\{state="ready"\} (\S+)$', re.MULTILINE)


def workers(service: Service) -> list[int]:
    """The processes of its workers, the oldest first."""
    return children(service.process.pid)


def children(pid: int) -> list[int]:
    """The processes that a process started, the oldest first."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


async def eventually(true: Callable[[], bool], what: str, patience: float = _PATIENCE) -> float:
    """Wait for a condition, which is asked in a thread; the seconds that it took."""
    begun = time.monotonic()
    while not await asyncio.to_thread(true):
        assert time.monotonic() - begun < patience, f"not within {patience} s: {what}"
        await asyncio.sleep(_LOOK)
    return time.monotonic() - begun


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Books:
    """One account a client."""

    rest: Account = field(default_factory=Account)
    grpc_retrying: Account = field(default_factory=Account)
    grpc_plain: Account = field(default_factory=Account)

    @property
    def all(self) -> list[Account]:
        """Every account."""
        return [self.rest, self.grpc_retrying, self.grpc_plain]

    def __str__(self) -> str:
        return (
            f"REST keep-alive    {self.rest}\n"
            f"gRPC with retries  {self.grpc_retrying}\n"
            f"gRPC without       {self.grpc_plain}"
        )


async def under_load(
    service: Service, body: bytes, meanwhile: Callable[[], Awaitable[object]], rate: float = RATE
) -> Books:
    """What became of the requests that three clients sent while something happened.

    Args:
        service: with the model iris.
        body: a request for it, JSON.
        meanwhile: what happens.
        rate: requests a second of each client.
    """
    request = json_format.ParseDict(
        {"model": "iris", **json.loads(body)}, classifier_pb2.PredictClassesRequest()
    )
    method, message = "/sigmax.v1.Classifier/PredictClasses", request.SerializeToString()
    rest = RestClient(service.rest, "/v1/models/iris:classes", body)
    retrying = RpcClient(service.grpc, method, message, RETRY_POLICY)
    plain = RpcClient(service.grpc, method, message)
    books, over = Books(), asyncio.Event()
    clients: tuple[RestClient | RpcClient, ...] = (rest, retrying, plain)
    sending = [
        asyncio.create_task(steadily(client.send, rate, over, account))
        for client, account in zip(clients, books.all, strict=True)
    ]
    try:
        await eventually(
            lambda: all(account.outcomes["ok"] >= _WARM for account in books.all), "some answers to each"
        )
        await meanwhile()
    finally:
        over.set()
        await asyncio.gather(*sending)
        await asyncio.gather(*(client.close() for client in clients))
    return books


async def renewed(service: Service) -> float:
    """Renew every worker; the seconds that it took."""
    before = set(workers(service))
    service.process.send_signal(signal.SIGHUP)
    return await eventually(
        lambda: before.isdisjoint(now := workers(service)) and len(now) == len(before), "new workers"
    )


async def killed(service: Service, ready: Callable[[], int], number: int = signal.SIGKILL) -> float:
    """End the oldest worker with a signal; the seconds until as many are ready again."""
    before = workers(service)
    os.kill(before[0], number)
    return await eventually(
        lambda: before[0] not in workers(service) and ready() == len(before), "another worker"
    )


def answered(metrics: str) -> float:
    """Requests that were answered, of all series."""
    return sum(float(count) for count in _REQUESTS.findall(metrics))


def ready(metrics: str) -> int:
    """Workers that are ready."""
    return int(float(_READY.findall(metrics)[0]))


def answered_or_held(outcome: str) -> bool:
    """Whether a request was answered, or on a connection that the worker held when it was killed."""
    return outcome == "ok" or outcome.startswith("connection lost")


def never_less(figures: Sequence[float]) -> bool:
    """Whether each figure is at least the one before."""
    return all(later >= earlier for earlier, later in pairwise(figures))
