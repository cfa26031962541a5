from __future__ import annotations

import pytest

from sigmax.rest.unoffered import refusal, remedy


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models/iris/predict", "; write /v1/models/{model}:predict"),
        ("/v1/models/iris/versions/1/classes", "; write /v1/models/{model}:classes"),
        ("/v2/models/iris:predict", "; write /v1/models/{model}:predict"),
        ("/v2/models/iris/classify/", "; write /v1/models/{model}:classify"),
        ("/v1/models/iris/infer", "; write /v2/models/{model}/infer"),
        ("/v1/models/iris:infer", "; write /v2/models/{model}/infer"),
        ("/v1/models/iris/explain", ""),
        ("/v1/models/predict", ""),
        ("/predict", ""),
    ],
)
def test_a_verb_in_the_wrong_place_is_told_the_right_one(path: str, expected: str) -> None:
    assert remedy(path) == expected


def test_an_unknown_verb_is_told_the_verbs_and_infer_its_place() -> None:
    verbs = "no such address: the verbs are :probabilities, :classes, :predict and :classify"

    assert str(refusal("/v1/models/iris:Predict")) == verbs
    assert str(refusal("/v1/models/iris:infer")) == f"{verbs}; write /v2/models/{{model}}/infer"
