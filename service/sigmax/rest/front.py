"""The whole HTTP application: what predicts, probes, and behind them what is loaded when it is asked for.

FastAPI and what it needs take as long to load as everything else of a worker together, and most workers are
never asked for a page of documentation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from sigmax.inference.catalog import Catalog
from sigmax.inference.configuration import DEFAULT, Deployment
from sigmax.inference.control import Control, ModelControl
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.readiness import Readiness
from sigmax.inference.statistics import Statistics, own
from sigmax.inference.status import Status
from sigmax.inference.yielding import Yielding
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.rest.hot import HotRoutes
from sigmax.rest.pages import Pages
from sigmax.rest.probes import Probes, Scrape
from sigmax.telemetry.metrics import Metrics


class OnDemand:
    """An application that is made by its first request, in a thread, while others are answered."""

    def __init__(self, make: Callable[[], ASGIApp], gently: Yielding) -> None:
        self._make, self._gently = make, gently
        self._made: asyncio.Future[ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if self._made is None or (self._made.done() and _failed(self._made)):
            self._made = asyncio.ensure_future(asyncio.to_thread(self._load))
        app = await asyncio.shield(self._made)  # a client that goes away does not end what others wait for
        await app(scope, receive, send)

    def _load(self) -> ASGIApp:
        with self._gently:
            return self._make()


def _failed(made: asyncio.Future[ASGIApp]) -> bool:
    """Whether it could not be made, as where there are no more files to be had; it is tried again."""
    return made.cancelled() or made.exception() is not None


def rest_door(
    catalog: Catalog,
    dispatch: Dispatch,
    readiness: Readiness,
    metrics: Metrics,
    max_bytes: int,
    *,
    max_pixels: int = MAX_PIXELS,
    scrape: Scrape | None = None,
    status: Status | None = None,
    statistics: Statistics | None = None,
    gently: Yielding | None = None,
    control: Control | None = None,
    deployment: Deployment = DEFAULT,
) -> HotRoutes:
    """The whole HTTP application.

    What `scrape`, `status` and `statistics` tell is by default of this process alone.
    """

    def make() -> ASGIApp:
        from sigmax.rest.door import documented  # noqa: PLC0415 - see above

        return documented(
            catalog,
            readiness,
            max_bytes,
            statistics=statistics or Statistics(catalog, own(metrics)),
            control=ModelControl(control, metrics),
            deployment=deployment,
        )

    async def exposition() -> bytes:
        return metrics.exposition()

    pages = OnDemand(make, gently or Yielding())
    probes = Probes(pages, readiness, scrape or exposition, status or Status(catalog, readiness))
    return HotRoutes(Pages(probes, max_bytes), dispatch, metrics, max_bytes, max_pixels)
