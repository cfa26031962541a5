"""How a model is served, in the words of Triton's model configuration: what load generators ask for first.

Both doors take it from here. It holds what an operator set and what the model is; nothing is set by it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from sigmax.contract import MODEL_FILE
from sigmax.inference.catalog import Served
from sigmax.inference.open_inference import inputs, output_names, promised
from sigmax.protocol.tensors import NAMES

PLATFORM, BACKEND = "onnxruntime_onnx", "onnxruntime"

_MAX_INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Deployment:
    """What an operator decided and clients may know.

    Attributes:
        max_rows: of one request.
        workers: processes that answer.
        max_batch_rows: of one run of a costly model; None for what its measured costs suggest.
        max_delay: seconds that a request of a costly model waits for company.
    """

    max_rows: int = sys.maxsize
    workers: int = 1
    max_batch_rows: int | None = None
    max_delay: float = 0.0


DEFAULT = Deployment()


def configuration(served: Served, deployment: Deployment = DEFAULT) -> dict[str, Any]:
    """The configuration of a version, with the names that `ModelConfig` has in the proto.

    Dimensions are those of one row. Requests are put together (`dynamic_batching`) only where that pays.
    """
    manifest = served.manifest
    datatype = NAMES[served.predictor.dtype]
    names = output_names(manifest, served.predictor.rule)
    document: dict[str, Any] = {
        "name": served.name,
        "platform": PLATFORM,
        "backend": BACKEND,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": min(deployment.max_rows, _MAX_INT32),
        "input": [_tensor(described) for described in inputs(served.schema)],
        "output": [_tensor(promised(manifest, datatype, name)) | {"label_filename": ""} for name in names],
        "instance_group": [{"name": served.name, "kind": "KIND_CPU", "count": deployment.workers}],
        "default_model_filename": MODEL_FILE,
        "parameters": {
            "task": {"string_value": manifest.task.value},
            "fingerprint": {"string_value": manifest.fingerprint},
        },
    }
    if served.costs.batch_rows:
        document["dynamic_batching"] = _batching(served, deployment)
    return document


def _tensor(described: dict[str, Any]) -> dict[str, Any]:
    """An input or output as the metadata describes it, its first dimension that of the rows."""
    datatype = described["datatype"]
    return {
        "name": described["name"],
        "data_type": "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}",
        "dims": described["shape"][1:],
    }


def _batching(served: Served, deployment: Deployment) -> dict[str, Any]:
    rows = deployment.max_batch_rows or served.costs.batch_rows
    return {
        "preferred_batch_size": [min(rows, _MAX_INT32)],
        "max_queue_delay_microseconds": round(1e6 * deployment.max_delay),
        "preserve_ordering": False,
    }
