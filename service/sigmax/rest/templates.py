"""What all usual answers of a model have in common, encoded once: names, datatypes and labels.

The usual answer is that of a binary or multiclass model to a request without options. Its text is what
encoding the whole document would give; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import ref

import msgspec
import numpy.typing as npt

from sigmax.contract import OUTPUT, Task
from sigmax.inference.catalog import Served
from sigmax.inference.decision import Rule
from sigmax.inference.dispatch import Prediction
from sigmax.protocol.tensors import NAMES

_encode = msgspec.json.encode
_DOUBT = (b',"unsure":false', b',"unsure":true')


class Template:
    """The usual answers of one version."""

    __slots__ = (
        *("_chosen", "_classes", "_head", "_infer", "_labels", "_one_infer", "_one_label", "_probabilities"),
        *("_results", "_rule"),
    )

    def __init__(self, served: Served) -> None:
        self._rule = served.predictor.rule
        self._labels = [_encode(label) for label in served.manifest.classes]
        self._classes = _open({"model": served.name, "version": served.version}) + b',"results":['
        named = {"model": served.name, "version": served.version, "classes": served.manifest.classes}
        self._probabilities = _open(named) + b',"probabilities":'
        self._results = [b'{"label":' + label + b',"probability":' for label in self._labels]
        self._chosen = [b'],"label":' + label for label in self._labels]
        head = {"model_name": served.name, "model_version": served.version}
        first = {"name": OUTPUT, "datatype": NAMES[served.predictor.dtype]}
        self._head = _open(head)
        self._infer = self._head + b',"outputs":[' + _open(first) + b',"shape":['
        self._one_infer = self._infer + b'1,%d],"data":' % len(self._labels)
        self._one_label = [_label(1, label) for label in self._labels]

    def probabilities(self, probabilities: npt.NDArray[Any]) -> bytes:
        """The answer of `:probabilities`.

        Args:
            probabilities: (n_samples, n_classes).
        """
        return b"%b%b}" % (self._probabilities, _encode(probabilities.tolist()))

    def classes(self, probabilities: npt.NDArray[Any]) -> bytes:
        """The answer of `:classes`.

        Args:
            probabilities: (n_samples, n_classes).
        """
        if len(probabilities) == 1:
            return self._one_class(probabilities[0].tolist())
        chosen, unsure = _decided(self._rule, probabilities)
        rows = probabilities.tolist()
        best = [row[column] for row, column in zip(rows, chosen, strict=True)]
        said = [
            self._results[column] + text
            for column, text in zip(chosen, _encode(best)[1:-1].split(b","), strict=True)
        ]
        if unsure is not None:
            said = [text + _DOUBT[doubt] for text, doubt in zip(said, unsure, strict=True)]
        return self._classes + b"},".join(said) + b"}]}"

    def _one_class(self, row: list[float]) -> bytes:
        """The same of one row, as most requests have: no lists of one."""
        column = self._rule.choose_one(row)
        doubt = _DOUBT[self._rule.unsure_one(row)] if self._rule.banded else b""
        return b"%b%b%b%b}]}" % (self._classes, self._results[column], _encode(row[column]), doubt)

    def predictions(self, probabilities: npt.NDArray[Any]) -> bytes:
        """The answer of `:predict` to rows, with all outputs.

        Args:
            probabilities: (n_samples, n_classes).
        """
        chosen, unsure = _decided(self._rule, probabilities)
        rows = _encode(probabilities.tolist())[2:-2].split(b"],[")
        said = [row + self._chosen[column] for row, column in zip(rows, chosen, strict=True)]
        if unsure is not None:
            said = [text + _DOUBT[doubt] for text, doubt in zip(said, unsure, strict=True)]
        return b'{"predictions":[{"probabilities":[' + b'},{"probabilities":['.join(said) + b"}]}"

    def outputs(self, probabilities: npt.NDArray[Any]) -> bytes:
        """The answer of `:predict` to columns, with all outputs.

        Args:
            probabilities: (n_samples, n_classes).
        """
        chosen, unsure = _decided(self._rule, probabilities)
        labels = b",".join(map(self._labels.__getitem__, chosen))
        doubt = b"" if unsure is None else b',"unsure":' + _encode(unsure)
        numbers = _encode(probabilities.tolist())
        return b'{"outputs":{"probabilities":%b,"label":[%b]%b}}' % (numbers, labels, doubt)

    def infer(self, probabilities: npt.NDArray[Any], identity: str | None = None) -> bytes:
        """The response of the Open Inference Protocol with all outputs.

        Args:
            probabilities: (n_samples, n_classes).
            identity: the id of the request; None if it has none.
        """
        if identity is not None:
            return self._named(self.infer(probabilities), identity)
        if len(probabilities) == 1:
            return self._one_inferred(probabilities[0].tolist())
        chosen, unsure = _decided(self._rule, probabilities)
        count, width = probabilities.shape
        numbers = _encode(probabilities.ravel().tolist())
        labels = b",".join(map(self._labels.__getitem__, chosen))
        parts = (
            b'%b%d,%d],"data":%b},' % (self._infer, count, width, numbers),
            _label(count, labels),
            b"" if unsure is None else _unsure(unsure),
            b"]}",
        )
        return b"".join(parts)

    def probabilities_tensor(self, probabilities: npt.NDArray[Any], identity: str | None = None) -> bytes:
        """The same with the output `probabilities` alone."""
        numbers = _encode(probabilities.ravel().tolist())
        said = b'%b%d,%d],"data":%b}]}' % (self._infer, *probabilities.shape, numbers)
        return said if identity is None else self._named(said, identity)

    def _named(self, said: bytes, identity: str) -> bytes:
        """A response with the id of its request."""
        return b'%b,"id":%b%b' % (self._head, _encode(identity), said[len(self._head) :])

    def _one_inferred(self, row: list[float]) -> bytes:
        """The same of one row."""
        label = self._one_label[self._rule.choose_one(row)]
        doubt = _unsure([self._rule.unsure_one(row)]) if self._rule.banded else b""
        return b"%b%b},%b%b]}" % (self._one_infer, _encode(row), label, doubt)


class Templates:
    """The template of each model, kept while its version serves; it keeps no version alive."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, tuple[ref[Served], Template | None]] = {}

    def find(self, prediction: Prediction) -> Template | None:
        """The template for a prediction without options; None if its answer is not the usual one."""
        served = prediction.served
        if prediction.ids is not None or prediction.logits is not None:
            return None
        kept = self._kept.get(served.name)
        if kept is None or kept[0]() is not served:
            usual = served.manifest.task is not Task.MULTILABEL
            kept = self._kept[served.name] = (ref(served), Template(served) if usual else None)
        return kept[1]


def _open(document: Mapping[str, Sequence[str]]) -> bytes:
    """A JSON object that goes on."""
    return _encode(document)[:-1]


def _label(count: int, labels: bytes) -> bytes:
    return b'{"name":"label","datatype":"BYTES","shape":[%d],"data":[%b]}' % (count, labels)


def _unsure(flags: list[bool]) -> bytes:
    return b',{"name":"unsure","datatype":"BOOL","shape":[%d],"data":%b}' % (len(flags), _encode(flags))


def _decided(rule: Rule, probabilities: npt.NDArray[Any]) -> tuple[Sequence[int], list[bool] | None]:
    """Of each row the chosen column, and whether it is unsure where that can be."""
    if len(probabilities) == 1:
        row = probabilities[0].tolist()
        return (rule.choose_one(row),), [rule.unsure_one(row)] if rule.banded else None
    flags = rule.unsure(probabilities).tolist() if rule.banded else None
    return rule.choose(probabilities).tolist(), flags
