"""A data set, checked: features, one class a row, and what every column is.

Where the rows come from is left to the modules beside this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sigmax.contract import Feature, Image, Kind
from sigmax.errors import InvalidInput, listed, nearest, quoted

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows with their classes.

    Attributes:
        description: where the rows come from, for people.
        features: (n_samples, n_features), float64, or uint8 for pixels.
        codes: (n_samples,), the column of each row's class.
        classes: labels in column order.
        blocks: what the columns are; their sizes add up to n_features.
        groups: (n_samples,) or None; rows of one group are never in both train and test.
        flips: training rows are pictures that are also seen mirrored, left to right.
        files: of pictures that were read from files, where each row's file lies; else empty.
    """

    description: str
    features: npt.NDArray[Any]
    codes: I64
    classes: tuple[str, ...]
    blocks: tuple[Feature, ...]
    groups: I64 | None = None
    flips: bool = False
    files: tuple[Path, ...] = ()

    @property
    def image(self) -> Image | None:
        """How the pixels lie, if the features are one picture."""
        return self.blocks[0].image

    @property
    def sha256(self) -> str:
        """A digest of everything that a model could learn from; independent of file names and formats."""
        names = [block.name for block in self.blocks]
        rows = [self.classes[code] for code in self.codes]
        groups = None if self.groups is None else self.groups.tolist()
        head = json.dumps([names, rows, groups, str(self.features.dtype), self.features.shape])
        digest = hashlib.sha256(head.encode())
        digest.update(np.ascontiguousarray(self.features, self.features.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def assemble(
    description: str, features: F64, names: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> Dataset:
    """Build a tabular data set.

    Args:
        description: where the rows come from.
        features: (n_samples, n_features).
        names: of the features.
        labels: one a row.
        classes: the labels in column order.

    Raises:
        InvalidInput: values that are not finite, a constant target, or a class with one row.
    """
    problems = [*_not_finite(features, names), *_class_problems(labels, classes)]
    if problems:
        raise InvalidInput(listed(problems))
    column = {label: code for code, label in enumerate(classes)}
    codes = np.array([column[label] for label in labels], np.int64)
    return Dataset(description, features, codes, tuple(classes), numeric_blocks(features, names))


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
    problems = _class_problems(labels, classes)
    if problems:
        raise InvalidInput(listed(problems))
    codes = np.array([classes.index(label) for label in labels], np.int64)
    return Dataset(description, features, codes, tuple(classes), (picture_block(image),))


def ordered(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """The same rows with the classes in another order.

    Raises:
        InvalidInput: the classes are not the data's.
    """
    problems = [
        f"decision.classes: {quoted(label)} is no class of the data{nearest(label, dataset.classes)}"
        for label in classes
        if label not in dataset.classes
    ]
    problems += [
        f"decision.classes: the data's class {quoted(label)} is missing"
        for label in dataset.classes
        if label not in classes
    ]
    if problems:
        raise InvalidInput(listed(problems))
    moved = np.array([classes.index(label) for label in dataset.classes], np.int64)
    return replace(dataset, codes=moved[dataset.codes], classes=classes)


def _not_finite(features: F64, names: Sequence[str]) -> list[str]:
    rows, columns = np.nonzero(~np.isfinite(features))
    return [
        f"row {row}, column {quoted(names[column])}: {features[row, column]} is not a finite number"
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def _class_problems(labels: Sequence[str], classes: Sequence[str]) -> list[str]:
    if len(classes) < 2:
        return [f"the target is constant: every row is {quoted(classes[0])}; two classes are needed"]
    counts = dict.fromkeys(classes, 0)
    for label in labels:
        counts[label] += 1
    return [
        f"class {quoted(label)} has one row; at least two are needed, one to train and one to test"
        for label, count in counts.items()
        if count == 1
    ]
