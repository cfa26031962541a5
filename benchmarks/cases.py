"""What is asked at each door, and how its answer is known to be right: the model's golden rows.

A request of n rows repeats golden rows. Of these only the shorter half is used: the others carry 17 digits
a number, to lie exactly at a threshold, which no table of measurements does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import json_format

from sigmax.contract import INPUT, OUTPUT, FloatType, Manifest
from sigmax.repository import bundle, layout
from sigmax.repository.golden import Golden
from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

MODEL = "breast_cancer"

_TENSOR_ROWS = (1, 32, 1024)
_MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
_PREDICT_CLASSES = "/sigmax.v1.Classifier/PredictClasses"
_DATATYPES = {FloatType.FLOAT32: "FP32", FloatType.FLOAT64: "FP64"}


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says: probabilities (n_samples, n_classes), labels, or both."""

    probabilities: npt.NDArray[np.float64] | None = None
    labels: list[str] | None = None
    chosen: list[float] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One request at one door.

    Attributes:
        door: as the table calls it.
        grpc: or HTTP.
        path: where it is sent.
        body: the message or the JSON.
        read: an answer's content.
        expected: the estimator's probabilities, (n_samples, n_classes).
        labels: the estimator's classes.
        tolerance: of the model's manifest.
    """

    door: str
    grpc: bool
    path: str
    body: bytes
    read: Callable[[bytes], Said]
    expected: npt.NDArray[np.float64]
    labels: list[str]
    tolerance: float

    @property
    def rows(self) -> int:
        """How many rows the request has."""
        return len(self.labels)

    def check(self, answer: bytes) -> None:
        """Compare an answer with the estimator's own.

        Raises:
            AssertionError: it differs.
        """
        said = self.read(answer)
        if said.probabilities is not None:
            self._near(said.probabilities, self.expected)
        if said.chosen is not None:
            self._near(np.array(said.chosen), self.expected.max(axis=1))
        if said.labels not in (None, self.labels):
            raise AssertionError(f"{self.door}: labels {said.labels}, expected {self.labels}")

    def _near(self, said: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> None:
        where = f"{self.door}, {self.rows} rows"
        np.testing.assert_allclose(said, expected, rtol=0, atol=self.tolerance, err_msg=where)


def cases(models: Path) -> list[Case]:
    """Every case, of the highest version of the model."""
    version = layout.versions(models, MODEL)[0]
    read = bundle.read(layout.version_path(models, MODEL, version))
    batches = {count: _batch(read.manifest, read.golden, count) for count in _TENSOR_ROWS}
    one = batches[1]
    return [
        *(batch.infer_raw() for batch in batches.values()),
        one.infer_typed(),
        one.predict_classes(),
        *(batch.infer_json() for batch in batches.values()),
        one.named_json("classes", _classes_json),
        one.named_json("probabilities", _probabilities_json),
    ]


def _batch(manifest: Manifest, golden: Golden, count: int) -> _Batch:
    order = sorted(range(len(golden)), key=lambda row: len(json.dumps(golden.features[row].tolist())))
    usual = order[: (len(order) + 1) // 2][::-1]
    picked = [usual[index % len(usual)] for index in range(count)]
    labels = [manifest.classes[column] for column in golden.classes[picked].tolist()]
    return _Batch(manifest, golden.features[picked], golden.probabilities[picked], labels)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Golden rows, to be sent in any door's form."""

    manifest: Manifest
    features: npt.NDArray[Any]
    expected: npt.NDArray[np.float64]
    labels: list[str]

    def infer_raw(self) -> Case:
        request = self._infer_request()
        request.raw_input_contents.append(self._matrix().tobytes())
        return self._case("gRPC Open Inference Protocol, raw", True, _MODEL_INFER, request, _raw)

    def infer_typed(self) -> Case:
        request = self._infer_request()
        field = f"{self._datatype.lower()}_contents"
        getattr(request.inputs[0].contents, field).extend(self._matrix().ravel().tolist())
        return self._case("gRPC Open Inference Protocol, typed", True, _MODEL_INFER, request, _typed)

    def predict_classes(self) -> Case:
        document = {"model": MODEL, "rows": self._named()}
        request = json_format.ParseDict(document, classifier_pb2.PredictClassesRequest())
        return self._case("gRPC PredictClasses, named row", True, _PREDICT_CLASSES, request, _classes_message)

    def infer_json(self) -> Case:
        shape, data = list(self.features.shape), self._matrix().ravel().tolist()
        tensor = {"name": INPUT, "shape": shape, "datatype": self._datatype, "data": data}
        body = json.dumps({"inputs": [tensor]}).encode()
        path = f"/v2/models/{MODEL}/infer"
        return self._case("REST /v2 infer, JSON", False, path, body, _infer_json)

    def named_json(self, verb: str, read: Callable[[bytes], Said]) -> Case:
        body = json.dumps({"rows": self._named()}).encode()
        return self._case(f"REST :{verb}, named row", False, f"/v1/models/{MODEL}:{verb}", body, read)

    @property
    def _datatype(self) -> str:
        return _DATATYPES[self.manifest.graph.dtype]

    def _matrix(self) -> npt.NDArray[Any]:
        return self.features.astype(self.manifest.graph.dtype.value)

    def _named(self) -> list[dict[str, float]]:
        names = [feature.name for feature in self.manifest.features]
        return [dict(zip(names, row, strict=True)) for row in self.features.tolist()]

    def _infer_request(self) -> open_inference_grpc_pb2.ModelInferRequest:
        request = open_inference_grpc_pb2.ModelInferRequest(model_name=MODEL)
        request.inputs.add(name=INPUT, datatype=self._datatype, shape=self.features.shape)
        return request

    def _case(self, door: str, grpc: bool, path: str, request: Any, read: Callable[[bytes], Said]) -> Case:
        body = request if isinstance(request, bytes) else request.SerializeToString()
        return Case(door, grpc, path, body, read, self.expected, self.labels, self.manifest.tolerance)


def _raw(answer: bytes) -> Said:
    message = open_inference_grpc_pb2.ModelInferResponse.FromString(answer)
    probabilities = message.outputs[0]
    dtype = np.float32 if probabilities.datatype == "FP32" else np.float64
    values = np.frombuffer(message.raw_output_contents[0], np.dtype(dtype)).reshape(probabilities.shape)
    return Said(values.astype(np.float64), _texts(message.raw_output_contents[1]))


def _texts(raw: bytes) -> list[str]:
    texts: list[str] = []
    while raw:
        size = 4 + int.from_bytes(raw[:4], "little")
        texts.append(raw[4:size].decode())
        raw = raw[size:]
    return texts


def _typed(answer: bytes) -> Said:
    message = open_inference_grpc_pb2.ModelInferResponse.FromString(answer)
    probabilities, label = message.outputs
    values = probabilities.contents.fp64_contents or probabilities.contents.fp32_contents
    labels = [text.decode() for text in label.contents.bytes_contents]
    return Said(np.array(values, np.float64).reshape(probabilities.shape), labels)


def _classes_message(answer: bytes) -> Said:
    results = classifier_pb2.PredictClassesResponse.FromString(answer).results
    return Said(None, [result.label for result in results], [result.probability for result in results])


def _infer_json(answer: bytes) -> Said:
    outputs = {output["name"]: output for output in json.loads(answer)["outputs"]}
    probabilities = outputs[OUTPUT]
    values = np.array(probabilities["data"], np.float64).reshape(probabilities["shape"])
    return Said(values, outputs["label"]["data"])


def _classes_json(answer: bytes) -> Said:
    results = json.loads(answer)["results"]
    return Said(None, [result["label"] for result in results], [result["probability"] for result in results])


def _probabilities_json(answer: bytes) -> Said:
    return Said(np.array(json.loads(answer)["probabilities"], np.float64))
