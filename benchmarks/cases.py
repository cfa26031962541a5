"""What is asked at each door, and how its answer is known to be right: the model's golden rows.

A request of n rows repeats golden rows. Of these only the shorter half is used: the others carry 17 digits
a number, to lie exactly at a threshold, which no table of measurements does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import json_format

from sigmax.contract import INPUT, OUTPUT, FloatType, Manifest
from sigmax.repository import bundle, layout
from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

MODEL = "breast_cancer"
PICTURES = "temple_or_flower"

_MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
_PREDICT_CLASSES = "/sigmax.v1.Classifier/PredictClasses"
_DTYPES = {"FP32": np.float32, "FP64": np.float64, "UINT8": np.uint8}


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
        model: that is asked.
        grpc: or HTTP.
        path: where it is sent.
        body: the message or the JSON.
        read: an answer's content.
        expected: the estimator's probabilities, (n_samples, n_classes).
        labels: the estimator's classes.
        tolerance: of the model's manifest.
        json_bytes: where the JSON of a REST body ends and tensors follow; 0 if none do.
    """

    door: str
    model: str
    grpc: bool
    path: str
    body: bytes
    read: Callable[[bytes], Said]
    expected: npt.NDArray[np.float64]
    labels: list[str]
    tolerance: float
    json_bytes: int = 0

    @property
    def name(self) -> str:
        """What tells this case from the others."""
        return f"{self.model}, {self.door}, {self.rows:,} row{'s' * (self.rows > 1)}"

    @property
    def headers(self) -> dict[str, str]:
        """Of a REST request."""
        if not self.json_bytes:
            return {"Content-Type": "application/json"}
        length = {"Inference-Header-Content-Length": str(self.json_bytes)}
        return {"Content-Type": "application/octet-stream", **length}

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


class Questions:
    """What can be asked of the highest version of a model."""

    def __init__(self, models: Path, name: str) -> None:
        version = layout.versions(models, name)[0]
        read = bundle.read(layout.version_path(models, name, version))
        self._manifest, self._golden = read.manifest, read.golden

    def rows(self, count: int) -> Batch:
        """Golden rows again and again, in the order of their length as JSON, the longest left out."""
        golden, classes = self._golden, self._manifest.classes
        order = sorted(range(len(golden)), key=lambda row: len(json.dumps(golden.features[row].tolist())))
        usual = order[: (len(order) + 1) // 2][::-1]
        picked = [usual[index % len(usual)] for index in range(count)]
        labels = [classes[column] for column in golden.classes[picked].tolist()]
        return Batch(self._manifest, golden.features[picked], golden.probabilities[picked], labels)


@dataclass(frozen=True, slots=True)
class Batch:
    """Golden rows, to be sent in any door's form."""

    manifest: Manifest
    features: npt.NDArray[Any]
    expected: npt.NDArray[np.float64]
    labels: list[str]

    def infer_raw(self, datatype: str = "") -> Case:
        """Open Inference Protocol over gRPC, raw contents, in a datatype or the graph's own."""
        request = self._infer_request(datatype or self._own)
        request.raw_input_contents.append(self._matrix(datatype or self._own).tobytes())
        door = f"gRPC OIP raw{' ' * bool(datatype)}{datatype}"
        return self._case(door, True, _MODEL_INFER, request, _raw)

    def infer_typed(self) -> Case:
        """The same, typed contents."""
        request = self._infer_request(self._own)
        field = f"{self._own.lower()}_contents"
        getattr(request.inputs[0].contents, field).extend(self._matrix(self._own).ravel().tolist())
        return self._case("gRPC OIP typed", True, _MODEL_INFER, request, _typed)

    def predict_classes(self) -> Case:
        """`sigmax.v1.Classifier/PredictClasses` with named rows."""
        document = {"model": self.manifest.name, "rows": self._named()}
        request = json_format.ParseDict(document, classifier_pb2.PredictClassesRequest())
        return self._case("gRPC PredictClasses, named row", True, _PREDICT_CLASSES, request, _classes_message)

    def infer_json(self) -> Case:
        """`/v2/models/<name>/infer`, numbers in JSON."""
        data = self._matrix(self._own).ravel().tolist()
        body = json.dumps({"inputs": [{**self._tensor(self._own), "data": data}]}).encode()
        return self._case("REST /v2 infer, JSON", False, self._infer_path, body, _infer_json)

    def infer_binary(self, datatype: str) -> Case:
        """The same, the numbers behind the JSON; the answer is JSON."""
        numbers = self._matrix(datatype).tobytes()
        tensor = {**self._tensor(datatype), "parameters": {"binary_data_size": len(numbers)}}
        head = json.dumps({"inputs": [tensor]}).encode()
        door = f"REST /v2 infer, binary {datatype}"
        case = self._case(door, False, self._infer_path, head + numbers, _infer_json)
        return replace(case, json_bytes=len(head))

    def classes_json(self) -> Case:
        """`:classes` with named rows."""
        return self._named_json("classes", _classes_json)

    def probabilities_json(self) -> Case:
        """`:probabilities` with named rows."""
        return self._named_json("probabilities", _probabilities_json)

    def _named_json(self, verb: str, read: Callable[[bytes], Said]) -> Case:
        body = json.dumps({"rows": self._named()}).encode()
        path = f"/v1/models/{self.manifest.name}:{verb}"
        return self._case(f"REST :{verb}, named row", False, path, body, read)

    @property
    def _own(self) -> str:
        return "FP32" if self.manifest.graph.dtype is FloatType.FLOAT32 else "FP64"

    @property
    def _infer_path(self) -> str:
        return f"/v2/models/{self.manifest.name}/infer"

    def _matrix(self, datatype: str) -> npt.NDArray[Any]:
        return self.features.astype(_DTYPES[datatype])

    def _named(self) -> list[dict[str, float]]:
        names = [feature.name for feature in self.manifest.features]
        return [dict(zip(names, row, strict=True)) for row in self.features.tolist()]

    def _tensor(self, datatype: str) -> dict[str, Any]:
        return {"name": INPUT, "shape": list(self.features.shape), "datatype": datatype}

    def _infer_request(self, datatype: str) -> open_inference_grpc_pb2.ModelInferRequest:
        request = open_inference_grpc_pb2.ModelInferRequest(model_name=self.manifest.name)
        request.inputs.add(**self._tensor(datatype))
        return request

    def _case(self, door: str, grpc: bool, path: str, request: Any, read: Callable[[bytes], Said]) -> Case:
        body = request if isinstance(request, bytes) else request.SerializeToString()
        told = (body, read, self.expected, self.labels, self.manifest.tolerance)
        return Case(door, self.manifest.name, grpc, path, *told)


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
