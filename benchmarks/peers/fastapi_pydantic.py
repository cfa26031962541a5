"""FastAPI + pydantic + numpy + ONNX Runtime, as tutorials write it: models for the body and the answer."""

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.floors.uvicorn_config import serve
from benchmarks.peers.model import Model, arguments


class InputTensor(BaseModel):
    """A tensor of the request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(BaseModel):
    """The request."""

    inputs: list[InputTensor]


class Probabilities(BaseModel):
    """The first tensor of the answer."""

    name: str = "probabilities"
    datatype: str
    shape: list[int]
    data: list[float]


class Label(BaseModel):
    """The second."""

    name: str = "label"
    datatype: str = "BYTES"
    shape: list[int]
    data: list[str]


class InferResponse(BaseModel):
    """The answer."""

    model_name: str
    model_version: str
    outputs: tuple[Probabilities, Label]


def peer(model: Model) -> FastAPI:
    """The service of one model."""
    app = FastAPI(openapi_url=None)

    @app.post(f"/v2/models/{model.name}/infer")
    async def infer(request: InferRequest) -> InferResponse:
        tensor = request.inputs[0]
        found = model.probabilities(tensor.data, tensor.shape)
        shape, data = list(found.shape), found.ravel().tolist()
        probabilities = Probabilities(datatype=model.datatype, shape=shape, data=data)
        label = Label(shape=[len(found)], data=model.labels(found))
        return InferResponse(
            model_name=model.name, model_version=model.version, outputs=(probabilities, label)
        )

    return app


if __name__ == "__main__":
    port, model = arguments()
    serve(peer(model), port)
