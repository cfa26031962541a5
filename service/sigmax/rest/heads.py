"""Heads of requests that predict: what one says of its body, told at once if its bytes were met before.

A client sends the same request line and headers again and again. They are read by the parser once; of a
request that begins with the same bytes only the body is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from sigmax.errors import SigmaxError
from sigmax.inference.dispatch import Query
from sigmax.protocol.ids import NAMES
from sigmax.rest.asgi import Answer, announced
from sigmax.rest.sending import AS_IT_IS, Sending, heard
from sigmax.telemetry.metrics import Meter

CHANGING = NAMES | {
    *(b"baggage", b"b3", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"uber-trace-id"),
    *(b"x-amzn-trace-id", b"x-cloud-trace-context", b"sentry-trace", b"cf-ray", b"x-correlation-id"),
    *(b"x-datadog-trace-id", b"x-datadog-parent-id", b"newrelic", b"request-id", b"idempotency-key"),
}
"""Headers that are new with each request, where somebody sends them."""

_PLAIN = re.compile(rb"[\w./:~-]+")  # no query, nothing to unquote
MAX_HEADS = 2048
"""More than there are models in a repository whose requests should be quick, and 4 MiB at most."""

_MAX_HEAD_BYTES = 2048


class Route(NamedTuple):
    """Where a request goes.

    Attributes:
        meter: counts it.
        read: makes the query of model, version and body.
    """

    meter: Meter
    read: Callable[..., Query[Answer]]
    model: str
    version: str


class Asked(NamedTuple):
    """A POST to one of the routes that predict, whose body has a known length.

    Attributes:
        length: of the body, in bytes, at most the limit.
        json_length: as in `Body`.
        media_type: as in `Body`.
        sending: what it says of its answer.
    """

    route: Route
    length: int
    json_length: int | None
    media_type: bytes
    sending: Sending = AS_IT_IS


class Heads:
    """The heads met so far, by their bytes from the request line to the empty line.

    Args:
        find: where a path leads.
        max_bytes: a longer body is none of these.
    """

    __slots__ = ("_find", "_known", "_max_bytes")

    def __init__(self, find: Callable[[str], Route | None], max_bytes: int) -> None:
        self._find, self._max_bytes = find, max_bytes
        self._known: dict[bytes, Asked] = {}

    def known(self, head: bytes) -> Asked | None:
        """What a head says that was learnt."""
        return self._known.get(head)

    def read(self, url: bytes, headers: list[tuple[bytes, bytes]]) -> Asked | None:
        """What a POST says that the parser has read; None if it is not for here, or to be refused."""
        route = self._find(url.decode()) if _PLAIN.fullmatch(url) else None
        if route is None:
            return None
        try:
            length, json_length, media_type, coding = announced(headers, self._max_bytes)
        except SigmaxError:
            return None
        if length is None or coding:
            return None
        return Asked(route, length, json_length, media_type, heard(headers))

    def learn(self, packet: bytes, headers: list[tuple[bytes, bytes]], asked: Asked) -> None:
        """Remember the head at the beginning of a packet, which the parser read as these headers.

        It is as long as the parser took it for if it has a line for each header and two more: had it ended
        before the empty line that is looked for here, there were more lines. One with headers that are new
        with each request would never be met again, and push out those that are.
        """
        if asked.sending.returned or not CHANGING.isdisjoint([name for name, _ in headers]):
            return
        head = packet[: packet.find(b"\r\n\r\n") + 4]
        lines = len(headers) + 2
        if len(head) > _MAX_HEAD_BYTES or not head.startswith(b"POST "):
            return
        if head.count(b"\n") != lines or head.count(b"\r\n") != lines:
            return
        if len(self._known) >= MAX_HEADS:
            del self._known[next(iter(self._known))]  # the oldest
        self._known[head] = asked
