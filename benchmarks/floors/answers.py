"""What a bare server is told: its port, and a folder with one file an answer."""

from __future__ import annotations

import sys
from pathlib import Path


def arguments() -> tuple[int, dict[str, bytes]]:
    """Read `PORT FOLDER` from the command line: the port, and the answers by file name."""
    port, folder = sys.argv[1:]
    return int(port), {path.name: path.read_bytes() for path in Path(folder).iterdir()}
