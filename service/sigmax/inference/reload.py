"""Models that change while the service answers: looked at beside the event loop, swapped on it.

One thread reads, loads and proves, one model at a time, so that a repository full of new versions costs no
more than one of them at once. The loop only exchanges an entry of the catalog. Preparing and activating are
two steps, between which processes could agree.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from sigmax.contract import NAME_PATTERN
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.loading import Looked
from sigmax.inference.yielding import Yielding
from sigmax.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


class Told(Protocol):
    """Who has to know that a model is another now, or none."""

    async def __call__(self, name: str) -> None:
        """Called on the loop, after the catalog has changed."""
        ...


class Reloader:
    """Takes the names of models that may have changed, and keeps the catalog true."""

    def __init__(
        self,
        catalog: Catalog,
        look: Callable[[Entry], Looked],
        metrics: Metrics,
        told: Told,
        gently: Yielding | None = None,
    ) -> None:
        """Made on any thread, run on the loop.

        Args:
            catalog: what answers.
            look: called in the thread with what a model is; see `loading.look`.
            metrics: states of versions, and what each look came to.
            told: called after each change of the catalog.
            gently: shared with whoever else works beside the loop.
        """
        self._catalog, self._look, self._metrics, self._told = catalog, look, metrics, told
        self._names: dict[str, None] = {}  # in the order in which they came, each once
        self._came = asyncio.Event()
        self._gently = gently or Yielding()
        self._beside = ThreadPoolExecutor(1, "sigmax-load")
        for entry in catalog.entries:
            self._record(Entry(entry.name, None), entry)

    def changed(self, names: Iterable[str]) -> None:
        """Have models looked at, soon and each once; called on the loop."""
        self._names.update(dict.fromkeys(filter(NAME_PATTERN.fullmatch, names)))
        if self._names:
            self._came.set()

    async def run(self) -> None:
        """Look at models whenever some may have changed; ends when it is cancelled."""
        try:
            while True:
                await self._came.wait()
                while self._names:
                    name = next(iter(self._names))
                    del self._names[name]
                    try:
                        await self._look_at(name)
                    except Exception:  # what is served stays, and the next change is looked at
                        log.exception("model %s: an error that nobody foresaw, while it was looked at", name)
                self._came.clear()
        finally:
            self._beside.shutdown(wait=False, cancel_futures=True)

    async def _look_at(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        before = self._catalog.get(name) or Entry(name, None)
        looked = await loop.run_in_executor(self._beside, self._look_gently, before)
        if looked.again is not None:
            loop.call_later(looked.again, self.changed, (name,))
        for _ in looked.refused:
            self._metrics.reloaded(name, "refused")
        if looked.entry is not before:
            await self._activate(before, looked.entry)
        last = [before]
        del before, looked  # a large engine takes a while to free: the thread does it, if no request holds it
        await loop.run_in_executor(self._beside, last.clear)

    def _look_gently(self, before: Entry) -> Looked:
        with self._gently:
            return self._look(before)

    async def _activate(self, before: Entry, after: Entry | None) -> None:
        if after is None:
            self._catalog.drop(before.name)
        else:
            self._catalog.put(after)
        self._record(before, after or Entry(before.name, None))
        if after is not None and after.served is not before.served:
            self._metrics.reloaded(before.name, "live")
            log.info("%s", _said(before, after))
        if after is not None and after.labels != before.labels:
            said = ", ".join(f"{label} {version}" for label, version in after.labels.items())
            log.info("model %s: the labels are %s", after.name, said or "gone")
        if after is not None and after.note and after.note != before.note:
            log.warning("model %s: %s", after.name, after.note)
        await self._told(before.name)

    def _record(self, before: Entry, after: Entry) -> None:
        """Tell the metrics which versions answer, which were refused, and which are neither any more."""
        states = _states(after)
        for version in _states(before).keys() - states:
            self._metrics.forget_state(after.name, version)
        for version, ready in states.items():
            self._metrics.model_state(after.name, version, ready)


def _states(entry: Entry) -> dict[int, bool]:
    states = dict.fromkeys(entry.rejected, False)
    if entry.served is not None:
        states[entry.served.manifest.version] = True
    return states


def _said(before: Entry, after: Entry) -> str:
    if after.served is None:
        raise ValueError("a model without a served version has not gone live")
    if before.served is None:
        return f"model {after.name} version {after.served.version} answers from now on"
    versions = f"version {after.served.version} answers in place of version {before.served.version}"
    return f"model {after.name} {versions}"
