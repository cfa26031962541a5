"""What is written of a measurement: the targets first, other sections kept, medians judged."""

from pathlib import Path

import pytest
from benchmarks import figures, report, targets
from benchmarks.figures import Outcome
from benchmarks.targets import TARGETS, Target


def test_the_targets_stand_first_and_other_sections_stay(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    for title, text in (("One", "1"), ("Two", "2"), (targets.TITLE, "t"), ("One", "new")):
        report.put_section(document, title, text)

    titles = [line for line in document.read_text().splitlines() if line.startswith("## ")]
    assert titles == [f"## {targets.TITLE}", "## One", "## Two"]
    assert "\nnew\n" in document.read_text()
    assert "\n1\n" not in document.read_text()


def test_figures_of_one_section_stay_when_another_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    figures.put(path, "one", Outcome("", {"a": [1, 2]}, {"c": [(0.5, 1.5)]}))
    figures.put(path, "two", Outcome("", {"b": [1 / 3]}))
    figures.put(path, "two", Outcome("", failures=("it failed",)))

    assert figures.figures(path) == {"a": [1, 2]}
    assert figures.curves(path) == {"c": [(0.5, 1.5)]}


@pytest.mark.parametrize(
    ("values", "reached"), [((0.7, 0.75, 0.9), True), ((0.7, 0.74, 0.9), False)], ids=["reached", "missed"]
)
def test_the_median_decides_whether_a_target_is_reached(values: tuple[float, ...], reached: bool) -> None:
    at_least = Target("a speed", "speed", 0.75, at_least=True)
    at_most = Target("a time", "time", -0.75)

    assert at_least.reached(values) is reached
    assert at_most.reached([-value for value in values]) is reached


def test_a_target_without_figures_is_shown_as_not_measured() -> None:
    table = targets.rendered({TARGETS[0].figure: [0.8]})

    assert f"| {TARGETS[0].line} | at least 0.75 | 0.80 (0.80..0.80) | yes |" in table
    assert table.count("not measured") == len(TARGETS) - 1
