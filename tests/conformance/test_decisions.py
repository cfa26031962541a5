"""Thresholds, bands and logits: the same through every door, the model's own and the request's."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from google.protobuf import json_format
from tests.conformance.models import MANIFESTS, ROWS, publish, said
from tests.openapi import resolved
from tests.service import Service, call, command, environment, running

from sigmax.cli import cli
from sigmax.contract import Task
from sigmax.errors import InvalidInput
from sigmax.inference.decision import Rule
from sigmax.protocol.tensors import DTYPES, NAMES
from sigmax.wire import classifier_pb2 as classifier
from sigmax.wire import open_inference_grpc_pb2 as oip

BANDED = ("two", "halves", "small", "labels")
WITH_LOGITS = ("three", "each", "two", "halves", "labels")


@dataclass(frozen=True)
class Asked:
    """What a caller asks for beside the rows."""

    threshold: float | None = None
    band: tuple[float, float] | None = None
    logits: bool = False

    @property
    def options(self) -> dict[str, Any]:
        given = {"threshold": self.threshold, "band": None if self.band is None else list(self.band)}
        more = {"include": ["logits"]} if self.logits else {}
        return {name: value for name, value in given.items() if value is not None} | more

    @property
    def parameters(self) -> dict[str, float]:
        low, high = self.band or (None, None)
        given = {"threshold": self.threshold, "band_low": low, "band_high": high}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    """What a door said of every row: chosen labels, unsure labels (None: no band), logits (None: none).

    Of a binary model a row's one flag stands as the list of the chosen label, or as an empty list.
    """

    chosen: list[list[str]]
    unsure: list[list[str]] | None
    logits: npt.NDArray[np.float64] | None
    probabilities: npt.NDArray[np.float64] | None = field(default=None, compare=False)


class Refused(Exception):
    """A door's refusal."""


Ask = Callable[[str, Asked], Answer]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decisions")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def decisions(root: Path) -> Iterator[Service]:
    with running(root) as started:
        yield started


def of_results(results: list[dict[str, Any]], logits: bool) -> Answer:
    chosen = [row["labels"] if "labels" in row else [row["label"]] for row in results]
    unsure = None
    if "unsure" in results[0]:
        unsure = [
            row["unsure_labels"] if "labels" in row else [row["label"]] * row["unsure"] for row in results
        ]
        assert [bool(labels) for labels in unsure] == [row["unsure"] for row in results]
    else:
        assert not any("unsure_labels" in row for row in results)
    numbers = np.array([list(row["logits"].values()) for row in results]) if logits else None
    return Answer(chosen, unsure, numbers)


def by_rest(service: Service) -> Ask:
    def ask(model: str, asked: Asked) -> Answer:
        body = {"rows": ROWS.tolist(), "options": asked.options}
        response = httpx.post(f"{service.rest}/v1/models/{model}:classes", json=body)
        if response.status_code != 200:
            assert response.status_code == 400
            raise Refused(response.json()["error"])
        return of_results(response.json()["results"], asked.logits)

    return ask


def by_grpc(service: Service) -> Ask:
    def ask(model: str, asked: Asked) -> Answer:
        document = {"model": model, "rows": ROWS.tolist(), "options": asked.options}
        request = json_format.ParseDict(document, classifier.PredictClassesRequest())
        with grpc.insecure_channel(service.grpc) as channel:
            data = called(channel, "/sigmax.v1.Classifier/PredictClasses", request.SerializeToString())
        results = classifier.PredictClassesResponse.FromString(data).results
        multilabel = MANIFESTS[model].task is Task.MULTILABEL
        plain = []
        for result in results:
            row: dict[str, Any] = {"labels": list(result.labels)} if multilabel else {"label": result.label}
            if result.HasField("unsure"):
                row["unsure"] = result.unsure
                if multilabel:
                    row["unsure_labels"] = list(result.unsure_labels)
            if result.logits:
                row["logits"] = {label: result.logits[label] for label in MANIFESTS[model].classes}
            plain.append(row)
        return of_results(plain, asked.logits)

    return ask


def by_command_line(root: Path, form: str) -> Ask:
    def ask(model: str, asked: Asked) -> Answer:
        flags = [] if asked.threshold is None else ["--threshold", str(asked.threshold)]
        flags += [] if asked.band is None else ["--band", *map(str, asked.band)]
        flags += ["--include", "logits"] if asked.logits else []
        given = json.dumps(ROWS.tolist()) if form == "json" else as_csv(ROWS)
        words = ["predict", model, "--models", str(root), "--input", "-", "--format", form, *flags]
        ended = CliRunner().invoke(cli, words, given)
        if isinstance(ended.exception, InvalidInput):
            raise Refused(str(ended.exception)) from ended.exception
        assert ended.exit_code == 0, ended.output
        if form == "json":
            return of_results(json.loads(ended.stdout)["results"], asked.logits)
        return of_results(
            [from_cells(row) for row in csv.DictReader(io.StringIO(ended.stdout))], asked.logits
        )

    return ask


def as_csv(rows: npt.NDArray[Any]) -> str:
    return "a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in rows.tolist())


def from_cells(row: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = dict(row)
    for name in ("labels", "unsure_labels"):
        if name in row:
            found[name] = [part for part in row[name].split(";") if part]
    if "unsure" in row:
        found["unsure"] = {"true": True, "false": False}[row["unsure"]]
    found["logits"] = {name[6:]: float(value) for name, value in row.items() if name.startswith("logit ")}
    return found


def by_inference_rest(service: Service, *, binary: bool) -> Ask:
    def ask(model: str, asked: Asked) -> Answer:
        tensor = {"name": "features", "shape": list(ROWS.shape), "datatype": "FP64", "data": ROWS.tolist()}
        parameters = {**asked.parameters, "binary_data_output": binary, "unheard": "of"}
        body = {"inputs": [tensor], "parameters": parameters}
        response = httpx.post(f"{service.rest}/v2/models/{model}/infer", json=body)
        if response.status_code != 200:
            assert response.status_code == 400
            raise Refused(response.json()["error"])
        if not binary:
            found = {
                output["name"]: tensor_of(output, output["data"]) for output in response.json()["outputs"]
            }
            return of_tensors(model, found, asked.logits)
        length = int(response.headers["inference-header-content-length"])
        rest, found = response.content[length:], {}
        for output in json.loads(response.content[:length])["outputs"]:
            size = output["parameters"]["binary_data_size"]
            found[output["name"]] = from_raw(output["datatype"], output["shape"], rest[:size])
            rest = rest[size:]
        assert rest == b""
        return of_tensors(model, found, asked.logits)

    return ask


def by_inference_grpc(service: Service, *, raw: bool) -> Ask:
    def ask(model: str, asked: Asked) -> Answer:
        request = oip.ModelInferRequest(model_name=model)
        tensor = request.inputs.add(name="features", datatype="FP64", shape=ROWS.shape)
        if raw:
            request.raw_input_contents.append(ROWS.tobytes())
        else:
            tensor.contents.fp64_contents.extend(ROWS.ravel().tolist())
        for name, value in asked.parameters.items():
            request.parameters[name].double_param = value
        request.parameters["unheard"].string_param = "of"
        with grpc.insecure_channel(service.grpc) as channel:
            answers = [
                called(channel, "/inference.GRPCInferenceService/ModelInfer", request.SerializeToString())
                for _ in range(2)
            ]  # the second of a raw request is of a known form
        assert answers[0] == answers[1]
        message = oip.ModelInferResponse.FromString(answers[0])
        found = {}
        for index, output in enumerate(message.outputs):
            if raw:
                content = message.raw_output_contents[index]
                found[output.name] = from_raw(output.datatype, output.shape, content)
            else:
                _, values = output.contents.ListFields()[0]
                texts = [value.decode() if isinstance(value, bytes) else value for value in values]
                found[output.name] = tensor_of({"shape": output.shape}, texts)
        return of_tensors(model, found, asked.logits)

    return ask


def called(channel: grpc.Channel, path: str, request: bytes) -> bytes:
    try:
        return call(channel, path, request)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        raise Refused(error.details()) from error


def tensor_of(output: dict[str, Any], values: Any) -> npt.NDArray[Any]:
    return np.array(values).reshape(tuple(output["shape"]))


def from_raw(datatype: str, shape: Any, raw: bytes) -> npt.NDArray[Any]:
    if datatype != "BYTES":
        flat: npt.NDArray[Any] = np.frombuffer(raw, DTYPES[datatype])
        return flat.reshape(tuple(shape))
    texts = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        texts.append(raw[4 : 4 + size].decode())
        raw = raw[4 + size :]
    return np.array(texts)


def of_tensors(model: str, found: dict[str, npt.NDArray[Any]], logits: bool) -> Answer:
    """Tensors as an answer; without `outputs` all came, logits unasked among them."""
    classes = np.array(MANIFESTS[model].classes)
    if "labels" in found:
        chosen = [classes[row].tolist() for row in found["labels"]]
    else:
        chosen = [[label] for label in found["label"].tolist()]
    unsure = None
    if "unsure" in found and "labels" in found:
        unsure = [classes[row].tolist() for row in found["unsure"]]
    elif "unsure" in found:
        unsure = [labels * int(flag) for labels, flag in zip(chosen, found["unsure"].tolist(), strict=True)]
    numbers = found["logits"].astype(np.float64) if logits else None
    return Answer(chosen, unsure, numbers, found["probabilities"].astype(np.float64))


@pytest.fixture(scope="module")
def ways(root: Path, decisions: Service) -> dict[str, Ask]:
    return {
        "rest": by_rest(decisions),
        "grpc": by_grpc(decisions),
        "v2 rest": by_inference_rest(decisions, binary=False),
        "v2 rest binary": by_inference_rest(decisions, binary=True),
        "v2 grpc typed": by_inference_grpc(decisions, raw=False),
        "v2 grpc raw": by_inference_grpc(decisions, raw=True),
        "command line, JSON": by_command_line(root, "json"),
        "command line, CSV": by_command_line(root, "csv"),
    }


def reckoned(model: str, asked: Asked) -> Answer:
    """What every door has to say, reckoned without the decision rule's code."""
    manifest = MANIFESTS[model]
    logits, probabilities = said(manifest, ROWS)
    own = manifest.decision
    thresholds = {
        label: own.thresholds[label] if asked.threshold is None else asked.threshold
        for label in own.thresholds
    }
    band = dict(own.band) if asked.threshold is None else {}
    if asked.band is not None:
        band = dict.fromkeys(own.thresholds, asked.band)
    flags = [
        [label for label, (low, high) in band.items() if low < row[manifest.classes.index(label)] <= high]
        for row in probabilities
    ]
    if manifest.task is Task.MULTILABEL:
        chosen = [
            [label for label, p in zip(manifest.classes, row, strict=True) if p > thresholds[label]]
            for row in probabilities
        ]
        unsure = [[label for label in manifest.classes if label in found] for found in flags]
    elif manifest.task is Task.MULTICLASS:
        chosen, unsure = [[manifest.classes[column]] for column in probabilities.argmax(axis=1)], []
    else:
        positive = str(own.positive)
        other = next(label for label in manifest.classes if label != positive)
        column = manifest.classes.index(positive)
        chosen = [[positive if row[column] > thresholds[positive] else other] for row in probabilities]
        unsure = [labels if found else [] for labels, found in zip(chosen, flags, strict=True)]
    return Answer(chosen, unsure if band else None, logits if asked.logits else None)


def agree(found: Answer, expected: Answer) -> None:
    assert (found.chosen, found.unsure) == (expected.chosen, expected.unsure)
    assert (found.logits is None) == (expected.logits is None)
    if found.logits is not None and expected.logits is not None:
        assert np.abs(found.logits - expected.logits).max() <= 1e-9


def test_no_row_lies_so_close_to_an_edge_that_a_door_could_excuse_itself() -> None:
    for manifest in MANIFESTS.values():
        own = manifest.decision
        rule = Rule(manifest, np.float64, own.thresholds, own.band)
        probabilities = said(manifest, ROWS)[1]
        assert rule.margins(probabilities).min() > 1e-4
        if own.band:
            assert rule.band_margins(probabilities).min() > 1e-4
            assert 0.2 < rule.unsure(probabilities).mean() < 0.8


ASKED = (Asked(), Asked(threshold=0.55), Asked(band=(0.25, 0.65)), Asked(threshold=0.7, band=(0.6, 0.75)))


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("model", ["two", "halves", "small", "plain", "labels"])
def test_decisions_and_doubts_are_the_same_through_every_door(
    ways: dict[str, Ask], model: str, asked: Asked
) -> None:
    expected = reckoned(model, asked)

    for ask in ways.values():
        agree(ask(model, asked), expected)


@pytest.mark.parametrize("model", WITH_LOGITS)
def test_logits_are_the_same_through_every_door(ways: dict[str, Ask], model: str) -> None:
    expected = reckoned(model, Asked(logits=True))

    found = [ask(model, Asked(logits=True)) for ask in ways.values()]

    for answer in found:
        agree(answer, expected)
    assert len({answer.logits.tobytes() for answer in found if answer.logits is not None}) == 1


@pytest.mark.parametrize("model", WITH_LOGITS)
def test_the_head_of_the_logits_is_the_probabilities(ways: dict[str, Ask], model: str) -> None:
    answer = ways["v2 grpc raw"](model, Asked(logits=True))
    head = MANIFESTS[model].head.value

    assert answer.logits is not None
    assert answer.probabilities is not None
    odds = np.exp(answer.logits) if head == "softmax" else 1 / (1 + np.exp(-answer.logits))
    total = 1.0 if head == "sigmoid" else odds.sum(axis=1, keepdims=True)
    assert np.abs(odds / total - answer.probabilities).max() < 1e-12


@pytest.mark.parametrize("model", WITH_LOGITS)
def test_probabilities_come_with_their_logits_or_without_them_unchanged(
    decisions: Service, model: str
) -> None:
    url = f"{decisions.rest}/v1/models/{model}:probabilities"
    rows = {"rows": ROWS.tolist()}

    plain = httpx.post(url, json=rows).json()
    both = httpx.post(url, json={**rows, "options": {"include": ["logits"]}}).json()
    request = json_format.ParseDict(
        {"model": model, **rows, "options": {"include": ["logits"]}}, classifier.PredictProbabilitiesRequest()
    )
    with grpc.insecure_channel(decisions.grpc) as channel:
        data = call(channel, "/sigmax.v1.Classifier/PredictProbabilities", request.SerializeToString())
    by_rpc = classifier.PredictProbabilitiesResponse.FromString(data)

    assert "logits" not in plain
    assert both["probabilities"] == plain["probabilities"]
    assert both["logits"] == [list(row.values) for row in by_rpc.logits]
    assert np.abs(np.array(both["logits"]) - said(MANIFESTS[model], ROWS)[0]).max() < 1e-9


@pytest.mark.parametrize("count", [1, 2, 60])
@pytest.mark.parametrize("model", BANDED)
def test_a_batch_of_any_size_has_the_doubts_of_its_rows(decisions: Service, model: str, count: int) -> None:
    """One row over raw gRPC takes a way of its own once its form is known."""
    message = oip.ModelInferRequest(model_name=model, raw_input_contents=[ROWS[:count].tobytes()])
    message.inputs.add(name="features", datatype="FP64", shape=(count, 2))
    expected = reckoned(model, Asked())

    with grpc.insecure_channel(decisions.grpc) as channel:
        for _ in range(3):
            data = call(channel, "/inference.GRPCInferenceService/ModelInfer", message.SerializeToString())
            response = oip.ModelInferResponse.FromString(data)
            found = {
                output.name: from_raw(output.datatype, output.shape, raw)
                for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
            }
            answer = of_tensors(model, found, logits=False)
            assert answer.chosen == expected.chosen[:count]
            assert expected.unsure is not None
            assert answer.unsure == expected.unsure[:count]


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        (
            "three",
            Asked(threshold=0.5),
            "option 'threshold': a multiclass model takes the most probable class",
        ),
        ("three", Asked(band=(0.4, 0.6)), "option 'band': a multiclass model has no threshold that a band"),
        ("two", Asked(band=(0.6, 0.8)), "option 'band': 0.6 to 0.8 does not lie around the threshold 0.4"),
        (
            "labels",
            Asked(threshold=0.9, band=(0.1, 0.3)),
            "option 'band' of 'x': 0.1 to 0.3 does not lie around the threshold 0.9; ",
        ),
    ],
)
def test_what_a_model_cannot_decide_by_is_refused_by_every_door_in_the_same_words(
    ways: dict[str, Ask], model: str, asked: Asked, expected: str
) -> None:
    texts = set()
    for ask in ways.values():
        with pytest.raises(Refused) as refused:
            ask(model, asked)
        texts.add(str(refused.value))

    assert len(texts) == 1
    assert texts.pop().startswith(expected)


def test_a_model_without_logits_is_asked_for_none(ways: dict[str, Ask], decisions: Service) -> None:
    text = "model 'small' was published without logits; its job has to say `logits = true`"

    for name in ("rest", "grpc", "command line, JSON", "command line, CSV"):
        with pytest.raises(Refused, match=text):
            ways[name]("small", Asked(logits=True))
    tensor = {"name": "features", "shape": [1, 2], "datatype": "FP64", "data": [0, 0]}
    body = {"inputs": [tensor], "outputs": [{"name": "logits"}]}
    response = httpx.post(f"{decisions.rest}/v2/models/small/infer", json=body)
    assert (response.status_code, response.json()["error"]) == (400, f"output 'logits': {text}")


@pytest.mark.parametrize("model", MANIFESTS)
def test_metadata_lists_the_outputs_that_come(decisions: Service, model: str) -> None:
    manifest = MANIFESTS[model]
    tensor = {"name": "features", "shape": list(ROWS.shape), "datatype": "FP64", "data": ROWS.tolist()}

    listed = httpx.get(f"{decisions.rest}/v2/models/{model}").json()["outputs"]
    came = httpx.post(f"{decisions.rest}/v2/models/{model}/infer", json={"inputs": [tensor]}).json()[
        "outputs"
    ]

    own = [len(ROWS)]
    assert [{**output, "shape": own + output["shape"][1:]} for output in listed] == [
        {name: output[name] for name in ("name", "datatype", "shape")} for output in came
    ]
    names = [output["name"] for output in listed]
    assert ("unsure" in names, "logits" in names) == (model in BANDED, model in WITH_LOGITS)
    assert listed[0]["datatype"] == NAMES[np.dtype(manifest.graph.dtype.value)]


@pytest.mark.parametrize("model", MANIFESTS)
def test_a_description_names_band_and_outputs_alike_over_both_doors(decisions: Service, model: str) -> None:
    manifest = MANIFESTS[model]

    by_rest = httpx.get(f"{decisions.rest}/v1/models/{model}").json()
    with grpc.insecure_channel(decisions.grpc) as channel:
        request = classifier.DescribeModelRequest(model=model).SerializeToString()
        data = call(channel, "/sigmax.v1.Classifier/DescribeModel", request)
    by_rpc = json_format.MessageToDict(
        classifier.DescribeModelResponse.FromString(data), preserving_proto_field_name=True
    )

    band = {label: list(bounds) for label, bounds in manifest.decision.band.items()}
    assert by_rest["decision"].get("band", {}) == by_rpc["decision"].get("band", {}) == band
    assert by_rest["outputs"] == by_rpc["outputs"] == list(manifest.graph.outputs)
    assert ("unsure where" in by_rest["decision"]["rule"]) == bool(band)
    assert by_rest["decision"]["rule"] == by_rpc["decision"]["rule"]


@pytest.mark.parametrize("model", MANIFESTS)
def test_the_documentation_offers_what_a_model_can_decide_by(decisions: Service, model: str) -> None:
    manifest = MANIFESTS[model]
    paths = resolved(httpx.get(f"{decisions.rest}/openapi.json").json())

    def options(verb: str) -> set[str]:
        content = paths[f"/v1/models/{model}:{verb}"]["post"]["requestBody"]["content"]
        return set(content["application/json"]["schema"]["properties"]["options"]["properties"])

    logits = {"include"} if model in WITH_LOGITS else set()
    decided = set() if manifest.task is Task.MULTICLASS else {"threshold", "band"}
    assert options("probabilities") == {"id", "extra"} | logits
    assert options("classes") == {"id", "extra", "top_k"} | logits | decided


def test_inspect_shows_a_band_and_the_outputs(root: Path) -> None:
    ended = CliRunner().invoke(cli, ["inspect", "labels", "--models", str(root)])

    assert "output      probabilities, logits float64" in ended.stdout
    assert "band        x unsure above 0.4 up to 0.7" in ended.stdout


def test_probabilities_as_csv_have_their_logits_beside_them(root: Path) -> None:
    flags = ["--format", "csv", "--probabilities", "--include", "logits"]

    ended = CliRunner().invoke(
        cli, ["predict", "three", "--models", str(root), "--input", "-", *flags], as_csv(ROWS)
    )

    header, *rows = csv.reader(io.StringIO(ended.stdout))
    assert header == ["x", "y", "z", "logit x", "logit y", "logit z"]
    logits, probabilities = said(MANIFESTS["three"], ROWS)
    assert np.array(rows, np.float64) == pytest.approx(np.hstack([probabilities, logits]), abs=1e-9)


@pytest.mark.parametrize("words", [["--band", "0.3"], ["--band", "0.3", "1.5"], ["--include", "explain"]])
def test_a_wrong_option_of_the_command_line_is_wrong_usage(root: Path, words: list[str]) -> None:
    ended = CliRunner().invoke(
        cli, ["predict", "two", "--models", str(root), "--input", "-", *words], "[[0, 0]]"
    )

    assert ended.exit_code == 2


def test_a_band_comes_from_the_environment_too(root: Path) -> None:
    ended = subprocess.run(
        command("predict", "plain", "--models", str(root), "--input", "-"),
        input="[[0, 0]]",
        capture_output=True,
        text=True,
        env=environment(SIGMAX_PREDICT_BAND="0.45 0.55"),
        timeout=60,
    )

    assert json.loads(ended.stdout)["results"][0]["unsure"] is True
