"""Parameters of Open Inference requests, their inputs and outputs: what a caller wants besides the numbers.

Both doors read them here. The standard has unknown parameters ignored; ours and the reserved names of Triton
are read strictly, so that a wish is met or refused, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sigmax.errors import InvalidInput, Unimplemented, path, quoted
from sigmax.protocol.options import DEFAULT, Options, from_parameters
from sigmax.protocol.timeouts import timeout_of
from sigmax.protocol.values import describe

BINARY_OUTPUTS = "binary_data_output"
BINARY_OUTPUT = "binary_data"
CLASSIFICATION = "classification"

_RESERVED = "triton_"
_OF_STREAMS = "triton_enable_empty_final_response"
"""Asks for an empty last answer of a stream, of models that give none or many; ours give one a request."""

_SHARED_MEMORY = "shared_memory_"
_NO_SEQUENCE: dict[str, tuple[Any, ...]] = {
    "sequence_id": (0, ""),
    "sequence_start": (False,),
    "sequence_end": (False,),
}
"""By parameter, what says that a request belongs to no sequence; clients send that, too."""

_MOST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the parameters of a request say.

    Attributes:
        options: the caller's threshold and band, where they came.
        timeout: seconds after which the answer is of no use; None for never.
        binary: whether outputs come as bytes; None if the request does not say.
    """

    options: Options = DEFAULT
    timeout: float | None = None
    binary: bool | None = None


NONE = Wishes()
_AS_BYTES = Wishes(binary=True)


class Wanted(NamedTuple):
    """A requested output.

    Attributes:
        name: of the output.
        classes: how many of the most probable classes are wanted in its place; None for the output itself.
        binary: whether it comes as bytes; None if that is for the request to say.
    """

    name: str
    classes: int | None = None
    binary: bool | None = None


def of_request(parameters: Mapping[str, Any]) -> Wishes:
    """Read the parameters of a request.

    Returns:
        `NONE` itself if none of them means anything here.

    Raises:
        InvalidInput: one of those that do has a value of the wrong kind, or a name that is reserved.
        Unimplemented: the request belongs to a sequence.
    """
    if not parameters:
        return NONE
    if len(parameters) == 1 and parameters.get(BINARY_OUTPUTS) is True:
        return _AS_BYTES  # what Triton's client says of itself
    for name in parameters:
        if name.startswith(_RESERVED) and name != _OF_STREAMS:
            raise InvalidInput(
                f"parameter {quoted(name)}: names that begin with '{_RESERVED}' are reserved; there is "
                f"'{_OF_STREAMS}' alone",
                path("parameters", name),
            )
    _boolean(parameters, _OF_STREAMS)
    _refuse_sequences(parameters)
    _whole(parameters, "priority", 0)
    options, timeout = from_parameters(parameters), timeout_of(parameters)
    binary = _boolean(parameters, BINARY_OUTPUTS)
    if options is DEFAULT and timeout is None and binary is None:
        return NONE
    return Wishes(options, timeout, binary)


def of_outputs(requested: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Wanted, ...]:
    """Read the requested outputs, each its name and its parameters; none means all.

    Raises:
        InvalidInput: a parameter has a value of the wrong kind.
        Unimplemented: an output is wanted in shared memory.
    """
    return tuple([_wanted(name, parameters) for name, parameters in requested])


def refuse_shared_memory(what: str, name: str, parameters: Mapping[str, Any]) -> None:
    """Refuse an input or output whose bytes lie, or are wanted, in memory that client and server share.

    Raises:
        Unimplemented: naming it.
    """
    for parameter in parameters:
        if parameter.startswith(_SHARED_MEMORY):
            raise Unimplemented(
                f"{what} {quoted(name)}: parameter {quoted(parameter)}: this server has no shared memory"
            )


def _wanted(name: str, parameters: Mapping[str, Any]) -> Wanted:
    if not parameters:
        return Wanted(name)
    refuse_shared_memory("output", name, parameters)
    return Wanted(
        name, _whole(parameters, CLASSIFICATION, 1, name), _boolean(parameters, BINARY_OUTPUT, name)
    )


def _refuse_sequences(parameters: Mapping[str, Any]) -> None:
    for name, none in _NO_SEQUENCE.items():
        given = parameters.get(name)
        if given is not None and not any(type(given) is type(value) and given == value for value in none):
            raise Unimplemented(
                f"parameter '{name}': this server has no sequences, each request is answered by itself"
            )


def _whole(parameters: Mapping[str, Any], name: str, least: int, output: str | None = None) -> int | None:
    """A whole number of at least so many, if the parameter is there, of the request or of an output."""
    value = parameters.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= _MOST:
        raise _wrong(output, name, f"a whole number of at least {least}", value)
    return value


def _boolean(parameters: Mapping[str, Any], name: str, output: str | None = None) -> bool | None:
    value = parameters.get(name)
    if value is not None and type(value) is not bool:
        raise _wrong(output, name, "a boolean", value)
    return value


def _wrong(output: str | None, name: str, expected: str, value: Any) -> InvalidInput:
    text = f"parameter '{name}' is {expected}, not {describe(value)}"
    if output is None:
        return InvalidInput(text, path("parameters", name))
    return InvalidInput(f"output {quoted(output)}: {text}", path("outputs", output, "parameters", name))
