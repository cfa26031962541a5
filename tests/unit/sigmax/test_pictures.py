"""A picture becomes the same pixels everywhere, or is refused in words; no file can do anything else."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib import resources

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import pictures as files
from tests.pictures import encoded, exif, noise, png, with_chunk, with_segment

from sigmax.contract import Colour, Image, Resize
from sigmax.errors import InvalidInput
from sigmax.pictures import decode, decode_all
from sigmax.protocol.containers import Format, look, recognised

Pixels = npt.NDArray[np.uint8]


def block(height: int, width: int, colour: Colour = Colour.RGB, resize: Resize = Resize.BILINEAR) -> Image:
    return Image(colour, "CHW", height, width, resize, 1 / 255)


def opened(content: bytes) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(content))


def chw(picture: PIL.Image.Image) -> list[int]:
    """The pixels of a picture as an image block has them."""
    pixels = np.asarray(picture)
    found: list[int] = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1).ravel().tolist()
    return found


@pytest.mark.parametrize(("colour", "mode"), [(Colour.RGB, "RGB"), (Colour.HSV, "HSV"), (Colour.GREY, "L")])
def test_a_photograph_becomes_what_pillow_makes_of_it(colour: Colour, mode: str) -> None:
    content = (resources.files("sklearn.datasets.images") / "flower.jpg").read_bytes()

    pixels = decode(content, block(427, 640, colour))

    assert pixels.dtype == np.uint8
    assert pixels.tolist() == chw(opened(content).convert(mode))


def test_a_picture_of_the_right_size_keeps_its_pixels_channel_by_channel() -> None:
    pixels = noise(2, 3, 3)

    assert decode(encoded(pixels), block(2, 3)).tolist() == pixels.transpose(2, 0, 1).ravel().tolist()


@pytest.mark.parametrize("resize", Resize)
def test_a_picture_of_another_size_is_stretched_by_the_filter_of_the_manifest(resize: Resize) -> None:
    picture = PIL.Image.fromarray(noise(31, 17, 3))
    expected = picture.resize((12, 9), PIL.Image.Resampling[resize.name])

    assert decode(encoded(picture), block(9, 12, resize=resize)).tolist() == chw(expected)


def test_a_picture_is_resized_in_rgb_and_then_converted_to_hsv() -> None:
    picture = PIL.Image.fromarray(noise(31, 17, 3))
    expected = picture.resize((8, 8), PIL.Image.Resampling.BILINEAR).convert("HSV")

    assert decode(encoded(picture), block(8, 8, Colour.HSV)).tolist() == chw(expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_turned_upright_as_its_exif_says(kind: str, orientation: int, order: str) -> None:
    content = encoded(noise(4, 6, 3), kind, exif=exif(orientation, order))
    expected = PIL.ImageOps.exif_transpose(opened(content))

    pixels = decode(content, block(expected.height, expected.width))

    assert look(content, 100).upright == (expected.height, expected.width)
    assert pixels.tolist() == chw(expected)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"II*\0",
        b"XX*\0\x08\0\0\0\0\0",
        b"II*\0\xff\xff\xff\xff" + bytes(20),
        exif(6)[6:20],
        exif(9)[6:],
        exif(0)[6:],
        exif(6)[6:].replace(b"\x12\x01\x03\0", b"\x12\x01\x02\0"),
        exif(6)[6:].replace(b"\x03\0\x01\0\0\0", b"\x03\0\xff\xff\xff\xff"),
        b"II*\0\x08\0\0\0\xff\xff" + b"\x9a\x82\5\0\1\0\0\0\xff\xff\xff\xff" * 3,
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_exif_that_cannot_be_read_leaves_the_picture_as_it_lies(kind: str, broken: bytes) -> None:
    plain = encoded(noise(4, 6, 3), kind)
    if kind == "PNG":
        content = with_chunk(plain, b"eXIf", broken)
    else:
        content = with_segment(plain, 0xE1, b"Exif\0\0" + broken)

    assert decode(content, block(4, 6)).tolist() == decode(plain, block(4, 6)).tolist()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_of_fewer_bits_goes_from_black_to_white(bits: int) -> None:
    most = 2**bits - 1
    row = bytes((0, most << (8 - bits))) if bits < 8 else bytes((0, 255))
    head = files.header(1, 1, bits=bits)

    assert decode(png(head, row), block(1, 1)).tolist() == [255, 255, 255]
    assert decode(png(head, bytes(2)), block(1, 1, Colour.GREY)).tolist() == [0]


def test_a_palette_picture_is_the_picture_of_its_colours() -> None:
    palette = PIL.Image.fromarray(noise(8, 8, 3)).quantize(16)
    same = palette.convert("RGB")

    for colour in Colour:
        found = decode(encoded(palette), block(5, 5, colour))
        assert found.tolist() == decode(encoded(same), block(5, 5, colour)).tolist()


def test_an_alpha_channel_or_a_palette_that_is_opaque_is_dropped() -> None:
    colours, grey = noise(4, 4, 3), noise(4, 4)
    opaque = np.full((4, 4, 1), 255, np.uint8)
    palette = PIL.Image.fromarray(colours).quantize(4)
    plain, marked = encoded(palette), encoded(palette, transparency=bytes([255] * 4))
    assert b"tRNS" in marked

    assert decode(encoded(np.dstack([colours, opaque])), block(4, 4)).tolist() == chw(
        PIL.Image.fromarray(colours)
    )
    grey_alpha = PIL.Image.merge("LA", [PIL.Image.fromarray(grey), PIL.Image.new("L", (4, 4), 255)])
    assert decode(encoded(grey_alpha), block(4, 4, Colour.GREY)).tolist() == grey.ravel().tolist()
    assert decode(marked, block(4, 4)).tolist() == decode(plain, block(4, 4)).tolist()


def test_a_grey_picture_fills_a_colour_block_and_the_other_way_round() -> None:
    grey, colours = noise(4, 4), noise(4, 4, 3)

    assert decode(encoded(grey), block(4, 4)).tolist() == grey.ravel().tolist() * 3
    assert decode(encoded(colours), block(4, 4, Colour.GREY)).tolist() == chw(
        PIL.Image.fromarray(colours).convert("L")
    )


def test_of_a_phones_file_with_two_pictures_the_first_is_taken() -> None:
    first, second = (PIL.Image.fromarray(noise(8, 8, 3, seed=seed)) for seed in range(2))
    content = encoded(first, "MPO", save_all=True, append_images=[second])
    assert opened(content).format == "MPO"

    assert decode(content, block(8, 8)).tolist() == chw(opened(content))


def test_what_follows_a_jpegs_end_is_not_looked_at() -> None:
    plain = encoded(noise(8, 8, 3), "JPEG")
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda\xff\xd8\xff\xc0" * 1000

    assert look(plain + film, 100).content == plain
    assert decode(plain + film, block(8, 8)).tolist() == decode(plain, block(8, 8)).tolist()


def test_a_progressive_jpeg_and_one_with_restart_markers_are_read() -> None:
    pixels = noise(40, 56, 3)
    for settings_ in ({"progressive": True}, {"restart_marker_blocks": 1}, {"restart_marker_rows": 1}):
        content = encoded(pixels, "JPEG", **settings_)
        assert decode(content, block(40, 56)).tolist() == chw(opened(content))


def test_what_stands_beside_a_jpegs_pixels_is_never_parsed() -> None:
    plain = encoded(noise(8, 8, 3), "JPEG")
    content = plain
    for marker, data in (
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<broken"),
        (0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
        (0xE2, b"ICC_PROFILE\0\x01\x09"),
        (0xED, b"Photoshop 3.0\x008BIM\xff"),
        (0xFE, b"a note"),
    ):
        content = with_segment(content, marker, data)

    assert look(content, 100).content == look(plain, 100).content
    assert decode(content, block(8, 8)).tolist() == decode(plain, block(8, 8)).tolist()


def test_colours_of_adobes_rgb_jpegs_are_kept() -> None:
    pixels = np.full((8, 8, 3), (200, 30, 60), np.uint8)
    content = encoded(pixels, "JPEG", keep_rgb=True, quality=100, subsampling=0)
    assert b"Adobe" in content

    assert decode(content, block(1, 1)).tolist() == pytest.approx([200, 30, 60], abs=2)


@pytest.mark.parametrize("name", files.WRONG)
def test_a_wrong_file_is_refused_with_what_came_and_what_to_do(name: str) -> None:
    content, expected = files.WRONG[name]

    with pytest.raises(InvalidInput) as refused:
        decode(content, block(8, 8))

    text = str(refused.value)
    assert expected in text
    assert "; " in text or ", " in text
    assert not any(word in text for word in ("Pillow", "PIL", "BytesIO", "Error", "Traceback"))


def test_a_picture_may_have_exactly_as_many_pixels_as_the_limit() -> None:
    for content in (encoded(noise(4, 5)), encoded(noise(4, 5), "JPEG")):
        assert len(decode(content, block(2, 2), max_pixels=20)) == 12
        with pytest.raises(InvalidInput, match="the picture has 5x4 pixels, more than the 19"):
            decode(content, block(2, 2), max_pixels=19)


def test_several_pictures_are_rows_in_their_order() -> None:
    contents = [encoded(noise(8, 8, 3, seed=seed)) for seed in range(3)]

    found = decode_all(contents, block(8, 8))

    assert found.shape == (3, 192)
    assert found.tolist() == [decode(content, block(8, 8)).tolist() for content in contents]


def test_every_wrong_picture_of_a_request_is_named_by_its_row() -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_all([b"text", files.RIGHT_PNG, files.animated()], block(8, 8))

    assert str(refused.value).startswith("row 0: the picture is text; ")
    assert "row 2: the picture is an animated PNG; " in str(refused.value)
    with pytest.raises(InvalidInput, match="row 1: the picture is a damaged JPEG: it ends in the middle"):
        decode_all([files.RIGHT_PNG, files.RIGHT_JPEG[:-40]], block(8, 8))


def test_the_pictures_of_a_request_are_bounded_together_as_sent_and_as_resized() -> None:
    contents = [encoded(noise(4, 5))] * 3

    assert decode_all(contents, block(2, 2), max_pixels=60).shape == (3, 12)
    with pytest.raises(InvalidInput, match="3 pictures of 60 pixels, more than the 59 pixels that one"):
        decode_all(contents, block(2, 2), max_pixels=59)
    with pytest.raises(InvalidInput, match="3 pictures resized to 20x10, more than the 599 pixels that one"):
        decode_all(contents, block(10, 20), max_pixels=599)


def test_a_file_is_recognised_by_its_first_bytes() -> None:
    assert recognised(files.RIGHT_PNG)
    assert recognised(files.RIGHT_JPEG)
    assert not recognised(b"GIF89a")
    assert look(files.RIGHT_JPEG, 64).format is Format.JPEG


SEEDS = (
    encoded(noise(8, 8, 3)),
    encoded(noise(9, 7)),
    encoded(PIL.Image.fromarray(noise(8, 8, 3)).quantize(7)),
    encoded(np.dstack([noise(8, 8, 3), np.full((8, 8, 1), 255, np.uint8)])),
    encoded(noise(8, 8, 3), exif=exif(6), icc_profile=b"profile", dpi=(72, 72)),
    files.animated(),
    encoded(noise(16, 16, 3), "JPEG"),
    encoded(noise(16, 16), "JPEG", exif=exif(8, ">"), comment=b"note"),
    encoded(noise(16, 16, 3), "JPEG", progressive=True, restart_marker_blocks=1),
    encoded(PIL.Image.new("CMYK", (8, 8)), "JPEG"),
    encoded(
        PIL.Image.fromarray(noise(8, 8, 3)),
        "MPO",
        save_all=True,
        append_images=[PIL.Image.new("RGB", (8, 8))],
    ),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A file with some of its bytes changed, cut, doubled or added; half of the PNGs with right checksums."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 40))
        match draw(st.sampled_from(["change", "change", "cut", "double", "add", "end"])):
            case "change":
                content[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del content[place : place + length]
            case "double":
                content[place:place] = content[place : place + length]
            case "add":
                content[place:place] = draw(st.binary(max_size=20))
            case "end":
                del content[max(place, 1) :]
    found = bytes(content)
    sealed = found.startswith(files.SIGNATURE) and draw(st.booleans())
    return files.resealed(found) if sealed else found


@settings(max_examples=2_000)
@given(mutated(), st.sampled_from(Colour))
def test_whatever_the_bytes_pixels_of_the_right_shape_come_or_a_refusal(
    content: bytes, colour: Colour
) -> None:
    said = outcome(content, block(3, 5, colour))

    assert said in ("refused", (np.dtype(np.uint8), (15 if colour is Colour.GREY else 45,)))


def outcome(content: bytes, image: Image) -> object:
    """The type and shape of the pixels, or that the file was refused; anything else is raised."""
    try:
        pixels = decode(content, image, max_pixels=10_000)
    except InvalidInput as error:
        return "refused" if str(error).startswith("the picture ") else str(error)
    return pixels.dtype, pixels.shape


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from([b"", files.SIGNATURE, b"\xff\xd8\xff"]))
def test_bytes_that_nobody_meant_are_refused(content: bytes, start: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(start + content, block(2, 2))


def test_no_other_decoder_of_pillow_is_loaded() -> None:
    code = (
        "import sys, sigmax.pictures;"
        "print(sorted(name for name in sys.modules if name.startswith('PIL.') and name.endswith('Plugin')))"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "['PIL.JpegImagePlugin', 'PIL.PngImagePlugin']"
