"""Triton's extension `model_repository` over REST: `POST /v2/repository/…`, in /docs where it is on."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from sigmax.errors import Code, InvalidInput
from sigmax.inference.control import ModelControl, Verb
from sigmax.protocol.values import describe
from sigmax.rest.addresses import EXTENSIONS, answers, described
from sigmax.rest.asgi import read_body
from sigmax.rest.bounds import Bounds
from sigmax.rest.jsons import certain, read_object, refuse_unknown

_MODEL = "/models/{model}"
_ROOTS = ("/v2/repository", "/v2/repository/{repository}")
"""Without a repository's name and with one, which is refused for a reason instead of as no address."""

_INDEX = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "additionalProperties": False}
_PARAMETERS = {
    "type": "object",
    "properties": {"parameters": {"type": "object"}},
    "additionalProperties": False,
}
_REFUSED = (
    *(Code.INVALID_INPUT, Code.NOT_FOUND, Code.REQUEST_TIMEOUT, Code.CONFLICT, Code.TOO_LARGE),
    *(Code.UNSUPPORTED_MEDIA, Code.INTERNAL, Code.UNIMPLEMENTED, Code.NOT_READY, Code.DEADLINE),
)


def add(app: FastAPI, control: ModelControl, max_bytes: int) -> None:
    """Add the addresses.

    Args:
        app: to which they are added.
        control: what they ask.
        max_bytes: of a body.
    """
    door = _Addresses(control, max_bytes)
    for root in _ROOTS:
        shown = bool(control.extensions) and root == _ROOTS[0]
        for path, asked, schema, answer, summary in (
            ("/index", door.index, _INDEX, "Index", "Every version of every model and what it does"),
            (f"{_MODEL}/load", door.load, _PARAMETERS, "Loaded", "Load the highest version of a model"),
            (f"{_MODEL}/unload", door.unload, _PARAMETERS, "Unloaded", "Let a model answer no more"),
        ):
            address = described(path.rpartition("/")[2], EXTENSIONS, summary, answers(answer, *_REFUSED))
            body = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
            app.post(root + path, include_in_schema=shown, openapi_extra=body, **address)(asked)


class _Addresses:
    def __init__(self, control: ModelControl, max_bytes: int) -> None:
        self._control, self._max_bytes = control, max_bytes

    async def index(self, request: Request) -> JSONResponse:
        """A list of `name`, `version`, `state` and `reason`; `{"ready": true}` asks for those alone."""
        document = await self._read(request, "index", "ready")
        ready = document.get("ready", False)
        if type(ready) is not bool:
            raise InvalidInput(f"'ready' is true or false, not {describe(ready)}", "ready")
        found = await self._control.index(_repository(request), ready=ready)
        return JSONResponse([one._asdict() for one in found])

    async def load(self, request: Request, model: str) -> JSONResponse:
        """Answered when every process of the service answers with it."""
        await self._control.load(_repository(request), model, await self._parameters(request, "load"))
        return JSONResponse({"name": model, "load": True})

    async def unload(self, request: Request, model: str) -> JSONResponse:
        """Answered when no process of the service answers with it any more."""
        await self._control.unload(_repository(request), model, await self._parameters(request, "unload"))
        return JSONResponse({"name": model, "unload": True})

    async def _parameters(self, request: Request, verb: Verb) -> dict[str, Any]:
        parameters = (await self._read(request, verb, "parameters")).get("parameters", {})
        if type(parameters) is not dict:
            raise InvalidInput(f"'parameters' is an object, not {describe(parameters)}", "parameters")
        return parameters

    async def _read(self, request: Request, verb: Verb, key: str) -> dict[str, Any]:
        """The body, which may be empty and have one key."""
        self._control.offered(verb)
        body = await read_body(request.scope, request.receive, self._max_bytes)
        if not body.content.strip():
            return {}
        Bounds().check(body.content)
        document = certain(*read_object(body.content))
        refuse_unknown(document, (key,))
        return document


def _repository(request: Request) -> str:
    """The repository's name in the path; empty where there is none."""
    return str(request.path_params.get("repository", ""))
