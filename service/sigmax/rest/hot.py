"""The routes that predict, as one plain ASGI application in front of the documented ones.

A framework's routing, validation and middleware cost more than the model; these routes need none of it. What
speaks HTTP itself (`http.py`) can do without ASGI, too: it asks `find` and `answer`, as the application does.
"""

from __future__ import annotations

import re
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from sigmax.errors import InvalidInput, MethodNotAllowed, SigmaxError
from sigmax.inference.catalog import Label
from sigmax.inference.dispatch import Dispatch, Query
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.rest import classifier, classify, inference_protocol, predict, unoffered
from sigmax.rest.asgi import Answer, Body, read_body, send_answer, wait_for
from sigmax.rest.heads import Heads, Route
from sigmax.rest.refusal import refusal
from sigmax.rest.sending import AS_IT_IS, Sending, granted, heard, signed
from sigmax.rest.straight import Models
from sigmax.rest.templates import Templates
from sigmax.telemetry.metrics import UNKNOWN, Meter, Metrics

_PATH = re.compile(
    r"/v1/models/(?P<v1>[^/:]+)(?:/(?:versions/(?P<v1_version>[^/:]+)|labels/(?P<label>[^/:]+)))?"
    r":(?P<verb>probabilities|classes|predict|classify)"
    r"|/v2/models/(?P<v2>[^/]+)(?:/versions/(?P<v2_version>[^/]+))?/infer"
)

_Read = Callable[..., Query[Answer]]


class HotRoutes:
    """Answers what predicts; passes everything else on.

    Attributes:
        heads: of the requests that came here, for who speaks HTTP.
        draining: set once the service is about to leave: whoever speaks HTTP for it says so in every answer
            (`Connection: close`), so that clients turn to another process by themselves.
    """

    def __init__(
        self,
        app: ASGIApp,
        dispatch: Dispatch,
        metrics: Metrics,
        max_bytes: int,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.heads = Heads(self.find, max_bytes)
        self.draining = False
        self._max_bytes = max_bytes
        self._app = app
        self._dispatch = dispatch
        templates = Templates()
        kept = classifier.Kept(Models(), templates)
        probabilities = partial(classifier.ProbabilitiesQuery, kept=kept, max_pixels=max_pixels)
        classes = partial(classifier.ClassesQuery, kept=kept, max_pixels=max_pixels)
        predicted = partial(predict.PredictQuery, kept=predict.Kept(templates), max_pixels=max_pixels)
        examples = Models(classify.EXAMPLES)
        classified = partial(classify.ClassifyQuery, kept=examples, max_pixels=max_pixels)
        infer = partial(inference_protocol.InferQuery, kept=inference_protocol.Kept(templates))
        self._verbs: dict[str | None, tuple[Meter, _Read]] = {
            "probabilities": (metrics.verb("rest", "probabilities"), probabilities),
            "classes": (metrics.verb("rest", "classes"), classes),
            "predict": (metrics.verb("rest", "predict"), predicted),
            "classify": (metrics.verb("rest", "classify"), classified),
            None: (metrics.verb("rest", "infer"), infer),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] == "http":
            path = scope["path"]
            route = self.find(path)
            if route is not None:
                await self._predict(route, scope, receive, send)
                return
            if ":" in path and path.startswith("/v1/models/"):
                await send_answer(send, _failed(unoffered.refusal(path), heard(scope["headers"])))
                return
        await self._app(scope, receive, send)

    def find(self, path: str) -> Route | None:
        """Where a path leads, if it is one of these routes."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        v1, v1_version, label, verb, v2, v2_version = match.groups()
        version = v1_version or v2_version or (Label(label) if label else "")
        return Route(*self._verbs[verb], v1 or v2, version)

    def answer(self, route: Route, body: Body, sending: Sending = AS_IT_IS) -> Answer | Awaitable[Answer]:
        """Answer one POST: at once, an error too, or with the promise of an answer, which may raise."""
        try:
            said = self._dispatch.ask(route.meter, route.read, route.model, route.version, body)
        except Exception as error:
            return _failed(error, sending)
        return said if sending is AS_IT_IS else granted(said, sending)

    def lost(self, route: Route, started: float) -> None:
        """Count a request whose client went away in the middle of its body."""
        route.meter.request(UNKNOWN, "", InvalidInput.code.value, started, 0)

    async def _predict(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        sending = heard(scope["headers"])
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"method {scope['method'][:20]} is not for this address: use POST")
            body = await self._read(route.meter, scope, receive)
        except (Exception, CancelledError) as error:
            await send_answer(send, _failed(error, sending))
            return
        answer = self.answer(route, body, sending)
        if isinstance(answer, Answer):
            await send_answer(send, answer)
        else:
            await Promised(answer, sending)(scope, receive, send)

    async def _read(self, meter: Meter, scope: Scope, receive: Receive) -> Body:
        """The body; a refusal of it is counted here, since dispatch never sees the request."""
        started = perf_counter()
        try:
            return await read_body(scope, receive, self._max_bytes)
        except SigmaxError as error:
            meter.request(UNKNOWN, "", error.code.value, started, 0)
            raise


class Promised:
    """An application that sends one answer when it is there, or gives it up when the client or we leave."""

    def __init__(self, answer: Awaitable[Answer], sending: Sending = AS_IT_IS) -> None:
        self._answer, self._sending = answer, sending

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Serve the request whose body has been read."""
        try:
            answer = await wait_for(self._answer, receive)
        except (Exception, CancelledError) as error:
            answer = _failed(error, self._sending)
        await send_answer(send, answer)


def _failed(error: BaseException, sending: Sending) -> Answer:
    return signed(refusal(error, sending.request_id), sending)
