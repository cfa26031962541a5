"""`:predict` and `:classify`: every form says what `:probabilities` says, straight or with care."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import pictures
from tests.unit.sigmax import mixed
from tests.unit.sigmax.manifests import BANDED, BANDED_LABELS, BINARY, MULTICLASS, MULTILABEL, with_logits
from tests.unit.sigmax.rest.test_straight import (
    CELL,
    FLOAT32,
    MANIFESTS,
    MAX_ROWS,
    PIXELS,
    SPACE,
    USUAL,
    Witness,
    asking,
    renamed,
)

from sigmax.contract import Manifest
from sigmax.errors import InvalidInput, SigmaxError
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema
from sigmax.rest import signatures
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ProbabilitiesQuery
from sigmax.rest.classify import EXAMPLES, ClassifyQuery
from sigmax.rest.predict import Kept, PredictQuery
from sigmax.rest.straight import Models
from sigmax.rest.templates import Templates
from sigmax.telemetry.metrics import Metrics

Ask = Callable[[Any, Any], Any]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A body of `:predict` with rows in lists or by name, most of them right."""
    cell = draw(st.sampled_from([USUAL, USUAL, CELL]))
    count = draw(st.integers(0, MAX_ROWS + 1))
    form = draw(st.sampled_from(["lists", "lists", "lists", "named", "tensors", "mixed", "flat"]))
    rows = []
    for place in range(count):
        width = draw(st.sampled_from([2, 2, 2, 2, 1, 3]))
        cells = ", ".join(draw(cell) for _ in range(width))
        one = f"[{cells}]"
        if form == "named" or (form == "mixed" and place % 2):
            names = draw(st.sampled_from([["a", "b"], ["a", "b"], ["b", "a"], ["a"], ["a", "b", "a"]]))
            one = "{" + ", ".join(f'"{name}": {draw(cell)}' for name in names) + "}"
        elif form == "tensors":
            one = f'{{"features": {one}}}'
        rows.append(cells if form == "flat" else one)
    key = draw(st.sampled_from(["instances", "instances", "inputs", "rows"]))
    before = draw(
        st.sampled_from(
            ["", "", *(f'"signature_name": "{name}", ' for name in (*signatures.OF_PREDICT, "x", ""))]
        )
    )
    behind = draw(
        st.sampled_from(
            ["", "", "", ', "more": [1]', f', "{key}": [[1, 2]]', ', "inputs": [[3, 4]]', "]", ","]
        )
    )
    space = draw(SPACE)
    text = f'{{{space}{before}"{key}":{space}[{space}{", ".join(rows)}{space}]{behind}{space}}}{draw(SPACE)}'
    return text.encode()


@pytest.mark.parametrize("name", [*MANIFESTS, "logits", "banded"])
@given(body=bodies())
def test_a_body_is_read_straight_as_it_is_with_care(name: str, body: bytes) -> None:
    further = {"logits": with_logits(MULTICLASS), "banded": BANDED}
    ask = asking((MANIFESTS | further)[name])

    assert ask(partial(PredictQuery, kept=Kept(Templates())), body) == ask(PredictQuery, body)


@given(body=bodies())
def test_examples_are_read_straight_as_they_are_with_care(body: bytes) -> None:
    ask, body = asking(BINARY), body.replace(b'"instances"', b'"examples"')

    assert ask(partial(ClassifyQuery, kept=Models(EXAMPLES)), body) == ask(ClassifyQuery, body)


@pytest.mark.parametrize("name", ["float64", "float32"])
@given(rows=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=MAX_ROWS))
def test_every_form_asks_and_says_what_probabilities_does_to_the_bit(
    name: str, rows: list[list[float]]
) -> None:
    ask = asking(MANIFESTS[name])
    asked, answer = answered(ask(ProbabilitiesQuery, encoded(rows=rows)))
    expected = answer["probabilities"]
    named = [dict(zip("ab", row, strict=True)) for row in rows]
    columns = dict(zip("ab", zip(*rows, strict=True), strict=True))
    forms: list[dict[str, Any]] = [
        {"instances": rows},
        {"instances": [{"features": row} for row in rows]},
        {"instances": named},
        {"inputs": rows},
        {"inputs": {"features": rows}},
        {"inputs": columns},
    ]

    for form in forms:
        for query in (PredictQuery, partial(PredictQuery, kept=Kept(Templates()))):
            features, answer = answered(ask(query, encoded(**form)))
            assert (features, probabilities(answer)) == (asked, expected)
    features, answer = answered(ask(ClassifyQuery, encoded(examples=named)))
    assert (features, probabilities(answer)) == (asked, expected)


def answered(said: tuple[bytes, bytes] | str) -> tuple[bytes, dict[str, Any]]:
    """What the model was asked, and the answer."""
    assert not isinstance(said, str), said
    return said[0], json.loads(said[1])


def encoded(**document: Any) -> bytes:
    return json.dumps(document).encode()


def probabilities(answer: dict[str, Any]) -> Any:
    match answer:
        case {"predictions": rows}:
            return [row["probabilities"] for row in rows]
        case {"outputs": outputs}:
            return outputs["probabilities"]
        case _:
            return [[score for _, score in row] for row in answer["results"]]


@pytest.mark.parametrize(
    "manifest",
    [BINARY, FLOAT32, BANDED, MULTICLASS, MULTILABEL, BANDED_LABELS, with_logits(BINARY)],
    ids=["binary", "float32", "banded", "multiclass", "multilabel", "banded labels", "logits"],
)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("key", ["instances", "inputs"])
@pytest.mark.parametrize("signature", signatures.OF_PREDICT)
def test_an_answer_of_a_template_is_the_text_of_the_whole_document(
    manifest: Manifest, count: int, key: str, signature: str
) -> None:
    ask = asking(renamed(manifest))
    body = encoded(signature_name=signature, **{key: [[1.0, 2.0]] * count})

    straight = ask(partial(PredictQuery, kept=Kept(Templates())), body)

    assert straight == ask(PredictQuery, body)
    assert not isinstance(straight, str)


def said(manifest: Manifest, **document: Any) -> Any:
    return answered(asking(manifest)(PredictQuery, encoded(**document)))[1]


ROW = [[1.0, 2.0]]
HALVES = [1 / 3, 2 / 3]
THIRDS = [1 / 6, 1 / 3, 1 / 2]


def test_several_outputs_are_objects_by_name_and_one_is_bare() -> None:
    assert said(BINARY, instances=ROW) == {
        "predictions": [{"probabilities": pytest.approx(HALVES), "label": "yes"}]
    }
    assert said(BINARY, inputs=ROW) == {
        "outputs": {"probabilities": [pytest.approx(HALVES)], "label": ["yes"]}
    }
    assert said(BINARY, instances=ROW, signature_name="probabilities") == {
        "predictions": [pytest.approx(HALVES)]
    }
    assert said(BINARY, instances=ROW, signature_name="classes") == {"predictions": ["yes"]}
    assert said(BINARY, inputs=ROW, signature_name="classes") == {"outputs": ["yes"]}


def test_a_multilabel_model_has_a_flag_a_label_and_under_classes_the_chosen_ones() -> None:
    assert said(MULTILABEL, instances=ROW) == {
        "predictions": [{"probabilities": pytest.approx(THIRDS), "labels": [False, True, False]}]
    }
    assert said(MULTILABEL, instances=ROW, signature_name="classes") == {"predictions": [["y"]]}


def test_bands_and_logits_are_outputs_too() -> None:
    (row,) = said(BANDED, instances=ROW)["predictions"]
    assert list(row) == ["probabilities", "label", "unsure"]
    (row,) = said(with_logits(BINARY), instances=ROW)["predictions"]
    assert row["logits"] == pytest.approx([-share for share in HALVES])
    assert said(with_logits(BINARY), instances=ROW, signature_name="probabilities") == {
        "predictions": [pytest.approx(HALVES)]
    }


def test_classify_names_every_class_in_column_order_with_its_own_probability() -> None:
    for manifest, shares in ((BINARY, HALVES), (MULTICLASS, THIRDS), (MULTILABEL, THIRDS)):
        _, answer = answered(asking(manifest)(ClassifyQuery, encoded(examples=[{"a": 1, "b": [2]}])))
        pairs = zip(manifest.classes, map(pytest.approx, shares), strict=True)
        assert answer == {"results": [[list(pair) for pair in pairs]]}


def test_what_examples_share_stands_in_their_context() -> None:
    ask = asking(BINARY)
    shared = encoded(context={"a": [1]}, examples=[{"b": 2}, {"b": 3}], signature_name="classify")

    assert ask(ClassifyQuery, shared) == ask(
        ClassifyQuery, encoded(examples=[{"a": 1, "b": 2}, {"a": 1, "b": 3}])
    )


MIXED_FORMS: dict[str, Any] = {
    "lists": {"instances": [[row[name] for name in row] for row in mixed.ROWS]},
    "by feature": {"instances": mixed.ROWS},
    "by tensor": {
        "instances": [
            {
                "features": [row["나이"], row["임금"], row["회원"], row["방문"]],
                "categories": [row["도시"], row["등급"]],
            }
            for row in mixed.ROWS
        ]
    },
    "columns by tensor": {
        "inputs": {
            "features": [[row["나이"], row["임금"], row["회원"], row["방문"]] for row in mixed.ROWS],
            "categories": [[row["도시"], row["등급"]] for row in mixed.ROWS],
        }
    },
    "columns by feature": {"inputs": {name: [row[name] for row in mixed.ROWS] for name in mixed.ROWS[0]}},
}


@pytest.fixture(scope="module")
def ask_mixed(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    served = mixed.served(tmp_path_factory.mktemp("mixed"))
    dispatch, meter = Dispatch(Catalog([Entry("mixed", served)]), 10), Metrics().verb("test", "any")

    def ask(query: Any, document: Any) -> Any:
        try:
            answer = dispatch.answer(meter, query, "mixed", "", Body(json.dumps(document).encode()))
        except SigmaxError as error:
            return str(error)
        return json.loads(answer.body)

    return ask


@pytest.mark.parametrize("form", MIXED_FORMS)
def test_values_of_every_kind_come_in_every_form(ask_mixed: Ask, form: str) -> None:
    answer = ask_mixed(PredictQuery, MIXED_FORMS[form])

    assert np.abs(np.array(probabilities(answer)) - mixed.expected(mixed.MATRIX)).max() < 1e-12


def test_examples_have_values_of_every_kind(ask_mixed: Ask) -> None:
    listed = [{name: [value] for name, value in row.items()} for row in mixed.ROWS]

    assert ask_mixed(ClassifyQuery, {"examples": listed}) == ask_mixed(
        ClassifyQuery, {"examples": mixed.ROWS}
    )


WRONG_TENSORS: list[tuple[Any, str]] = [
    ({"instances": [{"features": [1, 2, True, 3]}]}, "row 0: input 'categories' is missing"),
    (
        {"instances": [{"features": [1, 2, True], "categories": ["서울", 1]}]},
        "row 0, input 'features': expected 4 values, got 3",
    ),
    (
        {"instances": [{"features": 1, "categories": ["서울", 1]}]},
        "row 0, input 'features': expected a list, got the number 1",
    ),
    (
        {"instances": [{"features": [1, 2, True, 3], "categories": ["서울", 1]}, {"categorie": []}]},
        "row 1: unknown input 'categorie', did you mean 'categories'?; row 1: input 'features' is missing; "
        "row 1: input 'categories' is missing",
    ),
    (
        {"inputs": {"features": [[1, 2, True, 3]], "categories": []}},
        "input 'categories': 0 rows, but 1 in the first input",
    ),
    (
        {"inputs": {"features": [[1, 2, True, 3]], "categories": "서울"}},
        "input 'categories': expected a list with one entry a row, got the text '서울'",
    ),
    (
        {"instances": [{"features": [1, 2, True, 3], "categories": ["서울", 31]}]},
        "row 0, feature '등급': unknown category '31', did you mean '1'? (3 known)",
    ),
]


@pytest.mark.parametrize(("document", "expected"), WRONG_TENSORS)
def test_wrong_tensors_are_named_by_row_and_input(ask_mixed: Ask, document: Any, expected: str) -> None:
    assert ask_mixed(PredictQuery, document) == expected


FILE = {"b64": base64.b64encode(pictures.encoded(pictures.noise(1, 2))).decode()}
PICTURES: list[tuple[Any, Any]] = [
    (PredictQuery, {"instances": [FILE, FILE]}),
    (PredictQuery, {"instances": [{"image_bytes": FILE}, FILE]}),
    (PredictQuery, {"instances": [{"photo": FILE}, {"features": FILE}]}),
    (PredictQuery, {"inputs": [FILE, FILE]}),
    (PredictQuery, {"inputs": {"image_bytes": [FILE, FILE]}}),
    (PredictQuery, {"inputs": {"photo": [FILE, FILE]}}),
    (ClassifyQuery, {"examples": [{"photo": FILE}, {"image_bytes": [FILE]}]}),
]


@pytest.mark.parametrize(("query", "document"), PICTURES)
def test_a_picture_comes_as_b64_by_any_of_its_names(query: Any, document: Any) -> None:
    ask = asking(PIXELS)
    asked, _ = answered(ask(ProbabilitiesQuery, encoded(images=[FILE["b64"]] * 2)))

    assert ask(query, encoded(**document))[0] == asked


@pytest.mark.parametrize("row", [[1, 2], [[[1, 2]]]])
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_a_picture_as_numbers_is_flat_or_nested_as_its_shape(key: str, row: Any) -> None:
    ask = asking(PIXELS)
    asked, _ = answered(ask(ProbabilitiesQuery, encoded(rows=[[1, 2]])))

    assert ask(PredictQuery, encoded(**{key: [row]}))[0] == asked
    assert ask(PredictQuery, encoded(instances=[{"features": row}]))[0] == asked
    assert ask(PredictQuery, encoded(inputs={"photo": [row]}))[0] == asked


WRONG: list[tuple[Any, Manifest, Any, str]] = [
    (PredictQuery, BINARY, {}, "neither 'instances' nor 'inputs' is there: send exactly one of them"),
    (
        PredictQuery,
        BINARY,
        {"rows": [ROW]},
        "; 'rows', 'columns' and 'images' go to :classes or :probabilities",
    ),
    (PredictQuery, BINARY, {"instance": ROW}, "send exactly one of them, did you mean 'instances'?"),
    (
        PredictQuery,
        BINARY,
        {"instances": ROW, "inputs": ROW},
        "both 'instances' and 'inputs' are there: send exactly one of them",
    ),
    (PredictQuery, BINARY, {"instances": None}, "'instances' is a list with one entry a row, not null"),
    (PredictQuery, BINARY, {"instances": []}, "'instances' is empty: send at least one row"),
    (PredictQuery, BINARY, {"inputs": []}, "'inputs' is empty: send at least one row"),
    (PredictQuery, BINARY, {"inputs": {}}, "'inputs' is empty: send at least one row"),
    (PredictQuery, BINARY, {"inputs": {"a": [], "b": []}}, "'inputs' is empty: send at least one row"),
    (PredictQuery, BINARY, {"inputs": 5}, "'inputs' is a list with one entry a row, not the number 5"),
    (PredictQuery, BINARY, {"instances": ROW * 4}, "4 rows in one request, at most 3 are taken"),
    (PredictQuery, BINARY, {"inputs": {"features": ROW * 4}}, "4 rows in one request, at most 3 are taken"),
    (
        PredictQuery,
        BINARY,
        {"instances": [1, 2]},
        "row 0: expected a list in feature order, got the number 1",
    ),
    (
        PredictQuery,
        BINARY,
        {"instances": [[1, 2], {"a": 1, "b": 2}]},
        "row 1: expected a list in feature order, got an object",
    ),
    (
        PredictQuery,
        BINARY,
        {"instances": [{"features": [1, 2]}, [1, 2]]},
        "row 1: expected an object by input, got a list of 2 values",
    ),
    (PredictQuery, BINARY, {"instances": [[1, 2, 3]]}, "row 0: expected 2 values, got 3"),
    (
        PredictQuery,
        BINARY,
        {"instances": [[1, "2"]]},
        "row 0, feature 'b': expected a number, got the text '2'",
    ),
    (
        PredictQuery,
        BINARY,
        {"inputs": [{"a": 1, "b": 2}]},
        "'inputs' holds columns: send a list of objects, one a row, as 'instances'",
    ),
    (PredictQuery, BINARY, {"inputs": {"a": [1]}}, "feature 'b' is missing"),
    (
        PredictQuery,
        BINARY,
        {"instances": ROW, "signature_name": "class"},
        "unknown signature 'class', did you mean 'classes'?; those of :predict are serving_default, "
        "probabilities, classes",
    ),
    (
        PredictQuery,
        BINARY,
        {"instances": ROW, "signature_name": None},
        "'signature_name' is a text, not null",
    ),
    (
        PredictQuery,
        BINARY,
        {"instances": [FILE]},
        "model 'a model' takes no pictures: send 'instances' or 'inputs' with its features, 'a', 'b'",
    ),
    (
        PredictQuery,
        PIXELS,
        {"instances": [FILE, [1, 2]]},
        'row 1: expected a picture, {"b64": …}, as row 0 is one, got a list of 2 values',
    ),
    (PredictQuery, PIXELS, {"instances": [{"b64": 7}]}, "row 0: expected a file in base64, got the number 7"),
    (
        PredictQuery,
        PIXELS,
        {"inputs": FILE},
        "'inputs' is a list of pictures, one a row, not one of them alone",
    ),
    (ClassifyQuery, BINARY, {}, "'examples' is missing: send a list of objects by feature name"),
    (
        ClassifyQuery,
        BINARY,
        {"example": []},
        "send a list of objects by feature name, did you mean 'examples'?",
    ),
    (ClassifyQuery, BINARY, {"examples": [[1, 2]]}, "row 0: expected an object by feature name, got a list"),
    (ClassifyQuery, BINARY, {"examples": [{"a": 1}]}, "row 0: feature 'b' is missing"),
    (
        ClassifyQuery,
        BINARY,
        {"examples": [{"a": [1, 2], "b": 1}]},
        "row 0, feature 'a': expected a number, got a list of 2 values",
    ),
    (ClassifyQuery, BINARY, {"examples": [{}], "context": []}, "'context' is an object by feature name, not"),
    (
        ClassifyQuery,
        BINARY,
        {"examples": [{"a": 1, "b": 2}], "context": {"a": 1}},
        "row 0: feature 'a' stands in 'context' already",
    ),
    (
        ClassifyQuery,
        BINARY,
        {"examples": [dict.fromkeys("edcbaf", 1)], "context": dict.fromkeys("abcdef", 1)},
        "; ".join(f"row 0: feature '{name}' stands in 'context' already" for name in "edcbaf"),
    ),
    (
        ClassifyQuery,
        BINARY,
        {"examples": [{"a": 1, "b": 2}], "signature_name": "classes"},
        "those of :classify are serving_default, classify",
    ),
]


@pytest.mark.parametrize(("query", "manifest", "document", "expected"), WRONG)
def test_a_wrong_request_is_refused_with_what_is_wrong(
    query: Any, manifest: Manifest, document: Any, expected: str
) -> None:
    refused = asking(manifest)(query, encoded(**document))

    assert isinstance(refused, str)
    assert refused.startswith("INVALID_INPUT: ")
    assert expected in refused


NO_NUMBER = [[1, 2], [3, "x"]]
FIELDS: list[tuple[Any, Manifest, Any, str]] = [
    (PredictQuery, BINARY, {"instances": NO_NUMBER}, "instances[1][1]"),
    (PredictQuery, BINARY, {"instances": [{"a": 1, "b": 2}, {"a": 1, "b": "x"}]}, "instances[1].b"),
    (PredictQuery, BINARY, {"instances": [{"a": 1}]}, "instances[0].b"),
    (
        PredictQuery,
        BINARY,
        {"instances": [{"features": row} for row in NO_NUMBER]},
        "instances[1].features[1]",
    ),
    (PredictQuery, BINARY, {"instances": [{"features": [1]}]}, "instances[0].features"),
    (PredictQuery, BINARY, {"inputs": NO_NUMBER}, "inputs[1][1]"),
    (PredictQuery, BINARY, {"inputs": {"features": NO_NUMBER}}, "inputs.features[1][1]"),
    (PredictQuery, BINARY, {"inputs": {"a": [1], "b": ["x"]}}, "inputs.b[0]"),
    (PredictQuery, BINARY, {"inputs": {"features": [[1]]}}, "inputs.features[0]"),
    (PredictQuery, BINARY, {"instances": []}, "instances"),
    (PredictQuery, BINARY, {"instances": ROW, "signature_name": 7}, "signature_name"),
    (PredictQuery, PIXELS, {"instances": [[1, 2], [1, 256]]}, "instances[1][0][0][1]"),
    (PredictQuery, PIXELS, {"instances": [[[[1, 256]]]]}, "instances[0][0][0][1]"),
    (PredictQuery, PIXELS, {"instances": [{"photo": [1, 256]}]}, "instances[0].photo[0][0][1]"),
    (PredictQuery, PIXELS, {"instances": [FILE, {"b64": "x"}]}, "instances[1]"),
    (PredictQuery, PIXELS, {"instances": [FILE, {"b64": "UE5H"}]}, "instances[1]"),
    (PredictQuery, PIXELS, {"instances": [FILE, 5]}, "instances[1]"),
    (PredictQuery, PIXELS, {"inputs": {"image_bytes": [FILE, {"b64": "x"}]}}, "inputs.image_bytes[1]"),
    (ClassifyQuery, BINARY, {"examples": [{"a": 1, "b": "x"}]}, "examples[0].b"),
    (ClassifyQuery, BINARY, {"context": {"a": "x"}, "examples": [{"b": 1}]}, "context.a"),
    (ClassifyQuery, PIXELS, {"examples": [{"photo": {"b64": "x"}}]}, "examples[0]"),
]


@pytest.mark.parametrize(("query", "manifest", "document", "field"), FIELDS)
def test_a_problem_says_where_it_stands_in_the_body_that_was_sent(
    query: Any, manifest: Manifest, document: Any, field: str
) -> None:
    for one in (query, partial(query, kept=Kept(Templates()) if query is PredictQuery else Models(EXAMPLES))):
        assert where(manifest, one, document) == field


def where(manifest: Manifest, query: Any, document: Any) -> str:
    """The field of the first problem of a request that is refused."""
    predictor = Predictor(manifest, Witness(manifest))
    served = Served("a model", "1", predictor, Schema(manifest), Proof(1, 0.0, 0), b"{}")
    dispatch = Dispatch(Catalog([Entry("a model", served)]), MAX_ROWS)
    with pytest.raises(InvalidInput) as refused:
        dispatch.answer(Metrics().verb("test", "any"), query, "a model", "", Body(encoded(**document)))
    return refused.value.problems[0].field


def test_a_problem_of_a_categorys_tensor_says_where_it_stands(tmp_path: Path) -> None:
    served = mixed.served(tmp_path)
    dispatch = Dispatch(Catalog([Entry("mixed", served)]), MAX_ROWS)
    row = {"features": [1, 2, True, "often"], "categories": ["서울", 31]}
    bodies = {"instances": [row], "inputs": {name: [value] for name, value in row.items()}}

    for key, body in bodies.items():
        with pytest.raises(InvalidInput) as refused:
            dispatch.answer(
                Metrics().verb("test", "any"), PredictQuery, "mixed", "", Body(encoded(**{key: body}))
            )
        first, second = ("[0].{}[1]", "[0].{}[3]") if key == "instances" else (".{}[0][1]", ".{}[0][3]")
        assert [problem.field for problem in refused.value.problems] == [
            key + first.format("categories"),
            key + second.format("features"),
        ]


@pytest.mark.parametrize("query", [PredictQuery, ClassifyQuery])
def test_a_picture_as_the_body_is_no_request(query: Any) -> None:
    served = asking(BINARY)
    refused = served(lambda *given: query(*given[:2], Body(b"x", None, b"image/png; a=b")), b"")

    assert refused == (
        "UNSUPPORTED_MEDIA: content-type 'image/png; a=b' is not read here: send JSON (application/json)"
    )


def test_a_feature_called_like_the_input_is_read_by_either_name() -> None:
    feature = replace(BINARY.features[0], name="features")
    ask = asking(replace(BINARY, features=(feature,)))

    assert ask(PredictQuery, encoded(instances=[{"features": 5}])) == ask(
        PredictQuery, encoded(instances=[{"features": [5]}])
    )


def test_the_metadata_has_every_signature_with_tensorflows_types(tmp_path: Path) -> None:
    described = signatures.metadata(mixed.served(tmp_path))

    assert described["model_spec"] == {"name": "mixed", "signature_name": "", "version": "1"}
    defined = described["metadata"]["signature_def"]["signature_def"]
    assert list(defined) == ["serving_default", "probabilities", "classes", "classify"]
    assert defined["serving_default"]["inputs"] == {
        "features": tensor("features", "DT_DOUBLE", "-1", "4"),
        "categories": tensor("categories", "DT_STRING", "-1", "2"),
    }
    assert defined["serving_default"]["outputs"] == {
        "probabilities": tensor("probabilities", "DT_DOUBLE", "-1", "3"),
        "label": tensor("label", "DT_STRING", "-1"),
    }
    assert list(defined["probabilities"]["outputs"]) == ["probabilities"]
    assert list(defined["classes"]["outputs"]) == ["label"]
    assert list(defined["classify"]["outputs"]) == ["classes", "scores"]
    assert [one["method_name"].rpartition("/")[2] for one in defined.values()] == [
        *["predict"] * 3,
        "classify",
    ]


def tensor(name: str, dtype: str, *sizes: str) -> dict[str, Any]:
    shape = {"dim": [{"size": size, "name": ""} for size in sizes], "unknown_rank": False}
    return {"dtype": dtype, "tensor_shape": shape, "name": name}
