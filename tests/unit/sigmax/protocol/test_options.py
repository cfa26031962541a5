from __future__ import annotations

from typing import Any

import pytest
from tests.unit.sigmax.manifests import BANDED, BANDED_LABELS, BINARY, MULTICLASS, MULTILABEL, with_logits

from sigmax.contract import Manifest
from sigmax.errors import MAX_PROBLEMS, InvalidInput
from sigmax.protocol import options
from sigmax.protocol.options import Options


def test_what_is_left_out_is_the_default() -> None:
    assert options.parse({}) == options.parse({"top_k": None, "extra": "reject"}) == Options()


@pytest.mark.parametrize("threshold", [2, -0.1, float("nan"), float("inf"), 10**400, -(10**400), True, "0.5"])
def test_a_threshold_that_is_no_probability_is_refused(threshold: Any) -> None:
    with pytest.raises(InvalidInput, match="option 'threshold' is a number from 0 to 1, not"):
        options.parse({"threshold": threshold})


def test_a_million_unknown_options_cost_no_more_than_the_message_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[str] = []

    def nearest(name: str, known: object) -> str:
        searched.append(name)
        return ""

    monkeypatch.setattr(options, "nearest", nearest)

    with pytest.raises(InvalidInput, match=r"unknown option 'o0'; .*; and more$"):
        options.parse({f"o{number}": 1 for number in range(1_000_000)})

    assert len(searched) <= MAX_PROBLEMS + 1


@pytest.mark.parametrize(
    ("band", "expected"),
    [
        ([0.2, 0.8], (0.2, 0.8)),
        ([0, 1], (0.0, 1.0)),
        ({"x": [0.2, 0.8]}, {"x": (0.2, 0.8)}),
        ({}, {}),
    ],
)
def test_a_band_is_a_pair_or_pairs_by_label(band: Any, expected: Any) -> None:
    assert options.parse({"band": band}).band == expected


@pytest.mark.parametrize(
    "band",
    [0.5, [0.2], [0.2, 0.8, 0.9], [0.8, 0.2], [0.5, 0.5], [-0.1, 0.5], [0.5, 1.5], ["0.2", 0.8], [True, 1]],
)
def test_a_band_that_is_no_pair_of_probabilities_in_order_is_refused(band: Any) -> None:
    with pytest.raises(InvalidInput, match=r"option 'band' is \[low, high\], two numbers from 0 to 1"):
        options.parse({"band": band})
    with pytest.raises(InvalidInput, match=r"option 'band' of 'x' is \[low, high\]"):
        options.parse({"band": {"x": band}})


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("logits", "option 'include' is a list of texts, not the text 'logits'"),
        (["logit"], "option 'include': nothing is called 'logit', did you mean 'logits'?; there is logits"),
        (["explain"], "option 'include': nothing is called 'explain'; there is logits"),
        ([[1]], "option 'include': nothing is called '[1]'; there is logits"),
    ],
)
def test_what_cannot_be_included_is_refused(include: Any, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        options.parse({"include": include})

    assert str(refused.value) == expected


def test_logits_are_included_only_by_a_model_that_gives_them() -> None:
    asked = options.parse({"include": ["logits"]})

    assert options.logits_included(with_logits(BINARY), asked)
    assert not options.logits_included(with_logits(BINARY), Options())
    with pytest.raises(InvalidInput, match="model 'small' was published without logits; its job has to say"):
        options.logits_included(BINARY, asked)


def decided(manifest: Manifest, **given: Any) -> tuple[dict[str, float], dict[str, Any]]:
    decision = options.decision(manifest, options.parse(given))
    return dict(decision.thresholds), dict(decision.band)


def test_a_band_of_the_model_stands_while_its_threshold_does() -> None:
    assert decided(BANDED) == ({"yes": 0.5}, {"yes": (0.25, 0.75)})
    assert decided(BANDED, threshold=0.3) == ({"yes": 0.3}, {})
    assert decided(BANDED, threshold=0.3, band=[0.1, 0.3]) == ({"yes": 0.3}, {"yes": (0.1, 0.3)})
    assert decided(BANDED, band=[0.4, 0.6]) == ({"yes": 0.5}, {"yes": (0.4, 0.6)})


def test_labels_keep_their_bands_but_for_those_whose_threshold_or_band_the_caller_names() -> None:
    own = dict(BANDED_LABELS.decision.thresholds)

    assert decided(BANDED_LABELS, threshold={"x": 0.4}) == (own | {"x": 0.4}, {"z": (0.5, 1.0)})
    assert decided(BANDED_LABELS, threshold=0.4) == (dict.fromkeys("xyz", 0.4), {})
    assert decided(BANDED_LABELS, band={"y": [0.1, 0.3]})[1] == {
        "x": (0.25, 0.75),
        "y": (0.1, 0.3),
        "z": (0.5, 1.0),
    }
    assert decided(BANDED_LABELS, band=[0.0, 0.9])[1] == dict.fromkeys("xyz", (0.0, 0.9))


@pytest.mark.parametrize(
    ("manifest", "given", "expected"),
    [
        (BINARY, {"band": [0.6, 0.8]}, "option 'band': 0.6 to 0.8 does not lie around the threshold 0.5"),
        (
            BINARY,
            {"threshold": 0.9, "band": [0.4, 0.6]},
            "option 'band': 0.4 to 0.6 does not lie around the threshold 0.9",
        ),
        (
            MULTILABEL,
            {"band": [0.3, 0.6]},
            "option 'band' of 'y': 0.3 to 0.6 does not lie around the threshold 0.25; "
            "option 'band' of 'z': 0.3 to 0.6 does not lie around the threshold 0.75",
        ),
        (
            BINARY,
            {"band": {"yes": [0.4, 0.6]}},
            "option 'band': a binary model takes [low, high], not an object",
        ),
        (MULTILABEL, {"band": {"w": [0.4, 0.6]}}, "option 'band': unknown label 'w'"),
        (
            MULTICLASS,
            {"band": [0.4, 0.6]},
            "option 'band': a multiclass model has no threshold that a band could lie around",
        ),
    ],
)
def test_a_band_that_a_model_cannot_have_is_refused(manifest: Manifest, given: Any, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decided(manifest, **given)

    assert str(refused.value) == expected


def test_parameters_of_a_request_are_options_and_others_mean_nothing() -> None:
    assert options.from_parameters({"sequence_id": 7, "priority": 1}) is options.DEFAULT
    assert options.from_parameters({"threshold": 1, "other": "x"}) == Options(threshold=1)
    assert options.from_parameters({"band_low": 0.25, "band_high": 0.5}) == Options(band=(0.25, 0.5))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"threshold": "0.3"}, "parameter 'threshold' is a number from 0 to 1, not the text '0.3'"),
        ({"threshold": True}, "parameter 'threshold' is a number from 0 to 1, not the boolean true"),
        ({"threshold": 1.5}, "parameter 'threshold' is a number from 0 to 1, not the number 1.5"),
        (
            {"band_low": 0.3},
            "parameters 'band_low' and 'band_high' come together, 'band_low' below 'band_high'",
        ),
        (
            {"band_low": 0.3, "band_high": 0.3},
            "parameters 'band_low' and 'band_high' come together, 'band_low' below 'band_high'",
        ),
    ],
)
def test_parameters_that_cannot_be_options_are_refused(parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        options.from_parameters(parameters)

    assert str(refused.value) == expected
