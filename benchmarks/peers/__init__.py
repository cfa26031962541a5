"""Services as they are written by hand: FastAPI, the same `model.onnx`, the same request and answer as ours.

Each does the real work of `/v2/models/<name>/infer` for numbers in JSON, with one thread, and none of the
checks, metrics, limits and other forms of Sigmax.
"""
