"""Version labels of a model, `models/<name>/labels.json`: names for versions, `{"stable": 3, "canary": 4}`.

Read strictly and written by hand, or by whatever promotes a version: into another file of the same folder,
then renamed over the old one, so that no reader ever sees half of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sigmax.contract import LABELS_FILE, parse_json
from sigmax.errors import BundleRejected, listed, quoted
from sigmax.repository.bundle import read_plain

LABEL_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""Labels: safe as a segment of an address, and none of them a version number."""

MAX_BYTES = 2**16
_LETTERS = "use 1 to 64 of letters, digits, '_', '.' and '-', starting with a letter"


def read(folder: Path) -> dict[str, int]:
    """Read the labels of a model.

    Args:
        folder: of the model.

    Returns:
        Versions by label, in the file's order, whether there are such versions or not; without a file, none.

    Raises:
        BundleRejected: naming all that is wrong with the file.
    """
    try:
        content = read_plain(folder, LABELS_FILE, MAX_BYTES)
    except BundleRejected as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return {}
        raise
    document = parse_json(content, LABELS_FILE)
    problems = list(_problems(document))
    if problems:
        raise BundleRejected(f"{LABELS_FILE}: {listed(problems)}")
    return document


def _problems(document: dict[str, Any]) -> Iterator[str]:
    for label, version in document.items():
        if not LABEL_PATTERN.fullmatch(label):
            yield f"label {quoted(label)}: {_LETTERS}"
        if type(version) is not int or version < 1:
            yield f"label {quoted(label)}: a version is a whole number of at least 1, not {quoted(version)}"
