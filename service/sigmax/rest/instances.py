"""Rows as TensorFlow Serving and KServe V1 send them, in the forms that the Classifier contract has for them.

`instances` holds rows, `inputs` holds columns, `examples` holds rows that may share a `context`. A row is a
list in feature order, an object by feature name, an object by input tensor, or a picture, `{"b64": …}`. What
the values may be, and what is said of those that are wrong, is `protocol`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sigmax.contract import INPUT
from sigmax.errors import InvalidInput, Problem, nearest, path, quoted
from sigmax.inference import inputs as asked
from sigmax.inference.catalog import Served
from sigmax.inference.inputs import Given, no_pictures
from sigmax.protocol.options import DEFAULT
from sigmax.protocol.schema import CATEGORIES, Schema
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import check_count, describe, refuse_any
from sigmax.rest.jsons import read_images
from sigmax.rest.translated import Where, by_tensor, in_column, in_lists_of, told, under

IMAGE_BYTES = "image_bytes"
B64 = "b64"


class Sent(NamedTuple):
    """What a request fills, and where its problems stand."""

    given: Given
    where: Where

    def read(self, served: Served, max_rows: int, max_pixels: int) -> Rows:
        """The features matrix; arguments and errors as `inputs.read`."""
        with told(self.where):
            return asked.read(served, self.given, DEFAULT, max_rows, max_pixels)


def from_instances(served: Served, instances: Any, max_rows: int) -> Sent:
    """Read the row form.

    Raises:
        InvalidInput: it is no list, empty or too long, or its rows are of several forms.
    """
    rows = _rows("instances", instances, max_rows)
    if _is_picture(served, rows[0]):
        return _pictures(served, rows, max_rows, under("instances"))
    if _by_tensor(served.schema, rows[0]):
        return _of_tensors(served.schema, rows, "instances")
    return _ordered_or_named(served.schema, rows, "instances")


def from_inputs(served: Served, inputs: Any, max_rows: int) -> Sent:
    """Read the column form: the only input as it is, input tensors by name, or columns by feature name.

    Raises:
        InvalidInput: it is neither a list nor an object, has no rows or too many, or what is in it is wrong.
    """
    if type(inputs) is dict:
        return _named_columns(served, inputs, max_rows)
    rows = _rows("inputs", inputs, max_rows)
    if _is_picture(served, rows[0]):
        return _pictures(served, rows, max_rows, under("inputs"))
    if type(rows[0]) is dict:
        text = "'inputs' holds columns: send a list of objects, one a row, as 'instances'"
        raise InvalidInput(text, "inputs")
    return _ordered_or_named(served.schema, rows, "inputs")


def from_examples(served: Served, examples: Any, context: Any, max_rows: int) -> Sent:
    """Read the examples of `:classify`: objects by feature name, each value alone or in a list of one.

    Args:
        served: the version that is asked.
        examples: a list of objects.
        context: an object of the features that all examples share; None if there is none.
        max_rows: more are refused.

    Raises:
        InvalidInput: one of them has another form, or a feature stands in the context and in an example.
    """
    rows = _rows("examples", examples, max_rows)
    if context is not None and type(context) is not dict:
        raise InvalidInput(f"'context' is an object by feature name, not {describe(context)}", "context")
    refuse_any(_wrong_examples(rows, context or {}))
    scalar = {feature.name for feature in served.schema.features if feature.shape == ()}
    plain = [_unwrapped({**(context or {}), **row}, scalar) for row in rows]
    where = under("examples", context or {})
    if _is_picture(served, plain[0], "'examples'"):
        return _pictures(served, plain, max_rows, where)
    return Sent(Given(rows=plain), where)


def _rows(key: str, value: Any, max_rows: int) -> list[Any]:
    if type(value) is not list:
        raise InvalidInput(f"'{key}' is a list with one entry a row, not {describe(value)}", key)
    if not value:
        raise InvalidInput(f"'{key}' is empty: send at least one row", key)
    check_count(len(value), max_rows, key)
    return value


def _ordered_or_named(schema: Schema, rows: list[Any], key: str) -> Sent:
    """Rows in feature order or by feature name; a picture as numbers may be nested as its shape."""
    if len(schema.names) == 1 and not schema.scalar and type(rows[0]) is list:
        name = schema.names[0]
        named = [{name: row} if type(row) is list else row for row in rows]
        return Sent(Given(rows=named), in_lists_of(key, name))
    return Sent(Given(rows=rows), under(key))


def _named_columns(served: Served, inputs: dict[str, Any], max_rows: int) -> Sent:
    if not inputs or all(column == [] for column in inputs.values()):
        raise InvalidInput("'inputs' is empty: send at least one row", "inputs")
    if inputs.keys() == {B64}:
        raise InvalidInput("'inputs' is a list of pictures, one a row, not one of them alone", "inputs")
    first = {name: column[0] for name, column in inputs.items() if type(column) is list and column}
    pictures = len(inputs) == 1 and _is_picture(served, first)
    if not pictures and not _by_tensor(served.schema, first):
        return Sent(Given(columns=inputs), under("inputs"))
    refuse_any(_wrong_columns(inputs))
    rows = [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]
    check_count(len(rows), max_rows, "inputs")
    if pictures:
        return _pictures(served, rows, max_rows, in_column("inputs", next(iter(inputs))))
    return _of_tensors(served.schema, rows, "inputs")


def _wrong_columns(inputs: dict[str, Any]) -> Iterator[Problem]:
    length = next(len(column) for column in inputs.values() if type(column) is list)
    for name, column in inputs.items():
        if type(column) is not list:
            yield _wrong_column(name, f"expected a list with one entry a row, got {describe(column)}")
        elif len(column) != length:
            yield _wrong_column(name, f"{len(column)} rows, but {length} in the first input")


def _wrong_column(name: str, message: str) -> Problem:
    return Problem(message, path("inputs", name), where=f"input {quoted(name)}")


def _wrong_row(key: str, row: int, message: str, name: str = "") -> Problem:
    """A problem of one row, or of one input in it."""
    where = f"row {row}, input '{name}'" if name else f"row {row}"
    return Problem(message, path(key, row, *filter(None, [name])), row, where=where)


def _by_tensor(schema: Schema, row: Any) -> bool:
    """Whether a row is an object by input tensor; a feature of such a name goes first, but for a list."""
    if type(row) is not dict or not row or not row.keys() <= set(schema.inputs):
        return False
    listed = all(type(value) is list for value in row.values())
    return not row.keys() <= schema.known or (schema.scalar and listed)


def _of_tensors(schema: Schema, rows: list[Any], key: str) -> Sent:
    """Rows as objects by input tensor, each a list: all columns in feature order again."""
    where = by_tensor(schema, key, columnar=key == "inputs")
    widths = {INPUT: schema.numeric.width if schema.numeric else 0, CATEGORIES: len(schema.categories)}
    if schema.inputs == (INPUT,):
        refuse_any(_wrong_tensors(key, rows, schema.inputs, {}))
        return Sent(_ordered_or_named(schema, [row[INPUT] for row in rows], key).given, where)
    refuse_any(_wrong_tensors(key, rows, schema.inputs, widths))
    return Sent(Given(rows=[_joined(schema, row) for row in rows]), where)


def _wrong_tensors(
    key: str, rows: list[Any], names: Sequence[str], widths: dict[str, int]
) -> Iterator[Problem]:
    for index, row in enumerate(rows):
        if type(row) is not dict:
            yield _wrong_row(key, index, f"expected an object by input, got {describe(row)}")
            continue
        for name in [name for name in row if name not in names]:
            yield _wrong_row(key, index, f"unknown input {quoted(name)}{nearest(name, names)}")
        for name in names:
            if name not in row:
                yield _wrong_row(key, index, f"input '{name}' is missing")
            elif type(row[name]) is not list:
                yield _wrong_row(key, index, f"expected a list, got {describe(row[name])}", name)
            elif len(row[name]) != widths.get(name, len(row[name])):
                text = f"expected {widths[name]} values, got {len(row[name])}"
                yield _wrong_row(key, index, text, name)


def _joined(schema: Schema, row: dict[str, list[Any]]) -> list[Any]:
    categories, numbers = iter(row[CATEGORIES]), iter(row.get(INPUT, ()))
    listed = frozenset(schema.categories)
    return [next(categories if column in listed else numbers) for column in range(schema.width)]


def _is_picture(served: Served, row: Any, keys: str = "'instances' or 'inputs'") -> bool:
    """Whether a row is `{"b64": …}` or `{"image_bytes": {"b64": …}}`, by the name of its block too.

    Raises:
        InvalidInput: it is, and the model takes none.
    """
    if type(row) is not dict or len(row) != 1:
        return False
    name, value = next(iter(row.items()))
    if name == B64 or _is_file(value):
        if served.manifest.image is not None:
            return name in _picture_names(served)
        if name not in served.schema.known:
            raise InvalidInput(no_pictures(served, keys))
    return False


def _is_file(value: Any) -> bool:
    return type(value) is dict and value.keys() == {B64}


def _picture_names(served: Served) -> tuple[str, ...]:
    return (B64, IMAGE_BYTES, INPUT, *served.schema.names)


def _pictures(served: Served, rows: list[Any], max_rows: int, where: Where) -> Sent:
    names = _picture_names(served)
    with told(where):
        refuse_any(_no_pictures(rows, names))
        texts = [next(iter(row.values())) for row in rows]
        files = read_images([text[B64] if _is_file(text) else text for text in texts], max_rows)
    return Sent(Given(images=files), where)


def _no_pictures(rows: list[Any], names: Sequence[str]) -> Iterator[Problem]:
    for index, row in enumerate(rows):
        if not (type(row) is dict and len(row) == 1 and next(iter(row)) in names):
            text = f'expected a picture, {{"b64": …}}, as row 0 is one, got {describe(row)}'
            yield _wrong_row("images", index, text)


def _wrong_examples(rows: list[Any], context: dict[str, Any]) -> Iterator[Problem]:
    for index, row in enumerate(rows):
        if type(row) is not dict:
            yield _wrong_row("examples", index, f"expected an object by feature name, got {describe(row)}")
            continue
        for name in [name for name in row if name in context]:
            yield _wrong_row("examples", index, f"feature {quoted(name)} stands in 'context' already")


def _unwrapped(row: dict[str, Any], scalar: set[str]) -> dict[str, Any]:
    """An example whose features that are one value stand alone; a picture may come in a list of one, too."""
    return {
        name: value[0]
        if type(value) is list and len(value) == 1 and (name in scalar or _is_file(value[0]))
        else value
        for name, value in row.items()
    }
