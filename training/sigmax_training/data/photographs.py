"""Patches cut from the two photographs that ship with scikit-learn: a Chinese temple and a flower.

Four vertical strips of 160 pixels are the groups, and no patch crosses a strip's edge, so that no pixel
is in both train and test.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import numpy as np
import numpy.typing as npt

from sigmax.contract import Colour, Image, Resize
from sigmax.pictures import decode
from sigmax_training.data.dataset import Dataset, picture_block
from sigmax_training.job import Photographs

Pixels = npt.NDArray[np.uint8]

PHOTOGRAPHS = {"temple": "china.jpg", "flower": "flower.jpg"}
HEIGHT, WIDTH, STRIP = 427, 640, 160


def load(patches: Photographs) -> Dataset:
    """Cut every patch of both photographs; its pixels become one row, channel by channel (CHW)."""
    rows: list[Pixels] = []
    codes: list[int] = []
    groups: list[int] = []
    for code, file in enumerate(PHOTOGRAPHS.values()):
        for strip, patch in cut(pixels(file, patches.colour), patches.size, patches.stride):
            rows.append(patch)
            codes.append(code)
            groups.append(strip)
    return Dataset(
        description=f"patches of {patches.size}x{patches.size} pixels ({patches.colour.value.upper()}, "
        f"stride {patches.stride}) of scikit-learn's {' and '.join(PHOTOGRAPHS.values())}",
        features=np.array(rows),
        codes=np.array(codes, np.int64),
        classes=tuple(PHOTOGRAPHS),
        blocks=(picture_block(square(patches.colour, patches.size)),),
        groups=np.array(groups, np.int64),
        flips=patches.flips,
    )


def pixels(file: str, colour: Colour) -> Pixels:
    """One photograph in a colour mode, (channels, height, width)."""
    content = (resources.files("sklearn.datasets.images") / file).read_bytes()
    image = _image(colour, HEIGHT, WIDTH)
    return decode(content, image).reshape(image.shape)


def cut(pixels: Pixels, size: int, stride: int) -> Iterator[tuple[int, Pixels]]:
    """Each patch with the number of its strip, flattened."""
    _, height, width = pixels.shape
    for strip in range(width // STRIP):
        for top in range(0, height - size + 1, stride):
            for left in range(strip * STRIP, (strip + 1) * STRIP - size + 1, stride):
                yield strip, pixels[:, top : top + size, left : left + size].ravel()


def square(colour: Colour, size: int) -> Image:
    """How a square patch becomes the numbers of its block."""
    return _image(colour, size, size)


def _image(colour: Colour, height: int, width: int) -> Image:
    return Image(colour, "CHW", height, width, Resize.BILINEAR, scale=1 / 255)
