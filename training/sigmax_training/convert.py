"""Any fitted scikit-learn classifier to an ONNX graph, through skl2onnx; beside `export` its only importer.

skl2onnx 1.20 converts most estimators right, and some not at all or wrongly: trees lose the way of missing
values (onnx/sklearn-onnx#1253), compare in float32 what scikit-learn compares in float64, or fail; imputers
know no float64. Those are written here. Labels never enter the graph: their conversion is where silent errors
are.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.base import is_classifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from sigmax.contract import INPUT, OUTPUT, FloatType
from sigmax.errors import InvalidInput, quoted
from sigmax_training.data.dataset import F64
from sigmax_training.export import IR_VERSION, OPSET
from sigmax_training.foreign import graph
from sigmax_training.foreign.prepare import Lookup
from sigmax_training.foreign.unwrap import name_of

_ML, _ML_OPSET = "ai.onnx.ml", 3
_TYPES = {FloatType.FLOAT32: FloatTensorType, FloatType.FLOAT64: DoubleTensorType}


@dataclass(frozen=True, slots=True)
class Target:
    """The file to be written.

    Attributes:
        name: of the model.
        dtype: of the input and the output.
        width: how many columns the features matrix has.
        classes: labels in column order, for whoever has nothing but the file.
        features: names of the feature blocks.
    """

    name: str
    dtype: FloatType
    width: int
    classes: tuple[str, ...]
    features: tuple[str, ...]


def convert(estimator: Any, target: Target) -> bytes:
    """Write a fitted classifier as an ONNX file from `features` to `probabilities`.

    Args:
        estimator: a classifier or a pipeline that ends in one, as `prepare.prepared` gives it.
        target: what the file is to be.

    Returns:
        The serialised model, checked.

    Raises:
        InvalidInput: naming the part that cannot be converted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of attributes that a converter reads and scikit-learn will rename
        try:
            return _file(estimator, target)
        except Exception as error:  # converters fail with errors of every class
            raise InvalidInput(_unconvertible(estimator, target, error)) from error


def _file(estimator: Any, target: Target) -> bytes:
    model = _converted(_unlabelled(estimator), target)
    _finish(model, target)
    graph.describe(model, {"classes": target.classes, "features": target.features})
    return graph.serialised(model)


def _converted(estimator: Any, target: Target) -> onnx.ModelProto:
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    model: onnx.ModelProto = convert_sklearn(
        estimator,
        target.name,
        [(INPUT, _TYPES[target.dtype]([None, target.width]))],
        target_opset={"": OPSET, _ML: _ML_OPSET},
        options={id(last): {"zipmap": False}} if is_classifier(last) else None,
        custom_conversion_functions=_CONVERTERS,
        custom_shape_calculators=_SHAPES,
        custom_parsers={Lookup: _parse_lookup},
        black_op={"Scaler"},  # ONNX Runtime's kernel is slower than a subtraction and a division
    )
    return model


def _unlabelled(estimator: Any) -> Any:
    """The same classifier with column numbers for classes, where its class lets that be said."""
    if isinstance(estimator, Pipeline):
        made = copy.copy(estimator)
        made.steps = [*estimator.steps[:-1], (estimator.steps[-1][0], _unlabelled(estimator.steps[-1][1]))]
        return made
    made = copy.copy(estimator)
    if "classes_" in vars(made):
        made.classes_ = np.arange(len(made.classes_))
    elif hasattr(made, "label_binarizer_"):
        made.label_binarizer_ = copy.copy(made.label_binarizer_)
        made.label_binarizer_.classes_ = np.arange(len(made.label_binarizer_.classes_))
    if hasattr(
        made, "flatten_transform"
    ):  # of VotingClassifier: about transform, and the converter knows one way
        made.flatten_transform = False
    return made


def _finish(model: onnx.ModelProto, target: Target) -> None:
    """One output, named as the contract names it, in the graph's own type; nothing that it does not need."""
    last = model.graph.output[-1]
    if last.type.WhichOneof("value") != "tensor_type":
        raise NotImplementedError("its probabilities are several tables")
    source, found = graph.fresh(model.graph, "converted"), last.type.tensor_type.elem_type
    graph.rename(model.graph, last.name, source)
    model.graph.node.append(graph.cast(source, OUTPUT, found, target.dtype))
    graph.sign(model.graph, target.width, len(target.classes), target.dtype)
    graph.prune(model.graph)
    _allow_no_rows(model.graph)
    domains = {node.domain for node in model.graph.node}
    if not domains <= {"", _ML}:
        raise NotImplementedError("it needs operators outside the ONNX standard")
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    if _ML in domains:
        model.opset_import.append(helper.make_opsetid(_ML, _ML_OPSET))
    model.ir_version = IR_VERSION


def _allow_no_rows(model: onnx.GraphProto) -> None:
    """Gather in place of ArrayFeatureExtractor on constants, which fails where nothing is to be extracted."""
    constants = {item.name: item for item in model.initializer}
    flat = numpy_helper.from_array(np.array([-1]), graph.fresh(model, "flat"))
    nodes: list[onnx.NodeProto] = []
    for node in model.node:
        data = constants.get(node.input[0]) if node.op_type == "ArrayFeatureExtractor" else None
        if data is None:
            nodes.append(node)
            continue
        if len(data.dims) == 1:
            data.dims.insert(0, 1)
        indices = f"{node.output[0]}_indices"
        nodes.append(helper.make_node("Reshape", [node.input[1], flat.name], [indices]))
        nodes.append(helper.make_node("Gather", [data.name, indices], list(node.output), axis=-1))
    if len(nodes) > len(model.node):
        model.initializer.append(flat)
        graph.replace(model.node, nodes)


def _unconvertible(estimator: Any, target: Target, error: Exception) -> str:
    """Name the first part that fails on its own, too."""
    steps = list(estimator.steps) if isinstance(estimator, Pipeline) else [("", estimator)]
    for number, (name, step) in enumerate(steps):
        part = replace(target, width=getattr(step, "n_features_in_", target.width)) if number else target
        try:
            if number == len(steps) - 1:
                _file(step, part)
            else:
                onnx.checker.check_model(_converted(step, part), full_check=True)
        except Exception as cause:  # as above
            where = f"step {quoted(name)}: " if name else ""
            return f"{where}{name_of(step)} cannot be written as an ONNX graph: {_reason(cause)}"
    return f"{name_of(estimator)} cannot be written as an ONNX graph: {_reason(error)}"


def _reason(error: Exception) -> str:
    """What a converter says, in a line, without its advice to open an issue."""
    text = (str(error).splitlines() or [""])[0].split("You may raise an issue")[0].strip().rstrip(".")
    if text.startswith(("Unable to find a shape calculator", "Unable to find converter")):
        return (
            "no converter knows it; what is not scikit-learn's, export by its own library's converter, and "
            "give that file to sigmax-train import"
        )
    return f"{text[:160]}" or type(error).__name__


# Trees: sums over trees, in the comparison that scikit-learn itself makes.


@dataclass(frozen=True, slots=True, eq=False)
class _Tree:
    """The nodes of one tree, each an array of n_nodes.

    Attributes:
        feature: which column is compared; -1 at a leaf.
        threshold: the left way is taken at values up to it.
        left, right: where the ways lead.
        missing_left: whether a missing value goes left.
        values: (n_nodes, n_targets), what a leaf adds.
    """

    feature: npt.NDArray[Any]
    threshold: F64
    left: npt.NDArray[Any]
    right: npt.NDArray[Any]
    missing_left: npt.NDArray[Any]
    values: F64


@dataclass(frozen=True, slots=True, eq=False)
class _Forest:
    """Trees whose leaves are added up.

    Attributes:
        trees: all of them.
        base: (n_targets,), what is added to every sum.
        head: the operator that makes probabilities of the sums; None where they are some.
        narrow: whether values are rounded to float32 before they are compared, as scikit-learn's trees do.
    """

    trees: tuple[_Tree, ...]
    base: F64
    head: str | None
    narrow: bool


def _tree(tree: Any, values: F64) -> _Tree:
    leaf = tree.children_left == -1
    return _Tree(
        np.where(leaf, -1, tree.feature),
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.missing_go_to_left,
        values,
    )


def _forest(model: Any) -> _Forest:
    if isinstance(model, HistGradientBoostingClassifier):
        return _histogram_boosting(model)
    if isinstance(model, GradientBoostingClassifier):
        return _gradient_boosting(model)
    members = getattr(model, "estimators_", [model])
    trees = tuple(_tree(member.tree_, _shares(member.tree_.value) / len(members)) for member in members)
    return _Forest(trees, np.zeros(trees[0].values.shape[1]), None, narrow=True)


def _shares(value: npt.NDArray[Any]) -> F64:
    """Counts or weights of the classes at each node, (n_nodes, 1, n_classes), as shares of 1."""
    if value.shape[1] != 1:
        raise NotImplementedError("trees of several outputs answer with several tables")
    counts = value[:, 0, :]
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _gradient_boosting(model: Any) -> _Forest:
    if model.loss != "log_loss":
        raise NotImplementedError(f"loss {model.loss!r} is not known; use loss='log_loss'")
    if model.init is not None and model.init != "zero":
        raise NotImplementedError("an 'init' estimator of one's own is not known")
    targets = model.estimators_.shape[1]
    trees = tuple(
        _tree(member.tree_, _only(model.learning_rate * member.tree_.value[:, 0, 0], target, targets))
        for stage in model.estimators_
        for target, member in enumerate(stage)
    )
    base = np.asarray(model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32)), np.float64)[0]
    return _Forest(trees, base, "Sigmoid" if targets == 1 else "Softmax", narrow=True)


def _histogram_boosting(model: Any) -> _Forest:
    if model.is_categorical_ is not None:
        raise NotImplementedError(
            "splits on categories are not known; encode them by OrdinalEncoder or OneHotEncoder"
        )
    targets = model.n_trees_per_iteration_
    trees = tuple(
        _histogram_tree(predictor.nodes, target, targets)
        for stage in model._predictors
        for target, predictor in enumerate(stage)
    )
    base = np.broadcast_to(np.asarray(model._baseline_prediction, np.float64).ravel(), (targets,))
    return _Forest(trees, base, "Sigmoid" if targets == 1 else "Softmax", narrow=False)


def _histogram_tree(nodes: npt.NDArray[Any], target: int, targets: int) -> _Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return _Tree(
        np.where(leaf, -1, nodes["feature_idx"]),
        np.where(leaf, 0.0, nodes["num_threshold"]),
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
        nodes["missing_go_to_left"],
        _only(nodes["value"], target, targets),
    )


def _only(values: npt.NDArray[Any], target: int, targets: int) -> F64:
    made = np.zeros((len(values), targets))
    made[:, target] = values
    return made


def _convert_forest(scope: Any, operator: Any, container: Any) -> None:
    """TreeEnsembleRegressor in the type of the input, then the head; the label is the column's number."""
    forest = _forest(operator.raw_operator)
    emit = _Emitter(scope, container)
    value, double = operator.inputs[0].full_name, isinstance(operator.inputs[0].type, DoubleTensorType)
    if double and forest.narrow:
        value = emit("Cast", [emit("Cast", [value], to=TensorProto.FLOAT)], to=TensorProto.DOUBLE)
    sums = emit("TreeEnsembleRegressor", [value], _ML, **_attributes(forest, double=double))
    if double:
        sums = emit("Cast", [sums], to=TensorProto.DOUBLE)
    if forest.head == "Sigmoid":
        sums = emit("Concat", [emit("Neg", [sums]), sums], axis=1)
    probabilities = sums if forest.head is None else emit(forest.head, [sums])
    label, output = (variable.full_name for variable in operator.outputs)
    container.add_node("Identity", [probabilities], [output], name=scope.get_unique_operator_name("trees"))
    container.add_node(
        "ArgMax", [probabilities], [label], name=scope.get_unique_operator_name("label"), axis=1, keepdims=0
    )


def _attributes(forest: _Forest, *, double: bool) -> dict[str, Any]:
    """The trees as ONNX spells them: one long list a property, thresholds never rounded up."""
    found: dict[str, list[Any]] = {}
    for number, tree in enumerate(forest.trees):
        for name, values in _tree_attributes(tree, number, double=double):
            found.setdefault(name, []).append(values)
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    floats = {name: joined.pop(name) for name in ("nodes_values", "target_weights")} | {
        "base_values": forest.base
    }
    spelled: dict[str, Any] = {name: values.tolist() for name, values in joined.items()}
    for name, values in floats.items():
        if double:
            spelled[f"{name}_as_tensor"] = numpy_helper.from_array(np.asarray(values, "<f8"), name)
        else:
            spelled[name] = np.asarray(values, np.float32)
    return spelled | {"n_targets": len(forest.base), "aggregate_function": "SUM", "post_transform": "NONE"}


def _tree_attributes(tree: _Tree, number: int, *, double: bool) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    count, targets = tree.values.shape
    leaf = tree.feature < 0
    yield "nodes_treeids", np.full(count, number)
    yield "nodes_nodeids", np.arange(count)
    yield "nodes_featureids", np.where(leaf, 0, tree.feature)
    yield "nodes_values", np.where(leaf, 0.0, tree.threshold if double else _rounded_down(tree.threshold))
    yield "nodes_modes", np.where(leaf, "LEAF", "BRANCH_LEQ")
    yield "nodes_truenodeids", np.where(leaf, 0, tree.left)
    yield "nodes_falsenodeids", np.where(leaf, 0, tree.right)
    yield "nodes_missing_value_tracks_true", np.where(leaf, 0, tree.missing_left).astype(np.int64)
    leaves, used = np.nonzero(leaf[:, np.newaxis] & ((tree.values != 0.0) | (np.arange(targets) == 0)))
    yield "target_treeids", np.full(len(leaves), number)
    yield "target_nodeids", leaves
    yield "target_ids", used
    yield "target_weights", tree.values[leaves, used]


def _rounded_down(thresholds: F64) -> F64:
    """The greatest float32 up to each threshold: a float32 exceeds both of them or none."""
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > thresholds, lower, rounded).astype(np.float64)


# Imputers and tables.


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Missing numbers replaced, columns without any statistic left out, indicators behind."""
    imputer: SimpleImputer = operator.raw_operator
    emit = _Emitter(scope, container)
    value, kind = operator.inputs[0].full_name, _numpy_type(operator.inputs[0])
    statistics = np.asarray(imputer.statistics_, np.float64)
    missing = _missing(emit, value, imputer.missing_values, kind)
    filled = emit("Where", [missing, emit.constant(statistics.astype(kind)[np.newaxis]), value])
    kept = np.flatnonzero(~np.isnan(statistics))
    if len(kept) < len(statistics):
        filled = emit("Gather", [filled, emit.constant(kept)], axis=1)
    if imputer.add_indicator:
        flags = emit("Gather", [missing, emit.constant(np.asarray(imputer.indicator_.features_))], axis=1)
        numbers = emit("Cast", [flags], to=helper.np_dtype_to_tensor_dtype(kind))
        filled = emit("Concat", [filled, numbers], axis=1)
    container.add_node(
        "Identity", [filled], [operator.outputs[0].full_name], name=scope.get_unique_operator_name("imputed")
    )


def _missing(emit: _Emitter, value: str, mark: Any, kind: np.dtype[Any]) -> str:
    if not isinstance(mark, int | float) or isinstance(mark, bool):
        raise NotImplementedError(f"missing_values={mark!r} is no number")
    if np.isnan(mark):
        return emit("IsNaN", [value])
    return emit("Equal", [value, emit.constant(np.array(mark, kind))])


def _imputer_shape(operator: Any) -> None:
    imputer: SimpleImputer = operator.raw_operator
    width = int((~np.isnan(np.asarray(imputer.statistics_, np.float64))).sum())
    width += len(imputer.indicator_.features_) if imputer.add_indicator else 0
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def _parse_lookup(
    scope: Any,
    lookup: Lookup,
    inputs: list[Any],
    custom_parsers: Any = None,  # noqa: ARG001 - skl2onnx's signature
) -> Any:
    operator = scope.declare_local_operator("SigmaxLookup", lookup)
    operator.inputs.extend(inputs)
    operator.outputs.append(scope.declare_local_variable("looked_up", type(inputs[0].type)()))
    return operator.outputs


def _lookup_shape(operator: Any) -> None:
    operator.outputs[0].type = type(operator.inputs[0].type)([None, operator.raw_operator.n_outputs])


def _convert_lookup(scope: Any, operator: Any, container: Any) -> None:
    """A Gather from each column's table, side by side, in the order of the transformer."""
    lookup: Lookup = operator.raw_operator
    emit = _Emitter(scope, container)
    value, kind = operator.inputs[0].full_name, _numpy_type(operator.inputs[0])
    rows = []
    for column, table in enumerate(lookup.tables):
        codes = emit("Gather", [value, emit.constant(np.array(column))], axis=1)
        whole = emit("Cast", [codes], to=TensorProto.INT64)
        rows.append(emit("Gather", [emit.constant(table.astype(kind)), whole], axis=0))
    found = rows[0] if len(rows) == 1 else emit("Concat", rows, axis=1)
    if lookup.order != tuple(range(lookup.n_outputs)):
        found = emit("Gather", [found, emit.constant(np.array(lookup.order))], axis=1)
    container.add_node(
        "Identity", [found], [operator.outputs[0].full_name], name=scope.get_unique_operator_name("tables")
    )


class _Emitter:
    """Adds nodes with one output each and names of their own."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def __call__(self, operator: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        output: str = self._scope.get_unique_variable_name(operator.lower())
        self._container.add_node(
            operator,
            list(inputs),
            [output],
            op_domain=domain,
            op_version=_ML_OPSET if domain else OPSET,
            name=self._scope.get_unique_operator_name(operator),
            **attributes,
        )
        return output

    def constant(self, numbers: npt.NDArray[Any]) -> str:
        """An initializer with a name of its own; whole numbers are int64."""
        name: str = self._scope.get_unique_variable_name("constant")
        whole = numbers.astype(np.int64) if numbers.dtype.kind in "iu" else numbers
        tensor = numpy_helper.from_array(np.asarray(whole, order="C"), name)
        self._container.add_initializer(name, tensor.data_type, list(whole.shape), tensor)
        return name


def _numpy_type(variable: Any) -> np.dtype[Any]:
    return np.dtype(np.float64 if isinstance(variable.type, DoubleTensorType) else np.float32)


_TREES = (
    DecisionTreeClassifier,
    ExtraTreeClassifier,
    RandomForestClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
_CONVERTERS: dict[type, Callable[[Any, Any, Any], None]] = {
    **dict.fromkeys(_TREES, _convert_forest),
    SimpleImputer: _convert_imputer,
    Lookup: _convert_lookup,
}
_SHAPES: dict[type, Callable[[Any], None]] = {SimpleImputer: _imputer_shape, Lookup: _lookup_shape}
