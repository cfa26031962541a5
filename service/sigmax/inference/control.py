"""Models listed, loaded and unloaded on request: Triton's extension `model_repository`, for both doors.

Off unless the service was told to offer it, since whoever reaches a door could take a model out of service.
What a process does is done by its `Reloader`; whether all processes of a service do it, the runtime knows, so
that `Control` has two implementations: `OneProcess` here, and `runtime.everywhere`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from sigmax.contract import NAME_PATTERN
from sigmax.errors import (
    InvalidInput,
    NotFound,
    NotReady,
    SigmaxError,
    Unimplemented,
    listed,
    nearest,
    path,
    quoted,
)
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.dispatch import unforeseen
from sigmax.inference.loading import GONE, UNREADABLE
from sigmax.inference.reload import Reloader
from sigmax.telemetry.metrics import OK, Metrics

log = logging.getLogger(__name__)

Verb = Literal["index", "load", "unload"]

EXTENSIONS = ("model_repository", "model_repository(unload_dependents)")
"""What the server's metadata lists where models can be loaded and unloaded."""

OFF = (
    "this service lists, loads and unloads no models on request: start it with --model-control "
    "(SIGMAX_SERVE_MODEL_CONTROL=1), and let only those reach it who may"
)
UNNAMED = "this service has one repository, which has no name: leave the repository's name out"

_MODEL, _PARAMETERS = "model", "parameters"
_UNLOAD_DEPENDENTS = "unload_dependents"
_OVERRIDES = ("config", "file:")


class State(StrEnum):
    """What a version of a model does, in Triton's words."""

    READY = "READY"
    LOADING = "LOADING"
    UNAVAILABLE = "UNAVAILABLE"


class Indexed(NamedTuple):
    """A version of a model as the index lists it.

    Attributes:
        version: empty of a model without any.
        reason: why it does not answer; empty if it does.
    """

    name: str
    version: str
    state: str
    reason: str


class Control(Protocol):
    """What can be asked for."""

    async def index(self) -> list[Indexed]:
        """Every version that is known of every model."""
        ...

    async def load(self, name: str) -> None:
        """Look at a model's files now, and answer with the highest version.

        Raises:
            NotFound: the repository has no such model.
            NotReady: the highest version was refused; with the reason, and what answers instead.
        """
        ...

    async def unload(self, name: str) -> None:
        """Let a model answer no more, until it is loaded on request; one that comes later, too."""
        ...


class OneProcess:
    """`Control` over this process alone."""

    def __init__(self, catalog: Catalog, reloader: Reloader) -> None:
        self._catalog, self._reloader = catalog, reloader

    async def index(self) -> list[Indexed]:
        """Every version that is known of every model."""
        return list(index(self._catalog, self._reloader.wanted))

    async def load(self, name: str) -> None:
        """Look at a model's files now, and answer with the highest version."""
        found = await self._reloader.load(name)
        refuse_unless_loaded(found or self._catalog.entry(name))

    async def unload(self, name: str) -> None:
        """Let a model answer no more, until it is loaded on request."""
        await self._reloader.unload(name)


class ModelControl:
    """The extension at every door: refused where it is off, its parameters read, counted and logged."""

    def __init__(self, control: Control | None, metrics: Metrics) -> None:
        """Made when the service starts.

        Args:
            control: does it; None where the service was not told to offer it.
            metrics: counts what was asked for.
        """
        self._control, self._metrics = control, metrics

    @property
    def extensions(self) -> tuple[str, ...]:
        """What the server's metadata lists because of this."""
        return EXTENSIONS if self._control is not None else ()

    def offered(self, verb: Verb) -> Control:
        """What does it; a request that it is not offered to is counted.

        Raises:
            Unimplemented: this service does not offer it; with how it would.
        """
        if self._control is None:
            self._metrics.controlled(verb, Unimplemented.code.value)
            raise Unimplemented(OFF)
        return self._control

    async def index(self, repository: str, *, ready: bool) -> list[Indexed]:
        """Every version of every model, or those alone that answer."""
        control = self.offered("index")
        with self._counted("index"):
            _refuse_named(repository)
            return [one for one in await control.index() if one.state == State.READY or not ready]

    async def load(self, repository: str, name: str, parameters: Mapping[str, Any]) -> None:
        """Load a model; parameters that would change what was published are refused."""
        control = self.offered("load")
        with self._counted("load"):
            _refuse_named(repository)
            _check_name(name)
            _check_load(parameters)
            await control.load(name)
        log.info("model %s was loaded on request", name)

    async def unload(self, repository: str, name: str, parameters: Mapping[str, Any]) -> None:
        """Unload a model; no model depends on another."""
        control = self.offered("unload")
        with self._counted("unload"):
            _refuse_named(repository)
            _check_name(name)
            _check_unload(parameters)
            names = {one.name for one in await control.index()}
            if name not in names:
                raise NotFound(f"unknown model {quoted(name)}{nearest(name, names)}", _MODEL)
            await control.unload(name)
        log.info("model %s was unloaded on request", name)

    @contextmanager
    def _counted(self, verb: Verb) -> Iterator[None]:
        code = OK
        try:
            yield
        except SigmaxError as error:
            code = error.code.value
            if verb != "index":
                log.warning("a model was not %sed on request: %s", verb, error)
            raise
        except Exception as error:
            known = unforeseen(error)
            code = known.code.value
            raise known from error
        finally:
            self._metrics.controlled(verb, code)


def index(catalog: Catalog, wanted: Collection[str] = ()) -> Iterator[Indexed]:
    """Every version that one process knows of every model, models by name, versions highest first.

    Args:
        catalog: what the process has.
        wanted: the models that are being loaded.
    """
    for entry in catalog.entries:
        idle = dict(entry.idle)
        if entry.served is not None:
            idle.pop(entry.served.manifest.version, None)
            yield Indexed(entry.name, entry.served.version, State.READY, "")
        elif not idle:
            yield Indexed(entry.name, "", State.UNAVAILABLE, str(entry.unready("")))
        state = State.LOADING if entry.unloaded and entry.name in wanted else State.UNAVAILABLE
        for number, reason in idle.items():
            yield Indexed(entry.name, str(number), state, reason)


def refuse_unless_loaded(entry: Entry) -> None:
    """Refuse what a load came to, unless the highest version of the repository answers.

    Raises:
        NotFound: its files are gone, and what answers is in memory alone.
        NotReady: the highest version was refused.
    """
    served, name = entry.served, entry.name
    answers = f"; version {served.version} answers" if served is not None else ""
    if entry.note.startswith(GONE):
        raise NotFound(f"model '{name}' is not in the repository any more{answers} from memory")
    if entry.unloaded:
        raise entry.unready("")
    least = served.manifest.version if served is not None else 0
    refused = [f"version {key} was refused: {why}" for key, why in entry.rejected.items() if key >= least]
    if entry.note.startswith(UNREADABLE):
        refused.insert(0, entry.note)
    if refused:
        raise NotReady(f"model '{name}': {listed(refused)}{answers}")
    if served is None:
        raise entry.unready("")


def _refuse_named(repository: str) -> None:
    if repository:
        raise Unimplemented(UNNAMED)


def _check_name(name: str) -> None:
    """Refuse what is no model's name, before it could be a path."""
    if NAME_PATTERN.fullmatch(name) is None:
        raise NotFound(f"unknown model {quoted(name)}", _MODEL)


def _check_load(parameters: Mapping[str, Any]) -> None:
    for name in parameters:
        if name.startswith(_OVERRIDES):
            remedy = "publish another version"
            raise Unimplemented(
                f"parameter {quoted(name)}: a model is served as it was published and proved; {remedy}",
                path(_PARAMETERS, name),
            )
    for name in parameters:
        raise InvalidInput(f"unknown parameter {quoted(name)}: a load takes none", path(_PARAMETERS, name))


def _check_unload(parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if name != _UNLOAD_DEPENDENTS:
            near = nearest(name, [_UNLOAD_DEPENDENTS])
            text = f"unknown parameter {quoted(name)}{near}: known is {_UNLOAD_DEPENDENTS}"
            raise InvalidInput(text, path(_PARAMETERS, name))
        if type(value) is not bool:
            text = f"parameter {name}: expected true or false, got {quoted(value)}"
            raise InvalidInput(text, path(_PARAMETERS, name))
