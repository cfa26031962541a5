"""An error as an answer, which names the request that it is about."""

from __future__ import annotations

import logging
from asyncio import CancelledError

from sigmax.errors import Internal, NotReady, SigmaxError
from sigmax.inference.dispatch import is_cancelled, unforeseen
from sigmax.protocol import ids
from sigmax.rest import errors
from sigmax.rest.asgi import JSON, Answer, Headers

log = logging.getLogger(__name__)


def refusal(error: BaseException, request_id: str, further: Headers | None = None) -> Answer:
    """The answer to a request that ended in an error, without the ids that its caller sent along.

    Args:
        error: any; one that nobody foresaw is logged. Who answers a request is cancelled only when the grace
            of a service that leaves is over.
        request_id: the caller's own; if it is empty one is made, and told in a header, too.
        further: headers in place of those that the error has.
    """
    known = error if isinstance(error, SigmaxError) else _translated(error)
    name = request_id or (known.reference if isinstance(known, Internal) else "") or ids.made()
    if request_id and isinstance(known, Internal):  # without an id the log has it under its reference
        log.error("request %s: %s", name, known)
    told = () if request_id else ((ids.REQUEST_ID, name.encode()),)
    headers = errors.headers(known) if further is None else further
    return Answer(errors.body(known, name), (JSON, *headers, *told), errors.STATUS[known.code])


def _translated(error: BaseException) -> SigmaxError:
    if isinstance(error, CancelledError) and is_cancelled():
        return NotReady("the service is shutting down")
    return unforeseen(error)
