"""README.ko.md is README.md in Korean, and cannot fall behind it silently.

What a translator carries over unchanged is compared: outline, fenced blocks, links, code and figures. That
the blocks do what they show is proved once, on README.md, in `test_docs.py`; that the Korean says what the
English does is left to readers.
"""

from __future__ import annotations

import re

from tests.docs import markdown
from tests.docs.markdown import ROOT

ENGLISH = ROOT / "README.md"
KOREAN = ROOT / "README.ko.md"


def test_the_translation_has_the_same_headings_tables_and_lists() -> None:
    assert outline(markdown.prose(KOREAN)) == outline(markdown.prose(ENGLISH))


def outline(prose: str) -> list[str]:
    """What opens each heading, row of a table and item of a list, in order: `##`, `|`, `-`."""
    return re.findall(r"^(?:#+(?= )|\||-(?= ))", prose, flags=re.MULTILINE)


def test_the_translation_has_the_same_blocks_in_the_same_order() -> None:
    korean, english = (
        [(block.language, block.name, block.text, block.reason) for block in markdown.blocks(path)]
        for path in (KOREAN, ENGLISH)
    )

    assert korean == english


def test_the_translation_links_to_the_same_targets_and_each_language_to_the_other() -> None:
    korean, english = markdown.links(KOREAN), markdown.links(ENGLISH)

    assert korean[0] == ENGLISH.name
    assert english[0] == KOREAN.name
    assert sorted(korean[1:]) == sorted(english[1:])


def test_the_translation_has_the_same_code_in_its_prose_and_tables() -> None:
    assert code(markdown.prose(KOREAN)) == code(markdown.prose(ENGLISH))


def code(prose: str) -> list[str]:
    """What stands in backticks, however it is wrapped; sorted, since Korean orders a sentence otherwise."""
    return sorted(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))


def test_the_translation_has_the_same_figures() -> None:
    assert figures(markdown.prose(KOREAN)) == figures(markdown.prose(ENGLISH))


def figures(prose: str) -> list[str]:
    """Every number in digits, sorted; a number that is a word in one language is a word in the other."""
    return sorted(re.findall(r"\d+(?:[.,]\d+)*", prose))
