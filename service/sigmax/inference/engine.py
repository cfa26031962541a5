"""ONNX Runtime behind one method; the only module that imports it.

Holds no names, labels or thresholds: numbers in, numbers out.
"""

from __future__ import annotations

import os
import re
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from sigmax.contract import INPUT, LOGITS, OUTPUT, FloatType, Manifest
from sigmax.errors import BundleRejected

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_ONNX_TYPES = {FloatType.FLOAT32: "tensor(float)", FloatType.FLOAT64: "tensor(double)"}
_FATAL_ONLY = 4
_PATH = re.compile(r"(?:/[^\s/:'\"]+){2,}/?")


class Engine(Protocol):
    """What turns features into probabilities."""

    def run(self, features: Floats) -> Floats:
        """Features (n_samples, n_features) in the model's dtype to probabilities (n_samples, n_classes)."""
        ...

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        """The same, and the logits (n_samples, n_classes); only of a model whose manifest has them."""
        ...


class OnnxEngine:
    """One session on one thread: batches scale by processes, not by threads inside a request."""

    def __init__(self, model: bytes, manifest: Manifest) -> None:
        """Create the session and check that the graph is what the manifest says.

        Raises:
            BundleRejected: ONNX Runtime refuses the graph, or its input or output differs.
        """
        onnxruntime.disable_telemetry_events()  # this build reports to its makers unless told not to
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        # Weights outside the file are not under its digest: they are looked for where no file can be.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes share no root but Exception
            raise BundleRejected(f"ONNX Runtime does not load the model: {_first_line(error)}") from error
        self._check(manifest)
        self._run = self._session.run
        self._one = _OneRow(self._session, manifest)

    def run(self, features: Floats) -> Floats:
        """Features (n_samples, n_features) in the model's dtype to probabilities (n_samples, n_classes)."""
        if len(features) == 1:
            return self._one.run(features)
        probabilities: Floats = self._run(_OUTPUTS, {INPUT: features})[0]
        return probabilities

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        """Probabilities, as `run` gives them, and logits, both (n_samples, n_classes)."""
        probabilities, logits = self._run(_BOTH, {INPUT: features})
        return probabilities, logits

    def _check(self, manifest: Manifest) -> None:
        kind, width = _ONNX_TYPES[manifest.graph.dtype], len(manifest.classes)
        _check_values("inputs", self._session.get_inputs(), [(INPUT, kind, [manifest.n_features])])
        outputs: list[_Signature] = [(name, kind, [width]) for name in manifest.graph.outputs]
        _check_values("outputs", self._session.get_outputs(), outputs)


class _OneRow:
    """The memory of one row's features and probabilities, bound to the graph once.

    Not for two threads at a time. Most requests have one row, and making ONNX Runtime's values for it
    takes as long as the model. An output that is not bound costs nothing more: ONNX Runtime drops it.
    """

    __slots__ = ("_binding", "_features", "_probabilities", "_run")

    def __init__(self, session: Any, manifest: Manifest) -> None:
        dtype = np.dtype(manifest.graph.dtype.value)
        self._features: Floats = np.zeros((1, manifest.n_features), dtype)
        self._probabilities: Floats = np.zeros((1, len(manifest.classes)), dtype)
        self._binding = session.io_binding()
        self._run = session.run_with_iobinding
        for bind, name, memory in (
            (self._binding.bind_input, INPUT, self._features),
            (self._binding.bind_output, OUTPUT, self._probabilities),
        ):
            bind(name, "cpu", 0, dtype.type, list(memory.shape), memory.ctypes.data)

    def run(self, features: Floats) -> Floats:
        """Features (1, n_features) to probabilities (1, n_classes)."""
        self._features[:] = features
        self._run(self._binding)
        return self._probabilities.copy()


_OUTPUTS = [OUTPUT]
_BOTH = [OUTPUT, LOGITS]

_Signature = tuple[str, str, list[int]]


def _check_values(side: str, found: list[Any], expected: list[_Signature]) -> None:
    signature = [(value.name, value.type, list(value.shape)[1:]) for value in found]
    if signature != expected or any(isinstance(value.shape[0], int) for value in found):
        raise BundleRejected(f"the graph's {side} are {signature}, expected {expected} and a free batch size")


def _first_line(error: Exception) -> str:
    """What ONNX Runtime says, without the paths that it may name."""
    text = (str(error).splitlines() or ["no reason given"])[0]
    return _PATH.sub("…", text)[:200]
