"""Measure how fast the service starts and how much memory it holds: `python -m benchmarks.start`."""

from __future__ import annotations

import argparse
import http.client
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from benchmarks import processes, report
from benchmarks.report import Spread
from sigmax.contract import INPUT, FloatType
from sigmax.repository import bundle, layout
from sigmax.repository.bundle import Bundle
from sigmax.wire import open_inference_grpc_pb2 as pb

PACKAGES = ("grpcio", "numpy", "onnxruntime", "fastapi", "uvicorn")
TITLE = "Cold start and memory"
REQUESTS = 1_000
"""Answered between the two readings of memory."""

_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds from exec to ready; (RSS, PSS) in MiB right then and after the requests."""

    seconds: float
    fresh: tuple[float, float]
    used: tuple[float, float]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path, help="a Markdown file to put the table into")
    arguments = parser.parse_args()
    processes.end_on_sigterm()
    bundles = [
        bundle.read(layout.version_path(arguments.models, name, layout.versions(arguments.models, name)[0]))
        for name in layout.names(arguments.models)
    ]
    try:
        starts = [_start(arguments.models, bundles) for _ in range(arguments.rounds)]
    except (RuntimeError, OSError) as error:
        sys.exit(f"benchmarks.start: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    text = rendered(starts, [read.manifest.name for read in bundles])
    print(text)
    if arguments.output:
        report.put_section(arguments.output, TITLE, text)


def _start(models: Path, bundles: list[Bundle]) -> Start:
    rest_port, grpc_port = processes.free_port(), processes.free_port()
    url = f"http://127.0.0.1:{rest_port}/v2/health/ready"
    began = time.perf_counter()
    command = processes.sigmax(models, rest_port, grpc_port)
    with processes.running(command, lambda: processes.answers(url), _POLL_SECONDS) as pid:
        seconds = time.perf_counter() - began
        fresh = processes.memory(pid)
        _ask(bundles, rest_port, grpc_port)
        return Start(seconds, fresh, processes.memory(pid))


def _ask(bundles: list[Bundle], rest_port: int, grpc_port: int) -> None:
    """Send the requests: every model in turn, its example by REST and its golden rows by gRPC in turn."""
    rest = http.client.HTTPConnection("127.0.0.1", rest_port, timeout=30)
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", None, None)
        for number, asked in zip(range(REQUESTS), _in_turn(bundles), strict=False):
            if number // len(bundles) % 2:
                infer(_golden_request(asked), timeout=30)
                continue
            rest.request("POST", f"/v1/models/{asked.manifest.name}:classes", asked.example)
            response = rest.getresponse()
            if response.status != http.client.OK:
                raise RuntimeError(f"{asked.manifest.name}: {response.status} {response.read()[:500]!r}")
            response.read()
    rest.close()


def _in_turn(bundles: list[Bundle]) -> Iterator[Bundle]:
    while True:
        yield from bundles


def _golden_request(asked: Bundle) -> bytes:
    dtype = asked.manifest.graph.dtype
    request = pb.ModelInferRequest(model_name=asked.manifest.name)
    datatype = "FP32" if dtype is FloatType.FLOAT32 else "FP64"
    request.inputs.add(name=INPUT, datatype=datatype, shape=asked.golden.features.shape)
    request.raw_input_contents.append(np.asarray(asked.golden.features, dtype.value).tobytes())
    return request.SerializeToString()


def rendered(starts: list[Start], models: list[str]) -> str:
    """The table and the conditions."""
    rows = [
        ["from exec to ready", f"{Spread(tuple(start.seconds for start in starts)).text(2)} s"],
        *(
            [f"{name}, {when}", f"{Spread(tuple(values)).text()} MiB"]
            for index, name in enumerate(("RSS", "PSS"))
            for when, values in (
                ("when ready", [start.fresh[index] for start in starts]),
                (f"after {REQUESTS:,} requests", [start.used[index] for start in starts]),
            )
        ),
    ]
    command = shlex.join(["python", "-m", "benchmarks.start", *sys.argv[1:]])
    return "\n\n".join(
        [
            f"Models: {', '.join(models)}. Medians with (lowest..highest) of {len(starts)} starts; ready is "
            "`GET /v2/health/ready` answering 200, every model proved by then.",
            report.table(["", "measured"], rows),
            report.conditions(command, PACKAGES),
        ]
    )


if __name__ == "__main__":
    main()
