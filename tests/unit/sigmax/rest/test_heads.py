"""Heads of requests that are known by their bytes: only so many are kept, the latest."""

from __future__ import annotations

from sigmax.rest.heads import MAX_HEADS, Asked, Heads, Route
from sigmax.telemetry.metrics import Metrics


def packet(number: int) -> bytes:
    return b"POST /v1/models/m%d:classes HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}" % number


def test_of_more_heads_than_are_kept_the_oldest_is_forgotten() -> None:
    asked = Asked(Route(Metrics().verb("rest", "classes"), lambda: None, "m", ""), 2, None, b"")  # type: ignore[arg-type,return-value]
    heads = Heads(lambda _: asked.route, 100)

    for number in range(MAX_HEADS + 1):
        heads.learn(packet(number), [(b"host", b"here"), (b"content-length", b"2")], asked)

    known = [number for number in range(MAX_HEADS + 1) if heads.known(packet(number)[:-2]) is not None]
    assert known == list(range(1, MAX_HEADS + 1))
