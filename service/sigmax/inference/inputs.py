"""What a Classifier request brings, the same through every door: rows, columns or pictures, as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sigmax.errors import InvalidInput, quoted
from sigmax.inference.catalog import Served
from sigmax.pictures import decode_all
from sigmax.protocol.options import Options
from sigmax.protocol.request import read_rows
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import check_count

_SHOWN = 3


class Given(NamedTuple):
    """What a request fills; exactly one of them.

    Attributes:
        rows: a list of objects by feature name, or of lists in feature order.
        columns: an object of lists by feature name.
        images: PNG or JPEG files, one a row.
    """

    rows: Any = None
    columns: Any = None
    images: Sequence[bytes] = ()


def read(served: Served, given: Given, options: Options, max_rows: int, max_pixels: int) -> Rows:
    """Read whichever of rows, columns and pictures is filled.

    Args:
        served: the version that is asked.
        given: what the request fills.
        options: of the request.
        max_rows: more are refused before any of them is read.
        max_pixels: pictures of more pixels, together, are refused before any of them is decoded.

    Raises:
        InvalidInput: none or several are filled, the model takes no pictures, or what came is wrong.
    """
    if not given.images:
        return _tabular(served, given, options, max_rows)
    filled = [name for name in ("rows", "columns") if getattr(given, name)]
    if filled:
        raise InvalidInput(f"both '{filled[0]}' and 'images' are filled: send exactly one of them")
    image = served.manifest.image
    if image is None:
        raise InvalidInput(no_pictures(served, "'rows' or 'columns'"), "images")
    if options.id is not None:
        text = "option 'id' names a column, and pictures have none; answers come in their order"
        raise InvalidInput(text, "options.id")
    check_count(len(given.images), max_rows, "images")
    return Rows(decode_all(given.images, image, max_pixels).astype(served.schema.dtype))


def _tabular(served: Served, given: Given, options: Options, max_rows: int) -> Rows:
    empty = given.rows in (None, []) and given.columns in (None, {})
    if empty and served.manifest.image is not None:
        raise InvalidInput(
            "no rows: send exactly one of 'images', 'rows' and 'columns', with at least one row"
        )
    return read_rows(served.schema, given.rows, given.columns, options, max_rows)


def no_pictures(served: Served, keys: str) -> str:
    """What to say of pictures for a model that takes none; `keys` hold what it does take."""
    names = [quoted(name) for name in served.schema.names[:_SHOWN]]
    more = ", …" if len(served.schema.names) > _SHOWN else ""
    return f"model '{served.name}' takes no pictures: send {keys} with its features, {', '.join(names)}{more}"
