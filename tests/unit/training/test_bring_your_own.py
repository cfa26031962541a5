"""`publish`: fitted scikit-learn classifiers as they are, or refused by name; never a silent difference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

import sigmax_training
from sigmax.contract import FloatType, Head, Kind, Missing, Task, Unknown
from sigmax.errors import BundleRejected, InvalidInput
from sigmax.inference.predictor import Predictor, open_predictor
from sigmax.repository import bundle
from sigmax_training.pipeline import Outcome

IRIS, SPECIES = load_iris(return_X_y=True)
CELLS, MALIGNANT = load_breast_cancer(return_X_y=True)
SCALED = StandardScaler().fit_transform(CELLS)
NAMES = ["나이", "소득", "도시", "등급", "신규"]


def publish(estimator: Any, rows: Any, labels: Any, models: Path, **more: Any) -> Outcome:
    return sigmax_training.publish(estimator, rows, labels, name="own", models=models, **more)


def served(outcome: Outcome) -> Predictor:
    return open_predictor(bundle.read(outcome.published.path))


def tenants(count: int = 240) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with numbers, texts, missing values and booleans under Korean names."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "나이": rng.normal(40, 10, count),
            "소득": rng.lognormal(3, 1, count),
            "도시": rng.choice(["서울", "부산", "대구"], count),
            "등급": rng.choice(np.array(["A", "B", "None"], object), count),
            "신규": rng.random(count) < 0.5,
        }
    )
    frame.loc[::7, "소득"] = np.nan
    frame["등급"] = frame["등급"].astype(object)
    frame.loc[::11, "등급"] = None
    chosen = (frame["나이"] > 40) ^ (frame["도시"] == "서울")
    return frame, np.where(chosen, "승인", "거절")


def encoded(encoder: Any, classifier: Any) -> Pipeline:
    """The pipeline of most tutorials: numbers imputed and scaled, categories encoded, the rest as it is."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = [("numbers", numbers, ["나이", "소득"]), ("categories", encoder, ["도시", "등급"])]
    return make_pipeline(ColumnTransformer(parts, remainder="passthrough"), classifier)


# What converts


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=1000),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=30, random_state=0)),
        make_pipeline(StandardScaler(), MLPClassifier((8,), "tanh", max_iter=30, random_state=0)),
        make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression())),
    ],
    ids=["logistic", "scaled", "relu", "tanh", "one_vs_rest"],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_comes_down_to_matrices_is_the_canonical_graph(estimator: Any, tmp_path: Path) -> None:
    outcome = publish(estimator.fit(IRIS[::2], SPECIES[::2]), IRIS[1::2], SPECIES[1::2], tmp_path)

    manifest = bundle.read(outcome.published.path).manifest
    assert outcome.proof is not None
    assert outcome.proof.difference < 1e-12
    assert manifest.graph.dtype is FloatType.FLOAT64
    assert manifest.graph.layers[0].kind == "dense"
    assert manifest.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(max_depth=4, random_state=0),
        RandomForestClassifier(15, random_state=0),
        make_pipeline(StandardScaler(), RandomForestClassifier(15, random_state=0)),
        ExtraTreesClassifier(15, random_state=0),
        GradientBoostingClassifier(n_estimators=8, random_state=0),
        HistGradientBoostingClassifier(max_iter=8, random_state=0),
        BaggingClassifier(n_estimators=4, random_state=0),
        GaussianNB(),
        MultinomialNB(),
        make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(), ensemble=False)),
        VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], voting="soft"),
    ],
    ids=lambda estimator: type(estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator).__name__,
)
@pytest.mark.parametrize("classes", [2, 3])
def test_other_estimators_are_converted_and_proved(estimator: Any, classes: int, tmp_path: Path) -> None:
    rows, labels = (IRIS, SPECIES) if classes == 3 else (CELLS[:, :6], MALIGNANT)

    outcome = publish(estimator.fit(rows[::2], labels[::2]), rows[1::2], labels[1::2], tmp_path)

    expected = estimator.predict_proba(rows)
    predictor = served(outcome)
    assert np.abs(predictor.probabilities(rows.astype(predictor.dtype)) - expected).max() < 1e-5


def test_neighbours_of_rows_that_are_no_ties_are_converted(tmp_path: Path) -> None:
    outcome = publish(
        KNeighborsClassifier().fit(CELLS[::2], MALIGNANT[::2]), CELLS[1::9], MALIGNANT[1::9], tmp_path
    )

    assert outcome.proof is not None
    assert outcome.proof.difference == 0.0


def test_a_histogram_of_trees_takes_missing_values_the_way_that_it_learnt(tmp_path: Path) -> None:
    rows = CELLS.copy()
    rows[::3, 2] = np.nan
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(rows[::2], MALIGNANT[::2])

    outcome = publish(model, rows[1::2], MALIGNANT[1::2], tmp_path)

    features = bundle.read(outcome.published.path).manifest.features
    assert (features[1].missing, features[2].missing) == (Missing.REJECT, Missing.NATIVE)
    assert np.abs(served(outcome).probabilities(rows) - model.predict_proba(rows)).max() < 1e-6


def test_a_forest_takes_missing_values_the_way_that_it_learnt(tmp_path: Path) -> None:
    rows = CELLS.copy()
    rows[MALIGNANT == 0, 2] = np.nan
    model = RandomForestClassifier(10, random_state=0).fit(rows[::2], MALIGNANT[::2])

    outcome = publish(model, rows[1::2], MALIGNANT[1::2], tmp_path)

    assert np.abs(served(outcome).probabilities(rows) - model.predict_proba(rows)).max() < 1e-6


def test_trees_compare_as_scikit_learn_does_right_beside_every_threshold(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(CELLS, MALIGNANT)
    tree, scaler = model[-1].tree_, model[0]
    inner = np.flatnonzero(tree.children_left >= 0)
    at = tree.threshold[inner] * scaler.scale_[tree.feature[inner]] + scaler.mean_[tree.feature[inner]]
    rows = np.repeat(CELLS[:1], 2 * len(inner), axis=0)
    for index, node in enumerate(inner):
        rows[2 * index, tree.feature[node]] = at[index] * (1 - 1e-6)
        rows[2 * index + 1, tree.feature[node]] = at[index] * (1 + 1e-6)

    predictor = served(publish(model, CELLS, MALIGNANT, tmp_path))

    assert np.abs(predictor.probabilities(rows) - model.predict_proba(rows)).max() < 1e-6


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_several_labels_are_published_from_one_vs_rest_and_from_a_perceptron(tmp_path: Path) -> None:
    truth = np.column_stack([SPECIES == 0, SPECIES == 1, IRIS[:, 0] > 5.8]).astype(int)
    names = ["setosa", "versicolor", "long"]
    for number, model in enumerate(
        (OneVsRestClassifier(LogisticRegression()), MLPClassifier((6,), max_iter=100, random_state=0))
    ):
        outcome = publish(
            model.fit(IRIS[::2], truth[::2]), IRIS, truth, tmp_path / str(number), classes=names
        )

        manifest = bundle.read(outcome.published.path).manifest
        predictor = served(outcome)
        chosen = predictor.rule.choose(predictor.probabilities(IRIS))
        assert (manifest.task, manifest.head) == (Task.MULTILABEL, Head.SIGMOID)
        assert manifest.classes == ("setosa", "versicolor", "long")
        assert np.array_equal(chosen, model.predict(IRIS) == 1)


def test_a_search_is_published_as_what_it_found(tmp_path: Path) -> None:
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1]}
    )

    outcome = publish(search.fit(IRIS, SPECIES), IRIS, SPECIES, tmp_path)

    assert bundle.read(outcome.published.path).manifest.graph.layers[0].kind == "dense"


@pytest.mark.parametrize("around_pipeline", [False, True])
def test_a_temperature_is_folded_into_the_last_layer(around_pipeline: bool, tmp_path: Path) -> None:
    if around_pipeline:
        inner = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=500, random_state=0, tol=1e-2))
        model = CalibratedClassifierCV(inner, method="temperature", ensemble=False)
    else:
        last = CalibratedClassifierCV(LogisticRegression(), method="temperature", ensemble=False)
        model = make_pipeline(StandardScaler(), last)

    outcome = publish(model.fit(CELLS, MALIGNANT), CELLS[::3], MALIGNANT[::3], tmp_path)

    manifest = bundle.read(outcome.published.path).manifest
    assert [layer.kind for layer in manifest.graph.layers][-1] == "sigmoid"
    assert np.abs(served(outcome).probabilities(CELLS) - model.predict_proba(CELLS)).max() < 1e-5


# Frames


@pytest.mark.parametrize(
    ("encoder", "classifier"),
    [
        (OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=60), LogisticRegression()),
        (OneHotEncoder(handle_unknown="ignore", drop="first"), RandomForestClassifier(10, random_state=0)),
        (
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            HistGradientBoostingClassifier(max_iter=8, random_state=0),
        ),
        (TargetEncoder(), LogisticRegression()),
    ],
    ids=["one_hot", "infrequent", "drop", "ordinal", "target"],
)
@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_a_frame_of_numbers_texts_and_missing_values_is_served_as_the_estimator_answers(
    encoder: Any, classifier: Any, tmp_path: Path
) -> None:
    frame, labels = tenants()
    model = encoded(encoder, classifier).fit(frame[:160], labels[:160])

    outcome = publish(model, frame[160:], labels[160:], tmp_path)

    features = bundle.read(outcome.published.path).manifest.features
    assert [feature.name for feature in features] == NAMES
    assert [feature.kind for feature in features] == [
        *[Kind.NUMERIC] * 2,
        *[Kind.CATEGORY] * 2,
        Kind.BOOLEAN,
    ]
    assert features[2].vocabulary == ("대구", "부산", "서울")
    assert features[2].unknown is Unknown.NATIVE
    assert features[3].vocabulary == ("A", "B", "None")
    assert features[3].missing is Missing.NATIVE
    rows = np.array(
        [[40.0, np.nan, 2, 3, 1], [30.0, 20.0, 3, 2, 0]]
    )  # missing; an unknown city and the text None
    texts = pd.DataFrame({"도시": ["서울", "평양"], "등급": [None, "None"]}, dtype=object)
    asked = texts.assign(나이=[40.0, 30.0], 소득=[np.nan, 20.0], 신규=[True, False])[NAMES]
    predictor = served(outcome)
    assert (
        np.abs(predictor.probabilities(rows.astype(predictor.dtype)) - model.predict_proba(asked)).max()
        < 1e-5
    )


def test_none_and_the_text_none_are_two_categories(tmp_path: Path) -> None:
    frame, labels = tenants()
    model = encoded(OneHotEncoder(), LogisticRegression()).fit(frame, labels)

    predictor = served(publish(model, frame, labels, tmp_path))

    missing, text = predictor.probabilities(np.array([[40.0, 1, 0, 3, 0], [40.0, 1, 0, 2, 0]]))
    assert abs(missing[0] - text[0]) > 1e-3


def test_an_unknown_category_that_the_estimator_refuses_is_refused(tmp_path: Path) -> None:
    frame, labels = tenants()
    model = encoded(OneHotEncoder(), LogisticRegression()).fit(frame, labels)

    outcome = publish(model, frame, labels, tmp_path)

    features = bundle.read(outcome.published.path).manifest.features
    assert [features[2].unknown, features[3].unknown] == [Unknown.REJECT, Unknown.REJECT]


def test_texts_may_be_imputed_before_they_are_encoded(tmp_path: Path) -> None:
    frame, labels = tenants()
    frame["등급"] = frame["등급"].astype("str")
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    model = encoded(texts, LogisticRegression()).fit(frame, labels)

    predictor = served(publish(model, frame, labels, tmp_path))

    frequent = ["A", "B", "None"].index(frame["등급"].mode()[0])
    answers = predictor.probabilities(
        np.array([[40.0, 1, 0, code, 0] for code in (3, frequent, 1 - frequent)])
    )
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_integers_and_booleans_that_an_encoder_takes_are_categories(tmp_path: Path) -> None:
    frame, labels = tenants()
    frame["방"] = np.arange(len(frame)) % 4
    columns = ["도시", "방", "신규"]
    encoder = ColumnTransformer([("categories", OneHotEncoder(handle_unknown="ignore"), columns)])
    model = make_pipeline(encoder, LogisticRegression()).fit(frame[columns], labels)

    outcome = publish(model, frame[columns], labels, tmp_path)

    features = bundle.read(outcome.published.path).manifest.features
    assert [feature.dtype for feature in features] == ["string", "int64", "bool"]
    assert [feature.vocabulary for feature in features[1:]] == [("0", "1", "2", "3"), ("false", "true")]


def test_columns_that_the_pipeline_drops_are_no_features(tmp_path: Path) -> None:
    frame, labels = tenants()
    frame.insert(1, "계약일", pd.date_range("2025-01-01", periods=len(frame)))
    parts = [("ages", StandardScaler(), ["나이"]), ("cities", OneHotEncoder(), ["도시"])]
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(frame, labels)

    outcome = publish(model, frame, labels, tmp_path)

    features = bundle.read(outcome.published.path).manifest.features
    assert [feature.name for feature in features] == ["나이", "도시"]


def test_columns_that_hold_dates_are_refused(tmp_path: Path) -> None:
    frame, labels = tenants()
    frame["계약일"] = pd.date_range("2025-01-01", periods=len(frame))
    parts = [
        ("ages", StandardScaler(), ["나이"]),
        ("dates", SimpleImputer(strategy="most_frequent"), ["계약일"]),
    ]
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(
        frame[["나이"]].assign(계약일=1), labels
    )

    with pytest.raises(
        InvalidInput, match=r"column '계약일' holds datetime64.*: make it numbers, texts or booleans"
    ):
        publish(model, frame, labels, tmp_path)


def test_indicators_of_missing_numbers_are_converted(tmp_path: Path) -> None:
    rows = CELLS[:, :4].copy()
    rows[::5, 1] = np.nan
    model = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression())

    outcome = publish(model.fit(rows, MALIGNANT), rows, MALIGNANT, tmp_path)

    assert np.abs(served(outcome).probabilities(rows) - model.predict_proba(rows)).max() < 1e-9


def test_a_step_back_to_float32_is_said(tmp_path: Path) -> None:
    scaled = StandardScaler().fit_transform(CELLS[:, :3])
    model = make_pipeline(PolynomialFeatures(2), LogisticRegression(max_iter=1000)).fit(scaled, MALIGNANT)

    outcome = publish(model, scaled, MALIGNANT, tmp_path)

    assert outcome.dtype is FloatType.FLOAT32
    assert outcome.notices[0].startswith("published in float32 with a tolerance of 1e-05: step 'polynomial")


def test_names_are_those_of_the_frame_though_the_file_format_would_rewrite_them(tmp_path: Path) -> None:
    names = ["mean radius", "home.dest", "1st", "label", "a b", "a_b"]
    frame = pd.DataFrame(CELLS[:, :6], columns=names)

    outcome = publish(RandomForestClassifier(5).fit(frame, MALIGNANT), frame, MALIGNANT, tmp_path)

    assert [feature.name for feature in bundle.read(outcome.published.path).manifest.features] == names


def test_an_array_is_taken_by_the_names_that_the_estimator_was_fitted_on(tmp_path: Path) -> None:
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    model = LogisticRegression(max_iter=1000)

    named = publish(model.fit(frame, SPECIES), IRIS, SPECIES, tmp_path / "named")
    bare = publish(model.fit(IRIS, SPECIES), IRIS, SPECIES, tmp_path / "bare")

    found = [bundle.read(outcome.published.path).manifest.features for outcome in (named, bare)]
    assert [[feature.name for feature in features] for features in found] == [
        ["a", "b", "c", "d"],
        ["x0", "x1", "x2", "x3"],
    ]


def test_pandas_is_not_needed_for_arrays(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "class NoPandas:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'pandas':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoPandas())\n"
        "from sklearn.datasets import load_iris\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "import sigmax_training\n"
        "X, y = load_iris(return_X_y=True)\n"
        "model = LogisticRegression(max_iter=999).fit(X, y)\n"
        f"out = sigmax_training.publish(model, X, y, name='iris', models={str(tmp_path)!r})\n"
        "print(out.published.version, 'pandas' in sys.modules)\n"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert result.stdout == "1 False\n", result.stderr


def test_importing_the_package_loads_nothing_of_scikit_learn() -> None:
    program = "import sys, sigmax_training; print('sklearn' in sys.modules, 'onnx' in sys.modules)"

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert result.stdout == "False False\n"


# Labels


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        (np.array([0, 2**40, -7]), ("-7", "0", "1099511627776")),
        (np.array([1.0, 2.0, 10.0]), ("1", "2", "10")),
        (np.array([3, 7, 9], np.uint8), ("3", "7", "9")),
        (np.array(["개", "고양이", "새"]), ("개", "고양이", "새")),
    ],
    ids=["beyond 32 bits", "whole floats", "uint8", "korean"],
)
@pytest.mark.parametrize(
    "estimator",
    [
        SGDClassifier(loss="log_loss", random_state=0),
        OneVsRestClassifier(DecisionTreeClassifier(random_state=0)),
        MLPClassifier((4,), max_iter=300, random_state=0, tol=1e-2),
        RandomForestClassifier(5, random_state=0),
    ],
    ids=["sgd", "one_vs_rest", "mlp", "forest"],
)
def test_labels_of_every_type_are_their_canonical_texts(
    estimator: Any, labels: np.ndarray, texts: tuple[str, ...], tmp_path: Path
) -> None:
    rows, truth = StandardScaler().fit_transform(IRIS), labels[SPECIES]

    outcome = publish(estimator.fit(rows, truth), rows, truth, tmp_path)

    predictor = served(outcome)
    chosen = predictor.rule.choose(predictor.probabilities(rows.astype(predictor.dtype)))
    manifest = bundle.read(outcome.published.path).manifest
    assert manifest.classes == texts
    assert np.array_equal(np.sort(labels)[chosen], estimator.predict(rows))


def test_booleans_are_true_and_false_and_the_positive_class_may_be_named_as_in_y(tmp_path: Path) -> None:
    truth = MALIGNANT == 0
    model = RandomForestClassifier(5, random_state=0).fit(CELLS, truth)

    outcome = publish(model, CELLS, truth, tmp_path, positive=False)

    decision = bundle.read(outcome.published.path).manifest.decision
    assert bundle.read(outcome.published.path).manifest.classes == ("false", "true")
    assert (decision.positive, dict(decision.thresholds)) == ("false", {"false": 0.5})


def test_labels_that_are_no_whole_numbers_are_refused(tmp_path: Path) -> None:
    truth = np.array(["0.5", "1.5", "2"])[SPECIES].astype(float).astype(object)
    model = GaussianNB().fit(IRIS, SPECIES)
    model.classes_ = np.array([0.5, 1.5, 2.0])

    with pytest.raises(InvalidInput, match=r"class '0.5' is no text, integer or boolean: .*astype\(str\)"):
        publish(model, IRIS, truth, tmp_path)


def test_a_true_label_that_is_no_class_is_refused_by_row(tmp_path: Path) -> None:
    model = GaussianNB().fit(IRIS, np.array(["개", "고양이", "새"])[SPECIES])

    with pytest.raises(
        InvalidInput, match="y, row 0: '고양' is no class of the estimator, did you mean '고양이'"
    ):
        publish(model, IRIS[:2], ["고양", "새"], tmp_path)


# Decisions


def test_a_tuned_threshold_is_the_one_that_is_served(tmp_path: Path) -> None:
    rows = SCALED[:, :5]
    model = TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy")
    model.fit(rows, MALIGNANT)

    outcome = publish(model, rows, MALIGNANT, tmp_path)

    predictor = served(outcome)
    chosen = predictor.rule.choose(predictor.probabilities(rows))
    assert np.array_equal(chosen, model.predict(rows))
    assert not np.array_equal(chosen, model.estimator_.predict(rows))


def test_a_fixed_threshold_holds_for_its_own_positive_class_and_at_the_very_threshold(tmp_path: Path) -> None:
    labels = np.array(["나쁨", "좋음"])[MALIGNANT]
    inner = RandomForestClassifier(10, random_state=0)
    model = FixedThresholdClassifier(inner, threshold=0.3, pos_label="나쁨").fit(CELLS, labels)

    outcome = publish(model, CELLS, labels, tmp_path)

    decision = bundle.read(outcome.published.path).manifest.decision
    at = model.predict_proba(CELLS)[:, 0] == 0.3
    assert at.any()
    assert decision.positive == "나쁨"
    assert 0.3 - decision.thresholds["나쁨"] == pytest.approx(0.0, abs=1e-15)
    assert set(model.predict(CELLS[at])) == {"나쁨"}
    assert decision.thresholds["나쁨"] < 0.3


def test_a_threshold_on_scores_is_refused(tmp_path: Path) -> None:
    inner = LogisticRegression()
    model = FixedThresholdClassifier(inner, threshold=1.0, response_method="decision_function")

    with pytest.raises(InvalidInput, match=r"a threshold on scores, not on probabilities: .*'predict_proba'"):
        publish(model.fit(SCALED, MALIGNANT), SCALED, MALIGNANT, tmp_path)


def test_a_threshold_beside_that_of_the_estimator_is_refused(tmp_path: Path) -> None:
    model = FixedThresholdClassifier(GaussianNB(), threshold=0.7).fit(CELLS, MALIGNANT)

    with pytest.raises(InvalidInput, match=r"brings its own threshold, 0\.7 for '1': leave out"):
        publish(model, CELLS, MALIGNANT, tmp_path, threshold=0.2)


def test_saturated_probabilities_that_no_longer_decide_are_refused_with_the_reason(tmp_path: Path) -> None:
    model = SGDClassifier(loss="log_loss", random_state=0).fit(IRIS * 100, SPECIES)

    with pytest.raises(
        InvalidInput,
        match=r"SGDClassifier's predict does not follow from its predict_proba: the probabilities are "
        r"saturated, several classes have .*scale the features, or use LogisticRegression",
    ):
        publish(model, IRIS * 100, SPECIES, tmp_path)


@pytest.mark.filterwarnings("ignore:The `probability` parameter")
def test_a_predict_that_contradicts_its_probabilities_is_refused(tmp_path: Path) -> None:
    model = SVC(probability=True, random_state=0).fit(CELLS[::2], MALIGNANT[::2])

    with pytest.raises(InvalidInput, match=r"SVC's predict does not follow .*CalibratedClassifierCV"):
        publish(model, CELLS[1::2], MALIGNANT[1::2], tmp_path)


# Refusals


class Doubled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of somebody's own."""

    def fit(self, X: Any, y: Any = None) -> Doubled:  # noqa: N803
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        return 2 * np.asarray(X)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (CalibratedClassifierCV(GaussianNB(), method="isotonic"), r"isotonic.*nearest knot.*'sigmoid'"),
        (
            GridSearchCV(CalibratedClassifierCV(GaussianNB()), {"method": ["isotonic"]}),
            r"isotonic.*nearest knot.*'sigmoid'",
        ),
        (
            CalibratedClassifierCV(LogisticRegression(), method="temperature", ensemble=True),
            "ensemble=True, which averages 5 classifiers; use ensemble=False",
        ),
        (
            CalibratedClassifierCV(GaussianNB(), method="temperature", ensemble=False),
            "temperature.*is published around LogisticRegression or MLPClassifier",
        ),
        (RidgeClassifier(), "RidgeClassifier has no predict_proba; LogisticRegression has"),
        (LinearSVC(), r"LinearSVC has no predict_proba; .*CalibratedClassifierCV\(LinearSVC"),
        (
            make_pipeline(FunctionTransformer(np.arctan), LogisticRegression()),
            "step 'functiontransformer': FunctionTransformer calls Python code",
        ),
        (
            make_pipeline(StandardScaler(), Doubled(), LogisticRegression()),
            "step 'doubled': Doubled cannot be written as an ONNX graph: no converter knows it",
        ),
        (make_pipeline(StandardScaler(), KNeighborsClassifier(weights="distance")), None),
    ],
    ids=[
        "isotonic",
        "isotonic found",
        "ensemble",
        "temperature",
        "ridge",
        "linear svc",
        "function",
        "custom",
        "distances",
    ],
)
def test_what_cannot_be_served_right_is_refused_by_name(
    estimator: Any, said: str | None, tmp_path: Path
) -> None:
    fitted = estimator.fit(SCALED[:, :6], MALIGNANT)

    # the rows of the fitting: there a distance is 0, which the converter divides by
    with pytest.raises((InvalidInput, BundleRejected), match=said or "the gate|probability"):
        publish(fitted, SCALED[:, :6], MALIGNANT, tmp_path)
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (MultiOutputClassifier(LogisticRegression()), "one table a label"),
        (ClassifierChain(LogisticRegression()), "no converter knows it: use OneVsRest"),
        (RandomForestClassifier(3), "RandomForestClassifier answers with one table a label"),
    ],
    ids=["multi output", "chain", "forest"],
)
def test_several_labels_that_come_as_several_tables_are_refused(
    estimator: Any, said: str, tmp_path: Path
) -> None:
    truth = np.column_stack([MALIGNANT, CELLS[:, 0] > 14]).astype(int)

    with pytest.raises(InvalidInput, match=said):
        publish(estimator.fit(SCALED[:, :3], truth), SCALED[:, :3], truth, tmp_path)


def test_text_vectorisers_are_refused(tmp_path: Path) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(
        ["달님 별님", "별님 해님", "해님 달님"], [0, 1, 1]
    )

    with pytest.raises(InvalidInput, match="TfidfVectorizer cannot be published: texts are split"):
        publish(model, np.zeros((3, 1)), [0, 1, 1], tmp_path)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (LogisticRegression(), r"this LogisticRegression is not fitted: call fit\(X, y\) first"),
        (make_pipeline(StandardScaler(), GaussianNB()), "this Pipeline is not fitted"),
        ("model.onnx", "'str' is no scikit-learn estimator; ONNX files go through sigmax-train import"),
    ],
    ids=["unfitted", "unfitted pipeline", "a file"],
)
def test_what_is_not_ready_is_refused(estimator: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        publish(estimator, IRIS, SPECIES, tmp_path)


def test_regressors_are_refused(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    with pytest.raises(InvalidInput, match="LinearRegression is no classifier"):
        publish(LinearRegression().fit(IRIS, SPECIES), IRIS, SPECIES, tmp_path)


def test_categories_of_decimals_are_refused_by_column(tmp_path: Path) -> None:
    encoder = ColumnTransformer([("all", OneHotEncoder(handle_unknown="ignore"), [0])])
    model = make_pipeline(encoder, LogisticRegression()).fit(IRIS, SPECIES)

    with pytest.raises(InvalidInput, match=r"column 'x0' is a category, and holds values like '\d\.\d'"):
        publish(model, IRIS, SPECIES, tmp_path)


def test_categories_that_reach_a_classifier_unencoded_are_refused(tmp_path: Path) -> None:
    frame, labels = tenants()
    inner = encoded(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    model = CalibratedClassifierCV(inner).fit(frame, labels)

    with pytest.raises(
        InvalidInput, match="the categories of '도시', '등급' reach the classifier as they are"
    ):
        publish(model, frame, labels, tmp_path)


def test_rows_that_the_estimator_refuses_are_refused_with_its_words(tmp_path: Path) -> None:
    rows = IRIS.copy()
    rows[3, 1] = np.nan

    with pytest.raises(InvalidInput, match="LogisticRegression refuses the rows of X: Input X contains NaN"):
        publish(LogisticRegression(max_iter=1000).fit(IRIS, SPECIES), rows, SPECIES, tmp_path)


def test_a_frame_without_a_column_of_the_fitting_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    model = LogisticRegression(max_iter=1000).fit(frame, SPECIES)

    with pytest.raises(InvalidInput, match="X lacks columns that the estimator was fitted on: 'c'"):
        publish(model, frame.drop(columns="c"), SPECIES, tmp_path)


# Publication


def test_the_same_estimator_is_published_once_and_the_file_is_the_same_to_the_byte(tmp_path: Path) -> None:
    model = RandomForestClassifier(5, random_state=0).fit(IRIS, SPECIES)

    first, again = (publish(model, IRIS, SPECIES, tmp_path / "a") for _ in range(2))
    other = publish(model, IRIS, SPECIES, tmp_path / "b")

    assert (first.published, again.proof) == (again.published, None)
    files = [(outcome.published.path / "model.onnx").read_bytes() for outcome in (first, other)]
    assert files[0] == files[1]


def test_metrics_are_measured_on_the_rows_that_were_given(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=1000).fit(IRIS[::2], SPECIES[::2])

    outcome = publish(model, IRIS[1::2], SPECIES[1::2], tmp_path)

    chances = model.predict_proba(IRIS[1::2])[np.arange(75), SPECIES[1::2]]
    assert outcome.metrics["accuracy"] == model.score(IRIS[1::2], SPECIES[1::2])
    assert outcome.metrics["log_loss"] == pytest.approx(-np.log(chances).mean())
    assert outcome.metrics["rows"] == 75


def test_golden_rows_have_every_code_and_different_answers(tmp_path: Path) -> None:
    frame, labels = tenants()
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = encoded(encoder, HistGradientBoostingClassifier(max_iter=8, random_state=0)).fit(frame, labels)

    outcome = publish(model, frame, labels, tmp_path)

    golden = bundle.read(outcome.published.path).golden
    assert set(golden.features[:, 2]) == {0.0, 1.0, 2.0, 3.0}
    assert set(golden.features[:, 3]) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert np.isnan(golden.features[:, 1]).any()
    assert len(np.unique(golden.probabilities[:, 0])) > 4


def test_a_repository_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(InvalidInput, match=r"the repository '.*' cannot be written: Not a directory"):
        publish(GaussianNB().fit(IRIS, SPECIES), IRIS, SPECIES, file)
