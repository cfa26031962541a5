"""Answers of the Classifier to requests without options, written without message classes.

What all answers of a version have in common is serialised once; between it stand the numbers, 8 bytes each. A
test holds every answer to what the message classes write.
"""

from __future__ import annotations

import struct
from typing import Protocol

import numpy as np

from sigmax.contract import Task
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.rpc.varint import varint
from sigmax.wire import classifier_pb2 as pb

_RESULT = b"\x1a"  # PredictClassesResponse.results: field 3, length-delimited
_PROBABILITY = b"\x19"  # Result.probability: field 3, 8 bytes
_UNSURE = (b"\x30\x00", b"\x30\x01")  # Result.unsure: field 6, false and true
_DISTRIBUTION = b"\x22"  # PredictProbabilitiesResponse.probabilities: field 4, length-delimited
_VALUES = b"\x0a"  # Distribution.values: field 1, length-delimited
_WIDTH = 8

_packed = struct.Struct("<d").pack


class Frame(Protocol):
    """What the answers of one version have in common."""

    def filled(self, prediction: Prediction) -> bytes | None:
        """The answer of a prediction; None if the frame does not fit it."""
        ...


class Classes:
    """`PredictClassesResponse` of a binary or multiclass model."""

    __slots__ = ("_head", "_results")

    def __init__(self, served: Served) -> None:
        self._head = pb.PredictClassesResponse(model=served.name, version=served.version).SerializeToString()
        more = _WIDTH + len(_PROBABILITY) + len(_UNSURE[0]) * served.predictor.rule.banded
        labels = [pb.Result(label=label).SerializeToString() for label in served.predictor.manifest.classes]
        self._results = tuple(
            [_RESULT + varint(len(label) + more) + label + _PROBABILITY for label in labels]
        )

    def filled(self, prediction: Prediction) -> bytes | None:
        """The answer of a prediction; None if a probability is 0, which is not written."""
        probabilities, rule = prediction.probabilities, prediction.served.predictor.rule
        if len(probabilities) > 1:
            return self._many(prediction)
        row = probabilities.tolist()[0]
        column = rule.choose_one(row)
        if not row[column]:
            return None
        doubt = _UNSURE[rule.unsure_one(row)] if rule.banded else b""
        return b"".join((self._head, self._results[column], _packed(row[column]), doubt))

    def _many(self, prediction: Prediction) -> bytes | None:
        probabilities, rule = prediction.probabilities, prediction.served.predictor.rule
        chosen = rule.choose(probabilities)
        best = probabilities[np.arange(len(chosen)), chosen].astype("<f8")
        if not best.all():
            return None
        numbers, doubts = best.tobytes(), [b""] * len(chosen)
        if rule.banded:
            doubts = [_UNSURE[unsure] for unsure in rule.unsure(probabilities).tolist()]
        parts = [self._head]
        for row, column in enumerate(chosen.tolist()):
            parts += (self._results[column], numbers[row * _WIDTH : (row + 1) * _WIDTH], doubts[row])
        return b"".join(parts)


class Probabilities:
    """`PredictProbabilitiesResponse` of any model."""

    __slots__ = ("_head", "_row", "_width")

    def __init__(self, served: Served) -> None:
        classes = served.predictor.manifest.classes
        head = pb.PredictProbabilitiesResponse(model=served.name, version=served.version, classes=classes)
        self._head = head.SerializeToString()
        self._width = _WIDTH * len(classes)
        values = _VALUES + varint(self._width)
        self._row = _DISTRIBUTION + varint(len(values) + self._width) + values

    def filled(self, prediction: Prediction) -> bytes:
        """The answer of a prediction."""
        numbers, width = prediction.probabilities.astype("<f8", copy=False).tobytes(), self._width
        if len(numbers) == width:
            return b"".join((self._head, self._row, numbers))
        rows = [numbers[start : start + width] for start in range(0, len(numbers), width)]
        return self._head + self._row + self._row.join(rows)


def classes_frame(served: Served) -> Frame | None:
    """What the answers of `PredictClasses` have in common; None of a multilabel model, whose labels vary."""
    return None if served.predictor.manifest.task is Task.MULTILABEL else Classes(served)


def probabilities_frame(served: Served) -> Frame:
    """What the answers of `PredictProbabilities` have in common."""
    return Probabilities(served)
