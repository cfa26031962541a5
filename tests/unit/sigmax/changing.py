"""A repository that changes: small bundles published, broken and taken away, fast."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tests.unit.sigmax.manifests import MULTICLASS, model

from sigmax.repository import bundle
from sigmax.repository.golden import Golden

_ROWS = np.array([[0.0, 0.0], [1.0, -3.0]])


def _expected() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    odds = np.exp(np.column_stack([np.zeros((2, 2)), _ROWS.sum(axis=1)]))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Repository:
    """The model `small` in a repository of its own; `workshop` is where its versions are made."""

    root: Path
    workshop: Path

    def publish(self, number: int, good: bool = True, name: str = "small") -> Path:
        """A version by one rename; a bad one answers otherwise than its estimator did."""
        made = self.workshop / f"{name}-{number}-{good}"
        if not made.exists():
            _write(made, number, good, name)
        staging = self.root / name / f".staging-{number}"
        shutil.copytree(made, staging)
        return staging.rename(self.folder(number, name))

    def folder(self, number: int, name: str = "small") -> Path:
        return self.root / name / str(number)

    def delete(self, number: int, name: str = "small") -> None:
        shutil.rmtree(self.folder(number, name))

    def corrupt(self, number: int) -> None:
        """Cut the graph in half, in its place."""
        file = self.folder(number) / "model.onnx"
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _write(folder: Path, number: int, good: bool, name: str) -> None:
    manifest = replace(MULTICLASS, name=name, version=number)
    probabilities = _expected()
    said = probabilities if good else probabilities[::-1]
    golden = Golden(_ROWS, said, said.argmax(axis=1))
    files = {
        "model.onnx": model(manifest),
        "golden.json": golden.to_json(manifest),
        "example.json": json.dumps({"rows": _ROWS.tolist()}).encode(),
    }
    folder.mkdir(parents=True)
    bundle.write(folder, manifest, files)
