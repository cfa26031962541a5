"""Write the table of supported models into docs/models.md: `python -m tests.models.table`.

The figures are of the machine that this runs on; which models are listed is not, and a test compares them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.models.measure import Measured, measure
from tests.models.pairs import PAIRS, Pair

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN = "<!-- measured by python -m tests.models.table -->"
END = "<!-- end of what is measured -->"

_HEADER = (
    "| estimator | head | data | type | difference | labels | graph | bytes | parameters |",
    "|---|---|---|---|---|---|---|---|---|",
)


def row(pair: Pair, measured: Measured) -> str:
    """A pair's line of the table."""
    found = measured.agreement
    labels = f"{found.rows - found.exempt - found.differing:,} of {found.rows:,}"
    if found.exempt:
        labels += f", {found.exempt:,} at the edge"
    kinds = " ".join(dict.fromkeys(measured.operations))
    cells = (
        *pair.key,
        f"{found.difference:.1e}",
        labels,
        f"{len(measured.operations)}: {kinds}",
        f"{measured.size:,}",
        f"{measured.parameters:,}",
    )
    return f"| {' | '.join(cells)} |"


def listed(document: str) -> list[tuple[str, ...]]:
    """The pairs that a document's table names, by their first four cells."""
    _, _, rest = document.partition(BEGIN)
    inside, _, _ = rest.partition(END)
    lines = [line for line in inside.splitlines() if line.startswith("|") and line not in _HEADER]
    return [tuple(cell.strip() for cell in line.split("|")[1:5]) for line in lines]


def written(document: str, rows: Sequence[str]) -> str:
    """The document with these rows between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    begin, end = document.index(BEGIN) + len(BEGIN), document.index(END)
    return "\n".join([document[:begin], "", *_HEADER, *rows, "", document[end:]])


def rows() -> Iterator[str]:
    """Measure every pair."""
    with tempfile.TemporaryDirectory() as folder:
        for number, pair in enumerate(PAIRS):
            line = row(pair, measure(pair, Path(folder) / str(number)))
            sys.stdout.write(f"{line}\n")
            yield line


def main() -> None:
    """Measure every pair and write the document."""
    DOCUMENT.write_text(written(DOCUMENT.read_text(), list(rows())))


if __name__ == "__main__":
    main()
