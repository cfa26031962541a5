"""Keys that stand twice are refused, however they are written; others are not, whatever texts hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax.errors import InvalidInput
from sigmax.rest.duplicates import colons, refuse_twice
from sigmax.rest.infer_request import read_request
from sigmax.rest.jsons import read_object

names = st.text(st.sampled_from('ab:"\\가\n'), max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.sampled_from("ab:é"), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(st.dictionaries(names, values, max_size=3), max_size=3)
documents = st.dictionaries(st.sampled_from(["rows", "columns", "options", "a:"]), rows | values, max_size=4)


@given(documents, st.booleans())
def test_a_document_without_one_is_read_as_it_is(document: dict[str, Any], escaped: bool) -> None:
    body = json.dumps(document, ensure_ascii=escaped).encode()

    assert read_object(body) == (document, None)


@given(documents, names, values, st.booleans())
def test_a_document_with_one_is_refused(
    document: dict[str, Any], name: str, value: Any, escaped: bool
) -> None:
    inner = json.dumps({name: value}, ensure_ascii=escaped)[1:-1]
    other = json.dumps({"more": document}, ensure_ascii=escaped)[:-1]
    body = f'{other}, "rows": [{{{inner}, {inner}}}], "end": "{":" * 3}\\u003a"}}'.encode()

    with pytest.raises(InvalidInput, match=r"^row 0: feature .* comes twice") as refused:
        read_object(body)

    (problem, *_) = refused.value.problems
    assert (problem.row, problem.feature) == (0, name)


@pytest.mark.parametrize("size", [10, 5_000, 2**16])
def test_colons_are_counted_in_bodies_of_any_length(size: int) -> None:
    assert colons(b":," * size) == size


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("value", ["1", '"a:b"', '{"c": 1}'])
@pytest.mark.parametrize("twice", ["", ', "name": "b"', ', "data": DATA', ', "x": "\\"data\\": [1"'])
def test_a_key_that_comes_twice_beside_data_is_refused_however_long_the_data(
    size: int, value: str, twice: str
) -> None:
    data = "[" + ",".join([value] * size) + "]"
    tensor = f'"name": "a", "shape": [1], "datatype": "X", "data": {data}{twice.replace("DATA", data)}'
    body = f'{{"inputs": [{{{tensor}}}]}}'.encode()

    if "name" in twice or "DATA" in twice:
        with pytest.raises(InvalidInput, match=r"^key '(name|data)' comes twice in one object$"):
            read_request(body)
    else:
        assert bytes(read_request(body)[0].inputs[0].data) == data.encode()


def test_fewer_keys_may_be_said_than_there_are() -> None:
    refuse_twice(b'{"a": {"b": 1}, "c": ":"}', 0)


def test_each_is_named_with_its_place() -> None:
    body = b'{"a": [{"b": 1, "b": 2}], "columns": {"c d": 1, "c d": 2}, "columns": {"c d": 1, "c d": 2}}'

    with pytest.raises(InvalidInput) as refused:
        refuse_twice(body, 0)

    assert [problem.field for problem in refused.value.problems] == ["columns", "a[0].b", "columns['c d']"]


def test_a_million_keys_that_are_all_the_same_are_counted_once() -> None:
    with pytest.raises(InvalidInput, match=r"^key 'a' comes twice in one object$"):
        refuse_twice(b"{" + b'"a":1,' * 10**5 + b'"a":1}', 1)
