"""What people read, and programs now and then: FastAPI, with a description of every address."""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from sigmax import __version__
from sigmax.errors import InvalidInput, MethodNotAllowed, NotFound, SigmaxError
from sigmax.inference.catalog import Catalog
from sigmax.inference.configuration import DEFAULT, Deployment
from sigmax.inference.description import statuses
from sigmax.inference.dispatch import unforeseen
from sigmax.inference.open_inference import metadata, server
from sigmax.inference.readiness import Readiness
from sigmax.rest import errors, openapi, probes
from sigmax.rest.extensions import add_extensions


def documented(catalog: Catalog, readiness: Readiness, deployment: Deployment = DEFAULT) -> ASGIApp:
    """The application."""
    app = Documented(catalog)
    _add_errors(app)
    _add_models(app, catalog)
    _add_inference_protocol(app, catalog, readiness, deployment)
    add_extensions(app, catalog, deployment)
    _add_documentation(app)
    _add_service(app)
    return app


class Documented(FastAPI):
    """FastAPI whose description has a typed request for every model."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        super().__init__(
            title="Sigmax",
            version=__version__,
            description="Probabilities and classes of every published model, by feature name.",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )

    def openapi(self) -> dict[str, Any]:
        """The description, made anew each time: models come and go."""
        self.openapi_schema = None
        document = openapi.without_422(super().openapi())
        served = [entry.served for entry in self._catalog.entries if entry.served is not None]
        document["paths"] = openapi.paths(served) | document["paths"]
        return document


def _failed(error: SigmaxError, headers: dict[str, str] | None = None) -> Response:
    return Response(errors.body(error), errors.STATUS[error.code], headers, "application/json")


def _add_errors(app: FastAPI) -> None:
    async def known(_: Request, error: Exception) -> Response:
        return _failed(error if isinstance(error, SigmaxError) else unforeseen(error))

    async def framework(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return await known(request, error)
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "GET")
            text = f"method {request.method[:20]} is not for this address: use {allowed}"
            return _failed(MethodNotAllowed(text), {"allow": allowed})
        if error.status_code == 404:
            return _failed(NotFound("no such address; /docs lists those that there are"))
        return _failed(InvalidInput(str(error.detail)))

    app.add_exception_handler(SigmaxError, known)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(Exception, known)


def _add_models(app: FastAPI, catalog: Catalog) -> None:
    tags: list[Any] = ["models"]

    @app.get("/v1/models", tags=tags, summary="Every model")
    async def list_models() -> JSONResponse:
        return JSONResponse(catalog.listing())

    @app.get("/v1/models/{model}", tags=tags, summary="What a model takes and answers")
    @app.get("/v1/models/{model}/versions/{version}", tags=tags, summary="The same, of one version")
    async def describe_model(model: str, version: str = "") -> JSONResponse:
        entry = catalog.entry(model)
        if entry.answers(version):
            return JSONResponse(entry.describe())
        document = {"name": model, "ready": False, "model_version_status": statuses(None, entry.rejected)}
        return JSONResponse(document, 503)


def _add_inference_protocol(
    app: FastAPI, catalog: Catalog, readiness: Readiness, deployment: Deployment
) -> None:
    tags: list[Any] = ["Open Inference Protocol v2"]

    @app.get("/v2/", include_in_schema=False)
    @app.get("/v2", tags=tags, summary="Name, version and extensions of the server")
    async def server_metadata() -> JSONResponse:
        return JSONResponse(server(deployment.extensions))

    @app.head("/v2/health/live", include_in_schema=False)
    @app.get("/v2/health/live", tags=tags, summary="Is the process alive?")
    async def live() -> JSONResponse:
        return JSONResponse(probes.LIVE)

    @app.head("/v2/health/ready", include_in_schema=False)
    @app.get("/v2/health/ready", tags=tags, summary="Are requests answered?")
    async def ready() -> JSONResponse:
        status, document = probes.ready(readiness)
        return JSONResponse(document, status)

    @app.get("/v2/models/{model}", tags=tags, summary="Inputs and outputs of a model")
    @app.get("/v2/models/{model}/versions/{version}", tags=tags, summary="The same, of one version")
    async def model_metadata(model: str, version: str = "") -> JSONResponse:
        return JSONResponse(metadata(catalog.find(model, version)))

    @app.get("/v2/models/{model}/ready", tags=tags, summary="Does a model answer?")
    @app.get("/v2/models/{model}/versions/{version}/ready", tags=tags, summary="Does one version answer?")
    async def model_ready(model: str, version: str = "") -> JSONResponse:
        answers = catalog.entry(model).answers(version)
        return JSONResponse({"name": model, "ready": answers}, 200 if answers else 503)


def _add_documentation(app: FastAPI) -> None:
    """`/docs` from files of this machine: a service without a way out of its network has it, too."""
    assets = resources.files("fastapi_swagger.resources")
    files = {
        "swagger-ui-bundle.js": "text/javascript",
        "swagger-ui.css": "text/css",
        "favicon-32x32.png": "image/png",
    }

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Sigmax",
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="/docs/favicon-32x32.png",
        )

    @app.get("/docs/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in files:
            raise NotFound("no such address; /docs is the documentation")
        return Response(assets.joinpath(name).read_bytes(), media_type=files[name])


def _add_service(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def front() -> JSONResponse:
        return JSONResponse({"status": "alive", "docs": "/docs", "models": "/v1/models"})
