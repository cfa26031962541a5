"""The gRPC server: our services, the standard health service and reflection, on one port."""

from __future__ import annotations

import asyncio

from google.protobuf import struct_pb2
from grpc_health.v1 import health_pb2

from sigmax.inference.catalog import Catalog
from sigmax.inference.configuration import DEFAULT, Deployment
from sigmax.inference.control import Control, ModelControl
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.readiness import Readiness
from sigmax.inference.statistics import Statistics
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.rpc import classifier, health, inference_protocol
from sigmax.rpc.health import NOT_SERVING, SERVING, Health
from sigmax.rpc.reflection import Reflection
from sigmax.rpc.repository import Repository
from sigmax.rpc.standing import Standing
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

_HANDSHAKE_MS = 5_000
"""After this a connection that says no more than its preface is closed; the library waits 120 s."""

_KEEPALIVE_MS, _KEEPALIVE_TIMEOUT_MS = 60_000, 20_000
"""A peer that is silent for so long is asked whether it is still there; the library waits 2 hours, and
a client that vanished would keep its streams as long."""

_PING_MS = 5_000
"""Peers may ask us as often as this: the library allows it every 5 minutes, and one that asks every 10 s, the
least that the clients of Go and Java take, would lose its watch or its stream to "too_many_pings"."""

_METADATA_BYTES = 16 * 2**10
"""The library refuses more than this, and some of what is beyond the half at random; here nothing is left to
chance."""

_MAX_STREAMS = 512
"""Calls of one connection at a time, those included that it has reset and that were not looked at yet.
Without a limit these fill the queue of new calls, and calls of other clients are cancelled."""


class RpcDoor:
    """A gRPC server on one address, made on the running event loop."""

    def __init__(
        self,
        catalog: Catalog,
        dispatch: Dispatch,
        readiness: Readiness,
        metrics: Metrics,
        max_bytes: int,
        *,
        max_pixels: int = MAX_PIXELS,
        statistics: Statistics | None = None,
        control: Control | None = None,
        deployment: Deployment = DEFAULT,
    ) -> None:
        """Make the server; what `statistics` tells is by default of this process alone."""
        models = ModelControl(control, metrics)
        self._catalog = catalog
        self._readiness = readiness
        self._health, self._reflection = Health(), Reflection(_SERVICES, _FILES)
        self._inference = inference_protocol.InferenceService(
            catalog,
            dispatch,
            readiness,
            metrics,
            statistics,
            extensions=models.extensions,
            deployment=deployment,
            max_bytes=max_bytes,
        )
        handlers = (
            classifier.Classifier(catalog, dispatch, metrics, max_pixels).handler(),
            self._inference.handler(Repository(models).methods()),
            self._health.handler(),
            *self._reflection.handlers(),
        )
        self._server = Standing(handlers, _options(max_bytes))

    def bind(self, host: str, port: int) -> int:
        """Take an address.

        Returns:
            The port, of interest where 0 was asked for.

        Raises:
            OSError: the address is taken or is none of this machine's.
        """
        return self._server.bind(f"[{host}]" if ":" in host else host, port)

    async def start(self) -> None:
        """Begin to answer, with every model's health known."""
        for entry in self._catalog.entries:
            await self.changed(entry.name)
        await self._tell_services()
        await self._server.start()

    async def changed(self, name: str) -> None:
        """A model came, went, or has another version: tell the health of it, and of the service."""
        entry = self._catalog.get(name)
        if entry is None:
            await self._health.forget(name)
        else:
            await self._tell(name, entry.served is not None)
        await self._tell_services()

    async def stop(self, grace: float) -> None:
        """Tell watchers, take no new calls, and give the running ones what is left of `grace` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        self._inference.leave(grace)
        self._reflection.leave(grace)
        await self._health.leave()
        await self._server.stop(max(until - loop.time(), 0))

    async def _tell_services(self) -> None:
        for service in ("", classifier.SERVICE, inference_protocol.SERVICE):
            await self._tell(service, self._readiness.ready)

    async def _tell(self, service: str, serving: bool) -> None:
        await self._health.tell(service, SERVING if serving else NOT_SERVING)


_SERVICES = (classifier.SERVICE, inference_protocol.SERVICE, health.SERVICE)
_FILES = tuple(
    [
        module.DESCRIPTOR.serialized_pb
        for module in (struct_pb2, classifier_pb2, open_inference_grpc_pb2, health_pb2)
    ]
)
"""All that reflection tells about, beside itself."""


def _options(max_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_MS),
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
        ("grpc.max_concurrent_streams", _MAX_STREAMS),
    ]
