"""ONNX Runtime through its C API, as far as a classifier needs it; the only module that loads it.

Calls the shared library that the package `onnxruntime` brings beside its Python extension; the package itself
is never imported. What a model is, and whether a graph fits it, is left to `engine.py`. Why not the
extension, and where every pointer comes from: `docs/decisions/0016-onnx-runtime-through-its-c-api.md`.

Safe from any thread, but for a `Bound`, which is one thread's at a time.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LIBRARY = {"darwin": "libonnxruntime.*.dylib", "win32": "onnxruntime.dll"}.get(
    sys.platform, "libonnxruntime.so.*"
)
"""The file beside the extension, as wheels have it since 1.28."""

_API_VERSION = 14
"""Every version of the library gives the table of each older one, unchanged; ours is of ONNX Runtime 1.14."""

_FATAL_ONLY = 4
_NO_ARENA, _DEFAULT_MEMORY = 0, 0  # OrtDeviceAllocator, OrtMemTypeDefault
_TENSOR = 1  # ONNX_TYPE_TENSOR

ELEMENTS = {
    **{1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string"},
    **{9: "bool", 10: "float16", 11: "double", 12: "uint32", 13: "uint64", 16: "bfloat16"},
}
"""ONNX's number of an element type and its name."""

_ELEMENT_OF = {np.dtype(np.float32): 1, np.dtype(np.float64): 11}

_POINTER, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_STEP = ctypes.sizeof(_POINTER)
_Sizes = ctypes.c_int64 * 2

_CALLS: dict[str, tuple[int, tuple[Any, ...]]] = {
    "CreateEnv": (3, (_INT, _TEXT, _POINTER)),
    "DisableTelemetryEvents": (6, (_POINTER,)),
    "CreateSessionFromArray": (8, (_POINTER, _TEXT, _SIZE, _POINTER, _POINTER)),
    "Run": (9, (_POINTER, _POINTER, _POINTER, _POINTER, _SIZE, _POINTER, _SIZE, _POINTER)),
    "CreateSessionOptions": (10, (_POINTER,)),
    "DisableMemPattern": (17, (_POINTER,)),
    "DisableCpuMemArena": (19, (_POINTER,)),
    "SetSessionLogSeverityLevel": (22, (_POINTER, _INT)),
    "SetIntraOpNumThreads": (24, (_POINTER, _INT)),
    "SetInterOpNumThreads": (25, (_POINTER, _INT)),
    "SessionGetInputCount": (30, (_POINTER, _POINTER)),
    "SessionGetOutputCount": (31, (_POINTER, _POINTER)),
    "SessionGetInputTypeInfo": (33, (_POINTER, _SIZE, _POINTER)),
    "SessionGetOutputTypeInfo": (34, (_POINTER, _SIZE, _POINTER)),
    "SessionGetInputName": (36, (_POINTER, _SIZE, _POINTER, _POINTER)),
    "SessionGetOutputName": (37, (_POINTER, _SIZE, _POINTER, _POINTER)),
    "CreateTensorWithDataAsOrtValue": (49, (_POINTER, _POINTER, _SIZE, _POINTER, _SIZE, _INT, _POINTER)),
    "CastTypeInfoToTensorInfo": (55, (_POINTER, _POINTER)),
    "GetOnnxTypeFromTypeInfo": (56, (_POINTER, _POINTER)),
    "GetTensorElementType": (60, (_POINTER, _POINTER)),
    "GetDimensionsCount": (61, (_POINTER, _POINTER)),
    "GetDimensions": (62, (_POINTER, _POINTER, _SIZE)),
    "GetSymbolicDimensions": (63, (_POINTER, _POINTER, _SIZE)),
    "CreateCpuMemoryInfo": (69, (_INT, _INT, _POINTER)),
    "AllocatorFree": (76, (_POINTER, _POINTER)),
    "GetAllocatorWithDefaultOptions": (78, (_POINTER,)),
    "AddSessionConfigEntry": (130, (_POINTER, _TEXT, _TEXT)),
    "RunWithBinding": (133, (_POINTER, _POINTER, _POINTER)),
    "CreateIoBinding": (134, (_POINTER, _POINTER)),
    "BindInput": (136, (_POINTER, _TEXT, _POINTER)),
    "BindOutput": (137, (_POINTER, _TEXT, _POINTER)),
}
"""By name in `OrtApi`, the place in its table (which only ever grows at its end) and what is passed; all of
these answer with a status, which is null where nothing is wrong."""

_GET_ERROR_MESSAGE = 2
_RELEASES: dict[str, tuple[int, Callable[..., Any]]] = {
    "Status": (93, ctypes.PYFUNCTYPE),
    "Session": (95, ctypes.CFUNCTYPE),
    "Value": (96, ctypes.PYFUNCTYPE),
    "TypeInfo": (98, ctypes.PYFUNCTYPE),
    "IoBinding": (135, ctypes.PYFUNCTYPE),
}
"""By what is released, the place of the function, which takes it and answers nothing; only a session takes
long enough for Python's lock to be worth leaving."""


class OnnxRuntimeError(RuntimeError):
    """What ONNX Runtime says is wrong."""


class OnnxRuntimeMissing(OSError):
    """ONNX Runtime's shared library is not there, or is too old."""


class Signature(NamedTuple):
    """An input or an output of a graph.

    Attributes:
        type: in ONNX's words, `tensor(float)`.
        shape: a number, the name of a free size, or None for one without a name.
    """

    name: str
    type: str
    shape: list[int | str | None]


class Layout(NamedTuple):
    """What a graph is run on.

    Attributes:
        dtype: of the input and of every output; float32 or float64.
        given: the input's name.
        wanted: the outputs' names; the graph may have more.
        given_width: the input's columns.
        wanted_width: each output's columns.
    """

    dtype: np.dtype[Any]
    given: str
    wanted: tuple[str, ...]
    given_width: int
    wanted_width: int


class _Base(ctypes.Structure):
    """`OrtApiBase`: the two functions that all others are found by."""

    _fields_ = (
        ("get_api", ctypes.CFUNCTYPE(_POINTER, ctypes.c_uint32)),
        ("get_version", ctypes.CFUNCTYPE(_TEXT)),
    )


class _Api:
    """The functions of the library, typed.

    Each is there twice: `free` of Python's lock (the GIL) while it runs, and `holding` it, which is faster
    for what takes a few microseconds: whoever waits for the lock would take it, and be waited for.
    """

    __slots__ = ("_library", "_message", "free", "holding", "release", "version")

    def __init__(self) -> None:
        self._library = _load()
        self._library.OrtGetApiBase.restype = ctypes.POINTER(_Base)
        base = self._library.OrtGetApiBase().contents
        self.version: str = base.get_version().decode()
        found = base.get_api(_API_VERSION)
        if not found:
            raise OnnxRuntimeMissing(
                f"ONNX Runtime {self.version} does not have version {_API_VERSION} of its C API"
            )
        table = ctypes.cast(found, ctypes.POINTER(_POINTER))
        self._message = ctypes.CFUNCTYPE(_TEXT, _POINTER)(cast(int, table[_GET_ERROR_MESSAGE]))
        self.free = _functions(table, ctypes.CFUNCTYPE)
        self.holding = _functions(table, ctypes.PYFUNCTYPE)
        self.release: dict[str, Callable[[int], None]] = {
            what: kind(None, _POINTER)(cast(int, table[place])) for what, (place, kind) in _RELEASES.items()
        }

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function without Python's lock.

        Raises:
            OnnxRuntimeError: with its own words.
        """
        self.check(self.free[name](*arguments))

    def check(self, status: int | None) -> None:
        """Turn a status into an exception; null is none.

        Raises:
            OnnxRuntimeError: with its own words.
        """
        if status:
            try:
                text = self._message(status).decode(errors="replace")
            finally:
                self.release["Status"](status)
            raise OnnxRuntimeError(text)

    def made(self, name: str, *arguments: Any) -> int:
        """Call a function that makes something, and answer where it is."""
        found = _POINTER()
        self.call(name, *arguments, ctypes.byref(found))
        return cast(int, found.value)

    def number(self, name: str, *arguments: Any, kind: Callable[[], Any] = _SIZE) -> int:
        """Call a function that answers a size, or with `kind` another number."""
        found = kind()
        self.call(name, *arguments, ctypes.byref(found))
        return int(found.value)


def _functions(table: Any, kind: Callable[..., Any]) -> dict[str, Callable[..., int | None]]:
    return {name: kind(_POINTER, *passed)(table[place]) for name, (place, passed) in _CALLS.items()}


def _load() -> ctypes.CDLL:
    spec = importlib.util.find_spec("onnxruntime")
    folders = [Path(found, "capi") for found in (spec and spec.submodule_search_locations) or ()]
    for path in (path for folder in folders for path in sorted(folder.glob(LIBRARY))):
        try:
            return ctypes.CDLL(
                str(path)
            )  # its symbols stay its own: a package that is imported has the same ones
        except OSError as error:
            raise OnnxRuntimeMissing(f"ONNX Runtime's {path.name} does not load: {error}") from error
    raise OnnxRuntimeMissing(
        f"ONNX Runtime is not installed: expected {LIBRARY} in the package onnxruntime, 1.28 or newer"
    )


@lru_cache(maxsize=1)
def _api() -> _Api:
    return _Api()


def version() -> str:
    """The version of ONNX Runtime that models run on.

    Raises:
        OnnxRuntimeMissing: it is not installed.
    """
    return _api().version


class _Environment:
    """What all sessions of the process share; never released, as the process ends with it.

    Attributes:
        memory: says of memory that it is the processor's.
        allocator: frees the texts that the library makes.
        options: copied by each session.
    """

    __slots__ = ("allocator", "api", "memory", "options", "own")

    def __init__(self, api: _Api) -> None:
        self.api = api
        self.own = api.made("CreateEnv", _FATAL_ONLY, b"sigmax")
        api.call("DisableTelemetryEvents", self.own)  # some builds report to their makers unless told not to
        self.memory = api.made("CreateCpuMemoryInfo", _NO_ARENA, _DEFAULT_MEMORY)
        self.allocator = api.made("GetAllocatorWithDefaultOptions")
        self.options = api.made("CreateSessionOptions")
        for name, value in (
            ("SetIntraOpNumThreads", 1),
            ("SetInterOpNumThreads", 1),
            ("SetSessionLogSeverityLevel", _FATAL_ONLY),
        ):
            api.call(name, self.options, value)
        # A pool of memory a session, and a plan of it a batch size, are 40 KiB more a model and no faster.
        api.call("DisableCpuMemArena", self.options)
        api.call("DisableMemPattern", self.options)
        # Weights outside the file are not under its digest: they are looked for where no file can be.
        folder = b"session.model_external_initializers_file_folder_path"
        api.call("AddSessionConfigEntry", self.options, folder, os.devnull.encode())


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    return _Environment(_api())


class Session:
    """A graph, loaded: one thread, the processor alone, released when nobody refers to it.

    Args:
        model: an ONNX file.

    Raises:
        OnnxRuntimeError: the graph is refused.
        OnnxRuntimeMissing: there is no library.
    """

    __slots__ = ("__weakref__", "_environment", "_own", "_owned")

    def __init__(self, model: bytes) -> None:
        self._environment = _environment()
        api = self._environment.api
        own, options = self._environment.own, self._environment.options
        self._own = api.made("CreateSessionFromArray", own, model, len(model), options)
        self._owned: list[tuple[Callable[[int], None], int]] = [(api.release["Session"], self._own)]
        weakref.finalize(self, _release, self._owned).atexit = False  # a thread may still run it then

    @property
    def inputs(self) -> list[Signature]:
        """What the graph takes, in order."""
        return self._signatures("Input")

    @property
    def outputs(self) -> list[Signature]:
        """What it answers with, in order."""
        return self._signatures("Output")

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Bound:
        """Read from and write to the same memory in every run.

        Args:
            inputs: by name; 2-dimensional, float32 or float64 as the graph has it, contiguous, writeable.
            outputs: likewise, of the shapes that the inputs lead to. One that is left out is dropped.
        """
        api, memory = self._environment.api, (*inputs.values(), *outputs.values())
        binding = self._keep("IoBinding", api.made("CreateIoBinding", self._own))
        for bind, arrays in (("BindInput", inputs), ("BindOutput", outputs)):
            for name, array in arrays.items():
                api.call(bind, binding, name.encode(), self._keep("Value", self._value(array)))
        return Bound(self, api, (self._own, None, binding), memory)

    def caller(self, layout: Layout) -> Caller:
        """Read from and write to the memory that each run brings along."""
        return Caller(self, self._own, self._environment, layout)

    def _keep(self, what: str, pointer: int) -> int:
        """Have it released with the session, before it."""
        self._owned.append((self._environment.api.release[what], pointer))
        return pointer

    def _value(self, array: Array) -> int:
        memory, element = self._environment.memory, _ELEMENT_OF[array.dtype]
        parts = (memory, array.ctypes.data, array.nbytes, _Sizes(*array.shape), 2, element)
        return self._environment.api.made("CreateTensorWithDataAsOrtValue", *parts)

    def _signatures(self, side: str) -> list[Signature]:
        count = self._environment.api.number(f"SessionGet{side}Count", self._own)
        return [self._signature(side, index) for index in range(count)]

    def _signature(self, side: str, index: int) -> Signature:
        api, allocator = self._environment.api, self._environment.allocator
        text = api.made(f"SessionGet{side}Name", self._own, index, allocator)
        try:
            name = ctypes.string_at(text).decode()
        finally:
            api.call("AllocatorFree", allocator, text)
        info = api.made(f"SessionGet{side}TypeInfo", self._own, index)
        try:
            return Signature(name, *_type_and_shape(api, info))
        finally:
            api.release["TypeInfo"](info)


def _type_and_shape(api: _Api, info: int) -> tuple[str, list[int | str | None]]:
    """What a type says, in ONNX's words, while it is not released."""
    if api.number("GetOnnxTypeFromTypeInfo", info, kind=_INT) != _TENSOR:
        return "no tensor", []
    tensor = api.made("CastTypeInfoToTensorInfo", info)  # a part of `info`
    element = ELEMENTS.get(api.number("GetTensorElementType", tensor, kind=_INT), "of another kind")
    count = api.number("GetDimensionsCount", tensor)
    sizes, names = (ctypes.c_int64 * count)(), (_TEXT * count)()
    api.call("GetDimensions", tensor, sizes, count)
    api.call("GetSymbolicDimensions", tensor, names, count)
    shape = [
        size if size >= 0 else (name or b"").decode() or None for size, name in zip(sizes, names, strict=True)
    ]
    return f"tensor({element})", shape


class Bound:
    """A graph and the memory that it reads and writes; not for two threads at a time."""

    __slots__ = ("_api", "_arguments", "_free", "_holding", "_memory", "_session")

    def __init__(
        self,
        session: Session,
        api: _Api,
        arguments: tuple[int | None, ...],
        memory: tuple[Array, ...],
    ) -> None:
        self._session, self._memory = session, memory  # both must be there as long as this is
        self._api, self._arguments = api, arguments
        self._free, self._holding = api.free["RunWithBinding"], api.holding["RunWithBinding"]

    def run(self) -> None:
        """Run without Python's lock.

        Raises:
            OnnxRuntimeError: the graph fails.
        """
        status = self._free(*self._arguments)
        if status:
            self._api.check(status)

    def run_holding(self) -> None:
        """The same, holding the lock: for what takes less than getting it back would."""
        status = self._holding(*self._arguments)
        if status:
            self._api.check(status)


class Caller:
    """A graph with one input, run on memory that the caller brings; all of it are tables of one dtype."""

    __slots__ = (
        *("_check", "_dtype", "_form", "_free", "_given_width", "_holding", "_make", "_memory", "_names"),
        *("_own", "_release", "_session", "_texts", "_values", "_wanted", "_wanted_names", "_wanted_width"),
    )

    def __init__(self, session: Session, own: int, environment: _Environment, layout: Layout) -> None:
        self._session, self._own = session, own  # the session must be there as long as this is
        api, self._memory = environment.api, environment.memory
        self._check, self._release = api.check, api.release["Value"]
        self._free, self._holding = api.free["Run"], api.holding["Run"]
        self._make = api.holding["CreateTensorWithDataAsOrtValue"]
        self._dtype, self._form = layout.dtype, (2, _ELEMENT_OF[layout.dtype])
        self._given_width, self._wanted_width = layout.given_width, layout.wanted_width
        names = (layout.given, *layout.wanted)
        self._texts = (_TEXT * len(names))(*(name.encode() for name in names))
        self._names, self._wanted = ctypes.addressof(self._texts), layout.wanted
        self._wanted_names = (self._names + _STEP, len(layout.wanted))
        self._values = _POINTER * len(names)

    def run(self, features: Array, *, holding: bool = False) -> list[Array]:
        """Run the graph once.

        Args:
            features: (n_samples, given_width), contiguous, aligned, of the layout's dtype.
            holding: whether Python's lock is held meanwhile.

        Returns:
            One array an output, (n_samples, wanted_width), new memory.

        Raises:
            OnnxRuntimeError: the graph fails.
        """
        room = (len(features), self._wanted_width)
        answers: list[Array] = [np.empty(room, self._dtype) for _ in self._wanted]
        values = self._values()
        try:
            place, width = ctypes.addressof(values), self._given_width
            for array in (features, *answers):
                sizes = _Sizes(len(array), width)
                self._check(
                    self._make(self._memory, array.ctypes.data, array.nbytes, sizes, *self._form, place)
                )
                place, width = place + _STEP, self._wanted_width
            given = ctypes.addressof(values)
            run = self._holding if holding else self._free
            self._check(run(self._own, None, self._names, given, 1, *self._wanted_names, given + _STEP))
        finally:
            for value in values:
                if value:
                    self._release(value)
        return answers


def _release(owned: list[tuple[Callable[[int], None], int]]) -> None:
    """Release what belongs to a session, the last first."""
    while owned:
        release, pointer = owned.pop()
        release(pointer)
