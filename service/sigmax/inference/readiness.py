"""Whether the service answers: at least one model serves, every required one does, and it is not leaving."""

from __future__ import annotations

from collections.abc import Collection

from sigmax.errors import listed
from sigmax.inference.catalog import Catalog


class Readiness:
    """Asked by every door; told once when the service begins to leave."""

    __slots__ = ("_catalog", "_draining", "_required")

    def __init__(self, catalog: Catalog, required: Collection[str] = ()) -> None:
        self._catalog = catalog
        self._required = frozenset(required)
        self._draining = False

    @property
    def ready(self) -> bool:
        """True while requests are answered."""
        return self.reason == ""

    @property
    def reason(self) -> str:
        """Why the service is not ready; empty if it is."""
        if self._draining:
            return "the service is shutting down"
        names = self._catalog.ready_names
        missing = sorted(self._required.difference(names))
        if missing:
            return f"required models are not ready: {', '.join(missing)}"
        if names:
            return ""
        unloaded = [entry.name for entry in self._catalog.entries if entry.unloaded]
        if unloaded:
            return f"no model is ready: unloaded on request: {listed(unloaded)}"
        return "no model is ready: the repository holds no version that can be served"

    def drain(self) -> None:
        """From now on the service is not ready."""
        self._draining = True
