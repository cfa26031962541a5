"""List, unload and load a model with tritonclient: run by tritonclient's own environment.

    python tests/clients/triton_control.py REST GRPC MODEL > answers.json

Answers, by way of asking: the index before, the readiness after each step, and the texts of what was refused.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from typing import Any

import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

WAYS = {
    "http": tritonclient.http,
    "http.aio": tritonclient.http.aio,
    "grpc": tritonclient.grpc,
    "grpc.aio": tritonclient.grpc.aio,
}
STEPS: tuple[tuple[str, dict[str, bool]], ...] = (
    ("unload_model", {}),
    ("unload_model", {"unload_dependents": True}),
    ("load_model", {}),
)
OVERRIDES: dict[str, Any] = {"config": "{}", "files": {"file:1/model.onnx": b"another"}}


async def asked(client: Any, model: str) -> dict[str, Any]:
    """What became of every call."""

    async def call(method: str, *arguments: Any, **options: Any) -> Any:
        answer = getattr(client, method)(*arguments, **options)
        return await answer if inspect.isawaitable(answer) else answer

    async def refused(method: str, *arguments: Any, **options: Any) -> str:
        try:
            await call(method, *arguments, **options)
        except InferenceServerException as error:
            return f"{error.status()}: {error.message()}"
        return "not refused"

    listed = await call("get_model_repository_index")
    ready = []
    for method, options in (
        ("unload_model", {}),
        ("unload_model", {"unload_dependents": True}),
        ("load_model", {}),
    ):
        await call(method, model, **options)
        ready.append(await call("is_model_ready", model))
    return {
        "index": listed if isinstance(listed, list) else named(listed),
        "ready": ready,
        "overridden": await refused("load_model", model, **OVERRIDES),
        "unknown": [await refused(f"{verb}_model", "nobody") for verb in ("load", "unload")],
    }


def named(message: Any) -> list[dict[str, str]]:
    """The index of a gRPC client in the form of the others."""
    names = ("name", "version", "state", "reason")
    return [{name: getattr(one, name) for name in names} for one in message.models]


async def main(rest: str, grpc: str, model: str) -> None:
    """Ask in every way, one after the other."""
    answers = {}
    for way, library in WAYS.items():
        client = library.InferenceServerClient(rest if way.startswith("http") else grpc)
        answers[way] = await asked(client, model)
        closed = client.close()
        if inspect.isawaitable(closed):
            await closed
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
