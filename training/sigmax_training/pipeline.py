"""One job from data to a published version: load, evaluate, fit, export, prove, publish.

The order is a promise: whether there is anything to do, and whether the repository can be written, is known
before the first estimator is fitted; and nothing is seen in the repository before the gate has passed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from sigmax.contract import EXAMPLE_FILE, GOLDEN_FILE, HISTORY_FILE, MODEL_FILE, FloatType, Manifest
from sigmax.errors import BundleRejected, InvalidInput
from sigmax.inference.decision import Rule
from sigmax.inference.proof import Proof, load
from sigmax.repository import bundle, layout
from sigmax.repository.golden import Golden
from sigmax.repository.layout import Published
from sigmax_training import data, draft, evaluate, golden, history, parity, splits
from sigmax_training.checkpoint import Checkpoint, Mark
from sigmax_training.data.dataset import Dataset
from sigmax_training.data.stream import Stream
from sigmax_training.evaluate import Score
from sigmax_training.example import example
from sigmax_training.export import export
from sigmax_training.fit import Fitted, describe, fit
from sigmax_training.interrupts import Interrupted
from sigmax_training.job import Job, Perceptron, Tabular
from sigmax_training.network import Network, network_of
from sigmax_training.parity import Case
from sigmax_training.progress import Report
from sigmax_training.rows import Reference
from sigmax_training.splits import Split
from sigmax_training.streaming import fitting


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job came to.

    Attributes:
        name: of the model.
        published: the version, and where it lies.
        metrics: measured quality by name; empty if nothing had to be done.
        proof: what the gate found; None if this job was already published.
        dtype: the graph's type; None if this job was already published.
        notices: what a person should know though nothing failed.
    """

    name: str
    published: Published
    metrics: dict[str, float] = field(default_factory=dict)
    proof: Proof | None = None
    dtype: FloatType | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Trained:
    """Everything that the export and the gate need."""

    job: Job
    dataset: Dataset
    fitted: Fitted
    split: Split
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What a job is run on.

    Attributes:
        dataset: all rows; of a stream none, but everything else that is known of it.
        train: trains, given the manifest as far as it is known and what keeps the training's state, if any.
        folds: counts the trainings before that of the published model.
        buffer: of a stream, how many rows are held to be shuffled.
    """

    dataset: Dataset
    train: Callable[[Manifest, Checkpoint | None], _Trained]
    folds: Callable[[], int]
    buffer: int | None = None


def run(job: Job, repository: Path, report: Report, rows: Any = None, *, resume: bool = False) -> Outcome:
    """Train, prove and publish; or find that the same job on the same data is already published.

    Args:
        job: what to train.
        repository: the folder of models; it is made if it is not there.
        report: told how far the job is.
        rows: those of a table whose job names no files: a frame, an Arrow table.
        resume: go on from the checkpoint of an interrupted run, if there is one.

    Raises:
        InvalidInput: job and data do not fit together, the repository cannot be written, or the checkpoint is
            not one of this job.
        BundleRejected: the gate refuses.
        Interrupted: by a signal; what was done so far is in the checkpoint.
    """
    return _run(job, _opened(job, report, rows), repository, report, resume=resume)


def _opened(job: Job, report: Report, rows: Any = None) -> _Rows:
    """The rows that a job names: held, or streamed where it says so."""
    report.stage(f"{job.name}: data", 1)
    if isinstance(job.data, Tabular) and job.data.stream:
        return _streamed(job, data.stream(job, rows), job.data.buffer, report)
    return _held(job, data.load(job, rows), report)


def run_streamed(
    job: Job, stream: Stream, buffer: int, repository: Path, report: Report, *, resume: bool = False
) -> Outcome:
    """The same on rows that are never held all at once.

    Args:
        job: what to train; its estimator is trained by mini-batches.
        stream: where the rows are.
        buffer: how many of them are held to be shuffled.
        repository: as `run` has it.
        report: likewise.
        resume: likewise.

    Raises:
        InvalidInput: likewise.
        BundleRejected: likewise.
        Interrupted: likewise.
    """
    report.stage(f"{job.name}: data", 1)
    return _run(job, _streamed(job, stream, buffer, report), repository, report, resume=resume)


def _held(job: Job, dataset: Dataset, report: Report) -> _Rows:
    def train(manifest: Manifest, checkpoint: Checkpoint | None) -> _Trained:
        return _train(job, dataset, manifest, report, checkpoint)

    def folds() -> int:
        return len(splits.folds(dataset, job.evaluation, job.seed))

    return _Rows(dataset, train, folds)


def _streamed(job: Job, stream: Stream, buffer: int, report: Report) -> _Rows:
    outline = fitting.outline(stream)

    def train(manifest: Manifest, checkpoint: Checkpoint | None) -> _Trained:
        found = fitting.train(job, stream, manifest, fitting.Settings(buffer, checkpoint), report)
        judged = replace(outline, features=found.judged.features, codes=found.judged.codes)
        sampled = np.arange(len(judged.codes))
        fitted = replace(found.fitted, warnings=(*stream.notices, *found.fitted.warnings))
        return _Trained(job, judged, fitted, (sampled[:0], sampled), dict(found.metrics))

    return _Rows(outline, train, lambda: 0, buffer)


def _run(job: Job, rows: _Rows, repository: Path, report: Report, *, resume: bool) -> Outcome:
    """Draft, train unless it is published already, prove and publish; the stage of the data is under way."""
    drafts, fingerprint = _drafted(job, rows, report)
    mark = Mark(fingerprint, rows.dataset.sha256, draft.versions())
    checkpoint = Checkpoint(repository, job.name, mark)
    try:
        published = _published(job, repository, fingerprint, report)
        if published is not None:
            checkpoint.remove_own()
            return Outcome(job.name, published)
        _check_writable(repository, job.name)
    except OSError as error:
        raise InvalidInput(_unwritable(repository, error)) from error
    checkpoint.check_place()
    _open(checkpoint, job, rows, report, resume=resume)
    try:
        with threadpool_limits(1):  # the same sums on every number of cores: golden rows are the same bytes
            trained = rows.train(drafts[0], checkpoint)
            _keep(checkpoint)
            final = [replace(manifest, fingerprint=fingerprint) for manifest in drafts]
            outcome = _publish(trained, final, repository, report, checkpoint)
        checkpoint.remove()
        return outcome
    except BundleRejected:  # so would the gate again: there is nothing to continue
        checkpoint.remove_own()
        raise
    except KeyboardInterrupt:
        raise Interrupted(_interrupted(checkpoint, job, rows, repository, fingerprint)) from None


def _open(checkpoint: Checkpoint, job: Job, rows: _Rows, report: Report, *, resume: bool) -> None:
    """Go on from a checkpoint if that is wanted; otherwise say what is lost with the one that lies there."""
    if resume:
        found = checkpoint.found()
        if found is None:
            report.notice(f"{job.name}: there is no checkpoint to resume, the run begins anew")
        else:
            checkpoint.resume(found)
            report.notice(f"{job.name}: resumed {_where(checkpoint, job, rows)}")
        return
    try:
        found = checkpoint.found()
    except InvalidInput:
        report.notice(
            f"{job.name}: the checkpoint in '{checkpoint.folder}' is of no use here and is replaced"
        )
    else:
        if found is not None:
            report.notice(
                f"{job.name}: the run begins anew; --resume would have continued the checkpoint in "
                f"'{checkpoint.folder}', which is replaced"
            )


def _where(checkpoint: Checkpoint, job: Job, rows: _Rows) -> str:
    epochs = job.estimator.epochs if isinstance(job.estimator, Perceptron) else 0
    return checkpoint.progress.where(rows.folds(), epochs)


def _interrupted(checkpoint: Checkpoint, job: Job, rows: _Rows, repository: Path, fingerprint: str) -> str:
    """Write the checkpoint; in words how far the run was, and what a person can do."""
    for published in layout.published_as(repository, job.name, fingerprint):
        checkpoint.remove()
        return f"version {published.version} had just been published"
    where = _where(checkpoint, job, rows)
    try:
        checkpoint.write()
    except InvalidInput as error:
        return f"{where}; nothing was published; {error}"
    remedy = "" if checkpoint.progress.nothing else "; the same command with --resume continues"
    return f"{where}; nothing was published{remedy}"


def _keep(checkpoint: Checkpoint) -> None:
    """Write the state of a training by epochs that is over: what follows may fail, and need not train again.

    If it cannot be written, the model still may be.
    """
    if checkpoint.progress.training is not None:
        with suppress(InvalidInput):
            checkpoint.write()


def _continues(checkpoint: Checkpoint) -> str:
    """What a person can do where the model could not be written, from what is on the disk."""
    if checkpoint.saved.nothing:
        return ""
    over = checkpoint.saved is checkpoint.progress and checkpoint.progress.training is not None
    return f"; the same command with --resume continues{' behind the last epoch' if over else ''}"


def measure(job: Job, repository: Path, report: Report) -> tuple[Manifest, Published | None]:
    """Train and evaluate as `run` does, and publish nothing; what is published already is not trained again.

    Args:
        job: what to train.
        repository: the folder of models, where the job may be published; it is only read.
        report: told how far the job is.

    Returns:
        The manifest with the metrics, and the version that it is of; None if the job is not published.

    Raises:
        InvalidInput: job and data do not fit together.
    """
    rows = _opened(job, report)
    drafts, fingerprint = _drafted(job, rows, report)
    published = _published(job, repository, fingerprint, report)
    if published is not None:
        return bundle.read(published.path).manifest, published
    with threadpool_limits(1):
        trained = rows.train(drafts[0], None)
    for text in trained.fitted.warnings:
        report.notice(f"{job.name}: {text}")
    return _manifest(trained, drafts[0], network_of(trained.fitted, logits=job.logits)), None


def _drafted(job: Job, rows: _Rows, report: Report) -> tuple[tuple[Manifest, ...], str]:
    """What may be published of the data, and the fingerprint; the stage of the data is done."""
    dataset = rows.dataset
    drafts = tuple(draft.draft(job, dataset, dtype) for dtype in draft.dtypes(job, dataset))
    fingerprint = draft.fingerprint(job, dataset, drafts, buffer=rows.buffer)
    report.step()
    return drafts, fingerprint


def _published(job: Job, repository: Path, fingerprint: str, report: Report) -> Published | None:
    """The version that this job has come to already, if it still proves itself."""
    for published in layout.published_as(repository, job.name, fingerprint):
        try:
            load(published.path)
        except BundleRejected as error:
            report.notice(
                f"{job.name}: version {published.version} is broken, the next is published: {error}"
            )
        else:
            return published
    return None


def _train(
    job: Job, dataset: Dataset, manifest: Manifest, report: Report, checkpoint: Checkpoint | None
) -> _Trained:
    """Cross-validate for the promised figures, then fit the model that is published."""
    folds = splits.folds(dataset, job.evaluation, job.seed)
    split = splits.holdout(dataset, job.evaluation, job.seed)
    report.stage(f"{job.name}: cross-validation", len(folds))
    done = () if checkpoint is None else checkpoint.progress.scores
    said = set() if checkpoint is None else set(checkpoint.progress.said)
    for _ in done:
        report.step()

    def after_each(score: Score, fitted: Fitted) -> None:
        said.update(fitted.warnings)
        if checkpoint is not None:
            checkpoint.fold(score, fitted.warnings)
        report.step()

    scores = evaluate.cross_validate(job, dataset, folds, manifest, after_each, done=done, memory=checkpoint)
    fitted = _fit(job, dataset, split, report, checkpoint)
    rule = evaluate.rule_of(manifest, fitted)
    test = evaluate.score(fitted, dataset, split[1], rule)
    metrics = {
        **evaluate.summary(scores),
        "test_accuracy": test.accuracy,
        "test_log_loss": test.log_loss,
        **evaluate.closer_look(fitted, dataset, split[1], rule),
        "test_rows": float(len(split[1])),
        "train_rows": float(len(split[0])),
        **evaluate.baseline(dataset, split),
    }
    notices = (*dataset.notices, *sorted(said.union(fitted.warnings)))
    return _Trained(job, dataset, replace(fitted, warnings=notices), split, metrics)


def _fit(job: Job, dataset: Dataset, split: Split, report: Report, checkpoint: Checkpoint | None) -> Fitted:
    """The model that is published; where training goes by epochs, each of them is reported."""
    if isinstance(job.estimator, Perceptron):
        report.stage(f"{job.name}: the published model", job.estimator.epochs)
        return fit(job, dataset, split[0], report.epoch, checkpoint)
    report.stage(f"{job.name}: the published model", 1)
    fitted = fit(job, dataset, split[0])
    report.step()
    return fitted


def _publish(
    trained: _Trained, drafts: list[Manifest], repository: Path, report: Report, checkpoint: Checkpoint
) -> Outcome:
    """Publish in the first type that the gate lets pass; a step to a wider type is said aloud."""
    notices = list(trained.fitted.warnings)
    report.stage(f"{trained.job.name}: export and proof", 1)
    for manifest in drafts:
        try:
            repository.stat()  # one that has vanished meanwhile is not made again
            outcome = _publish_as(trained, manifest, repository, notices)
        except BundleRejected as error:
            if manifest is drafts[-1]:
                raise
            wider = drafts[drafts.index(manifest) + 1].graph.dtype
            notices.append(f"{manifest.graph.dtype} is not exact enough, {wider} is published: {error}")
        except OSError as error:
            raise InvalidInput(f"{_unwritable(repository, error)}{_continues(checkpoint)}") from error
        else:
            break
    report.step()
    for text in outcome.notices:
        report.notice(f"{trained.job.name}: {text}")
    return outcome


def _publish_as(trained: _Trained, draft_: Manifest, repository: Path, notices: list[str]) -> Outcome:
    job, dataset, fitted = trained.job, trained.dataset, trained.fitted
    network = network_of(fitted, logits=job.logits)
    manifest = _manifest(trained, draft_, network)
    rule = Rule(manifest, np.float64, manifest.decision.thresholds, manifest.decision.band)
    reference = Reference(fitted, rule, decides=fitted.calibration is None)
    held_out = dataset.features[trained.split[1]]
    asked = parity.questions(reference, network, manifest, held_out, job.seed)
    proofs: list[Proof] = []
    published = layout.publish(
        repository,
        manifest,
        _files(trained, network, manifest, asked.golden),
        lambda path: proofs.append(parity.check(path, asked, reference)),
    )
    said = (*notices, *asked.notices)
    if dataset.files and not golden.pictures(dataset, trained.split[1]):
        said = (*said, "no held-out picture is a small file: how pictures are decoded is not proved at load")
    return Outcome(job.name, published, trained.metrics, proofs[-1], manifest.graph.dtype, said)


def _manifest(trained: _Trained, draft_: Manifest, network: Network) -> Manifest:
    job, fitted = trained.job, trained.fitted
    return replace(
        draft_,
        decision=draft.decided(job, draft_, fitted.thresholds),
        graph=replace(draft_.graph, layers=network.layers()),
        metrics=trained.metrics,
        provenance=_provenance(trained),
    )


def _files(trained: _Trained, network: Network, manifest: Manifest, answers: Case) -> dict[str, bytes]:
    """The content of every file of the bundle but the manifest, by name."""
    names = [feature.name for feature in manifest.features]
    rows = Golden(
        answers.features,
        answers.probabilities,
        answers.classes,
        answers.logits,
        answers.unsure,
        golden.pictures(trained.dataset, trained.split[1]),
    )
    files = {
        MODEL_FILE: export(network, trained.job.name, manifest.graph.dtype, manifest.classes, names),
        GOLDEN_FILE: rows.to_json(manifest),
        EXAMPLE_FILE: example(trained.dataset, trained.split[1]),
    }
    if trained.fitted.history:
        files[HISTORY_FILE] = history.to_json(trained.fitted.history)
    return files


def _provenance(trained: _Trained) -> dict[str, str]:
    job, dataset, fitted = trained.job, trained.dataset, trained.fitted
    found = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": dataset.description,
        "data_sha256": dataset.sha256,
        "estimator": describe(job),
        "evaluation": evaluate.describe(job.evaluation, streamed="cv_folds" not in trained.metrics),
        "seed": str(job.seed),
    }
    if fitted.thresholds:
        found["thresholds"] = f"chosen on {job.validation:.0%} of the training rows: {job.decision.tune}"
    if fitted.best_epoch:
        found["epochs"] = f"{len(fitted.history)}, the weights of epoch {fitted.best_epoch} are published"
    return {**found, **draft.versions()}


def _check_writable(repository: Path, name: str) -> None:
    """Fail now rather than after the training: write something, and take it away again."""
    repository.mkdir(parents=True, exist_ok=True)
    folder = repository / name
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=folder if folder.exists() else repository):
        pass


def _unwritable(repository: Path, error: OSError) -> str:
    return f"the repository '{repository}' cannot be written: {error.strerror}"
