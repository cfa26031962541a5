"""Models made for a measurement: a hidden layer over 30,000 pixels, and many copies of a small one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sigmax.contract import MANIFEST_FILE
from sigmax.repository import bundle, layout
from sigmax_training.api import train

MLP = "pixels_mlp"
_SIDE, _HIDDEN, _CLASSES, _EACH = 100, 64, 3, 30


def publish_mlp(models: Path, folder: Path) -> str:
    """Train an MLP 30000-64-3 on pictures of coloured noise and publish it as every job is published.

    Args:
        models: the repository.
        folder: where the pictures are written.

    Returns:
        Its name.

    Raises:
        SigmaxError: it could not be trained or proved.
    """
    _write_pictures(folder / "pictures")
    estimator = {"kind": "mlp", "hidden": [_HIDDEN], "standardise": False, "epochs": 2, "batch_size": 16}
    job = {
        "name": MLP,
        "data": {"images": str(folder / "pictures"), "size": _SIDE, "colour": "rgb"},
        "estimator": {**estimator, "learning_rate": 1e-4},
        "evaluation": {"test_fraction": 0.2},
    }
    train(job, models=models)
    return MLP


def _write_pictures(folder: Path) -> None:
    """One folder a class; the classes differ in the mean of one colour."""
    rng = np.random.default_rng(0)
    for label in range(_CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
        for number in range(_EACH):
            pixels = rng.integers(0, 200, (_SIDE, _SIDE, 3), np.uint8)
            pixels[:, :, label] += 40
            Image.fromarray(pixels).save(folder / f"class_{label}/{number}.png")


def copied(models: Path, name: str, target: Path, count: int) -> list[str]:
    """Publish a model's highest version under other names, each with a manifest of its own.

    Args:
        models: the repository with the model.
        name: of the model.
        target: the repository of the copies.
        count: how many.

    Returns:
        Their names.
    """
    source = layout.version_path(models, name, layout.versions(models, name)[0])
    sealed = replace(bundle.read(source).manifest, version=1)
    names = [f"{name}_{number:04}" for number in range(count)]
    for copy in names:
        folder = layout.version_path(target, copy, 1)
        shutil.copytree(source, folder)
        (folder / MANIFEST_FILE).write_bytes(replace(sealed, name=copy).to_json())
    return names
