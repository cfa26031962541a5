"""The routes that predict, as one plain ASGI application in front of the documented ones.

A framework's routing, validation and middleware cost more than the model; these routes need none of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from sigmax.errors import MethodNotAllowed, NotFound, SigmaxError
from sigmax.inference.dispatch import Dispatch, Query, unforeseen
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.rest import classifier, errors, inference_protocol
from sigmax.rest.asgi import JSON, Answer, Body, read_body, send_answer, unless_gone
from sigmax.telemetry.metrics import UNKNOWN, Meter, Metrics

_PATH = re.compile(
    r"/v1/models/(?P<v1>[^/:]+)(?:/versions/(?P<v1_version>[^/:]+))?:(?P<verb>probabilities|classes)"
    r"|/v2/models/(?P<v2>[^/]+)(?:/versions/(?P<v2_version>[^/]+))?/infer"
)

_Read = Callable[..., Query[Answer]]


class HotRoutes:
    """Answers what predicts; passes everything else on.

    Attributes:
        draining: set once the service is about to leave: each answer then says so (`Connection: close`), so
            that clients turn to another process by themselves.
    """

    def __init__(
        self,
        app: ASGIApp,
        dispatch: Dispatch,
        metrics: Metrics,
        max_bytes: int,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.draining = False
        self._app = app
        self._dispatch = dispatch
        self._max_bytes = max_bytes
        probabilities = partial(classifier.ProbabilitiesQuery, max_pixels=max_pixels)
        classes = partial(classifier.ClassesQuery, max_pixels=max_pixels)
        self._verbs: dict[str | None, tuple[Meter, _Read]] = {
            "probabilities": (metrics.verb("rest", "probabilities"), probabilities),
            "classes": (metrics.verb("rest", "classes"), classes),
            None: (metrics.verb("rest", "infer"), inference_protocol.InferQuery),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] == "http":
            path = scope["path"]
            match = _PATH.fullmatch(path)
            if match is not None:
                await self._predict(match, scope, receive, send)
                return
            if ":" in path and path.startswith("/v1/models/"):
                await _send_error(
                    send, NotFound("no such address: the verbs are :probabilities and :classes")
                )
                return
        await self._app(scope, receive, send)

    async def _predict(self, match: re.Match[str], scope: Scope, receive: Receive, send: Send) -> None:
        v1, v1_version, verb, v2, v2_version = match.groups()
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"method {scope['method'][:20]} is not for this address: use POST")
            meter, query = self._verbs[verb]
            body = await self._read(meter, scope, receive)
            said = self._dispatch.ask(meter, query, v1 or v2, v1_version or v2_version or "", body)
            answer = said if isinstance(said, Answer) else await unless_gone(said, receive)
        except Exception as error:
            await _send_error(send, error)
            return
        await send_answer(send, 200, answer.body, answer.headers)

    async def _read(self, meter: Meter, scope: Scope, receive: Receive) -> Body:
        """The body; a refusal of it is counted here, since dispatch never sees the request."""
        started = perf_counter()
        try:
            return await read_body(scope, receive, self._max_bytes)
        except SigmaxError as error:
            meter.request(UNKNOWN, "", error.code.value, started, 0)
            raise


async def _send_error(send: Send, error: Exception) -> None:
    known = error if isinstance(error, SigmaxError) else unforeseen(error)
    await send_answer(send, errors.STATUS[known.code], errors.body(known), (JSON, *errors.headers(known)))
