"""Ask a service with KServe's SDK, as anyone would who has it: run by the SDK's own environment.

    python tests/clients/kserve_sdk.py REST GRPC < questions.json > answers.json

Questions as in `triton.py`. Answers by client: `rest v1`, `rest v2` and `grpc`; `{"failed": text}` of one
that ended in an exception.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

DATATYPES = {"float32": "FP32", "float64": "FP64"}

Questions = dict[str, Any]


def request(model: str, features: Any, *, binary: bool) -> InferRequest:
    """A request of the Open Inference Protocol."""
    tensor = InferInput("features", list(features.shape), DATATYPES[str(features.dtype)])
    tensor.set_data_from_numpy(features, binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[tensor], request_id="seven")


def said(answer: Any) -> dict[str, Any]:
    """What an answer holds, as JSON values."""
    outputs = {output.name: output for output in answer.outputs}
    labels = outputs["label"].as_numpy().ravel().tolist()
    return {
        "model": answer.model_name,
        "version": answer.model_version,
        "id": answer.id,
        "probabilities": outputs["probabilities"].as_numpy().tolist(),
        "labels": [label.decode() if isinstance(label, bytes) else label for label in labels],
    }


async def rest_v1(address: str, questions: Questions) -> Any:
    """`:predict`, and the probes."""
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        models = {}
        for name, features in questions.items():
            models[name] = await client.infer(address, {"instances": features.tolist()}, model_name=name)
        return {
            "live": await client.is_server_live(address),
            "ready": await client.is_model_ready(address, "iris"),
            "models": models,
            "error": await _refused(client.infer(address, {"instances": [[1]]}, model_name="irs")),
        }


async def rest_v2(address: str, questions: Questions) -> Any:
    """`infer`, in JSON and in binary, and the probes."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        models: dict[str, Any] = {}
        for name, features in questions.items():
            for form in ("json", "binary"):
                asked = request(name, features, binary=form == "binary")
                answer = await client.infer(address, asked, model_name=name)
                models.setdefault(form, {})[name] = said(answer)
        wrong = request("irs", questions["iris"], binary=False)
        return {
            "live": await client.is_server_live(address),
            "ready": await client.is_server_ready(address),
            "model": await client.is_model_ready(address, "iris"),
            "unknown": await client.is_model_ready(address, "irs"),
            "models": models,
            "error": await _refused(client.infer(address, wrong, model_name="irs")),
        }


async def rpc(address: str, questions: Questions) -> Any:
    """`ModelInfer`, typed and raw, and the probes."""
    async with InferenceGRPCClient(address) as client:
        models: dict[str, Any] = {}
        for name, features in questions.items():
            for form in ("typed", "raw"):
                answer = await client.infer(request(name, features, binary=form == "raw"))
                models.setdefault(form, {})[name] = said(answer)
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model": await client.is_model_ready("iris"),
            "models": models,
            "error": await _refused(client.infer(request("irs", questions["iris"], binary=True))),
        }


async def _refused(answer: Awaitable[Any]) -> str:
    try:
        await answer
    except httpx.HTTPStatusError as error:
        return str(error)
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"
    raise AssertionError("no exception was raised")


async def main(rest: str, grpc_address: str) -> None:
    """Every client, by itself."""
    asked = json.load(sys.stdin)
    questions = {name: np.array(question["rows"], question["dtype"]) for name, question in asked.items()}
    parts: dict[str, Callable[[], Awaitable[Any]]] = {
        "rest v1": lambda: rest_v1(f"http://{rest}", questions),
        "rest v2": lambda: rest_v2(f"http://{rest}", questions),
        "grpc": lambda: rpc(grpc_address, questions),
    }
    answers = {}
    for part, asks in parts.items():
        try:
            answers[part] = await asks()
        except Exception:
            answers[part] = {"failed": traceback.format_exc()}
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
