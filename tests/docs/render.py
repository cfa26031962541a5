"""The course to be read in a browser: `python -m tests.docs.render` runs every page and writes build/learn.

The plots of docs/learn/plots are drawn, and the rows of the table of contents written, anew on the way. The
pages are whole files without scripts; nothing is fetched from a network.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from tests.docs import course, markdown, svg
from tests.docs.markdown import ROOT

BUILD = ROOT / "build" / "learn"

_STYLE = Path(__file__).with_name("style.css")
_FRAME = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<nav>$navigation</nav>
<main>
$body</main>
<nav class="end">$navigation</nav>
</body>
</html>
""")


class _Renderer(RendererHTML):
    """HTML in which a block shows the name that it is to be saved under."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        language, _, name = tokens[idx].info.partition(" ")
        caption = f"<figcaption>{escape(name)}</figcaption>\n" if name else ""
        code = f"<pre><code>{escape(tokens[idx].content)}</code></pre>"
        return f'<figure class="{escape(language)}">\n{caption}{code}\n</figure>\n'


def write(target: Path) -> list[Path]:
    """Write the table of contents and the pages as they are now, with their plots.

    Args:
        target: the folder; made if it is missing.

    Returns:
        The HTML files, the table of contents first.
    """
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(course.PLOTS, target / "plots", dirs_exist_ok=True)
    order = [course.CONTENTS, *course.pages()]
    written = [target / _html_name(page.name) for page in order]
    for place, (page, file) in enumerate(zip(order, written, strict=True)):
        file.write_text(_whole(page, _neighbours(order, place), target))
    return written


def _whole(page: Path, navigation: str, target: Path) -> str:
    title, _ = course.beginning(page)
    return _FRAME.substitute(
        title=escape(title), style=_STYLE.read_text(), navigation=navigation, body=body(page, target)
    )


def body(page: Path, target: Path) -> str:
    """A page as HTML; its links lead from the target folder to where they lead in the checkout."""
    parser = MarkdownIt("commonmark", renderer_cls=_Renderer).enable("table")
    tokens = parser.parse(page.read_text())
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            before.attrSet("id", markdown.anchor(token.content))
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _address(str(child.attrs["href"]), target))
    return str(parser.renderer.render(tokens, parser.options, {}))


def _address(link: str, target: Path) -> str:
    file, hash_sign, anchor = link.partition("#")
    if "://" in link or not file:
        return link
    found = (course.LEARN / file).resolve()
    if found.parent == course.LEARN and found.suffix == ".md":
        return _html_name(found.name) + hash_sign + anchor
    return os.path.relpath(found, target) + hash_sign + anchor


def _neighbours(order: Sequence[Path], place: int) -> str:
    """Links to the page before, the contents and the page behind."""
    before = order[place - 1] if place > 1 else None
    behind = order[place + 1] if place + 1 < len(order) else None
    named = (
        ("← {}", before),
        ("Contents", course.CONTENTS if place else None),
        ("{} →", behind),
    )
    return "\n".join(
        f'<a href="{_html_name(page.name)}">{escape(text.format(course.beginning(page)[0]))}</a>'
        for text, page in named
        if page is not None
    )


def _html_name(name: str) -> str:
    return "index.html" if name == course.CONTENTS.name else f"{Path(name).stem}.html"


def _refresh(page: Path, settings: Path) -> None:
    """Run a page and keep what it drew where it looks different from what is there."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = course.work_through(page, Path(folder), settings)
    for name, text in drawn.items():
        file = course.PLOTS / name
        if not file.exists() or not svg.same(file.read_text(), text):
            file.write_text(text)


def main() -> None:
    """Run every page, draw its plots and write the table of contents anew, write the course."""
    with tempfile.TemporaryDirectory() as settings:
        course.list_fonts(Path(settings))
        for page in course.pages():
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")
            sys.stdout.flush()
            _refresh(page, Path(settings))
    course.CONTENTS.write_text(course.with_contents(course.CONTENTS.read_text()))
    contents, *_ = write(BUILD)
    sys.stdout.write(f"{contents.relative_to(ROOT)} is the course\n")


if __name__ == "__main__":
    main()
