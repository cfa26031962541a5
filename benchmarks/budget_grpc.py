"""Where the microseconds of a gRPC request go, step by step: `python -m benchmarks.budget_grpc`.

Each step of the service is timed alone, over and over, which is its price with everything in the caches, and
once after each disturbance, which is nearer to what it costs in a server: between two requests the transport
runs through megabytes of code and data. What the transport costs beside it: `python -m benchmarks.doors`.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.cases import MODEL, Case, Questions
from sigmax.inference.catalog import Catalog
from sigmax.inference.dispatch import Dispatch, Prediction, Query
from sigmax.inference.loading import load_catalog
from sigmax.inference.readiness import Readiness
from sigmax.protocol.values import surely_finite
from sigmax.rpc import raw
from sigmax.rpc.answers import classes_frame
from sigmax.rpc.classifier import ClassesQuery, Classifier
from sigmax.rpc.forms import Forms
from sigmax.rpc.inference_protocol import InferenceService, InferQuery
from sigmax.rpc.numbers import Verb
from sigmax.telemetry.metrics import OK, Metrics
from sigmax.wire import classifier_pb2 as pb
from sigmax.wire import open_inference_grpc_pb2

PACKAGES = ("grpcio", "protobuf", "numpy", "onnxruntime")

_MAX_ROWS = 10_000
Step = Callable[[], Any]


class Disturbance:
    """What empties the caches between two requests, as a transport does."""

    def __init__(self) -> None:
        self._data = np.arange(250_000.0)
        self._document = {"numbers": list(range(60)), "texts": ["some text"] * 40}

    def __call__(self) -> None:
        """Run through other code and 2 MB of other data."""
        text = json.dumps(json.loads(json.dumps(self._document)))
        re.findall(r"\w+", text)
        self._data.sum()


def timed(step: Step, count: int, before: Step) -> float:
    """Microseconds of a step, each time after something else that is not timed: the lower quartile.

    What others do on the machine only ever adds to it.
    """
    taken = []
    for _ in range(count):
        before()
        started = perf_counter_ns()
        step()
        taken.append(perf_counter_ns() - started)
    return statistics.quantiles(taken, n=4)[0] / 1000


def steps(case: Case, catalog: Catalog) -> dict[str, Step]:
    """What is done for a request of a known form, in order, then all of it, then what no form saves."""
    served, request, meter = catalog.find(MODEL), case.body, Metrics().verb("grpc", "budget")
    dispatch = Dispatch(catalog, _MAX_ROWS)
    recognise, whole, method = _raw(case, catalog) if "raw" in case.door else _named(case, catalog)
    query = recognise(request)
    features = query.rows(served, _MAX_ROWS).features
    probabilities = served.predictor.probabilities(features)
    return {
        "recognise the form, make the query": partial(recognise, request),
        "find the model": partial(catalog.find, MODEL, ""),
        "read the numbers, all of them finite": partial(query.rows, served, _MAX_ROWS),
        "run the model": partial(served.predictor.probabilities, features),
        "no probability is NaN": partial(surely_finite, probabilities),
        "decide, put the answer together": partial(query.render, Prediction(served, probabilities, None)),
        "count the request": lambda: meter.request(MODEL, served.version, OK, perf_counter(), case.rows),
        "**the whole request**": partial(method, request),
        "the same, read whole and written by message classes": partial(
            dispatch.answer, meter, whole, request
        ),
    }


Recognise = Callable[[bytes], Query[bytes]]


def _raw(case: Case, catalog: Catalog) -> tuple[Recognise, Recognise, Callable[[bytes], Any]]:
    forms: Forms[raw.Form] = Forms()
    message = open_inference_grpc_pb2.ModelInferRequest.FromString(case.body)
    forms.learn(case.body, partial(raw.form_of, case.body, message))

    def recognise(request: bytes) -> Query[bytes]:
        form = forms.find(request)
        assert form is not None, "the request has no form"
        return raw.KnownQuery(form, request)

    service = InferenceService(catalog, Dispatch(catalog, _MAX_ROWS), Readiness(catalog), Metrics())
    service.model_infer(case.body)
    return recognise, lambda request: InferQuery(request, Forms()), service.model_infer


def _named(case: Case, catalog: Catalog) -> tuple[Recognise, Recognise, Callable[[bytes], Any]]:
    verb, dispatch = Verb(pb.PredictClassesRequest, ClassesQuery, classes_frame), Dispatch(catalog, _MAX_ROWS)
    dispatch.answer(Metrics().verb("grpc", "learn"), verb.query, case.body)
    service = Classifier(catalog, dispatch, Metrics())
    service.predict_classes(case.body)
    return verb.query, ClassesQuery, service.predict_classes


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget_grpc", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="a repository with breast_cancer")
    parser.add_argument("--repeat", type=int, default=2000, help="how often each step is timed")
    arguments = parser.parse_args()
    catalog, disturbance = load_catalog(arguments.models), Disturbance()
    for case in _asked(Questions(arguments.models, MODEL)):
        rows = []
        for name, step in steps(case, catalog).items():
            step()
            alone, disturbed = (timed(step, arguments.repeat, before) for before in (_nothing, disturbance))
            rows.append([name, f"{alone:.1f}", f"{disturbed:.1f}"])
        print(f"{case.door}, {case.rows} rows, {len(case.body):,} bytes in\n")
        print(report.table(["step", "us, alone", "us, after a disturbance"], rows) + "\n")
    print(report.conditions(shlex.join(["python", "-m", "benchmarks.budget_grpc", *sys.argv[1:]]), PACKAGES))


def _asked(questions: Questions) -> list[Case]:
    one = questions.rows(1)
    return [one.infer_raw(), questions.rows(1024).infer_raw(), one.predict_classes()]


def _nothing() -> None:
    """No disturbance."""


if __name__ == "__main__":
    main()
