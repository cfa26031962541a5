"""The gate: what it asks, and that one differing answer refuses a bundle and names the row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sigmax.contract import FloatType, Head, Manifest
from sigmax.errors import BundleRejected
from sigmax.inference.decision import Rule
from sigmax.inference.predictor import Predictor
from sigmax.repository import bundle
from sigmax.repository.golden import Golden
from sigmax_training import data, draft, golden, parity, splits
from sigmax_training import job as jobs
from sigmax_training.fit import fit
from sigmax_training.job import Job
from sigmax_training.network import Inputs, Network, network_of
from sigmax_training.parity import Questions
from sigmax_training.rows import Boundary, Estimator, Reference, Space, decision_edges

JOBS = Path(__file__).parents[3] / "training" / "jobs"

Asked = tuple[Questions, Reference, Network]


@pytest.fixture(scope="module")
def asked(repository: Path) -> Callable[[str], Asked]:
    """The questions about a published model, from an estimator that is fitted as its own was."""
    made: dict[str, Asked] = {}

    def ask(name: str) -> Asked:
        if name not in made:
            job = jobs.read(JOBS / f"{name}.toml")
            made[name] = questions(job, bundle.read(repository / name / "1").manifest)
        return made[name]

    return ask


def questions(job: Job, manifest: Manifest) -> Asked:
    dataset = data.load(job)
    train, test = splits.holdout(dataset, job.evaluation, job.seed)
    fitted = fit(job, dataset, train)
    network = network_of(fitted)
    reference = Reference(fitted, Rule(manifest, np.float64, manifest.decision.thresholds))
    rows = dataset.features[test]
    return parity.questions(reference, network, manifest, rows, job.seed), reference, network


def test_the_published_bundle_passes_its_own_questions(
    repository: Path, asked: Callable[[str], Asked]
) -> None:
    found, reference, _ = asked("breast_cancer")

    proof = parity.check(repository / "breast_cancer" / "1", found, reference)

    assert proof.rows == len(found.gate.features)
    assert proof.difference < 1e-12


def test_one_differing_probability_is_refused_and_named(
    repository: Path, asked: Callable[[str], Asked]
) -> None:
    found, reference, _ = asked("breast_cancer")
    probabilities = found.gate.probabilities.copy()
    probabilities[17, 1] += 1e-8
    wrong = replace(found, gate=replace(found.gate, probabilities=probabilities))

    with pytest.raises(BundleRejected, match=r"the gate.*row 17, class 'benign'.*held-out: rows 0 to 113"):
        parity.check(repository / "breast_cancer" / "1", wrong, reference)


def test_one_differing_class_is_refused_and_named(repository: Path, asked: Callable[[str], Asked]) -> None:
    found, reference, _ = asked("breast_cancer")
    classes = found.gate.classes.copy()
    classes[3] = 1 - classes[3]
    wrong = replace(found, gate=replace(found.gate, classes=classes))

    with pytest.raises(BundleRejected, match="row 3"):
        parity.check(repository / "breast_cancer" / "1", wrong, reference)


def test_one_row_that_is_unsure_otherwise_is_refused_and_named(
    repository: Path, tmp_path: Path, asked: Callable[[str], Asked]
) -> None:
    _, reference, network = asked("breast_cancer")
    content = bundle.read(repository / "breast_cancer" / "1")
    decision = replace(content.manifest.decision, band={"malignant": (0.1, 0.9)})
    manifest = replace(content.manifest, decision=decision)
    reference = replace(reference, rule=Rule(manifest, np.float64, decision.thresholds, decision.band))
    found = parity.questions(reference, network, manifest, content.golden.features, 0)
    answers = found.golden
    rows = Golden(answers.features, answers.probabilities, answers.classes, unsure=answers.unsure)
    files = {"model.onnx": content.model, "example.json": content.example}
    bundle.write(tmp_path, manifest, {**files, "golden.json": rows.to_json(manifest)})
    assert found.gate.unsure is not None
    flipped = found.gate.unsure.copy()
    flipped[5] = ~flipped[5]

    assert parity.check(tmp_path, found, reference).rows == len(found.gate.features)
    with pytest.raises(BundleRejected, match="the gate, all rows at once: row 5: unsure"):
        parity.check(tmp_path, replace(found, gate=replace(found.gate, unsure=flipped)), reference)


class Contrary:
    """An estimator whose classes contradict its own probabilities."""

    def __init__(self, fitted: Estimator) -> None:
        self.probabilities = fitted.probabilities

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(self.probabilities(features).argmin(axis=1))


def test_a_rule_that_decides_otherwise_than_the_estimator_is_refused(
    repository: Path, asked: Callable[[str], Asked]
) -> None:
    found, reference, _ = asked("breast_cancer")
    contrary = replace(reference, fitted=Contrary(reference.fitted))

    with pytest.raises(BundleRejected, match="row 0: the estimator predicts"):
        parity.check(repository / "breast_cancer" / "1", found, contrary)


class Counting:
    """An engine that remembers how many rows it was asked at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, features: np.ndarray) -> np.ndarray:
        self.sizes.append(len(features))
        return features[:, :2]

    def run_both(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.run(features), features[:, 2:4]


@pytest.mark.parametrize(
    ("size", "rows", "asked_for"), [(1, 3, [1, 1, 1]), (7, 16, [7, 7, 2]), (33, 33, [33]), (2, 0, [0])]
)
def test_rows_are_asked_in_batches_and_answered_in_order(
    repository: Path, size: int, rows: int, asked_for: list[int]
) -> None:
    engine = Counting()
    predictor = Predictor(bundle.read(repository / "breast_cancer" / "1").manifest, engine)
    features = np.arange(rows * 30, dtype=np.float64).reshape(rows, 30)

    answers = parity.InBatches(predictor, size).run(features)
    probabilities, logits = parity.InBatches(predictor, size).run_both(features)

    assert engine.sizes == asked_for * 2
    assert answers.tolist() == probabilities.tolist() == features[:, :2].tolist()
    assert logits.tolist() == features[:, 2:4].tolist()


def test_the_gate_asks_batches_of_every_size_that_is_promised() -> None:
    assert parity.BATCHES == (0, 1, 2, 7, 33)


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "temple_or_flower"])
def test_every_parameter_matters_to_some_golden_row(asked: Callable[[str], Asked], name: str) -> None:
    found, _, network = asked(name)

    assert found.untouched == 0
    assert found.parameters == sum(w.size + len(w) for w in network.weights)
    assert len(found.golden.features) <= golden.budget(network.n_features, beyond=3) <= 35


def test_golden_rows_are_as_sensitive_to_a_parameter_as_any_held_out_row(
    asked: Callable[[str], Asked],
) -> None:
    found, _, network = asked("breast_cancer")
    job = jobs.read(JOBS / "breast_cancer.toml")
    dataset = data.load(job)
    _, held_out = splits.holdout(dataset, job.evaluation, job.seed)

    greatest, sharpest = (
        np.max([golden.effects(network, row)[0] for row in rows], axis=0)
        for rows in (dataset.features[held_out], found.golden.features)
    )

    assert (sharpest >= greatest).all()


def test_every_hidden_unit_is_active_in_some_golden_row(asked: Callable[[str], Asked]) -> None:
    found, _, network = asked("digits")

    _, hidden, _ = network.activations(found.golden.features)

    assert (hidden > 0).any(axis=0).all()


def test_golden_rows_of_pictures_are_few_and_stored_as_bytes(asked: Callable[[str], Asked]) -> None:
    found, _, _ = asked("temple_or_flower")

    assert found.golden.features.dtype == np.uint8
    assert len(found.golden.features) <= 12


@pytest.mark.parametrize("name", ["breast_cancer", "iris", "temple_or_flower"])
def test_golden_rows_stand_at_the_edge_of_a_decision_and_on_both_sides(
    asked: Callable[[str], Asked], repository: Path, name: str
) -> None:
    found, reference, _ = asked(name)
    manifest = bundle.read(repository / name / "1").manifest
    margins = reference.rule.margins(found.golden.probabilities)
    side = parity.MARGINS[manifest.graph.dtype]

    beside = found.golden.classes[(margins >= side) & (margins < 4 * side)]

    assert margins.min() <= manifest.tolerance
    assert len(set(beside.tolist())) == 2


def test_a_network_with_a_dead_unit_says_how_many_parameters_are_not_watched() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(3, 4))
    inputs = Inputs(4, (0, 1, 2, 3), np.full(4, np.nan))
    biases = (np.array([0.0, -1e6, 0.0]), np.zeros(2))
    dead = Network(inputs, (first, rng.normal(size=(2, 3))), biases, "relu", Head.SOFTMAX)

    found = golden.select(dead, 1e-9, 32, rng.normal(size=(2, 4)), rng.normal(size=(50, 4)))

    assert found.untouched == 4 + 1 + 2


def test_a_pool_of_one_class_has_no_edges(asked: Callable[[str], Asked], repository: Path) -> None:
    _, reference, _ = asked("iris")
    space = Space.of(bundle.read(repository / "iris" / "1").manifest.features)
    pool = np.repeat(space.extremes()[:1], 5, axis=0)

    assert decision_edges(Boundary(reference), space, pool, 3, 1e-6) == ()


def test_random_rows_leave_the_range_a_little_so_that_constant_features_vary(
    asked: Callable[[str], Asked], repository: Path
) -> None:
    space = Space.of(bundle.read(repository / "digits" / "1").manifest.features)

    rows = space.random(50, np.random.default_rng(0))

    assert (rows.std(axis=0) > 0).all()
    assert (rows >= space.low - 1).all()
    assert (rows <= space.high + 1).all()


def test_pixels_stay_whole_numbers_between_0_and_255(repository: Path) -> None:
    space = Space.of(bundle.read(repository / "temple_or_flower" / "1").manifest.features)

    rows = np.concatenate([space.random(3, np.random.default_rng(0)), space.extremes()])

    assert rows.dtype == np.uint8
    assert rows.min() == 0
    assert rows.max() == 255


def test_the_gate_asks_every_code_of_a_long_vocabulary(tmp_path: Path) -> None:
    rows = "".join(f"k{i % 700},{'' if i % 90 == 0 else f'c{i % 70}'},{'xy'[i % 2]}\n" for i in range(1500))
    (tmp_path / "rows.csv").write_text("long,short,kind\n" + rows)
    text = (
        "name='m'\n[data]\npath='rows.csv'\ntarget='kind'\n"
        "[features]\nmissing='category'\nunknown='zero'\n[features.columns]\nlong={kind='category'}\n"
    )
    job = jobs.parse(text, tmp_path)
    manifest = draft.draft(job, data.load(job), FloatType.FLOAT64)

    asked, _, _ = questions(job, manifest)

    codes = [set(asked.gate.features[:, column].astype(int).tolist()) for column in range(2)]
    assert codes == [set(range(702)), set(range(72))]
