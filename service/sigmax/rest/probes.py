"""What is asked again and again: is it alive, is it ready, what did it count, what does it serve?

Plain ASGI, so that a service is ready before its documented application is loaded (`front.py`), which has the
probes, too, for whoever reads its description.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from sigmax.errors import SigmaxError
from sigmax.inference.dispatch import unforeseen
from sigmax.inference.readiness import Readiness
from sigmax.inference.status import Status
from sigmax.rest import errors
from sigmax.rest.asgi import JSON, Answer, send_answer
from sigmax.telemetry.metrics import CONTENT_TYPE

Scrape = Callable[[], Awaitable[bytes]]
"""Gives what `GET /metrics` answers."""

LIVE = {"live": True}

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
                status, document = ready(self._readiness)
                await send_answer(send, Answer(msgspec.json.encode(document), status=status))
            case ("GET", "/metrics"):
                await _answer(send, self._scrape, _TEXT)
            case ("GET", "/status"):
                await _answer(send, self._say_status, JSON)
            case _:
                await self._app(scope, receive, send)

    async def _say_status(self) -> bytes:
        return msgspec.json.encode(await self._status())


async def _answer(send: Send, give: Scrape, media_type: tuple[bytes, bytes]) -> None:
    """Send what is asked of the supervisor, who may not answer."""
    try:
        text = await give()
    except Exception as error:
        known = error if isinstance(error, SigmaxError) else unforeseen(error)
        await send_answer(send, Answer(errors.body(known), status=errors.STATUS[known.code]))
    else:
        await send_answer(send, Answer(text, (media_type,)))
