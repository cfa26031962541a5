"""Memory that nobody uses any more, given back to the system between two passes over the rows.

Allocators keep what was freed, scattered over their pages, for the next pass to find; what a pass over many
rows has scattered is more than what the next one needs, and counts as used.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back() -> None:
    """Ask Arrow's pool and the C library to return what is free.

    The C library of most Linux systems (glibc) is asked by `malloc_trim`; others do so unasked, or never.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
