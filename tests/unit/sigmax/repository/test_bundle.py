from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests.unit.sigmax.manifests import MULTICLASS, feature, model

from sigmax.contract import Manifest
from sigmax.errors import BundleRejected
from sigmax.inference.catalog import open_version
from sigmax.inference.engine import OnnxEngine
from sigmax.inference.loading import load_catalog
from sigmax.repository import bundle
from sigmax.repository.golden import Golden

ROWS = np.array([[0.0, 0.0], [1.0, 2.0]])
GOLDEN = Golden(
    ROWS, np.array([[1, 1, 1], [1, 1, np.exp(3)]]) / np.array([[3], [2 + np.exp(3)]]), np.array([0, 2])
)


def files(manifest: Manifest = MULTICLASS) -> dict[str, bytes]:
    return {
        "model.onnx": model(manifest),
        "golden.json": GOLDEN.to_json(manifest),
        "example.json": b'{"rows": [[0, 0]]}\n',
    }


@pytest.fixture
def written(tmp_path: Path) -> Path:
    bundle.write(tmp_path, MULTICLASS, files())
    return tmp_path


def test_a_bundle_is_read_as_it_was_written(written: Path) -> None:
    content = bundle.read(written)

    assert content.model == files()["model.onnx"]
    assert np.array_equal(content.golden.features, ROWS)
    assert set(content.manifest.files) == set(files())
    assert replace(content.manifest, files={}) == MULTICLASS


def test_a_written_bundle_can_be_opened_and_proves_itself(written: Path) -> None:
    served = open_version(written)

    assert served.proof.rows == 2
    assert served.proof.difference < 1e-15
    assert served.proof.exempt == 1  # the row of three equal probabilities


@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "example.json"])
def test_one_changed_byte_anywhere_is_noticed(written: Path, name: str) -> None:
    path = written / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(BundleRejected, match=f"{name} is not the file that was sealed"):
        bundle.read(written)


@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "example.json", "manifest.json"])
def test_a_missing_file_is_named(written: Path, name: str) -> None:
    (written / name).unlink()

    with pytest.raises(BundleRejected, match=f"{name} cannot be read"):
        bundle.read(written)


def test_a_longer_file_is_refused_with_both_sizes(written: Path) -> None:
    with (written / "model.onnx").open("ab") as file:
        file.write(b"x")

    with pytest.raises(BundleRejected, match=r"model.onnx has \d+ bytes, the manifest says \d+"):
        bundle.read(written)


def test_a_symbolic_link_is_not_followed(written: Path) -> None:
    outside = written.parent / "outside.onnx"
    (written / "model.onnx").rename(outside)
    (written / "model.onnx").symlink_to(outside)

    with pytest.raises(BundleRejected, match=r"model\.onnx cannot be read"):
        bundle.read(written)


def test_a_pipe_is_no_file_and_does_not_block(written: Path) -> None:
    (written / "model.onnx").unlink()
    os.mkfifo(written / "model.onnx")

    with pytest.raises(BundleRejected, match="is not a plain file"):
        bundle.read(written)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "manifest.json", ".."])
def test_a_manifest_cannot_name_files_elsewhere(written: Path, name: str) -> None:
    manifest = bundle.read(written).manifest
    entry = manifest.files["model.onnx"]
    (written / "manifest.json").write_bytes(
        replace(manifest, files={**manifest.files, name: entry}).to_json()
    )

    with pytest.raises(BundleRejected, match="is no file name of a bundle"):
        bundle.read(written)


def test_a_manifest_that_does_not_list_the_model_is_refused(written: Path) -> None:
    manifest = bundle.read(written).manifest
    kept = {name: entry for name, entry in manifest.files.items() if name != "model.onnx"}
    (written / "manifest.json").write_bytes(replace(manifest, files=kept).to_json())

    with pytest.raises(BundleRejected, match=r"does not list model\.onnx"):
        bundle.read(written)


def test_golden_rows_that_the_graph_does_not_answer_are_named(tmp_path: Path) -> None:
    wrong = replace(GOLDEN, probabilities=GOLDEN.probabilities + np.array([[0, 0, 0], [0, 1e-6, 0]]))
    bundle.write(tmp_path, MULTICLASS, {**files(), "golden.json": wrong.to_json(MULTICLASS)})

    with pytest.raises(
        BundleRejected, match=r"row 1, class 'y': probability .* served, .* expected"
    ) as refused:
        open_version(tmp_path)

    assert "1 of 2 rows differ" in str(refused.value)


def test_golden_classes_that_the_rule_does_not_choose_are_named(tmp_path: Path) -> None:
    wrong = replace(GOLDEN, classes=np.array([0, 1]))
    bundle.write(tmp_path, MULTICLASS, {**files(), "golden.json": wrong.to_json(MULTICLASS)})

    with pytest.raises(BundleRejected, match="row 1: class 'z' served, 'y' expected"):
        open_version(tmp_path)


def test_a_bundle_in_the_place_of_another_is_refused(written: Path) -> None:
    with pytest.raises(
        BundleRejected, match="is of model 'small' version 1, in the place of 'big' version 1"
    ):
        open_version(written, "big", 1)
    with pytest.raises(BundleRejected, match="in the place of 'small' version 2"):
        open_version(written, "small", 2)


def golden_with(**parts: Any) -> bytes:
    return json.dumps(json.loads(GOLDEN.to_json(MULTICLASS)) | parts).encode()


def picking_columns(*columns: int) -> bytes:
    """The graph of `files` with one node in the place of all: it gives back some of its input's columns."""
    made = onnx.load_from_string(model(MULTICLASS))
    del made.graph.node[:]
    made.graph.node.append(onnx.helper.make_node("Gather", ["features", "c"], ["probabilities"], axis=1))
    made.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.array(columns), "c"))
    data: bytes = made.SerializeToString()
    return data


BROKEN = {
    "an example that is not JSON": {"example.json": b"{"},
    "an example that is a list": {"example.json": b"[1]"},
    "golden rows without a dimension": {
        "golden.json": golden_with(features={"dtype": "<f8", "shape": [], "data": "AAAAAAAAAAA="})
    },
    "golden rows of an impossible shape": {
        "golden.json": golden_with(features={"dtype": "<f8", "shape": [0, 10**30], "data": ""})
    },
    "a graph that fails when it runs": {"model.onnx": picking_columns(0, 1, 9)},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_sealed_bundle_that_cannot_answer_is_refused(tmp_path: Path, name: str) -> None:
    bundle.write(tmp_path, MULTICLASS, files() | BROKEN[name])

    with pytest.raises(BundleRejected):
        open_version(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_folder_in_the_place_of_a_file_is_refused(written: Path, name: str) -> None:
    (written / name).unlink()
    (written / name).mkdir()

    with pytest.raises(BundleRejected, match="cannot be read: Is a directory"):
        bundle.read(written)


def test_weights_outside_of_the_model_file_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = replace(MULTICLASS, features=tuple(map(feature, "abcd")))
    made = onnx.load_from_string(model(manifest))
    weights = made.graph.initializer[0]
    (tmp_path / "w.bin").write_bytes(onnx.numpy_helper.to_array(weights).tobytes())
    weights.ClearField("double_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="w.bin")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(BundleRejected, match="External data path does not exist"):
        OnnxEngine(made.SerializeToString(), manifest)


def test_one_bundle_never_keeps_the_others_from_being_served(
    written: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(written, root / "small" / "1")
    (root / "other" / "1").mkdir(parents=True)
    (root / "other" / "1" / "manifest.json").touch()
    read = bundle.read

    def failing(path: Path) -> bundle.Bundle:
        if path.parent.name == "other":
            raise MemoryError("secret=hunter2")
        return read(path)

    monkeypatch.setattr(bundle, "read", failing)

    catalog = load_catalog(root)

    assert catalog.ready_names == ["small"]
    assert catalog.entry("other").rejected == {1: "an unforeseen error, which is in the log"}
