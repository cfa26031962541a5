"""A data set, checked: features, one class (or several labels) a row, and what every column is.

Where the rows come from is left to the modules beside this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, Image, Kind, Task
from sigmax.errors import InvalidInput, listed, nearest, quoted

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fill:
    """What is put in place of a missing number: a statistic of the training rows, or a constant."""

    strategy: str
    value: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows with their classes.

    Attributes:
        description: where the rows come from, for people.
        features: (n_samples, n_features): float64 with codes for categories and NaN for missing numbers, or
            uint8 for pixels.
        codes: (n_samples,), the column of each row's class; of a multi-label data set bool (n_samples,
            n_classes), whether each label is there.
        classes: labels in column order.
        blocks: what the columns are; their sizes add up to n_features.
        fills: by name, how the missing numbers of a column are imputed.
        groups: integers (n_samples,) or None; rows of one group are never in both train and test.
        times: numbers (n_samples,) or None; when each row was, where the later ones are judged.
        flips: training rows are pictures that are also seen mirrored, left to right.
        files: of pictures that were read from files, where each row's file lies; else empty.
        digest: of the rows that these are a part of; None where they are all there are.
        notices: what a person should look at, though nothing is wrong.
    """

    description: str
    features: npt.NDArray[Any]
    codes: npt.NDArray[Any]
    classes: tuple[str, ...]
    blocks: tuple[Feature, ...]
    fills: Mapping[str, Fill] = field(default_factory=dict)
    groups: npt.NDArray[Any] | None = None
    times: npt.NDArray[Any] | None = None
    flips: bool = False
    files: tuple[Path, ...] = ()
    digest: str | None = None
    notices: tuple[str, ...] = ()

    @property
    def multilabel(self) -> bool:
        """Whether a row has any number of labels instead of one class."""
        return self.codes.ndim == 2

    @property
    def task(self) -> Task:
        """What is asked of a row."""
        if self.multilabel:
            return Task.MULTILABEL
        return Task.BINARY if len(self.classes) == 2 else Task.MULTICLASS

    @property
    def image(self) -> Image | None:
        """How the pixels lie, if the features are one picture."""
        return self.blocks[0].image

    @property
    def sha256(self) -> str:
        """A digest of everything that a model could learn from; independent of file names and formats."""
        if self.digest is not None:
            return self.digest
        names = [[block.name, block.kind.value, block.vocabulary] for block in self.blocks]
        rows: list[Any] = (
            self.codes.tolist() if self.multilabel else [self.classes[code] for code in self.codes]
        )
        groups = None if self.groups is None else self.groups.tolist()
        times = None if self.times is None else self.times.tolist()
        head = json.dumps([names, rows, groups, times, str(self.features.dtype), self.features.shape])
        digest = hashlib.sha256(head.encode())
        digest.update(np.ascontiguousarray(self.features, self.features.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def assemble(
    description: str, features: F64, names: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> Dataset:
    """Build a data set of plain numbers.

    Args:
        description: where the rows come from.
        features: (n_samples, n_features).
        names: of the features.
        labels: one a row.
        classes: the labels in column order.

    Raises:
        InvalidInput: values that are not finite, a constant target, or a class with one row.
    """
    problems = [*_not_finite(features, names), *class_problems(labels, classes)]
    if problems:
        raise InvalidInput(listed(problems))
    codes = codes_of(labels, classes)
    return Dataset(description, features, codes, tuple(classes), numeric_blocks(features, names))


def codes_of(labels: Sequence[str], classes: Sequence[str]) -> I64:
    """The column of each label, (n_samples,)."""
    column = {label: code for code, label in enumerate(classes)}
    return np.array([column[label] for label in labels], np.int64)


def numeric_blocks(features: F64, names: Sequence[str]) -> tuple[Feature, ...]:
    """One number a column, with the range seen in the data."""
    low, high = features.min(axis=0), features.max(axis=0)
    return tuple(
        Feature(name, Kind.NUMERIC, (), "float64", (float(low[j]), float(high[j])))
        for j, name in enumerate(names)
    )


def picture_block(image: Image) -> Feature:
    """The one feature block of rows that are pictures."""
    return Feature("image", Kind.IMAGE, image.shape, "uint8", (0.0, 255.0), image=image)


def of_pictures(
    description: str,
    features: npt.NDArray[np.uint8],
    labels: Sequence[str],
    classes: Sequence[str],
    image: Image,
) -> Dataset:
    """Build a data set of pictures.

    Args:
        description: where they come from.
        features: (n_samples, n_features), laid out as `image` says.
        labels: one a row.
        classes: the labels in column order.
        image: how the pixels lie.

    Raises:
        InvalidInput: a constant target, or a class with one row.
    """
    problems = class_problems(labels, classes)
    if problems:
        raise InvalidInput(listed(problems))
    codes = np.array([classes.index(label) for label in labels], np.int64)
    return Dataset(description, features, codes, tuple(classes), (picture_block(image),))


def ordered(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """The same rows with the classes in another order.

    Raises:
        InvalidInput: the classes are not the data's.
    """
    codes = moved(dataset.codes, dataset.classes, in_order(dataset.classes, classes))
    return replace(dataset, codes=codes, classes=classes)


def in_order(there: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The wanted classes, which are those that are there.

    Raises:
        InvalidInput: they are not.
    """
    problems = [
        f"decision.classes: {quoted(label)} is no class of the data{nearest(label, there)}"
        for label in wanted
        if label not in there
    ]
    problems += [
        f"decision.classes: the data's class {quoted(label)} is missing"
        for label in there
        if label not in wanted
    ]
    if problems:
        raise InvalidInput(listed(problems))
    return wanted


def moved(codes: npt.NDArray[Any], there: tuple[str, ...], wanted: tuple[str, ...]) -> npt.NDArray[Any]:
    """Codes of classes in one order as those of another order.

    Args:
        codes: (n_samples,), or bool (n_samples, n_classes).
        there: the order that they are in.
        wanted: the same classes.
    """
    if codes.ndim == 2:
        return codes[:, [there.index(label) for label in wanted]]
    places = np.array([wanted.index(label) for label in there], np.int64)
    return np.asarray(places[codes])


def _not_finite(features: F64, names: Sequence[str]) -> list[str]:
    rows, columns = np.nonzero(~np.isfinite(features))
    return [
        f"row {row}, column {quoted(names[column])}: {features[row, column]} is not a finite number"
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def class_problems(labels: Sequence[str], classes: Sequence[str]) -> list[str]:
    """What is wrong with one class a row: fewer than two classes, or one that only one row has."""
    counts = dict.fromkeys(classes, 0)
    for label in labels:
        counts[label] += 1
    return few_of_class(counts)


def few_of_class(counts: Mapping[str, int]) -> list[str]:
    """The same by how many rows each class has."""
    if len(counts) < 2:
        return [f"the target is constant: every row is {quoted(next(iter(counts)))}; two classes are needed"]
    return [
        f"class {quoted(label)} has one row; at least two are needed, one to train and one to test"
        for label, count in counts.items()
        if count == 1
    ]


def few_of_label(counts: Mapping[str, int], rows: int) -> list[str]:
    """What is wrong with labels that any number of which a row may have.

    Args:
        counts: how many rows each label is there in.
        rows: how many there are.
    """
    return [
        f"label {quoted(label)} is there in {count} of {rows} rows; at least two with it and two "
        "without it are needed"
        for label, count in counts.items()
        if not 2 <= count <= rows - 2
    ]
