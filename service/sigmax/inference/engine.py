"""A model's graph behind one method, on ONNX Runtime.

Holds no names, labels or thresholds: numbers in, numbers out. How ONNX Runtime is spoken to is left to
`onnx_runtime.py`.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sigmax.contract import INPUT, LOGITS, OUTPUT, FloatType, Manifest
from sigmax.errors import BundleRejected
from sigmax.inference.onnx_runtime import Bound, Layout, OnnxRuntimeError, Session, Signature

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_ONNX_TYPES = {FloatType.FLOAT32: "tensor(float)", FloatType.FLOAT64: "tensor(double)"}
_PATH = re.compile(r"(?:/[^\s/:'\"]+){2,}/?")

CHEAP_SECONDS = 50e-6
"""A run of up to so many seconds holds Python's lock: getting it back beside grpc.aio's thread takes 20 to 25
microseconds (docs/decisions/0016)."""

FEW_ROWS = 32
"""Batches of up to so many rows, if they are not wide, are copied to memory that the graph is bound to."""

_FEW_BYTES = 2**14

_TRIES, _TRYING_SECONDS = 5, 1e-3
"""Of what a run costs: the first finds no cache warm, and any may be disturbed."""


class Engine(Protocol):
    """What turns features into probabilities."""

    def run(self, features: Floats) -> Floats:
        """Features (n_samples, n_features) in the model's dtype to probabilities (n_samples, n_classes)."""
        ...

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        """The same, and the logits (n_samples, n_classes); only of a model whose manifest has them."""
        ...


class OnnxEngine:
    """One session on one thread: batches scale by processes, not by threads inside a request.

    Safe from any thread at any time; of small batches one runs at a time. An answer is memory of its own.
    Other threads of Python run meanwhile, unless the batch is so cheap that waiting for them costs more
    than it does, which is measured when the model is loaded.
    """

    __slots__ = ("_both", "_cheap_rows", "_dtype", "_few", "_few_rows", "_n_features", "_probabilities")

    def __init__(self, model: bytes, manifest: Manifest) -> None:
        """Create the session and check that the graph is what the manifest says.

        Raises:
            BundleRejected: ONNX Runtime refuses the graph, or its input or output differs.
            OnnxRuntimeMissing: it is not installed.
        """
        try:
            session = Session(model)
        except OnnxRuntimeError as error:
            raise BundleRejected(f"ONNX Runtime does not load the model: {_first_line(error)}") from error
        _check(session, manifest)
        self._dtype, self._n_features = np.dtype(manifest.graph.dtype.value), manifest.n_features
        layout = Layout(self._dtype, INPUT, (OUTPUT,), manifest.n_features, len(manifest.classes))
        self._probabilities = session.caller(layout)
        self._both = session.caller(layout._replace(wanted=(OUTPUT, LOGITS)))
        self._few = _FewRows(session, layout)
        self._few_rows, self._cheap_rows = self._few.most, self._few.cheap

    def run(self, features: Floats) -> Floats:
        """Features (n_samples, n_features) in the model's dtype to probabilities (n_samples, n_classes).

        Raises:
            ValueError: the features are of another width or dtype.
            OnnxRuntimeError: the graph fails on them.
        """
        self._check_table(features)
        if 0 < len(features) <= self._few_rows:
            return self._few.run(features)
        return self._probabilities.run(_readable(features), holding=len(features) <= self._cheap_rows)[0]

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        """Probabilities, as `run` gives them, and logits, both (n_samples, n_classes)."""
        self._check_table(features)
        probabilities, logits = self._both.run(_readable(features), holding=len(features) <= self._cheap_rows)
        return probabilities, logits

    def _check_table(self, features: Floats) -> None:
        """Refuse what is no table of the model: its memory would be read as one."""
        if features.dtype != self._dtype or features.ndim != 2 or features.shape[1] != self._n_features:
            expected = f"{self._dtype} (n_samples, {self._n_features})"
            raise ValueError(f"features are {expected}, not {features.dtype} {features.shape}")


class _FewRows:
    """The memory of a few rows' features and probabilities, bound to the graph once a batch size.

    One thread at a time has it. Most requests have one row, and making ONNX Runtime's values for it
    takes as long as the model. An output that is not bound costs nothing more: ONNX Runtime drops it.

    Attributes:
        most: how many rows there is room for, at least 1.
        cheap: how many rows, at most, take so little that Python's lock is better held; 0 if not even one.
    """

    __slots__ = ("_bound", "_features", "_layout", "_lock", "_probabilities", "_session", "cheap", "most")

    def __init__(self, session: Session, layout: Layout) -> None:
        row = layout.given_width * layout.dtype.itemsize
        self.most = max(1, min(FEW_ROWS, _FEW_BYTES // row))
        self._features: Floats = np.zeros((self.most, layout.given_width), layout.dtype)
        self._probabilities: Floats = np.zeros((self.most, layout.wanted_width), layout.dtype)
        self._session, self._layout = session, layout
        self._lock = threading.Lock()
        self._bound: dict[int, _Size] = {}
        self.cheap = int(self.most * CHEAP_SECONDS / _fastest(self._bind(self.most).run))

    def run(self, features: Floats) -> Floats:
        """Features (n_samples, n_features) to probabilities (n_samples, n_classes); 1 to `most` rows."""
        with self._lock:
            size = self._bound.get(len(features)) or self._size(len(features))
            size.features[:] = features
            size.run()
            return size.probabilities.copy()

    def _size(self, rows: int) -> _Size:
        bound = self._bind(rows)
        run = bound.run_holding if rows <= self.cheap else bound.run
        size = self._bound[rows] = _Size(self._features[:rows], run, self._probabilities[:rows])
        return size

    def _bind(self, rows: int) -> Bound:
        given, (wanted,) = self._layout.given, self._layout.wanted
        return self._session.bind({given: self._features[:rows]}, {wanted: self._probabilities[:rows]})


class _Size(NamedTuple):
    """A batch size: its share of the memory, and what runs the graph on it."""

    features: Floats
    run: Callable[[], None]
    probabilities: Floats


def _fastest(run: Callable[[], None]) -> float:
    """How many seconds a run takes of this thread's own time, at best; for ever if it fails."""
    fastest, spent = math.inf, 0.0
    for _ in range(_TRIES):
        started = time.thread_time()
        try:
            run()
        except OnnxRuntimeError:
            return math.inf
        seconds = time.thread_time() - started
        fastest, spent = min(fastest, seconds), spent + seconds
        if spent > _TRYING_SECONDS:
            break
    return max(fastest, 1e-7)  # some clocks are coarse


def _readable(features: Floats) -> Floats:
    """The caller's own memory as ONNX Runtime can read it; a copy if it is laid out otherwise."""
    flags = features.flags
    if flags.c_contiguous and flags.aligned:
        return features
    return np.require(features, requirements=("C", "A"))


def _check(session: Session, manifest: Manifest) -> None:
    kind, width = _ONNX_TYPES[manifest.graph.dtype], len(manifest.classes)
    _check_values("inputs", session.inputs, [(INPUT, kind, [manifest.n_features])])
    _check_values("outputs", session.outputs, [(name, kind, [width]) for name in manifest.graph.outputs])


def _check_values(side: str, found: list[Signature], expected: list[tuple[str, str, list[int]]]) -> None:
    signature = [(value.name, value.type, value.shape[1:]) for value in found]
    if signature != expected or not all(_has_free_batch(value) for value in found):
        raise BundleRejected(f"the graph's {side} are {signature}, expected {expected} and a free batch size")


def _has_free_batch(value: Signature) -> bool:
    return bool(value.shape) and not isinstance(value.shape[0], int)


def _first_line(error: OnnxRuntimeError) -> str:
    """What ONNX Runtime says, without the paths that it may name."""
    text = (str(error).splitlines() or ["no reason given"])[0]
    return _PATH.sub("…", text)[:200]
