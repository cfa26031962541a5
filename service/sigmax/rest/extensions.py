"""What stands beside the standard's addresses under `/v2`: models, their configuration, what is not offered.

An address of an extension that this service does not have is not unknown: it says so, with 501.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import JSONResponse

from sigmax.errors import Code, Unimplemented
from sigmax.inference.catalog import Catalog
from sigmax.inference.configuration import Deployment, configuration
from sigmax.rest.addresses import EXTENSIONS, answers, described

_METHODS = ["DELETE", "GET", "PATCH", "POST", "PUT"]
_MODEL = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
_NOT_OFFERED = {
    "generate": (
        [f"{model}/{verb}" for model in _MODEL for verb in ("generate", "generate_stream")],
        "nothing is generated here: these models are classifiers, asked by /infer",
    ),
    "trace": (
        ["/v2/trace/setting", *(f"{model}/trace/setting" for model in _MODEL)],
        "tracing is not set by requests",
    ),
    "logging": (["/v2/logging"], "logging is not set by requests: --log-level sets it"),
    "shared memory": (
        ["/v2/systemsharedmemory/{rest:path}", "/v2/cudasharedmemory/{rest:path}"],
        "there is no shared memory: send tensors in the body, JSON or binary",
    ),
}
"""By extension, its addresses, and what to say there."""


def add_extensions(app: FastAPI, catalog: Catalog, deployment: Deployment) -> None:
    """Add the addresses; behind those that have a model's name in the same place and are offered."""
    said = answers("Models")

    @app.get("/v2/models", **described("models.ready", EXTENSIONS, "The models that answer", said))
    async def models() -> JSONResponse:
        return JSONResponse({"models": catalog.ready_names})

    said, summary = answers("Configuration", Code.NOT_FOUND, Code.NOT_READY), "How a model is served"

    @app.get("/v2/models/{model}/config", **described("configuration", EXTENSIONS, summary, said))
    async def of_model(model: str) -> JSONResponse:
        return JSONResponse(configuration(catalog.find(model), deployment))

    name, summary = "configuration.version", f"{summary}: of one version"

    @app.get("/v2/models/{model}/versions/{version}/config", **described(name, EXTENSIONS, summary, said))
    async def of_version(model: str, version: str) -> JSONResponse:
        return JSONResponse(configuration(catalog.find(model, version), deployment))

    for addresses, text in _NOT_OFFERED.values():
        _refuse(app, addresses, text)


def _refuse(app: FastAPI, addresses: list[str], text: str) -> None:
    async def refuse() -> None:
        raise Unimplemented(text)

    for address in addresses:
        app.add_api_route(address, refuse, methods=_METHODS, include_in_schema=False)
