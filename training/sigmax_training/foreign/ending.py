"""How an ONNX graph ends: probabilities already, or logits that lack a sigmoid or a softmax.

The last operator says so, else rows do: probabilities of classes are in [0, 1] and sum to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import onnx

from sigmax.contract import Head, Task
from sigmax.errors import InvalidInput
from sigmax_training.data.dataset import F64
from sigmax_training.foreign.opened import attribute, producers
from sigmax_training.heads import Output, probabilities, sigmoid

_PASSING = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout")
_HEADS = ("Sigmoid", "Softmax", "LogSoftmax")
_LOGITS = ("Gemm", "MatMul", "Add", "Sub", "Mul", "Conv", "BatchNormalization", "Relu", "LinearRegressor")
_ROUNDING = 1e-4
"""How far probabilities in float32 may leave [0, 1], and their sum 1."""


class Wanted(StrEnum):
    """What a person says of the last layer."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    ONE_VS_REST = "one_vs_rest"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Ending:
    """What is asked of the graph and what is put behind it.

    Attributes:
        task: of the published model.
        head: of the published model.
        added: the operator to put behind the graph; empty if none.
        doubled: the one column is completed to two.
        notices: what was concluded from rows, and what looks wrong.
    """

    task: Task
    head: Head
    added: str = ""
    doubled: bool = False
    notices: tuple[str, ...] = ()

    def completed(self, table: F64) -> F64:
        """What the completed graph should say where the original says (n_samples, n_columns)."""
        if self.doubled:
            columns = np.concatenate([-table, table] if self.added else [1.0 - table, table], axis=1)
            return sigmoid(columns) if self.added else columns
        if self.added:
            return sigmoid(table) if self.added == "Sigmoid" else probabilities(Output.SOFTMAX, table)
        return table


def find(graph: onnx.GraphProto, source: str, table: F64, wanted: Wanted | None) -> Ending:
    """Decide what a graph's output is.

    Args:
        graph: the original.
        source: the value that is taken for the probabilities.
        table: what it is for some rows, (n_samples, n_columns).
        wanted: what a person says of it.

    Raises:
        InvalidInput: what the person says contradicts the graph.
    """
    heads = _heads(graph, source)
    if not np.isfinite(table).all():
        raise InvalidInput(
            "the original answers with numbers that are not finite: it cannot be proved on these rows"
        )
    if table.shape[1] == 1:
        ending = _one_column(heads, table, wanted, _last(graph, source))
    else:
        ending = _several(heads[:1], table, wanted)
    if len(heads) > 1 and heads[:2] != ["Softmax", "LogSoftmax"]:
        warned = (
            f"the graph ends in {heads[0]} after {heads[1]}: its probabilities are squeezed towards each "
            "other; usually one of the two was meant"
        )
        return replace(ending, notices=(*ending.notices, warned))
    return ending


def _one_column(heads: list[str], table: F64, wanted: Wanted | None, last: str) -> Ending:
    """One number a row: of the second of two classes."""
    if wanted in (Wanted.SOFTMAX, Wanted.ONE_VS_REST):
        raise InvalidInput(
            f"--head {wanted}: the graph has one output column, a softmax of which is always 1"
        )
    inside = _inside(table)
    if heads[:1] == ["Sigmoid"] or wanted is Wanted.NONE:
        if not inside:
            raise InvalidInput("--head none: the graph's numbers leave [0, 1], so they are no probabilities")
        return Ending(Task.BINARY, Head.SIGMOID, doubled=True)
    logits = wanted is Wanted.SIGMOID or last in _LOGITS or not inside
    if logits:
        said = (
            ()
            if wanted
            else (f"the graph ends in {last or 'logits'}: a sigmoid is put behind it (--head sigmoid)",)
        )
        return Ending(Task.BINARY, Head.SIGMOID, "Sigmoid", True, said)
    said = (f"the graph ends in {last}, in [0, 1] on the rows asked: taken for probabilities (--head none)",)
    return Ending(Task.BINARY, Head.SIGMOID, doubled=True, notices=said)


def _several(heads: list[str], table: F64, wanted: Wanted | None) -> Ending:
    inside = _inside(table)
    sums = inside and bool((np.abs(table.sum(axis=1) - 1.0) <= _ROUNDING).all())
    one = Task.BINARY if table.shape[1] == 2 else Task.MULTICLASS
    if sums and wanted in (None, Wanted.NONE, Wanted.SOFTMAX):
        return Ending(one, Head.SIGMOID if heads == ["Sigmoid"] and one is Task.BINARY else Head.SOFTMAX)
    if heads == ["Softmax"] and not sums:
        raise InvalidInput(
            "the graph ends in Softmax, but rows do not sum to 1: its axis is not that of the classes"
        )
    if wanted is None:
        return _guessed(heads, one, inside=inside)
    if wanted is Wanted.SOFTMAX:
        if heads == ["Sigmoid"]:
            raise InvalidInput(
                "--head softmax: the graph ends in Sigmoid already, a softmax of which is no probability"
            )
        return Ending(one, Head.SOFTMAX, "Softmax")
    if wanted is Wanted.SIGMOID:
        return _sigmoids(heads, one, sums=sums)
    if not inside and wanted is Wanted.NONE:
        raise InvalidInput("--head none: the graph's numbers leave [0, 1], so they are no probabilities")
    if wanted is Wanted.NONE:
        return Ending(Task.MULTILABEL, Head.SIGMOID)
    if one is Task.BINARY:
        raise InvalidInput("--head one_vs_rest is for three classes or more; say sigmoid or softmax")
    said = ("one against the rest: the probabilities of a row need not sum to 1, the highest decides",)
    return Ending(one, Head.ONE_VS_REST, "" if inside else "Sigmoid", notices=said)


def _guessed(heads: list[str], one: Task, *, inside: bool) -> Ending:
    if heads == ["Sigmoid"] and inside:
        said = (
            "the graph ends in Sigmoid and rows do not sum to 1: each class is decided on its own, any "
            "number of them may be chosen (--head one_vs_rest chooses the highest)",
        )
        return Ending(Task.MULTILABEL, Head.SIGMOID, notices=said)
    said = (
        "the graph's rows are no probabilities but logits: a softmax is put behind it (or --head says what)",
    )
    return Ending(one, Head.SOFTMAX, "Softmax", notices=said)


def _sigmoids(heads: list[str], one: Task, *, sums: bool) -> Ending:
    if sums and heads != ["Sigmoid"]:
        raise InvalidInput(
            "--head sigmoid: the graph's rows sum to 1 already, a sigmoid of which is no probability"
        )
    if sums and one is Task.BINARY:
        return Ending(Task.BINARY, Head.SIGMOID)
    return Ending(Task.MULTILABEL, Head.SIGMOID, "" if heads == ["Sigmoid"] else "Sigmoid")


def _heads(graph: onnx.GraphProto, source: str) -> list[str]:
    """The activations at the end, the last one first, while nothing else stands between them."""
    made_by, found = producers(graph), []
    node = _behind(made_by, source)
    while node is not None and (head := _head_of(node)):
        found.append(head)
        node = _behind(made_by, node.input[0]) if node.op_type in _HEADS else None
    return found


def _head_of(node: onnx.NodeProto) -> str:
    if node.op_type in _HEADS:
        return str(node.op_type)
    transform = attribute(node, "post_transform")
    return {b"LOGISTIC": "Sigmoid", b"SOFTMAX": "Softmax"}.get(transform, "") if transform else ""


def _last(graph: onnx.GraphProto, source: str) -> str:
    node = _behind(producers(graph), source)
    return "" if node is None else str(node.op_type)


def _behind(made_by: dict[str, onnx.NodeProto], name: str) -> onnx.NodeProto | None:
    """The node that a value comes from, nodes that leave numbers as they are passed over."""
    node = made_by.get(name)
    while node is not None and node.op_type in _PASSING:
        node = made_by.get(node.input[0])
    return node


def _inside(table: F64) -> bool:
    return bool(((table >= -_ROUNDING) & (table <= 1.0 + _ROUNDING)).all())
