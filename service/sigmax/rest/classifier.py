"""`POST /v1/models/{m}:probabilities` and `:classes`: the Classifier contract as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.inference.results import Result, refuse_class_options, results
from sigmax.protocol.options import DEFAULT, NAMES, Options, logits_included, parse
from sigmax.protocol.request import read_rows
from sigmax.protocol.tabular import Rows
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.jsons import read_object, refuse_unknown

KEYS = ("rows", "columns", "options")


class ProbabilitiesQuery:
    """The body of `:probabilities`."""

    __slots__ = ("_body", "model", "version", "wants_logits")

    def __init__(self, model: str, version: str, body: Body) -> None:
        self.model, self.version, self._body = model, version, body.content
        self.wants_logits = False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read rows or columns."""
        document, options, doubt = _read(self._body)
        refuse_class_options(options)
        self.wants_logits = logits_included(served.manifest, options)
        rows, columns = document.get("rows"), document.get("columns")
        return _certain(read_rows(served.schema, rows, columns, options, max_rows), doubt)

    def render(self, prediction: Prediction) -> Answer:
        """`{"model", "version", "classes", "probabilities"}`, and `ids` and `logits` where asked for."""
        served = prediction.served
        document = {
            "model": served.name,
            "version": served.version,
            "classes": served.manifest.classes,
            "probabilities": prediction.probabilities.tolist(),
        }
        if prediction.ids is not None:
            document["ids"] = prediction.ids
        if prediction.logits is not None:
            document["logits"] = prediction.logits.tolist()
        return Answer(msgspec.json.encode(document))


class ClassesQuery:
    """The body of `:classes`."""

    __slots__ = ("_body", "_options", "model", "version", "wants_logits")

    def __init__(self, model: str, version: str, body: Body) -> None:
        self.model, self.version, self._body = model, version, body.content
        self._options, self.wants_logits = DEFAULT, False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read rows or columns."""
        document, self._options, doubt = _read(self._body)
        self.wants_logits = logits_included(served.manifest, self._options)
        rows, columns = document.get("rows"), document.get("columns")
        return _certain(read_rows(served.schema, rows, columns, self._options, max_rows), doubt)

    def render(self, prediction: Prediction) -> Answer:
        """`{"model", "version", "results"}`, one result a row."""
        served = prediction.served
        rows = [rendered(result) for result in results(prediction, self._options)]
        for row, identity in zip(rows, prediction.ids or (), strict=False):
            row["id"] = identity
        return Answer(msgspec.json.encode({"model": served.name, "version": served.version, "results": rows}))


def rendered(result: Result) -> dict[str, Any]:
    """A result as JSON values: only what it holds."""
    row: dict[str, Any] = {}
    if result.label is not None:
        row["label"] = result.label
        row["probability"] = result.probability
    else:
        row["labels"] = result.labels
    if result.probabilities is not None:
        row["probabilities"] = result.probabilities
    if result.unsure is not None:
        row["unsure"] = result.unsure
    if result.unsure_labels is not None:
        row["unsure_labels"] = result.unsure_labels
    if result.logits is not None:
        row["logits"] = result.logits
    return row


def _read(body: bytes) -> tuple[dict[str, Any], Options, InvalidInput | None]:
    document, doubt = read_object(body)
    refuse_unknown(document, KEYS, NAMES)
    options = document.get("options")
    return document, DEFAULT if options is None else parse(options), doubt


def _certain(rows: Rows, doubt: InvalidInput | None) -> Rows:
    if doubt is not None:
        raise doubt
    return rows
