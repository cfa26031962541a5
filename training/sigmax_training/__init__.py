"""Sigmax training fits sigmoid and softmax classifiers and publishes them as proven bundles.

`train` runs a job on rows that the caller holds, `publish` takes an estimator that was fitted elsewhere. Each
is loaded when it is first asked for: importing this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigmax_training.api import train
    from sigmax_training.foreign.scikit import publish

__all__ = ["publish", "train"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "publish":
        from sigmax_training.foreign.scikit import publish  # noqa: PLC0415 - a second of loading

        return publish
    if name == "train":
        from sigmax_training.api import train  # noqa: PLC0415 - likewise

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
