"""The addresses of both doors, taken before any worker starts.

The REST socket is inherited by the workers, who accept from one queue: a worker that leaves takes no
waiting connection with it. gRPC cannot adopt a socket: each worker binds the port by itself, with
SO_REUSEPORT, beside a socket that never listens and keeps the port for as long as the service lives.

After binding both stop saying SO_REUSEADDR. It was needed to bind beside connections that linger
(TIME_WAIT); said any longer, another program that says it, too, could bind the same port without an error.
A socket that listens is safe from that and says it again: its connections take it over, and linger in
nobody's way.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

BACKLOG = 2048
"""Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`)."""


class Ports(NamedTuple):
    """The addresses that are ours.

    Attributes:
        rest: bound; listening from the moment that the first worker is ready.
        grpc: bound, never listening.
    """

    rest: socket.socket
    grpc: socket.socket

    @property
    def numbers(self) -> tuple[int, int]:
        """The REST and the gRPC port."""
        return self.rest.getsockname()[1], self.grpc.getsockname()[1]


def take(host: str, rest_port: int, grpc_port: int) -> Ports:
    """Take both addresses.

    Args:
        host: a name or an address; of several addresses the first.
        rest_port: 0 takes a free one.
        grpc_port: likewise.

    Raises:
        OSError: one is taken or none of this machine's, with a text that names door and address.
    """
    rest = _bound("REST", host, rest_port)
    if grpc_port:
        _bound("gRPC", host, grpc_port).close()  # alone on it: a socket that shares would be let in silently
    return Ports(rest, _bound("gRPC", host, grpc_port, shared=True))


def listen(rest: socket.socket) -> None:
    """Let clients connect, from any process that has the socket."""
    rest.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # before: the port is looked at once more
    rest.listen(BACKLOG)


def refusal(door: str, host: str, port: int) -> str:
    """Why an address cannot be taken; empty if it can."""
    try:
        _bound(door, host, port).close()
    except OSError as error:
        return str(error)
    return ""


def _bound(door: str, host: str, port: int, *, shared: bool = False) -> socket.socket:
    try:
        bound = socket.socket(_family(host, port), socket.SOCK_STREAM)
        try:
            _bind(bound, host, port, shared)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"{door} cannot listen on {host}:{port}: {reason}") from error
    return bound


def _family(host: str, port: int) -> int:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except UnicodeError as error:  # what can be no name is no OSError
        raise OSError(f"'{host}' is no address") from error


def _bind(bound: socket.socket, host: str, port: int, shared: bool) -> None:
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    elif bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.bind((host, port))
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
