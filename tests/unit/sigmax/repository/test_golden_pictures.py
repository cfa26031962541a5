"""A bundle's own picture files: what decodes them otherwise than the trainer does not serve the version."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.pictures import RIGHT_JPEG, animated, encoded, noise
from tests.unit.sigmax.manifests import MULTICLASS, model

from sigmax.contract import Colour, Feature, Image, Kind, Manifest, Resize
from sigmax.errors import BundleRejected
from sigmax.inference.catalog import open_version
from sigmax.pictures import decode
from sigmax.repository import bundle
from sigmax.repository.golden import Golden, GoldenPicture

IMAGE = Image(Colour.RGB, "CHW", 2, 4, Resize.BILINEAR, 1 / 255)
PHOTO = Feature("image", Kind.IMAGE, IMAGE.shape, "uint8", (0.0, 255.0), image=IMAGE)
MANIFEST = replace(MULTICLASS, features=(PHOTO,))
FILES = (encoded(noise(5, 5, 3)), RIGHT_JPEG)
PICTURES = tuple(GoldenPicture(file, decode(file, IMAGE)) for file in FILES)
GOLDEN = Golden(np.zeros((1, 24), np.uint8), np.full((1, 3), 1 / 3), np.array([0]), pictures=PICTURES)


def written(folder: Path, golden: bytes, manifest: Manifest = MANIFEST) -> Path:
    """A bundle with these golden rows, every digest right."""
    files = {"model.onnx": model(manifest), "golden.json": golden, "example.json": b"{}"}
    bundle.write(folder, manifest, files)
    return folder


def with_pictures(pictures: Any) -> bytes:
    return json.dumps({**json.loads(GOLDEN.to_json(MANIFEST)), "pictures": pictures}).encode()


def test_golden_pictures_are_read_as_they_were_written(tmp_path: Path) -> None:
    content = bundle.read(written(tmp_path, GOLDEN.to_json(MANIFEST)))

    assert [picture.file for picture in content.golden.pictures] == list(FILES)
    for picture, file in zip(content.golden.pictures, FILES, strict=True):
        assert picture.pixels.tolist() == decode(file, IMAGE).tolist()


def test_a_bundle_whose_pictures_decode_to_the_same_pixels_is_served(tmp_path: Path) -> None:
    assert open_version(written(tmp_path, GOLDEN.to_json(MANIFEST))).proof.rows == 1


def test_golden_rows_without_pictures_are_written_and_read_as_ever(tmp_path: Path) -> None:
    plain = replace(GOLDEN, pictures=()).to_json(MANIFEST)

    assert "pictures" not in json.loads(plain)
    assert bundle.read(written(tmp_path, plain)).golden.pictures == ()


def test_one_pixel_that_is_decoded_otherwise_refuses_the_version(tmp_path: Path) -> None:
    pixels = PICTURES[1].pixels.copy()
    pixels[7] ^= 1
    golden = replace(GOLDEN, pictures=(PICTURES[0], GoldenPicture(RIGHT_JPEG, pixels)))

    with pytest.raises(BundleRejected) as refused:
        open_version(written(tmp_path, golden.to_json(MANIFEST)))

    assert str(refused.value) == (
        "golden picture 1 is decoded otherwise here than by the trainer: 1 of 24 pixels differ, by 1 at most"
    )


@pytest.mark.parametrize("change", [{"resize": "nearest"}, {"colour": "hsv"}])
def test_a_manifest_with_another_filter_or_colour_is_contradicted_by_the_pictures(
    tmp_path: Path, change: dict[str, str]
) -> None:
    document = json.loads(MANIFEST.to_json())
    document["features"][0]["image"] |= change
    manifest = Manifest.from_json(json.dumps(document).encode())

    with pytest.raises(BundleRejected, match="golden picture 0 is decoded otherwise here"):
        open_version(written(tmp_path, GOLDEN.to_json(manifest), manifest))


def test_a_file_that_this_decoder_does_not_take_refuses_the_version(tmp_path: Path) -> None:
    golden = replace(GOLDEN, pictures=(GoldenPicture(animated(), PICTURES[0].pixels),))

    with pytest.raises(BundleRejected, match="golden picture 0 is refused here: the picture is an animated"):
        open_version(written(tmp_path, golden.to_json(MANIFEST)))


ENTRY = json.loads(GOLDEN.to_json(MANIFEST))["pictures"][0]


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ({}, "golden pictures are a list of file and pixels"),
        (["x"], "golden pictures are a list of file and pixels"),
        ([{"file": ENTRY["file"]}], "golden pictures are a list of file and pixels"),
        ([{**ENTRY, "name": "cat.png"}], "golden pictures are a list of file and pixels"),
        ([{**ENTRY, "file": 1}], "the file of a golden picture is not base64"),
        ([{**ENTRY, "file": "%%"}], "the file of a golden picture is not base64"),
        ([{**ENTRY, "pixels": 1}], "the pixels of a golden picture"),
        (
            [{**ENTRY, "pixels": {"dtype": "|u1", "shape": [2], "data": "AAA="}}],
            "the pixels of a golden picture do not have the shape of the model",
        ),
        (
            [{**ENTRY, "pixels": {"dtype": "<i8", "shape": [0], "data": ""}}],
            "the pixels of a golden picture do not have the shape of the model",
        ),
    ],
)
def test_golden_pictures_are_read_strictly(tmp_path: Path, pictures: Any, expected: str) -> None:
    with pytest.raises(BundleRejected, match=expected):
        bundle.read(written(tmp_path, with_pictures(pictures)))


def test_golden_pictures_of_a_model_of_numbers_are_refused(tmp_path: Path) -> None:
    golden = Golden(np.zeros((1, 2)), np.full((1, 3), 1 / 3), np.array([0]))
    document = {**json.loads(golden.to_json(MULTICLASS)), "pictures": [ENTRY]}

    with pytest.raises(BundleRejected, match="of a model that takes pictures"):
        bundle.read(written(tmp_path, json.dumps(document).encode(), MULTICLASS))


def test_an_unknown_filter_refuses_the_manifest() -> None:
    document = json.loads(MANIFEST.to_json())
    document["features"][0]["image"]["resize"] = "bilinea"

    with pytest.raises(BundleRejected, match="resize is one of nearest, box, bilinear, hamming"):
        Manifest.from_json(json.dumps(document).encode())


def test_a_picture_fills_a_row_only_where_it_is_all_that_the_model_takes() -> None:
    assert MANIFEST.image == IMAGE
    assert MULTICLASS.image is None
    assert replace(MULTICLASS, features=(PHOTO, MULTICLASS.features[0])).image is None
    assert base64.b64decode(ENTRY["file"]) == FILES[0]
