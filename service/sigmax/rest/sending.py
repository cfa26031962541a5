"""What a request says of its answer, whatever it is: how to pack it, and which ids to send back.

Most requests say nothing (`AS_IT_IS`), and nothing is done for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from sigmax.protocol import ids
from sigmax.rest import codings
from sigmax.rest.asgi import Answer, Headers
from sigmax.rest.codings import BESIDE, WORTH_IT, Packing

_ACCEPTED = b"accept-encoding"
_READ = ids.NAMES | {_ACCEPTED}

VARY = (b"vary", b"accept-encoding")


class Sending(NamedTuple):
    """What one request says.

    Attributes:
        wanted: how it wants its answer packed; None for as it is.
        returned: headers that the answer repeats.
    """

    wanted: Packing | None = None
    returned: Headers = ()

    @property
    def request_id(self) -> str:
        """The caller's own name of the request; empty if it has none."""
        return ids.request_id(self.returned)


AS_IT_IS = Sending()


def heard(headers: Sequence[tuple[bytes, bytes]]) -> Sending:
    """What the headers of a request say, their names in lower case."""
    found = [header for header in headers if header[0] in _READ]
    if not found:
        return AS_IT_IS
    accepted = [value for name, value in found if name == _ACCEPTED]
    wanted = codings.wanted(accepted) if accepted else None
    returned = ids.returned(found) if len(accepted) < len(found) else ()
    return Sending(wanted, returned) if wanted or returned else AS_IT_IS


def granted(said: Answer | Awaitable[Answer], sending: Sending) -> Answer | Awaitable[Answer]:
    """An answer as its request wants it: at once, or by a promise where one was given or it is long."""
    if not isinstance(said, Answer):
        return _later(said, sending)
    wanted, returned = sending
    if not returned and len(said.body) < WORTH_IT and not (wanted and wanted.always):
        return said  # as of most clients: they take packed answers, and theirs are short
    if wanted is None or said.status != 200 or not (wanted.always or len(said.body) >= WORTH_IT):
        return signed(said, sending)
    if len(said.body) >= BESIDE:
        return _beside(said, wanted, sending)
    return signed(_packed(said, codings.packed(said.body, wanted.coding), wanted), sending)


def signed(answer: Answer, sending: Sending) -> Answer:
    """An answer with the ids of its request."""
    if not sending.returned:
        return answer
    return Answer(answer.body, (*answer.headers, *sending.returned), answer.status)


async def _later(promise: Awaitable[Answer], sending: Sending) -> Answer:
    said = granted(await promise, sending)
    return said if isinstance(said, Answer) else await said


async def _beside(answer: Answer, wanted: Packing, sending: Sending) -> Answer:
    packed = await asyncio.to_thread(codings.packed, answer.body, wanted.coding)
    return signed(_packed(answer, packed, wanted), sending)


def _packed(answer: Answer, packed: bytes, wanted: Packing) -> Answer:
    """The answer with that body, where it is the shorter one or the only one that is taken."""
    if len(packed) >= len(answer.body) and not wanted.always:
        return answer
    further = ((b"content-encoding", wanted.coding.encode()), VARY)
    return answer._replace(body=packed, headers=(*answer.headers, *further))
