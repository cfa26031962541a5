"""A stream is trained, judged and published as rows that are held are, though it never is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.training.streams import Held, binary, of_dataset

from sigmax.contract import Head, Task
from sigmax.errors import InvalidInput
from sigmax.inference import proof
from sigmax.repository import bundle
from sigmax_training import data, draft, evaluate, pipeline
from sigmax_training import job as jobs
from sigmax_training.data.dataset import Dataset, numeric_blocks
from sigmax_training.drawing import shares
from sigmax_training.history import Epoch
from sigmax_training.interrupts import Interrupted
from sigmax_training.job import Job
from sigmax_training.pipeline import Outcome
from sigmax_training.state import Arrays
from sigmax_training.streaming import fitting


class Recorder:
    """A report that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.epochs: list[Epoch] = []
        self.seen: list[tuple[int, int]] = []

    def stage(self, title: str, steps: int) -> None:
        self.stages.append(title)

    def step(self) -> None: ...

    def rows(self, seen: int, total: int) -> None:
        self.seen.append((seen, total))

    def epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)

    def notice(self, text: str) -> None: ...


def a_job(settings: str = "", *, epochs: int = 4) -> Job:
    """A job of layers trained by mini-batches; its data is handed to it."""
    text = f"name='m'\n[data]\nbuiltin='iris'\n[estimator]\nkind='mlp'\nepochs={epochs}\nbatch_size=64\n"
    return jobs.parse(f"{text}hidden=[]\nlearning_rate=0.01\n{settings}", Path())


def run(job: Job, stream: Held, root: Path, *, buffer: int = 1000) -> Outcome:
    return pipeline.run_streamed(job, stream, buffer, root, Recorder())


def result(job: Job, stream: Held, settings: fitting.Settings | None = None) -> fitting.Result:
    manifest = draft.draft(job, fitting.outline(stream), draft.dtypes(job, fitting.outline(stream))[0])
    return fitting.train(job, stream, manifest, settings or fitting.Settings(1000), Recorder())


def classes(rows: int, *, multilabel: bool = False) -> Held:
    """Three classes, or three labels."""
    rng = np.random.default_rng(2)
    features = rng.normal(size=(rows, 4))
    logits = features @ rng.normal(size=(4, 3)) + rng.gumbel(size=(rows, 3))
    codes: Any = logits > 0 if multilabel else logits.argmax(axis=1)
    blocks = numeric_blocks(features, ["a", "b", "c", "d"])
    return Held(features, codes, ("x", "y", "z"), blocks)


CASES = {
    "binary": (binary(4000), ""),
    "softmax": (classes(4000), ""),
    "one_vs_rest": (classes(4000), "HEAD"),
    "labels": (classes(4000, multilabel=True), ""),
}


def job_for(case: str, settings: str = "") -> Job:
    job = a_job(settings)
    return replace(job, head=Head.ONE_VS_REST) if CASES[case][1] == "HEAD" else job


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_those_of_all_rows_that_are_judged(case: str) -> None:
    stream, job = CASES[case][0], job_for(case)
    found = result(job, stream)

    dataset = Dataset("", stream.features, stream.codes, stream.classes, stream.blocks)
    test = shares(np.arange(stream.rows, dtype=np.uint64), 0, "test") < 0.2
    rows = np.flatnonzero(test)
    rule = evaluate.rule_of(draft.draft(job, dataset, draft.dtypes(job, dataset)[0]), found.fitted)
    score = evaluate.score(found.fitted, dataset, rows, rule)
    expected = {
        "test_accuracy": score.accuracy,
        "test_log_loss": score.log_loss,
        **evaluate.closer_look(found.fitted, dataset, rows, rule),
        "test_rows": len(rows),
    }
    for name, value in expected.items():
        assert found.metrics[name] == pytest.approx(value, rel=1e-12), name
    watched = ~test & (shares(np.arange(stream.rows, dtype=np.uint64), 0, "validation") < 0.15)
    training = np.flatnonzero(~test & ~watched)
    assert len(training) == found.metrics["train_rows"]
    for name, value in evaluate.baseline(dataset, (training, rows)).items():
        assert found.metrics[name] == pytest.approx(value, rel=1e-12), name
    assert found.metrics["test_log_loss"] < found.metrics["baseline_log_loss"]
    assert not any(name.startswith("cv_") for name in found.metrics)


@pytest.mark.parametrize("case", CASES)
def test_every_task_is_published_and_proves_itself(case: str, tmp_path: Path) -> None:
    stream = CASES[case][0]

    outcome = run(job_for(case), stream, tmp_path)

    manifest = bundle.read(outcome.published.path).manifest
    assert proof.load(outcome.published.path)[2].rows > 0
    assert (stream.classes, stream.sha256) == (manifest.classes, manifest.provenance["data_sha256"])
    assert manifest.provenance["evaluation"] == "drawn, no folds, 0.2 of the rows held out"
    expected = {"binary": Task.BINARY, "labels": Task.MULTILABEL}.get(case, Task.MULTICLASS)
    assert expected is manifest.task
    example = json.loads((outcome.published.path / "example.json").read_text())
    assert {block.name for block in stream.blocks} == set(example["rows"][0])


def test_the_same_job_on_the_same_stream_is_published_once(tmp_path: Path) -> None:
    stream = binary(3000)

    first, again = run(a_job(), stream, tmp_path), run(a_job(), stream, tmp_path)
    larger = run(a_job(), stream, tmp_path, buffer=2000)

    assert [outcome.published.version for outcome in (first, again, larger)] == [1, 1, 2]
    assert again.proof is None


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    stream = binary(3000)

    paths = [run(a_job(), stream, tmp_path / name).published.path for name in ("one", "two")]

    for name in ("model.onnx", "golden.json", "history.json", "example.json"):
        assert (paths[0] / name).read_bytes() == (paths[1] / name).read_bytes()


@dataclass
class Kept:
    """Remembers a training, and interrupts it after some epochs."""

    left: int
    states: list[Arrays] = field(default_factory=list)

    def begin_at(self) -> Arrays | None:
        return self.states[-1] if self.states else None

    def keep(self, arrays: Arrays) -> None:
        self.states.append(arrays)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_training_ends_at_the_same_model() -> None:
    stream, memory = binary(3000), Kept(2)
    whole = result(a_job(), stream)
    with pytest.raises(KeyboardInterrupt):
        result(a_job(), stream, fitting.Settings(1000, memory))

    again = result(a_job(), stream, fitting.Settings(1000, memory))

    assert len(memory.states) == 4
    assert whole.fitted.classifier.coefs_[0].tobytes() == again.fitted.classifier.coefs_[0].tobytes()
    assert whole.metrics == again.metrics


class Interrupting(Recorder):
    """A report that somebody interrupts behind the second epoch."""

    def epoch(self, epoch: Epoch) -> None:
        super().epoch(epoch)
        if len(self.epochs) == 2:
            raise KeyboardInterrupt


def test_an_interrupted_run_is_resumed_behind_its_last_epoch(tmp_path: Path) -> None:
    stream, report = binary(3000), Recorder()
    whole = run(a_job(), stream, tmp_path / "whole")
    with pytest.raises(Interrupted, match=r"published model's epoch 2 of 4; .* --resume continues"):
        pipeline.run_streamed(a_job(), stream, 1000, tmp_path / "again", Interrupting())

    again = pipeline.run_streamed(a_job(), stream, 1000, tmp_path / "again", report, resume=True)

    assert [epoch.epoch for epoch in report.epochs] == [3, 4]
    for name in ("model.onnx", "golden.json", "history.json"):
        assert (whole.published.path / name).read_bytes() == (again.published.path / name).read_bytes()


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_calibration_and_thresholds_are_chosen_on_the_rows_that_are_watched(method: str) -> None:
    settings = f"[calibration]\nmethod='{method}'\n[decision]\ntune={{objective='f_beta'}}\n"

    found = result(a_job(settings), binary(4000)).fitted

    assert found.calibration is not None
    assert {"yes"} == set(found.thresholds)
    assert 0.0 < found.thresholds["yes"] < 1.0


def test_categories_and_missing_values_are_streamed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = ["size,ready,port,grade"]
    for row in range(3000):
        size, port = rng.normal(1e3, 5), ("busan", "seoul", "jeju")[rng.integers(3)]
        good = (size > 1e3) ^ (port == "seoul") ^ (rng.random() < 0.1)
        shown = "" if row % 7 == 0 else f"{size:.3f}", "" if row % 13 == 0 else port
        lines.append(f"{shown[0]},{'true' if row % 3 else 'false'},{shown[1]},{'pass' if good else 'fail'}")
    (tmp_path / "rows.csv").write_text("\n".join([*lines, ""]))
    text = "name='m'\n[data]\npath='rows.csv'\ntarget='grade'\n[features]\nmissing='median'\n"
    dataset = data.load(jobs.parse(text + "[features.columns.port]\nmissing='category'\n", tmp_path))
    stream = of_dataset(dataset)
    job = replace(a_job(epochs=30), estimator=replace(a_job().estimator, hidden=(16,), epochs=30))  # type: ignore[arg-type]

    outcome = run(job, stream, tmp_path / "models")

    assert outcome.metrics["test_accuracy"] > 0.75


def test_balanced_classes_weigh_the_same(tmp_path: Path) -> None:
    stream = binary(6000)
    few = np.flatnonzero((stream.codes == 0) | (np.arange(6000) % 10 == 0))
    rare = Held(stream.features[few], stream.codes[few], stream.classes, stream.blocks)

    plain, balanced = (
        result(a_job(settings, epochs=10), rare).fitted for settings in ("", "class_weight='balanced'\n")
    )

    assert plain.predict(rare.features).mean() < rare.codes.mean()
    assert balanced.predict(rare.features).mean() > 2 * rare.codes.mean()


def test_rows_are_reported_while_a_pass_is_under_way() -> None:
    stream, report = binary(3000), Recorder()
    job, outline = a_job(), fitting.outline(stream)
    manifest = draft.draft(job, outline, draft.dtypes(job, outline)[0])

    fitting.train(job, stream, manifest, fitting.Settings(1000), report)

    assert report.stages == ["m: a look at 3,000 rows", "m: the published model", "m: judging"]
    assert report.seen[-1] == (3000, 3000)
    assert report.seen.count((3000, 3000)) == 6  # a look, four epochs, judging
    assert [epoch.epoch for epoch in report.epochs] == [1, 2, 3, 4]


def test_what_is_not_trained_by_mini_batches_is_refused() -> None:
    job = jobs.parse("name='m'\n[data]\nbuiltin='iris'\n", Path())

    with pytest.raises(InvalidInput, match=r"trained on by mini-batches: estimator.kind is 'mlp'"):
        result(job, binary(2000))


STREAMED = "name='m'\n[data]\npath='rows.csv'\ntarget='y'\nstream=true\n"


def test_a_job_that_streams_is_trained_by_mini_batches() -> None:
    text = "[estimator]\nkind='logistic_regression'\n"

    with pytest.raises(InvalidInput, match=r"data.stream is for estimator.kind = 'mlp'.* hidden = \[\]"):
        jobs.parse(STREAMED + text, Path())


def test_a_job_that_streams_has_no_folds() -> None:
    text = "[estimator]\nkind='mlp'\n[evaluation]\nfolds=5\n"

    with pytest.raises(InvalidInput, match=r"evaluation.folds has no meaning beside data.stream = true"):
        jobs.parse(STREAMED + text, Path())
