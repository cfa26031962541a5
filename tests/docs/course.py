"""The course in docs/learn: its pages, and a reader who works through one of them.

What makes a page good is for the tests to say; how it looks in a browser is `tests.docs.render`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.docs import markdown
from tests.docs.following import follow
from tests.docs.markdown import ROOT
from tests.docs.reader import reader
from tests.service import environment

LEARN = ROOT / "docs" / "learn"
CONTENTS = LEARN / "README.md"
PLOTS = LEARN / "plots"
STYLE = PLOTS / "sigmax.mplstyle"

_FONTS_SECONDS = 120

_ROWS = re.compile(r"(?<=^\|---\|---\|\n)(?:\|.+\|\n)*", re.MULTILINE)


def pages() -> list[Path]:
    """The pages in order."""
    return sorted(LEARN.glob("[0-9][0-9]-*.md"))


def with_contents(text: str) -> str:
    """The text of the table of contents, its rows written anew from the pages."""
    rows = ""
    for page in pages():
        title, sentence = beginning(page)
        rows += f"| [{title}]({page.name}) | {sentence} |\n"
    return _ROWS.sub(lambda _: rows, text, count=1)


def beginning(page: Path) -> tuple[str, str]:
    """The title of a page and its first paragraph on one line."""
    title, paragraph = page.read_text().split("\n\n")[:2]
    return title.removeprefix("# "), " ".join(paragraph.split())


def pictures(page: Path) -> set[str]:
    """The plots that a page shows, by file name."""
    return {Path(target).name for target in markdown.links(page) if target.startswith("plots/")}


def list_fonts(settings: Path) -> None:
    """Let matplotlib look for fonts now: whoever draws first may be told that it takes a moment."""
    subprocess.run(
        [sys.executable, "-c", "import matplotlib.font_manager"],
        env=environment(MPLCONFIGDIR=str(settings)),
        check=True,
        capture_output=True,
        timeout=_FONTS_SECONDS,
    )


def work_through(page: Path, folder: Path, settings: Path) -> dict[str, str]:
    """Follow a page from its first block to its last, in a new folder without models.

    Args:
        page: one of `pages()`.
        folder: empty; the reader's folder is made in it.
        settings: where matplotlib keeps its list of fonts, and finds no settings of anybody's own.

    Returns:
        The plots that were drawn, by file name.
    """
    models = folder / "no models"
    models.mkdir()
    with reader(folder, models, MPLCONFIGDIR=str(settings), MPLBACKEND="agg") as one:
        one.save("plots/sigmax.mplstyle", STYLE.read_text())
        for block in markdown.blocks(page):
            if block.reason is None:
                follow(one, block)
        return {plot.name: plot.read_text() for plot in sorted((one.home / "plots").glob("*.svg"))}
