from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sigmax.manifests import BINARY, DIGEST, MULTICLASS, MULTILABEL

from sigmax.contract import (
    Colour,
    Decision,
    Feature,
    FileEntry,
    Head,
    Image,
    Kind,
    Layer,
    Manifest,
    Missing,
    Resize,
    Task,
    Unknown,
)
from sigmax.errors import BundleRejected
from sigmax.inference.catalog import open_version

PHOTO = Feature(
    "photo",
    Kind.IMAGE,
    (3, 2, 4),
    "uint8",
    (0.0, 255.0),
    image=Image(Colour.HSV, "CHW", 2, 4, Resize.BILINEAR, 1 / 255),
)

CITY = Feature(
    "도시",
    Kind.CATEGORY,
    (),
    "string",
    (0.0, 3.0),
    Missing.CATEGORY,
    vocabulary=("부산", "서울"),
    unknown=Unknown.ZERO,
)
FORMAT_1 = Path(__file__).parents[2] / "fixtures" / "format_1" / "iris" / "1"


@pytest.mark.parametrize(
    "manifest",
    [
        BINARY,
        MULTICLASS,
        MULTILABEL,
        replace(MULTICLASS, features=(PHOTO, MULTICLASS.features[0])),
        replace(MULTICLASS, features=(CITY, MULTICLASS.features[0])),
        replace(BINARY, decision=Decision({"yes": 0.5}, "yes", {"yes": (0.4, 0.6)})),
        replace(MULTICLASS, graph=replace(MULTICLASS.graph, layers=(Layer("dense", 2, 3, 9),))),
    ],
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
        (changed(format=3), "manifest format 3 is newer than 2"),
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
    with pytest.raises(BundleRejected, match="'image' belongs to image blocks"):
        Feature("photo", Kind.IMAGE, (3, 2, 4), "uint8", (0.0, 255.0))
    with pytest.raises(BundleRejected, match=r"shape \[3, 2, 5\], expected \[3, 2, 4\]"):
        replace(PHOTO, shape=(3, 2, 5))
    with pytest.raises(BundleRejected, match="its range runs backwards"):
        replace(PHOTO, range=(1.0, 0.0))


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        (("부산", ""), "an empty text is a missing value and no category"),
        (("부산", unicodedata.normalize("NFD", "서울")), "is not in NFC"),
        (("부산", "부산"), "each category is named once"),
    ],
)
def test_a_vocabulary_whose_texts_are_not_canonical_is_refused(
    vocabulary: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(BundleRejected, match=expected):
        replace(CITY, vocabulary=vocabulary)


def test_the_codes_of_a_category_are_its_vocabulary_then_missing_then_unknown() -> None:
    strict = replace(CITY, missing=Missing.REJECT, unknown=Unknown.REJECT, range=(0.0, 1.0))
    open_ended = replace(CITY, missing=Missing.REJECT, range=(0.0, 2.0))

    assert (CITY.n_codes, CITY.missing_code, CITY.unknown_code) == (4, 2, 3)
    assert (strict.n_codes, strict.missing_code, strict.unknown_code) == (2, None, None)
    assert (open_ended.n_codes, open_ended.missing_code, open_ended.unknown_code) == (3, None, 2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vocabulary": None}, "'vocabulary' belongs to category blocks"),
        ({"unknown": None}, "'unknown' belongs to category blocks"),
        ({"vocabulary": ("서울", "서울")}, "each category is named once"),
        ({"vocabulary": ()}, "1 to 1000000 categories"),
        ({"range": (0.0, 1.0)}, r"range \[0.0, 1.0\], its codes are \[0.0, 3.0\]"),
        ({"missing": Missing.IMPUTE}, "missing 'impute' is not for category blocks"),
        ({"dtype": "float64"}, "dtype is one of string, int64, bool, not 'float64'"),
        ({"dtype": "int64"}, "categories of int64 are integers in decimal"),
        ({"dtype": "bool"}, "categories of bool are 'true' and 'false'"),
    ],
)
def test_a_category_that_contradicts_itself_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(BundleRejected, match=expected):
        replace(CITY, **changes)


def test_numbers_have_no_vocabulary_and_pictures_are_never_missing() -> None:
    with pytest.raises(BundleRejected, match="'vocabulary' belongs to category blocks"):
        replace(MULTICLASS.features[0], vocabulary=("a",))
    with pytest.raises(BundleRejected, match="missing 'category' is not for numeric blocks"):
        replace(MULTICLASS.features[0], missing=Missing.CATEGORY)
    with pytest.raises(BundleRejected, match="missing 'impute' is not for image blocks"):
        replace(PHOTO, missing=Missing.IMPUTE)


@pytest.mark.parametrize("band", [(0.6, 0.9), (0.5, 0.5), (-0.1, 0.6), (0.4, 1.1), (0.6, 0.4)])
def test_a_band_lies_around_the_threshold_of_its_label(band: tuple[float, float]) -> None:
    with pytest.raises(BundleRejected, match="the band of 'yes' is two numbers of 0 to 1"):
        replace(BINARY, decision=Decision({"yes": 0.5}, "yes", {"yes": band}))


def test_a_band_is_for_a_label_that_has_a_threshold() -> None:
    with pytest.raises(BundleRejected, match="a band is for a label with a threshold, not 'no'"):
        replace(BINARY, decision=Decision({"yes": 0.5}, "yes", {"no": (0.4, 0.6)}))


def test_the_parameters_of_a_graph_are_those_of_its_layers() -> None:
    graph = replace(MULTICLASS.graph, layers=(Layer("dense", 30_000, 3, 90_003), Layer("softmax", 3, 3)))

    assert graph.parameters == 90_003
    with pytest.raises(BundleRejected, match="its sizes are not negative"):
        Layer("dense", 1, 1, -1)


def test_a_bundle_of_format_1_is_still_read_and_proved() -> None:
    served = open_version(FORMAT_1, "iris", 1)

    assert served.manifest.format == 1
    assert served.proof.difference <= served.manifest.tolerance


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


def test_a_known_key_costs_no_search_for_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def search(name: str, _: object) -> str:
        searched.append(name)
        return ""

    monkeypatch.setattr("sigmax.contract.nearest", search)

    Manifest.from_json(MULTICLASS.to_json())

    assert searched == []


@pytest.mark.parametrize(
    "manifest",
    [
        replace(MULTICLASS, features=(CITY, MULTICLASS.features[0])),
        replace(MULTICLASS, features=(replace(MULTICLASS.features[0], missing=Missing.IMPUTE),)),
        replace(BINARY, decision=Decision({"yes": 0.5}, "yes", {"yes": (0.4, 0.6)})),
        replace(MULTICLASS, graph=replace(MULTICLASS.graph, layers=(Layer("dense", 2, 3, 9),))),
        replace(MULTICLASS, graph=replace(MULTICLASS.graph, outputs=("probabilities", "logits"))),
    ],
)
def test_a_manifest_of_format_1_has_nothing_that_format_2_brought(manifest: Manifest) -> None:
    written = manifest.to_json().replace(b'"format": 2', b'"format": 1')

    with pytest.raises(BundleRejected, match="manifest format 1 has nothing that format 2 brought"):
        Manifest.from_json(written)


def test_a_category_of_int64_has_64_bits() -> None:
    with pytest.raises(BundleRejected, match="integers in decimal, of 64 bits at most"):
        Feature("k", Kind.CATEGORY, (), "int64", (0.0, 0.0), vocabulary=(str(2**63),), unknown=Unknown.REJECT)
