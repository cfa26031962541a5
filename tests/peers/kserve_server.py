"""KServe's SDK around the model, run by its own interpreter: `kserve_server.py FILE REST_PORT GRPC_PORT`."""

import sys
from typing import Any

import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class Iris(Model):  # type: ignore[misc]
    """Probabilities, in the SDK's own form of an answer."""

    def __init__(self, path: str) -> None:
        super().__init__("iris")
        self.estimator = joblib.load(path)
        self.ready = True

    async def get_input_types(self) -> list[dict[str, Any]]:
        """What the metadata says."""
        return [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]

    async def get_output_types(self) -> list[dict[str, Any]]:
        """What the metadata says."""
        return [{"name": "output-0", "datatype": "FP64", "shape": [-1, 3]}]

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Answer one request."""
        probabilities = self.estimator.predict_proba(get_predict_input(payload))
        return get_predict_response(payload, probabilities, self.name)


if __name__ == "__main__":
    file, rest_port, grpc_port = sys.argv[1:]
    ModelServer(http_port=int(rest_port), grpc_port=int(grpc_port), workers=1).start([Iris(file)])
