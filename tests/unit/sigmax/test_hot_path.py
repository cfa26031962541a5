"""What the hot path must not do: leave the event loop's thread, or parse before it has to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
from starlette.types import ASGIApp
from tests.unit.sigmax.manifests import BINARY

from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.inference.readiness import Readiness
from sigmax.protocol.schema import Schema
from sigmax.rest.front import rest_door
from sigmax.rpc.door import RpcDoor
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2

LIMIT = 2**20


async def served(app: ASGIApp, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)


class Witness:
    """An engine that remembers which thread asked it."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def run(self, features: Floats) -> Floats:
        self.threads.append(threading.get_ident())
        return np.tile([0.25, 0.75], (len(features), 1))

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        raise AssertionError("nobody asked for logits")


def catalog(engine: Witness) -> Catalog:
    served = Served("small", "1", Predictor(BINARY, engine), Schema(BINARY), Proof(1, 0.0, 0), b"{}")
    return Catalog([Entry("small", served)])


def test_a_grpc_request_is_answered_on_the_event_loops_own_thread() -> None:
    engine = Witness()
    models = catalog(engine)
    request = classifier_pb2.PredictClassesRequest(model="small")
    request.rows.add().list_value.extend([1.0, 2.0])

    async def ask() -> bytes:
        door = RpcDoor(models, Dispatch(models, 10), Readiness(models), Metrics(), LIMIT)
        port = door.bind("127.0.0.1", 0)
        await door.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            same: Callable[[bytes], bytes] = bytes
            method = channel.unary_unary("/sigmax.v1.Classifier/PredictClasses", same, same)
            answer: bytes = await method(request.SerializeToString())
        await door.stop(0)
        return answer

    answer = classifier_pb2.PredictClassesResponse.FromString(asyncio.run(ask()))

    assert answer.results[0].label == "yes"
    assert engine.threads == [threading.get_ident()]


def test_a_rest_request_is_answered_on_the_event_loops_own_thread_in_two_messages() -> None:
    engine = Witness()
    models = catalog(engine)
    app = rest_door(models, Dispatch(models, 10), Readiness(models), Metrics(), LIMIT)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"rows": [[1, 2]]}', "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/models/small:classes", "headers": []}
    asyncio.run(served(app, scope, receive, send))

    assert json.loads(sent[1]["body"])["results"] == [{"label": "yes", "probability": 0.75}]
    assert len(sent) == 2
    assert engine.threads == [threading.get_ident()]


def test_a_body_that_announces_too_much_is_refused_before_a_byte_is_read() -> None:
    models = catalog(Witness())
    app = rest_door(models, Dispatch(models, 10), Readiness(models), Metrics(), LIMIT)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", str(LIMIT + 1).encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/models/small:classes", "headers": headers}
    asyncio.run(served(app, scope, receive, send))

    assert sent[0]["status"] == 413
