"""Measure how fast the service starts and how much memory it holds: `python -m benchmarks.start`."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice

import grpc
import numpy as np

from benchmarks import processes, report, section, servers
from benchmarks.figures import Outcome
from benchmarks.load import LoadFailed
from benchmarks.report import Spread
from benchmarks.section import Context, Section
from benchmarks.servers import Server
from sigmax.contract import INPUT, FloatType
from sigmax.repository import bundle, layout
from sigmax.repository.bundle import Bundle
from sigmax.wire import open_inference_grpc_pb2 as pb

REQUESTS = 1_000
"""Answered between the two readings of memory."""

_CONNECTIONS = 16
"""Of each door, so that every worker gets some."""

_EXPLAINED = """\
Models: {models}. Medians with (lowest..highest) of {starts} starts; ready is when the service says where it
answers: every worker has then verified and loaded every model and reproduced its golden rows. Memory is the
whole process tree's, when nothing else runs that shares its libraries; the requests are every model's example
by REST and its golden rows by gRPC, on {connections} connections of each."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds from exec to ready; (RSS, PSS) in MiB right then and after the requests."""

    seconds: float
    fresh: tuple[float, float]
    used: tuple[float, float]


def measure(context: Context) -> Outcome:
    """One and two workers in turn."""
    bundles = [
        bundle.read(layout.version_path(context.models, name, layout.versions(context.models, name)[0]))
        for name in layout.names(context.models)
    ]
    counts = (1, 2) if processes.has_option("workers") else (1,)
    starts: dict[int, list[Start]] = {count: [] for count in counts}
    for _ in range(context.effort.starts):
        for count in counts:
            starts[count].append(_start(context, bundles, count))
    failures = [] if len(counts) > 1 else ["2 workers: `sigmax serve` has no option --workers"]
    figures = {f"start:{count}": tuple(start.seconds for start in found) for count, found in starts.items()}
    if len(counts) > 1:
        pairs = zip(starts[1], starts[2], strict=True)
        figures["pss:2nd_worker"] = tuple(two.used[1] - one.used[1] for one, two in pairs)
    text = _rendered(context, starts, [read.manifest.name for read in bundles])
    return Outcome(text, figures, failures=tuple(failures))


def _start(context: Context, bundles: Sequence[Bundle], workers: int) -> Start:
    began = time.perf_counter()
    with servers.sigmax(context.models, workers=workers) as server:
        seconds = time.perf_counter() - began
        fresh = processes.memory(server.pid)
        _ask(bundles, server)
        return Start(seconds, fresh, processes.memory(server.pid))


def _ask(bundles: Sequence[Bundle], server: Server) -> None:
    """Send the requests: by both doors in turn, every model in turn, every connection in turn."""
    with ExitStack() as stack:
        rest = [_connection(server, stack) for _ in range(_CONNECTIONS)]
        calls = [_call(server, stack) for _ in range(_CONNECTIONS)]
        asked = islice(cycle(bundles), REQUESTS // 2)
        for read, connection, call in zip(asked, cycle(rest), cycle(calls), strict=False):
            call(_golden_request(read), timeout=30)
            name = read.manifest.name
            connection.request("POST", f"/v1/models/{name}:classes", read.example)
            response = connection.getresponse()
            text = response.read()
            if response.status != http.client.OK:
                raise LoadFailed(f"{name}: {response.status} {text[:500]!r}")


def _connection(server: Server, stack: ExitStack) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.ports[False], timeout=30)
    stack.callback(connection.close)
    return connection


def _call(server: Server, stack: ExitStack) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    own = [("grpc.use_local_subchannel_pool", 1)]  # else channels to one address share a connection
    channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.ports[True]}", own))
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer", None, None
    )
    return call


def _golden_request(asked: Bundle) -> bytes:
    dtype = asked.manifest.graph.dtype
    request = pb.ModelInferRequest(model_name=asked.manifest.name)
    datatype = "FP32" if dtype is FloatType.FLOAT32 else "FP64"
    request.inputs.add(name=INPUT, datatype=datatype, shape=asked.golden.features.shape)
    request.raw_input_contents.append(np.asarray(asked.golden.features, dtype.value).tobytes())
    return request.SerializeToString()


def _rendered(context: Context, starts: dict[int, list[Start]], models: list[str]) -> str:
    explained = _EXPLAINED.format(
        models=", ".join(models), starts=context.effort.starts, connections=_CONNECTIONS
    )
    head = ["", *(f"{count} worker{'s' * (count > 1)}" for count in starts)]
    rows = [
        [
            "from exec to ready",
            *(f"{_spread(start.seconds for start in found).text(2)} s" for found in starts.values()),
        ]
    ]
    for kind, name in enumerate(("RSS", "PSS")):
        fresh = [_spread(start.fresh[kind] for start in found) for found in starts.values()]
        used = [_spread(start.used[kind] for start in found) for found in starts.values()]
        rows.append([f"{name}, when ready", *(f"{size.text()} MiB" for size in fresh)])
        rows.append([f"{name}, after {REQUESTS:,} requests", *(f"{size.text()} MiB" for size in used)])
    return "\n\n".join([explained, report.table(head, rows), report.conditions(context.command)])


def _spread(values: Iterable[float]) -> Spread:
    return Spread(tuple(values))


SECTION = Section("Cold start and memory", measure)

if __name__ == "__main__":
    section.main(SECTION)
