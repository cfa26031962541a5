"""Ask a service with tritonclient, as anyone would who has it: run by tritonclient's own environment.

    python tests/clients/triton.py REST GRPC < questions.json > answers.json

Questions: `{model: {"dtype": "float64", "rows": [[...], ...]}}`. Answers: by way of asking, by model.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http

DATATYPES = {"float32": "FP32", "float64": "FP64"}
OUTPUTS = ("probabilities", "label")


def ask(library: Any, address: str, model: str, features: Any, **form: bool) -> dict[str, list[Any]]:
    """One request; `form` is what the HTTP client takes, `binary_data`."""
    client = library.InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(model)
    assert client.get_model_metadata(model)
    tensor = library.InferInput("features", list(features.shape), DATATYPES[str(features.dtype)])
    tensor.set_data_from_numpy(features, **form)
    outputs = [library.InferRequestedOutput(name, **form) for name in OUTPUTS]
    answer = client.infer(model, [tensor], outputs=outputs)
    client.close()
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")]
    return {"probabilities": answer.as_numpy("probabilities").tolist(), "labels": labels}


def main(rest: str, grpc: str) -> None:
    """Every model in every way."""
    ways: dict[str, tuple[Any, str, dict[str, bool]]] = {
        "http, binary": (tritonclient.http, rest, {"binary_data": True}),
        "http, json": (tritonclient.http, rest, {"binary_data": False}),
        "grpc": (tritonclient.grpc, grpc, {}),
    }
    asked = json.load(sys.stdin)
    questions = {name: np.array(question["rows"], question["dtype"]) for name, question in asked.items()}
    answers = {
        way: {name: ask(library, address, name, rows, **form) for name, rows in questions.items()}
        for way, (library, address, form) in ways.items()
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
