"""One HTTP/1.1 connection by the byte, for what no HTTP library would let a test send."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.service import Service

_SECONDS = 20


class Reply(NamedTuple):
    """An answer; header names are in small letters, the body as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


class Wire:
    """One connection."""

    def __init__(self, service: Service) -> None:
        address = urlsplit(service.rest)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=_SECONDS)
        self.file = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def reply(self, *, has_body: bool = True) -> Reply:
        status = int(self.file.readline().split()[1])
        headers = []
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.lower(), value.strip()))
        length = int(dict(headers).get("content-length", 0)) if has_body else 0
        return Reply(status, headers, self.file.read(length))

    def answer(self) -> tuple[int, Any]:
        reply = self.reply()
        return reply.status, json.loads(reply.body)

    def ended(self) -> bool:
        """Whether the service closes the connection without another byte."""
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()
