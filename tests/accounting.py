"""Clients that account for every request: attempted = answered + each kind of failure.

A tool that counts answers alone cannot see a client that fell silent; these send at a steady rate whatever
becomes of the requests before, and say of each what became of it.
"""

from __future__ import annotations

import asyncio
import json
import select
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc

OK = "ok"
REFUSED = "refused"
"""No connection was to be had: nothing was sent, so nothing is lost."""

_SECONDS = 20.0
_PROBLEMS = 10
_AT_ONCE = 100
"""Requests under way beyond which a client waits, and says so.

Where it gets too little of the processors (20 busy loops on 2 cores: its thread ran 26 of 650 ms), what it
sends piles up in itself until it runs out of time, and the service would seem to have lost it.
"""

RETRY_POLICY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}
"""What docs/operations.md tells clients of gRPC to set: predictions may be asked for twice."""


@dataclass
class Account:
    """What became of the requests.

    Attributes:
        attempted: how many were begun.
        outcomes: how many came to what; `ok`, or a kind of failure.
        longest: seconds that the slowest took.
        late: how often the next had to wait, for too many were under way.
        problems: the first failures in full, for people.
    """

    attempted: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    late: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Requests that were sent and not answered as they should."""
        return self.attempted - self.outcomes[OK] - self.outcomes[REFUSED]

    @property
    def balanced(self) -> bool:
        """Whether every request is accounted for."""
        return self.attempted == sum(self.outcomes.values())

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.outcomes.items()))
        late = f"; {self.late} begun late" if self.late else ""
        return f"attempted {self.attempted}: {kinds}; slowest {1000 * self.longest:.0f} ms{late}"


Send = Callable[[], Awaitable[str]]
"""Sends one request and says what became of it."""


class RestClient:
    """Requests over connections that are kept alive, as many as are needed at once."""

    def __init__(self, url: str, path: str, body: bytes) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._request = (
            f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self) -> str:
        """One request."""
        try:
            reader, writer = await self._connection()
        except ConnectionError:
            return REFUSED
        try:
            writer.write(self._request)
            status, keep = await _answer(reader)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            writer.close()
            return f"connection lost ({type(error).__name__})"
        if keep:
            self._idle.append((reader, writer))
        else:
            writer.close()
        return OK if status == 200 else f"status {status}"

    async def close(self) -> None:
        """Close what is idle."""
        for _, writer in self._idle:
            writer.close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing() and not _is_readable(writer):
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)


def _is_readable(writer: asyncio.StreamWriter) -> bool:
    """Whether an idle connection was closed by the other side, which this process may not have seen yet."""
    waiting = select.poll()
    waiting.register(writer.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(waiting.poll(0))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status, and whether the connection may be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return int(head.split()[1]), "connection: close" not in head


class RpcClient:
    """Calls of one method over one channel."""

    def __init__(self, target: str, path: str, request: bytes, policy: dict[str, Any] | None = None) -> None:
        options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
        options.append(("grpc.enable_retries", int(policy is not None)))
        if policy is not None:
            options.append(("grpc.service_config", json.dumps(policy)))
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self._call = self._channel.unary_unary(path, _same, _same)
        self._request = request

    async def send(self) -> str:
        """One call."""
        try:
            await self._call(self._request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            return REFUSED if "refused" in (error.details() or "") else str(error.code().name)
        return OK

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)


def _same(data: bytes) -> bytes:
    return data


async def steadily(send: Send, rate: float, until: asyncio.Event, account: Account) -> None:
    """Send at a steady rate until an event, and wait for what is under way; every request is accounted for.

    Args:
        send: one request.
        rate: requests a second.
        until: when to stop.
        account: where they are counted.
    """
    running: set[asyncio.Task[None]] = set()
    begun = time.perf_counter()
    while not until.is_set():
        if len(running) >= _AT_ONCE:
            account.late += 1
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(_account(send, account))
        running.add(task)
        task.add_done_callback(running.discard)
        wait = begun + account.attempted / rate - time.perf_counter()
        await asyncio.sleep(max(wait, 0))
    if running:
        await asyncio.wait(running)


async def _account(send: Send, account: Account) -> None:
    account.attempted += 1
    started = time.perf_counter()
    try:
        outcome = await asyncio.wait_for(send(), _SECONDS)
    except TimeoutError:
        outcome = "no answer"
    account.longest = max(account.longest, time.perf_counter() - started)
    account.outcomes[outcome] += 1
    if outcome not in (OK, REFUSED) and len(account.problems) < _PROBLEMS:
        account.problems.append(f"the {account.attempted}th was begun when one was told: {outcome}")
