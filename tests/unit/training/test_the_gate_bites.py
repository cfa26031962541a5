"""Golden rows alone refuse a bundle whose digests fit and whose content is not what was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sigmax.contract import EXAMPLE_FILE, GOLDEN_FILE, MODEL_FILE, Decision, Manifest
from sigmax.errors import BundleRejected
from sigmax.inference import proof
from sigmax.repository import bundle

MODELS = ("breast_cancer", "digits", "iris", "temple_or_flower")


def resealed(
    source: Path,
    target: Path,
    manifest: Manifest | None = None,
    model: bytes | None = None,
    golden: bytes | None = None,
) -> Path:
    """A copy of a bundle with something else in it, every digest right."""
    content = bundle.read(source)
    files = {
        MODEL_FILE: model or content.model,
        GOLDEN_FILE: golden or (source / GOLDEN_FILE).read_bytes(),
        EXAMPLE_FILE: content.example,
    }
    target.mkdir()
    bundle.write(target, manifest or content.manifest, files)
    return target


def same_terms(source: Path, manifest: Manifest) -> bytes:
    """The golden rows of a bundle as if another manifest had come with them, so that rows alone can tell."""
    document = json.loads((source / GOLDEN_FILE).read_bytes())
    own = bundle.read(source).golden.to_json(manifest)
    return json.dumps({**document, "terms": json.loads(own)["terms"]}).encode()


def parameters(model: onnx.ModelProto) -> list[np.ndarray]:
    return [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]


def with_parameter(content: bytes, tensor: int, index: int, change: float) -> bytes:
    """The model with one number of one of its parameters changed."""
    model = onnx.load_from_string(content)
    found = model.graph.initializer[tensor]
    values = numpy_helper.to_array(found).copy()
    values.ravel()[index] += change
    found.CopyFrom(numpy_helper.from_array(values, found.name))
    return model.SerializeToString()


def typical(model: onnx.ModelProto, tensor: int) -> float:
    """The root mean square of the weights that a parameter belongs to; of the bias, its own size or that."""
    values = parameters(model)
    weights = values[tensor] if values[tensor].ndim == 2 else values[tensor - 1]
    size = float(np.sqrt((weights.astype(np.float64) ** 2).mean()))
    return size if values[tensor].ndim == 2 else max(size, float(np.abs(values[tensor]).max()))


def test_a_bundle_that_is_only_copied_passes(repository: Path, tmp_path: Path) -> None:
    copy = resealed(repository / "iris" / "1", tmp_path / "copy")

    _, _, found = proof.load(copy)

    assert found.rows > 0


@pytest.mark.parametrize("change", [1.0, -1.0])
def test_every_single_parameter_of_iris_is_watched(repository: Path, tmp_path: Path, change: float) -> None:
    source = repository / "iris" / "1"
    content = bundle.read(source).model
    model = onnx.load_from_string(content)
    sizes = [values.size for values in parameters(model)]

    for tensor, size in enumerate(sizes):
        for index in range(size):
            step = change * typical(model, tensor)
            corrupt = with_parameter(content, tensor, index, step)
            with pytest.raises(BundleRejected, match="probability"):
                proof.load(resealed(source, tmp_path / f"{tensor}-{index}", model=corrupt))

    assert sizes == [12, 3]


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "temple_or_flower"])
def test_a_sample_of_the_parameters_of_every_other_model_is_watched(
    repository: Path, tmp_path: Path, name: str
) -> None:
    source = repository / name / "1"
    content = bundle.read(source).model
    model = onnx.load_from_string(content)
    rng = np.random.default_rng(0)

    for tensor, values in enumerate(parameters(model)):
        for index in rng.choice(values.size, min(10, values.size), replace=False).tolist():
            corrupt = with_parameter(content, tensor, index, typical(model, tensor))
            with pytest.raises(BundleRejected, match="row"):
                proof.load(resealed(source, tmp_path / f"{tensor}-{index}", model=corrupt))


@pytest.mark.parametrize("name", MODELS)
def test_a_changed_order_of_classes_is_refused(repository: Path, tmp_path: Path, name: str) -> None:
    """The graph's columns are swapped with their names, so nothing but the golden rows can tell."""
    source = repository / name / "1"
    model = onnx.load_from_string(bundle.read(source).model)
    for tensor in model.graph.initializer[-2:]:
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(values[::-1].copy(), tensor.name))

    with pytest.raises(BundleRejected, match="row"):
        proof.load(resealed(source, tmp_path / "swapped", model=model.SerializeToString()))


@pytest.mark.parametrize("name", MODELS)
def test_a_changed_order_of_labels_in_the_manifest_is_refused(
    repository: Path, tmp_path: Path, name: str
) -> None:
    source = repository / name / "1"
    manifest = bundle.read(source).manifest
    swapped = replace(manifest, classes=(*manifest.classes[-2:][::-1], *manifest.classes[:-2]))

    with pytest.raises(BundleRejected, match="row"):
        proof.load(resealed(source, tmp_path / "swapped", manifest=swapped))


@pytest.mark.parametrize("threshold", [0.4, 0.49, 0.51, 0.6])
@pytest.mark.parametrize("name", ["breast_cancer", "temple_or_flower"])
def test_a_changed_threshold_is_refused(
    repository: Path, tmp_path: Path, name: str, threshold: float
) -> None:
    source = repository / name / "1"
    manifest = bundle.read(source).manifest
    positive = str(manifest.decision.positive)
    moved = replace(manifest, decision=Decision({positive: threshold}, positive))

    with pytest.raises(BundleRejected, match="answered by another manifest"):
        proof.load(resealed(source, tmp_path / "moved", manifest=moved))
    with pytest.raises(BundleRejected, match="class"):
        proof.load(resealed(source, tmp_path / "rows", manifest=moved, golden=same_terms(source, moved)))


@pytest.mark.parametrize("name", ["breast_cancer", "temple_or_flower"])
def test_a_changed_positive_class_is_refused(repository: Path, tmp_path: Path, name: str) -> None:
    source = repository / name / "1"
    manifest = bundle.read(source).manifest
    other = next(label for label in manifest.classes if label != manifest.decision.positive)
    turned = replace(manifest, decision=Decision({other: 0.9}, other))

    with pytest.raises(BundleRejected, match="answered by another manifest"):
        proof.load(resealed(source, tmp_path / "turned", manifest=turned))
    with pytest.raises(BundleRejected, match="class"):
        proof.load(resealed(source, tmp_path / "rows", manifest=turned, golden=same_terms(source, turned)))


def test_a_changed_order_of_features_in_the_manifest_is_refused(repository: Path, tmp_path: Path) -> None:
    source = repository / "iris" / "1"
    manifest = bundle.read(source).manifest
    swapped = replace(manifest, features=manifest.features[::-1])

    with pytest.raises(BundleRejected, match="in another order"):
        proof.load(resealed(source, tmp_path / "swapped", manifest=swapped))
