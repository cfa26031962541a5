"""Models that change while the service answers: looked at beside the event loop, swapped on it.

One thread reads, loads and proves, one model at a time, so that a repository full of new versions costs no
more than one of them at once. The loop only exchanges an entry of the catalog. Preparing and activating are
two steps, between which processes could agree.

Somebody may have a model unloaded: from then on its changes are left alone, until it is loaded on request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from sigmax.contract import NAME_PATTERN
from sigmax.errors import NotReady
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import unforeseen
from sigmax.inference.loading import Looked
from sigmax.inference.yielding import Yielding
from sigmax.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

Found = asyncio.Future[Entry | None]
"""What a model that was to be loaded has become; None if there is none."""


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
        self._wanted: dict[str, list[Found]] = {}
        self._came = asyncio.Event()
        self._ended = False
        self._gently = gently or Yielding()
        self._beside = ThreadPoolExecutor(1, "sigmax-load")
        for entry in catalog.entries:
            self._record(Entry(entry.name, None), entry)

    def changed(self, names: Iterable[str]) -> None:
        """Have models looked at, soon and each once; called on the loop."""
        self._names.update(dict.fromkeys(filter(NAME_PATTERN.fullmatch, names)))
        if self._names:
            self._came.set()

    @property
    def wanted(self) -> frozenset[str]:
        """The models that are being loaded on request."""
        return frozenset(self._wanted)

    def load(self, name: str) -> Found:
        """Have a model looked at before all others, though it was unloaded or refused; called on the loop.

        Raises:
            NotReady: nothing is looked at any more.
        """
        if self._ended:
            raise NotReady("the service is shutting down")
        found: Found = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(name, []).append(found)
        self._names = {name: None, **self._names}
        self._came.set()
        return found

    def unload(self, name: str) -> Awaitable[None]:
        """Let a model answer no more, at once; called on the loop. Requests that have it end with it.

        Returns:
            To be awaited until everyone is told.
        """
        before = self._catalog.get(name) or Entry(name, None)
        if not before.unloaded:
            self._exchange(before, before.without())
            log.info("model %s is unloaded", name)
        last: list[Any] = [before]
        del before
        self._free(last)
        return self._told(name)

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
                    except Exception as error:  # what is served stays, and the next change is looked at
                        log.exception("model %s: an error that nobody foresaw, while it was looked at", name)
                        self._fail(name, error)
                self._came.clear()
        finally:
            self._ended = True
            self._beside.shutdown(wait=False, cancel_futures=True)
            for name in list(self._wanted):
                self._fail(name, NotReady("the service is shutting down"))

    def _fail(self, name: str, error: Exception) -> None:
        """Tell whoever wants a model loaded that it came to nothing."""
        for found in self._wanted.pop(name, ()):
            if not found.done():
                found.set_exception(error if isinstance(error, NotReady) else unforeseen(error))

    async def _look_at(self, name: str) -> None:
        wanted = len(self._wanted.get(name, ()))  # whoever asks from now on wants another look
        if wanted or not self._is_unloaded(name):
            await self._replace(name, anew=wanted > 0)
            self._find(name, wanted)

    def _is_unloaded(self, name: str) -> bool:
        entry = self._catalog.get(name)
        return entry is not None and entry.unloaded

    def _find(self, name: str, wanted: int) -> None:
        """Tell those who wanted a model loaded what it is."""
        asked = self._wanted.pop(name, [])
        for found in asked[:wanted]:
            if not found.done():
                found.set_result(self._catalog.get(name))
        if asked[wanted:]:
            self._wanted[name] = asked[wanted:]

    async def _replace(self, name: str, *, anew: bool) -> None:
        """Look at a model, and put what it has become in the place of what is known of it."""
        loop = asyncio.get_running_loop()
        known = self._catalog.get(name)
        before = known or Entry(name, None)
        seen = before.anew() if anew else before
        looked = await loop.run_in_executor(self._beside, self._look_gently, seen)
        if self._catalog.get(name) is known:  # else it was unloaded meanwhile
            if looked.again is not None:
                loop.call_later(looked.again, self.changed, (name,))
            for _ in looked.refused:
                self._metrics.reloaded(name, "refused")
            if looked.entry is not before:
                self._exchange(before, looked.entry)
                await self._told(name)
        last: list[Any] = [known, before, seen, looked]
        del known, before, seen, looked
        self._free(last)

    def _look_gently(self, before: Entry) -> Looked:
        with self._gently:
            return self._look(before)

    def _free(self, last: list[Any]) -> None:
        """A large engine takes a while to free: the thread does it, if no request holds it."""
        with suppress(RuntimeError):  # it has ended, and so will this process
            self._beside.submit(last.clear)

    def _exchange(self, before: Entry, after: Entry | None) -> None:
        if after is None:
            self._catalog.drop(before.name)
        else:
            self._catalog.put(after)
        self._record(before, after or Entry(before.name, None))
        if after is not None and after.served is not None and after.served is not before.served:
            self._metrics.reloaded(before.name, "live")
            log.info("%s", _said(before, after.served))
        if after is not None and after.labels != before.labels:
            said = ", ".join(f"{label} {version}" for label, version in after.labels.items())
            log.info("model %s: the labels are %s", after.name, said or "gone")
        if after is not None and after.note and after.note != before.note:
            log.warning("model %s: %s", after.name, after.note)

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


def _said(before: Entry, after: Served) -> str:
    if before.served is None:
        return f"model {after.name} version {after.version} answers from now on"
    return f"model {after.name} version {after.version} answers in place of version {before.served.version}"
