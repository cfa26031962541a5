"""`POST /v1/models/{m}:predict`: TensorFlow Serving's and KServe V1's request, in rows or in columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from sigmax.contract import Task
from sigmax.errors import InvalidInput, nearest
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.inference.open_inference import Output, outputs, wants_logits
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.protocol.parameters import Wanted
from sigmax.protocol.tabular import Rows
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.instances import from_inputs, from_instances
from sigmax.rest.jsons import certain, check_media, read_bounded
from sigmax.rest.signatures import CLASSES, OF_PREDICT, SERVING_DEFAULT, requested, signature_of
from sigmax.rest.straight import Models, Numbers
from sigmax.rest.templates import Templates

INSTANCES, INPUTS = "instances", "inputs"
ANSWERS = {INSTANCES: "predictions", INPUTS: "outputs"}
"""By the request's key the answer's."""

_HEAD = re.compile(
    rb"[ \t\n\r]*\{[ \t\n\r]*"
    rb'(?:"signature_name"[ \t\n\r]*:[ \t\n\r]*"(?P<signature>\w*)"[ \t\n\r]*,[ \t\n\r]*)?'
    rb'"(?P<key>instances|inputs)"[ \t\n\r]*:[ \t\n\r]*(?=\[)'
)
_SPACE = b" \t\n\r"
_NEAR = 16  # bytes behind the first bracket in which the second is looked for


class Straight:
    """A body that was read straight."""

    __slots__ = ("key", "rows", "signature")

    def __init__(self, rows: Rows, key: str, signature: str) -> None:
        self.rows, self.key, self.signature = rows, key, signature


class Kept:
    """What requests of this verb leave to those after them; without it, each is read and answered anew."""

    __slots__ = ("_named", "_numbers", "templates")

    def __init__(self, templates: Templates) -> None:
        self._named, self._numbers, self.templates = Models(INSTANCES), Numbers(), templates

    def read(self, served: Served, content: bytes, max_rows: int) -> Straight | None:
        """The rows of a body of numbers, in lists or by feature name; None for any other."""
        head = _HEAD.match(content)
        if head is None:
            return None
        signature = (head["signature"] or b"").decode() or SERVING_DEFAULT
        if signature not in OF_PREDICT:
            return None
        key, start, end = head["key"].decode(), head.end(), content.rfind(b"]") + 1
        if content[end:].strip(_SPACE) != b"}":
            return None
        rows = None
        if content[start + 1 : start + _NEAR].lstrip(_SPACE)[:1] == b"[":
            with suppress(InvalidInput):  # of pixels: the careful reader says where
                rows = self._numbers.rows(served.schema, content[start:end], max_rows)
        elif key == INSTANCES and head["signature"] is None:
            reader = self._named.named_rows(served)
            rows = None if reader is None else reader.read(content, max_rows)
        return None if rows is None else Straight(rows, key, signature)


class PredictQuery:
    """The body of `:predict`."""

    __slots__ = (
        "_body",
        "_kept",
        "_key",
        "_max_pixels",
        "_requested",
        "_signature",
        "model",
        "version",
        "wants_logits",
    )
    timeout: float | None = None

    def __init__(
        self, model: str, version: str, body: Body, max_pixels: int = MAX_PIXELS, kept: Kept | None = None
    ) -> None:
        self.model, self.version, self._body = model, version, body
        self._kept, self._max_pixels = kept, max_pixels
        self._key, self._signature = INSTANCES, SERVING_DEFAULT
        self._requested: Sequence[str] = ()
        self.wants_logits = False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read rows, columns or pictures."""
        check_media(self._body.media_type)
        content = self._body.content
        straight = None if self._kept is None else self._kept.read(served, content, max_rows)
        if straight is not None:
            self._understand(served, straight.key, straight.signature)
            return straight.rows
        document, doubt = read_bounded(content, served.schema, max_rows)
        key = _key(document)
        self._understand(served, key, signature_of(document, OF_PREDICT, "predict"))
        read = from_instances if key == INSTANCES else from_inputs
        sent = read(served, document[key], max_rows)
        return certain(sent.read(served, max_rows, self._max_pixels), doubt)

    def _understand(self, served: Served, key: str, signature: str) -> None:
        self._key, self._signature = key, signature
        self._requested = requested(served.manifest, signature)
        self.wants_logits = wants_logits(served.manifest, self._requested)

    def render(self, prediction: Prediction) -> Answer:
        """`{"predictions": …}`, one entry a row, or `{"outputs": …}`; one output has no name."""
        if self._kept is not None and self._signature == SERVING_DEFAULT:
            usual = self._kept.templates.find(prediction)
            if usual is not None:
                rows = self._key == INSTANCES
                said = usual.predictions if rows else usual.outputs
                return Answer(said(prediction.probabilities))
        found = outputs(prediction, tuple(map(Wanted, self._requested)))
        return Answer(msgspec.json.encode({ANSWERS[self._key]: self._values(prediction, found)}))

    def _values(self, prediction: Prediction, found: list[Output]) -> Any:
        if self._signature == CLASSES and prediction.served.manifest.task is Task.MULTILABEL:
            return _chosen(prediction.served.manifest.classes, found[0])
        values = {output.name: _plain(output) for output in found}
        if len(values) == 1:
            return values[found[0].name]
        if self._key == INPUTS:
            return values
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _key(document: dict[str, Any]) -> str:
    """Which of the two forms a request has."""
    given = [key for key in (INSTANCES, INPUTS) if key in document]
    if len(given) == 1:
        return given[0]
    if given:
        raise InvalidInput("both 'instances' and 'inputs' are there: send exactly one of them")
    meant = next((hint for key in document if (hint := nearest(key, ANSWERS))), "")
    if not {"rows", "columns", "images"}.isdisjoint(document):
        meant = "; 'rows', 'columns' and 'images' go to :classes or :probabilities"
    raise InvalidInput(f"neither 'instances' nor 'inputs' is there: send exactly one of them{meant}")


def _plain(output: Output) -> list[Any]:
    values: list[Any] = output.values if isinstance(output.values, list) else output.values.tolist()
    return values


def _chosen(classes: Sequence[str], flags: Output) -> list[list[str]]:
    """The labels of each row, from flags (n_samples, n_classes)."""
    return [[classes[column] for column in np.flatnonzero(row).tolist()] for row in flags.values]
