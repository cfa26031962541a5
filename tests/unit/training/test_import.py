"""`sigmax-train import`: ONNX classifiers of other origins, adapted and proved against the file as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sigmax_training
from sigmax.contract import Colour, Head, Kind, Task
from sigmax.errors import BundleRejected, InvalidInput
from sigmax.inference.predictor import Predictor, open_predictor
from sigmax.repository import bundle
from sigmax_training.cli import cli
from sigmax_training.foreign import ending
from sigmax_training.foreign.adapt import adapt
from sigmax_training.foreign.ending import Wanted
from sigmax_training.foreign.importing import Answers, Wishes, publish_file
from sigmax_training.foreign.opened import open_file
from sigmax_training.foreign.original import Original
from sigmax_training.foreign.publication import Candidate, Witness, publish_first
from sigmax_training.pipeline import Outcome

IRIS, SPECIES = load_iris(return_X_y=True)
KOREAN = np.array(["세토사", "버시컬러", "버지니카"])[SPECIES]
COLUMNS = ("꽃받침 길이", "꽃받침 너비", "꽃잎 길이", "꽃잎 너비")
RNG = np.random.default_rng(0)
HIDDEN, HIDDEN_BIAS = RNG.normal(size=(8, 4)).astype(np.float32), RNG.normal(size=8).astype(np.float32)
LAST, LAST_BIAS = RNG.normal(size=(3, 8)).astype(np.float32), RNG.normal(size=3).astype(np.float32)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "iris.csv"
    lines = [",".join([*COLUMNS, "품종"])]
    lines += [",".join([*map(str, row), label]) for row, label in zip(IRIS.tolist(), KOREAN, strict=True)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def imported(model: onnx.ModelProto | bytes, folder: Path, **wishes: Any) -> Outcome:
    path = folder / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return publish_file(path, "own", folder / "models", Wishes(**wishes))


def served(outcome: Outcome) -> Predictor:
    return open_predictor(bundle.read(outcome.published.path))


def original(model: onnx.ModelProto, rows: np.ndarray, output: int = -1) -> np.ndarray:
    """What ONNX Runtime says of the file as it is."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: rows.astype(np.float32)}
    return np.asarray(session.run(None, feed)[output])


def file(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    given: onnx.ValueInfoProto,
    wanted: onnx.ValueInfoProto,
    opset: int = 17,
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(list(nodes), "main_graph", [given], [wanted], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def value(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def torch_like(*activations: str, outputs: int = 3, batch: int | str = "batch") -> onnx.ModelProto:
    """A perceptron as torch.onnx writes it: Gemm with transB, Relu, Gemm, then what the module ends in."""
    nodes = [
        helper.make_node("Gemm", ["onnx::Gemm_0", "fc1.weight", "fc1.bias"], ["/fc1/out"], transB=1),
        helper.make_node("Relu", ["/fc1/out"], ["/relu/out"]),
        helper.make_node("Gemm", ["/relu/out", "fc2.weight", "fc2.bias"], ["/fc2/out"], transB=1),
    ]
    last = "/fc2/out"
    for number, activation in enumerate(activations):
        nodes.append(helper.make_node(activation, [last], [f"out_{number}"]))
        if activation != "Sigmoid":
            nodes[-1].attribute.append(helper.make_attribute("axis", 1))
        last = f"out_{number}"
    weights = {
        "fc1.weight": HIDDEN,
        "fc1.bias": HIDDEN_BIAS,
        "fc2.weight": LAST[:outputs],
        "fc2.bias": LAST_BIAS[:outputs],
    }
    return file(nodes, weights, value("onnx::Gemm_0", batch, 4), value(last, batch, outputs))


def keras_like(batch: int | str = 1) -> onnx.ModelProto:
    """A softmax regression as tf2onnx writes it: MatMul, Add, Softmax, an old opset and a fixed batch."""
    nodes = [
        helper.make_node("MatMul", ["dense_input", "kernel"], ["MatMul:0"]),
        helper.make_node("Add", ["MatMul:0", "bias"], ["BiasAdd:0"]),
        helper.make_node("Softmax", ["BiasAdd:0"], ["dense"]),
    ]
    weights = {"kernel": HIDDEN[:3].T.copy(), "bias": LAST_BIAS}
    return file(nodes, weights, value("dense_input", batch, 4), value("dense", batch, 3), opset=11)


def logistic(labels: np.ndarray, **options: Any) -> onnx.ModelProto:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS, labels)
    exported: onnx.ModelProto = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))], **options)
    return exported


# skl2onnx


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(SPECIES, ("0", "1", "2")), (KOREAN, ("버시컬러", "버지니카", "세토사"))],
    ids=["integers", "texts"],
)
def test_a_zip_map_is_removed_and_names_the_classes(
    labels: np.ndarray, classes: tuple[str, ...], sheet: Path, tmp_path: Path
) -> None:
    model = logistic(labels)

    outcome = imported(model, tmp_path, data=sheet, features=COLUMNS)

    manifest = bundle.read(outcome.published.path).manifest
    expected = [list(row.values()) for row in original(model, IRIS).tolist()]
    assert manifest.classes == classes
    assert [feature.name for feature in manifest.features] == list(COLUMNS)
    assert np.abs(served(outcome).probabilities(IRIS.astype(np.float32)) - expected).max() < 1e-6
    assert outcome.notices == ()


def test_classes_are_found_behind_the_label_output(tmp_path: Path) -> None:
    outcome = imported(logistic(KOREAN, options={"zipmap": False}), tmp_path)

    assert bundle.read(outcome.published.path).manifest.classes == ("버시컬러", "버지니카", "세토사")


def test_a_forest_that_adds_up_to_a_little_more_than_1_is_not_taken_for_logits(
    sheet: Path, tmp_path: Path
) -> None:
    forest = RandomForestClassifier(10, random_state=0).fit(IRIS, KOREAN)
    model = to_onnx(forest, initial_types=[("X", FloatTensorType([None, 4]))])

    outcome = imported(model, tmp_path, data=sheet, features=COLUMNS)

    rows = IRIS.astype(np.float32)
    assert served(outcome).probabilities(rows).max() > 1.0
    assert np.abs(served(outcome).probabilities(rows) - forest.predict_proba(IRIS)).max() < 1e-5


def test_one_input_a_column_becomes_one_matrix_with_their_names(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS, SPECIES)
    columns = [(name, FloatTensorType([None, 1])) for name in ("a", "features", "probabilities", "d")]

    outcome = imported(to_onnx(model, initial_types=columns), tmp_path)

    manifest = bundle.read(outcome.published.path).manifest
    assert [feature.name for feature in manifest.features] == ["a", "features", "probabilities", "d"]
    found = served(outcome).probabilities(IRIS.astype(np.float32))
    assert np.abs(found - model.predict_proba(IRIS)).max() < 1e-5


def test_a_label_beyond_32_bits_is_named_by_the_classes_where_the_file_itself_says_0(tmp_path: Path) -> None:
    labels = np.array([5, -3, 2**40])[SPECIES]
    model = MLPClassifier((4,), max_iter=200, random_state=0, tol=1e-2).fit(IRIS, labels)
    exported = to_onnx(model, initial_types=[("X", FloatTensorType([None, 4]))])

    outcome = imported(exported, tmp_path)

    assert bundle.read(outcome.published.path).manifest.classes == ("-3", "5", "1099511627776")
    assert any("'0', highest '1099511627776'" in text for text in outcome.notices)


def test_columns_of_one_class_each_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"each class has an output of its own: .*zipmap=False"):
        imported(logistic(SPECIES, options={"zipmap": "columns"}), tmp_path)


def test_a_graph_of_any_width_is_fixed_to_the_named_features(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=1000).fit(IRIS, SPECIES)
    exported = to_onnx(model, initial_types=[("X", FloatTensorType([None, None]))])

    with pytest.raises(InvalidInput, match="does not say how many features it takes: give --features"):
        imported(exported, tmp_path)
    outcome = imported(exported, tmp_path, features=("a", "b", "c", "d"))

    shape = onnx.load(outcome.published.path / "model.onnx").graph.input[0].type.tensor_type.shape
    assert [shape.dim[0].dim_param, shape.dim[1].dim_value] == ["n_samples", 4]


@pytest.mark.parametrize(
    "estimator", [SGDClassifier(loss="log_loss", random_state=0), MLPClassifier((3,), max_iter=20)]
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_no_rows_are_answered_though_the_original_fails_on_them(estimator: Any, tmp_path: Path) -> None:
    exported = to_onnx(estimator.fit(IRIS, SPECIES), initial_types=[("X", FloatTensorType([None, 4]))])
    with pytest.raises(Exception, match="num_indices = 0"):
        original(exported, IRIS[:0])

    outcome = imported(exported, tmp_path)

    assert served(outcome).probabilities(np.empty((0, 4), np.float32)).shape == (0, 3)


# torch.onnx and tf2onnx


def test_one_sigmoid_column_is_completed_to_two(tmp_path: Path) -> None:
    model = torch_like("Sigmoid", outputs=1)

    outcome = imported(model, tmp_path, classes=("ham", "spam"), positive="ham")

    manifest = bundle.read(outcome.published.path).manifest
    rows = RNG.normal(size=(20, 4)).astype(np.float32)
    found, expected = served(outcome).probabilities(rows), original(model, rows)[:, 0]
    assert (manifest.task, manifest.head, manifest.decision.positive) == (Task.BINARY, Head.SIGMOID, "ham")
    assert np.array_equal(found[:, 1], expected)
    assert np.abs(found[:, 0] - (1 - expected)).max() < 1e-7


def test_one_logit_gets_a_sigmoid_and_that_is_said(tmp_path: Path) -> None:
    model = torch_like(outputs=1)

    outcome = imported(model, tmp_path)

    rows = RNG.normal(size=(20, 4)).astype(np.float32)
    expected = 1 / (1 + np.exp(-original(model, rows)[:, 0].astype(np.float64)))
    assert np.abs(served(outcome).probabilities(rows)[:, 1] - expected).max() < 1e-6
    assert any("ends in Gemm: a sigmoid is put behind it" in text for text in outcome.notices)
    assert any("the file names no classes, they are 0 to 1" in text for text in outcome.notices)


@pytest.mark.parametrize("last", [(), ("LogSoftmax",)], ids=["logits", "log softmax"])
def test_several_logits_get_a_softmax_and_that_is_said(last: tuple[str, ...], tmp_path: Path) -> None:
    outcome = imported(torch_like(*last), tmp_path)

    rows = RNG.normal(size=(20, 4)).astype(np.float32)
    expected = original(torch_like("Softmax"), rows)
    assert np.abs(served(outcome).probabilities(rows) - expected).max() < 1e-6
    assert any("no probabilities but logits: a softmax is put behind" in text for text in outcome.notices)


def test_a_fixed_batch_size_is_freed_and_the_opset_kept(tmp_path: Path) -> None:
    outcome = imported(keras_like(batch=1), tmp_path)

    manifest = bundle.read(outcome.published.path).manifest
    rows = RNG.normal(size=(20, 4)).astype(np.float32)
    expected = original(keras_like(batch="n"), rows)
    assert (manifest.graph.opset, manifest.graph.ir_version) == (11, 8)
    assert np.array_equal(served(outcome).probabilities(rows), expected)


def test_a_batch_size_that_stands_inside_the_graph_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["p"], axis=-1),
    ]
    weights = {"shape": np.array([1, 4]), "kernel": HIDDEN[:3].T.copy()}
    model = file(nodes, weights, value("x", 1, 4), value("p", 1, 3))

    with pytest.raises(BundleRejected, match="exported for batches of 1, which stands inside it, too"):
        imported(model, tmp_path)


def test_several_sigmoids_are_several_labels_unless_told_otherwise(tmp_path: Path) -> None:
    model = torch_like("Sigmoid")

    labels = imported(model, tmp_path)
    rest = imported(model, tmp_path, head=Wanted.ONE_VS_REST)

    tasks = [bundle.read(outcome.published.path).manifest for outcome in (labels, rest)]
    assert [(found.task, found.head) for found in tasks] == [
        (Task.MULTILABEL, Head.SIGMOID),
        (Task.MULTICLASS, Head.ONE_VS_REST),
    ]
    assert any("any number of them may be chosen" in text for text in labels.notices)


@pytest.mark.parametrize(
    ("activations", "warned"),
    [
        (("Sigmoid", "Softmax"), "ends in Softmax after Sigmoid"),
        (("Softmax", "Sigmoid"), "ends in Sigmoid after Softmax"),
        (("Softmax", "Softmax"), "ends in Softmax after Softmax"),
    ],
)
def test_two_activations_one_behind_the_other_are_warned_of(
    activations: tuple[str, ...], warned: str, tmp_path: Path
) -> None:
    outcome = imported(torch_like(*activations), tmp_path)

    assert any(warned in text for text in outcome.notices)


@pytest.mark.parametrize(
    ("activations", "outputs", "wanted", "said"),
    [
        ((), 3, Wanted.NONE, "--head none: the graph's numbers leave"),
        (("Sigmoid",), 3, Wanted.SOFTMAX, "--head softmax: the graph ends in Sigmoid already"),
        (("Softmax",), 3, Wanted.SIGMOID, "--head sigmoid: the graph's rows sum to 1 already"),
        (("Sigmoid",), 1, Wanted.SOFTMAX, "--head softmax: the graph has one output column"),
        ((), 1, Wanted.NONE, "--head none: the graph's numbers leave"),
        ((), 2, Wanted.ONE_VS_REST, "--head one_vs_rest is for three classes or more"),
    ],
)
def test_a_head_that_contradicts_the_graph_is_refused(
    activations: tuple[str, ...], outputs: int, wanted: Wanted, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=said):
        imported(torch_like(*activations, outputs=outputs), tmp_path, head=wanted)


def test_a_softmax_over_the_rows_instead_of_the_classes_is_refused(tmp_path: Path) -> None:
    model = torch_like("Softmax")
    model.graph.node[-1].attribute[0].i = 0

    with pytest.raises(InvalidInput, match="ends in Softmax, but rows do not sum to 1: its axis"):
        imported(model, tmp_path)


def test_a_file_of_our_own_names_its_classes_and_features(tmp_path: Path) -> None:
    labels = np.array(["강", "산"])[SPECIES // 2]
    model = LogisticRegression(max_iter=1000).fit(IRIS, labels)
    published = sigmax_training.publish(model, IRIS, labels, name="own", models=tmp_path / "ours")

    outcome = imported((published.published.path / "model.onnx").read_bytes(), tmp_path)

    ours = bundle.read(published.published.path).manifest
    manifest = bundle.read(outcome.published.path).manifest
    assert manifest.classes == ours.classes
    assert [feature.name for feature in manifest.features] == [feature.name for feature in ours.features]
    assert (manifest.task, manifest.head) == (Task.BINARY, Head.SIGMOID)


# Pictures


def pictures(*shape: int) -> onnx.ModelProto:
    """The mean of each channel, then a softmax regression; `shape` without the batch."""
    axes = [1, 2] if shape[-1] == 3 else [2, 3]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["means"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["means", "kernel"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["p"], axis=-1),
    ]
    weights = {"kernel": HIDDEN[:3, :3].T.copy()}
    return file(nodes, weights, value("x", "n", *shape), value("p", "n", 3))


@pytest.mark.parametrize("shape", [(3, 6, 5), (6, 5, 3)], ids=["channels first", "channels last"])
def test_a_picture_is_one_block_of_pixels_whatever_the_layout(shape: tuple[int, ...], tmp_path: Path) -> None:
    model = pictures(*shape)

    outcome = imported(model, tmp_path, colour=Colour.RGB, scale=1 / 255)

    block = bundle.read(outcome.published.path).manifest.features[0]
    pixels = RNG.integers(0, 256, (7, 90)).astype(np.float32)
    layout = pixels.reshape(-1, 3, 6, 5)
    turned = layout if shape[0] == 3 else layout.transpose(0, 2, 3, 1)
    assert (block.kind, block.shape, block.dtype) == (Kind.IMAGE, (3, 6, 5), "uint8")
    assert np.abs(served(outcome).probabilities(pixels) - original(model, turned / 255)).max() < 1e-6


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({}, r"takes pictures, \[n, 3, 6, 5\]: say --image rgb, hsv or grey, and --scale 0.0039"),
        ({"colour": Colour.GREY, "scale": 1.0}, "grey pictures of a known size have 1 channels"),
    ],
)
def test_a_picture_that_is_not_described_is_refused(
    wishes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=said):
        imported(pictures(3, 6, 5), tmp_path, **wishes)


# Refusals


def broken(change: str) -> onnx.ModelProto:
    """A perceptron with one thing about it that is not served."""
    model = torch_like("Softmax")
    graph = model.graph
    if change == "external":
        tensor = graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        tensor.ClearField("raw_data")
    elif change == "half":
        graph.initializer[0].CopyFrom(numpy_helper.from_array(HIDDEN.astype(np.float16), "fc1.weight"))
    elif change == "cast":
        graph.node.append(helper.make_node("Cast", ["out_0"], ["short"], to=TensorProto.FLOAT16))
    elif change == "domain":
        graph.node[1].domain = "com.microsoft"
    elif change == "loop":
        body = helper.make_graph([helper.make_node("Identity", ["out_0"], ["b"])], "b", [], [value("b", 1)])
        graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=body, else_branch=body))
    elif change == "random":
        graph.node.append(helper.make_node("RandomNormalLike", ["out_0"], ["noise"]))
    elif change == "integers":
        graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    elif change == "rank":
        graph.input[0].type.tensor_type.shape.dim.add(dim_value=1)
    elif change == "two":
        graph.input.append(value("other", "n", 2))
    elif change == "unsorted":
        nodes = list(graph.node)[::-1]
        del graph.node[:]
        graph.node.extend(nodes)
    elif change == "no table":
        graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("external", "the weights 'fc1.weight' lie in another file"),
        ("half", "the weights 'fc1.weight' are 16-bit floats.*export the model in float32"),
        ("cast", "operator Cast to 16-bit floats"),
        ("domain", "operator 'Relu' is of the domain 'com.microsoft'"),
        ("loop", "operator If: graphs with branches and loops are not served"),
        ("random", "operator RandomNormalLike draws at random"),
        ("integers", "input 'onnx::Gemm_0' is of type int64: a model takes float or double"),
        ("rank", "input 'onnx::Gemm_0' has 3 dimensions: rows have 2, pictures 4"),
        ("two", "the graph has several inputs, 'onnx::Gemm_0' float .*'other' float"),
        ("unsorted", "the file is no valid ONNX model"),
        ("no table", "no output is a table of probabilities in float or double; the outputs are 'out_0'"),
    ],
)
def test_what_is_not_served_is_refused_by_name(change: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        imported(broken(change), tmp_path)


@pytest.mark.parametrize("content", [b"hello", b""])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the file is no ONNX model"):
        imported(content, tmp_path)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"classes": ("a", "b")}, "--classes names 2 classes, 'a', 'b'; the graph has 3"),
        ({"classes": ("a", "a", "b")}, "each class has a label of its own"),
        ({"features": ("a", "b", "c")}, "3 names of features for the 4 that the graph takes"),
        ({"positive": "0"}, "--positive is for two classes, not for multiclass models"),
        ({"scale": 1.0}, "--image and --scale are for graphs that take pictures"),
    ],
)
def test_wishes_that_do_not_fit_are_refused(wishes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        imported(torch_like("Softmax"), tmp_path, **wishes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c\n1,2,3\n", "the graph takes 4 features, the CSV file has 3 columns: say by --features"),
        ("a,b,c,d\n1,2,3,x\n1,,3,4\n", "--data, line 2, column 'd': 'x' is no finite number"),
        ("a,b,c,d\n1,2,3\n", "--data, line 2: 3 cells, the header has 4"),
        ("a,b,c,d\n", "--data needs a header and rows"),
        ("a,a,c,d\n1,2,3,4\n", "--data names a column twice"),
    ],
)
def test_rows_that_are_no_numbers_are_refused_by_line_and_column(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)

    with pytest.raises(InvalidInput, match=said):
        imported(torch_like("Softmax"), tmp_path, data=path)


def test_an_adapted_graph_that_answers_otherwise_is_refused_by_the_gate(tmp_path: Path) -> None:
    right, wrong = torch_like("Sigmoid"), torch_like("Sigmoid")
    wrong.graph.initializer[3].CopyFrom(numpy_helper.from_array(LAST_BIAS + np.float32(1e-3), "fc2.bias"))
    manifest = bundle.read(imported(right, tmp_path).published.path).manifest
    paths = [tmp_path / "right.onnx", tmp_path / "wrong.onnx"]
    for path, model in zip(paths, (right, wrong), strict=True):
        path.write_bytes(model.SerializeToString())
    opened, other = map(open_file, paths)
    rows = RNG.normal(size=(50, 4))
    session = Original(opened)
    found = ending.find(opened.model.graph, opened.source, session.table(rows), None)
    adapted = adapt(other, found, None, manifest.classes, ["a", "b", "c", "d"])
    witness = Witness(Answers(session, found, 3), decides=False, rows=rows, example=b"{}", seed=0)
    candidate = Candidate(replace(manifest, name="other"), adapted.content)

    with pytest.raises(BundleRejected, match="probability"):
        publish_first(tmp_path / "models", [lambda: candidate], witness, ())
    assert not (tmp_path / "models" / "other").exists()


# The command


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["import", *map(str, arguments)], auto_envvar_prefix="SIGMAX_TRAIN")


def test_the_command_prints_the_table_and_its_notes(sheet: Path, tmp_path: Path) -> None:
    path = tmp_path / "torch.onnx"
    path.write_bytes(torch_like().SerializeToString())

    result = call(
        *(path, "--name", "own", "--models", tmp_path / "models", "--data", sheet),
        *("--features", ",".join(COLUMNS), "--classes", 'a,"b, c",d', "--head", "softmax"),
    )

    manifest = bundle.read(tmp_path / "models" / "own" / "1").manifest
    assert result.exit_code == 0
    assert "largest difference, served and estimator" in result.stdout
    assert manifest.classes == ("a", "b, c", "d")
    assert manifest.features[0].range == (4.3, 7.9)
    assert result.stderr == ""


def test_the_command_says_what_it_refuses(tmp_path: Path) -> None:
    path = tmp_path / "torch.onnx"
    path.write_bytes(broken("random").SerializeToString())

    result = call(path, "--name", "own", "--models", tmp_path / "models")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {path}: operator RandomNormalLike draws at random")
