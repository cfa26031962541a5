"""Bodies that are few bytes and many objects are refused before they are read; right ones never are."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.models import catalog

from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Served
from sigmax.rest.asgi import Body
from sigmax.rest.bounds import GROUPS, KEYS, VALUES, Bounds, has_more
from sigmax.rest.classifier import ClassesQuery, ProbabilitiesQuery
from sigmax.rest.classify import ClassifyQuery
from sigmax.rest.inference_protocol import InferQuery
from sigmax.rest.predict import PredictQuery

MAX_ROWS = 10_000
SERVED: dict[str, Served] = {entry.name: entry.served for entry in catalog().entries if entry.served}
DIFFERENT = b",".join(b'"k%d":1' % number for number in range(KEYS))

texts = st.text(st.sampled_from(':,[{"\\가 \n'), max_size=6)
documents = st.recursive(
    texts | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def parts(value: Any) -> dict[str, int]:
    """How many keys, groups and commas a document has."""
    if not isinstance(value, dict | list):
        return {"keys": 0, "groups": 0, "commas": 0}
    inner = list(map(parts, value.values() if isinstance(value, dict) else value))
    total = {name: sum(one[name] for one in inner) for name in ("keys", "groups", "commas")}
    total["keys"] += len(value) if isinstance(value, dict) else 0
    total["groups"] += 1
    total["commas"] += max(len(value) - 1, 0)
    return total


@given(documents, st.booleans())
def test_what_stands_in_texts_is_not_counted(document: Any, escaped: bool) -> None:
    body = json.dumps(document, ensure_ascii=escaped).encode()
    marks = {"keys": b":", "groups": b"[{", "commas": b","}

    for name, number in parts(document).items():
        assert not has_more(body, marks[name], number, outside_texts=True)
        assert number == 0 or has_more(body, marks[name], number - 1, outside_texts=True)


def test_a_text_may_be_longer_than_what_is_counted_at_a_time() -> None:
    body = b'["' + b":" * 2**19 + b'",' + b'{"a":1},' * 3 + b"0]"

    assert has_more(body, b":", 2, outside_texts=True)
    assert not has_more(body, b":", 3, outside_texts=True)


CLASSIFIER = (ClassesQuery, ProbabilitiesQuery)
REFUSED: list[tuple[Callable[..., Any], bytes, str]] = [
    *[(query, b'{"rows":[{%b}]}' % DIFFERENT, "keys") for query in CLASSIFIER],
    *[(query, b'{"rows":[%b[]]}' % (b"[[]]," * (GROUPS // 2)), "lists and objects") for query in CLASSIFIER],
    *[(query, b'{"rows":[[%b1]]}' % (b"1," * (VALUES + 1)), "values") for query in CLASSIFIER],
    (ClassesQuery, b'{%b,"k0":1}' % DIFFERENT, "keys"),
    (ClassesQuery, b'{"options":{%b}}' % DIFFERENT, "keys"),
    (PredictQuery, b'{"instances":[{%b}]}' % DIFFERENT, "keys"),
    (PredictQuery, b'{"inputs":{%b}}' % DIFFERENT, "keys"),
    (ClassifyQuery, b'{"examples":[{%b}]}' % DIFFERENT, "keys"),
    (ClassifyQuery, b'{"context":{%b},"examples":[{}]}' % DIFFERENT, "keys"),
    (InferQuery, b'{"inputs":[],"parameters":{%b}}' % DIFFERENT, "keys"),
    (InferQuery, b'{"inputs":[],"other":[%b0]}' % (b"{}," * (GROUPS + 1)), "lists and objects"),
]


@pytest.mark.parametrize(("query", "body", "what"), REFUSED)
def test_more_than_any_right_request_has_is_refused(
    query: Callable[..., Any], body: bytes, what: str
) -> None:
    with pytest.raises(InvalidInput, match=rf"^the body holds more than \d+ {what}: send fewer rows"):
        query("binary", "", Body(body)).rows(SERVED["binary"], MAX_ROWS)


def longest(served: Served, key: str, value: Callable[[Any], Any] = lambda cell: cell) -> bytes:
    """As many rows as are taken, of all features."""
    row = {feature.name: value(_some(feature.shape)) for feature in served.schema.features}
    return json.dumps({key: [row] * MAX_ROWS}).encode()


def _some(shape: tuple[int, ...]) -> Any:
    return [_some(shape[1:])] * shape[0] if shape else 0


@pytest.mark.parametrize("name", list(SERVED))
def test_the_longest_right_requests_are_within(name: str) -> None:
    served = SERVED[name]
    bounds = Bounds.of(served.schema, MAX_ROWS)

    for body in (longest(served, "rows"), longest(served, "examples", lambda cell: [cell])):
        bounds.check(body)
        for marks, most in ((b":", bounds.keys), (b"[{", bounds.groups), (b",", bounds.values)):
            assert not has_more(body, marks, most)


def test_texts_full_of_marks_are_no_reason_to_refuse() -> None:
    body = json.dumps({"rows": [{"when": '12:30:00,[]{}\\"' * 10} for _ in range(MAX_ROWS)]}).encode()

    Bounds(keys=MAX_ROWS + 1, groups=MAX_ROWS + 2, values=MAX_ROWS).check(body)


def test_numbers_of_thousands_of_digits_are_refused_unless_they_are_few() -> None:
    numbers = [b"9" * 4_000] * 300

    with pytest.raises(InvalidInput, match=r"^the body holds numbers of more than 400 digits$"):
        Bounds().check(b"[%b]" % b",".join(numbers))

    Bounds().check(b"[%b]" % b",".join(numbers[:200]))
    Bounds().check(b"[%b]" % b",".join([b"0.12345678901234567"] * 60_000))
    Bounds().check(b'["%b"]' % base64.b64encode(bytes(range(256)) * 2**13))
