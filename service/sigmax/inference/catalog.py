"""The models in memory, by name: which version answers, and why another does not.

A model's entry is immutable; a new version will replace it in one assignment, so that a request that
has its entry keeps it to the end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sigmax.contract import Manifest
from sigmax.errors import BundleRejected, NotFound, NotReady, nearest, quoted
from sigmax.inference import description
from sigmax.inference.onnx_runtime import OnnxRuntimeMissing
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof, load
from sigmax.protocol.schema import Schema
from sigmax.repository import layout

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A version that answers.

    Attributes:
        version: as it travels, a string.
        example: a request body that works, JSON.
    """

    name: str
    version: str
    predictor: Predictor
    schema: Schema
    proof: Proof
    example: bytes

    @property
    def manifest(self) -> Manifest:
        """What was published."""
        return self.predictor.manifest


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the repository.

    Attributes:
        served: the version that answers; None if none does.
        rejected: why a version was refused, by version, highest first.
    """

    name: str
    served: Served | None
    rejected: Mapping[int, str] = field(default_factory=dict)

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
            NotFound: the version is neither served nor one that was refused.
        """
        if self.served is not None and version in ("", self.served.version):
            return True
        error = self.unready(version)
        if isinstance(error, NotFound):
            raise error
        return False

    def unready(self, version: str) -> NotFound | NotReady:
        """Why a version that is not served is not."""
        refused = {str(number): reason for number, reason in self.rejected.items()}
        if version in refused:
            return NotReady(f"model '{self.name}' version {version} was refused: {refused[version]}")
        if version and self.served is not None:
            ready = f"version {self.served.version} is"
            return NotFound(f"model '{self.name}' has no version {quoted(version)} ready, {ready}")
        if version:
            return NotFound(f"model '{self.name}' has no version {quoted(version)}")
        return NotReady(f"model '{self.name}' has no version that is ready")

    def summary(self) -> dict[str, Any]:
        """One line about the model."""
        return description.summary(self.name, self.served.manifest if self.served else None, self.rejected)


class Catalog:
    """Every model of a repository."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}

    @property
    def entries(self) -> list[Entry]:
        """All models, by name."""
        return list(self._entries.values())

    @property
    def ready_names(self) -> list[str]:
        """The models that answer, by name."""
        return [entry.name for entry in self._entries.values() if entry.served is not None]

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
            raise NotFound(f"unknown model {quoted(name)}{nearest(name, self._entries)}")
        return entry

    def find(self, name: str, version: str = "") -> Served:
        """The version that answers for a model.

        Args:
            name: the model.
            version: a version number; empty for the one that is served.

        Raises:
            NotFound: no such model or version.
            NotReady: the version, or every version of the model, was refused.
        """
        entry = self._entries.get(name) or self.entry(name)
        served = entry.served
        if served is not None and version in ("", served.version):
            return served
        raise entry.unready(version)


def load_catalog(root: Path) -> Catalog:
    """Load the highest good version of every model of a repository.

    Raises:
        OnnxRuntimeMissing: there is nothing that any of them could run on.
    """
    return Catalog(load_entry(root, name) for name in layout.names(root))


def load_entry(root: Path, name: str) -> Entry:
    """Load a model's highest version that can be proved; those above it are refused, with the reason."""
    rejected: dict[int, str] = {}
    for version in layout.versions(root, name):
        started = time.perf_counter()
        try:
            served = open_version(layout.version_path(root, name, version), name, version)
        except BundleRejected as error:
            rejected[version] = str(error)
            log.error("model %s version %s refused: %s", name, version, error)
            continue
        except OnnxRuntimeMissing:  # no bundle is at fault
            raise
        except Exception:  # one bundle must not keep the others from being served
            rejected[version] = "an unforeseen error, which is in the log"
            log.exception("model %s version %s refused for an error that nobody foresaw", name, version)
            continue
        log.info(
            "model %s version %s ready: %s golden rows within %.2g of the estimator, %.0f ms",
            *(name, version, served.proof.rows, served.proof.difference),
            1000 * (time.perf_counter() - started),
        )
        return Entry(name, served, rejected)
    return Entry(name, None, rejected)


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
