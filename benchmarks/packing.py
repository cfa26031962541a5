"""What gzip costs an answer, and what it saves: `python -m benchmarks.packing`.

Where the limits of `sigmax.rest.codings` come from: the level, from which size an answer is packed, and from
which in a thread. CPU time of the thread, the least of several rounds; the hand-over to a thread by the
clock.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import time
import zlib
from collections.abc import Callable
from functools import partial

from benchmarks import report

_LEVELS = (1, 4, 6)
_ROUNDS = 7


def answers() -> dict[str, bytes]:
    """Answers of some lengths, by what they are."""
    made = {f"probabilities of {rows} rows": _probabilities(rows) for rows in (1, 25, 400, 1600, 25_000)}
    numbers = [random.random() for _ in range(8192)]
    return {**made, "8,192 FP64 as bytes": struct.pack(f"<{len(numbers)}d", *numbers)}


def _probabilities(rows: int) -> bytes:
    numbers = [random.random() for _ in range(rows)]
    document = {"model": "m", "version": "1", "probabilities": [[number, 1 - number] for number in numbers]}
    return json.dumps(document, separators=(",", ":")).encode()


def least(step: Callable[[], object], count: int) -> float:
    """Microseconds of CPU."""
    found = []
    for _ in range(_ROUNDS):
        before = time.thread_time()
        for _ in range(count):
            step()
        found.append(1e6 * (time.thread_time() - before) / count)
    return min(found)


async def hand_over(count: int = 500) -> float:
    """Microseconds until a thread has done nothing."""
    found = []
    for _ in range(_ROUNDS):
        before = time.perf_counter()
        for _ in range(count):
            await asyncio.to_thread(int)
        found.append(1e6 * (time.perf_counter() - before) / count)
    return min(found)


def main() -> None:
    """Run from the command line."""
    random.seed(1)
    lines = []
    for name, body in answers().items():
        cells = [name, f"{len(body):,}"]
        for level in _LEVELS:
            size = len(zlib.compress(body, level, 31)) / len(body)
            spent = least(partial(zlib.compress, body, level, 31), 1 + 100_000 // len(body))
            cells.append(f"{spent:.0f} us, {size:.2f}")
        lines.append(cells)
    print(report.table(["answer", "bytes", *(f"level {level}" for level in _LEVELS)], lines))
    print(f"\nA hand-over to a thread: {asyncio.run(hand_over()):.0f} us.")


if __name__ == "__main__":
    main()
