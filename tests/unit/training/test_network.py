"""A fitted estimator and the graph written from its numbers answer alike, whatever the features are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sigmax.contract import FloatType, Head, Layer
from sigmax_training import data, network
from sigmax_training import job as jobs
from sigmax_training.data.dataset import Dataset
from sigmax_training.export import export
from sigmax_training.features import Expansion
from sigmax_training.fit import Fitted, fit
from sigmax_training.heads import sigmoid
from sigmax_training.network import Inputs, Network, network_of, one_vs_rest

JOBS = Path(__file__).parents[3] / "training" / "jobs"
LEASE = """
name = "lease"
[data]
path = "lease.csv"
target = "결과"
[features]
missing = "median"
unknown = "zero"
"""


def fitted(text: str, rows: slice = slice(0, None, 2)) -> tuple[Dataset, Fitted]:
    job = jobs.parse(text, JOBS)
    dataset = data.load(job)
    return dataset, fit(job, dataset, np.arange(len(dataset.codes))[rows])


def graph(found: Fitted, dataset: Dataset, *, logits: bool = False) -> bytes:
    names = [block.name for block in dataset.blocks]
    return export(network_of(found, logits=logits), "x", FloatType.FLOAT64, dataset.classes, names)


def run(model: bytes, features: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, {"features": features})]


MLP = '[estimator]\nkind = "mlp"\nepochs = 3\n'
MULTICLASS = 'name = "x"\n[data]\nbuiltin = "wine"\n'
MULTILABEL = 'name = "x"\n[data]\nbuiltin = "digit_traits"\n'


@pytest.mark.parametrize(
    "text",
    [
        LEASE,
        LEASE + '[estimator]\nstandardise = false\nsolver = "newton-cholesky"\n',
        LEASE + MLP,
        LEASE + MLP + 'hidden = [5, 4]\nactivation = "tanh"\n',
        LEASE + MLP + 'hidden = [6]\nactivation = "logistic"\nstandardise = false\n',
        LEASE + MLP + 'hidden = [6]\nactivation = "identity"\noptimiser = "sgd"\n',
        'head = "one_vs_rest"\n' + MULTICLASS,
        'head = "one_vs_rest"\n' + MULTICLASS + MLP + "hidden = []\n",
        MULTICLASS + MLP + "hidden = []\n",
        MULTILABEL + '[estimator]\nC = 0.1\nsolver = "newton-cholesky"\n',
        MULTILABEL + MLP,
    ],
)
def test_the_graph_answers_what_the_estimator_answers(text: str) -> None:
    dataset, found = fitted(text)

    (served,) = run(graph(found, dataset), dataset.features)

    assert np.abs(served - found.probabilities(dataset.features)).max() < 1e-12


def test_an_imputed_and_encoded_table_is_answered_as_scikit_learn_answers_the_file_itself() -> None:
    dataset, found = fitted(LEASE + '[estimator]\nsolver = "newton-cholesky"\ntol = 1e-10\n')
    frame = pd.read_csv(JOBS / "lease.csv")
    target = frame.pop("결과")
    texts = ["지역", "난방"]
    numbers = [name for name in frame if name not in texts]
    frame["엘리베이터"] = frame["엘리베이터"].map({True: 1.0, False: 0.0})
    frame[texts] = frame[texts].fillna("없음")
    own = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(), texts),
        ),
        LogisticRegression(solver="newton-cholesky", tol=1e-10),
    )
    own.fit(frame[::2], target[::2])

    (served,) = run(graph(found, dataset), dataset.features)

    assert list(own.classes_) == list(dataset.classes)
    assert np.abs(served - own.predict_proba(frame)).max() < 1e-9


def test_an_unknown_category_adds_nothing_to_any_logit() -> None:
    dataset, found = fitted(LEASE)
    block = dataset.blocks[0]
    row = dataset.features[:1].copy()
    row[0, 0] = block.unknown_code

    own = network_of(found)
    places = own.inputs.expand(row)[0]

    column = len(own.inputs.numbers) + block.n_codes - 1
    assert places[column] == 1.0
    assert own.weights[0][:, column].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("head", ["softmax", "one_vs_rest"])
def test_logits_are_the_scores_that_the_head_turns_into_probabilities(head: str) -> None:
    dataset, found = fitted(f'head = "{head}"\n' + MULTICLASS)

    probabilities, logits = run(graph(found, dataset, logits=True), dataset.features)

    assert np.abs(network.HEADS[Head(head)](logits) - probabilities).max() < 1e-12
    assert np.abs(logits - found.logits(dataset.features)).max() < 1e-9


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_the_logits_of_two_classes_are_each_others_negative(head: str) -> None:
    dataset, found = fitted(f'name = "x"\nhead = "{head}"\n[data]\nbuiltin = "breast_cancer"\n')

    probabilities, logits = run(graph(found, dataset, logits=True), dataset.features)

    assert (logits[:, 0] == -logits[:, 1]).all()
    assert np.abs(network.HEADS[Head(head)](logits) - probabilities).max() < 1e-12
    assert np.abs(logits - found.logits(dataset.features)).max() < 1e-8


def test_one_vs_rest_keeps_its_digits_where_every_sigmoid_is_tiny() -> None:
    logits = np.array([[-600.0, -601.0, -650.0]])
    weights = np.eye(3)
    far = Network(
        Inputs(3, (0, 1, 2), np.full(3, np.nan)), (weights,), (np.zeros(3),), "identity", Head.ONE_VS_REST
    )

    (served,) = run(export(far, "x", FloatType.FLOAT64, ["a", "b", "c"], ["1", "2", "3"]), logits)

    expected = 1.0 / (1.0 + np.exp(-1.0) + np.exp(-50.0))
    assert served[0, 0] == pytest.approx(expected, rel=1e-12)
    assert one_vs_rest(logits)[0, 0] == pytest.approx(expected, rel=1e-12)


def test_a_sigmoid_neither_overflows_nor_loses_small_numbers() -> None:
    values = sigmoid(np.array([-700.0, -40.0, 0.0, 40.0, 700.0]))

    assert values[0] == pytest.approx(np.exp(-700.0), rel=1e-12)
    assert values[1] == pytest.approx(np.exp(-40.0), rel=1e-12)
    assert values[2:].tolist() == [0.5, 1.0, 1.0]


def flat(inputs: int, outputs: int, *, mirrored: bool = False) -> Network:
    seen = Inputs(inputs, tuple(range(inputs)), np.full(inputs, np.nan))
    weights = (np.zeros((outputs, inputs)),)
    return Network(seen, weights, (np.zeros(outputs),), "identity", Head.SOFTMAX, mirrored)


def test_a_softmax_over_30000_inputs_and_three_classes_has_90003_parameters() -> None:
    layers = flat(30_000, 3).layers()

    assert layers == (Layer("dense", 30_000, 3, 90_003), Layer("softmax", 3, 3))


def test_two_classes_have_the_parameters_of_the_one_logit_that_was_learnt() -> None:
    assert sum(layer.parameters for layer in flat(30_000, 2, mirrored=True).layers()) == 30_001


def test_every_learnt_number_is_counted_by_layer() -> None:
    dataset, found = fitted(LEASE + MLP + "hidden = [5, 4]\n")

    layers = network_of(found).layers()

    categories = sum(dataset.blocks[column].n_codes for column in (0, 5))
    assert [layer.kind for layer in layers] == [
        *("impute", "one-hot", "dense", "relu", "dense", "relu", "dense", "sigmoid")
    ]
    assert [layer.parameters for layer in layers if layer.parameters] == [
        *(5, 5 * (5 + categories + 1), 4 * 6, 5)
    ]


def test_a_model_without_numbers_has_tables_alone() -> None:
    text = LEASE.replace(
        "[features]", 'ignore = ["면적", "층", "준공연도", "엘리베이터", "시세 대비 가격"]\n[features]'
    )
    dataset, found = fitted(text)
    model = onnx.load_from_string(graph(found, dataset))

    (served,) = run(model.SerializeToString(), dataset.features)

    assert [node.op_type for node in model.graph.node] == [
        *("Gather", "Cast", "Add", "Gather", "ReduceSum", "Add", "Sigmoid")
    ]
    assert np.abs(served - found.probabilities(dataset.features)).max() < 1e-12


def test_what_the_first_layer_sees_is_imputed_numbers_and_one_place_a_code() -> None:
    seen = Inputs(4, (0, 2), np.array([7.0, np.nan]), (1, 3), (3, 2))

    found = seen.expand(np.array([[np.nan, 2.0, 5.0, 0.0], [1.0, 0.0, 6.0, 1.0]]))

    assert found.tolist() == [[7, 5, 0, 0, 1, 1, 0], [1, 6, 1, 0, 0, 0, 1]]
    assert not seen.whole


def test_a_plain_matrix_enters_the_first_layer_as_it_is() -> None:
    plain = Expansion((0, 1), np.full(2, np.nan), np.zeros(2), np.ones(2))

    assert Inputs(2, plain.numbers, plain.fill).whole
