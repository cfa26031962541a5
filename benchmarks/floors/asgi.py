"""The least that an ASGI application can do: read the body, send fixed bytes."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.floors.answers import arguments
from benchmarks.floors.uvicorn_config import serve


def fixed(answers: Mapping[str, bytes]) -> ASGIApp:
    """Answer `/bare/<name>` with the bytes of that name."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            pass
        answer = answers[scope["path"].removeprefix("/bare/")]
        length = (b"content-length", b"%d" % len(answer))
        headers = [length, (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


if __name__ == "__main__":
    port, answers = arguments()
    serve(fixed(answers), port)
