"""What a streamed job is measured beside: `python -m benchmarks.contestants NAME FILE`, a process each.

The last line that a contestant prints is what it has learnt, as JSON: weights and intercept. Each imports
what it needs and no more, because that is part of the memory that it takes.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from benchmarks.higgs import F32, FEATURES, TARGET

BATCH = 256
LEARNING_RATE = 1e-3
_ROWS = 8192


def read(path: Path) -> None:
    """All rows once, and nothing else: what any pass over the file costs at least."""
    for _ in _batches(path):
        pass


def in_memory_logistic(path: Path) -> Any:
    """`LogisticRegression` on everything."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    features, signal = _everything(path)
    fitted = LogisticRegression().fit(features, signal)
    return fitted.coef_[0], fitted.intercept_[0]


def in_memory_epoch(path: Path) -> Any:
    """One epoch of `MLPClassifier` without hidden layers on everything."""
    features, signal = _everything(path)
    return _weights(_perceptron().fit(features, signal))


def partial_fit_loop(path: Path) -> Any:
    """`partial_fit` on batch after batch of the file, in the file's order."""
    fitted = _perceptron()
    for features, signal in _batches(path):
        fitted.partial_fit(features, signal, classes=[0, 1])
    return _weights(fitted)


NAMES: dict[str, Callable[[Path], Any]] = {
    "read": read,
    "logistic": in_memory_logistic,
    "epoch": in_memory_epoch,
    "loop": partial_fit_loop,
}


def _perceptron() -> Any:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    return MLPClassifier((), batch_size=BATCH, learning_rate_init=LEARNING_RATE, max_iter=1, random_state=0)


def _weights(fitted: Any) -> Any:
    return fitted.coefs_[0][:, 0], fitted.intercepts_[0][0]


def _everything(path: Path) -> tuple[F32, Any]:
    """All rows with pandas, as most people read them."""
    import pandas as pd  # noqa: PLC0415

    frame = pd.read_csv(path, engine="pyarrow") if path.suffix == ".csv" else pd.read_parquet(path)
    return frame[list(FEATURES)].to_numpy(np.float32), frame[TARGET].to_numpy()


def _batches(path: Path) -> Iterator[tuple[F32, Any]]:
    for batch in _csv(path) if path.suffix == ".csv" else _parquet(path):
        columns = [batch.column(name).to_numpy() for name in FEATURES]
        yield np.column_stack(columns).astype(np.float32, copy=False), batch.column(TARGET).to_numpy()


def _parquet(path: Path) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20).iter_batches(_ROWS)


def _csv(path: Path) -> Iterator[pa.RecordBatch]:
    yield from pc.open_csv(path)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "Stochastic Optimizer: Maximum iterations")
    found = NAMES[sys.argv[1]](Path(sys.argv[2]))
    if found is not None:
        print(json.dumps([np.asarray(found[0], np.float64).tolist(), float(found[1])]))
