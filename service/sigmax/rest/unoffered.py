"""What to say of an address under `/v1/models/` that ends in a verb and is none of those that predict."""

from __future__ import annotations

import re

from sigmax.errors import InvalidInput, NotFound, SigmaxError, Unimplemented

_MODEL = r"/v1/models/[^/:]+"
_NAMED = (
    "/v1/models/{model}/versions/{version}/labels/{label}",
    "/v1/models/{model}/labels/{label}/versions/{version}",
)
BOTH = (*_NAMED, *(f"{path}/metadata" for path in _NAMED))
"""Addresses that name a version and a label of one model."""

_BOTH = re.compile(_MODEL + r"/(?:versions/[^/:]+/labels|labels/[^/:]+/versions)/[^/:]+:\w+")
_PLACES = {
    "infer": "/v2/models/{model}/infer",
    **{verb: f"/v1/models/{{model}}:{verb}" for verb in ("classes", "probabilities", "predict", "classify")},
}
_MISPLACED = re.compile(rf"/v[12]/models/[^/]+(?:/versions/[^/]+)?[/:]({'|'.join(_PLACES)})/?")
_NOT_HERE = {
    "regress": "these models are classifiers and have no regression: "
    "use :classify for every class with its score, or :predict",
    "explain": "no model here has explanations: :predict answers with probabilities and classes",
}


def refusal(path: str) -> SigmaxError:
    """Why such an address leads nowhere."""
    if _BOTH.fullmatch(path):
        return both()
    verb = path.rpartition(":")[2]
    if verb in _NOT_HERE and re.fullmatch(_MODEL + r"(?:/(?:versions|labels)/[^/:]+)?:\w+", path):
        return Unimplemented(f":{verb} is not offered: {_NOT_HERE[verb]}")
    text = "no such address: the verbs are :probabilities, :classes, :predict and :classify"
    return NotFound(text + remedy(path))


def remedy(path: str) -> str:
    """How to write an address whose verb is in the wrong place; empty for all others."""
    found = _MISPLACED.fullmatch(path)
    return f"; write {_PLACES[found[1]]}" if found else ""


def both() -> InvalidInput:
    """What to say of an address that names both."""
    return InvalidInput("the address names a version and a label: name one of the two")
