"""What to say of an address under `/v1/models/` that ends in a verb and is none of those that predict."""

from __future__ import annotations

import re

from sigmax.errors import InvalidInput, NotFound, SigmaxError, Unimplemented

_MODEL = r"/v1/models/[^/:]+"
_BOTH = re.compile(
    _MODEL + r"(?:/versions/[^/:]+/labels/[^/:]+|/labels/[^/:]+/versions/[^/:]+)(?:/metadata|:.*)?", re.DOTALL
)
_NOT_HERE = {
    "regress": "these models are classifiers and have no regression: "
    "use :classify for every class with its score, or :predict",
    "explain": "no model here has explanations: :predict answers with probabilities and classes",
}


def refusal(path: str) -> SigmaxError:
    """Why such an address leads nowhere."""
    if names_both(path):
        return InvalidInput("a version and a label are named: name one of the two")
    verb = path.rpartition(":")[2]
    if verb in _NOT_HERE and re.fullmatch(_MODEL + r"(?:/(?:versions|labels)/[^/:]+)?:\w+", path):
        return Unimplemented(f":{verb} is not offered: {_NOT_HERE[verb]}")
    return NotFound("no such address: the verbs are :probabilities, :classes, :predict and :classify")


def names_both(path: str) -> bool:
    """Whether an address names a version and a label of one model."""
    return _BOTH.fullmatch(path) is not None
