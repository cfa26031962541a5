"""HTTP as the checks need it: the bytes and headers as given, one connection a request, bounded in time."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from sigmax.conform.check import NoAnswer, Unmet, excerpt

MAX_REQUESTS = 450
"""How many requests one run sends at most, over both doors."""

MAX_BYTES = 64 * 2**20
_PIECE = 2**16

Headers = tuple[tuple[str, str], ...]
JSON: Headers = (("Content-Type", "application/json"),)


class Budget:
    """Requests that may still be sent."""

    def __init__(self, requests: int = MAX_REQUESTS) -> None:
        self._limit = requests
        self.spent = 0

    def spend(self) -> None:
        """Count one request.

        Raises:
            NoAnswer: all are spent.
        """
        if self.spent >= self._limit:
            raise NoAnswer(f"not sent: a run sends {self._limit} requests at most")
        self.spent += 1


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; header names are in small letters."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, those of a repeated one joined by commas; None if it is not there."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """The body as strict JSON.

        Raises:
            Unmet: it is none, or has NaN or Infinity in it.
        """
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Unmet(
                "a body of strict JSON", self.body or f"an empty body, status {self.status}"
            ) from error

    def __str__(self) -> str:
        return f"{self.status} {excerpt(self.body)}".strip()


class Http:
    """A server's REST door under one URL."""

    def __init__(self, url: str, timeout: float, budget: Budget) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"expected http://HOST:PORT, got {url!r}")
        self._timeout, self._budget = timeout, budget
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Headers = ()) -> Reply:
        """Send one request.

        Raises:
            NoAnswer: none came in time.
        """
        self._budget.spend()
        connection = self._kind(self._host, self._port, timeout=self._timeout)
        try:
            return self._exchange(connection, method, self._prefix + path, body, headers)
        except TimeoutError as error:
            raise NoAnswer(f"no answer to {method} {path} within {self._timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or str(error) or "closed without a word"
            raise NoAnswer(f"no answer to {method} {path}: {excerpt(said)}") from error
        finally:
            connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Headers,
    ) -> Reply:
        given = {name.lower() for name, _ in headers}
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None and "content-length" not in given:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = _read(response, monotonic() + self._timeout)
        found = tuple((name.lower(), value) for name, value in response.getheaders())
        return Reply(response.status, found, content)


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body; a server that sends it byte by byte is cut off at the deadline."""
    pieces, size = [], 0
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if monotonic() > deadline:
            raise TimeoutError
        if size > MAX_BYTES:
            raise http.client.HTTPException(f"more than {MAX_BYTES} bytes came")
    return b"".join(pieces)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
