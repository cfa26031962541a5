"""Golden rows as witnesses: of logits, of bands, and of the order of classes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.sigmax.manifests import (
    BANDED,
    BANDED_LABELS,
    BINARY,
    MULTICLASS,
    MULTILABEL,
    model,
    with_logits,
)

from sigmax.contract import Decision, Feature, FloatType, Head, Kind, Manifest, Missing, Task, Unknown
from sigmax.errors import BundleRejected
from sigmax.inference.catalog import Served, open_version
from sigmax.inference.decision import Rule
from sigmax.repository import bundle
from sigmax.repository.golden import Golden

ROWS = np.array([[-2.0, 0.0], [-1.0, 0.0], [-0.5, 0.0], [0.5, 0.0], [0.0, 1.0], [2.0, 1.0]])
EVERYTHING = (MULTICLASS, BINARY, MULTILABEL, BANDED, BANDED_LABELS)


def golden(manifest: Manifest) -> Golden:
    """What the estimator behind the hand-made graph says: the last logit is the row's sum, others are 0."""
    logits = np.zeros((len(ROWS), len(manifest.classes)))
    logits[:, -1] = ROWS.sum(axis=1)
    odds = np.exp(logits)
    softmax = manifest.task is not Task.BINARY  # as the graph has it
    probabilities = odds / odds.sum(axis=1, keepdims=True) if softmax else odds / (1 + odds)
    decision = manifest.decision
    rule = Rule(manifest, np.float64, decision.thresholds, decision.band)
    return Golden(
        ROWS,
        probabilities,
        rule.choose(probabilities),
        logits if "logits" in manifest.graph.outputs else None,
        rule.unsure(probabilities) if decision.band else None,
    )


def opened(folder: Path, manifest: Manifest, rows: Golden | bytes) -> Served:
    content = rows if isinstance(rows, bytes) else rows.to_json(manifest)
    files = {"model.onnx": model(manifest), "golden.json": content, "example.json": b"{}"}
    bundle.write(folder, manifest, files)
    return open_version(folder)


@pytest.mark.parametrize("manifest", [*EVERYTHING, *map(with_logits, EVERYTHING)])
def test_golden_rows_are_read_as_they_were_written_and_prove_themselves(
    tmp_path: Path, manifest: Manifest
) -> None:
    written = golden(manifest)

    served = opened(tmp_path, manifest, written)

    read = bundle.read(tmp_path).golden
    for name in ("features", "probabilities", "classes", "logits", "unsure"):
        assert np.array_equal(getattr(read, name), getattr(written, name)), name
    assert served.proof.rows == len(ROWS)


def test_a_wrong_logit_is_named(tmp_path: Path) -> None:
    manifest = with_logits(MULTICLASS)
    right = golden(manifest)
    assert right.logits is not None
    wrong = right.logits.copy()
    wrong[4, 2] += 1e-6

    with pytest.raises(BundleRejected, match=r"row 4, class 'z': logit 1\.0 served, 1\.000001 expected"):
        opened(tmp_path, manifest, replace(right, logits=wrong))


def test_logits_may_differ_by_the_tolerance_as_a_share_of_them(tmp_path: Path) -> None:
    manifest = replace(with_logits(MULTICLASS), tolerance=1e-5)
    right = golden(manifest)
    assert right.logits is not None

    served = opened(tmp_path, manifest, replace(right, logits=right.logits * (1 + 0.9e-5)))

    assert served.proof.difference < 1e-12


@pytest.mark.parametrize("band", [(0.25, 0.6), (0.4, 0.75), (0.499, 0.501)])
def test_a_changed_band_of_the_manifest_is_contradicted_by_the_rows(
    tmp_path: Path, band: tuple[float, float]
) -> None:
    changed = replace(BANDED, decision=Decision({"yes": 0.5}, "yes", {"yes": band}))

    with pytest.raises(BundleRejected, match=r"row \d: unsure false served, true expected"):
        opened(tmp_path, changed, golden(BANDED))


def test_a_band_that_moved_to_another_label_is_contradicted_by_the_rows(tmp_path: Path) -> None:
    own = BANDED_LABELS.decision
    swapped = replace(own, band={"x": (0.25, 0.75), "y": (0.1, 0.5)})

    with pytest.raises(BundleRejected, match=r"row \d: unsure \[.*\] served, \[.*\] expected"):
        opened(tmp_path, replace(BANDED_LABELS, decision=swapped), golden(BANDED_LABELS))


def test_a_row_at_the_very_bound_of_a_band_is_exempt_and_counted(tmp_path: Path) -> None:
    at_the_bound = golden(BANDED).probabilities[1, 1]
    low = replace(BANDED, decision=Decision({"yes": 0.5}, "yes", {"yes": (float(at_the_bound), 0.9)}))
    rows = golden(low)
    assert rows.unsure is not None
    either_way = rows.unsure.copy()
    either_way[1] = ~either_way[1]

    assert opened(tmp_path, low, replace(rows, unsure=either_way)).proof.exempt == 1


@pytest.mark.parametrize(
    ("manifest", "rows", "expected"),
    [
        (
            BANDED,
            golden(BINARY),
            "golden.json holds names, labels, blocks, terms, features, probabilities, classes, unsure, not",
        ),
        (
            BINARY,
            golden(BANDED),
            "golden.json holds names, labels, blocks, terms, features, probabilities, classes, not",
        ),
        (with_logits(BINARY), golden(BINARY), "features, probabilities, classes, logits, not"),
        (BINARY, golden(with_logits(BINARY)), "features, probabilities, classes, not"),
    ],
)
def test_a_band_or_logits_that_only_one_of_manifest_and_rows_knows_of_are_refused(
    tmp_path: Path, manifest: Manifest, rows: Golden, expected: str
) -> None:
    with pytest.raises(BundleRejected, match=expected):
        opened(tmp_path, manifest, rows)


@pytest.mark.parametrize(
    "parts",
    [
        {"logits": np.zeros((6, 2))},
        {"logits": np.zeros((6, 3), np.float32)},
        {"unsure": np.zeros(6, np.bool_)},
        {"unsure": np.zeros((6, 3), np.int64)},
    ],
)
def test_logits_and_doubts_of_another_shape_or_type_are_refused(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    manifest = with_logits(BANDED_LABELS)

    with pytest.raises(BundleRejected, match="the golden rows do not have the shape of the model"):
        opened(tmp_path, manifest, replace(golden(manifest), **parts))


def test_rows_that_name_their_classes_in_another_order_move_with_them() -> None:
    manifest = with_logits(BANDED_LABELS)
    written = golden(manifest)
    order = [2, 0, 1]
    turned = replace(manifest, classes=tuple(manifest.classes[column] for column in order))

    read = Golden.from_json(written.to_json(manifest), turned)

    assert written.logits is not None
    assert written.unsure is not None
    assert read.logits is not None
    assert read.unsure is not None
    assert read.logits.tolist() == written.logits[:, order].tolist()
    assert read.unsure.tolist() == written.unsure[:, order].tolist()


CITY = Feature(
    "b",
    Kind.CATEGORY,
    (),
    "string",
    (0.0, 2.0),
    Missing.CATEGORY,
    vocabulary=("부산", "서울"),
    unknown=Unknown.REJECT,
)
ENCODED = replace(MULTICLASS, features=(MULTICLASS.features[0], CITY))


@pytest.mark.parametrize(
    "changed",
    [
        replace(CITY, vocabulary=("서울", "부산")),
        replace(CITY, vocabulary=("부산", "서울시")),
        replace(CITY, missing=Missing.REJECT, unknown=Unknown.ZERO),
        replace(CITY, missing=Missing.NATIVE),
    ],
)
def test_rows_in_codes_are_witnesses_of_what_the_codes_mean(changed: Feature) -> None:
    rows = Golden(np.zeros((1, 2)), np.full((1, 3), 1 / 3), np.array([0]))
    manifest = replace(ENCODED, features=(ENCODED.features[0], changed))

    assert len(Golden.from_json(rows.to_json(ENCODED), ENCODED)) == 1
    with pytest.raises(BundleRejected, match="encoded by other blocks than the manifest's"):
        Golden.from_json(rows.to_json(ENCODED), manifest)


def test_rows_with_missing_numbers_are_witnesses_that_they_may_be_missing() -> None:
    rows = Golden(np.array([[0.0, np.nan]]), np.full((1, 3), 1 / 3), np.array([0]))
    lacking = replace(MULTICLASS.features[1], missing=Missing.IMPUTE)
    manifest = replace(MULTICLASS, features=(MULTICLASS.features[0], lacking))

    assert len(Golden.from_json(rows.to_json(manifest), manifest)) == 1
    with pytest.raises(BundleRejected, match="encoded by other blocks than the manifest's"):
        Golden.from_json(rows.to_json(manifest), MULTICLASS)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (replace(BANDED, tolerance=1e-5), "tolerance '1e-09', here '1e-05'"),
        (replace(BANDED, decision=replace(BANDED.decision, thresholds={"yes": 0.5 + 1e-9})), "thresholds"),
        (replace(BANDED, decision=replace(BANDED.decision, band={"yes": (0.25, 0.7500001)})), "band"),
        (replace(BANDED, head=Head.SOFTMAX), "head 'sigmoid', here 'softmax'"),
        (replace(BANDED, graph=replace(BANDED.graph, dtype=FloatType.FLOAT32)), "dtype 'float64', here"),
    ],
)
def test_terms_that_no_row_would_notice_are_witnessed_by_name(changed: Manifest, expected: str) -> None:
    with pytest.raises(BundleRejected, match=f"were answered by another manifest: {expected}"):
        Golden.from_json(golden(BANDED).to_json(BANDED), changed)


@pytest.mark.parametrize("terms", [None, [], {}, {"tolerance": 1e-9}])
def test_terms_that_are_none_are_refused(terms: Any) -> None:
    document = {**json.loads(golden(BANDED).to_json(BANDED)), "terms": terms}

    with pytest.raises(BundleRejected, match="the terms of the golden rows are task, head, dtype, tolerance"):
        Golden.from_json(json.dumps(document).encode(), BANDED)


def test_rows_of_the_first_format_have_no_terms_and_are_read() -> None:
    first = replace(BINARY, format=1)
    document = json.loads(golden(BINARY).to_json(BINARY))
    del document["terms"], document["blocks"]

    assert len(Golden.from_json(json.dumps(document).encode(), first)) == len(ROWS)
