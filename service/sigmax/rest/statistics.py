"""`GET /v2/models/stats` and `…/{m}/stats`: the Open Inference Protocol's extension `statistics`.

The first address is that of all models, so a model that is called `stats` has its metadata under
`/v2/models/stats/versions/{v}` alone; every other address of it is as that of any model.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import JSONResponse

from sigmax.errors import Code
from sigmax.inference.statistics import Statistics
from sigmax.rest.addresses import EXTENSIONS, answers, described

ALL = "/v2/models/stats"


def add_statistics(app: FastAPI, statistics: Statistics) -> None:
    """Add the addresses; before those that take any name where this has `stats`."""
    said = answers("Statistics", Code.INTERNAL, Code.NOT_READY)

    @app.get(ALL, **described("statistics", EXTENSIONS, "What became of every model's requests", said))
    async def all_statistics() -> JSONResponse:
        return JSONResponse(await statistics())

    said = answers("Statistics", Code.NOT_FOUND, Code.INTERNAL, Code.NOT_READY)
    summary = "What became of a model's requests"

    @app.get("/v2/models/{model}/stats", **described("model_statistics", EXTENSIONS, summary, said))
    async def of_model(model: str) -> JSONResponse:
        return JSONResponse(await statistics(model, ""))

    name, summary = "model_statistics.version", f"{summary}: of one version"

    @app.get("/v2/models/{model}/versions/{version}/stats", **described(name, EXTENSIONS, summary, said))
    async def of_version(model: str, version: str) -> JSONResponse:
        return JSONResponse(await statistics(model, version))
