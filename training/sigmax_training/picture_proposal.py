"""A first job for a folder of pictures: looked at, chosen and explained, to be run as it is and then changed.

What is chosen is small enough to train in minutes; the person who knows the pictures chooses better.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

import numpy as np

from sigmax.contract import Colour, Image, Resize
from sigmax.errors import InvalidInput, listed, quoted
from sigmax.pictures import decode
from sigmax.protocol.containers import MAX_PIXELS, look
from sigmax_training.data.files import ENDINGS
from sigmax_training.data.pictures import File, find
from sigmax_training.data.target import canonical
from sigmax_training.job import Pictures
from sigmax_training.proposal import classes, job_name, text

LONGEST_SIDE = 64
"""Pixels: what a linear model can use of a photograph is there, and more only takes longer."""

MOST_BYTES = 2**28
"""Of all rows as the estimator takes them, in float64; fitting holds them several times."""

FOLDS = 5

_LOOKED_AT, _DECODED = 200, 20
_GREY_NOISE = 2
_SCORED = 0.2


@dataclass(frozen=True, slots=True)
class Look:
    """What a folder of pictures is like.

    Attributes:
        counts: how many pictures each class has, in the order of the classes.
        height: of a typical picture, upright.
        width: likewise.
        grey: whether no picture that was decoded has a colour.
    """

    counts: dict[str, int]
    height: int
    width: int
    grey: bool

    @property
    def total(self) -> int:
        """How many pictures there are."""
        return sum(self.counts.values())


def may_be_pictures(path: Path) -> bool:
    """Whether a path is a folder that holds folders, or nothing that a table could be in."""
    return path.is_dir() and not any(entry.suffix.lower() in ENDINGS for entry in path.iterdir())


def look_at(folder: Path) -> Look:
    """Count the pictures of a folder, and look at some of them.

    Raises:
        InvalidInput: naming everything that would keep a job from being trained on them.
    """
    found = find(Pictures(folder, (1, 1)))
    labels, classes = canonical([file.label for file in found.files])
    counts = Counter(labels)
    problems = [*found.problems, *_too_small(counts)]
    sizes, grey = [], True
    for number, file in enumerate(_spread(found.files, _LOOKED_AT)):
        try:
            content = file.path.read_bytes()
            sizes.append(look(content, MAX_PIXELS).upright)
            grey = grey and (number >= _DECODED or _is_grey(content))
        except OSError as error:
            problems.append(f"{file.name}: cannot be read: {error.strerror}")
        except InvalidInput as error:
            problems.append(f"{file.name}: {error}")
    if problems:
        raise InvalidInput(listed(problems))
    heights, widths = zip(*sizes, strict=True)
    counted = {label: counts[label] for label in classes}
    return Look(counted, median_low(heights), median_low(widths), grey)


def _too_small(counts: Counter[str]) -> list[str]:
    problems = [
        f"class {quoted(label)} has one picture; at least two are needed"
        for label, count in counts.items()
        if count == 1
    ]
    if len(counts) == 1:
        problems.append(f"the only class is {quoted(next(iter(counts)))}; two classes are needed")
    return problems


def _spread(files: Sequence[File], most: int) -> list[File]:
    """Some files from everywhere, in an order that makes the first few of them so, too."""
    order = np.random.default_rng(0).permutation(len(files))[:most]
    return [files[position] for position in order.tolist()]


def _is_grey(content: bytes) -> bool:
    """Whether the three channels are the same, but for what a JPEG's rounding makes of grey."""
    thumbnail = Image(Colour.RGB, "CHW", 32, 32, Resize.BOX, scale=1.0)
    channels = decode(content, thumbnail).reshape(thumbnail.shape).astype(np.int16)
    return int(np.ptp(channels, axis=0).max()) <= _GREY_NOISE


def chosen_size(look: Look) -> tuple[int, int]:
    """Height and width for a job: the typical shape, small enough for the time and the memory it takes."""
    channels = 1 if look.grey else 3
    most_pixels = MOST_BYTES / (8 * channels * look.total)
    share = min(
        1.0, LONGEST_SIDE / max(look.height, look.width), (most_pixels / (look.height * look.width)) ** 0.5
    )
    return max(1, round(look.height * share)), max(1, round(look.width * share))


def job_text(folder: Path, look: Look, output: Path) -> str:
    """The job as TOML, explained line by line.

    Args:
        folder: of the pictures.
        look: what they are like.
        output: where the job will lie; its path to the folder is relative to it.
    """
    height, width = chosen_size(look)
    size = str(height) if height == width else f"[{height}, {width}]"
    smallest = min(look.counts.values())
    relative = os.path.relpath(folder.resolve(), output.resolve().parent)
    fraction = _SCORED if look.total * _SCORED >= len(look.counts) else 0.5
    return f"""\
# Which of {len(look.counts)} classes a picture shows: {classes(look.counts)}.
# Written by `sigmax-train init`; docs/jobs.md says what else there is to choose.
name = {text(job_name(folder))}

[data]
images = {text(relative)}  # a folder for each class, relative to this file
size = {size}  # [height, width] of what the model sees; {look.height} x {look.width} is typical of the files
colour = "{"grey" if look.grey else "rgb"}"  # or: {"rgb" if look.grey else "grey"}, hsv
resize = "bilinear"  # or: nearest, box, hamming, bicubic, lanczos
flips = false  # true: training pictures are also seen mirrored, where left and right mean nothing

[estimator]
kind = "logistic_regression"  # or: mlp, with hidden = [64] for instance
standardise = true
C = 0.01  # smaller forgives more: fewer pictures, or more pixels, want a smaller one
tol = 1e-4

[evaluation]
folds = {min(FOLDS, smallest)}  # at most {smallest}, the pictures of the smallest class
repeats = 1
test_fraction = {fraction}
"""


def summary(folder: Path, look: Look, output: Path) -> str:
    """What was seen, and what to do next."""
    kind = "grey" if look.grey else "colour"
    width = max(map(len, look.counts))
    lines = [
        f"{folder}: {look.total} pictures of {len(look.counts)} classes, "
        f"typically {look.width}x{look.height} pixels in {kind}",
        *(f"  {label:{width}}  {count}" for label, count in look.counts.items()),
        f"wrote {output}; next:",
        f"  {shlex.join(['sigmax-train', 'run', str(output)])}",
        "  sigmax serve",
    ]
    return "\n".join(lines)
