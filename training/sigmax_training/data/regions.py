"""Patches of scikit-learn's two photographs by what is in them: the pagoda, the blossom, or neither.

The third class is what a photograph shows beside its subject: sky, lake, trees, dark leaves. Where a patch
shows some of a subject and some of what is around it, nobody could say what it is: it is left out. The upper
and the lower half of the photographs are the groups, and no patch crosses the middle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sigmax_training.data.dataset import Dataset, picture_block
from sigmax_training.data.photographs import Pixels, pixels, square
from sigmax_training.job import Regions

CLASSES = ("pagoda", "blossom", "neither")
_PHOTOGRAPHS = ("china.jpg", "flower.jpg")
_HALF = 213
_MOSTLY, _BARELY = 0.6, 0.02
"""The share of a patch that its subject takes at least, and that it takes at most in a patch of neither."""

_PAGODA = (slice(95, 427), slice(75, 345))
"""Rows and columns of the building, from its upper eaves down."""

_BLOSSOM = (222, 308, 130)
"""Row and column of the blossom's centre, and its radius."""
_BUD = (slice(375, 427), slice(290, 440))
"""A second blossom at the lower edge."""


def load(patches: Regions) -> Dataset:
    """Cut every patch of which it is clear what it shows."""
    rows: list[Pixels] = []
    codes: list[int] = []
    groups: list[int] = []
    for code, file in enumerate(_PHOTOGRAPHS):
        picture = pixels(file, patches.colour)
        subject = _subject(code, picture.shape[1:])
        for half, top, left in _corners(picture.shape[1:], patches.size, patches.stride):
            window = (slice(top, top + patches.size), slice(left, left + patches.size))
            share = float(subject[window].mean())
            if share >= _MOSTLY or share <= _BARELY:
                rows.append(picture[(slice(None), *window)].ravel())
                codes.append(code if share >= _MOSTLY else CLASSES.index("neither"))
                groups.append(half)
    return Dataset(
        description=f"patches of {patches.size}x{patches.size} pixels ({patches.colour.value.upper()}, "
        f"stride {patches.stride}) of scikit-learn's {' and '.join(_PHOTOGRAPHS)}, by what they show",
        features=np.array(rows),
        codes=np.array(codes, np.int64),
        classes=CLASSES,
        blocks=(picture_block(square(patches.colour, patches.size)),),
        groups=np.array(groups, np.int64),
        flips=patches.flips,
    )


def _subject(photograph: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Where the photograph shows its subject, (height, width)."""
    mask = np.zeros(shape, np.bool_)
    if photograph == 0:
        mask[_PAGODA] = True
        return mask
    row, column, radius = _BLOSSOM
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    mask |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    mask[_BUD] = True
    return mask


def _corners(shape: tuple[int, ...], size: int, stride: int) -> list[tuple[int, int, int]]:
    """The half, top and left of every patch that lies in one half of a photograph."""
    height, width = shape
    return [
        (half, top, left)
        for half, (first, last) in enumerate(((0, _HALF), (_HALF, height)))
        for top in range(first, last - size + 1, stride)
        for left in range(0, width - size + 1, stride)
    ]
