"""Rows that are read again and again instead of being held: what a trainer of more than memory stands on.

The shape alone; which files the rows come from is left to the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from sigmax.contract import Feature
from sigmax_training.data.dataset import F64, Fill
from sigmax_training.drawing import U64


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows that stand together.

    Attributes:
        features: float64 (n_samples, n_features), codes for categories, NaN for missing numbers.
        codes: (n_samples,), the column of each row's class; or bool (n_samples, n_classes).
        keys: (n_samples,), what each row is drawn by: its key, else its number among all rows.
        times: (n_samples,) or None; when each row was, where the later ones are judged.
    """

    features: F64
    codes: npt.NDArray[Any]
    keys: U64
    times: F64 | None = None


class Stream(Protocol):
    """A data set that was looked through once, and can be read any number of times."""

    @property
    def description(self) -> str:
        """Where the rows come from, for people."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels in column order."""
        ...

    @property
    def multilabel(self) -> bool:
        """Whether a row has any number of labels instead of one class."""
        ...

    @property
    def blocks(self) -> tuple[Feature, ...]:
        """What the columns are; their sizes add up to n_features."""
        ...

    @property
    def fills(self) -> Mapping[str, Fill]:
        """By name, how the missing numbers of a column are imputed."""
        ...

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    @property
    def pieces(self) -> int:
        """How many pieces may be read in any order: the files, or the row groups in them."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should look at, though nothing is wrong."""
        ...

    @property
    def sha256(self) -> str:
        """A digest of everything that a model could learn from."""
        ...

    def read(self, order: Sequence[int]) -> Iterator[Part]:
        """The rows of some pieces, piece after piece, in parts of a bounded size.

        Args:
            order: numbers of pieces, each at most once.

        Raises:
            InvalidInput: a file has vanished, is cut off, or is not what it was when it was looked through.
        """
        ...
