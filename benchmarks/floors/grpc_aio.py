"""A gRPC server on grpc.aio and uvloop whose handlers do nothing: bytes in, a fixed answer out."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import uvloop

from benchmarks.floors.answers import arguments


def fixed(answer: bytes) -> grpc.RpcMethodHandler[bytes, bytes]:
    """Answer every request with the same bytes."""

    async def handle(_: bytes, __: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return answer

    return grpc.unary_unary_rpc_method_handler(handle)


async def serve(port: int, answers: Mapping[str, bytes]) -> None:
    """Serve until killed."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    methods = {name: fixed(answer) for name, answer in answers.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare.Floor", methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(*arguments()))
