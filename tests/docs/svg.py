"""Do two plots look the same?

Another processor draws a curve with other last digits, and matplotlib derives names from them. So names are
left out and numbers agree to a twentieth of a point; everything else is compared as it is.
"""

from __future__ import annotations

import math
import re

_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAME = re.compile(r"\b[a-z][0-9a-f]{10}\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_TOLERANCE = 0.05
"""Points; a picture is 460 of them wide."""


def same(one: str, other: str) -> bool:
    """Compare two SVG files that matplotlib wrote."""
    return _frame(one) == _frame(other) and all(
        math.isclose(first, second, rel_tol=0, abs_tol=_TOLERANCE)
        for first, second in zip(_numbers(one), _numbers(other), strict=True)
    )


def _frame(text: str) -> str:
    return _NUMBER.sub("0", _plain(text))


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(_plain(text))]


def _plain(text: str) -> str:
    return _NAME.sub("", _METADATA.sub("", text))
