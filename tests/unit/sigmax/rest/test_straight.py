"""The straight way of a request and the careful one give the same bits, or the careful one's error."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sigmax.manifests import BANDED, BINARY, MULTICLASS, MULTILABEL, with_logits
from tests.unit.sigmax.mixed import AGE, MEMBER, MIXED, VISITS, WAGE

from sigmax.contract import Colour, Feature, FloatType, Image, Kind, Manifest, Resize
from sigmax.errors import SigmaxError
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema
from sigmax.rest import classifier, inference_protocol
from sigmax.rest.asgi import Body
from sigmax.rest.predict import Kept, PredictQuery
from sigmax.rest.straight import Models, Numbers
from sigmax.rest.templates import Templates
from sigmax.telemetry.metrics import Metrics

PHOTO = Image(Colour.GREY, "CHW", 1, 2, Resize.BILINEAR, 1 / 255)
FLOAT32 = replace(BINARY, graph=replace(BINARY.graph, dtype=FloatType.FLOAT32))
PIXELS = replace(
    BINARY, features=(Feature("photo", Kind.IMAGE, PHOTO.shape, "uint8", (0.0, 255.0), image=PHOTO),)
)
NUMBERS = replace(MIXED, features=(AGE, WAGE, MEMBER, VISITS))
MANIFESTS = {"float64": BINARY, "float32": FLOAT32, "pixels": PIXELS, "mixed": NUMBERS, "bits": MULTILABEL}
MAX_ROWS = 3

CELLS = (
    *("0", "-0", "-0.0", "1", "2.5", "-3.25e2", "1E5", "0.1", "255", "256", "-1", "16777217", "16777217.0"),
    *("9007199254740993", "9007199254740993.0", "9223372036854775807", "9223372036854775808"),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "1e22", "3.5e38", "1e308"),
    *("1.7976931348623159e308", "1e999", "5e-324", "1e-400", "0.1000000000000000055511151231257827021181583"),
    *("null", "true", "false", '"1"', "[1]", "[]", "{}", '{"a": 1}', "NaN", "Infinity", "01", "1.", "+1", ""),
)
CELL = st.one_of(
    st.sampled_from(CELLS),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**70), 2**70).map(str),
)
USUAL = st.one_of(st.integers(0, 3).map(str), st.floats(-1e6, 1e6).map(repr))
SPACE = st.sampled_from(["", "", "", " ", "\n\t"])
DATATYPES = st.sampled_from(
    ["FP64", "FP32", "INT8", "UINT8", "INT32", "INT64", "UINT64", "BOOL", "FP16", "X"]
)


class Witness:
    """An engine that remembers what it was asked, and answers every row differently."""

    def __init__(self, manifest: Manifest) -> None:
        self._width = len(manifest.classes)
        self.asked = b""

    def run(self, features: Floats) -> Floats:
        self.asked = features.dtype.str.encode() + str(features.shape).encode() + features.tobytes()
        kinds: list[float] = [number / 7 for number in range(1, 1 + len(features) * self._width)]
        made = np.array(kinds, features.dtype).reshape(-1, self._width)
        return np.asarray(made / made.sum(axis=1, keepdims=True))

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        return self.run(features), -self.run(features)


Ask = Callable[..., Any]


def asking(manifest: Manifest) -> Callable[[Any, bytes], tuple[bytes, bytes] | str]:
    """Ask a model through one way: what it was asked and what was answered, or the error."""
    engine = Witness(manifest)
    served = Served("a model", "1", Predictor(manifest, engine), Schema(manifest), Proof(1, 0.0, 0), b"{}")
    dispatch = Dispatch(Catalog([Entry("a model", served)]), MAX_ROWS)
    meter = Metrics().verb("test", "any")

    def ask(read: Any, body: bytes) -> tuple[bytes, bytes] | str:
        try:
            answer = dispatch.answer(meter, read, "a model", "", Body(body))
        except SigmaxError as error:
            return f"{error.code}: {error}"
        return engine.asked, answer.body

    return ask


@st.composite
def listed(draw: st.DrawFn) -> tuple[str, list[int]]:
    """Numbers as JSON, flat or nested, and a shape that mostly fits."""
    width, count = draw(st.sampled_from([2, 2, 2, 4])), draw(st.integers(0, MAX_ROWS + 1))
    cell = draw(st.sampled_from([USUAL, USUAL, CELL]))
    rows = [[draw(cell) for _ in range(width)] for _ in range(count)]
    if rows and draw(st.integers(0, 5)) == 0:
        rows[-1] = rows[-1][: draw(st.integers(0, 1))] * draw(st.integers(1, 3))
    comma, texts = draw(SPACE) + "," + draw(SPACE), []
    for row in rows:
        text = comma.join(row)
        texts.append(text)
    form = draw(st.sampled_from(["flat", "nested", "nested", "deep", "partly"]))
    if form == "nested":
        texts = [f"[{text}]" for text in texts]
    elif form == "deep":
        texts = [f"[[{text}]]" for text in texts]
    elif form == "partly":
        texts = [f"[{text}]" if place % 2 else text for place, text in enumerate(texts)]
    shape = [count, width]
    if draw(st.integers(0, 5)) == 0:
        shape = draw(st.sampled_from([[], [count], [count, width, 1], [width, count], [-1, width], [1, 2]]))
    return "[" + draw(SPACE) + comma.join(texts) + draw(SPACE) + "]", shape


def an_object(values: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these names, each with one of its values."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(each) for name, each in values.items()})


PARAMETERS = an_object(
    {
        "threshold": [0.9, 2],
        "timeout": [0, 1, 10**12, "x"],
        "priority": [1, -1],
        "binary_data_output": [True, False, "yes"],
        "sequence_id": [0, 7],
        "triton_x": [1],
        "other": ["[1, 2]"],
    }
)
OUTPUTS = st.fixed_dictionaries(
    {"name": st.sampled_from(["probabilities", "probabilities", "label", "labels", "none"])},
    optional={
        "parameters": an_object(
            {
                "classification": [1, 2, 9, 0, "1"],
                "binary_data": [True, False, 1],
                "shared_memory_region": ["r"],
            }
        )
    },
)


@st.composite
def wanted(draw: st.DrawFn) -> str:
    """What a request says besides its tensors."""
    said: dict[str, Any] = {"parameters": draw(PARAMETERS), "outputs": draw(st.lists(OUTPUTS, max_size=2))}
    return "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in said.items() if value)


@st.composite
def requests(draw: st.DrawFn) -> list[bytes]:
    """Bodies of `infer` that differ in their numbers, and in what follows from them."""
    datatype = draw(st.one_of(st.just("FP64"), DATATYPES))
    order = draw(st.permutations(["name", "shape", "datatype", "data"]))
    extra = draw(st.one_of(st.sampled_from(["", "", "", ', "id": "[7"']), wanted()))
    doubled = draw(
        st.sampled_from(["", "", "", ', "data": [1, 2]', ', "data": null', ', "x": "\\"data\\": ["'])
    )
    bodies = []
    for data, shape in draw(st.lists(listed(), min_size=1, max_size=3)):
        texts = {"name": '"features"', "shape": json.dumps(shape), "datatype": f'"{datatype}"', "data": data}
        tensor = ", ".join(f'"{key}": {texts[key]}' for key in order)
        bodies.append(f'{{"inputs": [{{{tensor}{doubled}}}]{extra}}}'.encode())
    return bodies


@pytest.mark.parametrize("name", MANIFESTS)
@given(bodies=requests())
def test_tensors_are_read_straight_as_they_are_with_care(name: str, bodies: list[bytes]) -> None:
    ask = asking(MANIFESTS[name])
    kept = inference_protocol.Kept(Templates())
    straight = partial(inference_protocol.InferQuery, kept=kept)
    sent = [body for body in bodies for _ in range(2)]

    assert [ask(straight, body) for body in sent] == [
        ask(inference_protocol.InferQuery, body) for body in sent
    ]


@st.composite
def named(draw: st.DrawFn) -> bytes:
    """A body of `:classes` with rows by name, most of them right."""
    cell = draw(st.sampled_from([USUAL, USUAL, CELL]))
    names = st.sampled_from([["a", "b"], ["a", "b"], ["b", "a"], ["a"], ["a", "b", "c"], ["a", "b", "a"]])
    rows = [
        "{" + ", ".join(f'"{name}": {draw(cell)}' for name in draw(names)) + "}"
        for _ in range(draw(st.integers(0, MAX_ROWS + 1)))
    ]
    extra = draw(st.sampled_from(["", "", "", ', "options": {"top_k": 1}', ', "rows": null', ', "more": 1']))
    return f'{{"rows":{draw(SPACE)}[{", ".join(rows)}]{extra}}}{draw(SPACE)}'.encode()


@pytest.mark.parametrize("name", ["float64", "float32", "bits"])
@pytest.mark.parametrize("query", [classifier.ClassesQuery, classifier.ProbabilitiesQuery])
@given(body=named())
def test_named_rows_are_read_straight_as_they_are_with_care(query: Any, name: str, body: bytes) -> None:
    ask = asking(MANIFESTS[name])
    straight = partial(query, kept=classifier.Kept(Models(), Templates()))

    assert ask(straight, body) == ask(query, body)


@pytest.mark.parametrize("number", [2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2.0**53])
@pytest.mark.parametrize("key", ["rows", "instances"])
def test_an_integer_that_would_be_rounded_is_refused_as_it_is_with_care(key: str, number: float) -> None:
    ask, body = asking(BINARY), json.dumps({key: [{"a": 1, "b": number}]}).encode()
    query: Any = classifier.ClassesQuery if key == "rows" else PredictQuery
    kept: Any = classifier.Kept(Models(), Templates()) if key == "rows" else Kept(Templates())
    ordered = json.dumps({key: [[1, number]]}).encode()

    assert ask(partial(query, kept=kept), body) == ask(query, body)
    assert ask(partial(query, kept=kept), ordered) == ask(query, ordered)
    assert isinstance(ask(query, body), str) == (abs(number) > 2**53)


@pytest.mark.parametrize("name", ['4" nails', "C:\\x", "two\nlines", "\x7f", "\u2028", "폭"])
def test_a_feature_may_have_any_name(name: str) -> None:
    ask = asking(replace(BINARY, features=(replace(BINARY.features[0], name=name), BINARY.features[1])))
    body = json.dumps({"rows": [{name: 1, "b": 2}]}).encode()
    straight = partial(classifier.ClassesQuery, kept=classifier.Kept(Models(), Templates()))

    assert ask(straight, body) == ask(classifier.ClassesQuery, body)
    assert not isinstance(ask(straight, body), str)


def renamed(manifest: Manifest) -> Manifest:
    """The model with labels that JSON has to escape or encode."""
    new = dict(zip(manifest.classes, ('"no"\\\n', "예", "\u2028"), strict=False))
    decision = manifest.decision
    odd = replace(
        decision,
        thresholds={new[label]: value for label, value in decision.thresholds.items()},
        positive=new[decision.positive] if decision.positive else None,
        band={new[label]: value for label, value in decision.band.items()},
    )
    return replace(manifest, classes=tuple(new.values()), decision=odd)


@pytest.mark.parametrize(
    "manifest",
    [BINARY, FLOAT32, BANDED, MULTICLASS, MULTILABEL, with_logits(BINARY)],
    ids=["binary", "float32", "banded", "multiclass", "multilabel", "logits"],
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_answer_of_a_template_is_the_text_of_the_whole_document(manifest: Manifest, count: int) -> None:
    ask = asking(renamed(manifest))
    tensor = {"name": "features", "datatype": "FP64", "shape": [count, 2], "data": [1.0, 2.0] * count}
    further: list[dict[str, Any]] = [
        *({}, {"id": '"7'}, {"id": ""}),
        *({"outputs": [{"name": "probabilities"}]}, {"id": "예", "outputs": [{"name": "probabilities"}]}),
        {"outputs": [{"name": "label"}, {"name": "probabilities"}]},
        {"outputs": [{"name": "probabilities"}], "parameters": {"other": 1}},
        {"outputs": [{"name": "probabilities"}], "parameters": {"threshold": 0.9}},
    ]
    infers = [json.dumps({"inputs": [tensor], **more}).encode() for more in further for _ in range(2)]
    rows = json.dumps({"rows": [{"a": 1, "b": 2}] * count}).encode()
    templates = Templates()
    straight = partial(inference_protocol.InferQuery, kept=inference_protocol.Kept(templates))
    classes = partial(classifier.ClassesQuery, kept=classifier.Kept(Models(), templates))

    probabilities = partial(classifier.ProbabilitiesQuery, kept=classifier.Kept(Models(), templates))

    for infer in infers:
        assert ask(straight, infer) == ask(inference_protocol.InferQuery, infer)
    assert not isinstance(ask(straight, infers[0]), str)
    assert ask(probabilities, rows) == ask(classifier.ProbabilitiesQuery, rows)
    assert ask(classes, rows) == ask(classifier.ClassesQuery, rows)
    assert not isinstance(ask(classes, rows), str)


@pytest.mark.parametrize(
    "data",
    [
        b"[[1, [2]], [3, 4]]",
        b"[[1, 2], 3, 4]",
        b"[[[1, 2]], [[3, 4]]]",
        b"[[1, 2, 3], [4]]",
        b"[1, [2], 3, 4]",
        b"{}",
    ],
)
def test_lists_that_would_flatten_to_the_right_count_are_not_taken_for_rows(data: bytes) -> None:
    assert Numbers().read(data, "f", (2, 2)) is None


def test_a_form_is_not_learnt_from_a_list_that_only_looks_like_the_data() -> None:
    straight = partial(inference_protocol.InferQuery, kept=inference_protocol.Kept(Templates()))
    tensor = '{"name": "features", "shape": [1, 1], "datatype": "FP64", "data": [0.25]}'
    ask = asking(replace(BINARY, features=BINARY.features[:1]))
    bodies = [f'{{"x": "data", "y": "{text}", "inputs": [{tensor}]}}'.encode() for text in ("[0.25]", "[7]")]

    assert [ask(straight, body) for body in bodies] == [
        ask(inference_protocol.InferQuery, body) for body in bodies
    ]


def test_a_shape_that_reads_like_the_data_is_not_taken_for_it() -> None:
    ask = asking(BINARY)
    straight = partial(inference_protocol.InferQuery, kept=inference_protocol.Kept(Templates()))
    head = '"name": "features", "note": "data", "shape": [1, 2], "datatype": "FP64"'
    bodies = [f'{{"inputs": [{{{head}, "data": {data}}}]}}'.encode() for data in ("[1, 2]", "[3, 4]")]

    assert [ask(straight, body) for body in bodies] == [
        ask(inference_protocol.InferQuery, body) for body in bodies
    ]


def test_a_version_that_no_longer_answers_is_let_go() -> None:
    engine = Witness(BINARY)
    served = Served("s", "1", Predictor(BINARY, engine), Schema(BINARY), Proof(1, 0.0, 0), b"{}")
    catalog = Catalog([Entry("s", served)])
    dispatch, meter, templates = Dispatch(catalog, MAX_ROWS), Metrics().verb("test", "any"), Templates()
    infer = partial(inference_protocol.InferQuery, kept=inference_protocol.Kept(templates))
    classes = partial(classifier.ClassesQuery, kept=classifier.Kept(Models(), templates))
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "data": [1.0, 2.0]}
    for _ in range(3):
        dispatch.answer(meter, infer, "s", "", Body(json.dumps({"inputs": [tensor]}).encode()))
        dispatch.answer(meter, classes, "s", "", Body(b'{"rows": [{"a": 1, "b": 2}]}'))
    watched = weakref.ref(served)

    catalog.drop("s")
    del served

    assert watched() is None


def test_what_is_usual_goes_straight() -> None:
    numbers = Numbers()
    flat, nested = numbers.read(b"[1, 2.5]", "f", (1, 2)), numbers.read(b"[[1, 2.5]]", "f", (1, 2))
    rows = Models().named_rows(
        Served("s", "1", Predictor(BINARY, Witness(BINARY)), Schema(BINARY), Proof(1, 0.0, 0), b"{}")
    )

    assert flat is not None
    assert nested is not None
    assert flat.tolist() == nested.tolist() == [1.0, 2.5]
    assert rows is not None
    read = rows.read(b'{"rows": [{"b": 2, "a": 1}]}', 1)
    assert read is not None
    assert read.features.tolist() == [[1.0, 2.0]]
