"""A first job for a table: looked at, chosen and explained, to be run as it is and then changed.

Every column is declared as what it seems to be, so that a file that changes later is noticed. What is no
feature is left out with the reason beside it; what nobody can know from the table alone, a person decides.
"""

from __future__ import annotations

import codecs
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sigmax.contract import Kind
from sigmax.errors import InvalidInput, listed, quoted
from sigmax_training.data import files
from sigmax_training.data.columns import Impression
from sigmax_training.data.csvs import guessed
from sigmax_training.data.files import File
from sigmax_training.data.look import Glance, columns_of, glance, look
from sigmax_training.data.suspicions import Suspected
from sigmax_training.job import Column, Dialect, Format, Tabular
from sigmax_training.proposal import SHOWN_CLASSES, classes, comment, job_name, key, text

FOLDS, REPEATS, FEW_ROWS = 10, 3, 2_000
"""Folds, and how often they are drawn where the rows are few."""

_TEST_FRACTIONS = (0.2, 0.3, 0.4, 0.5)

STREAMED_BYTES = 2**30
"""Files of more are read again in every epoch: in memory they are several times as large."""

MISSING_WORDS = ("NA", "N/A", "n/a", "na", "NULL", "null", "None", "NaN", "nan", "-", "?", ".", "없음")
"""What people write into a cell of numbers that has none."""

_FEW_WORDS = 0.05
"""Texts a number, up to which they are mistakes in a column of numbers."""

_REFUSED = "numeric in the job, which check refuses until the cells are corrected or mean a missing value"

_TARGETS = ("target", "label", "class", "y", "outcome", "결과", "정답")
_POSITIVE = ("yes", "true", "1", "positive", "y", "malignant", "churned", "fraud", "spam")
_DELIMITERS = (",", ";", "\t", "|")
_NAMED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a table is like.

    Attributes:
        source: the table, its dialect found out.
        glance: what its columns seem to be.
        counts: how many rows each class has, in the order of the classes.
        left_out: columns that are no features, with the reason.
        notices: what a person should look at.
        rows: how many there are.
        size: of its files, in bytes.
    """

    source: Tabular
    glance: Glance
    counts: dict[str, int]
    left_out: dict[str, str]
    notices: tuple[str, ...]
    rows: int
    size: int

    @property
    def streamed(self) -> bool:
        """Whether the job reads the files again in every epoch."""
        return self.size > STREAMED_BYTES

    @property
    def features(self) -> list[Impression]:
        """The columns that are features."""
        return [column for column in self.glance.columns if column.name not in self.left_out]


@dataclass(frozen=True, slots=True)
class Given:
    """What a person knows of a table; None where it is to be found out.

    Attributes:
        target: the column that holds the class.
        delimiter: what stands between cells.
        encoding: what the file is written in.
    """

    target: str | None = None
    delimiter: str | None = None
    encoding: str | None = None


def look_at(path: Path, given: Given) -> Look:
    """Look through a table.

    Args:
        path: a file, or a folder of files.
        given: what is known of it.

    Raises:
        InvalidInput: no target was named, or the table has mistakes that no job can mend.
    """
    found, target = files.find((path,), None), given.target
    dialect = _dialect(found[0], given)
    source = Tabular((path,), (target or "",), dialect=dialect, default=Column(missing="median"))
    if target is None:
        raise InvalidInput(_which_target(columns_of(source)))
    seen = glance(source)
    problems = [*seen.problems, *seen.target.problems()]
    if problems:
        raise InvalidInput(listed(problems))
    better = _written(source, seen.columns)
    if better != source:
        source, seen = better, glance(better)
    left_out = {column.name: reason for column in seen.columns if (reason := _no_feature(column))}
    if len(left_out) == len(seen.columns):
        raise InvalidInput(f"no column beside the target {quoted(target)} is a feature")
    mixed = [column.name for column in seen.columns if column.texts and column.name not in left_out]
    apart, notices = _suspicious(_with(source, seen.columns, left_out), left_out, mixed)
    left_out = {column.name: apart[column.name] for column in seen.columns if column.name in apart}
    return Look(
        source=_with(source, seen.columns, left_out),
        glance=seen,
        counts=seen.target.counts(),
        left_out=left_out,
        notices=(*notices, *_mixed(seen.columns)),
        rows=seen.columns[0].rows,
        size=sum(file.state[0] for file in found),
    )


def _with(source: Tabular, columns: Sequence[Impression], left_out: Iterable[str]) -> Tabular:
    """The table with every feature declared as what it seems to be."""
    apart = tuple(left_out)
    declared = {column.name: _declared(column) for column in columns if column.name not in apart}
    return replace(source, ignore=apart, columns=declared)


def _declared(column: Impression) -> Column:
    """What the job says of a column."""
    if column.texts and not _mostly_numbers(column):
        return Column(Kind.CATEGORY)
    missing = "most_frequent" if column.kind is Kind.BOOLEAN and column.missing else None
    return Column(column.kind, missing)


def _mostly_numbers(column: Impression) -> bool:
    """Whether the texts among numbers are so few that they are mistakes."""
    return column.words <= _FEW_WORDS * column.numbers


def _mixed(columns: Sequence[Impression]) -> Iterator[str]:
    """Columns of numbers and texts, which a person has to look at."""
    for column in columns:
        if not column.texts:
            continue
        fate = _REFUSED if _mostly_numbers(column) else "a category in the job"
        yield (
            f"column {quoted(column.name)} has {column.numbers:,} numbers and {column.words:,} texts, such "
            f"as {quoted(column.texts[0])}: it is {fate}"
        )


def _written(source: Tabular, columns: Sequence[Impression]) -> Tabular:
    """The table with what its cells tell of how they are written: words for nothing, decimal commas."""
    commas = any(column.commas for column in columns)
    dialect = replace(source.dialect, decimal=",") if commas else source.dialect
    return replace(source, missing_values=_missing_words(columns), dialect=dialect)


def _missing_words(columns: Sequence[Impression]) -> tuple[str, ...]:
    """The words among numbers that mean a missing value."""
    found = {text.strip() for column in columns for text in (*column.texts, *column.not_finite)}
    return tuple(word for word in MISSING_WORDS if word in found)


def _no_feature(column: Impression) -> str:
    """Why a column is no feature; empty for one that is."""
    if column.unsupported is not None:
        return f"holds {column.unsupported}{_as_a_key(column)}"
    if column.missing == column.rows:
        return "has no value at all"
    if column.inexact:
        return "has whole numbers beyond 2**53, as an identifier has; float64 does not hold them exactly"
    if column.times:
        return f"holds times{_as_a_key(column)}"
    if column.identifies:
        return f"has {column.different} different texts in {column.rows} rows, as an identifier has"
    return ""


def _as_a_key(column: Impression) -> str:
    """What a column of times is good for."""
    timed = column.times or (column.unsupported or "").startswith(("timestamp", "date"))
    return ", which no feature is; evaluation.key takes it, with split = 'time'" if timed else ""


def _suspicious(
    source: Tabular, left_out: dict[str, str], mixed: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What tells nothing is left out, too; what tells too much a person decides."""
    undeclared = {
        name: column if column.kind is not Kind.NUMERIC else Column(None, column.missing)
        for name, column in source.columns.items()
        if name not in mixed
    } | dict.fromkeys(mixed, Column(Kind.CATEGORY))
    found = look(replace(source, columns={name: own for name, own in undeclared.items() if own != Column()}))
    apart, notices = dict(left_out), []
    for suspicion in found.suspicions:
        if suspicion.kind in (Suspected.CONSTANT, Suspected.TWICE, Suspected.IDENTIFIER):
            apart[suspicion.column] = suspicion.reason
        else:
            notices.append(str(suspicion))
    if len(apart) - len(left_out) == len(source.columns):
        return left_out, tuple(map(str, found.suspicions))
    return apart, tuple(notices)


def _which_target(names: Sequence[str]) -> str:
    if not names:
        return "there is no column at all, and --target names the one that holds the class"
    likely = next((name for name in names if name.casefold() in _TARGETS), names[-1])
    shown = ", ".join(map(quoted, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")
    return (
        f"--target names the column that holds the class, one of {shown}; for instance --target "
        f"{shlex.quote(likely)}"
    )


def _dialect(file: File, given: Given) -> Dialect:
    """How a CSV file seems to be written; nothing of any other."""
    if file.format is not Format.CSV:
        return Dialect()
    encoding = given.encoding or _encoding(file)
    try:
        with file.path.open(encoding=encoding or "utf-8-sig", newline="") as text:
            head = [line for line, _ in zip(text, range(20), strict=False)]
    except OSError as error:
        raise files.unreadable(file.name, error) from error
    except LookupError as error:
        raise InvalidInput(f"--encoding: {quoted(encoding)} is no encoding that is known here") from error
    except UnicodeError:
        head = []
    found = given.delimiter or _delimiter(head)
    usual = "\t" if file.path.suffix.lower() == ".tsv" else ","
    return Dialect(found if found and found != usual else None, encoding=encoding or "utf-8")


def _encoding(file: File) -> str | None:
    """What a file is written in that is not UTF-8; None for UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.path.open("rb") as binary:
            for block in iter(lambda: binary.read(1 << 20), b""):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except OSError as error:
        raise files.unreadable(file.name, error) from error
    except UnicodeDecodeError:
        return guessed(file)
    return None


def _delimiter(head: Sequence[str]) -> str | None:
    """What stands between the cells of the first lines: the sign that all of them have most of."""
    lines = [line for line in head if line.strip()]
    found = {sign: min((line.count(sign) for line in lines), default=0) for sign in _DELIMITERS}
    best = max(found, key=found.__getitem__)
    return best if found[best] else None


def job_text(path: Path, look: Look, output: Path) -> str:
    """The job as TOML, explained line by line.

    Args:
        path: of the table.
        look: what it is like.
        output: where the job will lie; its path to the table is relative to it.
    """
    relative = os.path.relpath(path.resolve(), output.resolve().parent)
    parts = [
        f"# Which of {len(look.counts)} classes a row is: {classes(look.counts)}.",
        "# Written by `sigmax-train init`; docs/jobs.md says what else there is to choose.",
        f"name = {text(name_of(path))}",
        "",
        "[data]",
        f"path = {text(relative)}  # relative to this file",
        *_dialect_lines(look),
        f"target = {text(look.source.targets[0])}",
        *_ignored(look),
        *_missing_lines(look),
        *_stream_lines(look),
        "",
        *_schema(look),
        *_decision(look),
        *_estimator(look),
        *_evaluation(look),
    ]
    return "\n".join(parts) + "\n"


def name_of(path: Path) -> str:
    """A model's name from a table's."""
    return job_name(path if path.is_dir() else path.with_suffix(""), "table")


def _dialect_lines(look: Look) -> list[str]:
    dialect = look.source.dialect
    delimiter = [] if dialect.delimiter is None else [f"delimiter = {text(dialect.delimiter)}"]
    encoding = [] if dialect.encoding == "utf-8" else [f"encoding = {text(dialect.encoding)}"]
    decimal = [] if dialect.decimal == "." else [f"decimal = {text(dialect.decimal)}"]
    return [*delimiter, *encoding, *decimal]


def _ignored(look: Look) -> list[str]:
    if not look.left_out:
        return []
    names = [f"    {text(name)},  # {comment(reason)}" for name, reason in look.left_out.items()]
    return ["ignore = [", *names, "]"]


def _missing_lines(look: Look) -> list[str]:
    words = look.source.missing_values
    return [f"missing_values = [{', '.join(map(text, words))}]"] if words else []


def _stream_lines(look: Look) -> list[str]:
    if not look.streamed:
        return []
    return [
        f"stream = true  # {look.size / 2**30:.1f} GiB are read again in every epoch instead of being held"
    ]


def _schema(look: Look) -> list[str]:
    """What every column is, and what a missing value means where there are some."""
    lines = []
    if any(column.missing for column in look.features):
        lines += [
            "[features]",
            'missing = "median"  # of numbers; or mean, most_frequent. A missing text is a category',
            "",
        ]
    for column in look.features:
        own = look.source.columns[column.name]
        lines += [
            f"[features.columns.{key(column.name)}]",
            f"kind = {text(str(own.kind))}  # {comment(_seen(column, own))}",
            *([f"missing = {text(own.missing)}"] if own.missing else []),
            "",
        ]
    return lines


def _seen(column: Impression, own: Column) -> str:
    """What was seen in a column."""
    missing = f", {column.missing} of {column.rows} missing" if column.missing else ""
    if column.texts and own.kind is Kind.CATEGORY:
        return f"numbers and texts such as {quoted(column.texts[0])}{missing}"
    if own.kind is Kind.CATEGORY:
        return f"{column.different} different{missing}"
    if own.kind is Kind.BOOLEAN:
        return f"true and false{missing}"
    return f"{column.range[0]:g} to {column.range[1]:g}{missing}"


def _decision(look: Look) -> list[str]:
    if len(look.counts) != 2:
        return []
    labels = list(look.counts)
    positive = next((label for label in labels if label.casefold() in _POSITIVE), labels[-1])
    return ["[decision]", f"positive = {text(positive)}  # the class that the threshold is for", ""]


def _estimator(look: Look) -> list[str]:
    if look.streamed:
        return [
            "[estimator]",
            'kind = "mlp"  # by mini-batches, as a stream needs',
            "hidden = []  # logistic or softmax regression; or: [64] for a hidden layer",
            "batch_size = 256",
            "epochs = 5",
            "",
        ]
    return [
        "[estimator]",
        'kind = "logistic_regression"  # or: mlp, with hidden = [64] for instance',
        "C = 1.0  # smaller forgives more: fewer rows, or more columns, want a smaller one",
        "",
    ]


def _evaluation(look: Look) -> list[str]:
    fraction = [f"test_fraction = {_test_fraction(look)}"]
    if look.streamed:
        return ["[evaluation]", *fraction]
    smallest = min(look.counts.values())
    return [
        "[evaluation]",
        f"folds = {min(FOLDS, smallest)}  # at most {smallest}, the rows of the smallest class",
        f"repeats = {REPEATS if look.rows <= FEW_ROWS else 1}",
        *fraction,
    ]


def _test_fraction(look: Look) -> float:
    """A fifth, or as much as it takes to set a row of every class aside."""
    smallest, classes = min(look.counts.values()), len(look.counts)
    enough = (share for share in _TEST_FRACTIONS if smallest * share > 0.5 and look.rows * share >= classes)
    return next(enough, _TEST_FRACTIONS[-1])


def summary(path: Path, look: Look, output: Path) -> str:
    """What was seen, and what to do next."""
    kinds = [str(look.source.columns[column.name].kind) for column in look.features]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    width = max(map(len, look.counts))
    shown = list(look.counts.items())[:SHOWN_CLASSES]
    lines = [
        f"{path}: {look.rows:,} rows of {len(look.counts)} classes, {len(kinds)} features ({counted})",
        *(f"  {label:{width}}  {count:,}" for label, count in shown),
        *(f"left out {quoted(name)}: {reason}" for name, reason in look.left_out.items()),
        *(f"look at it: {notice}" for notice in look.notices),
        f"wrote {output}; next:",
        f"  {shlex.join(['sigmax-train', 'check', str(output)])}",
        f"  {shlex.join(['sigmax-train', 'run', str(output)])}",
        "  sigmax serve",
    ]
    return "\n".join(lines)
