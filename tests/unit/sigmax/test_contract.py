from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.sigmax.manifests import BINARY, DIGEST, MULTICLASS, MULTILABEL

from sigmax.contract import Colour, Decision, Feature, FileEntry, Head, Image, Kind, Manifest, Resize, Task
from sigmax.errors import BundleRejected

PHOTO = Feature(
    "photo",
    Kind.IMAGE,
    (3, 2, 4),
    "uint8",
    (0.0, 255.0),
    image=Image(Colour.HSV, "CHW", 2, 4, Resize.BILINEAR, 1 / 255),
)


@pytest.mark.parametrize(
    "manifest",
    [BINARY, MULTICLASS, MULTILABEL, replace(MULTICLASS, features=(PHOTO, MULTICLASS.features[0]))],
)
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    sealed = replace(manifest, files={"model.onnx": FileEntry(7, DIGEST)})

    assert Manifest.from_json(sealed.to_json()) == sealed


def test_an_image_block_takes_as_many_columns_as_it_has_numbers() -> None:
    assert PHOTO.size == 24
    assert replace(MULTICLASS, features=(PHOTO, MULTICLASS.features[0])).n_features == 25


def test_unicode_names_are_written_as_they_are() -> None:
    manifest = replace(MULTICLASS, classes=("개", "고양이", "새"))

    assert "고양이".encode() in manifest.to_json()
    assert Manifest.from_json(manifest.to_json()).classes == ("개", "고양이", "새")


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(MULTICLASS.to_json()), **changes}).encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the manifest is not JSON"),
        (b"[]", "the manifest is not a JSON object"),
        (b'{"format": 1, "format": 1}', "a key stands twice"),
        (b"[" * 100_000, "the manifest is not JSON"),
        (changed(tolerance=float("nan")), "NaN is not a JSON number"),
        (changed(tolerance=10**400), "manifest.tolerance is a number, not '1000"),
        (changed(provenance={"by": "\ud800"}), "surrogates not allowed"),
        (changed(format=2), "manifest format 2 is newer than 1"),
        (changed(format="1"), "no 'format' number"),
        (changed(format=True), "no 'format' number"),
        (changed(calsses=[]), "unknown key 'calsses', did you mean 'classes'?"),
        (changed(version="1"), "manifest.version is an integer, not '1'"),
        (changed(version=0), "a version is a positive integer"),
        (changed(task="regression"), "manifest.task is one of binary, multiclass, multilabel"),
        (changed(head="sigmoid"), "a multiclass model cannot have a sigmoid head"),
        (changed(classes=["x", "x", "y"]), "each class is named once"),
        (changed(classes=["x"]), "at least 2 classes"),
        (changed(classes=["x", ""]), "a label that is not empty"),
        (changed(classes=["x", 1]), "manifest.classes[1] is a text, not '1'"),
        (changed(features=[]), "at least one feature"),
        (changed(name="../x"), "model name '../x'"),
        (changed(tolerance=0), "the tolerance is above 0, at most 0.0001"),
        (changed(tolerance=0.99), "the tolerance is above 0, at most 0.0001"),
        (changed(decision={"thresholds": {"x": 0.5}}), "thresholds are for []"),
        (changed(decision={"thresholds": {}, "positive": "x"}), "only a binary model has a positive class"),
        (changed(files={"model.onnx": {"size": 1, "sha256": "x"}}), "64 hexadecimal digits"),
        (changed(files={"model.onnx": {"size": -1, "sha256": DIGEST}}), "size is not negative"),
        (changed(files={"model.onnx": {"size": 1}}), "manifest.files.model.onnx: 'sha256' is missing"),
        (changed(metrics={"accuracy": "good"}), "manifest.metrics.accuracy is a number"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_by_name(data: bytes, expected: str) -> None:
    with pytest.raises(BundleRejected) as refused:
        Manifest.from_json(data)

    assert expected in str(refused.value)


@pytest.mark.parametrize("key", json.loads(MULTICLASS.to_json()))
def test_a_manifest_without_a_key_is_refused(key: str) -> None:
    document = json.loads(MULTICLASS.to_json())
    del document[key]

    with pytest.raises(BundleRejected, match=key):
        Manifest.from_json(json.dumps(document).encode())


def test_a_feature_block_of_another_shape_than_its_kind_is_refused() -> None:
    with pytest.raises(BundleRejected, match="is an image without 'image'"):
        Feature("photo", Kind.IMAGE, (3, 2, 4), "uint8", (0.0, 255.0))
    with pytest.raises(BundleRejected, match=r"shape \[3, 2, 5\], expected \[3, 2, 4\]"):
        replace(PHOTO, shape=(3, 2, 5))
    with pytest.raises(BundleRejected, match="its range runs backwards"):
        replace(PHOTO, range=(1.0, 0.0))


def test_a_binary_model_names_its_positive_class_and_its_threshold() -> None:
    assert BINARY.positive_column == 1
    with pytest.raises(BundleRejected, match="the positive class is one of the classes"):
        replace(BINARY, decision=Decision({"maybe": 0.5}, "maybe"))
    with pytest.raises(BundleRejected, match="the threshold of 'yes' is between 0 and 1"):
        replace(BINARY, decision=Decision({"yes": 1.5}, "yes"))
    with pytest.raises(BundleRejected, match="has 2 classes, not 3"):
        replace(BINARY, classes=("no", "yes", "maybe"))
    with pytest.raises(ValueError, match="only a binary model"):
        _ = MULTICLASS.positive_column


def test_every_task_has_a_head_and_no_head_is_without_a_task() -> None:
    from sigmax.contract import HEADS

    assert set(HEADS) == set(Task)
    assert {head for heads in HEADS.values() for head in heads} == set(Head)
