"""Classifier requests that differ in nothing but their numbers, which lie between the features' names.

Where the numbers of a request lie is found by walking through its bytes as the encoding guide of protobuf has
them; which feature each belongs to is asked of the careful way itself, by a copy of the request whose numbers
are 1, 2, 3, …. A request whose other bytes are the same has its numbers in the same places.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2
from google.protobuf.message import Message

from sigmax.errors import InvalidInput
from sigmax.inference.catalog import Served
from sigmax.inference.dispatch import Prediction, Query
from sigmax.protocol.schema import Schema
from sigmax.protocol.tabular import Rows
from sigmax.protocol.values import all_within
from sigmax.rpc.answers import Frame
from sigmax.rpc.forms import Forms
from sigmax.rpc.varint import read_varint

_MAX_NUMBERS = 1024
_FIELDS, _FIELDS_A_NUMBER = 64, 6
"""Fields that are walked through: the longest way to a number leads through six, of a row with no other."""

_MAX_REQUEST = 64 * 2**10

_PARTS = frozenset({"model", "version", "rows", "columns"})
"""The fields of a request that may have a form; options and pictures make none."""

_FIXED64, _DELIMITED = 1, 2  # wire types
_DOUBLE = 8

_VALUE = struct_pb2.Value.DESCRIPTOR.full_name
_NUMBER = struct_pb2.Value.DESCRIPTOR.fields_by_name["number_value"].full_name


class Read(Protocol):
    """What reads a request whole."""

    def __call__(self, request: bytes) -> Query[bytes]:
        """The query that a request is."""
        ...


class Layout(NamedTuple):
    """Where the numbers of a request lie.

    Attributes:
        places: where each begins.
        order: which of them is the first of the features matrix, and so on.
    """

    places: list[int]
    order: list[int]


class Form:
    """What requests of one form have in common.

    Attributes:
        served: the version that the form was learnt of, for as long as it is there.
        count: how many rows they have.
        frame: what their answers have in common.
    """

    __slots__ = (
        "_constant",
        "_dtype",
        "_largest",
        "_mask",
        "_pick",
        "_prefix",
        "_shape",
        "_unpack",
        "count",
        "frame",
        "model",
        "served",
        "version",
    )

    def __init__(
        self, request: bytes, layout: Layout, served: Served, asked: tuple[str, str], frame: Frame | None
    ) -> None:
        """Prepare what the requests of a form are compared and read with.

        Args:
            request: that has the form.
            layout: of its numbers.
            served: the version that answered.
            asked: the model and the version as the request says them.
            frame: of the answers.
        """
        (places, order), width = layout, served.schema.width
        self.served, self.frame = ref(served), frame
        self._dtype, self._largest = served.schema.dtype, served.schema.largest
        self.model, self.version = asked
        self.count = len(places) // width
        self._shape = (self.count, width)
        self._prefix = request[: places[0]]
        mask = bytearray(b"\xff" * len(request))
        for place in places:
            mask[place : place + _DOUBLE] = bytes(_DOUBLE)
        self._mask = int.from_bytes(mask, "little")
        self._constant = int.from_bytes(request, "little") & self._mask
        gaps = [
            place - end for place, end in zip(places, [0, *(at + _DOUBLE for at in places)], strict=False)
        ]
        trailing = len(request) - places[-1] - _DOUBLE
        self._unpack = struct.Struct(f"<{''.join(f'{gap}xd' for gap in gaps)}{trailing}x").unpack
        self._pick: Callable[[tuple[float, ...]], tuple[float, ...]] | None = None
        if order != sorted(order):
            self._pick = itemgetter(*order)

    @property
    def kept(self) -> int:
        """About how many bytes it keeps."""
        return 2048 + 4 * self._mask.bit_length() // 8 + 64 * math.prod(self._shape)

    def matches(self, request: bytes) -> bool:
        """Whether a request of the same length has this form."""
        return (
            request.startswith(self._prefix)
            and int.from_bytes(request, "little") & self._mask == self._constant
        )

    def read(self, request: bytes) -> npt.NDArray[Any] | None:
        """The features matrix of a request; None if its numbers have to be looked at one by one."""
        numbers = self._unpack(request)
        total = sum(numbers)
        if total - total != 0:  # not finite
            return None
        exact = np.array(numbers if self._pick is None else self._pick(numbers)).reshape(self._shape)
        if self._dtype == exact.dtype:
            return exact
        return exact.astype(self._dtype) if all_within(exact, self._largest) else None


class Verb:
    """One method of the Classifier: recognises its requests, and learns from those that it reads whole.

    Args:
        kind: of its requests.
        read: what reads one whole.
        frame: makes what the answers of a version to requests without options have in common.
    """

    __slots__ = ("_forms", "_frame", "_frames", "kind", "read")

    def __init__(self, kind: type[Message], read: Read, frame: Callable[[Served], Frame | None]) -> None:
        self.kind, self.read, self._frame = kind, read, frame
        self._forms: Forms[Form] = Forms()
        self._frames: WeakKeyDictionary[Served, Frame | None] = WeakKeyDictionary()

    def query(self, request: bytes) -> Query[bytes]:
        """The query that a request is."""
        form = self._forms.find(request)
        return NewQuery(self, request) if form is None else KnownQuery(self, form, request)

    def frame(self, served: Served) -> Frame | None:
        """What a version's answers have in common: made once for all its forms, as large as the classes."""
        if served not in self._frames:
            self._frames[served] = self._frame(served)
        return self._frames[served]

    def learn(self, request: bytes, served: Served, asked: tuple[str, str]) -> None:
        """Remember the form of a request that was answered."""
        self._forms.learn(request, partial(form_of, self, request, served, asked))


class NewQuery:
    """A request that is read whole, and learnt from once it was answered."""

    __slots__ = ("_request", "_verb", "_whole", "model", "rows", "version")
    timeout: float | None = None

    def __init__(self, verb: Verb, request: bytes) -> None:
        self._verb, self._request = verb, request
        self._whole = whole = verb.read(request)
        self.model, self.version, self.rows = whole.model, whole.version, whole.rows

    @property
    def wants_logits(self) -> bool:
        """Whether the logits are asked for."""
        return self._whole.wants_logits

    def render(self, prediction: Prediction) -> bytes:
        """The answer."""
        answer = self._whole.render(prediction)
        self._verb.learn(self._request, prediction.served, (self.model, self.version))
        return answer


class KnownQuery:
    """A request of a known form; of one whose numbers are not as usual, a whole reading has the word."""

    __slots__ = ("_form", "_new", "_request", "_verb", "model", "version", "wants_logits")
    timeout: float | None = None

    def __init__(self, verb: Verb, form: Form, request: bytes) -> None:
        self.model, self.version = form.model, form.version
        self._verb, self._form, self._request = verb, form, request
        self._new: NewQuery | None = None
        self.wants_logits = False

    def rows(self, served: Served, max_rows: int) -> Rows:
        """Read the numbers."""
        form = self._form
        if form.served() is served and form.count <= max_rows:
            features = form.read(self._request)
            if features is not None:
                return Rows(features)
        self._new = NewQuery(self._verb, self._request)
        return self._new.rows(served, max_rows)  # without options, so that no logits are wanted

    def render(self, prediction: Prediction) -> bytes:
        """The answer."""
        if self._new is not None:
            return self._new.render(prediction)
        frame = self._form.frame
        answer = None if frame is None else frame.filled(prediction)
        return self._verb.read(self._request).render(prediction) if answer is None else answer


def form_of(verb: Verb, request: bytes, served: Served, asked: tuple[str, str]) -> Form | None:
    """The form of a request that was answered; None if it has none.

    Args:
        verb: that it asked for.
        request: as it came.
        served: the version that answered.
        asked: the model and the version as the request says them.
    """
    schema = served.schema
    if len(request) > _MAX_REQUEST or not _numbers_only(schema):
        return None
    try:
        places = list(_places(_Walk(request), 0, len(request), verb.kind.DESCRIPTOR, _PARTS))
    except _NoForm:
        return None
    if not places or len(places) > _MAX_NUMBERS or len(places) % schema.width:
        return None
    order = _order(request, places, served, verb.read)
    return None if order is None else Form(request, Layout(places, order), served, asked, verb.frame(served))


def _numbers_only(schema: Schema) -> bool:
    """Whether any finite numbers are right, so that nothing is to be asked of them but that."""
    return schema.plain and schema.scalar and not schema.pixels


def _order(request: bytes, places: list[int], served: Served, read: Read) -> list[int] | None:
    """Which number is the first of the features matrix, and so on; None if not each is one of its cells."""
    probe = bytearray(request)
    for number, place in enumerate(places, 1):
        struct.pack_into("<d", probe, place, number)
    try:
        cells = read(bytes(probe)).rows(served, len(places)).features.ravel().tolist()
    except InvalidInput:
        return None
    if sorted(cells) != list(range(1, len(places) + 1)):
        return None
    return [int(cell) - 1 for cell in cells]


class _NoForm(Exception):
    """A request holds something else than numbers and their names."""


class _Walk:
    """Through the bytes of a message; it ends where a request would make learning dear by nothing.

    Args:
        data: that hold the message.

    Attributes:
        data: the same.
    """

    __slots__ = ("_left", "data")

    def __init__(self, data: bytes) -> None:
        self.data, self._left = data, _FIELDS

    def field(self) -> None:
        """Pass a field."""
        self._left -= 1
        if self._left < 0:
            raise _NoForm

    def number(self) -> None:
        """Pass a number."""
        self._left += _FIELDS_A_NUMBER


def _places(
    walk: _Walk, start: int, end: int, kind: Any, parts: frozenset[str] | None = None
) -> Iterator[int]:
    """Where the numbers of a message begin.

    Args:
        walk: through the bytes that hold it.
        start: where it begins.
        end: where it ends.
        kind: its descriptor.
        parts: the fields that it may have; None for all.

    Raises:
        _NoForm: it has other values than numbers, fields that are not ours, or too many.
    """
    while start < end:
        walk.field()
        tag, start = read_varint(walk.data, start)
        field = kind.fields_by_number.get(tag >> 3)
        if field is None or (parts is not None and field.name not in parts):
            raise _NoForm
        if tag & 7 == _FIXED64 and field.full_name == _NUMBER:
            walk.number()
            yield start
            start += _DOUBLE
        elif tag & 7 == _DELIMITED and (field.message_type is not None or not _is_value(kind)):
            size, start = read_varint(walk.data, start)
            if field.message_type is not None:
                yield from _places(walk, start, start + size, field.message_type)
            start += size
        else:
            raise _NoForm


def _is_value(kind: Any) -> bool:
    return bool(kind.full_name == _VALUE)
