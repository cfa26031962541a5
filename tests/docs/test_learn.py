"""The course does what it shows, draws the plots that are committed, and can be read in a browser."""

from __future__ import annotations

import ast
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.docs import course, markdown, render, svg

PAGES = course.pages()
IDS = [page.name for page in PAGES]

MAY_BE_IMPORTED = {"matplotlib", "numpy", "sigmax", "sigmax_training", "sklearn"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where matplotlib has its list of fonts."""
    folder = tmp_path_factory.mktemp("matplotlib")
    course.list_fonts(folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_page_does_what_it_shows_and_draws_the_plots_that_are_committed(
    page: Path, settings: Path, tmp_path: Path
) -> None:
    drawn = course.work_through(page, tmp_path, settings)

    assert course.pictures(page) == set(drawn)
    for name, text in drawn.items():
        assert svg.same((course.PLOTS / name).read_text(), text), (
            f"{name} looks different: `make learn` draws it"
        )


def test_every_committed_plot_is_shown() -> None:
    shown = {name for page in PAGES for name in course.pictures(page)}

    assert shown == {plot.name for plot in course.PLOTS.glob("*.svg")}


def test_the_table_of_contents_has_every_page_with_its_first_sentence() -> None:
    written = course.CONTENTS.read_text()

    assert course.with_contents(written) == written, "`make learn` writes it"
    assert {page.name for page in PAGES} <= set(markdown.links(course.CONTENTS))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_page_ends_in_the_job_that_does_the_same_for_real(page: Path) -> None:
    _, heading, end = page.read_text().partition("\n## The job that does this for real\n")

    assert heading
    assert "\n## " not in end
    assert "\n$ sigmax-train run --quiet " in end


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_page_imports_what_every_reader_has_installed(page: Path) -> None:
    programs = [block for block in markdown.blocks(page) if block.language == "python"]
    its_own = {str(block.name).removesuffix(".py") for block in programs}

    assert set().union(*(imported(block.text) for block in programs)) <= MAY_BE_IMPORTED | its_own


def imported(program: str) -> set[str]:
    """The packages that a program imports."""
    found = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_no_line_of_code_or_output_is_longer_than_80_characters(page: Path) -> None:
    long = [line for block in markdown.blocks(page) for line in block.lines if len(line) > 80]

    assert long == []


def test_the_course_in_a_browser_leads_nowhere_that_is_not_there(tmp_path: Path) -> None:
    written = render.write(tmp_path / "learn")

    assert [file.name for file in written] == ["index.html", *(f"{page.stem}.html" for page in PAGES)]
    assert [address for file in written for address in addresses(file) if not there(file, address)] == []


class Addresses(HTMLParser):
    """Collects where the links and pictures of a page lead, and the names that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src"):
                self.found.append(str(value))
            elif name == "id":
                self.names.add(str(value))


def addresses(file: Path) -> list[str]:
    """Where the links and pictures of an HTML file lead."""
    parser = Addresses()
    parser.feed(file.read_text())
    return parser.found


def there(file: Path, address: str) -> bool:
    """Whether an address is of another site, or a file and a heading that exist."""
    if "://" in address:
        return True
    name, _, anchor = address.partition("#")
    target = (file.parent / name).resolve() if name else file
    if not target.exists() or not anchor:
        return target.exists()
    if target.suffix == ".md":
        return anchor in markdown.anchors(target)
    parser = Addresses()
    parser.feed(target.read_text())
    return anchor in parser.names


def test_a_block_in_a_browser_says_the_name_that_it_is_saved_under(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Odds\n\n```python odds.py\nprint(1 < 2)\n```\n\n## What it *shows*\n")

    html = render.body(page, tmp_path)

    assert "<figcaption>odds.py</figcaption>\n<pre><code>print(1 &lt; 2)\n</code></pre>" in html
    assert '<h2 id="what-it-shows">' in html


PLOT = '<metadata>of 2026</metadata><path id="m0123456789" d="M 10.5 -20.25" style="fill: #0072b2"/>'


@pytest.mark.parametrize(
    "other",
    [
        PLOT,
        PLOT.replace("2026", "2027"),
        PLOT.replace("m0123456789", "mabcdef0123"),
        PLOT.replace("10.5", "10.500001").replace("-20.25", "-20.24"),
    ],
)
def test_plots_that_differ_in_names_and_last_digits_look_the_same(other: str) -> None:
    assert svg.same(PLOT, other)


@pytest.mark.parametrize(
    "other",
    [PLOT.replace("10.5", "10.6"), PLOT.replace("0072b2", "0073b2"), PLOT + PLOT, PLOT.replace("M", "L")],
)
def test_plots_that_differ_in_anything_else_do_not(other: str) -> None:
    assert not svg.same(PLOT, other)
