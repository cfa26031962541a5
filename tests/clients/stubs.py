"""Ask a service with nothing but gRPC and the messages made of its proto, contents typed.

    PYTHONPATH=folder python tests/clients/stubs.py REST GRPC < questions.json > answers.json

The folder has what `protoc` makes of proto/inference; questions as in `triton.py`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import grpc
import open_inference_grpc_pb2 as pb
import open_inference_grpc_pb2_grpc as stubs

FIELDS = {"float32": ("FP32", "fp32_contents"), "float64": ("FP64", "fp64_contents")}


def asked(stub: Any, model: str, question: dict[str, Any]) -> dict[str, Any]:
    """The answer to the rows of one model."""
    rows, (datatype, field) = question["rows"], FIELDS[question["dtype"]]
    request = pb.ModelInferRequest(model_name=model, id="seven")
    tensor = request.inputs.add(name="features", datatype=datatype, shape=[len(rows), len(rows[0])])
    getattr(tensor.contents, field).extend(value for row in rows for value in row)
    answer = stub.ModelInfer(request)
    contents = {output.name: output.contents for output in answer.outputs}
    return {
        "id": answer.id,
        "raw": len(answer.raw_output_contents),
        "probabilities": list(getattr(contents["probabilities"], field)),
        "labels": [label.decode() for label in contents["label"].bytes_contents],
    }


def main(address: str) -> None:
    """Every model."""
    questions = json.load(sys.stdin)
    with grpc.insecure_channel(address) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        answers = {name: asked(stub, name, question) for name, question in questions.items()}
        answers["live"] = stub.ServerLive(pb.ServerLiveRequest()).live
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[2])
