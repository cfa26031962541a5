"""Fenced blocks, links and headings of a Markdown file: as much of Markdown as these documents use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"```(?P<language>\w*)(?: (?P<name>\S+))?")
_NOT_EXECUTED = re.compile(r"<!-- not executed: (?P<reason>.+) -->")
_LINK = re.compile(r"\[[^]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"#+ (?P<text>.+)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        where: the document and line, for messages.
        language: the first word behind the fence.
        name: the second one, the file that the block is; None if there is none.
        reason: why it is not executed; None if it is.
    """

    where: str
    language: str
    name: str | None
    lines: tuple[str, ...]
    reason: str | None

    @property
    def text(self) -> str:
        """What stands between the fences."""
        return "".join(f"{line}\n" for line in self.lines)


def documents() -> list[Path]:
    """The documents: those at the root of the checkout and those under docs/."""
    return sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document, in order."""
    return list(_blocks(str(path.relative_to(ROOT)), path.read_text().splitlines()))


def _blocks(name: str, lines: list[str]) -> Iterator[Block]:
    numbered = iter(enumerate(lines, 1))
    before = ""
    for number, line in numbered:
        fence = _FENCE.fullmatch(line)
        if fence:
            inside = []
            for _, text in numbered:
                if text == "```":
                    break
                inside.append(text)
            marker = _NOT_EXECUTED.fullmatch(before)
            reason = marker["reason"] if marker else None
            yield Block(f"{name}:{number}", fence["language"], fence["name"], tuple(inside), reason)
        before = line


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(path: Path) -> list[str]:
    """The targets of a document's links."""
    return [match["target"] for match in _LINK.finditer(prose(path))]


def anchors(path: Path) -> set[str]:
    """What a link may name behind `#`: each heading as GitHub spells it."""
    headings = (_HEADING.fullmatch(line) for line in prose(path).splitlines())
    return {anchor(heading["text"]) for heading in headings if heading}


def anchor(heading: str) -> str:
    """What a link names a heading by."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
