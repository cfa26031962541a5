"""How long an Open Inference request is of use: the parameter `timeout`, Triton's, in microseconds.

What is done about it is for dispatch; here it is only read, as JSON has it or as a parameter of gRPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sigmax.errors import InvalidInput, path
from sigmax.protocol.values import describe

TIMEOUT = "timeout"
_MICROSECOND = 1e-6
_MOST = 2**64 - 1
_MOST_DIGITS = len(str(_MOST))


def timeout_of(parameters: Mapping[str, Any]) -> float | None:
    """The `timeout` of a request's parameters.

    Args:
        parameters: by name; a whole number, or its digits as a text, as some clients send it.

    Returns:
        Seconds from when the request came; None if there is none, or 0, which to Triton is none.

    Raises:
        InvalidInput: it is no whole number of at least 0.
    """
    value = parameters.get(TIMEOUT)
    if value is None:
        return None
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        value = int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0:
        raise InvalidInput(
            f"parameter '{TIMEOUT}' is a whole number of microseconds, at least 0, not {describe(value)}",
            path("parameters", TIMEOUT),
        )
    return min(value, _MOST) * _MICROSECOND or None
