"""Picture files to test with: right ones, and each kind of wrong one."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

Pixels = npt.NDArray[np.uint8]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def noise(*shape: int, seed: int = 0) -> Pixels:
    """Pixels of a shape, (height, width) or (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(picture: PIL.Image.Image | Pixels, kind: str = "PNG", **settings: Any) -> bytes:
    """A file as Pillow writes it."""
    made = picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(picture)
    file = io.BytesIO()
    made.save(file, kind, **settings)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    """The first chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def png(head: bytes, rows: bytes, *before: bytes, behind: bytes = b"") -> bytes:
    """A PNG of its header, its rows as they are compressed, and chunks around them."""
    data = chunk(b"IDAT", zlib.compress(rows))
    return SIGNATURE + head + b"".join(before) + data + behind + chunk(b"IEND", b"")


def with_chunk(content: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with a chunk more behind its header."""
    end = len(SIGNATURE) + 25
    return content[:end] + chunk(kind, data) + content[end:]


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG as far as they can be read."""
    position = len(SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        yield kind, content[position + 8 : position + 8 + length]
        position += 12 + length


def resealed(content: bytes) -> bytes:
    """A PNG whose every checksum is right, whatever its chunks hold."""
    return SIGNATURE + b"".join(chunk(kind, data) for kind, data in chunks(content))


def exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block that says nothing else."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHHIHH", 1, 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + magic + struct.pack(f"{order}I", 8) + entries + bytes(4)


def segment(marker: int, data: bytes) -> bytes:
    """A JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def with_segment(content: bytes, marker: int, data: bytes) -> bytes:
    """A JPEG with a segment more at its beginning."""
    return content[:2] + segment(marker, data) + content[2:]


def of_twelve_bits(jpeg: bytes) -> bytes:
    """A JPEG whose header says 12 bits a channel."""
    place = jpeg.index(b"\xff\xc0") + 4
    return jpeg[:place] + bytes((12,)) + jpeg[place + 1 :]


def of_size(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header says another size."""
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


def animated() -> bytes:
    """An animated PNG of two frames."""
    frames = [PIL.Image.fromarray(noise(8, 8, 3, seed=seed)) for seed in range(2)]
    return encoded(frames[0], save_all=True, append_images=frames[1:])


def sixteen_bits() -> bytes:
    """A PNG of 16 bits a channel in RGB, which Pillow would cut to 8 without a word."""
    return png(header(4, 4, bits=16, colour=2), (b"\0" + bytes(range(24))) * 4)


def huge() -> bytes:
    """A PNG that says it has 50,000 x 50,000 pixels."""
    return png(header(50_000, 50_000, colour=2), bytes(100))


RIGHT_PNG = encoded(noise(8, 8, 3))
RIGHT_JPEG = encoded(noise(8, 8, 3), "JPEG")
MEBIBYTE, BOMB = zlib.compress(bytes(2**20)), zlib.compress(bytes(2**26))

WRONG = {
    "nothing": (b"", "the picture is empty; send the bytes of a PNG or JPEG file"),
    "text": (b"not a picture", "the picture is text; send the bytes of a PNG or JPEG file"),
    "text in Korean": ("사진이 아닙니다. ".encode() * 40, "the picture is text"),
    "base64": (b"iVBORw0KGgoAAAANSUhEUg==", "base64 of a picture: it was not decoded, or encoded twice"),
    "a GIF": (
        encoded(noise(8, 8), "GIF"),
        "the picture is a GIF, which is not read; send the bytes of a PNG",
    ),
    "a WebP": (encoded(noise(8, 8, 3), "WEBP"), "the picture is a WebP, which is not read"),
    "a BMP": (encoded(noise(8, 8, 3), "BMP"), "the picture is a BMP, which is not read"),
    "a TIFF": (encoded(noise(8, 8, 3), "TIFF"), "the picture is a TIFF, which is not read"),
    "a HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "the picture is a HEIC, which is not read"),
    "a video": (b"\0\0\0\x18ftypmp42\0\0\0\0", "the picture is a video, which is not read"),
    "unknown bytes": (b"\0\1\2\3\4", "of no kind that is known here, it begins with 00 01 02 03"),
    "a PNG's signature": (SIGNATURE, "the picture is a damaged PNG: it ends in the middle, after 8 bytes"),
    "a truncated PNG": (RIGHT_PNG[:-20], "the picture is a damaged PNG: it ends in the middle"),
    "a PNG without its end": (RIGHT_PNG[:-12], "the picture is a damaged PNG: it ends in the middle"),
    "a PNG with a flipped bit": (
        RIGHT_PNG[:60] + bytes((RIGHT_PNG[60] ^ 1,)) + RIGHT_PNG[61:],
        "the picture is a damaged PNG: the checksum at byte",
    ),
    "a PNG without a header": (SIGNATURE + chunk(b"IEND", b""), "it does not begin with its header"),
    "a PNG without pixels": (SIGNATURE + header(8, 8) + chunk(b"IEND", b""), "it cannot be decoded"),
    "a PNG of no kind": (png(header(4, 4, bits=3), b"\0" * 20), "it cannot be decoded"),
    "a PNG of 0 pixels": (png(header(0, 4), b"\0" * 20), "it says that it is 0x4 pixels large"),
    "a huge PNG": (huge(), "the picture has 50000x50000 pixels, more than the 40000000 that are decoded"),
    "the header of a huge PNG": (SIGNATURE + header(50_000, 50_000), "more than the 40000000"),
    "a huge JPEG": (of_size(RIGHT_JPEG, 65_000, 65_000), "the picture has 65000x65000 pixels, more than"),
    "an animated PNG": (animated(), "the picture is an animated PNG; send one still picture"),
    "a PNG of 16 bits": (
        sixteen_bits(),
        "a PNG of 16 bits a channel, which would be cut to 8; save it with 8",
    ),
    "a grey PNG of 16 bits": (
        encoded(PIL.Image.new("I;16", (4, 4), 700)),
        "the picture is a PNG of 16 bits a channel",
    ),
    "a PNG with a transparent pixel": (
        encoded(PIL.Image.new("RGBA", (4, 4), (1, 2, 3, 254))),
        "the picture is partly transparent; put it onto a background and send it without alpha",
    ),
    "a grey PNG with a transparent pixel": (
        encoded(PIL.Image.new("LA", (4, 4), (1, 0))),
        "the picture is partly transparent",
    ),
    "a PNG with a transparent colour": (
        with_chunk(RIGHT_PNG, b"tRNS", bytes(6)),
        "the picture is partly transparent",
    ),
    "a palette PNG with a transparent colour": (
        encoded(PIL.Image.fromarray(noise(8, 8, 3)).quantize(4), transparency=1),
        "the picture is partly transparent",
    ),
    "a bomb in a PNG's text": (
        with_chunk(RIGHT_PNG, b"zTXt", b"note\0\0" + BOMB),
        "it cannot be decoded, or carries too much beside its pixels",
    ),
    "a bomb in a PNG's international text": (
        with_chunk(RIGHT_PNG, b"iTXt", b"note\0\1\0\0\0" + BOMB),
        "it cannot be decoded, or carries too much beside its pixels",
    ),
    "a bomb in a PNG's colour profile": (
        with_chunk(RIGHT_PNG, b"iCCP", b"icc\0\0" + BOMB),
        "it cannot be decoded, or carries too much beside its pixels",
    ),
    "bombs in many texts": (
        SIGNATURE
        + header(8, 8)
        + b"".join(chunk(b"zTXt", b"note\0\0" + MEBIBYTE) for _ in range(70))
        + RIGHT_PNG[len(SIGNATURE) + 25 :],
        "it cannot be decoded, or carries too much beside its pixels",
    ),
    "a PNG of endless chunks": (
        SIGNATURE + header(8, 8) + chunk(b"tEXt", b"") * 100_000,
        "the picture is a PNG of more than 100000 chunks",
    ),
    "a truncated JPEG": (RIGHT_JPEG[:-40], "the picture is a damaged JPEG: it ends in the middle, after"),
    "a JPEG without its end": (
        RIGHT_JPEG[:-2],
        "the picture is a damaged JPEG: it ends in the middle, after",
    ),
    "a JPEG's beginning": (RIGHT_JPEG[:100], "the picture is a damaged JPEG: it ends in the middle"),
    "a JPEG without a header": (
        RIGHT_JPEG[:20] + RIGHT_JPEG[RIGHT_JPEG.index(b"\xff\xda") :],
        "the picture is a damaged JPEG: its header or its pixels are missing",
    ),
    "a JPEG without pixels": (
        RIGHT_JPEG[: RIGHT_JPEG.index(b"\xff\xda")] + b"\xff\xd9",
        "the picture is a damaged JPEG: its header or its pixels are missing",
    ),
    "a JPEG that begins twice": (RIGHT_JPEG[:2] + RIGHT_JPEG, "a damaged JPEG: it begins twice"),
    "a JPEG with a segment of no length": (
        RIGHT_JPEG[:2] + b"\xff\xfe\0\0" + RIGHT_JPEG[2:],
        "the picture is a damaged JPEG: the segment at byte 2 has no length",
    ),
    "a JPEG of two headers": (
        with_segment(RIGHT_JPEG, 0xC0, bytes((8, 0, 8, 0, 8, 1, 1, 17, 0))),
        "the picture is a damaged JPEG: it has two headers",
    ),
    "a JPEG in CMYK": (
        encoded(PIL.Image.new("CMYK", (4, 4)), "JPEG"),
        "the picture is a JPEG in CMYK, the colours of print; save it as RGB",
    ),
    "a JPEG of 12 bits": (of_twelve_bits(RIGHT_JPEG), "a JPEG of 12 bits a channel, which is not read"),
    "a JPEG of endless scans": (
        RIGHT_JPEG[:-2] + RIGHT_JPEG[RIGHT_JPEG.index(b"\xff\xda") : -2] * 32 + b"\xff\xd9",
        "the picture is a JPEG of more than 32 scans",
    ),
    "a JPEG of endless segments": (
        RIGHT_JPEG[:2] + segment(0xFE, b"") * 100_000 + RIGHT_JPEG[2:],
        "the picture is a JPEG of more than 100000 segments",
    ),
}
"""Files that are refused, each with a part of what is said of it."""
