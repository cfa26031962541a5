"""How long a client may take to send its request: a look at all connections now and then, no timer for any.

A request that comes in one piece is never touched by this. A deadline begins with the look that first finds a
request begun and not whole, or a connection on which none ever began; so it may be two looks late, and is
never early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from sigmax.rest.http import HttpProtocol

_LOOKS = 10  # within the time that a request has
_LONGEST_PAUSE = 0.5  # seconds


async def watch(connections: Collection[object], patience: float) -> None:
    """Look at connections for ever.

    Args:
        connections: those that are open now, whenever it is looked.
        patience: seconds that a client has for its request.
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(min(patience / _LOOKS, _LONGEST_PAUSE))
        now = loop.time()
        for connection in list(connections):
            if isinstance(connection, HttpProtocol):
                connection.look(now, patience)
