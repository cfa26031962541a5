"""`GET /v2/models/stats` and `…/{m}/stats`: the Open Inference Protocol's extension `statistics`.

The first address is that of all models, so a model that is called `stats` has its metadata under
`/v2/models/stats/versions/{v}` alone; every other address of it is as that of any model.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import JSONResponse

from sigmax.inference.statistics import Statistics

ALL = "/v2/models/stats"


def add_statistics(app: FastAPI, statistics: Statistics) -> None:
    """Add the addresses; before those that take any name where this has `stats`."""

    @app.get(ALL, tags=["Open Inference Protocol v2"], summary="What became of the requests of every model")
    async def all_statistics() -> JSONResponse:
        return JSONResponse(await statistics())

    @app.get(
        "/v2/models/{model}/stats", tags=["Open Inference Protocol v2"], summary="The same, of one model"
    )
    @app.get(
        "/v2/models/{model}/versions/{version}/stats",
        tags=["Open Inference Protocol v2"],
        summary="The same, of one version",
    )
    async def model_statistics(model: str, version: str = "") -> JSONResponse:
        return JSONResponse(await statistics(model, version))
