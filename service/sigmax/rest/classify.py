"""`POST /v1/models/{m}:classify`: TensorFlow Serving's examples in, every class with its score out."""

from __future__ import annotations

import msgspec

from sigmax.errors import InvalidInput, nearest
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.protocol.tabular import Rows
from sigmax.rest.asgi import Answer, Body
from sigmax.rest.instances import from_examples
from sigmax.rest.jsons import certain, check_media, read_bounded
from sigmax.rest.signatures import OF_CLASSIFY, signature_of
from sigmax.rest.straight import Models

EXAMPLES, CONTEXT = "examples", "context"


class ClassifyQuery:
    """The body of `:classify`."""

    __slots__ = ("_body", "_kept", "_max_pixels", "model", "version")
    wants_logits = False
    timeout: float | None = None

    def __init__(
        self, model: str, version: str, body: Body, max_pixels: int = MAX_PIXELS, kept: Models | None = None
    ) -> None:
        self.model, self.version, self._body = model, version, body
        self._kept, self._max_pixels = kept, max_pixels

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read the examples."""
        check_media(self._body.media_type)
        reader = None if self._kept is None else self._kept.named_rows(served)
        straight = None if reader is None else reader.read(self._body.content, max_rows)
        if straight is not None:
            return straight
        document, doubt = read_bounded(self._body.content, served.schema, max_rows)
        signature_of(document, OF_CLASSIFY, "classify")
        if EXAMPLES not in document:
            meant = next((hint for key in document if (hint := nearest(key, (EXAMPLES,)))), "")
            raise InvalidInput(f"'examples' is missing: send a list of objects by feature name{meant}")
        sent = from_examples(served, document[EXAMPLES], document.get(CONTEXT), max_rows)
        return certain(sent.read(served, max_rows, self._max_pixels), doubt)

    def render(self, prediction: Prediction) -> Answer:
        """`{"results": [[[label, score], …], …]}`: all classes in column order, for every example."""
        classes = prediction.served.manifest.classes
        results = [list(zip(classes, row, strict=True)) for row in prediction.probabilities.tolist()]
        return Answer(msgspec.json.encode({"results": results}))
