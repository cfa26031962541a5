"""Whole numbers as protobuf writes lengths and tags: the encoding guide's varint.

7 bits a byte, the lowest first; the highest bit says that another byte follows.
"""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def varint(number: int) -> bytes:
    """A number that is not negative, as it is written."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """A number as it is written at a place, and where the next byte behind it is.

    Raises:
        IndexError: the data end before it does.
    """
    value = shift = 0
    while True:
        byte = data[start]
        value |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return value, start
