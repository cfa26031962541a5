from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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

from sigmax.contract import Manifest
from sigmax.errors import BundleRejected, DeadlineExceeded, Internal, InvalidInput, NotReady
from sigmax.inference.catalog import Catalog, Entry, Served, open_version
from sigmax.inference.description import describe
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.engine import Floats, OnnxEngine
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema
from sigmax.protocol.tabular import Rows
from sigmax.repository import bundle
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery, ProbabilitiesQuery
from sigmax.rpc import classifier as rpc_classifier
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2


class Fixed:
    """An engine that says the same of every row."""

    def __init__(self, *probabilities: float, logits: tuple[float, ...] = ()) -> None:
        self._row = np.array(probabilities)
        self._logits = np.array(logits)

    def run(self, features: Floats) -> Floats:
        return np.tile(self._row, (len(features), 1))

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        return self.run(features), np.tile(self._logits, (len(features), 1))


class Failing:
    """An engine that breaks."""

    def run(self, features: Floats) -> Floats:
        raise RuntimeError("secret=hunter2 in /etc/passwd")


def dispatch(manifest: Manifest, engine: Any, max_rows: int = 100) -> Dispatch:
    served = Served("small", "1", Predictor(manifest, engine), Schema(manifest), Proof(1, 0.0, 0), b"{}")
    return Dispatch(Catalog([Entry("small", served)]), max_rows)


def classes(manifest: Manifest, engine: Any, body: Any, query: Any = ClassesQuery) -> Any:
    meter = Metrics().verb("test", "classes")
    answer = dispatch(manifest, engine).answer(meter, query, "small", "", Body(json.dumps(body).encode()))
    return json.loads(answer.body)


ROW = {"rows": [{"a": 1, "b": 2}]}


class Timed(ClassesQuery):
    """A query whose answer is of no use after a while, which is known once its rows are read."""

    timeout: float | None = None

    def __init__(self, seconds: float | None, body: Body) -> None:
        super().__init__("small", "", body)
        self._seconds = seconds

    def rows(self, served: Served, max_rows: int) -> Rows:
        read = super().rows(served, max_rows)
        self.timeout = self._seconds
        return read


class Counted(Fixed):
    """An engine that counts its runs."""

    def __init__(self, *probabilities: float) -> None:
        super().__init__(*probabilities)
        self.runs = 0

    def run(self, features: Floats) -> Floats:
        self.runs += 1
        return super().run(features)


@pytest.mark.parametrize(("seconds", "runs"), [(None, 1), (3600.0, 1), (1e-9, 0)])
def test_a_model_does_not_run_for_a_request_whose_timeout_has_passed(
    seconds: float | None, runs: int
) -> None:
    engine, metrics = Counted(0.3, 0.7), Metrics()
    asked, meter = dispatch(BINARY, engine), metrics.verb("test", "classes")

    with nullcontext() if runs else pytest.raises(DeadlineExceeded, match="passed before it was computed"):
        asked.answer(meter, Timed, seconds, Body(json.dumps(ROW).encode()))

    assert engine.runs == runs
    assert f'code="{"OK" if runs else "DEADLINE"}",door="test"' in metrics.exposition().decode()


def test_binary_answers_with_the_chosen_class_and_its_probability() -> None:
    assert classes(BINARY, Fixed(0.3, 0.7), ROW)["results"] == [{"label": "yes", "probability": 0.7}]
    assert classes(BINARY, Fixed(0.5, 0.5), ROW)["results"] == [{"label": "no", "probability": 0.5}]


def test_a_callers_threshold_moves_the_decision_and_not_the_probabilities() -> None:
    body = {**ROW, "options": {"threshold": 0.7}}

    assert classes(BINARY, Fixed(0.3, 0.7), body)["results"] == [{"label": "no", "probability": 0.3}]
    assert classes(BINARY, Fixed(0.3, 0.7), ROW, ProbabilitiesQuery)["probabilities"] == [[0.3, 0.7]]


def test_top_k_names_the_most_probable_first_and_the_lower_column_on_a_tie() -> None:
    body = {**ROW, "options": {"top_k": 2}}

    found = classes(MULTICLASS, Fixed(0.25, 0.25, 0.5), body)["results"][0]

    assert list(found["probabilities"].items()) == [("z", 0.5), ("x", 0.25)]


def test_top_k_beyond_the_classes_names_them_all() -> None:
    body = {**ROW, "options": {"top_k": 99}}

    assert len(classes(MULTICLASS, Fixed(0.2, 0.3, 0.5), body)["results"][0]["probabilities"]) == 3


def test_multilabel_answers_with_labels_and_their_probabilities() -> None:
    engine = Fixed(0.6, 0.2, 0.8)

    plain = classes(MULTILABEL, engine, ROW)["results"][0]
    one = classes(MULTILABEL, engine, {**ROW, "options": {"threshold": {"x": 0.7}}})["results"][0]
    every = classes(MULTILABEL, engine, {**ROW, "options": {"threshold": 0.1}})["results"][0]

    assert plain == {"labels": ["x", "z"], "probabilities": {"x": 0.6, "z": 0.8}}
    assert one["labels"] == ["z"]
    assert every["labels"] == ["x", "y", "z"]


def test_multilabel_over_grpc_says_the_same() -> None:
    request = classifier_pb2.PredictClassesRequest(model="small")
    request.rows.add().list_value.extend([1.0, 2.0])
    meter = Metrics().verb("test", "classes")

    answer = dispatch(MULTILABEL, Fixed(0.6, 0.2, 0.8)).answer(
        meter, rpc_classifier.ClassesQuery, request.SerializeToString()
    )

    result = classifier_pb2.PredictClassesResponse.FromString(answer).results[0]
    assert list(result.labels) == ["x", "z"]
    assert dict(result.probabilities) == {"x": 0.6, "z": 0.8}


def test_an_unknown_label_of_a_threshold_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="unknown label 'zz'"):
        classes(MULTILABEL, Fixed(0.6, 0.2, 0.8), {**ROW, "options": {"threshold": {"zz": 0.5}}})
    with pytest.raises(InvalidInput, match="a binary model takes one number"):
        classes(BINARY, Fixed(0.3, 0.7), {**ROW, "options": {"threshold": {"yes": 0.5}}})


def test_a_model_with_a_band_says_of_each_row_whether_it_is_unsure() -> None:
    unsure = classes(BANDED, Fixed(0.3, 0.7), ROW)["results"]
    sure = classes(BANDED, Fixed(0.1, 0.9), ROW)["results"]

    assert unsure == [{"label": "yes", "probability": 0.7, "unsure": True}]
    assert sure == [{"label": "yes", "probability": 0.9, "unsure": False}]


def test_a_callers_threshold_ends_the_models_band_unless_one_comes_with_it() -> None:
    moved = classes(BANDED, Fixed(0.3, 0.7), {**ROW, "options": {"threshold": 0.6}})["results"]
    both = classes(BANDED, Fixed(0.3, 0.7), {**ROW, "options": {"threshold": 0.8, "band": [0.7, 0.9]}})
    given = classes(BINARY, Fixed(0.3, 0.7), {**ROW, "options": {"band": [0.4, 0.7]}})

    assert moved == [{"label": "yes", "probability": 0.7}]
    assert both["results"] == [{"label": "no", "probability": 0.3, "unsure": False}]
    assert given["results"] == [{"label": "yes", "probability": 0.7, "unsure": True}]


def test_a_multilabel_model_names_the_labels_that_are_unsure() -> None:
    some = classes(BANDED_LABELS, Fixed(0.4, 0.9, 1.0), ROW)["results"][0]
    none = classes(BANDED_LABELS, Fixed(0.8, 0.9, 0.1), ROW)["results"][0]

    assert (some["labels"], some["unsure"], some["unsure_labels"]) == (["y", "z"], True, ["x", "z"])
    assert (none["labels"], none["unsure"], none["unsure_labels"]) == (["x", "y"], False, [])


def over_grpc(manifest: Manifest, engine: Any, **options: Any) -> classifier_pb2.Result:
    request = classifier_pb2.PredictClassesRequest(model="small", options=options)
    request.rows.add().list_value.extend([1.0, 2.0])
    meter = Metrics().verb("test", "classes")
    answer = dispatch(manifest, engine).answer(
        meter, rpc_classifier.ClassesQuery, request.SerializeToString()
    )
    return classifier_pb2.PredictClassesResponse.FromString(answer).results[0]


def test_grpc_tells_a_sure_row_from_one_of_a_model_without_a_band() -> None:
    plain, sure, unsure = (
        over_grpc(BINARY, Fixed(0.3, 0.7)),
        over_grpc(BANDED, Fixed(0.1, 0.9)),
        over_grpc(BANDED, Fixed(0.3, 0.7)),
    )
    labels = over_grpc(BANDED_LABELS, Fixed(0.4, 0.9, 1.0))

    assert [result.HasField("unsure") for result in (plain, sure, unsure, labels)] == [
        False,
        True,
        True,
        True,
    ]
    assert [result.unsure for result in (sure, unsure, labels)] == [False, True, True]
    assert list(labels.unsure_labels) == ["x", "z"]


def test_logits_are_answered_where_they_are_asked_for() -> None:
    engine, body = Fixed(0.3, 0.7, logits=(-0.85, 0.85)), {**ROW, "options": {"include": ["logits"]}}
    manifest = with_logits(BINARY)

    found = classes(manifest, engine, body, ProbabilitiesQuery)
    result = over_grpc(manifest, engine, include=["logits"])

    assert (found["probabilities"], found["logits"]) == ([[0.3, 0.7]], [[-0.85, 0.85]])
    assert classes(manifest, engine, body)["results"] == [
        {"label": "yes", "probability": 0.7, "logits": {"no": -0.85, "yes": 0.85}}
    ]
    assert dict(result.logits) == {"no": -0.85, "yes": 0.85}
    assert "logits" not in classes(manifest, engine, ROW, ProbabilitiesQuery)


def test_a_model_without_logits_says_what_its_job_has_to_say() -> None:
    body = {**ROW, "options": {"include": ["logits"]}}

    for query in (ClassesQuery, ProbabilitiesQuery):
        with pytest.raises(InvalidInput, match="model 'small' was published without logits; its job has to"):
            classes(BINARY, Fixed(0.3, 0.7), body, query)


def test_logits_that_overflow_are_refused_though_their_probabilities_are_numbers() -> None:
    engine, body = Fixed(0.0, 1.0, logits=(-np.inf, np.inf)), {**ROW, "options": {"include": ["logits"]}}

    with pytest.raises(InvalidInput, match="row 0: these features are so large"):
        classes(with_logits(BINARY), engine, body)

    assert classes(with_logits(BINARY), engine, ROW)["results"] == [{"label": "yes", "probability": 1.0}]


@pytest.mark.parametrize("option", [{"band": [0.4, 0.6]}, {"threshold": 0.4}, {"top_k": 1}])
def test_probabilities_are_given_undecided(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="is for classes; probabilities are given whole, undecided"):
        classes(BANDED, Fixed(0.3, 0.7), {**ROW, "options": option}, ProbabilitiesQuery)


def test_a_description_says_the_band_and_what_it_means() -> None:
    for manifest, band in (
        (BANDED, {"yes": [0.25, 0.75]}),
        (BANDED_LABELS, {"x": [0.25, 0.75], "z": [0.5, 1.0]}),
    ):
        described = describe(manifest, Proof(1, 0.0, 0), b"{}", {})["decision"]
        assert described["band"] == band
        assert described["rule"].endswith("unsure where low < probability <= high of its band")
    assert "band" not in describe(BINARY, Proof(1, 0.0, 0), b"{}", {})["decision"]


def test_an_id_column_comes_back_with_each_row_whatever_it_holds() -> None:
    rows = [{"a": 1, "b": 2, "id": identity} for identity in ("x", 7, None, 1.5, True)]
    body = {"rows": rows, "options": {"id": "id"}}

    found = classes(BINARY, Fixed(0.3, 0.7), body)["results"]
    ids = classes(BINARY, Fixed(0.3, 0.7), body, ProbabilitiesQuery)["ids"]

    assert [row["id"] for row in found] == ids == ["x", 7, None, 1.5, True]


def test_extra_columns_are_passed_over_where_the_caller_says_so() -> None:
    rows = [{"a": 1, "b": 2, "colour": "red"}]
    columns = {"a": [1], "b": [2], "colour": ["red"]}

    for body in ({"rows": rows}, {"columns": columns}):
        ignored = classes(BINARY, Fixed(0.3, 0.7), {**body, "options": {"extra": "ignore"}})
        assert ignored["results"][0]["label"] == "yes"
        with pytest.raises(InvalidInput, match="unknown feature 'colour'"):
            classes(BINARY, Fixed(0.3, 0.7), body)


def test_an_unforeseen_error_reaches_the_caller_as_an_opaque_id(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(Internal) as failed:
        classes(BINARY, Failing(), ROW)

    assert "hunter2" not in str(failed.value)
    reference = str(failed.value).rsplit(" ", 1)[1]
    assert reference in caplog.text
    assert "hunter2" in caplog.text


def test_every_outcome_is_counted_under_its_code() -> None:
    metrics = Metrics()
    meter = metrics.verb("test", "classes")
    good = Body(json.dumps(ROW).encode())
    with pytest.raises(Internal):
        dispatch(BINARY, Failing()).answer(meter, ClassesQuery, "small", "", good)
    with pytest.raises(InvalidInput):
        dispatch(BINARY, Fixed(0.3, 0.7)).answer(meter, ClassesQuery, "small", "", Body(b"{}"))
    dispatch(BINARY, Fixed(0.3, 0.7)).answer(meter, ClassesQuery, "small", "", good)

    text = metrics.exposition().decode()

    for code in ("INTERNAL", "INVALID_INPUT", "OK"):
        assert f'code="{code}",door="test",model="small",verb="classes",version="1"}} 1.0' in text
    assert 'sigmax_batch_rows_count{model="small",version="1"} 1.0' in text


def test_missing_values_and_unknown_categories_are_counted_once_they_were_answered(tmp_path: Path) -> None:
    served, metrics = mixed.served(tmp_path), Metrics()
    asked, meter = Dispatch(Catalog([Entry("mixed", served)]), 10), metrics.verb("test", "classes")

    def ask(rows: list[Any]) -> None:
        asked.answer(meter, ClassesQuery, "mixed", "", Body(json.dumps({"rows": rows}).encode()))

    ask(mixed.ROWS[:1])
    assert "mixed" not in "".join(
        line for line in metrics.exposition().decode().splitlines() if "unknown" in line or "missing" in line
    )
    ask(mixed.ROWS)
    ask(mixed.ROWS[3:])
    with pytest.raises(InvalidInput):
        ask([*mixed.ROWS, {**mixed.ROWS[0], "회원": "yes"}])

    text = metrics.exposition().decode()
    labels = 'model="mixed",version="1"'
    assert f'sigmax_unknown_categories_total{{feature="도시",{labels}}} 2.0' in text
    assert f'sigmax_missing_values_total{{feature="도시",{labels}}} 1.0' in text
    assert f'sigmax_missing_values_total{{feature="임금",{labels}}} 3.0' in text
    assert text.count("sigmax_unknown_categories_total{") == 1
    assert text.count("sigmax_missing_values_total{") == 2


def test_a_model_of_numbers_that_must_be_there_counts_nothing_of_the_kind() -> None:
    assert Schema(BINARY).usual is None


def test_golden_rows_with_missing_values_and_codes_prove_a_model(tmp_path: Path) -> None:
    served = mixed.served(tmp_path)

    assert served.proof.rows == len(mixed.MATRIX)
    assert served.proof.difference < 1e-15
    read = bundle.read(tmp_path / "mixed" / "1").golden.features
    assert np.array_equal(read, mixed.MATRIX, equal_nan=True)


def test_a_graph_that_treats_missing_values_otherwise_is_refused(tmp_path: Path) -> None:
    folder = mixed.write(tmp_path)
    content = bundle.read(folder)
    wrong = replace(content.golden, probabilities=content.golden.probabilities[[0, 0, 2, 3, 4]])
    files = {
        "model.onnx": content.model,
        "golden.json": wrong.to_json(content.manifest),
        "example.json": content.example,
    }
    again = tmp_path / "again"
    again.mkdir()
    bundle.write(again, content.manifest, files)

    with pytest.raises(BundleRejected, match="row 1, class "):
        open_version(again)


def test_a_model_whose_versions_were_all_refused_is_not_ready() -> None:
    catalog = Catalog([Entry("small", None, {3: "its sha256 differs"})])

    with pytest.raises(NotReady, match="model 'small' has no version that is ready"):
        catalog.find("small")
    assert catalog.listing()["details"][0]["reason"] == "its sha256 differs"
    assert catalog.listing()["models"] == []


def test_the_predictor_answers_no_rows_with_no_rows_and_dispatch_refuses_them() -> None:
    for manifest in (BINARY, MULTICLASS):
        predictor = Predictor(manifest, OnnxEngine(model(manifest), manifest))
        assert predictor.probabilities(np.zeros((0, 2))).shape == (0, len(manifest.classes))


def test_a_graph_that_is_not_what_the_manifest_says_is_refused() -> None:
    with pytest.raises(BundleRejected, match="the graph's outputs are"):
        OnnxEngine(
            model(BINARY),
            replace(
                BINARY,
                classes=("no", "yes", "maybe"),
                task=MULTICLASS.task,
                head=MULTICLASS.head,
                decision=MULTICLASS.decision,
            ),
        )
    with pytest.raises(BundleRejected, match="ONNX Runtime does not load the model"):
        OnnxEngine(b"not a model", BINARY)


@pytest.mark.parametrize("manifest", [BINARY, MULTICLASS, MULTILABEL])
def test_logits_come_with_the_same_bits_of_probabilities(manifest: Manifest) -> None:
    engine = OnnxEngine(model(with_logits(manifest)), with_logits(manifest))
    features = np.random.default_rng(0).normal(size=(7, 2))

    for rows in (features, features[:1], features[:0]):
        probabilities, logits = engine.run_both(rows)
        assert probabilities.tobytes() == engine.run(rows).tobytes()
        assert logits.shape == probabilities.shape
        assert logits[:, -1].tolist() == pytest.approx(rows.sum(axis=1).tolist())


def test_a_graph_gives_logits_exactly_where_the_manifest_says_so() -> None:
    with pytest.raises(BundleRejected, match="the graph's outputs are"):
        OnnxEngine(model(with_logits(BINARY)), BINARY)
    with pytest.raises(BundleRejected, match="the graph's outputs are"):
        OnnxEngine(model(BINARY), with_logits(BINARY))


def test_rows_over_the_limit_are_refused_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from sigmax.protocol import tabular

    def unread(*_: Any) -> Any:
        raise AssertionError("a row was read")

    monkeypatch.setattr(tabular, "numbers", unread)
    monkeypatch.setattr(rpc_classifier, "_plain", unread)
    monkeypatch.setattr(rpc_classifier, "_list", unread)
    small, meter = dispatch(BINARY, Fixed(0.3, 0.7), max_rows=2), Metrics().verb("test", "classes")
    rows = classifier_pb2.PredictClassesRequest(model="small", rows=[{}] * 3)
    columns = classifier_pb2.PredictClassesRequest(model="small")
    columns.columns["a"].extend([1.0] * 3)

    for body in (
        {"rows": [[1, 2]] * 3},
        {"rows": [{"a": 1, "b": 2}] * 3},
        {"columns": {"a": [1] * 3, "b": [2] * 3}},
    ):
        with pytest.raises(InvalidInput, match="3 rows in one request, at most 2 are taken"):
            small.answer(meter, ClassesQuery, "small", "", Body(json.dumps(body).encode()))
    for message in (rows, columns):
        with pytest.raises(InvalidInput, match="3 rows in one request, at most 2 are taken"):
            small.answer(meter, rpc_classifier.ClassesQuery, message.SerializeToString())
