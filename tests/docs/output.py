"""Is what came what the document shows?

`...` on a line of its own stands for any lines, `…` for any text in a line; decimal numbers agree to 1e-6,
because another processor fits the last digits differently. Everything else is compared as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_NUMBER = re.compile(r"-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)")
_TOLERANCE = 1e-6


def agrees(shown: Sequence[str], came: Sequence[str]) -> bool:
    """Compare lines, spaces at their ends aside."""
    if not shown:
        return not came
    if shown[0] == "...":
        return any(agrees(shown[1:], came[skipped:]) for skipped in range(len(came) + 1))
    return bool(came) and _line_agrees(shown[0].rstrip(), came[0].rstrip()) and agrees(shown[1:], came[1:])


def _line_agrees(shown: str, came: str) -> bool:
    if "…" in shown:
        pattern = ".*".join(re.escape(part) for part in shown.split("…"))
        return re.fullmatch(pattern, came) is not None
    if _NUMBER.sub("", shown) != _NUMBER.sub("", came):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(came), strict=True)
    return all(
        math.isclose(float(one), float(other), rel_tol=_TOLERANCE, abs_tol=_TOLERANCE) for one, other in pairs
    )
