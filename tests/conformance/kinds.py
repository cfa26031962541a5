"""Every door for rows whose values are of every kind: rows by name in, probabilities out."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import numpy.typing as npt
from google.protobuf import json_format
from google.protobuf.message import Message
from tests.conformance.doors import Refused, caller, checked
from tests.service import Service

from sigmax import offline
from sigmax.contract import Feature, Kind
from sigmax.errors import SigmaxError
from sigmax.protocol.tensors import to_bytes
from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

Row = dict[str, Any]
Probabilities = npt.NDArray[np.float64]
_RESULT = "probabilities"


class Door(ABC):
    """One way to ask one model."""

    def __init__(self, model: str, features: Sequence[Feature]) -> None:
        self.model = model
        self.names = [feature.name for feature in features]
        self.numbers = [feature.name for feature in features if feature.kind is not Kind.CATEGORY]
        self.categories = [feature.name for feature in features if feature.kind is Kind.CATEGORY]

    @abstractmethod
    def ask(self, rows: list[Row]) -> Probabilities:
        """Ask for the probabilities of rows by feature name; raises `Refused`."""

    def close(self) -> None:
        """Give the connection back, where there is one."""
        for held in (getattr(self, "client", None), getattr(self, "channel", None)):
            if held is not None:
                held.close()

    def form(self, rows: list[Row], form: str) -> dict[str, Any]:
        """Rows as a request of the Classifier contract."""
        if form == "columns":
            return {"columns": {name: [row[name] for row in rows] for name in self.names}}
        if form == "ordered":
            return {"rows": [[row[name] for name in self.names] for row in rows]}
        return {"rows": rows}

    def cells(self, rows: list[Row]) -> list[list[Any]]:
        """The columns that are no categories, row by row; true is 1 and false 0."""
        columns = [[row[name] for name in self.numbers] for row in rows]
        return [[int(cell) if isinstance(cell, bool) else cell for cell in row] for row in columns]

    def texts(self, rows: list[Row]) -> list[list[str]]:
        """The categories as texts, row by row; an empty one is missing."""
        return [["" if row[name] is None else str(row[name]) for name in self.categories] for row in rows]


class Rest(Door):
    """`:probabilities` over HTTP."""

    def __init__(self, model: str, features: Sequence[Feature], service: Service, form: str) -> None:
        super().__init__(model, features)
        self.client, self._form = httpx.Client(base_url=service.rest), form

    def ask(self, rows: list[Row]) -> Probabilities:
        path = f"/v1/models/{self.model}:probabilities"
        answer = checked(self.client.post(path, json=self.form(rows, self._form)))
        return np.array(answer[_RESULT])


class ServingV1(Door):
    """`:predict` in rows, by feature, by tensor or in columns, or `:classify`."""

    def __init__(self, model: str, features: Sequence[Feature], service: Service, form: str) -> None:
        super().__init__(model, features)
        self.client, self._form = httpx.Client(base_url=service.rest), form

    def ask(self, rows: list[Row]) -> Probabilities:
        if self._form == "examples":
            answer = self._post("classify", {"examples": rows})
            return np.array([[score for _, score in row] for row in answer["results"]])
        body = {"signature_name": _RESULT, **self._body(rows)}
        (said,) = self._post("predict", body).values()
        return np.array(said)

    def _body(self, rows: list[Row]) -> dict[str, Any]:
        if self._form == "tensors":
            return {"instances": [self._tensors(row) for row in rows]}
        if self._form == "columns":
            return {"inputs": self.form(rows, "columns")["columns"]}
        return {"instances": self.form(rows, self._form)["rows"]}

    def _tensors(self, row: Row) -> Row:
        return {
            "features": [row[name] for name in self.numbers],
            "categories": [row[name] for name in self.categories],
        }

    def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        return checked(self.client.post(f"/v1/models/{self.model}:{verb}", json=body))


class Rpc(Door):
    """`sigmax.v1.Classifier/PredictProbabilities`."""

    def __init__(self, model: str, features: Sequence[Feature], service: Service, form: str) -> None:
        super().__init__(model, features)
        self.channel, self._form = grpc.insecure_channel(service.grpc), form

    def ask(self, rows: list[Row]) -> Probabilities:
        body = {"model": self.model, **self.form(rows, self._form)}
        return self.call(json_format.ParseDict(body, classifier_pb2.PredictProbabilitiesRequest()))

    def call(self, message: classifier_pb2.PredictProbabilitiesRequest) -> Probabilities:
        """Send a request."""
        said = called(self.channel, "sigmax.v1.Classifier", "PredictProbabilities", message)
        answer = classifier_pb2.PredictProbabilitiesResponse.FromString(said)
        return np.array([list(row.values) for row in answer.probabilities])

    def describe(self) -> classifier_pb2.DescribeModelResponse:
        """What the model says of itself."""
        message = classifier_pb2.DescribeModelRequest(model=self.model)
        said = called(self.channel, "sigmax.v1.Classifier", "DescribeModel", message)
        return classifier_pb2.DescribeModelResponse.FromString(said)


class OpenInferenceRest(Door):
    """`/v2/models/{m}/infer` with two tensors: JSON flat, JSON nested, or binary."""

    def __init__(self, model: str, features: Sequence[Feature], service: Service, form: str) -> None:
        super().__init__(model, features)
        self.client, self._form = httpx.Client(base_url=service.rest), form
        self._path = f"/v2/models/{model}/infer"

    def ask(self, rows: list[Row]) -> Probabilities:
        cells, texts = self.cells(rows), self.texts(rows)
        if self._form == "binary":
            return self.post([("features", "FP64", 4, raw(cells)), ("categories", "BYTES", 2, raw(texts))])
        if self._form == "flat":
            return self.post_json(
                [cell for row in cells for cell in row], [text for row in texts for text in row]
            )
        return self.post_json(cells, texts)

    def post_json(self, cells: list[Any], texts: list[Any], count: int | None = None) -> Probabilities:
        """Ask with the contents of both tensors as JSON."""
        rows = count or (len(cells) if isinstance(cells[0], list) else len(cells) // 4)
        inputs = [
            {"name": "categories", "datatype": "BYTES", "shape": [rows, 2], "data": texts},
            {"name": "features", "datatype": "FP64", "shape": [rows, 4], "data": cells},
        ]
        answer = checked(
            self.client.post(self._path, json={"inputs": inputs, "outputs": [{"name": _RESULT}]})
        )
        output = answer["outputs"][0]
        return np.array(output["data"]).reshape(output["shape"])

    def post(self, tensors: list[tuple[str, str, int, bytes]], rows: int | None = None) -> Probabilities:
        """Ask with binary tensors: name, datatype, width and content of each."""
        count = rows or len(tensors[0][3]) // 32
        inputs = [
            {
                "name": name,
                "datatype": datatype,
                "shape": [count, width],
                "parameters": {"binary_data_size": len(content)},
            }
            for name, datatype, width, content in tensors
        ]
        head = json.dumps({"inputs": inputs, "outputs": [{"name": _RESULT}]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        body = head + b"".join(content for _, _, _, content in tensors)
        output = checked(self.client.post(self._path, content=body, headers=headers))["outputs"][0]
        return np.array(output["data"]).reshape(output["shape"])


class OpenInferenceRpc(Door):
    """`ModelInfer` with two tensors, typed or raw."""

    def __init__(self, model: str, features: Sequence[Feature], service: Service, form: str) -> None:
        super().__init__(model, features)
        self.channel, self._form = grpc.insecure_channel(service.grpc), form

    def ask(self, rows: list[Row]) -> Probabilities:
        cells, texts = self.cells(rows), self.texts(rows)
        request = self.request(len(rows))
        if self._form == "raw":
            request.raw_input_contents.extend([raw(cells), raw(texts)])
        else:
            request.inputs[0].contents.fp64_contents.extend(np.array(cells, np.float64).ravel().tolist())
            request.inputs[1].contents.bytes_contents.extend(text.encode() for row in texts for text in row)
        return self.infer(request)

    def request(self, rows: int) -> open_inference_grpc_pb2.ModelInferRequest:
        """A request for so many rows, still without contents."""
        request = open_inference_grpc_pb2.ModelInferRequest(model_name=self.model)
        request.inputs.add(name="features", datatype="FP64", shape=[rows, 4])
        request.inputs.add(name="categories", datatype="BYTES", shape=[rows, 2])
        return request

    def infer(self, request: open_inference_grpc_pb2.ModelInferRequest) -> Probabilities:
        """Send a request."""
        said = called(self.channel, "inference.GRPCInferenceService", "ModelInfer", request)
        answer = open_inference_grpc_pb2.ModelInferResponse.FromString(said)
        output = answer.outputs[0]
        if self._form == "raw":
            return np.frombuffer(answer.raw_output_contents[0]).reshape(tuple(output.shape))
        return np.array(list(output.contents.fp64_contents)).reshape(tuple(output.shape))

    def metadata(self) -> open_inference_grpc_pb2.ModelMetadataResponse:
        """The model's inputs and outputs."""
        message = open_inference_grpc_pb2.ModelMetadataRequest(name=self.model)
        said = called(self.channel, "inference.GRPCInferenceService", "ModelMetadata", message)
        return open_inference_grpc_pb2.ModelMetadataResponse.FromString(said)


class CommandLine(Door):
    """What `sigmax predict --probabilities` does with JSON or CSV, in this process."""

    def __init__(self, model: str, features: Sequence[Feature], models: Path, form: str) -> None:
        super().__init__(model, features)
        self._served, self._form = offline.find(models, model), form

    def ask(self, rows: list[Row]) -> Probabilities:
        if self._form == "json":
            return np.array(json.loads(self.predict(json.dumps(self.form(rows, "named"))))[_RESULT])
        text = io.StringIO()
        writer = csv.DictWriter(text, self.names)
        writer.writeheader()
        writer.writerows(rows)
        lines = list(csv.reader(io.StringIO(self.predict(text.getvalue()))))
        return np.array([[float(cell) for cell in line] for line in lines[1:]])

    def predict(self, given: str) -> str:
        """Answer a file's content; what is said of wrong input is a refusal."""
        answer = offline.answer_csv if self._form == "csv" else offline.answer_json
        try:
            return answer(self._served, given.encode(), {}, True)
        except SigmaxError as error:
            raise Refused(error.code.value, str(error)) from error


def called(channel: grpc.Channel, service: str, method: str, message: Message) -> bytes:
    """Call a gRPC method; an error is a refusal."""
    return caller(channel, service)(method, message.SerializeToString())


def raw(rows: list[list[Any]]) -> bytes:
    """A tensor as it lies in raw contents: numbers, where None is NaN, or texts."""
    if isinstance(rows[0][0], str):
        return to_bytes([text for row in rows for text in row])
    return np.array(rows, np.float64).tobytes()
