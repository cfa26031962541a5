"""ONNX Runtime behind one method; the only module that imports it.

Holds no names, labels or thresholds: numbers in, numbers out.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from sigmax.contract import INPUT, OUTPUT, FloatType, Manifest
from sigmax.errors import BundleRejected

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_ONNX_TYPES = {FloatType.FLOAT32: "tensor(float)", FloatType.FLOAT64: "tensor(double)"}
_FATAL_ONLY = 4


class Engine(Protocol):
    """What turns features into probabilities."""

    def run(self, features: Floats) -> Floats:
        """Features (n_samples, n_features) in the model's dtype to probabilities (n_samples, n_classes)."""
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

    def _check(self, manifest: Manifest) -> None:
        kind = _ONNX_TYPES[manifest.graph.dtype]
        _check_values("inputs", self._session.get_inputs(), INPUT, kind, manifest.n_features)
        _check_values("outputs", self._session.get_outputs(), OUTPUT, kind, len(manifest.classes))


class _OneRow:
    """The memory of one row's features and probabilities, bound to the graph once.

    Not for two threads at a time. Most requests have one row, and making ONNX Runtime's values for it
    takes as long as the model.
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


def _check_values(side: str, found: list[Any], name: str, kind: str, width: int) -> None:
    signature = [(value.name, value.type, list(value.shape)[1:]) for value in found]
    expected = [(name, kind, [width])]
    if signature != expected or isinstance(found[0].shape[0], int):
        raise BundleRejected(f"the graph's {side} are {signature}, expected {expected} and a free batch size")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0][:200]
