"""The document lists the checks that there are."""

from __future__ import annotations

from tests.peers.table import DOCUMENT, documented

from sigmax.conform.suite import everything


def test_the_document_has_every_check_with_its_level_and_rule() -> None:
    rules = [(check.id, check.level.value, check.sentence) for _, check in everything()]

    assert documented(DOCUMENT.read_text("utf-8")) == rules


def test_a_rule_fits_into_a_cell_of_a_table() -> None:
    assert not any("|" in cell for _, check in everything() for cell in (check.id, check.sentence))
