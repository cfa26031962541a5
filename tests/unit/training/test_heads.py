"""Heads: probabilities, decisions and losses of a last layer, at the ends of what a float64 holds."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import log_loss

from sigmax_training.heads import Output, decide, losses, probabilities, truths

LOGITS = np.random.default_rng(0).normal(scale=3.0, size=(50, 4))
CODES = np.arange(50) % 4


def test_two_classes_are_a_sigmoid_and_its_complement_exact_in_both_tails() -> None:
    both = probabilities(Output.BINARY, np.array([[-700.0], [0.0], [700.0]]))

    np.testing.assert_allclose(both, [[1.0, np.exp(-700)], [0.5, 0.5], [np.exp(-700), 1.0]], rtol=1e-15)


def test_a_softmax_of_huge_logits_does_not_overflow() -> None:
    row = probabilities(Output.SOFTMAX, np.array([[1e4, 1e4, -1e4]]))

    assert row.tolist() == [[0.5, 0.5, 0.0]]


def test_one_vs_rest_divides_the_sigmoids_by_their_sum() -> None:
    sigmoids = 1 / (1 + np.exp(-LOGITS))

    rows = probabilities(Output.ONE_VS_REST, LOGITS)

    np.testing.assert_allclose(rows, sigmoids / sigmoids.sum(axis=1, keepdims=True), rtol=1e-14)


def test_a_one_vs_rest_row_of_zeros_stays_zero_and_is_the_first_class() -> None:
    rows = probabilities(Output.ONE_VS_REST, np.array([[-800.0, -900.0, -1000.0]]))

    assert rows.tolist() == [[0.0, 0.0, 0.0]]
    assert decide(Output.ONE_VS_REST, rows).tolist() == [0]


def test_labels_are_sigmoids_each_for_itself() -> None:
    np.testing.assert_allclose(probabilities(Output.LABELS, LOGITS), 1 / (1 + np.exp(-LOGITS)), rtol=1e-14)


def test_a_half_is_the_negative_class_and_a_tie_the_lowest_column() -> None:
    assert decide(Output.BINARY, np.array([[0.5, 0.5], [0.4, 0.6]])).tolist() == [0, 1]
    assert decide(Output.LABELS, np.array([[0.5, 0.6]])).tolist() == [[False, True]]
    assert decide(Output.SOFTMAX, np.array([[0.2, 0.4, 0.4]])).tolist() == [1]


def test_the_softmax_loss_is_the_log_loss() -> None:
    mean = losses(Output.SOFTMAX, LOGITS, CODES).mean()

    assert mean == pytest.approx(log_loss(CODES, probabilities(Output.SOFTMAX, LOGITS)), rel=1e-12)


def test_the_binary_loss_is_the_log_loss() -> None:
    codes = CODES % 2

    mean = losses(Output.BINARY, LOGITS[:, :1], codes).mean()

    assert mean == pytest.approx(log_loss(codes, probabilities(Output.BINARY, LOGITS[:, :1])), rel=1e-12)


def test_the_loss_of_several_sigmoids_is_the_mean_over_the_columns() -> None:
    chances = probabilities(Output.LABELS, LOGITS)
    true = truths(Output.ONE_VS_REST, 4, CODES)
    columns = [log_loss(true[:, column], chances[:, column]) for column in range(4)]

    assert losses(Output.LABELS, LOGITS, true).mean() == pytest.approx(np.mean(columns), rel=1e-12)
    assert losses(Output.ONE_VS_REST, LOGITS, CODES).mean() == pytest.approx(np.mean(columns), rel=1e-12)


def test_a_loss_far_from_the_truth_is_the_logit_itself() -> None:
    assert losses(Output.BINARY, np.array([[1e4]]), np.array([0])).tolist() == [1e4]
    assert losses(Output.SOFTMAX, np.array([[1e4, 0.0, 0.0]]), np.array([1])).tolist() == [1e4]


def test_importing_the_heads_loads_nothing_of_scikit_learn() -> None:
    program = "import sys, sigmax_training.heads; print('sklearn' in sys.modules)"

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert result.stdout == "False\n"
