"""A model made by hand whose features are of every kind but pictures, and what it answers, by numpy alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.unit.sigmax.manifests import MULTICLASS

from sigmax.contract import Feature, Kind, Layer, Manifest, Missing, Unknown
from sigmax.inference.catalog import Served, open_version
from sigmax.repository import bundle
from sigmax.repository.golden import Golden

Row = dict[str, Any]
NAN = float("nan")
AGE = Feature("나이", Kind.NUMERIC, (), "float64", (0.0, 100.0))
CITY = Feature(
    "도시",
    Kind.CATEGORY,
    (),
    "string",
    (0.0, 4.0),
    Missing.CATEGORY,
    vocabulary=("대구", "부산", "서울"),
    unknown=Unknown.ZERO,
)
WAGE = Feature("임금", Kind.NUMERIC, (), "float64", (0.0, 9.5), Missing.IMPUTE)
MEMBER = Feature("회원", Kind.BOOLEAN, (), "bool", (0.0, 1.0))
GRADE = Feature(
    "등급", Kind.CATEGORY, (), "int64", (0.0, 2.0), vocabulary=("1", "2", "30"), unknown=Unknown.REJECT
)
VISITS = Feature("방문", Kind.INTEGER, (), "int64", (0.0, 12.0))

MIXED = replace(
    MULTICLASS,
    name="mixed",
    features=(AGE, CITY, WAGE, MEMBER, GRADE, VISITS),
    graph=replace(
        MULTICLASS.graph,
        layers=(Layer("impute", 4, 4, 1), Layer("dense", 12, 3, 39), Layer("softmax", 3, 3)),
    ),
    tolerance=1e-12,
)

ROWS: list[Row] = [
    {"나이": 31.5, "도시": "서울", "임금": 2.25, "회원": True, "등급": 30, "방문": 3},
    {"나이": 0, "도시": "대구", "임금": None, "회원": False, "등급": 1, "방문": 0},
    {"나이": 64, "도시": None, "임금": 9.5, "회원": False, "등급": 2, "방문": 12},
    {"나이": 18, "도시": "서울역", "임금": 0.125, "회원": True, "등급": 1, "방문": 1},
    {"나이": 47, "도시": "부산", "임금": None, "회원": True, "등급": 2, "방문": 7},
]
"""One city is missing, one is unknown, two wages are missing."""

MATRIX = np.array(
    [
        [31.5, 2, 2.25, 1, 2, 3],
        [0, 0, NAN, 0, 0, 0],
        [64, 3, 9.5, 0, 1, 12],
        [18, 4, 0.125, 1, 0, 1],
        [47, 1, NAN, 1, 1, 7],
    ]
)

_NUMBERS, _CODES = [0, 2, 3, 5], [1, 4]
_IMPUTED = 4.5
_WEIGHTS = np.linspace(-0.3, 0.4, 12).reshape(4, 3)  # of the numbers
_BIAS = np.array([0.5, -0.25, 0.125])
_TABLE = np.sin(np.arange(24)).reshape(8, 3)  # of five cities, then of three grades
_TABLE[4] = 0  # an unknown city adds nothing
_OFFSETS = np.array([0, 5])


def expected(matrix: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """What the model answers: (n_samples, 6) to (n_samples, 3)."""
    numbers = np.where(np.isnan(matrix[:, _NUMBERS]), _IMPUTED, matrix[:, _NUMBERS])
    looked_up = _TABLE[matrix[:, _CODES].astype(np.int64) + _OFFSETS].sum(axis=1)
    logits = numbers @ _WEIGHTS + _BIAS + looked_up
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def graph() -> bytes:
    """The same as an ONNX file."""
    constants = {
        "numbers_at": np.array(_NUMBERS),
        "codes_at": np.array(_CODES),
        "imputed": np.array([_IMPUTED]),
        "weights": _WEIGHTS,
        "bias": _BIAS,
        "table": _TABLE,
        "offsets": _OFFSETS,
        "second": np.array([1]),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["features", "numbers_at"], ["numbers"], axis=1),
        node("IsNaN", ["numbers"], ["absent"]),
        node("Where", ["absent", "imputed", "numbers"], ["there"]),
        node("Gather", ["features", "codes_at"], ["raw_codes"], axis=1),
        node("Cast", ["raw_codes"], ["codes"], to=TensorProto.INT64),
        node("Add", ["codes", "offsets"], ["places"]),
        node("Gather", ["table", "places"], ["looked_up"]),
        node("ReduceSum", ["looked_up", "second"], ["of_categories"], keepdims=0),
        node("Gemm", ["there", "weights", "bias"], ["of_numbers"]),
        node("Add", ["of_numbers", "of_categories"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    made: Any = helper.make_model(
        helper.make_graph(
            nodes,
            "mixed",
            [helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["n", 6])],
            [helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["n", 3])],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    onnx.checker.check_model(made, full_check=True)
    data: bytes = made.SerializeToString()
    return data


def write(root: Path, manifest: Manifest = MIXED) -> Path:
    """Write the bundle into a repository; its golden rows are `MATRIX`, with what numpy says of them."""
    folder = root / manifest.name / str(manifest.version)
    folder.mkdir(parents=True)
    probabilities = expected(MATRIX)
    golden = Golden(MATRIX, probabilities, probabilities.argmax(axis=1))
    example = json.dumps({"rows": ROWS[:2]}, ensure_ascii=False)
    files = {
        "model.onnx": graph(),
        "golden.json": golden.to_json(manifest),
        "example.json": example.encode(),
    }
    bundle.write(folder, manifest, files)
    return folder


def served(root: Path, manifest: Manifest = MIXED) -> Served:
    """The model, loaded and proved."""
    return open_version(write(root, manifest))
