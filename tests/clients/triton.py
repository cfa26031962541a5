"""Ask a service with tritonclient, as anyone would who has it: run by tritonclient's own environment.

    python tests/clients/triton.py REST GRPC < questions.json > answers.json

Questions: `{model: {"dtype": "float64", "rows": [[...], ...]}}`. Answers, by way of asking: `"server"`, its
metadata; `"models"`, what each said; `"errors"`, the text of each error by what was wrong.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

DATATYPES = {"float32": "FP32", "float64": "FP64"}
OUTPUTS = ("probabilities", "label")
WAYS: dict[str, tuple[Any, dict[str, bool]]] = {
    "http, binary": (tritonclient.http, {"binary_data": True}),
    "http, json": (tritonclient.http, {"binary_data": False}),
    "http.aio, binary": (tritonclient.http.aio, {"binary_data": True}),
    "http.aio, json": (tritonclient.http.aio, {"binary_data": False}),
    "grpc": (tritonclient.grpc, {}),
    "grpc.aio": (tritonclient.grpc.aio, {}),
}


class Asker:
    """One client; `form` is what the HTTP clients take, `binary_data`."""

    def __init__(self, library: Any, address: str, form: dict[str, bool]) -> None:
        self._library, self._form = library, form
        self._client = library.InferenceServerClient(address)

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client, whether it is one of asyncio's or not."""
        answer = getattr(self._client, method)(*arguments, **options)
        return await answer if inspect.isawaitable(answer) else answer

    async def infer(self, model: str, features: Any) -> Any:
        """Ask for the outputs by name, then for whatever there is: the answers must be the same."""
        tensor = self._library.InferInput("features", list(features.shape), DATATYPES[str(features.dtype)])
        tensor.set_data_from_numpy(features, **self._form)
        named = [self._library.InferRequestedOutput(name, **self._form) for name in OUTPUTS]
        answer = await self.call("infer", model, [tensor], outputs=named, request_id="seven")
        unnamed = await self.call("infer", model, [tensor], model_version="1")
        for name in OUTPUTS:
            np.testing.assert_array_equal(texts(answer, name), texts(unnamed, name))
        return answer

    async def model(self, name: str, features: Any) -> dict[str, Any]:
        """What a model says of itself and of the rows."""
        assert await self.call("is_model_ready", name)
        metadata = as_dict(await self.call("get_model_metadata", name))
        answer = await self.infer(name, features)
        return {
            "metadata": metadata,
            "probabilities": answer.as_numpy("probabilities").tolist(),
            "labels": texts(answer, "label").tolist(),
            "id": as_dict(answer.get_response())["id"],
        }

    async def error(self, model: str, features: Any) -> str:
        """The text of the exception that a request ends in."""
        try:
            await self.infer(model, features)
        except InferenceServerException as error:
            return str(error)
        raise AssertionError("no exception was raised")

    async def everything(self, questions: dict[str, Any]) -> dict[str, Any]:
        """All answers of one way of asking."""
        assert await self.call("is_server_live")
        assert await self.call("is_server_ready")
        rows = questions["iris"]
        answers = {
            "server": as_dict(await self.call("get_server_metadata")),
            "models": {name: await self.model(name, features) for name, features in questions.items()},
            "errors": {
                "model": await self.error("irs", rows),
                "shape": await self.error("iris", rows[:, :3].copy()),
                "value": await self.error("iris", np.full_like(rows[:1], np.nan)),
            },
        }
        await self.call("close")
        return answers


def texts(answer: Any, name: str) -> Any:
    """An output, its labels as texts; JSON brings them as texts, all else as bytes."""
    values = answer.as_numpy(name)
    if values.dtype != object:
        return values
    return np.array([value.decode() if isinstance(value, bytes) else value for value in values])


def as_dict(answer: Any) -> Any:
    """What the HTTP clients answer; the gRPC clients answer messages."""
    if isinstance(answer, dict):
        return answer
    from google.protobuf import json_format

    return json_format.MessageToDict(answer, preserving_proto_field_name=True)


async def main(rest: str, grpc: str) -> None:
    """Every model in every way."""
    asked = json.load(sys.stdin)
    questions = {name: np.array(question["rows"], question["dtype"]) for name, question in asked.items()}
    answers = {}
    for way, (library, form) in WAYS.items():
        address = grpc if way.startswith("grpc") else rest
        answers[way] = await Asker(library, address, form).everything(questions)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
