"""Ask a service for what tritonclient offers beside a plain request: run by tritonclient's own environment.

    python tests/clients/triton_extensions.py REST GRPC < questions.json > answers.json

Questions as in `triton.py`. Answers by part: `{"failed": text}` of a part that ended in an exception, so that
each can be looked at by itself.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import queue
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

DATATYPES = {"float32": "FP32", "float64": "FP64"}
CODINGS = (None, "gzip", "deflate")
HTTP = {"http": tritonclient.http, "http.aio": tritonclient.http.aio}
GRPC = {"grpc": tritonclient.grpc, "grpc.aio": tritonclient.grpc.aio}
PATIENCE = 30  # seconds

Questions = dict[str, Any]


async def done(value: Any) -> Any:
    """An answer, of a client of asyncio or of another."""
    return await value if inspect.isawaitable(value) else value


def tensor(library: Any, features: Any, **form: bool) -> Any:
    """The input of a request."""
    made = library.InferInput("features", list(features.shape), DATATYPES[str(features.dtype)])
    made.set_data_from_numpy(features, **form)
    return made


def as_dict(answer: Any) -> Any:
    """What the HTTP clients answer; the gRPC clients answer messages."""
    if isinstance(answer, (dict, list)):
        return answer
    from google.protobuf import json_format

    return json_format.MessageToDict(answer, preserving_proto_field_name=True)


class Asker:
    """The four clients, open."""

    def __init__(self, rest: str, grpc: str, questions: Questions) -> None:
        self.questions = questions
        self.clients = {way: library.InferenceServerClient(rest) for way, library in HTTP.items()}
        self.clients |= {way: library.InferenceServerClient(grpc) for way, library in GRPC.items()}

    async def each(self, method: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        """What a method answers, by client."""
        return {
            way: as_dict(await done(getattr(client, method)(*arguments, **options)))
            for way, client in self.clients.items()
        }

    async def forms(self) -> Any:
        """Every model, JSON and binary in and out: the numbers, and whether each came in binary."""
        said: dict[str, Any] = {}
        for way, binary_in, binary_out in itertools.product(HTTP, (False, True), (False, True)):
            library = HTTP[way]
            for model, features in self.questions.items():
                wanted = [
                    library.InferRequestedOutput(name, binary_data=binary_out)
                    for name in ("probabilities", "label")
                ]
                inputs = [tensor(library, features, binary_data=binary_in)]
                answer = await done(self.clients[way].infer(model, inputs, outputs=wanted))
                sent = answer.get_output("probabilities")
                key = (
                    f"{way}, {'binary' if binary_in else 'json'} in, {'binary' if binary_out else 'json'} out"
                )
                said.setdefault(key, {})[model] = {
                    "probabilities": answer.as_numpy("probabilities").tolist(),
                    "labels": _texts(answer.as_numpy("label")),
                    "binary": "data" not in sent,
                }
        return said

    async def codings(self) -> Any:
        """One model, each coding of the request with each of the answer: the numbers."""
        said: dict[str, Any] = {}
        for way, coded, packed, binary in itertools.product(HTTP, CODINGS, CODINGS, (False, True)):
            library = HTTP[way]
            answer = await done(
                self.clients[way].infer(
                    "digits",
                    [tensor(library, self.questions["digits"], binary_data=binary)],
                    request_compression_algorithm=coded,
                    response_compression_algorithm=packed,
                )
            )
            key = f"{way}, {coded} in, {packed} out, {'binary' if binary else 'json'}"
            said[key] = answer.as_numpy("probabilities").tolist()
        return said

    async def classification(self) -> Any:
        """The three most probable classes of each row, and the probabilities that they were made of."""
        said: dict[str, Any] = {}
        for way, library in (HTTP | GRPC).items():
            inputs = [tensor(library, self.questions["iris"])]
            wanted = [library.InferRequestedOutput("probabilities", class_count=3)]
            answer = await done(self.clients[way].infer("iris", inputs, outputs=wanted))
            plain = await done(self.clients[way].infer("iris", inputs))
            said[way] = {
                "classes": [[text.decode() for text in row] for row in answer.as_numpy("probabilities")],
                "probabilities": plain.as_numpy("probabilities").tolist(),
            }
        return said

    async def statistics(self) -> Any:
        """Of one model."""
        return await self.each("get_inference_statistics", "iris")

    async def configuration(self) -> Any:
        """Of one model."""
        return await self.each("get_model_config", "iris")

    async def repository(self) -> Any:
        """The index, and one model unloaded and loaded again, by each client."""
        said: dict[str, Any] = {"before": await self.each("get_model_repository_index")}
        for way, client in self.clients.items():
            await done(client.unload_model("iris"))
            unloaded = await done(client.is_model_ready("iris"))
            await done(client.load_model("iris"))
            loaded = await done(client.is_model_ready("iris"))
            said[way] = {"unloaded": unloaded, "loaded": loaded}
        return said

    async def errors(self) -> Any:
        """Texts of errors of the extensions."""
        said = {}
        for way, client in self.clients.items():
            try:
                await done(client.load_model("irs"))
            except InferenceServerException as error:
                said[way] = {"text": str(error), "status": error.status()}
        return said

    async def stream(self) -> Any:
        """Several models in one stream, with a wrong request between them: what came, in order."""
        return {"grpc": self._stream(), "grpc.aio": await self._stream_aio()}

    def _stream(self) -> Any:
        came: queue.Queue[Any] = queue.Queue()
        client = self.clients["grpc"]
        client.start_stream(callback=lambda result, error: came.put((result, error)))
        for asked in self._streamed(tritonclient.grpc):
            client.async_stream_infer(**asked)
        found = [came.get(timeout=PATIENCE) for _ in range(5)]
        client.stop_stream()
        return list(map(_of_stream, found))

    async def _stream_aio(self) -> Any:
        async def asked() -> AsyncIterator[dict[str, Any]]:
            for each in self._streamed(tritonclient.grpc.aio):
                yield each

        answers = self.clients["grpc.aio"].stream_infer(asked(), stream_timeout=PATIENCE)
        return [_of_stream(answer) async for answer in answers]

    def _streamed(self, library: Any) -> list[dict[str, Any]]:
        names = [*self.questions]
        names.insert(2, "irs")
        rows = {**self.questions, "irs": self.questions["iris"]}
        return [
            {"model_name": name, "inputs": [tensor(library, rows[name])], "request_id": name}
            for name in names
        ]


def _of_stream(answer: tuple[Any, Any]) -> Any:
    result, error = answer
    if error is not None:
        return {"error": str(error)}
    return {"id": result.get_response().id, "probabilities": result.as_numpy("probabilities").tolist()}


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else value for value in values]


async def main(rest: str, grpc: str) -> None:
    """Every part, by itself."""
    asked = json.load(sys.stdin)
    questions = {name: np.array(question["rows"], question["dtype"]) for name, question in asked.items()}
    asker = Asker(rest, grpc, questions)
    parts: tuple[Callable[[], Awaitable[Any]], ...] = (
        *(asker.forms, asker.codings, asker.classification, asker.statistics, asker.configuration),
        *(asker.stream, asker.errors, asker.repository),
    )
    answers = {}
    for part in parts:
        try:
            answers[part.__name__] = await part()
        except Exception:
            answers[part.__name__] = {"failed": traceback.format_exc()}
    for client in asker.clients.values():
        await done(client.close())
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
