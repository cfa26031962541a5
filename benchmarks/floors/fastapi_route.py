"""A FastAPI route that takes the `Request` and returns a `Response`, fixed bytes: its least."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response

from benchmarks.floors.answers import arguments
from benchmarks.floors.uvicorn_config import serve


def fixed(answers: Mapping[str, bytes]) -> FastAPI:
    """Answer `/bare/<name>` with the bytes of that name."""
    app = FastAPI(openapi_url=None)

    @app.post("/bare/{name}")
    async def answer(name: str, request: Request) -> Response:
        await request.body()
        return Response(answers[name], media_type="application/json")

    return app


if __name__ == "__main__":
    port, answers = arguments()
    serve(fixed(answers), port)
