"""How much load a measurement is worth: a look in minutes, or the figures that stand in the documentation."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Effort:
    """So many rounds, in which every server takes its turn.

    Attributes:
        seconds: of load in one turn.
        rounds: of turns; medians and spreads are over them.
        starts: of the service, where starting is what is measured.
        bundles: how many small models make many.
    """

    seconds: int
    rounds: int
    starts: int
    bundles: int

    @property
    def text(self) -> str:
        """The conditions in words."""
        return f"{self.rounds} rounds of {self.seconds} s"


EFFORTS = {"quick": Effort(1, 2, 2, 100), "full": Effort(2, 4, 5, 1000)}
"""`full` takes 20 minutes on a quiet machine, `quick` 7."""


def add_options(parser: ArgumentParser) -> None:
    """Let the command line choose."""
    parser.add_argument("--effort", choices=EFFORTS, default="full")
    parser.add_argument("--seconds", type=int, help="of load in one turn, instead of the effort's own")
    parser.add_argument("--rounds", type=int, help="of turns, likewise")


def chosen(arguments: Namespace) -> Effort:
    """What the command line chose."""
    effort = EFFORTS[arguments.effort]
    if arguments.seconds is not None:
        effort = replace(effort, seconds=arguments.seconds)
    if arguments.rounds is not None:
        effort = replace(effort, rounds=arguments.rounds, starts=arguments.rounds)
    return effort
