"""Do what a document's block says: save it, or run its commands and hold what comes to what is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.docs.markdown import ROOT, Block
from tests.docs.output import agrees
from tests.docs.reader import Reader

from sigmax_training import job

DATA = ("csv", "json", "python", "toml")


def follow(one: Reader, block: Block) -> None:
    """Do what a block says."""
    if block.language == "console":
        for command, shown in commands(block):
            paste(one, command, shown, block.where)
    elif block.language in DATA and block.name is not None:
        one.save(block.name, block.text)
    elif block.language == "toml":
        job.parse(block.text, ROOT)
    elif block.language == "json":
        json.loads(block.text)
    else:
        assert block.language in ("text", "proto"), f"{block.where}: nothing says what to do with this block"


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the lines that the document shows under it."""
    starts = [index for index, line in enumerate(block.lines) if line.startswith("$ ")]
    assert starts, f"{block.where}: a console block begins with a command behind '$ '"
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        yield block.lines[start][2:], list(block.lines[start + 1 : end])


def paste(one: Reader, command: str, shown: list[str], where: str) -> None:
    """Run a command; what it prints is what is shown, and one that fails has to show how."""
    came, code = one.do(command)
    expected = [one.here(line) for line in shown]

    assert code == 0 or shown, f"{where}: $ {command}\nexit code {code}:\n" + "\n".join(came)
    assert agrees(expected, came), (
        f"{where}: $ {command}\nshown:\n" + "\n".join(expected) + "\ncame:\n" + "\n".join(came)
    )
