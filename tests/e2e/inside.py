"""Run inside the serving image by its own interpreter: print, as JSON, what could be run or imported there.

Standard library only, and nothing of the project: it is sent to the container's standard input.
"""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import sys
from pathlib import Path

FORBIDDEN = (
    *("sklearn", "skl2onnx", "onnx", "onnxconverter_common", "scipy", "joblib", "pandas", "sigmax_training"),
    *("pip", "setuptools", "wheel", "ensurepip", "hatchling", "distutils", "venv"),
    *("pytest", "mypy", "grpc_tools", "Cython", "tkinter"),
)


def programs() -> list[str]:
    """Every file that the kernel would start: a binary, or a script whose interpreter is there."""
    files = (Path(folder, name) for folder, _, names in os.walk("/") for name in names)
    kernel = ("/proc/", "/sys/", "/dev/")
    return sorted(str(path) for path in files if not str(path).startswith(kernel) and _runs(path))


def _runs(path: Path) -> bool:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111 or ".so" in path.name:
        return False
    with path.open("rb") as file:
        first = file.readline(256)
    if first.startswith(b"#!"):
        return Path(first[2:].split()[0].decode()).exists()
    return first.startswith(b"\x7fELF")


if __name__ == "__main__":
    importable = [name for name in FORBIDDEN if importlib.util.find_spec(name) is not None]
    json.dump({"importable": importable, "programs": programs()}, sys.stdout)
