"""A job on more rows than the memory holds: divided, surveyed, trained, watched and judged, pass by pass.

The trainer, the calibration and the thresholds are those of rows that are held; what is published and proved
is left to the pipeline, which finds the same kinds of things here as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sigmax.contract import Manifest, Task
from sigmax.errors import InvalidInput
from sigmax_training import estimators, evaluate
from sigmax_training.data.dataset import Dataset
from sigmax_training.data.stream import Stream
from sigmax_training.fit import Fitted, Memory, guarded, validated
from sigmax_training.job import Job, Perceptron
from sigmax_training.memory import give_back
from sigmax_training.progress import Report
from sigmax_training.streaming.division import TRAINING, Fractions, divide
from sigmax_training.streaming.epochs import Epochs
from sigmax_training.streaming.judging import judge
from sigmax_training.streaming.survey import OnRows, Sample, survey


@dataclass(frozen=True, slots=True)
class Settings:
    """How a stream is trained on.

    Attributes:
        buffer: how many rows are held to be shuffled.
        memory: keeps the training's state after each epoch, and knows the one to begin at.
    """

    buffer: int
    memory: Memory | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a stream came to.

    Attributes:
        judged: a sample of the rows that are judged.
        fitted: the estimator.
        metrics: its figures on all of the rows that are judged.
    """

    judged: Sample
    fitted: Fitted
    metrics: Mapping[str, float]


def outline(stream: Stream) -> Dataset:
    """What a stream is, as a data set without a row."""
    shape = (0, len(stream.classes)) if stream.multilabel else (0,)
    width = sum(block.size for block in stream.blocks)
    return Dataset(
        stream.description,
        np.empty((0, width)),
        np.empty(shape, np.bool_ if stream.multilabel else np.int64),
        stream.classes,
        stream.blocks,
        stream.fills,
        digest=stream.sha256,
        notices=stream.notices,
    )


def train(job: Job, stream: Stream, manifest: Manifest, settings: Settings, report: Report) -> Result:
    """Train a job's estimator on a stream, and judge it.

    Args:
        job: its estimator is trained by mini-batches.
        stream: where the rows are.
        manifest: what is asked of a row, and how classes are decided.
        settings: how the stream is trained on.
        report: told how far it is.

    Raises:
        InvalidInput: job and rows do not fit together, or the files of the stream have changed.
    """
    estimator = job.estimator
    if not isinstance(estimator, Perceptron):
        raise InvalidInput("rows that are streamed are trained on by mini-batches: estimator.kind is 'mlp'")
    report.stage(f"{job.name}: a look at {stream.rows:,} rows", 1)
    fractions = Fractions(job.evaluation.test_fraction, job.validation if job.validates else 0.0)
    division = divide(stream, fractions, job.seed)
    on_rows = _reporting(report, stream.rows)
    seen = survey(stream, division, standardise=job.standardise, on_rows=on_rows)
    give_back()
    report.step()
    report.stage(f"{job.name}: the published model", estimator.epochs)
    epochs = Epochs(stream, division, seen, settings.buffer, estimator.batch_size, job.seed, on_rows)
    fitted = _fit(job, estimator, manifest.task, epochs, how=settings, report=report)
    give_back()
    report.stage(f"{job.name}: judging", 1)
    rule = evaluate.rule_of(manifest, fitted)
    tally = judge(stream, division, fitted, rule, on_rows)
    report.step()
    metrics = tally.metrics(seen.rows[TRAINING], seen.counts)
    return Result(seen.test, fitted, metrics)


def _fit(
    job: Job, settings: Perceptron, task: Task, epochs: Epochs, *, how: Settings, report: Report
) -> Fitted:
    """The estimator, calibrated, with its thresholds."""
    stream, seen = epochs.stream, epochs.survey
    head = job.head_for(task)
    watched, preparation = seen.validation, seen.preparation
    with guarded(epochs.rows) as said:
        classifier = estimators.estimator(settings, task, head, stream.classes, job.seed)
        validation = None
        if settings.early_stopping:
            validation = (preparation.transform(watched.features), watched.codes)
        classifier.fit_chunks(
            epochs,
            validation,
            report.epoch,
            begin_at=how.memory and how.memory.begin_at(),
            on_state=how.memory and how.memory.keep,
        )
    fitted = Fitted(
        classifier=classifier,
        preprocessor=preparation,
        expansion=preparation.expansion,
        scale=1.0,
        task=task,
        head=head,
        history=classifier.history_,
        best_epoch=classifier.best_epoch_,
        warnings=tuple(said),
    )
    if not job.validates:
        return fitted
    return validated(job, stream.classes, watched.features, watched.codes, fitted)


def _reporting(report: Report, rows: int) -> OnRows:
    """Tells a report of rows."""

    def on_rows(seen: int) -> None:
        report.rows(seen, rows)

    return on_rows
