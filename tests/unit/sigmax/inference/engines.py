"""Engines whose runs are watched, and held until the test lets them go."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from sigmax.contract import Manifest
from sigmax.inference.catalog import Served
from sigmax.inference.costs import Costs
from sigmax.inference.engine import Engine, Floats
from sigmax.inference.predictor import Predictor
from sigmax.inference.proof import Proof
from sigmax.protocol.schema import Schema

PATIENCE = 20
"""Seconds after which a test that waits for a thread has failed."""

COSTLY = Costs(((1, 2e-3), (4, 4e-3)), 50e-6, batch_rows=4)
"""Of a model that is never computed on the event loop."""

BRIEF = Costs(((1, 3e-4), (4, 6e-4)), 50e-6, batch_rows=4)
"""Of a model that is computed on the event loop for a request that is alone."""


class Watched:
    """Answers each row with [1 - x, x] of its first feature x, and the logits [-x, x].

    Attributes:
        runs: the first feature of every row, by run.
        threads: which thread ran.
    """

    def __init__(self) -> None:
        self.runs: list[list[float]] = []
        self.threads: list[int] = []

    def run(self, features: Floats) -> Floats:
        self._note(features)
        return said(features)

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        self._note(features)
        first: Any = features[:, :1]
        return said(features), np.hstack([-first, first])

    def _note(self, features: Floats) -> None:
        self.runs.append(features[:, 0].tolist())
        self.threads.append(threading.get_ident())


class Held(Watched):
    """The same, but every run waits to be let go."""

    def __init__(self) -> None:
        super().__init__()
        self._began, self._go = threading.Semaphore(0), threading.Semaphore(0)

    def let_go(self, runs: int = 1000) -> None:
        """Let so many runs come to their end."""
        self._go.release(runs)

    def wait_for_a_run(self) -> None:
        """Until the next run has begun."""
        assert self._began.acquire(timeout=PATIENCE)

    def _note(self, features: Floats) -> None:
        super()._note(features)
        self._began.release()
        assert self._go.acquire(timeout=PATIENCE)


class Picky(Watched):
    """The same, but a run with a row that begins with 13 fails."""

    def _note(self, features: Floats) -> None:
        super()._note(features)
        if 13 in features[:, 0]:
            raise RuntimeError("no such luck")


def said(features: Floats) -> Floats:
    first: Any = features[:, :1]
    answer: Floats = np.hstack([1 - first, first])
    return answer


def serve(engine: Engine, manifest: Manifest, costs: Costs, version: str = "1") -> Served:
    return Served(
        "small", version, Predictor(manifest, engine), Schema(manifest), Proof(1, 0.0, 0), b"{}", costs
    )
