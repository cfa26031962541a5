"""Every supported model answers every row of its data as its estimator does, once it is published."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models import table
from tests.models.measure import Agreement, Measured, Own, agreement, measure
from tests.models.pairs import DATA, ESTIMATORS, PAIRS, Pair

from sigmax.contract import HEADS, FloatType
from sigmax.inference.engine import Floats
from sigmax.inference.predictor import Predictor
from sigmax_training import data
from sigmax_training.draft import draft

TOLERANCES = {FloatType.FLOAT64: 1e-9, FloatType.FLOAT32: 1e-5}
FEW = 0.01
"""The share of rows that may lie at the edge of a decision."""


@pytest.fixture(
    scope="module", params=PAIRS, ids=lambda pair: "-".join(pair.key).replace(",", "").replace(" ", "_")
)
def pair(request: pytest.FixtureRequest) -> Pair:
    found: Pair = request.param
    return found


@pytest.fixture(scope="module")
def measured(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return measure(pair, tmp_path_factory.mktemp("models"))


def test_every_row_is_served_with_the_estimators_own_probabilities(pair: Pair, measured: Measured) -> None:
    assert measured.agreement.rows >= 150
    assert measured.agreement.difference <= TOLERANCES[pair.dtype]


def test_every_row_is_served_with_the_estimators_own_label(measured: Measured) -> None:
    assert measured.agreement.differing == 0
    assert measured.agreement.exempt <= FEW * measured.agreement.rows


def test_what_is_published_is_the_pair(pair: Pair, measured: Measured) -> None:
    manifest = measured.manifest

    assert (manifest.task, manifest.head, manifest.graph.dtype) == (pair.task, pair.head, pair.dtype)
    assert manifest.tolerance == TOLERANCES[pair.dtype]


def test_the_pairs_are_every_estimator_with_every_head_of_every_task() -> None:
    heads = {(task, head) for task, found in HEADS.items() for head in found}

    assert {(pair.estimator, pair.task, pair.head) for pair in PAIRS} == {
        (estimator, *head) for estimator in ESTIMATORS for head in heads
    }
    assert len({pair.key for pair in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize("name", DATA)
def test_each_data_set_has_several_pairs_of_both_types(name: str) -> None:
    found = [pair for pair in PAIRS if pair.data == name]

    assert len({pair.estimator for pair in found}) >= 3
    assert {pair.dtype for pair in found} == set(FloatType)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_estimator_is_served_in_both_types(estimator: str) -> None:
    assert {pair.dtype for pair in PAIRS if pair.estimator == estimator} == set(FloatType)


class Parrot:
    """An engine that gives the same answers whatever it is asked."""

    def __init__(self, answers: Floats) -> None:
        self._answers = answers

    def run(self, features: Floats) -> Floats:
        return self._answers

    def run_both(self, features: Floats) -> tuple[Floats, Floats]:
        return self._answers, np.log(self._answers)


def compared(served: Floats) -> Agreement:
    """Answers to three rows of the first pair's model, against an estimator that is sure of none."""
    job = PAIRS[0].job
    manifest = draft(job, data.load(job), FloatType.FLOAT64)
    own = Own(np.array([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]]), np.array([0, 0, 1]))
    return agreement(Predictor(manifest, Parrot(served)), np.zeros((3, manifest.n_features)), own)


def test_a_difference_of_one_probability_is_measured() -> None:
    found = compared(np.array([[0.7, 0.3], [0.5, 0.5], [0.2 - 2e-9, 0.8 + 2e-9]]))

    assert found.difference == pytest.approx(2e-9)
    assert (found.rows, found.differing, found.exempt) == (3, 0, 1)


def test_another_class_is_counted_but_at_the_edge_it_is_exempt() -> None:
    found = compared(np.array([[0.3, 0.7], [0.4, 0.6], [0.2, 0.8]]))

    assert found.difference == pytest.approx(0.4)
    assert (found.rows, found.differing, found.exempt) == (3, 1, 1)


def test_what_is_written_into_a_document_is_what_it_lists_afterwards() -> None:
    document = f"before\n\n{table.BEGIN}\n| an | older | table | . | 1 |\n{table.END}\n\nafter\n"

    found = table.written(document, ["| a | b | c | d | 0.1 |", "| e | f | g | h | 0.2 |"])

    assert table.listed(found) == [("a", "b", "c", "d"), ("e", "f", "g", "h")]
    assert found.startswith("before\n\n<!--")
    assert found.endswith("-->\n\nafter\n")


def test_the_document_lists_exactly_the_pairs() -> None:
    assert table.listed(table.DOCUMENT.read_text()) == [pair.key for pair in PAIRS]
