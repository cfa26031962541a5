"""`sigmax.v1.Classifier`: probabilities and classes by feature name, and what the models are."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import grpc
from google.protobuf import json_format, struct_pb2

from sigmax.inference import inputs
from sigmax.inference.catalog import Catalog, Entry, Served
from sigmax.inference.dispatch import Dispatch, Prediction
from sigmax.inference.inputs import Given
from sigmax.inference.results import Result, refuse_class_options, results
from sigmax.protocol.containers import MAX_PIXELS
from sigmax.protocol.options import DEFAULT, Options, logits_included
from sigmax.protocol.options import parse as parse_options
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import check_count
from sigmax.rpc.answers import classes_frame, probabilities_frame
from sigmax.rpc.numbers import Verb
from sigmax.rpc.service import Service
from sigmax.rpc.unary import parse, unary
from sigmax.telemetry.metrics import Metrics
from sigmax.wire import classifier_pb2 as pb

SERVICE = "sigmax.v1.Classifier"


class Classifier:
    """The methods of the service, on bytes."""

    def __init__(
        self, catalog: Catalog, dispatch: Dispatch, metrics: Metrics, max_pixels: int = MAX_PIXELS
    ) -> None:
        self._catalog = catalog
        self._dispatch = dispatch
        self._probabilities = metrics.verb("grpc", "probabilities")
        self._classes = metrics.verb("grpc", "classes")
        self._read_probabilities = Verb(
            pb.PredictProbabilitiesRequest,
            partial(ProbabilitiesQuery, max_pixels=max_pixels),
            probabilities_frame,
        ).query
        self._read_classes = Verb(
            pb.PredictClassesRequest, partial(ClassesQuery, max_pixels=max_pixels), classes_frame
        ).query
        self._described: WeakKeyDictionary[Entry, bytes] = WeakKeyDictionary()

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """What a gRPC server adds to answer this service."""
        methods = {
            "PredictProbabilities": unary(self.predict_probabilities),
            "PredictClasses": unary(self.predict_classes),
            "DescribeModel": unary(self.describe_model),
            "ListModels": unary(self.list_models),
        }
        return Service(SERVICE, methods)

    def predict_probabilities(self, request: bytes) -> bytes | Awaitable[bytes]:
        """The probability of every class, for every row."""
        return self._dispatch.ask(self._probabilities, self._read_probabilities, request)

    def predict_classes(self, request: bytes) -> bytes | Awaitable[bytes]:
        """The chosen class of every row."""
        return self._dispatch.ask(self._classes, self._read_classes, request)

    def describe_model(self, request: bytes) -> bytes:
        """The description of one model; made when it is first asked for, kept until it changes."""
        message = parse(pb.DescribeModelRequest, request)
        entry = self._catalog.entry(self._catalog.find(message.model, message.version).name)
        described = self._described.get(entry)
        if described is None:
            described = self._described[entry] = _described(entry)
        return described

    def list_models(self, request: bytes) -> bytes:
        """The names of all models that answer, and a line about each model."""
        parse(pb.ListModelsRequest, request)
        listing = json_format.ParseDict(self._catalog.listing(), pb.ListModelsResponse())
        return listing.SerializeToString()


class ProbabilitiesQuery:
    """A `PredictProbabilitiesRequest`."""

    __slots__ = ("_max_pixels", "_message", "model", "version", "wants_logits")
    timeout: float | None = None

    def __init__(self, request: bytes, max_pixels: int = MAX_PIXELS) -> None:
        self._message = parse(pb.PredictProbabilitiesRequest, request)
        self._max_pixels, self.wants_logits = max_pixels, False
        self.model, self.version = self._message.model, self._message.version

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read rows, columns or pictures."""
        options = _options(self._message)
        refuse_class_options(options)
        self.wants_logits = logits_included(served.manifest, options)
        given = _given(served, self._message, max_rows)
        return inputs.read(served, given, options, max_rows, self._max_pixels)

    def render(self, prediction: Prediction) -> bytes:
        """A `PredictProbabilitiesResponse`."""
        served = prediction.served
        response = pb.PredictProbabilitiesResponse(
            model=served.name, version=served.version, classes=served.manifest.classes
        )
        add = response.probabilities.add
        for row in prediction.probabilities.tolist():
            add(values=row)
        if prediction.logits is not None:
            for row in prediction.logits.tolist():
                response.logits.add(values=row)
        for identity in prediction.ids or ():
            _fill(response.ids.add(), identity)
        return response.SerializeToString()


class ClassesQuery:
    """A `PredictClassesRequest`."""

    __slots__ = ("_max_pixels", "_message", "_options", "model", "version", "wants_logits")
    timeout: float | None = None

    def __init__(self, request: bytes, max_pixels: int = MAX_PIXELS) -> None:
        self._message = parse(pb.PredictClassesRequest, request)
        self._options, self._max_pixels, self.wants_logits = DEFAULT, max_pixels, False
        self.model, self.version = self._message.model, self._message.version

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read rows, columns or pictures."""
        self._options = _options(self._message)
        self.wants_logits = logits_included(served.manifest, self._options)
        given = _given(served, self._message, max_rows)
        return inputs.read(served, given, self._options, max_rows, self._max_pixels)

    def render(self, prediction: Prediction) -> bytes:
        """A `PredictClassesResponse`."""
        served = prediction.served
        response = pb.PredictClassesResponse(model=served.name, version=served.version)
        for result in results(prediction, self._options):
            _add_result(response, result)
        for target, identity in zip(response.results, prediction.ids or (), strict=False):
            _fill(target.id, identity)
        return response.SerializeToString()


def _add_result(response: pb.PredictClassesResponse, result: Result) -> None:
    target = response.results.add(
        label=result.label or "",
        labels=result.labels or (),
        probability=result.probability or 0.0,
        unsure=result.unsure,
        unsure_labels=result.unsure_labels or (),
    )
    if result.probabilities:
        target.probabilities.update(result.probabilities)
    if result.logits:
        target.logits.update(result.logits)


def _options(message: pb.PredictClassesRequest | pb.PredictProbabilitiesRequest) -> Options:
    if not message.HasField("options"):
        return DEFAULT
    given: dict[str, Any] = {}
    options = message.options
    if options.HasField("top_k"):
        given["top_k"] = options.top_k
    if options.HasField("threshold"):
        given["threshold"] = _plain(options.threshold)
    if options.extra:
        given["extra"] = options.extra
    if options.id:
        given["id"] = options.id
    if options.HasField("band"):
        given["band"] = _plain(options.band)
    if options.include:
        given["include"] = list(options.include)
    return parse_options(given)


def _given(
    served: Served, message: pb.PredictClassesRequest | pb.PredictProbabilitiesRequest, max_rows: int
) -> Given:
    """What the message fills; too many rows are refused before any of them is read."""
    check_count(len(message.rows), max_rows)
    for column in message.columns.values():
        check_count(len(column.values), max_rows, "columns")
    rows = [_row(row, served.schema.width) for row in message.rows]
    columns = {name: _list(column) for name, column in message.columns.items()}
    return Given(rows, columns, message.images)


def _plain(value: struct_pb2.Value) -> Any:
    """A `google.protobuf.Value` as a Python value; a number that is not 0 takes the short way."""
    number = value.number_value
    if number:
        return number
    match value.WhichOneof("kind"):
        case "number_value":
            return number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return {name: _plain(entry) for name, entry in value.struct_value.fields.items()}
        case "list_value":
            return _list(value.list_value)
    return None


def _list(values: struct_pb2.ListValue) -> list[Any]:
    return [entry.number_value or _plain(entry) for entry in values.values]


def _row(value: struct_pb2.Value, width: int) -> Any:
    """A row; of a list that is too long only the length matters, and reading it would take seconds."""
    beyond = len(value.list_value.values) - width
    if beyond <= 0:
        return _plain(value)
    return [entry.number_value or _plain(entry) for entry in value.list_value.values[:width]] + [
        None
    ] * beyond


def _fill(target: struct_pb2.Value, value: Any) -> None:
    """Write a Python value, as `_plain` reads it, into a message."""
    json_format.ParseDict(value, target)


def _described(entry: Entry) -> bytes:
    return json_format.ParseDict(entry.describe(), pb.DescribeModelResponse()).SerializeToString()
