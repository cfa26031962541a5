"""The original file run by ONNX Runtime as it is: what an import is proved against.

Beside the service's own engine this is the only place that runs a graph: the engine takes nothing but what
the contract knows, and the original is what came before that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from sigmax.errors import InvalidInput
from sigmax_training.data.dataset import F64
from sigmax_training.foreign.opened import Opened

_FATAL_ONLY = 4
_PATH = re.compile(r"(?:/[^\s/:'\"]+){2,}/?")


@dataclass(frozen=True, slots=True)
class Picture:
    """How the row of a picture, pixels in the order CHW, becomes the input of the original.

    Attributes:
        shape: channels, height, width.
        last: the original has its channels last.
        scale: what every pixel is multiplied by.
    """

    shape: tuple[int, int, int]
    last: bool
    scale: float


class Original:
    """The session of an original file.

    Args:
        opened: the file.
        picture: how rows become pictures; None for rows of numbers.

    Raises:
        InvalidInput: ONNX Runtime does not load it.
    """

    def __init__(self, opened: Opened, picture: Picture | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        self._opened = opened
        self._picture = picture
        self._type = np.dtype(opened.dtype.value)
        try:
            self._session = onnxruntime.InferenceSession(
                opened.content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own classes share no root but Exception
            raise InvalidInput(f"ONNX Runtime does not load the file: {_first_line(error)}") from error

    def table(self, rows: npt.NDArray[Any]) -> F64:
        """What the chosen output says of rows (n_samples, n_features), float64 (n_samples, n_columns)."""
        parts = [_table(part) for part in self._run(self._opened.output, rows)]
        return np.concatenate(parts)[: len(rows)]

    def labels(self, rows: npt.NDArray[Any]) -> list[Any]:
        """What the label output says of rows."""
        parts = [np.asarray(part).ravel().tolist() for part in self._run(self._opened.label, rows)]
        return [label for part in parts for label in part][: len(rows)]

    def _run(self, output: str, rows: npt.NDArray[Any]) -> list[Any]:
        """The raw values of an output, one a call; the last one is filled up where the batch is fixed."""
        size = self._opened.batch or max(len(rows), 1)
        found = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            part = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            try:
                found.append(self._session.run([output], self._feed(part))[0])
            except Exception as error:  # see above
                raise InvalidInput(
                    f"the original fails on rows {start} and on: {_first_line(error)}"
                ) from error
        return found

    def _feed(self, rows: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(rows, self._type)
        names = self._opened.inputs
        if len(names) > 1:
            return {name: np.ascontiguousarray(numbers[:, [index]]) for index, name in enumerate(names)}
        if self._picture is None:
            return {names[0]: numbers}
        pictures = numbers.reshape(-1, *self._picture.shape)
        if self._picture.last:
            pictures = pictures.transpose(0, 2, 3, 1)
        return {names[0]: np.ascontiguousarray(pictures * self._type.type(self._picture.scale))}


def _table(value: Any) -> F64:
    """Columns of numbers, whether they came as a tensor or as one dictionary a row."""
    if isinstance(value, list):
        return np.array([list(row.values()) for row in value], np.float64)
    array = np.asarray(value, np.float64)
    return array[:, np.newaxis] if array.ndim == 1 else array.reshape(len(array), -1)


def _first_line(error: Exception) -> str:
    """What ONNX Runtime says, without the paths that it may name."""
    return _PATH.sub("…", (str(error).splitlines() or ["no reason given"])[0])[:200]
