"""The one decoder, for trainer and service alike: a PNG or JPEG file to the pixels of an image block.

The only importer of Pillow. What a file says of itself is read, and most wrong files are refused, before
Pillow sees them (`protocol.containers`); whatever Pillow still has to say becomes the caller's error.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL.Image import Resampling, Transpose
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from sigmax.contract import Colour, Image, Resize
from sigmax.errors import InvalidInput, Problem, path
from sigmax.protocol.containers import MAX_PIXELS, Format, Picture, damaged, look, transparent
from sigmax.protocol.values import refuse_any

Pixels = npt.NDArray[np.uint8]
S = TypeVar("S")
T = TypeVar("T")

_DECODERS: dict[Format, Callable[[io.BytesIO], PIL.Image.Image]] = {
    Format.PNG: PngImageFile,
    Format.JPEG: JpegImageFile,
}
_FILTERS = {name: Resampling[name.name] for name in Resize}
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_GREY_MODES = ("1", "L", "LA")
_ALPHA_MODES = ("LA", "RGBA")


def decode(content: bytes, image: Image, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode one picture as an image block takes it.

    It is turned upright as its EXIF says, converted to RGB or grey, stretched to the block's size if it has
    another one, and then converted to HSV where the block wants that.

    Args:
        content: a PNG or JPEG file.
        image: the block.
        max_pixels: a picture of more is refused before anything is decoded.

    Returns:
        Shape (n_features,), the pixels laid out CHW.

    Raises:
        InvalidInput: saying what came and what to do.
    """
    return _pixels(look(content, max_pixels), image)


def decode_all(contents: Sequence[bytes], image: Image, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a request's pictures; `max_pixels` bounds all of them together, as sent and as resized.

    Returns:
        Shape (n_samples, n_features).

    Raises:
        InvalidInput: naming every row that is wrong.
    """
    looked = _each(contents, lambda content: look(content, max_pixels))
    came, wanted = sum(picture.pixels for picture in looked), len(looked) * image.height * image.width
    if max(came, wanted) > max_pixels:
        size = f"of {came} pixels" if came > max_pixels else f"resized to {image.width}x{image.height}"
        raise InvalidInput(
            f"{len(looked)} pictures {size}, more than the {max_pixels} pixels that one request may hold; "
            "send fewer of them in one request",
            "images",
        )
    return np.array(_each(looked, lambda picture: _pixels(picture, image)))


def _each(values: Sequence[S], read: Callable[[S], T]) -> list[T]:
    """Read every value, and refuse all that are wrong together, by row."""
    found: list[T] = []

    def problems() -> Iterator[Problem]:
        for row, value in enumerate(values):
            try:
                found.append(read(value))
            except InvalidInput as error:
                yield Problem(str(error), path("images", row), row, None, f"row {row}")

    refuse_any(problems())
    return found


def _pixels(picture: Picture, image: Image) -> Pixels:
    """Whatever Pillow has to say of a file, be it an exception or a warning, is the caller's error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _laid_out(_resized(_upright(_loaded(picture), picture.orientation), image), image)
    except InvalidInput:
        raise
    except Exception as error:  # a decoder of other people's files raises whatever it met
        raise damaged(
            picture.format, "it cannot be decoded, or carries too much beside its pixels"
        ) from error


def _loaded(picture: Picture) -> PIL.Image.Image:
    """The picture in RGB or, if it has no colours, in grey."""
    loaded = _DECODERS[picture.format](io.BytesIO(picture.content))
    if loaded.size != (picture.width, picture.height):
        raise damaged(picture.format, "it says two different sizes")
    loaded.load()
    loaded.info.pop("transparency", None)  # of a palette without a transparent colour
    if loaded.mode in _ALPHA_MODES and loaded.getchannel("A").getextrema() != (255, 255):
        raise transparent()
    return _converted(loaded, "L" if loaded.mode in _GREY_MODES else "RGB")


def _converted(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """The picture in a mode; Pillow would copy one that has it already, and photographs are large."""
    return picture if picture.mode == mode else picture.convert(mode)


def _upright(picture: PIL.Image.Image, orientation: int) -> PIL.Image.Image:
    return picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture


def _resized(picture: PIL.Image.Image, image: Image) -> PIL.Image.Image:
    converted = _converted(picture, "L" if image.colour is Colour.GREY else "RGB")
    size = (image.width, image.height)
    return converted if converted.size == size else converted.resize(size, _FILTERS[image.resize])


def _laid_out(picture: PIL.Image.Image, image: Image) -> Pixels:
    channels, height, width = image.shape
    final = picture.convert("HSV") if image.colour is Colour.HSV else picture
    return np.asarray(final).reshape(height, width, channels).transpose(2, 0, 1).ravel()
