"""Patches cut from the two photographs that ship with scikit-learn: a Chinese temple and a flower.

Four vertical strips of 160 pixels are the groups, and no patch crosses a strip's edge, so that no pixel
is in both train and test.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import PIL.Image
from sklearn.datasets import load_sample_image

from sigmax.contract import CHANNELS, Colour, Feature, Image, Kind
from sigmax_training.data.dataset import Dataset
from sigmax_training.job import Photographs

Pixels = npt.NDArray[np.uint8]

PHOTOGRAPHS = {"temple": "china.jpg", "flower": "flower.jpg"}
STRIP = 160
_MODES = {Colour.RGB: "RGB", Colour.HSV: "HSV", Colour.GREY: "L"}


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
        blocks=(block(patches.colour, patches.size),),
        groups=np.array(groups, np.int64),
        flips=patches.flips,
    )


def pixels(file: str, colour: Colour) -> Pixels:
    """One photograph in a colour mode, (channels, height, width)."""
    picture = PIL.Image.fromarray(load_sample_image(file)).convert(_MODES[colour])
    pixels = np.asarray(picture)
    return pixels.reshape(*pixels.shape[:2], CHANNELS[colour]).transpose(2, 0, 1)


def cut(pixels: Pixels, size: int, stride: int) -> Iterator[tuple[int, Pixels]]:
    """Each patch with the number of its strip, flattened."""
    _, height, width = pixels.shape
    for strip in range(width // STRIP):
        for top in range(0, height - size + 1, stride):
            for left in range(strip * STRIP, (strip + 1) * STRIP - size + 1, stride):
                yield strip, pixels[:, top : top + size, left : left + size].ravel()


def block(colour: Colour, size: int) -> Feature:
    """What a square patch is to a model: 8-bit pixels, scaled to [0, 1] inside the graph."""
    image = Image(colour, "CHW", height=size, width=size, resize="bilinear", scale=1 / 255)
    return Feature("image", Kind.IMAGE, image.shape, "uint8", (0.0, 255.0), image=image)
