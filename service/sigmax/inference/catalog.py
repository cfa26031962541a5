"""The models in memory, by name: which version answers, and why another does not.

A model's entry is immutable; a new version replaces it in one assignment, so that a request that has its
entry keeps it to the end. Which version that is, `loading` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sigmax.contract import Manifest
from sigmax.errors import BundleRejected, NotFound, NotReady, nearest, quoted
from sigmax.inference import description
from sigmax.inference.costs import UNMEASURED, Costs, costs_of
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof, load
from sigmax.protocol.schema import Schema
from sigmax.repository.watcher import Identity

UNLOADED = "unloaded"
"""Why a model does not answer that was unloaded on request."""

NAMELESS = "no model is named: send the name of one"
"""What is said to a request without the name of a model."""

_OF_LABELS = "labels/"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Served:
    """A version that answers. Two of them are never equal: the same version may be loaded twice.

    Attributes:
        version: as it travels, a string.
        example: a request body that works, JSON.
        costs: what a run takes, and therefore where it runs.
    """

    name: str
    version: str
    predictor: Predictor
    schema: Schema
    proof: Proof
    example: bytes
    costs: Costs = UNMEASURED

    @property
    def manifest(self) -> Manifest:
        """What was published."""
        return self.predictor.manifest


class Label(str):
    """A version asked for by its label. As a text it is `labels/<label>`, which no version is called."""

    __slots__ = ()

    def __new__(cls, name: str) -> Label:
        """Made of the label as it was sent."""
        return super().__new__(cls, _OF_LABELS + name)

    @property
    def name(self) -> str:
        """The label."""
        return self[len(_OF_LABELS) :]


@dataclass(frozen=True, slots=True)
class Sight:
    """What was there when a version was last looked at.

    Attributes:
        identity: of its files; None if it had no manifest.
        settled: whether it was read; a refused one that has changed is read when it no longer changes.
        failures: how often reading it failed for a reason that may pass.
    """

    identity: Identity | None
    settled: bool = True
    failures: int = 0


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Entry:
    """A model of the repository.

    Attributes:
        served: the version that answers; None if none does.
        rejected: why a version was refused, by version, highest first. The served one is among them where
            its files no longer are what was loaded.
        since: when the served version was loaded, in seconds since 1970.
        note: what is wrong with the model's folder as a whole; empty if nothing is.
        seen: by version, what was there when this was decided.
        unloaded: whether it was unloaded on request: it does not answer, and its files are left alone.
        labels: versions by label, as the model's folder says.
    """

    name: str
    served: Served | None
    rejected: Mapping[int, str] = field(default_factory=dict)
    since: float = 0.0
    note: str = ""
    seen: Mapping[int, Sight] = field(default_factory=dict)
    unloaded: bool = False
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def idle(self) -> Mapping[int, str]:
        """Why versions do not answer, highest first; of the served one, what is wrong with its files."""
        return dict.fromkeys(self.seen, UNLOADED) if self.unloaded else self.rejected

    def without(self) -> Entry:
        """The same model, unloaded."""
        return Entry(self.name, None, seen=self.seen, unloaded=True, labels=self.labels)

    def anew(self) -> Entry:
        """The same model with nothing held against it: what was refused, or unloaded, is read again."""
        number = self.served.manifest.version if self.served is not None else 0
        seen = {key: sight for key, sight in self.seen.items() if key == number and key not in self.rejected}
        if not (self.unloaded or self.rejected) and seen == self.seen:
            return self
        return replace(self, rejected={}, seen=seen, unloaded=False)

    def describe(self) -> dict[str, Any]:
        """The model as every door describes it; it must be served."""
        if self.served is None:
            raise ValueError("a model without a served version has no description")
        return description.describe(
            self.served.manifest, self.served.proof, self.served.example, self.rejected
        )

    def answers(self, version: str = "") -> bool:
        """Whether a version of the model answers.

        Raises:
            NotFound: the version is neither served nor one that was refused; or no version has the label.
        """
        if self.unloaded:
            return False
        number = self.number_of(version)
        if self.served is not None and number in ("", self.served.version):
            return True
        error = self.unready(version)
        if isinstance(error, NotFound):
            raise error
        return False

    def number_of(self, version: str) -> str:
        """The version that is asked for, also where it is by its label.

        Raises:
            NotFound: there is no such label.
        """
        if not isinstance(version, Label):
            return version
        number = self.labels.get(version.name)
        if number is None:
            known = ", ".join(f"'{name}' (version {number})" for name, number in self.labels.items())
            there = f"those that there are: {known}" if known else "it has none, labels.json gives some"
            hint = nearest(version.name, self.labels)
            raise NotFound(f"model '{self.name}' has no label {quoted(version.name)}{hint}; {there}")
        return str(number)

    def unready(self, version: str) -> NotFound | NotReady:
        """Why a version that is not served is not."""
        if self.unloaded:
            return NotReady(f"model '{self.name}' was unloaded on request: load it, and it answers again")
        if isinstance(version, Label):
            number = self.number_of(version)
            error = self.unready(number)
            return type(error)(f"label '{version.name}' is version {number}: {error}", "version")
        refused = {str(number): reason for number, reason in self.rejected.items()}
        if version in refused:
            text = f"model '{self.name}' version {version} was refused: {refused[version]}"
            return NotReady(text, "version")
        if version and self.served is not None:
            ready = f"version {self.served.version} is"
            text = f"model '{self.name}' has no version {quoted(version)} ready, {ready}"
            return NotFound(text, "version")
        if version:
            return NotFound(f"model '{self.name}' has no version {quoted(version)}", "version")
        return NotReady(f"model '{self.name}' has no version that is ready", "model")

    def summary(self) -> dict[str, Any]:
        """One line about the model."""
        reason = UNLOADED if self.unloaded else next(iter(self.rejected.values()), self.note)
        return description.summary(self.name, self.served.manifest if self.served else None, reason)


class Catalog:
    """Every model of a repository."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.name: entry for entry in entries}

    @property
    def entries(self) -> list[Entry]:
        """All models, by name."""
        return sorted(self._entries.values(), key=lambda entry: entry.name)

    def get(self, name: str) -> Entry | None:
        """A model, whether it answers or not; None if there is no such model."""
        return self._entries.get(name)

    def put(self, entry: Entry) -> None:
        """From now on a model is this; who has the entry before it keeps that."""
        self._entries[entry.name] = entry

    def drop(self, name: str) -> None:
        """From now on there is no such model."""
        self._entries.pop(name, None)

    @property
    def ready_names(self) -> list[str]:
        """The models that answer, by name."""
        return sorted([entry.name for entry in self._entries.values() if entry.served is not None])

    def listing(self) -> dict[str, Any]:
        """Every model, in the form of `sigmax.v1.ListModelsResponse`."""
        return {"models": self.ready_names, "details": [entry.summary() for entry in self.entries]}

    def entry(self, name: str) -> Entry:
        """A model, whether it answers or not.

        Raises:
            NotFound: no such model.
        """
        entry = self._entries.get(name)
        if entry is None:
            text = f"unknown model {quoted(name)}{nearest(name, self._entries)}" if name else NAMELESS
            raise NotFound(text, "model")
        return entry

    def find(self, name: str, version: str = "") -> Served:
        """The version that answers for a model.

        Args:
            name: the model.
            version: a version number, or a label; empty for the one that is served.

        Raises:
            NotFound: no such model, version or label.
            NotReady: the version, or every version of the model, was refused.
        """
        entry = self._entries.get(name) or self.entry(name)
        served = entry.served
        if served is not None and version in ("", served.version):
            return served
        if isinstance(version, Label) and served is not None and entry.number_of(version) == served.version:
            return served
        raise entry.unready(version)


def measured(served: Served) -> Served:
    """A version that knows its costs, and so where it runs."""
    return replace(served, costs=costs_of(served.predictor))


def open_version(path: Path, name: str | None = None, version: int | None = None) -> Served:
    """Read, verify, load and prove one bundle.

    Args:
        path: the bundle's folder.
        name: the model that it must be, where the repository says so.
        version: likewise.

    Raises:
        BundleRejected: with what is wrong.
    """
    bundle, predictor, proof = load(path)
    manifest = bundle.manifest
    if name not in (None, manifest.name) or version not in (None, manifest.version):
        raise BundleRejected(
            f"the manifest is of model '{manifest.name}' version {manifest.version}, "
            f"in the place of '{name}' version {version}"
        )
    return Served(manifest.name, str(manifest.version), predictor, Schema(manifest), proof, bundle.example)
