from __future__ import annotations

import gc
import struct
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sigmax import mixed
from tests.unit.sigmax.manifests import BANDED, BINARY, MULTICLASS, MULTILABEL, model, with_logits

from sigmax.contract import FloatType, Manifest
from sigmax.errors import SigmaxError
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch, Prediction
from sigmax.inference.engine import OnnxEngine
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema
from sigmax.rpc.answers import Classes, classes_frame, probabilities_frame
from sigmax.rpc.classifier import ClassesQuery, Classifier, ProbabilitiesQuery
from sigmax.rpc.numbers import Form, KnownQuery, NewQuery, Verb
from sigmax.rpc.varint import varint
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2 as pb

Method = Callable[[bytes], Any]

MAX_ROWS = 50


def serving(manifest: Manifest, version: str = "1") -> Served:
    engine = OnnxEngine(model(manifest), manifest)
    return Served("small", version, Predictor(manifest, engine), Schema(manifest), Proof(1, 0.0, 0), b"{}")


SERVED = {
    "binary": serving(BINARY),
    "banded": serving(BANDED),
    "multiclass": serving(MULTICLASS),
    "multilabel": serving(MULTILABEL),
    "logits": serving(with_logits(BINARY)),
}
SINGLE = serving(replace(MULTICLASS, graph=replace(MULTICLASS.graph, dtype=FloatType.FLOAT32)))


def classifier(served: Served) -> Classifier:
    catalog = Catalog([Entry("small", served)])
    return Classifier(catalog, Dispatch(catalog, MAX_ROWS), Metrics())


def whole(served: Served, verb: str) -> Method:
    """A method that reads every request whole and writes its answer with message classes."""
    catalog = Catalog([Entry("small", served)])
    dispatch, meter = Dispatch(catalog, MAX_ROWS), Metrics().verb("grpc", verb)
    read = ClassesQuery if verb == "classes" else ProbabilitiesQuery
    return lambda request: dispatch.answer(meter, read, request)


def known(served: Served, verb: str) -> Method:
    asked = classifier(served)
    return asked.predict_classes if verb == "classes" else asked.predict_probabilities


def message(document: dict[str, Any], verb: str = "classes") -> bytes:
    kind = pb.PredictClassesRequest if verb == "classes" else pb.PredictProbabilitiesRequest
    return json_format.ParseDict({"model": "small", **document}, kind()).SerializeToString()


def outcome(method: Method, request: bytes) -> Any:
    try:
        return method(request)
    except SigmaxError as error:
        return f"{error.code}: {error}"


def verb_of(kind: str = "classes") -> Verb:
    if kind == "classes":
        return Verb(pb.PredictClassesRequest, ClassesQuery, classes_frame)
    return Verb(pb.PredictProbabilitiesRequest, ProbabilitiesQuery, probabilities_frame)


numbers = st.one_of(
    st.floats(-100, 100),
    st.sampled_from([0.0, -0.0, 1e300, -1e300, 3.4028235677973366e38, 5e-324]),
    st.floats(allow_nan=True, allow_infinity=True),
)
shapes = st.sampled_from(["named", "reversed", "listed", "columns"])


def batches(count: int) -> st.SearchStrategy[list[list[tuple[float, float]]]]:
    """Some requests of so many rows."""
    rows = st.lists(st.tuples(numbers, numbers), min_size=count, max_size=count)
    return st.lists(rows, min_size=1, max_size=3)


def shaped(shape: str, rows: list[tuple[float, float]]) -> bytes:
    """A request whose numbers may be any, which JSON's may not."""
    filled = pb.PredictClassesRequest(model="small")  # the fields used are the same in both requests
    if shape == "columns":
        for name, column in (("b", 1), ("a", 0)):
            for row in rows:
                filled.columns[name].values.add(number_value=row[column])
        return filled.SerializeToString(deterministic=True)
    for first, second in rows:
        target = filled.rows.add()
        if shape == "listed":
            for value in (first, second):
                target.list_value.values.add(number_value=value)
            continue
        target.struct_value.fields["a"].number_value = first
        target.struct_value.fields["b"].number_value = second
    data = filled.SerializeToString(deterministic=True)
    if shape == "named":
        return data
    # entries of a map come in any order: here the other one
    width = 16
    for at in [at for at in range(len(data)) if data.startswith(b"\n\x01a\x12\t\x11", at)]:
        one, other = data[at - 2 : at + 14], data[at + 14 : at + 30]
        assert len(one) == len(other) == width
        data = data[: at - 2] + other + one + data[at + 30 :]
    return data


@given(
    st.sampled_from([*SERVED.values(), SINGLE]),
    st.sampled_from(["classes", "probabilities"]),
    shapes,
    st.integers(1, 3).flatmap(
        lambda n: st.lists(
            st.lists(st.tuples(numbers, numbers), min_size=n, max_size=n), min_size=1, max_size=3
        )
    ),
)
def test_requests_of_a_known_form_get_the_answer_that_a_whole_reading_gives(
    served: Served, verb: str, shape: str, sent: list[list[tuple[float, float]]]
) -> None:
    asked, expected = known(served, verb), whole(served, verb)
    first = shaped(shape, [(0.5, -0.25)] * len(sent[0]))

    for request in [first, *(shaped(shape, rows) for rows in sent), first]:
        assert outcome(asked, request) == outcome(expected, request)


@given(st.data())
def test_changed_bytes_of_a_known_request_are_read_as_a_whole_reading_does(data: st.DataObject) -> None:
    served, verb = SERVED["banded"], data.draw(st.sampled_from(["classes", "probabilities"]))
    good = shaped(data.draw(shapes), [(0.5, -0.25)] * data.draw(st.integers(1, 2)))
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(len(good) - 3, len(good)))])
    asked = known(served, verb)
    asked(good)

    assert outcome(asked, cut) == outcome(whole(served, verb), cut)


def test_every_single_byte_changed_is_read_as_a_whole_reading_does() -> None:
    for shape in ("named", "listed", "columns"):
        good = shaped(shape, [(0.5, -0.25)])
        asked, expected = known(SERVED["binary"], "classes"), whole(SERVED["binary"], "classes")
        asked(good)
        for place in range(len(good)):
            for value in (0, 1, 9, 0x11, 0x7F, 0x80, 0xFF, good[place] ^ 1, good[place] ^ 8):
                changed = good[:place] + bytes([value]) + good[place + 1 :]
                assert outcome(asked, changed) == outcome(expected, changed)


@pytest.mark.parametrize("shape", ["named", "reversed", "listed", "columns"])
def test_numbers_come_to_their_features_in_whatever_order_they_are_sent(shape: str) -> None:
    verb, served = verb_of(), SERVED["multiclass"]
    query = verb.query(shaped(shape, [(1.0, 2.0), (3.0, 4.0)]))
    query.rows(served, MAX_ROWS)
    query.render(Prediction(served, np.full((2, 3), 1 / 3), None))

    recognised = verb.query(shaped(shape, [(5.0, 6.0), (7.0, 8.0)]))

    assert isinstance(recognised, KnownQuery)
    assert recognised.rows(served, MAX_ROWS).features.tolist() == [[5.0, 6.0], [7.0, 8.0]]


NAMED = {"a": 1.0, "b": 2.0}


def learnt(served: Served, request: bytes) -> bool:
    verb = verb_of()
    query = verb.query(request)
    rows = query.rows(served, MAX_ROWS)
    query.render(Prediction(served, served.predictor.probabilities(rows.features), rows.ids))
    return isinstance(verb.query(request), KnownQuery)


def test_options_texts_and_foreign_fields_make_no_form() -> None:
    served = SERVED["binary"]
    plain = message({"rows": [NAMED]})
    assert learnt(served, plain)

    assert not learnt(served, message({"rows": [NAMED], "options": {"threshold": 0.3}}))
    assert not learnt(served, message({"rows": [NAMED], "options": {"top_k": 1}}))
    assert not learnt(served, message({"rows": [{**NAMED, "n": 7}], "options": {"id": "n"}}))
    assert not learnt(served, message({"rows": [{**NAMED, "n": 7}], "options": {"extra": "ignore"}}))
    assert not learnt(served, plain + b"\xa2\x06\x01x")  # a field of a later version of the contract
    assert not learnt(served, plain + b"\xa1\x06" + struct.pack("<d", 1.0))


def test_a_number_that_another_one_replaces_makes_no_form() -> None:
    once = shaped("named", [(0.5, -0.25)])
    entry = once[once.index(b"\n\x01b") - 2 :]
    doubled = once + b"\x1a" + bytes([len(entry) * 2 + 2]) + b"*" + bytes([len(entry) * 2]) + entry * 2

    asked, expected = known(SERVED["binary"], "classes"), whole(SERVED["binary"], "classes")

    for _ in range(2):
        assert outcome(asked, doubled) == outcome(expected, doubled)


def test_a_model_with_categories_and_flags_is_read_whole(tmp_path: Any) -> None:
    served = mixed.served(tmp_path)
    verb = Verb(pb.PredictClassesRequest, ClassesQuery, classes_frame)
    document = {"model": "mixed", "rows": [mixed.ROWS[0]]}
    request = json_format.ParseDict(document, pb.PredictClassesRequest()).SerializeToString()
    query = verb.query(request)
    rows = query.rows(served, MAX_ROWS)
    query.render(Prediction(served, served.predictor.probabilities(rows.features), rows.ids))

    assert isinstance(verb.query(request), NewQuery)


def test_another_version_reads_whole_and_is_learnt_anew() -> None:
    verb, request = verb_of(), message({"rows": [NAMED]})

    def answer(served: Served) -> bytes:
        query = verb.query(request)
        rows = query.rows(served, MAX_ROWS)
        return query.render(Prediction(served, served.predictor.probabilities(rows.features), None))

    for manifest, version in ((BINARY, "1"), (BINARY, "1"), (BANDED, "2"), (BANDED, "2"), (MULTILABEL, "3")):
        served = serving(manifest, version)
        assert answer(served) == answer(served) == whole(served, "classes")(request)


def test_too_many_rows_of_a_known_form_are_refused() -> None:
    verb, served, request = verb_of(), SERVED["binary"], message({"rows": [NAMED] * 3})
    query = verb.query(request)
    query.render(Prediction(served, served.predictor.probabilities(query.rows(served, 3).features), None))

    with pytest.raises(SigmaxError, match="3 rows in one request, at most 2 are taken"):
        verb.query(request).rows(served, 2)


def test_a_large_request_makes_no_form() -> None:
    served = SERVED["binary"]

    assert learnt(served, message({"rows": [NAMED] * 50}))
    catalog = Catalog([Entry("small", served)])
    asked = Classifier(catalog, Dispatch(catalog, 10_000), Metrics())
    large = message({"rows": [NAMED] * 600})
    assert asked.predict_classes(large) == asked.predict_classes(large)
    assert isinstance(verb_of().query(large), NewQuery)


probabilities = st.one_of(st.floats(0, 1), st.sampled_from([0.0, -0.0, 1.0, 0.5, 5e-324]))


@given(
    st.sampled_from(["binary", "banded", "multiclass"]),
    st.sampled_from([np.float32, np.float64]),
    st.lists(st.tuples(probabilities, probabilities, probabilities), min_size=1, max_size=4),
)
def test_answers_are_what_the_message_classes_write(
    name: str, dtype: type[np.floating], rows: list[tuple[float, ...]]
) -> None:
    served = SERVED[name]
    table = np.array(rows)[:, : len(served.manifest.classes)].astype(dtype)
    prediction = Prediction(served, table, None)
    request = message({"rows": [NAMED]})

    classes = Classes(served).filled(prediction)

    assert classes in (None, ClassesQuery(request).render(prediction))
    assert classes is not None or not table.all()
    frame = probabilities_frame(served)
    assert frame.filled(prediction) == ProbabilitiesQuery(request).render(prediction)


def test_labels_of_any_length_are_framed_right() -> None:
    for label in ("n", "n" * 100, "서" * 60, "x" * 20_000):
        manifest = replace(BANDED, classes=(label, "yes"))
        predictor = Predictor(manifest, OnnxEngine(model(BANDED), BANDED))
        served = Served("small", "1", predictor, Schema(manifest), Proof(1, 0.0, 0), b"{}")
        prediction = Prediction(served, np.array([[0.9, 0.1], [0.2, 0.8]]), None)

        assert Classes(served).filled(prediction) == ClassesQuery(message({})).render(prediction)


def test_a_form_says_about_how_much_it_keeps() -> None:
    verb, served = verb_of(), SERVED["binary"]
    for rows in (1, 40):
        request = message({"rows": [NAMED] * rows})
        query = verb.query(request)
        found = query.rows(served, MAX_ROWS)
        query.render(Prediction(served, served.predictor.probabilities(found.features), None))
        form = verb._forms.find(request)
        assert isinstance(form, Form)
        assert form.kept > 2 * len(request)


def test_forms_of_one_version_share_what_its_answers_have_in_common() -> None:
    verb, served = verb_of(), SERVED["multiclass"]
    frames = []
    for rows in (1, 2, 3):
        request = message({"rows": [NAMED] * rows})
        query = verb.query(request)
        query.render(Prediction(served, np.full((rows, 3), 1 / 3), query.rows(served, MAX_ROWS).ids))
        form = verb._forms.find(request)
        assert form is not None
        frames.append(form.frame)

    assert frames[0] is not None
    assert frames[0] is frames[1] is frames[2]


def padded(fields: int) -> bytes:
    """A request with a row whose list of nothing, so many fields of it, a struct replaces."""
    nothing = struct_pb2.Value(list_value=struct_pb2.ListValue(values=[struct_pb2.Value()] * fields))
    row = nothing.SerializeToString() + json_format.ParseDict(NAMED, struct_pb2.Value()).SerializeToString()
    return pb.PredictClassesRequest(model="small").SerializeToString() + b"\x1a" + varint(len(row)) + row


def test_a_request_of_far_more_fields_than_its_numbers_need_is_not_walked_through() -> None:
    served = SERVED["binary"]

    assert learnt(served, padded(20))
    assert not learnt(served, padded(200))
    assert outcome(known(served, "classes"), padded(200)) == outcome(
        whole(served, "classes"), message({"rows": [NAMED]})
    )


class Figures(dict[str, float]):
    """A part of a manifest whose end can be seen."""


def test_a_form_keeps_nothing_of_a_version_that_another_replaced() -> None:
    verb, request = verb_of(), message({"rows": [NAMED]})
    served = serving(replace(BINARY, metrics=Figures()))
    query = verb.query(request)
    query.render(Prediction(served, np.full((1, 2), 0.5), query.rows(served, MAX_ROWS).ids))
    assert isinstance(verb.query(request), KnownQuery)
    gone = weakref.ref(served.manifest.metrics)

    del served, query
    gc.collect()

    assert gone() is None
    assert not verb._frames
