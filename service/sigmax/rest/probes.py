"""What is asked again and again: is it alive, is it ready, what did it count, what does it serve?

Plain ASGI, so that a service is ready before its documented application is loaded (`front.py`), which has the
probes, too, for whoever reads its description.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from sigmax.errors import MethodNotAllowed, NotReady
from sigmax.inference.readiness import Readiness
from sigmax.inference.status import Status
from sigmax.rest.asgi import JSON, Answer, send_answer
from sigmax.rest.refusal import refusal
from sigmax.rest.sending import heard
from sigmax.telemetry.metrics import CONTENT_TYPE

Scrape = Callable[[], Awaitable[bytes]]
"""Gives what `GET /metrics` answers."""

LIVE = {"live": True}

ALLOW_GET = (b"allow", b"GET, HEAD")

_TEXT = (b"content-type", CONTENT_TYPE.encode())


def ready(readiness: Readiness) -> tuple[int, dict[str, Any]]:
    """Status and body of what a service says of its readiness."""
    reason = readiness.reason
    return (503, {"ready": False, "error": reason, "code": "NOT_READY"}) if reason else (200, {"ready": True})


class Probes:
    """Answers them; passes everything else on."""

    def __init__(self, app: ASGIApp, readiness: Readiness, scrape: Scrape, status: Status) -> None:
        self._app, self._readiness, self._scrape, self._status = app, readiness, scrape, status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        match (scope.get("method"), scope.get("path")):
            case ("GET", "/v2/health/live"):
                await send_answer(send, Answer(msgspec.json.encode(LIVE)))
            case ("GET", "/v2/health/ready"):
                await send_answer(send, self._say_ready(scope))
            case ("GET", "/metrics"):
                await send_answer(send, await _answer(scope, self._scrape, _TEXT))
            case ("GET", "/status"):
                await send_answer(send, await _answer(scope, self._say_status, JSON))
            case (str(method), "/metrics" | "/status"):
                wrong = MethodNotAllowed(f"method {method[:20]} is not for this address: use GET, HEAD")
                await send_answer(send, refusal(wrong, heard(scope["headers"]).request_id, (ALLOW_GET,)))
            case _:
                await self._app(scope, receive, send)

    async def _say_status(self) -> bytes:
        return msgspec.json.encode(await self._status())

    def _say_ready(self, scope: Scope) -> Answer:
        status, document = ready(self._readiness)
        if status == 200:
            return Answer(msgspec.json.encode(document))
        error = refusal(NotReady(self._readiness.reason), heard(scope["headers"]).request_id)
        return error._replace(body=msgspec.json.encode({**msgspec.json.decode(error.body), **document}))


async def _answer(scope: Scope, give: Scrape, media_type: tuple[bytes, bytes]) -> Answer:
    """What is asked of the supervisor, who may not answer."""
    try:
        return Answer(await give(), (media_type,))
    except Exception as error:
        return refusal(error, heard(scope["headers"]).request_id)
