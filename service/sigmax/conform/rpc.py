"""gRPC as the checks need it: any bytes to any method, a status instead of an exception, bounded in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from sigmax.conform.check import NoAnswer, Unmet, excerpt
from sigmax.conform.http import Budget

SERVICE = "inference.GRPCInferenceService"
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]

_LOST = ("connect", "socket", "reset", "name resolution", "goaway")
"""Words of the library's own texts when no server said UNAVAILABLE."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a call ended: the status by name, its text, and the messages that came before it, as bytes."""

    code: str
    details: str
    messages: tuple[bytes, ...]

    def read(self, kind: Any) -> Any:
        """The only message of a call that went well.

        Raises:
            Unmet: it did not, or what came is no such message.
        """
        if self.code != "OK" or not self.messages:
            raise Unmet("OK and a message", self)
        return parsed(kind, self.messages[0])

    def __str__(self) -> str:
        return f"{self.code} {excerpt(self.details)}".strip()


def parsed(kind: Any, message: bytes) -> Any:
    """Bytes as a message."""
    try:
        return kind.FromString(message)
    except Exception as error:  # the library has an exception of its own in each implementation
        raise Unmet(f"a {kind.DESCRIPTOR.name}", message) from error


class Rpc:
    """A server's gRPC door."""

    def __init__(self, target: str, timeout: float, budget: Budget) -> None:
        self.target, self._timeout, self._budget = target, timeout, budget
        self._channel = grpc.insecure_channel(target, _OPTIONS)

    def call(self, method: str, request: Any = b"", service: str = SERVICE) -> Said:
        """Call a unary method with a message, or with bytes that are none."""
        return self.stream(method, [request], service, unary=True)

    def stream(
        self,
        method: str,
        requests: Iterable[Any],
        service: str = SERVICE,
        *,
        unary: bool = False,
        enough: int | None = None,
    ) -> Said:
        """Call a method of streams, and take its messages until it ends or `enough` have come.

        Raises:
            NoAnswer: the server cannot be reached, or it was silent until the deadline.
        """
        self._budget.spend()
        sent = [one if isinstance(one, bytes) else one.SerializeToString() for one in requests]
        path = f"/{service}/{method}"
        call: Any
        if unary:
            call = self._channel.unary_stream(path, _same, _same)(sent[0], timeout=self._timeout)
        else:
            call = self._channel.stream_stream(path, _same, _same)(iter(sent), timeout=self._timeout)
        return _ended(call, path, self._timeout, enough)

    def close(self) -> None:
        """Give the channel back."""
        self._channel.close()


def _ended(call: Any, path: str, timeout: float, enough: int | None) -> Said:
    messages: list[bytes] = []
    try:
        for message in call:
            messages.append(message)
            if len(messages) == enough:
                call.cancel()
                return Said("OK", "", tuple(messages))
    except grpc.RpcError:
        _refuse_silence(call, path, timeout)
    return Said(call.code().name, call.details() or "", tuple(messages))


def _refuse_silence(call: Any, path: str, timeout: float) -> None:
    if call.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise NoAnswer(f"no answer to {path} within {timeout:g} s")
    details = str(call.details())
    if call.code() is grpc.StatusCode.UNAVAILABLE and any(word in details.lower() for word in _LOST):
        raise NoAnswer(f"no answer to {path}: {excerpt(details)}")


def _same(data: bytes) -> bytes:
    return data


def refused(said: Said, codes: Sequence[str]) -> None:
    """Take a refusal with one of these statuses and a text.

    Raises:
        Unmet: the call went well or ended otherwise.
    """
    if said.code not in codes:
        raise Unmet(" or ".join(codes), said)
    if not said.details:
        raise Unmet("a text that says what was wrong", said)
