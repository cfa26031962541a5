"""A Starlette route that reads the body and answers fixed bytes: what most Python services stand on."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.floors.answers import arguments
from benchmarks.floors.uvicorn_config import serve


def fixed(answers: Mapping[str, bytes]) -> Starlette:
    """Answer `/bare/<name>` with the bytes of that name."""

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(answers[request.path_params["name"]], media_type="application/json")

    return Starlette(routes=[Route("/bare/{name}", answer, methods=["POST"])])


if __name__ == "__main__":
    port, answers = arguments()
    serve(fixed(answers), port)
