"""What both peers are told, and the model that they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from sigmax.repository import bundle, layout


class Model:
    """The highest version of a model, run through the onnxruntime package."""

    def __init__(self, models: Path, name: str) -> None:
        self.version = str(layout.versions(models, name)[0])
        read = bundle.read(layout.version_path(models, name, int(self.version)))
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.name = name
        self.dtype = np.dtype(read.manifest.graph.dtype.value)
        self.datatype = "FP32" if self.dtype == np.float32 else "FP64"
        self._classes = read.manifest.classes
        self._session = ort.InferenceSession(read.model, options, providers=["CPUExecutionProvider"])

    def probabilities(self, data: list[float], shape: list[int]) -> npt.NDArray[Any]:
        """Shape (n_samples, n_classes)."""
        features = np.array(data, self.dtype).reshape(shape)
        answer: npt.NDArray[Any] = self._session.run(["probabilities"], {"features": features})[0]
        return answer

    def labels(self, probabilities: npt.NDArray[Any]) -> list[str]:
        """The most probable class of each row."""
        return [self._classes[column] for column in probabilities.argmax(axis=1)]


def arguments() -> tuple[int, Model]:
    """Read `PORT MODELS NAME` from the command line."""
    port, models, name = sys.argv[1:]
    return int(port), Model(Path(models), name)
