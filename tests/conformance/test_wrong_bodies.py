"""Wrong bodies: every row of the checklist that is about data, through every REST door, to the letter.

A name begins with the row of the checklist that it is of. A1: no object. A2: not quite JSON. A3: nesting.
A7: numbers that are none. A8: wrong types. A9: wrong shapes. A10: too much. A11: keys twice and unknown ones.
A12: names of features. A13: texts. A23: what the answers hold.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from tests.conformance import models
from tests.conformance.models import MANIFESTS
from tests.service import Service, running
from tests.unit.sigmax import mixed

CHECKLIST = ("A1", "A2", "A3", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A23")
LEAKS = re.compile(
    r"Traceback|/work|/tmp|site-packages|\.py\b|<class|Error\b|codec|msgspec|numpy|onnxruntime"
)
VERBS = ("classes", "probabilities")
GOOD = mixed.ROWS[0]


@dataclass(frozen=True)
class Case:
    """A wrong body and what is said of it.

    Attributes:
        name: begins with the row of the checklist.
        body: as it is sent; text as UTF-8.
        error: the whole text of the refusal.
        status: of HTTP.
        model: that is asked.
        head: how many bytes of the body are JSON, where binary tensors follow.
    """

    name: str
    body: bytes | str
    error: str
    status: int = 400
    model: str = "plain"
    head: int | None = None

    @property
    def code(self) -> str:
        """The code that goes with the status."""
        return {400: "INVALID_INPUT", 413: "TOO_LARGE"}[self.status]


def named(value: str, name: str = "b") -> str:
    """Rows by name, of which one value is written as given."""
    return f'{{"rows": [{{"a": 0.5, "{name}": {value}}}]}}'


def listed(value: str) -> str:
    """Rows in order, likewise."""
    return f'{{"rows": [[0.5, 1], [0.5, {value}]]}}'


def columns(value: str) -> str:
    """Columns, likewise."""
    return f'{{"columns": {{"a": [0.5, 1], "b": [1, {value}]}}}}'


def tensor(
    data: str, datatype: str = "FP64", shape: str = "[1, 2]", more: str = "", name: str = "features"
) -> str:
    """An inference request with data written as given."""
    head = f'{{"name": "{name}", "shape": {shape}, "datatype": "{datatype}", "data": {data}}}'
    return f'{{"inputs": [{head}]{more}}}'


def binary(
    name: str, content: bytes, error: str, datatype: str = "FP64", shape: str = "[1, 2]", **given: Any
) -> Case:
    """An inference request whose only tensor follows the JSON."""
    size = given.pop("size", len(content))
    said = f'"shape": {shape}, "datatype": "{datatype}", "parameters": {{"binary_data_size": {size}}}'
    text = f'{{"inputs": [{{"name": "features", {said}}}]}}'.encode()
    return Case(name, text + content, error, head=len(text), **given)


def numbers(*values: float, dtype: str = "<f8") -> bytes:
    """Numbers as they lie in a binary tensor."""
    return np.array(values, dtype).tobytes()


def row_of(**given: Any) -> str:
    """A row of the model with features of every kind, some of its values others."""
    return json.dumps({"rows": [{**GOOD, **given}]})


def texts(*values: Any, datatype: str = "BYTES") -> str:
    """An inference request of that model with these categories."""
    features = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [31.5, 2.25, 1, 3]}
    categories = {"name": "categories", "datatype": datatype, "shape": [1, 2], "data": list(values)}
    return json.dumps({"inputs": [features, categories]})


NO_MISSING = "a missing value, which this model does not take"
DEEP = 1_000_000
MANY = 10_001

VALUES = {
    "A7-nan": ("NaN", "expected a finite number, got nan"),
    "A7-infinity": ("Infinity", "expected a finite number, got inf"),
    "A7-minus-infinity": ("-Infinity", "expected a finite number, got -inf"),
    "A7-1e999": ("1e999", "expected a finite number, got inf"),
    "A7-400-digits": (
        "9" * 400,
        f"expected a number, got the integer '{'9' * 59}…', which float64 cannot hold exactly",
    ),
    "A8-beyond-2**53": (
        "9007199254740993",
        "expected a number, got the integer '9007199254740993', which float64 cannot hold exactly",
    ),
    "A8-below--2**53": (
        "-9007199254740993",
        "expected a number, got the integer '-9007199254740993', which float64 cannot hold exactly",
    ),
    "A8-true": ("true", "expected a number, got the boolean true"),
    "A8-false": ("false", "expected a number, got the boolean false"),
    "A8-digits-as-text": ('"1"', "expected a number, got the text '1'"),
    "A8-null": ("null", "expected a number, got null, a missing value, which this model does not take"),
    "A8-list": ("[1]", "expected a number, got a list of 1 values"),
    "A8-object": ("{}", "expected a number, got an object"),
}
"""A value of a feature that takes numbers, as JSON writes it or nearly so, and what is said of it."""


def of(floats: str, integers: str) -> dict[str, str]:
    """What is said of a value, by the datatype of its tensor."""
    return {
        datatype: text.format(datatype=datatype)
        for datatype, text in (("FP64", floats), ("FP32", floats), ("INT64", integers))
    }


TENSOR_VALUES = {
    "A7-nan": (
        "NaN",
        of("expected a finite number, got the number nan", "expected an integer, got the number nan"),
    ),
    "A7-infinity": (
        "-Infinity",
        of("expected a finite number, got the number -inf", "expected an integer, got the number -inf"),
    ),
    "A7-1e999": (
        "1e999",
        of("expected a finite number, got the number inf", "expected an integer, got the number inf"),
    ),
    "A7-400-digits": (
        "9" * 400,
        of(f"'{'9' * 59}…' is no number of {{datatype}}", f"'{'9' * 59}…' is outside {{datatype}}"),
    ),
    "A8-true": (
        "true",
        of("expected a number, got the boolean true", "expected an integer, got the boolean true"),
    ),
    "A8-digits-as-text": (
        '"1"',
        of("expected a number, got the text '1'", "expected an integer, got the text '1'"),
    ),
    "A8-null": (
        "null",
        of(f"expected a number, got null, {NO_MISSING}", f"expected an integer, got null, {NO_MISSING}"),
    ),
}
"""The same of a tensor."""

CLASSIFIER = [
    Case("A1-empty", b"", "the body is empty: send a JSON object"),
    Case("A1-object", "{}", "no rows: send exactly one of 'rows' and 'columns', with at least one row"),
    Case("A1-null", "null", "the body is a JSON object, not null"),
    Case("A1-list", "[]", "the body is a JSON object, not a list of 0 values"),
    Case("A1-text", '"x"', "the body is a JSON object, not the text 'x'"),
    Case("A1-number", "1", "the body is a JSON object, not the number 1"),
    Case(
        "A1-null-rows",
        '{"rows": null}',
        "no rows: send exactly one of 'rows' and 'columns', with at least one row",
    ),
    Case("A2-truncated", '{"rows": [[0.5, 1]', "the body is not JSON: Input data was truncated"),
    Case(
        "A2-trailing-comma",
        '{"rows": [[0.5, 1],]}',
        "the body is not JSON: JSON is malformed: trailing comma in array (byte 19)",
    ),
    Case(
        "A2-two-documents",
        '{"rows": [[0.5, 1]]}{"rows": [[0.5, 1]]}',
        "the body is not JSON: JSON is malformed: trailing characters (byte 21)",
    ),
    Case(
        "A2-trailing-nul",
        '{"rows": [[0.5, 1]]}\0',
        "the body is not JSON: JSON is malformed: trailing characters (byte 21)",
    ),
    Case(
        "A2-byte-order-mark",
        b"\xef\xbb\xbf" + b'{"rows": [[0.5, 1]]}',
        (
            "the body is not JSON: JSON is malformed: invalid character (byte 0); it begins with a "
            "byte order mark: send UTF-8 without one"
        ),
    ),
    Case(
        "A2-utf-16",
        '{"rows": [[0.5, 1]]}'.encode("utf-16"),
        "the body is not JSON: byte 0 is no UTF-8; it begins with a byte order mark: send UTF-8 without one",
    ),
    Case(
        "A2-utf-16-without-mark",
        '{"rows": [[0.5, 1]]}'.encode("utf-16-le"),
        "the body is not JSON: JSON is malformed: object keys must be strings (byte 1)",
    ),
    Case("A2-not-utf-8", b'{"rows": [{"a": 0.5, "\xff": 1}]}', "the body is not JSON: byte 22 is no UTF-8"),
    Case(
        "A2-surrogate-as-value",
        '{"rows": [[0.5, "\\ud800"]]}',
        "row 0, feature 'b': expected a number, got the text '\\ud800'",
    ),
    Case(
        "A2-surrogate-as-name",
        named("1", "\\ud800"),
        "row 0: unknown feature '\\ud800'; row 0: feature 'b' is missing",
    ),
    Case(
        "A2-surrogate-bytes",
        b'{"rows": [[0.5, "\xed\xa0\x80"]]}',
        "row 0, feature 'b': expected a number, got the text '\\ud800'",
    ),
    Case(
        "A2-single-quotes",
        "{'rows': [[0.5, 1]]}",
        "the body is not JSON: JSON is malformed: object keys must be strings (byte 1)",
    ),
    Case(
        "A2-comment",
        '// rows\n{"rows": [[0.5, 1]]}',
        "the body is not JSON: JSON is malformed: invalid character (byte 0)",
    ),
    Case(
        "A2-leading-zero", listed("01"), "the body is not JSON: JSON is malformed: invalid number (byte 27)"
    ),
    Case(
        "A2-leading-plus",
        listed("+1"),
        "the body is not JSON: JSON is malformed: invalid character (byte 26)",
    ),
    Case(
        "A2-hexadecimal",
        listed("0x1"),
        "the body is not JSON: JSON is malformed: expected ',' or ']' (byte 27)",
    ),
    Case(
        "A2-no-digits-behind-the-point",
        listed("1."),
        "the body is not JSON: JSON is malformed: invalid number (byte 28)",
    ),
    Case("A3-101-lists", "[" * 101 + "]" * 101, "the body is a JSON object, not a list of 1 values"),
    Case("A3-1025-lists", "[" * 1025 + "]" * 1025, "the body is nested too deeply"),
    Case("A3-a-million-lists", "[" * DEEP + "]" * DEEP, "the body is nested too deeply"),
    Case("A3-1025-objects", '{"rows":' * 1025 + "1" + "}" * 1025, "the body is nested too deeply"),
    Case(
        "A3-a-million-lists-as-rows",
        '{"rows":' + "[" * DEEP + "]" * DEEP + "}",
        "the body is nested too deeply",
    ),
    Case(
        "A3-100-lists-for-a-value",
        listed("[" * 100 + "]" * 100),
        "row 1, feature 'b': expected a number, got a list of 1 values",
    ),
    *[
        Case(f"{what}-{form.__name__}", form(value), f"row {int(form is not named)}, feature 'b': {text}")
        for (what, (value, text)), form in itertools.product(VALUES.items(), (named, listed, columns))
    ],
    Case(
        "A7-5000-digits-named",
        named("9" * 5000),
        "the body is not JSON: Integer value out of range - at '$[...][0][...]'",
    ),
    Case(
        "A7-5000-digits-listed",
        listed("9" * 5000),
        "the body is not JSON: Integer value out of range - at '$[...][1][1]'",
    ),
    Case(
        "A8-fraction-for-an-integer",
        row_of(방문=2.5),
        "row 0, feature '방문': expected a whole number, got the number 2.5",
        model="mixed",
    ),
    Case(
        "A8-number-for-a-boolean",
        row_of(회원=2),
        "row 0, feature '회원': expected true or false, got the number 2",
        model="mixed",
    ),
    Case(
        "A8-boolean-for-a-number",
        row_of(나이=True),
        "row 0, feature '나이': expected a number, got the boolean true",
        model="mixed",
    ),
    Case(
        "A9-ragged",
        '{"rows": [[1, 2], [1], [1, 2, 3]]}',
        "row 1: expected 2 values, got 1; row 2: expected 2 values, got 3",
    ),
    Case(
        "A9-no-rows",
        '{"rows": []}',
        "no rows: send exactly one of 'rows' and 'columns', with at least one row",
    ),
    Case(
        "A9-no-columns",
        '{"rows": [[], []]}',
        "row 0: expected 2 values, got 0; row 1: expected 2 values, got 0",
    ),
    Case("A9-empty-columns", '{"columns": {"a": [], "b": []}}', "'columns' are empty: send at least one row"),
    Case(
        "A9-no-column-at-all",
        '{"columns": {}}',
        "no rows: send exactly one of 'rows' and 'columns', with at least one row",
    ),
    Case(
        "A9-empty-objects", '{"rows": [{}]}', "row 0: feature 'a' is missing; row 0: feature 'b' is missing"
    ),
    Case(
        "A9-three-dimensions",
        '{"rows": [[[1], [2]]]}',
        (
            "row 0, feature 'a': expected a number, got a list of 1 values; row 0, feature 'b': "
            "expected a number, got a list of 1 values"
        ),
    ),
    Case("A9-scalar", '{"rows": 1}', "'rows' is a list of objects or of lists, not the number 1"),
    Case(
        "A9-scalar-column",
        '{"columns": {"a": 1, "b": [1]}}',
        "column 'a': expected a list with one value a row, got the number 1",
    ),
    Case(
        "A9-one-dimension",
        '{"rows": [1, 2]}',
        (
            "row 0: expected a list in feature order, got the number 1; row 1: expected a list in "
            "feature order, got the number 2"
        ),
    ),
    Case("A9-one-too-few", '{"rows": [[1]]}', "row 0: expected 2 values, got 1"),
    Case("A9-one-too-many", '{"rows": [[1, 2, 3]]}', "row 0: expected 2 values, got 3"),
    Case(
        "A9-a-million-wide", '{"rows": [[' + "1," * 999_999 + "1]]}", "row 0: expected 2 values, got 1000000"
    ),
    Case(
        "A9-columns-of-two-lengths",
        '{"columns": {"a": [1, 2], "b": [1]}}',
        "column 'b': 1 values, but 2 in column 'a'",
    ),
    Case(
        "A9-objects-and-lists",
        '{"rows": [{"a": 1, "b": 2}, [1, 2]]}',
        "row 1: expected an object by feature name, got a list of 2 values",
    ),
    Case(
        "A10-rows",
        json.dumps({"rows": [[1, 2]] * MANY}),
        "10001 rows in one request, at most 10000 are taken",
    ),
    Case(
        "A10-named-rows",
        json.dumps({"rows": [{"a": 1, "b": 2}] * MANY}),
        "10001 rows in one request, at most 10000 are taken",
    ),
    Case(
        "A10-columns",
        json.dumps({"columns": {"a": [1] * MANY, "b": [2] * MANY}}),
        "10001 rows in one request, at most 10000 are taken",
    ),
    Case("A10-bytes", b" " * (16 * 2**20 + 1), "the body is larger than 16777216 bytes", 413),
    Case(
        "A11-feature-twice",
        '{"rows": [{"a": 0.5, "b": 1, "a": 0.25}]}',
        "row 0: feature 'a' comes twice",
    ),
    Case(
        "A11-feature-twice-in-a-later-row",
        '{"rows": [{"a": 0.5, "b": 1}, {"b": 2, "a": 0.5, "b": 1}]}',
        "row 1: feature 'b' comes twice",
    ),
    Case(
        "A11-feature-twice-once-escaped",
        '{"rows": [{"a": 0.5, "b": 1, "\\u0061": 0.25}]}',
        "row 0: feature 'a' comes twice",
    ),
    Case(
        "A11-column-twice",
        '{"columns": {"a": [0.5], "b": [1], "a": [0.25]}}',
        "column 'a' comes twice",
    ),
    Case(
        "A11-rows-twice", '{"rows": [[0.5, 1]], "rows": [[0.25, 1]]}', "key 'rows' comes twice in one object"
    ),
    Case(
        "A11-option-twice",
        '{"rows": [[0.5, 1]], "options": {"top_k": 1, "top_k": 2}}',
        "key 'top_k' comes twice in one object",
    ),
    Case(
        "A11-twice-beside-a-text-with-colons",
        '{"rows": [{"a": 0.5, "b": 1, "at": "12:30:15", "a": 0.25}], "options": {"id": "at"}}',
        "row 0: feature 'a' comes twice",
    ),
    Case(
        "A11-twice-behind-an-escaped-colon",
        '{"rows": [{"a": 0.5, "b": 1, "at": "12\\u003a30", "a": 0.25}], "options": {"id": "at"}}',
        "row 0: feature 'a' comes twice",
    ),
    Case(
        "A11-unknown-key",
        '{"rows": [[1, 2]], "row": 1}',
        "unknown key 'row', did you mean 'rows'?; known are rows, columns, images, options",
    ),
    Case("A11-option-beside-options", '{"rows": [[1, 2]], "top_k": 1}', "'top_k' belongs into 'options'"),
    Case(
        "A11-unknown-option",
        '{"rows": [[1, 2]], "options": {"topk": 1}}',
        "unknown option 'topk', did you mean 'top_k'?",
    ),
    Case(
        "A11-many-keys",
        "{" + ",".join(f'"k{n}":1' for n in range(10**5)) + "}",
        "unknown key 'k0'; known are rows, columns, images, options",
    ),
    Case(
        "A11-a-key-of-a-million-bytes",
        '{"' + "k" * 10**6 + '": 1}',
        (
            "unknown key 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…'; known are "
            "rows, columns, images, options"
        ),
    ),
    Case(
        "A11-a-feature-of-a-million-bytes",
        named("1", "b" * 10**6),
        (
            "row 0: unknown feature 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…'; "
            "row 0: feature 'b' is missing"
        ),
    ),
    Case("A12-missing", '{"rows": [{"a": 1}]}', "row 0: feature 'b' is missing"),
    Case("A12-extra", '{"rows": [{"a": 1, "b": 2, "c": 3}]}', "row 0: unknown feature 'c'"),
    Case(
        "A12-other-case",
        '{"rows": [{"a": 1, "B": 2}]}',
        "row 0: unknown feature 'B', did you mean 'b'?; row 0: feature 'b' is missing",
    ),
    Case(
        "A12-confusable",
        '{"rows": [{"\u0430": 1, "b": 2}]}',
        "row 0: unknown feature '\u0430'; row 0: feature 'a' is missing",
    ),
    Case(
        "A12-space-around",
        '{"rows": [{"a ": 1, "b": 2}]}',
        "row 0: unknown feature 'a ', did you mean 'a'?; row 0: feature 'a' is missing",
    ),
    Case("A12-missing-column", '{"columns": {"a": [1]}}', "feature 'b' is missing"),
    Case("A12-extra-column", '{"columns": {"a": [1], "b": [1], "c": [1]}}', "unknown feature 'c'"),
    Case(
        "A12-second-row",
        '{"rows": [{"a": 1, "b": 2}, {"a": 1, "c": 2}]}',
        "row 1: unknown feature 'c'; row 1: feature 'b' is missing",
    ),
    Case(
        "A12-decomposed-name",
        json.dumps({"rows": [{"\u1102\u1161\u110b\u1175": 1}]}),
        (
            "row 0: unknown feature '나이', did you mean '나이'?; row 0: feature '나이' is missing; row 0: "
            "feature '도시' is missing; row 0: feature '임금' is missing; row 0: feature '회원' is missing; "
            "row 0: feature '등급' is missing; row 0: feature '방문' is missing"
        ),
        model="mixed",
    ),
    Case(
        "A13-unseen",
        row_of(등급=31),
        "row 0, feature '등급': unknown category '31', did you mean '1'? (3 known)",
        model="mixed",
    ),
    Case(
        "A13-unseen-text",
        row_of(등급="thirty"),
        "row 0, feature '등급': expected a whole number or its decimal text, got the text 'thirty'",
        model="mixed",
    ),
    Case(
        "A13-millions-of-letters",
        row_of(등급="3" * 10**6),
        (
            "row 0, feature '등급': expected a whole number or its decimal text, got the text "
            "'33333333333333333333333333333333333333333333333333333333333…'"
        ),
        model="mixed",
    ),
    Case(
        "A13-nul",
        row_of(등급="1\0"),
        "row 0, feature '등급': expected a whole number or its decimal text, got the text '1\\x00'",
        model="mixed",
    ),
    Case(
        "A13-right-to-left",
        row_of(등급="\u202e1"),
        "row 0, feature '등급': expected a whole number or its decimal text, got the text '\\u202e1'",
        model="mixed",
    ),
    Case(
        "A13-emoji",
        row_of(등급="\U0001f600"),
        "row 0, feature '등급': expected a whole number or its decimal text, got the text '😀'",
        model="mixed",
    ),
    Case(
        "A13-number-for-a-text",
        row_of(도시=1),
        "row 0, feature '도시': expected a text, got the number 1",
        model="mixed",
    ),
    Case(
        "A13-text-for-a-number",
        row_of(나이="31"),
        "row 0, feature '나이': expected a number, got the text '31'",
        model="mixed",
    ),
]

INFER = [
    Case("A1-empty", b"", "the body is empty: send a JSON object"),
    Case("A1-object", "{}", "the body is not an inference request: Object missing required field 'inputs'"),
    Case("A1-null", "null", "the body is not an inference request: Expected 'object', got 'null'"),
    Case("A1-list", "[]", "the body is not an inference request: Expected 'object', got 'array'"),
    Case("A1-text", '"x"', "the body is not an inference request: Expected 'object', got 'str'"),
    Case(
        "A1-null-inputs",
        '{"inputs": null}',
        "the body is not an inference request: Expected 'array', got 'null' - at '$.inputs'",
    ),
    Case("A2-truncated", tensor("[1, 2]")[:-1], "the body is not JSON: Input data was truncated"),
    Case(
        "A2-trailing-comma",
        tensor("[1, 2,]"),
        "the body is not JSON: JSON is malformed: trailing comma in array (byte 84)",
    ),
    Case(
        "A2-two-documents",
        tensor("[1, 2]") * 2,
        "the body is not JSON: JSON is malformed: trailing characters (byte 88)",
    ),
    Case(
        "A2-trailing-nul",
        tensor("[1, 2]") + "\0",
        "the body is not JSON: JSON is malformed: trailing characters (byte 88)",
    ),
    Case(
        "A2-byte-order-mark",
        b"\xef\xbb\xbf" + tensor("[1, 2]").encode(),
        (
            "the body is not JSON: JSON is malformed: invalid character (byte 0); it begins with a "
            "byte order mark: send UTF-8 without one"
        ),
    ),
    Case(
        "A2-utf-16",
        tensor("[1, 2]").encode("utf-16"),
        "the body is not JSON: byte 0 is no UTF-8; it begins with a byte order mark: send UTF-8 without one",
    ),
    Case(
        "A2-not-utf-8",
        tensor("[1, 2]", name="\x00").encode().replace(b"\x00", b"\xff"),
        "the body is not JSON: byte 22 is no UTF-8",
    ),
    Case(
        "A2-surrogate-as-name",
        tensor("[1, 2]", name="\\ud800"),
        "expected the one input 'features', got ['\\ud800']",
    ),
    Case(
        "A2-surrogate-as-id",
        tensor("[1, 2]", more=', "id": "\\ud800"'),
        "the body is not JSON: Input data was truncated",
    ),
    Case(
        "A3-101-lists",
        tensor("[" * 101 + "]" * 101),
        (
            "input 'features': 'data' of FP64 is a list of numbers, flat or nested as its shape: "
            "Expected 'float', got 'array' - at '$[0][0]'"
        ),
    ),
    Case("A3-1025-lists", tensor("[" * 1025 + "]" * 1025), "the body is nested too deeply"),
    Case("A3-a-million-lists", tensor("[" * DEEP + "]" * DEEP), "the body is nested too deeply"),
    Case(
        "A3-a-million-lists-that-are-ignored",
        tensor("[1, 2]", more=', "x": ' + "[" * DEEP + "]" * DEEP),
        "the body is nested too deeply",
    ),
    *[
        Case(
            f"{what}-{datatype}-{form}",
            tensor(data.format(value), datatype),
            f"row 0, feature 'b': {text[datatype]}",
        )
        for (what, (value, text)), datatype, (form, data) in itertools.product(
            TENSOR_VALUES.items(),
            ("FP64", "FP32", "INT64"),
            {"flat": "[1, {}]", "nested": "[[1, {}]]"}.items(),
        )
    ],
    Case(
        "A7-5000-digits",
        tensor("[1, " + "9" * 5000 + "]"),
        (
            "input 'features': 'data' of FP64 is a list of numbers, flat or nested as its shape: "
            "Number out of range - at '$[1]'"
        ),
    ),
    Case(
        "A7-nan-beside-the-data",
        tensor("[1, 2]", more=', "parameters": {"x": NaN}'),
        (
            "the body is not JSON: JSON is malformed: invalid character (byte 108); NaN and Infinity "
            "are no JSON numbers"
        ),
    ),
    Case(
        "A7-nan-among-booleans",
        tensor("[true, NaN]", "BOOL"),
        "row 0, feature 'b': expected a boolean, got the number nan",
    ),
    Case(
        "A8-list",
        tensor("[1, [1]]"),
        (
            "input 'features': 'data' of FP64 is a list of numbers, flat or nested as its shape: "
            "Expected 'float', got 'array' - at '$[1]'"
        ),
    ),
    Case(
        "A8-object",
        tensor("[1, {}]"),
        (
            "input 'features': 'data' of FP64 is a list of numbers, flat or nested as its shape: "
            "Expected 'float', got 'object' - at '$[1]'"
        ),
    ),
    Case(
        "A8-object-among-integers",
        tensor("[1, {}]", "INT32"),
        (
            "input 'features': 'data' of INT32 is a list of integers, flat or nested as its shape: "
            "Expected 'int', got 'object' - at '$[1]'"
        ),
    ),
    Case(
        "A8-beyond-2**53",
        tensor(f"[1, {2**53 + 1}]", "INT64"),
        (
            "row 0, feature 'b': 9007199254740993 cannot be held by float64, which the model computes "
            "in, without changing it"
        ),
    ),
    Case("A8-beyond-the-datatype", tensor("[1, 300]", "UINT8"), "row 0, feature 'b': '300' is outside UINT8"),
    Case(
        "A8-negative-for-unsigned", tensor("[1, -1]", "UINT64"), "row 0, feature 'b': '-1' is outside UINT64"
    ),
    Case(
        "A8-fraction-for-an-integer",
        tensor("[1, 2.5]", "INT32"),
        "row 0, feature 'b': expected an integer, got the number 2.5",
    ),
    Case(
        "A8-float-for-an-integer",
        tensor("[1, 2.0]", "INT32"),
        "row 0, feature 'b': expected an integer, got the number 2",
    ),
    Case(
        "A8-number-for-a-boolean",
        tensor("[true, 1]", "BOOL"),
        "row 0, feature 'b': expected a boolean, got the number 1",
    ),
    Case(
        "A8-400-digits-for-a-boolean",
        tensor("[true, " + "9" * 400 + "]", "BOOL"),
        (
            "row 0, feature 'b': expected a boolean, got the number "
            "99999999999999999999999999999999999999999999999999999999999…"
        ),
    ),
    Case("A8-beyond-fp32", tensor("[1, 1e39]", "FP32"), "row 0, feature 'b': 1e+39 is no number of FP32"),
    Case(
        "A8-half-in-json",
        tensor("[1, 2]", "FP16"),
        "input 'features': FP16 has no form in JSON: send it as binary data",
    ),
    Case(
        "A9-ragged",
        tensor("[[1, 2], [1]]", shape="[2, 2]"),
        "input 'features': row 1 of 'data' has 1 values, shape [2, 2] says 2",
    ),
    Case("A9-no-rows", tensor("[]", shape="[0, 2]"), "input 'features' is empty: send at least one row"),
    Case(
        "A9-no-columns",
        tensor("[[]]", shape="[1, 0]"),
        "input 'features': expected shape [-1, 2], got [1, 0]",
    ),
    Case(
        "A9-three-dimensions",
        tensor("[[[1, 2]]]"),
        (
            "input 'features': 'data' of FP64 is a list of numbers, flat or nested as its shape: "
            "Expected 'float', got 'array' - at '$[0][0]'"
        ),
    ),
    Case(
        "A9-shape-of-three-dimensions",
        tensor("[1, 2]", shape="[1, 1, 2]"),
        "input 'features': expected shape [-1, 2], got [1, 1, 2]",
    ),
    Case(
        "A9-scalar",
        tensor("1"),
        (
            "input 'features': 'data' of FP64 is a list of numbers, flat or nested as its shape: "
            "Expected 'array', got 'int'"
        ),
    ),
    Case(
        "A9-one-dimension",
        tensor("[1, 2]", shape="[2]"),
        "input 'features': expected shape [-1, 2], got [2]; one row is [1, 2]",
    ),
    Case("A9-one-too-few", tensor("[1]"), "input 'features': shape [1, 2] needs 2 values, got 1"),
    Case("A9-one-too-many", tensor("[1, 2, 3]"), "input 'features': shape [1, 2] needs 2 values, got 3"),
    Case(
        "A9-one-too-wide",
        tensor("[1, 2, 3]", shape="[1, 3]"),
        "input 'features': expected shape [-1, 2], got [1, 3]",
    ),
    Case(
        "A9-negative",
        tensor("[1, 2]", shape="[-1, 2]"),
        "input 'features': expected shape [-1, 2], got [-1, 2]"
        "; -1 stands for the number of rows: say how many there are",
    ),
    Case(
        "A9-overflow",
        tensor("[1, 2]", shape=f"[{2**62}, 4]"),
        "input 'features': expected shape [-1, 2], got [4611686018427387904, 4]",
    ),
    Case(
        "A9-shape-of-texts",
        tensor("[1, 2]", shape='["1", 2]'),
        "the body is not an inference request: Expected 'int', got 'str' - at '$.inputs[0].shape[0]'",
    ),
    Case(
        "A10-rows",
        tensor(json.dumps([1] * 2 * MANY), shape=f"[{MANY}, 2]"),
        "10001 rows in one request, at most 10000 are taken",
    ),
    Case("A10-bytes", b" " * (16 * 2**20 + 1), "the body is larger than 16777216 bytes", 413),
    Case(
        "A11-inputs-twice",
        tensor("[1, 2]")[:-1] + "," + tensor("[3, 4]")[1:],
        "key 'inputs' comes twice in one object",
    ),
    Case("A11-data-twice", tensor('[1, 2], "data": [3, 4]'), "key 'data' comes twice in one object"),
    Case(
        "A11-twice-in-what-is-ignored",
        tensor("[1, 2]", more=', "x": {"y": 1, "y": 2}'),
        "key 'y' comes twice in one object",
    ),
    Case(
        "A11-not-utf-8-in-what-is-ignored",
        tensor("[1, 2]", more=', "x": "\0"').encode().replace(b"\0", b"\xff"),
        "the body is not JSON, in a part of it that is ignored here",
    ),
    Case(
        "A11-a-million-keys",
        "{" + ",".join(f'"k{n}":1' for n in range(10**6)) + "}",
        "the body is not an inference request: Object missing required field 'inputs'",
    ),
    Case(
        "A12-another-input",
        tensor("[1, 2]", name="Features"),
        "expected the one input 'features', got ['Features']",
    ),
    Case("A12-no-input", '{"inputs": []}', "expected the one input 'features', got []"),
    Case(
        "A12-an-input-twice",
        tensor("[1, 2]").replace(
            "]}", ', {"name": "features", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}'
        ),
        "expected the one input 'features', got ['features', 'features']",
    ),
    Case(
        "A12-another-output",
        tensor("[1, 2]", more=', "outputs": [{"name": "Label"}]'),
        "unknown output 'Label', did you mean 'label'?; this model has probabilities, label",
    ),
    Case(
        "A12-an-output-twice",
        tensor("[1, 2]", more=', "outputs": [{"name": "label"}, {"name": "label"}]'),
        "an output is requested twice: ['label', 'label']",
    ),
    Case(
        "A12-inputs-by-feature",
        texts("서울", "30").replace("categories", "도시"),
        "expected the inputs 'features' and 'categories', got ['features', '도시']; features are columns of "
        "an input, in the order that the metadata has under 'properties'",
        model="mixed",
    ),
    Case(
        "A13-unseen",
        texts("서울", "31"),
        "row 0, feature '등급': unknown category '31', did you mean '1'? (3 known)",
        model="mixed",
    ),
    Case(
        "A13-millions-of-letters",
        texts("서울", "3" * 10**6),
        (
            "row 0, feature '등급': expected a whole number or its decimal text, got the text "
            "'33333333333333333333333333333333333333333333333333333333333…'"
        ),
        model="mixed",
    ),
    Case(
        "A13-nul",
        texts("서울", "1\0"),
        "row 0, feature '등급': expected a whole number or its decimal text, got the text '1\\x00'",
        model="mixed",
    ),
    Case(
        "A13-right-to-left",
        texts("서울", "\u202e1"),
        "row 0, feature '등급': expected a whole number or its decimal text, got the text '\\u202e1'",
        model="mixed",
    ),
    Case(
        "A13-number-for-a-text",
        texts("서울", 30),
        "row 0, feature '등급': expected a text, got the number 30",
        model="mixed",
    ),
    Case(
        "A13-another-datatype",
        texts(1, 2, datatype="INT64"),
        "input 'categories': datatype 'INT64' is not one of BYTES",
        model="mixed",
    ),
    binary("A7-nan-binary", numbers(1, np.nan), "row 0, feature 'b': expected a finite number, got nan"),
    binary("A7-infinity-binary", numbers(1, np.inf), "row 0, feature 'b': expected a finite number, got inf"),
    binary(
        "A8-beyond-2**53-binary",
        numbers(1, 2**53 + 1, dtype="<i8"),
        (
            "row 0, feature 'b': 9007199254740993 cannot be held by float64, which the model computes "
            "in, without changing it"
        ),
        "INT64",
    ),
    binary(
        "A9-one-byte-too-few-binary",
        numbers(1, 2)[:-1],
        "input 'features': expected 16 bytes for FP64 [1, 2], got 15",
    ),
    binary(
        "A9-one-byte-too-many-binary",
        numbers(1, 2) + b"\0",
        "input 'features': expected 16 bytes for FP64 [1, 2], got 17",
    ),
    binary("A9-nothing-binary", b"", "input 'features': expected 16 bytes for FP64 [1, 2], got 0"),
    binary(
        "A9-fewer-than-announced-binary",
        numbers(1, 2),
        "input 'features': 24 bytes announced behind the JSON, 16 came",
        size=24,
    ),
    binary(
        "A9-more-than-announced-binary",
        numbers(1, 2),
        "input 'features': 8 bytes announced behind the JSON, 16 came",
        size=8,
    ),
    binary(
        "A9-negative-size-binary", b"", "input 'features': 'binary_data_size' is a number of bytes", size=-1
    ),
    binary(
        "A9-size-as-text-binary",
        b"",
        "input 'features': 'binary_data_size' is a number of bytes",
        size='"16"',
    ),
    binary("A9-no-rows-binary", b"", "input 'features' is empty: send at least one row", shape="[0, 2]"),
    binary(
        "A9-one-too-wide-binary",
        numbers(1, 2, 3),
        "input 'features': expected shape [-1, 2], got [1, 3]",
        shape="[1, 3]",
    ),
    binary(
        "A10-rows-binary",
        numbers(1, 2) * MANY,
        "10001 rows in one request, at most 10000 are taken",
        shape=f"[{MANY}, 2]",
    ),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("wrong")
    models.publish(root)
    mixed.write(root)
    with running(root) as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.rest, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def right(service: Service) -> list[bytes]:
    """What is said of right rows before anything wrong was sent."""
    with httpx.Client(base_url=service.rest, timeout=60) as opened:
        return golden(opened)


@pytest.fixture(autouse=True)
def nothing_broke(client: httpx.Client, right: list[bytes]) -> Iterator[None]:
    """After every request the right rows get the same bits."""
    yield
    assert golden(client) == right


def golden(client: httpx.Client) -> list[bytes]:
    """What is said of right rows: numbers by the quick way, every kind of feature by the careful one."""
    asked = {
        "plain": {"rows": [{"a": row[0], "b": row[1]} for row in models.ROWS[:4].tolist()]},
        "mixed": {"rows": mixed.ROWS},
    }
    answers = [client.post(f"/v1/models/{name}:probabilities", json=body) for name, body in asked.items()]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [answer.content for answer in answers]


def send(client: httpx.Client, path: str, case: Case) -> httpx.Response:
    body = case.body if isinstance(case.body, bytes) else case.body.encode()
    headers = {} if case.head is None else {"Inference-Header-Content-Length": str(case.head)}
    return client.post(path, content=body, headers=headers)


def check(response: httpx.Response, case: Case) -> None:
    """The refusal is the expected one, and its details say the same as its text."""
    document = response.json()
    assert (response.status_code, document["code"], document["error"]) == (case.status, case.code, case.error)
    for detail in document.get("details", []):
        assert detail["field"]
        assert detail["message"] in case.error
        assert "row" not in detail or f"row {detail['row']}" in case.error
        assert "feature" not in detail or f"'{detail['feature']}'" in case.error or detail["feature"] == "?"
    assert not LEAKS.search(response.text)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", CLASSIFIER, ids=lambda case: case.name)
def test_our_own_verbs_refuse(client: httpx.Client, verb: str, case: Case) -> None:
    check(send(client, f"/v1/models/{case.model}:{verb}", case), case)


@pytest.mark.parametrize("case", INFER, ids=lambda case: case.name)
def test_inference_refuses(client: httpx.Client, case: Case) -> None:
    check(send(client, f"/v2/models/{case.model}/infer", case), case)


@pytest.mark.parametrize(
    ("cases", "rows"), [(CLASSIFIER, CHECKLIST[:-1]), (INFER, CHECKLIST[:-1])], ids=["v1", "v2"]
)
def test_every_row_of_the_checklist_is_there(cases: list[Case], rows: tuple[str, ...]) -> None:
    assert {case.name.partition("-")[0] for case in cases} == set(rows)
    assert len({case.name for case in cases}) == len(cases)


TAKEN = {
    "A7-minus-zero": (listed("-0.0"), listed("0.0")),
    "A7-below-the-smallest": (listed("1e-400"), listed("0")),
    "A7-denormal": (listed("5e-324"), listed("0")),
    "A8-an-integer-that-is-exact": (listed(str(2**53)), listed("9007199254740992.0")),
    "A8-a-float-for-a-whole-number": (listed("1.0"), listed("1")),
    "A8-an-exponent": (listed("1E2"), listed("100")),
    "A11-colons-in-texts": (
        '{"rows": [{"a": 0.5, "b": 1, "at": "12:30"}], "options": {"extra": "ignore"}}',
        '{"rows": [{"a": 0.5, "b": 1}]}',
    ),
    "A11-an-escaped-colon": (
        '{"rows": [{"a": 0.5, "b": 1, "at": "12\\u003a30:"}], "options": {"extra": "ignore"}}',
        '{"rows": [{"a": 0.5, "b": 1}]}',
    ),
    "A12-permuted": ('{"rows": [{"b": 1, "a": 0.5}]}', '{"rows": [{"a": 0.5, "b": 1}]}'),
    "A12-permuted-columns": ('{"columns": {"b": [1], "a": [0.5]}}', '{"columns": {"a": [0.5], "b": [1]}}'),
    "A12-an-escaped-name": ('{"rows": [{"\\u0061": 0.5, "b": 1}]}', '{"rows": [{"a": 0.5, "b": 1}]}'),
    "A12-extra-ignored": (
        '{"rows": [{"a": 0.5, "b": 1, "c": 2}], "options": {"extra": "ignore"}}',
        '{"rows": [[0.5, 1]]}',
    ),
}
"""What looks wrong and is not, and what it is the same as."""


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", TAKEN)
def test_what_is_right_is_answered_as_what_it_is_the_same_as(
    client: httpx.Client, verb: str, name: str
) -> None:
    given, same = (client.post(f"/v1/models/plain:{verb}", content=body) for body in TAKEN[name])

    assert (given.status_code, given.content) == (200, same.content)


@pytest.mark.parametrize(
    ("name", "city", "same"),
    [
        ("A13-unseen-that-is-taken", "서울역", "부산역"),
        ("A13-decomposed", "\u1109\u1165\u110b\u116e\u11af", "서울"),
        ("A13-millions-of-letters", "가" * 10**6, "부산역"),
        ("A13-nul", "서\0울", "부산역"),
        ("A13-right-to-left", "\u202e서울", "부산역"),
        ("A13-emoji", "\U0001f3d9", "부산역"),
        ("A13-empty", "", None),
    ],
)
def test_a_text_of_any_letters_is_a_category_or_an_unknown_one(
    client: httpx.Client, name: str, city: str, same: str | None
) -> None:
    answers = [
        client.post("/v1/models/mixed:probabilities", json={"rows": [{**GOOD, "도시": text}]})
        for text in (city, same)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("model", MANIFESTS, ids=lambda name: f"A23-{name}")
def test_answers_are_probabilities_in_the_order_of_the_classes(client: httpx.Client, model: str) -> None:
    manifest, rows = MANIFESTS[model], [*models.ROWS.tolist(), [1e6, -1e6], [-1e6, 1e6], [0.0, -0.0]]

    answer = client.post(f"/v1/models/{model}:probabilities", json={"rows": rows})
    chosen = client.post(f"/v1/models/{model}:classes", json={"rows": rows}).json()["results"]

    document = json.loads(answer.content, parse_constant=pytest.fail)
    probabilities = np.array(document["probabilities"])
    assert document["classes"] == list(manifest.classes)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if manifest.decision.positive is not None or not manifest.decision.thresholds:
        assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-6
    _, expected = models.said(manifest, models.ROWS)
    assert np.abs(probabilities[: len(models.ROWS)] - expected).max() <= manifest.tolerance
    for result in chosen:
        assert set(result.get("labels") or [result.get("label")]) <= {*manifest.classes, None}
