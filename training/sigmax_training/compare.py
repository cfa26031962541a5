"""Which model is best? Published versions and jobs side by side, beside what no model at all comes to.

Figures are ranked where they were measured on the same data alone. How a job is measured is left to the
pipeline, how tables are printed to the command line.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sigmax.contract import NAME_PATTERN, Manifest
from sigmax.errors import BundleRejected, InvalidInput, NotFound, SigmaxError, nearest, quoted
from sigmax.repository import bundle, layout
from sigmax.repository.layout import Published
from sigmax_training.job import LOGISTIC, MLP, Logistic, Perceptron

Measure = Callable[[Path], tuple[Manifest, Published | None]]
"""Evaluates a job file, or finds the version that it is published as."""

BASELINE = "majority baseline"
MAX_ESTIMATOR = 60
"""How many characters of an estimator are shown."""

_JOB = ".toml"
_VERSION = re.compile(NAME_PATTERN.pattern + r"(/[^/]*)?", NAME_PATTERN.flags)
_KINDS = {"Logistic": (LOGISTIC, Logistic()), "Perceptron": (MLP, Perceptron())}
FIGURES = (
    "cv_log_loss_mean",
    "cv_log_loss_std",
    "cv_accuracy_mean",
    "cv_accuracy_std",
    "test_log_loss",
    "test_accuracy",
    "baseline_log_loss",
    "baseline_accuracy",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One version or job with its figures.

    Attributes:
        manifest: what was measured, and on which data.
        version: under which it is published; None for a job that is not.
        job: the file, if one was named.
    """

    manifest: Manifest
    version: int | None = None
    job: str | None = None

    @property
    def what(self) -> str:
        """How a person named it, or would."""
        if self.version is None:
            return self.job or self.manifest.name
        published = f"{self.manifest.name}/{self.version}"
        return f"{published} ({self.job})" if self.job else published

    def figure(self, name: str) -> float | None:
        """A metric; None where it was not measured."""
        return self.manifest.metrics.get(name)

    @property
    def gain(self) -> float | None:
        """The share of the baseline's log loss that is gone: 1 is perfect, 0 no better than no model."""
        loss, baseline = self.figure("test_log_loss"), self.figure("baseline_log_loss")
        return 1 - loss / baseline if loss is not None and baseline else None

    @property
    def parameters(self) -> int | None:
        """How many numbers were learnt; None where the graph does not say so."""
        return self.manifest.graph.parameters if self.manifest.graph.layers else None

    @property
    def rank(self) -> tuple[float, str]:
        """The lowest is best: the log loss of the folds, else that of the held-out rows."""
        losses = (self.figure("cv_log_loss_mean"), self.figure("test_log_loss"))
        return next((loss for loss in losses if loss is not None), math.inf), self.what


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that were measured on the same data, the best first.

    Attributes:
        data: where the rows come from, for people.
        sha256: the digest of the data; None where a model does not say what it was measured on.
        rows: at least one.
    """

    data: str
    sha256: str | None
    rows: tuple[Row, ...]

    def baseline(self, name: str) -> float | None:
        """A figure of the baseline, of the best row that has one."""
        found = (row.figure(name) for row in self.rows)
        return next((value for value in found if value is not None), None)

    @property
    def note(self) -> str | None:
        """A word of warning where the rows were split by different things, some of which are harder."""
        ways: dict[str, list[str]] = {}
        for row in self.rows:
            split = row.manifest.provenance.get("evaluation", "").partition(",")[0]
            ways.setdefault(split or "unknown", []).append(row.what)
        if len(ways) < 2:
            return None
        said = "; ".join(f"{split}: {', '.join(rows)}" for split, rows in ways.items())
        return f"these figures are of different splits, so that their order is a hint only: {said}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared.

    Attributes:
        tables: one a data set.
        problems: what could not be compared, and why.
    """

    tables: tuple[Table, ...]
    problems: tuple[tuple[str, SigmaxError], ...] = ()


def compare(wanted: Sequence[str], repository: Path, measure: Measure) -> Comparison:
    """Put versions and jobs side by side.

    Args:
        wanted: models as `iris`, versions as `iris/3`, the paths of their folders in the repository, or job
            files; none for every model of the repository.
        repository: the folder of models.
        measure: called with each job file.

    Raises:
        InvalidInput: nothing is named, and the repository cannot be read or is empty.
    """
    rows: dict[str, Row] = {}
    problems: list[tuple[str, SigmaxError]] = []
    every = dict.fromkeys(wanted or _published(repository))
    for what, find in _finders(every, repository, measure):
        try:
            row = find()
        except SigmaxError as error:
            problems.append((what, error))
        else:
            rows[row.what] = row
    jobs = {(row.manifest.name, row.version) for row in rows.values() if row.job}
    kept = [row for row in rows.values() if row.job or (row.manifest.name, row.version) not in jobs]
    return Comparison(_tables(kept), tuple(problems))


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The same for programs; what was not measured is null."""
    return {
        "tables": [
            {
                "data": table.data,
                "data_sha256": table.sha256,
                "rows": [_row(row) for row in table.rows],
                "baseline": {
                    "what": BASELINE,
                    "test_log_loss": table.baseline("baseline_log_loss"),
                    "test_accuracy": table.baseline("baseline_accuracy"),
                },
                "note": table.note,
            }
            for table in comparison.tables
        ],
        "errors": [{"what": what, "message": str(error)} for what, error in comparison.problems],
    }


def short(estimator: str) -> str:
    """An estimator in a few words: of those that jobs describe what is not the default."""
    steps = estimator.split(" -> ")
    scaled = "StandardScaler" in steps
    for place, step in enumerate(steps):
        words = _in_words(step)
        if words is not None:
            behind = [one.removesuffix(" calibration") for one in steps[place + 1 :]]
            return _cut(", ".join([words, *([] if scaled else ["standardise=False"]), *behind]))
    return _cut(estimator)


def _finders(
    wanted: Iterable[str], repository: Path, measure: Measure
) -> Iterator[tuple[str, Callable[[], Row]]]:
    """What is wanted, version by version, each with what reads or measures it."""
    for what in wanted:
        if what.endswith(_JOB) or (not _VERSION.fullmatch(what) and _is(Path.is_file, what)):
            yield what, partial(_measured, what, measure)
            continue
        name = _name(repository, what)
        versions = _versions(repository, name) if NAME_PATTERN.fullmatch(name) else []
        if versions:
            yield from ((f"{name}/{one}", partial(_read, repository, f"{name}/{one}")) for one in versions)
        else:
            yield what, partial(_read, repository, name)


def _name(repository: Path, what: str) -> str:
    """`name` or `name/version` of a folder that is named by its path; anything else as it is."""
    bare = what.rstrip("/")
    known = _VERSION.fullmatch(bare) and (repository / bare.partition("/")[0]).is_dir()
    if known or not bare or not _is(Path.is_dir, bare):
        return bare
    folder, root = Path(bare).resolve(), repository.resolve()
    return "/".join(folder.relative_to(root).parts) if root in folder.parents else bare


def _is(kind: Callable[[Path], bool], path: str) -> bool:
    """Whether there is such a thing; what no path can be, as a name that is too long, is not there."""
    try:
        return kind(Path(path))
    except OSError:
        return False


def _measured(job: str, measure: Measure) -> Row:
    manifest, published = measure(Path(job))
    return Row(manifest, None if published is None else published.version, job)


def _read(repository: Path, reference: str) -> Row:
    """A version by `name/version`.

    Raises:
        InvalidInput: it is empty.
        NotFound: there is no such model or version, with what there is.
        BundleRejected: it is broken.
    """
    if not reference:
        raise InvalidInput(f"names nothing: give a model, a version as iris/3, or a job file ({_JOB})")
    name, _, version = reference.partition("/")
    names = _names(repository)
    if name not in names:
        there = f"; it has {', '.join(names)}" if names else ""
        raise NotFound(
            f"is no job file (which ends in {_JOB}), and no model of the repository '{repository}'"
            f"{nearest(name, names) or there}"
        )
    known = _versions(repository, name)
    if not known:
        raise NotFound(f"model '{name}' has no version")
    if version not in map(str, known):
        there = ", ".join(map(str, sorted(known)))
        raise NotFound(f"model '{name}' has no version {quoted(version)}: it has {there}")
    manifest = bundle.read(layout.version_path(repository, name, int(version))).manifest
    if (manifest.name, str(manifest.version)) != (name, version):
        raise BundleRejected(f"the manifest is that of {manifest.name}/{manifest.version}")
    return Row(manifest, int(version))


def _versions(repository: Path, name: str) -> list[int]:
    try:
        return layout.versions(repository, name)
    except OSError as error:
        raise InvalidInput(f"the model '{name}' cannot be read: {error.strerror}") from error


def _names(repository: Path) -> list[str]:
    try:
        return layout.names(repository)
    except OSError as error:
        raise InvalidInput(f"the repository '{repository}' cannot be read: {error.strerror}") from error


def _published(repository: Path) -> list[str]:
    names = [name for name in _names(repository) if _versions(repository, name)]
    if not names:
        raise InvalidInput(f"there is no model in the repository '{repository}': --models names another one")
    return names


def _tables(rows: Iterable[Row]) -> tuple[Table, ...]:
    """One a data set, in the order in which they were named; rows of unknown data are not ranked at all."""
    by_data: dict[str, list[Row]] = {}
    for row in rows:
        sha256 = row.manifest.provenance.get("data_sha256")
        by_data.setdefault(sha256 or f"unknown: {row.what}", []).append(row)
    return tuple(_table(sorted(alike, key=lambda row: row.rank)) for alike in by_data.values())


def _table(rows: list[Row]) -> Table:
    provenance = rows[0].manifest.provenance
    return Table(provenance.get("data", "unknown data"), provenance.get("data_sha256"), tuple(rows))


def _row(row: Row) -> dict[str, Any]:
    provenance = row.manifest.provenance
    return {
        "what": row.what,
        "model": row.manifest.name,
        "version": row.version,
        "job": row.job,
        "estimator": provenance.get("estimator"),
        "evaluation": provenance.get("evaluation"),
        **{name: row.figure(name) for name in FIGURES},
        "gain": row.gain,
        "features": row.manifest.n_features,
        "parameters": row.parameters,
    }


def _in_words(step: str) -> str | None:
    """`Logistic(C=0.5, solver='lbfgs')` as `logistic_regression, C=0.5`; None for anything else."""
    kind = _KINDS.get(step.partition("(")[0])
    if kind is None:
        return None
    name, default = kind
    usual = _settings(repr(default))
    changed = [f"{key}={value}" for key, value in _settings(step).items() if usual.get(key) != value]
    return ", ".join([name, *changed])


def _settings(text: str) -> dict[str, str]:
    """The arguments of a call, by name; nothing if it is none."""
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    given = call.keywords if isinstance(call, ast.Call) else []
    return {word.arg: ast.unparse(word.value) for word in given if word.arg is not None}


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_ESTIMATOR else line[: MAX_ESTIMATOR - 1] + "…"
