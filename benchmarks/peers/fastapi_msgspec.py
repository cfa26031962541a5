"""FastAPI + msgspec + numpy + ONNX Runtime: bodies decoded into typed structs, answers encoded from them."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request, Response

from benchmarks.floors.uvicorn_config import serve
from benchmarks.peers.model import Model, arguments


class InputTensor(msgspec.Struct):
    """A tensor of the request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(msgspec.Struct):
    """The request."""

    inputs: list[InputTensor]


class OutputTensor(msgspec.Struct):
    """A tensor of the answer."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | list[str]


class InferResponse(msgspec.Struct):
    """The answer."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]


def peer(model: Model) -> FastAPI:
    """The service of one model."""
    app = FastAPI(openapi_url=None)
    decoder, encoder = msgspec.json.Decoder(InferRequest), msgspec.json.Encoder()

    @app.post(f"/v2/models/{model.name}/infer")
    async def infer(request: Request) -> Response:
        tensor = decoder.decode(await request.body()).inputs[0]
        found = model.probabilities(tensor.data, tensor.shape)
        outputs = [
            OutputTensor("probabilities", model.datatype, list(found.shape), found.ravel().tolist()),
            OutputTensor("label", "BYTES", [len(found)], model.labels(found)),
        ]
        answer = encoder.encode(InferResponse(model.name, model.version, outputs))
        return Response(answer, media_type="application/json")

    return app


if __name__ == "__main__":
    port, model = arguments()
    serve(peer(model), port)
