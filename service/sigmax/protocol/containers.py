"""PNG and JPEG as containers: what a file says of its picture, read without decoding a pixel.

Whatever a file can be refused for without its pixels it is refused for here: what it is, how large, how many
bits, whether it is whole. Pixels are the business of `sigmax.pictures`; no imaging library is known here.
"""

from __future__ import annotations

import codecs
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sigmax.errors import InvalidInput

MAX_PIXELS = 40_000_000
"""Pixels of a picture, and of all pictures of one request together, unless somebody says otherwise."""

MAX_PARTS = 100_000
"""Chunks of a PNG, segments of a JPEG: an encoder that writes 1 KiB a chunk fills 100 MB with so many."""

MAX_SCANS = 32
"""Passes over the pixels that a JPEG asks for: a few bytes each, and the decoder's work all over again.

Progressive encoders write about 10.
"""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_OTHERS = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop file",
    b"\0\0\1\0": "an icon",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"\x1f\x8b": "compressed (gzip)",
    b"PK\3\4": "a ZIP archive",
}
_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIF"}
_IN_BASE64 = (b"iVBORw0KGgo", b"/9j/")
_PALETTE = 3

_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE, _START, _END, _START_OF_SCAN = 0x01, 0xD8, 0xD9, 0xDA
_EXIF, _COMMENT = 0xE1, 0xFE
_EXIF_PREFIX = b"Exif\0\0"
_BESIDE = (frozenset(range(0xE0, 0xF0)) | {_COMMENT}) - {0xE0, 0xEE}
"""Application segments, but for the two that decide how numbers become colours (JFIF, Adobe)."""

_ORIENTATION, _SHORT = 0x0112, 3


class Format(StrEnum):
    """The formats that are read."""

    PNG = "PNG"
    JPEG = "JPEG"


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that may be decoded.

    Attributes:
        format: which decoder it is for.
        width: as it is stored, before it is turned upright.
        height: likewise.
        orientation: EXIF's number of the way upright, 1 to 8; 1 where the file says nothing that can be read.
        content: the file, for the decoder. Of a JPEG without what stands beside the pixels (EXIF, XMP, colour
            profiles, a second picture's index): nobody has to parse it.
    """

    format: Format
    width: int
    height: int
    orientation: int
    content: bytes

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.width * self.height

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width of the picture as it is seen."""
        turned = self.orientation >= 5
        return (self.width, self.height) if turned else (self.height, self.width)


def recognised(content: bytes) -> bool:
    """Whether the bytes begin as a PNG or a JPEG does."""
    return content.startswith((_PNG, _JPEG))


def look(content: bytes, max_pixels: int) -> Picture:
    """Read what a file says of its picture.

    Raises:
        InvalidInput: no PNG or JPEG, not whole, of more than `max_pixels`, or of a kind that is not read.
    """
    if content.startswith(_PNG):
        return _png(content, max_pixels)
    if content.startswith(_JPEG):
        return _jpeg(content, max_pixels)
    raise InvalidInput(f"{_other(content[:512])}; send the bytes of a PNG or JPEG file")


def damaged(kind: Format, what: str) -> InvalidInput:
    """The refusal of a file that is no longer what its encoder wrote."""
    return InvalidInput(f"the picture is a damaged {kind}: {what}; send the whole file, or save it anew")


def _other(start: bytes) -> str:
    """Say what came instead."""
    if not start:
        return "the picture is empty"
    if start.startswith(_IN_BASE64):
        return "the picture is base64 of a picture: it was not decoded, or encoded twice"
    if _is_text(start):
        return "the picture is text"
    for signature, name in _OTHERS.items():
        if start.startswith(signature):
            return f"the picture is {name}, which is not read"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "the picture is a WebP, which is not read"
    if start[4:8] == b"ftyp":
        return f"the picture is {_BRANDS.get(start[8:12], 'a video')}, which is not read"
    return f"the picture is of no kind that is known here, it begins with {start[:4].hex(' ')}"


def _is_text(start: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\t\r\n" for char in text)


def _check_size(kind: Format, width: int, height: int, max_pixels: int) -> None:
    if not width or not height:
        raise damaged(kind, f"it says that it is {width}x{height} pixels large")
    if width * height > max_pixels:
        raise InvalidInput(
            f"the picture has {width}x{height} pixels, more than the {max_pixels} that are decoded; "
            "make it smaller"
        )


# PNG: chunks of length, kind, data and checksum.


def _png(content: bytes, max_pixels: int) -> Picture:
    chunks = _chunks(content)
    kind, data = next(chunks)
    if kind != b"IHDR" or len(data) != 13:
        raise damaged(Format.PNG, "it does not begin with its header")
    width, height, bits, colour = struct.unpack_from(">IIBB", data)
    _check_size(Format.PNG, width, height, max_pixels)
    if bits == 16:
        raise InvalidInput(
            "the picture is a PNG of 16 bits a channel, which would be cut to 8; save it with 8"
        )
    orientation = 0
    for kind, data in chunks:
        if kind == b"acTL":
            raise InvalidInput("the picture is an animated PNG; send one still picture")
        if kind == b"tRNS" and not (colour == _PALETTE and _all_opaque(data)):
            raise transparent()
        if kind == b"eXIf":
            orientation = orientation or _orientation(bytes(data).removeprefix(_EXIF_PREFIX))
    return Picture(Format.PNG, width, height, orientation or 1, content)


def transparent() -> InvalidInput:
    """The refusal of a picture whose background nobody knows."""
    return InvalidInput(
        "the picture is partly transparent; put it onto a background and send it without alpha"
    )


def _all_opaque(alphas: memoryview) -> bool:
    return bytes(alphas).count(255) == len(alphas)


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Every chunk, its checksum compared; what follows the last one is nobody's business."""
    view, position = memoryview(content), len(_PNG)
    for _ in range(MAX_PARTS):
        if position + 12 > len(view):
            raise _ends_early(Format.PNG, content)
        length, kind = struct.unpack_from(">I4s", view, position)
        end = position + 8 + length
        if end + 4 > len(view):
            raise _ends_early(Format.PNG, content)
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise damaged(Format.PNG, f"the checksum at byte {end} is not that of the bytes before it")
        yield kind, view[position + 8 : end]
        if kind == b"IEND":
            return
        position = end + 4
    raise InvalidInput(f"the picture is a PNG of more than {MAX_PARTS} chunks; save it anew")


def _ends_early(kind: Format, content: bytes) -> InvalidInput:
    return damaged(kind, f"it ends in the middle, after {len(content)} bytes")


# JPEG: segments behind markers, then the pixels.


def _jpeg(content: bytes, max_pixels: int) -> Picture:
    """What follows the first picture's end (a second picture, a phone's film of it) is nobody's business."""
    kept, exif, size, scans = [content[:2]], [], (0, 0), 0
    for marker, start, end in _segments(content):
        if marker in _FRAMES:
            if size != (0, 0):
                raise damaged(Format.JPEG, "it has two headers")
            size = _frame(content[start:end], max_pixels)
        if marker == _EXIF and content[start + 4 : start + 10] == _EXIF_PREFIX:
            exif.append(content[start + 10 : end])
        if marker not in _BESIDE:
            kept.append(content[start:end])
        scans += marker == _START_OF_SCAN
    if size == (0, 0) or scans == 0:
        raise damaged(Format.JPEG, "its header or its pixels are missing")
    if scans > MAX_SCANS:
        raise InvalidInput(f"the picture is a JPEG of more than {MAX_SCANS} scans; save it anew")
    return Picture(Format.JPEG, *size, _orientation(b"".join(exif)), b"".join(kept))


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of every segment of the first picture; to a scan belong its pixels."""
    start, marker, position = _next_marker(content, 2)
    for _ in range(MAX_PARTS):
        if marker == _END:
            yield marker, start, position
            return
        if marker == _START:
            raise damaged(Format.JPEG, "it begins twice")
        if marker != _ALONE:
            length = int.from_bytes(content[position : position + 2])
            if length < 2:
                raise damaged(Format.JPEG, f"the segment at byte {start} has no length")
            position += length
        following = _next_marker(content, position)
        yield marker, start, following[0] if marker == _START_OF_SCAN else position
        start, marker, position = following
    raise InvalidInput(f"the picture is a JPEG of more than {MAX_PARTS} segments; save it anew")


def _next_marker(content: bytes, position: int) -> tuple[int, int, int]:
    """Where the next marker stands, which it is, and where it ends; pixels hold none of them."""
    match = _MARKER.search(content, position)
    if match is None:
        raise _ends_early(Format.JPEG, content)
    return match.start(), match[1][0], match.end()


def _frame(segment: bytes, max_pixels: int) -> tuple[int, int]:
    """Width and height, from the header of the frame."""
    if len(segment) < 10:
        raise damaged(Format.JPEG, "its header is too short")
    bits, height, width, channels = struct.unpack_from(">BHHB", segment, 4)
    _check_size(Format.JPEG, width, height, max_pixels)
    if bits != 8:
        raise InvalidInput(
            f"the picture is a JPEG of {bits} bits a channel, which is not read; save it with 8"
        )
    if channels == 4:
        raise InvalidInput("the picture is a JPEG in CMYK, the colours of print; save it as RGB")
    if channels not in (1, 3):
        raise InvalidInput(f"the picture is a JPEG of {channels} channels; save it as RGB or as grey")
    return width, height


# EXIF: a TIFF directory, of which one entry matters.


def _orientation(exif: bytes) -> int:
    """EXIF's way upright; 1 where it cannot be read, as viewers do."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 10:
        return 1
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", exif, start)
    for position in range(start + 2, min(start + 2 + 12 * entries, len(exif) - 11), 12):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", exif, position)
        if tag == _ORIENTATION:
            return value if (kind, count) == (_SHORT, 1) and 1 <= value <= 8 else 1
    return 1
