"""What tritonclient offers beside a plain request, by each of its four clients: `make clients`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.clients.conftest import MODELS, Ask, Bundles, check_golden, part

pytestmark = pytest.mark.clients

WAYS = ("http", "http.aio", "grpc", "grpc.aio")
REST = WAYS[:2]
FORMS = [
    f"{way}, {into} in, {out} out"
    for way in REST
    for into in ("json", "binary")
    for out in ("json", "binary")
]


@pytest.fixture(scope="module")
def said(ask: Ask) -> Any:
    return ask("triton", "triton_extensions.py")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", FORMS)
def test_json_and_binary_go_in_and_out_in_every_pair(
    said: Any, bundles: Bundles, form: str, model: str
) -> None:
    answer = part(said, "forms")[form][model]

    assert answer["binary"] == form.endswith("binary out")
    check_golden(bundles[model], answer["probabilities"], answer["labels"])


@pytest.mark.parametrize("way", REST)
def test_every_coding_of_request_and_answer_gives_the_same_numbers(said: Any, way: str) -> None:
    answers = {key: value for key, value in part(said, "codings").items() if key.startswith(f"{way}, ")}

    expected = answers[f"{way}, None in, None out, binary"]
    assert len(answers) == 18
    assert all(answer == expected for answer in answers.values())


@pytest.mark.parametrize("way", WAYS)
def test_classification_names_the_most_probable_classes_of_each_row(
    said: Any, bundles: Bundles, way: str
) -> None:
    answer = part(said, "classification")[way]
    classes = bundles["iris"].manifest.classes

    for texts, row in zip(answer["classes"], answer["probabilities"], strict=True):
        order = sorted(range(len(classes)), key=lambda column: (-row[column], column))
        assert texts == [f"{row[column]:.6f}:{column}:{classes[column]}" for column in order]


@pytest.mark.parametrize("way", WAYS)
def test_statistics_count_what_was_asked(said: Any, way: str) -> None:
    (iris,) = part(said, "statistics")[way]["model_stats"]
    success = iris["inference_stats"]["success"]

    assert iris["name"] == "iris"
    assert int(success["count"]) > 0  # a message's integers of 64 bits come as texts
    assert int(success["ns"]) > 0
    assert int(iris["inference_count"]) >= int(iris["execution_count"]) > 0


@pytest.mark.parametrize("way", WAYS)
def test_the_configuration_names_inputs_and_outputs(said: Any, way: str) -> None:
    answer = part(said, "configuration")[way]
    config = answer.get("config", answer)

    assert config["name"] == "iris"
    assert [tensor["name"] for tensor in config["input"]] == ["features"]
    assert [tensor["name"] for tensor in config["output"]][:2] == ["probabilities", "label"]


@pytest.mark.parametrize("way", ["grpc", "grpc.aio"])
def test_a_stream_answers_in_order_and_goes_on_behind_a_wrong_request(
    said: Any, bundles: Bundles, way: str
) -> None:
    answers = part(said, "stream")[way]

    assert [answer.get("id") for answer in answers] == ["breast_cancer", "digits", None, *MODELS[2:]]
    assert "unknown model 'irs', did you mean 'iris'?" in answers[2]["error"]
    for answer in answers[:2] + answers[3:]:
        content = bundles[answer["id"]]
        given = np.array(answer["probabilities"])
        assert np.abs(given - content.golden.probabilities).max() <= content.manifest.tolerance


@pytest.mark.parametrize("way", WAYS)
def test_models_are_listed_unloaded_and_loaded(said: Any, way: str) -> None:
    answer = part(said, "repository")
    index = answer["before"][way]
    listed = index["models"] if isinstance(index, dict) else index

    assert {(model["name"], model["state"]) for model in listed} == {(name, "READY") for name in MODELS}
    assert answer[way] == {"unloaded": False, "loaded": True}


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_loaded_is_said_in_the_services_words(said: Any, way: str) -> None:
    answer = part(said, "errors")[way]

    assert "unknown model 'irs', did you mean 'iris'?" in answer["text"]
    assert answer["status"] in ("404", "StatusCode.NOT_FOUND")
