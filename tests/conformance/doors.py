"""Every door behind one interface, so that one set of promises can be run through all of them."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import msgspec
import numpy as np
import numpy.typing as npt
from tests.service import Service, call

from sigmax.errors import SigmaxError
from sigmax.inference.dispatch import Dispatch
from sigmax.inference.loading import load_catalog
from sigmax.protocol.tensors import DTYPES
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery, ProbabilitiesQuery
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2, open_inference_grpc_pb2

Matrix = npt.NDArray[Any]


@dataclass(frozen=True)
class Said:
    """What a door answered: probabilities (n, k), one label a row, and who answered."""

    model: str
    version: str
    probabilities: npt.NDArray[np.float64]
    labels: list[str]


NO_CODE = "none"
"""What a refusal in a stream has, whose wire form is a text alone."""


class Refused(Exception):
    """A door's refusal: the code as that door has it, and the text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Door(ABC):
    """One way to ask a service."""

    @abstractmethod
    def ask(self, model: str, features: Matrix, version: str = "") -> Said:
        """Ask for probabilities and classes of rows in feature order."""

    def close(self) -> None:
        """Give the connection back, where there is one."""
        for held in (getattr(self, "client", None), getattr(self, "channel", None)):
            if held is not None:
                held.close()


class InProcess(Door):
    """Dispatch itself, no transport."""

    def __init__(self, repository: Path) -> None:
        self._dispatch = Dispatch(load_catalog(repository), sys.maxsize)
        self._meter = Metrics().verb("test", "ask")

    def ask(self, model: str, features: Matrix, version: str = "") -> Said:
        body = Body(json.dumps({"rows": features.tolist()}).encode())
        try:
            said = self._dispatch.answer(self._meter, ProbabilitiesQuery, model, version, body)
            chosen = self._dispatch.answer(self._meter, ClassesQuery, model, version, body)
        except SigmaxError as error:
            raise Refused(error.code.value, str(error)) from error
        return _said(msgspec.json.decode(said.body), msgspec.json.decode(chosen.body))


class Rest(Door):
    """`:probabilities` and `:classes`."""

    def __init__(self, service: Service, form: str) -> None:
        self.client = httpx.Client(base_url=service.rest)
        self._form = form

    def ask(self, model: str, features: Matrix, version: str = "") -> Said:
        path = f"/v1/models/{model}" + (f"/versions/{version}" if version else "")
        body = self._body(model, features)
        return _said(self.post(f"{path}:probabilities", body), self.post(f"{path}:classes", body))

    def post(self, path: str, body: Any, **arguments: Any) -> dict[str, Any]:
        return checked(self.client.post(path, json=body, **arguments))

    def names(self, model: str) -> list[str]:
        described = self.client.get(f"/v1/models/{model}").json()
        return [feature["name"] for feature in described.get("features", [])]

    def _body(self, model: str, features: Matrix) -> dict[str, Any]:
        rows = features.tolist()
        if self._form == "ordered":
            return {"rows": rows}
        names = self.names(model) or [f"feature {column}" for column in range(features.shape[1])]
        if len(names) == 1:  # one image block
            return {"rows": [dict.fromkeys(names, row) for row in rows]}
        if self._form == "named":
            return {"rows": [dict(zip(names, row, strict=True)) for row in rows]}
        return {"columns": dict(zip(names, features.T.tolist(), strict=True))}


class ServingV1(Rest):
    """`:predict` in rows, by name, in columns, or `:classify`: TensorFlow Serving's and KServe V1's forms."""

    def ask(self, model: str, features: Matrix, version: str = "") -> Said:
        path = f"/v1/models/{model}" + (f"/versions/{version}" if version else "")
        rows = features.tolist()
        names = self.names(model) or [f"feature {column}" for column in range(features.shape[1])]
        named = [
            dict.fromkeys(names, row) if len(names) == 1 else dict(zip(names, row, strict=False))
            for row in rows
        ]
        if self._form == "examples":
            return self._classified(model, self.post(f"{path}:classify", {"examples": named}))
        bodies: dict[str, dict[str, Any]] = {
            "rows": {"instances": rows},
            "named": {"instances": named},
            "columns": {"inputs": {"features": rows}},
        }
        answer = self.post(f"{path}:predict", bodies[self._form])
        if "outputs" in answer:
            outputs = answer["outputs"]
            return self._said(model, outputs["probabilities"], outputs["label"])
        rows = answer["predictions"]
        return self._said(model, [row["probabilities"] for row in rows], [row["label"] for row in rows])

    def _classified(self, model: str, answer: dict[str, Any]) -> Said:
        """Every class with its score; which one is chosen, TensorFlow Serving leaves to the caller."""
        described = self.client.get(f"/v1/models/{model}").json()
        rows = [[score for _, score in row] for row in answer["results"]]
        assert all([label for label, _ in row] == described["classes"] for row in answer["results"])
        return self._said(model, rows, [_decided(described, row) for row in rows])

    def _said(self, model: str, rows: list[list[float]], labels: list[str]) -> Said:
        version = self.client.get(f"/v1/models/{model}").json()["version"]
        return Said(model, version, np.array(rows, np.float64), labels)


def _decided(described: dict[str, Any], row: list[float]) -> str:
    """The label of a row of a binary or multiclass model, by what the model says of its decision."""
    classes, decision = described["classes"], described["decision"]
    if "positive" not in decision:
        return str(classes[row.index(max(row))])
    positive = decision["positive"]
    exceeded = row[classes.index(positive)] > decision["thresholds"][positive]
    return str(positive if exceeded else next(label for label in classes if label != positive))


class OpenInferenceRest(Door):
    """`/v2/models/{m}/infer`, JSON flat, JSON nested, or binary."""

    def __init__(self, service: Service, form: str, datatypes: dict[str, str]) -> None:
        self.client = httpx.Client(base_url=service.rest)
        self._form, self._datatypes = form, datatypes

    def ask(self, model: str, features: Matrix, version: str = "") -> Said:
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
        datatype = self._datatypes.get(model, "FP64")
        tensor: dict[str, Any] = {"name": "features", "shape": list(features.shape), "datatype": datatype}
        if self._form == "binary":
            return self._ask_binary(path, tensor, features)
        tensor["data"] = features.tolist() if self._form == "nested" else features.ravel().tolist()
        answer = checked(self.client.post(path, json={"id": "7", "inputs": [tensor]}))
        assert answer["id"] == "7"
        probabilities, label = answer["outputs"]
        return Said(
            answer["model_name"],
            answer["model_version"],
            np.array(probabilities["data"], np.float64).reshape(probabilities["shape"]),
            label["data"],
        )

    def _ask_binary(self, path: str, tensor: dict[str, Any], features: Matrix) -> Said:
        blob = features.tobytes()
        tensor["parameters"] = {"binary_data_size": len(blob)}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        response = self.client.post(path, content=head + blob, headers=headers)
        if response.status_code != 200:
            checked(response)
        length = int(response.headers["inference-header-content-length"])
        answer, rest = json.loads(response.content[:length]), response.content[length:]
        probabilities, label = answer["outputs"]
        size = probabilities["parameters"]["binary_data_size"]
        assert len(rest) == size + label["parameters"]["binary_data_size"]
        return Said(
            answer["model_name"],
            answer["model_version"],
            _array(probabilities["datatype"], probabilities["shape"], rest[:size]),
            _texts(rest[size:]),
        )


class Rpc(Door):
    """`sigmax.v1.Classifier`."""

    def __init__(self, service: Service) -> None:
        self.channel = grpc.insecure_channel(service.grpc, options=[("grpc.max_receive_message_length", -1)])
        self.call = caller(self.channel, "sigmax.v1.Classifier")

    def ask(self, model: str, features: Matrix, version: str = "") -> Said:
        rows = classifier_pb2.PredictProbabilitiesRequest(model=model, version=version)
        for row in features.tolist():
            rows.rows.add().list_value.extend(row)
        data = rows.SerializeToString()  # both requests have the same fields
        said = classifier_pb2.PredictProbabilitiesResponse.FromString(self.call("PredictProbabilities", data))
        chosen = classifier_pb2.PredictClassesResponse.FromString(self.call("PredictClasses", data))
        probabilities = np.array([list(row.values) for row in said.probabilities])
        labels = [result.label for result in chosen.results]
        best = [list(said.classes).index(label) for label in labels]
        assert [result.probability for result in chosen.results] == [
            probabilities[row, column] for row, column in enumerate(best)
        ]
        return Said(said.model, said.version, probabilities, labels)


class OpenInferenceRpc(Door):
    """`inference.GRPCInferenceService`, typed or raw."""

    def __init__(self, service: Service, form: str, datatypes: dict[str, str]) -> None:
        self.channel = grpc.insecure_channel(service.grpc, options=[("grpc.max_receive_message_length", -1)])
        self.call = caller(self.channel, "inference.GRPCInferenceService")
        self._form, self._datatypes = form, datatypes

    def _answer(self, request: bytes) -> bytes:
        return self.call("ModelInfer", request)

    def ask(self, model: str, features: Matrix, version: str = "") -> Said:
        pb = open_inference_grpc_pb2
        datatype = self._datatypes.get(model, "FP64")
        identity = "" if self._form == "raw" else "7"  # raw without an id may take the way of known forms
        request = pb.ModelInferRequest(model_name=model, model_version=version, id=identity)
        tensor = request.inputs.add(name="features", datatype=datatype, shape=features.shape)
        if self._form == "raw":
            request.raw_input_contents.append(features.tobytes())
        elif datatype == "FP64":
            tensor.contents.fp64_contents.extend(features.ravel().tolist())
        else:
            tensor.contents.fp32_contents.extend(features.ravel().tolist())
        answer = pb.ModelInferResponse.FromString(self._answer(request.SerializeToString()))
        assert answer.id == identity
        probabilities, label = answer.outputs
        if self._form == "raw":
            matrix = _array(probabilities.datatype, probabilities.shape, answer.raw_output_contents[0])
            labels = _texts(answer.raw_output_contents[1])
        else:
            assert not answer.raw_output_contents
            contents = probabilities.contents
            flat = contents.fp64_contents or contents.fp32_contents
            matrix = np.array(flat, np.float64).reshape(tuple(probabilities.shape))
            labels = [entry.decode() for entry in label.contents.bytes_contents]
        return Said(answer.model_name, answer.model_version, matrix, labels)


class OpenInferenceStream(OpenInferenceRpc):
    """`ModelStreamInfer`, raw: each request is one of three on a stream, the others of no model."""

    def _answer(self, request: bytes) -> bytes:
        pb, channel = open_inference_grpc_pb2, cast("Any", self.channel)
        asked = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        before, answer, after = map(
            pb.ModelStreamInferResponse.FromString, asked(iter([b"", request, b""]), timeout=60)
        )
        assert before.error_message == after.error_message != ""
        if answer.error_message:
            raise Refused(NO_CODE, answer.error_message)
        assert answer.infer_response.parameters["triton_final_response"].bool_param
        return answer.infer_response.SerializeToString()


def checked(response: httpx.Response) -> dict[str, Any]:
    document: dict[str, Any] = response.json()
    if response.status_code != 200:
        assert set(document) >= {"error", "code"}
        raise Refused(document["code"], document["error"])
    return document


def _said(probabilities: dict[str, Any], chosen: dict[str, Any]) -> Said:
    rows = np.array(probabilities["probabilities"], np.float64)
    labels = [row["label"] for row in chosen["results"]]
    best = [probabilities["classes"].index(label) for label in labels]
    assert [row["probability"] for row in chosen["results"]] == rows[np.arange(len(rows)), best].tolist()
    return Said(probabilities["model"], probabilities["version"], rows, labels)


def caller(channel: grpc.Channel, service: str) -> Callable[[str, bytes], bytes]:
    def asked(method: str, data: bytes) -> bytes:
        try:
            return call(channel, f"/{service}/{method}", data)
        except grpc.RpcError as error:
            raise Refused(error.code().name, error.details() or "") from error

    return asked


def _array(datatype: str, shape: Any, raw: bytes) -> npt.NDArray[np.float64]:
    flat: npt.NDArray[Any] = np.frombuffer(raw, DTYPES[datatype])
    return flat.reshape(tuple(shape)).astype(np.float64)


def _texts(raw: bytes) -> list[str]:
    found = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        found.append(raw[4 : 4 + size].decode())
        raw = raw[4 + size :]
    return found
