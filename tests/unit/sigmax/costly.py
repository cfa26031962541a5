"""A model made by hand that is costly on any machine: its graph goes round in circles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.unit.sigmax.manifests import MULTICLASS

from sigmax.repository import bundle
from sigmax.repository.golden import Golden

COSTLY = replace(MULTICLASS, name="costly", tolerance=1e-6)

_WIDTH, _ROUNDS = 256, 40
_MATRIX = np.array([[0.5, 1.0], [2.0, -1.0], [0.0, 0.0]])


def graph() -> bytes:
    """Any two features to three equal probabilities, by way of many large products with nothing."""
    constants = {
        "wider": np.zeros((2, _WIDTH)),
        "round": np.zeros((_WIDTH, _WIDTH)),
        "narrower": np.zeros((_WIDTH, 3)),
    }
    steps = ["wider", *["round"] * _ROUNDS, "narrower"]
    names = ["features", *[f"step{number}" for number in range(len(steps) - 1)], "logits"]
    nodes = [
        helper.make_node("MatMul", [names[number], step], [names[number + 1]])
        for number, step in enumerate(steps)
    ]
    made: Any = helper.make_model(
        helper.make_graph(
            [*nodes, helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)],
            "costly",
            [helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["n", 2])],
            [helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["n", 3])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    onnx.checker.check_model(made, full_check=True)
    data: bytes = made.SerializeToString()
    return data


def write(root: Path) -> Path:
    """Write the bundle into a repository."""
    folder = root / COSTLY.name / str(COSTLY.version)
    folder.mkdir(parents=True)
    equal = np.full((len(_MATRIX), 3), 1 / 3)
    files = {
        "model.onnx": graph(),
        "golden.json": Golden(_MATRIX, equal, equal.argmax(axis=1)).to_json(COSTLY),
        "example.json": b'{"rows": [{"a": 0.5, "b": 1.0}]}',
    }
    bundle.write(folder, COSTLY, files)
    return folder
