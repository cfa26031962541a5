"""The gRPC server: our services, the standard health service and reflection, on one port."""

from __future__ import annotations

import asyncio

import grpc
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
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

_HANDSHAKE_MS = 5_000  # after this a silent connection is closed; the library waits 120 s


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
        self._server = grpc.aio.server(options=_options(max_bytes))
        self._server.add_generic_rpc_handlers(
            (
                classifier.Classifier(catalog, dispatch, metrics, max_pixels).handler(),
                self._inference.handler(Repository(models).methods()),
                self._health.handler(),
                *self._reflection.handlers(),
            )
        )

    def bind(self, host: str, port: int) -> int:
        """Take an address.

        Returns:
            The port, of interest where 0 was asked for.

        Raises:
            OSError: the address is taken or is none of this machine's.
        """
        literal = f"[{host}]" if ":" in host else host
        try:
            return self._server.add_insecure_port(f"{literal}:{port}")
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {literal}:{port}") from error

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
        # Each worker binds the port that the supervisor made sure is ours alone.
        ("grpc.so_reuseport", 1),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
    ]
