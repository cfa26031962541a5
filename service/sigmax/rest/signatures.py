"""What TensorFlow Serving calls signatures: which outputs a request wants, and how they are described.

`serving_default` is all outputs. One output alone comes without its name, so that `probabilities` and
`classes` are the bare values that clients of other servers expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sigmax.contract import OUTPUT, Manifest, Task
from sigmax.errors import InvalidInput, nearest, quoted
from sigmax.inference import open_inference
from sigmax.inference.catalog import Served
from sigmax.inference.open_inference import LABEL, LABELS
from sigmax.protocol.tensors import NAMES
from sigmax.protocol.values import describe

SERVING_DEFAULT, PROBABILITIES, CLASSES, CLASSIFY = "serving_default", "probabilities", "classes", "classify"

OF_PREDICT = (SERVING_DEFAULT, PROBABILITIES, CLASSES)
OF_CLASSIFY = (SERVING_DEFAULT, CLASSIFY)

_DTYPES = {"FP64": "DT_DOUBLE", "FP32": "DT_FLOAT", "BYTES": "DT_STRING", "BOOL": "DT_BOOL"}
_METHODS = {CLASSIFY: "tensorflow/serving/classify"}
_PREDICT = "tensorflow/serving/predict"


def signature_of(document: dict[str, Any], known: Sequence[str], verb: str) -> str:
    """The signature that a request names; an empty name, or none, is the default.

    Raises:
        InvalidInput: it is no text, or there is none of this name for this verb.
    """
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise InvalidInput(f"'signature_name' is a text, not {describe(name)}", "signature_name")
    if name not in ("", *known):
        text = f"unknown signature {quoted(name)}{nearest(name, known)}"
        raise InvalidInput(f"{text}; those of :{verb} are {', '.join(known)}", "signature_name")
    return name or SERVING_DEFAULT


def requested(manifest: Manifest, signature: str) -> tuple[str, ...]:
    """The outputs of one of the signatures of `:predict`; none stands for all."""
    if signature == SERVING_DEFAULT:
        return ()
    label = LABELS if manifest.task is Task.MULTILABEL else LABEL
    return (OUTPUT,) if signature == PROBABILITIES else (label,)


def metadata(served: Served) -> dict[str, Any]:
    """What `GET …/metadata` answers, in the form of TensorFlow Serving's GetModelMetadataResponse."""
    spec = {"name": served.name, "signature_name": "", "version": served.version}
    definitions = {name: _definition(served, name) for name in (*OF_PREDICT, CLASSIFY)}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": definitions}}}


def _definition(served: Served, signature: str) -> dict[str, Any]:
    takes = open_inference.inputs(served.schema)
    gives = _classification(served) if signature == CLASSIFY else _outputs(served, signature)
    return {
        "inputs": {tensor["name"]: _tensor(**tensor) for tensor in takes},
        "outputs": {tensor["name"]: _tensor(**tensor) for tensor in gives},
        "method_name": _METHODS.get(signature, _PREDICT),
    }


def _outputs(served: Served, signature: str) -> list[dict[str, Any]]:
    if signature == CLASSES and served.manifest.task is Task.MULTILABEL:
        return [{"name": CLASSES, "datatype": "BYTES", "shape": [-1, -1]}]
    names = requested(served.manifest, signature)
    every = open_inference.metadata(served)["outputs"]
    return [tensor for tensor in every if not names or tensor["name"] in names]


def _classification(served: Served) -> list[dict[str, Any]]:
    shape = [-1, len(served.manifest.classes)]
    scores = NAMES[served.predictor.dtype]
    return [
        {"name": "classes", "datatype": "BYTES", "shape": shape},
        {"name": "scores", "datatype": scores, "shape": shape},
    ]


def _tensor(name: str, datatype: str, shape: Sequence[int]) -> dict[str, Any]:
    """One tensor; a whole number of 64 bits is a text, as protobuf writes it in JSON."""
    dimensions = [{"size": str(size), "name": ""} for size in shape]
    return {
        "dtype": _DTYPES[datatype],
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": name,
    }
