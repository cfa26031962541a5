"""What people read, and programs now and then: FastAPI, with a description of every address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any
from weakref import ref

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from sigmax import __version__
from sigmax.errors import Code, InvalidInput, MethodNotAllowed, NotFound, SigmaxError
from sigmax.inference.catalog import Catalog, Entry, Label, Served
from sigmax.inference.configuration import Deployment
from sigmax.inference.control import ModelControl
from sigmax.inference.description import statuses
from sigmax.inference.open_inference import metadata, server
from sigmax.inference.readiness import Readiness
from sigmax.inference.statistics import Statistics
from sigmax.rest import addresses, openapi, openapi_v1, probes, repository, signatures, unoffered
from sigmax.rest.addresses import answers, described
from sigmax.rest.asgi import Headers
from sigmax.rest.extensions import add_extensions
from sigmax.rest.refusal import refusal
from sigmax.rest.sending import heard
from sigmax.rest.statistics import add_statistics


def documented(
    catalog: Catalog,
    readiness: Readiness,
    max_bytes: int,
    *,
    statistics: Statistics,
    control: ModelControl,
    deployment: Deployment,
) -> ASGIApp:
    """The application."""
    app = Documented(catalog)
    _add_errors(app)
    _add_models(app, catalog)
    _add_serving_v1(app, catalog)
    add_statistics(app, statistics)
    _add_inference_protocol(app, catalog, readiness, control.extensions)
    add_extensions(app, catalog, deployment)
    repository.add(app, control, max_bytes)
    _add_documentation(app)
    _add_service(app)
    return app


class Documented(FastAPI):
    """FastAPI whose description has a typed request for every model and version."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._described: Sequence[ref[Served]] | None = None
        super().__init__(
            title="Sigmax",
            version=__version__,
            description="Probabilities and classes of every published model, by feature name.",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )

    def openapi(self) -> dict[str, Any]:
        """The description, made anew when models came or went: that of each takes some 10 ms."""
        served = [entry.served for entry in self._catalog.entries if entry.served is not None]
        described = self._described
        if described is None or [one() for one in described] != served or self.openapi_schema is None:
            self.openapi_schema = None
            verbs = (*openapi.VERBS, openapi_v1.serving_verbs)
            self.openapi_schema = openapi.complete(super().openapi(), served, verbs)
            self._described = list(map(ref, served))  # which keeps no version alive
        return self.openapi_schema


def _failed(request: Request, error: Exception, headers: Headers | None = None) -> Response:
    answer = refusal(error, heard(request.headers.raw).request_id, headers)
    response = Response(answer.body, answer.status)
    response.raw_headers.extend(answer.headers)
    return response


def _with_head(allowed: str) -> str:
    """The methods of an address, where HEAD is as good as GET (`pages.py`)."""
    methods = [method for method in allowed.split(", ") if method != "HEAD"]
    return ", ".join(method.replace("GET", "GET, HEAD") for method in methods)


def _add_errors(app: FastAPI) -> None:
    async def known(request: Request, error: Exception) -> Response:
        return _failed(request, error)

    async def framework(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return await known(request, error)
        if error.status_code == 405:
            allowed = _with_head((error.headers or {}).get("Allow", "GET"))
            text = f"method {request.method[:20]} is not for this address: use {allowed}"
            text += unoffered.remedy(request.url.path)
            return _failed(request, MethodNotAllowed(text), ((b"allow", allowed.encode()),))
        if error.status_code == 404:
            there = unoffered.remedy(request.url.path) or "; /docs lists those that there are"
            return _failed(request, NotFound("no such address" + there))
        return _failed(request, InvalidInput(str(error.detail)))

    app.add_exception_handler(SigmaxError, known)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(Exception, known)


def _add_models(app: FastAPI, catalog: Catalog) -> None:
    said = answers("Listing", text="The models that answer, and a line about each model.")

    @app.get("/v1/models", **described("models", addresses.MODELS, "Every model", said))
    async def list_models() -> JSONResponse:
        return JSONResponse(catalog.listing())

    def describe(model: str, version: str) -> JSONResponse:
        return _described(catalog.entry(model), version)

    said = answers("Description", Code.NOT_FOUND, instead="NoDescription")
    address = described("model", addresses.MODELS, "What a model takes and answers", said)
    add_versioned(app, "/v1/models/{model}", describe, address, labels=True)


def _described(entry: Entry, version: str) -> JSONResponse:
    """The model as `GET /v1/models/{m}` answers, or the states of its versions if it is not ready."""
    if entry.answers(version):
        document, status = entry.describe(), 200
    else:
        document, status = {"name": entry.name, "ready": False}, 503
        document["model_version_status"] = statuses(None, entry.idle)
    if version:
        states, number = document["model_version_status"], entry.number_of(version)
        document["model_version_status"] = [state for state in states if state["version"] == number]
    return JSONResponse({**document, "labels": dict(entry.labels)}, status)


def _add_serving_v1(app: FastAPI, catalog: Catalog) -> None:
    def signed(model: str, version: str) -> JSONResponse:
        return JSONResponse(signatures.metadata(catalog.find(model, version)))

    async def named_twice() -> Response:
        raise unoffered.both()

    said = answers("Signatures", Code.NOT_FOUND, Code.NOT_READY)
    address = described(
        "signatures", addresses.V1, "A model's signatures, as TensorFlow Serving says them", said
    )
    add_versioned(app, "/v1/models/{model}/metadata", signed, address, labels=True)
    for path in unoffered.BOTH:
        app.add_api_route(path, named_twice, include_in_schema=False)


def add_versioned(
    app: FastAPI,
    path: str,
    answer: Callable[[str, str], Response],
    address: dict[str, Any],
    *,
    labels: bool = False,
) -> None:
    """Add an address of a model, and the same of one of its versions.

    Args:
        app: gets both.
        path: of the model, with `{model}`.
        answer: given the model and its version, which may be empty.
        address: what the description says of it, from `addresses.described`.
        labels: whether the version may be asked for by its label, too.
    """
    versioned = path.replace("{model}", "{model}/versions/{version}")
    name, summary = address["operation_id"], address["summary"]
    of_one = {**address, "operation_id": f"{name}.version", "summary": f"{summary}: of one version"}

    @app.get(path, **address)
    async def of_model(model: str) -> Response:
        return answer(model, "")

    @app.get(versioned, **of_one)
    async def of_version(model: str, version: str) -> Response:
        return answer(model, version)

    if not labels:
        return
    labelled = path.replace("{model}", "{model}/labels/{label}")

    @app.get(labelled, include_in_schema=False)
    async def of_labelled(model: str, label: str) -> Response:
        return answer(model, Label(label))


def _add_inference_protocol(
    app: FastAPI, catalog: Catalog, readiness: Readiness, extensions: Sequence[str]
) -> None:
    tag = addresses.OPEN_INFERENCE
    summary = "Name, version and extensions of the server"

    @app.get("/v2/", include_in_schema=False)
    @app.get("/v2", **described("server", tag, summary, answers("Server")))
    async def server_metadata() -> JSONResponse:
        return JSONResponse(server(extensions))

    _add_health(app, readiness)

    def model_metadata(model: str, version: str) -> JSONResponse:
        return JSONResponse(metadata(catalog.find(model, version)))

    said = answers("Metadata", Code.NOT_FOUND, Code.NOT_READY)
    address = described("metadata", tag, "Inputs and outputs of a model", said)
    add_versioned(app, "/v2/models/{model}", model_metadata, address)

    def model_ready(model: str, version: str) -> JSONResponse:
        ready = catalog.entry(model).answers(version)
        return JSONResponse({"name": model, "ready": ready}, 200 if ready else 503)

    said = answers("ModelReady", Code.NOT_FOUND, instead="ModelNotReady")
    address = described("model_ready", tag, "Does a model answer?", said)
    add_versioned(app, "/v2/models/{model}/ready", model_ready, address)


def _add_health(app: FastAPI, readiness: Readiness) -> None:
    tag = addresses.OPEN_INFERENCE

    @app.get("/v2/health/live", **described("live", tag, "Is the process alive?", answers("Live")))
    async def live() -> JSONResponse:
        return JSONResponse(probes.LIVE)

    said = answers("Ready", instead="NotReady")

    @app.get("/v2/health/ready", **described("ready", tag, "Are requests answered?", said))
    async def ready() -> JSONResponse:
        status, document = probes.ready(readiness)
        return JSONResponse(document, status)


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
    @app.get("/", **described("front", addresses.SERVICE, "Is it there?", answers("Front")))
    async def front() -> JSONResponse:
        return JSONResponse({"status": "alive", "docs": "/docs", "models": "/v1/models"})
