"""The places of problems are the caller's own, whichever form the rows came in."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.unit.sigmax.inference.engines import Watched, serve
from tests.unit.sigmax.manifests import BINARY

from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Catalog, Entry
from sigmax.inference.costs import UNMEASURED
from sigmax.inference.dispatch import Dispatch
from sigmax.rest.asgi import Body
from sigmax.rest.classifier import ClassesQuery
from sigmax.rest.classify import ClassifyQuery
from sigmax.rest.errors import body
from sigmax.rest.predict import PredictQuery
from sigmax.telemetry.metrics import Metrics


@pytest.mark.parametrize(
    ("query", "document", "field"),
    [
        (ClassesQuery, {"rows": [{"a": 1, "b": "x"}]}, "rows[0].b"),
        (ClassesQuery, {"rows": [[1, 2], [1, "x"]]}, "rows[1][1]"),
        (ClassesQuery, {"columns": {"a": [1], "b": ["x"]}}, "columns.b[0]"),
        (ClassesQuery, {"rows": [[1]]}, "rows[0]"),
        (ClassesQuery, {"rows": [[1, 2]], "options": {"top_k": 0}}, "options.top_k"),
        (ClassesQuery, {"rows": [[1, 2]], "options": {"top_l": 0}}, "options.top_l"),
        (ClassesQuery, {"images": ["é"]}, "images[0]"),
        (PredictQuery, {"instances": [{"a": 1, "b": "x"}]}, "instances[0].b"),
        (PredictQuery, {"instances": [[1, 2], [1, "x"]]}, "instances[1][1]"),
        (PredictQuery, {"inputs": {"a": [1], "b": ["x"]}}, "inputs.b[0]"),
        (PredictQuery, {"inputs": [[1, "x"]]}, "inputs[0][1]"),
        (PredictQuery, {"instances": 1}, "instances"),
        (PredictQuery, {"instances": [[1, 2]], "signature_name": 1}, "signature_name"),
        (ClassifyQuery, {"examples": [{"a": 1, "b": "x"}]}, "examples[0].b"),
        (ClassifyQuery, {"examples": [{"a": 1}], "context": 1}, "context"),
    ],
)
def test_a_problem_has_the_place_that_its_caller_knows(query: Any, document: Any, field: str) -> None:
    dispatch = Dispatch(Catalog([Entry("small", serve(Watched(), BINARY, UNMEASURED))]), 100)

    with pytest.raises(InvalidInput) as refused:
        dispatch.answer(
            Metrics().verb("rest", "classes"), query, "small", "", Body(json.dumps(document).encode())
        )

    assert [problem.field for problem in refused.value.problems] == [field]
    (detail,) = msgspec.json.decode(body(refused.value, "7"))["details"]
    assert detail["field"] == field
