from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.unit.sigmax import mixed
from tests.unit.sigmax.manifests import (
    BANDED,
    BANDED_LABELS,
    BINARY,
    MULTICLASS,
    MULTILABEL,
    model,
    with_logits,
)

from sigmax.contract import Manifest, Missing
from sigmax.errors import DeadlineExceeded, InvalidInput, NotFound, SigmaxError
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Floats, OnnxEngine
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.inference.readiness import Readiness
from sigmax.protocol import tensors
from sigmax.protocol.schema import Schema
from sigmax.protocol.tensors import to_bytes
from sigmax.rpc.forms import Forms
from sigmax.rpc.inference_protocol import InferenceService
from sigmax.rpc.raw import RAW_INPUT, Form, KnownQuery, form_of
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import open_inference_grpc_pb2 as pb

ENGINE = OnnxEngine(model(MULTICLASS), MULTICLASS)
SERVED = Served("small", "1", Predictor(MULTICLASS, ENGINE), Schema(MULTICLASS), Proof(1, 0.0, 0), b"{}")


def service(served: Served = SERVED) -> InferenceService:
    catalog = Catalog([Entry("small", served)])
    return InferenceService(catalog, Dispatch(catalog, 1000), Readiness(catalog), Metrics())


def request(matrix: Any, name: str = "small", **fields: Any) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name=name, raw_input_contents=[matrix.tobytes()], **fields)
    message.inputs.add(name="features", datatype="FP64", shape=matrix.shape)
    return message


def infer(asked: InferenceService, message: pb.ModelInferRequest) -> bytes:
    answer = asked.model_infer(message.SerializeToString())
    assert isinstance(answer, bytes)
    return answer


class Lacking:
    """An engine that says where the first feature is missing."""

    def run(self, features: Floats) -> Floats:
        absent = np.isnan(features[:, :1]).astype(np.float64)
        return np.hstack([absent, 1 - absent, np.zeros_like(absent)])

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        return self.run(features), self.run(features)


matrices = st.sampled_from([1, 2, 3, 40, 90]).flatmap(
    lambda rows: arrays(np.float64, (rows, 2), elements=st.floats(-100, 100, allow_subnormal=False))
)


@given(
    st.lists(matrices, min_size=2, max_size=6), st.sampled_from([(), ("label",), ("label", "probabilities")])
)
def test_requests_of_a_known_form_get_the_answer_that_a_full_reading_gives(
    matrices: list[Any], wanted: tuple[str, ...]
) -> None:
    learned = service()
    outputs = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in wanted]

    for matrix in [*matrices, *matrices]:
        message = request(matrix, outputs=outputs)
        assert infer(learned, message) == infer(service(), message)


def test_a_form_is_learnt_from_the_first_request_and_recognised_in_the_second() -> None:
    forms: Forms[Form] = Forms()
    first, second = request(np.zeros((1, 2))), request(np.ones((1, 2)))

    assert forms.find(first.SerializeToString()) is None
    forms.learn(first.SerializeToString(), partial(form_of, first.SerializeToString(), first))

    form = forms.find(second.SerializeToString())
    assert form is not None
    assert (form.model, form.shape, form.datatype) == ("small", (1, 2), "FP64")
    assert forms.find(request(np.ones((2, 2))).SerializeToString()) is None
    assert forms.find(request(np.ones((1, 2)), name="other").SerializeToString()) is None


def test_a_request_with_an_id_is_read_whole_and_its_id_comes_back() -> None:
    asked = service()
    plain, named = request(np.zeros((1, 2))), request(np.zeros((1, 2)), id="seven")

    assert form_of(named.SerializeToString(), named) is None
    infer(asked, plain)
    assert pb.ModelInferResponse.FromString(infer(asked, named)).id == "seven"
    assert pb.ModelInferResponse.FromString(infer(asked, plain)).id == ""


def test_numbers_that_do_not_stand_at_the_end_make_no_form() -> None:
    message = request(np.zeros((1, 2)))
    name_last = message.SerializeToString() + pb.ModelInferRequest(model_name="small").SerializeToString()

    assert form_of(name_last, pb.ModelInferRequest.FromString(name_last)) is None


def test_numbers_that_only_seem_to_stand_at_the_end_make_no_form() -> None:
    numbers = np.full((1, 2), 0.5).tobytes()
    message = request(np.full((1, 2), 0.5))
    hidden = message.SerializeToString() + b"\xa2\x06\x12" + RAW_INPUT + bytes([len(numbers)]) + numbers

    read = pb.ModelInferRequest.FromString(hidden)  # an unknown field, whose content is a field of ours

    assert read.raw_input_contents[0] == numbers
    assert form_of(hidden, read) is None


def test_wrong_numbers_of_a_known_form_are_refused_and_the_form_stays_good() -> None:
    asked = service()
    good = request(np.zeros((1, 2)))
    expected = infer(asked, good)

    with pytest.raises(InvalidInput, match="row 0, feature 'b': expected a finite number, got nan"):
        infer(asked, request(np.array([[0.0, np.nan]])))

    assert infer(asked, good) == expected


def test_only_answered_requests_are_learnt_from() -> None:
    asked = service()

    for _ in range(2):
        with pytest.raises(NotFound, match="unknown model 'none'"):
            infer(asked, request(np.zeros((1, 2)), name="none"))


def serving(manifest: Manifest) -> Served:
    engine = OnnxEngine(model(manifest), manifest)
    return Served("small", "1", Predictor(manifest, engine), Schema(manifest), Proof(1, 0.0, 0), b"{}")


EVERY = (BINARY, MULTICLASS, MULTILABEL, BANDED, BANDED_LABELS)


@pytest.mark.parametrize("manifest", [*EVERY, *map(with_logits, EVERY)])
def test_one_row_is_answered_alike_by_every_task(manifest: Manifest) -> None:
    served = serving(manifest)
    learned = service(served)

    for value in (-3.0, -0.1, 0.0, 0.1, 3.0, -3.0):
        message = request(np.full((1, 2), value))
        assert infer(learned, message) == infer(service(served), message)


def parameters(**values: float) -> dict[str, pb.InferParameter]:
    return {name: pb.InferParameter(double_param=value) for name, value in values.items()}


def answer(asked: InferenceService, message: pb.ModelInferRequest) -> dict[str, bytes]:
    read = pb.ModelInferResponse.FromString(infer(asked, message))
    return dict(zip([output.name for output in read.outputs], read.raw_output_contents, strict=True))


def test_a_form_remembers_what_its_parameters_say() -> None:
    learned, row = service(serving(BANDED)), np.full((1, 2), 0.1)
    plain, moved = request(row), request(row, parameters=parameters(threshold=0.9))
    banded = request(row, parameters=parameters(threshold=0.9, band_low=0.5, band_high=0.95))

    for _ in range(3):  # the first is read whole, the others are of a known form
        assert answer(learned, plain)["label"] == b"\x03\0\0\0yes"
        assert answer(learned, plain)["unsure"] == b"\1"
        assert answer(learned, moved)["label"] == b"\x02\0\0\0no"
        assert "unsure" not in answer(learned, moved)
        assert answer(learned, banded)["label"] == b"\x02\0\0\0no"
        assert answer(learned, banded)["unsure"] == b"\1"


def test_parameters_that_mean_nothing_here_are_ignored_whole_or_of_a_known_form() -> None:
    learned, row = service(serving(BANDED)), np.full((1, 2), 0.1)
    strange = request(row, parameters={"priority": pb.InferParameter(int64_param=1)})

    assert infer(learned, strange) == infer(learned, strange) == infer(service(serving(BANDED)), request(row))


@pytest.mark.parametrize("field", ["int64_param", "uint64_param", "string_param"])
def test_a_timeout_is_read_of_each_request_and_is_no_part_of_a_form(field: str) -> None:
    learned, row = service(serving(BANDED)), np.full((1, 2), 0.1)

    def timed(microseconds: int) -> pb.ModelInferRequest:
        value = str(microseconds) if field == "string_param" else microseconds
        options: Any = {field: value}
        return request(row, parameters={"timeout": pb.InferParameter(**options)})

    for _ in range(2):
        assert infer(learned, timed(10**9)) == infer(service(serving(BANDED)), request(row))
    with pytest.raises(DeadlineExceeded, match="the timeout of the request passed before it was computed"):
        infer(learned, timed(1))


def test_a_whole_number_is_a_threshold_too_and_a_text_is_refused() -> None:
    asked, row = service(serving(BINARY)), np.full((1, 2), 9.0)
    whole = request(row, parameters={"threshold": pb.InferParameter(int64_param=1)})
    text = request(row, parameters={"threshold": pb.InferParameter(string_param="0.3")})

    assert answer(asked, whole)["label"] == b"\x02\0\0\0no"
    with pytest.raises(
        InvalidInput, match=r"parameter 'threshold' is a number from 0 to 1, not the text '0\.3'"
    ):
        infer(asked, text)


@pytest.mark.parametrize(
    ("manifest", "wanted", "expected"),
    [
        (BINARY, "logits", "output 'logits': model 'small' was published without logits; its job has to say"),
        (
            BINARY,
            "unsure",
            "output 'unsure': no band applies; parameters 'band_low' and 'band_high' give one",
        ),
        (MULTICLASS, "unsure", "unknown output 'unsure'; this model has probabilities, label"),
        (BANDED, "unsre", "unknown output 'unsre', did you mean 'unsure'"),
    ],
)
def test_outputs_that_there_are_not_are_refused(manifest: Manifest, wanted: str, expected: str) -> None:
    message = request(
        np.zeros((1, 2)), outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=wanted)]
    )

    with pytest.raises(InvalidInput, match=expected):
        infer(service(serving(manifest)), message)


def test_the_texts_of_a_model_with_categories_make_no_form() -> None:
    texts = pb.ModelInferRequest(model_name="small", raw_input_contents=[to_bytes(["1"])])
    texts.inputs.add(name="categories", datatype="BYTES", shape=(1, 1))
    whole = pb.ModelInferRequest(model_name="small", raw_input_contents=[np.array([1]).tobytes()])
    whole.inputs.add(name="categories", datatype="INT64", shape=(1, 1))

    for message in (texts, whole):
        assert form_of(message.SerializeToString(), message) is None


def test_two_tensors_are_read_anew_each_time(tmp_path: Path) -> None:
    served = mixed.served(tmp_path)
    catalog = Catalog([Entry("mixed", served)])
    asked = InferenceService(catalog, Dispatch(catalog, 10), Readiness(catalog), Metrics())

    for city, row in (("서울", 0), ("대구", 1), ("서울", 0)):
        numbers = mixed.MATRIX[row : row + 1, [0, 2, 3, 5]]
        texts = to_bytes([city, str(mixed.ROWS[row]["등급"])])
        message = pb.ModelInferRequest(model_name="mixed", raw_input_contents=[numbers.tobytes(), texts])
        message.inputs.add(name="features", datatype="FP64", shape=(1, 4))
        message.inputs.add(name="categories", datatype="BYTES", shape=(1, 2))
        answer = pb.ModelInferResponse.FromString(infer(asked, message))
        said = np.frombuffer(answer.raw_output_contents[0])
        assert np.abs(said - mixed.expected(mixed.MATRIX[row : row + 1])).max() < 1e-15


def test_a_form_of_a_version_without_categories_is_none_of_one_with_them(tmp_path: Path) -> None:
    forms: Forms[Form] = Forms()
    message = request(np.zeros((1, 6)), name="mixed")
    forms.learn(message.SerializeToString(), partial(form_of, message.SerializeToString(), message))
    form = forms.find(message.SerializeToString())
    assert form is not None

    query = KnownQuery(form, message.SerializeToString())

    with pytest.raises(
        InvalidInput, match=r"expected the inputs 'features' and 'categories', got \['features'\]"
    ):
        query.rows(mixed.served(tmp_path), 10)


def test_missing_numbers_of_a_known_form_are_nan() -> None:
    lacking = tuple(replace(feature, missing=Missing.IMPUTE) for feature in MULTICLASS.features)
    manifest = replace(MULTICLASS, features=lacking)
    served = Served("small", "1", Predictor(manifest, Lacking()), Schema(manifest), Proof(1, 0.0, 0), b"{}")
    learned = service(served)

    said = [infer(learned, request(np.array([[value, 1.0]]))) for value in (1.0, np.nan, 2.0, np.nan)]

    probabilities = [pb.ModelInferResponse.FromString(answer).raw_output_contents[0] for answer in said]
    assert [np.frombuffer(raw)[0] for raw in probabilities] == [0.0, 1.0, 0.0, 1.0]


def outcome(asked: InferenceService, request: bytes) -> bytes | str:
    try:
        answer = asked.model_infer(request)
    except SigmaxError as error:
        return f"{error.code}: {error}"
    assert isinstance(answer, bytes)
    return answer


@given(st.data())
def test_a_changed_byte_of_a_known_request_is_read_as_a_full_reading_does(data: st.DataObject) -> None:
    datatype, rows = data.draw(st.sampled_from(["FP64", "FP32", "INT16"])), data.draw(st.integers(1, 2))
    matrix = np.arange(2 * rows).reshape(rows, 2).astype(tensors.DTYPES[datatype])
    message = pb.ModelInferRequest(model_name="small", raw_input_contents=[matrix.tobytes()])
    message.inputs.add(name="features", datatype=datatype, shape=matrix.shape)
    good = message.SerializeToString()
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    changed = changed[: data.draw(st.integers(len(good) - 3, len(good)))]
    learned = service()
    infer(learned, message)

    assert outcome(learned, bytes(changed)) == outcome(service(), bytes(changed))


def parameter(value: Any) -> pb.InferParameter:
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
    options: Any = {kinds[type(value)]: value}
    return pb.InferParameter(**options)


def some(values: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, pb.InferParameter]]:
    """Some of these names, each with one of its values."""
    each = {name: st.sampled_from(known).map(parameter) for name, known in values.items()}
    return st.fixed_dictionaries({}, optional=each)


WISHES = some(
    {
        "threshold": [0.9, 2.0],
        "timeout": [0, 10**12, "x"],
        "priority": [1, -1],
        "binary_data_output": [True, False, "yes"],
        "sequence_id": [0, "a"],
        "triton_x": [1],
        "other": ["x"],
    }
)
OUTPUT_WISHES = some({"classification": [1, 2, 0], "binary_data": [True, False], "other": [1]})
Requested = pb.ModelInferRequest.InferRequestedOutputTensor


@given(
    WISHES,
    st.dictionaries(st.sampled_from(["probabilities", "label", "none"]), OUTPUT_WISHES, max_size=2),
    some({"other": [1], "shared_memory_region": ["r"]}),
    st.lists(matrices, min_size=2, max_size=3),
)
def test_whatever_a_request_wants_a_known_form_answers_as_a_full_reading(
    wishes: Any, outputs: dict[str, Any], of_input: Any, matrices: list[Any]
) -> None:
    served = serving(BANDED)
    learned = service(served)
    requested = [Requested(name=name, parameters=said) for name, said in outputs.items()]

    for matrix in [*matrices, *matrices]:
        infer(learned, request(matrix))  # the same without wishes is a known form of its own
        message = request(matrix, parameters=wishes, outputs=requested)
        for name, value in of_input.items():
            message.inputs[0].parameters[name].CopyFrom(value)
        sent = message.SerializeToString()
        assert outcome(learned, sent) == outcome(service(served), sent)


@pytest.mark.parametrize(
    "wishes",
    [
        {"parameters": {"binary_data_output": parameter(value=False)}},
        {"parameters": {"timeout": parameter(10**12)}},
        {"outputs": [Requested(name="probabilities", parameters={"classification": parameter(1)})]},
    ],
)
def test_what_wants_more_than_numbers_makes_no_form(wishes: dict[str, Any]) -> None:
    message = request(np.zeros((1, 2)), **wishes)

    assert form_of(message.SerializeToString(), message) is None


def test_bf16_makes_no_form() -> None:
    message = pb.ModelInferRequest(model_name="small", raw_input_contents=[bytes(4)])
    message.inputs.add(name="features", datatype="BF16", shape=(1, 2))

    assert form_of(message.SerializeToString(), message) is None
    assert infer(service(), message) == infer(service(), request(np.zeros((1, 2))))


def test_each_version_that_answers_a_form_answers_for_itself() -> None:
    known: Forms[Form] = Forms()
    catalogs = [Catalog([Entry("small", served)]) for served in map(serving, (BINARY, BANDED, BINARY))]
    message = request(np.full((1, 2), 0.1))
    said = []
    for catalog in catalogs:
        asked = InferenceService(catalog, Dispatch(catalog, 1000), Readiness(catalog), Metrics())
        asked._forms = known  # as if the version had changed under way
        said.append([infer(asked, message), infer(asked, message)])

    assert said == [[infer(service(serving(manifest)), message)] * 2 for manifest in (BINARY, BANDED, BINARY)]


def test_numbers_are_read_right_wherever_they_begin() -> None:
    for length in range(1, 18):
        name, matrix = "m" * length, np.array([[0.25, -3.5], [1e-300, 7.0]])
        catalog = Catalog([Entry(name, replace(SERVED, name=name))])
        asked = InferenceService(catalog, Dispatch(catalog, 1000), Readiness(catalog), Metrics())
        message = request(matrix, name=name)
        infer(asked, request(np.zeros((2, 2)), name=name))

        form = asked._forms.find(message.SerializeToString())
        assert form is not None
        rows = KnownQuery(form, message.SerializeToString()).rows(catalog.find(name), 10)
        assert rows.features.tolist() == matrix.tolist()
        assert rows.features.flags.aligned


def test_forms_of_one_model_share_what_names_its_classes() -> None:
    named = []
    for rows in (1, 2, 100):
        message = request(np.zeros((rows, 2)))
        data = message.SerializeToString()
        form = form_of(data, message)
        assert form is not None
        answer = form.planned(SERVED, 1000, len(data)).answer
        assert answer is not None
        named.append(answer.named)

    assert named[0] is named[1] is named[2]


class Figures(dict[str, float]):
    """A part of a manifest whose end can be seen."""


def test_a_form_keeps_nothing_of_a_version_that_another_replaced() -> None:
    manifest = replace(MULTICLASS, metrics=Figures())
    served = replace(SERVED, predictor=Predictor(manifest, ENGINE), schema=Schema(manifest))
    message = request(np.zeros((1, 2)))
    data = message.SerializeToString()
    form = form_of(data, message)
    assert form is not None
    form.planned(served, 1000, len(data))
    gone = weakref.ref(manifest.metrics)

    del served, manifest
    gc.collect()

    assert gone() is None
    assert form.planned(SERVED, 1000, len(data)).served() is SERVED
