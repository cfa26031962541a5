"""Generate the message classes of `service/sigmax/wire/` from the .proto files beside this script.

The classes live in a descriptor pool of their own: two modules that describe the package `inference`
cannot share one, and tritonclient brings the other. Protoc's output is changed for it in two places: the pool
that it imports, and its check that the library is as new as the compiler, which tritonclient's environment
(protobuf 6) would fail although the few calls of the code are the same there.

    python proto/generate.py           # write service/sigmax/wire/*_pb2.py
    python proto/generate.py --check   # fail if they are not what the .proto files say
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
WIRE = PROTO.parent / "service" / "sigmax" / "wire"
SOURCES = ("sigmax/v1/classifier.proto", "inference/open_inference_grpc.proto")
DEFAULT_POOL = "from google.protobuf import descriptor_pool as _descriptor_pool\n"
PRIVATE_POOL = "from sigmax.wire import pool as _descriptor_pool\n"
VERSION_CHECK = re.compile(
    r"from google\.protobuf import runtime_version as _runtime_version\n"
    r"|_runtime_version\.ValidateProtobufRuntimeVersion\(\n(?:    .*\n)+\)\n"
)


def generate() -> dict[str, str]:
    """The generated files by name, flat: module `classifier_pb2` of `sigmax/v1/classifier.proto`."""
    with tempfile.TemporaryDirectory() as folder:
        well_known = Path(grpc_tools.__file__).parent / "_proto"
        arguments = [
            f"-I{PROTO}",
            f"-I{well_known}",
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            *SOURCES,
        ]
        if protoc.main(["protoc", *arguments]) != 0:
            raise SystemExit("protoc failed")
        return {path.name: _private(path.read_text()) for path in Path(folder).rglob("*_pb2.py*")}


def _private(text: str) -> str:
    return VERSION_CHECK.sub("", text.replace(DEFAULT_POOL, PRIVATE_POOL))


def main() -> None:
    """Write the files, or compare them with `--check`."""
    generated = generate()
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in generated.items() if (WIRE / name).read_text() != text]
        if stale:
            raise SystemExit(f"not what the .proto files say: {', '.join(stale)}; run `make proto`")
        return
    for name, text in generated.items():
        (WIRE / name).write_text(text)


if __name__ == "__main__":
    main()
