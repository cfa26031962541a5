"""`POST /v1/models/{m}:probabilities` and `:classes`: the Classifier contract as JSON, or one picture."""

from __future__ import annotations

from typing import Any

import msgspec

from sigmax.errors import InvalidInput, UnsupportedMedia, quoted
from sigmax.inference import inputs
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.inference.inputs import Given
from sigmax.inference.results import Result, refuse_class_options, results
from sigmax.protocol.containers import MAX_PIXELS, recognised
from sigmax.protocol.options import DEFAULT, NAMES, Options, logits_included, parse
from sigmax.protocol.tabular import Rows
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.jsons import certain, media_type, read_bounded, read_images, refuse_unknown, says_json
from sigmax.rest.straight import Models
from sigmax.rest.templates import Templates

KEYS = ("rows", "columns", "images", "options")

PICTURES = ("image/png", "image/jpeg")
"""A body of these types is one picture, which says itself which of the two it is."""

_USUAL = (b"application/json", b"")


class Kept:
    """What requests of these verbs leave to those after them; without it, each is read and answered anew."""

    __slots__ = ("_readers", "templates")

    def __init__(self, readers: Models, templates: Templates) -> None:
        self._readers, self.templates = readers, templates

    def read(self, served: Served, body: Body, max_rows: int) -> Rows | None:
        """The rows of a body that holds named numbers and nothing else; None for any other."""
        if body.media_type not in _USUAL:
            return None
        reader = self._readers.named_rows(served)
        return None if reader is None else reader.read(body.content, max_rows)


class ProbabilitiesQuery:
    """The body of `:probabilities`."""

    __slots__ = ("_body", "_kept", "_max_pixels", "model", "version", "wants_logits")
    timeout: float | None = None

    def __init__(
        self, model: str, version: str, body: Body, max_pixels: int = MAX_PIXELS, kept: Kept | None = None
    ) -> None:
        self.model, self.version, self._body = model, version, body
        self._kept, self._max_pixels = kept, max_pixels
        self.wants_logits = False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read rows, columns or pictures."""
        if self._kept is not None:
            straight = self._kept.read(served, self._body, max_rows)
            if straight is not None:
                return straight
        given, options, doubt = _read(served, self._body, max_rows)
        refuse_class_options(options)
        self.wants_logits = logits_included(served.manifest, options)
        return certain(inputs.read(served, given, options, max_rows, self._max_pixels), doubt)

    def render(self, prediction: Prediction) -> Answer:
        """`{"model", "version", "classes", "probabilities"}`, and `ids` and `logits` where asked for."""
        usual = None if self._kept is None else self._kept.templates.find(prediction)
        if usual is not None:
            return Answer(usual.probabilities(prediction.probabilities))
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

    __slots__ = ("_body", "_kept", "_max_pixels", "_options", "model", "version", "wants_logits")
    timeout: float | None = None

    def __init__(
        self, model: str, version: str, body: Body, max_pixels: int = MAX_PIXELS, kept: Kept | None = None
    ) -> None:
        self.model, self.version, self._body = model, version, body
        self._kept, self._max_pixels = kept, max_pixels
        self._options, self.wants_logits = DEFAULT, False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read rows, columns or pictures."""
        if self._kept is not None:
            straight = self._kept.read(served, self._body, max_rows)
            if straight is not None:
                return straight
        given, self._options, doubt = _read(served, self._body, max_rows)
        self.wants_logits = logits_included(served.manifest, self._options)
        return certain(inputs.read(served, given, self._options, max_rows, self._max_pixels), doubt)

    def render(self, prediction: Prediction) -> Answer:
        """`{"model", "version", "results"}`, one result a row."""
        if self._kept is not None and self._options is DEFAULT:
            usual = self._kept.templates.find(prediction)
            if usual is not None:
                return Answer(usual.classes(prediction.probabilities))
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


def _read(served: Served, body: Body, max_rows: int) -> tuple[Given, Options, InvalidInput | None]:
    """What the body gives, and what to raise if nothing else in it is refused; a picture has no options."""
    kind = media_type(body.media_type)
    if kind in PICTURES:
        return Given(images=(body.content,)), DEFAULT, None
    if not says_json(kind):
        raise _unsupported(body.media_type)
    if recognised(body.content):
        raise InvalidInput(f"the body is a picture: say so with content-type {' or '.join(PICTURES)}")
    document, doubt = read_bounded(body.content, served.schema, max_rows)
    refuse_unknown(document, KEYS, NAMES)
    options = document.get("options")
    images = read_images(document.get("images"), max_rows)
    given = Given(document.get("rows"), document.get("columns"), images)
    return given, DEFAULT if options is None else parse(options), doubt


def _unsupported(content_type: bytes) -> UnsupportedMedia:
    given = quoted(content_type.decode("latin-1"))
    return UnsupportedMedia(
        f"content-type {given} is not read here: send JSON (application/json), "
        f"or one picture as it is ({' or '.join(PICTURES)})"
    )
